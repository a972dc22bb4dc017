"""A network as files that other runtimes read: ONNX, and an .npz that bench/tflite.py reads.

Both hold float32 weights and a batch of 1. The .npz also holds inputs and what Gatefold's own float
forward pass makes of them, so that every runtime is checked before it is timed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gatefold.gen.forward import forward
from gatefold.gen.network import Dense, Lstm, Network, RepeatVector

__all__ = ["write_models"]

_SAMPLES = 4
#: Opset 17 with IR 8: read by every ONNX Runtime since 1.12.
_OPSET, _IR = 17, 8


def write_models(name: str, network: Network, folder: Path) -> None:
    """Write ``folder``/``name``.onnx and ``name``.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(name, network), str(folder / f"{name}.onnx"))
    x = np.random.default_rng(1).standard_normal((_SAMPLES, *network.input_shape))
    x = x.astype(np.float32)
    arrays = {"x": x, "y": forward(network, x).astype(np.float32)}
    layers = []
    for n, layer in enumerate(network.layers):
        entry: dict = {"kind": layer.kind}
        if isinstance(layer, Lstm):
            entry |= {"units": layer.units, "return_sequences": layer.return_sequences}
            arrays |= {f"{n}.w_ih": layer.w_ih, f"{n}.w_hh": layer.w_hh, f"{n}.b": layer.b}
        elif isinstance(layer, Dense):
            _check_linear(layer)
            arrays |= {f"{n}.w": layer.w, f"{n}.b": layer.b}
        elif isinstance(layer, RepeatVector):
            entry["timesteps"] = layer.timesteps
        layers.append(entry)
    arrays["layers"] = np.array(json.dumps(layers))
    np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)


def to_onnx(name: str, network: Network) -> onnx.ModelProto:
    """The network with one LSTM node a layer, as an exporter would write it at best.

    Sequences are (timesteps, 1, features) inside, ONNX's own order, so no node only moves data.
    """
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {}

    def add(op: str, inputs: list[str], output: str | list[str], **attributes) -> str:
        outputs = [output] if isinstance(output, str) else output
        nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[-1]

    def constant(key: str, value: np.ndarray) -> str:
        constants[key] = np.ascontiguousarray(value)
        return key

    timesteps, features = network.input_shape
    steps_first = constant("steps_first", np.array([timesteps, 1, features]))
    value = add("Reshape", ["x", steps_first], "x_t")
    for n, (layer, shape) in enumerate(zip(network.layers, network.shapes, strict=False)):
        if isinstance(layer, Lstm):
            u = layer.units
            bias = np.concatenate([_iofc(layer.b, u), np.zeros(4 * u, np.float32)])
            inputs = [value, constant(f"w{n}", _iofc(layer.w_ih, u)[None]),
                      constant(f"r{n}", _iofc(layer.w_hh, u)[None]), constant(f"b{n}", bias[None])]
            axis = constant(f"axis{n}", np.array([1 if layer.return_sequences else 0]))
            outputs = [f"h{n}"] if layer.return_sequences else ["", f"h{n}"]
            add("LSTM", inputs, outputs, hidden_size=u)
            value = add("Squeeze", [f"h{n}", axis], f"v{n}")  # the axis of directions
        elif isinstance(layer, RepeatVector):
            to = constant(f"to{n}", np.array([layer.timesteps, 1, shape[0]]))
            value = add("Expand", [value, to], f"v{n}")
        elif isinstance(layer, Dense):
            _check_linear(layer)
            weights, bias = constant(f"w{n}", layer.w.T), constant(f"b{n}", layer.b)
            if len(shape) == 1:
                value = add("Gemm", [value, weights, bias], f"v{n}")
            else:
                value = add("MatMul", [value, weights], f"m{n}")
                value = add("Add", [value, bias], f"v{n}")
        else:
            raise NotImplementedError(f"no ONNX for {layer.kind}")
    add("Reshape", [value, constant("batch_first", np.array([1, *network.output_shape]))], "y")
    graph = helper.make_graph(
        nodes, name.replace("-", "_"),
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *network.input_shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, *network.output_shape])],
        [numpy_helper.from_array(array, key) for key, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)],
                              ir_version=_IR, producer_name="gatefold bench")
    onnx.checker.check_model(model, full_check=True)
    return model


def _iofc(rows: np.ndarray, units: int) -> np.ndarray:
    """Gate rows in ONNX's order from ours, i, f, g, o."""
    i, f, g, o = np.split(rows, [units, 2 * units, 3 * units])
    return np.concatenate([i, o, f, g])


def _check_linear(layer: Dense) -> None:
    if layer.activation != "linear":
        raise NotImplementedError(f"no Dense with {layer.activation} in the benchmark yet")
