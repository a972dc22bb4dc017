"""Layers with states, in integers. ``docs/numbers.md`` defines what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatefold.gen.network.layer import GATE_ACTIVATIONS
from gatefold.gen.network.recurrent import Gru, Lstm, Recurrent, Rnn
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import (
    MOST_CLIP,
    Columns,
    QMatrix,
    Tensor,
    argument,
    limit_of,
)
from gatefold.gen.numbers.tables import Table

__all__ = ["QGru", "QLstm", "QRecurrent", "QRnn"]


@dataclass(frozen=True, kw_only=True)
class QRecurrent(QMatrix):
    """The common part of QLstm, QGru and QRnn: w_ih (gates U, F), w_hh (gates U, U), b (gates U,).
    A projection (:class:`QLstm`) changes what w_hh multiplies, :attr:`recurs`.

    b has ``acc_frac`` fractional bits. ``x``, ``w_ih_format``, ``w_hh_format`` and ``h`` are the
    formats of the input, the weights and the output. ``x_align`` (F,): the largest left shift that
    brings an element of each column to x. ``h0``: constant initial h in format h, or None.
    ``h_in``: the format of an initial h that comes as an input after x, or None. ``scales`` (gates
    U,): so many fractional bits more the weights of each row have than the matrices' formats, and
    its bias more than ``acc_frac``; None, a layer without row scales. ``split``: the columns of
    w_ih that each element of the network's input has; F counts all of them.
    """

    units: int
    w_ih: np.ndarray
    w_hh: np.ndarray
    b: np.ndarray
    x: QFormat
    x_align: np.ndarray
    w_ih_format: QFormat
    w_hh_format: QFormat
    h: QFormat
    return_sequences: bool
    stateful: bool = False
    h0: np.ndarray | None = None
    h_in: QFormat | None = None
    scales: np.ndarray | None = None
    split: int = 1

    of: ClassVar[type[Recurrent]] = Recurrent
    constants = {"h0": "h"}
    operands = {1: "h_in"}

    def output_shape(self, *shapes):
        return (shapes[0][0], self.units) if self.return_sequences else (self.units,)

    def fits(self, *shapes):
        x, *states = shapes
        u, rows = self.units, self.of.gates * self.units
        constants = [getattr(self, f"{state}0", None) for state in self.of.states]
        given = [value is not None for value in constants]
        brought = [getattr(self, field) is not None for field in self.operands.values()]
        return (u >= 1 and len(x) == 2 and self.w_ih.shape == (rows, x[1])
                and self.w_hh.shape == (rows, self.recurring) and self.b.shape == (rows,)
                and self.x_align.shape == (x[1],)
                and (self.scales is None or self.scales.shape == (rows,))
                and len(states) in (0, len(self.of.states)) and all(s == (u,) for s in states)
                and all(one == bool(states) for one in brought)
                and all(v is None or v.shape == (u,) for v in constants)
                and not (self.stateful and (states or any(given)))
                and self.activation in self.of.activations)

    def elements(self, *shapes):
        return max(super().elements(*shapes), shapes[0][0] * self.units)

    @property
    def recurring(self) -> int:
        """Elements of what w_hh multiplies."""
        return self.units

    @property
    def recurs(self) -> QFormat:
        """Format of what w_hh multiplies, but of an initial h that comes as an input."""
        return self.h

    @property
    def h_frac(self) -> int:
        """Fractional bits of the finest operand that w_hh multiplies."""
        return max(self.recurs.frac, self.h_in.frac if self.h_in else self.recurs.frac)

    @property
    def acc_frac(self):
        """Fractional bits of the accumulator: the finer of the two products'."""
        return max(self.w_ih_format.frac + self.x.frac, self.w_hh_format.frac + self.h_frac)

    @property
    def align_ih(self) -> int:
        """Left shift of a product with x (in its finest format) into the accumulator."""
        return self.acc_frac - self.w_ih_format.frac - self.x.frac

    @property
    def align_hh(self) -> int:
        """Left shift of a product with w_hh into the accumulator."""
        return self.acc_frac - self.w_hh_format.frac - self.recurs.frac

    @property
    def columns(self):
        return [self._met_by_x(self.w_ih), self._met_by_h(self.w_hh)]

    def _met_by_x(self, w: np.ndarray, used: np.ndarray | None = None) -> Columns:
        return Columns(w, self.w_ih_format, self.x.lo, self.x.hi, self.x_align + self.align_ih,
                       used)

    def _met_by_h(self, w: np.ndarray, used: np.ndarray | None = None) -> Columns:
        forms = [self.recurs] + ([self.h_in] if self.h_in else [])
        ups = [self.acc_frac - self.w_hh_format.frac - form.frac for form in forms]
        lo = min(form.lo << up for form, up in zip(forms, ups, strict=True))
        hi = max(form.hi << up for form, up in zip(forms, ups, strict=True))
        common = min(ups)  # kept out of the sums, which are int64
        return Columns(w, self.w_hh_format, lo >> common, -(-hi >> common),
                       np.full(w.shape[1], common), used)


@dataclass(frozen=True, kw_only=True)
class QRnn(QRecurrent):
    """SimpleRNN; ``activation`` as :class:`QDense` has it."""

    activation: str

    of = Rnn


@dataclass(frozen=True, kw_only=True)
class _QGated(QRecurrent):
    """The common part of QLstm and QGru: ``c``, the format of the second state; ``activation`` of
    tanh, relu, linear, hard_tanh (linear with T fractional bits), ``recurrent_activation`` of
    sigmoid, hard_sigmoid; ``z_clip`` as of :class:`~.recurrent.Lstm`."""

    c: QFormat
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    z_clip: int = 0

    cells = ("c",)
    gate_names: ClassVar[str] = ""  #: a letter for each gate
    candidate: ClassVar[str] = ""  #: name of the candidate and of the field with its format

    def fits(self, *shapes):
        return (super().fits(*shapes) and self.recurrent_activation in GATE_ACTIVATIONS
                and 0 <= self.z_clip <= MOST_CLIP)

    def tensors(self, table):
        t, result = table.out_frac, getattr(self, self.candidate)
        # A gate's argument is z/2: the same integer with one fractional bit less is z.
        z = QFormat(t + 1, t - 1) if self.recurrent_activation == "hard_sigmoid" else QFormat(
            table.width, table.frac - 1)
        found = {f"z_{gate}": Tensor.of(f"u_{gate}", z) for gate in self.gate_names}
        found |= {gate: Tensor.of(gate, QFormat(t + 2, t + 1)) for gate in self.gate_names}
        found[f"z_{self.candidate}"] = Tensor.of(f"u_{self.candidate}",
                                                 argument(self.activation, table, result))
        return found | {self.candidate: Tensor.of(self.candidate, result),
                        "c": Tensor.of("c", self.c), "h": Tensor.of("h", self.h)}

    @property
    def gate_frac(self) -> int:
        """Fractional bits of what the gates' activation is applied to."""
        return self.acc_frac

    def gate_limit(self, table: Table) -> int | None:
        """The largest magnitude of a gate's argument, which is z/2; None, no limit."""
        hard = self.recurrent_activation == "hard_sigmoid"
        return limit_of(self.z_clip, (table.out_frac if hard else table.frac) - 1)

    def candidate_limit(self, table: Table) -> int | None:
        """The same of the candidate's argument."""
        result = getattr(self, self.candidate)
        return limit_of(self.z_clip, argument(self.activation, table, result).frac)

    def _gate_shift(self, table: Table) -> int:
        """The right shift of a gate's row: its activation takes z/2."""
        hard = self.recurrent_activation == "hard_sigmoid"
        return self.gate_frac + 1 - (table.out_frac if hard else table.frac)


@dataclass(frozen=True, kw_only=True)
class QLstm(_QGated):
    """LSTM, blocks i, f, g, o.

    ``c``, format of the cell state; ``g`` and ``tc``, of the activated candidate and cell state
    (T + 1 bits). ``c0``, constant initial c in format c; ``c_in``, the format of an initial c that
    comes as an input. ``w_p`` (3 U,) and ``w_p_format``: weights of peepholes, or None. ``w_hr``
    (P, U), ``w_hr_format`` and ``hr``: the projection and the format of its result, or None.
    ``carries``: in the steps before this one, h takes over the remainder that the rounding of the
    step before left; 0, in none.
    """

    g: QFormat
    tc: QFormat
    carries: int = 0
    c0: np.ndarray | None = None
    c_in: QFormat | None = None
    w_p: np.ndarray | None = None
    w_p_format: QFormat | None = None
    w_hr: np.ndarray | None = None
    w_hr_format: QFormat | None = None
    hr: QFormat | None = None

    of = Lstm
    constants = {"h0": "h", "c0": "c", "w_p": "w_p_format", "w_hr": "w_hr_format"}
    operands = {1: "h_in", 2: "c_in"}
    activated = ("g", "tc")
    gate_names, candidate = "ifo", "g"

    def fits(self, *shapes):
        return super().fits(*shapes) and (self.w_p is None) == (self.w_p_format is None) and (
            self.w_p is None or self.w_p.shape == (3 * self.units,)) and (
            (self.w_hr is None) == (self.w_hr_format is None) == (self.hr is None)) and (
            self.w_hr is None or (self.w_hr.shape[1:] == (self.units,) and len(self.w_hr) >= 1
                                  and self.h0 is None and len(shapes) == 1)) and (
            0 <= self.carries <= shapes[0][0] and not (self.stateful and self.carries))

    @property
    def recurring(self):
        return self.units if self.w_hr is None else len(self.w_hr)

    @property
    def recurs(self):
        return self.hr or self.h

    @property
    def hr_shift(self) -> int:
        """The right shift that rounds w_hr h to hr."""
        assert self.w_hr_format and self.hr
        return self.w_hr_format.frac + self.h.frac - self.hr.frac

    def tensors(self, table):
        return super().tensors(table) | ({"hr": Tensor.of("hr", self.hr)} if self.hr else {})

    @property
    def row_biases(self):
        return super().row_biases + [0] * self._projected

    @property
    def row_scales(self):
        return np.append(super().row_scales, np.zeros(self._projected, np.int64))

    @property
    def _projected(self) -> int:
        """Rows of the projection."""
        return 0 if self.w_hr is None else len(self.w_hr)

    @property
    def columns(self):
        if self.w_hr is None:
            return super().columns
        gates = np.repeat([True, False], [len(self.b), len(self.w_hr)])

        def of(w: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """The weights on these of all rows, and where they are."""
            every = np.zeros((len(gates), w.shape[1]), np.int64)
            every[rows] = w
            return every, np.broadcast_to(rows[:, None], every.shape)

        w_hr, used = of(self.w_hr, ~gates)
        assert self.w_hr_format
        return [self._met_by_x(*of(self.w_ih, gates)), self._met_by_h(*of(self.w_hh, gates)),
                Columns(w_hr, self.w_hr_format, self.h.lo, self.h.hi,
                        np.zeros(self.units, np.int64), used)]

    def h_shift(self, table: Table) -> int:
        """The right shift that rounds o * tc to h."""
        return table.out_frac + 1 + self.tc.frac - self.h.frac

    @property
    def weights(self):
        more = {"w_p": self.w_p_format, "w_hr": self.w_hr_format}
        return super().weights | {name: form for name, form in more.items() if form}

    @property
    def gate_frac(self):
        if self.w_p_format is None:
            return self.acc_frac
        return max(self.acc_frac, self.w_p_format.frac + self.c.frac)

    @property
    def peephole_ups(self) -> tuple[int, int]:
        """Left shifts that align an accumulator, and the product of a peephole, with each other."""
        assert self.w_p_format
        return (self.gate_frac - self.acc_frac,
                self.gate_frac - self.w_p_format.frac - self.c.frac)

    def result_shifts(self, table):
        # With peepholes a gate is rounded behind their products.
        gate, u = self._gate_shift(table) if self.w_p is None else 0, self.units
        candidate = self.acc_frac - argument(self.activation, table, self.g).frac
        return [gate] * 2 * u + [candidate] * u + [gate] * u + (
            [] if self.w_hr is None else [self.hr_shift] * len(self.w_hr))

    def passed(self, fracs):
        found = [(self.c_in, self.c.frac, 0)] if self.c_in else []
        # A constant state is loaded as a bias in the state's own format.
        found += [(self.c, self.c.frac, 0)] if self.c0 is not None else []
        return found + ([(self.w_p_format, self.w_p_format.frac, 0)] if self.w_p_format else [])

    def widest(self, table, acc_bits):
        gate, apart = table.out_frac + 2, self.g.frac - self.c.frac
        total = acc_bits
        if self.w_p_format:
            up_z, up_p = self.peephole_ups
            total = max(acc_bits + up_z, self.w_p_format.width + self.c.width + up_p) + 2
        projected = acc_bits + max(0, -self.hr_shift) if self.hr else 0
        return max(super().widest(table, acc_bits), total + max(0, -self._gate_shift(table)),
                   projected,
                   gate + self.c.width + max(0, apart) + 1,
                   gate + self.g.width + max(0, -apart) + 1,
                   self.c.width + max(0, argument(self.activation, table, self.tc).frac
                                      - self.c.frac),
                   gate + self.tc.width + max(0, self.h.frac - gate + 1 - self.tc.frac))


@dataclass(frozen=True, kw_only=True)
class QGru(_QGated):
    """GRU, blocks r, z, n; ``b_n`` (U,) with ``acc_frac`` fractional bits.

    ``c``, format of the state s behind h; ``m``, of the recurrent part of the candidate
    (reset_after); ``n``, of the candidate (T + 1 bits). ``h0`` is in format c, and the initial h
    is rounded from it; ``h_in`` is the input's format.
    """

    m: QFormat
    n: QFormat
    b_n: np.ndarray
    reset_after: bool

    of = Gru
    constants = {"h0": "c"}
    cells = ("c", "m")
    activated = ("n",)
    gate_names, candidate = "rz", "n"

    def fits(self, *shapes):
        return super().fits(*shapes) and self.b_n.shape == (self.units,)

    def tensors(self, table):
        return super().tensors(table) | ({"m": Tensor.of("m", self.m)} if self.reset_after
                                         else {"q": Tensor.of("q", self.h)})

    @property
    def row_biases(self):
        return super().row_biases if self.reset_after else self.b.tolist()

    @property
    def row_scales(self):
        scales = super().row_scales  # m's rows have those of n's
        return np.append(scales, scales[2 * self.units:]) if self.reset_after else scales

    def result_shifts(self, table):
        u = self.units
        inner = [self.acc_frac - self.m.frac] * u if self.reset_after else []
        return [self._gate_shift(table)] * 2 * u + [0] * u + inner

    @property
    def columns(self):
        if not self.reset_after:
            return super().columns
        u, none = self.units, np.zeros_like  # a meets x alone, m meets h alone
        w_ih = np.concatenate([self.w_ih, none(self.w_ih[:u])])
        w_hh = np.concatenate([self.w_hh[:2 * u], none(self.w_hh[:u]), self.w_hh[2 * u:]])
        met_ih, met_hh = np.ones(w_ih.shape, bool), np.ones(w_hh.shape, bool)
        met_ih[3 * u:], met_hh[2 * u:3 * u] = False, False
        return [self._met_by_x(w_ih, met_ih), self._met_by_h(w_hh, met_hh)]

    def passed(self, fracs):
        found = [(self.h_in, self.c.frac, 0)] if self.h_in else []
        return found + ([(self.c, self.c.frac, 0)] if self.h0 is not None else [])

    def widest(self, table, acc_bits):
        gate, apart = table.out_frac + 2, self.n.frac - self.c.frac
        total = acc_bits
        if self.reset_after:
            ahead = self.acc_frac - (table.out_frac + 1 + self.m.frac)
            total = max(acc_bits + max(0, -ahead), gate + self.m.width + max(0, ahead)) + 1
        return max(super().widest(table, acc_bits),
                   gate + self.c.width + max(0, apart) + 2,
                   gate + self.n.width + max(0, -apart) + 2,
                   gate + self.c.width + max(0, self.h.frac - gate + 1 - self.c.frac),
                   total + max(0, argument(self.activation, table, self.n).frac - self.acc_frac))
