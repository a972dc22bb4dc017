"""Expected outputs of frames that are played in some order: golden, sequence by sequence."""

import numpy as np
import pytest

from gatefold.sim.expected import expectation
from gatefold.sim.golden import golden
from tests.support.networks import inputs, quantized

STATEFUL = ["stateful lstm", "stateful gru", "stateful rnn"]
#: frames played, and those that begin a sequence
ORDERS = {
    "in order": ([0, 1, 2, 3], [0]),
    "again and again": ([2, 2, 2, 0, 2, 1], [0, 3]),
    "each by itself": ([3, 1, 0], [0, 1, 2]),
}


def flags(frames, begins):
    return np.isin(np.arange(len(frames)), begins)


@pytest.mark.parametrize("frames, begins", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("name", [*STATEFUL, "gru", "two outputs", "two inputs", "pools"])
def test_frames_are_golden_s_in_the_order_played(name, frames, begins):
    qnet, trace = quantized(name), {}
    x = inputs(qnet, 4)
    y, values = expectation(qnet, x)(frames, flags(frames, begins))
    wanted = golden(qnet, x[frames], trace=trace, fresh=flags(frames, begins))
    np.testing.assert_array_equal(y, wanted.reshape(len(frames), -1))
    for layer, states in values.items():
        sums = {name for name in trace[layer] if name.startswith("acc")}
        assert set(states) == set(trace[layer]) & {"h", "c", "y"} | sums
        for state, found in states.items():
            assert found.ndim == 3 and found.shape[2] == trace[layer][state].shape[-1]
            np.testing.assert_array_equal(found.ravel(), trace[layer][state].ravel())


@pytest.mark.parametrize("name", [*STATEFUL, "stack", "pools"])
def test_each_context_goes_on_in_its_own_place(name):
    qnet = quantized(name)
    x = inputs(qnet, 8)
    frames, begins = [0, 1, 3, 2], flags(range(4), [0, 2])
    y, values = expectation(qnet, x, contexts=2)(frames, begins)
    for context in range(2):
        one_y, one = expectation(qnet, x[context::2])(frames, begins)
        np.testing.assert_array_equal(np.split(y, 2, axis=1)[context], one_y)
        for layer, states in one.items():
            for state, found in states.items():
                np.testing.assert_array_equal(
                    np.split(values[layer][state], 2, axis=1)[context], found)
