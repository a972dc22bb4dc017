"""Playing scenarios into the exported Verilog with Icarus or Verilator.

The driver is Verilog (bench/drive.v), not cocotb: it reads beats, gaps and stalls from text files
and writes what happens to a text file, so no Python runs per cycle. For lstm-dense on 1,024
multipliers in Verilator that was 140,000 cycles a second, trace included, against 40,000 of the
cocotb bench, which traces nothing; the build took 22 s. Icarus plays 80 cycles a second of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gatefold.sim.compiled import Compiled
from gatefold.sim.core_info import CoreInfo
from gatefold.sim.expected import Other
from gatefold.sim.faults import Fault, check_judged, fault_cycles
from gatefold.sim.observed import Observed
from gatefold.sim.results import CheckFailed, SimRun
from gatefold.sim.scenario import DRAIN_CYCLES, Scenario
from gatefold.sim.testbench import write_driver

__all__ = ["VerilogCore", "read_log"]

_OTHER = "other.hex"  #: the load of other weights
_STUCK = 32  #: cycles beside an interval after which nothing moves behind a blocked output


class VerilogCore(Compiled):
    """A core folder's Verilog, compiled once, run for any number of scenarios.

    Parameters as of :class:`Compiled`, and ``info``, the folder's core.json; ``other``, also an
    attribute, the weights of scenarios with other weights.
    """

    def __init__(self, directory: Path, info: CoreInfo, simulator: str, *,
                 other: Other | None = None, timeout: float = 900, flags: Sequence[str] = ()):
        self.info, self.other = info, other
        super().__init__(directory, simulator, timeout, flags)

    def _bench(self, folder: Path) -> list[Path]:
        write_driver(folder, self.info)
        return [folder / "tb.v", folder / "drive.v"]

    def simulate(self, x: np.ndarray, scenario: Scenario, *plusargs: str) -> SimRun:
        """Play integer inputs ``x`` (samples, n_in) in the order and at the pace of ``scenario``;
        ``plusargs`` go to the simulator.

        Raises :class:`CheckFailed` where the core hangs, a frame has the wrong number of beats, a
        beat is not held until it is taken, or an output or a traced state is unknown (X).
        """
        digits = self.info.stream.beat_bits // 4
        # A core that is slower than this hangs.
        longest = int(scenario.gaps.max() + scenario.stalls.max())
        quiet = (4 * (self.info.latency + self.info.interval) + longest + 1000
                 + 4 * self.info.load_beats)
        label = f"{self.simulator} simulates {len(scenario.frames)} frames, {scenario.name}"
        asked = [f"+{name}" for name in ("loads", "sums") if getattr(scenario, name)]
        asked += [f"+weights={_OTHER}"] if scenario.other else []
        if scenario.late_loads:
            asked.append(f"+late_loads={self.info.interval + _STUCK}")
        with self._run_folder() as folder:
            if scenario.other and self.other:
                (folder / _OTHER).write_text("".join(f"{beat:x}\n" for beat in self.other.load))
            with (folder / "stimulus.txt").open("w") as file:
                for beat in scenario.beats(self.info, x):
                    drain = DRAIN_CYCLES if beat.isolated else 0
                    file.write(f"{drain} {beat.gap} {beat.reset} {beat.user:d} {beat.last:d} "
                               f"{beat.data:0{digits}x}\n")
            np.savetxt(folder / "stalls.txt", scenario.stalls.reshape(-1), fmt="%d")
            self._play(folder, ["+trace=trace.txt", f"+quiet={quiet}",
                                f"+cycles={quiet * (len(scenario.frames) + 1)}", *asked,
                                *plusargs], label)
            log = (folder / "trace.txt").read_text()
        return read_log(log, self.info, scenario)


    def play_faults(self, faults: Sequence[Fault], *plusargs: str) -> int:
        """Play ``faults`` (:mod:`.faults`); the cycles that they took. Raises
        :class:`CheckFailed` at the first that the core does not tell of as it must."""
        with self._run_folder() as folder:
            (folder / "faults.txt").write_text("".join(fault.line for fault in faults))
            self._play(folder, ["+trace=trace.txt", "+faults=faults.txt",
                                f"+cycles={fault_cycles(self.info, faults)}", *plusargs],
                       f"{self.simulator} plays {len(faults)} faults")
            return check_judged((folder / "trace.txt").read_text(), self.info, faults)


def read_log(text: str, info: CoreInfo, scenario: Scenario) -> SimRun:
    """The log of tb.v and drive.v as a :class:`SimRun`; raises :class:`CheckFailed`."""
    seen, cycle = Observed(info, scenario), 0
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "state":
            mask, _, values = rest.partition(" ")
            seen.result(_number(mask, 16), values)
            continue
        if kind == "sums":
            seen.sums(rest)
            continue
        words = rest.split()
        cycle = int(words[0])
        if kind == "in":
            seen.first_in.append(cycle)
        elif kind == "out":
            seen.output(cycle, _number(words[1], 2), _number(words[2], 16), words[2])
        elif kind == "unstable":
            seen.unstable(cycle, words[1])
        elif kind == "start":
            seen.start(cycle, words[1])
        elif kind == "starved":
            seen.starved(cycle)
        elif kind == "unloaded":
            seen.unloaded(cycle)
        elif kind == "load":
            seen.load_error(words[1] != "0")
        elif kind == "frame":
            seen.frame_error(words[1] != "0")
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
