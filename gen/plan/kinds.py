"""Layers to kinds: the shifts of a finish, from the formats of its tensors (`docs/numbers.md`)."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.int8_table import ReciprocalTable, reciprocal_table
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QGru,
    QInt8Dense,
    QInt8Lstm,
    QLstm,
    QRnn,
    QuantizedNetwork,
    Table,
    hard_limit,
)
from gatefold.gen.numbers.tables import CURVE_TABLES
from gatefold.hdl.kinds import (
    DenseKind,
    EmitKind,
    Gate,
    GruKind,
    Int8DenseKind,
    Int8GatesKind,
    Int8LstmKind,
    Kind,
    LstmKind,
    ResetKind,
    Scale,
    Squash,
)

__all__ = ["cell_table", "dense_kind", "emit_kind", "gru_kind", "int8_gates_kind",
           "int8_lstm_kind", "lstm_kind", "recip_segments", "reset_kind",
           "row_sums"]


#: Activations that are computed as another; where they saturate makes the difference.
_ARITHMETIC = {"hard_tanh": "linear", "hard_sigmoid": "relu"}


def _gate(layer: QLstm | QGru, table: Table) -> Gate:
    direct = layer.recurrent_activation == "hard_sigmoid"
    return Gate(layer.gate_frac + 1 - (table.out_frac if direct else table.frac), direct,
                layer.gate_limit(table))


def _squash(frac: int, activation: str, result: QFormat, table: Table,
            limit: int | None = None) -> Squash:
    return Squash(frac - (table.frac if activation == "tanh" else result.frac),
                  _ARITHMETIC.get(activation, activation), limit)


def lstm_kind(layer: QLstm, table: Table) -> LstmKind:
    """The finish of an LSTM."""
    product_f, product_g = table.out_frac + 1 + layer.c.frac, table.out_frac + 1 + layer.g.frac
    common = max(product_f, product_g)
    return LstmKind(
        gate=_gate(layer, table),
        candidate=_squash(layer.acc_frac, layer.activation, layer.g, table,
                          layer.candidate_limit(table)),
        up_f=common - product_f, up_g=common - product_g, cell=common - layer.c.frac,
        out=_squash(layer.c.frac, layer.activation, layer.tc, table),
        h=layer.h_shift(table), cell_width=layer.c.width, h_width=layer.h.width,
        carries=layer.carries > 0 and layer.h_shift(table) > 0,
        peepholes=None if layer.w_p is None else layer.peephole_ups)


def gru_kind(layer: QGru, table: Table) -> GruKind:
    """The finish of a GRU's step; without reset_after, of the step's second half."""
    t = table.out_frac
    product = t + 1 + layer.m.frac
    common = max(layer.acc_frac, product) if layer.reset_after else layer.acc_frac
    fine = max(layer.c.frac, layer.n.frac)
    return GruKind(
        gate=_gate(layer, table), m=layer.acc_frac - layer.m.frac if layer.reset_after else None,
        up_a=common - layer.acc_frac, up_m=common - product if layer.reset_after else 0,
        candidate=_squash(common, layer.activation, layer.n, table, layer.candidate_limit(table)),
        up_s=fine - layer.c.frac, up_n=fine - layer.n.frac, state=fine + t + 1 - layer.c.frac,
        h=layer.c.frac - layer.h.frac, cell_width=layer.c.width, h_width=layer.h.width)


def reset_kind(layer: QGru, table: Table) -> ResetKind:
    """The finish of the first half of a GRU's step without reset_after: q = r s, in the format of
    h."""
    return ResetKind(gate=_gate(layer, table),
                     q=table.out_frac + 1 + layer.c.frac - layer.h.frac, h_width=layer.h.width)


def dense_kind(layer: QDense | QRnn, table: Table) -> DenseKind | Int8DenseKind:
    """The finish of a Dense layer or a SimpleRNN."""
    if isinstance(layer, QInt8Dense):
        return Int8DenseKind(layer.lo, layer.hi)
    t, y = table.out_frac, layer.result
    assert y
    function = _ARITHMETIC.get(layer.activation, layer.activation)
    if function in CURVE_TABLES:
        curve = CURVE_TABLES[function]
        return DenseKind(function, layer.acc_frac + curve.divide - table.frac, t - y.frac, y.width,
                         sign=curve.sign, base=curve.base_in(t))
    shift, out = {
        "linear": (layer.acc_frac - y.frac, 0), "relu": (layer.acc_frac - y.frac, 0),
        "sigmoid": (layer.acc_frac + 1 - table.frac, t + 1 - y.frac),
        "tanh": (layer.acc_frac - table.frac, t - y.frac),
    }[function]
    return DenseKind(function, shift, out, y.width, hard_limit(layer.activation, y))


def emit_kind(layer: QCellState) -> EmitKind:
    """The finish that puts out an LSTM's c."""
    return EmitKind(layer.c.frac - layer.y.frac, layer.y.width)


def row_sums(kind: Kind) -> dict[str, int]:
    """What the rows of an element sum up, in their order: golden's name of each sum, and the
    rounding constant that the row's bias adds to it. Empty where golden records no such sums."""
    names: tuple[str, ...] = ()
    if isinstance(kind, LstmKind):
        names = "acc_i", "acc_f", "acc_g", "acc_o"
    elif isinstance(kind, GruKind):
        names = ("acc_z", "acc_n") if kind.m is None else (
            ("acc_m",) if kind.aside else ("acc_z", "acc_n", "acc_r", "acc_m"))
    elif isinstance(kind, DenseKind):
        names = "acc",
    return dict(zip(names, kind.constants, strict=True)) if names else {}


# ---- LiteRT's int8 arithmetic ------------------------------------------------------------------

def _scales(multipliers: np.ndarray, shifts: np.ndarray) -> tuple[Scale, Scale, Scale, Scale]:
    i, f, g, o = (Scale(m, s) for m, s in zip(multipliers.tolist(), shifts.tolist(), strict=True))
    return i, f, g, o


def int8_gates_kind(layer: QInt8Lstm) -> Int8GatesKind:
    """The finish of an LSTM's sums of x."""
    return Int8GatesKind(_scales(layer.multiplier_ih, layer.shift_ih))


def int8_lstm_kind(layer: QInt8Lstm, qnet: QuantizedNetwork) -> Int8LstmKind:
    """The finish of an LSTM's step."""
    table = cell_table(qnet)
    first = table.first.get(_fine(layer))
    after = [*table.first.values(), len(table.remainder)]
    last = 0 if first is None else after[after.index(first) + 1] - first - 1
    return Int8LstmKind(
        scales=_scales(layer.multiplier_hh, layer.shift_hh), frac=layer.c.frac, clip=layer.clip,
        first=first, up=max(0, 13 - layer.c.frac), last=last,
        h=Scale(layer.multiplier_h, layer.shift_h), offset=layer.offset, lo=layer.lo, hi=layer.hi)


def _fine(layer: QInt8Lstm) -> int:
    """Fractional bits of the argument of which tanh(c) is R: 2 c."""
    return max(12, layer.c.frac - 1)


def cell_table(qnet: QuantizedNetwork) -> ReciprocalTable:
    """The table of reciprocals that tanh(c) is looked up in; that of the gates is its simplest."""
    fracs = {_fine(layer) for layer in qnet.layers if isinstance(layer, QInt8Lstm)}
    return reciprocal_table(tuple(sorted(fracs & {12, 13, 14})) or (12,))


def recip_segments(qnet: QuantizedNetwork) -> int:
    """Segments of that table; 0 of a network without such cells."""
    if not any(isinstance(layer, QInt8Lstm) for layer in qnet.layers):
        return 0
    return len(cell_table(qnet).base)
