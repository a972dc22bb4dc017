"""ONNX graphs: executed once on element numbers, which adds the layers to a network as they come.

See :mod:`.trace` for the idea. The batch may be symbolic or of any size, and any axis of an
input; if the file does not say which, each is tried.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Incomplete, every_refusal
from gatefold.gen.frontends.elements.trace import (
    BatchAxisError,
    Net,
    TooLargeError,
    Trace,
    TraceError,
)
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.onnx.batch import LARGE, BatchSizeError, Watch, reads_sizes
from gatefold.gen.frontends.onnx.layers import LAYERS
from gatefold.gen.frontends.onnx.loop import loop
from gatefold.gen.frontends.onnx.ops import ARITY, FLOATS, MOVED, MOVES, SHAPES, effort
from gatefold.gen.frontends.onnx.ops import FOLDED as _FOLDED
from gatefold.gen.frontends.onnx.proto import (
    Attributes,
    ExternalReader,
    Model,
    NodeError,
    as_text,
    dims_of,
    names_read,
    nodes_needed,
    read_model,
    read_tensor,
)
from gatefold.gen.frontends.onnx.quantised import (
    FOLDED_STEPS,
    MICROSOFT,
    QUANTISED,
    plain,
    stored_as,
)
from gatefold.gen.frontends.onnx.site import Refused, Site, Steps, Value
from gatefold.gen.frontends.onnx.stand_ins import declared, stand_ins
from gatefold.gen.frontends.onnx.steps import only_steps_read
from gatefold.gen.frontends.onnx.unrolled import rolled
from gatefold.gen.frontends.onnx.written_out import gathered
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.frontends.sizes import AS_DECLARED, Dim, OpenError, Sizes, shown_dims
from gatefold.gen.network.graph import Network
from gatefold.gen.network.simplify import simplify
from gatefold.gen.network.states import PORTS

__all__ = ["HOST", "batch_axes", "batch_choices", "names_in", "network_of", "no_batch",
           "open_number", "parse"]

FOLDED = _FOLDED | FOLDED_STEPS
_MAX_NODES = 20_000
#: Elements that one trial run may produce in all: far above any graph of a network that fits.
_MAX_WORK = 1 << 26
#: Elements of one sample's tensors up to which a graph is run with a large batch too.
_CHEAP = 1 << 18
#: Most choices of batch axes that are tried where the file does not say.
_MAX_ATTEMPTS = 12
#: Most choices of one size of the batch that are looked at.
_MAX_CHOICES = 1 << 12
#: What lets in most nodes that hardware does not do.
HOST = ("; before or behind the recurrent layers the host can compute it: build with --cut auto "
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


#: From a model, its constants, the sizes of open dimensions, and whether every refusal is wanted.
Maker = Callable[[Model, dict[str, np.ndarray], Sizes, bool], Network]


def parse(data: bytes, name: str, external: ExternalReader | None = None,
          sizes: Sizes = AS_DECLARED, every: bool = False,
          make: Maker | None = None) -> Network:
    """The network in the bytes of an ONNX file; ``name`` is the file's, for messages.

    ``external`` reads tensors' data from other files (location, offset, length); without it they
    are refused. ``sizes``, of open dimensions of the inputs; ``make``, what makes the network,
    :func:`network_of` by default. Raises :class:`UserError`; with ``every``, :class:`Incomplete`
    for every refusal in what is an ONNX model.
    """
    try:
        model = read_model(data, name)
        names = [t.name for t in model.graph.initializer]
        if len(set(names)) < len(names):
            raise UserError("two initializers have one name: the file is damaged")
        constants = {t.name: read_tensor(t, external) for t in model.graph.initializer}

        def made(model: Model, constants: dict[str, np.ndarray]) -> Network:
            with every_refusal(Refusals() if every else None):
                return (make or network_of)(model, constants, sizes, every)

        network = _gathered(model, constants, made)
    except RecursionError:
        raise UserError(f"{name} is nested too deeply: this is no model") from None
    network.source.update(format="onnx", exporter=model.exporter, opset=model.opset)
    stored = stored_as(model.graph)
    if stored:
        network.source["quantised"] = {"as": stored, "shapes": network.source[PORTS]["shapes"]}
    return network


def _gathered(model: Model, constants: dict[str, np.ndarray],
              make: Callable[[Model, dict[str, np.ndarray]], Network]) -> Network:
    """The network of a graph whose written-out cells became LSTM operators, or of the graph as it
    is if such a network is refused: cells may feed each other, and need not be on vectors."""
    stored = len(model.graph.initializer)
    nodes = onnx.GraphProto(node=model.graph.node).node  # a copy, without the weights
    made = gathered(model.graph, model.opset, constants)
    if model.graph.node == nodes:
        return make(model, constants)
    try:
        return make(model, constants | made)
    except UserError as error:
        del model.graph.node[:], model.graph.initializer[stored:]
        model.graph.node.extend(nodes)
        try:
            return make(model, constants)
        except UserError:
            raise error from None


Dims = tuple[Dim, ...]


def network_of(model: Model, constants: dict[str, np.ndarray], sizes: Sizes, all_: bool,
               batch: int | None = None) -> Network:
    """The network of a graph: the possible batch axes are tried, the likeliest first.

    ``batch``: the size of the batch, None where it is not known. Raises :class:`UserError`; with
    ``all_``, :class:`Incomplete` for every refusal.
    """
    inputs = [value for value in model.graph.input if value.name not in constants]
    if not inputs:
        raise UserError("the model has no input (only constants): export a model with an input")
    numbers = _numbers(model.graph, constants, inputs, sizes)
    constants = constants | numbers
    inputs = [value for value in inputs if value.name not in numbers]
    sizes = replace(sizes, named={name: size for name, size in sizes.named.items()
                                  if name not in numbers})
    declared = sizes.substituted({value.name: _input_dims(value) for value in inputs})
    refusals = _wrong_types(inputs)
    if refusals.found and not all_:
        raise UserError(refusals.found[0].text)
    every = list(declared.values())
    possible = [[axis for axis in batch_axes(dims, sizes.timesteps is not None)
                 if axis is None or batch in (None, dims[axis])] for dims in every]
    problem = None
    for axes, size in itertools.islice(batch_choices(every, possible), _MAX_ATTEMPTS):
        try:
            network = _attempt(model, constants, declared, axes, size, sizes,
                               refusals if all_ else None)
        except (BatchAxisError, OpenError) as error:
            # That an axis is open is said rather than that another is no batch.
            better = type(error) is OpenError and type(problem) is not OpenError
            problem = error if better else problem or error
            continue
        sizes.check_timesteps([[n for k, n in enumerate(dims) if k != axis]
                               for dims, axis in zip(every, axes, strict=True)])
        network.source[PORTS] = {
            "inputs": [as_text(name) for name in declared],
            "outputs": [as_text(value.name) for value in model.graph.output],
            "shapes": {as_text(name): [1 if k == axis else n for k, n in enumerate(
                sizes.fixed(f"input {quoted(name)}", dims, axis))]
                for (name, dims), axis in zip(declared.items(), axes, strict=True)}}
        return network
    raise problem or no_batch(every)


def no_batch(every: Sequence[Dims]) -> UserError:
    """That inputs of these shapes cannot have one batch."""
    return UserError(f"its inputs, {' and '.join(map(shown_dims, every))}, have no batch in "
                     "common: export the model with one batch for all of them")


#: Names of inputs that are a sampling rate.
_RATES = ("sr", "rate", "sample_rate", "sampling_rate")
#: Operators that give a single number as it is.
_AS_GIVEN = ("Cast", "Gather", "Identity", "Reshape", "Squeeze", "Unsqueeze")
#: NumPy's types of inputs that are a single number.
_NUMBERS: dict[int, type] = {onnx.TensorProto.INT64: np.int64, onnx.TensorProto.INT32: np.int32,
            onnx.TensorProto.BOOL: np.bool_, onnx.TensorProto.FLOAT: np.float32}


def names_in(graph: onnx.GraphProto) -> set[str]:
    """The tensors that the graph's results depend on."""
    return {name for node in nodes_needed(graph) for name in names_read(node)}


def open_number(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray],
                name: str) -> OpenError:
    """That the input is a single number and not given; ``values`` are the constants that the graph
    compares it with, the largest first."""
    held, same, found = dict(constants), {name}, set[int]()
    for node in nodes_needed(graph):
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            held[node.output[0]] = read_tensor(node.attribute[0].t)
        elif node.op_type in _AS_GIVEN and node.input and node.input[0] in same:
            same.add(node.output[0])
        elif node.op_type == "Equal" and not same.isdisjoint(node.input):
            found |= {int(held[one].reshape(-1)[0]) for one in node.input
                      if one in held and held[one].size == 1}
    if not found and as_text(name).lower() in _RATES:
        found = {16000}
    shown = quoted(name)
    return OpenError(f"input {shown} is a single number, which a core needs fixed: give it with "
                     f"--set {shown[1:-1]}=N (sizes={{{shown}: N}} in Python)", False,
                     as_text(name), sorted((n for n in found if n > 0), reverse=True))


def _numbers(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray],
             inputs: Sequence[onnx.ValueInfoProto], sizes: Sizes) -> dict[str, np.ndarray]:
    """The inputs that are a single number, such as a sampling rate, as ``sizes`` fix them: so a
    condition on them is constant. One that nothing reads may be any.

    Raises :class:`OpenError` for one that is not given.
    """
    found, read = {}, names_in(graph)
    for value in inputs:
        kind, dims = value.type.tensor_type.elem_type, dims_of(value)
        if kind not in _NUMBERS or dims is None or not (dims == () or (
                dims == (1,) and kind != onnx.TensorProto.FLOAT)):
            continue
        if value.name not in sizes.named and value.name in read:
            raise open_number(graph, constants, value.name)
        found[value.name] = np.full((1,) * len(dims), sizes.named.get(value.name, 1),
                                    _NUMBERS[kind])
    return found


def _input_dims(value: onnx.ValueInfoProto) -> Dims:
    dims = dims_of(value)
    if dims is None or not 1 <= len(dims) <= 5:
        raise UserError(f"input {quoted(value.name)} must be (batch, timesteps, features) or "
                        f"(batch, features), not {None if dims is None else shown_dims(dims)}: "
                        "export it with a fixed shape")
    return dims


#: Types of inputs that are quantised numbers: the core takes these integers as they are.
_QUANTISED = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def _wrong_types(inputs: Sequence[onnx.ValueInfoProto]) -> Refusals:
    """What is wrong with the types of the inputs."""
    refusals = Refusals()
    for value in inputs:
        if value.type.tensor_type.elem_type not in (*FLOATS, *_QUANTISED):
            refusals.add(as_text(value.name), "input", f"input {quoted(value.name)} must be "
                         "float32: export the float32 model")
    return refusals


def batch_axes(dims: Dims, timesteps: bool) -> list[int | None]:
    """The axes of an input that may be its batch, the likeliest first; None: it has none.

    ``timesteps``: the user gives their number, so that an open axis may be theirs.
    """
    open_axes = [axis for axis, n in enumerate(dims) if isinstance(n, str)]
    open_axes.sort(key=lambda axis: "batch" not in str(dims[axis]).lower())
    if not open_axes:
        return [0, 1, None] if len(dims) > 2 else [0, None]
    first = open_axes[0]
    if not timesteps:
        other = 0 if first else 1
        return [first, *([other] if first or dims[1:2] == (1,) else [])]
    if len(open_axes) > 1:
        return [*open_axes]
    ones = [axis for axis, n in enumerate(dims[:2]) if n == 1]
    others = [axis for axis in range(len(dims[:2])) if axis not in (first, *ones)]
    return [*ones, first, *(others if len(dims) > 2 else [None])]


def batch_choices(every: Sequence[Dims], possible: Sequence[Sequence[int | None]],
                  ) -> Iterator[tuple[tuple[int | None, ...], int | None]]:
    """For each input the axis that is its batch, and the size of that; None where it is open.

    One batch has one size in all inputs, and a dimension that is the batch of one input is the
    batch wherever it occurs. ``possible``, the axes of each input, the likeliest first.
    """
    def size_of(dims: Dims, axis: int | None) -> int | None:
        return n if axis is not None and isinstance(n := dims[axis], int) else None

    sizes = dict.fromkeys(size_of(dims, axis) for dims, axes in zip(every, possible, strict=True)
                          for axis in axes)
    for size in sizes or (None,):
        fitting = [[axis for axis in axes if size_of(dims, axis) in (None, size)]
                   for dims, axes in zip(every, possible, strict=True)]
        for axes in itertools.islice(itertools.product(*fitting), _MAX_CHOICES):
            pairs = list(zip(every, axes, strict=True))
            batches = {dims[axis] for dims, axis in pairs if axis is not None}
            if (size is not None) != (size in batches):
                continue
            if None in axes and batches and {n for n in batches if isinstance(n, int)} != {1}:
                continue  # a batch for some inputs only is none
            if batches.isdisjoint(n for dims, axis in pairs for k, n in enumerate(dims)
                                  if k != axis and isinstance(n, str)):
                yield axes, size


def _attempt(model: Model, constants: dict[str, np.ndarray], inputs: dict[str, Dims],
             axes: tuple[int | None, ...], fixed: int | None, sizes: Sizes,
             refusals: Refusals | None) -> Network:
    """The network if ``axes`` of the inputs are the batch (None: there is no batch axis).

    A symbolic batch is tried as 2, which differs from every axis of one element, and then as 1:
    some exporters write the batch of their example into the graph. ``refusals``, those so far
    if all are wanted: the attempt with the fewest counts. A graph that reads sizes is run with 1
    before, to compare (:mod:`.batch`).
    """
    samples, shapes = [], []
    for (name, dims), axis in zip(inputs.items(), axes, strict=True):
        shape = sizes.fixed(f"input {quoted(name)}", dims, axis)
        shapes.append(shape)
        # An axis of one before the batch is that of an initial state's layers and directions.
        sample = tuple(n for index, n in enumerate(shape)
                       if index != axis and not (n == 1 and index < (axis or 0)))
        for size in sample:
            check_dim(f"input {quoted(name)}", "timesteps", size)
        samples.append(sample or (1,))
    if all(axis is None for axis in axes):
        fixed = 1

    made: list[int] = []

    def run(batch: int, refusals: Refusals | None, watch: Watch | None) -> Network:
        trace = Trace(batch, samples, refusals=refusals)  # type: ignore[arg-type]
        values: dict[str, Value] = {}
        for name, shape, axis, stage in zip(inputs, shapes, axes, trace.inputs, strict=True):
            ids = trace.whole(stage).reshape(batch, *(n for k, n in enumerate(shape)
                                                      if k != axis))
            values[name] = Net(ids[0] if axis is None else np.moveaxis(ids, 0, axis))
        outputs = _Run(model, trace, constants, watch).outputs(values)
        made.append(trace.elements)
        network = simplify(rolled(trace.builder.network({}, outputs)))
        return simplify(only_steps_read(network))

    problem = alone = None
    if not fixed and reads_sizes(model.graph):
        alone = Watch(1, next(str(dims[axis]) for dims, axis in
                              zip(inputs.values(), axes, strict=True) if axis is not None))
        try:
            run(1, Refusals(), alone)
        except TooLargeError:  # so it is with more samples
            raise
        except UserError:
            pass
        if made and made[-1] < _CHEAP:
            try:
                run(LARGE, Refusals(), Watch(LARGE, alone.name, alone))
            except BatchSizeError:
                raise
            except UserError:
                pass  # the sizes that follow say what is wrong
    for batch in (fixed,) if fixed else (2, 1):
        try:
            return run(batch, refusals and Refusals([*refusals.found]),
                       alone and Watch(batch, alone.name, alone))
        except (BatchAxisError, OpenError, TooLargeError):
            raise
        except Incomplete as error:
            if not isinstance(problem, Incomplete) or (
                    len(error.refusals.found) < len(problem.refusals.found)):
                problem = error
        except UserError as error:
            problem = problem or error
    assert problem is not None
    raise problem


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


class _Run:
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
        if len(graph.node) > _MAX_NODES:
            raise UserError(f"the graph may have at most {_MAX_NODES} nodes, not {len(graph.node)}")
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
                text = (str(error) if isinstance(error, UserError) else "its inputs contradict it "
                        f"({quoted(error)}): export the model again")
                problem = kind(f"ONNX node {quoted(origin)} ({quoted(node.op_type)}): {text}")
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
                            f"docs/layers.md lists those that are{HOST}")
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
                            + _REMEDIES.get(kind, "") + HOST)
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
