"""LSTM and GRU cells that a graph writes out as operators: one LSTM or GRU operator again.

nn.LSTMCell, nn.GRUCell, cells of one's own and some exporters write each step as sums, products
and functions (:mod:`.written_cells`). Cells that follow one another, each with the state of the one
before and the same weights, become one operator over all their steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.frontends.onnx.proto import as_text, known_constants, read_tensor
from gatefold.gen.frontends.onnx.sums import Sums
from gatefold.gen.frontends.onnx.written_cells import Cell, cells

__all__ = ["gathered"]


def gathered(graph: onnx.GraphProto, opset: int,
             constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put a recurrent operator in the place of all cells in ``graph`` and in its branches.

    ``constants``, its initializers by name, and those of the graphs around it. Gives the new ones.
    """
    known = known_constants(graph, constants)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH and node.op_type == "If":
                inner = {t.name: read_tensor(t) for t in attribute.g.initializer}
                gathered(attribute.g, opset, known | inner)
    if not {"Sigmoid", "Tanh", "Mul"} <= {node.op_type for node in graph.node}:
        return {}
    before, sums = len(graph.initializer), Sums(graph, known)
    for chain in _chains(sums, list(cells(sums))):
        _Operator(graph, opset, chain).replace()
    return {t.name: read_tensor(t) for t in graph.initializer[before:]}


def _chains(sums: Sums, found: Sequence[Cell]) -> list[list[Cell]]:
    """The cells, each behind the one whose state it goes on with."""
    chains: list[list[Cell]] = []
    for cell in found:
        for chain in chains:
            last = chain[-1]
            options = [one for one in (cell, cell.swapped()) if one.goes_on(last) or (
                len(chain) == 1 and one.goes_on(last.swapped()))]
            # c is read by its tanh and the next cell alone: an operator gives the last one only.
            if options and (not last.c or len(sums.readers.get(last.c_after, ())) == 2):
                if not options[0].goes_on(last):
                    chain[0] = last.swapped()
                chain.append(options[0])
                break
        else:
            chains.append([cell])
    return chains


class _Operator:
    """The recurrent operator that computes a chain of cells in ``graph``."""

    def __init__(self, graph: onnx.GraphProto, opset: int, chain: Sequence[Cell]):
        self.graph, self.opset, self.chain = graph, opset, chain
        self.label = f"{as_text(chain[0].h_after)}/{chain[0].kind}"
        self.made: list[onnx.NodeProto] = []

    def replace(self) -> None:
        """Put it in the place of the cells."""
        first, last = self.chain[0], self.chain[-1]
        gone = {cell.h_after for cell in self.chain} | {last.c_after}
        kept = [node for node in self.graph.node if gone.isdisjoint(node.output)]
        for name, array in (("W", first.w), ("R", first.r), ("B", first.b),
                            ("0", np.array(0, np.int64)), ("axis", np.array([0], np.int64))):
            self.constant(name, array)
        steps = [self.unsqueezed(cell.x, f"x{k}") for k, cell in enumerate(self.chain)]
        self.node("Concat", steps, f"{self.label}/x", axis=0)
        states = [self.unsqueezed(name, f"{what}0")
                  for what, name in (("h", first.h), ("c", first.c)) if name]
        results = ("y", "y_h", "y_c") if first.c else ("y", "y_h")
        more: dict[str, Any] = {} if first.c else {"linear_before_reset": int(first.after)}
        self.made.append(helper.make_node(
            first.kind, [f"{self.label}/{name}" for name in "xWRB"] + ["", *states],
            [f"{self.label}/{name}" for name in results], self.label,
            hidden_size=first.r.shape[2], **more))
        for k, cell in enumerate(self.chain):
            if k:
                self.constant(str(k), np.array(k))
            whole = f"{self.label}/y{k}"
            self.node("Gather", [f"{self.label}/y", f"{self.label}/{k}"], whole, axis=0)
            self.node("Gather", [whole, f"{self.label}/0"], cell.h_after, axis=0)
        if last.c:
            self.node("Gather", [f"{self.label}/y_c", f"{self.label}/0"], last.c_after, axis=0)
        del self.graph.node[:]
        self.graph.node.extend([*kept, *self.made])

    def constant(self, name: str, array: np.ndarray) -> None:
        """Add a constant of the operator."""
        self.graph.initializer.append(numpy_helper.from_array(array, f"{self.label}/{name}"))

    def node(self, kind: str, read: Sequence[str], output: str, **attributes: Any) -> None:
        """Append a node, which has the name of its result."""
        self.made.append(helper.make_node(kind, read, [output], output, **attributes))

    def unsqueezed(self, name: str, label: str) -> str:
        """The tensor with an axis of one in front."""
        output = f"{self.label}/{label}"
        if self.opset < 13:
            self.node("Unsqueeze", [name], output, axes=[0])
        else:
            self.node("Unsqueeze", [name, f"{self.label}/axis"], output)
        return output
