"""The largest magnitudes of tensors, kept while a network runs, against those of a whole trace."""

import numpy as np
import pytest

from gatefold.gen.network.forward import forward
from gatefold.gen.network.initialise import initialise
from gatefold.gen.network.largest import Largest
from gatefold.gen.numbers.calibrate import TENSORS, at_a_time
from tests.support.networks import network


@pytest.mark.parametrize("steps", [1, 3, 100])
@pytest.mark.parametrize("name", ["stack", "gru every h", "gru reset before", "rnn", "flatten"])
def test_peaks_are_those_of_a_whole_trace(monkeypatch, name, steps):
    monkeypatch.setattr(Largest, "STEPS", steps)
    net = network(name)
    x = np.random.default_rng(0).standard_normal((5, *net.input_shape))
    whole, peaks = {}, {}
    y = forward(net, x, trace=whole)
    np.testing.assert_allclose(forward(net, x, trace=peaks, largest=TENSORS), y, rtol=1e-12)
    assert peaks.keys() == whole.keys()
    for layer, tensors in whole.items():
        wanted = {name: np.abs(values).max() for name, values in tensors.items() if name in TENSORS}
        assert peaks[layer] == pytest.approx(wanted, rel=1e-12)


def test_state_goes_from_piece_to_piece_and_from_sample_to_sample(monkeypatch):
    monkeypatch.setattr(Largest, "STEPS", 1)
    stateful = network("stateful gru")
    x = np.random.default_rng(1).standard_normal((4, *stateful.input_shape))
    np.testing.assert_allclose(forward(stateful, x, trace={}, largest=TENSORS),
                               forward(stateful, x), rtol=1e-12)


def test_long_networks_are_computed_several_samples_at_a_time():
    net = initialise(units=64, features=8, timesteps=20_000, dense=4)
    assert at_a_time(net, 64) == 1 and at_a_time(net, 64, peaks=True) == 8
