"""What a graph writes out as sums of products: rows of W x + R h + b, with the numbers in them.

Gemm, MatMul, Add, Split, Slice and joined operands (Concat) are followed back to the tensors that
are multiplied. Bounds of a Slice may be computed from the shape of rows, as exporters do for
``chunk``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.onnx.proto import Attributes, names_read

__all__ = ["WRONG", "Rows", "Sums"]

#: What is raised for a tensor that is no sum of products.
WRONG = (UserError, ValueError, IndexError, TypeError, KeyError, OverflowError)

_MAX_DEPTH = 12
_NUMBERS = {"Add": int.__add__, "Sub": int.__sub__, "Mul": int.__mul__, "Div": int.__floordiv__}
_SAME_NUMBER = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_PARTS = ("Gather", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Split", "Expand", "Identity")


@dataclass(frozen=True)
class Rows:
    """Rows of a product: a matrix for each tensor that is multiplied, and a bias."""

    parts: Mapping[str, np.ndarray]
    b: np.ndarray

    def take(self, start: int, stop: int) -> Rows:
        """Some of the rows."""
        return Rows({name: w[start:stop] for name, w in self.parts.items()}, self.b[start:stop])

    def __add__(self, other: Rows) -> Rows:
        parts = dict(self.parts)
        for name, w in other.parts.items():
            parts[name] = parts[name] + w if name in parts else w
        return Rows(parts, self.b + other.b)

    def __neg__(self) -> Rows:
        return Rows({name: -w for name, w in self.parts.items()}, -self.b)

    def of(self, *names: str) -> tuple[np.ndarray, ...]:
        """The matrices of exactly these tensors; KeyError for others."""
        if set(self.parts) != set(names):
            raise KeyError(names)
        return tuple(self.parts[name] for name in names)


class Sums:
    """A graph, the maker and the readers of each tensor, and its constants."""

    def __init__(self, graph: onnx.GraphProto, constants: Mapping[str, np.ndarray]):
        self.graph, self.constants = graph, constants
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in set(names_read(node)):
                self.readers.setdefault(name, []).append(node)
        for value in graph.output:
            self.readers.setdefault(value.name, []).append(onnx.NodeProto())
        self._rows: dict[str, Rows] = {}

    def ordered(self, name: str, kind: str) -> tuple[str, str] | None:
        """The two inputs of the node that makes the tensor, if it is of this kind."""
        node = self.makers.get(name)
        if node is None or node.op_type != kind or len(node.input) != 2:
            return None
        return node.input[0], node.input[1]

    def both(self, name: str, kind: str) -> list[tuple[str, str]]:
        """The two inputs of the node that makes the tensor, in either order, if it is of this
        kind."""
        pair = self.ordered(name, kind)
        return [pair, (pair[1], pair[0])] if pair else []

    def inside(self, name: str, kind: str) -> str | None:
        """The input of the function of this kind that makes the tensor."""
        node = self.makers.get(name)
        return node.input[0] if node is not None and node.op_type == kind else None

    def origin(self, name: str) -> str:
        """The tensor that this one is a part of, or another shape of."""
        for _ in range(_MAX_DEPTH):
            node = self.makers.get(name)
            if node is None or node.op_type not in _PARTS:
                break
            name = node.input[0]
        return name

    def rows(self, name: str, depth: int = 0) -> Rows:
        """The rows of a tensor (batch, rows); a tensor that is no sum of products is multiplied by
        nothing here, which raises."""
        if name not in self._rows:
            self._rows[name] = self._made(name, depth)
        return self._rows[name]

    def _made(self, name: str, depth: int) -> Rows:
        node = self.makers[name]
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        attributes = Attributes(node)
        kind, read = node.op_type, list(node.input)
        if kind == "Identity":
            return self.rows(read[0], depth + 1)
        if kind == "Add":
            fixed = [self.constants[one] for one in read if one in self.constants]
            sums = [self.rows(one, depth + 1) for one in read if one not in self.constants]
            made = sums[0] if len(sums) == 1 else sums[0] + sums[1]
            return Rows(made.parts, made.b + fixed[0].reshape(-1)) if fixed else made
        if kind == "MatMul":
            w = self.constants[read[1]].T
            return Rows({read[0]: w}, np.zeros(len(w), np.float32))
        if kind == "Gemm":
            if attributes.take("transA", 0) or attributes.take("alpha", 1.0) != 1 \
                    or attributes.take("beta", 1.0) != 1:
                raise ValueError("scaled")
            w = self.constants[read[1]]
            w = w if attributes.take("transB", 0) else w.T
            b = self.constants[read[2]] if len(read) > 2 and read[2] else np.zeros(1, np.float32)
            return Rows({read[0]: w}, np.broadcast_to(b, (1, len(w)))[0])  # one bias of all samples
        if kind == "Split":
            return self._split(node, attributes, name, depth)
        if kind == "Slice":
            start, end, axis, step = self._bounds(node, attributes, depth)
            made = self.rows(read[0], depth + 1)
            if axis not in (1, -1) or step != 1:
                raise ValueError("no rows")
            return made.take(*slice(start, end).indices(len(made.b))[:2])
        raise ValueError("no sum")

    def _bounds(self, node: onnx.NodeProto, attributes: Attributes,
                depth: int) -> tuple[int, ...]:
        """Start, end, axis and step of a Slice along one axis."""
        if len(node.input) < 2:
            given = [attributes.ints(name) or () for name in ("starts", "ends", "axes")]
            if any(len(one) > 1 for one in given):
                raise ValueError("several axes")
            return (*(one[0] if one else 0 for one in given), 1)
        numbers = [self._number(name, depth + 1) if name else None for name in node.input[1:]]
        start, end, axis, step = numbers + [None] * (4 - len(numbers))
        assert start is not None and end is not None
        return start, end, axis or 0, 1 if step is None else step

    def _number(self, name: str, depth: int) -> int:
        """An integer, perhaps computed from how many rows there are."""
        if name in self.constants:
            return int(self.constants[name].reshape(()))
        node = self.makers[name]
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        if node.op_type in _NUMBERS:
            a, b = (self._number(one, depth + 1) for one in node.input)
            return _NUMBERS[node.op_type](a, b)
        if node.op_type in _SAME_NUMBER:
            return self._number(node.input[0], depth + 1)
        shape = self.inside(node.input[0], "Shape") if node.op_type == "Gather" else None
        if shape is None or self._number(node.input[1], depth + 1) not in (1, -1):
            raise ValueError("no number of rows")
        return len(self.rows(shape, depth + 1).b)

    def _split(self, node: onnx.NodeProto, attributes: Attributes, name: str, depth: int) -> Rows:
        """One of the parts of a Split along the rows."""
        made = self.rows(node.input[0], depth + 1)
        if attributes.int("axis", 0) not in (1, -1):
            raise ValueError("no rows")
        given = attributes.ints("split") or (
            self.constants[node.input[1]].tolist() if len(node.input) > 1 and node.input[1] else
            [-(-len(made.b) // len(node.output))] * len(node.output))
        index = list(node.output).index(name)
        return made.take(sum(given[:index]), sum(given[:index + 1]))

    def joined(self, name: str) -> tuple[str, str] | None:
        """The two tensors that a Concat of columns joins to this one."""
        node = self.makers.get(name)
        if node is None or Attributes(node).int("axis", 0) not in (1, -1):
            return None
        return self.ordered(name, "Concat")

    def opened(self, rows: Rows, name: str, first: int) -> Rows:
        """The rows with a product of joined tensors as one of each; ``first``, the columns of the
        first."""
        one, other = self.joined(name) or ("", "")
        parts = {key: w for key, w in rows.parts.items() if key != name}
        w = rows.parts[name]
        return Rows(parts, rows.b) + Rows({one: w[:, :first], other: w[:, first:]},
                                          np.zeros_like(rows.b))
