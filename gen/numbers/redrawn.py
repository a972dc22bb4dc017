"""Other weights for the formats of a network: what a loadable core is checked with beside its own.

A trained network leaves much of its formats unused: some bits of its weights and biases never
differ, and some sums never saturate. These weights are drawn from all of their formats.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatefold.gen.numbers.accumulator import layer_bits
from gatefold.gen.numbers.qlayer import MOST_SCALE, QLayer, QMatrix
from gatefold.gen.numbers.quantized import QuantizedNetwork

__all__ = ["redrawn"]


def redrawn(qnet: QuantizedNetwork, seed: int) -> QuantizedNetwork:
    """``qnet`` with weights, biases and scales of rows drawn from ``seed``. A weight that is zero
    stays zero: it may belong to a pattern. Where a sum could overflow the accumulator, all numbers
    of its layer are halved until none can."""
    rng = np.random.default_rng(seed)
    layers = tuple(_redrawn(layer, qnet, rng) if isinstance(layer, QMatrix) else layer
                   for layer in qnet.layers)
    return replace(qnet, layers=layers)


def _redrawn(layer: QLayer, qnet: QuantizedNetwork, rng: np.random.Generator) -> QLayer:
    numbers: dict[str, np.ndarray] = {}
    for name, form in layer.weights.items():
        drawn = rng.integers(form.lo, form.hi, getattr(layer, name).shape, endpoint=True)
        numbers[name] = np.where(getattr(layer, name) == 0, 0, drawn)
    for name in layer.of.biases:
        most = 1 << qnet.acc_width - 2
        numbers[name] = rng.integers(-most, most, getattr(layer, name).shape)
    scales = getattr(layer, "scales", None)
    if scales is not None:
        numbers["scales"] = rng.integers(0, MOST_SCALE, scales.shape, endpoint=True)
    while any(values.any() for values in numbers.values()):
        found = replace(layer, **numbers)
        if layer_bits(found, qnet.table) <= qnet.acc_width:
            return found
        numbers = {name: np.where(values < 0, -(-values >> 1), values >> 1)
                   for name, values in numbers.items()}
    return layer
