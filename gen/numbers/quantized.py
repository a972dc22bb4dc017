"""The quantised network: the integers and formats that decide every bit.

`docs/numbers.md` defines the arithmetic, and `sim/golden.py` executes it. The layers hold the data
and the shift amounts that follow from the formats, so that golden and the plan read the same.

A value's elements may have different formats (a Concat of two layers). A layer therefore brings its
operands to one format first, exactly, by left shifts: ``x`` of a layer is the finest format among
its operands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gatefold.gen.network.graph import Graph, joined, split
from gatefold.gen.network.int8 import Affine
from gatefold.gen.numbers.qformat import QFormat, container_bits
from gatefold.gen.numbers.qint8 import QInt8Dense, QInt8Lstm
from gatefold.gen.numbers.qlayer import ABSENT, QLayer, alignment, argument, hard_limit
from gatefold.gen.numbers.qlayers import QCellState, QDense, QMaxPool, QMultiply, QView
from gatefold.gen.numbers.qrecurrent import QGru, QLstm, QRecurrent, QRnn
from gatefold.gen.numbers.tables import CURVE_TABLES, Table, curve_table

__all__ = ["ABSENT", "CURVE_TABLES", "QLAYERS", "QCellState", "QDense", "QGru", "QInt8Dense",
           "QInt8Lstm", "QLayer", "QLstm", "QMaxPool", "QMultiply", "QRecurrent", "QRnn", "QView",
           "QuantizedNetwork", "Table", "alignment", "argument", "curve_table", "hard_limit"]

#: The layers in integers, by the kind of their float layer (``view``: all views).
QLAYERS: dict[str, type[QLayer]] = {layer.of.kind: layer for layer in (
    QLstm, QGru, QRnn, QDense, QMaxPool, QMultiply, QCellState, QInt8Dense, QInt8Lstm, QView)}


#: Fractional bits beyond an input's that take part where its remainders are carried.
INPUT_CARRY = 8


def _carried(x: np.ndarray, form: QFormat) -> np.ndarray:
    """An input (samples, timesteps, ...) with INPUT_CARRY bits more, rounded to ``form``: what the
    rounding of an element leaves is added to the same element of the next timestep. A vector
    (samples, elements) has no timesteps."""
    half, rest = 1 << INPUT_CARRY - 1, np.zeros_like(x[:, 0])
    steps = []
    for step in range(x.shape[1]):
        exact = x[:, step] + (rest if x.ndim > 2 else 0)
        units = (exact + half) >> INPUT_CARRY
        rest = exact - (units << INPUT_CARRY)
        steps.append(np.clip(units, form.lo, form.hi))
    return np.stack(steps, axis=1)


@dataclass(frozen=True, kw_only=True)
class QuantizedNetwork(Graph):
    """A whole network in integers.

    Attributes: ``input_shapes``, ``layers`` and ``outputs`` as of a
    :class:`~gatefold.gen.network.graph.Network`; ``input_formats``, one for each input;
    ``act_width``, ``weight_width`` and ``cell_width``, bits of the widest format of each kind;
    ``table``; ``acc_width``, bits that hold every partial sum of every row in any order; ``host``,
    for each output the function that is left to the host; ``input_carries``, whether the conversion
    of floats to an input's integers carries the remainder of a timestep to the next. Where the
    input is split (:attr:`split`), ``input_formats`` is that of its elements, not of the operands
    that they become;
    ``calibration``, for the report, the origin of the formats (source, samples, peaks). Of a
    network in int8, whose layers compute with integers less a zero point: ``affine``, the numbers
    of its inputs and of its outputs; ``zeros``, what the core subtracts from each input's integers,
    and what it adds to each output's: a number, or one for each element. ``window``: as of a
    :class:`~gatefold.gen.network.graph.Network`.
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
    input_carries: bool = False
    calibration: dict = field(default_factory=dict)
    affine: tuple[tuple[Affine, ...], tuple[Affine, ...]] | None = None
    zeros: tuple[tuple[int, ...], tuple[tuple[int, ...], ...]] = ((), ())
    window: int = 0

    @property
    def split(self) -> int:
        """The operands that each element of the (only) input becomes, a power of two: their sum is
        the element, and they have as many bits less."""
        return max(getattr(layer, "split", 1) for layer in self.layers)

    @property
    def read_shapes(self):
        """Shapes of the inputs as the layers read them: ``split`` operands an element."""
        return tuple((*shape[:-1], shape[-1] * self.split) for shape in self.input_shapes)

    @property
    def read_formats(self) -> tuple[QFormat, ...]:
        """Formats of the inputs as the layers read them."""
        bits = self.split.bit_length() - 1
        return tuple(QFormat(form.width - bits, form.frac - bits) for form in self.input_formats)

    @property
    def computing(self) -> dict[int, QLayer]:
        """The layers that are no views, by their place in the network."""
        return {n: layer for n, layer in enumerate(self.layers) if layer.computes}

    @property
    def packs(self) -> bool:
        """Whether two of its products fit a DSP slice (:class:`~gatefold.hdl.mac_pair.MacPair`): it
        is in int8, whose operands are centred, and no weight is -128, as LiteRT's quantisation
        demands. Other files exist."""
        matrices = (getattr(layer, name, None) for layer in self.computing.values()
                    for name in ("w", "w_ih", "w_hh"))
        return self.affine is not None and all(w.min() > -128 for w in matrices if w is not None)

    @property
    def curves(self) -> dict[str, Table]:
        """The tables of the activations of Dense layers that have one of their own."""
        found = {getattr(layer, "activation", "") for layer in self.layers} & set(CURVE_TABLES)
        return {name: curve_table(name, self.table) for name in sorted(found)}

    @property
    def fracs(self) -> tuple[np.ndarray, ...]:
        """Fractional bits of every element of every value, each of the value's shape."""
        found = [np.full(shape, form.frac)
                 for shape, form in zip(self.read_shapes, self.read_formats, strict=True)]
        for layer, shape in zip(self.layers, self.shapes[len(found):], strict=True):
            found.append(layer.fracs(shape, *(found[value] for value in layer.inputs)))
        return tuple(found)

    def formats(self, value: int) -> tuple[QFormat, ...]:
        """The different formats of a value's elements, of the width of outputs where no layer
        reads it, else of activations."""
        width = self.act_width if self.readers[value] else self.out_width
        fracs = sorted(set(self.fracs[value].ravel().tolist()) - {ABSENT})
        return tuple(QFormat(width, frac) for frac in fracs)

    @property
    def out_width(self) -> int:
        """Bits of the widest result that is an output: that of a last layer may be wider than
        activations."""
        widths = [layer.result.width for n, layer in self.computing.items()
                  if layer.result and not self.readers[self.value(n)]]
        return max([self.act_width, *widths])

    @property
    def container(self) -> int:
        """Bits that an element takes in a stream, of the inputs and of the outputs."""
        widest = max(form.width for form in self.input_formats)
        return container_bits(widest if self.affine else max(widest, self.out_width))

    @property
    def input_format(self) -> QFormat:
        """Format of the first input."""
        return self.input_formats[0]

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Integers of float samples (samples, *input_shape), each input in its own format. NaN
        becomes 0."""
        if self.affine:
            return joined([form.quantize(part) for form, part in
                           zip(self.affine[0], split(x, self.input_shapes), strict=True)])
        steps, lows, highs = self._scales()
        finer = 2**INPUT_CARRY if self.input_carries else 1
        scaled = np.floor(np.asarray(x, np.float64).reshape(len(x), -1) * (steps * finer) + 0.5)
        clipped = np.clip(np.where(np.isnan(scaled), 0, scaled), lows * finer,
                          highs * finer + finer - 1).astype(np.int64).reshape(x.shape)
        if not self.input_carries:
            return clipped
        return joined([_carried(part, form) for part, form in
                       zip(split(clipped, self.input_shapes), self.input_formats, strict=True)])

    def saturating(self, x: np.ndarray) -> int:
        """Number of values in float samples that lie outside their input's format."""
        if self.affine:
            return sum(int(np.count_nonzero(form.beyond(part))) for form, part in
                       zip(self.affine[0], split(x, self.input_shapes), strict=True))
        steps, lows, highs = self._scales()
        scaled = np.floor(np.asarray(x, np.float64).reshape(len(x), -1) * steps + 0.5)
        return int(np.count_nonzero((scaled < lows) | (scaled > highs)))

    def input_limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest integer of every input element, (elements,)."""
        _, lows, highs = self._scales()
        return lows.astype(np.int64), highs.astype(np.int64)

    def to_float(self, y: np.ndarray) -> np.ndarray:
        """Floats of output integers (samples, *output_shape)."""
        if self.affine:
            return joined([form.to_float(part) for form, part in
                           zip(self.affine[1], split(y, self.output_shapes), strict=True)])
        return y / 2.0 ** self.output_fracs.reshape(self.output_shape)

    @property
    def ends(self) -> tuple[list[str], list[str]]:
        """The numbers of each input and of each output, in words: formats, or scale and zero point.
        """
        if self.affine:
            return [str(one) for one in self.affine[0]], [str(one) for one in self.affine[1]]
        return ([str(form) for form in self.input_formats],
                [" or ".join(map(str, self.formats(value))) for value in self.outputs])

    @property
    def output_zeros(self) -> np.ndarray:
        """What is added to each output element, (elements,)."""
        sizes = [int(np.prod(shape)) for shape in self.output_shapes]
        outside = self.zeros[1] or ((0,),) * len(sizes)
        return np.concatenate([np.broadcast_to(zeros, size)
                               for zeros, size in zip(outside, sizes, strict=True)])

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
