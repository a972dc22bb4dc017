"""The plan's distances and yardsticks against sums done by hand."""

from dataclasses import replace

import pytest

from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, estimate, make_plan
from gatefold.gen.plan.demand import must_multiply
from gatefold.gen.plan.latency import lstm_tail
from tests.support.networks import NETWORKS, quantized

# network: multiplications that must be done. There is no R.h at a zero start, and a vector that
# RepeatVector repeats is multiplied once.
MUST = {
    "lstm-dense": 4 * 20 * 3 + 3 * 20 * 5 + 2 * 5,
    "last h": 4 * 12 * 2 + 3 * 12 * 3,
    "autoencoder": (4 * 20 * 2 + 3 * 20 * 5) + (4 * 8 * 5 + 3 * 8 * 2)
                   + (1 * 8 * 2 + 3 * 8 * 2) + (4 * 20 * 2 + 3 * 20 * 5) + 4 * 2 * 5,
    "flatten": (3 * 16 * 2 + 2 * 16 * 4) + 5 * 12 + 3 * 5 + 2 * 3,
    "one timestep": 16 * 3 + 12 * 4 + 2 * 3,
    "dense only": 6 * 7 + 3 * 6,
    "dense per step": 3 * 5 * 4,
    "repeat first": 8 * 3 + 2 * 8 * 2,
    "gru": 4 * 15 * 3 + 3 * 15 * 5 + 2 * 5,
    "gru reset before": (4 * 15 * 3 + 3 * 15 * 5) + (4 * 9 * 5 + 3 * 9 * 3) + 2 * 3,
    "rnn": (4 * 5 * 3 + 3 * 5 * 5) + (4 * 3 * 5 + 3 * 3 * 3) + 2 * 3,
    "conv": 4 * 3 * (3 * 2) + 4 * 2 * 3,
    "causal conv": (1 + 2 + 3 + 3 + 3) * 3 * 2 + 5 * 2 * 3,  # zeros of the padding left out
    "multiply": 2 * (4 * 20 * 3 + 3 * 20 * 5) + 5 + 2 * 5,
    "pools": 2 * 6, "padded pool": 5 * 3 * 2,  # maxima and sums of ones multiply nothing
    "scale": 4 * 12 * 3 + 3 * 12 * 4,
    "stateful lstm": 16 * 3 + 16 * 4 + 12 * 4 + 12 * 3 + 2 * 3,  # h is there from the start
    "states as inputs": (3 * 12 * 2 + 3 * 12 * 3) + (3 * 12 * 3 + 3 * 12 * 4)
                        + (3 * 9 * 4 + 3 * 9 * 3) + (3 * 4 * 3 + 3 * 4 * 4),
}


@pytest.mark.parametrize("name", MUST)
def test_multiplications_that_must_be_done(name):
    assert must_multiply(quantized(name)) == MUST[name]


# simd, cycles: operands 2, DSP 3, tree, accumulator 1
ARRAY = [(1, 6), (2, 6), (4, 7), (6, 7), (16, 8)]


@pytest.mark.parametrize(("simd", "array"), ARRAY)
def test_distances(simd, array):
    # router 1; LSTM lane 11, Dense lane 1, with a table 4; a tile that uses a result is issued a
    # cycle before it is there
    lstm = make_plan(quantized("lstm-dense"), Array(pe=4, simd=simd)).latencies
    assert (lstm.array, lstm.result, lstm.tail, lstm.output, lstm.park) == (
        array, array + 12, array + 11, array + 2, 3)
    last = make_plan(quantized("last h"), Array(pe=4, simd=simd)).latencies
    assert (last.result, last.tail, last.output) == (array + 12, array + 11, array + 12)
    dense = make_plan(quantized("dense only"), Array(pe=4, simd=simd)).latencies
    assert (dense.result, dense.tail, dense.output) == (array + 2, array + 1, array + 2)
    table = make_plan(quantized("flatten"), Array(pe=4, simd=simd)).latencies
    assert (table.result, table.output) == (array + 12, array + 5)
    assert lstm_tail(simd) == lstm.tail


@pytest.mark.parametrize(("simd", "more"), [(2, 1), (6, 1), (12, 0), (16, 1), (32, 0)])
def test_cascades_of_all_products_cost_a_cycle_or_none(simd, more):
    array = Array(pe=4, simd=simd)
    plan, cascade = (make_plan(quantized("lstm-dense"), replace(array, cascade=given))
                     for given in (False, True))
    assert cascade.latencies.tail == plan.latencies.tail + more
    assert estimate(cascade.config).lut < estimate(plan.config).lut or not more


# simd, cycles: operands 2, DSP 2, a register every second level above the pairs, accumulator 1
SHORT_ARRAY = [(1, 5), (2, 5), (6, 5), (12, 5), (16, 6)]


@pytest.mark.parametrize(("simd", "array"), SHORT_ARRAY)
def test_distances_of_a_short_pipeline(simd, array):
    # router 1; LSTM lane 6, GRU lane 8, Dense lane with a table 3
    def of(name):
        return make_plan(quantized(name), Array(pe=4, simd=simd, pipeline="short")).latencies

    lstm, gru, table = of("lstm-dense"), of("gru"), of("flatten")
    assert (lstm.array, lstm.result, lstm.tail, lstm.output, lstm.park, lstm.state) == (
        array, array + 7, array + 6, array + 2, 3, 4)
    assert (gru.result, gru.tail, gru.state) == (array + 9, array + 8, 8)
    assert (table.result, table.output) == (array + 7, array + 4)


@pytest.mark.parametrize("gather", [1, 2])
@pytest.mark.parametrize("name", ["lstm-dense", "gru", "flatten"])
def test_registers_between_rows_and_lanes_lengthen_what_passes_them(name, gather):
    near, far = (make_plan(quantized(name), Array(pe=4, simd=6, gather=levels)).latencies
                 for levels in (0, gather))
    assert (far.array, far.park, far.state) == (near.array, near.park, near.state)
    assert (far.result, far.tail, far.output) == (
        near.result + gather, near.tail + gather, near.output + gather)


# network, tails in the longest chain before the last layer's output
CHAINS = {
    "lstm-dense": 4,        # four steps, each waits for the h of the one before; then Dense
    "last h": 3,            # the fourth step's h leaves
    "stack": 4 + 1 + 1 - 1,  # the wavefront: two layers follow a step behind
    "autoencoder": 4 + 1 + 4 + 1,
    "flatten": 3 + 1 + 1,
    "dense only": 1,
    "dense per step": 0,
    "one timestep": 2,
    "gru": 4,
    "gru reset before": 2 * 4 - 1 + 2,  # q, then h; no q at the start; the last step of layer 2
    "conv": 1,
    "padded pool": 1,
    "multiply": 4 + 1,
    "stateful lstm": 2,
    "states handed over": 4 + 3,  # by way of h; the longer way of c is not counted
}


@pytest.mark.parametrize("name", CHAINS)
def test_chain_of_tails(name):
    plan = make_plan(quantized(name), Array(pe=8, simd=3))
    assert plan.bounds.chain == CHAINS[name] * plan.latencies.tail + plan.latencies.output + 1


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("pe", "simd"), [(4, 1), (8, 3), (64, 16)])
def test_yardsticks(name, pe, simd):
    plan = make_plan(quantized(name), Array(pe=pe, simd=simd))
    work, chain = plan.bounds.work, plan.bounds.chain
    assert work == -(-plan.bounds.multiplications // (pe * simd))
    assert (plan.cycles.bound, plan.cycles.no_overlap) == (max(work, chain), work + chain)
    # nothing is faster than the bound, and no tiles hold fewer products than must be made
    assert plan.cycles.latency >= plan.cycles.bound
    assert plan.cycles.tiles * pe * simd >= plan.bounds.multiplications
    assert plan.cycles.interval >= plan.cycles.tiles


def test_work_shrinks_with_the_array_and_the_chain_does_not():
    qnet = quantize(initialise(units=16, features=4, timesteps=6, dense=1))
    small, large = (make_plan(qnet, Array(pe=pe, simd=4)) for pe in (8, 32))
    assert large.bounds.work == -(-small.bounds.multiplications // 128)
    assert small.bounds.chain == large.bounds.chain
    assert large.cycles.latency < small.cycles.latency


def test_a_single_frame_and_a_stream_of_frames():
    plan = make_plan(quantized("lstm-dense"), Array(pe=8, simd=3))
    timeline = plan.timeline
    assert timeline.first_in == (0,) and timeline.last_out == (plan.cycles.latency,)
    issues = timeline.issues[0]
    assert len(issues) == plan.cycles.tiles
    for tile, before, after in zip(plan.tiles, issues, issues[1:], strict=False):
        assert after - before >= 1 + tile.gap
