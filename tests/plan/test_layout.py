"""Rows on the array and vectors in memory: every row once, every element in its place."""

import doctest

import numpy as np
import pytest

from gatefold.gen.numbers.quantized import QView
from gatefold.gen.plan import Array, layout, make_plan
from gatefold.gen.plan.images import image_widths, pack_words
from gatefold.gen.plan.layout import NOWHERE, Ring, Storage, cut
from gatefold.gen.plan.lower import lower
from gatefold.gen.plan.rows import fold, list_routes
from tests.support.hdl_harness import pack
from tests.support.networks import NETWORKS, quantized

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 33]
ARRAYS = [(4, 1), (4, 5), (8, 2), (8, 3), (12, 4), (20, 3), (32, 4), (16, 7), (64, 16)]


@pytest.mark.parametrize("per", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_a_fold_fills_group_after_group_with_the_rows_of_its_elements(per, size):
    for pe, simd in ARRAYS:
        laid, slots = fold(size, per, pe, simd), pe // per
        assert laid.rows.shape == (len(laid.groups), pe) == (-(-size // slots), pe)
        slots = laid.rows[:, :slots * per].reshape(-1, per)
        np.testing.assert_array_equal(slots[:size], np.arange(size * per).reshape(-1, per))
        assert (slots[size:] == -1).all() and (laid.rows[:, pe // per * per:] == -1).all()


@pytest.mark.parametrize("per", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_the_beats_of_a_fold_write_every_element_to_its_lane(per, size):
    # Followed by hand from routes and lanes to (beat, lane); a chunk is `parts` beats.
    for pe, simd, parts in [*((*array, 1) for array in ARRAYS), (8, 2, 2), (12, 4, 2), (32, 4, 4),
                            (64, 16, 4)]:
        lanes = simd // parts
        laid = fold(size, per, pe, simd, parts)
        routes, first = list_routes([fold(5, 4, pe, simd, parts), laid], lanes)
        where, complete = {}, []
        for group, rows in zip(laid.groups, laid.rows, strict=True):
            for beat in range(group.beats):
                rows_of_element, slot = routes[first[per, group.rotation] + beat]
                assert rows_of_element == per
                for lane in range(lanes):
                    if 0 <= slot + lane < pe // per:
                        row = rows[per * (slot + lane)]
                        if row >= 0:
                            assert row // per not in where
                            where[row // per] = (group.first + beat, lane)
            *inner, last = range(group.first, group.first + group.beats)
            complete += [beat // parts for beat in inner if beat % parts == parts - 1]
            complete += [last // parts] * group.complete
        assert where == {n: divmod(n, lanes) for n in range(size)}
        assert complete == list(range(-(-size // simd)))


def test_routes_are_those_that_beats_take():
    # 5 units of four rows on 12 rows: slots 0..2 to lanes 0..2, slots 0 and 1 to lanes 1 and 2;
    # 7 elements of one row: rows 0..2, 3..5, 6..8
    folds = [fold(5, 4, 12, 3), fold(7, 1, 12, 3), fold(2, 1, 12, 3)]
    assert list_routes(folds, 3) == (((1, 0), (1, 3), (1, 6), (4, 0)), {(1, 0): 0, (4, 0): 3})
    assert list_routes([fold(5, 4, 8, 3)], 3)[0] == ((4, 0), (4, -1), (4, -2), (4, 1))


# ---- memories ------------------------------------------------------------------------------------

# network, simd, words of h memory: all steps of a sequence, else two steps; none for results that
# only leave; two more for a GRU's q; for a stateful layer the last h beside the new one
DEPTHS = [("lstm-dense", 3, 2 * 2), ("last h", 2, 2 * 2), ("every h", 5, 2 * 1),
          ("stack", 2, 4 * 2 + 4 * 2 + 2 * 3), ("autoencoder", 3, 4 * 2 + 2 * 1 + 4 * 1 + 4 * 2),
          ("flatten", 4, 3 * 1 + 2 + 1), ("dense over time", 4, 3 * 1 + 3 * 2 + 3 * 1),
          ("dense only", 4, 2), ("dense per step", 1, 0), ("one timestep", 3, 1 * 2 + 1),
          ("gru reset before", 3, (2 * 2 + 4 * 2) + (2 * 1 + 2 * 1)),
          ("stateful lstm", 3, 2 * 2 + 2 * 1), ("stateful rnn", 2, 3 * 2 + 2 * 2),
          ("bidirectional", 2, 2 * (4 * 1) + 2 * 2)]


@pytest.mark.parametrize(("name", "simd", "depth"), DEPTHS)
def test_h_memory_depth(name, simd, depth):
    assert lower(quantized(name), 8, simd).storage.h_depth == depth


@pytest.mark.parametrize("simd", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_element_of_a_value_has_one_place(name, simd):
    qnet = quantized(name)
    lowered = lower(qnet, 16, simd)
    chunks = lowered.storage.chunks
    for value, (addresses, shape) in enumerate(zip(lowered.values, qnet.shapes, strict=True)):
        assert addresses.shape == shape
        there = addresses[addresses >= 0]
        layer = qnet.layers[value - len(qnet.input_shapes)] if value >= len(qnet.input_shapes) \
            else None
        if not isinstance(layer, QView):  # a view may repeat elements and leave some out
            assert len(np.unique(there)) == addresses.size
        for address in there.ravel():
            chunk, lane = chunks[address // simd], address % simd
            assert chunk.size <= simd and chunk.from_x == (chunk.origin[0] < 0)
            assert chunk.from_x or lane < chunk.size
            assert chunk.frac in qnet.fracs[value]
    # No two ops share a word; steps of one op do, in turns, each index its own.
    words = {}
    for chunk in chunks:
        if not chunk.from_x and chunk.address >= 0:
            op, _, index = chunk.origin
            assert 0 <= chunk.address < lowered.storage.h_depth
            assert words.setdefault(chunk.address, (op, index)) == (op, index)


@pytest.mark.parametrize("simd", [1, 2, 3, 8])
def test_results_are_kept_in_turns(simd):
    storage = Storage(simd)
    storage.result(0, steps=1, size=simd, frac=0, kept=1)
    addresses = storage.result(1, steps=5, size=7, frac=3, kept=2)
    words = -(-7 // simd)
    found = [[storage.chunks[number].address for number in np.unique(step // simd)]
             for step in addresses]
    assert found == [list(range(1 + t % 2 * words, 1 + (t % 2 + 1) * words)) for t in range(5)]
    assert storage.h_depth == 1 + 2 * words


def test_results_that_only_leave_have_no_address():
    storage = Storage(3)
    addresses = storage.result(0, steps=2, size=4, frac=0, kept=0)
    assert {chunk.address for chunk in storage.chunks} == {-1} and storage.h_depth == 0
    assert len(np.unique(addresses)) == 8  # but each is something of its own


def test_a_word_of_several_formats_is_a_chunk_for_each():
    storage = Storage(4)
    addresses = storage.input_rows(1, 6, np.array([[3, 5, 3, 5, 5, 5]]))[0]
    assert [(c.address, c.frac, c.size) for c in storage.chunks] == [(0, 3, 2), (0, 5, 2),
                                                                     (1, 5, 2)]
    assert [divmod(int(a), 4) for a in addresses] == [(0, 0), (1, 1), (0, 2), (1, 3), (2, 0),
                                                      (2, 1)]


def test_words_of_a_state_change_places():
    storage = Storage(2, rings=[Ring(4, 3, 2)])
    assert [storage.moved(n, 1) for n in range(3, 11)] == [3, 7, 8, 9, 4, 5, 6, 10]
    assert all(storage.moved(storage.moved(n, 1), 1) == n for n in range(12))


def test_the_worked_example_of_addresses():
    failed, tried = doctest.testmod(layout)
    assert tried and not failed, "the docstring of gen/plan/layout.py shows what is not so"


# addresses of a vector, chunks that it lies in, what each of their two lanes holds
CUTS = [([], [], []),
        ([0, 1, 2, 3], [0, 1], [[0, 1], [2, 3]]),
        ([3, 2, 1, 0], [0, 1], [[3, 2], [1, 0]]),
        ([5, NOWHERE, 8], [2, 4], [[-1, 0], [2, -1]]),
        ([6, 6, 7], [3, 3], [[0, 2], [1, -1]]),
        ([NOWHERE, NOWHERE], [], [])]


@pytest.mark.parametrize(("addresses", "chunks", "lanes"), CUTS, ids=str)
def test_a_vector_is_cut_into_chunks(addresses, chunks, lanes):
    numbers, held = cut(np.array(addresses, np.int64), 2)
    assert (numbers.tolist(), held.tolist()) == (chunks, lanes)


@pytest.mark.parametrize("width", [1, 4, 7, 16, 18, 48])
def test_pack_words(width):
    rng = np.random.default_rng(width)
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (20, 5))
    assert pack_words(values, width) == [pack(row, width) for row in values]


@pytest.mark.parametrize("name", NETWORKS)
def test_images_fit_their_memories(name):
    plan = make_plan(quantized(name), Array(pe=8, simd=3))
    images, widths, c = plan.images(), image_widths(plan.config), plan.config
    assert set(images) == set(widths)
    for image, words in images.items():
        assert all(0 <= word < 1 << widths[image] for word in words), image
    depths = {image: len(words) for image, words in images.items()}
    assert {depths[f"weights_{row:03d}"] for row in range(c.pe)} == {c.weight_depth}
    assert (depths["bias_00"], depths["program"], depths["segments"]) == (
        c.bias_depth, c.program_depth, c.segments)
