"""Which array for which device: the fastest that fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, floor

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantized import QuantizedNetwork, Table
from gatefold.gen.plan.array import BLOCK_WORDS, CROSS, Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.demand import Demand, demands
from gatefold.gen.plan.distance import ACCURACY, Site, Stages
from gatefold.gen.plan.latency import latencies, lstm_tail
from gatefold.gen.plan.memories import bram18s, rom_luts, urams
from gatefold.gen.plan.plan import Plan, draft_plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.waves import AHEAD
from gatefold.hdl.config import SHALLOW, EngineConfig

__all__ = ["candidates", "choose_array", "fit",
           "lut_rows", "made_to_fit", "might_fit", "place", "quick_cycles", "rough_tiles",
           "widths_might_fit"]

#: Shares of a device that a core may take by our estimate: routing needs air.
_LUT_SHARE = 0.8
_BLOCK_SHARE = 0.95
#: Among arrays whose latency is within 3 % of the best, logic counts too: all LUTs of the device
#: weigh as much as 18 % of latency, so a core that is 1 % faster may take 5.5 % more of them.
_NEAR = 1.03
_PRICE = 0.18
#: So many shapes, best first by a quick count, are drafted; the best of these are planned in full,
#: until so many tiles have been scheduled.
_DRAFTS = 250
_FEW = 12  # where there are convolutions, which take longer
_TILES = 40_000
#: Weight words that blocks of convolutions may take, tried in turn.
_BLOCK_WORDS = (BLOCK_WORDS, 1536, 1280, 1152, 1024, 960, 896, 832, 768, 704, 640, 512, 384, 256)
_PROGRAM = 128  # instructions, where there is no program yet
_SIMDS = (*range(1, 33), *range(34, 65, 2))


def quick_cycles(network: QuantizedNetwork | Network, pe: int, simd: int) -> float:
    """A rough cycle count, to rank shapes before planning them: the tiles to issue or the tails to
    wait for, whichever is more, and a little of the other."""
    return _quick_cycles(demands(network), pe, simd)


def rough_tiles(qnet: QuantizedNetwork, pe: int, simd: int) -> int:
    """About how many tiles a schedule for one sequence has."""
    return sum(demand.tiles(pe, simd) for demand in demands(qnet))


def _quick_cycles(asked: list[Demand], pe: int, simd: int) -> float:
    return _estimate(sum(demand.tiles(pe, simd) for demand in asked),
                     _waits(asked, lstm_tail(simd)))


def _waits(asked: list[Demand], tail: int) -> int:
    return sum(tail * (demand.steps if demand.own else 1) for demand in asked)


def _estimate(tiles: int, waits: int) -> float:
    return max(tiles, waits) + 0.1 * min(tiles, waits)


def candidates(network: QuantizedNetwork | Network, multipliers: int) -> list[tuple[int, int]]:
    """Shapes (pe, simd) worth a draft, best first by a quick count: for each simd the tallest
    array, and shorter ones that waste few rows."""
    asked = demands(network)
    rows = max(demand.rows * (min(32, demand.steps) if demand.windows else 1) for demand in asked)
    shapes = set()
    for simd in _SIMDS:
        tallest = min(multipliers // simd // 4 * 4, ceil(rows / 4) * 4, 1024)
        if tallest < 4:
            continue
        folds = ceil(rows / tallest)
        for fold in range(folds, folds + 3):
            shapes.add((min(tallest, ceil(rows / fold / 4) * 4), simd))
        shapes.add((tallest, simd))
    return sorted(shapes, key=lambda shape: (_quick_cycles(asked, *shape), shape[0] * shape[1]))


def might_fit(qnet: QuantizedNetwork, pe: int, simd: int, budget: Budget) -> bool:
    """A quick look at what cannot be avoided: multipliers, weights, tables."""
    return widths_might_fit(demands(qnet), pe, simd, budget, weight_width=qnet.weight_width,
                            act_width=qnet.act_width, acc_width=qnet.acc_width, table=qnet.table)


def widths_might_fit(asked: list[Demand], pe: int, simd: int, budget: Budget, *, weight_width: int,
                     act_width: int, acc_width: int, table: Table) -> bool:
    """The same from the widths alone, where there is no quantised network yet."""
    depth = sum(demand.words(pe, simd) for demand in asked)
    word = simd * weight_width
    tables = simd * 3 * (bram18s(table.out_frac, len(table.t0))
                         + (bram18s(8, len(table.t1)) if table.n2 else 0)) / 2
    adders = pe * (simd * (weight_width + act_width) + acc_width)
    luts_left = budget.lut * _LUT_SHARE - adders
    if depth <= SHALLOW or budget.memory == "lut":
        in_blocks = 0
    else:
        in_blocks = min(pe, int((budget.bram36 - tables) // (bram18s(word, depth) / 2))
                        + budget.uram // urams(word, depth))
    return (pe * simd <= budget.dsp and tables <= budget.bram36
            and (pe - max(0, in_blocks)) * rom_luts(word, depth) <= luts_left)


def lut_rows(config: EngineConfig, *, bram36: float) -> int | None:
    """Rows whose weights must be in LUTs so that the rest fits block RAM; None where nothing
    helps."""
    taken = estimate(config).bram36
    if taken <= bram36:
        return 0
    if config.weight_depth <= SHALLOW:
        return None
    a_row = bram18s(config.simd * config.weight_width, config.weight_depth) / 2
    rows = ceil((taken - bram36) / a_row)
    return rows if rows <= config.pe - config.uram_rows else None


def place(config: EngineConfig, budget: Budget) -> EngineConfig | None:
    """``config`` with its weights placed in the memories of a device, or None where it does not
    fit.

    By the ``memory`` of ``budget``. "auto": in block RAM, and the rows
    that it cannot hold in LUTs; in UltraRAM only where both are not enough, for it cannot be
    initialised and makes the core ``loadable``. "bram", "lut": in that memory alone (weights of so
    few words that a block RAM would be nearly empty are in LUTs all the same). "uram": in UltraRAM,
    and the rows that it cannot hold as by "auto".
    """
    memory = budget.memory
    attempts = [] if memory == "uram" else [replace(config, loadable=budget.loadable)]
    if budget.uram and memory in ("auto", "uram"):
        rows = min(config.pe, budget.uram // urams(config.simd * config.weight_width,
                                                   config.weight_depth))
        attempts.append(replace(config, loadable=True, uram_rows=rows))
    for attempt in attempts:
        rows = lut_rows(attempt, bram36=budget.bram36 * _BLOCK_SHARE)
        if memory == "lut" and config.weight_depth > SHALLOW:
            rows = config.pe
        if rows is None or (rows and memory == "bram"):
            continue
        placed = replace(attempt, lut_rows=rows)
        needs = estimate(placed)
        if needs.dsp <= budget.dsp and needs.lut <= budget.lut * _LUT_SHARE:
            return placed
    return None


def fit(plan: Plan, budget: Budget) -> Plan | None:
    """``plan`` with its weights placed for a device (:func:`place`), or None. Where it does not fit
    for want of logic, it is planned again with cascades that may cost a cycle."""
    placed = place(plan.config, budget)
    if placed is None and place(replace(plan.config, cascade=True), budget):
        plan = make_plan(plan.qnet, replace(plan.array, cascade=True))
        placed = place(plan.config, budget)
    return None if placed is None else replace(plan, config=placed)


@dataclass(frozen=True)
class _Draft:
    """An array that fits, about how many cycles a frame takes on it, and the shortest period in
    nanoseconds that its wires allow with all levels that the hardware can have; it has too few
    where the clock of the budget is ``too_fast``."""

    array: Array
    tiles: int
    cycles: float
    shortest: float = 0.0
    too_fast: bool = False


def _draft(qnet: QuantizedNetwork, array: Array, budget: Budget) -> _Draft | None:
    """``array`` with the most weight words for convolutions with which it fits and the levels of
    registers that its wires need, or None; with cascades that cost a cycle only where it does not
    fit without them."""
    asked = demands(qnet)
    windows = any(demand.windows for demand in asked)
    depth = BLOCK_WORDS + 1
    for words in _BLOCK_WORDS if windows else (BLOCK_WORDS,):
        if words >= depth:
            continue  # the blocks took no more than that already
        attempt = replace(array, block_words=words)
        work, draft = draft_plan(qnet, attempt)
        # What the schedule will add, as far as can be told.
        parked = sum(AHEAD * len(fold.groups) for fold in work.folds)
        draft = replace(draft, park_depth=parked, program_depth=_PROGRAM)
        depth = draft.weight_depth
        for cascade in (False, True):
            placed = place(replace(draft, cascade=cascade), budget)
            if placed is not None:
                levels, shortest, too_fast = _levels(placed, budget)
                tail = latencies(replace(placed, **levels)).tail
                return _Draft(replace(attempt, cascade=cascade, **levels), work.tiles,
                              _estimate(work.tiles, _waits(asked, tail)), shortest, too_fast)
    return None


def _levels(config: EngineConfig, budget: Budget) -> tuple[dict[str, int], float, bool]:
    """The levels of registers of a core on the budget's board; the shortest period that levels
    make possible, and whether the clock is faster."""
    fixed = {"reach": budget.reach, "gather": budget.gather}
    found, shortest, too_fast = {"dies": budget.dies,
                                 "cross": CROSS if budget.dies > 1 else 0}, 0.0, False
    if budget.board is not None:
        site = Site.of(estimate(config), config.simd, budget.board, budget.dies)
        stages = site.stages(budget.clock_mhz)
        shortest, too_fast = site.shortest, stages is None
        found |= asdict(stages or Stages())
    return found | {name: levels for name, levels in fixed.items() if levels is not None}, \
        shortest, too_fast


def made_to_fit(qnet: QuantizedNetwork, array: Array, budget: Budget) -> Array:
    """``array`` with what its size decides: the most weight words for blocks of convolutions with
    which it fits a device, cascades that cost a cycle if it does not fit without them, and the
    levels of registers that its wires need. As it is where it does not fit.

    Raises :class:`UserError` where no levels keep the clock, and as
    :func:`gatefold.gen.plan.make_plan`.
    """
    found = _draft(qnet, array, budget)
    if found is None:
        return array
    if found.too_fast:
        raise _too_fast(found, budget)
    return found.array


def _too_fast(draft: _Draft, budget: Budget) -> UserError:
    return UserError(
        f"--clock {budget.clock_mhz:g} leaves the wires of {budget.name} too little time for an "
        f"array of {draft.array.pe} x {draft.array.simd}, whatever registers it has: by the model "
        f"of docs/boards.md ({ACCURACY}) take --clock {floor(1000 / draft.shortest)} or less")


def choose_array(qnet: QuantizedNetwork, budget: Budget, *, contexts: int = 1,
                 pipeline: str = "full") -> Plan:
    """The plan of the fastest array that fits the budget, on as many of its dies as make it so; of
    those within 3 % of it, the one that is best when its logic is weighed.

    Shapes are ranked by a quick count; the best that fit are planned in full. ``contexts`` and
    ``pipeline``, as of :class:`Array`.
    Raises :class:`UserError` where nothing fits, and where no levels of registers keep the clock.
    """
    wanted = Array(pe=4, simd=1, stream_bits=budget.stream_bits, contexts=contexts,
                   pipeline=pipeline)
    finalists: list[Plan] = []
    fast: list[_Draft] = []
    for share in budget.shares():
        found, slow = _finalists(qnet, wanted, share)
        finalists += found
        fast += slow
    if not finalists and fast:
        raise _too_fast(min(fast, key=lambda draft: draft.cycles), budget)
    if not finalists:
        bits = sum(demand.rows * (demand.columns + demand.own)
                   for demand in demands(qnet)) * qnet.weight_width
        raise UserError(
            f"the network does not fit: its weights take {bits / 1024:.0f} Kbit, the device has "
            f"{budget.bram36:g} block RAMs of 36 Kbit, {budget.uram} UltraRAMs and {budget.lut} "
            "LUTs: take fewer bits (--width) or a larger board"
            + ("" if budget.memory == "auto" else
               f", or more memories than --memory {budget.memory}"))
    near = _NEAR * min(plan.cycles.latency for plan in finalists)
    return min((plan for plan in finalists if plan.cycles.latency <= near),
               key=lambda plan: (plan.config.loadable and not budget.loadable,
                                 _weighed(plan, budget.lut), plan.cycles.latency))


def _finalists(qnet: QuantizedNetwork, wanted: Array, budget: Budget
               ) -> tuple[list[Plan], list[_Draft]]:
    """The plans of the best shapes that fit on all dies of the budget, as ``wanted`` otherwise; and
    the drafts of those that would, at a slower clock."""
    windows = any(demand.windows for demand in demands(qnet))
    finalists: list[Plan] = []
    slow: list[_Draft] = []
    multipliers = budget.multipliers
    while multipliers >= 4 * budget.dies and not finalists:
        tiles = 0
        drafts = []
        for pe, simd in candidates(qnet, multipliers):
            if pe % (4 * budget.dies):
                continue
            if len(drafts) < (_FEW if windows else _DRAFTS) and might_fit(qnet, pe, simd, budget):
                found = _draft(qnet, replace(wanted, pe=pe, simd=simd), budget)
                if found:
                    (slow if found.too_fast else drafts).append(found)
        for draft in sorted(drafts, key=lambda draft: draft.cycles):
            if finalists:
                best = min(plan.cycles.latency for plan in finalists)
                if draft.tiles > _NEAR * best or tiles > _TILES:
                    continue
            plan = make_plan(qnet, draft.array)
            tiles += plan.cycles.tiles
            placed = fit(plan, budget)
            if placed:
                finalists.append(placed)
        multipliers //= 2
    return finalists, slow


def _weighed(plan: Plan, lut: int) -> float:
    return plan.cycles.latency * (1 + _PRICE * estimate(plan.config).lut / lut)
