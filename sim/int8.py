"""LiteRT's int8 arithmetic, element by element, in NumPy int64: ``docs/numbers.md`` (*LiteRT
int8*) executed.

The target is AUTO, the resolver that LiteRT's interpreter in Python uses by default: XNNPACK's
kernels for matrices, the reference kernel for the LSTM.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatefold.gen.numbers.int8_table import HALF, half_away, inverse
from gatefold.gen.numbers.quantized import QInt8Dense, QInt8Lstm
from gatefold.sim.scalars import Clip, saturate, saturated

__all__ = ["Finish", "finished_int8", "gate_sums", "lstm_cell_int8", "multiplied", "scaled",
           "sigmoid16", "tanh16"]

#: Makes a matrix's results (..., outputs) of its sums.
Finish = Callable[[QInt8Dense, np.ndarray], np.ndarray]

_POWERS = 1 << np.arange(62)


def half_even(v, drop) -> np.ndarray:
    """v * 2**-drop, rounded to nearest, halves to even; exact, v, for drop <= 0."""
    drop = np.maximum(drop, 0)
    half = np.where(drop > 0, 1 << np.maximum(drop - 1, 0), 0)
    down = v >> drop
    rest = v - (down << drop)
    return down + ((rest > half) | ((rest == half) & (drop > 0) & (down & 1 == 1)))


def _float32(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v as a float32 holds it: an integer of 24 bits at most, and how far it is shifted left."""
    drop = np.maximum(np.searchsorted(_POWERS, np.abs(v), side="right") - 24, 0)
    return half_even(v, drop), drop


def scaled(acc, multiplier, exponent) -> np.ndarray:
    """acc * multiplier * 2**-exponent: acc becomes a float32, the product too, and then an integer;
    each time halves go to even."""
    mantissa, up = _float32(np.asarray(acc, np.int64))
    product, more = _float32(mantissa * multiplier)
    down = exponent - up - more
    # What is 2**24 or more is an integer already, and will be clipped: 40 bits are enough of it.
    large = np.clip(product, -(1 << 25), 1 << 25) << np.clip(-down, 0, 15)
    return np.where(down > 0, half_even(product, np.minimum(down, 60)), large)


def finished_int8(layer: QInt8Dense, acc: np.ndarray) -> np.ndarray:
    """The result of a CONV_2D or FULLY_CONNECTED of its sums (..., outputs)."""
    return np.clip(scaled(acc, layer.multiplier, layer.exponent), layer.lo, layer.hi)


def multiplied(x, multiplier: int, shift: int) -> np.ndarray:
    """x * multiplier * 2**(shift - 31), as LiteRT's MultiplyByQuantizedMultiplier rounds it: what a
    shift to the left moves out of 32 bits is lost."""
    left = (np.asarray(x, np.int64) << max(shift, 0)).astype(np.int32).astype(np.int64)
    high = (left * multiplier + (1 << 30)) >> 31
    return half_away(high, max(-shift, 0))


# ---- sigmoid and tanh ----------------------------------------------------------------------------


def sigmoid16(p) -> np.ndarray:
    """sigmoid of p (12 fractional bits of 16), 15 fractional bits."""
    p = np.asarray(p, np.int64)
    positive = np.minimum(2 * inverse(3)[np.abs(p)], 32767)
    return np.where(p == 0, 16384, np.where(p < 0, 32767 - positive, positive))


def tanh16(p, bits: int) -> np.ndarray:
    """tanh of p (15 - ``bits`` fractional bits of 16), 15 fractional bits."""
    p = np.asarray(p, np.int64)
    positive = np.minimum(4 * (inverse(bits + 1)[np.abs(p)] - HALF), 32767)
    return np.where(p == 0, 0, np.where(p < 0, -positive, positive))


# ---- the cell ----------------------------------------------------------------------------------


def gate_sums(layer: QInt8Lstm, of_x: np.ndarray, of_h: np.ndarray) -> list[np.ndarray]:
    """The arguments of the gates i, f, g, o, each (..., units), of the sums (..., 4 units) of x
    and of h: two roundings, two saturations."""
    found = []
    for n, (x, h) in enumerate(zip(np.split(of_x, 4, -1), np.split(of_h, 4, -1), strict=True)):
        first = saturate(multiplied(x, int(layer.multiplier_ih[n]), int(layer.shift_ih[n])), 16)
        found.append(saturate(first + multiplied(h, int(layer.multiplier_hh[n]),
                                                 int(layer.shift_hh[n])), 16))
    return found


def lstm_cell_int8(layer: QInt8Lstm, sums: list[np.ndarray], c: np.ndarray,
                   clip: Clip = saturated) -> dict[str, np.ndarray]:
    """Gates, c and h of the gates' arguments and of the old c."""
    i, f, g, o = (tanh16(p, 3) if n == 2 else sigmoid16(p) for n, p in enumerate(sums))
    # LiteRT keeps the lower 16 bits of i g, which has more where c is below 1.
    ig = half_away(i * g, 30 - layer.c.frac).astype(np.int16)
    c = clip("c", half_away(f * c, 15) + ig, 16)
    c = np.clip(c, -layer.clip, layer.clip)
    # LiteRT has no tanh of a c below 1: what is in its buffer then is the input gate.
    tc = tanh16(c, 15 - layer.c.frac) if layer.c.frac <= 15 else i
    h = multiplied(o * tc, layer.multiplier_h, layer.shift_h)
    return {"i": i, "f": f, "g": g, "o": o, "c": c,
            "h": np.clip(h + layer.offset, layer.lo, layer.hi)}
