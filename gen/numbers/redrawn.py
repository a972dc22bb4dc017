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
    stays zero: it may belong to a pattern. Where a sum could overflow the accumulator, the numbers
    of its layer are halved until none can, but for a weight of each row that is at an end of its
    format: all bits of a multiplier must differ."""
    rng = np.random.default_rng(seed)
    layers = tuple(_redrawn(layer, qnet, rng) if isinstance(layer, QMatrix) else layer
                   for layer in qnet.layers)
    return replace(qnet, layers=layers)


def _redrawn(layer: QLayer, qnet: QuantizedNetwork, rng: np.random.Generator) -> QLayer:
    numbers: dict[str, np.ndarray] = {}
    ends: dict[str, np.ndarray] = {}
    for name, form in layer.weights.items():
        own = getattr(layer, name)
        drawn = rng.integers(form.lo, form.hi, own.shape, endpoint=True)
        numbers[name] = np.where(own == 0, 0, drawn)
        place = rng.integers(0, own.shape[-1], (*own.shape[:-1], 1))
        end = rng.choice([form.lo, form.hi], own.shape)
        ends[name] = np.where((own != 0) & (np.arange(own.shape[-1]) == place), end, 0)
    for name in layer.of.biases:
        most = 1 << qnet.acc_width - 2
        numbers[name] = rng.integers(-most, most, getattr(layer, name).shape)
    scales = getattr(layer, "scales", None)
    if scales is not None:
        numbers["scales"] = rng.integers(0, MOST_SCALE, scales.shape, endpoint=True)
    for kept in (ends, {}):
        left = numbers
        while any(values.any() for values in left.values()):
            found = replace(layer, **left | {name: np.where(values, values, left[name])
                                             for name, values in kept.items()})
            if layer_bits(found, qnet.table) <= qnet.acc_width:
                return found
            left = {name: np.where(values < 0, -(-values >> 1), values >> 1)
                    for name, values in left.items()}
    return layer
