"""Layers that only a host computes, and networks of layers cut around their recurrent part.

For models that are no ONNX files: the reader of a format adds a :class:`HostLayer` where hardware
has no layer, :func:`cut_network` makes the core's network of the rest, and what lies before and
behind it is written as ONNX graphs of one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.cuts import Cut, CutError, Steps, core_ports, numbers_of, unknown
from gatefold.gen.frontends.refusals import Refusal, Refusals, StandIn
from gatefold.gen.network.around import Around, Port
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layer import Layer, Shape
from gatefold.gen.network.layers import Dense, MaxPool, Multiply
from gatefold.gen.network.recurrent import Recurrent
from gatefold.gen.network.states import PORTS
from gatefold.gen.network.summary import rows
from gatefold.gen.network.views import View

__all__ = ["Given", "HostLayer", "Writer", "check_begin", "cut_network", "end_without",
           "needed_for", "refuse_between", "results_of"]

_OPSET = 17


@dataclass(frozen=True, kw_only=True)
class HostLayer(StandIn):
    """A layer of the host.

    Attributes: ``write``, a function of a :class:`Writer` and the names of the tensors that it
    reads (1, *shape), which writes its nodes and gives the name of its result; ``count``, of its
    trained values; ``products``, its multiplications; ``high``, the rows of the table that its
    input indexes; ``mask``, the value of the steps that the layer would have skipped.
    """

    write: Callable[[Writer, Sequence[str]], str]
    count: int = 0
    products: int = 0
    high: int = 0
    mask: float | None = None

    kind = "host"

    @property
    def parameters(self) -> int:
        return self.count

    def macs(self, *shapes: Shape) -> int:
        return self.products


@dataclass(frozen=True, kw_only=True)
class Given(StandIn):
    """What a layer with which a model begins reads: the user gives it, as an input."""


class Writer:
    """Writes an ONNX graph node by node."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str | np.ndarray | np.generic, **attributes: Any) -> str:
        """A node with one output, whose name it gives; arrays among its inputs are constants."""
        names = [one if isinstance(one, str) else self._constant(np.array(one)) for one in inputs]
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], output, **attributes))
        return output

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def shaped(self, tensor: str, *shape: int) -> str:
        """A Reshape."""
        return self.node("Reshape", tensor, np.array(shape, np.int64))

    def layer(self, layer: Layer, names: Sequence[str], shapes: Sequence[Shape]) -> str:
        """The nodes of a layer that reads ``names`` of these ``shapes``, without the batch."""
        if isinstance(layer, HostLayer):
            return layer.write(self, names)
        if isinstance(layer, View):
            return self._moved(layer.arrange, names, shapes)
        if isinstance(layer, Multiply):
            return self.node("Mul", *names)
        if isinstance(layer, MaxPool):
            taps = self._moved(lambda x: layer.window.arrange(x, -1), names, shapes, -np.inf)
            return self.node("ReduceMax", taps, axes=[-2], keepdims=0)
        if isinstance(layer, Dense):
            x = names[0] if layer.window is None else self._moved(
                lambda x: layer.gather(x, -1), names, shapes)
            y = self.node("Add", self.node("MatMul", x, layer.w.T), layer.b)
            activation = _FUNCTIONS.get(layer.activation)
            if activation is not None:
                return activation(self, y)
        raise CutError(f"{layer.where} would have to move to the host, which computes no such "
                       "layer: cut elsewhere with --from and --to")

    def _moved(self, arrange: Callable[..., np.ndarray], names: Sequence[str],
               shapes: Sequence[Shape], fill: float = 0) -> str:
        """Elements of tensors in the order of ``arrange``, which takes arrays (1, *shape); where
        it gives a number below 0 is ``fill``."""
        ids, flat, end = [], [], 0
        for name, shape in zip(names, shapes, strict=True):
            size = int(np.prod(shape))
            ids.append(np.arange(end, end + size).reshape(1, *shape))
            flat.append(self.shaped(name, size))
            end += size
        found = arrange(*ids) if fill else np.asarray(_filled(arrange, ids))
        flat.append(self._constant(np.array([fill], np.float32)))
        return self.node("Gather", self.node("Concat", *flat, axis=0),
                         np.where(found < 0, end, found).astype(np.int64), axis=0)

    def model(self, inputs: Sequence[tuple[str, Shape]],
              outputs: Sequence[tuple[str, Shape]]) -> bytes:
        """The graph as the bytes of a model; its ends by name and shape are floats."""
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, "part",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs],
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs],
            self.constants)
        return helper.make_model(graph, producer_name="gatefold", ir_version=8, opset_imports=[
            helper.make_opsetid("", _OPSET)]).SerializeToString()


def _filled(arrange: Callable[..., np.ndarray], ids: list[np.ndarray]) -> np.ndarray:
    """``arrange`` of numbers from 1 on, so that new elements, which are 0, become -1."""
    return arrange(*(one + 1 for one in ids)) - 1


_FUNCTIONS: dict[str, Callable[[Writer, str], str]] = {
    "linear": lambda writer, y: y,
    "relu": lambda writer, y: writer.node("Relu", y),
    "sigmoid": lambda writer, y: writer.node("Sigmoid", y),
    "tanh": lambda writer, y: writer.node("Tanh", y),
    "hard_sigmoid": lambda writer, y: writer.node("HardSigmoid", y, alpha=0.25, beta=0.5),
    "hard_tanh": lambda writer, y: writer.node("Clip", y, np.float32(-1), np.float32(1)),
}


# ---- the cut ------------------------------------------------------------------------------------


def cut_network(inputs: Sequence[Shape], layers: Sequence[Layer], shapes: Sequence[Shape],
                outputs: Sequence[int], source: dict, cut: Cut) -> Network:
    """The network of the core of a model of ``layers``, with what is around it as
    ``source["around"]``.

    Parameters: ``inputs``, shapes of the model's inputs; ``shapes``, of all values; ``outputs``,
    numbers of values.
    Raises :class:`CutError` where no part of it is a core.
    """
    count = len(inputs)
    needs = [[value - count for value in layer.inputs if value >= count] for layer in layers]
    used = _used(needs, [value - count for value in outputs])
    steps = Steps([layer.origin for layer in layers], needs,
                  [n for n, layer in enumerate(layers) if isinstance(layer, Recurrent)
                   and n in used])
    host = {n for n, layer in enumerate(layers) if isinstance(layer, StandIn) and n in used}
    if cut.named:
        core = steps.named(cut) & used
        wrong = sorted(host & core)
        if wrong:
            raise CutError(f"--from and --to leave the layer {quoted_name(layers[wrong[0]])} in "
                           "the core, which hardware cannot do: cut elsewhere")
    else:
        front, back = steps.leave(host)
        core = used - front - back
        if front:
            core -= _turns(core, steps, layers, shapes)
    given = {n for n in used if isinstance(layers[n], Given)}
    behind = used - core - steps.before(core)
    before = used - core - behind - given
    made = {n + count for n in core}
    into = list(dict.fromkeys(value for n in sorted(core) for value in layers[n].inputs
                              if value not in made))
    wanted = {value for n in used - core for value in layers[n].inputs} | set(outputs)
    out_of = [*dict.fromkeys(value for value in outputs if value in made)]
    out_of += [value for value in sorted(made) if value in wanted and value not in out_of]
    number = {value: n for n, value in enumerate([*into, *sorted(made)])}
    network = Network(tuple(shapes[value] for value in into), tuple(
        replace(layers[n], inputs=tuple(number[value] for value in layers[n].inputs))
        for n in sorted(core)), source, tuple(number[value] for value in out_of))
    names = {value: f"input{value}" if value < count else f"v{value}"
             for value in range(len(shapes))}
    names |= {n + count: f"input{count + k}" for k, n in enumerate(sorted(given))}

    def port(value: int) -> Port:
        readers = [layers[n] for n in used if value in layers[n].inputs]
        hosted = [one for one in readers if isinstance(one, HostLayer)
                  and (value < count or value - count in given)]
        masks = {one.mask for one in hosted if one.mask is not None}
        if len(masks) > 1:
            raise CutError(f"an input's timesteps are masked where they are {min(masks)} and where "
                           f"they are {max(masks)}: use one mask_value for an input")
        return Port(names[value], (1, *shapes[value]), 0,
                    high=min((one.high for one in hosted if one.high), default=0),
                    mask=next(iter(masks), None))

    def part(of: set[int], gives: Sequence[int]) -> bytes:
        if not of:
            return b""
        writer, tensors = Writer(), dict(names)
        for n in sorted(of):
            made = writer.layer(layers[n], [tensors[value] for value in layers[n].inputs],
                                [shapes[value] for value in layers[n].inputs])
            tensors[n + count] = made
        for value in gives:  # tensors have the names of the values that others read
            writer.nodes.append(helper.make_node("Identity", [tensors[value]], [names[value]]))
        takes = dict.fromkeys(value for n in sorted(of) for value in layers[n].inputs
                              if value - count not in of)
        return writer.model(*([(names[value], (1, *shapes[value])) for value in ends]
                              for ends in (takes, gives)))

    starts = [*range(count)] if not given else sorted(
        {value for n in used for value in layers[n].inputs if value < count}
        | {n + count for n in given})
    needed = {value for n in behind for value in layers[n].inputs} | set(into) | set(outputs)
    table = rows(layers, shapes)
    hosted = [tuple(replace(table[n], name="", hardware=False) for n in sorted(of))
              for of in (before, behind)]
    around = Around(
        part(before, [n + count for n in sorted(before) if n + count in needed]),
        part(behind, list(dict.fromkeys(value for value in outputs if value - count in behind))),
        tuple(map(port, starts)), tuple(map(port, outputs)), tuple(map(port, into)),
        tuple(map(port, out_of)), rows_before=hosted[0], rows_behind=hosted[1])
    own = source.get(PORTS) or {"inputs": [f"input{n}" for n in range(count)],
                                "outputs": [f"output{n}" for n in range(len(outputs))]}
    network.source["around"] = around
    network.source[PORTS] = core_ports(
        around, [own["inputs"][value] if value < count else layers[value - count].origin
                 for value in starts], own["outputs"],
        {names[value] for n in behind for value in layers[n].inputs})
    return network


def _turns(core: set[int], steps: Steps, layers: Sequence[Layer],
           shapes: Sequence[Shape]) -> set[int]:
    """Views with which the core begins, up to the last that gives another order: a host that
    computes what comes before turns axes too, since the core takes its input as it comes. What the
    core reads as it is too (one direction of two) is not turned: it would come twice."""
    found, turns = set[int](), set[int]()
    ahead = core & steps.ahead
    for n in sorted(ahead):
        layer = layers[n]
        if isinstance(layer, View) and layer.growth == 1 and len(layer.inputs) == 1 and (
                set(steps.needs[n]) & ahead <= found):
            found.add(n)
            shape = shapes[layer.inputs[0]]
            ids = np.arange(int(np.prod(shape))).reshape(1, *shape)
            if not np.array_equal(layer.arrange(ids).reshape(-1), ids.reshape(-1)):
                turns.add(n)
    once = {n for n in turns if not any(layers[n].inputs[0] in layers[m].inputs
                                        for m in core - found)}
    return found & steps.before(once)


def refuse_between(inputs: Sequence[Shape], layers: Sequence[Layer], refusals: Refusals) -> None:
    """Raise :class:`CutError` where a layer that neither hardware nor host computes lies between
    two recurrent ones."""
    refused = {one.origin: one.text for one in refusals.found}
    wrong = {n for n, layer in enumerate(layers) if isinstance(layer, StandIn)
             and not isinstance(layer, HostLayer) and layer.origin in refused}
    recurrent = [n for n, layer in enumerate(layers) if isinstance(layer, Recurrent)]
    if wrong and recurrent:
        steps = Steps([layer.origin for layer in layers],
                      [[value - len(inputs) for value in layer.inputs if value >= len(inputs)]
                       for layer in layers], recurrent)
        between = sorted(wrong & steps.ahead & steps.after)
        steps.leave(wrong, refused[layers[between[0]].origin] if between else "")


def results_of(end: str, inputs: int, layers: Sequence[Layer],
               results: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """The values of the layer ``end``, with which the model ends (``results``, where its reader
    says them); ``inputs``, the number of the model's inputs."""
    outputs = tuple(results.get(end, ()))
    if not outputs:
        made = numbers_of(end, [one.origin for one in layers], "--to")
        within = {value for n in made for value in layers[n].inputs}
        outputs = tuple(inputs + n for n in made if inputs + n not in within)
    return outputs


def check_begin(cut: Cut, inputs: int, layers: Sequence[Layer], names: Iterable[str],
                outputs: Sequence[int]) -> None:
    """Raise :class:`CutError` unless the values ``outputs`` depend on the layer with which the
    model begins; ``names``, of the layers that were read, ``inputs``, the number of the model's
    inputs."""
    assert cut.begin is not None
    given = {n for n, layer in enumerate(layers) if isinstance(layer, Given)}
    if not given:
        raise unknown(cut.begin, [one for one in names if one != cut.begin], "--from")
    ends = [value - inputs for value in outputs]
    if min(outputs) >= 0 and given.isdisjoint(_used(
            [[value - inputs for value in layer.inputs] for layer in layers], ends)):
        what = "the model's outputs do" if cut.end is None else f"{quoted(cut.end)} (--to) does"
        raise CutError(f"--from: {what} not depend on the layer {quoted(cut.begin)}: begin at a "
                       "layer ahead")


def needed_for(outputs: Sequence[int], inputs: int, layers: Sequence[Layer],
               refusals: Refusals) -> list[Refusal]:
    """The refusals of what the values ``outputs`` depend on, all where one of them was not made."""
    if min(outputs) < 0:
        return refusals.found
    needs = [[value - inputs for value in layer.inputs] for layer in layers]
    origins = {layers[n].origin for n in _used(needs, [value - inputs for value in outputs])}
    return [one for one in refusals.found
            if one.origin in ("", *origins) or one.kind == "InputLayer"]


def end_without(inputs: int, layers: Sequence[Layer], refusals: Refusals) -> str | None:
    """The layer behind all recurrent ones up to which hardware and host compute everything,
    although layers behind it were refused; None where a recurrent one is refused itself.
    ``inputs``, the number of the model's inputs.

    Raises :class:`CutError` where a layer that was refused lies ahead of recurrent ones.
    """
    refused = {one.origin for one in refusals.found}
    recurrent = {n for n, layer in enumerate(layers) if isinstance(layer, Recurrent)}
    first = next((one.origin for one in refusals.found if one.origin), "")
    if refusals.recurrent:
        raise CutError(f"layer {quoted(first)} is computed neither by hardware nor by the host, "
                       "and lies ahead of the recurrent layer "
                       f"{quoted(refusals.recurrent[0])}: replace it by layers of docs/layers.md, "
                       "or save the model's part behind it as a model of its own")
    if not recurrent or refused & {layers[n].origin for n in recurrent}:
        return None
    steps = Steps([layer.origin for layer in layers],
                  [[value - inputs for value in layer.inputs if value >= inputs]
                   for layer in layers], recurrent)
    lost = steps.behind(n for n, layer in enumerate(layers) if isinstance(layer, StandIn)
                        and not isinstance(layer, HostLayer))
    ends = [n for n in range(len(layers)) if n not in lost and recurrent <= steps.before([n])]
    return layers[ends[-1]].origin if ends and not lost & recurrent else None


def quoted_name(layer: Layer) -> str:
    """The layer's name in a message."""
    return ascii(layer.origin)[:60]


def _used(needs: Sequence[Sequence[int]], last: Sequence[int]) -> set[int]:
    """The layers that the outputs depend on."""
    found: set[int] = set()
    left = [*last]
    while left:
        n = left.pop()
        if n >= 0 and n not in found:  # numbers below are the model's inputs
            found.add(n)
            left += needs[n]
    if not found:
        raise UserError("the model's outputs depend on no layer: save the model again")
    return found
