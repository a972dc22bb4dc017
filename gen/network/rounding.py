"""What 16 bits would do to a network's recurrent layers: an estimate before there are formats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatefold.gen.network.graph import Network, split
from gatefold.gen.network.recurrent import Recurrent

__all__ = ["rounding_error"]

_BITS = 16


def rounding_error(network: Network, x: np.ndarray) -> float:
    """The largest relative rms error of what a recurrent layer gives, on the samples ``x``, if
    every matrix and every result has 16 bits and a binary point that its peak just fits."""
    exact = split(np.asarray(x, np.float64), network.input_shapes)
    rounded, worst = [_rounded(value) for value in exact], 0.0
    for layer in network.layers:
        if layer.reads_cell:  # as large as h, about
            shape = (len(x), *layer.output_shape(exact[layer.inputs[0]].shape[1:]))
            exact.append(np.zeros(shape))
            rounded.append(np.zeros(shape))
            continue
        narrow = replace(layer, **{name: _rounded(getattr(layer, name)) for name in layer.weights})
        exact.append(layer.compute([exact[value] for value in layer.inputs], {}))
        made = narrow.compute([rounded[value] for value in layer.inputs], {})
        rounded.append(_rounded(made) if layer.computes else made)
        if isinstance(layer, Recurrent) and exact[-1].any():
            error = rounded[-1] - exact[-1]
            worst = max(worst, float(np.sqrt((error ** 2).sum() / (exact[-1] ** 2).sum())))
    return worst


def _rounded(values: np.ndarray) -> np.ndarray:
    peak = float(np.abs(values).max(initial=0.0))
    if not 0 < peak < np.inf:
        return values
    step = 2.0 ** (np.ceil(np.log2(peak)) - _BITS + 1)
    return np.round(values / step) * step
