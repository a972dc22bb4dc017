"""A core with registers in a Verilog simulator: descriptors against golden and the plan."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gatefold.hdl.host.registers import MAP
from gatefold.sim.results import CheckFailed
from gatefold.sim.simulators import build, command
from gatefold.sim.testbench import bench_file

__all__ = ["HostBench", "HostInfo"]

_END, _WRITE, _READ, _DONE, _WAIT, _PAUSES = range(6)
_PAUSED = 96  # of 256 cycles in which each channel of memory pauses, in the last descriptor
_MANY = 20  # times the cycles that are planned, after which the core hangs
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


class HostBench:
    """``gatefold_host`` and a memory, compiled once: :meth:`check` plays descriptors on it.

    Played are the first frame alone, in memory and in the window, and all as a batch, with a memory
    that answers at once and with one that pauses. A context manager: the compiled simulation is in
    a temporary folder.

    Parameters: ``directory``, made by ``gatefold build``; ``info``; ``frames``, one sequence in a
    stateful core; ``outputs``, what golden makes of them; ``sim``; ``timeout``, seconds for the
    build and for each run.
    """

    def __init__(self, directory: Path, info: HostInfo, frames: list[bytes], outputs: list[bytes],
                 sim: str, *, timeout: float = 900):
        self.info, self.outputs, self.sim, self.timeout = info, outputs, sim, timeout
        size, count = info.port_bits // 8, len(frames)
        at_in = -(-len(info.load) // 4096) * 4096
        at_out = -(-(at_in + count * info.in_bytes) // 4096) * 4096
        self._regions = [at_out + n * (count * info.out_bytes + 16 * size) for n in range(3)]
        content = bytearray(b"".join([info.load.ljust(at_in, b"\0"), *frames]).ljust(at_out, b"\0"))
        content += bytes([_GUARD]) * (
            self._regions[2] + count * info.out_bytes + 16 * size - at_out)
        self._temporary = tempfile.TemporaryDirectory(prefix="gatefold-")
        try:
            self._root = Path(self._temporary.name)
            script = self._script(frames, at_in)
            #: Cycles of a run at most; every access to a register takes some.
            self._most = _MANY * (info.warm + info.frame + (info.window_frame or 0) + 2 * info.batch
                                  + len(info.load) + len(script)) + 20_000
            self._command = self._build(directory, content, script)
        except BaseException:
            self._temporary.cleanup()
            raise

    def __enter__(self) -> HostBench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self._temporary.cleanup()

    def check(self, *plusargs: str) -> int:
        """Run the frames; how many. ``plusargs`` go to the simulator. Raises
        :class:`CheckFailed` at the first difference."""
        info, outputs, count = self.info, self.outputs, len(self.outputs)
        values, result = self._simulate(*plusargs)
        planned = [info.frame, info.batch] + [info.window_frame] * info.window
        names = ["one frame", f"{count} frames", "a frame in the window"]
        measured = [values.pop(0), values.pop(0)]
        if info.window:
            measured.append(values.pop(0))
            words = [values.pop(0) for _ in range(0, info.out_bytes, 4)]
            _same("the window", b"".join(word.to_bytes(4, "little") for word in words),
                  outputs[:1])
        for name, cycles, want in zip(names, measured, planned, strict=False):
            if cycles != want and (info.exact or name != names[1]):
                raise CheckFailed(f"registers and memory: expected {want} cycles for {name}, got "
                                  f"{cycles}")
        for place, number in ((0, 1), (1, count), (2, count)):
            length = number * info.out_bytes
            got = result[self._regions[place]:self._regions[place] + length]
            _same(f"descriptor {place}", got, outputs[:number])
            behind = result[self._regions[place] + length:][:16 * info.port_bits // 8]
            if set(behind) != {_GUARD}:
                raise CheckFailed(f"registers and memory: descriptor {place} wrote behind its "
                                  "results")
        done = 1 + info.window + 2 * count
        if values != [0, done]:
            raise CheckFailed(f"registers and memory: expected no error and {done} frames, got "
                              f"errors {values[0]:#x} and {values[1]} frames")
        return done

    def _script(self, frames: list[bytes], at_in: int) -> list[tuple[int, int, int]]:
        """What the host does."""
        info, count, script = self.info, len(frames), _Script()
        if info.load:
            script.write(WEIGHTS_BYTES=len(info.load), WEIGHTS_CRC=zlib.crc32(info.load))
            script.run(0, 0, 0, weights=True)
        script.steps.append((_WAIT, 0, info.warm))
        for place, number in ((0, 1), (1, count)):
            script.run(number, at_in, self._regions[place])
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
        script.run(count, at_in, self._regions[2])
        script.read("ERROR", "FRAMES_DONE_LO")
        return [*script.steps, (_END, 0, 0)]

    def _build(self, directory: Path, content: bytearray, steps: list[tuple[int, int, int]]
               ) -> list[str]:
        """Compile core and bench; the command that runs them."""
        size = self.info.port_bits // 8
        words = [int.from_bytes(content[n:n + size], "little")
                 for n in range(0, len(content), size)]
        for name in ("rtl", "weights"):
            shutil.copytree(directory / name, self._root / name)
        folder = self._root / "build"
        folder.mkdir()
        (folder / "host.v").write_text(bench_file("host.v", {
            "width": self.info.port_bits, "depth": len(words), "steps": len(steps)}))
        (folder / "main.cpp").write_text(bench_file("main.cpp"))
        (self._root / "memory.hex").write_text("".join(f"{word:x}\n" for word in words))
        (self._root / "script.hex").write_text("".join(
            f"{op:02x}{address:04x}{value:08x}\n" for op, address, value in steps))
        return build(self.sim, folder, [folder / "host.v", *sorted(
            (self._root / "rtl").glob("*.v"))], timeout=self.timeout)

    def _simulate(self, *plusargs: str) -> tuple[list[int], bytes]:
        """The values that the script reads, and what memory holds at its end."""
        folder = Path(tempfile.mkdtemp(dir=self._root))  # the Verilog reads ../weights
        for name in ("memory.hex", "script.hex"):
            (folder / name).symlink_to(self._root / name)
        command([*self._command, f"+cycles={self._most}", *plusargs], cwd=folder,
                timeout=self.timeout,
                label=f"{self.sim} simulates the core with registers")
        log = (folder / "log.txt").read_text().splitlines()
        wrong = [line for line in log if not line.startswith("read ")]
        if wrong:
            raise CheckFailed(f"registers and memory: {wrong[0]}")
        lines = [line for line in (folder / "result.hex").read_text().splitlines()
                 if not line.startswith(("//", "@"))]
        shutil.rmtree(folder)
        size = self.info.port_bits // 8
        try:
            result = b"".join(int(line, 16).to_bytes(size, "little") for line in lines)
            return [int(line.split()[1]) for line in log], result
        except ValueError:
            raise CheckFailed("registers and memory: a value that was written or read is unknown "
                              "(X)") from None


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


def _same(where: str, got: bytes, outputs: list[bytes]) -> None:
    for n, want in enumerate(outputs):
        mine = got[n * len(want):(n + 1) * len(want)]
        if mine != want:
            at = next(k for k, (one, other) in enumerate(zip(mine, want, strict=True))
                      if one != other)
            raise CheckFailed(f"registers and memory: {where}, frame {n}, byte {at}: expected "
                              f"{want[at]:#04x}, got {mine[at]:#04x}")
