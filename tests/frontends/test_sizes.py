"""Open dimensions of a model's inputs, fixed by the user: ``timesteps`` and ``sizes``."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import gatefold as gf
from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.sizes import Sizes
from gatefold.gen.network.forward import forward
from tests.frontends.test_keras import layer, pack, unpack
from tests.frontends.test_keras import refusal as keras_refusal
from tests.support.onnx_graphs import graph, node, recurrent_weights, refusal
from tests.support.places import FIXTURES

LSTM = node("LSTM", "xt", "W", "R", "B", output=("", "h"), hidden_size=7)
END = node("Squeeze", "h", "zero")
#: (batch, timesteps, features), and timesteps first as torch has it unless told otherwise.
BATCH_FIRST = [node("Transpose", "x", output="xt", perm=[1, 0, 2]), LSTM, END]
STEPS_FIRST = [node("Identity", "x", output="xt"), LSTM, END]
#: A sequence of numbers, without the axis of features or without that of the batch.
NUMBERS = [node("Unsqueeze", "x", "two", output="x3"),
           node("Transpose", "x3", output="xt", perm=[1, 0, 2]), LSTM, END]
NO_BATCH = [node("Unsqueeze", "x", "one", output="xt"), LSTM,
            node("Reshape", "h", "flat")]
CONSTANTS = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2]),
             "flat": np.array([-1])}


def model(nodes, shape, features=3) -> onnx.ModelProto:
    return graph(nodes, shape=shape,
                 constants=recurrent_weights(features=features) | CONSTANTS)


def loaded(one: onnx.ModelProto, folder, **options):
    path = folder / "m.onnx"
    path.write_bytes(one.SerializeToString())
    return load(path, **options)


@pytest.mark.parametrize(("nodes", "shape", "features"), [
    (BATCH_FIRST, ("b", "t", 3), 3), (BATCH_FIRST, (None, None, 3), 3),
    (BATCH_FIRST, (1, "t", 3), 3), (BATCH_FIRST, (1, None, 3), 3),
    (STEPS_FIRST, ("t", "b", 3), 3), (STEPS_FIRST, ("seq", "batch_size", 3), 3),
    (STEPS_FIRST, (None, None, 3), 3), (STEPS_FIRST, ("t", 1, 3), 3),
    (NUMBERS, ("b", "t"), 1), (NUMBERS, (1, "t"), 1), (NO_BATCH, ("t", 3), 3)])
def test_an_open_time_axis_is_fixed_in_onnx(tmp_path, nodes, shape, features):
    network = loaded(model(nodes, shape, features), tmp_path, timesteps=9)
    fixed = tuple(9 if n in ("t", "seq") else 1 if n in ("b", "batch_size") else n for n in shape)
    if None in fixed:
        fixed = (1, 9, 3) if nodes is BATCH_FIRST else (9, 1, 3)
    wanted = loaded(model(nodes, fixed, features), tmp_path)
    assert network.input_shape == wanted.input_shape and 9 in network.input_shape
    x = np.random.default_rng(0).normal(size=(2, *network.input_shape))
    np.testing.assert_array_equal(forward(network, x), forward(wanted, x))


@pytest.mark.parametrize(("shape", "sizes"), [
    (("b", "t", 3), {"t": 9}), (("b", None, 3), {"x:1": 9}), (("b", 9, "f"), {"f": 3}),
    (("b", "t", "f"), {"t": 9, "f": 3}), (("b", "t", 3), {"b": 4, "t": 9})])
def test_open_dimensions_are_fixed_by_name_in_onnx(tmp_path, shape, sizes):
    network = loaded(model(BATCH_FIRST, shape), tmp_path, sizes=sizes)
    assert network.input_shape == (9, 3)


def test_the_timesteps_of_one_input_are_those_of_another(tmp_path):
    nodes = [node("Concat", "x", "z", output="both", axis=2),
             node("Transpose", "both", output="xt", perm=[1, 0, 2]), LSTM, END]
    both = graph(nodes, shape=("b", "t", 2), inputs={"z": ("b", "t", 1)},
                 constants=recurrent_weights() | CONSTANTS)
    assert loaded(both, tmp_path, timesteps=9).input_shapes == ((9, 2), (9, 1))


def test_a_state_as_input_keeps_its_units(tmp_path):
    stateful = node("LSTM", "xt", "W", "R", "B", "", "h0", "c0", output=("", "h"), hidden_size=7)
    nodes = [BATCH_FIRST[0], stateful, END]
    state = graph(nodes, shape=("b", "t", 3), inputs={"h0": (1, "b", 7), "c0": (1, "b", 7)},
                  constants=recurrent_weights() | CONSTANTS)
    assert loaded(state, tmp_path, timesteps=9).input_shapes == ((9, 3), (7,), (7,))


def rated(given: str = "rate") -> onnx.ModelProto:
    """A model that takes a sampling rate as a number, and has a branch for each."""
    def branch(name, nodes):
        return onnx.helper.make_graph(nodes, name, [], [
            onnx.helper.make_tensor_value_info(f"{name}_y", onnx.TensorProto.FLOAT, None)])
    slow = branch("slow", [node("Slice", "x", "one", "two", "one", "two", output="slow_y")])
    fast = branch("fast", [node("Identity", "x", output="fast_y")])
    nodes = [node("Equal", given, "sixteen", output="is"),
             node("If", "is", output="chosen", then_branch=fast, else_branch=slow),
             node("ReduceMean", "chosen", output="mean", axes=[1], keepdims=0),
             node("Gemm", "mean", "w")]
    model = graph(nodes, shape=("b", 6, 3), constants=CONSTANTS | {
        "sixteen": np.array(16000), "w": np.ones((3, 2), np.float32)})
    model.graph.input.append(onnx.helper.make_tensor_value_info("rate", onnx.TensorProto.INT64, []))
    return model


def test_a_number_as_input_is_fixed_and_its_branch_taken(tmp_path):
    fast, slow = (loaded(rated(), tmp_path, sizes={"rate": rate}) for rate in (16000, 8000))
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    wanted = np.repeat(x.mean(axis=1).sum(axis=1, keepdims=True), 2, axis=1)
    assert fast.input_shapes == slow.input_shapes == ((6, 3),)
    np.testing.assert_allclose(forward(fast, x), wanted)
    np.testing.assert_allclose(forward(slow, x), np.repeat(
        x[:, 1:2].mean(axis=1).sum(axis=1, keepdims=True), 2, axis=1))


def test_a_number_as_input_must_be_given(tmp_path):
    assert ("input 'rate' is a single number, which a core needs fixed: give it with --set rate=N "
            "(sizes={'rate': N} in Python)") in refusal(rated(), tmp_path)


@pytest.mark.parametrize(("shape", "options", "words"), [
    (("b", "t", 3), {}, "timesteps is not fixed (shape (b, t, 3)): give it with --timesteps T"),
    (("b", "t", 3), {"sizes": {"u": 9}}, "'u' is no open dimension of the model: its open "
     "dimensions are b, t"),
    (("b", "t\n\x1b", 3), {"sizes": {"u": 9}}, "its open dimensions are b, t\\n\\x1b"),
    ((1, 6, 3), {"sizes": {"u": 9}}, "it has none, leave --set out"),
    (("b", "t", "f"), {"timesteps": 9}, "the number of features is not fixed (shape (b, t, f)): "
     "give it with --set f=N"),
    (("b", "t", 3), {"timesteps": 0}, "--timesteps: it must be an integer in 1..65536, not 0"),
    (("b", "t", 3), {"timesteps": 9.0}, "--timesteps: it must be an integer in 1..65536, not 9.0"),
    (("b", "t", 3), {"sizes": {"t": 1 << 40}}, "--set: 't' must be an integer in 1..65536"),
    (("b", 6, 3), {"timesteps": 9}, "--timesteps is 9, but the file fixes the shape of its input "
     "to (6, 3), without the batch: leave it out"),
    (("b", 1, 3), {"timesteps": 9}, "the file fixes the shape of its input to (1, 3)"),
    (("b", 6, "f"), {"sizes": {"f": 5}}, "W takes 3 features, but the input has 5"),
])
def test_sizes_that_contradict_an_onnx_model_are_refused(tmp_path, shape, options, words):
    path = tmp_path / "m.onnx"
    path.write_bytes(model(BATCH_FIRST, shape).SerializeToString())
    with pytest.raises(UserError) as caught:
        load(path, **options)
    text = str(caught.value)
    assert words in text and text.isprintable()


def test_the_same_number_of_timesteps_as_in_the_file_may_be_given(tmp_path):
    assert loaded(model(BATCH_FIRST, ("b", 6, 3)), tmp_path, timesteps=6).input_shape == (6, 3)


def test_a_number_of_timesteps_that_the_graph_contradicts_is_refused(tmp_path):
    nodes = [node("Reshape", "x", "to", output="r"), node("Relu", "r")]
    flat = graph(nodes, shape=("b", "t", 3), constants={"to": np.array([-1, 18])})
    assert loaded(flat, tmp_path, timesteps=6).input_shape == (6, 3)
    with pytest.raises(UserError, match="^'m.onnx': "):
        loaded(flat, tmp_path, timesteps=7)


# --- Keras

def keras(tmp_path, shape, name="keras_last.keras"):
    config, weights = unpack(name)
    layer(config, "InputLayer")["config"].update(batch_shape=shape)
    return pack(tmp_path / "m.keras", config, weights)


def test_open_timesteps_are_fixed_in_keras(tmp_path):
    path = keras(tmp_path, [None, None, 3])
    network, fixed = load(path, timesteps=6), load(FIXTURES / "keras_last.keras")
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    np.testing.assert_array_equal(forward(network, x), forward(fixed, x))
    assert load(path, timesteps=9).input_shape == (9, 3)
    name = layer(unpack("keras_last.keras")[0], "InputLayer")["config"]["name"]
    assert load(path, sizes={f"{name}:1": 5}).input_shape == (5, 3)


@pytest.mark.parametrize(("shape", "options", "words"), [
    ([None, None, 3], {}, "the number of timesteps is not fixed"),
    ([None, None], {}, "the number of timesteps is not fixed"),
    ([None, 6, 3], {"timesteps": 9}, "the file fixes the shape of its input to (6, 3)"),
    ([None, 6, None], {"timesteps": 3}, "the number of features is not fixed"),
    ([None, 6, 3], {"sizes": {"t": 9}}, "'t' is no open dimension of the model: it has none"),
])
def test_sizes_that_contradict_a_keras_model_are_refused(tmp_path, shape, options, words):
    with pytest.raises(UserError) as caught:
        load(keras(tmp_path, shape), **options)
    assert words in str(caught.value)


def test_a_description_fixes_the_shape_itself():
    with pytest.raises(UserError, match="--timesteps fixes an open dimension of the model, but"):
        load(FIXTURES / "described_last.npz", network=FIXTURES / "described_last.toml",
             timesteps=6)


# --- the command line

@pytest.mark.parametrize(("texts", "words"), [
    (["t"], "--set must be NAME=VALUE, with an integer in 1..65536 as VALUE, not 't'"),
    (["=3"], "not '=3'"), (["t=x"], "not 't=x'"), (["t=\u00b2"], "not 't=\\xb2'"),
    (["t=0"], "--set: 't' must be an integer in 1..65536, not 0"),
    (["t=1", "t=2"], "--set gives 't' two sizes, 1 and 2: give one")])
def test_a_set_option_is_refused(texts, words):
    with pytest.raises(UserError) as caught:
        Sizes.read(None, texts)
    assert words in str(caught.value)


def test_sizes_become_options_again():
    sizes = Sizes.read(60, ["a=b=3", "t=4"])
    assert sizes.named == {"a=b": 3, "t": 4}
    assert sizes.words == ["--timesteps", "60", "--set", "a=b=3", "--set", "t=4"]


def test_python_has_the_same_doors(tmp_path):
    assert gf.load(keras(tmp_path, [None, None, 3]), timesteps=4).input_shape == (4, 3)
    assert "timesteps" in keras_refusal(keras(tmp_path, [None, None, 3]))
    assert refusal(model(BATCH_FIRST, ("b", "t", 3)), tmp_path)
