"""ONNX graphs: the networks from every exporter, the possible batch axes, and refusals.

test_onnx_ops.py checks the results of single operators, test_onnx_files.py damaged files.
"""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Gru, Lstm
from tests.support.onnx_graphs import (
    graph,
    kinds,
    loaded,
    node,
    recurrent_weights,
    refusal,
)
from tests.support.places import FIXTURES


def lstm(*inputs, outputs=("Y",), **attributes):
    """An LSTM node on time-first ``xt``."""
    return node("LSTM", "xt", "W", "R", "B", *inputs, output=outputs, name="cell", **attributes)


TURN = node("Transpose", "x", output="xt", perm=[1, 0, 2])
LAST = [TURN, lstm(outputs=("", "h"), hidden_size=7), node("Identity", "h")]


# --- networks from graphs

ENCODER = "lstm/last repeat_vector lstm dense"


@pytest.mark.parametrize(("fixture", "expected"), [
    ("torch_last.script17", "lstm/last dense"),
    ("torch_hidden.dynamo", "lstm lstm/last dense"),
    ("torch_time_first.script17", "lstm lstm dense"),
    ("torch_repeat.script17", ENCODER), ("torch_repeat.dynamo", ENCODER),
    ("torch_expand.dynamo", ENCODER),
    ("torch_mlp.script17", "lstm flatten dense dense"),
    # Twelve nodes for six timesteps are one layer again.
    ("torch_unrolled.script17", "lstm dense"), ("torch_unrolled.dynamo", "lstm dense"),
    # The head runs on every step and only its last output is used: only the last h is needed.
    ("torch_last_output.script17", "lstm/last dense"),
    ("torch_relu_hidden.script17", "lstm/last activation dense"),
    ("keras_autoencoder", "lstm lstm/last repeat_vector lstm lstm dense"),
    ("tf_keras_flatten", "lstm flatten dense dense"),
    # Of the backward direction's last step, which it computes first, one step is needed.
    ("torch_bidirectional.script17", "lstm reverse lstm reverse concat lstm/last reverse concat "
                                     "slice lstm/last concat dense"),
    ("torch_gru_hidden.dynamo", "gru/last reverse gru/last concat dense"),
    ("torch_conv.script17", "conv1d max_pool conv1d average_pool flatten dense"),
    ("torch_conv.dynamo", "conv1d max_pool conv1d average_pool flatten dense"),
    ("torch_residual.dynamo", "dense lstm concat add dense average_pool flatten"),
    ("torch_states.script17", "lstm slice cell_state dense"),
    # Of an nn.RNN the dynamo exporter writes every step.
    ("torch_rnn.script17", "rnn dense"), ("torch_rnn.dynamo", "rnn dense"),
    # tf2onnx writes these as Loops; Keras unrolls TimeDistributed.
    ("loop_gru", "gru/last dense"), ("loop_gru_before", "gru dense"),
    ("loop_rnn", "rnn/last dense"), ("loop_lstm", "lstm/last dense"),
    ("loop_both_ways", "gru reverse gru reverse concat dense"),
    ("loop_conv", "pad conv1d scale max_pool flatten dense"),
])
def test_layers_of_the_network(fixture, expected):
    assert kinds(load(FIXTURES / f"{fixture}.onnx", states="none")) == expected.split()


@pytest.mark.parametrize("name", ["last", "stack", "autoencoder", "flatten", "nobias", "sequence"])
def test_both_formats_of_a_keras_model_are_one_network(name):
    keras, exported = (load(FIXTURES / f"keras_{name}.{suffix}") for suffix in ("keras", "onnx"))
    x = np.random.default_rng(0).normal(size=(2, *keras.input_shape))
    np.testing.assert_allclose(forward(keras, x), forward(exported, x), atol=1e-6)


def test_gates_are_put_in_our_order_and_biases_merged(tmp_path):
    weights = recurrent_weights()
    one = loaded(graph(LAST, constants=weights), tmp_path).layers[0]
    assert isinstance(one, Lstm) and not one.return_sequences
    i, o, f, c = np.split(weights["W"][0], 4)
    np.testing.assert_array_equal(one.w_ih, np.concatenate([i, f, c, o]))
    i, o, f, c = np.split(weights["B"][0][:28] + weights["B"][0][28:], 4)
    np.testing.assert_allclose(one.b, np.concatenate([i, f, c, o]), rtol=1e-6)


def test_a_gru_keeps_the_bias_inside_the_product_apart(tmp_path):
    weights = recurrent_weights(3)
    nodes = [TURN, node("GRU", "xt", "W", "R", "B", linear_before_reset=1)]
    one = loaded(graph(nodes, constants=weights), tmp_path).layers[0]
    assert isinstance(one, Gru) and one.reset_after
    z, r, n = np.split(weights["W"][0], 3)
    np.testing.assert_array_equal(one.w_ih, np.concatenate([r, z, n]))
    np.testing.assert_allclose(one.b[14:], weights["B"][0][14:21], rtol=1e-6)
    np.testing.assert_allclose(one.b_n, weights["B"][0][35:], rtol=1e-6)


def test_source_describes_the_file():
    path = FIXTURES / "torch_stack.script17.onnx"
    source = load(path).source
    assert source["format"] == "onnx" and source["exporter"].startswith("pytorch")
    assert source["opset"] == 17 and len(source["sha256"]) == 64
    assert source["bytes"] == path.stat().st_size


@pytest.mark.parametrize("attributes", [
    {"activations": ["Sigmoid", "Tanh", "Tanh"]}, {"activations": ["sigmoid", "tanh", "tanh"]},
    {"direction": "forward"}, {"input_forget": 0}, {"hidden_size": 7}, {"layout": 0},
])
def test_defaults_given_explicitly(tmp_path, attributes):
    nodes = [TURN, lstm(outputs=("", "y"), **attributes)]
    assert kinds(loaded(graph(nodes, constants=recurrent_weights()), tmp_path)) == ["lstm/last"]


def stepped(weights, x, clip, coupled):
    """Y of an LSTM whose sums are clipped, whose f is 1 - i, and that may have peepholes (as ONNX
    Runtime computes it)."""
    w, r, b = weights["W"][0], weights["R"][0], weights["B"][0]
    p_i, p_o, p_f = np.split(weights.get("P", np.zeros((1, 21)))[0], 3)
    h = c = np.zeros((len(x), 7))
    found = []

    def gate(z):
        return 1 / (1 + np.exp(-np.clip(z, -clip, clip)))

    for x_t in x.swapaxes(0, 1):
        i, o, f, g = np.split(x_t @ w.T + h @ r.T + b[:28] + b[28:], 4, axis=1)
        i, f = gate(i + p_i * c), gate(f + p_f * c)
        c = (1 - i if coupled else f) * c + i * np.tanh(np.clip(g, -clip, clip))
        h = gate(o + p_o * c) * np.tanh(c)
        found.append(h)
    return np.stack(found, axis=1)


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize(("clip", "coupled"), [(0.75, 0), (np.inf, 0), (np.inf, 1), (1.5, 1)])
def test_clipped_coupled_and_peeping_gates(tmp_path, clip, coupled, peepholes):
    weights = recurrent_weights()
    more = {} if np.isinf(clip) else {"clip": clip}
    inputs = ["xt", "W", "R", "B"]
    if peepholes:
        weights["P"] = np.random.default_rng(1).normal(size=(1, 21)).astype(np.float32)
        inputs += ["", "", "", "P"]
    nodes = [TURN, node("LSTM", *inputs, output="y4", input_forget=coupled, **more),
             node("Squeeze", "y4", "one", output="y3"),
             node("Transpose", "y3", perm=[1, 0, 2])]
    network = loaded(graph(nodes, constants={**weights, "one": np.array([1])}), tmp_path)
    x = np.random.default_rng(0).normal(size=(3, 6, 3))
    np.testing.assert_allclose(forward(network, x), stepped(weights, x, clip, coupled), atol=1e-6)


@pytest.mark.parametrize("inputs", [["lengths"], ["", "zero", "zero"], ["", "", "", "none"]])
def test_inputs_that_change_nothing_given_explicitly(tmp_path, inputs):
    weights = {**recurrent_weights(), "zero": np.zeros((1, 1, 7), np.float32),
               "lengths": np.array([6, 6], np.int32), "none": np.zeros((1, 21), np.float32)}
    nodes = [TURN, lstm(*inputs, outputs=("", "y"))]
    network = loaded(graph(nodes, constants=weights), tmp_path)
    assert kinds(network) == ["lstm/last"]
    only, = network.layers
    assert isinstance(only, Lstm) and only.h0 is None and only.c0 is None


def test_layout_with_the_batch_first(tmp_path):
    weights = recurrent_weights()
    nodes = [node("LSTM", "x", "W", "R", "B", output=("y4", "h", "c"), layout=1),
             node("Squeeze", "y4", "two")]
    first = loaded(graph(nodes, constants={**weights, "two": np.array([2])},
                         outputs=("y", "h", "c")), tmp_path)
    nodes = [TURN, lstm(outputs=("y4", "h", "c")), node("Squeeze", "y4", "one")]
    second = loaded(graph(nodes, constants={**weights, "one": np.array([1])},
                          outputs=("y", "h", "c")), tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    np.testing.assert_array_equal(forward(first, x), forward(second, x))
    assert first.output_shapes == second.output_shapes == ((6, 7), (7,), (7,))


# --- inputs and outputs


@pytest.mark.parametrize("shape", [("b", 6, 3), (1, 6, 3), (4, 6, 3), (6, "b", 3), (6, 1, 3),
                                   (None, 6, 3), (6, 3)])
def test_the_batch_may_be_anywhere_and_of_any_size(tmp_path, shape):
    nodes = [*([] if shape[0] == 6 and len(shape) == 3 else [TURN]),
             lstm(outputs=("", "h")), node("Squeeze", "h", "zero")]
    if shape[0] == 6 and len(shape) == 3:
        nodes[0] = node("LSTM", "x", "W", "R", "B", output=("", "h"))
    if len(shape) == 2:  # without a batch, as PyTorch allows
        nodes[0] = node("Unsqueeze", "x", "one", output="xt")
    network = loaded(graph(nodes, shape=shape, constants={
        **recurrent_weights(), "zero": np.array([0]), "one": np.array([1])}), tmp_path)
    assert network.input_shape == (6, 3) and kinds(network) == ["lstm/last"]


@pytest.mark.parametrize(("shape", "states"), [
    (("b", 6, 3), (1, "b", 7)), ((1, 6, 3), (1, 1, 7)), ((4, 6, 3), (1, 4, 7)),
    (("b", 6, 3), (1, "other", 7)),
])
def test_states_may_be_inputs_and_outputs(tmp_path, shape, states):
    model = graph([TURN, lstm("", "h0", "c0", outputs=("y", "h", "c"))], shape=shape,
                  constants=recurrent_weights(), inputs={"h0": states, "c0": states},
                  outputs=("y", "h", "c"))
    network = loaded(model, tmp_path)
    assert [np.prod(one) for one in network.input_shapes] == [18, 7, 7]
    assert network.output_shapes == ((6, 7), (7,), (7,)) and "cell_state" in kinds(network)


def test_several_inputs_and_outputs_keep_the_order_of_the_file(tmp_path):
    nodes = [node("Concat", "x", "z", output="c", axis=1), node("Tanh", "c", output="a"),
             node("Sub", "x", "z", output="b")]
    network = loaded(graph(nodes, shape=("b", 4), inputs={"z": ("b", 4)}, outputs=("b", "a")),
                     tmp_path)
    assert network.input_shapes == ((4,), (4,)) and network.output_shapes == ((4,), (8,))
    x = np.random.default_rng(0).normal(size=(3, 8))
    wanted = np.concatenate([x[:, :4] - x[:, 4:], np.tanh(x)], axis=1)
    np.testing.assert_allclose(forward(network, x), wanted, atol=1e-12)


def test_a_softmax_is_left_to_the_host(tmp_path):
    nodes = [node("Gemm", "x", "w", output="l"), node("Softmax", "l", output="p")]
    model = graph(nodes, shape=("b", 3), constants={"w": np.ones((3, 2), np.float32)},
                  outputs=("p", "l"))
    network = loaded(model, tmp_path)
    assert network.host == ("softmax", "") and kinds(network)[0] == "dense"
    x = np.random.default_rng(0).normal(size=(3, 3))
    logits, same = np.split(forward(network, x), 2, axis=1)
    np.testing.assert_array_equal(logits, same)


def test_scaled_gemm_is_folded_into_the_weights(tmp_path):
    random = np.random.default_rng(3)
    w, c = random.normal(size=(3, 2)).astype("f4"), random.normal(size=2).astype("f4")
    model = graph([node("Gemm", "x", "w", "c", alpha=2.0, beta=0.5)], shape=("b", 3),
                  constants={"w": w, "c": c})
    dense, = loaded(model, tmp_path).layers
    assert isinstance(dense, Dense)
    np.testing.assert_allclose(dense.w, 2 * w.T)
    np.testing.assert_allclose(dense.b, 0.5 * c)


def test_nodes_that_the_output_does_not_need_are_not_read(tmp_path):
    stray = node("Einsum", "x", "x", output="unused", equation="abc,abc->a")
    assert kinds(loaded(graph([stray, *LAST], constants=recurrent_weights()), tmp_path))


def test_a_constant_condition_takes_its_branch(tmp_path):
    def branch(name, kind):
        return helper.make_graph([helper.make_node(kind, ["x"], [name])], name, [],
                                 [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    nodes = [node("If", "yes", output="a", then_branch=branch("p", "Identity"),
                  else_branch=branch("q", "Exp")), node("Gemm", "a", "w")]
    constants = {"yes": np.array(True), "w": np.ones((3, 2), np.float32)}
    model = graph(nodes, shape=("b", 3), constants=constants)
    assert kinds(loaded(model, tmp_path)) == ["dense"]
    constants["yes"] = np.array(False)
    assert "'Exp'" in refusal(graph(nodes, shape=("b", 3), constants=constants), tmp_path)


# --- a recurrent node's attributes and inputs, each honoured or refused by name


@pytest.mark.parametrize(("attributes", "inputs", "words"), [
    ({"direction": "sideways"}, [], "direction must be forward, reverse or bidirectional, not"),
    ({"direction": "bidirectional"}, [], "contradict each other"),
    ({"clip": -3.0}, [], "clip must be above 0 and at most 256, not -3.0"),
    ({"clip": 3.0, "activations": ["HardSigmoid", "Tanh", "Tanh"]}, [],
     "clip is built for sigmoid, tanh and relu alone"),
    ({"activations": ["Sigmoid", "Relu", "Tanh"]}, [], "must be the same function, not relu and"),
    ({"activations": ["Affine", "Tanh", "Tanh"]}, [], "of Sigmoid, HardSigmoid in place 1"),
    ({"activations": ["Sigmoid", "Elu", "Elu"]}, [], "of Tanh, Relu in place 2, not Sigmoid, Elu"),
    ({"activations": ["Sigmoid"]}, [], "activations must be 3 a direction, not Sigmoid"),
    ({"activation_alpha": [0.2]}, [], "hold more parameters than"),
    ({"activation_beta": [0.2]}, [], "hold more parameters than"),
    ({"hidden_size": 8}, [], "hidden_size 8 and the shapes of W"),
    ({"layout": 2}, [], "layout must be 0 or 1, not 2"),
    ({"layout": "x"}, [], "attribute layout must be an integer"),
    ({"output_sequence": 1}, [], "attribute 'output_sequence' (1) is not supported"),
    ({"novelty": 1}, [], "attribute 'novelty' (1) is not supported"),
    ({}, ["lengths"], "sequence_lens is given"),
    ({}, ["", "rows"], "initial_h must be the same for every sample: give it as an input"),
    ({}, ["", "", "eight"], "initial_c has the shape (1, 1, 8), which contradicts the 7 units"),
    ({}, ["", "xt"], "initial_h has the shape (6, 2, 3), which contradicts the 7 units"),
    ({}, ["", "", "", "peephole"], "P has the shape (1, 20), which contradicts the 7 units"),
    ({}, ["", "", "", "xt"], "P (the weights of the peepholes) must be constant"),
    ({}, ["", "", "", "", "zero"], "has 9 inputs, but at most 8 are read"),
    ({}, ["", "nothing"], "the tensor 'nothing' is not defined before it is used"),
])
def test_an_lstm_is_refused(tmp_path, attributes, inputs, words):
    constants = {**recurrent_weights(), "lengths": np.array([5], np.int32),
                 "rows": np.arange(14, dtype=np.float32).reshape(1, 2, 7),
                 "zero": np.zeros((1, 1, 7), np.float32),
                 "eight": np.zeros((1, 1, 8), np.float32),
                 "peephole": np.ones((1, 20), np.float32)}
    nodes = [TURN, lstm(*inputs, outputs=("", "y"), **attributes)]
    text = refusal(graph(nodes, constants=constants), tmp_path)
    assert words in text and "ONNX node 'cell' ('LSTM')" in text


@pytest.mark.parametrize(("change", "words"), [
    ({"W": np.zeros((1, 28, 4), "f4")}, "W takes 4 features, but the input has 3"),
    ({"W": np.zeros((2, 28, 3), "f4")}, "contradict each other"),
    ({"R": np.zeros((1, 28, 8), "f4")}, "contradict each other"),
    ({"B": np.zeros((1, 28), "f4")}, "contradict each other"),
    ({"W": np.zeros((1, 28, 3), "i4")}, "W must be float32, not int32"),
    ({"W": np.zeros((1, 28, 3), "c8")}, "has the type COMPLEX64"),
    ({"R": np.full((1, 28, 7), np.nan, "f4")}, "w_hh holds NaN or infinite weights"),
    ({"B": np.full((1, 56), np.inf, "f4")}, "b holds NaN or infinite weights"),
])
def test_weights_are_refused(tmp_path, change, words):
    model = graph(LAST, constants={**recurrent_weights(), **change})
    assert words in refusal(model, tmp_path)


# --- graphs that are refused

SEQUENCE = [TURN, lstm(outputs=("Y4",)), node("Squeeze", "Y4", "one", output="Y")]
CONSTANTS = {
    **recurrent_weights(), "one": np.array([1]), "zero": np.array([0]), "two": np.array([2]),
    "half": np.float32(0.5), "four": np.array([4]), "w": np.ones((7, 2), np.float32),
    "scale": np.array(2.0, np.float32),
    "steps": np.arange(6, dtype=np.float32).reshape(6, 1, 1), "vector": np.ones(7, np.float32),
    "nan": np.full(7, np.nan, np.float32), "pick": np.array([3]), "none": np.zeros(7, np.float32),
    "yes": np.array(True),
    "k": np.ones((3, 7, 2), np.float32), "k4": np.ones((3, 7, 2, 2), np.float32),
    "minus": np.array([-1.0], np.float32), "three": np.array(3), "pads": np.array([0, 0, 1] * 2),
}
BLANK = helper.make_graph([], "b", [], [])
CHANNELS = node("Transpose", "Y", output="C", perm=[1, 2, 0])


@pytest.mark.parametrize(("nodes", "words"), [
    ([node("Exp", "Y")], "('Exp'): this operator is not built in hardware"),
    ([node("Elu", "Y", alpha=float("nan"))], "elu: alpha must be a number, not nan"),
    ([node("Pow", "Y", "half")], "its exponent must be the constant 1, 2 or 3"),
    ([node("Sqrt", "Y")], "normalise data before the network"),
    ([node("Min", "Y", "Y")], "not built in hardware on a tensor of the network"),
    ([node("LogSoftmax", "Y")], "a LogSoftmax is not built: end the model before it"),
    ([node("Softmax", "Y", output="s"), node("MatMul", "s", "w")], "nothing may be computed from"),
    ([node("Softmax", "Y", output="s"), node("Transpose", "s", perm=[2, 0, 1])],
     "its classes in the last axis"),
    ([node("Softmax", "Y", output="s"), node("Concat", "s", "Y", axis=2)], "an output of its own"),
    ([node("MatMul", "Y", "Y")], "input 1 (the weights) must be constant, but the"),
    ([node("Div", "Y", "Y")], "only division by constants"),
    ([node("Div", "scale", "Y")], "only division by constants"),
    ([node("Div", "Y", "none")], "it divides by zero"),
    ([node("Add", "Y", "nan")], "holds NaN or infinite weights"),
    ([node("MatMul", "Y", "vector")], "the weights must be a matrix"),
    ([node("MatMul", "xt", "w")], "the weights take 7 features, but the input has 3"),
    ([node("Clip", "Y", "scale", "half")], "clipping needs a lower and a higher bound, not 2 and "
     "0.5"),
    ([node("Max", "Y", "scale")], "is built for zero alone: use relu"),
    ([node("Conv", "C", "k", group=7)], "and group 7 do not fit an input of"),
    ([node("Conv", "C", "k4")], "do not fit an input of 7 channels"),
    ([node("Conv", "C", "k", pads=[-1, 0])], "pads 0 or more"),
    ([node("Conv", "C", "k", auto_pad="SAME")], "auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER"),
    ([node("Conv", "C", "k", dilations=[9])], "does not fit an input"),
    ([node("MaxPool", "C", output=("v", "y"), kernel_shape=[2])], "Indices of a MaxPool are used"),
    ([node("AveragePool", "C", kernel_shape=[3], pads=[3, 0])], "padding not counted"),
    ([node("AveragePool", "C", kernel_shape=[4], strides=[3], pads=[1, 1], ceil_mode=1,
           count_include_pad=1)], "use ceil_mode=False"),
    ([node("ReduceMean", "Y", axes=[1])], "it mixes the samples of a batch"),
    ([node("BatchNormalization", "C", "vector", "vector", "vector", "vector", training_mode=1)],
     "training_mode must be 0"),
    ([node("BatchNormalization", "Y", "vector", "vector", "vector", "vector")], "do not fit"),
    ([node("Pad", "Y", "pads", "scale")], "it pads with 2.0: only zeros are built"),
    ([node("Concat", "Y", "steps", axis=2)], "constants other than zero"),
    ([node("Concat", "Y", "xt", axis=0)], "its inputs contradict it"),
    ([node("Gather", "vector", "Y")], "looks vectors up in a table, as an embedding"),
    ([node("Reshape", "Y", "Y")], "takes a shape or an index from the network's values"),
    ([node("Reshape", "Y", "pick")], "its inputs contradict it"),
    ([node("Transpose", "Y", perm=[0, 0, 1])], "its inputs contradict it"),
    ([node("Squeeze", "Y", "zero")], "its inputs contradict it"),
    ([node("Slice", "Y", "four", "one", "zero")], "empty tensor"),
    ([node("Relu", "Y", max=3.0)], "attribute 'max' (3.0) is not supported"),
    ([node("Relu", "Y", "Y")], "has 2 inputs, but at most 1 are read"),
    ([node("Dropout", "Y", "", "yes")], "training_mode must be false"),
    ([node("Cast", "Y", to=7)], "may be cast to floats of 16, 32 or 64 bits only"),
    ([node("Loop", "", "yes", "Y", body=BLANK)], "save the Keras model as .keras"),
    ([node("Scan", "Y", body=BLANK, num_scan_inputs=1)], "a recurrent layer as one operator"),
    ([node("If", "Y", then_branch=BLANK)], "condition depends on"),
    ([helper.make_node("Relu", ["Y"], ["y"], name="f", domain="com.microsoft")],
     "operators of the domain 'com.microsoft' are not supported"),
    ([helper.make_node("Relu", ["Y"], ["y", "z"], name="f")], "it has 2 outputs instead of 1"),
    ([node("Relu", "Y", output="Y4")], "'Y4' is defined twice"),
    ([node("Relu", "Y", output="other")], "'y' is not defined"),
    ([node("Shape", "Y")], "does not depend on the input"),
])
def test_a_graph_is_refused(tmp_path, nodes, words):
    model = graph([*SEQUENCE, CHANNELS, *nodes], constants=CONSTANTS)
    assert words in refusal(model, tmp_path)


@pytest.mark.parametrize(("shape", "words"), [
    (("b", "t", 3), "the number of timesteps is not fixed"),
    (("b", None, 3), "the number of timesteps is not fixed (shape (b, x:1, 3))"),
    ((1, "t", 3), "the number of timesteps is not fixed"),
    (("b", 6, "f"), "the size of axis 'f' is not fixed (shape (b, 6, f))"),
    (("b", 6), "contradict"),
    ((), "input 'x' is a single number, which a core needs fixed: give it with --set x=N"),
    (None, "must be (batch, timesteps, features)"),
    (("b", 10**12, 3), "timesteps must be an integer in 1..65536"),
    ((1, 65536, 65536), "may hold at most"),
    ((65536, 65536, 3), "may hold at most"),
])
def test_an_input_shape_is_refused(tmp_path, shape, words):
    model = graph(LAST, shape=shape, constants=recurrent_weights())
    assert words in refusal(model, tmp_path)


def test_an_lstm_over_the_batch_says_so(tmp_path):
    # nn.LSTM without batch_first, given (batch, timesteps, features).
    nodes = [node("LSTM", "x", "W", "R", "B", output=("", "y"))]
    text = refusal(graph(nodes, constants=recurrent_weights()), tmp_path)
    assert "it runs over the batch instead of the timesteps: check batch_first" in text


def test_constants_that_differ_between_samples_are_refused(tmp_path):
    each = np.arange(2, dtype=np.float32).reshape(2, 1)
    model = graph([node("Mul", "x", "each")], shape=(2, 3), constants={"each": each})
    assert "differs between the samples of a batch" in refusal(model, tmp_path)
