"""LiteRT's other resolvers: how many bytes of a full-integer network they give as AUTO does.

A resolver chooses LiteRT's kernels. All of them compute the LSTM alike; they differ in how they
round the sums of CONV_2D and FULLY_CONNECTED. The core computes AUTO's bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gatefold.gen.network.graph import Network
from gatefold.gen.network.int8 import Int8Dense
from gatefold.gen.numbers.int8 import int8_multiplier
from gatefold.gen.numbers.quantized import QInt8Dense, QuantizedNetwork
from gatefold.sim.golden import golden
from gatefold.sim.int8 import Finish, multiplied

__all__ = ["RESOLVERS", "agreement", "finish_of", "in_words"]

#: Of the sums (...) of one output and their scale, float64.
_Rounding = Callable[[np.ndarray, float], np.ndarray]


def _double(acc: np.ndarray, scale: float) -> np.ndarray:
    return multiplied(acc, *int8_multiplier(scale))


def _ruy(acc: np.ndarray, scale: float) -> np.ndarray:
    multiplier, shift = int8_multiplier(scale)
    high = multiplied(acc, multiplier, max(shift, 0))
    return high + (1 << -shift >> 1) >> -shift if shift < 0 else high


def _float64(acc: np.ndarray, scale: float) -> np.ndarray:
    product = acc * scale
    return np.trunc(product + np.copysign(0.5, product)).astype(np.int64)


#: By resolver the rounding of CONV_2D and that of FULLY_CONNECTED, as measured on x86-64.
RESOLVERS: dict[str, tuple[_Rounding, _Rounding]] = {
    "BUILTIN_REF, LiteRT 2.3": (_double, _float64),
    "BUILTIN_REF, LiteRT 1.2": (_double, _double),
    "BUILTIN_WITHOUT_DEFAULT_DELEGATES": (_ruy, _ruy),
}


def finish_of(resolver: str, network: Network, qnet: QuantizedNetwork) -> Finish:
    """How a resolver finishes the sums of the matrices of ``network``, whose integers are ``qnet``.
    """
    scales = {q.name: layer.matrix.scale.astype(np.float64) * layer.x.scale / layer.y.scale
              for q, layer in zip(qnet.layers, network.layers, strict=True)
              if isinstance(layer, Int8Dense)}

    def finish(layer: QInt8Dense, acc: np.ndarray) -> np.ndarray:
        rounding = RESOLVERS[resolver][layer.window is None]
        found = [rounding(acc[..., n], float(scale)) for n, scale in enumerate(scales[layer.name])]
        return np.clip(np.stack(found, axis=-1), layer.lo, layer.hi)

    return finish


def agreement(network: Network, qnet: QuantizedNetwork, x: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of each resolver the share of ``equal`` bytes and the ``largest`` difference from AUTO, on
    float samples ``x`` (samples, *input_shape)."""
    given = qnet.quantize(x)
    auto = golden(qnet, given)
    found = {}
    for resolver in RESOLVERS:
        off = np.abs(golden(qnet, given, finish=finish_of(resolver, network, qnet)) - auto)
        found[resolver] = {"equal": float((off == 0).mean()), "largest": int(off.max())}
    return found


def in_words(found: dict[str, dict[str, Any]]) -> str:
    """What :func:`agreement` found, in one line."""
    return ", ".join(f"{100 * one['equal']:.1f} % of the bytes of {resolver} (at most "
                     f"{one['largest']} off)" for resolver, one in found.items())
