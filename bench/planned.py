"""Our cores: the plan for each network and board, and the results of synthesis.

`gatefold verify` checks the plan's cycles exactly, so a planned figure becomes a simulated one, the
same number, once full_size.py has run that very core.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from math import ceil

from networks import ROOT, Workload, calibration

from gatefold.boards import Board
from gatefold.boards import get as get_board
from gatefold.gen.errors import UserError
from gatefold.gen.flow import Core, compile
from gatefold.gen.plan import Budget, Plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.sizing import fit
from gatefold.gen.synth import measure

__all__ = ["core_of", "plan_row", "synthesise"]

#: Share of the multipliers busy from which more contexts are not tried.
_BUSY = 0.9


def core_of(workload: Workload, board: str) -> Core:
    """The core of a row of the benchmark. A core that keeps its state loads its weights once, after
    power-up, into UltraRAM."""
    streamed = workload.network.stateful
    return compile(workload.network, board=board, calibrate=calibration(workload.name),
                   loadable=streamed, memory="uram" if streamed else "auto")


def plan_row(workload: Workload, board_name: str) -> dict:
    """The plan for a network on a board, ready for JSON."""
    board = get_board(board_name)
    try:
        core = core_of(workload, board_name)
    except UserError as error:
        sys.exit(f"bench: {workload.name} on {board_name}: {error}")
    return _describe(core.plan, board, core.clock_mhz)


def _describe(plan: Plan, board: Board, clock_mhz: float) -> dict:
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
        "contexts": _contexts(plan, board),
    }


def _contexts(plan: Plan, board: Board) -> list[dict]:
    """The same array with more and more sequences in a frame, until it is busy or full."""
    rows = []
    latest = plan
    for number in (2, 4, 8):
        busy = latest.bounds.multiplications / (
            latest.config.pe * latest.config.simd * latest.cycles.interval)
        if busy > _BUSY:
            break
        latest = make_plan(plan.qnet, replace(plan.array, contexts=number))
        if fit(latest, Budget.of(board, loadable=plan.config.loadable).on(plan.array.dies)) is None:
            break
        rows.append({"contexts": number, "latency": latest.cycles.latency,
                     "interval": latest.cycles.interval})
    return rows


def synthesise(workload: Workload, board_name: str) -> dict:
    """The resources of the core from open synthesis, component by component."""
    plan = core_of(workload, board_name).plan
    found = measure(plan, cache=ROOT / "build/synth").total
    config = plan.config
    return {"pe": config.pe, "simd": config.simd, "dies": config.dies, "reach": config.reach,
            "gather": config.gather} | asdict(found)
