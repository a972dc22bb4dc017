"""The finishing lanes in scalar Python, from docs/numbers.md; and kinds with random formats.

Everything is an integer without width. The model has no stages: a beat yields an element and leaves
a state.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from gatefold.gen.numbers.quantized import Table
from gatefold.gen.numbers.tables import tanh_table
from gatefold.hdl.config import TableConfig
from gatefold.hdl.kinds import (
    AsideKind,
    DenseKind,
    EmitKind,
    Gate,
    GruKind,
    LoadKind,
    LstmKind,
    MergeKind,
    PeepholeKind,
    ResetKind,
    Squash,
)


def rounded(v: int, shift: int) -> int:
    return (v + (1 << (shift - 1))) >> shift if shift > 0 else v << -shift


def saturated(v: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min(v, (1 << (bits - 1)) - 1))


class LaneModel:
    """One lane of every type; the states of its units by cell."""

    def __init__(self, table: Table):
        self.table, self.t_bits = table, table.out_frac
        self.c: dict[int, int] = {}
        self.s: dict[int, int] = {}
        self.rest: dict[int, int] = {}  # by cell, what the rounding of h left, modulo its step
        self.aside: dict[tuple[str, int], int] = {}
        self.peepholes: dict[int, tuple[int, int, int]] = {}

    def finish(self, kind: Any, z, *, cell: int = 0, fresh: bool = False):
        """The element that a beat yields (None of a load), and the state beside it (or None).

        ``z``: accumulators of four rows with their rounding constants in, of which the kind takes
        the first.
        """
        acc = [int(row) - constant for row, constant in zip(z, kind.constants, strict=False)]
        one = 1 << self.t_bits
        if isinstance(kind, LoadKind):
            state = self.s if kind.gru else self.c
            state[cell] = saturated(rounded(acc[0], kind.shift), kind.cell_width)
            self.rest[cell] = 0
            return None, state[cell]
        c = 0 if fresh else self.c.get(cell, 0)
        s = 0 if fresh else self.s.get(cell, 0)
        if isinstance(kind, EmitKind):
            return saturated(rounded(c, kind.shift), kind.h_width), None
        if isinstance(kind, PeepholeKind):
            self.peepholes[cell] = acc[0], acc[1], acc[3]
            return None, None
        if isinstance(kind, LstmKind):
            weights = self.peepholes.get(cell, (0, 0, 0))

            def met(z: int, weight: int, c: int) -> int:
                if kind.peepholes is None:
                    return z
                up_z, up_p = kind.peepholes
                return (z << up_z) + ((weight * c) << up_p)

            i, f = (self.gate(kind.gate, met(acc[row], weights[row], c)) for row in (0, 1))
            g = self.squash(kind.candidate, acc[2])
            c = saturated(rounded(((f * c) << kind.up_f) + ((i * g) << kind.up_g), kind.cell),
                          kind.cell_width)
            self.c[cell] = c
            o = self.gate(kind.gate, met(acc[3], weights[2], c))
            half, bits = 1 << kind.h >> 1, (1 << kind.h) - 1
            rest = self.rest.get(cell, 0) if kind.carries and not fresh else 0
            exact = o * self.squash(kind.out, c) + (rest & bits ^ half)
            self.rest[cell] = exact & bits ^ half
            return saturated(exact >> kind.h, kind.h_width), c
        if isinstance(kind, AsideKind):
            self.aside[kind.row, cell] = self.gate(kind.gate, acc[0]) if kind.gate else acc[0]
            return None, None
        if isinstance(kind, ResetKind):
            return saturated(rounded(self.gate(kind.gate, acc[0]) * s, kind.q), kind.h_width), None
        if isinstance(kind, GruKind):
            if kind.aside:
                # Before anything is set aside, the lane's memories hold zeros: t = 0 of r.
                z_gate, a, r = (self.aside.get((name, cell), nothing)
                                for name, nothing in (("z", 0), ("a", 0), ("r", one)))
            else:
                z_gate, r = (self.gate(kind.gate, acc[row]) for row in (0, -2))
                a = acc[1]
            total = a << kind.up_a
            if kind.m is not None:
                m = saturated(rounded(acc[-1], kind.m), kind.cell_width)
                total += (r * m) << kind.up_m
            n = self.squash(kind.candidate, total)
            s = saturated(rounded(
                (n << (kind.up_n + self.t_bits + 1))
                + z_gate * ((s << kind.up_s) - (n << kind.up_n)), kind.state), kind.cell_width)
            self.s[cell] = s
            return saturated(rounded(s, kind.h), kind.h_width), s
        if isinstance(kind, MergeKind):
            if kind.function == "max":
                value = max(acc)
            else:
                value = (acc[0] >> kind.shifts[0]) * (acc[1] >> kind.shifts[1])
            return saturated(rounded(value, kind.shift), kind.h_width), None
        assert isinstance(kind, DenseKind)
        if kind.activation in ("linear", "relu"):
            y = saturated(rounded(acc[0], kind.shift), kind.h_width)
            if kind.limit is not None:
                y = max(-kind.limit, min(kind.limit, y))
            return max(0, y) if kind.activation == "relu" else y, None
        y = self.squash(Squash(kind.shift), acc[0])
        y += one if kind.activation == "sigmoid" else 0
        return saturated(rounded(y, kind.out), kind.h_width), None

    def gate(self, gate: Gate, acc: int) -> int:
        return (1 << self.t_bits) + self.squash(
            Squash(gate.shift, "linear" if gate.direct else "tanh"), acc)

    def squash(self, squash: Squash, acc: int) -> int:
        if squash.function == "tanh":
            u = saturated(rounded(acc, squash.shift), self.table.width)
            t = self.tanh(min(abs(u), (1 << (self.table.frac + 3)) - 1))
            return -t if u < 0 else t
        v = saturated(rounded(acc, squash.shift), self.t_bits + 1)
        t = min(abs(v), (1 << self.t_bits) - 1)
        if v < 0:
            return 0 if squash.function == "relu" else -t
        return t

    def tanh(self, m: int) -> int:
        table = self.table
        base = int(table.t0[m >> table.n2])
        if not table.n2:
            return base
        low = m & ((1 << table.n2) - 1)
        above = low >> (table.n2 - 1)
        index = (low if above else ~low) & ((1 << (table.n2 - 1)) - 1)
        odd = int(table.t1[(m >> (table.n1 + table.n2) << (table.n2 - 1)) + index])
        return base + odd if above else base - odd


# ---- tables and kinds ----------------------------------------------------------------------------


def table_of(t_bits: int) -> Table:
    frac, n0, n1, n2 = ((8, 11, 0, 0) if t_bits <= 9 else (12, 7, 4, 4) if t_bits <= 14 else
                        (14, 6, 5, 6))
    return tanh_table(frac=frac, n0=n0, n1=n1, n2=n2, out_frac=t_bits)


def table_config(table: Table) -> TableConfig:
    return TableConfig(table.frac, table.n0, table.n1, table.n2, table.out_frac,
                       max(1, int(max(table.t1, default=0)).bit_length()))


def table_images(table: Table) -> dict[str, list[int]]:
    return {"tanh_t0": table.t0.tolist(), "tanh_t1": table.t1.tolist()}


class KindMaker:
    """Kinds with random formats, their shifts by docs/numbers.md."""

    def __init__(self, rng: np.random.Generator, table: Table, act: int, cell: int, acc_width: int):
        self.rng, self.t_bits, self.fu = rng, table.out_frac, table.frac
        self.act, self.cell = act, cell
        self.acc_frac = acc_width - 6 - int(rng.integers(4))
        self.fc = cell - int(rng.integers(1, 6))
        self.fh = act - int(rng.integers(1, 4))
        self.h_width = act - int(rng.integers(2)) if act > 4 else act
        self.cell_width = cell - int(rng.integers(2)) if cell > 4 else cell

    def gate(self, function: str) -> Gate:
        if function == "hard_sigmoid":
            return Gate(self.acc_frac + 1 - self.t_bits, direct=True)
        return Gate(self.acc_frac + 1 - self.fu)

    def squash(self, function: str, frac: int) -> tuple[Squash, int]:
        """Of something with ``frac`` fractional bits, and the result's fractional bits."""
        if function == "tanh":
            return Squash(frac - self.fu), self.t_bits
        fv = self.t_bits - int(self.rng.integers(4))
        return Squash(frac - fv, function), fv

    def lstm(self, gate: str = "sigmoid", activation: str = "tanh",
             peepholes: bool = False) -> LstmKind:
        t, fc = self.t_bits, self.fc
        candidate, fg = self.squash(activation, self.acc_frac)
        out, ftc = self.squash(activation, fc)
        common = max(t + 1 + fc, t + 1 + fg)
        ups, gate_kind = None, self.gate(gate)
        if peepholes:
            product = fc + int(self.rng.integers(1, 16))
            fine = max(self.acc_frac, product)
            ups = fine - self.acc_frac, fine - product
            gate_kind = replace(gate_kind, shift=gate_kind.shift + ups[0])
        return LstmKind(
            gate=gate_kind, candidate=candidate, up_f=common - (t + 1 + fc),
            up_g=common - (t + 1 + fg), cell=common - fc, out=out, h=t + 1 + ftc - self.fh,
            cell_width=self.cell_width, h_width=self.h_width, peepholes=ups)

    def gru(self, gate: str = "sigmoid", activation: str = "tanh",
            reset_after: bool = True) -> GruKind:
        t, fc = self.t_bits, self.fc
        fm = self.cell - int(self.rng.integers(1, 5))
        common = max(self.acc_frac, t + 1 + fm) if reset_after else self.acc_frac
        candidate, fn = self.squash(activation, common)
        d = max(fc, fn)
        return GruKind(
            gate=self.gate(gate), m=self.acc_frac - fm if reset_after else None,
            up_a=common - self.acc_frac,
            up_m=common - (t + 1 + fm) if reset_after else 0, candidate=candidate, up_s=d - fc,
            up_n=d - fn, state=d + t + 1 - fc, h=fc - self.fh, cell_width=self.cell_width,
            h_width=self.h_width)

    def aside(self, gate: str = "sigmoid", resets: bool = False) -> AsideKind:
        return AsideKind(self.gate(gate) if gate else None, resets)

    def reset(self, gate: str = "sigmoid") -> ResetKind:
        return ResetKind(self.gate(gate), self.t_bits + 1 + self.fc - self.fh, self.h_width)

    def load(self, *, gru: bool) -> LoadKind:
        return LoadKind(gru, self.acc_frac - self.fc, self.cell_width)

    def emit(self) -> EmitKind:
        return EmitKind(self.fc - self.fh, self.h_width)

    def largest(self) -> MergeKind:
        return MergeKind("max", (0, 0), self.acc_frac - self.fh, self.h_width)

    def product(self, shifts: tuple[int, int]) -> MergeKind:
        return MergeKind("mul", shifts, self.act, self.h_width)

    def dense(self, activation: str, limited: bool = False) -> DenseKind:
        fy = self.h_width - 1
        if activation in ("linear", "relu"):
            limit = (0, 1, 1 << self.h_width // 2, 1 << self.h_width - 2)[
                int(self.rng.integers(4))] if limited else None
            return DenseKind(activation, self.acc_frac - self.fh, 0, self.h_width, limit)
        if activation == "sigmoid":
            return DenseKind(activation, self.acc_frac + 1 - self.fu, self.t_bits + 1 - fy,
                             self.h_width)
        return DenseKind(activation, self.acc_frac - self.fu, self.t_bits - fy, self.h_width)
