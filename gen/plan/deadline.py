"""The smallest array that meets a deadline."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.array import Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.plan import Plan
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.sizing import MAX_TILES, QUICK, SURE, Rule, Search, best_of, choose_array

__all__ = ["meet_deadline"]

#: How much larger than the largest array that is too slow the array for a deadline may be.
_CLOSE = 1.08
#: Of arrays of about as many multipliers that meet a deadline.
_SMALL = Rule(_CLOSE, 1e6)


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
        found = Search(qnet, wanted, replace(budget, multipliers=multipliers), _SMALL, QUICK,
                       most=limit).run()
        met = [plan for plan in found if plan.cycles.latency <= limit]
        return best_of(met, budget, _SMALL) if met else None

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
        if min(bounds, default=inf) <= SURE * limit:
            enough = between
        else:
            few = between
    return few, enough
