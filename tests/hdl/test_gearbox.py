"""Gearbox: the same elements in the same order, under every flow; its model cycle for cycle."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from gatefold.hdl.gearbox import Gearbox, GearboxModel, GearboxShape
from tests.support.hdl_harness import FLOW, draw, pack, run_stream, simulate, unpack

WIDTH = 5

# size_in, row_in, size_out, row_out
SHAPES = [
    (1, 1, 1, 1), (1, 7, 1, 7), (4, 4, 4, 4), (4, 12, 4, 12),     # the same words
    (1, 6, 3, 6), (3, 6, 1, 6), (8, 8, 1, 8), (1, 8, 8, 8),       # from and to single elements
    (4, 12, 3, 4), (3, 4, 4, 12), (4, 10, 3, 5), (3, 5, 4, 10),   # rows to a frame and back
    (8, 20, 3, 4), (5, 7, 2, 7), (2, 7, 5, 7), (16, 5, 3, 5),     # words larger than rows
    (4, 6, 4, 3), (4, 3, 4, 6), (3, 9, 5, 3), (7, 11, 2, 11), (8, 3, 1, 1),
]


def words_of(elements, size, row):
    """Rows of elements as padded words: (words, size)."""
    rows = np.asarray(elements).reshape(-1, row)
    count = -(-row // size)
    padded = np.zeros((len(rows), count * size), np.int64)
    padded[:, :row] = rows
    return padded.reshape(-1, size)


def frames(shape, rng, least=60):
    """Elements of several whole rows on either side."""
    size_in, row_in, size_out, row_out = shape
    period = int(np.lcm(row_in, row_out))
    return draw(rng, WIDTH, period * -(-least // period))


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_order_padding_and_model(shape, flow):
    size_in, row_in, size_out, row_out = shape
    gearbox = GearboxShape(width=WIDTH, size_in=size_in, row_in=row_in, size_out=size_out,
                           row_out=row_out)
    rng = np.random.default_rng(sum(shape))
    elements = frames(shape, rng)
    words_in = words_of(elements, size_in, row_in)
    padding = words_of(np.ones_like(elements), size_in, row_in) == 0
    words_in[padding] = draw(rng, WIDTH, int(padding.sum()))  # empty elements may be anything
    want = [pack(word, WIDTH) for word in words_of(elements, size_out, row_out)]
    model = GearboxModel(gearbox)

    def every_cycle(came, left, offered, taken):
        assert model.step(bool(offered), bool(taken)) == (bool(came), bool(left))

    got = run_stream(Gearbox(gearbox), [pack(word, WIDTH) for word in words_in], flow=flow,
                     count=len(want), every_cycle=every_cycle)
    assert got == want


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_full_rate_on_the_slower_side(shape):
    # The side with more words a frame never waits, once its first word has moved.
    size_in, row_in, size_out, row_out = shape
    gearbox = GearboxShape(width=1, size_in=size_in, row_in=row_in, size_out=size_out,
                           row_out=row_out)
    period = int(np.lcm(row_in, row_out))
    words_in = gearbox.words_in * period // row_in
    words_out = gearbox.words_out * period // row_out
    model, came, left = GearboxModel(gearbox), [], []
    for cycle in range(40 * max(words_in, words_out)):
        takes, gives = model.step(True, True)
        came += [cycle] * takes
        left += [cycle] * gives
    moved, words = (left, words_out) if words_out > words_in else (came, words_in)
    rate = Fraction(moved[-1] - moved[-1 - 8 * words], 8 * words)
    assert rate == 1, f"{rate} cycles a word"


@pytest.mark.parametrize("shape", [(4, 4, 4, 4), (4, 12, 3, 4), (8, 8, 1, 8)], ids=str)
def test_a_word_leaves_the_cycle_after_its_last_element_came(shape):
    size_in, row_in, size_out, row_out = shape
    model = GearboxModel(GearboxShape(width=1, size_in=size_in, row_in=row_in, size_out=size_out,
                                      row_out=row_out))
    (came, early), (_, left) = (model.step(True, True) for _ in range(2))
    assert came and not early and left
    assert Gearbox.latency == 1


@pytest.mark.parametrize("name", ["width", "size_in", "row_in", "size_out", "row_out"])
def test_sizes_are_positive(name):
    sizes = dict.fromkeys(["width", "size_in", "row_in", "size_out", "row_out"], 1)
    with pytest.raises(ValueError, match=f"Gearbox {name} must be at least 1, not 0"):
        GearboxShape(**(sizes | {name: 0}))


@pytest.mark.parametrize("cycle", range(1, 9))
def test_a_reset_leaves_nothing_behind(cycle):
    shape = GearboxShape(width=WIDTH, size_in=4, row_in=4, size_out=3, row_out=12)
    box: Any = Gearbox(shape)
    reset, got = Signal(), []

    async def bench(ctx):
        ctx.set(box.i.valid, 1)
        ctx.set(box.i.payload, pack([-1] * 4, WIDTH))
        ctx.set(box.o.ready, 1)
        await ctx.tick().repeat(cycle)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for n in range(4):
            ctx.set(box.i.payload, pack(range(4 * n, 4 * n + 4), WIDTH))
            ctx.set(box.i.valid, n < 3)
            _, _, valid, word = await ctx.tick().sample(box.o.valid, box.o.payload)
            got.extend(unpack(word, WIDTH, 3) if valid else [])

    simulate(ResetInserter(reset)(box), bench)
    assert got == list(range(9))


def test_sizes_of_rows():
    shape = GearboxShape(width=8, size_in=4, row_in=10, size_out=3, row_out=5)
    assert (shape.words_in, shape.rest_in, shape.words_out, shape.rest_out) == (3, 2, 2, 2)
    assert shape.capacity == 3 + 2 * 4 - 1
    assert all(a <= b for a, b in pairwise([shape.rest_in, shape.size_in, shape.capacity]))
