"""float32 at the border: converters between memory's words and the beats of a core."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.gearbox import Position

__all__ = ["FixedToFloat", "FloatToFixed", "frame_of"]

_BIAS, _FRACTION = 127, 23  # of float32


def frame_of(bits: int) -> stream.Signature:
    """A stream of words of a frame: ``last``, the last one; ``first``, as of a core's input."""
    return stream.Signature(data.StructLayout({"data": bits, "last": 1, "first": 1}))


class _Converter(wiring.Component):
    """Words of a frame through :attr:`latency` registers that move when the last one is free.

    Parameters
    ----------
    lanes: elements of a word. formats: of each element of a frame in turn. bits_in, bits_out: of an
    element. A subclass converts a lane.
    """

    latency: int

    def __init__(self, *, lanes: int, formats: Sequence, bits_in: int, bits_out: int):
        self.lanes, self.formats = lanes, tuple(formats)
        self.bits_in, self.bits_out = bits_in, bits_out
        super().__init__({"i": In(frame_of(lanes * bits_in)), "o": Out(frame_of(lanes * bits_out))})

    def elaborate(self, platform):
        m = Module()
        moves, comes = Signal(), Signal()
        valid = Signal(self.latency)
        m.d.comb += [self.o.valid.eq(valid[-1]), moves.eq(~valid[-1] | self.o.ready),
                     self.i.ready.eq(moves), comes.eq(moves & self.i.valid)]
        beat = Position.counted(m, "beat", -(-len(self.formats) // self.lanes), comes)
        tags = [Cat(self.i.payload.last, self.i.payload.first)]
        for n in range(self.latency):
            tags.append(Signal(2, name=f"tags_{n}"))
            with m.If(moves):
                m.d.sync += tags[n + 1].eq(tags[n])
        with m.If(moves):
            m.d.sync += valid.eq(Cat(self.i.valid, valid[:-1]))
        m.d.comb += Cat(self.o.payload.last, self.o.payload.first).eq(tags[-1])
        for lane in range(self.lanes):
            element = self.i.payload.data.word_select(lane, self.bits_in)
            m.d.comb += self.o.payload.data.word_select(lane, self.bits_out).eq(
                self._lane(m, lane, element, beat.word, moves))
        return m

    def _chosen(self, m: Module, name: str, lane: int, beat: Value, values: Sequence[int]) -> Value:
        """``values[e]`` where e is the lane's element of this beat: constant where all are."""
        mine = values[lane::self.lanes] or values[:1]
        if len(set(mine)) == 1:
            return Const(mine[0], signed(12))
        chosen = Signal(signed(12), name=f"{name}_{lane}")
        common = max(set(mine), key=mine.count)
        with m.Switch(beat):
            for value in sorted(set(mine) - {common}):
                with m.Case(*(n for n, one in enumerate(mine) if one == value)):
                    m.d.comb += chosen.eq(value)
            with m.Default():
                m.d.comb += chosen.eq(common)
        return chosen

    def _lane(self, m: Module, lane: int, element: Value, beat: Value, moves: Value) -> Value:
        raise NotImplementedError


class FloatToFixed(_Converter):
    """float32 to integers: ``sat(floor(x * 2**f + 1/2), n)``, NaN to 0 (docs/numbers.md).

    With the fraction M (24 bits, the hidden one included) and the exponent E of x,
    ``|x| * 2**f = M >> r`` where ``r = 150 - f - E``.

    Parameters
    ----------
    formats: (f, n) of each element of a frame, its fraction bits and its bits.
    """

    latency = 3

    def __init__(self, *, lanes: int, formats: Sequence[tuple[int, int]], container: int):
        super().__init__(lanes=lanes, formats=formats, bits_in=32, bits_out=container)

    def _lane(self, m, lane, element, beat, moves):
        most = max(n for _, n in self.formats)
        base = self._chosen(m, "base", lane, beat, [_BIAS + _FRACTION - f for f, _ in self.formats])
        spare = self._chosen(m, "spare", lane, beat, [most - n for _, n in self.formats])
        fraction, exponent, sign = element[:_FRACTION], element[_FRACTION:31], element[31]

        # Cycle 1: the shift, and what needs none.
        far = _FRACTION + 2  # from here on x is nearer to 0 than to 1
        near = _FRACTION - most  # up to here it is beyond every format
        shift = Signal(range(far + 1), name=f"shift_{lane}")
        large, special, minus = (Signal(name=f"{name}_{lane}")
                                 for name in ("large", "special", "minus"))
        whole = Signal(_FRACTION + 1, name=f"whole_{lane}")
        narrow = Signal(range(most), name=f"narrow_{lane}")
        r = Signal(signed(13), name=f"r_{lane}")
        m.d.comb += r.eq(base - exponent)
        # Cycle 2: shifted, one bit behind the point, and whether anything is behind that.
        halves = Signal(most + 3, name=f"halves_{lane}")
        rest, minus_2, zero_2, large_2 = (Signal(name=f"{name}_{lane}") for name in
                                          ("rest", "minus_2", "zero_2", "large_2"))
        narrow_2 = Signal.like(narrow, name=f"narrow_2_{lane}")
        wide = Cat(Const(0, far), whole) >> shift  # far bits behind the point
        # Cycle 3: rounded half up, the sign, saturated.
        size = Signal(most + 2, name=f"size_{lane}")
        result = Signal(signed(most), name=f"result_{lane}")
        highest = Const((1 << (most - 1)) - 1, most) >> narrow_2
        above = large_2 | (size > highest + minus_2)
        limit = Mux(minus_2, ~highest, highest)
        m.d.comb += size.eq(halves[1:] + (halves[0] & (rest | ~minus_2)))
        with m.If(moves):
            m.d.sync += [
                whole.eq(Cat(fraction, Const(1, 1))), minus.eq(sign), narrow.eq(spare),
                shift.eq(Mux(r > far, far, Mux(r < near, near, r))),
                large.eq((r < near) | exponent.all()),
                special.eq((exponent == 0) | (exponent.all() & fraction.any())),
                halves.eq(wide[far - 1:]), rest.eq(wide[:far - 1].any()), minus_2.eq(minus),
                zero_2.eq(special), large_2.eq(large), narrow_2.eq(narrow),
                result.eq(Mux(zero_2, 0, Mux(above, limit, Mux(minus_2, -size, size)))),
            ]
        return result


class FixedToFloat(_Converter):
    """Integers to float32: ``y * 2**-f``, exactly; 0 is +0.

    Parameters
    ----------
    formats: f of each element of a frame. width: bits of an integer, at most 24.
    """

    latency = 2

    def __init__(self, *, lanes: int, formats: Sequence[int], container: int, width: int):
        self.width = width
        super().__init__(lanes=lanes, formats=formats, bits_in=container, bits_out=32)

    def _lane(self, m, lane, element, beat, moves):
        top = 1 << (self.width - 1).bit_length()  # bits that are shifted, a power of two
        base = self._chosen(m, "base", lane, beat, [_BIAS + top - 1 - f for f in self.formats])

        # Cycle 1: sign and magnitude.
        minus = Signal(name=f"minus_{lane}")
        size = Signal(top, name=f"size_{lane}")
        highest = Signal(signed(12), name=f"highest_{lane}")  # the exponent of the top bit
        number = element[:self.width].as_signed()
        # Cycle 2: the leading one to the top, in steps of half as many bits.
        shifted, zeros = size, []
        for step in reversed(range((top - 1).bit_length())):
            empty = ~shifted[top - (1 << step):].any()
            zeros.insert(0, empty)
            shifted = Mux(empty, (shifted << (1 << step))[:top], shifted)
        result = Signal(32, name=f"result_{lane}")
        fraction = Cat(Const(0, _FRACTION), shifted[:top - 1])[top - 1:]
        with m.If(moves):
            m.d.sync += [
                minus.eq(number < 0), size.eq(Mux(number < 0, -number, number)), highest.eq(base),
                result.eq(Mux(size == 0, 0, Cat(fraction, (highest - Cat(zeros))[:8], minus)))]
        return result
