"""An ONNX graph, run once in NumPy on a sample: what remains of it, and the value of every tensor.

A cut needs the shapes of tensors within the graph, and a host the values. What does not depend on
the inputs' values becomes a constant, and an If with a constant condition becomes the branch that
it takes; so shapes that the graph computes, and choices that it makes by them, are gone afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import MAX_NODES
from gatefold.gen.frontends.onnx.batch import LARGE, Watch
from gatefold.gen.frontends.onnx.compute import COMPUTE, multiplications
from gatefold.gen.frontends.onnx.ops import SHAPES
from gatefold.gen.frontends.onnx.proto import (
    Attributes,
    NodeError,
    as_text,
    dims_of,
    names_read,
    nodes_needed,
    read_tensor,
)
from gatefold.gen.frontends.sizes import OpenError

__all__ = ["Flat", "Step", "evaluate", "flat_of", "is_recurrent", "steps_axis"]

#: Elements that one run may produce in all, and the multiplications that it may take.
_MAX_WORK, _MAX_MACS = 1 << 27, 1 << 33
_TOO_MUCH = "what comes before it computes too much for a sample: cut behind it (--from)"
#: Most turns of a Loop.
_MAX_TURNS = 4096
#: What NumPy raises for inputs that contradict a node.
_WRONG = (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, AttributeError,
          KeyError, FloatingPointError)


def is_recurrent(node: onnx.NodeProto) -> bool:
    """Whether the operator has a state: its values are not computed here (:func:`_states`)."""
    return node.op_type in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")


def steps_axis(node: onnx.NodeProto) -> int:
    """The axis of a recurrent operator's input that is the timesteps; the batch is the other of
    0 and 1."""
    return 1 if any(one.name == "layout" and one.i == 1 for one in node.attribute) else 0


@dataclass(frozen=True)
class Step:
    """A node whose results depend on the inputs: the ``node``, its name in the file, and its
    multiplications for the sample."""

    node: onnx.NodeProto
    origin: str
    macs: int = 0

    @property
    def kind(self) -> str:
        """The operator."""
        return as_text(self.node.op_type)


@dataclass
class Flat:
    """A graph without branches and without what is constant.

    Attributes: the names of ``inputs``, ``outputs``; ``steps`` in order; ``constants`` by name;
    ``values``, of every other tensor: an array (the sample that was given), or None where an
    operator is not known here; ``watch``, of the sizes that the graph reads, if these matter;
    ``declared``, the float tensors whose shape the file states; ``first``, the number of the
    (first) sample.
    """

    opset: int
    inputs: list[str]
    outputs: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict[str, np.ndarray | None] = field(default_factory=dict)
    work: int = 0
    macs: int = 0
    watch: Watch | None = None
    declared: dict[str, tuple[int, ...]] = field(default_factory=dict)
    first: int = 0


def flat_of(graph: onnx.GraphProto, opset: int, constants: Mapping[str, np.ndarray],
            inputs: Mapping[str, np.ndarray], fixed: Mapping[str, np.ndarray],
            watch: Watch | None = None, first: int = 0) -> Flat:
    """The graph on the sample ``inputs``; ``fixed`` are inputs that count as constants, ``first``
    is the number of the sample among others (:func:`_states`).

    Raises :class:`UserError` for a graph that is damaged or takes too much, and what ``watch``
    finds.
    """
    flat = Flat(opset, list(inputs), constants={**constants, **fixed}, values=dict(inputs),
                watch=watch, declared=_declared(graph), first=first)
    with np.errstate(all="ignore"):
        _run(flat, graph, 0)
    for value in graph.output:
        if value.name not in flat.values:
            raise UserError(f"output {quoted(value.name)} does not depend on the inputs, or is not "
                            "defined: export the model again")
    flat.outputs = [value.name for value in graph.output]
    needed, kept = set(flat.outputs), []
    for step in reversed(flat.steps):  # some give nothing but their shape
        if not needed.isdisjoint(step.node.output):
            needed |= set(names_read(step.node))
            kept.append(step)
    flat.steps = kept[::-1]
    return flat


def _declared(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """The float tensors within the graph whose shape the file states in full."""
    found = {}
    for value in graph.value_info:
        dims = dims_of(value) or ()
        sizes = tuple(n for n in dims if isinstance(n, int))
        if dims and len(sizes) == len(dims) and math.prod(sizes) <= _MAX_WORK and (
                value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT):
            found[value.name] = sizes
    return found


def _run(flat: Flat, graph: onnx.GraphProto, depth: int) -> None:
    if len(graph.node) > MAX_NODES or depth > 16:
        raise UserError(f"the graph may have at most {MAX_NODES} nodes and 16 levels of branches")
    for node in nodes_needed(graph):
        origin = as_text(node.name or (node.output[0] if node.output else ""))
        try:
            _node(flat, node, origin, depth)
        except OpenError:
            raise
        except (UserError, MemoryError, *_WRONG) as error:
            text = (str(error) if isinstance(error, UserError) else
                    f"its inputs contradict it ({quoted(error)}): export the model again")
            if text.startswith("ONNX node"):
                raise
            raise UserError(f"ONNX node {quoted(origin)} ({quoted(node.op_type)}): {text}"
                            ) from None


def _node(flat: Flat, node: onnx.NodeProto, origin: str, depth: int) -> None:
    missing = [name for name in node.input
               if name and name not in flat.values and name not in flat.constants]
    if missing:
        raise NodeError(f"the tensor {quoted(missing[0])} is not defined before it is used: the "
                        "file is damaged")
    live = any(name in flat.values for name in names_read(node))
    if flat.watch:
        flat.watch.enter(node, origin, live)
    condition = flat.constants.get(node.input[0]) if node.op_type == "If" and node.input else None
    if condition is not None:
        _branch(flat, node, condition, depth)
        return
    shape_only = node.op_type in SHAPES and node.domain == ""
    inputs = [None if not name else flat.constants.get(name) if name in flat.constants
              else flat.values[name] for name in node.input]
    known = all(value is not None or not name
                for name, value in zip(node.input, inputs, strict=True))
    results: Sequence[np.ndarray | None] = [None] * len(node.output)
    if known and is_recurrent(node):
        results = _states(node, inputs, flat.first)
    elif known and node.op_type == "Loop":
        results = _loop(flat, node, inputs)
    elif known and node.op_type in COMPUTE and node.domain in ("", "ai.onnx"):
        results = evaluate(node, inputs, flat.opset)
    if live:  # numbers stand for the results of an operator that is not known here
        results = [np.random.default_rng(0).standard_normal(flat.declared[name]).astype(np.float32)
                   if value is None and name in flat.declared else value
                   for name, value in zip(node.output, results, strict=False)]
    macs = multiplications(node.op_type, inputs, results[0] if len(results) else None)
    flat.work += sum(value.size for value in results if value is not None)
    flat.macs += macs
    if flat.work > _MAX_WORK or flat.macs > _MAX_MACS:
        raise NodeError(_TOO_MUCH)
    if flat.watch:
        flat.watch.leave(node, origin, inputs, list(results), live)
    constant = results[0] is not None and (not live or shape_only) if len(results) else False
    if not constant:
        flat.steps.append(Step(node, origin, macs))
    for name, value in zip(node.output, results, strict=False):
        if not name:
            continue
        if name in flat.values or name in flat.constants:
            raise NodeError(f"the tensor {quoted(name)} is defined twice: the file is damaged")
        if constant and value is not None:
            flat.constants[name] = value
        else:
            flat.values[name] = value


def evaluate(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None],
             opset: int) -> list[np.ndarray]:
    """The results of one node of :data:`COMPUTE`; raises :class:`UserError`, or what NumPy does."""
    attributes = Attributes(node)
    if node.op_type == "Split":
        attributes.default("num_outputs", len(node.output))
    found = COMPUTE[node.op_type](attributes, list(inputs), opset)
    attributes.done()
    results = [np.asarray(one) for one in (found if isinstance(found, list) else [found])]
    if len(node.output) > len(results):
        raise NodeError(f"it has {len(node.output)} outputs instead of {len(results)}: the file is "
                        "damaged")
    return results


def _states(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None],
            first: int) -> list[np.ndarray | None]:
    """Numbers in the shapes of a recurrent operator's results, others for each of :data:`LARGE`
    sequences: so what is behind it shows where it mixes the samples of a batch. ``first``, the
    number of the first."""
    x, r = inputs[0], inputs[2] if len(inputs) > 2 else None
    if x is None or r is None or x.ndim != 3 or r.ndim != 3:
        raise NodeError("its input must be (timesteps, batch, features)")
    axis, directions = steps_axis(node), len(r)
    steps, batch = x.shape[axis], x.shape[1 - axis]
    units = min(r.shape[1:])  # DynamicQuantizeLSTM has the rows of the gates last
    if steps * batch * directions * units > _MAX_WORK:
        raise NodeError(_TOO_MUCH)
    phase = np.random.default_rng(0).uniform(1, 2, (steps, directions, units)).astype(np.float32)
    numbers = 1 + ((first + np.arange(batch)) % LARGE).astype(np.float32)
    every = np.sin(numbers[:, np.newaxis, np.newaxis, np.newaxis]
                   * phase)  # (batch, timesteps, directions, units)
    last = every[:, 0] if steps else np.zeros((batch, directions, units), np.float32)
    found: list[np.ndarray | None] = (
        [every, last, last] if axis else
        [every.transpose(1, 2, 0, 3), *[last.transpose(1, 0, 2)] * 2])
    return found[:max(1, len(node.output))]


def _loop(flat: Flat, node: onnx.NodeProto,
          inputs: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """Zeros of the shapes of a Loop's results. Its body runs once; after that what counts the turns
    alone does. None each where an operator is unknown, sizes change, or there are too many turns.
    """
    body = next((one.g for one in node.attribute if one.HasField("g")), None)
    if body is None or len(body.input) != len(inputs) or len(body.output) < len(inputs) - 1:
        raise NodeError("its body is missing: export the model again")
    turns, going, *carried = inputs
    condition, *after = (value.name for value in body.output)
    before = [value.name for value in body.input]
    inner = {tensor.name: read_tensor(tensor) for tensor in body.initializer}
    unknown: list[np.ndarray | None] = [None] * len(node.output)
    nodes, counters, known = nodes_needed(body), {condition}, 0
    while len(counters) > known:
        known = len(counters)
        for one in nodes:
            if not counters.isdisjoint(one.output):
                counters |= set(names_read(one))
        counters |= {name for name, k in zip(after, before[2:], strict=False) if k in counters}
    now: dict[str, np.ndarray | None] = dict(zip(before, (np.array(0), going, *carried),
                                                 strict=True))
    shapes: list[tuple[int, ...]] = []
    turn = 0
    while (going is None or going.reshape(()).item()) and (
            turns is None or turn < turns.reshape(()).item()):
        for one in nodes:
            if turn and counters.isdisjoint(one.output):
                continue
            read = [None if not name else next((held[name] for held in (
                now, inner, flat.constants, flat.values) if name in held), None)
                for name in one.input]
            if turn == _MAX_TURNS or one.op_type not in COMPUTE or any(
                    value is None and name for name, value in zip(one.input, read, strict=True)):
                return unknown
            made = evaluate(one, read, flat.opset)
            now |= dict(zip(one.output, made, strict=False))
            flat.work += sum(value.size for value in made)
        made_now = {**inner, **now}
        ends = [made_now[name] for name in after]
        if not turn:
            shapes = [value.shape for value in ends]
        if [value.shape for value in ends] != shapes or flat.work > _MAX_WORK or any(
                one is not None and one.shape != shape
                for one, shape in zip(carried, shapes, strict=False)):
            return unknown
        going, turn = made_now[condition], turn + 1
        now |= dict(zip(before, (np.array(turn), going, *ends), strict=False))
    if not turn:
        return unknown
    flat.work += sum(turn * math.prod(shape) for shape in shapes[len(carried):])
    if flat.work > _MAX_WORK:
        return unknown
    kinds = [now[name] for name in before[2:]]
    return [*(value if name in counters else np.zeros_like(value)
              for name, value in zip(before[2:], kinds, strict=True)),
            *(np.zeros((turn, *shape), np.float32) for shape in shapes[len(carried):])][
                :len(node.output)]


def _branch(flat: Flat, node: onnx.NodeProto, condition: np.ndarray, depth: int) -> None:
    """The branch of an If that its condition takes, in the place of the node."""
    graphs = {as_text(one.name): one.g for one in node.attribute}
    graph = graphs.get("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
    if graph is None or len(graph.output) < len(node.output):
        raise NodeError("a branch is missing: export the model again")
    for tensor in graph.initializer:
        flat.constants[tensor.name] = read_tensor(tensor)
    _run(flat, graph, depth + 1)
    for name, inner in zip(node.output, graph.output, strict=False):
        if inner.name in flat.constants:
            flat.constants[name] = flat.constants[inner.name]
            if flat.watch:
                flat.watch.sized[name] = flat.constants[name]
        elif name and name != inner.name:
            same = helper.make_node("Identity", [inner.name], [name])
            flat.steps.append(Step(same, as_text(inner.name)))
            flat.values[name] = flat.values[inner.name]
