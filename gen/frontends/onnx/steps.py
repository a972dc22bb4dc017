"""Removes timesteps that nothing reads.

Exporters write a whole sequence, and a slice of its last step; often a head that runs at every step
and a slice behind it. Here the slice moves before layers that act on every step alone. A recurrent
layer of whose sequence only one step is read returns only that step, and runs no further.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import CellState, Dense, Recurrent
from gatefold.gen.network.views import Reshape, Slice

__all__ = ["only_steps_read"]


def only_steps_read(network: Network) -> Network:
    """``network`` with single steps sliced as early as possible: the same function."""
    layers, first, shapes = list(network.layers), len(network.input_shapes), network.shapes
    readers = [0] * len(shapes)
    # A CellState reads no steps, but all must be run.
    cells = {layer.inputs[0] for layer in layers if isinstance(layer, CellState)}
    read = [layer.inputs for layer in layers if not isinstance(layer, CellState)]
    for value in itertools.chain(network.outputs, *read):
        readers[value] += 1
    for index in reversed(range(len(layers))):
        step = layers[index]
        while isinstance(step, Slice) and step.drop and step.axis == 0:
            value = step.inputs[0]
            maker = layers[value - first] if value >= first else None
            if maker is None or readers[value] > 1:
                break
            if isinstance(maker, Dense) and maker.window is None:
                # The two change places; the values keep their numbers.
                layers[index] = replace(maker, inputs=(value,))
                step = layers[value - first] = replace(step, inputs=maker.inputs)
                index = value - first
                continue
            if isinstance(maker, Recurrent) and maker.return_sequences:
                end = step.start % shapes[value][0] + 1
                if end == shapes[value][0]:
                    layers[value - first] = replace(maker, return_sequences=False)
                    layers[index] = Reshape(inputs=(value,), shape=shapes[value][1:])
                elif value not in cells:  # steps behind the one that is read are not run
                    layers[value - first] = Slice(inputs=maker.inputs[:1], stop=end,
                                                  origin=step.origin)
                    layers[index] = replace(maker, return_sequences=False,
                                            inputs=(value, *maker.inputs[1:]))
            break
    return replace(network, layers=tuple(layers))
