"""Gearbox: elements leave in the order in which they came, none lost or doubled, for ever."""

from typing import Any

import pytest
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal

from gatefold.hdl import gearbox
from gatefold.hdl.gearbox import GearboxShape, reached
from tests.hdl.test_gearbox import SHAPES
from tests.support.formal import (
    Together,
    assume,
    claim,
    free,
    inside,
    planted,
    prove,
    refute,
    started,
)

WIDTH = 2  # of an element; the gearbox looks at none


def counter(m: Module, name: str, count: int, moves) -> Signal:
    """Counts 0 to ``count - 1`` round and round, on with ``moves``."""
    value = Signal(range(max(2, count)), name=name)
    with m.If(moves):
        m.d.sync += value.eq(Mux(value == count - 1, 0, value + 1))
    return value


def position(m: Module, name: str, count: int, value: Signal, find, prefix: str) -> None:
    """The registers of a Position say what ``value`` says."""
    if count > 1:
        claim(m, f"{name} last", find(f"{prefix}_last") == (value == count - 1))
    if count > 2:
        claim(m, name, (find(prefix) == value)
              & (find(f"{prefix}_next_last") == (value == count - 2)))


def gearbox_claims(m: Module, s: GearboxShape, box: Any, find, path: str = "") -> tuple:
    """Claim of the gearbox ``box``, whose signals are at ``path`` of ``find``, that it is a queue
    of elements; returns how many are in it, which word of a row comes next and which one of a
    period leaves."""
    fill = Signal(range(s.capacity + 1), name="ghost_fill")
    takes, gives = box.i.valid & box.i.ready, box.o.valid & box.o.ready
    word_in = counter(m, "ghost_in", s.words_in, takes)
    word_out = counter(m, "ghost_out", s.words_out, gives)
    period = counter(m, "ghost_period", s.period, gives)
    comes = Mux(word_in == s.words_in - 1, s.rest_in, s.size_in)
    leaves = Mux(word_out == s.words_out - 1, s.rest_out, s.size_out)
    stays = Signal.like(fill, name="ghost_stays")
    m.d.comb += stays.eq(fill - Mux(gives, leaves, 0))
    m.d.sync += fill.eq(stays + Mux(takes, comes, 0))

    claim(m, "rows of words in", box.i_last == (word_in == s.words_in - 1))
    claim(m, "rows of words out", box.o_last == (word_out == s.words_out - 1))
    claim(m, "never overfull", fill <= s.most)
    claim(m, "reached", (word_out == period % s.words_out) & Cat(
        (fill == held) & (word_in == came) & (period == left)
        for held, came, left in sorted(reached(s))).any())
    claim(m, "a word is taken where there is room", box.i.ready == (fill + s.size_in <= s.capacity))
    claim(m, "a whole word is offered", box.o.valid == (fill >= leaves))
    claim(m, "something can move", box.i.ready | box.o.valid)
    if s.rest_out < s.size_out:
        claim(m, "padding is zero",
              ~box.o_last | (box.o.payload[s.rest_out * s.width:] == 0))

    held, payload = Signal(name="ghost_held"), Signal.like(box.o.payload, name="ghost_payload")
    m.d.sync += [held.eq(box.o.valid & ~box.o.ready), payload.eq(box.o.payload)]
    claim(m, "a word on offer stays", ~held | (box.o.valid & (box.o.payload == payload)))

    # Any element that comes: how many are ahead of it, and what it is.
    follows, ahead = Signal(name="ghost_follows"), Signal.like(fill, name="ghost_ahead")
    index = AnyConst(range(s.size_in))
    value = Signal(s.width, name="ghost_value")
    chosen = AnySeq(1)
    leaves_now = follows & (ahead < leaves)
    with m.If(follows & gives):
        m.d.sync += [ahead.eq(ahead - leaves), follows.eq(~leaves_now)]
    with m.If(~follows & takes & chosen & (index < comes)):
        m.d.sync += [follows.eq(1), ahead.eq(stays + index),
                     value.eq(box.i.payload.word_select(index, s.width))]
    claim(m, "order", ~(leaves_now & box.o.valid)
          | (box.o.payload.word_select(ahead, s.width) == value))

    # What the registers hold, for the induction.
    position(m, "words in", s.words_in, word_in, find, f"{path}in_word")
    position(m, "words out", s.words_out, word_out, find, f"{path}out_word")
    claim(m, "fill", find(f"{path}fill") * s.unit == fill)
    claim(m, "behind", find(f"{path}behind") * s.unit == fill - leaves)
    claim(m, "buffer", ~follows | ((ahead < fill) & (
        find(f"{path}buffer").word_select(ahead, s.width) == value)))
    return fill, word_in, period


class GearboxClaims(Elaboratable):
    """A gearbox of a shape (size_in, row_in, size_out, row_out), and in some a burst; ``source``:
    of module ``gearbox``."""

    def __init__(self, shape, source: Any = gearbox):
        size_in, row_in, size_out, row_out, *burst = shape
        self.shape = GearboxShape(width=WIDTH, size_in=size_in, row_in=row_in, size_out=size_out,
                                  row_out=row_out, burst=burst[0] if burst else 1)
        self.source = source

    def elaborate(self, platform):
        m = Module()
        started(m)
        box = self.source.Gearbox(self.shape)
        free(m, box)
        *_, word = gearbox_claims(m, self.shape, box, inside(m, "gearbox", box))
        assume(m, box.o.ready | (word % self.shape.burst == 0))
        return m


FAST = (4, 10, 3, 5)
#: And with words out that are taken without a pause.
BURSTS = [(8, 12, 3, 3, 4), (4, 10, 3, 5, 4), (2, 6, 3, 3, 2)]


def test_a_gearbox(tmp_path):
    prove(GearboxClaims(FAST), tmp_path)


@pytest.mark.formal
@pytest.mark.parametrize("first", range(3))
def test_gearboxes_of_every_kind(first, tmp_path):
    shapes = [*SHAPES, *BURSTS]
    prove(Together([GearboxClaims(shape) for shape in shapes[first::3]]), tmp_path)


#: claim: the correct text in hdl/gearbox.py, a mistake
MISTAKES = {
    "order": ("Mux(_exceeds(stays, n), down", "Mux(_exceeds(fill, n), down"),
    "padding is zero": ("Mux(left.last, head[: s.rest_out * s.width], head)", "head"),
    "never overfull": ("comes(s.room + 1))[-1]", "comes(s.room + 2))[-1]"),
    "a word on offer stays": ("stays.eq(Mux(gives, behind, fill))",
                              "stays.eq(Mux(self.o.valid, behind, fill))"),
    "a whole word is offered": ("fill = Signal(range(top + 1))",
                                "fill = Signal(range(top + 1), reset_less=True)"),
    "rows of words out": ("next_last.eq(word == count - 3)", "next_last.eq(word == count - 2)"),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_gearbox_mistakes_are_refuted(name, tmp_path):
    shape = (4, 10, 3, 13) if name == "rows of words out" else FAST
    refute(GearboxClaims(shape, planted(gearbox, *MISTAKES[name])), tmp_path, name)
