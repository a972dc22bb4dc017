"""The ops of a network while they are made, layer after layer, and the places of all elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatefold.gen.numbers.quantized import QDense, QuantizedNetwork, QView
from gatefold.gen.plan.layout import Storage
from gatefold.gen.plan.ops import Op, Part
from gatefold.hdl.kinds import DenseKind, Kind

__all__ = ["Lowered", "picking"]


class Lowered:
    """The ops of a network on a pe x simd array of so many dies; at first there are none, and the
    input alone has a place.

    Attributes: ``ops``; ``storage``; ``values``, the addresses (:mod:`gatefold.gen.plan.layout`)
    of the elements of every value that there is; ``stage``, that of the next op; ``x_rows``,
    ``x_row``: rows of the input frame and elements of a row, as they come. ``keep``: every result
    stays in the operand memory, also one that no op reads.
    """

    def __init__(self, qnet: QuantizedNetwork, pe: int, simd: int, keep: bool, dies: int = 1):
        self.qnet, self.pe, self.simd, self.keep = qnet, pe, simd, keep
        self.storage = Storage(simd, dies)
        self.ops: list[Op] = []
        self.stage = 0
        self._read_by = qnet.readers
        self._gathered: np.ndarray | None = None
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

    def feeds(self, n: int) -> bool:
        """Whether another layer reads what layer ``n`` makes; False of -1, no layer."""
        return n >= 0 and bool(self._read_by[self.qnet.value(n)])

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
        kept = steps if self.is_read(n) else 0
        return self.storage.result(len(self.ops), steps, size, frac, kept)

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
        self.add(-1, DenseKind("linear", 0, 0, self.qnet.act_width), (picking(row, 1, frame),),
                 written, bias=zeros - zeros[0], traced=None)
        self._gathered = written


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
