"""Our cores: the plan for each network and board, and the results of synthesis.

`gatefold verify` checks the plan's cycles exactly, so a planned figure becomes a simulated one, the
same number, once full_size.py has run that very core.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from math import ceil

from networks import ROOT, Workload, calibration

from gatefold.gen.errors import UserError
from gatefold.gen.flow import Core, compile
from gatefold.gen.plan import Plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.synth import measure

__all__ = ["core_of", "plan_row", "synthesise"]

#: Share of the multipliers busy from which more contexts are not tried.
_BUSY = 0.9


def core_of(workload: Workload, board: str, contexts: int = 1) -> Core:
    """The core of a row of the benchmark. A core that keeps its state loads its weights once, after
    power-up, into UltraRAM."""
    streamed = workload.network.stateful
    return compile(workload.network, board=board, calibrate=calibration(workload.name),
                   loadable=streamed, memory="uram" if streamed else "auto", contexts=contexts)


def plan_row(workload: Workload, board_name: str) -> dict:
    """The plan for a network on a board, ready for JSON."""
    try:
        core = core_of(workload, board_name)
    except UserError as error:
        sys.exit(f"bench: {workload.name} on {board_name}: {error}")
    return _describe(core.plan, core.clock_mhz) | {
        "contexts": _contexts(workload, board_name, core.plan)}


def _describe(plan: Plan, clock_mhz: float) -> dict:
    config, cycles = plan.config, plan.cycles
    return {
        "pe": config.pe, "simd": config.simd, "multipliers": config.pe * config.simd,
        "reach": config.reach, "gather": config.gather, "dies": config.dies, "cross": config.cross,
        "latency": cycles.latency, "interval": cycles.interval, "bound": cycles.bound,
        "no_overlap": cycles.no_overlap, "A": plan.bounds.work, "B": plan.bounds.chain,
        "loadable": config.loadable,
        "bytes": [config.x_row * config.x_rows * config.container // 8,
                  config.out_row * config.out_rows * config.container // 8],
        "beats": ceil(config.x_row * config.x_rows / config.beat)
                 + ceil(config.out_row * config.out_rows / config.beat),
        "multiplications": plan.bounds.multiplications, "clock_mhz": clock_mhz,
        "estimated": asdict(estimate(config)),
    }


def _contexts(workload: Workload, board: str, one: Plan) -> list[dict]:
    """More and more sequences in a frame, each number on the array that is chosen for it, until
    that is busy. ``one``: the plan of a single sequence."""
    rows: list[dict] = []
    latest = one
    for number in (2, 4, 8):
        if (latest.bounds.multiplications
                > _BUSY * latest.array.multipliers * latest.cycles.interval):
            break
        try:
            latest = core_of(workload, board, contexts=number).plan
        except UserError:  # it does not fit
            break
        rows.append({"contexts": number, "pe": latest.config.pe, "simd": latest.config.simd,
                     "latency": latest.cycles.latency, "interval": latest.cycles.interval})
    return rows


def synthesise(workload: Workload, board_name: str) -> dict:
    """The resources of the core from open synthesis, component by component."""
    plan = core_of(workload, board_name).plan
    found = measure(plan, cache=ROOT / "build/synth").total
    config = plan.config
    return {"pe": config.pe, "simd": config.simd, "dies": config.dies, "reach": config.reach,
            "gather": config.gather} | asdict(found)
