"""The golden model: ``docs/numbers.md`` executed in NumPy int64, vectorised over samples.

The hardware equals these functions bit for bit. There is no float here but the conversion at the
two ends of :func:`run`, and products in float64 where these are exact (:class:`_Matrix`). The
quantiser has shown that no intermediate result leaves int64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import joined, split
from gatefold.gen.network.layers import Window
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QGru,
    QInt8Dense,
    QInt8Lstm,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QRnn,
    QuantizedNetwork,
    QView,
    Table,
    alignment,
)
from gatefold.sim.cells import (
    blocks,
    flat,
    gru_cell,
    gru_gates,
    gru_reset,
    gru_state,
    lstm_cell,
    lstm_step,
)
from gatefold.sim.int8 import Finish, finished_int8, gate_sums, lstm_cell_int8
from gatefold.sim.scalars import (
    Clip,
    finished,
    round_shift,
    saturate,
    saturated,
    sigmoid,
    squashed,
    tanh,
    tanh_magnitude,
    unscaled,
)

__all__ = ["dense", "golden", "lstm_cell", "recurrent", "round_shift", "run", "saturate", "sigmoid",
           "tanh", "tanh_magnitude"]

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


# ---- layers ------------------------------------------------------------------------------------


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
              turns: list[tuple[np.ndarray, np.ndarray | None]], trace: dict,
              clip: Clip = saturated, everything: bool = True,
              kept: dict[str, np.ndarray] | None = None) -> None:
    """All steps of an LSTM, GRU or SimpleRNN; everything goes to ``trace``.

    Parameters: ``x``, (samples, timesteps, features) integers in the format ``layer.x``;
    ``states``, the initial states that the network's inputs bring, each (samples, units);
    ``turns`` as :func:`_turns` gives them; ``trace`` receives, each (samples, timesteps, units),
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
    for rows, sequences in turns:
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


# ---- networks ----------------------------------------------------------------------------------


def golden(qnet: QuantizedNetwork, x_int, *, trace: dict | None = None, fresh=None,
           instead: Mapping[int, np.ndarray] | None = None,
           saturations: dict | None = None,
           states: dict[str, dict[str, np.ndarray]] | None = None,
           finish: Finish = finished_int8) -> np.ndarray:
    """The network's output integers for input integers, (samples, *output_shape).

    Parameters: ``x_int``, (samples, *input_shape) integers within the inputs' formats; ``trace``, a
    dict that receives per layer name its tensors: of recurrent layers those that
    :func:`recurrent` records, of Dense layers ``acc`` and ``y``, of others ``y``, and under
    ``"saturations"`` per layer name and tensor (``u``, ``g``, ``n``, ``c``, ``h``, ``y``, ``m``,
    ``q``, ``tc``; the arguments of candidates that are flat where they are clamped count as ``u``)
    how many values were clamped: ``{"count", "total"}``; ``saturations``, a dict that receives
    these alone; ``fresh``, booleans (samples,): samples
    with which a new sequence begins in stateful layers; the first sample always begins one;
    ``instead``, integers that layers read instead of the computed ones, by value: so the errors of
    a single layer can be measured; ``states``, by the names of stateful layers what
    :func:`recurrent` and :func:`_history` keep: if empty, sequences begin with zeros, and it
    receives the states with which they end; ``finish``, of int8 matrices, where another of
    LiteRT's resolvers is asked for.
    Raises :class:`UserError` for a wrong shape, type or range.
    """
    zeros = qnet.zeros[0]
    values = split(_checked(qnet, x_int), qnet.input_shapes)
    values = [x - zero for x, zero in zip(values, zeros, strict=True)] if zeros else values
    if qnet.split > 1:
        values = [_split(values[0], qnet.split, qnet.read_formats[0].width)]
    fracs = qnet.fracs
    begins = _begins(len(values[0]), fresh)
    cells: dict[int, np.ndarray] = {}  # final c of each LSTM, by its value
    counts: dict[str, dict] = {} if saturations is None else saturations
    counting = trace is not None or saturations is not None
    for n, layer in enumerate(qnet.layers):
        given = instead or {}
        read = [given.get(value, values[value]) for value in layer.inputs]
        kept = None
        if states is not None and getattr(layer, "stateful", False):
            kept = states.setdefault(layer.name, {})
        if isinstance(layer, QView):
            values.append(_history(layer, read[0], begins, kept) if layer.stateful
                          else layer.view.arrange(*read))
            continue
        shifts = [alignment(form, fracs[value]) for form, value in
                  zip(_operands(layer), layer.inputs, strict=False)]
        read = [_up(x, shift) for x, shift in zip(read, shifts, strict=False)] + read[len(shifts):]
        clip = _Counter() if counting else saturated
        record: dict[str, np.ndarray] = {}
        if isinstance(layer, QCellState):
            read = [cells[layer.inputs[0]]]
        values.append(_apply(layer, qnet.table, read, begins, record, clip, trace is not None,
                             kept, finish))
        if isinstance(layer, QLstm):
            cells[qnet.value(n)] = record["c"][:, -1]
        if trace is not None:
            trace[layer.name] = record
        if isinstance(clip, _Counter):
            counts[layer.name] = clip.counts
    if trace is not None:
        trace["saturations"] = counts
    y = joined([values[value] for value in qnet.outputs])
    return y + qnet.output_zeros.reshape(y.shape[1:])


def _split(x: np.ndarray, parts: int, width: int) -> np.ndarray:
    """The operands of each element, side by side: they differ by one at most, and add up to it."""
    operands = (x[..., None] + np.arange(parts)) >> parts.bit_length() - 1
    return saturate(operands, width).reshape(*x.shape[:-1], -1)


def _operands(layer: QLayer) -> tuple:
    """Formats to which a layer's operands are aligned; initial states stay as they are."""
    if isinstance(layer, (QRecurrent, QDense, QMaxPool)):
        return (layer.x,)
    return (layer.a, layer.b) if isinstance(layer, QMultiply) else ()


def _up(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return x << shift if shift.any() else x


def _apply(layer: QLayer, table: Table, read: list[np.ndarray], begins: np.ndarray, record: dict,
           clip: Clip, everything: bool, kept: dict[str, np.ndarray] | None,
           finish: Finish) -> np.ndarray:
    if isinstance(layer, QRecurrent):
        turns = _turns(begins, layer.stateful)
        recurrent(layer, table, read[0], read[1:], turns, record, clip, everything, kept)
        return record["h"] if layer.return_sequences else record["h"][:, -1]
    if isinstance(layer, QDense):
        return dense(layer, table, read[0], record, clip, finish)
    if isinstance(layer, QMaxPool):
        record["y"] = max_pool(layer, read[0], clip)
    elif isinstance(layer, QMultiply):
        shift = layer.a.frac + layer.b.frac - layer.y.frac
        record["y"] = clip("y", round_shift(read[0] * read[1], shift), layer.y.width)
    elif isinstance(layer, QCellState):
        shift = layer.c.frac - layer.y.frac
        record["y"] = clip("y", round_shift(read[0], shift), layer.y.width)
    else:
        raise TypeError(f"golden knows no layer {type(layer).__name__}")
    return record["y"]


def _begins(samples: int, fresh) -> np.ndarray:
    """Samples that begin a sequence, as their numbers; the last number is ``samples``."""
    flags = np.zeros(samples, bool) if fresh is None else np.array(fresh)
    if flags.dtype != bool or flags.shape != (samples,):
        raise ValueError(f"golden fresh must be {samples} booleans, not {flags.dtype} of the shape "
                         f"{flags.shape}")
    flags[0] = True
    return np.append(np.flatnonzero(flags), samples)


def _history(layer: QView, x: np.ndarray, begins: np.ndarray,
             kept: dict[str, np.ndarray] | None) -> np.ndarray:
    """Of each sample of ``x`` (samples, rows, features) the history in its sequence. ``kept``, as
    of :func:`recurrent`: ``rows`` (sequences, rows, features), the rows of earlier frames."""
    before = kept.get("rows") if kept else None
    found = [layer.slide(x[first:end], None if before is None else before[n])
             for n, (first, end) in enumerate(zip(begins[:-1], begins[1:], strict=True))]
    if kept is not None:
        kept["rows"] = np.stack([rows for _, rows in found])
    return np.concatenate([histories for histories, _ in found])


def _turns(begins: np.ndarray, stateful: bool) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Samples that are computed together, turn after turn, and whose sequences they continue.

    Turn n holds the n-th sample of every sequence that has so many. None instead of the sequences
    where every sample is one of its own.
    """
    if not stateful:
        return [(np.arange(begins[-1]), None)]
    lengths = np.diff(begins)
    alive = [np.flatnonzero(lengths > n) for n in range(lengths.max())]
    return [(begins[:-1][sequences] + n, sequences) for n, sequences in enumerate(alive)]


def run(qnet: QuantizedNetwork, x_float) -> np.ndarray:
    """Floats (samples, *input_shape) in, floats out: quantise, :func:`golden`, scale."""
    x_float = np.asarray(x_float)
    if x_float.dtype.kind not in "fiu" or not np.isfinite(x_float).all():
        raise UserError("the input must hold finite real numbers, not "
                        f"{x_float.dtype} with NaN, infinities or other types: clean it")
    return qnet.to_float(golden(qnet, qnet.quantize(x_float)))


class _Counter:
    """A ``clip`` that counts the clamped values of each tensor."""

    def __init__(self):
        self.counts: dict[str, dict[str, int]] = {}

    def __call__(self, tensor: str, v: np.ndarray, bits: int) -> np.ndarray:
        result = saturate(v, bits)
        entry = self.counts.setdefault(tensor, {"count": 0, "total": 0})
        entry["count"] += int(np.count_nonzero(result != v))
        entry["total"] += v.size
        return result


def _checked(qnet: QuantizedNetwork, x_int) -> np.ndarray:
    x = np.asarray(x_int)
    wanted = "(samples, " + ", ".join(map(str, qnet.input_shape)) + ")"
    if x.dtype.kind not in "iu":
        raise UserError(f"the raw input must hold integers, not {x.dtype}: give floats without raw")
    if x.ndim != len(qnet.input_shape) + 1 or x.shape[1:] != tuple(qnet.input_shape) or not len(x):
        raise UserError(f"the input must have the shape {wanted} with at least one sample, "
                        f"not {x.shape}")
    several = len(qnet.input_shapes) > 1
    for n, (part, form) in enumerate(zip(split(x, qnet.input_shapes), qnet.input_formats,
                                         strict=True)):
        if int(part.min()) < form.lo or int(part.max()) > form.hi:
            which = f"raw input {n}" if several else "raw input"
            raise UserError(f"the {which} must lie in {form.lo}..{form.hi} ({form}), but it spans "
                            f"{int(part.min())}..{int(part.max())}: scale or clip it")
    return x.astype(np.int64)
