"""Accumulator widths: bounds on every partial sum of every row, in any order of its terms."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.qlayer import MOST_SCALE, QMatrix
from gatefold.gen.numbers.quantized import QLayer, QuantizedNetwork, Table

__all__ = ["accumulator_bits", "accumulator_bounds", "accumulator_width", "layer_bits"]

Bounds = tuple[list[int], list[int]]


def accumulator_bounds(layer: QLayer, table: Table, *, any_weights: bool = False,
                       bias_limit: float = 0.0) -> Bounds:
    """(low, high) of each row (:meth:`~.QLayer.result_shifts` lists the rows): exact integers that
    bound every partial sum.

    high = max(b, 0) + half + sum of max(w lo, w hi) << align, and low likewise with min, where lo
    and hi are the extremes of the operand's format, shifted as far as any operand of that column
    is, and half is the rounding constant of the row: that of its result, and that of its scale.
    With ``any_weights`` each w takes the extremes of its format, each scale is the largest and |b|
    is ``bias_limit`` at most.
    """
    shifts, bias, scales = layer.result_shifts(table), layer.row_biases, layer.row_scales
    if any_weights:
        scaled = isinstance(layer, QMatrix) and layer.scales is not None
        scales = np.full_like(scales, MOST_SCALE if scaled else 0)
    limit = int(bias_limit * 2.0**layer.acc_frac) if any_weights else 0
    high = [(limit << e if any_weights else max(b, 0)) + (_half(s) << e) + _half(e)
            for b, s, e in zip(bias, shifts, scales.tolist(), strict=True)]
    low = [-(limit << e) if any_weights else min(b, 0)
           for b, e in zip(bias, scales.tolist(), strict=True)]
    for columns in layer.columns:
        for least, most in columns.extremes(any_weights):
            low = [total + term for total, term in zip(low, least, strict=True)]
            high = [total + term for total, term in zip(high, most, strict=True)]
    return low, high


def _half(shift: int) -> int:
    """The constant that rounding by ``shift`` bits adds."""
    return 1 << (shift - 1) if shift > 0 else 0


def accumulator_bits(bounds: Bounds) -> list[int]:
    """Width of the two's complement number that holds each row of :func:`accumulator_bounds`."""
    return [max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
            for low, high in zip(*bounds, strict=True)]


def layer_bits(layer: QLayer, table: Table, **limits) -> int:
    """Bits of the sums of a layer's widest row, at least 2; ``limits`` are the keyword arguments of
    :func:`accumulator_bounds`."""
    return max([2, *accumulator_bits(accumulator_bounds(layer, table, **limits))])


def accumulator_width(qnet: QuantizedNetwork, **limits) -> int:
    """Bits of the accumulator of ``qnet``: those of its widest row, at least 2; ``limits`` are the
    keyword arguments of :func:`accumulator_bounds`.

    It also holds the operands that pass through it without a weight: those of MaxPool and Multiply,
    and initial states.
    """
    fracs, width = qnet.fracs, 2
    for layer in qnet.layers:
        width = max(width, layer_bits(layer, qnet.table, **limits))
        for form, to, up in layer.passed(fracs):
            width = max(width, *accumulator_bits(
                ([form.lo << up], [(form.hi << up) + _half(form.frac - to)])))
    return width
