"""The element-wise part of a step of a recurrent layer, in NumPy int64 (``docs/numbers.md``).

Arrays have any shape that ends in units; ``clip(tensor, v, bits)`` saturates and counts.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.quantized import QGru, QLstm, Table
from gatefold.sim.scalars import Clip, gated, round_shift, saturated, squashed

__all__ = ["blocks", "flat", "gru_cell", "gru_gates", "gru_reset", "gru_state", "lstm_cell",
           "lstm_step"]


def flat(activation: str) -> bool:
    """Whether an activation is flat where its argument saturates: nothing is lost by it."""
    return activation in ("tanh", "hard_tanh")


def blocks(acc: np.ndarray, count: int) -> list[np.ndarray]:
    """The row blocks of accumulators (..., count * units), each (..., units)."""
    return np.split(acc, count, axis=-1)


def lstm_step(layer: QLstm, table: Table, acc: np.ndarray, c: np.ndarray,
              rest: np.ndarray | int = 0, clip: Clip = saturated) -> dict[str, np.ndarray]:
    """All tensors of a step, of accumulators (..., 4 units), the previous c and the ``rest`` that
    the rounding of the previous h left, or 0; with the new rest."""
    found = {}
    sums = dict(zip("ifgo", blocks(acc, 4), strict=True))
    for name, z in sums.items():
        if name == "o":
            found["c"] = lstm_state(layer, table, found["i"], found["f"], found["g"], c, clip)
        if name == "g":
            found["u_g"], found["g"] = squashed(
                layer.activation, table, layer.g, z, layer.acc_frac, clip,
                "u" if flat(layer.activation) else "g", layer.candidate_limit(table))
        else:
            z = _with_peephole(layer, z, "ifo".index(name), found.get("c", c))
            found[f"u_{name}"], found[name] = gated(layer.recurrent_activation, table, z,
                                                    layer.gate_frac, clip, layer.gate_limit(table))
    found["h"], found["rest"] = lstm_result(layer, table, found["o"], found["c"], rest, clip)
    return {f"acc_{name}": z for name, z in sums.items()} | found


def _with_peephole(layer: QLstm, z: np.ndarray, gate: int, c: np.ndarray) -> np.ndarray:
    """The accumulator of a gate, 0..2 for i, f, o, and what its peephole adds; ``gate_frac``
    fractional bits."""
    if layer.w_p is None:
        return z
    up_z, up_p = layer.peephole_ups
    return (z << up_z) + ((np.split(layer.w_p, 3)[gate] * c) << up_p)


def lstm_cell(layer: QLstm, table: Table, gates, c: np.ndarray,
              clip: Clip = saturated) -> tuple[np.ndarray, np.ndarray]:
    """(c, h) of the gates' values i, f, g, o and the previous c, without a remainder."""
    i, f, g, o = gates
    c = lstm_state(layer, table, i, f, g, c, clip)
    return c, lstm_result(layer, table, o, c, clip=clip)[0]


def lstm_state(layer: QLstm, table: Table, i: np.ndarray, f: np.ndarray, g: np.ndarray,
               c: np.ndarray, clip: Clip = saturated) -> np.ndarray:
    """The new c."""
    one = table.out_frac + 1
    fc_frac, ig_frac = one + layer.c.frac, one + layer.g.frac
    frac = max(fc_frac, ig_frac)
    total = ((f * c) << (frac - fc_frac)) + ((i * g) << (frac - ig_frac))
    return clip("c", round_shift(total, frac - layer.c.frac), layer.c.width)


def lstm_result(layer: QLstm, table: Table, o: np.ndarray, c: np.ndarray,
                rest: np.ndarray | int = 0,
                clip: Clip = saturated) -> tuple[np.ndarray, np.ndarray]:
    """(h, rest) of the gate o, the new c and the rest of the previous h."""
    quiet = saturated if flat(layer.activation) else clip  # not worth a count
    tc = squashed(layer.activation, table, layer.tc, c, layer.c.frac, quiet, "tc")[1]
    shift = layer.h_shift(table)
    exact = o * tc + rest
    h = round_shift(exact, shift)
    return clip("h", h, layer.h.width), exact - (h << shift) if shift > 0 else np.zeros_like(h)


def gru_gates(layer: QGru, table: Table, acc: np.ndarray,
              clip: Clip = saturated) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Arguments u and values of r, z of accumulators (..., 2 units)."""
    pairs = [gated(layer.recurrent_activation, table, block, layer.acc_frac, clip,
                   layer.gate_limit(table))
             for block in blocks(acc, 2)]
    return [u for u, _ in pairs], [v for _, v in pairs]


def gru_reset(layer: QGru, table: Table, r: np.ndarray, s: np.ndarray,
              clip: Clip = saturated) -> np.ndarray:
    """q = r * s in the format of h: without reset_after, the operand of n's rows."""
    shift = table.out_frac + 1 + layer.c.frac - layer.h.frac
    return clip("q", round_shift(r * s, shift), layer.h.width)


def gru_state(layer: QGru, table: Table, z: np.ndarray, n: np.ndarray, s: np.ndarray,
              clip: Clip = saturated) -> tuple[np.ndarray, np.ndarray]:
    """(s, h) of the gate z, the candidate n and the previous state s."""
    one = table.out_frac + 1
    fine = max(layer.c.frac, layer.n.frac)
    up_s, up_n = fine - layer.c.frac, fine - layer.n.frac
    total = (n << (up_n + one)) + z * ((s << up_s) - (n << up_n))
    s = clip("c", round_shift(total, fine + one - layer.c.frac), layer.c.width)
    return s, clip("h", round_shift(s, layer.c.frac - layer.h.frac), layer.h.width)


def gru_cell(layer: QGru, table: Table, r: np.ndarray, a: np.ndarray, inner: np.ndarray,
             clip: Clip = saturated) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(m, u, n) with reset_after: m of ``inner``, the accumulator of w_hh h + b_n, and the
    candidate of ``a`` + r m, both accumulators with ``acc_frac`` fractional bits."""
    m = clip("m", round_shift(inner, layer.acc_frac - layer.m.frac), layer.m.width)
    product = table.out_frac + 1 + layer.m.frac
    frac = max(layer.acc_frac, product)
    total = (a << (frac - layer.acc_frac)) + ((r * m) << (frac - product))
    u, n = squashed(layer.activation, table, layer.n, total, frac, clip,
                    "u" if flat(layer.activation) else "n", layer.candidate_limit(table))
    return m, u, n
