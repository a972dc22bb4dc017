"""Arithmetic element by element: rounding, saturation, table and activations, in NumPy int64.

``docs/numbers.md`` executed, from *Rounding* to *Table*. Clamped values are counted by
``clip(tensor, v, bits)``: :func:`~gatefold.sim.scalars.saturate` with a name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import (
    CURVE_TABLES,
    Table,
    argument,
    curve_table,
    hard_limit,
)

__all__ = ["Clip", "curved", "finished", "gated", "round_shift", "saturate", "saturated", "sigmoid",
           "squashed", "tanh", "tanh_magnitude", "unscaled"]

Clip = Callable[[str, np.ndarray, int], np.ndarray]


def round_shift(v, s: int) -> np.ndarray:
    """``v * 2**-s``, rounded half up: (v + 2**(s-1)) >> s; exact, ``v << -s``, for s <= 0."""
    v = np.asarray(v, dtype=np.int64)
    if s > 0:
        return (v + (1 << (s - 1))) >> s
    return v << -s


def unscaled(acc: np.ndarray, scales: np.ndarray | None) -> np.ndarray:
    """Accumulators (..., rows), each rounded by the scale of its row: half up."""
    return acc if scales is None else (acc + ((1 << scales) >> 1)) >> scales


def saturate(v, bits: int) -> np.ndarray:
    """Clamp to ``bits``-bit two's complement."""
    return np.clip(np.asarray(v, dtype=np.int64), -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def saturated(_tensor: str, v: np.ndarray, bits: int) -> np.ndarray:
    """:func:`saturate` as a ``clip`` that counts nothing."""
    return saturate(v, bits)


def tanh_magnitude(table: Table, m) -> np.ndarray:
    """t(m) of magnitudes m in 0..2**(frac+3) - 1: ``table.out_frac`` fractional bits, unsigned.

    t0 is addressed by the n0 + n1 high bits of m, t1 by its n0 high and n2 low bits; the top bit
    of the low bits says whether t1 is added (1) or, its index inverted, subtracted (0).
    """
    m = np.asarray(m, dtype=np.int64)
    base = table.t0[m >> table.n2]
    if table.n2 == 0:
        return base
    half = 1 << (table.n2 - 1)  # weight of the sign bit
    plus = (m & half) != 0
    index = np.where(plus, m, ~m) & (half - 1)
    odd = table.t1[((m >> (table.n1 + table.n2)) << (table.n2 - 1)) | index]
    return np.where(plus, base + odd, base - odd)


def tanh(table: Table, u) -> np.ndarray:
    """tanh of u (Q4.frac integers): ``table.out_frac`` fractional bits, signed."""
    u = np.asarray(u, dtype=np.int64)
    t = tanh_magnitude(table, np.minimum(np.abs(u), (1 << (table.frac + 3)) - 1))
    return np.where(u < 0, -t, t)


def sigmoid(table: Table, u) -> np.ndarray:
    """sigmoid(2u) = (1 + tanh(u)) / 2 of u (Q4.frac, half of z): ``out_frac`` + 1 fractional bits.

    Unsigned, 1..2**(out_frac+1) - 1; no rounding.
    """
    return (1 << table.out_frac) + tanh(table, u)


def _direct(table: Table, v: np.ndarray, relu: bool = False) -> np.ndarray:
    """Sign and magnitude of ``out_frac`` bits of values that have T + 1 bits already."""
    most = (1 << table.out_frac) - 1
    return np.clip(v, 0 if relu else -most, most)


def squashed(activation: str, table: Table, result: QFormat, v: np.ndarray, frac: int,
             clip: Clip = saturated, tensor: str = "u",
             limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Argument u and activation of ``v`` (``frac`` fractional bits): a candidate's, a cell state's.
    ``limit``: the largest magnitude of u.

    ``activation`` of tanh, relu, linear, hard_tanh; the value has ``result.frac`` fractional bits.
    """
    form = argument(activation, table, result)
    u = _limited(round_shift(v, frac - form.frac), limit)
    if activation == "relu":
        clip(tensor, np.maximum(u, 0), form.width)  # counts; negative values do not saturate
        u = saturate(u, form.width)
    else:
        u = clip(tensor, u, form.width)
    return u, tanh(table, u) if activation == "tanh" else _direct(table, u, activation == "relu")


def _limited(u: np.ndarray, limit: int | None) -> np.ndarray:
    return u if limit is None else np.clip(u, -limit, limit)


def gated(activation: str, table: Table, acc: np.ndarray, frac: int,
          clip: Clip = saturated, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Argument u (half of z) and gate, 0..2**(T+1), of accumulators with ``frac`` fractional bits.

    ``activation`` of sigmoid, hard_sigmoid; the gate has T + 1 fractional bits.
    """
    form = table.format if activation == "sigmoid" else QFormat(table.out_frac + 1, table.out_frac)
    u = clip("u", _limited(round_shift(acc, frac + 1 - form.frac), limit), form.width)
    t = tanh(table, u) if activation == "sigmoid" else _direct(table, u)
    return u, (1 << table.out_frac) + t


def curved(activation: str, table: Table, acc: np.ndarray, frac: int,
           clip: Clip = saturated) -> np.ndarray:
    """An activation with a table of its own, of accumulators with ``frac`` fractional bits:
    ``out_frac`` fractional bits. ``table`` is the core's tanh table, whose shape it has."""
    curve, own = CURVE_TABLES[activation], curve_table(activation, table)
    u = clip("u", round_shift(acc, frac + curve.divide - table.frac), table.width)
    t = tanh_magnitude(own, np.minimum(np.abs(u), (1 << (table.frac + 3)) - 1))
    if curve.sign == "odd":
        t = np.where(u < 0, t, -t)
    elif curve.sign == "left":
        t = np.where(u < 0, t, 0)
    return curve.base_in(table.out_frac) - t


def finished(activation: str, table: Table, acc: np.ndarray, frac: int, y: QFormat,
             clip: Clip = saturated, tensor: str = "y") -> np.ndarray:
    """A Dense result of accumulators with ``frac`` fractional bits, in the format ``y``.

    ``activation`` of linear, relu, sigmoid, tanh, hard_tanh, hard_sigmoid, or one with a table of
    its own.
    """
    if activation in CURVE_TABLES:
        acc, frac = curved(activation, table, acc, frac, clip), table.out_frac
    elif activation == "sigmoid":
        acc, frac = gated("sigmoid", table, acc, frac, clip)[1], table.out_frac + 1
    elif activation == "tanh":
        acc, frac = squashed("tanh", table, y, acc, frac, clip)[1], table.out_frac
    result = round_shift(acc, frac - y.frac)
    if activation in ("relu", "hard_sigmoid"):
        result = np.maximum(result, 0)  # first: negative values do not saturate
    result = clip(tensor, result, y.width)
    limit = hard_limit(activation, y)
    if limit is not None:
        result = np.clip(result, -limit, limit)
    return result
