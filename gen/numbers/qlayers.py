"""Layers without states, in integers. ``docs/numbers.md`` defines what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from gatefold.gen.network.layer import DENSE_ACTIVATIONS
from gatefold.gen.network.layers import CellState, Dense, MaxPool, Multiply, Window, Windowed
from gatefold.gen.network.views import History, View
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import (
    ABSENT,
    Columns,
    QLayer,
    QMatrix,
    alignment,
)

__all__ = ["QCellState", "QDense", "QMaxPool", "QMultiply", "QView"]

_TAPS = 1 << 24  # most taps of all windows of a pool together


@dataclass(frozen=True, kw_only=True)
class QView(QLayer):
    """A view: the same elements in another order."""

    view: View

    of = View
    computes = False

    def output_shape(self, *shapes):
        return self.view.output_shape(*shapes)

    @property
    def stateful(self) -> bool:
        """Whether its value holds elements of earlier frames."""
        return self.view.stateful

    def slide(self, frames: np.ndarray, before: np.ndarray | None
              ) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`~gatefold.gen.network.views.History.slide`, of a view that is stateful."""
        assert isinstance(self.view, History)
        return self.view.slide(frames, before)

    def fits(self, *shapes):
        return self.view.growth >= 1  # output_shape checks the rest

    def elements(self, *shapes):
        return self.view.elements(*shapes)

    def fracs(self, shape, *fracs):
        return self.view.arrange(*(part[None] for part in fracs), fill=ABSENT)[0]


@dataclass(frozen=True, kw_only=True)
class QDense(Windowed, QMatrix):
    """Dense in integers: w (outputs, features), b (outputs,) with ``acc_frac`` fractional bits.

    ``x_align`` as of :class:`QRecurrent`. ``activation`` of
    :data:`~.layer.DENSE_ACTIVATIONS`: hard_tanh and hard_sigmoid are linear and relu (its scale and
    offset in w and b) within :func:`~.qlayer.hard_limit`. ``window`` and ``pattern`` as of
    :class:`~.layers.Dense`. ``scales`` (outputs,) and ``split`` as of :class:`QRecurrent`.
    """

    w: np.ndarray
    b: np.ndarray
    x: QFormat
    x_align: np.ndarray
    w_format: QFormat
    y: QFormat
    activation: str
    window: Window | None = None
    pattern: np.ndarray | None = None
    scales: np.ndarray | None = None
    split: int = 1

    of = Dense

    def output_shape(self, *shapes):
        return (*self.leading(shapes[0]), self.outputs)

    def fits(self, *shapes):
        taps = self.window.size if self.window else 1
        return (len(shapes) == 1 and self.w.ndim == 2 and self.w.shape[1] == taps * shapes[0][-1]
                and self.b.shape == self.w.shape[:1] and len(self.b) > 0
                and self.x_align.shape == self.w.shape[1:]
                and (self.scales is None or self.scales.shape == self.b.shape)
                and self.activation in DENSE_ACTIVATIONS
                and (self.pattern is None or (self.pattern.shape == self.w.shape
                                              and not self.w[~self.pattern].any())))

    def elements(self, *shapes):
        steps = prod(self.leading(shapes[0]))
        read = self.window.elements(shapes[0]) if self.window else super().elements(*shapes)
        return max(read, steps * self.outputs)

    def met(self, fracs):
        if len(np.unique(fracs)) == 1:  # windows of formats are large, and mostly of one format
            return np.full(self.features, self.x.frac)
        return self.gather(fracs[None], ABSENT)[0]

    @property
    def outputs(self) -> int:
        """Output features."""
        return self.w.shape[0]

    @property
    def acc_frac(self):
        """Fractional bits of the accumulator."""
        return self.w_format.frac + self.x.frac

    @property
    def columns(self):
        return [Columns(self.w, self.w_format, self.x.lo, self.x.hi, self.x_align, self.pattern)]


@dataclass(frozen=True, kw_only=True)
class QMaxPool(Windowed, QLayer):
    """The largest value in each window; ``x``, the finest operand's format, ``y``, the result's."""

    window: Window
    x: QFormat
    y: QFormat

    of = MaxPool

    def output_shape(self, *shapes):
        return (*self.leading(shapes[0]), shapes[0][-1])

    def fits(self, *shapes):
        return (len(shapes) == 1 and self.window.elements((shapes[0][-2], 1)) <= _TAPS
                and not self.window.only_padding(shapes[0][-2]))

    def elements(self, *shapes):
        return self.window.elements(shapes[0])

    def passed(self, fracs):
        return [(self.x, self.y.frac, int(alignment(self.x, fracs[self.inputs[0]]).max()))]


@dataclass(frozen=True, kw_only=True)
class QMultiply(QLayer):
    """Element-wise product of two values, of formats ``a`` and ``b``."""

    a: QFormat
    b: QFormat
    y: QFormat

    of = Multiply
    operands = {0: "a", 1: "b"}

    def output_shape(self, *shapes):
        return shapes[0]

    def fits(self, *shapes):
        return len(shapes) == 2 and shapes[0] == shapes[1]

    def passed(self, fracs):
        return [(form, form.frac, 0) for form in (self.a, self.b)]

    def widest(self, table, acc_bits):
        return max(acc_bits, self.a.width + self.b.width
                   + max(0, self.y.frac - self.a.frac - self.b.frac))


@dataclass(frozen=True, kw_only=True)
class QCellState(QLayer):
    """c of an LSTM (format ``c``) after its last step, in format ``y``."""

    units: int
    c: QFormat
    y: QFormat

    of = CellState

    def output_shape(self, *shapes):
        return (self.units,)

    def fits(self, *shapes):
        return len(shapes) == 1

