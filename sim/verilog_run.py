"""Playing scenarios into the exported Verilog with Icarus or Verilator.

The driver is Verilog (bench/drive.v), not cocotb: it reads beats, gaps and stalls from text files
and writes what happens to a text file, so no Python runs per cycle. For lstm-dense on 1,024
multipliers in Verilator that was 140,000 cycles a second, trace included, against 40,000 of the
cocotb bench, which traces nothing; the build took 22 s. Icarus plays 80 cycles a second of it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed, SimRun
from gatefold.sim.scenario import DRAIN_CYCLES, Scenario
from gatefold.sim.simulators import build, command
from gatefold.sim.testbench import write_driver
from gatefold.sim.trace import Beat, layer_values

__all__ = ["VerilogCore", "read_log"]

class VerilogCore:
    """A core folder's Verilog, compiled once, run for any number of scenarios.

    A context manager: the compiled simulation is in a temporary folder. The files are copied there,
    so that no character of the folder's own path reaches a tool's command line, and the weights are
    where the Verilog looks for them.

    Parameters: ``directory``, made by ``gatefold build``; ``info``, its core.json; ``simulator``,
    one of :data:`~gatefold.sim.simulators.VERILOG_SIMULATORS`; ``timeout``, seconds for the build
    and for each run.
    """

    def __init__(self, directory: Path, info: CoreInfo, simulator: str, *, timeout: float = 900):
        self.info, self.simulator, self.timeout = info, simulator, timeout
        self._temporary = tempfile.TemporaryDirectory(prefix="gatefold-")
        try:
            self._root = Path(self._temporary.name)
            for name in ("rtl", "weights"):
                if (directory / name).is_dir():
                    shutil.copytree(directory / name, self._root / name)
            folder = self._root / "build"
            folder.mkdir()
            write_driver(folder, info)
            sources = [folder / "tb.v", folder / "drive.v",
                       *sorted((self._root / "rtl").glob("*.v"))]
            self._command = build(simulator, folder, sources, timeout=timeout)
        except BaseException:
            self._temporary.cleanup()
            raise

    def __enter__(self) -> VerilogCore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self._temporary.cleanup()

    def simulate(self, x: np.ndarray, scenario: Scenario) -> SimRun:
        """Play integer inputs ``x`` (samples, n_in) in the order and at the pace of ``scenario``.

        Raises :class:`CheckFailed` where the core hangs, a frame has the wrong number of beats, or
        an output or a traced state is unknown (X).
        """
        folder = Path(tempfile.mkdtemp(dir=self._root))  # the Verilog reads ../weights
        beats = self.info.stream.pack(x)
        digits = self.info.stream.beat_bits // 4
        with (folder / "stimulus.txt").open("w") as file:
            for n, sample in enumerate(scenario.frames):
                for b, (gap, beat) in enumerate(zip(scenario.gaps[n], beats[sample], strict=True)):
                    begins, ends = b == 0, b == self.info.beats_in - 1
                    if begins and n and scenario.isolated[n]:
                        gap = -DRAIN_CYCLES
                    # TUSER counts with a frame's first beat alone: it is wrong with the others.
                    reset, user = begins and scenario.resets[n], begins == scenario.fresh[n]
                    file.write(f"{gap} {reset:d} {user:d} {ends:d} {beat:0{digits}x}\n")
        np.savetxt(folder / "stalls.txt", scenario.stalls.reshape(-1), fmt="%d")
        # A core that is slower than this hangs.
        longest = int(scenario.gaps.max() + scenario.stalls.max())
        quiet = (4 * (self.info.latency + self.info.interval) + longest + 1000
                 + 2 * self.info.load_beats)
        label = f"{self.simulator} simulates {len(scenario.frames)} frames, {scenario.name}"
        command([*self._command, "+trace=trace.txt", f"+frames={len(scenario.frames)}",
                 f"+quiet={quiet}", f"+cycles={quiet * (len(scenario.frames) + 1)}"],
                cwd=folder, timeout=self.timeout, label=label)
        log = (folder / "trace.txt").read_text()
        shutil.rmtree(folder)
        return read_log(log, self.info, scenario)


@dataclass
class _Seen:
    """The frames of a log, as far as it was read."""

    first_in: list[int] = field(default_factory=list)
    last_out: list[int] = field(default_factory=list)
    outputs: list[np.ndarray] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)
    results: list[Beat] = field(default_factory=list)


def read_log(text: str, info: CoreInfo, scenario: Scenario) -> SimRun:
    """The log of tb.v and drive.v as a :class:`SimRun`; raises :class:`CheckFailed`."""
    seen, verdict = _Seen(), ["hang", "0", "0"]
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "state":
            seen.results.append(_result_beat(*words))
        elif kind == "in":
            seen.first_in.append(int(words[0]))
        elif kind == "out":
            _output_beat(seen, info, scenario, *words)
        else:
            verdict = [kind, *words]
    want, got = len(scenario.frames), len(seen.last_out)
    if verdict[0] != "end":
        raise CheckFailed(
            f"{scenario.name}: the core hangs: {got} of {want} frames had come out when it was "
            f"stopped in cycle {verdict[1]} ({len(seen.first_in)} had begun to go in)")
    if got != want or seen.beats:
        raise CheckFailed(f"{scenario.name}: {got} frames and {len(seen.beats)} beats came out for "
                          f"{want} frames that went in")
    return SimRun(outputs=np.array(seen.outputs), first_in=np.array(seen.first_in),
                  last_out=np.array(seen.last_out),
                  trace=layer_values(seen.results, info, want, scenario.name),
                  cycles=int(verdict[1]), frame_error=verdict[2] != "0")


def _output_beat(seen: _Seen, info: CoreInfo, scenario: Scenario, cycle: str, last: str,
                 data: str) -> None:
    frame, beat = len(seen.last_out), len(seen.beats)
    where = f"{scenario.name}: frame {frame}, output beat {beat}"
    try:
        seen.beats.append(int(data, 16))
    except ValueError:
        raise CheckFailed(f"{where} has unknown bits: TDATA is {data}") from None
    if last != str(int(beat == info.beats_out - 1)):
        raise CheckFailed(f"{where} of {info.beats_out}: TLAST is {last}")
    if last == "1":
        try:
            seen.outputs.append(info.stream.unpack(seen.beats, info.n_out))
        except ValueError as error:
            raise CheckFailed(f"{where}: {error}") from None
        seen.last_out.append(int(cycle))
        seen.beats.clear()


def _result_beat(mask: str, *values: str) -> Beat:
    """The words of a line "state MASK h0 c0 h1 c1 ..."; unknown bits make a word no number."""
    def number(word: str, base: int) -> int | None:
        try:
            return int(word, base)
        except ValueError:
            return None

    return number(mask, 16), [number(value, 10) for value in values]
