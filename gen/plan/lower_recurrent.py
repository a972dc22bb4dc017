"""Recurrent layers to ops: LSTM, GRU, SimpleRNN, their initial states, and c as a value."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from gatefold.gen.numbers.quantized import (
    QCellState,
    QGru,
    QInt8Lstm,
    QLstm,
    QRecurrent,
    QRnn,
)
from gatefold.gen.plan.kinds import (
    dense_kind,
    emit_kind,
    gru_kind,
    int8_gates_kind,
    int8_lstm_kind,
    lstm_kind,
    reset_kind,
)
from gatefold.gen.plan.layout import Ring
from gatefold.gen.plan.lowered import Lowered, picking
from gatefold.gen.plan.ops import Part
from gatefold.hdl.kinds import AsideKind, DenseKind, LoadKind, PeepholeKind

__all__ = ["cell_state", "gru", "int8_lstm", "recurrent"]


def recurrent(to: Lowered, n: int, layer: QRnn | QLstm, x: np.ndarray,
              h0: np.ndarray | None = None, c0: np.ndarray | None = None) -> np.ndarray:
    """An LSTM or a SimpleRNN: one op, behind one that loads an LSTM's initial c. An LSTM with a
    projection: two that take turns, of which the first makes what the second's w_hh multiplies.

    ``x``: addresses (steps, features); ``h0``, ``c0``: of an initial state that is an input.
    """
    gates = 4 if isinstance(layer, QLstm) else 1

    def by_unit(rows: np.ndarray) -> np.ndarray:
        """(gates * units, ...) to (units, gates, ...)."""
        return rows.reshape(gates, layer.units, *rows.shape[1:]).swapaxes(0, 1)

    more: dict[str, Any] = {}
    if isinstance(layer, QLstm):
        kind = lstm_kind(layer, to.qnet.table)
        more = _states(to, n, layer, layer.c0, c0, _peepholes(to, n, layer))
        if kind.carries and layer.carries < len(x):
            more["later"] = layer.carries, replace(kind, carries=False)
    else:
        kind = dense_kind(layer, to.qnet.table)
        more = {"carried": layer.stateful, "fresh": not layer.stateful}
    projected = getattr(layer, "w_hr", None) is not None
    written = _history(to, n, layer, len(x), len(to.ops) + projected)
    w_hh, bias = by_unit(layer.w_hh), by_unit(layer.b)
    from_h = _from_h(layer, w_hh, _previous(layer, written, h0))
    if isinstance(layer, QLstm) and projected:
        from_h = replace(from_h, steps=_projection(to, n, layer, from_h), carried=False)
    to.add(n, kind, (_from_input(layer, by_unit(layer.w_ih), x), from_h), written, bias=bias,
           first_bias=_first_bias(layer, w_hh, bias, layer.h0),
           scales=None if layer.scales is None else by_unit(layer.scales), **more)
    return written if layer.return_sequences else written[-1]


def _projection(to: Lowered, n: int, layer: QLstm,
                previous: Part) -> tuple[np.ndarray | None, ...]:
    """Addresses (steps, P) of hr = w_hr h, by an op that meets the ``previous`` h of each step;
    None where that is zero."""
    assert layer.w_hr is not None and layer.hr
    steps = len(previous.steps)
    hr = to.storage.result(len(to.ops), steps, len(layer.w_hr), layer.hr.frac, min(2, steps))
    to.add(n, DenseKind("linear", layer.hr_shift, 0, layer.hr.width),
           (replace(previous, matrix=layer.w_hr[:, None], base=layer.h.frac),), hr, traced=None,
           carried=layer.stateful, fresh=not layer.stateful)
    return tuple(None if met is None else made
                 for met, made in zip(previous.steps, hr, strict=True))


def int8_lstm(to: Lowered, n: int, layer: QInt8Lstm, x: np.ndarray) -> np.ndarray:
    """An LSTM of LiteRT, which rounds the sums of x and those of h apart: two ops. The first sets
    the arguments of the gates aside, as far as x makes them, and the second finishes the step."""
    def by_unit(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(4, layer.units, *rows.shape[1:]).swapaxes(0, 1)

    gates = to.add(n, int8_gates_kind(layer), (_from_input(layer, by_unit(layer.w_ih), x),), None,
                   bias=by_unit(layer.b), cells=n, fresh=False)
    written = _history(to, n, layer, len(x), len(to.ops))
    previous = _previous(layer, written, None)
    parts = [_from_h(layer, by_unit(layer.w_hh), previous)]
    if previous[0] is None:  # a tile must finish the first step
        parts.append(_nothing(to, (layer.units, 4), len(x)))
    to.add(n, int8_lstm_kind(layer, to.qnet), tuple(parts), written,
           asides=(gates,), cells=n, carried=layer.stateful, fresh=not layer.stateful)
    return written if layer.return_sequences else written[-1]


def gru(to: Lowered, n: int, layer: QGru, x: np.ndarray,
        h0: np.ndarray | None = None) -> np.ndarray:
    """A GRU: one op, or four where these take fewer tiles; without reset_after, two that take
    turns. They are behind one that loads an initial state. Rows of a unit: z, a, r, m; in four ops
    a, z, r, m; in two r, then z and a.

    ``x``: addresses (steps, features); ``h0``: of an initial state that is an input.
    """
    states = _states(to, n, layer, layer.h0, h0)
    lower, before = ((_gru_halves, 1) if not layer.reset_after
                     else (_gru_asides, 3) if _in_four(to, layer, x) else (_gru_step, 0))
    written = _history(to, n, layer, len(x), len(to.ops) + before)
    lower(to, n, layer, x, _previous(layer, written, h0), written, states)
    return written if layer.return_sequences else written[-1]


def _gru_step(to: Lowered, n: int, layer: QGru, x: np.ndarray,
              previous: tuple[np.ndarray | None, ...], written: np.ndarray,
              states: dict[str, Any]) -> None:
    """A GRU with reset_after: a step is one op."""
    (xr, xz, xn), (hr, hz, hn), (br, bz, bn) = _gru_rows(layer)
    w_hh, bias = _rows(hz, None, hr, hn), _rows(bz, bn, br, layer.b_n)
    to.add(n, gru_kind(layer, to.qnet.table),
           (_from_input(layer, _rows(xz, xn, xr, None), x), _from_h(layer, w_hh, previous)),
           written, bias=bias, first_bias=_first_bias(layer, w_hh, bias, _rounded_h0(layer)),
           scales=_scales(layer, 1, 2, 0, 2), **states)


def _in_four(to: Lowered, layer: QGru, x: np.ndarray) -> bool:
    """Whether a GRU with reset_after takes fewer tiles in four ops than in one, in which a has no
    weights for h and m none for x: each chunk meets three of four rows. An input that repeats is
    met once in one op, and thus stays."""
    if len(x) > 1 and (x == x[0]).all():
        return False

    def groups(rows: int) -> int:
        return ceil(layer.units / (to.pe // rows))

    return 3 * groups(1) < groups(4)


def _gru_asides(to: Lowered, n: int, layer: QGru, x: np.ndarray,
                previous: tuple[np.ndarray | None, ...], written: np.ndarray,
                states: dict[str, Any]) -> None:
    """A GRU with reset_after in four ops: a, z and r are set aside, then comes m."""
    (xr, xz, xn), (hr, hz, hn), (br, bz, bn) = _gru_rows(layer)
    h0, kind = _rounded_h0(layer), gru_kind(layer, to.qnet.table)
    a = to.add(n, AsideKind(None), (_from_input(layer, _rows(xn), x),), None, bias=_rows(bn),
               scales=_scales(layer, 2), cells=n, fresh=False)

    def gate(w_ih: np.ndarray, w_hh: np.ndarray, b: np.ndarray, row: int) -> int:
        w_hh, b = _rows(w_hh), _rows(b)
        return to.add(n, AsideKind(kind.gate, resets=row == 0),
                      (_from_input(layer, _rows(w_ih), x), _from_h(layer, w_hh, previous)), None,
                      bias=b, first_bias=_first_bias(layer, w_hh, b, h0),
                      scales=_scales(layer, row), cells=n, fresh=False)

    z, r = gate(xz, hz, bz, 1), gate(xr, hr, br, 0)
    w_hh, bias = _rows(hn), _rows(layer.b_n)
    parts = [_from_h(layer, w_hh, previous)]
    if previous[0] is None:  # a tile must finish the first step
        parts.append(_nothing(to, (layer.units, 1), len(x)))
    to.add(n, replace(kind, aside=True), tuple(parts), written, bias=bias,
           first_bias=_first_bias(layer, w_hh, bias, h0), scales=_scales(layer, 2),
           asides=(a, z, r), **states)


def _gru_halves(to: Lowered, n: int, layer: QGru, x: np.ndarray,
                previous: tuple[np.ndarray | None, ...], written: np.ndarray,
                states: dict[str, Any]) -> None:
    """A GRU without reset_after: first q = r * s, then the rest, which reads q."""
    (xr, xz, xn), (hr, hz, hn), (br, bz, bn) = _gru_rows(layer)
    h0 = _rounded_h0(layer)
    q = to.storage.result(len(to.ops), len(x), layer.units, layer.h.frac, min(2, len(x)))
    begins = 1 if states["fresh"] else 0  # a state of zero leaves nothing to reset

    def from_start(vectors: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return tuple(vector if t >= begins else None for t, vector in enumerate(vectors))

    w_hh, bias = _rows(hr), _rows(br)
    to.add(n, reset_kind(layer, to.qnet.table),
           (_from_input(layer, _rows(xr), from_start(x)),
            _from_h(layer, w_hh, previous)),
           q, bias=bias, first_bias=_first_bias(layer, w_hh, bias, h0),
           scales=_scales(layer, 0), traced=None, **states)
    w_hh, bias = _rows(hz, None), _rows(bz, bn)
    to.add(n, gru_kind(layer, to.qnet.table),
           (_from_input(layer, _rows(xz, xn), x), _from_h(layer, w_hh, previous),
            Part(matrix=_rows(None, hn), steps=from_start(q), base=_h_base(layer))),
           written, bias=bias, first_bias=_first_bias(layer, w_hh, bias, h0),
           scales=_scales(layer, 1, 2), **states)


def _gru_rows(layer: QGru) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w_ih, w_hh and b by gate: r, z, n."""
    return (layer.w_ih.reshape(3, layer.units, -1), layer.w_hh.reshape(3, layer.units, -1),
            layer.b.reshape(3, layer.units))


def _rows(*gates: np.ndarray | None) -> np.ndarray:
    """(units, gates, ...) from the rows (units, ...) of each gate; None is zeros."""
    zero = np.zeros_like(next(rows for rows in gates if rows is not None))
    return np.stack([zero if rows is None else rows for rows in gates], axis=1)


def _scales(layer: QGru, *gates: int) -> np.ndarray | None:
    """The scales (units, rows) of the rows of a unit, each of the gate r, z, n (0, 1, 2)."""
    if layer.scales is None:
        return None
    return layer.scales.reshape(3, layer.units)[list(gates)].T


def _rounded_h0(layer: QGru) -> np.ndarray | None:
    """A constant initial state in the format of h: rounded half up, saturated."""
    if layer.h0 is None:
        return None
    shift = layer.c.frac - layer.h.frac
    h0 = (layer.h0 + (1 << shift - 1)) >> shift if shift > 0 else layer.h0 << -shift
    return np.clip(h0, layer.h.lo, layer.h.hi)


# ---- operands ------------------------------------------------------------------------------------


def _from_input(layer: QRecurrent, matrix: np.ndarray, x) -> Part:
    return Part(matrix=matrix, steps=tuple(x), base=layer.acc_frac - layer.w_ih_format.frac)


def _from_h(layer: QRecurrent, matrix: np.ndarray,
            previous: tuple[np.ndarray | None, ...]) -> Part:
    return Part(matrix=matrix, steps=previous, base=_h_base(layer), carried=layer.stateful)


def _h_base(layer: QRecurrent) -> int:
    return layer.acc_frac - layer.w_hh_format.frac


def _history(to: Lowered, n: int, layer: QRecurrent, steps: int, op: int) -> np.ndarray:
    """Addresses (steps, units) of h: of all steps where they are read, else of two in turn."""
    if layer.stateful:
        kept = max(2, steps) if layer.return_sequences and to.is_read(n) else 2
    elif to.is_read(n):
        kept = steps if layer.return_sequences else min(2, steps)
    else:
        kept = min(2, steps) if steps > 1 else 0
    before = to.storage.h_depth
    written = to.storage.result(op, steps, layer.units, layer.h.frac, kept)
    if layer.stateful and (steps - 1) % kept == 0:
        # Step 0 would overwrite what it reads: the two words change places every frame.
        to.storage.rings.append(Ring(before, to.storage.words(layer.units), 2))
    return written


def _previous(layer: QRecurrent, written: np.ndarray,
              given: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
    """Addresses of h before each step; None: it is zero, or a constant in the first bias."""
    return (written[-1] if layer.stateful else given, *written[:-1])


def _first_bias(layer: QRecurrent, w_hh: np.ndarray, bias: np.ndarray,
                h0: np.ndarray | None) -> np.ndarray | None:
    """The bias of step 0 where h starts from a constant: with the products of that in it."""
    return None if h0 is None else bias + ((w_hh @ h0) << layer.align_hh)


# ---- states --------------------------------------------------------------------------------------


def _states(to: Lowered, n: int, layer: QLstm | QGru, constant: np.ndarray | None,
            given: np.ndarray | None, after: int | None = None) -> dict[str, Any]:
    """What an op says of the states of layer ``n``; an initial state is loaded by an op before.

    ``constant``: the initial state (units,), integers. ``given``: its addresses, where it is an
    input. ``after``: an op that must be done before that.
    """
    loads = given is not None or constant is not None
    if loads:
        after = _load(to, n, layer, constant, given, after)
    return {"cells": n, "carried": layer.stateful, "after": after,
            "fresh": not layer.stateful and not loads}


def _peepholes(to: Lowered, n: int, layer: QLstm) -> int | None:
    """An op that brings the weights of the peepholes into the lanes, as biases; its number."""
    if layer.w_p is None:
        return None
    i, f, o = layer.w_p.reshape(3, layer.units)
    op = to.add(n, PeepholeKind(), (_nothing(to, (layer.units, 4), 1),), None,
                bias=_rows(i, f, None, o), cells=n, fresh=False)
    to.stage += 1
    return op


def _load(to: Lowered, n: int, layer: QLstm | QGru, constant: np.ndarray | None,
          given: np.ndarray | None, after: int | None) -> int:
    """An op that fills the states of layer ``n`` before its first step; its number."""
    bias = np.zeros((layer.units, 1), np.int64)
    if given is not None:
        shift = int(to.storage.chunks[given[0] // to.simd].frac) - layer.c.frac
        part = picking(layer.units, 1, given[None])
    else:
        assert constant is not None
        bias[:, 0], shift = constant, 0
        part = _nothing(to, (layer.units, 1), 1)
    kind = LoadKind(isinstance(layer, QGru), shift, layer.c.width)
    op = to.add(n, kind, (part,), None, bias=bias, cells=n, after=after)
    to.stage += 1
    return op


def _nothing(to: Lowered, rows: tuple[int, int], steps: int) -> Part:
    """A part for the first of so many ``steps`` that has no other: a tile meets some operand, with
    weights of zero."""
    return Part(matrix=np.zeros((*rows, 1), np.int64), base=None,
                steps=(to.values[0].ravel()[:1], *(None,) * (steps - 1)))


def cell_state(to: Lowered, n: int, layer: QCellState, h: np.ndarray) -> np.ndarray:
    """c of an LSTM, put out once its last h is there: the op reads ``h`` with weights of zero."""
    source = layer.inputs[0] - len(to.qnet.input_shapes)
    last = h if h.ndim == 1 else h[-1]
    written = to.result(n, 1, layer.units, layer.y.frac)
    part = Part(matrix=np.zeros((layer.units, 1, len(last)), np.int64), steps=(last,), base=None)
    to.add(n, emit_kind(layer), (part,), written, cells=source, fresh=False)
    return written[0]
