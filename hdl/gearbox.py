"""Repacks a stream of elements from words of one width to words of another."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Gearbox", "GearboxModel", "GearboxShape"]


@dataclass(frozen=True, kw_only=True)
class GearboxShape:
    """Words of ``size_in`` elements in, words of ``size_out`` elements out.

    On either side a word never spans two rows: a row of ``row_in`` (``row_out``) elements takes as
    many words as it needs and the last one is part empty. ``width``: bits of an element.
    """

    width: int
    size_in: int
    row_in: int
    size_out: int
    row_out: int

    def __post_init__(self):
        for name in ("width", "size_in", "row_in", "size_out", "row_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"Gearbox {name} must be at least 1, not {getattr(self, name)!r}")

    @property
    def words_in(self) -> int:
        """Input words of a row."""
        return -(-self.row_in // self.size_in)

    @property
    def words_out(self) -> int:
        """Output words of a row."""
        return -(-self.row_out // self.size_out)

    @property
    def rest_in(self) -> int:
        """Elements in the last input word of a row."""
        return self.row_in - (self.words_in - 1) * self.size_in

    @property
    def rest_out(self) -> int:
        """Elements in the last output word of a row."""
        return self.row_out - (self.words_out - 1) * self.size_out

    @property
    def capacity(self) -> int:
        """Elements it holds: enough to take and give a word in every cycle."""
        return self.size_out + 2 * self.size_in - 1


class GearboxModel:
    """A gearbox without data, for the plan: cycle for cycle what it accepts and gives."""

    def __init__(self, shape: GearboxShape):
        self.shape = shape
        self.fill = self.taken = self.given = 0

    def step(self, valid: bool, ready: bool) -> tuple[bool, bool]:
        """One cycle with ``i.valid`` and ``o.ready``: did a word come, did one leave?"""
        s = self.shape
        last_out = self.given % s.words_out == s.words_out - 1
        need = s.rest_out if last_out else s.size_out
        gives = ready and self.fill >= need
        takes = valid and self.fill + s.size_in <= s.capacity
        if gives:
            self.fill -= need
            self.given += 1
        if takes:
            last_in = self.taken % s.words_in == s.words_in - 1
            self.fill += s.rest_in if last_in else s.size_in
            self.taken += 1
        return takes, gives


class Gearbox(wiring.Component):
    """The same elements in the same order in other words.

    Full rate on the slower side; a word can leave the cycle after its last element came
    (:attr:`latency`). Empty elements are zeros on the way out and ignored on the way in.

    Members: ``i``, ``o``: streams of ``size * width`` bits, element 0 in the low bits.
    """

    latency = 1

    def __init__(self, shape: GearboxShape):
        self.shape = shape
        super().__init__({
            "i": In(stream.Signature(shape.size_in * shape.width)),
            "o": Out(stream.Signature(shape.size_out * shape.width)),
        })

    def elaborate(self, platform):
        s = self.shape
        m = Module()
        width, capacity = s.width, s.capacity
        words_in, rest_in, words_out, rest_out = s.words_in, s.rest_in, s.words_out, s.rest_out

        buffer = Signal(capacity * width)  # zero above `fill`, so reset with it
        fill = Signal(range(capacity + 1))

        # Position in the row on either side.
        last_in, last_out = Const(1, 1), Const(1, 1)
        if words_in > 1:
            in_word = Signal(range(words_in))
            last_in = in_word == words_in - 1
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += in_word.eq(Mux(last_in, 0, in_word + 1))
        if words_out > 1:
            out_word = Signal(range(words_out))
            last_out = out_word == words_out - 1
            with m.If(self.o.valid & self.o.ready):
                m.d.sync += out_word.eq(Mux(last_out, 0, out_word + 1))

        need = Mux(last_out, rest_out, s.size_out)
        head = buffer[: s.size_out * width]
        m.d.comb += [
            self.o.valid.eq(fill >= need),
            self.o.payload.eq(Mux(last_out, head[: rest_out * width], head)),
            self.i.ready.eq(fill + s.size_in <= capacity),
        ]

        # What stays moves down, what comes is put behind it.
        gives = self.o.valid & self.o.ready
        stays = Signal(range(capacity + 1))
        kept = Signal.like(buffer)
        m.d.comb += [
            stays.eq(fill - Mux(gives, need, 0)),
            kept.eq(Mux(gives, Mux(last_out, buffer[rest_out * width:],
                                   buffer[s.size_out * width:]), buffer)),
        ]
        takes = self.i.valid & self.i.ready
        came = Mux(last_in, rest_in, s.size_in)
        word = Mux(last_in, self.i.payload[: rest_in * width], self.i.payload)
        step = gcd(s.size_in, rest_in, s.size_out, rest_out)
        put = self._shifted(m, word, stays, step)
        m.d.sync += [
            fill.eq(stays + Mux(takes, came, 0)),
            buffer.eq(kept | Mux(takes, put, 0)),
        ]
        return m

    def _shifted(self, m: Module, word: Value, elements: Signal, step: int) -> Value:
        """``word`` moved up by a number of elements that is a multiple of ``step``."""
        always_zero = (step & -step).bit_length() - 1
        for bit in range(always_zero, len(elements)):
            moved = Signal(self.shape.capacity * self.shape.width, name=f"moved_{bit}")
            m.d.comb += moved.eq(Mux(elements[bit], word << (self.shape.width << bit), word))
            word = moved
        return word
