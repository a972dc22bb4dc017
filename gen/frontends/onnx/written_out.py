"""LSTM cells that a graph writes out as operators: one LSTM operator again.

nn.LSTMCell, cells of one's own and some exporters write each step as

    c' = sigmoid(z_f) c + sigmoid(z_i) tanh(z_g),    h' = sigmoid(z_o) tanh(c')

where the rows of z are W x + R h + b, put together of Gemm, MatMul, Add, Concat, Split and Slice. A
cell is taken for an LSTM if its operators compute exactly that. Cells that follow one another, each
with the state of the one before and the same weights, become one LSTM over all their steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.onnx.proto import Attributes, as_text, names_read, read_tensor

__all__ = ["gathered"]

_MAX_DEPTH = 12
_WRONG = (UserError, ValueError, IndexError, TypeError, KeyError, OverflowError)


@dataclass(frozen=True)
class _Rows:
    """Rows of a product: a matrix for each tensor that is multiplied, and a bias."""

    parts: Mapping[str, np.ndarray]
    b: np.ndarray

    def take(self, start: int, stop: int) -> _Rows:
        """Some of the rows."""
        return _Rows({name: w[start:stop] for name, w in self.parts.items()}, self.b[start:stop])

    def __add__(self, other: _Rows) -> _Rows:
        parts = dict(self.parts)
        for name, w in other.parts.items():
            parts[name] = parts[name] + w if name in parts else w
        return _Rows(parts, self.b + other.b)


@dataclass(frozen=True)
class _Cell:
    """One step: the names of its state before and after, of what else it reads, and its weights in
    ONNX' order of gates (i, o, f, c)."""

    x: str
    h: str
    c: str
    h_after: str
    c_after: str
    w: np.ndarray
    r: np.ndarray
    b: np.ndarray

    def swapped(self) -> _Cell:
        """The same function, with x in the role of h."""
        return _Cell(self.h, self.x, self.c, self.h_after, self.c_after, self.r, self.w, self.b)

    def goes_on(self, before: _Cell) -> bool:
        """Whether this is the step behind ``before``."""
        return (self.c, self.h) == (before.c_after, before.h_after) and all(
            np.array_equal(one, other) for one, other in
            ((self.w, before.w), (self.r, before.r), (self.b, before.b)))


def gathered(graph: onnx.GraphProto, opset: int,
             constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put an LSTM operator in the place of all cells in ``graph`` and in its branches.

    ``constants``, its initializers by name, and those of the graphs around it. Gives the new ones.
    """
    known = dict(constants)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH and node.op_type == "If":
                inner = {t.name: read_tensor(t) for t in attribute.g.initializer}
                gathered(attribute.g, opset, known | inner)
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            known[node.output[0]] = read_tensor(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]  # weights that two layers share
    if not {"Sigmoid", "Tanh", "Mul"} <= {node.op_type for node in graph.node}:
        return {}
    before, found = len(graph.initializer), _Graph(graph, opset, known)
    for chain in found.chains(list(found.cells())):
        found.replace(chain)
    return {t.name: read_tensor(t) for t in graph.initializer[before:]}


class _Graph:
    """A graph, its makers by tensor and its constants."""

    def __init__(self, graph: onnx.GraphProto, opset: int, constants: Mapping[str, np.ndarray]):
        self.graph, self.opset, self.constants = graph, opset, constants
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in set(names_read(node)):
                self.readers.setdefault(name, []).append(node)
        for value in graph.output:
            self.readers.setdefault(value.name, []).append(onnx.NodeProto())
        self._rows: dict[str, _Rows] = {}

    # ---- one cell -------------------------------------------------------------------------------

    def cells(self) -> Iterator[_Cell]:
        """All cells."""
        for node in list(self.graph.node):
            if node.op_type == "Mul" and len(node.input) == 2:
                try:
                    cell = self.cell(node)
                except _WRONG:
                    continue
                if cell is not None:
                    yield cell

    def cell(self, last: onnx.NodeProto) -> _Cell | None:
        """The cell whose h' the node ``last`` makes."""
        for o, tanh in self.both(last.output[0], "Mul"):
            z_o, c_after = self.inside(o, "Sigmoid"), self.inside(tanh, "Tanh")
            if z_o is None or c_after is None:
                continue
            for kept, new in self.both(c_after, "Add"):
                for f, c in self.both(kept, "Mul"):
                    for i, g in self.both(new, "Mul"):
                        z = (self.inside(i, "Sigmoid"), z_o, self.inside(f, "Sigmoid"),
                             self.inside(g, "Tanh"))
                        if None not in z:
                            return self.whole([self.rows(name or "") for name in z], c,
                                              last.output[0], c_after)
        return None

    def whole(self, gates: Sequence[_Rows], c: str, h_after: str, c_after: str) -> _Cell | None:
        """The cell with these rows of its gates; None where they read other than x and h."""
        names, units = list(gates[0].parts), len(gates[0].b)
        if len(names) != 2 or any(set(one.parts) != set(names) or len(one.b) != units
                                  for one in gates):
            return None
        w, r = (np.concatenate([one.parts[name] for one in gates])[None].astype(np.float32)
                for name in names)
        b = np.concatenate([one.b for one in gates])
        b = np.concatenate([b, np.zeros_like(b)])[None].astype(np.float32)
        cell = _Cell(names[0], names[1], c, h_after, c_after, w, r, b)
        if r.shape[2] != units or (w.shape[2] == units and self.origin(cell.x) == self.origin(c)):
            cell = cell.swapped()
        return cell if cell.r.shape[2] == units else None

    def both(self, name: str, kind: str) -> list[tuple[str, str]]:
        """The inputs of the node that makes the tensor, in either order, if it is of this kind."""
        node = self.makers.get(name)
        if node is None or node.op_type != kind or len(node.input) != 2:
            return []
        a, b = node.input
        return [(a, b), (b, a)]

    def inside(self, name: str, kind: str) -> str | None:
        """The input of the function of this kind that makes the tensor."""
        node = self.makers.get(name)
        return node.input[0] if node is not None and node.op_type == kind else None

    def origin(self, name: str) -> str:
        """The tensor that this one is a part of, or a cell's other result."""
        for _ in range(_MAX_DEPTH):
            node = self.makers.get(name)
            if node is None or node.op_type not in ("Gather", "Slice", "Squeeze", "Unsqueeze",
                                                    "Reshape", "Split", "Expand", "Identity"):
                break
            name = node.input[0]
        return name

    # ---- sums of products -----------------------------------------------------------------------

    def rows(self, name: str, depth: int = 0) -> _Rows:
        """The rows of a tensor (batch, rows); a tensor that is no sum of products is multiplied by
        nothing here, which raises."""
        if name not in self._rows:
            self._rows[name] = self._made(name, depth)
        return self._rows[name]

    def _made(self, name: str, depth: int) -> _Rows:
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
            return _Rows(made.parts, made.b + fixed[0].reshape(-1)) if fixed else made
        if kind == "MatMul":
            return self.product(read[0], self.constants[read[1]].T)
        if kind == "Gemm":
            if attributes.take("transA", 0) or attributes.take("alpha", 1.0) != 1 \
                    or attributes.take("beta", 1.0) != 1:
                raise ValueError("scaled")
            w = self.constants[read[1]]
            made = self.product(read[0], w if attributes.take("transB", 0) else w.T)
            return _Rows(made.parts, made.b + self.constants[read[2]]) if len(read) > 2 else made
        if kind == "Split":
            return self.split(node, attributes, name, depth)
        if kind == "Slice":
            starts, ends, axes, steps = (int(self.constants[one].reshape(-1)[0])
                                         for one in (read[1:] + [""] * 4)[:4] if one) if len(
                                             read) > 4 else (*self._ends(node, read), 1)
            made = self.rows(read[0], depth + 1)
            if axes not in (1, -1) or steps != 1:
                raise ValueError("no rows")
            return made.take(*slice(starts, ends).indices(len(made.b))[:2])
        raise ValueError("no sum")

    def _ends(self, node: onnx.NodeProto, read: Sequence[str]) -> tuple[int, int, int]:
        if len(read) > 3:
            starts, ends, axes = (self.constants[one].reshape(-1) for one in read[1:4])
            return int(starts[0]), int(ends[0]), int(axes[0])
        attributes = Attributes(node)
        starts, ends, axes = (attributes.ints(one) or () for one in ("starts", "ends", "axes"))
        return starts[0], ends[0], axes[0]

    def split(self, node: onnx.NodeProto, attributes: Attributes, name: str, depth: int) -> _Rows:
        """One of the parts of a Split along the rows."""
        made = self.rows(node.input[0], depth + 1)
        if attributes.int("axis", 0) not in (1, -1):
            raise ValueError("no rows")
        given = attributes.ints("split") or (
            self.constants[node.input[1]].tolist() if len(node.input) > 1 and node.input[1] else
            [-(-len(made.b) // len(node.output))] * len(node.output))
        index = list(node.output).index(name)
        return made.take(sum(given[:index]), sum(given[:index + 1]))

    def product(self, name: str, w: np.ndarray) -> _Rows:
        """W times a tensor; of joined ones, each with its columns."""
        node, b = self.makers.get(name), np.zeros(len(w), np.float32)
        if node is None or node.op_type != "Concat" or len(node.input) != 2 or len(w) % 4:
            return _Rows({name: w}, b)
        if Attributes(node).int("axis", 0) not in (1, -1):
            raise ValueError("no columns")
        units = len(w) // 4
        cut = units if self.is_state(node.input[0]) else w.shape[1] - units
        return _Rows({node.input[0]: w[:, :cut], node.input[1]: w[:, cut:]}, b)

    def is_state(self, name: str) -> bool:
        """Whether the tensor is made as an h is, by a product of sigmoid and tanh, in joined ones
        the first; x comes first otherwise, in every framework's own cell."""
        return any(self.inside(a, "Sigmoid") is not None and self.inside(b, "Tanh") is not None
                   for a, b in self.both(name, "Mul"))

    # ---- the operator ---------------------------------------------------------------------------

    def chains(self, cells: Sequence[_Cell]) -> list[list[_Cell]]:
        """The cells, each behind the one whose state it goes on with."""
        chains: list[list[_Cell]] = []
        for cell in cells:
            for chain in chains:
                last = chain[-1]
                options = [one for one in (cell, cell.swapped()) if one.goes_on(last) or (
                    len(chain) == 1 and one.goes_on(last.swapped()))]
                inner = len(self.readers.get(last.c_after, ())) == 2  # its tanh and the next cell
                if options and inner:
                    if not options[0].goes_on(last):
                        chain[0] = last.swapped()
                    chain.append(options[0])
                    break
            else:
                chains.append([cell])
        return chains

    def replace(self, chain: Sequence[_Cell]) -> None:
        """An LSTM operator in the place of a chain of cells."""
        first, last = chain[0], chain[-1]
        gone = {cell.h_after for cell in chain} | {last.c_after}
        kept = [node for node in self.graph.node if gone.isdisjoint(node.output)]
        self.label = f"{as_text(first.h_after)}/LSTM"
        made: list[onnx.NodeProto] = []
        for name, array in (("W", first.w), ("R", first.r), ("B", first.b),
                            ("0", np.array(0, np.int64)), ("axis", np.array([0], np.int64))):
            self.graph.initializer.append(numpy_helper.from_array(array, f"{self.label}/{name}"))
        steps = [self.unsqueezed(cell.x, f"x{k}", made) for k, cell in enumerate(chain)]
        self.node(made, "Concat", steps, f"{self.label}/x", axis=0)
        states = [self.unsqueezed(name, f"{what}0", made)
                  for what, name in (("h", first.h), ("c", first.c))]
        made.append(helper.make_node(
            "LSTM", [f"{self.label}/{name}" for name in "xWRB"] + ["", *states],
            [f"{self.label}/{name}" for name in ("y", "y_h", "y_c")], self.label,
            hidden_size=first.r.shape[2]))
        for k, cell in enumerate(chain):
            index = f"{self.label}/{k}"
            if k:
                self.graph.initializer.append(numpy_helper.from_array(np.array(k), index))
            whole = f"{self.label}/y{k}"
            self.node(made, "Gather", [f"{self.label}/y", index], whole, axis=0)
            self.node(made, "Gather", [whole, f"{self.label}/0"], cell.h_after, axis=0)
        self.node(made, "Gather", [f"{self.label}/y_c", f"{self.label}/0"], last.c_after, axis=0)
        del self.graph.node[:]
        self.graph.node.extend([*kept, *made])

    def node(self, made: list[onnx.NodeProto], kind: str, read: Sequence[str], output: str,
             **attributes: object) -> None:
        """Append a node, which has the name of its result."""
        made.append(helper.make_node(kind, read, [output], output, **attributes))

    def unsqueezed(self, name: str, label: str, made: list[onnx.NodeProto]) -> str:
        """The tensor with an axis of one in front."""
        output = f"{self.label}/{label}"
        if self.opset < 13:
            self.node(made, "Unsqueeze", [name], output, axes=[0])
        else:
            self.node(made, "Unsqueeze", [name, f"{self.label}/axis"], output)
        return output
