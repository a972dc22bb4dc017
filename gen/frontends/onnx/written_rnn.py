"""An nn.RNN that an ONNX graph writes out step by step: one RNN operator again.

torch.onnx's dynamo exporter writes each step as h_t = act(s_t + (R h_(t-1) + b)), where s is a
sequence that it multiplies with W beforehand; the first step, from zeros, is act(s_0 + b) where
the size of the batch is fixed.
Where a model is cut, its recurrent layers must be operators; :mod:`.unrolled` finds the same steps
in a network that is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.frontends.onnx.proto import Attributes, as_text, known_constants, read_tensor
from gatefold.gen.frontends.onnx.sums import WRONG, Sums

__all__ = ["gathered_rnn"]

#: Fewest steps that are made one layer: fewer may be anything.
_FEWEST = 2


@dataclass(frozen=True)
class _Step:
    """h_t, the tensor ``after``: step ``time`` along ``axis`` of ``source``, the h ``before`` and
    the matrix ``r`` (None of a step from zeros), the bias, and, of a first step, the rank of h_t.
    """

    kind: str
    after: str
    source: str
    axis: int
    time: int
    b: np.ndarray
    before: str = ""
    r: np.ndarray | None = None
    rank: int = 0

    def goes_on(self, last: _Step) -> bool:
        """Whether this is the step behind ``last``."""
        return (self.before, self.kind, self.source, self.axis) == (
            last.after, last.kind, last.source, last.axis) and self.r is not None and (
                np.array_equal(self.b, last.b)) and (
                    last.r is None or np.array_equal(self.r, last.r))


def gathered_rnn(graph: onnx.GraphProto,
                 constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put an RNN operator in the place of each chain of steps in ``graph``; ``constants``, its
    initializers by name. Gives the new ones."""
    before = len(graph.initializer)
    sums = Sums(graph, known_constants(graph, constants))
    steps: dict[str, list[_Step]] = {}  # by the h before
    for node in graph.node:
        if node.op_type in ("Tanh", "Relu"):
            try:
                step = _step(sums, node)
            except WRONG:
                continue
            if step is not None:
                steps.setdefault(step.before, []).append(step)
    made = {step.after for some in steps.values() for step in some}
    for first in [step for before in steps.keys() - made for step in steps[before]]:
        chain = [first]
        while behind := [one for one in steps.get(chain[-1].after, []) if one.goes_on(chain[-1])]:
            chain.append(behind[0])
        if len(chain) >= _FEWEST and set(np.diff([one.time for one in chain])) in ({1}, {-1}):
            _replace(graph, sums, chain)
    return {t.name: read_tensor(t) for t in graph.initializer[before:]}


def _step(sums: Sums, node: onnx.NodeProto) -> _Step | None:
    """The step whose h is the result of this node."""
    for hidden, x in sums.both(node.input[0], "Add"):
        place = _place(sums, x)
        if place is None:
            continue
        held = sums.constants.get(hidden)
        if held is not None:
            row = held.reshape(-1, held.shape[-1])[0]
            if (held == row).all():  # the same for every sample
                return _Step(node.op_type, node.output[0], *place, row, rank=held.ndim)
        if held is None:
            rows = sums.rows(hidden)
            ((before, r),) = rows.parts.items()
            if r.shape == (len(rows.b), len(rows.b)):
                maker = sums.makers.get(before)
                rank = 3 if maker is not None and maker.op_type == "Unsqueeze" else 2
                return _Step(node.op_type, node.output[0], *place, rows.b, before, r, rank)
    return None


def _place(sums: Sums, name: str) -> tuple[str, int, int] | None:
    """Of which tensor this is one step, along which axis (0 or 1), and which."""
    node = sums.makers.get(name)
    if node is None:
        return None
    if node.op_type == "Squeeze":
        part = sums.makers.get(node.input[0])
        if part is None or part.op_type != "Slice" or (len(node.input), len(part.input)) not in (
                (2, 4), (2, 5)):
            return None
        start, end, axis, *stride = (sums.constants[one].reshape(()).item()
                                     for one in part.input[1:])
        whole = stride in ([], [1]) and sums.constants[node.input[1]].tolist() == [axis]
        one = end - start == 1 and start >= 0 and axis in (0, 1)
        return (part.input[0], axis, start) if whole and one else None
    if node.op_type == "Gather" and sums.constants[node.input[1]].ndim == 0:
        axis, at = Attributes(node).int("axis", 0), int(sums.constants[node.input[1]])
        return (node.input[0], axis, at) if axis in (0, 1) and at >= 0 else None
    return None


def _replace(graph: onnx.GraphProto, sums: Sums, chain: Sequence[_Step]) -> None:
    """Put one operator in the place of the steps."""
    first, last = chain[0], chain[-1]
    assert last.r is not None
    label, units = f"{as_text(last.after)}/RNN", len(last.b)
    made: list[onnx.NodeProto] = []

    def node(kind: str, read: Sequence[str], output: str, **attributes) -> str:
        made.append(helper.make_node(kind, read, [output], output, **attributes))
        return output

    def constant(name: str, array: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(array, f"{label}/{name}"))
        return f"{label}/{name}"

    source, w, b = first.source, np.eye(units, dtype=np.float32), np.zeros(units, np.float32)
    try:
        rows = sums.rows(source)
        ((inner, matrix),) = rows.parts.items()
        source, w, b = inner, matrix, rows.b
    except WRONG:  # no product: as it is
        pass
    x = source if first.axis == 0 else node("Transpose", [source], f"{label}/turned",
                                            perm=[1, 0, 2])
    times = [step.time for step in chain]
    low, high = min(times), max(times)
    x = node("Slice", [x, constant("low", np.array([low])), constant("high", np.array([high + 1])),
                       constant("axis", np.array([0]))], f"{label}/x")
    initial = [] if not first.before else ["", first.before] if first.rank > 2 else ["", node(
        "Reshape", [first.before, constant("rows", np.array([1, -1, units]))], f"{label}/h")]
    node("RNN", [x, constant("W", w[None]), constant("R", last.r[None]), constant(
        "B", np.concatenate([b, last.b])[None]), *initial], f"{label}/y", hidden_size=units,
        activations=[first.kind], direction="forward" if times[-1] > times[0] else "reverse")
    zero = constant("0", np.array(0))
    for k, step in enumerate(chain):
        at = constant(f"at{k}", np.array(step.time - low)) if step.time > low else zero
        whole = step.after if first.rank > 2 else f"{label}/y{k}"
        node("Gather", [f"{label}/y", at], whole, axis=0)
        if first.rank <= 2:
            node("Gather", [whole, zero], step.after, axis=0)
    gone = {step.after for step in chain}
    kept = [one for one in graph.node if gone.isdisjoint(one.output)]
    del graph.node[:]
    graph.node.extend([*kept, *made])
