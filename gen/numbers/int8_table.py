"""LiteRT's sigmoid and tanh, and the one table from which both come in hardware.

Both are computed from y(u) = 1 / (1 + exp(-u)) of u >= 0, in the fixed point of gemmlowp:
sigmoid(u) = 2 y, tanh(u / 2) = 4 (y - 1/2). So R = y - 1/2 of u serves both (`docs/numbers.md`,
*LiteRT int8*). Where a table of R is too large for a lane's memories, a line over 512 entries and a
remainder of three bits give it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["HALF", "REMAINDER", "SEGMENT", "SLOPE", "ReciprocalTable", "half_away", "inverse",
           "reciprocal_table"]

HALF = 8192  #: 1/2 with the 14 fractional bits of y.
SEGMENT = 512  #: Entries that share a line.
SLOPE = 12  #: Fractional bits of a line's slope.
REMAINDER = 3  #: Bits of what an entry lies above its line.
#: 1 - exp(-u) / 2 is 1 for all larger u: entries of a table with 12 fractional bits of u.
_ENTRIES = 74 * SEGMENT
#: exp(-2**k) for k = -2 .. 4, 15 fractional bits.
_EXP = (25520, 19875, 12055, 4435, 600, 11, 0)


def half_away(v, s: int) -> np.ndarray:
    """v * 2**-s, rounded to nearest, halves away from zero."""
    v = np.asarray(v, np.int64)
    return (v + (1 << (s - 1)) - (v < 0)) >> s if s > 0 else v


def _product(a, b) -> np.ndarray:
    """The product of two numbers of 15 fractional bits."""
    return (a * b + (1 << 14)) >> 15


@cache
def inverse(bits: int) -> np.ndarray:
    """y of u = 0 .. 32768, integers of 15 - ``bits`` fractional bits; 14 fractional bits."""
    a = -np.arange(32769)
    quarter = 1 << (13 - bits)
    inside = (a & (quarter - 1)) - quarter
    x = (inside << bits) + 4096
    x2 = _product(x, x)
    x3, x4 = _product(x2, x), _product(x2, x2)
    cubic = _product(half_away(x4, 2) + x3, 10923) + x2
    e = np.minimum(28918 + _product(28918, x + half_away(cubic, 1)), 32767)
    for k, factor in zip(range(-2, bits), _EXP, strict=False):
        e = np.where((inside - a) >> (15 - bits + k) & 1, _product(e, factor), e)
    if bits > 5:  # the factors end at exp(-16)
        e = np.where(a < -(1 << 20 - bits), 0, e)
    h = (e + 32768) >> 1
    y = 23130 + _product(h, -15420)
    for _ in range(3):
        y = y + np.clip(_product(y, HALF - _product(h, y)) << 2, -32768, 32767)
    y.setflags(write=False)
    return y


@dataclass(frozen=True, eq=False)
class ReciprocalTable:
    """R of u as lines and remainders.

    Entry n is base[n // 512] + (slope[n // 512] * (n % 512) >> 12) + remainder[n]. ``first``: for
    each number of fractional bits of u the entry of u = 0.
    """

    base: np.ndarray
    slope: np.ndarray
    remainder: np.ndarray
    first: dict[int, int]

    def entries(self) -> np.ndarray:
        """R of every entry."""
        n = np.arange(len(self.remainder))
        return (self.base[n // SEGMENT] + (self.slope[n // SEGMENT] * (n % SEGMENT) >> SLOPE)
                + self.remainder)


@cache
def reciprocal_table(fracs: tuple[int, ...]) -> ReciprocalTable:
    """The table for arguments u with these numbers of fractional bits, of 12, 13, 14."""
    parts, first = [], {}
    for frac in fracs:
        first[frac] = sum(map(len, parts))
        parts.append(_values(frac) - HALF)
        parts[-1][0] = 0  # sigmoid(0) and tanh(0) are exact
    values = np.concatenate(parts)
    lines = [_line(part) for part in values.reshape(-1, SEGMENT)]
    return ReciprocalTable(np.array([base for base, _, _ in lines]),
                           np.array([slope for _, slope, _ in lines]),
                           np.concatenate([rest for _, _, rest in lines]), first)


def _values(frac: int) -> np.ndarray:
    """y of u with so many fractional bits, in whole segments."""
    if frac > 12:  # of a u below 4 or 2, from its own computation; the last entry serves u = 32768
        y = inverse(15 - frac)
        assert y[-1] == y[-2]
        return y[:-1]
    near, far = inverse(3), inverse(4)
    u = np.arange(_ENTRIES)
    assert np.array_equal(near[2::2], far[1:16385]) and (far[_ENTRIES // 2:] == far[-1]).all()
    return np.where(u < len(near), near[np.minimum(u, len(near) - 1)],
                    far[np.minimum(u // 2, len(far) - 1)])


def _line(values: np.ndarray) -> tuple[int, int, np.ndarray]:
    """(base, slope, remainders) of a segment: the line with the smallest remainders."""
    n = np.arange(SEGMENT)
    about = round(float(np.polyfit(n, values, 1)[0]) * (1 << SLOPE))
    best = None
    for slope in sorted(range(max(0, about - 24), about + 25), key=lambda s: abs(s - about)):
        above = values - (slope * n >> SLOPE)
        base = int(above.min())
        rest = above - base
        if best is None or rest.max() < best[2].max():
            best = base, slope, rest
    assert best is not None and best[2].max() < 1 << REMAINDER
    return best
