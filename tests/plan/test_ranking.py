"""Counts before there is a plan, and the array that they lead to."""

import pytest

from gatefold.boards import get as get_board
from gatefold.gen.plan import Array, Budget, choose_array, make_plan
from gatefold.gen.plan.demand import longest_chain
from gatefold.gen.plan.plan import draft_plan, scheduled
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.resources import estimate
from tests.support.networks import both_directions, network, quantized

ARRAYS = [(4, 1), (8, 3), (16, 4)]

# network: results that follow one another
CHAINS = {
    "lstm-dense": 4 + 1, "last h": 4, "stack": 4 + 1 + 1, "dense only": 1 + 1, "repeat first": 3,
    "autoencoder": (4 + 1) + (4 + 1 + 1), "bidirectional": 4 + 4 + 1,
    "gru": 4 + 1, "gru reset before": (1 + 2 * 3) + 2 + 1, "multiply": 4 + 1 + 1,
}


@pytest.mark.parametrize("name", CHAINS)
def test_longest_chain(name):
    assert longest_chain(quantized(name)) == longest_chain(network(name)) == CHAINS[name]


@pytest.mark.parametrize(("pe", "simd"), ARRAYS)
@pytest.mark.parametrize("name", ["lstm-dense", "stack", "bidirectional", "gru", "rnn", "flatten",
                                  "stateful lstm", "repeat first"])
def test_tiles_are_counted_before_they_are_made(name, pe, simd):
    qnet = quantized(name)
    for contexts in (1, 3):
        plan = make_plan(qnet, Array(pe=pe, simd=simd, contexts=contexts))
        assert Ranking(qnet, contexts).tiles(pe, simd) == plan.work.tiles


@pytest.mark.parametrize(("pe", "simd", "dies"), [(16, 2, 2), (12, 1, 3), (24, 4, 2)])
@pytest.mark.parametrize("name", ["lstm-dense", "stack", "gru", "rnn", "stateful lstm"])
def test_tiles_on_several_dies(name, pe, simd, dies):
    qnet = quantized(name)
    plan = make_plan(qnet, Array(pe=pe, simd=simd, dies=dies, cross=2))
    assert Ranking(qnet).on(dies).tiles(pe, simd) == plan.work.tiles


def test_shapes_hold_whole_shares_of_each_die():
    # 5 units of four rows in chunks of 2: 3 units are on the die with the most
    shapes = Ranking(quantized("lstm-dense")).on(2).shapes(10_000)
    assert (2 * 3 * 4, 2) in shapes and all(pe % 8 == 0 for pe, _ in shapes)


@pytest.mark.parametrize(("pe", "simd"), [(8, 3), (16, 3), (20, 2), (40, 4)])
@pytest.mark.parametrize("dies", [1, 2])
def test_tiles_of_riders(pe, simd, dies):
    qnet = quantized("autoencoder")  # the Dense rides on the last LSTM, where there are rows for it
    plan = make_plan(qnet, Array(pe=pe * dies, simd=simd, dies=dies, cross=2 * (dies > 1)))
    assert Ranking(qnet).on(dies).tiles(pe * dies, simd) == plan.work.tiles


@pytest.mark.parametrize(("outputs", "pe", "simd"), [(1, 12, 2), (3, 24, 5), (2, 20, 2)])
@pytest.mark.parametrize("dies", [1, 3])
def test_tiles_of_riders_on_both_directions(outputs, pe, simd, dies):
    qnet = quantized(both_directions("lstm", outputs))
    plan = make_plan(qnet, Array(pe=pe * dies, simd=simd, dies=dies, cross=2 * (dies > 1)))
    assert Ranking(qnet).on(dies).tiles(pe * dies, simd) == plan.work.tiles


@pytest.mark.parametrize(("pe", "simd"), ARRAYS)
@pytest.mark.parametrize("name", ["lstm-dense", "every h", "autoencoder", "bidirectional", "pools"])
def test_a_schedule_alone_tells_the_latency(name, pe, simd):
    qnet, array = quantized(name), Array(pe=pe, simd=simd)
    found = scheduled(*draft_plan(qnet, array)).cycles
    assert abs(found - make_plan(qnet, array).cycles.latency) <= 3


def test_goals():
    qnet, budget = quantized(((30, 1), ("L48seq", "L48", "D1"))), Budget.of(get_board("zcu104"))
    latency, balanced, area = (choose_array(qnet, budget, goal=goal)
                               for goal in ("latency", "balanced", "area"))
    assert latency.cycles.latency <= balanced.cycles.latency <= 1.03 * latency.cycles.latency
    assert area.cycles.latency <= 1.25 * latency.cycles.latency
    luts = [estimate(plan.config).lut for plan in (area, balanced, latency)]
    assert luts == sorted(luts)


def test_a_quick_search_looks_at_fewer_arrays():
    qnet, budget = quantized(((30, 24), ("L48seq", "L48", "D1"))), Budget.of(None)
    seen = {False: 0, True: 0}
    plans = {}
    for quick in seen:
        def count(_done, _total, quick=quick):
            seen[quick] += 1
        plans[quick] = choose_array(qnet, budget, quick=quick, progress=count)
    assert seen[True] <= seen[False]
    assert plans[False].cycles.latency <= 1.03 * plans[True].cycles.latency
