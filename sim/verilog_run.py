"""Playing scenarios into the exported Verilog with Icarus or Verilator.

The driver is Verilog (bench/drive.v), not cocotb: it reads beats, gaps and stalls from text files
and writes what happens to a text file, so no Python runs per cycle. For lstm-dense on 1,024
multipliers in Verilator that was 140,000 cycles a second, trace included, against 40,000 of the
cocotb bench, which traces nothing; the build took 22 s. Icarus plays 80 cycles a second of it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.expected import Other
from gatefold.sim.observed import Observed
from gatefold.sim.results import CheckFailed, SimRun
from gatefold.sim.scenario import DRAIN_CYCLES, Scenario
from gatefold.sim.simulators import build, command
from gatefold.sim.testbench import write_driver

__all__ = ["VerilogCore", "read_log"]

_OTHER = "other.hex"  #: the load of other weights


class VerilogCore:
    """A core folder's Verilog, compiled once, run for any number of scenarios.

    A context manager: the compiled simulation is in a temporary folder. The files are copied there,
    so that no character of the folder's own path reaches a tool's command line, and the weights are
    where the Verilog looks for them.

    Parameters: ``directory``, made by ``gatefold build``; ``info``, its core.json; ``simulator``,
    one of :data:`~gatefold.sim.simulators.VERILOG_SIMULATORS`; ``other``, the weights of scenarios
    with other weights; ``timeout``, seconds for the build and for each run.
    """

    def __init__(self, directory: Path, info: CoreInfo, simulator: str, *,
                 other: Other | None = None, timeout: float = 900):
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
            if other:
                (self._root / _OTHER).write_text("".join(f"{beat:x}\n" for beat in other.load))
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

    def simulate(self, x: np.ndarray, scenario: Scenario, *plusargs: str) -> SimRun:
        """Play integer inputs ``x`` (samples, n_in) in the order and at the pace of ``scenario``;
        ``plusargs`` go to the simulator.

        Raises :class:`CheckFailed` where the core hangs, a frame has the wrong number of beats, a
        beat is not held until it is taken, or an output or a traced state is unknown (X).
        """
        folder = Path(tempfile.mkdtemp(dir=self._root))  # the Verilog reads ../weights
        digits = self.info.stream.beat_bits // 4
        with (folder / "stimulus.txt").open("w") as file:
            for beat in scenario.beats(self.info, x):
                drain = DRAIN_CYCLES if beat.isolated else 0
                file.write(f"{drain} {beat.gap} {beat.reset:d} {beat.user:d} {beat.last:d} "
                           f"{beat.data:0{digits}x}\n")
        np.savetxt(folder / "stalls.txt", scenario.stalls.reshape(-1), fmt="%d")
        # A core that is slower than this hangs.
        longest = int(scenario.gaps.max() + scenario.stalls.max())
        quiet = (4 * (self.info.latency + self.info.interval) + longest + 1000
                 + 4 * self.info.load_beats)
        label = f"{self.simulator} simulates {len(scenario.frames)} frames, {scenario.name}"
        asked = [f"+{name}" for name in ("loads", "sums") if getattr(scenario, name)]
        asked += [f"+weights=../{_OTHER}"] if scenario.other else []
        command([*self._command, "+trace=trace.txt", f"+quiet={quiet}",
                 f"+cycles={quiet * (len(scenario.frames) + 1)}", *asked, *plusargs],
                cwd=folder, timeout=self.timeout, label=label)
        log = (folder / "trace.txt").read_text()
        shutil.rmtree(folder)
        return read_log(log, self.info, scenario)


def read_log(text: str, info: CoreInfo, scenario: Scenario) -> SimRun:
    """The log of tb.v and drive.v as a :class:`SimRun`; raises :class:`CheckFailed`."""
    seen, cycle = Observed(info, scenario), 0
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "state":
            mask, *values = words
            seen.result(_number(mask, 16), [_number(value, 10) for value in values])
            continue
        if kind == "sums":
            seen.sums([_number(value, 10) for value in words])
            continue
        cycle = int(words[0])
        if kind == "in":
            seen.first_in.append(cycle)
        elif kind == "out":
            seen.output(cycle, _number(words[1], 2), _number(words[2], 16), words[2])
        elif kind == "unstable":
            seen.unstable(cycle, words[1])
        elif kind == "fault":
            seen.fault(cycle, words[1])
        elif kind == "hang":
            seen.hang(cycle)
        else:
            seen.reset(words[1] != "0", words[2] != "0", words[3] != "0")
            if kind == "end":
                return seen.run(cycle)
    raise CheckFailed(f"{scenario.name}: the simulation ends without a verdict, cycle {cycle}")


def _number(word: str, base: int) -> int | None:
    """A number; None of a word with unknown bits."""
    try:
        return int(word, base)
    except ValueError:
        return None
