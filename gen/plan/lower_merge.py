"""Layers that make one element of several, without weights: maxima and products."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.quantized import QMaxPool, QMultiply
from gatefold.gen.plan.layout import NOWHERE
from gatefold.gen.plan.lowered import Lowered, picking
from gatefold.hdl.kinds import MergeKind

__all__ = ["max_pool", "multiply"]


def max_pool(to: Lowered, n: int, layer: QMaxPool, x: np.ndarray) -> np.ndarray:
    """Maxima of four taps, each in a row of its own; of more taps, maxima of these again, in a
    further stage."""
    features = x.shape[-1]
    taps = _present_taps(layer, x)
    shift, base = layer.x.frac - layer.y.frac, layer.x.frac
    while True:
        count = taps.shape[1]
        quads = -(-count // 4)
        index = np.minimum(np.arange(4 * quads), count - 1)  # the last tap fills up
        vectors = taps[:, index].reshape(len(taps) * quads, 4 * features)
        last = quads == 1
        written = (to.result(n, len(vectors), features, layer.y.frac) if last else
                   to.storage.result(len(to.ops), len(vectors), features, layer.y.frac,
                                     len(vectors)))
        kind = MergeKind("max", (0, 0), shift, layer.y.width)
        parts = (picking(features, 4, vectors, base),)
        if last:
            to.add(n, kind, parts, written)
            return written.reshape(to.qnet.shapes[to.qnet.value(n)])
        to.add(n, kind, parts, written, traced=None)
        taps = written.reshape(len(taps), quads, features)
        shift, base = 0, layer.y.frac
        to.stage += 1


def _present_taps(layer: QMaxPool, x: np.ndarray) -> np.ndarray:
    """Addresses (windows, taps, features); in place of padding, a tap of the window that exists."""
    taps = layer.window.arrange(x, NOWHERE).reshape(-1, layer.window.size, x.shape[-1])
    present = taps[:, :, 0] >= 0
    first = taps[np.arange(len(taps)), np.argmax(present, axis=1)]
    return np.where(present[:, :, None], taps, first[:, None])


def multiply(to: Lowered, n: int, layer: QMultiply, read: list[np.ndarray]) -> np.ndarray:
    """The product of two values, each in a row of its own."""
    features = read[0].shape[-1]
    vectors = np.concatenate([value.reshape(-1, features) for value in read], axis=1)
    written = to.result(n, len(vectors), features, layer.y.frac)
    kind = MergeKind("mul", (0, 0), layer.a.frac + layer.b.frac - layer.y.frac, layer.y.width)
    to.add(n, kind, (picking(features, 2, vectors),), written)
    return written.reshape(to.qnet.shapes[to.qnet.value(n)])
