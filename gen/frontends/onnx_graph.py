"""ONNX graphs: executed once on element numbers, then read off as a sequence of layers.

See :mod:`.onnx_trace` for the idea. The batch may be symbolic or of any size; it is the first axis
of the input, or the second where the LSTMs turn out to run along the first.
"""

from __future__ import annotations

from collections import ChainMap

import numpy as np
import onnx

from ..errors import UserError, quoted
from ..network import Network
from .builder import Builder
from .limits import check_dim
from .onnx_layers import LAYERS, UNROLLED, Refused, Site, Value
from .onnx_ops import ARITY, FOLDED, MOVES, SHAPES
from .onnx_proto import (
    Attributes,
    ExternalReader,
    Model,
    NodeError,
    read_model,
    read_tensor,
    shape_of,
)
from .onnx_trace import BatchAxisError, Net, Stage, Trace, TraceError

__all__ = ["parse"]

_MAX_NODES = 100_000
#: Elements that one trial run may produce in all: far above any graph of a network that fits.
_MAX_WORK = 1 << 28
_SUPPORTED = (f"{', '.join(LAYERS)} (of constants: weights, biases) and what only moves values, "
              f"{', '.join(MOVES)}")
#: What to do instead about operators that exporters are known to write for supported networks.
_REMEDIES = {
    "Loop": "; tf2onnx writes one for a Keras 3 LSTM of fixed batch: export it with the batch None",
    "Scan": "; export the LSTM as one operator, with nn.LSTM or keras.layers.LSTM",
    **dict.fromkeys(("Mul", "Sub", "Div"), "; scale data before the network; " + UNROLLED),
}


def parse(data: bytes, name: str, external: ExternalReader | None = None) -> Network:
    """The network in the bytes of an ONNX file; ``name`` is the file's, for messages.

    ``external`` reads tensors' data from other files (location, offset, length); without it they
    are refused. Raises :class:`UserError`.
    """
    try:
        model = read_model(data, name)
        constants = {t.name: read_tensor(t, external) for t in model.graph.initializer}
        network = _build(model, constants)
    except RecursionError:
        raise UserError(f"{name} is nested too deeply: this is no model") from None
    network.source.update(format="onnx", exporter=model.exporter, opset=model.opset)
    return network


def _build(model: Model, constants: dict[str, np.ndarray]) -> Network:
    """Try what the batch axis may be, and read off the layers."""
    source = _only_input(model.graph, constants)
    shape = shape_of(source)
    if shape is None or len(shape) not in (2, 3):
        raise UserError(f"input {quoted(source.name)} must be (batch, timesteps, features) or "
                        f"(batch, features), not {shape}: export it with a fixed shape")
    axes = (0, 1) if len(shape) == 3 else (0, None)
    if len(shape) == 3 and shape[0] is not None and shape[1] is None:
        axes = (1, 0)
    try:
        return _attempt(model, constants, source.name, shape, axes[0])
    except BatchAxisError:
        return _attempt(model, constants, source.name, shape, axes[1])


def _attempt(model: Model, constants: dict[str, np.ndarray], name: str,
             shape: tuple[int | None, ...], axis: int | None) -> Network:
    """The network if ``axis`` of the input is the batch (None: there is no batch axis).

    A symbolic batch is tried as 2, which tells it from every axis of one element, and then as 1:
    some exporters write the batch of their example into the graph.
    """
    sample = tuple(n for index, n in enumerate(shape) if index != axis)
    for what, size in zip(("timesteps", "features")[-len(sample):], sample, strict=False):
        if size is None:
            raise UserError(f"input {quoted(name)}: the number of {what} is not fixed "
                            f"(shape {tuple('?' if n is None else n for n in shape)}): export the "
                            "model with a fixed number of timesteps; only the batch may be dynamic")
        check_dim(f"input {quoted(name)}", what, size)
    fixed = 1 if axis is None else shape[axis]
    problem = None
    for batch in (fixed,) if fixed else (2, 1):
        try:
            trace = Trace(batch, sample)  # type: ignore[arg-type]
            ids = trace.whole(trace.input)
            ids = ids[0] if axis is None else np.moveaxis(ids, 0, axis)
            last = _Run(model, trace, constants).output({name: Net(ids)})
            return _network(trace, last)
        except BatchAxisError:
            raise
        except UserError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _only_input(graph: onnx.GraphProto, constants: dict) -> onnx.ValueInfoProto:
    inputs = [value for value in graph.input if value.name not in constants]
    for what, values in (("input", inputs), ("output", list(graph.output))):
        if len(values) != 1:
            names = ", ".join(quoted(value.name, 24) for value in values[:4]) or "none"
            raise UserError(f"the model must have one {what}, not {len(values)} ({names}): export "
                            f"a model with a single {what} tensor")
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise UserError(f"input {quoted(inputs[0].name)} must be float32: export the float32 model")
    return inputs[0]


class _Run:
    """One execution of the graph on the element numbers of ``trace``."""

    def __init__(self, model: Model, trace: Trace, constants: dict[str, np.ndarray]):
        self.model, self.trace, self.constants = model, trace, constants
        self.digests: dict = {}
        self.work = 0

    def output(self, inputs: dict[str, Value]) -> Stage:
        """The stage that is the graph's output."""
        graph = self.model.graph
        values: ChainMap[str, Value] = ChainMap({**self.constants, **inputs})
        self.nodes(graph, values)
        result = self.lookup(values, graph.output[0].name)
        if not isinstance(result, Net):
            raise UserError(f"output {quoted(graph.output[0].name)} does not depend on the input")
        try:
            return self.trace.output(result)
        except TraceError as error:
            raise UserError(f"output {quoted(graph.output[0].name)}: {error}") from None

    def nodes(self, graph: onnx.GraphProto, values: ChainMap) -> None:
        """Run the nodes that the graph's outputs depend on."""
        if len(graph.node) > _MAX_NODES:
            raise UserError(f"the graph may have at most {_MAX_NODES} nodes, not {len(graph.node)}")
        needed = _needed(graph)
        last_use = {name: index for index, node in enumerate(needed) for name in _names(node)}
        results = {value.name for value in graph.output}
        for index, node in enumerate(needed):
            origin = node.name or (node.output[0] if node.output else "")
            try:
                self.node(node, origin, values)
            except UserError as error:
                kind = type(error) if isinstance(error, BatchAxisError) else UserError
                raise kind(f"ONNX node {quoted(origin)} ({quoted(node.op_type)}): "
                           f"{error}") from None
            except (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError,
                    MemoryError, AttributeError) as error:
                raise UserError(f"ONNX node {quoted(origin)} ({quoted(node.op_type)}): its inputs "
                                f"contradict it ({quoted(error)}): export the model "
                                "again") from None
            for name in set(_names(node)) - results:
                if last_use[name] == index:
                    values.maps[0].pop(name, None)  # large graphs would fill the memory

    def lookup(self, values: ChainMap, name: str) -> np.ndarray | Net:
        """A value by name."""
        value = values.get(name)
        if isinstance(value, Refused):
            raise NodeError(value.reason)
        if value is None:
            raise NodeError(f"the tensor {quoted(name)} is not defined before it is used: the file "
                            "is damaged")
        return value

    def node(self, node: onnx.NodeProto, origin: str, values: ChainMap) -> None:
        """Run one node and keep its outputs."""
        if node.domain not in ("", "ai.onnx"):
            raise NodeError(f"operators of the domain {quoted(node.domain)} are not supported: "
                            f"supported are {_SUPPORTED}")
        attributes = Attributes(node)
        inputs = [self.lookup(values, name) if name else None for name in node.input]
        if node.op_type == "If":
            results = self.branch(attributes, inputs, values)
        else:
            results = self.compute(node, attributes, inputs, origin)
        attributes.done()
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
            raise NodeError("the graph moves too much data to be a network that can be built")

    def compute(self, node: onnx.NodeProto, attributes: Attributes, inputs: list,
                origin: str) -> list[Value]:
        """The outputs of a node other than If."""
        kind, live = node.op_type, any(isinstance(value, Net) for value in inputs)
        limit = LAYERS[kind][1] if kind in LAYERS and live else ARITY.get(kind)
        if limit is not None and len(inputs) > limit:
            raise NodeError(f"it has {len(inputs)} inputs, but at most {limit} are read")
        if kind in LAYERS and (live or kind not in FOLDED):
            return LAYERS[kind][0](Site(self.trace, attributes, inputs, origin, self.digests))
        arrays = [value.ids if isinstance(value, Net) else value for value in inputs]
        if kind in SHAPES:
            return [SHAPES[kind](attributes, arrays, self.model.opset)]
        if kind not in MOVES and (live or kind not in FOLDED):
            what = " on a tensor of the network" if kind in FOLDED else ""
            raise NodeError(f"this operator is not supported{what}: supported are {_SUPPORTED}"
                            + _REMEDIES.get(kind, ""))
        moved = len(inputs) if kind == "Concat" else 1
        if live and not all(isinstance(value, Net) == (index < moved)
                            for index, value in enumerate(inputs) if value is not None):
            raise NodeError("it mixes the network's values with constants, or takes a shape or an "
                            "index from them: the network must be sequential, of fixed shape")
        if kind == "Split":
            attributes.default("num_outputs", len(node.output))
        found = (MOVES.get(kind) or FOLDED[kind])(attributes, arrays, self.model.opset)
        results = found if isinstance(found, list) else [found]
        return [Net(array) if live else array for array in results]

    def branch(self, attributes: Attributes, inputs: list, values: ChainMap) -> list[Value]:
        """The branch of an If that a constant condition takes."""
        if len(inputs) != 1 or not isinstance(inputs[0], np.ndarray):
            raise NodeError("its condition depends on the network's values: that is no sequential "
                            "network")
        graphs = attributes.take("else_branch"), attributes.take("then_branch")
        graph = graphs[bool(inputs[0].reshape(()))]
        if not isinstance(graph, onnx.GraphProto):
            raise NodeError("a branch is missing: export the model again")
        inner: ChainMap[str, Value] = ChainMap({t.name: read_tensor(t) for t in graph.initializer},
                                               values)
        self.nodes(graph, inner)
        return [self.lookup(inner, value.name) for value in graph.output]


def _needed(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in the file's order."""
    producers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if producers.setdefault(name, index) != index:
                raise UserError(f"the tensor {quoted(name)} is defined twice: the file is damaged")
    wanted, left = set(), [value.name for value in graph.output]
    while left:
        index = producers.get(left.pop())
        if index is not None and index not in wanted:
            wanted.add(index)
            left += _names(graph.node[index])
    return [node for index, node in enumerate(graph.node) if index in wanted]


def _names(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, inside its branches too."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            names += [value.name for value in attribute.g.output]
            for inner in attribute.g.node:
                names += _names(inner)
    return names


def _network(trace: Trace, last: Stage) -> Network:
    """The stages from the input to ``last`` as layers."""
    chain: list[Stage] = []
    stage: Stage | None = last
    while stage is not None and stage is not trace.input:
        chain.insert(0, stage)
        stage = stage.parent
    kept, vectors = _settle_last(chain)
    builder = Builder(trace.input.shape)
    for index, stage in enumerate(kept):
        name, settings = stage.origin, stage.settings
        if stage.kind == "lstm":
            builder.lstm(origin=name, return_sequences=stage.base not in vectors, **settings)
        elif stage.kind == "dense":
            # A bias is a stage of its own; it belongs to the Dense right before it.
            after = kept[index + 1] if index + 1 < len(kept) else None
            bias = after.settings["b"] if after is not None and after.kind == "bias" else None
            w = settings["w"]
            zeros = np.zeros(len(w), np.float32)
            builder.dense(origin=name, w=w, b=zeros if bias is None else bias)
        elif stage.kind == "bias" and (index == 0 or kept[index - 1].kind != "dense"):
            raise UserError(f"ONNX node {quoted(name)}: a constant is added after a layer that is "
                            "not Dense: only the bias of a Dense is supported")
        elif stage.kind == "activation":
            builder.activation(settings["kind"], origin=name)
        elif stage.kind == "repeat":
            builder.repeat(origin=name, timesteps=settings["timesteps"])
        elif stage.kind == "flatten":
            builder.flatten(origin=name)
    return builder.network({})


def _settle_last(chain: list[Stage]) -> tuple[list[Stage], set[int]]:
    """Move each "last timestep" down to the LSTM it is of, past layers that act on rows alone.

    Gives the chain without them, and the bases of the LSTMs that return only their last h.
    """
    kept: list[Stage] = []
    vectors: set[int] = set()
    for stage in chain:
        if stage.kind != "last":
            kept.append(stage)
            continue
        index = len(kept) - 1
        while index >= 0 and kept[index].kind in ("dense", "bias", "activation"):
            index -= 1
        if index >= 0 and kept[index].kind == "lstm":
            vectors.add(kept[index].base)
        elif index >= 0 and kept[index].kind == "repeat":
            del kept[index]  # the last of equal vectors is the vector
        else:
            raise UserError("only the last timestep of the network's input is used: give the model "
                            "that timestep alone, as (features,)")
    return kept, vectors
