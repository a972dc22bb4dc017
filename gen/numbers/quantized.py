"""The quantised network: integers and formats, everything that decides a bit.

The arithmetic itself is `sim/golden.py`; `docs/numbers.md` explains it. The layers hold the data
and the shift amounts that follow from the formats, so that golden and plan read the same.

A value's elements may have different formats (a Concat of two layers). What a layer multiplies is
therefore brought to one format first, exactly, by left shifts: ``x`` of a layer is the finest
format among its operands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gatefold.gen.network.graph import Graph
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import ABSENT, QLayer, alignment, argument
from gatefold.gen.numbers.qlayers import QCellState, QDense, QMaxPool, QMultiply, QView
from gatefold.gen.numbers.qrecurrent import QGru, QLstm, QRecurrent, QRnn
from gatefold.gen.numbers.tables import Table

__all__ = ["ABSENT", "QCellState", "QDense", "QGru", "QLayer", "QLstm", "QMaxPool", "QMultiply",
           "QRecurrent", "QRnn", "QView", "QuantizedNetwork", "Table", "alignment", "argument"]


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
        return {n: layer for n, layer in enumerate(self.layers) if layer.computes}

    @property
    def fracs(self) -> tuple[np.ndarray, ...]:
        """Fractional bits of every element of every value, each of the value's shape."""
        found = [np.full(shape, form.frac)
                 for shape, form in zip(self.input_shapes, self.input_formats, strict=True)]
        for layer, shape in zip(self.layers, self.shapes[len(found):], strict=True):
            found.append(layer.fracs(shape, *(found[value] for value in layer.inputs)))
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
