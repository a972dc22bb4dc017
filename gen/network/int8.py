"""Layers of a full-integer .tflite file: floats, and the integers that LiteRT computes with.

LiteRT's *affine* numbers: the integer q means scale * (q - zero). In floats these layers are those
of :mod:`~.network.layers`, with the values that their integers mean; `docs/numbers.md`
(*LiteRT int8*) says what the integers do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gatefold.gen.network.layers import Dense, Layer
from gatefold.gen.network.recurrent import Lstm

__all__ = ["Affine", "Int8Dense", "Int8Lstm", "Int8Matrix", "in_floats"]


@dataclass(frozen=True)
class Affine:
    """A tensor's numbers: the integer q, -128..127, means ``scale`` * (q - ``zero``). ``scale`` is
    a float32."""

    scale: float
    zero: int

    def __str__(self) -> str:
        return f"int8, scale {self.scale:.9g}, zero point {self.zero}"

    def _rounded(self, values) -> np.ndarray:
        with np.errstate(over="ignore"):  # an infinity is clamped as well
            scaled = np.asarray(values, np.float32) * (np.float32(1) / np.float32(self.scale))
        return np.rint(scaled).astype(np.float64) + self.zero

    def quantize(self, values) -> np.ndarray:
        """Integers of floats, as LiteRT's QUANTIZE (in XNNPACK) makes them: in float32, times the
        reciprocal of the scale, to nearest with halves to even, clamped. NaN becomes the zero
        point."""
        rounded = self._rounded(values)
        return np.clip(np.where(np.isnan(rounded), self.zero, rounded), -128, 127).astype(np.int64)

    def beyond(self, values) -> np.ndarray:
        """Which floats :meth:`quantize` clamps."""
        rounded = self._rounded(values)
        return (rounded < -128) | (rounded > 127)

    def to_float(self, integers) -> np.ndarray:
        """The values of integers, those that LiteRT's DEQUANTIZE gives in float32, as float64."""
        centred = (np.asarray(integers) - self.zero).astype(np.float32)
        return (centred * np.float32(self.scale)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Int8Matrix:
    """Weights as integers ``w`` (rows, columns), of the value w * scale; ``scale`` float32 (rows,).
    """

    w: np.ndarray
    scale: np.ndarray

    def to_float(self) -> np.ndarray:
        """Their values, float32."""
        return self.w.astype(np.float32) * self.scale[:, None].astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Int8Dense(Dense):
    """A FULLY_CONNECTED or CONV_2D in int8.

    Attributes beside :class:`Dense`'s: ``matrix`` (outputs, features); ``bias`` (outputs,) int32;
    ``x`` and ``y``, the numbers of operands and results; ``lo`` and ``hi``, the least and the
    largest result, which a fused RELU narrows.
    """

    matrix: Int8Matrix
    bias: np.ndarray
    x: Affine
    y: Affine
    lo: int
    hi: int

    kind = "int8_dense"
    title = "Dense"

    @property
    def shown(self):
        return self.label or ("conv1d" if self.window else "dense")

    def compute(self, values, inside):
        return np.clip(super().compute(values, inside),
                       *self.y.to_float([self.lo, self.hi]).tolist())


@dataclass(frozen=True, kw_only=True)
class Int8Lstm(Lstm):
    """A UNIDIRECTIONAL_SEQUENCE_LSTM in int8 with a cell state in int16.

    Attributes beside :class:`Lstm`'s: ``matrix_ih`` and ``matrix_hh``, rows in blocks i, f, g, o;
    ``bias`` (4 U,) int32; ``x``, the numbers of operands; ``state``, those of h as an operand;
    ``hidden``, those in which h is computed; ``cell``, fractional bits of c; ``clip``, the largest
    magnitude of c, 0 for none.
    """

    matrix_ih: Int8Matrix
    matrix_hh: Int8Matrix
    bias: np.ndarray
    x: Affine
    state: Affine
    hidden: Affine
    cell: int
    clip: float

    kind = "int8_lstm"
    title = "LSTM"

    @property
    def shown(self):
        return self.label or "lstm"



def in_floats(layer: Layer) -> Layer:
    """A layer in int8 as one of floats, without its integers; other layers as they are. A result is
    not clipped then, but for a relu's."""
    if not isinstance(layer, Int8Dense | Int8Lstm):
        return layer
    cls = Dense if isinstance(layer, Int8Dense) else Lstm
    return cls(**{field.name: getattr(layer, field.name) for field in fields(cls)})
