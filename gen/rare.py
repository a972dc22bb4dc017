"""Inputs on which something rare happens: what few of a great many random inputs bring about."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden

__all__ = ["furthest", "rare_inputs"]

_BITS = 40_000_000  # of all values on all candidates, at most
_SELDOM = 32  # a bit is rare where it has that value on one candidate of so many, or on fewer
_ROUNDS, _CHILDREN, _OUTPUTS = 12, 24, 8  # of a search: of each parent; elements, at most


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
    """Inputs that drive elements of the output, evenly spread ones where there are many, as low and
    as high as a search finds: (inputs, *input_shape).

    It begins with the inputs ``x`` (samples, *input_shape); the best of each round change some of
    their values, and the best of all are the parents of the next round.
    """
    rng = np.random.default_rng(seed)
    lo, hi = (limits.reshape(qnet.input_shape) for limits in qnet.input_limits())
    parents, made = x[:0], x
    for _ in range(_ROUNDS):
        made = np.concatenate([parents, made])
        y = golden(qnet, made, fresh=np.ones(len(made), bool)).reshape(len(made), -1)
        some = np.unique(np.linspace(0, y.shape[1] - 1, _OUTPUTS).astype(int))
        parents = made[np.concatenate([y[:, some].argmin(0), y[:, some].argmax(0)])]
        made = np.repeat(parents, _CHILDREN, axis=0)
        anywhere = rng.integers(lo, hi, made.shape, endpoint=True)
        at_end = np.where(rng.random(made.shape) < 0.5, lo, hi)
        kind = rng.random(made.shape)
        made = np.where(kind < 0.1, anywhere, np.where(kind < 0.25, at_end, made))
    return parents
