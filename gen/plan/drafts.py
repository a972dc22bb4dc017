"""Arrays with all that their size decides, before they have a schedule: the weight words of
convolutions, the lanes, cascades, and the registers that distance needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import floor

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.array import BLOCK_WORDS, CROSS, Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.demand import demands, lane_multipliers
from gatefold.gen.plan.distance import ACCURACY, Site
from gatefold.gen.plan.placing import may_place, multipliers_fit, parts_of, place
from gatefold.gen.plan.plan import Outline
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.waves import AHEAD
from gatefold.gen.plan.work import Work
from gatefold.hdl.config import EngineConfig

__all__ = ["Draft", "drafted", "made_to_fit", "too_fast"]

#: Weight words that blocks of convolutions may take, tried in turn.
_BLOCK_WORDS = (BLOCK_WORDS, 1536, 1280, 1152, 1024, 960, 896, 832, 768, 704, 640, 512, 384, 256)
_PROGRAM = 128  # instructions, where there is no program yet


@dataclass(frozen=True)
class Draft:
    """An array that fits with what a plan starts from, and the shortest period in nanoseconds that
    its wires allow with all levels that the hardware can have; it has too few where the clock of
    the budget is ``too_fast``."""

    array: Array
    work: Work
    config: EngineConfig
    shortest: float
    too_fast: bool


def drafted(qnet: QuantizedNetwork, array: Array, budget: Budget) -> Draft | None:
    """``array`` with the most weight words for convolutions with which it fits, the most lanes, and
    the levels of registers that its wires need, or None; with cascades that cost a cycle only where
    it does not fit without them.

    Fixed point keeps a lane a column, if there is no limit: its lanes are small, and fewer would
    lengthen its tails.
    """
    windows = any(demand.windows for demand in demands(qnet))
    legal = parts_of(array.simd, budget)
    if not legal:
        return None
    *more, most = legal if qnet.affine else legal[:1]
    multipliers = lane_multipliers(qnet)
    more = [parts for parts in more if multipliers_fit(
        array.pe, array.simd, array.simd // parts, budget, multipliers)]
    depth = BLOCK_WORDS + 1
    for words in _BLOCK_WORDS if windows else (BLOCK_WORDS,):
        if words >= depth:
            continue  # the blocks took no more than that already
        wanted = replace(array, block_words=words, parts=most)
        fewest, depth = _fitting(qnet, wanted, budget)
        if fewest is not None:
            found = (_fitting(qnet, replace(wanted, parts=parts), budget)[0] for parts in more)
            return next(filter(None, found), fewest)
        if words == BLOCK_WORDS and windows and _fitting(
                qnet, replace(wanted, block_words=_BLOCK_WORDS[-1]), budget)[0] is None:
            return None  # nothing that takes more does
    return None


def _fitting(qnet: QuantizedNetwork, array: Array, budget: Budget) -> tuple[Draft | None, int]:
    """``array`` as of :func:`drafted`, with its words and its lanes as they are; and the weight
    words that it takes, or may take where it is refused before that is known."""
    array = _spread(array, budget)
    outline = Outline(qnet, array)
    if not may_place(outline.config, budget):
        return None, array.block_words
    work, draft = outline.draft()
    # What the schedule will add, as far as can be told.
    parked = sum(AHEAD * len(fold.groups) for fold in work.folds)
    draft = replace(draft, park_depth=parked, program_depth=_PROGRAM)
    for cascade in (False, True):
        placed = place(replace(draft, cascade=cascade), budget)
        if placed is not None:
            levels, shortest, too_fast = _levels(placed, budget)
            return Draft(replace(array, cascade=cascade, **levels), work,
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
    if not parts_of(array.simd, budget):
        raise UserError(f"--lanes {budget.lanes} does not go with {array.simd} columns (--simd), "
                        f"of which a lane takes 1, 2, 4 or 8: take --lanes {array.simd} or other "
                        "columns")
    found = drafted(qnet, array, budget)
    if found is None:
        spread = _spread(array, budget)
        return replace(spread, **_levels(Outline(qnet, spread).draft()[1], budget)[0])
    if found.too_fast:
        raise too_fast(found, budget)
    return found.array


def too_fast(draft: Draft, budget: Budget) -> UserError:
    return UserError(
        f"--clock {budget.clock_mhz:g} leaves the wires of {budget.name} too little time for an "
        f"array of {draft.array.pe} x {draft.array.simd}, whatever registers it has: by the model "
        f"of docs/boards.md ({ACCURACY}) take --clock {floor(1000 / draft.shortest)} or less")
