"""The golden model: ``docs/numbers.md`` executed in NumPy int64, vectorised over samples.

The hardware equals these functions bit for bit. There is no float here but the conversion at the
two ends of :func:`run`. The quantiser has shown that no intermediate result leaves int64.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.quantized import (
    QDense,
    QFlatten,
    QLstm,
    QRepeatVector,
    QuantizedNetwork,
    Table,
)

__all__ = ["cell", "dense", "golden", "lstm", "round_shift", "run", "saturate", "sigmoid", "tanh",
           "tanh_magnitude"]


# ---- scalar arithmetic, element by element -----------------------------------------------------


def round_shift(v, s: int) -> np.ndarray:
    """``v * 2**-s``, rounded half up: (v + 2**(s-1)) >> s; exact, ``v << -s``, for s <= 0."""
    v = np.asarray(v, dtype=np.int64)
    if s > 0:
        return (v + (1 << (s - 1))) >> s
    return v << -s


def saturate(v, bits: int) -> np.ndarray:
    """Clamp to ``bits``-bit two's complement."""
    return np.clip(np.asarray(v, dtype=np.int64), -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


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


# ---- layers ------------------------------------------------------------------------------------


def cell(layer: QLstm, table: Table, gates, c, clip=lambda _tensor, v, bits: saturate(v, bits)):
    """The element-wise part of a step: (c, h) of the gates' values and the previous c.

    Parameters: ``gates``, integers i, f, o (A + 1 fractional bits) and g (A), in the order
    i, f, g, o, each of c's shape; ``c`` in ``layer.c``. ``clip(tensor, v, bits)`` saturates.
    """
    i, f, g, o = gates
    a = table.out_frac
    fc_frac, ig_frac = a + 1 + layer.c.frac, 2 * a + 1
    frac = max(fc_frac, ig_frac)
    total = ((f * c) << (frac - fc_frac)) + ((i * g) << (frac - ig_frac))
    c = clip("c", round_shift(total, frac - layer.c.frac), layer.c.width)
    tc = tanh(table, saturate(round_shift(c, layer.c.frac - table.frac), table.width))
    h = clip("h", round_shift(o * tc, 2 * a + 1 - layer.h.frac), layer.h.width)
    return c, h


def lstm(layer: QLstm, table: Table, x: np.ndarray, trace: dict | None = None) -> np.ndarray:
    """LSTM from zero state: (samples, timesteps, features) to h of every step or of the last.

    ``trace`` receives ``u_i u_f u_g u_o`` (table arguments), ``i f g o`` (gate values), ``c`` and
    ``h``, each (samples, timesteps, units), and ``saturations``.
    """
    samples, steps, _ = x.shape
    units = layer.units
    clip = _Clip(trace)
    c = h = np.zeros((samples, units), dtype=np.int64)
    every = np.empty((samples, steps, units), dtype=np.int64)
    if trace is not None:
        for name in ("u_i", "u_f", "u_g", "u_o", "i", "f", "g", "o", "c"):
            trace[name] = np.empty_like(every)
        trace["h"] = every
    half_argument = (1, 1, 0, 1)  # i, f, o look z/2 up, g looks z up
    functions = (sigmoid, sigmoid, tanh, sigmoid)
    for t in range(steps):
        acc = (layer.b + ((x[:, t] @ layer.w_ih.T) << layer.align_ih)
               + ((h @ layer.w_hh.T) << layer.align_hh))
        u = [clip("u", round_shift(acc[:, n * units:(n + 1) * units],
                                   layer.acc_frac + half - table.frac), table.width)
             for n, half in enumerate(half_argument)]
        gates = [function(table, v) for function, v in zip(functions, u, strict=True)]
        c, h = cell(layer, table, gates, c, clip)
        every[:, t] = h
        if trace is not None:
            for gate, argument, value in zip("ifgo", u, gates, strict=True):
                trace["u_" + gate][:, t] = argument
                trace[gate][:, t] = value
            trace["c"][:, t] = c
    return every if layer.return_sequences else h


def dense(layer: QDense, table: Table, x: np.ndarray, trace: dict | None = None) -> np.ndarray:
    """Dense on (samples, features), or on every step of (samples, timesteps, features).

    ``trace`` receives ``acc`` (the accumulators), ``y`` and ``saturations``.
    """
    clip = _Clip(trace)
    acc = layer.b + x @ layer.w.T
    a, y = table.out_frac, layer.y
    if layer.activation == "sigmoid":
        u = clip("u", round_shift(acc, layer.acc_frac + 1 - table.frac), table.width)
        value, frac = sigmoid(table, u), a + 1
    elif layer.activation == "tanh":
        u = clip("u", round_shift(acc, layer.acc_frac - table.frac), table.width)
        value, frac = tanh(table, u), a
    else:
        value, frac = acc, layer.acc_frac
    out = clip("y", round_shift(value, frac - y.frac), y.width)
    if layer.activation == "relu":
        out = np.maximum(out, 0)
    if trace is not None:
        trace["acc"], trace["y"] = acc, out
    return out


# ---- networks ----------------------------------------------------------------------------------


def golden(qnet: QuantizedNetwork, x_int, *, trace: dict | None = None) -> np.ndarray:
    """The network's output integers (``qnet.output_format``) for input integers.

    Parameters: ``x_int``, (samples, *input_shape) integers within ``qnet.input_format``;
    ``trace``, a dict that receives per LSTM and Dense layer name what :func:`lstm` and
    :func:`dense` record, and under ``"saturations"`` per layer name and tensor (``u``, ``c``,
    ``h``, ``y``) how many values were clamped: ``{"count", "total"}``.
    Raises :class:`UserError` for a wrong shape, type or range.
    """
    y = _checked(qnet, x_int)
    counts = {}
    for layer in qnet.layers:
        record = {} if trace is not None else None
        if isinstance(layer, QLstm):
            y = lstm(layer, qnet.table, y, record)
        elif isinstance(layer, QDense):
            y = dense(layer, qnet.table, y, record)
        elif isinstance(layer, QRepeatVector):
            y = np.repeat(y[:, None, :], layer.timesteps, axis=1)
        elif isinstance(layer, QFlatten):
            y = y.reshape(len(y), -1)
        else:
            raise TypeError(f"golden knows no layer {type(layer).__name__}")
        if trace is not None and record:
            counts[layer.name] = record.pop("saturations")
            trace[layer.name] = record
    if trace is not None:
        trace["saturations"] = counts
    return y


def run(qnet: QuantizedNetwork, x_float) -> np.ndarray:
    """Floats (samples, *input_shape) in, floats out: quantise, :func:`golden`, scale."""
    x_float = np.asarray(x_float)
    if x_float.dtype.kind not in "fiu" or not np.isfinite(x_float).all():
        raise UserError("the input must hold finite real numbers, not "
                        f"{x_float.dtype} with NaN, infinities or other types: clean it")
    return qnet.output_format.to_float(golden(qnet, qnet.input_format.quantize(x_float)))


class _Clip:
    """Saturate, counting per tensor what was clamped where there is a trace."""

    def __init__(self, trace: dict | None):
        self.counts = None if trace is None else trace.setdefault("saturations", {})

    def __call__(self, tensor: str, v: np.ndarray, bits: int) -> np.ndarray:
        result = saturate(v, bits)
        if self.counts is not None:
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
    lo, hi = qnet.input_format.lo, qnet.input_format.hi
    if int(x.min()) < lo or int(x.max()) > hi:
        raise UserError(f"the raw input must lie in {lo}..{hi} ({qnet.input_format}), but it "
                        f"spans {int(x.min())}..{int(x.max())}: scale or clip it")
    return x.astype(np.int64)
