"""How dies share an op: who makes which elements, which chunks they meet, and what it costs."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.plan.dies import columns, spread
from gatefold.gen.plan.layout import Storage, cut
from gatefold.gen.plan.rows import fold
from gatefold.hdl.dies import borders, place, sources, to_farthest

SIZES = [1, 2, 3, 7, 12, 13, 24, 60]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("dies", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_chunk_n_is_made_by_die_n_modulo_dies_and_one_that_is_alone_by_all(size, dies, rows):
    pe, simd = 24, 3
    laid = spread(size, rows, pe, simd, dies)
    assert laid.rows.shape == (len(laid.groups), pe)
    held = laid.rows.reshape(len(laid.groups), dies, pe // dies)
    chunk, last = np.arange(size) // simd, (size - 1) // simd
    for die in range(dies):
        mine = np.flatnonzero((chunk % dies == die) | ((chunk == last) & (last % dies == 0)))
        want = np.sort((mine[:, None] * rows + np.arange(rows)).ravel())
        np.testing.assert_array_equal(np.sort(held[:, die][held[:, die] >= 0]), want)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("size", SIZES)
def test_one_die_folds_as_ever(size, rows):
    one, folded = spread(size, rows, 16, 3, 1), fold(size, rows, 16, 3)
    assert one.groups == folded.groups
    np.testing.assert_array_equal(one.rows, folded.rows)


# elements, lanes, dies; tiles of whole words and of a chunk that is alone; of banks of a last word
TILES = [(12, 2, 2, 6, 0), (12, 2, 3, 6, 0), (10, 2, 3, 3, 2), (7, 2, 3, 4, 0), (2, 2, 3, 1, 0),
         (9, 4, 2, 3, 0), (3, 2, 3, 0, 2), (8, 2, 1, 4, 0)]


@pytest.mark.parametrize(("size", "simd", "dies", "relative", "absolute"), TILES)
def test_a_vector_takes_as_many_tiles_as_it_has_chunks(size, simd, dies, relative, absolute):
    storage = Storage(simd, dies)
    vector = storage.result(0, 1, size, 0, 1)[0]
    numbers, lanes = cut(vector, simd)
    found = columns([storage.chunks[n] for n in numbers], lanes, dies)
    best = [ways[1] if ways[1] and len(ways[1]) < len(ways[0]) else ways[0] for ways in found]
    tiles = [tile for way in best for tile in way]
    assert [tile.absolute for tile in tiles] == [False] * relative + [True] * absolute
    for die in range(dies):  # each meets every column once, its own chunks with bank 0
        met = np.concatenate([tile.lanes[die] for tile in tiles])
        np.testing.assert_array_equal(np.sort(met[met >= 0]), np.arange(size))
        own = np.concatenate([tile.lanes[die] for tile in tiles
                              if not tile.absolute and tile.bank == 0] or [[-1]])
        assert all(chunk % dies == die or chunk == (size - 1) // simd
                   for chunk in (own[own >= 0] // simd).tolist())


def test_an_input_chunk_is_there_on_every_die():
    storage = Storage(3, 2)
    vector = storage.input_rows(1, 7, np.zeros((1, 7), int))[0]
    numbers, lanes = cut(vector, 3)
    found = columns([storage.chunks[n] for n in numbers], lanes, 2)
    assert [(len(relative), len(absolute)) for relative, absolute in found] == [(1, 0)] * 3
    np.testing.assert_array_equal(found[2][0][0].lanes, [[6, -1, -1]] * 2)


@pytest.mark.parametrize("cross", [2, 3, 4])
@pytest.mark.parametrize(("dies", "units", "borders"), [
    (2, 8, 1),  # a chunk on each die: the other's passes a border
    (3, 12, 2),  # that of the die at the other end passes two
    (3, 8, 1),  # the hub's and a neighbour's; the third die makes none and reads none
    (3, 4, 0),  # one chunk, which all dies make
])
def test_only_the_chunks_that_travel_come_later(cross, dies, units, borders):
    # One step waits for the last one: a tail, and the way from the farthest die. Outputs wait for
    # the way of the tiles, and of those that all dies make none waits for the way back.
    qnet = quantize(initialise(units=units, features=1, timesteps=9, layers=1, dense=None))
    one, far = (make_plan(qnet, Array(pe=32 * dies, simd=4, dies=dies, cross=n))
                for n in (2, cross))
    ways = 2 if units > 4 else 1
    assert far.latencies.tail == one.latencies.tail
    assert far.latencies.output == one.latencies.output + ways * (cross - 2)
    assert far.cycles.latency == one.cycles.latency + (8 * borders + ways) * (cross - 2)
    assert far.bounds.chain == one.bounds.chain + (8 * borders + ways) * (cross - 2)


def test_the_hub_is_in_the_middle_and_neighbours_come_first():
    assert [place(die, 3) for die in range(3)] == [1, 0, 2]
    assert [to_farthest(dies) for dies in (1, 2, 3, 4)] == [0, 1, 1, 2]
    for dies in range(1, 5):
        assert sorted(place(die, dies) for die in range(dies)) == list(range(dies))
        for die in range(dies):
            ways = [borders(die, other, dies) for other in sources(die, dies)]
            assert ways[0] == 0 and ways == sorted(ways)


@pytest.mark.parametrize(("array", "message"), [
    ({"pe": 20, "dies": 2, "cross": 2},
     r"pe must be a multiple of 8 \(one row a gate on each of 2 dies\), not 20"),
    ({"pe": 24, "dies": 2, "cross": 1},
     r"cross must be at least 2 registers from die to die \(one that sends, one that receives\), "
     "not 1"),
    ({"pe": 24, "dies": 0}, "dies must be a positive number, not 0")])
def test_arrays_that_no_dies_can_share(array, message):
    with pytest.raises(UserError, match=message):
        Array(simd=2, **array)
