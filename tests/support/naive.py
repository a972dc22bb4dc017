"""docs/numbers.md once more, in loops over Python integers: the reference for golden.

Slow, sample by sample, element by element, and written from the page alone; only the views, which
move elements and compute nothing, are the product's own.
"""

import math
from typing import Any

import numpy as np

from gatefold.gen.network.layer import CURVES
from gatefold.gen.numbers.quantized import (
    ABSENT,
    QCellState,
    QDense,
    QGru,
    QLstm,
    QMaxPool,
    QMultiply,
    QRnn,
    QuantizedNetwork,
    QView,
)
from gatefold.gen.numbers.tables import curve_table


def rnd(v, s):
    return (v + 2 ** (s - 1)) // 2**s if s > 0 else v * 2**-s


def sat(v, n):
    return max(-(2 ** (n - 1)), min(2 ** (n - 1) - 1, v))


def t_of(table, m):
    """t of a magnitude, read out of the table bit by bit."""
    bits = format(m, f"0{table.frac + 3}b")
    high, low = bits[:table.n0], bits[table.n0 + table.n1:]
    t = int(table.t0[int(bits[:table.n0 + table.n1], 2)])
    if low:
        plus, rest = low[0] == "1", low[1:]
        if not plus:
            rest = "".join("10"[int(bit)] for bit in rest)
        odd = int(table.t1[int(high + rest, 2)])
        t += odd if plus else -odd
    return t


def limited(u, clip, frac):
    """u with ``frac`` fractional bits, its magnitude at most that of a clip."""
    if not clip:
        return u
    most = rnd(clip, 16 - frac)
    return max(-most, min(most, u))


def activation(kind, table, acc, frac, f_result, clip=0, halved=0):
    """Sign times t."""
    if kind == "tanh":
        u = limited(sat(rnd(acc, frac - table.frac), table.frac + 4), clip, table.frac - halved)
        t = t_of(table, min(abs(u), 2 ** (table.frac + 3) - 1))
        return t if u >= 0 else -t
    v = limited(sat(rnd(acc, frac - f_result), table.out_frac + 1), clip, f_result - halved)
    t = min(abs(v), 2**table.out_frac - 1)
    if kind == "relu" and v < 0:
        t = 0
    return t if v >= 0 else -t


def gate(kind, table, acc, frac, clip=0):
    """Of half the sum: the same integer has one fractional bit less as the sum."""
    inner, f = ("tanh", 0) if kind == "sigmoid" else ("linear", table.out_frac)
    return 2**table.out_frac + activation(inner, table, acc, frac + 1, f, clip, 1)


def curve(kind, table, acc, frac):
    """base +- t of an activation with a table of its own."""
    divided, sign, base = {"erf": (0, "odd", 0), "softsign": (0, "odd", 0),
                           "softsign_tail": (4, "odd", 0), "expm1": (1, "left", 0),
                           "log1pexp": (1, "even", math.log(2))}[kind]
    u = sat(rnd(acc, frac + divided - table.frac), table.frac + 4)
    t = t_of(curve_table(kind, table), min(abs(u), 2 ** (table.frac + 3) - 1))
    base = math.floor(base * 2**table.out_frac + 0.5)
    if sign == "even":
        return base - t
    if sign == "left":
        return base - t if u < 0 else base
    return base + t if u >= 0 else base - t


def finish(kind, table, acc, frac, y):
    if kind in CURVES:
        return sat(rnd(curve(kind, table, acc, frac), table.out_frac - y.frac), y.width)
    if kind == "sigmoid":
        return sat(rnd(gate("sigmoid", table, acc, frac), table.out_frac + 1 - y.frac), y.width)
    if kind == "tanh":
        t = activation("tanh", table, acc, frac, 0)
        return sat(rnd(t, table.out_frac - y.frac), y.width)
    v = sat(rnd(acc, frac - y.frac), y.width)
    if kind in ("hard_tanh", "hard_sigmoid"):
        most = 2**y.frac if y.frac >= 0 else 0
        v = max(-most, min(most, v))
    return max(0, v) if kind in ("relu", "hard_sigmoid") else v


def scales(layer):
    return [0] * len(layer.b) if layer.scales is None else layer.scales.tolist()


def dot(row, x):
    return sum(int(w) * v for w, v in zip(row, x, strict=True))


class Naive:
    """A network with its states; call it with one sample after the other."""

    def __init__(self, qnet: QuantizedNetwork):
        self.qnet, self.table, self.t = qnet, qnet.table, qnet.table.out_frac
        self.fracs, self.left = qnet.fracs, {}

    def __call__(self, sample: np.ndarray) -> np.ndarray:
        """Output integers, flat, of a sample's integers."""
        values, at = [], 0
        flat = sample.ravel().tolist()
        for shape in self.qnet.input_shapes:
            size = int(np.prod(shape))
            values.append(np.array(flat[at:at + size], object).reshape(shape))
            at += size
        self.cells: dict[int, list[int]] = {}
        for n, layer in enumerate(self.qnet.layers):
            read = [values[value] for value in layer.inputs]
            if isinstance(layer, QView):
                values.append(layer.view.arrange(*(v[None] for v in read))[0])
                continue
            up = [self.fracs[value] for value in layer.inputs]
            found = self.layer(layer, read, up, self.qnet.value(n))
            values.append(np.array(found, object))
        return np.concatenate([values[value].ravel() for value in self.qnet.outputs])

    def layer(self, layer: Any, read, fracs, value):
        if isinstance(layer, (QLstm, QGru, QRnn)):
            every = self.recurrent(layer, self.align(layer.x, read[0], fracs[0]), read[1:], value)
            return every if layer.return_sequences else every[-1]
        if isinstance(layer, QDense):
            x = self.align(layer.x, read[0], fracs[0])
            if layer.window:
                zeros = [0] * x.shape[1]
                return [self.dense(layer, [v for step in window for v in (step or zeros)])
                        for window in self.windows(layer.window, x)]
            rows = x.reshape(-1, x.shape[-1]).tolist()
            y = [self.dense(layer, row) for row in rows]
            return np.array(y, object).reshape(*x.shape[:-1], -1)
        if isinstance(layer, QMaxPool):
            x = self.align(layer.x, read[0], fracs[0])
            return [[sat(rnd(max(column), layer.x.frac - layer.y.frac), layer.y.width)
                     for column in zip(*(step for step in window if step), strict=True)]
                    for window in self.windows(layer.window, x)]
        if isinstance(layer, QMultiply):
            shift = layer.a.frac + layer.b.frac - layer.y.frac
            a, b = read
            return [sat(rnd(int(p) * int(q), shift), layer.y.width)
                    for p, q in zip(a.ravel(), b.ravel(), strict=True)] if a.ndim == 1 else \
                [[sat(rnd(p * q, shift), layer.y.width) for p, q in zip(r, s, strict=True)]
                 for r, s in zip(a.tolist(), b.tolist(), strict=True)]
        assert isinstance(layer, QCellState)
        return [sat(rnd(c, layer.c.frac - layer.y.frac), layer.y.width)
                for c in self.cells[layer.inputs[0]]]

    def align(self, x, values, fracs):
        return np.array([v if f == ABSENT else v * 2 ** (x.frac - int(f))
                         for v, f in zip(values.ravel(), fracs.ravel(), strict=True)],
                        object).reshape(values.shape)

    def windows(self, window, x):
        """Lists of taps: a step's elements, or None where it is padding."""
        steps = x.tolist()
        first = -window.left
        while first + (window.size - 1) * window.dilation < len(steps) + window.right:
            taps = [first + k * window.dilation for k in range(window.size)]
            yield [steps[t] if 0 <= t < len(steps) else None for t in taps]
            first += window.stride

    def dense(self, layer, x):
        return [finish(layer.activation, self.table, rnd(int(b) + dot(row, x), e), layer.acc_frac,
                       layer.y)
                for row, b, e in zip(layer.w, layer.b, scales(layer), strict=True)]

    def recurrent(self, layer, x, initial, value):
        u, zero = layer.units, [0] * layer.units
        first_up = layer.align_hh
        gru = isinstance(layer, QGru)
        h = zero if layer.h0 is None else layer.h0.tolist()
        c = zero if gru or getattr(layer, "c0", None) is None else layer.c0.tolist()
        if gru:
            c = h
            h = [sat(rnd(s, layer.c.frac - layer.h.frac), layer.h.width) for s in c]
        if initial:
            h = initial[0].tolist()
            first_up = layer.acc_frac - layer.w_hh_format.frac - layer.h_in.frac
            if not isinstance(layer, QRnn):
                form = layer.h_in if gru else layer.c_in
                c = [sat(rnd(v, form.frac - layer.c.frac), layer.c.width) for v in initial[-1]]
        if layer.stateful:
            h, c = self.left.get(value, (h, c))
        every, rests = [], [0] * u
        for t, step in enumerate(x.tolist()):
            up = first_up if t == 0 else layer.align_hh
            ih = [dot(row, step) * 2**layer.align_ih for row in layer.w_ih]
            met = h
            if getattr(layer, "w_hr", None) is not None:
                shift = layer.w_hr_format.frac + layer.h.frac - layer.hr.frac
                met = [sat(rnd(dot(row, h), shift), layer.hr.width) for row in layer.w_hr]
            hh = [dot(row, met) * 2**up for row in layer.w_hh]
            if isinstance(layer, QLstm):
                if not 0 < t < layer.carries:
                    rests = [0] * u
                h, c, rests = self.lstm(layer, ih, hh, c, rests)
            elif gru:
                h, c = self.gru(layer, ih, hh, c)
            else:
                h = [finish(layer.activation, self.table, rnd(int(b) + p + q, e), layer.acc_frac,
                            layer.h)
                     for b, p, q, e in zip(layer.b, ih, hh, scales(layer), strict=True)]
            every.append(h)
        assert len(h) == u
        self.left[value] = h, c
        self.cells[value] = c
        return every

    def lstm(self, layer, ih, hh, c, rests):
        u, t, kind = layer.units, self.t, layer.recurrent_activation
        acc = [rnd(int(b) + p + q, e)
               for b, p, q, e in zip(layer.b, ih, hh, scales(layer), strict=True)]
        new_h, new_c, new_rests = [], [], []
        for n in range(u):
            def gated(z, peephole, c, n=n):
                frac = layer.acc_frac
                if layer.w_p is not None:  # aligned with the finer of the two
                    weight, fine = int(layer.w_p[peephole * u + n]), layer.w_p_format.frac
                    product = fine + layer.c.frac
                    frac = max(layer.acc_frac, product)
                    z = z * 2 ** (frac - layer.acc_frac) + weight * c * 2 ** (frac - product)
                return gate(kind, self.table, z, frac, layer.z_clip)

            i, f = (gated(acc[n + k * u], k, c[n]) for k in (0, 1))
            g = activation(layer.activation, self.table, acc[n + 2 * u], layer.acc_frac,
                           layer.g.frac, layer.z_clip)
            m = max(t + 1 + layer.c.frac, t + 1 + layer.g.frac)
            total = (f * c[n] * 2 ** (m - t - 1 - layer.c.frac)
                     + i * g * 2 ** (m - t - 1 - layer.g.frac))
            new_c.append(sat(rnd(total, m - layer.c.frac), layer.c.width))
            o = gated(acc[n + 3 * u], 2, new_c[-1])
            tc = activation(layer.activation, self.table, new_c[-1], layer.c.frac, layer.tc.frac)
            s = t + 1 + layer.tc.frac - layer.h.frac
            v = o * tc + rests[n]
            new_h.append(sat(rnd(v, s), layer.h.width))
            new_rests.append(v - rnd(v, s) * 2**max(s, 0))
        return new_h, new_c, new_rests

    def gru(self, layer, ih, hh, s):
        u, t, kind = layer.units, self.t, layer.recurrent_activation
        e = scales(layer)
        r, z = ([gate(kind, self.table, rnd(int(layer.b[n]) + ih[n] + hh[n], e[n]), layer.acc_frac,
                      layer.z_clip) for n in range(k * u, k * u + u)] for k in (0, 1))
        a = [int(layer.b[n]) + ih[n] for n in range(2 * u, 3 * u)]
        e = e[2 * u:]
        if layer.reset_after:
            a = [rnd(v, by) for v, by in zip(a, e, strict=True)]
            m = [sat(rnd(rnd(int(layer.b_n[n]) + hh[2 * u + n], e[n]),
                         layer.acc_frac - layer.m.frac), layer.m.width) for n in range(u)]
            k = max(layer.acc_frac, t + 1 + layer.m.frac)
            total = [a[n] * 2 ** (k - layer.acc_frac)
                     + r[n] * m[n] * 2 ** (k - t - 1 - layer.m.frac) for n in range(u)]
        else:
            q = [sat(rnd(r[n] * s[n], t + 1 + layer.c.frac - layer.h.frac), layer.h.width)
                 for n in range(u)]
            k = layer.acc_frac
            total = [rnd(a[n] + dot(layer.w_hh[2 * u + n], q) * 2**layer.align_hh, e[n])
                     for n in range(u)]
        new_s = []
        for n in range(u):
            v = activation(layer.activation, self.table, total[n], k, layer.n.frac, layer.z_clip)
            d = max(layer.c.frac, layer.n.frac)
            up_s, up_n = s[n] * 2 ** (d - layer.c.frac), v * 2 ** (d - layer.n.frac)
            new_s.append(sat(rnd(up_n * 2 ** (t + 1) + z[n] * (up_s - up_n),
                                 d + t + 1 - layer.c.frac), layer.c.width))
        return [sat(rnd(v, layer.c.frac - layer.h.frac), layer.h.width) for v in new_s], new_s
