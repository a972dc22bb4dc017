"""A core with registers in a Verilog simulator: descriptors against golden and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatefold.sim.compiled import Compiled
from gatefold.sim.host_info import HostInfo
from gatefold.sim.host_memory import HostMemory
from gatefold.sim.host_program import HostProgram
from gatefold.sim.results import CheckFailed
from gatefold.sim.testbench import bench_file

__all__ = ["HostBench"]

_FAULTS = 4  # bits of an engine's port ``fault``


class HostBench(Compiled):
    """``gatefold_host`` and a memory, compiled once: :meth:`check` plays descriptors on it.

    Played are: every register that can be written, written as a whole and byte by byte, and read,
    and addresses of no register; accesses one after the other and close together, and writes in
    the cycle of what they change;
    the first frame alone, some in the window, and a batch, with a memory that answers at once; all
    frames with one that pauses, and with one that hardly moves, at other addresses; descriptors
    that must be refused, and what is no reason to; memory that fails anywhere in a burst, ends
    bursts early or late, or does not answer, and some frames after each failure; sequences that go
    on, and that begin when the host says so; loads with a wrong checksum; aborts at any time, also
    of a descriptor that waits; faults that engines report; resets in the middle of descriptors;
    counters that carry; and after all that all frames again.

    Parameters as of :class:`Compiled`, and ``info``; ``frames``, one sequence in a stateful core;
    ``outputs``, what golden makes of them.
    """

    def __init__(self, directory: Path, info: HostInfo, frames: list[bytes], outputs: list[bytes],
                 simulator: str, *, timeout: float = 900, flags: Sequence[str] = ()):
        self.info, self.simulator = info, simulator
        self._memory = HostMemory(info, frames, outputs)
        self._program = HostProgram(info, self._memory, frames,
                                    thorough=simulator == "verilator")
        super().__init__(directory, simulator, timeout, flags)

    def check(self, *plusargs: str) -> int:
        """Run the frames; how many. ``plusargs`` go to the simulator. Raises
        :class:`CheckFailed` at the first difference."""
        values, result = self._simulate(*plusargs)
        program = self._program
        for (name, want), got in zip(program.expected, values, strict=True):
            if want is not None and got not in (want if isinstance(want, range) else (want,)):
                raise CheckFailed(f"registers and memory: expected {want} {name}, got {got}")
        for what, holds in program.relations:
            if not holds(values):
                raise CheckFailed(f"registers and memory: {what}")
        self._memory.check(result)
        return program.played

    def _bench(self, folder: Path) -> list[Path]:
        size, steps = self._memory.size, self._program.steps
        content = bytes(self._memory.content)
        content += bytes(-len(content) % size)
        words = [int.from_bytes(content[n:n + size], "little")
                 for n in range(0, len(content), size)]
        # What step FAULT does: engine n sees a frame of a wrong length, or a fault of its own.
        engine = "dut.shell.engines.engine_{0}.{1}".format
        faults = [f"{8 * n}: force {engine(n, 'frame_error')} = 1;"
                  for n in range(self.info.engines)]
        faults += [f"{8 * n + 1 + bit}: {engine(n, 'fault')}[{bit}] <= 1;"
                   for n in range(self.info.watching) for bit in range(_FAULTS)]
        releases = [f"release {engine(n, 'frame_error')};" for n in range(self.info.engines)]
        (folder / "host.v").write_text(bench_file("host.v", {
            "width": self.info.port_bits, "depth": len(words), "steps": len(steps),
            "faults": "".join(f"            {one}\n" for one in faults),
            "releases": "".join(f"            {one}\n" for one in releases)}))
        (folder / "main.cpp").write_text(bench_file("main.cpp"))
        (self._root / "memory.hex").write_text("".join(f"{word:x}\n" for word in words))
        (self._root / "script.hex").write_text("".join(
            f"{op:02x}{address:04x}{value:08x}\n" for op, address, value in steps))
        return [folder / "host.v"]

    def _simulate(self, *plusargs: str) -> tuple[list[int], bytes]:
        """The values that the program reads, and what memory holds at its end."""
        with self._run_folder() as folder:
            for name in ("memory.hex", "script.hex"):
                (folder / name).symlink_to(self._root / name)
            self._play(folder, [f"+cycles={self._program.most}", *plusargs],
                       f"{self.simulator} simulates the core with registers")
            log = (folder / "log.txt").read_text().splitlines()
            wrong = [line for line in log if not line.startswith("read ")]
            if wrong:
                raise CheckFailed(f"registers and memory: {wrong[0]}")
            lines = [line for line in (folder / "result.hex").read_text().splitlines()
                     if not line.startswith(("//", "@"))]
        try:
            result = b"".join(int(line, 16).to_bytes(self._memory.size, "little") for line in lines)
            return [int(line.split()[1]) for line in log], result
        except ValueError:
            raise CheckFailed("registers and memory: a value that was written or read is unknown "
                              "(X)") from None
