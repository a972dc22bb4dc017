"""A network without a model: shape, seeds, limits."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.initialise import initialise


def parts(network) -> Any:
    """The layers, whose kinds the test knows."""
    return network.layers


# arguments, shapes of the network, whether each LSTM returns its sequence
SHAPES = [
    (dict(units=7, features=3, timesteps=5), ((5, 3), (7,)), [False]),
    (dict(units=4, features=1, timesteps=2, layers=3), ((2, 1), (2, 4), (2, 4), (4,)),
     [True, True, False]),
    (dict(units=1, features=1, timesteps=1, dense=2), ((1, 1), (1,), (2,)), [False]),
]


@pytest.mark.parametrize(("arguments", "shapes", "sequences"), SHAPES)
def test_shapes(arguments, shapes, sequences):
    network = initialise(**arguments)
    assert network.shapes == shapes
    assert [v.return_sequences for v in parts(network) if v.kind == "lstm"] == sequences


def test_weights_are_glorot_orthogonal_and_remember():
    lstm = parts(initialise(units=6, features=3, timesteps=2))[0]
    assert np.abs(lstm.w_ih).max() <= np.sqrt(6 / 27)
    np.testing.assert_allclose(lstm.w_hh.T @ lstm.w_hh, np.eye(6), atol=1e-6)
    np.testing.assert_array_equal(lstm.b, [0] * 6 + [1] * 6 + [0] * 12)


def test_same_seed_same_network():
    a, b, c = (parts(initialise(units=3, features=2, timesteps=2, seed=s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(a.w_ih, b.w_ih)
    assert (a.w_ih != c.w_ih).any()


# changed argument, words of the message
WRONG = [
    (dict(units=0), r"units must be an integer in 1..4096, not 0"),
    (dict(units=4097), "not 4097"),
    (dict(units=-3), "not -3"),
    (dict(units=2.0), "not 2.0"),
    (dict(units=True), "not True"),
    (dict(features=0), r"features must be an integer in 1..4096"),
    (dict(timesteps=65537), r"timesteps must be an integer in 1..65536, not 65537"),
    (dict(layers=17), r"layers must be an integer in 1..16, not 17"),
    (dict(dense=0), r"dense must be an integer in 1..4096, not 0"),
    (dict(seed=-1), "seed must be an integer of 0 or more, not -1"),
    (dict(units=4096, layers=16), "the limit is 134217728: choose smaller sizes"),
]


@pytest.mark.parametrize(("change", "text"), WRONG)
def test_wrong_sizes_are_refused(change, text):
    with pytest.raises(UserError, match=text):
        initialise(**{**dict(units=4, features=2, timesteps=3), **change})
