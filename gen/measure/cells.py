"""Cell states that grow far beyond where tanh is flat: fewer integer bits, if the error says so.

A unit that adds up for hundreds of steps reaches a c of 200 and more, and all units of the layer
share its format: the others lose bits that their small sums need. Beyond 8 a c only says how long
it takes to come back. So formats that saturate earlier are tried and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from gatefold.gen.measure.search import error_of, outputs_of
from gatefold.gen.network.frames import some_samples
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.overrides import Overrides
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qrecurrent import QLstm
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.numbers.settings import DEFAULT

__all__ = ["with_cells"]

#: Integer bits that a cell state keeps in any case: +-32, four times where tanh is flat.
_LEAST = 6
_MOST, _MACS = 32, 200_000_000  # samples of an attempt, and its multiplications
_BETTER = 0.8  # of the error, or the format of the peak is kept


def with_cells(network: Network, qnet: QuantizedNetwork, data: np.ndarray | None,
               overrides: Overrides, seed: int,
               made: Callable[[Overrides], QuantizedNetwork]) -> QuantizedNetwork:
    """``qnet``, or the network with formats of its large cell states that have the least error.

    Parameters: ``data``, floats to measure with, None for seeded ones; ``overrides``, the user's
    (a layer whose c they set is left alone); ``made``, which quantises the network with others.
    """
    large = _large(qnet, overrides)
    if not large:
        return qnet
    if data is None:
        data = np.random.default_rng(seed).standard_normal((_MOST, *network.input_shape))
    x = some_samples(network, data, _MACS, least=4, most=_MOST)
    floats = outputs_of(network, x)
    best, kept = _BETTER * error_of(network, qnet, x, floats), qnet
    for fewer in range(1, max(one.width - one.frac for one in large.values()) - _LEAST + 1):
        tried = made({**overrides, **{
            name: {**overrides.get(name, {}), "c": replace(
                one, frac=min(one.frac + fewer, one.width - _LEAST))}
            for name, one in large.items()}})
        error = error_of(network, tried, x, floats)
        if error < best:
            best, kept = error, tried
    return kept


def _large(qnet: QuantizedNetwork, overrides: Mapping[str, Mapping]) -> dict[str, QFormat]:
    """By layer, the formats of cell states with more integer bits than matter to a tanh."""
    return {layer.name: layer.c for layer in qnet.layers
            if isinstance(layer, QLstm) and layer.activation == "tanh"
            and layer.c.width - layer.c.frac > _LEAST
            and not {"c", "cell"} & {*overrides.get(layer.name, ()), *overrides.get(DEFAULT, ())}}
