"""The float reference: every fixture gives what its framework gave, and the trace adds up."""

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Gru, Lstm, Network, Rnn
from tests.support.places import FIXTURES

MODELS = sorted(path.name for path in FIXTURES.iterdir() if path.suffix in (".keras", ".onnx"))


def vectors(model: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and the framework's outputs of a fixture."""
    with np.load(FIXTURES / f"{model.split('.')[0]}.npz") as held:
        return held["x"], held["y"]


def small(**changes) -> Network:
    """LSTM of 2 units on (3, 2), then a Dense of 1."""
    random = np.random.default_rng(1)
    lstm = Lstm(units=2, w_ih=random.normal(size=(8, 2)), w_hh=random.normal(size=(8, 2)),
                b=random.normal(size=8), return_sequences=False)
    dense = Dense(w=random.normal(size=(1, 2)), b=random.normal(size=1), **changes)
    return Network((3, 2), (lstm, dense))


def test_there_are_fixtures_of_every_exporter():
    assert len(MODELS) > 40
    for stem in ("keras_", "tf_keras_", "torch_"):
        assert any(name.startswith(stem) for name in MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_forward_agrees_with_the_framework(model):
    x, y = vectors(model)
    network = load(FIXTURES / model, states="none")
    assert network.input_shape == x.shape[1:]
    np.testing.assert_allclose(forward(network, x), y, atol=1e-5, rtol=0)
    np.testing.assert_allclose(forward(network, x, dtype=np.float32), y, atol=1e-5, rtol=0)


def test_trace_holds_every_gate_and_state():
    network, trace = small(activation="relu"), {}
    x = np.random.default_rng(2).normal(size=(5, 3, 2))
    y = forward(network, x, trace=trace)
    assert list(trace) == ["l0_lstm", "l1_dense"]
    lstm, dense = trace["l0_lstm"], trace["l1_dense"]
    assert {name: value.shape for name, value in lstm.items()} == dict.fromkeys(
        ["z_i", "z_f", "z_g", "z_o", *"ifgoch"], (5, 3, 2))
    for gate in "ifo":
        np.testing.assert_allclose(lstm[gate], 1 / (1 + np.exp(-lstm[f"z_{gate}"])))
    np.testing.assert_allclose(lstm["g"], np.tanh(lstm["z_g"]))
    before = np.concatenate([np.zeros((5, 1, 2)), lstm["c"][:, :-1]], axis=1)
    np.testing.assert_allclose(lstm["c"], lstm["f"] * before + lstm["i"] * lstm["g"])
    np.testing.assert_allclose(lstm["h"], lstm["o"] * np.tanh(lstm["c"]))
    np.testing.assert_array_equal(dense["y"], np.maximum(dense["z"], 0))
    np.testing.assert_array_equal(dense["y"], y)


@pytest.mark.parametrize("reset_after", [True, False])
def test_trace_of_a_gru(reset_after):
    random, trace = np.random.default_rng(3), {}
    gru = Gru(units=2, w_ih=random.normal(size=(6, 3)), w_hh=random.normal(size=(6, 2)),
              b=random.normal(size=6), b_n=random.normal(size=2) if reset_after else None,
              reset_after=reset_after, return_sequences=True)
    y = forward(Network((4, 3), (gru,)), random.normal(size=(5, 4, 3)), trace=trace)
    inside = trace["l0_gru"]
    middle = "m" if reset_after else "q"
    assert {name: value.shape for name, value in inside.items()} == dict.fromkeys(
        ["z_r", "z_z", "z_n", "r", "z", "n", "h", middle], (5, 4, 2))
    before = np.concatenate([np.zeros((5, 1, 2)), y[:, :-1]], axis=1)
    wanted = before @ gru.w_hh[4:].T + gru.b_n if reset_after else inside["r"] * before
    np.testing.assert_allclose(inside[middle], wanted)
    np.testing.assert_allclose(inside["n"], np.tanh(inside["z_n"]))
    np.testing.assert_allclose(y, inside["z"] * before + (1 - inside["z"]) * inside["n"])
    np.testing.assert_array_equal(y, inside["h"])


def test_trace_of_a_simple_rnn():
    random, trace = np.random.default_rng(3), {}
    rnn = Rnn(units=2, w_ih=random.normal(size=(2, 3)), w_hh=random.normal(size=(2, 2)),
              b=random.normal(size=2), return_sequences=True, activation="relu")
    y = forward(Network((4, 3), (rnn,)), random.normal(size=(5, 4, 3)), trace=trace)
    assert list(trace["l0_rnn"]) == ["z", "h"]
    np.testing.assert_array_equal(y, np.maximum(trace["l0_rnn"]["z"], 0))


def test_one_step_by_hand():
    # One unit, one feature: z = w x + b per gate, from h = c = 0.
    lstm = Lstm(units=1, w_ih=np.array([[1.], [2.], [3.], [4.]]), w_hh=np.ones((4, 1)),
                b=np.array([.1, .2, .3, .4]), return_sequences=True)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    b = lstm.b.astype(float)
    c = sigmoid(0.5 + b[0]) * np.tanh(1.5 + b[2])
    y = forward(Network((1, 1), (lstm,)), np.full((1, 1, 1), 0.5))
    np.testing.assert_allclose(y, np.full((1, 1, 1), sigmoid(2.0 + b[3]) * np.tanh(c)))


def test_large_values_do_not_overflow():
    x = np.full((1, 3, 2), 1e30)
    with np.errstate(all="raise"):
        assert np.isfinite(forward(small(activation="sigmoid"), x)).all()


@pytest.mark.parametrize("shape", [(), (3, 2), (5, 2, 3), (5, 3, 2, 1)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(UserError, match=r"inputs must have the shape \(samples, 3, 2\), not"):
        forward(small(), np.zeros(shape))
