"""Attention behind the recurrent layers of a Keras model, which the host computes, against its
equations in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends.cuts import Cut, with_around
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import split


class Seeded:
    """Seeded weights for every layer; ``given``, those of attention."""

    def __init__(self):
        self.rng, self.given = np.random.default_rng(5), None

    def inside(self, place, *names):
        return self

    def arrays(self, where, shapes):
        found = [self.rng.standard_normal(shape).astype(np.float32) for shape in shapes.values()]
        self.given = found[0] if [*shapes] == ["scale"] else self.given
        return found


def layer(kind, name, *inbound, **config):
    return {"class_name": kind, "name": name, "config": {"name": name, **config},
            "inbound_nodes": [[[one, 0, 0, {}] for one in inbound]] if inbound else []}


def model(kind, **config):
    """Two LSTMs of 3 units, 5 and 4 steps, and a layer that is called with both."""
    parts = [one for n, steps in enumerate((5, 4)) for one in (
        layer("InputLayer", f"x{n}", batch_input_shape=[None, steps, 2]),
        layer("LSTM", f"h{n}", f"x{n}", units=3, return_sequences=True))]
    config = {"name": "m", "layers": [*parts, layer(kind, "joint", "h0", "h1", **config)],
              "input_layers": [["x0", 0, 0], ["x1", 0, 0]], "output_layers": [["joint", 0, 0]]}
    return {"class_name": "Functional", "config": config}


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def luong(a, b, scale):
    return softmax(a @ b.swapaxes(1, 2) * scale) @ b


def bahdanau(a, b, scale):
    return softmax((np.tanh(a[:, :, None] + b[:, None]) * scale).sum(axis=-1)) @ b


#: Layer, settings, its equation of both sequences and of the weights that it may have.
CASES = {
    "dot of features": ("Dot", {"axes": [2, 2]}, lambda a, b, _: a @ b.swapaxes(1, 2)),
    "dot, one axis": ("Dot", {"axes": -1}, lambda a, b, _: a @ b.swapaxes(1, 2)),
    "attention": ("Attention", {}, lambda a, b, _: luong(a, b, 1)),
    "scaled attention": ("Attention", {"use_scale": True}, luong),
    "additive attention": ("AdditiveAttention", {}, bahdanau),
    "plain additive attention": ("AdditiveAttention", {"use_scale": False},
                                 lambda a, b, _: bahdanau(a, b, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_host_attends(case):
    kind, config, equation = CASES[case]
    weights = Seeded()
    network = with_around(read_model(model(kind, **config), weights, 2, {}, cut=Cut()))
    assert network.around is not None
    x = [np.random.default_rng(n).standard_normal((2, steps, 2)) for n, steps in ((0, 5), (1, 4))]
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    made = split(forward(network, frames), network.output_shapes)
    (found,) = host.behind(made, kept)
    np.testing.assert_allclose(found, equation(*made, weights.given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "config", "words"), [
    ("Dot", {"axes": 1}, "its inputs have 5 and 4 elements along axes"),
    ("Dot", {"axes": [0, 2]}, "none the batch"), ("Dot", {"axes": 3}, "axes must be an axis"),
    ("Dot", {"axes": 2, "normalize": True}, "normalize must be"),
    ("Attention", {"score_mode": "concat"}, "score_mode must be")])
def test_what_the_host_does_not_attend_to(kind, config, words):
    with pytest.raises(UserError, match=words):
        read_model(model(kind, **config), Seeded(), 2, {}, cut=Cut())
