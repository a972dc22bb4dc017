"""Accumulator widths: bounds on every partial sum of every row, in any order of its terms."""

from __future__ import annotations

from gatefold.gen.numbers.quantized import QLayer, QuantizedNetwork, Table

__all__ = ["accumulator_bits", "accumulator_bounds", "accumulator_width", "layer_bits"]

Bounds = tuple[list[int], list[int]]


def accumulator_bounds(layer: QLayer, table: Table, *, any_weights: bool = False,
                       bias_limit: float = 0.0) -> Bounds:
    """(low, high) of each row (:meth:`~.QLayer.result_shifts` lists the rows): exact integers that
    bound every partial sum.

    high = max(b, 0) + half + sum of max(w lo, w hi) << align, and low likewise with min, where lo
    and hi are the extremes of the operand's format, shifted as far as any operand of that column
    is, and half is the rounding constant of the row.
    With ``any_weights`` each w takes the extremes of its format and |b| is ``bias_limit`` at most.
    """
    shifts, bias = layer.result_shifts(table), layer.row_biases
    limit = int(bias_limit * 2.0**layer.acc_frac) if any_weights else 0
    high = [(limit if any_weights else max(b, 0)) + (1 << (s - 1) if s > 0 else 0)
            for b, s in zip(bias, shifts, strict=True)]
    low = [-limit if any_weights else min(b, 0) for b in bias]
    for columns in layer.columns:
        for least, most in columns.extremes(any_weights):
            low = [total + term for total, term in zip(low, least, strict=True)]
            high = [total + term for total, term in zip(high, most, strict=True)]
    return low, high


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
            half = 1 << (form.frac - to - 1) if form.frac > to else 0
            width = max(width, *accumulator_bits(([form.lo << up], [(form.hi << up) + half])))
    return width
