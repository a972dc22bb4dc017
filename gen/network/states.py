"""State ports: inputs and outputs of a model that only carry a state from one call to the next.

A streaming model takes h (and c) as an input, gives the new one as an output, and its caller hands
it back. :func:`carry` makes a network of it that keeps the state itself: its recurrent layers
become stateful, and both ports go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import CellState, Recurrent
from gatefold.gen.network.simplify import simplify
from gatefold.gen.network.views import View

__all__ = ["PORTS", "carry", "read_pairs"]

#: Entry of a network's ``source`` with the names of its inputs and outputs, until :func:`carry`. Of
#: a core they are the model's, empty where the model has no such port; ``read`` are the places of
#: outputs that must stay, since the host reads them as well. ``shapes`` of an ONNX file: those of
#: one sample of the inputs that the network takes, with a batch of 1.
PORTS = "ports"
#: Most elements of all values together that are looked at for states that nobody named.
_MOST = 1 << 24

#: A state's element: the layer, the place among its states (0: h) and the unit.
_Element = tuple[int, int, int]
_Pair = tuple[int, int]  # the places of an output and of an input


def read_pairs(text: str) -> str | dict[str, str]:
    """``auto``, ``none``, or the pairs ``OUTPUT:INPUT,...`` of a command line by their outputs.

    Raises :class:`UserError` for another form and for a name that occurs twice.
    """
    if text in ("auto", "none"):
        return text
    pairs = [part.split(":") for part in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise UserError("--state must be auto, none, or pairs OUTPUT:INPUT,OUTPUT:INPUT (as "
                        f"hn:h0,cn:c0), not {quoted(text)}")
    for column in zip(*pairs, strict=True):
        if len(set(column)) < len(column):
            raise UserError(f"--state names a port twice, {quoted(text)}: each output goes to one "
                            "input")
    return {output: into for output, into in pairs}


def carry(network: Network, wanted: str | Mapping[str, str] = "auto") -> Network:
    """``network`` with the states that its caller hands back kept in stateful layers.

    ``wanted``: ``auto``, every pair whose output holds, element by element, the last state of the
    layers that begin with the input; ``none``; or the inputs by their outputs, also in the form
    that :func:`read_pairs` reads. A layer becomes stateful where all its states are in pairs; where
    that leaves no output, that of the first pair stays. ``source["states"]`` of the result lists
    the pairs.
    Raises :class:`UserError` for names that no port has, and for named pairs that are no state.
    """
    if isinstance(wanted, str):
        wanted = read_pairs(wanted)
    ports = network.source.pop(PORTS, None) or {
        "inputs": [f"input{n}" for n in range(len(network.input_shapes))],
        "outputs": [f"output{n}" for n in range(len(network.outputs))]}
    if wanted == "none" or (wanted == "auto" and not _may_carry(network)):
        return network
    found = _Ports(network, ports)
    pairs = found.evident() if isinstance(wanted, str) else _named(wanted, ports, found)
    return _carried(network, found, pairs, ports) if pairs else network


def _may_carry(network: Network) -> bool:
    return (any(isinstance(layer, Recurrent) and len(layer.inputs) > 1
                for layer in network.layers)
            and len(network.outputs) > 0 and len(network.input_shapes) > 1
            and sum(int(np.prod(shape)) for shape in network.shapes) <= _MOST)


@dataclass
class _Ports:
    """What the elements of a network's inputs and outputs are, as states of layers."""

    network: Network
    ports: dict

    def __post_init__(self):
        network, shapes = self.network, self.network.shapes
        count = len(network.input_shapes)
        ids: list[np.ndarray] = []  # of every value: the numbers of its elements; 0 is padding
        end = 1
        used: dict[int, list[_Element]] = {}  # by an element's number: states that begin with it
        others: list[np.ndarray] = []  # numbers of elements that are read as anything else
        last: dict[int, _Element] = {}  # by an element's number: the last state that it is
        for value, shape in enumerate(shapes):
            layer = network.layers[value - count] if value >= count else None
            if isinstance(layer, View):
                ids.append(layer.arrange(*(ids[one][None] for one in layer.inputs), fill=0)[0])
                continue
            size = int(np.prod(shape))
            ids.append(np.arange(end, end + size).reshape(shape))
            end += size
            if layer is None:
                continue
            states = layer.inputs[1:] if isinstance(layer, Recurrent) else ()
            others += [ids[one].ravel() for one in layer.inputs if one not in states]
            for state, one in enumerate(states):
                for unit, number in enumerate(ids[one].tolist()):
                    used.setdefault(number, []).append((value - count, state, unit))
            of = value - count
            if isinstance(layer, CellState):
                of, state = layer.inputs[0] - count, 1
            elif isinstance(layer, Recurrent):
                state = 0
            else:
                continue
            ended = ids[value][-1] if len(shape) > 1 else ids[value]
            last |= {number: (of, state, unit) for unit, number in enumerate(ended.tolist())}
        read = np.zeros(end, bool)
        for numbers in (*others, *(ids[value].ravel() for value in network.outputs)):
            read[numbers] = True
        #: Of each input and output its elements as states; None where one of them is none, where
        #: the model has no such port, and where the host computes the output (a softmax).
        self.begins = [self._all(ids[value], lambda n: () if read[n] else used.get(n, ()))
                       if name else None for value, name in enumerate(self.ports["inputs"])]
        self.ends = [self._all(ids[value], lambda n: (last[n],) if n in last else ())
                     if name and not host else None for value, name, host in zip(
                         network.outputs, self.ports["outputs"], network.host, strict=True)]

    @staticmethod
    def _all(numbers: np.ndarray,
             states: Callable[[int], Sequence[_Element]]) -> list[_Element] | None:
        found = []
        for number in numbers.ravel().tolist():
            one = states(number)
            if len(one) != 1:
                return None
            found += one
        return found

    def pairs(self) -> list[_Pair]:
        """Every output and input that hold the same elements in the same order: of equal outputs
        the last, since states are mostly returned behind the result."""
        return [(max(equal), k) for k, begin in enumerate(self.begins) if begin is not None
                for equal in [[n for n, end in enumerate(self.ends) if end == begin]] if equal]

    def evident(self) -> list[_Pair]:
        """The pairs that need no name: those of layers all of whose states are in pairs. Where
        every output would go, one of them must be a c: an h may be the model's result."""
        pairs = self.pairs()
        while partial := self.partial(pairs):
            pairs = [(n, k) for n, k in pairs
                     if not any(layer in partial for layer, _, _ in self.begins[k] or ())]
        result = len({n for n, _ in pairs} - {*self.ports.get("read", ())}) < len(self.ends)
        cell = any(state for _, k in pairs for _, state, _ in self.begins[k] or ())
        return pairs if result or cell else []

    def layers(self, pairs: Sequence[_Pair]) -> dict[int, set[tuple[int, int]]]:
        """The states (state, unit) in ``pairs`` by their layers."""
        found: dict[int, set[tuple[int, int]]] = {}
        for _, k in pairs:
            for layer, state, unit in self.begins[k] or ():
                found.setdefault(layer, set()).add((state, unit))
        return found

    def partial(self, pairs: Sequence[_Pair]) -> list[int]:
        """Layers of which some states are in ``pairs`` and others are not."""
        return [layer for layer, states in self.layers(pairs).items()
                if len(states) < len(self._layer(layer).states) * self._layer(layer).units]

    def _layer(self, n: int) -> Recurrent:
        layer = self.network.layers[n]
        assert isinstance(layer, Recurrent)
        return layer


def _named(wanted: Mapping[str, str], ports: dict, found: _Ports) -> list[_Pair]:
    """The pairs that the user names, checked."""
    places = []
    for output, into in wanted.items():
        for name, kind in ((output, "outputs"), (into, "inputs")):
            if name not in ports[kind]:
                legal = ", ".join(quoted(one)[1:-1] for one in ports[kind][:12] if one)
                raise UserError(f"--state: {quoted(name)} is none of the model's {kind}: they are "
                                f"{legal}")
        pair = ports["outputs"].index(output), ports["inputs"].index(into)
        begin, end = found.begins[pair[1]], found.ends[pair[0]]
        if begin is None:
            raise UserError(f"--state: the input {quoted(into)} is not the initial state of "
                            "recurrent layers alone: name such an input, or leave it out")
        if end != begin:
            raise UserError(f"--state: the output {quoted(output)} is not the last state of the "
                            f"layers that begin with {quoted(into)}: name another, or --state auto")
        places.append(pair)
    for layer in found.partial(places):
        missing = found.network.layers[layer]
        raise UserError(f"--state: {missing.where} has the states {' and '.join(missing.states)}, "
                        "but only a part of them is in the pairs: name all")
    return places


def _carried(network: Network, found: _Ports, pairs: list[_Pair], ports: dict) -> Network:
    """The network whose layers keep the states in ``pairs``, without these ports."""
    stateful = found.layers(pairs)
    gone = {k for _, k in pairs}
    inputs = [k for k in range(len(network.input_shapes)) if k not in gone]
    leaving = {n for n, _ in pairs} - {*ports.get("read", ())}
    outputs = [n for n in range(len(network.outputs)) if n not in leaving] or [pairs[0][0]]
    leaving -= {*outputs}
    kept = [n for n, layer in enumerate(network.layers) if not (
        isinstance(layer, View) and _reads(network, n) <= gone)]
    values = [*inputs, *map(network.value, kept)]
    number = {value: n for n, value in enumerate(values)}
    layers = []
    for n in kept:
        layer = network.layers[n]
        if n in stateful:
            assert isinstance(layer, Recurrent)
            layer = replace(layer, inputs=layer.inputs[:1], stateful=True)
        layers.append(replace(layer, inputs=tuple(number[value] for value in layer.inputs)))
    after = simplify(Network(
        tuple(network.input_shapes[k] for k in inputs), tuple(layers), network.source,
        tuple(number[network.outputs[n]] for n in outputs),
        tuple(network.host[n] for n in outputs)))
    if around := after.source.get("around"):
        names = [one.name for one in around.outputs]
        after.source["around"] = around.without(gone, leaving, {
            len(names) - 1 - names[::-1].index(around.out_of[n].name) for n, _ in pairs
            if n in leaving or n in ports["read"]})
    after.source["states"] = [
        {"output": quoted(ports["outputs"][n])[1:-1], "input": quoted(ports["inputs"][k])[1:-1]}
        for n, k in pairs]
    return after


def _reads(network: Network, n: int) -> set[int]:
    """The inputs that a view shows, directly or through views; a value that is computed counts as
    -1."""
    found: set[int] = set()
    for value in network.layers[n].inputs:
        before = value - len(network.input_shapes)
        if before < 0:
            found.add(value)
        elif isinstance(network.layers[before], View):
            found |= _reads(network, before)
        else:
            found.add(-1)
    return found
