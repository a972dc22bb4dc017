"""Two rows of the array whose multipliers share the DSP slices: two products of int8 in each."""

from __future__ import annotations

from amaranth.hdl import Cat, Value

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.mac_row import MacRow

__all__ = ["MacPair", "borrowed"]


def borrowed(lower, upper):
    """The weights of the upper row as its memory holds them: less one where that of the lower row
    is negative, whose sign fills the upper half of a slice's factor."""
    return upper - (lower < 0)


class MacPair(MacRow):
    """The equation and the latency of :class:`~.mac_row.MacRow`, for two rows that meet the same
    operands.

    A slice multiplies an operand x by both weights at once::

        x * (w_1 * 2**F + w_0) + 2**(F - 1)  =  (x * w_1) * 2**F  +  (x * w_0 + 2**(F - 1))

    F is ``act_width + weight_width``, 17 bits. Neither x nor a weight is the lowest integer of its
    width, so that a product has F - 1 bits and the sum of two, of slices in cascade, has F. What is
    added makes the lower half positive, so that it borrows nothing from the upper one; inverting
    its highest bit takes it away again. Both cost no logic: a slice adds a constant, and the
    factor, of 25 bits, is wires, since the memory of the upper row holds w_1 less the borrow of a
    negative w_0 (:func:`borrowed`).

    Members
    -------
    Those of MacRow, with ``weights``, ``bias`` and ``acc`` for each of the two rows.
    """

    module, rows = "gatefold_pair", 2

    def __init__(self, config: EngineConfig):
        super().__init__(config)
        self.field = config.act_width + config.weight_width
        self._offset = (1 << (self.field - 1),)

    @property
    def ends(self):
        return list(zip(self.weights, self.bias, self.acc, strict=True))

    def _factor(self, k: int) -> Value:
        lower, upper = (weights[k] for weights in self.weights)
        sign = lower[-1].replicate(self.field - len(lower))
        return Cat(lower, sign, upper).as_signed()

    def _split(self, total: Value, products: int) -> list[Value]:
        bits, field = self.field - 2 + products, self.field
        lower = Cat(total[:field - 1], ~total[field - 1])
        return [lower[:bits].as_signed(), total[field:field + bits].as_signed()]
