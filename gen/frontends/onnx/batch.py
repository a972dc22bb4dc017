"""The size of the batch as a number within an ONNX graph.

A core takes one sample at a time, so a graph must give every sample the same result whatever the
size of the batch is. A graph that reads sizes (Shape, Size) may take that of the batch for more
than the shapes of tensors: as an index, a factor, a condition. Such a graph is run with several
batches, and what every node reads of constants that came from shapes is compared.
"""

from __future__ import annotations

import numpy as np
import onnx

from gatefold.gen.errors import quoted
from gatefold.gen.frontends.onnx.ops import SHAPES
from gatefold.gen.frontends.onnx.proto import as_text, names_read
from gatefold.gen.frontends.sizes import OpenError

__all__ = ["LARGE", "BatchSizeError", "Watch", "reads_sizes"]

#: A batch beyond the two that are compared first: a condition may hold from some size on.
LARGE = 7

#: Operators whose second input is a shape: it decides no value.
_SHAPED = ("Reshape", "Expand", "Tile")
#: Operators that give data another shape alone.
_RESHAPES = ("Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten")


class BatchSizeError(OpenError):
    """What a graph computes depends on the size of its batch, which is open."""


def reads_sizes(graph: onnx.GraphProto) -> bool:
    """Whether any node of the graph reads the size of a tensor."""
    return any(node.op_type in SHAPES or any(
        reads_sizes(one.g) for one in node.attribute if one.type == onnx.AttributeProto.GRAPH)
        for node in graph.node)


class Watch:
    """What one run of a graph sees of sizes, compared with an earlier run.

    Parameters: ``batch``, of this run; ``name``, that of the batch in the file; ``before``, the
    run with another batch, None in the first.
    """

    def __init__(self, batch: int, name: str, before: Watch | None = None):
        self.batch, self.name, self.before = batch, name, before
        self.sized: dict[str, np.ndarray] = {}  # constants that came from shapes
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}  # of nodes' results

    def enter(self, node: onnx.NodeProto, origin: str, live: bool) -> None:
        """Compare what a node reads; ``live``: the network computes one of its inputs.

        Raises :class:`BatchSizeError`.
        """
        if node.op_type == "If":  # its branches' nodes are compared on their own
            if self._differs(node.input[0]) and not _reshapes(node):
                raise self._error(node, origin)
            return
        if not live or node.op_type == "Slice":
            return  # a constant is compared where it is used
        for place, name in enumerate(node.input):  # the nodes of a Loop's body run on their own
            if not (node.op_type in _SHAPED and place == 1) and self._differs(name):
                raise self._error(node, origin)

    def leave(self, node: onnx.NodeProto, origin: str, inputs: list, results: list,
              live: bool) -> None:
        """Keep the results of a node, and compare their sizes. ``inputs`` and ``results``: arrays,
        None where a value is not known; ``live`` as in :meth:`enter`.

        Raises :class:`BatchSizeError`.
        """
        from_sizes = node.op_type in SHAPES or any(name in self.sized for name in names_read(node))
        if not from_sizes:
            return
        if not live or node.op_type in SHAPES:
            self.sized |= {name: value for name, value in zip(node.output, results, strict=False)
                           if isinstance(value, np.ndarray)}
            return
        known = all(isinstance(one, np.ndarray) for one in results)
        if node.op_type in ("If", "Loop") or not known:
            return
        shapes = tuple(value.shape for value in results)
        self.shapes[node.output[0]] = shapes
        earlier = self.before and self.before.shapes.get(node.output[0])
        if not self.before or not earlier:
            return
        per_sample = all(np.prod(a) * self.before.batch == np.prod(b) * self.batch
                         for a, b in zip(shapes, earlier, strict=False))
        part = (node.op_type == "Slice" and any(map(self._differs, node.input))
                and inputs[0].shape != shapes[0])
        if part or not per_sample:
            raise self._error(node, origin)

    def _differs(self, name: str) -> bool:
        """Whether a constant holds something else for each sample than with the other batch."""
        mine = self.sized.get(name)
        theirs = self.before.sized.get(name) if self.before else None
        if mine is None or theirs is None:
            return False
        assert self.before
        if mine.ndim != theirs.ndim:
            return True
        wide, narrow, count = mine, theirs, self.batch // self.before.batch
        axes = [axis for axis, n in enumerate(wide.shape) if n != narrow.shape[axis]]
        if not axes:
            return not np.array_equal(wide, narrow)
        axis = axes[0]
        return len(axes) > 1 or wide.shape[axis] != count * narrow.shape[axis] or not (
            np.array_equal(wide, np.repeat(narrow, count, axis))
            or np.array_equal(wide, np.concatenate([narrow] * count, axis)))

    def _error(self, node: onnx.NodeProto, origin: str) -> BatchSizeError:
        name = quoted(self.name)
        return BatchSizeError(
            f"ONNX node {quoted(origin)} ({quoted(as_text(node.op_type))}): what it gives depends "
            f"on the size of the batch ({name[1:-1]}), and a core takes one sample at a time: use "
            f"that size for shapes alone, or fix it with --set {name[1:-1]}=1 (sizes={{{name}: 1}} "
            "in Python)", False, self.name, [1])


def _reshapes(node: onnx.NodeProto) -> bool:
    """Whether both branches of an If give data another shape alone."""
    return all(inner.op_type in _RESHAPES for one in node.attribute
               if one.type == onnx.AttributeProto.GRAPH for inner in one.g.node)
