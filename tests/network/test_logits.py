"""``--logits``: a final sigmoid is left to the host, and small probabilities keep their digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Flatten, Network
from gatefold.gen.network.logits import with_logits
from tests.cli.test_inspect import keras_file
from tests.support.cli_harness import MODEL, built, gatefold, refused

RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, 5, 3))


def rare(bias: float, *behind) -> Network:
    """An LSTM and a sigmoid whose probabilities are about exp(bias)."""
    network = gf.initialise(units=6, features=3, timesteps=5, dense=1)
    head = replace(network.layers[-1], activation="sigmoid", b=np.float32([bias]))
    return Network(network.input_shapes, (*network.layers[:-1], head, *behind))


@pytest.mark.parametrize("behind", [(), (Flatten(),)])
def test_small_probabilities_keep_their_digits(behind):
    network = rare(-13.0, *behind)
    core = gf.compile(network, calibrate=X, pe=4, simd=2, logits=True)
    assert core.report()["network"]["outputs"][0]["left_to_the_host"] == "sigmoid"
    wanted = forward(network, X)
    assert wanted.max() < 2.0**-15
    np.testing.assert_allclose(core.run(X), wanted, rtol=1e-3)


def test_the_report_warns_of_outputs_below_a_step():
    with pytest.warns(gf.NumbersWarning, match="20 of 20 outputs are smaller than one step"):
        core = gf.compile(rare(-13.0), calibrate=X, pe=4, simd=2)
    assert core.report()["numbers"]["error"]["below_step"] == [
        {"count": 20, "total": 20, "step": 2.0**-15}]
    core = gf.compile(rare(0.0), calibrate=X, pe=4, simd=2)  # warnings are errors
    assert core.report()["numbers"]["error"]["below_step"][0]["count"] == 0


def test_a_sigmoid_that_a_layer_reads_stays(tmp_path):
    twice = rare(-13.0, Dense(w=np.ones((1, 1)), b=np.zeros(1)))
    with pytest.raises(gf.UserError, match="--logits leaves a final sigmoid to the host, but no"):
        with_logits(twice)
    line = refused("build", MODEL, "--logits", "-o", tmp_path / "core")
    assert "no output of the network is the sigmoid of a Dense layer" in line


def test_other_weights_keep_the_logits(tmp_path):
    model = keras_file(tmp_path, lambda layers: layers[-1]["config"].update(activation="sigmoid"))
    core = built(tmp_path / "core", model, "--logits", "--pe", 4, "--simd", 4)
    assert gatefold("weights", model, core).exit_code == 0
    assert "sigmoid" in gatefold("report", core).stdout
