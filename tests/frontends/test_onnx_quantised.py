"""Quantised and half-precision ONNX graphs, read as the float network that they stand for.

Inputs lie on the grid of the integers, so that the reference evaluator rounds nothing: it must give
what the float network gives.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from gatefold.gen.frontends import load
from gatefold.gen.measure.runtime import note_runtime
from gatefold.gen.network.forward import forward
from tests.support.onnx_graphs import graph, kinds, loaded, node, recurrent_weights, refusal

SCALE, ZERO = np.float32(0.25), np.uint8(100)
RANDOM = np.random.default_rng(0)
CONSTANTS = {
    "s": SCALE, "z": ZERO, "z0": np.uint8(0), "ws": np.float32(0.5), "wz": np.int8(3),
    "w": RANDOM.integers(-100, 100, (3, 4)).astype(np.int8),
    "ws4": np.array([0.5, 1, 0.25, 2], np.float32), "wz4": np.array([1, -2, 0, 5], np.int8),
    "k": RANDOM.integers(-100, 100, (4, 3, 3)).astype(np.int8),
    "kb": RANDOM.integers(-1000, 1000, 4).astype(np.int32), "ys": np.float32(2 ** -10),
    "yz": np.int8(3), "sw": np.float32(0.125), "w16": RANDOM.normal(size=(3, 4)).astype("f2"),
    "b": RANDOM.normal(size=4).astype("f4"),
}
Q = node("QuantizeLinear", "x", "s", "z", output="q")
DYNAMIC = node("DynamicQuantizeLinear", "x", output=("q", "qs", "qz"))
TURNED = node("Transpose", "q", output="qt", perm=[0, 2, 1])

CASES = {
    "pair": [Q, node("DequantizeLinear", "q", "s", "z", output="d"), node("Tanh", "d")],
    "pair around a move": [Q, TURNED, node("DequantizeLinear", "qt", "s", "z", output="d"),
                           node("Tanh", "d")],
    "another scale": [Q, node("DequantizeLinear", "q", "ws", "z0", output="d"), node("Tanh", "d")],
    "weights": [node("DequantizeLinear", "w", "ws", "wz", output="wf"), node("MatMul", "x", "wf")],
    "weights, a scale each": [node("DequantizeLinear", "w", "ws4", "wz4", output="wf", axis=1),
                              node("MatMul", "x", "wf")],
    "product of integers": [
        Q, node("MatMulInteger", "q", "w", "z", "wz", output="i"),
        node("Cast", "i", output="f", to=1), node("Mul", "f", "sw")],
    "dynamic": [
        DYNAMIC, node("MatMulInteger", "q", "w", "qz", "wz", output="i"),
        node("Cast", "i", output="f", to=1), node("Mul", "qs", "ws", output="both"),
        node("Mul", "f", "both")],
    "convolution of integers": [
        Q, TURNED, node("ConvInteger", "qt", "k", "z", output="i"),
        node("Cast", "i", output="f", to=1), node("Mul", "f", "sw")],
    "integers as numbers": [Q, node("Cast", "q", output="f", to=1), node("Mul", "f", "sw")],
}


def grid(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of the input's grid: 0 and 255 quarters less 100 are among them."""
    q = np.random.default_rng(1).integers(0, 256, shape)
    q.flat[:2] = 0, 255
    return ((q - 100.0) * 0.25).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_float_network(name, tmp_path):
    model = graph(CASES[name], shape=(1, 6, 3), constants=CONSTANTS, opset=19)
    network = loaded(model, tmp_path)
    x = grid((1, 6, 3))
    if name == "dynamic":
        x = np.abs(x) // 1  # from 0 to the largest in steps that ...
        x.flat[0] = 255  # ... are 1, so that the scale in the data is 1 too
    wanted, = ReferenceEvaluator(model).run(None, {"x": x})  # type: ignore[misc]
    np.testing.assert_allclose(forward(network, x).reshape(wanted.shape), wanted, rtol=1e-5,
                               atol=1e-5)


def test_weights_leave_no_layers_of_scales(tmp_path):
    """Scales and zero points join the matrices: what remains is the float network."""
    for name, wanted in (("dynamic", ["dense"]), ("product of integers", ["dense"]),
                         ("weights", ["dense"]), ("pair", ["activation"])):
        model = graph(CASES[name], shape=(1, 6, 3), constants=CONSTANTS, opset=19)
        assert kinds(loaded(model, tmp_path)) == wanted


def test_a_range_from_zero_up_is_the_relu_that_a_quantiser_dropped(tmp_path):
    nodes = [node("MatMul", "x", "b34", output="m"),
             node("QuantizeLinear", "m", "s", "z0", output="q"),
             node("DequantizeLinear", "q", "s", "z0")]
    model = graph(nodes, shape=("b", 3), constants=CONSTANTS | {
        "b34": np.ones((3, 4), np.float32)})
    dense, = loaded(model, tmp_path).layers
    assert dense.activation == "relu"  # type: ignore[attr-defined]


def test_convolutions_and_products_with_scales(tmp_path):
    """QLinearConv and QLinearMatMul, of ranges wide enough that nothing saturates."""
    conv = [Q, TURNED, node("QLinearConv", "qt", "s", "z", "k", "ws", "wk", "big", "yz", "kb",
                            output="o"), node("DequantizeLinear", "o", "big", "yz")]
    product = [Q, node("QLinearMatMul", "q", "s", "z", "w", "ws", "wz", "big", "yz", output="o"),
               node("DequantizeLinear", "o", "big", "yz")]
    more = {"wk": np.int8(0), "big": np.float32(512)}
    x = grid((1, 6, 3))
    for nodes, real in (
            (conv, lambda: [node("Conv", "xt", "kf", "kbf")]),
            (product, lambda: [node("MatMul", "x", "wf")])):
        network = loaded(graph(nodes, shape=(1, 6, 3), constants=CONSTANTS | more), tmp_path)
        floats = {"kf": CONSTANTS["k"] * np.float32(0.5), "wf": (CONSTANTS["w"] - 3.0) * 0.5,
                  "kbf": CONSTANTS["kb"] * np.float32(0.125)}
        turned = [node("Transpose", "x", output="xt", perm=[0, 2, 1])]
        same = loaded(graph([*turned, *real()], shape=(1, 6, 3), constants={
            name: value.astype(np.float32) for name, value in floats.items()}), tmp_path)
        np.testing.assert_allclose(forward(network, x), forward(same, x), rtol=1e-4, atol=1e-3)


def turned_weights(per_row: bool) -> tuple[dict, dict]:
    """W and R of a DynamicQuantizeLSTM with their scales, and those of the LSTM."""
    quantised, floats = {}, {}
    for name, array in recurrent_weights().items():
        if name == "B":
            quantised[name] = floats[name] = array
            continue
        scale = np.abs(array).max(axis=2).max(axis=0, keepdims=True) / 100 if per_row else (
            np.abs(array).max(axis=(1, 2)) / 100)
        scale = scale.astype(np.float32)
        zero = np.full(scale.shape, 4, np.uint8) + 120
        q = np.rint(array.swapaxes(1, 2) / scale.reshape(1, 1, -1)) + 124
        quantised |= {name: q.astype(np.uint8), f"{name}s": scale, f"{name}z": zero}
        floats[name] = ((q - 124) * scale.reshape(1, 1, -1)).swapaxes(1, 2).astype(np.float32)
    return quantised, floats


@pytest.mark.parametrize("per_row", [False, True])
def test_an_lstm_of_onnx_runtime(tmp_path, per_row):
    quantised, floats = turned_weights(per_row)
    turn = node("Transpose", "x", output="xt", perm=[1, 0, 2])
    rows = node("DynamicQuantizeLSTM", "xt", "W", "R", "B", "", "", "", "", "Ws", "Wz", "Rs", "Rz",
                output=("y",), hidden_size=7, domain="com.microsoft")
    ours = loaded(graph([turn, rows], constants=quantised), tmp_path)
    lstm = node("LSTM", "xt", "W", "R", "B", output=("y",), hidden_size=7)
    same = loaded(graph([turn, lstm], constants=floats), tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    np.testing.assert_allclose(forward(ours, x), forward(same, x), atol=1e-6)
    assert ours.source["quantised"]["as"] == ["DynamicQuantizeLSTM"]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_read_as_it_is(tmp_path, kind):
    values = CONSTANTS["w16"].astype(np.float32)
    if kind == "bfloat16":
        values = (values.view(np.uint32) >> 16 << 16).view(np.float32)
    tensor = onnx.helper.make_tensor("w", getattr(onnx.TensorProto, kind.upper()), (3, 4),
                                     values.ravel().tolist())
    model = graph([node("MatMul", "x", "w")], shape=("b", 3))
    model.graph.initializer.append(tensor)
    network = loaded(model, tmp_path)
    np.testing.assert_array_equal(network.layers[0].w, values.T)  # type: ignore[attr-defined]
    assert network.source["quantised"]["as"] == [kind]


def test_nodes_may_come_in_any_order(tmp_path):
    nodes = [node("Tanh", "m"), node("MatMul", "x", "b34", output="m")]
    model = graph(nodes, shape=("b", 3), constants={"b34": np.ones((3, 4), np.float32)})
    assert kinds(loaded(model, tmp_path)) == ["dense"]
    circle = [node("Add", "x", "b", output="a"), node("Tanh", "a", output="b"), node("Tanh", "a")]
    assert "in a circle: the file is damaged" in refusal(graph(circle, shape=("b", 3)), tmp_path)


@pytest.mark.parametrize(("nodes", "words"), [
    ([node("QuantizeLinear", "x", "ws4", "z", output="q", axis=1)],
     "y_scale must be one constant number for the whole tensor"),
    ([node("QuantizeLinear", "x", "zero", "z", output="q")], "y_scale must be a positive number"),
    ([Q, node("MatMulInteger", "q", "x", "z", output="q2")], "must be constant, but the network"),
    ([Q, node("MatMulInteger", "q", "k", "z", output="q2")], "weights of the shape (4, 3, 3)"),
    ([node("DequantizeLinear", "w", "ws4", "wz", output="wf", axis=0),
      node("MatMul", "x", "wf", output="q")], "does not fit axis 0"),
])
def test_quantised_operators_are_refused(tmp_path, nodes, words):
    last = nodes[-1].output[0]
    model = graph([*nodes, node("Cast", last, to=1)], shape=("b", 6, 3), opset=19,
                  constants=CONSTANTS | {"zero": np.float32(0)})
    assert words in refusal(model, tmp_path)


def test_the_quantised_runtime_is_compared_on_calibration_data(tmp_path):
    model = graph(CASES["pair"], shape=("b", 6, 3), constants=CONSTANTS, opset=19)
    network = loaded(model, tmp_path)
    note_runtime(network, tmp_path / "m.onnx", None)
    assert network.source["quantised"]["runtime"].startswith("not compared: there are no calib")
    pytest.importorskip("onnxruntime")
    note_runtime(network, tmp_path / "m.onnx", grid((4, 6, 3)))
    found = network.source["quantised"]
    assert found["samples"] == 4 and found["max"] < 1e-6 < 1e-3 < found["rms"] / found["relative"]


@pytest.mark.parametrize(("shape", "sizes", "more"), [
    (("steps", "n", 3), {"steps": 5}, {}), (("n", "steps", 3), {"steps": 5}, {}),
    ((5, "n", 3), {}, {"rate": ()})], ids=["steps first", "batch first", "an unread number"])
def test_the_runtime_gets_a_sample_in_the_files_shape(tmp_path, shape, sizes, more):
    """The LSTM says which of two open axes is the batch."""
    pytest.importorskip("onnxruntime")
    weights = {key: np.float32(value) for key, value in recurrent_weights().items() if key != "W"}
    stored = {"Wq": np.int8(RANDOM.integers(-100, 100, (1, 28, 3))), "step": np.float32(0.01)}
    turn = [node("Transpose", "x", output="xt", perm=[1, 0, 2])] if shape[0] == "n" else []
    lstm = node("LSTM", "xt" if turn else "x", "W", "R", "B", output=["", "y"], hidden_size=7)
    model = graph([node("DequantizeLinear", "Wq", "step", output="W"), *turn, lstm], shape=shape,
                  opset=19, constants=weights | stored, inputs=more)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = load(tmp_path / "m.onnx", sizes=sizes)
    note_runtime(network, tmp_path / "m.onnx", RANDOM.normal(size=(4, 5, 3)))
    found = network.source["quantised"]
    assert found["samples"] == 4 and found["max"] < 1e-5


def test_the_runtime_of_a_model_that_is_cut_is_compared_on_its_own_inputs(tmp_path):
    """Tokens, looked up by the host, and a rate that --set fixes."""
    table = node("Gather", "table", "tokens", output="x", name="embedding")
    rate = [node("Equal", "rate", "zero", output="slow"), node("Cast", "slow", output="none", to=1)]
    weights = {key: np.float32(value) for key, value in recurrent_weights().items()}
    lstm = [node("Transpose", "x", output="xt", perm=[1, 0, 2]),
            node("LSTM", "xt", "W", "R", "B", output=["", "h"], hidden_size=7),
            node("Add", "h", "none", output="y")]
    quantised = [node("DequantizeLinear", "codes", "step", "offset", output="table")]
    model = graph([*quantised, table, *rate, *lstm], shape=("n", 6), opset=19, inputs={"rate": ()},
                  constants=weights | {
                      "codes": RANDOM.integers(-100, 100, (20, 3)).astype(np.int8),
                      "zero": np.array(0),
                      "step": np.float32(0.01), "offset": np.int8(3)})
    for value in model.graph.input:
        value.type.tensor_type.elem_type = TensorProto.INT64
    model.graph.input[0].name = "tokens"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = load(tmp_path / "m.onnx", cut="auto", sizes={"rate": 8000})
    pytest.importorskip("onnxruntime")
    note_runtime(network, tmp_path / "m.onnx", RANDOM.integers(0, 20, (5, 6)), {"rate": 8000})
    found = network.source["quantised"]
    assert found["samples"] == 5 and found["max"] < 1e-5
