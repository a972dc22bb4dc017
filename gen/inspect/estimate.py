"""Whether a network fits a device and about how fast it would be, without a plan."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from gatefold.boards import get as get_board
from gatefold.gen.errors import UserError
from gatefold.gen.limits import check_tiles, packed_limits
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.tables import Table, table_for
from gatefold.gen.options import BuildOptions
from gatefold.gen.plan import Budget
from gatefold.gen.plan.demand import Demand, lane_multipliers, looked_up
from gatefold.gen.plan.placing import might_fit, widths_might_fit
from gatefold.gen.plan.ranking import Ranking

__all__ = ["Estimate", "quick_estimate"]

_WIDTH = 16  # bits of weights and activations, as `gatefold build` has them unless told otherwise


@dataclass(frozen=True)
class Estimate:
    """A core for a device, of 16 bits or of a full-integer file's own.

    Attributes: ``board``, None for a generic device; whether it ``fits``, and ``why`` not; where it
    fits, the array ``pe`` x ``simd``, about how many ``cycles`` an inference takes, and how many
    microseconds (``us``) at ``clock_mhz``; ``numbers``, in words.

    ``fits`` says that multipliers, weights and tables do: what must be there in any case.
    """

    board: str | None
    fits: bool
    why: str = ""
    pe: int | None = None
    simd: int | None = None
    cycles: int | None = None
    clock_mhz: float | None = None
    us: float | None = None
    numbers: str = f"{_WIDTH} bits"


def quick_estimate(network: Network, board: str | None) -> Estimate:
    """The estimate of a network for the board of that name.

    Raises :class:`UserError` for a board that there is not.
    """
    budget = Budget.of(None if board is None else get_board(board))
    try:
        budget = packed_limits(network, budget, BuildOptions())
        qnet = None if network.affine is None else quantize(network)
        check_tiles(network, budget, 1)
        budget.check_weights(network.parameters, qnet.weight_width if qnet else _WIDTH)
    except UserError as error:
        return Estimate(board, False, str(error))
    whole, table = Ranking(network), table_for(_WIDTH)
    for share in reversed(list(budget.shares())):  # on fewer dies fewer have a copy of the results
        ranking, multipliers = whole.on(share.dies), share.multipliers
        while multipliers >= 4 * share.dies:
            for pe, simd in ranking.shapes(multipliers):
                if (might_fit(qnet, pe, simd, share, whole.asked) if qnet else
                        _might_fit(network, pe, simd, share, whole.asked, table)):
                    cycles = round(ranking.cycles(pe, simd))
                    return Estimate(board, True, "", pe, simd, cycles, share.clock_mhz,
                                    round(cycles / share.clock_mhz, 2),
                                    **({"numbers": "8 bits (int8)"} if qnet else {}))
            multipliers //= 2
    return Estimate(board, False, "its weights, its input and the results between its layers do "
                    f"not fit {budget.name}: take fewer bits (--width) or timesteps"
                    f"{budget.or_larger}")


def _might_fit(network: Network, pe: int, simd: int, budget: Budget, asked: list[Demand],
               table: Table) -> bool:
    """:func:`~gatefold.gen.plan.placing.might_fit` of a network that has no formats yet."""
    sums = 2 * _WIDTH + ceil(log2(max(demand.columns + demand.own for demand in asked)))
    return widths_might_fit(asked, pe, simd, budget, inputs=network.input_elements,
                            weight_width=_WIDTH, act_width=_WIDTH, acc_width=sums, table=table,
                            tables=looked_up(network), multipliers=lane_multipliers(network))
