"""LiteRT's int8 arithmetic, element by element, in NumPy int64: ``docs/numbers.md`` (*LiteRT
int8*) executed.

The target is AUTO, the resolver that LiteRT's interpreter in Python uses by default: XNNPACK's
kernels for matrices, the reference kernel for the LSTM.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gatefold.gen.numbers.quantized import QInt8Dense, QInt8Lstm
from gatefold.sim.scalars import Clip, saturate, saturated

__all__ = ["finished_int8", "gate_sums", "lstm_cell_int8", "multiplied", "scaled",
           "sigmoid16", "tanh16"]

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


def _half_away(v, s: int) -> np.ndarray:
    """v * 2**-s, rounded to nearest, halves away from zero."""
    v = np.asarray(v, np.int64)
    rest = v & ((1 << s) - 1)
    return (v >> s) + (rest > (((1 << s) - 1) >> 1) + (v < 0))


def multiplied(x, multiplier: int, shift: int) -> np.ndarray:
    """x * multiplier * 2**(shift - 31), as LiteRT's MultiplyByQuantizedMultiplier rounds it."""
    high = ((np.asarray(x, np.int64) << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    return _half_away(high, max(-shift, 0))


# ---- sigmoid and tanh ----------------------------------------------------------------------------


def _m(a, b) -> np.ndarray:
    """The product of two numbers of 15 fractional bits."""
    return (a * b + (1 << 14)) >> 15


#: exp(-2**k) for k = -2 .. 4, 15 fractional bits.
_EXP = (25520, 19875, 12055, 4435, 600, 11, 0)


@cache
def _inverse(bits: int) -> np.ndarray:
    """1 / (1 + exp(-u)) of u = 0 .. 32768, with ``bits`` integer bits; 14 fractional bits."""
    a = -np.arange(32769)
    quarter = 1 << (13 - bits)
    inside = (a & (quarter - 1)) - quarter
    x = (inside << bits) + 4096
    x2 = _m(x, x)
    x3, x4 = _m(x2, x), _m(x2, x2)
    cubic = _m(_half_away(x4, 2) + x3, 10923) + x2
    e = np.minimum(28918 + _m(28918, x + _half_away(cubic, 1)), 32767)
    for k, factor in zip(range(-2, bits), _EXP, strict=False):
        e = np.where((inside - a) >> (15 - bits + k) & 1, _m(e, factor), e)
    h = (e + 32768) >> 1
    y = 23130 + _m(h, -15420)
    for _ in range(3):
        y = y + saturate(_m(y, 8192 - _m(h, y)) << 2, 16)
    return y


def sigmoid16(p) -> np.ndarray:
    """sigmoid of p (12 fractional bits of 16), 15 fractional bits."""
    p = np.asarray(p, np.int64)
    positive = np.minimum(2 * _inverse(3)[np.abs(p)], 32767)
    return np.where(p == 0, 16384, np.where(p < 0, 32767 - positive, positive))


def tanh16(p, bits: int) -> np.ndarray:
    """tanh of p (15 - ``bits`` fractional bits of 16), 15 fractional bits."""
    p = np.asarray(p, np.int64)
    positive = np.minimum(4 * (_inverse(bits + 1)[np.abs(p)] - 8192), 32767)
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
    c = clip("c", _half_away(f * c, 15) + _half_away(i * g, 30 - layer.c.frac), 16)
    c = np.clip(c, -layer.clip, layer.clip)
    # LiteRT has no tanh of a c below 1: what is in its buffer then is the input gate.
    tc = tanh16(c, 15 - layer.c.frac) if layer.c.frac <= 15 else i
    h = multiplied(o * tc, layer.multiplier_h, layer.shift_h)
    return {"i": i, "f": f, "g": g, "o": o, "c": c,
            "h": np.clip(h + layer.offset, layer.lo, layer.hi)}
