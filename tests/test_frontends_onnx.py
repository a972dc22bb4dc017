"""ONNX files: what the graphs of every exporter become, what is refused, and hostile files.

Graphs are edited as protobufs of the fixtures, or written by hand where no exporter writes them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gatefold.gen.errors import UserError
from gatefold.gen.forward import forward
from gatefold.gen.frontends import load
from gatefold.gen.network import Dense, Lstm

FIXTURES = Path(__file__).parent / "fixtures"
STACK = "torch_stack.script17.onnx"


def refusal(model: onnx.ModelProto | bytes, folder: Path, **options) -> str:
    """The message of the UserError that loading ``model`` raises: one printable line."""
    path = folder / "m.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(UserError) as caught:
        load(path, **options)
    text = str(caught.value)
    assert text.isprintable() and text.isascii() and text.startswith("'m.onnx'")
    assert str(folder) not in text and len(text) < 900
    return text


def loaded(model: onnx.ModelProto, folder: Path):
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path)


def graph(nodes: list, *, shape=("batch", 6, 3), opset: int = 17, constants=None,
          outputs=("y",)) -> onnx.ModelProto:
    """A model by hand: input ``x``, output ``y``; ``constants`` by name."""
    tensors = [numpy_helper.from_array(np.asarray(value), name)
               for name, value in (constants or {}).items()]
    return helper.make_model(helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        tensors), opset_imports=[helper.make_opsetid("", opset)])


def lstm_weights(units=7, features=3) -> dict:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in
            (("W", (1, 4 * units, features)), ("R", (1, 4 * units, units)), ("B", (1, 8 * units)))}


def lstm(*inputs, outputs=("Y",), **attributes):
    """An LSTM node on time-first ``xt``."""
    return helper.make_node("LSTM", ["xt", "W", "R", "B", *inputs], list(outputs), name="cell",
                            **attributes)


TURN = helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2])
LAST = [TURN, lstm(outputs=("", "h"), hidden_size=7), helper.make_node("Identity", ["h"], ["y"])]


def layers(network) -> list[tuple]:
    """Kind, and return_sequences or the activation or the timesteps."""
    said = ("return_sequences", "activation", "timesteps")
    return [(one.kind, *(getattr(one, key) for key in said if hasattr(one, key)))
            for one in network.layers]


# --- what graphs become

ENCODER = [("lstm", False), ("repeat_vector", 6), ("lstm", True), ("dense", "linear")]


@pytest.mark.parametrize(("fixture", "expected"), [
    ("torch_last.script17", [("lstm", False), ("dense", "linear")]),
    ("torch_hidden.dynamo", [("lstm", True), ("lstm", False), ("dense", "tanh")]),
    ("torch_time_first.script17", [("lstm", True), ("lstm", True), ("dense", "linear")]),
    ("torch_repeat.script17", ENCODER),
    ("torch_repeat.dynamo", ENCODER),
    ("torch_expand.dynamo", ENCODER),
    ("torch_mlp.script17", [("lstm", True), ("flatten",), ("dense", "relu"), ("dense", "sigmoid")]),
    # Twelve nodes for six timesteps are one layer again.
    ("torch_unrolled.script17", [("lstm", True), ("dense", "sigmoid")]),
    ("torch_unrolled.dynamo", [("lstm", True), ("dense", "sigmoid")]),
    # The head runs on every step and only its last output is used: only the last h is needed.
    ("torch_last_output.script17", [("lstm", False), ("dense", "linear")]),
    ("torch_relu_hidden.script17", [("lstm", False), ("dense", "relu"), ("dense", "linear")]),
    ("keras_autoencoder", [("lstm", True), ("lstm", False), ("repeat_vector", 6), ("lstm", True),
                           ("lstm", True), ("dense", "linear")]),
    ("tf_keras_flatten", [("lstm", True), ("flatten",), ("dense", "tanh"), ("dense", "sigmoid")]),
])
def test_layers_of_the_network(fixture, expected):
    assert layers(load(FIXTURES / f"{fixture}.onnx")) == expected


@pytest.mark.parametrize("name", ["last", "stack", "autoencoder", "flatten", "nobias", "sequence"])
def test_both_formats_of_a_keras_model_are_one_network(name):
    keras, exported = (load(FIXTURES / f"keras_{name}.{suffix}") for suffix in ("keras", "onnx"))
    x = np.random.default_rng(0).normal(size=(2, *keras.input_shape))
    np.testing.assert_allclose(forward(keras, x), forward(exported, x), atol=1e-6)


def test_gates_are_put_in_our_order_and_biases_merged(tmp_path):
    weights = lstm_weights()
    one = loaded(graph(LAST, constants=weights), tmp_path).layers[0]
    assert isinstance(one, Lstm) and not one.return_sequences
    i, o, f, c = np.split(weights["W"][0], 4)
    np.testing.assert_array_equal(one.w_ih, np.concatenate([i, f, c, o]))
    i, o, f, c = np.split(weights["B"][0][:28] + weights["B"][0][28:], 4)
    np.testing.assert_allclose(one.b, np.concatenate([i, f, c, o]), rtol=1e-6)


def test_source_describes_the_file():
    source = load(FIXTURES / STACK).source
    assert source["format"] == "onnx" and source["exporter"].startswith("pytorch")
    assert source["opset"] == 17 and len(source["sha256"]) == 64
    assert source["bytes"] == (FIXTURES / STACK).stat().st_size


def test_every_initial_state_spelled_out_as_zero(tmp_path):
    weights = {**lstm_weights(), "zero": np.zeros((1, 1, 7), np.float32)}
    nodes = [TURN, lstm("", "zero", "zero", outputs=("", "y"))]
    assert layers(loaded(graph(nodes, constants=weights), tmp_path)) == [("lstm", False)]


@pytest.mark.parametrize("attributes", [
    {"activations": ["Sigmoid", "Tanh", "Tanh"]}, {"activations": ["sigmoid", "tanh", "tanh"]},
    {"direction": "forward"}, {"input_forget": 0}, {"hidden_size": 7}, {"layout": 0},
])
def test_defaults_given_explicitly(tmp_path, attributes):
    nodes = [TURN, lstm(outputs=("", "y"), **attributes)]
    assert layers(loaded(graph(nodes, constants=lstm_weights()), tmp_path)) == [("lstm", False)]


def test_layout_with_the_batch_first(tmp_path):
    weights = lstm_weights()
    node = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y4"], layout=1)
    nodes = [node, helper.make_node("Squeeze", ["y4", "two"], ["y"])]
    first = loaded(graph(nodes, constants={**weights, "two": np.array([2])}), tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    nodes = [TURN, lstm(outputs=("y4",)), helper.make_node("Squeeze", ["y4", "one"], ["y"])]
    second = loaded(graph(nodes, constants={**weights, "one": np.array([1])}), tmp_path)
    np.testing.assert_array_equal(forward(first, x), forward(second, x))
    assert forward(first, x).shape == (2, 6, 7)


@pytest.mark.parametrize("shape", [("b", 6, 3), (1, 6, 3), (4, 6, 3), (6, "b", 3), (6, 1, 3),
                                   (None, 6, 3), (6, 3)])
def test_the_batch_may_be_anywhere_and_of_any_size(tmp_path, shape):
    nodes = [*([] if shape[0] == 6 and len(shape) == 3 else [TURN]),
             lstm(outputs=("", "h")), helper.make_node("Squeeze", ["h", "zero"], ["y"])]
    if shape[0] == 6 and len(shape) == 3:
        nodes[0] = helper.make_node("LSTM", ["x", "W", "R", "B"], ["", "h"])
    if len(shape) == 2:  # without a batch, as PyTorch allows
        nodes[0] = helper.make_node("Unsqueeze", ["x", "one"], ["xt"])
    network = loaded(graph(nodes, shape=shape, constants={
        **lstm_weights(), "zero": np.array([0]), "one": np.array([1])}), tmp_path)
    assert network.input_shape == (6, 3) and layers(network) == [("lstm", False)]


def test_scaled_gemm_is_folded_into_the_weights(tmp_path):
    random = np.random.default_rng(3)
    w, c = random.normal(size=(3, 2)).astype("f4"), random.normal(size=2).astype("f4")
    node = helper.make_node("Gemm", ["x", "w", "c"], ["y"], alpha=2.0, beta=0.5)
    network = loaded(graph([node], shape=("b", 3), constants={"w": w, "c": c}), tmp_path)
    dense, = network.layers
    assert isinstance(dense, Dense)
    np.testing.assert_allclose(dense.w, 2 * w.T)
    np.testing.assert_allclose(dense.b, 0.5 * c)


def test_nodes_that_the_output_does_not_need_are_not_read(tmp_path):
    stray = helper.make_node("Einsum", ["x", "x"], ["unused"], equation="abc,abc->a")
    assert layers(loaded(graph([stray, *LAST], constants=lstm_weights()), tmp_path))


def test_a_constant_condition_takes_its_branch(tmp_path):
    def branch(name, kind):
        return helper.make_graph([helper.make_node(kind, ["x"], [name])], name, [],
                                 [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    nodes = [helper.make_node("If", ["yes"], ["a"], then_branch=branch("p", "Identity"),
                              else_branch=branch("q", "Softmax")),
             helper.make_node("Gemm", ["a", "w"], ["y"])]
    constants = {"yes": np.array(True), "w": np.ones((3, 2), np.float32)}
    model = graph(nodes, shape=("b", 3), constants=constants)
    assert layers(loaded(model, tmp_path)) == [("dense", "linear")]
    constants["yes"] = np.array(False)
    assert "'Softmax'" in refusal(graph(nodes, shape=("b", 3), constants=constants), tmp_path)


# --- an LSTM's attributes and inputs, each honoured or refused by name


@pytest.mark.parametrize(("attributes", "inputs", "words"), [
    ({"direction": "reverse"}, [], "direction must be 'forward', not 'reverse'"),
    ({"direction": "bidirectional"}, [], "direction must be 'forward', not 'bidirectional'"),
    ({"clip": 3.0}, [], "clip must be None, not 3.0"),
    ({"input_forget": 1}, [], "input_forget must be 0, not 1"),
    ({"activations": ["Sigmoid", "Relu", "Tanh"]}, [], "must be Sigmoid, Tanh, Tanh, not"),
    ({"activations": ["HardSigmoid", "Tanh", "Tanh"]}, [], "not 'HardSigmoid'"),
    ({"activation_alpha": [0.2]}, [], "activation_alpha must be None"),
    ({"activation_beta": [0.2]}, [], "activation_beta must be None"),
    ({"hidden_size": 8}, [], "hidden_size 8 and the shapes of W"),
    ({"layout": 2}, [], "layout must be 0 or 1, not 2"),
    ({"layout": "x"}, [], "attribute layout must be an integer"),
    ({"output_sequence": 1}, [], "attribute 'output_sequence' (1) is not supported"),
    ({"novelty": 1}, [], "attribute 'novelty' (1) is not supported"),
    ({}, ["lengths"], "sequence_lens is given"),
    ({}, ["", "ones"], "initial_h must be zero"),
    ({}, ["", "", "ones"], "initial_c must be zero"),
    ({}, ["", "", "eight"], "initial_c has the shape (1, 1, 8), which contradicts the 7 units"),
    ({}, ["", "x"], "initial_h must be constant, but the network computes it"),
    ({}, ["", "", "", "peephole"], "P (peephole weights) is given"),
    ({}, ["", "", "", "", "zero"], "has 9 inputs, but at most 8 are read"),
    ({}, ["", "nothing"], "the tensor 'nothing' is not defined before it is used"),
])
def test_an_lstm_is_refused(tmp_path, attributes, inputs, words):
    constants = {**lstm_weights(), "lengths": np.array([6], np.int32),
                 "ones": np.ones((1, 1, 7), np.float32), "zero": np.zeros((1, 1, 7), np.float32),
                 "eight": np.zeros((1, 1, 8), np.float32),
                 "peephole": np.zeros((1, 21), np.float32)}
    nodes = [TURN, lstm(*inputs, outputs=("", "y"), **attributes)]
    text = refusal(graph(nodes, constants=constants), tmp_path)
    assert words in text and "ONNX node 'cell' ('LSTM')" in text


def test_the_cell_state_can_not_be_used(tmp_path):
    nodes = [TURN, lstm(outputs=("", "", "c")), helper.make_node("Identity", ["c"], ["y"])]
    assert "Y_c, the cell state" in refusal(graph(nodes, constants=lstm_weights()), tmp_path)


@pytest.mark.parametrize(("change", "words"), [
    ({"W": np.zeros((1, 28, 4), "f4")}, "W takes 4 features, but the input has 3"),
    ({"W": np.zeros((2, 28, 3), "f4")}, "contradict each other"),
    ({"R": np.zeros((1, 28, 8), "f4")}, "contradict each other"),
    ({"B": np.zeros((1, 28), "f4")}, "contradict each other"),
    ({"W": np.zeros((1, 28, 3), "f8")}, "W must be float32, not float64"),
    ({"W": np.zeros((1, 28, 3), "f2")}, "has the type FLOAT16"),
    ({"R": np.full((1, 28, 7), np.nan, "f4")}, "w_hh holds NaN or infinite weights"),
    ({"B": np.full((1, 56), np.inf, "f4")}, "b holds NaN or infinite weights"),
])
def test_weights_are_refused(tmp_path, change, words):
    model = graph(LAST, constants={**lstm_weights(), **change})
    assert words in refusal(model, tmp_path)


# --- graphs that are no sequential network

def node(kind, *inputs, output="y", **attributes):
    return helper.make_node(kind, list(inputs), [output], name=f"the {kind}", **attributes)


SEQUENCE = [TURN, lstm(outputs=("Y4",)), node("Squeeze", "Y4", "one", output="Y")]
CONSTANTS = {
    **lstm_weights(), "one": np.array([1]), "zero": np.array([0]), "two": np.array([2]),
    "four": np.array([4]), "minus": np.array([-1]), "far": np.array([-100]),
    "w": np.ones((7, 2), np.float32), "steps": np.arange(6, dtype=np.float32).reshape(6, 1, 1),
    "scale": np.array(2.0, np.float32), "vector": np.ones(7, np.float32),
    "nan": np.full(7, np.nan, np.float32), "pick": np.array([3]), "some": np.array([0, 2]),
    "rows": np.array([-1, 14]), "wide": np.array([1, 1, 2]), "yes": np.array(True),
}


@pytest.mark.parametrize(("nodes", "words"), [
    ([node("Softmax", "Y")], "('Softmax'): this operator is not supported: supported are LSTM"),
    ([node("GRU", "Y", "W", "R")], "'GRU'"),
    ([node("Mul", "Y", "scale")], "not supported on a tensor of the network"),
    ([node("Sub", "Y", "vector")], "not supported on a tensor of the network"),
    ([node("Add", "Y", "Y")], "two tensors of the network are added"),
    ([node("Add", "Y", "vector")], "only the bias of a Dense is supported"),
    ([node("MatMul", "Y", "w", output="d"), node("Add", "d", "steps")], "its constant is no bias"),
    ([node("MatMul", "Y", "w", output="d"), node("Add", "d", "Y")], "two tensors of the network"),
    ([node("Add", "Y", "nan")], "holds NaN or infinite weights"),
    ([node("MatMul", "w", "Y")], "input 0 is constant"),
    ([node("MatMul", "Y", "vector")], "the weights must be a matrix"),
    ([node("MatMul", "xt", "w")], "the weights take 7 features, but the input has 3"),
    ([node("Gather", "Y", "pick")], "only the whole sequence or its last timestep"),
    ([node("Gather", "Y", "some", axis=2)], "selecting or reordering"),
    ([node("Gather", "Y", "some", axis=0)], "selecting or reordering timesteps or features"),
    ([node("Slice", "Y", "minus", "far", "zero", "minus")], "selecting or reordering"),
    ([node("Slice", "Y", "one", "four", "zero")], "selecting or reordering"),
    ([node("Transpose", "Y", perm=[2, 1, 0])], "selecting or reordering"),
    ([node("Tile", "Y", "wide")], "selecting or reordering"),
    ([node("Concat", "Y", "steps", axis=0)], "mixes the network's values with constants"),
    ([node("Concat", "Y", "xt", axis=2)], "joins the outputs of different layers"),
    ([node("Concat", "Y", "Y", axis=2, output="j"), node("MatMul", "j", "w")], "not the features"),
    ([node("Gather", "vector", "Y")], "takes a shape or an index from them"),
    ([node("Reshape", "Y", "rows")], "selecting or reordering"),
    ([node("Reshape", "Y", "pick")], "its inputs contradict it"),
    ([node("Transpose", "Y", perm=[0, 0, 1])], "its inputs contradict it"),
    ([node("Squeeze", "Y", "zero")], "its inputs contradict it"),
    ([node("Slice", "Y", "four", "one", "zero")], "empty tensor"),
    ([node("Relu", "Y", max=3.0)], "attribute 'max' (3.0) is not supported"),
    ([node("Relu", "Y", "Y")], "has 2 inputs, but at most 1 are read"),
    ([node("Dropout", "Y", "", "yes")], "training_mode must be false"),
    ([node("Cast", "Y", to=10)], "may be cast to float32 only"),
    ([node("Loop", "", "yes", "Y", body=helper.make_graph([], "b", [], []))],
     "export it with the batch None"),
    ([node("If", "Y", then_branch=helper.make_graph([], "b", [], []))], "condition depends on"),
    ([helper.make_node("Relu", ["Y"], ["y"], name="f", domain="com.microsoft")],
     "operators of the domain 'com.microsoft' are not supported"),
    ([helper.make_node("Relu", ["Y"], ["y", "z"], name="f")], "it has 2 outputs instead of 1"),
    ([node("Relu", "Y", output="Y4")], "'Y4' is defined twice"),
    ([node("Relu", "Y", output="other")], "'y' is not defined"),
    ([node("Shape", "Y")], "does not depend on the input"),
    # A second LSTM on what is not the first one's sequence in order of time.
    ([node("Slice", "xt", "minus", "far", "zero", "minus", output="b"),
      helper.make_node("LSTM", ["b", "W", "R"], ["", "y"])], "slicing or reversing time"),
    ([node("Slice", "xt", "one", "four", "zero", output="b"),
      helper.make_node("LSTM", ["b", "W", "R"], ["", "y"])], "slicing or reversing time"),
    ([node("Slice", "xt", "minus", "four", "zero", output="b"),
      helper.make_node("LSTM", ["b", "W", "R"], ["", "y"])], "empty"),
])
def test_a_graph_is_refused(tmp_path, nodes, words):
    assert words in refusal(graph([*SEQUENCE, *nodes], constants=CONSTANTS), tmp_path)


@pytest.mark.parametrize(("shape", "words"), [
    (("b", "t", 3), "the number of timesteps is not fixed"),
    (("b", None, 3), "the number of timesteps is not fixed (shape ('?', '?', 3))"),
    ((1, "t", 3), "the number of timesteps is not fixed"),
    (("b", 6, "f"), "the number of features is not fixed"),
    (("b", 6), "contradict"), ((), "must be (batch, timesteps, features)"),
    (("b", 1, 6, 3), "must be (batch, timesteps, features)"),
    (None, "must be (batch, timesteps, features)"),
    (("b", 10**12, 3), "timesteps must be an integer in 1..65536"),
    ((1, 65536, 65536), "may hold at most"),
    ((65536, 65536, 3), "may hold at most"),
])
def test_an_input_shape_is_refused(tmp_path, shape, words):
    assert words in refusal(graph(LAST, shape=shape, constants=lstm_weights()), tmp_path)


def test_an_lstm_over_the_batch_says_so(tmp_path):
    # nn.LSTM without batch_first, given (batch, timesteps, features).
    nodes = [helper.make_node("LSTM", ["x", "W", "R", "B"], ["", "y"])]
    text = refusal(graph(nodes, constants=lstm_weights()), tmp_path)
    assert "the number of timesteps is not fixed" in text


def test_several_outputs_or_inputs_are_refused(tmp_path):
    model = graph([TURN, lstm(outputs=("y", "h", "c"))], constants=lstm_weights(),
                  outputs=("y", "h", "c"))
    assert ("must have one output, not 3 ('y', 'h', 'c'): export a model with a single output"
            in refusal(model, tmp_path))
    model = graph(LAST, constants=lstm_weights())
    model.graph.input.append(helper.make_tensor_value_info("h0", TensorProto.FLOAT, (1, 1, 7)))
    assert "must have one input, not 2 ('x', 'h0')" in refusal(model, tmp_path)


def change(edit) -> onnx.ModelProto:
    model = onnx.load(FIXTURES / STACK)
    edit(model)
    return model


def external(location, **more):
    def edit(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            tensor.external_data.add(key=key, value=value)
    return edit


@pytest.mark.parametrize(("edit", "words"), [
    (lambda m: m.graph.ClearField("node"), "is no model, or a truncated one"),
    (lambda m: m.graph.ClearField("output"), "is no model, or a truncated one"),
    (lambda m: m.ClearField("graph"), "is no model, or a truncated one"),
    (lambda m: m.graph.ClearField("input"), "must have one input, not 0 (none)"),
    (lambda m: m.ClearField("opset_import"), "opset must be in 9.."),
    (lambda m: setattr(m.opset_import[0], "version", 7), "not 7: export it with opset 17"),
    (lambda m: setattr(m.opset_import[0], "version", 999), "not 999"),
    (lambda m: m.functions.add(name="f"), "holds model-local functions ('f')"),
    (lambda m: m.graph.sparse_initializer.add(), "holds sparse tensors"),
    (lambda m: m.graph.node.reverse(), "is not defined before it is used"),
    (lambda m: m.graph.node.append(m.graph.node[-1]), "is defined twice"),
    (lambda m: m.graph.initializer[0].dims.append(2), "declares the shape"),
    (lambda m: m.graph.initializer[0].dims.append(1 << 60), "may hold at most"),
    (lambda m: m.graph.initializer[0].dims.append(-1), "may hold at most"),
    (lambda m: m.graph.initializer[0].ClearField("raw_data"), "declares the shape"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "type STRING"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "type unknown"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 11), "must be float32"),
    (external("weights.data"), "keeps its data in another file (external data), which is not read"),
    (external("/etc/passwd"), "which is not read: export one file"),
    (external("../../secret"), "which is not read: export one file"),
])
def test_a_model_is_refused(tmp_path, edit, words):
    assert words in refusal(change(edit), tmp_path, external_data=False)


# --- hostile files


@pytest.mark.parametrize("name", ["endmodule\nassign x = 1;", '";rm -rf ~;"', "../../etc/passwd",
                                  "always", "\x00\x1b[31m", "", "a" * 10_000, "\u202eevil"])
def test_a_node_may_have_any_name_but_it_goes_nowhere(tmp_path, name):
    model = graph(LAST, constants=lstm_weights())
    model.graph.node[1].name = name
    assert loaded(model, tmp_path).names == ("l0_lstm",)
    model.graph.node[1].op_type = name or "?"
    refusal(model, tmp_path)
    model = graph(LAST, constants=lstm_weights())
    model.producer_name = name
    assert loaded(model, tmp_path).source["exporter"].isprintable()


@pytest.mark.parametrize("fixture", [STACK, "torch_repeat.dynamo.onnx", "keras_last.onnx"])
def test_a_file_cut_anywhere_is_refused(tmp_path, fixture):
    data = (FIXTURES / fixture).read_bytes()
    for length in [*range(1, 30), *range(30, len(data), 211), len(data) - 1]:
        refusal(data[:length], tmp_path)


@pytest.mark.parametrize("fixture", [STACK, "torch_repeat.dynamo.onnx", "keras_last.onnx"])
def test_a_damaged_file_is_refused_or_harmless(tmp_path, fixture):
    data, path = (FIXTURES / fixture).read_bytes(), tmp_path / "m.onnx"
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 4):
            broken[place] = random.integers(256)
        path.write_bytes(broken)
        try:
            load(path)
        except UserError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize("nodes", [
    [node("ConstantOfShape", "huge", output="z"), node("Add", "x", "z")],
    [node("Expand", "one", "huge", output="z"), node("Add", "x", "z")],
    [node("Tile", "x", "huge")],
    [node("Range", "none", "limit", "step", output="z"), node("Add", "x", "z")],
    [node("Gather", "x", "many", axis=2, output="a"), node("Reshape", "a", "wide", output="b"),
     node("Gather", "b", "many", axis=0)],
    [node("Concat", *["x" if n == 0 else f"c{n}"] * 64, axis=0,
          output="y" if n == 7 else f"c{n + 1}") for n in range(8)],
])
def test_a_small_file_can_not_ask_for_much_memory(tmp_path, nodes):
    constants = {"huge": np.array([1 << 20, 1 << 20, 1 << 20]), "none": np.array(0),
                 "limit": np.array(1 << 50), "step": np.array(1), "many": np.zeros(60000, np.int64),
                 "wide": np.array([2, -1]), "one": np.array(1.0, np.float32)}
    text = refusal(graph(nodes, constants=constants), tmp_path)
    assert re.search("may hold at most|moves too much data", text)


# --- weights in a second file, where the caller allows it


def split(folder: Path, location="m.onnx.data", **more) -> onnx.ModelProto:
    """The stack fixture with its first tensor in a second file."""
    model = onnx.load(FIXTURES / STACK)
    (folder / "m.onnx.data").write_bytes(bytes(16) + model.graph.initializer[0].raw_data)
    return change(external(location, offset="16", **more))


def test_external_data_beside_the_model_may_be_allowed(tmp_path):
    (tmp_path / "m.onnx").write_bytes(split(tmp_path).SerializeToString())
    network, whole = load(tmp_path / "m.onnx", external_data=True), load(FIXTURES / STACK)
    x = np.random.default_rng(0).normal(size=(2, *whole.input_shape))
    np.testing.assert_array_equal(forward(network, x), forward(whole, x))
    assert network.source["external_bytes"] > 0 and len(network.source["external_sha256"]) == 64


@pytest.mark.parametrize(("location", "more", "words"), [
    ("/etc/passwd", {}, "must lie in a file beside the model"),
    ("../m.onnx.data", {}, "must lie in a file beside the model"),
    ("sub/m.onnx.data", {}, "must lie in a file beside the model"),
    (".hidden", {}, "must lie in a file beside the model"), ("", {}, "must lie in a file beside"),
    ("..", {}, "must lie in a file beside the model"), ("none", {}, "No such file"),
    ("link", {}, "can not be read"), ("pipe", {}, "is no regular file"),
    ("folder", {}, "external data 'folder'"),
    ("m.onnx.data", {"length": "4"}, "contradicts its shape"),
    ("m.onnx.data", {"length": "x"}, "contradicts its shape"),
    ("m.onnx.data", {"speed": "9"}, "contradicts its shape"),
    ("short", {}, "ends before byte"),
])
def test_external_data_elsewhere_is_refused(tmp_path, location, more, words):
    model = split(tmp_path, location, **more)
    (tmp_path / "short").write_bytes(bytes(20))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "m.onnx.data")
    os.mkfifo(tmp_path / "pipe")
    assert words in refusal(model, tmp_path, external_data=True)
