"""Which array for which device: the fastest that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import ceil, floor, inf

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork, Table
from gatefold.gen.plan.array import BLOCK_WORDS, CROSS, Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.demand import Demand, demands
from gatefold.gen.plan.distance import ACCURACY, Site
from gatefold.gen.plan.memories import bram18s, rom_luts, urams
from gatefold.gen.plan.plan import Plan, draft_plan, frame_cycles, make_plan
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.waves import AHEAD
from gatefold.gen.plan.work import Work
from gatefold.hdl.config import SHALLOW, EngineConfig

__all__ = ["MAX_TILES", "Progress", "choose_array", "fit", "lut_rows", "made_to_fit",
           "meet_deadline", "might_fit", "place", "widths_might_fit"]

#: Shares of a device that a core may take by our estimate: routing needs air.
_LUT_SHARE = 0.8
_BLOCK_SHARE = 0.95
#: Weight words that blocks of convolutions may take, tried in turn.
_BLOCK_WORDS = (BLOCK_WORDS, 1536, 1280, 1152, 1024, 960, 896, 832, 768, 704, 640, 512, 384, 256)
#: Beats that a chunk of results may take.
_PARTS = (1, 2, 4, 8)
_PROGRAM = 128  # instructions, where there is no program yet

#: Tiles of a frame that a plan is made for: a schedule is computed tile by tile.
MAX_TILES = 1_000_000

#: Called with the number of arrays that were looked at, and of those there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Effort:
    """What a search may do: ``work``, about in tiles that are scheduled and chunks that are laid
    out; the best ``plans`` of the arrays are planned in full."""

    work: int
    plans: int

    def part(self, number: int) -> _Effort:
        """The effort for each of a ``number`` of searches."""
        return _Effort(self.work // number, ceil(self.plans / number))


_THOROUGH, _QUICK = _Effort(1_200_000, 6), _Effort(100_000, 1)
_UNSURE = 0.05  # part of a count by which riders may take fewer tiles
_EACH = 5_000  # the work of any array, however few tiles it takes


@dataclass(frozen=True)
class _Rule:
    """What makes an array the best: of those that take at most ``near`` times the fewest cycles,
    the one with the least latency x (1 + ``price`` x the share of the device's LUTs)."""

    near: float
    price: float

    def weighed(self, cycles: float, lut: int, of: int) -> float:
        """What is to be least; ``lut`` of the device's LUTs ``of``."""
        return cycles * (1 + self.price * lut / of)


#: By goal. Balanced: all LUTs of the device weigh as much as 18 % of latency, so a core that is 1 %
#: faster may take 5.5 % more of them. Area: only they count.
_RULES = {"latency": _Rule(1.0, 0.0), "balanced": _Rule(1.03, 0.18), "area": _Rule(1.25, 1e6)}


def might_fit(qnet: QuantizedNetwork, pe: int, simd: int, budget: Budget,
              asked: list[Demand]) -> bool:
    """A quick look at what cannot be avoided: multipliers, weights, tables. ``asked``: what the
    layers ask."""
    return widths_might_fit(asked, pe, simd, budget, weight_width=qnet.weight_width,
                            act_width=qnet.act_width, acc_width=qnet.acc_width, table=qnet.table)


def widths_might_fit(asked: list[Demand], pe: int, simd: int, budget: Budget, *, weight_width: int,
                     act_width: int, acc_width: int, table: Table) -> bool:
    """The same from the widths alone, where there is no quantised network yet."""
    depth = sum(demand.words(pe, simd) for demand in asked)
    word = simd * weight_width
    lanes = simd if budget.lanes is None else simd // max(_parts(simd, budget), default=1)
    tables = lanes * 3 * (bram18s(table.out_frac, len(table.t0))
                         + (bram18s(8, len(table.t1)) if table.n2 else 0)) / 2
    adders = pe * (simd * (weight_width + act_width) + acc_width)
    luts_left = budget.lut * _LUT_SHARE - adders
    if depth <= SHALLOW or budget.memory == "lut":
        in_blocks = 0
    else:
        in_blocks = min(pe, int((budget.bram36 - tables) // (bram18s(word, depth) / 2))
                        + budget.uram // urams(word, depth))
    return (pe * simd <= budget.dsp * (1 + budget.packs) and tables <= budget.bram36
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
    """An array that fits with what a plan starts from, and the shortest period in nanoseconds that
    its wires allow with all levels that the hardware can have; it has too few where the clock of
    the budget is ``too_fast``."""

    array: Array
    work: Work
    config: EngineConfig
    shortest: float
    too_fast: bool


@dataclass(frozen=True)
class _Timed:
    """An array that fits, about how many cycles a frame takes on it, by its schedule or by counts,
    and about how many LUTs it takes."""

    array: Array
    cycles: float
    lut: int


def _draft(qnet: QuantizedNetwork, array: Array, budget: Budget) -> _Draft | None:
    """``array`` with the most weight words for convolutions with which it fits, the most lanes, and
    the levels of registers that its wires need, or None; with cascades that cost a cycle only where
    it does not fit without them.

    Fixed point keeps a lane a column, if there is no limit: its lanes are small, and fewer would
    lengthen its tails.
    """
    windows = any(demand.windows for demand in demands(qnet))
    legal = _parts(array.simd, budget)
    if not legal:
        return None
    *more, most = legal if qnet.affine else legal[:1]
    if windows and _fitting(qnet, replace(array, block_words=_BLOCK_WORDS[-1], parts=most),
                            budget)[0] is None:
        return None  # nothing that takes more does
    depth = BLOCK_WORDS + 1
    for words in _BLOCK_WORDS if windows else (BLOCK_WORDS,):
        if words >= depth:
            continue  # the blocks took no more than that already
        wanted = replace(array, block_words=words)
        fewest, depth = _fitting(qnet, replace(wanted, parts=most), budget)
        if fewest is not None:
            found = (_fitting(qnet, replace(wanted, parts=parts), budget)[0] for parts in more)
            return next(filter(None, found), fewest)
    return None


def _parts(simd: int, budget: Budget) -> list[int]:
    """Beats that a chunk of so many results may take, with no more lanes than the user allows."""
    return [parts for parts in _PARTS
            if simd % parts == 0 and (budget.lanes is None or simd <= budget.lanes * parts)]


def _fitting(qnet: QuantizedNetwork, array: Array, budget: Budget) -> tuple[_Draft | None, int]:
    """``array`` as of :func:`_draft`, with its words and its lanes as they are; and the weight
    words that it takes."""
    array = _spread(array, budget)
    work, draft = draft_plan(qnet, array)
    # What the schedule will add, as far as can be told.
    parked = sum(AHEAD * len(fold.groups) for fold in work.folds)
    draft = replace(draft, park_depth=parked, program_depth=_PROGRAM)
    for cascade in (False, True):
        placed = place(replace(draft, cascade=cascade), budget)
        if placed is not None:
            levels, shortest, too_fast = _levels(placed, budget)
            return _Draft(replace(array, cascade=cascade, **levels), work,
                          replace(placed, **levels), shortest, too_fast), draft.weight_depth
    return None, draft.weight_depth


def _spread(array: Array, budget: Budget) -> Array:
    """``array`` on all dies of the budget."""
    return replace(array, dies=budget.dies, cross=CROSS if budget.dies > 1 else 0)


def _levels(config: EngineConfig, budget: Budget) -> tuple[dict[str, int], float, bool]:
    """The levels of registers of a core on the budget's board; the shortest period that levels
    make possible, and whether the clock is faster."""
    fixed = {"reach": budget.reach, "gather": budget.gather}
    found, shortest, too_fast = {}, 0.0, False
    if budget.board is not None:
        site = Site.of(estimate(config), config.slices / config.pe, budget.board,
                       budget.dies)
        stages = site.stages(budget.clock_mhz)
        shortest, too_fast = site.shortest, stages is None
        found |= asdict(stages) if stages else {}
    return found | {name: levels for name, levels in fixed.items() if levels is not None}, \
        shortest, too_fast


def made_to_fit(qnet: QuantizedNetwork, array: Array, budget: Budget) -> Array:
    """``array`` with what its size decides: the most weight words for blocks of convolutions with
    which it fits a device, cascades that cost a cycle if it does not fit without them, and the
    levels of registers that its wires need, on all dies of the budget. Where it seems not to fit,
    with the levels alone: the plan will tell.

    Raises :class:`UserError` where no levels keep the clock, and as
    :func:`gatefold.gen.plan.make_plan`.
    """
    if not _parts(array.simd, budget):
        raise UserError(f"--lanes {budget.lanes} does not go with {array.simd} columns (--simd), "
                        f"of which a lane takes 1, 2, 4 or 8: take --lanes {array.simd} or other "
                        "columns")
    found = _draft(qnet, array, budget)
    if found is None:
        spread = _spread(array, budget)
        return replace(spread, **_levels(draft_plan(qnet, spread)[1], budget)[0])
    if found.too_fast:
        raise _too_fast(found, budget)
    return found.array


def _too_fast(draft: _Draft, budget: Budget) -> UserError:
    return UserError(
        f"--clock {budget.clock_mhz:g} leaves the wires of {budget.name} too little time for an "
        f"array of {draft.array.pe} x {draft.array.simd}, whatever registers it has: by the model "
        f"of docs/boards.md ({ACCURACY}) take --clock {floor(1000 / draft.shortest)} or less")


def choose_array(qnet: QuantizedNetwork, budget: Budget, *, contexts: int = 1,
                 pipeline: str = "full", protect: bool = False, goal: str = "balanced",
                 quick: bool = False, progress: Progress | None = None) -> Plan:
    """The plan of the best array that fits the budget, on as many of its dies as make it so, by
    ``goal`` (of :data:`~gatefold.gen.options.ARRAY_GOALS`).

    ``contexts``, ``pipeline`` and ``protect``, as of :class:`Array`. ``quick``: look at fewer
    arrays. ``progress``: see :data:`Progress`.
    Raises :class:`UserError` where nothing fits, and where no levels of registers keep the clock.
    """
    wanted = Array(pe=4, simd=1, stream_bits=budget.stream_bits, contexts=contexts,
                   pipeline=pipeline, protect=protect, packed=budget.packs)
    rule = _RULES[goal]
    finalists, slow = _searched(qnet, wanted, budget, rule, _QUICK if quick else _THOROUGH, inf,
                                progress or (lambda _done, _total: None))
    if not finalists and slow:
        raise _too_fast(slow[0], budget)
    if not finalists:
        bits = sum(demand.rows * (demand.columns + demand.own)
                   for demand in demands(qnet)) * qnet.weight_width
        raise UserError(
            f"the network does not fit: its weights take {bits / 1024:.0f} Kbit, the device has "
            f"{budget.bram36:g} block RAMs of 36 Kbit, {budget.uram} UltraRAMs and {budget.lut} "
            "LUTs: take fewer bits (--width) or a larger board"
            + ("" if budget.memory == "auto" else
               f", or more memories than --memory {budget.memory}"))
    return _best(finalists, budget, rule)


def _best(finalists: list[Plan], budget: Budget, rule: _Rule) -> Plan:
    """The plan that is the best by ``rule``."""
    near = rule.near * min(plan.cycles.latency for plan in finalists)
    return min((plan for plan in finalists if plan.cycles.latency <= near),
               key=lambda plan: (plan.config.loadable and not budget.loadable,
                                 rule.weighed(plan.cycles.latency, estimate(plan.config).lut,
                                              budget.lut),
                                 plan.cycles.latency))


#: How much larger than the largest array that is too slow the array for a deadline may be.
_CLOSE = 1.08
#: Of arrays of about as many multipliers that meet a deadline.
_SMALL = _Rule(_CLOSE, 1e6)
#: An array is too slow where its cycles by counts alone are so many times those of the deadline.
_SURE = 1.1


def meet_deadline(qnet: QuantizedNetwork, budget: Budget, microseconds: float, *,
                  contexts: int = 1, pipeline: str = "full", protect: bool = False) -> Plan:
    """The plan of the smallest array, by multipliers, whose latency at the budget's clock is at
    most so long; within 8 %, since latency does not fall steadily with size, and of those the one
    with the least cycles times LUTs. No array that takes more than :data:`MAX_TILES` cycles is
    looked at.

    Raises :class:`UserError` where the fastest array that fits takes longer, and as
    :func:`choose_array`.
    """
    made = {"contexts": contexts, "pipeline": pipeline, "protect": protect}
    wanted = Array(pe=4, simd=1, stream_bits=budget.stream_bits, packed=budget.packs, **made)
    limit = min(microseconds * budget.clock_mhz, MAX_TILES)

    def planned(multipliers: int) -> Plan | None:
        """The one with the least logic of no more multipliers, None where all are too slow."""
        finalists, _ = _searched(qnet, wanted, replace(budget, multipliers=multipliers), _SMALL,
                                 _QUICK, limit, lambda _done, _total: None)
        met = [plan for plan in finalists if plan.cycles.latency <= limit]
        return _best(met, budget, _SMALL) if met else None

    too_few, multipliers = _about(Ranking(qnet, contexts), budget, limit)
    found, step = planned(multipliers), _CLOSE
    while found is None:
        if multipliers == budget.multipliers:
            fastest = choose_array(qnet, budget, goal="latency", quick=True, **made)
            best = fastest.cycles.latency
            if best <= limit:  # the counts said too much of it
                found = fastest
                break
            raise UserError(
                f"--deadline {microseconds:g}us cannot be met: the fastest core of {budget.name} "
                f"takes {best / budget.clock_mhz:.4g} us, {best} cycles at {budget.clock_mhz:g} MHz"
                f": allow that{budget.or_larger}, or take a smaller network")
        too_few, multipliers = multipliers, min(budget.multipliers, ceil(step * multipliers))
        found, step = planned(multipliers), step**2
    few = found.config.pe * found.config.simd
    while few > max(too_few + 3, _CLOSE * too_few):
        between = max(4 * budget.fewest_dies, int((few * max(1, too_few)) ** 0.5))
        smaller = planned(between)
        if smaller is None:
            too_few = between
        else:
            found, few = smaller, min(between, smaller.config.pe * smaller.config.simd)
    return found


def _about(ranking: Ranking, budget: Budget, limit: float) -> tuple[int, int]:
    """A number of multipliers whose frame takes more cycles than the limit, and about the smallest
    whose frame does not, by counts alone: a schedule of many tiles takes a minute."""
    few, enough = 4 * budget.fewest_dies - 1, budget.multipliers
    while enough > few + 1:
        between = (few + enough) // 2
        bounds = [ranking.bound(*shape) for shape in ranking.shapes(between)]
        if min(bounds, default=inf) <= _SURE * limit:
            enough = between
        else:
            few = between
    return few, enough


def _searched(qnet: QuantizedNetwork, wanted: Array, budget: Budget, rule: _Rule, effort: _Effort,
              most: float, progress: Progress) -> tuple[list[Plan], list[_Draft]]:
    """What :func:`_finalists` finds on each number of dies that a core may take."""
    finalists: list[Plan] = []
    slow: list[_Draft] = []
    shares, ranking = list(budget.shares()), Ranking(qnet, wanted.contexts)
    for share in shares:
        fastest = min((plan.cycles.latency for plan in finalists), default=inf)
        found, too_fast = _finalists(qnet, wanted, share, ranking.on(share.dies), rule,
                                     effort.part(len(shares)), fastest, most, progress)
        finalists += found
        slow += too_fast
    return finalists, slow


def _finalists(qnet: QuantizedNetwork, wanted: Array, budget: Budget, ranking: Ranking,
               rule: _Rule, effort: _Effort, fastest: float, most: float, progress: Progress
               ) -> tuple[list[Plan], list[_Draft]]:
    """The plans of the best shapes that fit on all dies of the budget, as ``wanted`` otherwise; and
    the best of the drafts that would, at a slower clock. ``fastest``: cycles of the fastest plan on
    other numbers of dies, infinite where there is none; slower shapes are not planned. ``most``:
    shapes that surely take more cycles are not looked at.

    Shapes are ranked by counts; those that fit are scheduled, but for those whose tiles alone are
    more than the ``effort``, until no other can be better or the effort is spent; the best of these
    are planned in full.
    """
    multipliers = budget.multipliers
    finalists: list[Plan] = []
    slow: list[_Draft] = []
    while multipliers >= 4 * budget.dies and not finalists:
        arrays = [replace(wanted, pe=pe, simd=simd) for pe, simd in ranking.shapes(multipliers)
                  if might_fit(qnet, pe, simd, budget, ranking.asked)]
        timed, too_fast = _timed(qnet, arrays, budget, ranking, rule, effort, fastest, most,
                                 progress)
        slow += too_fast
        timed.sort(key=lambda one: (one.cycles > most,
                                    rule.weighed(one.cycles, one.lut, budget.lut)))
        near = rule.near * min([fastest, *(one.cycles for one in timed)])
        for one in [one for one in timed if one.cycles <= near][:effort.plans]:
            placed = fit(make_plan(qnet, one.array), budget)
            finalists += [placed] if placed else []
        multipliers = multipliers // 2 if fastest == most == inf else 0
    return finalists, slow[:1]


def _timed(qnet: QuantizedNetwork, arrays: list[Array], budget: Budget, ranking: Ranking,
           rule: _Rule, effort: _Effort, fastest: float, most: float, progress: Progress
           ) -> tuple[list[_Timed], list[_Draft]]:
    """Those of ``arrays``, best first by counts, that fit, with their schedules' cycles, unless
    they have more tiles than ``most``; and the first that fits only at a slower clock."""
    found: list[_Timed] = []
    slow: list[_Draft] = []
    best, spent = fastest, 0
    for n, array in enumerate(arrays):
        if ranking.bound(array.pe, array.simd) > min((rule.near + _UNSURE) * best, _SURE * most):
            continue
        if min(best, most) < inf and spent >= effort.work:
            break
        if n:
            progress(n, min(len(arrays), ceil(n * effort.work / max(1, spent))))
        spent += _EACH
        draft = _draft(qnet, array, budget)
        if draft is None:
            continue
        if draft.too_fast:
            slow = slow or [draft]
            continue
        spent += len(draft.work.storage.chunks)
        if draft.work.tiles > most:
            continue
        if draft.work.tiles > effort.work:  # its schedule is made once, in its plan
            cycles = ranking.cycles(array.pe, array.simd)
        else:
            cycles = frame_cycles(draft.work, draft.config)
            spent += draft.work.tiles
        best = min(best, cycles)
        found.append(_Timed(draft.array, cycles, estimate(draft.config).lut))
    return found, slow
