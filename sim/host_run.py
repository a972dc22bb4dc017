"""A core with registers in a Verilog simulator: descriptors against golden and the plan."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from gatefold.hdl.host.registers import MAP
from gatefold.sim.compiled import Compiled
from gatefold.sim.results import CheckFailed
from gatefold.sim.testbench import bench_file

__all__ = ["HostBench", "HostInfo"]

_END, _WRITE, _READ, _DONE, _WAIT, _PAUSES, _BASE = range(7)
_PAUSED = (96, 250)  # of 256 cycles in which each channel of memory pauses, in the last descriptors
_BASES = (0x5A3CF00F, 0xA5C30FF0)  # upper bits of their addresses
_WINDOWS = 4  # frames in the window at most
_PATTERN = 0x96A5C35A  # written to registers, and its complement
_MANY = 20  # times the cycles that are planned, after which the core hangs
_GUARD = 0xA5  # bytes where nothing is written
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """What the check needs of a core with registers.

    Attributes: ``port_bits``; ``in_bytes``, ``out_bytes``, from frame to frame; ``window``, whether
    there is one; ``load``, the weights' image, or nothing; ``warm``, cycles after a reset until a
    frame takes no longer than others; ``frame``, ``window_frame``, ``batch``, planned cycles of one
    frame, of one in the window, and of ``batch_frames``; ``exact``, whether the batch must take
    exactly as many: memory keeps up with the core.
    """

    port_bits: int
    in_bytes: int
    out_bytes: int
    window: bool
    load: bytes
    warm: int
    frame: int
    window_frame: int | None
    batch: int
    batch_frames: int
    exact: bool


class HostBench(Compiled):
    """``gatefold_host`` and a memory, compiled once: :meth:`check` plays descriptors on it.

    Played are: every register that can be written, written and read; the first frame alone, some
    in the window, and a batch, with a memory that answers at once; all frames with one that pauses,
    and with one that hardly moves, at other addresses.

    Parameters as of :class:`Compiled`, and ``info``; ``frames``, one sequence in a stateful core;
    ``outputs``, what golden makes of them.
    """

    def __init__(self, directory: Path, info: HostInfo, frames: list[bytes], outputs: list[bytes],
                 simulator: str, *, timeout: float = 900):
        self.info, self.outputs = info, outputs
        size, count = info.port_bits // 8, len(frames)
        at_in = -(-len(info.load) // 4096) * 4096
        at_out = -(-(at_in + count * info.in_bytes) // 4096) * 4096
        self._regions = [at_out + n * (count * info.out_bytes + 16 * size) for n in range(4)]
        content = bytearray(b"".join([info.load.ljust(at_in, b"\0"), *frames]).ljust(at_out, b"\0"))
        content += bytes([_GUARD]) * (
            self._regions[-1] + count * info.out_bytes + 16 * size - at_out)
        self._content, self._played = content, self._script(frames, at_in)
        #: Cycles of a run at most; every access to a register takes some.
        self._most = _MANY * (info.warm + info.frame + _WINDOWS * (info.window_frame or 0)
                              + info.batch * (1 + count) + len(info.load)
                              + 40 * count * (info.in_bytes + info.out_bytes) // size
                              + len(self._played.steps)) + 20_000
        super().__init__(directory, simulator, timeout)

    def check(self, *plusargs: str) -> int:
        """Run the frames; how many. ``plusargs`` go to the simulator. Raises
        :class:`CheckFailed` at the first difference."""
        info, outputs, count = self.info, self.outputs, len(self.outputs)
        values, result = self._simulate(*plusargs)
        for (name, want), got in zip(self._played.expected, values, strict=True):
            if want is not None and got != want:
                raise CheckFailed(f"registers and memory: expected {want} {name}, got {got}")
        for place, number in enumerate((1, info.batch_frames, count, count)):
            length = number * info.out_bytes
            got = result[self._regions[place]:self._regions[place] + length]
            _same(f"descriptor {place}", got, outputs[:number])
            behind = result[self._regions[place] + length:][:16 * info.port_bits // 8]
            if set(behind) != {_GUARD}:
                raise CheckFailed(f"registers and memory: descriptor {place} wrote behind its "
                                  "results")
        return self._frames

    def _script(self, frames: list[bytes], at_in: int) -> _Script:
        """What the host does."""
        info, count, script = self.info, len(frames), _Script()
        for register in MAP.registers:
            mask = sum(field.mask for field in register.fields if field.access == "rw")
            for value in (_PATTERN, ~_PATTERN, sum(
                    field.reset << field.low for field in register.fields)) if mask else ():
                script.write(**{register.name: value & mask})
                script.read(register.name, value & mask)
        if info.load:
            script.write(WEIGHTS_BYTES=len(info.load), WEIGHTS_CRC=zlib.crc32(info.load))
            script.run(0, 0, 0, weights=True)
        script.steps.append((_WAIT, 0, info.warm))
        script.run(1, at_in, self._regions[0])
        script.read("LAST_CYCLES", info.frame, "cycles for one frame")
        script.run(info.batch_frames, at_in, self._regions[1])
        script.read("LAST_CYCLES", info.batch if info.exact else None,
                    f"cycles for {info.batch_frames} frames")
        windows = min(_WINDOWS, count) if info.window else 0
        for frame, output in zip(frames[:windows], self.outputs, strict=False):
            for n in range(0, len(frame), 4):
                script.steps.append((_WRITE, MAP.window("WINDOW_IN").address + n,
                                     int.from_bytes(frame[n:n + 4], "little")))
            script.run(1, 0, 0, window=True, first=frame is frames[0])
            script.read("LAST_CYCLES", info.window_frame, "cycles for a frame in the window")
            for n in range(0, info.out_bytes, 4):
                script.steps.append((_READ, MAP.window("WINDOW_OUT").address + n, 0))
                script.expected.append((f"in byte {n} of the window", int.from_bytes(
                    output[n:n + 4], "little")))
        for rate, base, at_out in zip(_PAUSED, _BASES, self._regions[2:], strict=True):
            script.steps += [(_PAUSES, 0, rate), (_BASE, 0, base)]
            script.run(count, at_in, at_out, base)
        self._frames = 1 + info.batch_frames + windows + 2 * count
        script.read("ERROR", 0)
        script.read("FRAMES_DONE_LO", self._frames)
        script.steps.append((_END, 0, 0))
        return script

    def _bench(self, folder: Path) -> list[Path]:
        size, steps = self.info.port_bits // 8, self._played.steps
        words = [int.from_bytes(self._content[n:n + size], "little")
                 for n in range(0, len(self._content), size)]
        (folder / "host.v").write_text(bench_file("host.v", {
            "width": self.info.port_bits, "depth": len(words), "steps": len(steps)}))
        (folder / "main.cpp").write_text(bench_file("main.cpp"))
        (self._root / "memory.hex").write_text("".join(f"{word:x}\n" for word in words))
        (self._root / "script.hex").write_text("".join(
            f"{op:02x}{address:04x}{value:08x}\n" for op, address, value in steps))
        return [folder / "host.v"]

    def _simulate(self, *plusargs: str) -> tuple[list[int], bytes]:
        """The values that the script reads, and what memory holds at its end."""
        with self._run_folder() as folder:
            for name in ("memory.hex", "script.hex"):
                (folder / name).symlink_to(self._root / name)
            self._play(folder, [f"+cycles={self._most}", *plusargs],
                       f"{self.simulator} simulates the core with registers")
            log = (folder / "log.txt").read_text().splitlines()
            wrong = [line for line in log if not line.startswith("read ")]
            if wrong:
                raise CheckFailed(f"registers and memory: {wrong[0]}")
            lines = [line for line in (folder / "result.hex").read_text().splitlines()
                     if not line.startswith(("//", "@"))]
        size = self.info.port_bits // 8
        try:
            result = b"".join(int(line, 16).to_bytes(size, "little") for line in lines)
            return [int(line.split()[1]) for line in log], result
        except ValueError:
            raise CheckFailed("registers and memory: a value that was written or read is unknown "
                              "(X)") from None


class _Script:
    """The steps of sim/bench/host.v, and what it reads: the name of a value, and the value, or None
    where any is right."""

    def __init__(self):
        self.steps: list[tuple[int, int, int]] = []
        self.expected: list[tuple[str, int | None]] = []

    def write(self, **registers: int) -> None:
        self.steps += [(_WRITE, MAP[name].address, value) for name, value in registers.items()]

    def read(self, name: str, expected: int | None, what: str = "") -> None:
        self.steps.append((_READ, MAP[name].address, 0))
        self.expected.append((what or f"in {name}", expected))

    def run(self, frames: int, at_in: int, at_out: int, base: int = 0, *, first: bool = True,
            **flags: bool) -> None:
        """A descriptor, to its end; ``base``, of step _BASE; ``first``, its first frame begins a
        sequence."""
        flag = MAP["FLAGS"].field
        above = ~base & _WORD
        self.write(FRAMES=frames, IN_ADDR_LO=at_in | (base << 28) & _WORD, IN_ADDR_HI=base,
                   OUT_ADDR_LO=at_out | (above << 28) & _WORD, OUT_ADDR_HI=above,
                   FLAGS=sum(flag(name.upper()).mask for name, on in (
                       ("first", first), *flags.items()) if on),
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
