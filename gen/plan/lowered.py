"""The ops of a network while they are made, layer after layer, and the places of all elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatefold.gen.network.views import History
from gatefold.gen.numbers.quantized import QDense, QuantizedNetwork, QView
from gatefold.gen.plan.layout import Storage
from gatefold.gen.plan.ops import GATHERED, Op, Part
from gatefold.hdl.kinds import DenseKind, Kind

__all__ = ["Lowered", "picking"]


#: How many times larger than necessary the room for a history may be.
_WASTE = 1.5


class Lowered:
    """The ops of a network on a pe x simd array of so many dies; at first there are none, and the
    input alone has a place.

    Attributes: ``ops``; ``storage``; ``values``, the addresses (:mod:`gatefold.gen.plan.layout`)
    of the elements of every value that there is; ``stage``, that of the next op; ``x_rows``,
    ``x_row``: rows of the input frame and elements of a row, as they come; ``places``, of each
    value whose history is read, how many frames of it there is room for; ``copies``, the addresses
    of inputs that an op has copied. ``keep``: every result stays in the operand memory, also one
    that no op reads.
    """

    def __init__(self, qnet: QuantizedNetwork, pe: int, simd: int, keep: bool, dies: int = 1):
        self.qnet, self.pe, self.simd, self.keep = qnet, pe, simd, keep
        self.storage = Storage(simd, dies)
        self.ops: list[Op] = []
        self.stage = 0
        self._read_by = qnet.readers
        self._gathered: np.ndarray | None = None
        self.places = _places(qnet)
        self.copies: dict[int, np.ndarray] = {}
        self._place_inputs()

    def _place_inputs(self):
        """Rows of the frame are timesteps; where only convolutions read it, it is one row."""
        shapes = self.qnet.read_shapes
        sizes = [int(np.prod(shape)) for shape in shapes]
        row = shapes[0][-1]
        windowed = all(self.only_windows(value) for value in range(len(shapes)))
        if windowed or any(shape[-1] != row for shape in shapes):
            row = sum(sizes)
        self.x_row, self.x_rows = row // self.qnet.split, sum(sizes) // row
        fracs = np.concatenate([self.qnet.fracs[n].ravel() for n in range(len(shapes))])
        frame = self.storage.input_rows(self.x_rows, row, fracs.reshape(self.x_rows, row)).ravel()
        parts = np.split(frame, np.cumsum(sizes)[:-1])
        self.values = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    # ---- who reads a value ----------------------------------------------------------------------

    def only_windows(self, value: int) -> bool:
        """Whether a value is read by convolutions only."""
        readers = [self.qnet.layers[n] for n in self._read_by[value]]
        return bool(readers) and all(isinstance(layer, QDense) and layer.window
                                     and layer.pattern is None for layer in readers)

    def made(self, value: int) -> int:
        """The value itself, or of a history the value whose history it is."""
        layer = self.qnet.layers[value - len(self.qnet.input_shapes)] \
            if value >= len(self.qnet.input_shapes) else None
        if isinstance(layer, QView) and isinstance(layer.view, History):
            return layer.inputs[0]
        return value

    def feeds(self, n: int) -> bool:
        """Whether another layer reads what layer ``n`` makes; False where ``n`` is no layer."""
        return n >= 0 and bool(self._read_by[self.qnet.value(n)])

    def needs(self, n: int, other: int) -> bool:
        """Whether layer ``n`` reads, perhaps through others, what layer ``other`` makes."""
        values, seen = [*self.qnet.layers[n].inputs], set()
        while values:
            value = values.pop()
            layer = value - len(self.qnet.input_shapes)
            if layer == other:
                return True
            if layer >= 0 and value not in seen:
                seen.add(value)
                values += self.qnet.layers[layer].inputs
        return False

    def is_read(self, n: int) -> bool:
        """Whether another op reads what layer ``n`` makes."""
        return self.keep or self.feeds(n)

    def leaves(self, value: int) -> bool:
        """Whether a value, perhaps rearranged, is an output of the network."""
        if value in self.qnet.outputs:
            return True
        return any(isinstance(layer, QView) and value in layer.inputs
                   and self.leaves(self.qnet.value(n)) for n, layer in enumerate(self.qnet.layers))

    # ---- ops ------------------------------------------------------------------------------------

    def result(self, n: int, steps: int, size: int, frac: int) -> np.ndarray:
        """Addresses (steps, size) for the results of the next op, the last of layer ``n``."""
        places = self.places.get(self.qnet.value(n), 0)
        kept = steps if places or self.is_read(n) else 0
        return self.storage.result(len(self.ops), steps, size, frac, kept, max(1, places))

    def add(self, layer: int, kind: Kind, parts: tuple[Part, ...], written: np.ndarray | None,
            **more: Any) -> int:
        """Append an op of the present stage; its number.

        ``more``: fields of :class:`~gatefold.gen.plan.ops.Op` that differ from what most ops have:
        every step makes all elements, there is no bias, and the results are the layer's value,
        element after element.
        """
        size, rows, _ = parts[0].matrix.shape
        fields: dict[str, Any] = {
            "sizes": (size,) * len(parts[0].steps), "bias": np.zeros((size, rows), np.int64),
            "traced": None if written is None else np.arange(written.size).reshape(written.shape)}
        self.ops.append(Op(layer=layer, kind=kind, size=size, parts=parts, written=written,
                           stage=self.stage, **(fields | more)))
        return len(self.ops) - 1

    # ---- outputs --------------------------------------------------------------------------------

    def frame(self) -> np.ndarray:
        """Addresses (elements,) of the output frame's elements."""
        if self._gathered is not None:
            return self._gathered.ravel()
        return np.concatenate([self.values[value].ravel() for value in self.qnet.outputs])

    def gather(self, row: int) -> None:
        """One more op, which puts the output frame together in rows of ``row`` elements, and adds
        what an element's zero point is beyond the first element's."""
        frame = self.frame().reshape(-1, row)
        self.stage += 1
        written = self.storage.result(len(self.ops), len(frame), row, 0, 0)
        zeros = self.qnet.output_zeros[:row, None]
        self.add(GATHERED, DenseKind("linear", 0, 0, self.qnet.act_width),
                 (picking(row, 1, frame),), written, bias=zeros - zeros[0], traced=None)
        self._gathered = written


def _places(qnet: QuantizedNetwork) -> dict[int, int]:
    """Of each value whose history is read, how many frames of it there is room for.

    The program repeats after as many frames as all of them take to come back to their first place:
    so all numbers divide one, the smallest for which none has to be more than half too large.
    """
    least: dict[int, int] = {}
    for layer in qnet.layers:
        if isinstance(layer, QView) and isinstance(layer.view, History):
            (value,) = layer.inputs
            rows, _ = qnet.shapes[value]
            least[value] = max(least.get(value, 1), -(-layer.view.reach // rows))

    def dividing(period: int) -> dict[int, int]:
        return {value: min(n for n in range(count, period + 1) if period % n == 0)
                for value, count in least.items()}

    def waste(places: dict[int, int]) -> float:
        return max((places[value] / count for value, count in least.items()), default=1)

    most = max(least.values(), default=1)
    ways = [dividing(period) for period in range(most, 2 * most + 1)]
    return next((places for places in ways if waste(places) <= _WASTE), min(ways, key=waste))


def picking(size: int, rows: int, steps: np.ndarray, base: int | None = None) -> Part:
    """A part whose rows pick elements: row k of the ``rows`` of an element picks that element of
    the k-th of the vectors that are joined in a step's vector.

    ``steps``: addresses (steps, rows * size).
    """
    matrix = np.zeros((size, rows, rows * size), np.int64)
    element = np.arange(size)
    for k in range(rows):
        matrix[element, k, k * size + element] = 1
    return Part(matrix=matrix, steps=tuple(steps), base=base, pattern=matrix != 0)
