"""ONNX graphs: executed once on element numbers, which adds the layers to a network as they come.

See :mod:`.trace` for the idea. The batch may be symbolic or of any size, and any axis of an
input; if the file does not say which, each is tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Incomplete, every_refusal
from gatefold.gen.frontends.elements.trace import BatchAxisError, Net, TooLargeError, Trace
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.onnx.axes import Dims, batch_axes, batch_choices, no_batch
from gatefold.gen.frontends.onnx.batch import LARGE, BatchSizeError, Watch, reads_sizes
from gatefold.gen.frontends.onnx.ops import FLOATS
from gatefold.gen.frontends.onnx.proto import (
    ExternalReader,
    Model,
    as_text,
    dims_of,
    read_model,
    read_tensor,
)
from gatefold.gen.frontends.onnx.quantised import stored_as
from gatefold.gen.frontends.onnx.run import Run
from gatefold.gen.frontends.onnx.scalars import given_numbers
from gatefold.gen.frontends.onnx.site import Value
from gatefold.gen.frontends.onnx.steps import only_steps_read
from gatefold.gen.frontends.onnx.unrolled import rolled
from gatefold.gen.frontends.onnx.written_out import gathered
from gatefold.gen.frontends.onnx.written_rnn import gathered_rnn
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.frontends.sizes import AS_DECLARED, OpenError, Sizes, shown_dims
from gatefold.gen.network.graph import Network
from gatefold.gen.network.simplify import simplify
from gatefold.gen.network.states import PORTS

__all__ = ["network_of", "parse"]

#: Elements of one sample's tensors up to which a graph is run with a large batch too.
_CHEAP = 1 << 18
#: Most choices of batch axes that are tried where the file does not say.
_MAX_ATTEMPTS = 12
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

        network = _gathered(model, constants, made, make is not None)
    except RecursionError:
        raise UserError(f"{name} is nested too deeply: this is no model") from None
    network.source.update(format="onnx", exporter=model.exporter, opset=model.opset)
    stored = stored_as(model.graph)
    if stored:
        network.source["quantised"] = {"as": stored, "shapes": network.source[PORTS]["shapes"]}
    return network


def _gathered(model: Model, constants: dict[str, np.ndarray],
              make: Callable[[Model, dict[str, np.ndarray]], Network], cut: bool) -> Network:
    """The network of a graph whose written-out cells became recurrent operators, or of the graph as
    it is if such a network is refused: cells may feed each other, and need not be on vectors."""
    stored = len(model.graph.initializer)
    nodes = onnx.GraphProto(node=model.graph.node).node  # a copy, without the weights
    made = gathered(model.graph, model.opset, constants)
    if cut:  # else :func:`rolled` finds them in the network
        made |= gathered_rnn(model.graph, constants | made)
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


def network_of(model: Model, constants: dict[str, np.ndarray], sizes: Sizes, all_: bool,
               batch: int | None = None) -> Network:
    """The network of a graph: the possible batch axes are tried, the likeliest first.

    ``batch``: the size of the batch, None where it is not known. Raises :class:`UserError`; with
    ``all_``, :class:`Incomplete` for every refusal.
    """
    inputs = [value for value in model.graph.input if value.name not in constants]
    if not inputs:
        raise UserError("the model has no input (only constants): export a model with an input")
    numbers = given_numbers(model.graph, constants, inputs, sizes)
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
        outputs = Run(model, trace, constants, watch).outputs(values)
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
