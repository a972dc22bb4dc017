"""A network as files that other runtimes read: ONNX, and an .npz that bench/tflite.py reads.

Both hold float32 weights and a batch of 1. The .npz also holds inputs and the outputs of Gatefold's
own float forward pass, so that every runtime is checked before it is timed. The inputs of a network
that keeps its state are the steps of one sequence.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Lstm, Network, RepeatVector

__all__ = ["to_onnx", "write_models"]

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
            entry |= {"units": layer.units, "return_sequences": layer.return_sequences,
                      "stateful": layer.stateful}
            arrays |= {f"{n}.w_ih": layer.w_ih, f"{n}.w_hh": layer.w_hh, f"{n}.b": layer.b}
        elif isinstance(layer, Dense):
            _check(layer)
            entry |= {"activation": layer.activation,
                      "window": asdict(layer.window) if layer.window else None}
            arrays |= {f"{n}.w": layer.w, f"{n}.b": layer.b}
        elif isinstance(layer, RepeatVector):
            entry["timesteps"] = layer.timesteps
        layers.append(entry)
    arrays["layers"] = np.array(json.dumps(layers))
    np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)


def to_onnx(name: str, network: Network) -> onnx.ModelProto:
    """The network with one LSTM or Conv node a layer, as the best exporter would write it.

    Sequences are (timesteps, 1, features) inside, ONNX's own order, so only convolutions need nodes
    that move data. The states of a stateful layer n are inputs ``h<n>_in``, ``c<n>_in`` and
    outputs ``h<n>_out``, ``c<n>_out``, which the caller passes to the next call.
    """
    return _Onnx(network).model(name)


class _Onnx:
    """The nodes and constants of a network."""

    def __init__(self, network: Network):
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.states: dict[str, int] = {}  # stateful layers' states and their sizes

    def add(self, op: str, inputs: list[str], output: str | list[str], **attributes) -> str:
        outputs = [output] if isinstance(output, str) else output
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[-1]

    def constant(self, key: str, value: np.ndarray) -> str:
        self.constants[key] = np.ascontiguousarray(value)
        return key

    def model(self, name: str) -> onnx.ModelProto:
        network, shapes = self.network, self.network.shapes
        first = self.constant("steps_first", np.array([shapes[0][0], 1, shapes[0][1]]))
        value = self.add("Reshape", ["x", first], "x_t")
        for n, (layer, shape) in enumerate(zip(network.layers, shapes, strict=False)):
            if isinstance(layer, Lstm):
                value = self._lstm(n, layer, value)
            elif isinstance(layer, RepeatVector):
                to = self.constant(f"to{n}", np.array([layer.timesteps, 1, shape[0]]))
                value = self.add("Expand", [value, to], f"v{n}")
            elif isinstance(layer, Dense):
                value = self._dense(n, layer, value, shape)
            else:
                raise NotImplementedError(f"no ONNX for {layer.kind}")
        whole = self.constant("batch_first", np.array([1, *network.output_shape]))
        self.add("Reshape", [value, whole], "y")

        def infos(suffix: str, main: str, shape: tuple[int, ...]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(main, TensorProto.FLOAT, [1, *shape])] + [
                helper.make_tensor_value_info(f"{state}_{suffix}", TensorProto.FLOAT, [1, 1, size])
                for state, size in self.states.items()]

        graph = helper.make_graph(
            self.nodes, name.replace("-", "_"), infos("in", "x", network.input_shape),
            infos("out", "y", network.output_shape),
            [numpy_helper.from_array(array, key) for key, array in self.constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)],
                                  ir_version=_IR, producer_name="gatefold bench")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _lstm(self, n: int, layer: Lstm, value: str) -> str:
        u, last = layer.units, not layer.return_sequences
        bias = np.concatenate([_iofc(layer.b, u), np.zeros(4 * u, np.float32)])
        inputs = [value, self.constant(f"w{n}", _iofc(layer.w_ih, u)[None]),
                  self.constant(f"r{n}", _iofc(layer.w_hh, u)[None]),
                  self.constant(f"b{n}", bias[None])]
        outputs = ["", f"h{n}"] if last else [f"h{n}"]
        source = f"h{n}"
        if layer.stateful:
            self.states |= {f"h{n}": u, f"c{n}": u}
            inputs += ["", f"h{n}_in", f"c{n}_in"]
            source = f"h{n}_out" if last else f"h{n}"
            outputs = ["" if last else source, f"h{n}_out", f"c{n}_out"]
        self.add("LSTM", inputs, outputs, hidden_size=u)
        axis = self.constant(f"axis{n}", np.array([0 if last else 1]))
        return self.add("Squeeze", [source, axis], f"v{n}")  # the axis of directions

    def _dense(self, n: int, layer: Dense, value: str, shape: tuple[int, ...]) -> str:
        _check(layer)
        linear = f"l{n}" if layer.activation == "relu" else f"v{n}"
        bias = self.constant(f"b{n}", layer.b)
        window = layer.window
        if window:
            w = layer.w.reshape(layer.outputs, window.size, shape[-1]).transpose(0, 2, 1)
            value = self.add("Transpose", [value], f"t{n}", perm=[1, 2, 0])
            value = self.add("Conv", [value, self.constant(f"w{n}", w), bias], f"c{n}",
                             strides=[window.stride], dilations=[window.dilation],
                             pads=[window.left, window.right])
            value = self.add("Transpose", [value], linear, perm=[2, 0, 1])
        elif len(shape) == 1:
            value = self.add("Gemm", [value, self.constant(f"w{n}", layer.w.T), bias], linear)
        else:
            value = self.add("MatMul", [value, self.constant(f"w{n}", layer.w.T)], f"m{n}")
            value = self.add("Add", [value, bias], linear)
        return self.add("Relu", [value], f"v{n}") if layer.activation == "relu" else value


def _iofc(rows: np.ndarray, units: int) -> np.ndarray:
    """Gate rows in ONNX's order from ours, i, f, g, o."""
    i, f, g, o = np.split(rows, [units, 2 * units, 3 * units])
    return np.concatenate([i, o, f, g])


def _check(layer: Dense) -> None:
    if layer.activation not in ("linear", "relu") or layer.pattern is not None:
        raise NotImplementedError(f"no {layer.shown} with {layer.activation} in the benchmark yet")
