"""Accumulator widths: bounds on every partial sum of every row, in every order of its terms."""

from __future__ import annotations

import numpy as np

from gatefold.gen.quantized import QDense, QLstm

__all__ = ["accumulator_bits", "accumulator_bounds", "result_shifts"]

Bounds = tuple[list[int], list[int]]


def result_shifts(layer: QLstm | QDense, fu: int) -> list[int]:
    """Right shift that makes each row's result of its accumulator (negative: a left shift).

    ``fu``: fractional bits of the table's argument. The rows are the gates' (i, f, g, o blocks) or
    the Dense outputs; the shift's half LSB is what rounding adds to the accumulator.
    """
    if isinstance(layer, QLstm):
        half_argument = layer.acc_frac + 1 - fu  # i, f, o take z/2
        u = layer.units
        return [half_argument] * 2 * u + [layer.acc_frac - fu] * u + [half_argument] * u
    shift = {"sigmoid": layer.acc_frac + 1 - fu, "tanh": layer.acc_frac - fu}.get(
        layer.activation, layer.acc_frac - layer.y.frac)
    return [shift] * layer.outputs


def accumulator_bounds(layer: QLstm | QDense, fu: int, *, any_weights: bool = False,
                       bias_limit: float = 0.0) -> Bounds:
    """(low, high) per row, exact Python integers that no partial sum can pass.

    high = max(b, 0) + half + sum of max(w lo, w hi) << align, and low its negative twin, lo and hi
    being the extremes of the operand's format and half the rounding constant of the row.
    With ``any_weights`` each w takes the extremes of its format and |b| is ``bias_limit`` at most.
    """
    shifts = result_shifts(layer, fu)
    if isinstance(layer, QLstm):
        parts = ((layer.w_ih, layer.w_ih_format, layer.x, layer.align_ih),
                 (layer.w_hh, layer.w_hh_format, layer.h, layer.align_hh))
    else:
        parts = ((layer.w, layer.w_format, layer.x, 0),)
    limit = int(bias_limit * 2.0**layer.acc_frac) if any_weights else 0
    bias = [int(b) for b in layer.b]
    high = [(limit if any_weights else max(b, 0)) + (1 << (s - 1) if s > 0 else 0)
            for b, s in zip(bias, shifts, strict=True)]
    low = [-limit if any_weights else min(b, 0) for b in bias]
    for w, weight, operand, align in parts:
        if any_weights:
            rows, columns = w.shape
            products = [p * o for p in (weight.lo, weight.hi) for o in (operand.lo, operand.hi)]
            most, least = [max(products) * columns] * rows, [min(products) * columns] * rows
        else:
            w = np.asarray(w, dtype=np.int64)  # 18 x 18 bits x 2**16 columns stay within int64
            most = np.maximum(w * operand.lo, w * operand.hi).sum(axis=1).tolist()
            least = np.minimum(w * operand.lo, w * operand.hi).sum(axis=1).tolist()
        high = [total + (term << align) for total, term in zip(high, most, strict=True)]
        low = [total + (term << align) for total, term in zip(low, least, strict=True)]
    return low, high


def accumulator_bits(bounds: Bounds) -> list[int]:
    """The two's complement width that each row of :func:`accumulator_bounds` needs."""
    return [max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
            for low, high in zip(*bounds, strict=True)]
