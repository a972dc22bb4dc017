"""An nn.RNN written out step by step, as torch.onnx's dynamo exporter does: one layer again.

Each step is h_t = act(s_t + (w_hh h_(t-1) + b)), where s is a sequence that the exporter multiplies
with w_ih beforehand; the first step, from zeros, is act(s_0 + b). Steps of one chain share weights
and activation, and read s one step after the other, forwards or backwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.frontends.elements.views import rearranged
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Layer, Rnn
from gatefold.gen.network.views import Concat, Reverse, Slice

__all__ = ["rolled"]

#: Fewest steps that are made one layer: fewer may be anything.
_FEWEST = 2


@dataclass(frozen=True)
class _Step:
    """h of one step: step ``time`` of the value ``source`` and, but at the first, the h before,
    multiplied by ``hidden``; ``offset`` and ``activation`` of their sum."""

    source: int
    time: int
    offset: np.ndarray
    activation: str
    before: int | None = None
    hidden: Dense | None = None


def rolled(network: Network) -> Network:
    """``network`` with each chain of steps as an :class:`Rnn`: the same function."""
    first = len(network.input_shapes)

    def layer(value: int) -> Layer | None:
        return network.layers[value - first] if value >= first else None
    steps = {value: step for value in range(first, len(network.shapes))
             if (step := _step(layer, value)) is not None}
    followed = {step.before for step in steps.values()}
    chains = [chain for value in steps if value not in followed
              if (chain := _chain(steps, value)) is not None]
    return _rewritten(network, steps, chains) if chains else network


def _step(layer, value: int) -> _Step | None:
    """The value as a step; None if it is none."""
    made = layer(value)
    if not isinstance(made, Dense) or made.window or made.pattern is None:
        return None
    eye = np.eye(made.outputs)
    if np.array_equal(made.w, eye):
        taken = _taken(layer, made.inputs[0])
        return _Step(*taken, made.b, made.activation) if taken else None
    joined = layer(made.inputs[0])
    if not (isinstance(joined, Concat) and len(joined.inputs) == 2
            and np.array_equal(made.w, np.concatenate([eye, eye], axis=1))):
        return None
    for one, other in (joined.inputs, joined.inputs[::-1]):
        hidden, taken = layer(one), _taken(layer, other)
        if taken and isinstance(hidden, Dense) and hidden.activation == "linear" and (
                hidden.window is None and hidden.w.shape == eye.shape):
            return _Step(*taken, made.b + hidden.b, made.activation, hidden.inputs[0], hidden)
    return None


def _taken(layer, value: int) -> tuple[int, int] | None:
    """The sequence and the step that the value is a single step of."""
    view = layer(value)
    if isinstance(view, Slice) and view.drop and view.axis == 0 and view.start >= 0:
        return view.inputs[0], view.start
    return None


def _chain(steps: dict[int, _Step], value: int) -> list[int] | None:
    """The values of all steps up to ``value``, if they are one recurrence from zeros."""
    chain, last = [value], steps[value]
    while (before := steps[chain[0]].before) is not None:
        if before not in steps:
            return None
        chain.insert(0, before)
    times = [steps[one].time for one in chain]
    alike = all(step.source == last.source and step.activation == last.activation
                and np.array_equal(step.offset, last.offset)
                and (step.hidden is None or np.array_equal(step.hidden.w, last.hidden.w))
                for step in (steps[one] for one in chain) if last.hidden is not None)
    even = set(np.diff(times).tolist()) in ({1}, {-1})
    return chain if alike and even and len(chain) >= _FEWEST else None


def _rewritten(network: Network, steps: dict[int, _Step], chains: list[list[int]]) -> Network:
    """The network with a layer at the place of each chain's first step."""
    first = len(network.input_shapes)
    starts = {chain[0]: chain for chain in chains}
    layers: list[Layer] = []
    number = list(range(first))  # of each value before, now

    def add(layer: Layer) -> int:
        layers.append(layer)
        return first + len(layers) - 1
    sequences: dict[int, tuple[int, int]] = {}  # of each step: the layer's value, and which step
    for value, layer in enumerate(network.layers, start=first):
        if value in starts and value not in sequences:
            chain = starts[value]
            last, times = steps[chain[-1]], [steps[one].time for one in chain]
            assert last.hidden is not None
            source, w, b = last.source, np.eye(last.hidden.outputs), last.offset
            maker = network.layers[source - first] if source >= first else None
            if isinstance(maker, Dense) and maker.activation == "linear" and not maker.window:
                source, w, b = maker.inputs[0], maker.w, maker.b + b
            x = add(Slice(inputs=(number[source],), start=min(times), stop=max(times) + 1))
            if times[-1] < times[0]:
                x = add(Reverse(inputs=(x,)))
            made = add(Rnn(inputs=(x,), units=last.hidden.outputs, w_ih=w, w_hh=last.hidden.w, b=b,
                           return_sequences=True, activation=last.activation,
                           origin=last.hidden.origin))
            sequences |= {one: (made, index) for index, one in enumerate(chain)}
        if value in sequences:
            made, index = sequences[value]
            number.append(add(Slice(inputs=(made,), start=index, drop=True)))
        else:
            number.append(add(replace(layer, inputs=tuple(number[one] for one in layer.inputs))))
    return rearranged(replace(network, layers=tuple(layers),
                              outputs=tuple(number[value] for value in network.outputs)))
