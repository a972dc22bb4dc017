"""Layers of LiteRT's int8 arithmetic, in integers. ``docs/numbers.md`` (*LiteRT int8*) defines what
they compute.

All integers are *centred*: LiteRT's less a zero point, so that zero is zero, for padding and for
states as for the fixed-point layers. They have 9 bits, no fractional ones, and their scales are
only in reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.network.int8 import Int8Dense, Int8Lstm
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import Tensor
from gatefold.gen.numbers.qlayers import QDense
from gatefold.gen.numbers.qrecurrent import QRecurrent

__all__ = ["CENTRED", "QInt8Dense", "QInt8Lstm", "WEIGHTS"]

#: Formats of centred operands and results, and of weights.
CENTRED, WEIGHTS = QFormat(9, 0), QFormat(8, 0)
_GATES = "ifgo"


@dataclass(frozen=True, kw_only=True)
class QInt8Dense(QDense):
    """CONV_2D or FULLY_CONNECTED: acc = w x + b, of which an element of output n becomes
    acc * ``multiplier[n]`` * 2**-``exponent[n]``, rounded as in float32, within ``lo``..``hi``.

    ``multiplier``: the 24 bits of a float32 (outputs,); ``y_scale``: value of one of y.
    """

    multiplier: np.ndarray
    exponent: np.ndarray
    lo: int
    hi: int
    y_scale: float

    of = Int8Dense

    def fits(self, *shapes):
        return (super().fits(*shapes) and self.activation in ("linear", "relu")
                and self.multiplier.shape == self.exponent.shape == self.b.shape
                and self.multiplier.min() >= 1 << 23 and self.multiplier.max() < 1 << 24
                and self.exponent.min() >= 16 and self.exponent.max() <= 55
                and -255 <= self.lo <= self.hi <= 255)

    def tensors(self, table):
        return {"y": Tensor("y", 0, self.y, self.y_scale)}

    def result_shifts(self, table):
        return [0] * len(self.b)


@dataclass(frozen=True, kw_only=True)
class QInt8Lstm(QRecurrent):
    """UNIDIRECTIONAL_SEQUENCE_LSTM 8x8->16, gates in blocks i, f, g, o.

    The sums of x, w_ih x + b, and of h, w_hh h, are scaled apart: by ``multiplier_ih`` and
    ``shift_ih``, ``multiplier_hh`` and ``shift_hh``, (4,) each, one for each gate: 31 bits, and how
    far to the left. c has ``c.frac`` fractional bits of 16 and is clipped to -``clip``..``clip``.
    ``multiplier_h``, ``shift_h``: of o * tanh(c) to h, to which ``offset`` is added; h lies in
    ``lo``..``hi``. ``h_scale``: value of one of h.
    """

    c: QFormat
    multiplier_ih: np.ndarray
    shift_ih: np.ndarray
    multiplier_hh: np.ndarray
    shift_hh: np.ndarray
    clip: int
    multiplier_h: int
    shift_h: int
    offset: int
    lo: int
    hi: int
    h_scale: float

    activation: str = "tanh"

    of = Int8Lstm
    cells = ("c",)

    def fits(self, *shapes):
        multipliers = (self.multiplier_ih, self.multiplier_hh)
        shifts = (self.shift_ih, self.shift_hh)
        return (super().fits(*shapes) and len(shapes) == 1 and self.h0 is None
                and all(one.shape == (4,) for one in (*multipliers, *shifts))
                and all(0 <= one < 1 << 31 for m in multipliers for one in m.tolist())
                and all(-31 <= one <= 30 for s in shifts for one in s.tolist())
                and 0 <= self.multiplier_h < 1 << 31 and -31 <= self.shift_h <= 30
                and 9 <= self.c.frac <= 24 and 0 <= self.clip <= 32768
                and -255 <= self.offset <= 255 and -255 <= self.lo <= self.hi <= 255)

    def tensors(self, table):
        unit = QFormat(16, 15)
        return {**{gate: Tensor.of(gate, unit) for gate in _GATES},
                "c": Tensor.of("c", self.c), "h": Tensor("h", 0, self.h, self.h_scale)}

    def result_shifts(self, table):
        return [0] * len(self.b)
