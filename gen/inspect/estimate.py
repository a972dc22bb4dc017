"""Whether a network fits a device and about how fast it would be, without a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.boards import get as get_board
from gatefold.gen.errors import UserError
from gatefold.gen.flow import check_tiles
from gatefold.gen.network.frames import input_names
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.calibrate import TENSORS, Calibration
from gatefold.gen.numbers.formats import Seen
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Budget
from gatefold.gen.plan.sizing import candidates, might_fit, quick_cycles

__all__ = ["Estimate", "in_any_formats", "quick_estimate"]


@dataclass(frozen=True)
class Estimate:
    """A core of 16 bits for a device.

    Attributes: ``board``, None for a generic device; whether it ``fits``, and ``why`` not; where it
    fits, the array ``pe`` x ``simd``, about how many ``cycles`` an inference takes, and how many
    microseconds (``us``) at ``clock_mhz``.

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


def in_any_formats(network: Network) -> QuantizedNetwork:
    """The network in integers as if each of its values were at most 1: good enough to count rows,
    words and cycles, and nothing is computed for it.

    Raises :class:`UserError` as :func:`quantize`.
    """
    one = Seen.of(np.ones(1))
    names = input_names(network)
    return quantize(network, calibration=Calibration(
        {"source": "none", "samples": 0, "peaks": {}}, (one,) * len(names),
        {name: dict.fromkeys(TENSORS, one) for name in network.names}, True))


def quick_estimate(network: Network, qnet: QuantizedNetwork, board: str | None) -> Estimate:
    """The estimate of a network, ``qnet`` in integers, for the board of that name.

    Raises :class:`UserError` for a board that there is not.
    """
    budget = Budget.of(None if board is None else get_board(board))
    try:
        check_tiles(network, budget.multipliers, 1)
        budget.check_weights(network.parameters, qnet.weight_width)
    except UserError as error:
        return Estimate(board, False, str(error))
    multipliers = budget.multipliers
    while multipliers >= 4:
        for pe, simd in candidates(qnet, multipliers):
            if might_fit(qnet, pe, simd, budget):
                cycles = round(quick_cycles(qnet, pe, simd))
                return Estimate(board, True, "", pe, simd, cycles, budget.clock_mhz,
                                round(cycles / budget.clock_mhz, 2))
        multipliers //= 2
    return Estimate(board, False, f"its weights do not fit {budget.name}: take fewer bits (--width)"
                    f"{budget.or_larger}")
