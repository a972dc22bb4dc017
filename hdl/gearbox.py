"""Repacks a stream of elements from words of one width to words of another."""

from __future__ import annotations

from math import gcd

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Gearbox", "GearboxModel"]


def _word_sizes(row: int, size: int) -> tuple[int, int]:
    """Words in a row and elements in the last of them."""
    words = -(-row // size)
    return words, row - (words - 1) * size


class GearboxModel:
    """A gearbox without data: cycle for cycle what it accepts and gives."""

    def __init__(self, box: Gearbox):
        self.box = box
        self.fill = self.taken = self.given = 0
        self.words_in, self.rest_in = _word_sizes(box.row_in, box.size_in)
        self.words_out, self.rest_out = _word_sizes(box.row_out, box.size_out)

    def step(self, valid: bool, ready: bool) -> tuple[bool, bool]:
        """One cycle with ``i.valid`` and ``o.ready``: did a word come, did one leave?"""
        box = self.box
        last_out = self.given % self.words_out == self.words_out - 1
        need = self.rest_out if last_out else box.size_out
        gives = ready and self.fill >= need
        takes = valid and self.fill + box.size_in <= box.capacity
        if gives:
            self.fill -= need
            self.given += 1
        if takes:
            last_in = self.taken % self.words_in == self.words_in - 1
            self.fill += self.rest_in if last_in else box.size_in
            self.taken += 1
        return takes, gives


class Gearbox(wiring.Component):
    """Words of ``size_in`` elements in, words of ``size_out`` elements out.

    The elements are the same in the same order; only the words differ. On either side a word never
    spans two rows: a row of ``row_in`` (``row_out``) elements takes as many words as it needs and
    the last one is part empty (zeros on the way out, ignored on the way in). Full rate on the slower
    side; a word can leave the cycle after its last element came (:attr:`latency`).

    Parameters: ``width`` of an element; ``size_in``, ``row_in``, ``size_out``, ``row_out``.

    Members: ``i``, ``o``: streams of ``size * width`` bits, element 0 in the low bits.
    """

    latency = 1

    def __init__(self, *, width: int, size_in: int, row_in: int, size_out: int, row_out: int):
        for name, value in (("width", width), ("size_in", size_in), ("row_in", row_in),
                            ("size_out", size_out), ("row_out", row_out)):
            if value < 1:
                raise ValueError(f"Gearbox {name} must be at least 1, not {value!r}")
        self.width, self.size_in, self.row_in = width, size_in, row_in
        self.size_out, self.row_out = size_out, row_out
        super().__init__({
            "i": In(stream.Signature(size_in * width)),
            "o": Out(stream.Signature(size_out * width)),
        })

    @property
    def capacity(self) -> int:
        """Elements it holds: enough to take and give a word in every cycle."""
        return self.size_out + 2 * self.size_in - 1

    def model(self) -> GearboxModel:
        """What this component does with time, for the plan."""
        return GearboxModel(self)

    def elaborate(self, platform):
        m = Module()
        width = self.width
        words_in, rest_in = _word_sizes(self.row_in, self.size_in)
        words_out, rest_out = _word_sizes(self.row_out, self.size_out)

        buffer = Signal(self.capacity * width, reset_less=True)  # zero above `fill`
        fill = Signal(range(self.capacity + 1))

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

        need = Mux(last_out, rest_out, self.size_out)
        head = buffer[: self.size_out * width]
        m.d.comb += [
            self.o.valid.eq(fill >= need),
            self.o.payload.eq(Mux(last_out, head[: rest_out * width], head)),
            self.i.ready.eq(fill + self.size_in <= self.capacity),
        ]

        # What stays moves down, what comes is put behind it.
        gives = self.o.valid & self.o.ready
        stays = Signal(range(self.capacity + 1))
        kept = Signal.like(buffer)
        m.d.comb += [
            stays.eq(fill - Mux(gives, need, 0)),
            kept.eq(Mux(gives, Mux(last_out, buffer[rest_out * width:],
                                   buffer[self.size_out * width:]), buffer)),
        ]
        takes = self.i.valid & self.i.ready
        came = Mux(last_in, rest_in, self.size_in)
        word = Mux(last_in, self.i.payload[: rest_in * width], self.i.payload)
        step = gcd(self.size_in, rest_in, self.size_out, rest_out)
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
            moved = Signal(self.capacity * self.width, name=f"moved_{bit}")
            m.d.comb += moved.eq(Mux(elements[bit], word << (self.width << bit), word))
            word = moved
        return word
