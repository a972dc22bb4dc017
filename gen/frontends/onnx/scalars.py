"""Inputs of an ONNX graph that are a single number, such as a sampling rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from gatefold.gen.errors import quoted
from gatefold.gen.frontends.onnx.proto import (
    as_text,
    dims_of,
    names_read,
    nodes_needed,
    read_tensor,
)
from gatefold.gen.frontends.sizes import OpenError, Sizes

__all__ = ["given_numbers", "names_in", "open_number"]

#: Names of inputs that are a sampling rate.
_RATES = ("sr", "rate", "sample_rate", "sampling_rate")
#: Operators that give a single number as it is.
_AS_GIVEN = ("Cast", "Gather", "Identity", "Reshape", "Squeeze", "Unsqueeze")
#: NumPy's types of inputs that are a single number.
_NUMBERS: dict[int, type] = {onnx.TensorProto.INT64: np.int64, onnx.TensorProto.INT32: np.int32,
            onnx.TensorProto.BOOL: np.bool_, onnx.TensorProto.FLOAT: np.float32}


def names_in(graph: onnx.GraphProto) -> set[str]:
    """The tensors that the graph's results depend on."""
    return {name for node in nodes_needed(graph) for name in names_read(node)}


def open_number(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray],
                name: str) -> OpenError:
    """That the input is a single number and not given; ``values`` are the constants that the graph
    compares it with, the largest first."""
    held, same, found = dict(constants), {name}, set[int]()
    for node in nodes_needed(graph):
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            held[node.output[0]] = read_tensor(node.attribute[0].t)
        elif node.op_type in _AS_GIVEN and node.input and node.input[0] in same:
            same.add(node.output[0])
        elif node.op_type == "Equal" and not same.isdisjoint(node.input):
            found |= {int(held[one].reshape(-1)[0]) for one in node.input
                      if one in held and held[one].size == 1}
    if not found and as_text(name).lower() in _RATES:
        found = {16000}
    shown = quoted(name)
    return OpenError(f"input {shown} is a single number, which a core needs fixed: give it with "
                     f"--set {shown[1:-1]}=N (sizes={{{shown}: N}} in Python)", False,
                     as_text(name), sorted((n for n in found if n > 0), reverse=True))


def given_numbers(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray],
                  inputs: Sequence[onnx.ValueInfoProto], sizes: Sizes) -> dict[str, np.ndarray]:
    """The inputs that are a single number, such as a sampling rate, as ``sizes`` fix them: so a
    condition on them is constant. One that nothing reads may be any.

    Raises :class:`OpenError` for one that is not given.
    """
    found, read = {}, names_in(graph)
    for value in inputs:
        kind, dims = value.type.tensor_type.elem_type, dims_of(value)
        if kind not in _NUMBERS or dims is None or not (dims == () or (
                dims == (1,) and kind != onnx.TensorProto.FLOAT)):
            continue
        if value.name not in sizes.named and value.name in read:
            raise open_number(graph, constants, value.name)
        found[value.name] = np.full((1,) * len(dims), sizes.named.get(value.name, 1),
                                    _NUMBERS[kind])
    return found
