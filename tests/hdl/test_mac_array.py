"""MacArray and its rows: tiles from a bias or parked sums, with bubbles, against NumPy."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import PIPELINES, bits_for
from gatefold.hdl.interfaces import FINISH_LEAD, finished_rows
from gatefold.hdl.isa import Start, Stop, finish_layout, pack, tile_layout
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.mac_pair import MacPair, borrowed
from gatefold.hdl.mac_row import MacRow, first_sums
from gatefold.hdl.operand_memory import OperandMemory
from tests.support.hdl_harness import draw, record, small
from tests.support.hdl_harness import pack as pack_word

#: Ways to keep sums: only that, or finishing them as well.
ENDS = (Stop.PARK, Stop.PARK | Stop.FINISH)
PARK_DISTANCE = 3  # issues from a tile that parks to the first that starts from it
WEIGHT_WORDS, BIAS_WORDS, PARK_WORDS = 8, 4, 4

pipelines = pytest.mark.parametrize("pipeline", PIPELINES)
#: Rows of every depth: a full pipeline, the same with all products in cascades, a short one.
ROWS = {"full": {}, "cascade": {"cascade": True}, "short": {"pipeline": "short"}}
rows = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def engine(pe, simd, aligns=(0,), width=8, **changes):
    return small(pe=pe, simd=simd, aligns=aligns, weight_width=width, act_width=width,
                 container=32, acc_width=2 * width + 10 + max(aligns), bias_depth=BIAS_WORDS,
                 park_depth=PARK_WORDS, **{"weight_depth": WEIGHT_WORDS, **changes})


class Bench(wiring.Component):
    """The array with tiles as integers, and operands that follow their tile by themselves."""

    def __init__(self, config, images):
        self.array = MacArray(config, images)
        self.config = config
        super().__init__({
            "tile_valid": In(1), "tile": In(tile_layout(config).size),
            "next_weight": In(bits_for(config.weight_depth)),
            "operands": In(data.ArrayLayout(signed(config.act_width), config.simd)),
            "finish": Out(finish_layout(config).size), "rows": Out(finished_rows(config))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = self.array
        array: Any = self.array
        ports: Any = self
        late = delay(m, "operands", ports.operands.as_value(), OperandMemory.latency(self.config))
        m.d.comb += [array.tile.valid.eq(ports.tile_valid),
                     array.tile.word.as_value().eq(ports.tile),
                     array.operands.as_value().eq(late[-1]),
                     ports.finish.eq(array.rows.finish.as_value())]
        if not self.config.reach:
            m.d.comb += array.tile.next_weight.eq(ports.next_weight)
        wiring.connect(m, array.rows, wiring.flipped(ports.rows))
        return m


def random_jobs(rng, config, tiles):
    """Instructions in the order of issue: jobs, some parked once or twice and resumed later."""
    order, parked = [], []
    while len(order) < tiles or parked:
        resume = parked and (rng.random() < 0.5 or len(parked) == PARK_WORDS)
        if resume:
            word = parked.pop(int(rng.integers(len(parked))))
            start, init = Start.PARKED, word
        else:
            start, init = Start.BIAS, int(rng.integers(BIAS_WORDS))
        length = int(rng.integers(1, 5))
        for n in range(length):
            stop, park = Stop.GO_ON, 0
            if n == length - 1:
                stop = Stop.FINISH
                free = [word for word in range(PARK_WORDS) if word not in parked]
                if free and rng.random() < 0.4 and len(order) < tiles:
                    stop, park = ENDS[int(rng.integers(2))], int(rng.choice(free))
                    parked.append(park)
            order.append({"weight": int(rng.integers(WEIGHT_WORDS)),
                          "align": int(rng.integers(len(config.aligns))),
                          "start": start if n == 0 else Start.GO_ON, "init": init if n == 0 else 0,
                          "stop": stop, "park": park, "cell": int(rng.integers(4))})
    return order


def packed(config, tile):
    fields = {name: 0 for name, _ in tile_layout(config)} | tile
    finish = {name: 0 for name, _ in finish_layout(config)} | {"cell": fields.pop("cell")}
    return pack(tile_layout(config), fields | {"finish": finish})


def issue_times(rng, order, bubbles):
    """Cycles of issue: never before parked sums are there, with random bubbles or none."""
    times, ready, now = [], {}, 0
    for tile in order:
        if tile["start"] is Start.PARKED:
            now = max(now, ready[tile["init"]])
        if rng.random() < bubbles:
            now += int(rng.integers(1, 12))
        times.append(now)
        if tile["stop"] & Stop.PARK:
            ready[tile["park"]] = now + PARK_DISTANCE
        now += 1
    return times


def drawn(rng, config, width, shape):
    """Signed integers; where rows share slices, the lowest does not occur."""
    return np.maximum(draw(rng, width, shape), config.packed - (1 << width - 1))


def check(config, order, times, seed=0, weights=None, bias=None, operands=None):
    """Run the tiles and compare each finish: cycle, instruction and every row's sum."""
    rng = np.random.default_rng(seed)
    shape = (WEIGHT_WORDS, config.pe, config.simd)
    if weights is None:
        weights = drawn(rng, config, config.weight_width, shape)
    if bias is None:
        bias = draw(rng, config.acc_width - 4, (BIAS_WORDS, config.pe))
    if operands is None:
        operands = drawn(rng, config, config.act_width, (len(order), config.simd))
    stored = weights.copy()
    if config.packed:
        stored[:, 1::2] = borrowed(weights[:, ::2], weights[:, 1::2])
    images = {f"weights_{row:03d}": [pack_word(stored[n, row], config.weight_width)
                                     for n in range(WEIGHT_WORDS)] for row in range(config.pe)}
    images |= {f"bias_{n:02d}": [pack_word(word[rows.start:rows.stop], config.acc_width)
                                 for word in bias] for n, rows in enumerate(config.regions)}

    latency = MacArray.latency(config)
    times = [1 + time for time in times]  # the first weight address comes a cycle early
    length = times[-1] + latency + 1
    valid = np.zeros(length, int)
    words = [0] * length
    values = drawn(rng, config, config.act_width, (length, config.simd))  # noise between tiles
    for n, at in enumerate(times):
        valid[at], words[at], values[at] = 1, packed(config, order[n]), operands[n]
    weight = tile_layout(config)["weight"]
    following = [word >> weight.offset & (1 << weight.width) - 1 for word in (*words[1:], 0)]
    rows = [f"rows.acc[{row}]" for row in range(config.pe)]
    seen = record(Bench(config, images),
                  {"tile_valid": valid, "tile": words, "next_weight": following,
                   "operands": values},
                  ["rows.valid", "finish", *rows])

    acc, park, want = np.zeros(config.pe, np.int64), {}, []
    for n, tile in enumerate(order):
        if tile["start"] is not Start.GO_ON:
            acc = park[tile["init"]] if tile["start"] is Start.PARKED else bias[tile["init"]]
        acc = acc + ((weights[tile["weight"]] @ operands[n]) << config.aligns[tile["align"]])
        if tile["stop"] & Stop.PARK:
            park[tile["park"]] = acc
        if tile["stop"] & Stop.FINISH:
            want.append((times[n] + latency, tile["cell"], acc))
    at = np.flatnonzero(seen["rows.valid"]) + FINISH_LEAD
    np.testing.assert_array_equal(at, [cycle for cycle, _, _ in want])
    offset = finish_layout(config)["cell"].offset
    assert [int(word) >> offset & 3 for word in seen["finish"][at - FINISH_LEAD]] == [
        cell for _, cell, _ in want]
    np.testing.assert_array_equal(np.stack([seen[row][at] for row in rows], axis=1),
                                  [acc for _, _, acc in want])


# pe, simd, aligns, tiles
ARRAYS = [(4, 1, (0,), 150), (4, 3, (0,), 150), (8, 5, (0, 3), 120), (4, 16, (0,), 60),
          (4, 7, (0, 2), 80), (4, 20, (1,), 40), (12, 2, (0, 1, 6), 100), (4, 4, (2,), 100)]


@pytest.mark.parametrize("bubbles", [0.0, 0.3], ids=["dense", "bubbles"])
@pytest.mark.parametrize(("pe", "simd", "aligns", "tiles"), ARRAYS)
@rows
def test_random_tiles(pe, simd, aligns, tiles, bubbles, row):
    config = engine(pe, simd, aligns, **row)
    rng = np.random.default_rng(pe * simd)
    order = random_jobs(rng, config, tiles)
    assert {tile["stop"] for tile in order} == {Stop.GO_ON, Stop.FINISH, *ENDS}
    check(config, order, issue_times(rng, order, bubbles))


@pytest.mark.parametrize("lut_rows", [0, 2, 4])
def test_words_from_luts_and_from_blocks_meet_the_same_operands(lut_rows):
    config = engine(4, 3, weight_depth=80, lut_rows=lut_rows)
    order = random_jobs(np.random.default_rng(0), config, 60)
    check(config, order, issue_times(np.random.default_rng(1), order, 0.2))


# Rows of one region, of one and a quarter, of two and a quarter; weights in blocks, LUTs and both
@pytest.mark.parametrize("reach", range(4))
@pytest.mark.parametrize("pe", [4, 20, 36])
@rows
def test_rows_in_regions_at_every_distance(pe, reach, row):
    config = engine(pe, 3, (0, 2), reach=reach, weight_depth=80, lut_rows=pe // 2, **row)
    rng = np.random.default_rng(pe + reach)
    order = random_jobs(rng, config, 50)
    check(config, order, issue_times(rng, order, 0.2))


@pytest.mark.parametrize("width", [4, 18])
@rows
def test_widths(width, row):
    config = engine(4, 3, (0, 2), width, **row)
    rng = np.random.default_rng(width)
    order = random_jobs(rng, config, 60)
    check(config, order, issue_times(rng, order, 0.2))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("simd", [1, 2, 3, 5, 13])
@rows
def test_extremes(simd, sign, row):
    # The largest sum there is, and the most negative: lowest weight times lowest or highest value.
    config = engine(4, simd, (0, 3), **row)
    order = [{"weight": 0, "align": 1, "start": Start.BIAS if n == 0 else Start.GO_ON, "init": 0,
              "stop": Stop.FINISH if n == 9 else Stop.GO_ON, "park": 0, "cell": 1}
             for n in range(10)]
    weights = np.full((WEIGHT_WORDS, 4, simd), -128)
    operands = np.full((10, simd), -128 if sign > 0 else 127)
    bias = np.full((BIAS_WORDS, 4), sign * 1000)
    check(config, order, list(range(10)), weights=weights, bias=bias, operands=operands)


@pytest.mark.parametrize("distance", [PARK_DISTANCE, PARK_DISTANCE + 1, 20])
@pipelines
def test_a_parked_sum_can_be_resumed_after(distance, pipeline):
    tile = {"weight": 1, "align": 0, "init": 2, "park": 3, "cell": 0}
    order = [tile | {"start": Start.BIAS, "stop": Stop.PARK},
             tile | {"start": Start.PARKED, "init": 3, "stop": Stop.PARK, "park": 3},
             tile | {"start": Start.PARKED, "init": 3, "stop": Stop.FINISH}]
    check(engine(4, 3, pipeline=pipeline), order, [0, distance, 2 * distance])


# simd, cycles from issue to the sums: operands 2, DSP 3, tree (by threes, down to two), accumulator
# 1; with all products in cascades DSP 3, their sum 1, the tree of these sums; of a short pipeline
# DSP 2, and half the tree of these sums
LATENCIES = [(1, 6, 6, 5), (2, 6, 7, 5), (3, 7, 7, 5), (4, 7, 7, 5), (5, 7, 8, 5), (6, 7, 8, 5),
             (7, 8, 8, 5), (12, 8, 8, 5), (13, 8, 9, 6), (16, 8, 9, 6), (18, 8, 9, 6),
             (19, 9, 9, 6), (32, 9, 9, 6), (36, 9, 9, 6), (37, 9, 10, 6), (54, 9, 10, 6),
             (55, 10, 10, 6), (64, 10, 10, 6), (108, 10, 10, 6), (109, 10, 11, 7)]


@pytest.mark.parametrize(("simd", "full", "cascade", "short"), LATENCIES)
def test_latency(simd, full, cascade, short):
    for row, cycles in zip(ROWS.values(), (full, cascade, short), strict=True):
        for reach in range(4):
            config = small(simd=simd, reach=reach, **row)
            assert MacArray.latency(config) == cycles + reach == MacRow.latency(config) + 3 + reach


# ---- one row by itself ---------------------------------------------------------------------------

# simd: products of each first sum; pairs are free where the sums of a level of threes are as many
FIRST = {1: [1], 2: [1, 1], 3: [1, 2], 4: [2, 2], 5: [2, 3], 6: [3, 3], 7: [1, 2, 2, 2],
         12: [2] * 6, 13: [2] * 5 + [3], 16: [2] * 2 + [3] * 4, 18: [3] * 6, 19: [1] + [2] * 9,
         36: [2] * 18, 40: [2] * 14 + [3] * 4, 108: [2] * 54}


@pytest.mark.parametrize("simd", FIRST)
def test_pairs_are_taken_where_they_cost_no_cycle_or_where_all_are_asked_for(simd):
    assert first_sums(small(simd=simd)) == FIRST[simd]
    pairs = [1] * (simd % 2) + [2] * (simd // 2)
    for row in (ROWS["cascade"], ROWS["short"]):
        assert first_sums(small(simd=simd, **row)) == pairs


@pytest.mark.parametrize("simd", range(1, 41))
@rows
def test_a_row_adds_its_products_to_the_bias_or_goes_on(simd, row):
    config = small(simd=simd, park_depth=0, acc_width=20, **row)
    latency = MacRow.latency(config)
    rng = np.random.default_rng(simd)
    n = 50
    x, w = draw(rng, 8, (n, simd)), draw(rng, 8, (n, simd))
    x[:2], w[:2] = -128, [[-128], [127]]  # the largest sums there are
    bias, go_on, valid = draw(rng, 15, n), rng.random(n) < 0.5, rng.random(n) < 0.8
    go_on[0], valid[0] = False, True
    late = np.zeros(latency, int)
    seen = record(MacRow(config), {
        "operands": x, "weights": w, "bias": [*late[1:], *bias], "go_on": [*late, *go_on],
        "valid": [*late, *valid]}, ["acc"], cycles=n + latency + 1)["acc"]
    acc, want = 0, []
    for k in range(n):
        if valid[k]:
            acc = (acc if go_on[k] else bias[k]) + int(x[k] @ w[k])
        want.append((acc + (1 << 19)) % (1 << 20) - (1 << 19))
    np.testing.assert_array_equal(seen[latency + 1:], want)


# ---- two rows in the same slices -----------------------------------------------------------------


# pe, simd, aligns, changes: one region, one and a quarter; every size of a first sum
PAIRS = [(4, 1, (0,), {}), (8, 5, (0, 3), {"cascade": True}), (4, 7, (0,), {"pipeline": "short"}),
         (20, 3, (0, 2), {"reach": 1, "weight_depth": 80, "lut_rows": 7})]


@pytest.mark.parametrize(("pe", "simd", "aligns", "changes"), PAIRS)
def test_pairs_of_rows_run_tiles(pe, simd, aligns, changes):
    config = engine(pe, simd, aligns, packed=True, **changes)
    rng = np.random.default_rng(pe * simd)
    order = random_jobs(rng, config, 40)
    check(config, order, issue_times(rng, order, 0.2))


@pytest.mark.parametrize(("simd", "pipeline"), [(1, "full"), (2, "short"), (3, "full"),
                                                (4, "full")])
def test_a_pair_keeps_every_product_apart(simd, pipeline):
    """Two products of 9 x 8 bits in a slice, extremes and zeros of every sign beside one another;
    the latency is that of a row."""
    config = small(simd=simd, packed=True, act_width=9, container=16,
                   pipeline=pipeline, acc_width=24)
    rng = np.random.default_rng(simd)
    x = rng.choice([-255, -1, 0, 1, 255], (200, simd))
    w = rng.choice([-127, -1, 0, 1, 127], (2, 200, simd))
    bias = rng.integers(-1000, 1000, (2, 200))
    wait = [0] * MacPair.latency(config)
    seen = record(MacPair(config), {
        "operands": x, "weights[0]": w[0], "weights[1]": borrowed(*w),
        "bias[0]": [*wait[1:], *bias[0]], "bias[1]": [*wait[1:], *bias[1]],
        "valid": [*wait, *[1] * 200]}, ["acc[0]", "acc[1]"], cycles=200 + len(wait) + 1)
    assert len(wait) == MacRow.latency(config)
    for n in range(2):
        np.testing.assert_array_equal(seen[f"acc[{n}]"][len(wait) + 1:],
                                      bias[n] + (x * w[n]).sum(axis=1))


def test_a_pair_needs_operands_that_fit_a_slice():
    with pytest.raises(ValueError, match=r"packed needs act_width \+ 2 x weight_width of at most "
                                         r"25 bits, not 8 \+ 2 x 9"):
        small(packed=True, weight_width=9)
