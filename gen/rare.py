"""Inputs on which something rare happens: what few of a great many random inputs bring about."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden

__all__ = ["furthest", "rare_inputs"]

_BITS = 40_000_000  # of all values on all candidates, at most
_SELDOM = 32  # a bit is rare where it has that value on one candidate of so many, or on fewer
_ROUNDS, _CHILDREN = 12, 24  # of a search: of each parent
_OUTPUTS, _INSIDE = 8, 2  # elements that it drives at most: of the output, of another tensor,
_DRIVEN = 16  # and in all


def rare_inputs(qnet: QuantizedNetwork, x: np.ndarray) -> np.ndarray:
    """Of the inputs ``x``, integers (samples, *input_shape), those, by their places, on which bits
    of outputs, states or accumulators have values that they seldom have: one of each bit, the
    rarest first. Every sample begins a sequence."""
    bits = qnet.acc_width * _values(qnet, x[:1]).size
    x = x[:max(1, _BITS // bits)]
    numbers = _values(qnet, x)
    ones = np.concatenate([numbers >> bit & 1 for bit in range(qnet.acc_width)], axis=1) == 1
    rare = ones ^ (2 * ones.sum(0) > len(x))
    counts = rare.sum(0)
    seldom = (counts > 0) & (counts * _SELDOM <= len(x))
    rare, counts = rare[:, seldom], counts[seldom]
    chosen: list[int] = []
    seen = np.zeros(len(counts), bool)
    for column in np.argsort(counts, kind="stable"):
        if not seen[column]:
            chosen.append(int(np.argmax(rare[:, column])))
            seen |= rare[chosen[-1]]
    return np.array(chosen, int)


def _values(qnet: QuantizedNetwork, x: np.ndarray) -> np.ndarray:
    """What golden computes of ``x``: (samples, values of all layers), each sample by itself."""
    trace: dict = {}
    golden(qnet, x, trace=trace, fresh=np.ones(len(x), bool))
    return np.concatenate([values.reshape(len(x), -1) for layer in qnet.computing.values()
                           for values in trace[layer.name].values()], axis=1)


def furthest(qnet: QuantizedNetwork, x: np.ndarray, seed: int) -> np.ndarray:
    """Inputs that drive elements of the output, and of what each layer computes, as low and as high
    as a search finds: (inputs, *input_shape). Where there are many elements, these are evenly
    spread ones. A layer may saturate on one input of thousands, and the output need not show it.

    It begins with the inputs ``x`` (samples, *input_shape); the best of each round change some of
    their values, and the best of all are the parents of the next round.
    """
    rng = np.random.default_rng(seed)
    lo, hi = (limits.reshape(qnet.input_shape) for limits in qnet.input_limits())
    parents, made = x[:0], x
    for _ in range(_ROUNDS):
        made = np.concatenate([parents, made])
        driven = _driven(qnet, made)
        parents = made[np.concatenate([driven.argmin(0), driven.argmax(0)])]
        made = np.repeat(parents, _CHILDREN, axis=0)
        anywhere = rng.integers(lo, hi, made.shape, endpoint=True)
        at_end = np.where(rng.random(made.shape) < 0.5, lo, hi)
        kind = rng.random(made.shape)
        made = np.where(kind < 0.1, anywhere, np.where(kind < 0.25, at_end, made))
    return parents


def _driven(qnet: QuantizedNetwork, x: np.ndarray) -> np.ndarray:
    """The elements that :func:`furthest` drives: (samples, elements)."""
    trace: dict = {}
    y = golden(qnet, x, trace=trace, fresh=np.ones(len(x), bool))
    tensors = [(y, _OUTPUTS), *((trace[layer.name][name], _INSIDE)
                                for layer in qnet.computing.values() for name in layer.traced)]
    driven = np.concatenate([_spread(values.reshape(len(x), -1), count)
                             for values, count in tensors], axis=1)
    return _spread(driven, _DRIVEN)


def _spread(columns: np.ndarray, count: int) -> np.ndarray:
    """So many evenly spread columns at most."""
    return columns[:, np.unique(np.linspace(0, columns.shape[1] - 1, count).astype(int))]
