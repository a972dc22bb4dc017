"""The quantised network: integers and formats, everything that decides a bit.

The arithmetic itself is `sim/golden.py`; `docs/numbers.md` explains it. This module holds the
data and the shift amounts that follow from the formats, so that golden and plan read the same.

A value's elements may have different formats (a Concat of two layers). What a layer multiplies is
therefore brought to one format first, exactly, by left shifts: ``x`` of a layer is the finest
format among its operands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gatefold.gen.network.graph import Graph
from gatefold.gen.network.layers import Window
from gatefold.gen.network.views import View
from gatefold.gen.numbers.qformat import QFormat

__all__ = ["ABSENT", "QCellState", "QDense", "QGru", "QLayer", "QLstm", "QMaxPool", "QMultiply",
           "QRecurrent", "QRnn", "QView", "QuantizedNetwork", "Table", "alignment", "argument",
           "hard_limit"]

#: Stands for the fractional bits of an element that is padding: a zero of any format.
ABSENT = -1000


@dataclass(frozen=True, kw_only=True)
class Table:
    """tanh of a magnitude, the one table behind sigmoid and tanh.

    The argument u is Q4.``frac`` (range -8..8). Its magnitude m, ``3 + frac`` bits, is split into
    n0 high, n1 middle and n2 low bits. With n2 = 0 the table is direct: t = t0[m]. Otherwise it is
    bipartite (Schulte and Stine 1999; de Dinechin and Tisserand 2005): t = t0[high, middle] +-
    t1[high, low], t1 being odd around the middle of the low range, so only half is stored: the top
    bit of `low` is the sign (1: +), the other n2 - 1 bits, inverted where the sign is -, the index.

    Attributes: ``out_frac``, the fractional bits of t (values 0..2**out_frac - 1), T in
    `docs/numbers.md`; ``t0`` (2**(n0+n1),), ``t1`` (2**(n0+n2-1),) or empty, non-negative int64;
    ``error``, the largest |t * 2**-out_frac - tanh| over every m, measured when the table was made.
    """

    frac: int
    n0: int
    n1: int
    n2: int
    out_frac: int
    t0: np.ndarray
    t1: np.ndarray
    error: float

    @property
    def width(self) -> int:
        """Bits of the signed argument u."""
        return self.frac + 4

    @property
    def format(self) -> QFormat:
        """Format of the argument u."""
        return QFormat(self.width, self.frac)


def alignment(x: QFormat, fracs: np.ndarray) -> np.ndarray:
    """Left shifts that bring elements with ``fracs`` fractional bits to the format x."""
    return np.where(fracs == ABSENT, 0, x.frac - fracs)


def hard_limit(activation: str, result: QFormat) -> int | None:
    """The largest magnitude of a hard activation in a format that reaches beyond 1: 1, or 0 where
    that is less than half a step. None where saturation does it, and of other activations."""
    if not activation.startswith("hard_") or result.frac >= result.width - 1:
        return None
    return 1 << result.frac if result.frac >= 0 else 0


def argument(activation: str, table: Table, result: QFormat) -> QFormat:
    """Format of what a candidate's or cell's activation takes (`docs/numbers.md`, Activation):
    the table's argument for tanh, else the result's own format, ``table.out_frac + 1`` bits."""
    return table.format if activation == "tanh" else result


@dataclass(frozen=True, kw_only=True)
class QLayer:
    """A layer in integers. ``name`` is generated (``l0_lstm``), never from the model file;
    ``inputs``, the values it reads."""

    name: str
    inputs: tuple[int, ...]

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Shape behind this layer."""
        raise NotImplementedError

    @property
    def result(self) -> QFormat | None:
        """Format of its value; None for a view, which takes its elements' formats along."""
        return None


@dataclass(frozen=True, kw_only=True)
class QView(QLayer):
    """A view: the same elements in another order."""

    view: View

    def output_shape(self, *shapes):
        return self.view.output_shape(*shapes)


@dataclass(frozen=True, kw_only=True)
class QRecurrent(QLayer):
    """What QLstm, QGru and QRnn share: w_ih (gates U, F), w_hh (gates U, U), b (gates U,).

    b has ``acc_frac`` fractional bits. ``x``, ``w_ih_format``, ``w_hh_format`` and ``h`` are the
    formats of the input, the weights and the output. ``x_align`` (F,): the largest left shift that
    brings an element of each column to x. ``h0``: constant initial h in format h, or None.
    ``h_in``: the format in which an initial h comes as an input (behind x), or None.
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

    def output_shape(self, *shapes):
        return (shapes[0][0], self.units) if self.return_sequences else (self.units,)

    @property
    def result(self):
        return self.h

    @property
    def features(self) -> int:
        """Input features F."""
        return self.w_ih.shape[1]

    @property
    def h_frac(self) -> int:
        """Fractional bits to which recurrent operands are aligned."""
        return max(self.h.frac, self.h_in.frac if self.h_in else self.h.frac)

    @property
    def acc_frac(self) -> int:
        """Fractional bits of the accumulator: the finer of the two products'."""
        return max(self.w_ih_format.frac + self.x.frac, self.w_hh_format.frac + self.h_frac)

    @property
    def align_ih(self) -> int:
        """Left shift of an input product (x in its finest format) into the accumulator."""
        return self.acc_frac - self.w_ih_format.frac - self.x.frac

    @property
    def align_hh(self) -> int:
        """Left shift of a product with h into the accumulator."""
        return self.acc_frac - self.w_hh_format.frac - self.h.frac


@dataclass(frozen=True, kw_only=True)
class QLstm(QRecurrent):
    """LSTM, blocks i, f, g, o.

    ``c``, format of the cell state; ``g`` and ``tc``, of the activated candidate and cell state
    (T + 1 bits); ``activation`` of tanh, relu, linear, hard_tanh (linear with T fractional bits),
    ``recurrent_activation`` of sigmoid, hard_sigmoid. ``c0``, constant initial c in format c;
    ``c_in``, the format in which it comes as an input.
    """

    c: QFormat
    g: QFormat
    tc: QFormat
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    c0: np.ndarray | None = None
    c_in: QFormat | None = None


@dataclass(frozen=True, kw_only=True)
class QGru(QRecurrent):
    """GRU, blocks r, z, n; ``b_n`` (U,) with ``acc_frac`` fractional bits.

    ``c``, format of the state s behind h; ``m``, of the recurrent part of the candidate
    (reset_after); ``n``, of the candidate (T + 1 bits); activations as of :class:`QLstm`. Initial
    states: ``h0`` is in format c, and h is made of it; ``h_in`` is what the input has.
    """

    c: QFormat
    m: QFormat
    n: QFormat
    b_n: np.ndarray
    reset_after: bool
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"


@dataclass(frozen=True, kw_only=True)
class QRnn(QRecurrent):
    """SimpleRNN; ``activation`` as :class:`QDense` has it."""

    activation: str


@dataclass(frozen=True, kw_only=True)
class QDense(QLayer):
    """Dense in integers: w (outputs, features), b (outputs,) with ``acc_frac`` fractional bits.

    ``x_align`` as of :class:`QRecurrent`. ``activation`` of linear, relu, sigmoid, tanh, hard_tanh,
    hard_sigmoid: the last two are linear and relu (its scale and offset in w and b) within
    :func:`hard_limit`. ``window`` and ``pattern`` as of :class:`~.layers.Dense`.
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

    def gather(self, x: np.ndarray, fill=0) -> np.ndarray:
        """What the matrix meets: x itself, or its windows, (..., features)."""
        if self.window is None:
            return x
        taps = self.window.arrange(x, fill)
        return taps.reshape(*taps.shape[:-2], -1)

    def output_shape(self, *shapes):
        (x,) = shapes
        if self.window:
            return (*x[:-2], self.window.steps(x[-2]), self.outputs)
        return (*x[:-1], self.outputs)

    @property
    def result(self):
        return self.y

    @property
    def features(self) -> int:
        """Input features."""
        return self.w.shape[1]

    @property
    def outputs(self) -> int:
        """Output features."""
        return self.w.shape[0]

    @property
    def acc_frac(self) -> int:
        """Fractional bits of the accumulator."""
        return self.w_format.frac + self.x.frac


@dataclass(frozen=True, kw_only=True)
class QMaxPool(QLayer):
    """The largest of each window; ``x``, the finest operand format, ``y`` the result's."""

    window: Window
    x: QFormat
    y: QFormat

    def output_shape(self, *shapes):
        (x,) = shapes
        return (*x[:-2], self.window.steps(x[-2]), x[-1])

    @property
    def result(self):
        return self.y


@dataclass(frozen=True, kw_only=True)
class QMultiply(QLayer):
    """Element-wise product of two values, of formats ``a`` and ``b``."""

    a: QFormat
    b: QFormat
    y: QFormat

    def output_shape(self, *shapes):
        return shapes[0]

    @property
    def result(self):
        return self.y


@dataclass(frozen=True, kw_only=True)
class QCellState(QLayer):
    """c of an LSTM (format ``c``) after its last step, in format ``y``."""

    units: int
    c: QFormat
    y: QFormat

    def output_shape(self, *shapes):
        return (self.units,)

    @property
    def result(self):
        return self.y


@dataclass(frozen=True, kw_only=True)
class QuantizedNetwork(Graph):
    """A whole network in integers.

    Attributes: ``input_shapes``, ``layers`` and ``outputs`` as of a
    :class:`~gatefold.gen.network.graph.Network`; ``input_formats``, one an input; ``act_width``,
    ``weight_width`` and ``cell_width``: the widest format of its kind, in bits; ``table``;
    ``acc_width``, wide enough for every partial sum of every row in any order; ``host``, what is
    left to the host, per output; ``calibration``, where the formats came from (source, samples,
    peaks), for the report.
    """

    input_shapes: tuple[tuple[int, ...], ...]
    layers: tuple[QLayer, ...]
    outputs: tuple[int, ...]
    act_width: int
    weight_width: int
    cell_width: int
    input_formats: tuple[QFormat, ...]
    table: Table
    acc_width: int
    host: tuple[str, ...] = ()
    calibration: dict = field(default_factory=dict)

    @property
    def computing(self) -> dict[int, QLayer]:
        """The layers that are more than views, by their place in the network."""
        return {n: layer for n, layer in enumerate(self.layers) if not isinstance(layer, QView)}

    @property
    def fracs(self) -> tuple[np.ndarray, ...]:
        """Fractional bits of every element of every value, each of the value's shape."""
        found = [np.full(shape, form.frac)
                 for shape, form in zip(self.input_shapes, self.input_formats, strict=True)]
        shapes = self.shapes
        for n, layer in enumerate(self.layers):
            if isinstance(layer, QView):
                parts = (found[value][None] for value in layer.inputs)
                found.append(layer.view.arrange(*parts, fill=ABSENT)[0])
            else:
                assert layer.result
                found.append(np.full(shapes[self.value(n)], layer.result.frac))
        return tuple(found)

    def formats(self, value: int) -> tuple[QFormat, ...]:
        """The formats of a value's elements, each once, as wide as activations are."""
        fracs = sorted(set(self.fracs[value].ravel().tolist()))
        return tuple(QFormat(self.act_width, frac) for frac in fracs)

    @property
    def input_format(self) -> QFormat:
        """Format of the only input (of the first of several)."""
        return self.input_formats[0]

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Integers of float samples (samples, *input_shape), each input in its own format."""
        steps, lows, highs = self._scales()
        scaled = np.floor(np.asarray(x, np.float64).reshape(len(x), -1) * steps + 0.5)
        clipped = np.clip(scaled, lows, highs).astype(np.int64)
        return clipped.reshape(x.shape)

    def saturating(self, x: np.ndarray) -> int:
        """How many of the float samples lie outside their input's format."""
        steps, lows, highs = self._scales()
        scaled = np.floor(np.asarray(x, np.float64).reshape(len(x), -1) * steps + 0.5)
        return int(np.count_nonzero((scaled < lows) | (scaled > highs)))

    def input_limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest integer of every input element, (elements,)."""
        _, lows, highs = self._scales()
        return lows.astype(np.int64), highs.astype(np.int64)

    def to_float(self, y: np.ndarray) -> np.ndarray:
        """Floats of output integers (samples, *output_shape)."""
        return y / 2.0 ** self.output_fracs.reshape(self.output_shape)

    @property
    def output_fracs(self) -> np.ndarray:
        """Fractional bits of every output element, (elements,)."""
        fracs = self.fracs
        return np.concatenate([fracs[value].ravel() for value in self.outputs])

    def _scales(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sizes = [int(np.prod(shape)) for shape in self.input_shapes]
        forms = self.input_formats
        return (np.repeat([2.0**form.frac for form in forms], sizes),
                np.repeat([float(form.lo) for form in forms], sizes),
                np.repeat([float(form.hi) for form in forms], sizes))
