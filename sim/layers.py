"""The layers of the golden model, one by one: ``docs/numbers.md`` in NumPy int64 over samples.

There is no float but in products, where float64 is exact (:class:`_Matrix`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gatefold.gen.network.layers import Window
from gatefold.gen.numbers.quantized import (
    QDense,
    QGru,
    QInt8Dense,
    QInt8Lstm,
    QLstm,
    QMaxPool,
    QRecurrent,
    QRnn,
    QView,
    Table,
)
from gatefold.sim.cells import blocks, flat, gru_cell, gru_gates, gru_reset, gru_state, lstm_step
from gatefold.sim.int8 import Finish, finished_int8, gate_sums, lstm_cell_int8
from gatefold.sim.scalars import (
    Clip,
    finished,
    round_shift,
    saturated,
    squashed,
    unscaled,
)

__all__ = ["dense", "history", "max_pool", "recurrent", "turns"]

_ELEMENTS = 1 << 22  # of windows, or of gates of many steps, that are in memory at a time


class _Matrix:
    """Integers times a matrix (outputs, features), exactly.

    In float64, which BLAS multiplies tens of times faster than NumPy its integers, where the sum of
    a row's magnitudes times the largest operand stays below 2**53: then every product and every
    partial sum, in any order and fused or not, is an integer that float64 holds.
    """

    def __init__(self, w: np.ndarray, largest: int):
        heaviest = float(np.abs(w).astype(np.float64).sum(axis=1).max(initial=0))
        exact = heaviest * largest < 2.0**52  # a factor of 2 for the rounding of this very product
        self.w = np.ascontiguousarray(w.T, np.float64 if exact else np.int64)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(..., features) to (..., outputs), int64."""
        rows = x.reshape(-1, x.shape[-1]).astype(self.w.dtype, copy=False)  # one product for BLAS
        return (rows @ self.w).astype(np.int64, copy=False).reshape(*x.shape[:-1], -1)


def _largest(x: np.ndarray) -> int:
    return max(int(x.max(initial=0)), -int(x.min(initial=0)))


def dense(layer: QDense, table: Table, x: np.ndarray, trace: dict | None = None,
          clip: Clip = saturated, finish: Finish = finished_int8) -> np.ndarray:
    """Dense on the last axis of ``x``, (samples, ..., features) integers in the format ``layer.x``.

    ``trace`` receives ``acc`` (the accumulators) and ``y``. ``finish`` makes the result of an int8
    layer of its sums.
    """
    matrix = _Matrix(layer.w, _largest(x))
    if layer.window is None:
        acc = layer.b + matrix(x)
    else:
        acc = np.concatenate([
            layer.b + matrix(taps.reshape(*taps.shape[:-2], -1))
            for taps in _windows(layer.window, x.astype(matrix.w.dtype), 0)], axis=-2)
    if isinstance(layer, QInt8Dense):
        y = finish(layer, acc)
    else:
        acc = unscaled(acc, layer.scales)
        y = finished(layer.activation, table, acc, layer.acc_frac, layer.y, clip)
    if trace is not None:
        trace |= {"acc": acc, "y": y}
    return y


def max_pool(layer: QMaxPool, x: np.ndarray, clip: Clip = saturated) -> np.ndarray:
    """The largest of each window of ``x``, (samples, ..., timesteps, features)."""
    least = np.iinfo(np.int64).min  # no operand is so small
    best = np.concatenate([taps.max(axis=-2) for taps in _windows(layer.window, x, least)], axis=-2)
    return clip("y", round_shift(best, layer.x.frac - layer.y.frac), layer.y.width)


def recurrent(layer: QRecurrent, table: Table, x: np.ndarray, states: list[np.ndarray],
              together: list[tuple[np.ndarray, np.ndarray | None]], trace: dict,
              clip: Clip = saturated, everything: bool = True,
              kept: dict[str, np.ndarray] | None = None) -> None:
    """All steps of an LSTM, GRU or SimpleRNN; everything goes to ``trace``.

    Parameters: ``x``, (samples, timesteps, features) integers in the format ``layer.x``;
    ``states``, the initial states that the network's inputs bring, each (samples, units);
    ``together`` as :func:`turns` gives it; ``trace`` receives, each (samples, timesteps, units),
    ``h`` and, of an LSTM, ``acc_i acc_f acc_g acc_o`` (accumulators, by their rows' scales),
    ``u_i u_f u_g u_o`` (arguments), ``i f g o c``, and with a projection ``hr`` (samples,
    timesteps, P); of a GRU ``acc_r acc_z acc_n u_r u_z u_n r z n
    c`` (the state s) and ``acc_m m`` or ``q``; of a SimpleRNN ``acc``; without ``everything``, only
    ``h`` and ``c``. ``kept``, of a stateful layer: the states ``h`` and ``c``, (sequences, units)
    each, with which the sequences begin, if there are any, and then those with which they end.
    """
    samples, steps, _ = x.shape
    step = {QLstm: _lstm_step, QGru: _gru_step, QRnn: _rnn_step,
            QInt8Lstm: _int8_step}[type(layer)]
    w_ih = _Matrix(layer.w_ih, _largest(x))
    operands = max(-layer.recurs.lo, -layer.h_in.lo if layer.h_in else 0)
    w_hh = [_Matrix(block, operands) for block in np.split(layer.w_hh, _GROUPS[type(layer)])]
    if isinstance(layer, QLstm) and layer.w_hr is not None:
        w_hh.append(_Matrix(layer.w_hr, -layer.h.lo))
    kept = {} if kept is None else kept
    for rows, sequences in together:
        if sequences is None or not kept:
            state = _begin(layer, rows, states, clip)
        else:
            state = {name: values[sequences] for name, values in kept.items()}
        block = max(1, _ELEMENTS // (len(rows) * len(layer.b)))
        part = np.zeros(0)  # the products of x in the accumulators, for a block of steps
        for t in range(steps):
            if t % block == 0:
                part = layer.b + (w_ih(x[rows, t:t + block]) << layer.align_ih)
            given = t == 0 and layer.h_in is not None
            shift = layer.acc_frac - layer.w_hh_format.frac - layer.h_in.frac \
                if given and layer.h_in else layer.align_hh
            found = step(layer, table, part[:, t % block], w_hh, shift, state, clip)
            rest = found.pop("rest", None)
            state = {name: found[name] for name in ("h", "c") if name in found}
            for name in found if everything else state:
                if name not in trace:
                    trace[name] = np.empty((samples, steps, found[name].shape[1]), np.int64)
                trace[name][rows, t] = found[name]
            if rest is not None and t + 1 < getattr(layer, "carries", 0):
                state["rest"] = rest
        if sequences is not None:
            for name, values in state.items():
                kept.setdefault(name, np.empty((len(rows), layer.units), np.int64))
                kept[name][sequences] = values


#: Row blocks of w_hh that a layer multiplies one by one: a GRU's n may meet another vector.
_GROUPS = {QLstm: 1, QGru: 3, QRnn: 1, QInt8Lstm: 1}


def _begin(layer: QRecurrent, rows: np.ndarray, states: list[np.ndarray],
           clip: Clip) -> dict[str, np.ndarray]:
    """h (an input's in its own format) and c before the first step."""
    def given(constant: np.ndarray | None) -> np.ndarray:
        value = np.zeros(layer.units, np.int64) if constant is None else constant
        return np.broadcast_to(value, (len(rows), layer.units))

    if isinstance(layer, QRnn):
        return {"h": states[0][rows] if states else given(layer.h0)}
    if isinstance(layer, QInt8Lstm):
        return {"h": given(None), "c": given(None)}
    assert isinstance(layer, (QLstm, QGru))
    if states:
        form = layer.c_in if isinstance(layer, QLstm) else layer.h_in
        assert form
        state = round_shift(states[-1][rows], form.frac - layer.c.frac)
        return {"h": states[0][rows], "c": clip("c", state, layer.c.width)}
    if isinstance(layer, QLstm):
        return {"h": given(layer.h0), "c": given(layer.c0)}
    h = round_shift(given(layer.h0), layer.c.frac - layer.h.frac)
    return {"h": clip("h", h, layer.h.width), "c": given(layer.h0)}


def _lstm_step(layer: QLstm, table: Table, part: np.ndarray, w_hh: list[_Matrix], shift: int,
               state: dict, clip: Clip) -> dict[str, np.ndarray]:
    inside = {}
    if layer.hr is not None:
        inside["hr"] = clip("hr", round_shift(w_hh[1](state["h"]), layer.hr_shift), layer.hr.width)
    acc = unscaled(part + (w_hh[0](inside.get("hr", state["h"])) << shift), layer.scales)
    return inside | lstm_step(layer, table, acc, state["c"], state.get("rest", 0), clip)


def _gru_step(layer: QGru, table: Table, part: np.ndarray, w_hh: list[_Matrix], shift: int,
              state: dict, clip: Clip) -> dict[str, np.ndarray]:
    h, s, units = state["h"], state["c"], layer.units
    scales = None if layer.scales is None else layer.scales[:2 * units]
    scales_n = None if layer.scales is None else layer.scales[2 * units:]
    recurrent = np.concatenate([w_hh[0](h), w_hh[1](h)], axis=1) << shift
    gates = unscaled(part[:, :2 * units] + recurrent, scales)
    (u_r, u_z), (r, z) = gru_gates(layer, table, gates, clip)
    a = blocks(part, 3)[2]
    sums: dict[str, np.ndarray] = {}
    sums["acc_r"], sums["acc_z"] = blocks(gates, 2)
    if layer.reset_after:
        a, inner = (unscaled(total, scales_n)
                    for total in (a, layer.b_n + (w_hh[2](h) << shift)))
        middle, u_n, n = gru_cell(layer, table, r, a, inner, clip)
        sums |= {"acc_n": a, "acc_m": inner}
    else:
        middle = gru_reset(layer, table, r, s, clip)
        acc = unscaled(a + (w_hh[2](middle) << layer.align_hh), scales_n)
        u_n, n = squashed(layer.activation, table, layer.n, acc, layer.acc_frac, clip,
                          "u" if flat(layer.activation) else "n", layer.candidate_limit(table))
        sums["acc_n"] = acc
    s, h = gru_state(layer, table, z, n, s, clip)
    return {**sums, "u_r": u_r, "u_z": u_z, "u_n": u_n, "r": r, "z": z, "n": n,
            "m" if layer.reset_after else "q": middle, "c": s, "h": h}


def _rnn_step(layer: QRnn, table: Table, part: np.ndarray, w_hh: list[_Matrix], shift: int,
              state: dict, clip: Clip) -> dict[str, np.ndarray]:
    acc = unscaled(part + (w_hh[0](state["h"]) << shift), layer.scales)
    h = finished(layer.activation, table, acc, layer.acc_frac, layer.h, clip, "h")
    return {"acc": acc, "h": h}


def _int8_step(layer: QInt8Lstm, table: Table, part: np.ndarray, w_hh: list[_Matrix], shift: int,
               state: dict, clip: Clip) -> dict[str, np.ndarray]:
    return lstm_cell_int8(layer, gate_sums(layer, part, w_hh[0](state["h"])), state["c"], clip)


def _windows(window: Window, x: np.ndarray, fill: int) -> Iterator[np.ndarray]:
    """``window.arrange(x, fill)`` in parts along its windows, of some millions of elements each."""
    pad = [(0, 0)] * (x.ndim - 2) + [(window.left, window.right), (0, 0)]
    padded = np.pad(x, pad, constant_values=fill)
    inner, steps = replace(window, left=0, right=0), window.steps(x.shape[-2])
    reach = (window.size - 1) * window.dilation + 1
    block = max(1, _ELEMENTS * x.shape[-2] // (x.size * window.size))
    for first in range(0, steps, block):
        last = min(first + block, steps) - 1
        yield inner.arrange(
            padded[..., first * window.stride:last * window.stride + reach, :])


def turns(begins: np.ndarray, stateful: bool) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Samples that are computed together, turn after turn, and whose sequences they continue.

    Turn n holds the n-th sample of every sequence that has so many. None instead of the sequences
    where every sample is one of its own.
    """
    if not stateful:
        return [(np.arange(begins[-1]), None)]
    lengths = np.diff(begins)
    alive = [np.flatnonzero(lengths > n) for n in range(lengths.max())]
    return [(begins[:-1][sequences] + n, sequences) for n, sequences in enumerate(alive)]


def history(layer: QView, x: np.ndarray, begins: np.ndarray,
             kept: dict[str, np.ndarray] | None) -> np.ndarray:
    """Of each sample of ``x`` (samples, rows, features) the history in its sequence. ``kept``, as
    of :func:`recurrent`: ``rows`` (sequences, rows, features), the rows of earlier frames."""
    before = kept.get("rows") if kept else None
    found = [layer.slide(x[first:end], None if before is None else before[n])
             for n, (first, end) in enumerate(zip(begins[:-1], begins[1:], strict=True))]
    if kept is not None:
        kept["rows"] = np.stack([rows for _, rows in found])
    return np.concatenate([histories for histories, _ in found])
