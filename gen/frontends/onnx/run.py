"""One execution of an ONNX graph on element numbers: it adds the layers to a network as they come.

See :mod:`gatefold.gen.frontends.elements.trace` for the idea.
"""

from __future__ import annotations

import contextlib
import math
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.elements.trace import (
    BatchAxisError,
    Net,
    TooLargeError,
    Trace,
    TraceError,
)
from gatefold.gen.frontends.limits import MAX_NODES
from gatefold.gen.frontends.onnx.batch import Watch
from gatefold.gen.frontends.onnx.layers import LAYERS
from gatefold.gen.frontends.onnx.loop import loop
from gatefold.gen.frontends.onnx.ops import ARITY, MOVED, MOVES, SHAPES, effort
from gatefold.gen.frontends.onnx.ops import FOLDED as _FOLDED
from gatefold.gen.frontends.onnx.proto import (
    Attributes,
    Model,
    NodeError,
    as_text,
    dims_of,
    names_read,
    nodes_needed,
    read_tensor,
)
from gatefold.gen.frontends.onnx.quantised import (
    FOLDED_STEPS,
    MICROSOFT,
    QUANTISED,
    plain,
)
from gatefold.gen.frontends.onnx.site import Refused, Site, Steps, Value
from gatefold.gen.frontends.onnx.stand_ins import declared, stand_ins
from gatefold.gen.frontends.sizes import OpenError

__all__ = ["Run"]

FOLDED = _FOLDED | FOLDED_STEPS
#: Elements that one trial run may produce in all: far above any graph of a network that fits.
_MAX_WORK = 1 << 26
#: What lets in most nodes that hardware does not do.
_HOST = ("; before or behind the recurrent layers the host can compute it: build with --cut auto "
         "(cut=\"auto\" in Python)")
#: What to do instead about operators that exporters are known to write for supported networks.
_REMEDIES = {
    "Scan": "; export a recurrent layer as one operator, with nn.LSTM or keras.layers.LSTM",
    **dict.fromkeys(("Sqrt", "Log", "Exp"), "; normalise data before the network"),
    "ReduceSum": "; use the mean, the next layer's weights take the factor",
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK"), "; end the model before it, the host can do it"),
    **dict.fromkeys(("ReduceMin", "Min"), "; take the maximum of the negatives"),
    "LayerNormalization": "; train with batch normalisation",
}


def _arrays(values: Sequence[Value | None]) -> list[np.ndarray | None]:
    """The numbers of elements, or the constants, of values."""
    return [value.ids if isinstance(value, Net) else value if isinstance(value, np.ndarray) else
            None for value in values]


def _origin(node: onnx.NodeProto) -> str:
    """The name of a node in messages."""
    return as_text(node.name or (node.output[0] if node.output else ""))


class _BehindError(NodeError):
    """What is read was not made, since it is behind a node that was refused."""


def _fixed_dims(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """What the file says of the shape of a tensor, where it says all."""
    dims = dims_of(value)
    if dims is None:
        return None
    sizes = tuple(n for n in dims if isinstance(n, int))
    return sizes if len(sizes) == len(dims) and math.prod(sizes) <= _MAX_WORK else None


class Run:
    """One execution of the graph on the element numbers of ``trace``; ``watch``, of the sizes that
    it reads, if these matter."""

    def __init__(self, model: Model, trace: Trace, constants: dict[str, np.ndarray],
                 watch: Watch | None = None):
        self.model, self.trace, self.constants, self.watch = model, trace, constants, watch
        self.work = 0
        self.dims = {value.name: dims for value in model.graph.value_info
                     for dims in [_fixed_dims(value)] if dims is not None}

    def outputs(self, inputs: dict[str, Value]) -> list[int]:
        """The values that are the graph's outputs."""
        graph = self.model.graph
        values: ChainMap[str, Value] = ChainMap({**self.constants, **inputs})
        self.nodes(graph, values)
        found = []
        for name in (value.name for value in graph.output):
            try:
                result = self.lookup(values, name)
            except _BehindError:
                continue
            if not isinstance(result, Net):
                raise UserError(
                    f"output {quoted(name)} is a constant to this reader: either it does not "
                    "depend on the input, or it comes from a Loop or a TensorArray that is not "
                    "one of Keras' recurrent layers: save a Keras model as .keras instead")
            try:
                found.append(self.trace.output(plain(self.trace, result, name).ids))
            except UserError as error:
                kind = type(error) if isinstance(error, TraceError) else UserError
                problem = kind(f"output {quoted(name)}: {error}")
                maker = next((node for node in graph.node if name in node.output), None)
                if self.trace.builder.refusals is None or maker is None or isinstance(
                        error, BatchAxisError | TooLargeError):
                    raise problem from None
                self.trace.builder.refusals.add(_origin(maker), as_text(maker.op_type), problem)
        return found

    def nodes(self, graph: onnx.GraphProto, values: ChainMap) -> None:
        """Run the nodes that the graph's outputs depend on."""
        if len(graph.node) > MAX_NODES:
            raise UserError(f"the graph may have at most {MAX_NODES} nodes, not {len(graph.node)}")
        needed = nodes_needed(graph)
        last_use = {name: index for index, node in enumerate(needed) for name in names_read(node)}
        results = {value.name for value in graph.output}
        for index, node in enumerate(needed):
            origin = _origin(node)
            used = tuple(name in last_use or name in results for name in node.output)
            try:
                self.node(node, origin, values, used)
            except OpenError:
                raise
            except (UserError, ValueError, IndexError, TypeError, OverflowError,
                    ZeroDivisionError, MemoryError, AttributeError) as error:
                kind = type(error) if isinstance(error, TraceError) else UserError
                text, advice = (error.what, error.advice) if isinstance(error, UserError) else (
                    f"its inputs contradict it ({quoted(error)}): export the model again", "")
                problem = kind(f"ONNX node {quoted(origin)} ({quoted(node.op_type)}): {text}",
                               advice)
                if self.trace.builder.refusals is None or isinstance(
                        error, BatchAxisError | TooLargeError | MemoryError):
                    raise problem from None
                self.go_on(node, origin, values, None if isinstance(error, _BehindError)
                           else problem)
            for name in set(names_read(node)) - results:
                if last_use[name] == index:
                    values.maps[0].pop(name, None)  # large graphs would fill the memory

    def lookup(self, values: ChainMap, name: str) -> np.ndarray | Net:
        """A value by name."""
        value = values.get(name)
        if isinstance(value, Refused):
            raise (_BehindError if value.behind else NodeError)(value.reason)
        if value is None:
            raise NodeError(f"the tensor {quoted(name)} is not defined before it is used: the file "
                            "is damaged")
        return value

    def go_on(self, node: onnx.NodeProto, origin: str, values: ChainMap,
              problem: UserError | None) -> None:
        """Record the ``problem`` of a node (None: it is behind another) and keep outputs of the
        shapes that it would have, or none."""
        refusals = self.trace.builder.refusals
        assert refusals is not None
        made: list[Value] = []
        if problem is None:
            refusals.pass_over(origin)
        else:
            refusals.add(origin, as_text(node.op_type), problem)
            inputs = [values.get(name) if name else None for name in node.input]
            with contextlib.suppress(UserError, ValueError, IndexError, TypeError):
                made = stand_ins(self.trace, node.op_type, inputs, origin)
            dims = [self.dims.get(name) for name in node.output]
            if not made and self.trace.batch == 1 and None not in dims:
                made = [declared(self.trace, shape, origin) for shape in dims if shape is not None]
        unknown = Refused(f"it is behind the node {quoted(origin)}", behind=True)
        for n, name in enumerate(node.output):
            if name:
                values.setdefault(name, made[n] if n < len(made) else unknown)

    def node(self, node: onnx.NodeProto, origin: str, values: ChainMap,
             used: tuple[bool, ...]) -> None:
        """Run one node and keep its outputs."""
        if node.domain not in ("", "ai.onnx") and not (
                node.domain == "com.microsoft" and node.op_type in MICROSOFT):
            raise NodeError(f"operators of the domain {quoted(node.domain)} are not supported: "
                            "docs/layers.md lists those that are", _HOST)
        attributes = Attributes(node)
        inputs = [self.lookup(values, name) if name else None for name in node.input]
        given, live = inputs, any(isinstance(value, Net) for value in inputs)
        if self.watch:
            self.watch.enter(node, origin, live)
        if node.op_type not in QUANTISED and node.op_type not in MOVES and node.op_type != "Cast":
            inputs = [plain(self.trace, value, origin) if isinstance(value, Net) else value
                      for value in inputs]
        if node.op_type == "If":
            results = self.branch(attributes, inputs, values)
        elif node.op_type == "Loop":
            results = loop(self, attributes, inputs, values, origin)
        else:
            results = self.compute(node, attributes, inputs, origin, used)
        attributes.done()
        if self.watch:
            self.watch.leave(node, origin, _arrays(given), _arrays(results),
                             live or any(isinstance(value, Net) for value in results))
        if len(node.output) > len(results):
            raise NodeError(f"it has {len(node.output)} outputs instead of {len(results)}: the "
                            "file is damaged")
        for name, value in zip(node.output, results, strict=False):
            if name in values:
                raise NodeError(f"the tensor {quoted(name)} is defined twice: the file is damaged")
            array = value.ids if isinstance(value, Net) else value
            self.work += array.size if isinstance(array, np.ndarray) else 0
            if name:
                values[name] = value
        if self.work > _MAX_WORK:
            raise TooLargeError("the graph moves too much data to be a network that can be "
                                "built")

    def compute(self, node: onnx.NodeProto, attributes: Attributes, inputs: list,
                origin: str, used: tuple[bool, ...]) -> Sequence[Value]:
        """The outputs of a node without graphs of its own."""
        kind, live = node.op_type, any(isinstance(value, Net) for value in inputs)
        limit = LAYERS[kind][1] if kind in LAYERS and live else ARITY.get(kind)
        if limit is not None and len(inputs) > limit:
            raise NodeError(f"it has {len(inputs)} inputs, but at most {limit} are read")
        if kind in LAYERS and (live or kind not in FOLDED):
            return LAYERS[kind][0](Site(self.trace, attributes, inputs, origin, self.model.opset,
                                        used))
        arrays = _arrays(inputs)
        if kind in SHAPES:
            return [SHAPES[kind](attributes, arrays, self.model.opset)]
        if kind not in MOVES and (live or kind not in FOLDED):
            what = " on a tensor of the network" if kind in FOLDED else ""
            raise NodeError(f"this operator is not built in hardware{what}"
                            + _REMEDIES.get(kind, ""), _HOST)
        steps = None
        if live:
            steps, inputs = self.one_scale(kind, inputs, origin)
            arrays = self.moved(kind, inputs, steps.zero if steps else 0)
        else:
            self.work += effort(kind, arrays)
        if kind == "Split":
            attributes.default("num_outputs", len(node.output))
        found = (MOVES.get(kind) or FOLDED[kind])(attributes, arrays, self.model.opset)
        results = found if isinstance(found, list) else [found]
        return [replace(steps, ids=array) if steps else Net(array) if live else np.asarray(array)
                for array in results]

    def one_scale(self, kind: str, inputs: list, origin: str) -> tuple[Steps | None, list]:
        """The scale that all quantised inputs have, and the inputs; where they have several,
        none, and the integers."""
        found = [value for value in inputs if isinstance(value, Net)]
        first = found[0]
        padded = kind == "Pad" and isinstance(first, Steps) and first.zero  # by integers of 0
        if not padded and isinstance(first, Steps) and all(
                isinstance(one, Steps) and (one.scale, one.zero) == (first.scale, first.zero)
                for one in found):
            return first, inputs
        return None, [plain(self.trace, value, origin) if isinstance(value, Net) else value
                      for value in inputs]

    def moved(self, kind: str, inputs: list, zero: float = 0) -> list[np.ndarray | None]:
        """The inputs of an operator that moves elements, as numbers; constants must be ``zero``."""
        moved = MOVED.get(kind, lambda count: range(1))(len(inputs))
        if kind == "Gather" and isinstance(inputs[0], np.ndarray):
            raise NodeError("it looks vectors up in a table, as an embedding: the core takes "
                            "numbers, not tokens: look the vectors up on the host")
        if any(isinstance(value, Net) for n, value in enumerate(inputs) if n not in moved):
            raise NodeError("it takes a shape or an index from the network's values: the network "
                            "must be of fixed shape")
        arrays: list[np.ndarray | None] = []
        for index, value in enumerate(inputs):
            if index in moved and isinstance(value, np.ndarray):
                if (value != zero).any():
                    raise NodeError("it mixes the network's values with constants other than zero: "
                                    "add constants by a bias, or on the host")
                value = Net(self.trace.zeros(value.shape))
            arrays.append(value.ids if isinstance(value, Net) else value)
        return arrays

    def branch(self, attributes: Attributes, inputs: list, values: ChainMap) -> list[Value]:
        """The branch of an If that a constant condition takes."""
        if len(inputs) != 1 or not isinstance(inputs[0], np.ndarray):
            raise NodeError("its condition depends on the network's values: the network "
                            "must be the same for every input")
        graphs = attributes.take("else_branch"), attributes.take("then_branch")
        graph = graphs[bool(inputs[0].reshape(()))]
        if not isinstance(graph, onnx.GraphProto):
            raise NodeError("a branch is missing: export the model again")
        inner: ChainMap[str, Value] = ChainMap({t.name: read_tensor(t) for t in graph.initializer},
                                               values)
        self.nodes(graph, inner)
        return [self.lookup(inner, value.name) for value in graph.output]
