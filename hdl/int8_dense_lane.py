"""One lane of the finish of LiteRT's CONV_2D and FULLY_CONNECTED: a sum in, an element out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
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

        1     |z|                                                      beside: the factors' memory
        1a    where it has more than 24 bits: rounded to them
        2     |z| mantissa                                             multiplier
        3     the same
        4     shifted to 26 fractional bits and a sticky one
        5     I or I + 1: rounded to 24 significant bits and to an integer at once
        6     the sum; sign; clamped

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
        return (("magnitude", 1 + (config.acc_width > MANTISSA)), ("product", 2), ("shift", 1),
                ("rounding", 1), ("sum", 1))

    def elaborate(self, platform):
        c = self.config
        m = Module()
        last = self.latency(c) - 1
        kind = delay(m, "kind", self.kind, last)[-1]
        negative = delay(m, "negative", self.z[-1], last)[-1]
        magnitude, up = self._float32(m)
        factor = delay(m, "factor", self.factor, self.ends(c)["magnitude"] - 1)[-1]

        exponent = Signal(EXPONENT, reset_less=True)
        product = Signal(2 * MANTISSA, reset_less=True)
        down = Signal(EXPONENT + 1, reset_less=True)  # up and exponent leave at least 8
        m.d.sync += [
            product.eq(magnitude * factor[:MANTISSA]),
            exponent.eq(factor[MANTISSA:] - up),
        ]
        product_late = delay(m, "product_late", product, 1)[-1]
        m.d.sync += down.eq(exponent)

        # I.F: the product * 2**-down, with enough room on the left for the largest I.
        room = Cat(Const(0, _FRACTION), product_late)
        fixed = Signal(len(room), reset_less=True)
        lost = Signal(reset_less=True)
        below = Cat(down > _FRACTION + n for n in range(2 * MANTISSA))
        m.d.sync += [fixed.eq(room >> down), lost.eq((product_late & below).any())]

        integer = Signal(_INTEGER - 1, reset_less=True)
        over, more = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [integer.eq(fixed[_FRACTION:]),
                     over.eq(fixed[_FRACTION + _INTEGER - 1:].any()),
                     more.eq(self._more(m, fixed, lost))]

        # The sum integer + more with its sign, and beside it whether it is beyond the limit.
        bounds = {n: (k.lo, k.hi) for n, k in self.kinds(c).items()}
        limit = by_parameter(m, "limit", kind, bounds,
                             lambda way: Mux(negative, -way[0], way[1]), unsigned(_INTEGER - 1))
        beyond = over | Mux(more, integer >= limit, integer > limit)
        value = inverted(Cat(integer, Const(0, 1)), negative).as_signed() + (negative ^ more)
        y = Signal(signed(c.act_width), reset_less=True)
        m.d.sync += y.eq(Mux(beyond, by_parameter(
            m, "bound", kind, bounds, lambda way: Mux(negative, way[0], way[1]),
            signed(c.act_width)), value))
        m.d.comb += self.y.eq(y)
        return m

    def _more(self, m: Module, fixed: Value, lost: Value) -> Value:
        """Whether the integer part I of ``fixed`` is rounded up to I + 1. No comparison needs a
        carry: 2**-(25 - b) is a bit of the fraction."""
        integer = fixed[_FRACTION:][:_INTEGER - 1]
        at_least_half, rest = fixed[_FRACTION - 1], fixed[:_FRACTION - 1]
        # Bits of the fraction below that bit, and with it.
        below, to_it = Signal(len(rest)), Signal(len(rest))
        m.d.comb += [below.eq(Cat(Const(1, 1), *(integer[n:].any() for n in range(len(integer))))),
                     to_it.eq(Cat(Const(1, 1), below))]
        smaller = (rest & below).any() | lost
        larger = (rest & ~to_it).any() | ((rest & to_it & ~below).any() & smaller)
        return Mux(integer[0], at_least_half | (rest | below).all(), at_least_half & larger)

    def _float32(self, m: Module) -> tuple[Value, Value]:
        """|z| in 24 bits, and how far it was shifted to the right for them: halves to even."""
        c = self.config
        absolute = Signal(c.acc_width, reset_less=True)
        m.d.sync += absolute.eq(inverted(self.z, self.z[-1]) + self.z[-1])
        if c.acc_width <= MANTISSA:
            return absolute, Const(0, 1)
        kept, up = Signal(MANTISSA + 1), Signal(range(c.acc_width - MANTISSA + 1))
        m.d.comb += kept.eq(absolute)
        for drop in range(1, c.acc_width - MANTISSA + 1):
            with m.If(absolute[MANTISSA + drop - 1]):
                half = absolute[drop - 1] & (absolute[drop] | absolute[:drop - 1].any())
                m.d.comb += [kept.eq(absolute[drop:] + half), up.eq(drop)]
        magnitude = Signal(MANTISSA + 1, reset_less=True)
        shift = Signal(up.shape(), name="up_1", reset_less=True)
        m.d.sync += [magnitude.eq(kept), shift.eq(up)]
        return magnitude, shift
