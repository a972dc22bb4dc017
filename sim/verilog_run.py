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

from .core_info import CoreInfo
from .results import CheckFailed, SimRun, Trace
from .scenario import Scenario
from .simulators import build, command
from .testbench import write_driver

__all__ = ["VerilogCore", "read_log"]

_DRAIN_CYCLES = 32  # a core counts as idle that long after its last output beat


class VerilogCore:
    """A core folder's Verilog, compiled once, run for any number of scenarios.

    A context manager: the compiled simulation lives in a temporary folder. The files are copied
    there, so that no character of the folder's own path reaches a tool's command line, and the
    weights lie where the Verilog looks for them.

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
        """Play integer inputs ``x`` (samples, n_in) as ``scenario`` says.

        Raises :class:`CheckFailed` where the core hangs, a frame has the wrong number of beats, or
        an output or a traced state is unknown (X).
        """
        folder = Path(tempfile.mkdtemp(dir=self._root))  # ../weights is what the Verilog reads
        beats = self.info.stream.pack(x)
        digits = self.info.stream.beat_bits // 4
        with (folder / "stimulus.txt").open("w") as file:
            for n, sample in enumerate(scenario.frames):
                for b, (gap, beat) in enumerate(zip(scenario.gaps[n], beats[sample], strict=True)):
                    if b == 0 and n and scenario.isolated[n]:
                        gap = -_DRAIN_CYCLES
                    last = int(b == self.info.beats_in - 1)
                    file.write(f"{gap} {last} {beat:0{digits}x}\n")
        np.savetxt(folder / "stalls.txt", scenario.stalls.reshape(-1), fmt="%d")
        # Nothing but a hang makes the core as slow as this.
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
    """Frames as they come out of the log."""

    first_in: list[int] = field(default_factory=list)
    last_out: list[int] = field(default_factory=list)
    outputs: list[np.ndarray] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)
    states: list[list[str]] = field(default_factory=list)


def read_log(text: str, info: CoreInfo, scenario: Scenario) -> SimRun:
    """What tb.v and drive.v wrote, as a :class:`SimRun`; raises :class:`CheckFailed`."""
    seen, verdict = _Seen(), ["hang", "0", "0"]
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "state":
            seen.states.append(words)
        elif kind == "in":
            seen.first_in.append(int(words[0]))
        elif kind == "out":
            _output_beat(seen, info, scenario, *words)
        else:
            verdict = [kind, *words]
    want, got = len(scenario.frames), len(seen.last_out)
    if verdict[0] != "end":
        raise CheckFailed(
            f"{scenario.name}: the core hangs: {got} of {want} frames had come out when nothing "
            f"moved any more, cycle {verdict[1]} ({len(seen.first_in)} had begun to go in)")
    if got != want or seen.beats:
        raise CheckFailed(f"{scenario.name}: {got} frames and {len(seen.beats)} beats came out for "
                          f"{want} frames that went in")
    return SimRun(outputs=np.array(seen.outputs), first_in=np.array(seen.first_in),
                  last_out=np.array(seen.last_out), trace=_states(seen.states, info, scenario),
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


def _states(lines: list[list[str]], info: CoreInfo, scenario: Scenario) -> Trace:
    """Trace lines "MASK h0 c0 h1 c1 ..." as h and c of every frame, layer, step and unit."""
    frames = len(scenario.frames)
    if len(lines) != frames * len(info.events):
        raise CheckFailed(f"{scenario.name}: the cells finished {len(lines)} times in {frames} "
                          f"frames, not {len(info.events)} times a frame")
    shapes = {layer.name: (frames, layer.steps, layer.units) for layer in info.layers}
    trace = {name: {state: np.zeros(shape, np.int64) for state in "hc"}
             for name, shape in shapes.items()}
    writes = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
    for number, (mask, *values) in enumerate(lines):
        frame, event = divmod(number, len(info.events))
        index, step, chunk = info.events[event]
        layer = info.layers[index]
        where = f"{scenario.name}: frame {frame}, layer {layer.name}, step {step}"
        try:
            lanes = int(mask, 16)
        except ValueError:
            raise CheckFailed(f"{where}: trace_lanes has unknown bits: {mask}") from None
        for lane in range(info.lanes):
            if not lanes >> lane & 1:
                continue
            unit = chunk * info.lanes + lane
            if unit >= layer.units:  # a row without weights: the padding of the last chunk
                if set(values[2 * lane:2 * lane + 2]) != {"0"}:
                    raise CheckFailed(f"{where}: lane {lane} is padding (the layer has "
                                      f"{layer.units} units), but its h or c is not zero")
                continue
            for state, value in zip("hc", values[2 * lane:2 * lane + 2], strict=True):
                try:
                    trace[layer.name][state][frame, step, unit] = int(value)
                except ValueError:
                    raise CheckFailed(f"{where}, unit {unit}: {state} has unknown bits") from None
            writes[layer.name][frame, step, unit] += 1
    for name, count in writes.items():
        if (count != 1).any():
            frame, step, unit = (int(i) for i in np.argwhere(count != 1)[0])
            raise CheckFailed(f"{scenario.name}: frame {frame}, layer {name}, step {step}, unit "
                              f"{unit} finished {count[frame, step, unit]} times, not once")
    return trace
