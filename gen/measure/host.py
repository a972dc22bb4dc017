"""The work that a core leaves to its host: the last function of an output, in floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["finish", "left_to_host"]


def finish(outputs: Sequence[np.ndarray], host: Sequence[str]) -> list[np.ndarray]:
    """``outputs``, floats (samples, ...) each, after the function that ``host`` names for each of
    them (:data:`~gatefold.gen.network.graph.HOST`): none, a softmax over the last axis, or a
    sigmoid."""
    return [_FUNCTIONS[function](y) for y, function in zip(outputs, host, strict=True)]


def left_to_host(host: Sequence[str]) -> str:
    """The functions of ``host`` in words (``softmax``, ``softmax of output 1``), or nothing."""
    return " and ".join(function if len(host) == 1 else f"{function} of output {n}"
                        for n, function in enumerate(host) if function)


def _softmax(y: np.ndarray) -> np.ndarray:
    powers = np.exp(y - y.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sigmoid(y: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -y))  # exact for small probabilities, which a tanh loses


_FUNCTIONS = {"": lambda y: y, "softmax": _softmax, "sigmoid": _sigmoid}
