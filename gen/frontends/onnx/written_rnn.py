"""An nn.RNN that an ONNX graph writes out step by step: one RNN operator again.

torch.onnx's dynamo exporter writes each step as h_t = act(s_t + (R h_(t-1) + b)), where s is a
sequence that it multiplies with W beforehand; the first step, from zeros, is act(s_0 + b) where
the size of the batch is fixed.
Where a model is cut, its recurrent layers must be operators; :mod:`.unrolled` finds the same steps
in a network that is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.onnx.proto import Attributes, as_text, known_constants, read_tensor
from gatefold.gen.frontends.onnx.ranks import Ranks
from gatefold.gen.frontends.onnx.sums import WRONG, Sums

__all__ = ["gathered_rnn"]

#: Fewest steps that are made one layer: fewer may be anything.
_FEWEST = 2
#: Most chains of steps: each takes a copy of its matrices.
_MOST_CHAINS = 256
#: Most nodes that add to one product.
_MOST_SUMS = 4


@dataclass(frozen=True)
class _Step:
    """h_t, the tensor ``after``: step ``time`` along ``axis`` of ``source``, the h ``before`` and
    the matrix ``r`` (None of a step from zeros), the bias, and the rank of the h before, 0 where it
    is not known; of a step from zeros, that of its bias.
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
    made = Counter(name for node in graph.node for name in node.output if name)
    twice = next((name for name, count in made.items() if count > 1), None)
    if twice is not None:  # steps might go round
        raise UserError(f"the tensor {quoted(twice)} is defined twice: the file is damaged")
    before = len(graph.initializer)
    sums = Sums(graph, known_constants(graph, constants))
    ranks = Ranks(graph, sums.makers, sums.constants)
    steps: dict[str, list[_Step]] = {}  # by the h before
    for node in graph.node:
        if node.op_type in ("Tanh", "Relu"):
            try:
                step = _step(sums, ranks, node)
            except WRONG:
                continue
            if step is not None:
                steps.setdefault(step.before, []).append(step)
    after = {step.after for some in steps.values() for step in some}
    chains = []
    for first in [step for name, some in steps.items() if name not in after for step in some
                  if step.rank]:
        chain = [first]
        while behind := [one for one in steps.get(chain[-1].after, []) if one.goes_on(chain[-1])]:
            chain.append(behind[0])
        if len(chain) >= _FEWEST and set(np.diff([one.time for one in chain])) in ({1}, {-1}):
            chains.append(chain)
    if len(chains) > _MOST_CHAINS:
        raise UserError(f"the graph writes out {len(chains)} recurrent layers step by step, and at "
                        f"most {_MOST_CHAINS} are read: split the model")
    nodes = [node for chain in chains for node in _layer(graph, sums, chain)]
    gone = {step.after for chain in chains for step in chain}
    kept = [node for node in graph.node if gone.isdisjoint(node.output)]
    del graph.node[:]
    graph.node.extend([*kept, *nodes])
    return {t.name: read_tensor(t) for t in graph.initializer[before:]}


def _step(sums: Sums, ranks: Ranks, node: onnx.NodeProto) -> _Step | None:
    """The step whose h is the result of this node."""
    for hidden, x in sums.both(node.input[0], "Add"):
        place = _place(sums, x)
        if place is None or ranks.of(place[0]) not in (3, None):
            continue
        held = sums.constants.get(hidden)
        if held is not None:
            row = held.reshape(-1, held.shape[-1])[0]
            if held.ndim < 4 and held.shape[:-2] in ((), (1,)) and (held == row).all():
                # It is the same for every sample.
                return _Step(node.op_type, node.output[0], *place, row, rank=held.ndim)
            continue
        before, r, b, most = _product(sums, hidden)
        rank = ranks.of(before)
        if r.shape == (len(b), len(b)) and rank in (2, 3, None) and most <= (rank or 2):
            return _Step(node.op_type, node.output[0], *place, b, before, r, rank or 0)
    return None


def _product(sums: Sums, name: str) -> tuple[str, np.ndarray, np.ndarray, int]:
    """The tensor x of a product x W^T + b of any rank, its W and b, and the most axes of a constant
    that makes up b. Unlike :meth:`Sums.rows`, which takes all tensors for (batch, rows), nothing
    but a constant that is the same at every place is added. Raises an error of :data:`WRONG`."""
    added: list[np.ndarray] = []
    for _ in range(_MOST_SUMS):
        node = sums.makers[name]
        if node.op_type not in ("Add", "Identity"):
            break
        fixed = [one for one in node.input if one in sums.constants]
        added += [sums.constants[one] for one in fixed]
        (name,) = (one for one in node.input if one not in fixed)
    node = sums.makers[name]
    if node.op_type not in ("MatMul", "Gemm") or sums.constants[node.input[1]].ndim != 2:
        raise ValueError("no product")
    rows = sums.rows(name)  # of this node alone
    ((x, w),) = rows.parts.items()
    if any(set(one.shape[:-1]) > {1} for one in added):
        raise ValueError("no bias of units")
    b = rows.b + sum(np.broadcast_to(one.reshape(-1), rows.b.shape) for one in added)
    return x, w, b, max((one.ndim for one in added), default=0)


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


def _layer(graph: onnx.GraphProto, sums: Sums, chain: Sequence[_Step]) -> list[onnx.NodeProto]:
    """One operator in the place of the steps; its constants become the graph's."""
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
        x, matrix, bias, most = _product(sums, source)
        if most <= 3:
            source, w, b = x, matrix, bias
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
    return made
