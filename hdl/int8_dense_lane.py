"""One lane of the finish of LiteRT's CONV_2D and FULLY_CONNECTED: a sum in, an element out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from gatefold.hdl.arith import by_parameter, delay, inverted
from gatefold.hdl.kinds import Int8DenseKind
from gatefold.hdl.lane import Lane

__all__ = ["EXPONENT", "MANTISSA", "Int8DenseLane"]

MANTISSA, EXPONENT = 24, 6  #: Bits of a float32's mantissa, and of the exponents that occur.
_FRACTION = 26  #: Fractional bits of the scaled sum; all below them is one sticky bit.
_INTEGER = 10  #: Its integer bits: one more than a result has.


class Int8DenseLane(Lane):
    """y = z * mantissa * 2**-exponent, rounded as float32 does; bit-exact with
    :func:`gatefold.sim.int8.finished_int8`.

    ::

        1     |z|; where it has more than 24 bits, rounded to them     beside: the factors' memory
        2     |z| mantissa                                             multiplier
        3     the same
        4     shifted to 26 fractional bits and a sticky one
        5     rounded to 24 significant bits and to an integer at once; sign; clamped

    The two roundings of a product I.F become one: rounding to 24 significant bits moves F only
    where it is within half a unit in that place of 1/2, onto which it is moved then; so I + 1 is
    taken where F > 1/2 + 2**-(25 - b), and for odd I from F >= 1/2 - 2**-(25 - b) on, b being the
    bits of I. One element a cycle (II = 1).

    Members
    -------
    z: In, accumulator. factor: In, a cycle later, its element's exponent and mantissa.
    """

    @staticmethod
    def members(config):
        return {"z": In(signed(config.acc_width)), "factor": In(MANTISSA + EXPONENT)}

    @staticmethod
    def takes(kind):
        return isinstance(kind, Int8DenseKind)

    @staticmethod
    def stages(config):
        return (("magnitude", 1), ("product", 2), ("shift", 1), ("rounding", 1))

    def elaborate(self, platform):
        c = self.config
        m = Module()
        kind = delay(m, "kind", self.kind, self.latency(c) - 1)
        negative = delay(m, "negative", self.z[-1], 4)
        magnitude, up = self._float32(m)

        exponent = Signal(EXPONENT, reset_less=True)
        product = Signal(2 * MANTISSA, reset_less=True)
        down = Signal(EXPONENT + 1, reset_less=True)  # up and exponent leave at least 8
        m.d.sync += [
            product.eq(magnitude * self.factor[:MANTISSA]),
            exponent.eq(self.factor[MANTISSA:] - up),
        ]
        product_late = delay(m, "product_late", product, 1)[-1]
        m.d.sync += down.eq(exponent)

        # I.F: the product * 2**-down, with enough room on the left for the largest I.
        room = Cat(Const(0, _FRACTION), product_late)
        fixed = Signal(len(room), reset_less=True)
        lost = Signal(reset_less=True)
        below = Cat(down > _FRACTION + n for n in range(2 * MANTISSA))
        m.d.sync += [fixed.eq(room >> down), lost.eq((product_late & below).any())]

        integer = fixed[_FRACTION:]
        small = integer[:_INTEGER - 1]
        fraction = fixed[:_FRACTION]
        near = Signal(_FRACTION)  # 2**-(25 - b) in units of the last fractional bit
        m.d.comb += near.eq(2)
        for b in range(1, _INTEGER):
            with m.If(small[b - 1]):
                m.d.comb += near.eq(2 << b)
        middle = 1 << (_FRACTION - 1)
        above = Signal(), Signal()
        m.d.comb += [
            above[0].eq((fraction > middle + near) | ((fraction == middle + near) & lost)),
            above[1].eq(fraction >= middle - near),
        ]
        rounded = small + Mux(integer[0], above[1], above[0])
        whole = Mux(integer[_INTEGER - 1:].any(), 1 << (_INTEGER - 1), rounded)
        value = Mux(negative[4], -whole, whole)
        y = Signal(signed(c.act_width), reset_less=True)
        m.d.sync += y.eq(by_parameter(
            m, "y_now", kind[4], {n: (k.lo, k.hi) for n, k in self.kinds(c).items()},
            lambda way: Mux(value < way[0], way[0], Mux(value > way[1], way[1], value)),
            signed(c.act_width)))
        m.d.comb += self.y.eq(y)
        return m

    def _float32(self, m: Module) -> tuple[Value, Value]:
        """|z| in 24 bits, and how far it was shifted to the right for them: halves to even."""
        c = self.config
        absolute = Signal(c.acc_width)
        m.d.comb += absolute.eq(inverted(self.z, self.z[-1]) + self.z[-1])
        kept, up = Signal(MANTISSA + 1), Signal(range(max(2, c.acc_width - MANTISSA + 1)))
        m.d.comb += kept.eq(absolute)
        for drop in range(1, c.acc_width - MANTISSA + 1):
            with m.If(absolute[MANTISSA + drop - 1]):
                half = absolute[drop - 1] & (absolute[drop] | absolute[:drop - 1].any())
                m.d.comb += [kept.eq(absolute[drop:] + half), up.eq(drop)]
        magnitude = Signal(MANTISSA + 1, reset_less=True)
        shift = Signal(up.shape(), name="up_1", reset_less=True)
        m.d.sync += [magnitude.eq(kept), shift.eq(up)]
        return magnitude, shift
