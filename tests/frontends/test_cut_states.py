"""Models that are cut and whose caller hands states back: the core keeps the model's own states,
and nothing that only looks like one."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

import gatefold as gf
from gatefold.gen.cut.parts import Host
from gatefold.gen.frontends.cuts import Cut, with_around
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import split
from gatefold.gen.network.states import carry
from tests.frontends.test_keras_attention import Seeded, layer
from tests.support.onnx_graphs import graph, node, recurrent_weights

RNG = np.random.default_rng(8)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CONSTANTS = recurrent_weights() | {
    "table": floats(50, 3), "zero": np.array([0]), "one": np.array([1]), "gain": floats(7),
    "offset": floats(7), "three": np.array([3])}
#: A step of a decoder: a token, and a state of h and c in one tensor.
EMBEDDED = [node("Gather", "table", "x", output="e"),
            node("Transpose", "e", output="xt", perm=[1, 0, 2])]
SLICED = [node("Gather", "s", "zero", output="h0", axis=0),
          node("Gather", "s", "one", output="c0", axis=0)]
STEP = node("LSTM", "xt", "W", "R", "B", "", "h0", "c0", output=["Y", "h", "c"], hidden_size=7)
SCORES = [node("Squeeze", "h", "zero", output="q"),
          node("LayerNormalization", "q", "gain", "offset", output="y")]


def stepped(model, tokens):
    """What the model gives of each token when its caller hands the state back."""
    state, found = np.zeros((2, 1, 7), np.float32), []
    for token in tokens:
        y, state = ReferenceEvaluator(model).run(None, {"x": token[None], "s": state})
        found.append(y[0])
    return np.array(found)


def whole(network, x):
    """The model's own outputs, the core computed in floats, sample behind sample."""
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    return host.behind(split(forward(network, frames), network.output_shapes), kept)


def tokens_file(folder, nodes):
    model = graph(nodes, shape=("n", 1), constants=CONSTANTS, inputs={"s": (2, "n", 7)},
                  outputs=("y", "s1"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return model, folder / "m.onnx"


def test_a_core_keeps_the_state_of_the_model_and_gives_the_host_what_it_reads_of_it(tmp_path):
    model, path = tokens_file(tmp_path, [
        *EMBEDDED, *SLICED, STEP, node("Concat", "h", "c", output="s1", axis=0), *SCORES])
    network = gf.load(path, cut="auto")
    assert network.source["states"] == [{"output": "s1", "input": "s"}]
    assert [port.name for port in network.around.inputs] == ["x"]
    assert [port.name for port in network.around.outputs] == ["y"]
    x = RNG.integers(0, 50, (5, 1))
    np.testing.assert_allclose(whole(network, x)[0], stepped(model, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch, cut, last", [("n", "auto", "Sin"), (1, None, "Tanh")])
def test_two_layers_that_take_the_steps_first_keep_their_states(tmp_path, batch, cut, last):
    """The states (layers, batch, units) are no batch of 2 samples."""
    lstms = [node(kind, *names, output=output, **more) for kind, names, output, more in (
        ("Split", ("h0", "halves"), ["h01", "h02"], {"axis": 0}),
        ("Split", ("c0", "halves"), ["c01", "c02"], {"axis": 0}),
        ("LSTM", ("x", "W", "R", "B", "", "h01", "c01"), ["Y1", "h1", "c1"], {"hidden_size": 7}),
        ("Squeeze", ("Y1", "one"), "x2", {}),
        ("LSTM", ("x2", "W2", "R", "B", "", "h02", "c02"), ["Y2", "h2", "c2"], {"hidden_size": 7}),
        ("Concat", ("h1", "h2"), "hn", {"axis": 0}), ("Concat", ("c1", "c2"), "cn", {"axis": 0}),
        (last, ("Y2",), "y", {}))]
    model = graph(lstms, shape=(4, batch, 3), inputs={"h0": (2, batch, 7), "c0": (2, batch, 7)},
                  outputs=("y", "hn", "cn"), constants=CONSTANTS | {
                      "halves": np.array([1, 1]), "W2": floats(1, 28, 7)})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = gf.load(tmp_path / "m.onnx", cut=cut)
    x, want, states = floats(3, 4, 1, 3), [], [np.zeros((2, 1, 7), np.float32)] * 2
    for one in x:
        y, *states = ReferenceEvaluator(model).run(
            None, {"x": one} | dict(zip(("h0", "c0"), states, strict=True)))
        want.append(y)
    found = whole(network, x)[0] if cut else forward(network, x.reshape(3, 4, 3))
    np.testing.assert_allclose(found.reshape(3, -1), np.reshape(want, (3, -1)), rtol=1e-4,
                               atol=1e-5)


def test_the_batch_of_a_state_is_that_of_the_input(tmp_path):
    """Its axis for one layer is no batch, though it holds one element."""
    states = {"h0": (1, "batch", 7), "c0": (1, "batch", 7)}
    model = graph([node("Sin", "x", output="e"), EMBEDDED[1], STEP, node("Squeeze", "Y", "one")],
                  shape=("batch", "time", 3), inputs=states, outputs=("y", "h", "c"),
                  constants=CONSTANTS)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = gf.load(tmp_path / "m.onnx", cut="auto", timesteps=4)
    assert [port.name for port in network.around.inputs] == ["x"]
    x, given = floats(1, 4, 3), dict.fromkeys(states, np.zeros((1, 1, 7), np.float32))
    wanted = ReferenceEvaluator(model).run(None, {"x": x} | given)[0]
    np.testing.assert_allclose(whole(network, x)[0][0], wanted, rtol=1e-4, atol=1e-5)


def test_a_state_that_the_host_makes_is_none_of_the_model(tmp_path):
    """The state is scaled on its way in: what its caller hands back is not what the core keeps."""
    model, path = tokens_file(tmp_path, [
        *EMBEDDED, node("Sin", "s", output="t"),
        *(node("Gather", "t", place, output=name, axis=0)
          for place, name in (("zero", "h0"), ("one", "c0"))),
        STEP, node("Concat", "h", "c", output="s1", axis=0), *SCORES])
    network = gf.load(path, cut="auto")
    assert "states" not in network.source
    x, s = RNG.integers(0, 50, (1, 1)), floats(2, 1, 7)
    np.testing.assert_allclose(
        whole(network, [x, s.transpose(1, 0, 2)])[0],
        ReferenceEvaluator(model).run(None, {"x": x, "s": s})[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind, states, behind", [
    ("LSTM", "hc", "Dense"), ("GRU", "h", "Dense"), ("GRU", "h", "LayerNormalization")])
def test_a_decoder_of_keras_keeps_its_states(kind, states, behind):
    inputs = [layer("InputLayer", name, batch_input_shape=[None, n])
              for name, n in (("tokens", 1), *((state, 4) for state in states))]
    cell = layer(kind, "cell", units=4, return_sequences=True, return_state=True)
    cell["inbound_nodes"] = [[["vectors", 0, 0, {}], *([state, 0, 0, {}] for state in states)]]
    last = layer(behind, "scores", **({"units": 5, "activation": "softmax"} if behind == "Dense"
                                      else {"epsilon": 1e-3}))
    last["inbound_nodes"] = [[["cell", 0, 1, {}]]]
    config = {"name": "m", "layers": [
        *inputs, layer("Embedding", "vectors", "tokens", input_dim=9, output_dim=3), cell, last],
        "input_layers": [[one["name"], 0, 0] for one in inputs],
        "output_layers": [["scores", 0, 0], *(["cell", 0, n + 1] for n in range(len(states)))]}

    def network(how):
        return with_around(carry(read_model({"class_name": "Functional", "config": config},
                                            Seeded(), 2, {}, cut=Cut()), how))

    kept, open_ = network("auto"), network("none")
    assert [pair["input"] for pair in kept.source["states"]] == [*states]
    assert [len(one.around.inputs) for one in (kept, open_)] == [1, 1 + len(states)]
    x, state, want = RNG.integers(0, 9, (4, 1)), [np.zeros((1, 4))] * len(states), []
    for token in x:
        scores, *state = whole(open_, [token[None], *state])
        want.append(scores[0])
    (found,) = whole(kept, x)
    np.testing.assert_allclose(found, np.array(want), rtol=1e-5, atol=1e-6)
