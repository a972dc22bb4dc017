"""Repacks a stream of elements from words of one width to words of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import gcd, lcm

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Gearbox", "GearboxModel", "GearboxShape", "Position", "reached"]


@dataclass(frozen=True, kw_only=True)
class GearboxShape:
    """Words of ``size_in`` elements in, words of ``size_out`` elements out.

    On either side a word never spans two rows: a row of ``row_in`` (``row_out``) elements takes as
    many words as it needs and the last one is part empty. ``width``: bits of an element.
    ``burst``: words that are taken as soon as they are on offer, once the first of them has been:
    ``o.ready`` is low between bursts only.
    """

    width: int
    size_in: int
    row_in: int
    size_out: int
    row_out: int
    burst: int = 1

    def __post_init__(self):
        for name in ("width", "size_in", "row_in", "size_out", "row_out", "burst"):
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
        """Elements behind which no word comes: enough to accept and deliver a word in every cycle.
        A word comes while there are few others: no more than one that leaves in the same cycle and
        the start of the next; or, where words that come are larger than those that leave, one that
        leaves after it, whole though the last word of a row brings little."""
        short = max(0, self.size_out - self.rest_in)
        return self.size_in + self.size_out + min(self.size_in, self.size_out + short) - 1

    @property
    def unit(self) -> int:
        """The largest number of elements of which every word's elements are a multiple."""
        return gcd(self.rest_in, self.rest_out, *([self.size_in] if self.words_in > 1 else []),
                   *([self.size_out] if self.words_out > 1 else []))

    @property
    def period(self) -> int:
        """Words out after which rows and bursts begin together again."""
        return lcm(self.words_out, self.burst)

    @property
    def room(self) -> int:
        """Units behind which a word still comes."""
        return (self.capacity - self.size_in) // self.unit

    @property
    def most(self) -> int:
        """Elements that it ever holds: fewer than the capacity, where full words never meet."""
        return max(fill for fill, *_ in reached(self))

    @property
    def units(self) -> int:
        """Units that it ever holds."""
        return self.most // self.unit

    @property
    def before(self) -> int:
        """Units that stay, at most, when a word comes."""
        return max(stays for state in reached(self)
                   for stays, takes, _ in _moves(self, *state) if takes) // self.unit


@cache
def reached(shape: GearboxShape) -> frozenset[tuple[int, int, int]]:
    """What can be in a gearbox: elements, words of the row that have come, and words of the period
    that have left."""
    found = {(0, 0, 0)}
    stack = [*found]
    while stack:
        for _, _, state in _moves(shape, *stack.pop()):
            if state not in found:
                found.add(state)
                stack.append(state)
    return frozenset(found)


def _moves(s: GearboxShape, fill: int, word_in: int, word_out: int
           ) -> Iterator[tuple[int, bool, tuple[int, int, int]]]:
    """What can happen in a cycle: the elements that stay, whether a word comes, and the state that
    follows."""
    need = s.rest_out if (word_out + 1) % s.words_out == 0 else s.size_out
    comes = s.rest_in if word_in + 1 == s.words_in else s.size_in
    for gives in {fill >= need, fill >= need and word_out % s.burst != 0}:
        stays, after = fill - need * gives, (word_out + gives) % s.period
        yield stays, False, (stays, word_in, after)
        if fill + s.size_in <= s.capacity:
            yield stays, True, (stays + comes, (word_in + 1) % s.words_in, after)


class GearboxModel:
    """A gearbox without data, for the plan: it accepts and delivers words in the same cycles."""

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


@dataclass(frozen=True)
class Position:
    """Counts words round and round: ``word`` of ``count``, on with every ``moves``. Whether it is
    the ``last`` and whether the next one is are registers: no logic is behind the count."""

    word: Value
    last: Value
    next_last: Value

    @classmethod
    def counted(cls, m: Module, name: str, count: int, moves: Value) -> Position:
        """The counter, in ``m``."""
        if count == 1:
            return cls(Const(0, 1), Const(1, 1), Const(1, 1))
        last = Signal(name=f"{name}_last")
        if count == 2:
            with m.If(moves):
                m.d.sync += last.eq(~last)
            return cls(last, last, ~last)
        word = Signal(range(count), name=name)
        next_last = Signal(name=f"{name}_next_last")
        with m.If(moves):
            m.d.sync += [
                word.eq(Mux(last, 0, word + 1)),
                last.eq(next_last),
                next_last.eq(word == count - 3),
            ]
        return cls(word, last, next_last)


def _exceeds(count: Value, n: int) -> Value:
    """``count > n`` without a carry chain."""
    out = Const(0, 1)
    for bit in range(len(count)):
        out = count[bit] & out if n >> bit & 1 else count[bit] | out
    return out


class Gearbox(wiring.Component):
    """The same elements in the same order in other words.

    Full rate on the slower side (but for a cycle or two where both sides have about as many words a
    row); a word can leave the cycle after its last element came
    (:attr:`latency`). Empty elements are zeros on the way out and ignored on the way in.

    Members
    -------
    i, o: streams of ``size * width`` bits, element 0 in the low bits.
    i_last, o_last: Out, the word that comes (leaves) next is the last of its row.
    """

    latency = 1

    def __init__(self, shape: GearboxShape):
        self.shape = shape
        super().__init__({
            "i": In(stream.Signature(shape.size_in * shape.width)),
            "o": Out(stream.Signature(shape.size_out * shape.width)),
            "i_last": Out(1),
            "o_last": Out(1),
        })

    def elaborate(self, platform):
        s = self.shape
        m = Module()
        unit, top = s.unit, s.units  # all counts are in units
        full_in, rest_in = s.size_in // unit, s.rest_in // unit
        full_out, rest_out = s.size_out // unit, s.rest_out // unit

        # Each is one sum away from the next, so nothing is compared before: `behind` is what the
        # next word leaves behind when it leaves, negative while it is not whole.
        fill = Signal(range(top + 1))
        behind = Signal(range(-max(full_out, rest_out), top + 1),
                        init=-(full_out if s.words_out > 1 else rest_out))
        fits = Signal(init=1)
        takes = Signal()
        gives = Signal()
        came = Position.counted(m, "in_word", s.words_in, takes)
        left = Position.counted(m, "out_word", s.words_out, gives)
        stays = Signal.like(fill)
        m.d.comb += [
            self.i_last.eq(came.last),
            self.o_last.eq(left.last),
            self.i.ready.eq(fits),
            self.o.valid.eq(behind >= 0),
            takes.eq(self.i.valid & self.i.ready),
            gives.eq(self.o.valid & self.o.ready),
            stays.eq(Mux(gives, behind, fill)),
        ]

        def comes(less: int) -> Value:
            """The units that come, less a number: a choice of constants."""
            return Mux(takes, Mux(came.last, rest_in - less, full_in - less), -less)

        m.d.sync += [
            fill.eq(stays + comes(0)),
            behind.eq(stays + Mux(Mux(gives, left.next_last, left.last),
                                  comes(rest_out), comes(full_out))),
            fits.eq((stays + comes(s.room + 1))[-1]),
        ]

        # Units that stay move down, and the new word goes behind them. Units above the fill are
        # undefined, so the shift of the word may put anything below and above it: a multiplexer
        # is needed only where two of its places overlap.
        word = unit * s.width
        buffer = Signal(top * word, reset_less=True)
        down = Signal.like(buffer)
        head = buffer[: s.size_out * s.width]
        m.d.comb += [
            self.o.payload.eq(Mux(left.last, head[: s.rest_out * s.width], head)),
            down.eq(Mux(gives, Mux(left.last, buffer[s.rest_out * s.width:],
                                   buffer[s.size_out * s.width:]), buffer)),
        ]
        put = self.i.payload if s.words_in > 1 else self.i.payload[: s.rest_in * s.width]
        for bit in range(s.before.bit_length()):
            move = word << bit
            moved = Signal(len(put) + move, name=f"moved_{bit}")
            m.d.comb += [moved[:len(put)].eq(put), moved[move:].eq(put)]
            if move < len(put):
                m.d.comb += moved[move:len(put)].eq(Mux(stays[bit], put[:-move], put[move:]))
            put = moved
        for n in range(top):
            place = slice(n * word, (n + 1) * word)
            m.d.sync += buffer[place].eq(Mux(_exceeds(stays, n), down[place], put[place]))
        return m
