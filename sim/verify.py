"""RTL against the golden model, bit for bit and cycle for cycle.

Every simulator plays the same scenarios (:mod:`.scenario`) and gives the same :class:`SimRun`; one
checker compares it with the expected integers and with core.json's cycle counts. The Verilog
simulators are driven by Verilog (:mod:`.verilog_run`), the Amaranth model by pysim.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.sim.core_info import CoreInfo, load_core_info
from gatefold.sim.expected import Expect, Other
from gatefold.sim.faults import chosen_faults
from gatefold.sim.results import CheckFailed, SimRun, Trace, first_mismatch
from gatefold.sim.scenario import (
    Counts,
    Scenario,
    blocked,
    coincidences,
    extreme,
    full_rate,
    hostile,
    many_frames,
    other_weights,
    random_flow,
    short_waits,
)
from gatefold.sim.simulators import VERILOG_SIMULATORS
from gatefold.sim.verilog_run import VerilogCore

__all__ = ["SIMULATORS", "CheckFailed", "VerifyResult", "check_run", "scenarios", "verify"]

SIMULATORS = (*VERILOG_SIMULATORS, "amaranth")

_FIRST = 2  # frames after an empty core, before intervals are those of the plan

# Cycles times multipliers that an interpreting simulator plays in some three minutes (Icarus 11).
_INTERPRETED = 20_000_000


@dataclass(frozen=True, kw_only=True)
class VerifyResult:
    """What was compared, all of it equal.

    Attributes: ``simulator``; ``samples`` played, each with its own inputs, those of the scenarios
    *extreme* and *many frames* not counted; ``scenarios``, names with the frames each played;
    ``latency`` and ``interval``, cycles seen (interval, the mean of those that come in turn);
    ``outputs`` and ``states`` (values of layers), integers compared; ``cycles`` simulated;
    ``seconds`` in all; ``faults`` that a core that watches itself was given.
    """

    simulator: str
    samples: int
    scenarios: dict[str, int]
    latency: int
    interval: int
    outputs: int
    states: int
    cycles: int
    seconds: float
    faults: int = 0

    def as_dict(self) -> dict:
        """For report.json: what was verified, without how long it took, which varies; ``faults``
        of a core that watches itself alone."""
        return {key: value for key, value in asdict(self).items()
                if key != "seconds" and (key != "faults" or value)}


def verify(directory: str | Path, *, x: np.ndarray, expect: Expect, sim: str = "verilator",
           other: Other | None = None, extremes: int = 0, many: int = 0, seed: int = 1,
           timeout: float = 900,
           progress: Callable[[str], None] | None = None) -> VerifyResult:
    """Simulate the core in ``directory`` and compare all it does with the golden model.

    Parameters: ``x``, integers (samples, n_in), a frame each; ``expect``, which tells outputs and
    the values of all layers of any of them in any order (:mod:`.expected`); ``sim``, one of
    :data:`SIMULATORS`; ``other``, weights that a loadable core is given in the scenario
    *other weights*; ``many``, how many of the last samples are for the scenario *many frames*
    alone; ``extremes``, how many of those before them are for *extreme* alone; ``seed`` of the
    gaps and stalls, and of the sequences that a stateful core plays; ``timeout``, seconds for each
    program run; ``progress``, told of each stage before it begins.

    Icarus and Amaranth play fewer of the samples, and fewer scenarios, where all of them would take
    long.

    Raises :class:`UserError` where the folder, the options or the machine are wrong, and
    :class:`CheckFailed` at the first difference.
    """
    started = time.monotonic()
    if sim not in SIMULATORS:
        raise UserError(f"sim must be one of {', '.join(SIMULATORS)}, not {sim!a}")
    directory = Path(directory)
    info = load_core_info(directory)
    x = np.asarray(x)
    if x.ndim != 2 or len(x) < 1 or x.shape[1] != info.n_in:
        raise UserError(f"x must have the shape (samples, {info.n_in}) with at least one sample, "
                        f"not {x.shape}")
    counts = Counts(len(x) - extremes - many, extremes, many)
    outputs = states = cycles = 0
    seen: list[tuple[Scenario, SimRun]] = []
    tell = progress or (lambda _stage: None)
    with ExitStack() as stack:
        simulate: Callable[[np.ndarray, Scenario], SimRun]
        verilog = None
        if sim == "amaranth":
            from gatefold.sim.amaranth_sim import AmaranthCore

            simulate = AmaranthCore.of(directory, info).simulate
        else:
            tell(f"{sim} compiles the core")
            verilog = stack.enter_context(
                VerilogCore(directory, info, sim, other=other, timeout=timeout))
            simulate = verilog.simulate
        for scenario in scenarios(info, counts, sim, seed, other=other is not None):
            tell(f"{sim} simulates {len(scenario.frames)} frames, {scenario.name}")
            run = simulate(x, scenario)
            check_run(run, info, scenario,
                      other.expect if other and scenario.other else expect)
            seen.append((scenario, run))
            outputs += run.outputs.size
            states += sum(array.size for layer in run.trace.values() for array in layer.values())
            cycles += run.cycles
        faults = chosen_faults(info, sim, seed) if verilog is not None else []
        if verilog is not None and faults:
            tell(f"{sim} plays {len(faults)} faults")
            cycles += verilog.play_faults(faults)
    scenario, run = seen[0]
    return VerifyResult(
        simulator=sim, samples=len({sample for played, _ in seen for sample in played.frames
                                    if sample < counts.samples}),
        scenarios={played.name: len(played.frames) for played, _ in seen},
        latency=int(run.latencies[0]),
        interval=_interval(run, info, scenario),
        outputs=outputs, states=states, faults=len(faults), cycles=cycles,
        seconds=time.monotonic() - started)


def check_run(run: SimRun, info: CoreInfo, scenario: Scenario, expect: Expect) -> None:
    """Compare one run with expected outputs and values, and with the cycle counts wherever neither
    source nor sink makes the core wait.

    The layers' values come first, in their order: the first difference is then nearest its cause.
    Raises :class:`CheckFailed` naming sample, layer, step, unit, expected and got.
    """
    short = (scenario.lengths < info.beats_in).any()
    y, trace = (expect(scenario.frames, scenario.begins, scenario.present(info)) if short
                else expect(scenario.frames, scenario.begins))
    _check_values(run, info, scenario, trace)
    y = y[run.played]
    at = first_mismatch(run.outputs, y)
    if at:
        frame, element = at
        raise CheckFailed(f"{_where(info, scenario, run.played[frame])}, output {element}: "
                          f"expected {y[at]}, got {run.outputs[at]}")
    _check_cycles(run, info, scenario)


def _check_cycles(run: SimRun, info: CoreInfo, scenario: Scenario) -> None:
    """Latencies and intervals of frames that neither source nor sink makes wait. The plan does not
    say when the second frame leaves after an empty core: always as long after the first."""
    paced = scenario.paced(info)[run.played]
    second = None
    for n in scenario.fills[1:]:
        held, first = (int((run.first_in < run.last_out[frame] - info.interval).sum()) - frame
                       for frame in (n, scenario.fills[0]))
        if held != first:
            raise CheckFailed(f"{scenario.name}: frame {n}: expected {first} frames in a core "
                              f"whose output is blocked, got {held}")
    for n in np.flatnonzero(paced >= 0).tolist():
        what, got = ("a latency", run.latencies[n]) if paced[n] == 0 else (
            "an interval", run.intervals[n - 1])
        if paced[n] == 1 and second is None:
            second = got
        expected = info.latency if paced[n] == 0 else second if paced[n] == 1 else info.intervals[
            (paced[n] - _FIRST) % len(info.intervals)]
        if got != expected:
            raise CheckFailed(f"{scenario.name}: frame {run.played[n]}: expected {what} of "
                              f"{expected} cycles, got {got}")


def _check_values(run: SimRun, info: CoreInfo, scenario: Scenario, want: Trace) -> None:
    """The first difference in the order of frames, layers, steps and units; what a
    result is made of, sums and state, before it."""
    first: tuple | None = None
    for order, layer in enumerate(info.layers):
        sums = [name for name in layer.sums if name in run.trace[layer.name]]
        for before, state in enumerate([*sums, *reversed(layer.states)]):
            actual, expected = run.trace[layer.name][state], want[layer.name][state][run.played]
            expected = expected + layer.sums.get(state, 0)
            at = first_mismatch(actual, expected)
            if at:
                frame, step, unit = at
                told = (f"{_where(info, scenario, run.played[frame])}, "
                        f"{layer.place(step * layer.units + unit)}: expected {state} = "
                        f"{expected[at]}, got {actual[at]}")
                first = min(first or (np.inf,), (frame, order, step, unit, before, told))
    if first:
        raise CheckFailed(first[-1])


def _where(info: CoreInfo, scenario: Scenario, frame: int) -> str:
    """A frame in a message; of a stateful core also its place, which the answer depends on."""
    place = f"frame {frame}, " if info.stateful else ""
    sent = scenario.lengths[frame]
    length = "" if sent == info.beats_in else f" ({sent} beats of {info.beats_in})"
    return f"{scenario.name}: {place}sample {scenario.frames[frame]}{length}"


def _interval(run: SimRun, info: CoreInfo, scenario: Scenario) -> int:
    """The mean of the distances that were seen of each that comes in turn, rounded up."""
    period = len(info.intervals)
    seen = run.intervals[np.flatnonzero(scenario.paced(info) >= _FIRST) - 1].tolist()
    whole = seen[len(seen) % period:]
    return -(-sum(whole) // len(whole))


def scenarios(info: CoreInfo, counts: Counts, sim: str, seed: int, *,
              other: bool = False) -> list[Scenario]:
    """What :func:`verify` plays; parameters as there, and whether there are ``other`` weights."""
    samples, extremes, many = counts
    flows = [full_rate(info, samples, seed=seed), random_flow(info, samples, seed=seed)]
    others = [blocked(info, samples, seed=seed), hostile(info, samples, seed=seed)]
    if extremes:
        others.append(extreme(info, range(samples, samples + extremes), seed=seed))
    if other and sim != "amaranth":
        others.append(other_weights(info, samples + extremes, seed=seed))
    if many:
        first = samples + extremes
        others.append(many_frames(info, range(first, first + many), seed=seed))
    others.append(short_waits(info, samples, seed=seed))
    others.append(coincidences(info, samples, seed=seed))
    if sim == "verilator":
        return flows + others
    budget = _INTERPRETED // info.multipliers  # cycles
    frames = max(2, budget // info.latency)
    if frames < sum(len(scenario.frames) for scenario in flows):
        random = min(samples, max(1, frames // 3))
        flows = [full_rate(info, min(samples, frames - random), alone=False, seed=seed),
                 random_flow(info, random, seed=seed)]
    budget -= sum(_cycles(info, scenario) for scenario in flows)
    for scenario in others:
        if _cycles(info, scenario) <= budget:
            flows.append(scenario)
            budget -= _cycles(info, scenario)
    return flows


def _cycles(info: CoreInfo, scenario: Scenario) -> int:
    """About how many a scenario takes."""
    return int(info.latency + len(scenario.frames) * info.interval + scenario.gaps.sum()
               + scenario.stalls.sum())
