"""What a core leaves to its host: the last function of an output, on the floats that come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["finish", "told"]


def finish(outputs: Sequence[np.ndarray], host: Sequence[str]) -> list[np.ndarray]:
    """``outputs``, floats (samples, ...) each, after what ``host`` says of each of them
    (:data:`~gatefold.gen.network.graph.HOST`): nothing, or a softmax over the last axis."""
    return [_softmax(y) if todo == "softmax" else y
            for y, todo in zip(outputs, host, strict=True)]


def told(host: Sequence[str]) -> str:
    """What is left to the host, in words (``softmax``, ``softmax of output 1``); else empty."""
    return " and ".join(todo if len(host) == 1 else f"{todo} of output {n}"
                        for n, todo in enumerate(host) if todo)


def _softmax(y: np.ndarray) -> np.ndarray:
    powers = np.exp(y - y.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
