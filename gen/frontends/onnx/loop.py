"""ONNX Loops: the recurrent layers that Keras exports written out.

Keras 3 on TensorFlow (through tf2onnx) exports a GRU, a SimpleRNN and an LSTM with other
activations than the usual as a Loop over the timesteps, of some forty operators that differ from
version to version. Its body is taken apart:

1. Nodes that do not depend on the network's input (counters, the condition, slices of weights) run
   turn by turn. None of their results may change but the index with which a Gather takes x from a
   sequence: so the sequence is known, and every turn computes the same.
2. The rest runs once, on element numbers, with x and the states as inputs of a network of its own.
3. The formulas of that network (:mod:`.formulas`) must be those of a recurrent cell
   (:mod:`.cells`). Any other Loop is refused.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable

import numpy as np
import onnx

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.trace import BatchAxisError, Net, TooLargeError, Trace
from gatefold.gen.frontends.onnx.cells import Cell, cell
from gatefold.gen.frontends.onnx.formulas import FormulaError, Formulas, same
from gatefold.gen.frontends.onnx.proto import (
    Attributes,
    NodeError,
    names_read,
    nodes_needed,
    read_tensor,
)
from gatefold.gen.frontends.onnx.recurrent import settle_states
from gatefold.gen.frontends.onnx.site import Refused, Value

__all__ = ["loop"]

#: Most turns of a Loop.
_MAX_TURNS = 4096
_UNKNOWN = ("it is no Loop of a GRU, SimpleRNN or LSTM as Keras exports them: save the Keras model "
            "as .keras, which is read as well; PyTorch: use nn.LSTM, nn.GRU or nn.RNN")


def loop(run, attributes, inputs: list, values: ChainMap, origin: str) -> list[Value]:
    """The outputs of a Loop; ``run`` executes graphs; its body can read ``values``."""
    graph = attributes.take("body")
    if not isinstance(graph, onnx.GraphProto):
        raise NodeError("its body is missing: export the model again")
    control, carried = inputs[:2], inputs[2:]
    if (len(graph.input) != len(inputs) or len(graph.output) <= len(carried)
            or any(isinstance(value, Net) for value in control)
            or any(value is None for value in carried)):
        raise NodeError(_UNKNOWN)
    body = _Body(graph, carried, values)
    constants, indices, counted = body.count(run, control)
    ids = body.sequence(run.trace, indices)
    builder, made = body.step(run, constants, ids.shape[2], origin)
    try:
        formulas = Formulas(builder)
        found = cell(formulas, [formulas.values[made[body.after[k]]] for k in body.states])
    except FormulaError:
        raise NodeError(_UNKNOWN) from None
    if found is None:
        raise NodeError(_UNKNOWN)
    states = [body.states[n] for n in found.states]
    results = _layer(run.trace, found, [carried[k] for k in states], ids, origin)
    h = formulas.values[made[body.after[states[0]]]]

    def is_h(name: str) -> bool:
        return name in made and same(formulas.values[made[name]], h)

    if not all(is_h(body.after[k]) for k in body.copies):
        raise NodeError(_UNKNOWN)
    outputs: list[Value] = [
        results[1 + states.index(k)] if k in states else results[1] if k in body.copies
        else counted[k] for k in range(len(carried))]
    return outputs + [results[0] if is_h(name) else Refused(_UNKNOWN) for name in body.scans]


class _Body:
    """A Loop's body in two parts: the nodes that count the turns, and those that read the input.

    Parameters: ``carried``, the initial values; ``values``, those that the body can read.
    Attributes: ``states``, which carried values are computed; ``copies``, which of them no turn
    reads; ``after``, the names that carried values have at the end of a turn; ``scans``, names of
    what each turn adds to a sequence.
    """

    def __init__(self, graph: onnx.GraphProto, carried: list, values: ChainMap):
        self._values = values.new_child({t.name: read_tensor(t) for t in graph.initializer})
        self._turn, self._going, *self._before = (value.name for value in graph.input)
        self._condition, *outputs = (value.name for value in graph.output)
        self._carried = carried
        self.after, self.scans = outputs[:len(carried)], outputs[len(carried):]
        nodes, live, known = nodes_needed(graph), set(), None
        self.states: list[int] = []
        while known != self.states:
            known = self.states
            live = {self._before[k] for k in known}
            for node in nodes:
                if any(self._is_computed(name, live) for name in names_read(node)):
                    live |= set(node.output)
            self.states = [k for k, value in enumerate(carried) if k in known or isinstance(
                value, Net) or self._is_computed(self.after[k], live)]
        counts = [node for node in nodes if live.isdisjoint(node.output)]
        computes = [node for node in nodes if not live.isdisjoint(node.output)]
        self._counts = [k for k in range(len(carried)) if k not in self.states]
        constant = {self._turn, self._going, *(self._before[k] for k in self._counts),
                    *(name for node in counts for name in node.output)}
        takes = [node for node in computes if node.op_type == "Gather" and len(node.input) == 2
                 and self._is_computed(node.input[0], set()) and node.input[1] in constant]
        if len(takes) != 1 or self._condition in live:
            raise NodeError(_UNKNOWN)
        self._take, computes = takes[0], [node for node in computes if node is not takes[0]]
        read = {name for node in computes for name in names_read(node)}
        self.copies = [k for k in self.states if self._before[k] not in read]
        self.states = [k for k in self.states if k not in self.copies]
        if any(self._is_computed(name, set()) for name in read):
            raise NodeError(_UNKNOWN)
        self._read = sorted(read & constant)
        index = self._take.input[1]
        self._counting = _graph(counts, [self._condition, index, *self._read,
                                         *(self.after[k] for k in self._counts)])
        self._computing = _graph(computes, [*(self.after[k] for k in self.states + self.copies),
                                            *(name for name in self.scans if name in live)])

    def _is_computed(self, name: str, live: set[str]) -> bool:
        return name in live or isinstance(self._values.get(name), Net)

    def count(self, run, control: list) -> tuple[dict, list[int], dict[int, np.ndarray]]:
        """Count the turns. Returns the constants that every turn computes with, the index of x in
        each turn, and the final carried values that are no states."""
        limit, going = (None if value is None else value.reshape(()).item() for value in control)
        carried = {k: self._carried[k] for k in self._counts}
        constants, indices, turn, going = {}, [], 0, going is None or bool(going)
        while going and (limit is None or turn < limit):
            if turn == _MAX_TURNS:
                raise NodeError(f"it takes more than {_MAX_TURNS} turns: {_UNKNOWN}")
            seen = self._values.new_child({
                self._turn: np.array(turn, np.int64), self._going: np.array(going),
                **{self._before[k]: value for k, value in carried.items()}})
            run.nodes(self._counting, seen)
            for name in self._read:
                value = run.lookup(seen, name)
                if not _same(constants.setdefault(name, value), value):
                    raise NodeError(_UNKNOWN)
            index = run.lookup(seen, self._take.input[1])
            if index.ndim or index.dtype.kind not in "iu":
                raise NodeError(_UNKNOWN)
            indices.append(int(index))
            carried = {k: run.lookup(seen, self.after[k]) for k in self._counts}
            going, turn = bool(run.lookup(seen, self._condition).reshape(())), turn + 1
        if not turn:
            raise NodeError(_UNKNOWN)
        return constants, indices, carried

    def sequence(self, trace: Trace, indices: list[int]) -> np.ndarray:
        """The numbers that the turns read, one after the other, (batch, timesteps, features)."""
        data, axis = self._values[self._take.input[0]].ids, Attributes(self._take).int("axis", 0)
        if data.ndim == 3:
            try:
                return trace.batch_at(np.moveaxis(np.take(data, indices, axis), axis, 0), 1)
            except BatchAxisError:
                pass
        raise NodeError(_UNKNOWN)

    def step(self, run, constants: dict, features: int, origin: str):
        """One turn as a network of x and the states: its builder, and the values by name."""
        shapes = [(features,)]
        for k in self.states:
            shape = np.shape(getattr(self._carried[k], "ids", self._carried[k]))
            if len(shape) != 2 or shape[0] != run.trace.batch:
                raise NodeError(_UNKNOWN)
            shapes.append(shape[1:])
        trace = Trace(run.trace.batch, shapes)
        x, *states = (Net(trace.whole(stage)) for stage in trace.inputs)
        seen = self._values.new_child({
            **constants, self._take.output[0]: x,
            **{self._before[k]: state for k, state in zip(self.states, states, strict=True)}})
        inner = type(run)(run.model, trace, run.constants)
        inner.work = run.work
        try:
            inner.nodes(self._computing, seen)
            run.work = inner.work
            made = {value.name: inner.lookup(seen, value.name) for value in self._computing.output}
            return trace.builder, {name: trace.read(trace.batch_at(value.ids, 0), origin)
                                   for name, value in made.items()}
        except TooLargeError:
            raise
        except UserError as error:
            raise NodeError(f"{_UNKNOWN} ({error})") from None


def _graph(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> onnx.GraphProto:
    return onnx.GraphProto(node=nodes, output=[onnx.ValueInfoProto(name=name) for name in outputs])


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or (a.dtype == b.dtype and np.array_equal(a, b))


def _layer(trace: Trace, found: Cell, initial: list, ids: np.ndarray, origin: str) -> list[Value]:
    """The layer in the network; its whole sequence, its last h and, of an LSTM, its last c."""
    builder, fields = trace.builder, dict(found.fields)
    states: list[np.ndarray | None] = []
    for state in initial:
        if isinstance(state, Net):
            states.append(trace.batch_at(state.ids, 0))
        elif (state != state[:1]).any():
            raise NodeError("the initial state must be the same for every sample")
        else:
            states.append(state[0] if state.any() else None)
    given = settle_states(trace, states, fields, origin)
    value = getattr(builder, found.kind)(trace.read(ids, origin), *given, return_sequences=True,
                                         origin=origin, **fields)
    last = [builder.last_step(value, origin=origin)]
    if found.kind == "lstm":
        last.append(builder.cell_state(value, origin=origin))
    return [Net(trace.layer(value).swapaxes(0, 1)), *(Net(trace.layer(one)) for one in last)]
