"""The trained parameters of every kind of layer."""

import numpy as np
import pytest

from gatefold.gen.network.graph import Dense, Flatten, MaxPool, Multiply, Window
from tests.support.networks import Make, add, alone, average

MAKE = Make(np.random.default_rng(0))


def grouped(groups, features, filters, taps):
    """A Conv1D in groups: each filter meets the features of its group."""
    own = np.arange(features) // (features // groups) == (
        np.arange(filters) // (filters // groups))[:, None]
    pattern = np.tile(own, taps)
    return Dense(w=MAKE.normal(*pattern.shape) * pattern, b=np.zeros(filters), pattern=pattern,
                 window=Window(taps), label="conv1d")


# layer, trained values
TRAINED = {
    "lstm": (MAKE.lstm(3, 5), 20 * 3 + 20 * 5 + 20),
    "gru, two biases": (MAKE.gru(3, 5), 15 * 3 + 15 * 5 + 15 + 5),
    "gru, one bias": (MAKE.gru(3, 5, reset_after=False), 15 * 3 + 15 * 5 + 15),
    "rnn": (MAKE.rnn(3, 5), 5 * 3 + 5 * 5 + 5),
    "dense": (MAKE.dense(3, 5), 5 * 3 + 5),
    "conv1d": (MAKE.conv(3, 5, Window(4, left=3)), 5 * 3 * 4 + 5),
    "conv1d in groups": (grouped(2, 4, 6, 3), 6 * 2 * 3 + 6),
    "conv1d, a filter a feature": (grouped(4, 4, 4, 3), 4 * 3 + 4),
    "batch normalisation": (MAKE.scale(4), 4 + 4),
    "add": (add(4), 0),
    "average pool": (average(4, Window(2)), 0),
    "identity": (alone(4, "relu"), 0),
    "activation": (Dense(w=np.eye(4), b=np.zeros(4), pattern=np.eye(4) != 0, label="activation",
                         activation="tanh"), 0),
    "max pool": (MaxPool(window=Window(2)), 0),
    "multiply": (Multiply(inputs=(0, 1)), 0),
    "view": (Flatten(), 0),
}


@pytest.mark.parametrize("name", TRAINED)
def test_trained_parameters(name):
    layer, count = TRAINED[name]
    assert layer.parameters == count
