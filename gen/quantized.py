"""The quantised network: integers and formats, everything that decides a bit.

The arithmetic itself is `sim/golden.py`; `docs/numbers.md` explains it. This module holds the
data and the shift amounts that follow from the formats, so that golden and plan read the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .qformat import QFormat

__all__ = ["QDense", "QFlatten", "QLayer", "QLstm", "QRepeatVector", "QuantizedNetwork", "Table"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """tanh of a magnitude, the one table behind sigmoid and tanh.

    The argument u is Q4.``frac`` (range -8..8). Its magnitude m, ``3 + frac`` bits, is split into
    n0 high, n1 middle and n2 low bits. With n2 = 0 the table is direct: t = t0[m]. Otherwise it is
    bipartite (Schulte and Stine 1999; de Dinechin and Tisserand 2005): t = t0[high, middle] +-
    t1[high, low], t1 being odd around the middle of the low range, so only half is stored: the top
    bit of `low` is the sign (1: +), the other n2 - 1 bits, inverted where the sign is -, the index.

    Attributes: ``out_frac``, the fractional bits of t (values 0..2**out_frac - 1); ``t0``
    (2**(n0+n1),), ``t1`` (2**(n0+n2-1),) or empty, non-negative int64; ``error``, the largest
    |t * 2**-out_frac - tanh| over every m, measured when the table was made.
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


@dataclass(frozen=True, kw_only=True)
class QLayer:
    """A layer in integers. ``name`` is generated (``l0_lstm``), never from the model file."""

    name: str


@dataclass(frozen=True, kw_only=True)
class QLstm(QLayer):
    """LSTM in integers: w_ih (4U, F), w_hh (4U, U), b (4U,) in blocks i, f, g, o.

    b has ``acc_frac`` fractional bits. ``x``, ``w_ih_format``, ``w_hh_format``, ``c``, ``h`` are
    the formats of the input, the weights, the cell state and the output.
    """

    units: int
    w_ih: np.ndarray
    w_hh: np.ndarray
    b: np.ndarray
    x: QFormat
    w_ih_format: QFormat
    w_hh_format: QFormat
    c: QFormat
    h: QFormat
    return_sequences: bool

    @property
    def features(self) -> int:
        """Input features F."""
        return self.w_ih.shape[1]

    @property
    def acc_frac(self) -> int:
        """Fractional bits of the accumulator: the finer of the two products'."""
        return max(self.w_ih_format.frac + self.x.frac, self.w_hh_format.frac + self.h.frac)

    @property
    def align_ih(self) -> int:
        """Left shift of an input product into the accumulator."""
        return self.acc_frac - self.w_ih_format.frac - self.x.frac

    @property
    def align_hh(self) -> int:
        """Left shift of a recurrent product into the accumulator."""
        return self.acc_frac - self.w_hh_format.frac - self.h.frac


@dataclass(frozen=True, kw_only=True)
class QDense(QLayer):
    """Dense in integers: w (outputs, features), b (outputs,) with ``acc_frac`` fractional bits."""

    w: np.ndarray
    b: np.ndarray
    x: QFormat
    w_format: QFormat
    y: QFormat
    activation: str

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
class QRepeatVector(QLayer):
    """A vector repeated at ``timesteps`` steps."""

    timesteps: int


@dataclass(frozen=True, kw_only=True)
class QFlatten(QLayer):
    """(timesteps, features) to (timesteps * features,), row-major."""


@dataclass(frozen=True, kw_only=True)
class QuantizedNetwork:
    """A whole network in integers.

    Attributes: ``input_shape`` (timesteps, features) or (features,); ``layers``; ``act_width``,
    ``weight_width`` and ``cell_width`` in bits; ``input_format``; ``table``; ``acc_width``, wide
    enough for every partial sum of every row in any order; ``calibration``, where the formats came
    from (source, samples, peaks), for the report.
    """

    input_shape: tuple[int, ...]
    layers: tuple[QLayer, ...]
    act_width: int
    weight_width: int
    cell_width: int
    input_format: QFormat
    table: Table
    acc_width: int
    calibration: dict = field(default_factory=dict)

    @property
    def computing(self) -> dict[int, QLstm | QDense]:
        """The layers that multiply, by their place in the network."""
        return {n: layer for n, layer in enumerate(self.layers)
                if isinstance(layer, (QLstm, QDense))}

    @property
    def output_format(self) -> QFormat:
        """Format of the network's output."""
        for layer in reversed(self.layers):
            if isinstance(layer, QDense):
                return layer.y
            if isinstance(layer, QLstm):
                return layer.h
        return self.input_format

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input shape, then the shape after each layer."""
        shapes = [tuple(self.input_shape)]
        for layer in self.layers:
            last = shapes[-1]
            if isinstance(layer, QLstm):
                shape = (last[0], layer.units) if layer.return_sequences else (layer.units,)
            elif isinstance(layer, QDense):
                shape = (*last[:-1], layer.outputs)
            elif isinstance(layer, QRepeatVector):
                shape = (layer.timesteps, last[0])
            else:
                shape = (int(np.prod(last)),)
            shapes.append(shape)
        return tuple(shapes)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the last layer's output."""
        return self.shapes[-1]
