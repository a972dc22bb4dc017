"""ONNX graphs by hand, and the comparison of a network with another evaluator of its graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, split

#: Samples: no other axis of the graphs here has as many elements.
BATCH = 5

Evaluate = Callable[[onnx.ModelProto, dict[str, np.ndarray]], list[np.ndarray]]


def node(kind, *inputs, output="y", name=None, **attributes):
    """A node named after its operator."""
    outputs = [output] if isinstance(output, str) else list(output)
    return helper.make_node(kind, list(inputs), outputs, name=name or f"the {kind}", **attributes)


def graph(nodes: list, *, shape=("batch", 6, 3), opset: int = 17, constants=None, outputs=("y",),
          inputs=None) -> onnx.ModelProto:
    """A model: input ``x`` (and others by name), output ``y``; ``constants`` by name."""
    tensors = [numpy_helper.from_array(np.asarray(value), name)
               for name, value in (constants or {}).items()]
    model = helper.make_model(helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, one)
                     for name, one in {"x": shape, **(inputs or {})}.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        tensors), opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8  # which ONNX Runtime and the reference both read
    return model


def recurrent_weights(gates: int = 4, units: int = 7, features: int = 3,
                      directions: int = 1) -> dict[str, np.ndarray]:
    """W, R and B of an LSTM (4 gates), GRU (3) or RNN (1)."""
    random = np.random.default_rng(gates)
    return {name: random.normal(0, 0.6, size=shape).astype(np.float32) for name, shape in (
        ("W", (directions, gates * units, features)), ("R", (directions, gates * units, units)),
        ("B", (directions, 2 * gates * units)))}


def loaded(model: onnx.ModelProto, folder: Path, states: str = "none", **options) -> Network:
    """The network in the file that holds ``model``, with the inputs and outputs of the graph."""
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path, states=states, **options)


def refusal(model: onnx.ModelProto | bytes, folder: Path, **options) -> str:
    """The message of the UserError that loading ``model`` raises: one printable line."""
    path = folder / "m.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(UserError) as caught:
        load(path, **options)
    text = str(caught.value)
    assert text.isprintable() and text.isascii() and text.startswith("'m.onnx'")
    assert str(folder) not in text and len(text) < 1200
    return text


def kinds(network: Network) -> list[str]:
    """The name of each layer's kind; ``.../last`` for a recurrent one that gives its last step."""
    return [one.shown + ("" if getattr(one, "return_sequences", True) else "/last")
            for one in network.layers]


def check(model: onnx.ModelProto, network: Network, evaluate: Evaluate, scale: float = 1) -> None:
    """Assert that ``network`` gives the outputs of ``evaluate(model)``, to 1e-5."""
    random = np.random.default_rng(0)
    constant = {tensor.name for tensor in model.graph.initializer}
    given, frames = {}, []
    for value in model.graph.input:
        if value.name in constant:
            continue
        dims = value.type.tensor_type.shape.dim
        axis = next((n for n, dim in enumerate(dims) if not dim.dim_value), None)
        shape = [BATCH if n == axis else dim.dim_value for n, dim in enumerate(dims)]
        given[value.name] = random.normal(0, scale, size=shape).astype(np.float32)
        samples = BATCH if axis is not None else 1
        frames.append(np.moveaxis(given[value.name], axis or 0, 0).reshape(samples, -1))
    x = np.concatenate(frames, axis=1).reshape(len(frames[0]), *network.input_shape)
    found = split(forward(network, x), network.output_shapes)
    wanted = evaluate(model, given)
    assert len(found) == len(wanted)
    for ours, theirs, host in zip(found, wanted, network.host, strict=True):
        if host == "softmax":
            ours = np.exp(ours) / np.exp(ours).sum(axis=-1, keepdims=True)
        if BATCH in theirs.shape:
            theirs = np.moveaxis(theirs, theirs.shape.index(BATCH), 0)
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), atol=1e-5 * scale, rtol=1e-5)
