"""The finishing lanes against the golden model, one result a cycle, latency exact."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.network import Dense, Lstm, Network
from gatefold.gen.plan import make_plan
from gatefold.gen.quantize import quantize
from gatefold.gen.tables import tanh_table
from gatefold.hdl.arith import half
from gatefold.hdl.dense_lane import DenseLane, dense_latency
from gatefold.hdl.lstm_lane import LstmLane
from gatefold.sim import golden

from .hdl_harness import draw, record

WORDS = 8  # of the cell memory


def lstm(rng, features, units, gain=1.0):
    return Lstm(units=units, w_ih=gain * rng.normal(size=(4 * units, features)),
                w_hh=gain * rng.normal(size=(4 * units, units)), b=rng.normal(size=4 * units),
                return_sequences=True)


def two_lstms(widths, **options):
    """A plan of two LSTMs of different formats, its cell memory enlarged to WORDS."""
    act, weight, cell = widths
    rng = np.random.default_rng(act)
    network = Network((6, 2), (lstm(rng, 2, 3), lstm(rng, 3, 2, gain=9.0)))
    plan = make_plan(quantize(network, act_width=act, weight_width=weight, cell_width=cell,
                              **options), pe=4, simd=1)
    return plan, replace(plan.config, cell_depth=WORDS)


def expected_cells(plan, z, kind, cell, fresh):
    """c and h of each beat: accumulators z (beats, 4) with their rounding constants in."""
    qnet: Any = plan.qnet
    table = qnet.table
    state: dict[int, int] = {}
    results = []
    for n, layer_index in enumerate(kind):
        layer = qnet.layers[layer_index]
        gates = []
        for gate in range(4):
            shift = layer.acc_frac + (gate != 2) - table.frac
            acc = int(z[n, gate]) - half(shift)
            u = golden.saturate(golden.round_shift(acc, shift), table.width)
            gates.append((golden.tanh if gate == 2 else golden.sigmoid)(table, u))
        old = 0 if fresh[n] else state[cell[n]]
        c, h = golden.cell(layer, table, gates, np.int64(old))
        state[cell[n]] = int(c)
        results.append((int(c), int(h)))
    return np.array(results)


def run_lane(plan, config, z, kind, cell, fresh, writes=None):
    """c and h that the lane shows for each beat, LstmLane.latency after it."""
    kind_of = [plan.work.kind_of[n] for n in kind]
    length = len(z)
    dut = LstmLane(config, plan.images())
    seen = record(dut, {f"z_{gate}": z[:, gate] for gate in range(4)} | {
        "kind": kind_of, "cell": cell, "fresh": fresh,
        "writes": np.ones(length, int) if writes is None else writes}, ["c", "h"],
        cycles=length + LstmLane.latency)
    return np.stack([seen["c"], seen["h"]], axis=1)[LstmLane.latency:LstmLane.latency + length]


# act, weight, cell
WIDTHS = [(4, 4, 4), (4, 8, 18), (8, 8, 10), (8, 8, 18), (12, 10, 6), (16, 16, 18), (18, 18, 18)]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_lstm_lane(widths):
    plan, config = two_lstms(widths)
    assert len(config.kinds) == 2
    rng = np.random.default_rng(1)
    beats = 90 * WORDS
    z = draw(rng, config.acc_width, (beats, 4))
    # Each cell word comes again after WORDS cycles: kept, or with one in eight starting afresh.
    cell = np.tile(rng.permutation(WORDS), beats // WORDS)
    fresh = rng.random(beats) < 1 / 8
    fresh[:WORDS] = True
    kind = rng.integers(0, 2, beats)
    np.testing.assert_array_equal(run_lane(plan, config, z, kind, cell, fresh),
                                  expected_cells(plan, z, kind, cell, fresh))


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_lstm_lane_at_the_edges_of_u(widths):
    # Gates that just saturate, just do not, sit on a rounding tie or on zero.
    plan, config = two_lstms(widths)
    rng = np.random.default_rng(2)
    beats = 60 * WORDS
    kind = rng.integers(0, 2, beats)
    z = np.empty((beats, 4), np.int64)
    lo, hi = -(1 << (config.acc_width - 1)), (1 << (config.acc_width - 1)) - 1
    for n, layer_index in enumerate(kind):
        layer: Any = plan.qnet.layers[layer_index]
        for gate in range(4):
            shift = layer.acc_frac + (gate != 2) - plan.qnet.table.frac
            edge = int(rng.choice([-8, 0, 8])) << plan.qnet.table.frac
            at = edge << shift if shift >= 0 else edge >> -shift
            z[n, gate] = np.clip(at + half(shift) + rng.choice([-1, 0, 1, -half(shift)]), lo, hi)
    cell = np.tile(np.arange(WORDS), beats // WORDS)
    fresh = np.arange(beats) < WORDS
    np.testing.assert_array_equal(run_lane(plan, config, z, kind, cell, fresh),
                                  expected_cells(plan, z, kind, cell, fresh))


@pytest.mark.parametrize("table", [
    tanh_table(frac=6, n0=9, n1=0, n2=0, out_frac=8), tanh_table(frac=8, n0=5, n1=4, n2=2,
                                                                out_frac=8)],
    ids=["direct", "bipartite"])
def test_lstm_lane_with_other_tables(table):
    plan, config = two_lstms((8, 8, 12), table=table)
    rng = np.random.default_rng(3)
    beats = 40 * WORDS
    z = draw(rng, config.acc_width, (beats, 4))
    cell, kind = np.tile(np.arange(WORDS), beats // WORDS), np.zeros(beats, int)
    fresh = np.arange(beats) < WORDS
    np.testing.assert_array_equal(run_lane(plan, config, z, kind, cell, fresh),
                                  expected_cells(plan, z, kind, cell, fresh))


def test_lstm_lane_keeps_a_cell_that_it_does_not_write():
    plan, config = two_lstms((8, 8, 10))
    z = draw(np.random.default_rng(4), config.acc_width, (3, 4))
    beats = np.repeat(z, WORDS, axis=0)  # the middle ones without write
    writes = np.repeat([1, 0, 1], WORDS)
    fresh = np.repeat([1, 0, 0], WORDS)
    cell = np.tile(np.arange(WORDS), 3)
    kind = np.zeros(3 * WORDS, int)
    seen = run_lane(plan, config, beats, kind, cell, fresh, writes)
    keep = writes == 1
    np.testing.assert_array_equal(
        seen[keep], expected_cells(plan, beats[keep], kind[keep], cell[keep], fresh[keep]))


def test_lstm_lane_reads_a_cell_six_cycles_after_it_was_asked_to_write_it():
    plan, config = two_lstms((8, 8, 10))
    z = np.repeat(draw(np.random.default_rng(5), config.acc_width, (12, 4)), 6, axis=0)
    kind = cell = np.zeros(len(z), int)
    writes = np.arange(len(z)) % 6 == 0  # the others are bubbles
    fresh = np.arange(len(z)) == 0
    np.testing.assert_array_equal(
        run_lane(plan, config, z, kind, cell, fresh, writes)[::6],
        expected_cells(plan, z[::6], kind[::6], cell[::6], fresh[::6]))


def test_lstm_lane_latency():
    assert LstmLane.latency == 12


# ---- Dense --------------------------------------------------------------------------------------


def dense_plan(activations, act=8, weight=8):
    rng = np.random.default_rng(len(activations))
    layers = tuple(Dense(w=(1 + n) * rng.normal(size=(2, 2)), b=rng.normal(size=2),
                         activation=activation) for n, activation in enumerate(activations))
    return make_plan(quantize(Network((2,), layers), act_width=act, weight_width=weight), pe=4,
                     simd=1)


def expected_elements(plan, z, kind):
    qnet: Any = plan.qnet
    want = np.empty(len(z), np.int64)
    for n, layer in enumerate(qnet.layers):
        shift = {"sigmoid": layer.acc_frac + 1 - qnet.table.frac,
                 "tanh": layer.acc_frac - qnet.table.frac}.get(layer.activation,
                                                               layer.acc_frac - layer.y.frac)
        at = kind == n
        acc = replace(layer, b=z[at] - half(shift), w=np.zeros((at.sum(), 1), np.int64))
        want[at] = golden.dense(acc, qnet.table, np.zeros((1, 1), np.int64))[0]
    return want


# activations of a network's Dense layers, latency of its lanes
DENSE = [
    (["linear"], 1), (["relu"], 1), (["linear", "relu", "linear"], 1),
    (["sigmoid"], 4), (["tanh"], 4), (["sigmoid", "tanh"], 4),
    (["linear", "sigmoid"], 4), (["relu", "tanh", "linear", "sigmoid"], 4),
    (["tanh", "relu", "tanh"], 4),
]


@pytest.mark.parametrize("width", [4, 8, 16, 18])
@pytest.mark.parametrize(("activations", "latency"), DENSE, ids=str)
def test_dense_lane(activations, latency, width):
    plan = dense_plan(activations, width, width)
    config = plan.config
    rng = np.random.default_rng(width)
    z = draw(rng, config.acc_width, 600)
    kind = rng.integers(0, len(activations), len(z))
    kind_of = [plan.work.kind_of[n] for n in kind]
    assert dense_latency(config) == latency
    seen = record(DenseLane(config, plan.images()), {"z": z, "kind": kind_of}, ["y"],
                  cycles=len(z) + latency)["y"]
    np.testing.assert_array_equal(seen[latency:latency + len(z)], expected_elements(plan, z, kind))


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
def test_dense_lane_takes_every_accumulator(activation):
    # Exhaustive where the accumulator is narrow enough: every tie, every saturation.
    plan = dense_plan([activation], 4, 4)
    z = np.arange(-(1 << 12), 1 << 12)
    config = replace(plan.config, acc_width=13)
    latency = dense_latency(config)
    seen = record(DenseLane(config, plan.images()), {"z": z, "kind": np.zeros(1)}, ["y"],
                  cycles=len(z) + latency)["y"]
    np.testing.assert_array_equal(seen[latency:latency + len(z)],
                                  expected_elements(plan, z, np.zeros(len(z), int)))
