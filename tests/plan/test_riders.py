"""Ops that ride on another: which do, the tiles that they save, golden's bits."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.network.graph import Dense, Network, Reverse, Slice
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from tests.plan.test_program import check
from tests.support.networks import Make, both_directions

STEPS, FEATURES, UNITS = 6, 3, 5


def network(*behind, gain: float = 1.0, outputs: tuple[int, ...] = ()) -> Network:
    """An LSTM on a sequence, whose w_hh is scaled by ``gain``, and the layers ``behind`` it."""
    make = Make(np.random.default_rng(0), gain=0.5)
    lstm = make.lstm(FEATURES, UNITS, True, inputs=(0,))
    layers = [layer(make) if callable(layer) else layer for layer in behind]
    return Network((STEPS, FEATURES), (replace(lstm, w_hh=gain * lstm.w_hh), *layers),
                   outputs=outputs)


def head(outputs: int, activation: str = "linear", *, features: int = UNITS, reads: int = 1):
    return lambda make: make.dense(features, outputs, activation, inputs=(reads,))


def plan_of(net: Network, pe: int, simd: int, contexts: int = 1, **array):
    return make_plan(quantize(net, act_width=8, weight_width=8, cell_width=10),
                     Array(pe=pe, simd=simd, contexts=contexts, **array))


def directions(*which, **more) -> Network:
    return both_directions(*which, **more)(Make(np.random.default_rng(2), gain=0.5))


def ahead(steps: int, by: int = 1) -> dict[int, int]:
    return {step: step + by for step in range(steps)}


#: network; array; for each rider, of each of its rides, the carrier, its group, the row, and of the
#: rider's steps those that carry them; tiles that multiply.
#: 12 x 2: the LSTM has 2 groups, and meets 2 chunks of x and 3 of h.
LSTM = STEPS * 2 * 2 + (STEPS - 1) * 2 * 3
RIDES = {
    "a Dense on every step": (network(head(1)), (12, 2), {1: [(0, 1, 8, ahead(5))]}, LSTM + 3),
    "one chunk": (network(head(1)), (24, 5), {1: [(0, 0, 20, ahead(5))]}, STEPS + STEPS - 1 + 1),
    "two on one step": (network(head(1), head(1, "tanh"), outputs=(2, 3)), (16, 2),
                        {1: [(0, 1, 4, ahead(5))], 2: [(0, 1, 5, ahead(5))]}, LSTM + 2 * 3),
    "two heads of a vector": (
        network(head(4, "relu"), head(2, features=4, reads=2), head(2, features=4, reads=2),
                outputs=(3, 4)), (24, 2), {3: [(2, 0, 2, ahead(6, 0))]},
        STEPS * (2 + 3 + 2) + (STEPS - 1) * 3),
    # Step t meets the forward h_t in step t + 1 of that direction, and the other half in step 6 - t
    # of the backward one. The first step and the last one have only their own tiles.
    "two directions": (directions("lstm", 1), (12, 2),
                       {2: [(0, 1, 8, {3: 4, 4: 5}), (1, 1, 8, {1: 5, 2: 4})]},
                       2 * LSTM + 4 * 3 + 2 * 6),
    "two directions of 5 steps": (directions("rnn", 1, steps=5), (8, 2),
                                  {2: [(0, 0, 5, {2: 3, 3: 4}), (1, 0, 5, {1: 4})]},
                                  2 * (5 * 2 + 4 * 3) + 3 * 3 + 2 * 6),
    "two heads of two directions": (
        directions("lstm", 2, 3), (12, 5),
        {2: [(0, 1, 8, {3: 4, 4: 5}), (1, 1, 8, {1: 5, 2: 4})]},
        # The second head has tiles of its own, and so has what puts the output together.
        2 * (STEPS * 2 + (STEPS - 1) * 2) + (4 * 1 + 2 * 2) + STEPS * 2 + 2 * STEPS),
    # Both ride, and meet the other half in the same tiles.
    "two heads that ride on two directions": (
        directions("lstm", 2, 3), (32, 3),
        {n: [(0, 0, row, {3: 4, 4: 5}), (1, 0, row, {1: 5, 2: 4})]
         for n, row in ((2, 20), (3, 22))},
        2 * (STEPS * 1 + (STEPS - 1) * 2) + 4 * 2 + 2 * (2 * 4) + 2 * STEPS),
}


@pytest.mark.parametrize("contexts", [1, 3])
@pytest.mark.parametrize("name", RIDES)
def test_riders_fill_spare_rows(name, contexts):
    net, (pe, simd), rides, tiles = RIDES[name]
    plan = plan_of(net, pe, simd, contexts)
    found = {n: [(ride.carrier, ride.group, ride.row, ride.steps) for ride in rides]
             for n, rides in plan.work.rides.items()}
    assert found == rides
    assert sum(bool(tile.job.operands) for tile in plan.tiles) == contexts * tiles
    check(plan.qnet, pe, simd, contexts=contexts)


@pytest.mark.parametrize("outputs", [1, 3])
def test_riders_fill_spare_rows_of_each_die(outputs):
    # Of the LSTM's 3 chunks each die makes one and the last, which is short: 3 units, 12 rows.
    dies = {"dies": 2, "cross": 2}
    plan = plan_of(network(head(outputs)), 32, 2, **dies)
    ((ride,),) = plan.work.rides.values()
    assert ride.row == 12
    check(plan.qnet, 32, 2, **dies)


@pytest.mark.parametrize(("dies", "array"), [(2, (48, 3)), (3, (36, 5))])
def test_riders_meet_the_other_half_together_on_each_die(dies, array):
    # On 48 x 3 each die has a chunk of 3 units, 12 rows; on 36 x 5 there is one chunk.
    on = {"dies": dies, "cross": 2}
    plan = plan_of(directions("lstm", 1, 2), *array, **on)
    assert [ride.carrier for rides in plan.work.rides.values() for ride in rides] == [0, 1, 0, 1]
    shared = [word.lanes for word in plan.work.weight_words if word.ops == (2, 3)]
    assert shared and all((lanes >= 0).any() for lanes in shared)
    check(plan.qnet, *array, **on)


def test_the_rows_of_riders_are_sent_while_the_router_has_them():
    net, array, *_ = RIDES["two on one step"]
    plan = plan_of(net, *array)
    order = [tile for tile in plan.tiles if tile.finishes]
    for n, tile in enumerate(order):
        if tile.finishes.rides:
            carrier = next(before.finishes for before in reversed(order[:n])
                           if not before.finishes.rides)
            assert (carrier.op, carrier.step, carrier.group) == tile.finishes.rides
            assert tile.issue - order[n - 1].issue >= order[n - 1].finishes.beats


def test_where_there_is_other_work_riders_take_no_tile():
    # 24 x 1: a step has 1 group, 3 chunks of x and 5 of h, and 5 beats.
    plan = plan_of(network(head(1)), 24, 1, contexts=8)
    assert plan.cycles.tiles == 8 * (STEPS * 3 + (STEPS - 1) * 5 + 5)


def stateful() -> Network:
    """One step of an LSTM that keeps its state: its operand is the h of the last frame, in the word
    of the h that the Dense layer reads."""
    make = Make(np.random.default_rng(0), gain=0.5)
    return Network((1, FEATURES), (make.lstm(FEATURES, UNITS, stateful=True), make.dense(UNITS, 1)))


#: network; array
STAY = {
    "the state of the last frame": (stateful(), (24, 2)),
    "no spare rows": (network(head(1)), (20, 2)),
    "a layer reads it": (network(head(2, "relu"), head(1, features=2, reads=2)), (16, 2)),
    "another order of the steps": (network(Reverse(inputs=(1,)), head(1, reads=2)), (12, 2)),
    "other shifts": (network(head(1), gain=64), (12, 2)),  # w_hh has fewer fractional bits
    "a sparse matrix": (network(Dense(w=np.eye(UNITS), b=np.zeros(UNITS), pattern=np.eye(UNITS) > 0,
                                      label="activation", activation="relu", inputs=(1,))),
                        (44, 2)),
}


@pytest.mark.parametrize("name", STAY)
def test_others_have_tiles_of_their_own(name):
    net, array = STAY[name]
    assert plan_of(net, *array).work.rides == {}


def test_a_carrier_does_not_ride():
    """The first two heads read the same steps, the third all but the first: it would carry one, and
    ride on the other."""
    make = Make(np.random.default_rng(1))
    net = Network((4, 3), (
        Slice(start=0, stop=3, inputs=(0,)), Slice(start=1, stop=4, inputs=(0,)),
        make.dense(3, 12, inputs=(1,)), make.dense(3, 8, inputs=(2,)),
        make.dense(3, 4, inputs=(1,))), outputs=(3, 4, 5))
    rides = plan_of(net, 16, 4).work.rides
    assert rides and not {ride.carrier for ways in rides.values() for ride in ways} & set(rides)
    check(plan_of(net, 16, 4).qnet, 16, 4)


def test_steps_are_finished_in_the_order_in_which_both_directions_come_to_them():
    # Heads that are too wide to ride.
    net = directions("lstm", 9, 12, steps=7)
    plan = plan_of(net, 20, 2)
    jobs = [tile.finishes for tile in plan.tiles if tile.finishes]
    assert [abs(job.step - 3) for job in jobs if job.op == 2] == [0, 1, 1, 2, 2, 3, 3]
    check(plan.qnet, 20, 2)
