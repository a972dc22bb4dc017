"""Accumulator widths: bounds on every partial sum of every row, in every order of its terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import (
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QuantizedNetwork,
    Table,
    alignment,
    argument,
)

__all__ = ["MatrixLayer", "accumulator_bits", "accumulator_bounds", "accumulator_width",
           "result_shifts", "widest_sum"]

Bounds = tuple[list[int], list[int]]
#: Layers that have weights.
MatrixLayer = QRecurrent | QDense


def result_shifts(layer: MatrixLayer, table: Table) -> list[int]:
    """Right shift that makes each row's result of its accumulator (negative: a left shift).

    The rows are a Dense layer's outputs or blocks of units: i, f, g, o of an LSTM; r, z, a, m of a
    GRU with reset_after (m is w_hh h + b_n), r, z, a of one without. The shift's half LSB is what
    rounding adds to the accumulator; 0 for a, which is rounded later.
    """
    if isinstance(layer, (QLstm, QGru)):
        hard = layer.recurrent_activation == "hard_sigmoid"
        gate = layer.acc_frac + 1 - (table.out_frac if hard else table.frac)  # gates take z/2
        u = layer.units
        if isinstance(layer, QGru):
            inner = [layer.acc_frac - layer.m.frac] * u if layer.reset_after else []
            return [gate] * 2 * u + [0] * u + inner
        candidate = layer.acc_frac - argument(layer.activation, table, layer.g).frac
        return [gate] * 2 * u + [candidate] * u + [gate] * u
    y = layer.result
    assert y and isinstance(layer, QDense | QRecurrent)
    activation: str = layer.activation  # type: ignore  # a QDense or QRnn
    shift = {"sigmoid": layer.acc_frac + 1 - table.frac, "tanh": layer.acc_frac - table.frac}.get(
        activation, layer.acc_frac - y.frac)
    return [shift] * len(layer.b)


@dataclass(frozen=True)
class _Columns:
    """Some rows' weights (rows, columns) and the extremes of what each column meets, in units of
    the accumulator's last bit: ``lo`` and ``hi`` shifted left by ``up`` (columns,). ``used``: None,
    or where (rows, columns) there can be a weight at all."""

    w: np.ndarray
    form: QFormat
    lo: int
    hi: int
    up: np.ndarray
    used: np.ndarray | None = None

    def extremes(self, any_weights: bool) -> Iterator[tuple[list[int], list[int]]]:
        """(least, most) of each row, summed over its columns, one for each shift that occurs."""
        for shift in np.unique(self.up).tolist():
            # 18 x 18 bits x 2**16 columns stay within int64; the shift may not.
            at = self.up == shift
            if any_weights:
                products = [w * x for w in (self.form.lo, self.form.hi) for x in (self.lo, self.hi)]
                used = np.ones(self.w.shape, bool) if self.used is None else self.used
                count = used[:, at].sum(axis=1)
                least, most = min(products) * count, max(products) * count
            else:
                w = np.asarray(self.w[:, at], np.int64)
                least = np.minimum(w * self.lo, w * self.hi).sum(axis=1)
                most = np.maximum(w * self.lo, w * self.hi).sum(axis=1)
            yield [v << shift for v in least.tolist()], [v << shift for v in most.tolist()]


def accumulator_bounds(layer: MatrixLayer, table: Table, *, any_weights: bool = False,
                       bias_limit: float = 0.0) -> Bounds:
    """(low, high) per row, as of :func:`result_shifts`: exact integers that no partial sum passes.

    high = max(b, 0) + half + sum of max(w lo, w hi) << align, and low its negative twin, lo and hi
    being the extremes of the operand's format, shifted as far as any operand of that column is, and
    half the rounding constant of the row.
    With ``any_weights`` each w takes the extremes of its format and |b| is ``bias_limit`` at most.
    """
    shifts = result_shifts(layer, table)
    bias = layer.b.tolist() + (layer.b_n.tolist() if isinstance(layer, QGru)
                                  and layer.reset_after else [])
    limit = int(bias_limit * 2.0**layer.acc_frac) if any_weights else 0
    high = [(limit if any_weights else max(b, 0)) + (1 << (s - 1) if s > 0 else 0)
            for b, s in zip(bias, shifts, strict=True)]
    low = [-limit if any_weights else min(b, 0) for b in bias]
    for columns in _columns(layer):
        for least, most in columns.extremes(any_weights):
            low = [total + term for total, term in zip(low, least, strict=True)]
            high = [total + term for total, term in zip(high, most, strict=True)]
    return low, high


def _columns(layer: MatrixLayer) -> list[_Columns]:
    if isinstance(layer, QDense):
        return [_Columns(layer.w, layer.w_format, layer.x.lo, layer.x.hi, layer.x_align,
                         layer.pattern)]
    w_ih, w_hh, met_ih, met_hh = layer.w_ih, layer.w_hh, None, None
    if isinstance(layer, QGru) and layer.reset_after:  # a meets x alone, m meets h alone
        u = layer.units
        w_ih = np.concatenate([w_ih, np.zeros_like(w_ih[:u])])
        w_hh = np.concatenate([w_hh[:2 * u], np.zeros_like(w_hh[:u]), w_hh[2 * u:]])
        met_ih, met_hh = np.ones(w_ih.shape, bool), np.ones(w_hh.shape, bool)
        met_ih[3 * u:], met_hh[2 * u:3 * u] = False, False
    forms = [layer.h] + ([layer.h_in] if layer.h_in else [])
    ups = [layer.acc_frac - layer.w_hh_format.frac - form.frac for form in forms]
    lo = min(form.lo << up for form, up in zip(forms, ups, strict=True))
    hi = max(form.hi << up for form, up in zip(forms, ups, strict=True))
    common = min(ups)  # kept out of the sums, which are int64
    return [_Columns(w_ih, layer.w_ih_format, layer.x.lo, layer.x.hi,
                     layer.x_align + layer.align_ih, met_ih),
            _Columns(w_hh, layer.w_hh_format, lo >> common, -(-hi >> common),
                     np.full(layer.units, common), met_hh)]


def accumulator_bits(bounds: Bounds) -> list[int]:
    """The two's complement width that each row of :func:`accumulator_bounds` needs."""
    return [max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
            for low, high in zip(*bounds, strict=True)]


def accumulator_width(qnet: QuantizedNetwork, *, any_weights: bool = False,
                      bias_limit: float = 0.0) -> int:
    """Bits of the accumulator that ``qnet`` needs: its widest row's, at least 2.

    Operands that are not multiplied (of MaxPool and Multiply, and initial states on their way to
    the state) pass through it too.
    """
    fracs, width = qnet.fracs, 2
    for layer in qnet.layers:
        if isinstance(layer, (QRecurrent, QDense)):
            bounds = accumulator_bounds(layer, qnet.table, any_weights=any_weights,
                                        bias_limit=bias_limit)
            width = max(width, *accumulator_bits(bounds))
        for form, to, up in _passed(layer, fracs):
            half = 1 << (form.frac - to - 1) if form.frac > to else 0
            width = max(width, *accumulator_bits(([form.lo << up], [(form.hi << up) + half])))
    return width


def _passed(layer: QLayer, fracs: tuple[np.ndarray, ...]) -> Iterator[tuple[QFormat, int, int]]:
    """Operands that meet no weight: format, fractional bits of the result, left shift before."""
    if isinstance(layer, QMaxPool):
        yield layer.x, layer.y.frac, int(alignment(layer.x, fracs[layer.inputs[0]]).max())
    elif isinstance(layer, QMultiply):
        yield from ((form, form.frac, 0) for form in (layer.a, layer.b))
    elif isinstance(layer, (QLstm, QGru)):
        form = layer.c_in if isinstance(layer, QLstm) else layer.h_in
        if form:
            yield form, layer.c.frac, 0


def widest_sum(layer: QLayer, table: Table, acc_bits: int) -> int:
    """Bits of the widest number that golden makes of accumulators of ``acc_bits`` bits."""
    gate = table.out_frac + 2
    bits = [acc_bits]
    if isinstance(layer, (QRecurrent, QDense)):
        bits += [acc_bits + max(0, *(-s for s in result_shifts(layer, table))),
                 layer.x.width + int(layer.x_align.max(initial=0))]
    if isinstance(layer, QLstm):
        apart = layer.g.frac - layer.c.frac
        bits += [gate + layer.c.width + max(0, apart) + 1,
                 gate + layer.g.width + max(0, -apart) + 1,
                 layer.c.width + max(0, argument(layer.activation, table, layer.tc).frac
                                     - layer.c.frac),
                 gate + layer.tc.width + max(0, layer.h.frac - gate + 1 - layer.tc.frac)]
    elif isinstance(layer, QGru):
        apart = layer.n.frac - layer.c.frac
        bits += [gate + layer.c.width + max(0, apart) + 2,
                 gate + layer.n.width + max(0, -apart) + 2,
                 gate + layer.c.width + max(0, layer.h.frac - gate + 1 - layer.c.frac)]
        total = acc_bits
        if layer.reset_after:
            ahead = layer.acc_frac - (table.out_frac + 1 + layer.m.frac)
            total = max(acc_bits + max(0, -ahead), gate + layer.m.width + max(0, ahead)) + 1
        bits += [total, total + max(0, argument(layer.activation, table, layer.n).frac
                                    - layer.acc_frac)]
    elif isinstance(layer, QMultiply):
        bits.append(layer.a.width + layer.b.width
                    + max(0, layer.y.frac - layer.a.frac - layer.b.frac))
    return max(bits)
