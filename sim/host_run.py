"""A core with registers in a Verilog simulator: descriptors against golden and the plan."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from gatefold.hdl.host.registers import MAP
from gatefold.sim.results import CheckFailed
from gatefold.sim.simulators import build, command
from gatefold.sim.testbench import bench_file

__all__ = ["HostInfo", "check_host"]

_END, _WRITE, _READ, _DONE, _WAIT, _PAUSES = range(6)
_PAUSED = 96  # of 256 cycles in which each channel of memory pauses, in the last descriptor
_GUARD = 0xA5  # bytes where nothing is written


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """What the check needs of a core with registers.

    Attributes: ``port_bits``; ``in_bytes``, ``out_bytes``, from frame to frame; ``window``, whether
    there is one; ``load``, the weights' image, or nothing; ``warm``, cycles after a reset until a
    frame takes no longer than others; ``frame``, ``window_frame``, ``batch``, planned cycles of one
    frame, of one in the window, and of all frames that are run; ``exact``, whether the batch must
    take exactly as many: memory keeps up with the core.
    """

    port_bits: int
    in_bytes: int
    out_bytes: int
    window: bool
    load: bytes
    warm: int
    frame: int
    window_frame: int
    batch: int
    exact: bool


def check_host(directory: Path, info: HostInfo, frames: list[bytes], outputs: list[bytes],
               sim: str, *, timeout: float = 900) -> int:
    """Run ``frames``, one sequence in a stateful core, through ``gatefold_host``; how many.

    ``outputs``, what golden makes of them. Played are the first frame alone, in memory and in the
    window, and all as a batch, with a memory that answers at once and with one that pauses. Raises
    :class:`CheckFailed` at the first difference.
    """
    size, count = info.port_bits // 8, len(frames)
    at_in = -(-len(info.load) // 4096) * 4096
    at_out = -(-(at_in + count * info.in_bytes) // 4096) * 4096
    regions = [at_out + n * (count * info.out_bytes + 16 * size) for n in range(3)]
    content = bytearray(b"".join([info.load.ljust(at_in, b"\0"), *frames]).ljust(at_out, b"\0"))
    content += bytes([_GUARD]) * (regions[2] + count * info.out_bytes + 16 * size - at_out)

    script = _Script()
    if info.load:
        script.write(WEIGHTS_BYTES=len(info.load), WEIGHTS_CRC=zlib.crc32(info.load))
        script.run(0, 0, 0, weights=True)
    script.steps.append((_WAIT, 0, info.warm))
    for place, number in ((0, 1), (1, count)):
        script.run(number, at_in, regions[place])
        script.read("LAST_CYCLES")
    if info.window:
        for n in range(0, len(frames[0]), 4):
            script.steps.append((_WRITE, MAP.window("WINDOW_IN").address + n,
                                 int.from_bytes(frames[0][n:n + 4], "little")))
        script.run(1, 0, 0, window=True)
        script.read("LAST_CYCLES")
        script.steps += [(_READ, MAP.window("WINDOW_OUT").address + n, 0)
                         for n in range(0, info.out_bytes, 4)]
    script.steps.append((_PAUSES, 0, _PAUSED))
    script.run(count, at_in, regions[2])
    script.read("ERROR", "FRAMES_DONE_LO")
    values, result = _simulate(directory, info, content, script, sim, timeout)

    planned = [info.frame, info.batch] + [info.window_frame] * info.window
    names = ["one frame", f"{count} frames", "a frame in the window"]
    measured = [values.pop(0), values.pop(0)]
    if info.window:
        measured.append(values.pop(0))
        words = [values.pop(0) for _ in range(0, info.out_bytes, 4)]
        _same("the window", b"".join(word.to_bytes(4, "little") for word in words), outputs[:1])
    for name, cycles, want in zip(names, measured, planned, strict=False):
        if cycles != want and (info.exact or name != names[1]):
            raise CheckFailed(f"registers and memory: expected {want} cycles for {name}, got "
                              f"{cycles}")
    for place, number in ((0, 1), (1, count), (2, count)):
        length = number * info.out_bytes
        got = result[regions[place]:regions[place] + length]
        _same(f"descriptor {place}", got, outputs[:number])
        behind = result[regions[place] + length:][:16 * size]
        if set(behind) != {_GUARD}:
            raise CheckFailed(f"registers and memory: descriptor {place} wrote behind its results")
    done = 1 + info.window + 2 * count
    if values != [0, done]:
        raise CheckFailed(f"registers and memory: expected no error and {done} frames, got errors "
                          f"{values[0]:#x} and {values[1]} frames")
    return done


class _Script:
    """The steps of sim/bench/host.v."""

    def __init__(self):
        self.steps: list[tuple[int, int, int]] = []

    def write(self, **registers: int) -> None:
        self.steps += [(_WRITE, MAP[name].address, value) for name, value in registers.items()]

    def read(self, *names: str) -> None:
        self.steps += [(_READ, MAP[name].address, 0) for name in names]

    def run(self, frames: int, at_in: int, at_out: int, **flags: bool) -> None:
        """A descriptor, whose first frame begins a sequence, to its end."""
        flag = MAP["FLAGS"].field
        self.write(FRAMES=frames, IN_ADDR_LO=at_in, OUT_ADDR_LO=at_out,
                   FLAGS=sum(flag(name.upper()).mask for name in ("first", *flags)),
                   CTRL=MAP["CTRL"].field("AP_START").mask)
        self.steps.append((_DONE, 0, 0))


def _simulate(directory: Path, info: HostInfo, content: bytearray, script: _Script, sim: str,
              timeout: float) -> tuple[list[int], bytes]:
    """The values that the script reads, and what memory holds at its end."""
    size = info.port_bits // 8
    words = [int.from_bytes(content[n:n + size], "little") for n in range(0, len(content), size)]
    steps = [*script.steps, (_END, 0, 0)]
    with tempfile.TemporaryDirectory(prefix="gatefold-") as place:
        root = Path(place)
        for name in ("rtl", "weights"):
            shutil.copytree(directory / name, root / name)
        folder = root / "build"
        folder.mkdir()
        (folder / "host.v").write_text(bench_file("host.v", {
            "width": info.port_bits, "depth": len(words), "steps": len(steps)}))
        (folder / "main.cpp").write_text(bench_file("main.cpp"))
        (folder / "memory.hex").write_text("".join(f"{word:x}\n" for word in words))
        (folder / "script.hex").write_text("".join(
            f"{op:02x}{address:04x}{value:08x}\n" for op, address, value in steps))
        run = build(sim, folder, [folder / "host.v", *sorted((root / "rtl").glob("*.v"))],
                    timeout=timeout)
        command(run, cwd=folder, timeout=timeout,
                label=f"{sim} simulates the core with registers")
        log = (folder / "log.txt").read_text().splitlines()
        wrong = [line for line in log if not line.startswith("read ")]
        if wrong:
            raise CheckFailed(f"registers and memory: {wrong[0]}")
        lines = [line for line in (folder / "result.hex").read_text().splitlines()
                 if not line.startswith(("//", "@"))]
    try:
        result = b"".join(int(line, 16).to_bytes(size, "little") for line in lines)
        return [int(line.split()[1]) for line in log], result
    except ValueError:
        raise CheckFailed("registers and memory: a value that was written or read is unknown (X)"
                          ) from None


def _same(where: str, got: bytes, outputs: list[bytes]) -> None:
    for n, want in enumerate(outputs):
        mine = got[n * len(want):(n + 1) * len(want)]
        if mine != want:
            at = next(k for k, (one, other) in enumerate(zip(mine, want, strict=True))
                      if one != other)
            raise CheckFailed(f"registers and memory: {where}, frame {n}, byte {at}: expected "
                              f"{want[at]:#04x}, got {mine[at]:#04x}")
