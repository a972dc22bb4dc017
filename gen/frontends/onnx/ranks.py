"""How many axes the tensors of an ONNX graph have, as far as its operators say without a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from gatefold.gen.frontends.onnx.proto import Attributes, dims_of

__all__ = ["Ranks"]

_MAX_DEPTH = 200
#: Operators whose result has the axes of their first input.
_SAME = ("Identity", "Cast", "Slice", "Transpose", "Concat", "Split", "Softmax", "Sin", "Cos",
         "Tanh", "Relu", "Sigmoid", "Neg", "Abs", "Exp", "Log", "Sqrt", "Erf", "Gelu", "LeakyRelu",
         "Clip", "Dropout", "LayerNormalization", "BatchNormalization", "Conv", "MaxPool",
         "AveragePool")
_BROADCAST = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where", "MatMul")


class Ranks:
    """The ranks of a graph's tensors. ``makers``, the node that makes each of them; ``constants``,
    by name."""

    def __init__(self, graph: onnx.GraphProto, makers: Mapping[str, onnx.NodeProto],
                 constants: Mapping[str, np.ndarray]):
        self._makers, self._constants = makers, constants
        self._found: dict[str, int | None] = {name: held.ndim for name, held in constants.items()}
        for value in graph.input:
            dims = dims_of(value)
            self._found.setdefault(value.name, None if dims is None else len(dims))

    def of(self, name: str, depth: int = 0) -> int | None:
        """The rank of a tensor; None where it is not known."""
        if name not in self._found:
            node = self._makers.get(name)
            self._found[name] = (None if node is None or depth > _MAX_DEPTH else
                                 self._made(node, depth + 1))
        return self._found[name]

    def _made(self, node: onnx.NodeProto, depth: int) -> int | None:
        kind, read = node.op_type, list(node.input)
        if kind == "Transpose" and (perm := Attributes(node).ints("perm")):
            return len(perm)
        if kind in _SAME:
            return self.of(read[0], depth)
        if kind in _BROADCAST:
            ranks = [self.of(one, depth) for one in read]
            return None if None in ranks else max(rank for rank in ranks if rank is not None)
        if kind == "Gemm":
            return 2
        if kind in ("Reshape", "ConstantOfShape"):
            return self._length(read[-1], depth)
        if kind == "Expand":
            rank, length = self.of(read[0], depth), self._length(read[1], depth)
            return None if rank is None or length is None else max(rank, length)
        rank = self.of(read[0], depth) if read else None
        if rank is None:
            return None
        if kind == "Gather":
            index = self.of(read[1], depth)
            return None if index is None else rank + index - 1
        if kind in ("Unsqueeze", "Squeeze"):
            axes = self._constants.get(read[1]) if len(read) > 1 else Attributes(node).ints("axes")
            return None if axes is None else rank + np.size(axes) * (1 if kind[0] == "U" else -1)
        return None

    def _length(self, name: str, depth: int) -> int | None:
        """How many elements a vector has."""
        if name in self._constants:
            return self._constants[name].size
        node = self._makers.get(name)
        if node is None or depth > _MAX_DEPTH:
            return None
        read = list(node.input)
        if node.op_type == "Concat":
            parts = [self._length(one, depth + 1) for one in read]
            return None if None in parts else sum(part for part in parts if part is not None)
        if node.op_type == "Gather":
            index = self._constants.get(read[1])
            return None if index is None else index.size
        if node.op_type == "Unsqueeze" and self.of(read[0], depth + 1) == 0:
            return 1
        if node.op_type == "Shape" and not node.attribute:
            return self.of(read[0], depth + 1)
        if node.op_type in ("Cast", "Identity"):
            return self._length(read[0], depth + 1)
        return None
