"""The base classes of layers in integers, and the properties that every layer declares.

A layer declares which of its formats belong to weights, states and operands, the bounds of its
sums, and its tensors. So checks, accumulator widths, reports and files need not know its class.
``docs/numbers.md`` defines its arithmetic; ``sim/golden.py``, which reads only the fields,
computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from gatefold.gen.network.layer import Layer, Shape
from gatefold.gen.network.recurrent import CLIP_BITS
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.tables import CURVE_TABLES, Table

__all__ = ["ABSENT", "MOST_CLIP", "MOST_SCALE", "SPLITS", "Columns", "QLayer", "QMatrix", "Tensor",
           "alignment", "argument", "column_shifts", "hard_limit", "limit_of", "parted"]

MOST_CLIP = 1 << 24  #: The largest ``z_clip`` of a layer, 256: beyond the range of every table.

#: The largest scale of a row: two bits of a shift by 0 or 1 share a LUT.
MOST_SCALE = 1

#: Operands that an element of a network's input may become.
SPLITS = (1, 2, 4, 8, 16)

#: The fractional bits of an element that is padding: a zero, which every format has.
ABSENT = -1000


def alignment(x: QFormat, fracs: np.ndarray) -> np.ndarray:
    """Left shifts that bring elements with ``fracs`` fractional bits to the format x."""
    return np.where(fracs == ABSENT, 0, x.frac - fracs)


def parted(whole: np.ndarray, parts: int, *, mirrored: bool = False) -> np.ndarray:
    """Integers (..., elements) as ``parts`` integers each, (..., elements * parts), whose sum they
    are: floor((v + j) / parts) for j = 0 .. parts - 1; ``mirrored``: for j with its bits in
    reverse order, so that the parts of an operand and those of a weight are not alike."""
    bits = parts.bit_length() - 1
    order = [int(f"{j:0{bits}b}"[::-1], 2) if mirrored and bits else j for j in range(parts)]
    return ((whole[..., None] + np.array(order)) >> bits).reshape(*whole.shape[:-1], -1)


def column_shifts(x: QFormat, fracs: np.ndarray) -> np.ndarray:
    """The largest left shift to x in each column of (..., columns) fractional bits."""
    shifts = alignment(x, fracs).reshape(-1, fracs.shape[-1]).max(axis=0)
    shifts.setflags(write=False)
    return shifts


def hard_limit(activation: str, result: QFormat) -> int | None:
    """The largest magnitude of a hard activation in a format that reaches beyond 1: 1, or 0 if
    that is less than half a step. None if saturation clips at 1, and for other activations."""
    if not activation.startswith("hard_") or result.frac >= result.width - 1:
        return None
    return 1 << result.frac if result.frac >= 0 else 0


def limit_of(clip: int, frac: int) -> int | None:
    """The integer with ``frac`` fractional bits to which ``z_clip`` of a recurrent layer limits an
    argument, rounded half up; None without a clip."""
    shift = CLIP_BITS - frac
    if not clip:
        return None
    return (clip + (1 << shift - 1)) >> shift if shift > 0 else clip << -shift


def argument(activation: str, table: Table, result: QFormat) -> QFormat:
    """Format of the argument of a candidate's or cell's activation (*Activations* in
    `docs/numbers.md`): the table's argument for tanh, else the result's own format,
    ``table.out_frac + 1`` bits."""
    return table.format if activation == "tanh" else result


@dataclass(frozen=True)
class Tensor:
    """A tensor of golden's trace: ``name`` there, ``frac`` fractional bits, ``form`` for reports
    (None: as wide as the accumulator); ``scale``, the value of one without fractional bits."""

    name: str
    frac: int
    form: QFormat | None
    scale: float = 1.0

    @classmethod
    def of(cls, name: str, form: QFormat) -> Tensor:
        """A tensor with a format of its own."""
        return cls(name, form.frac, form)

    def to_float(self, integers: np.ndarray) -> np.ndarray:
        """Values of integers."""
        return integers * (self.scale * 2.0**-self.frac)


@dataclass(frozen=True)
class Columns:
    """Weights of some rows, (rows, columns) of the format ``form``, and the extremes of each
    column's operand in units of the accumulator's last bit: ``lo`` and ``hi`` shifted left by
    ``up`` (columns,). ``used``: None, or where (rows, columns) a weight can be other than zero."""

    w: np.ndarray
    form: QFormat
    lo: int
    hi: int
    up: np.ndarray
    used: np.ndarray | None = None

    def extremes(self, any_weights: bool) -> Iterator[tuple[list[int], list[int]]]:
        """(least, most) of each row, summed over its columns, once for each shift that occurs."""
        for shift in np.unique(self.up).tolist():
            # 18 x 18 bits x 2**16 columns stay within int64; the shift may not.
            at = self.up == shift
            if any_weights:
                products = [w * x for w in (self.form.lo, self.form.hi) for x in (self.lo, self.hi)]
                used = np.ones(self.w.shape, bool) if self.used is None else self.used
                count = used[:, at].sum(axis=1)
                least, most = min(products) * count, max(products) * count
            else:
                w = np.asarray(self.w[:, at], np.int64)
                least = np.minimum(w * self.lo, w * self.hi).sum(axis=1)
                most = np.maximum(w * self.lo, w * self.hi).sum(axis=1)
            yield [v << shift for v in least.tolist()], [v << shift for v in most.tolist()]


@dataclass(frozen=True, kw_only=True)
class QLayer:
    """A layer in integers. ``name`` is generated (``l0_lstm``), never from the model file;
    ``inputs``, the values it reads."""

    name: str
    inputs: tuple[int, ...]

    of: ClassVar[type[Layer]] = Layer  #: the class of the float layer
    computes = True  #: False of a view
    #: Constant initial states and other vectors, and the fields with their formats.
    constants: ClassVar[Mapping[str, str]] = {}
    #: Inputs whose elements all have one format, by their place, and the fields with these formats.
    operands: ClassVar[Mapping[int, str]] = {}
    #: Fields with formats of states, as wide as the cell state.
    cells: ClassVar[tuple[str, ...]] = ()
    #: Fields with formats of inner activations' results, as wide as the table's.
    activated: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of its value for inputs of these shapes."""
        raise NotImplementedError

    def fits(self, *shapes: Shape) -> bool:
        """Whether its arrays and activations are legal, and fit inputs of these shapes."""
        raise NotImplementedError

    def elements(self, *shapes: Shape) -> int:
        """The most elements that its value has, or its operands, as windows."""
        return sum(map(prod, shapes))

    @property
    def result(self) -> QFormat | None:
        """Format of its value; None for a view, whose elements keep their formats."""
        return getattr(self, self.of.result, None)

    def fracs(self, shape: Shape, *fracs: np.ndarray) -> np.ndarray:
        """Fractional bits of each element of its value, of ``shape``, from those of its inputs."""
        assert self.result
        return np.full(shape, self.result.frac)

    @property
    def traced(self) -> tuple[str, ...]:
        """Tensors in a core's trace, by golden's names: the layer's value, then its state."""
        return (self.of.result, *(("c",) if "c" in self.cells else ()))

    @property
    def weights(self) -> dict[str, QFormat]:
        """Formats of its matrices, by their names."""
        return {tensor: getattr(self, f"{tensor}_format") for tensor in self.of.weights}

    @property
    def finest(self) -> QFormat | None:
        """The format to which the elements of its first input are shifted, if there is one."""
        return getattr(self, "x", None)

    def aligned(self, fracs: Sequence[np.ndarray]) -> bool:
        """Whether its shifts are right for inputs whose elements have these fractional bits."""
        return True

    def tensors(self, table: Table) -> dict[str, Tensor]:
        """Its tensors in golden's trace, by their names in a float trace."""
        assert self.result
        return {self.of.result: Tensor.of(self.of.result, self.result)}

    # ---- sums ------------------------------------------------------------------------------

    @property
    def acc_frac(self) -> int:
        """Fractional bits of the accumulator; 0 of a layer without weights."""
        return 0

    @property
    def row_biases(self) -> list[int]:
        """The bias of every row of the accumulator."""
        return [value for bias in self.of.biases for value in getattr(self, bias).tolist()]

    def result_shifts(self, table: Table) -> list[int]:
        """Right shift that makes each row's result of its accumulator (negative: a left shift).

        The rows are a Dense layer's outputs or blocks of units: i, f, g, o of an LSTM; r, z, a, m
        of a GRU with reset_after (m is w_hh h + b_n), r, z, a of one without. The shift's half LSB
        is what rounding adds to the accumulator; 0 for a, which is rounded later.
        """
        return []

    @property
    def row_scales(self) -> np.ndarray:
        """The scale of every row of the accumulator."""
        return np.zeros(0, np.int64)

    @property
    def columns(self) -> list[Columns]:
        """The weights of every row, and the extremes of their operands."""
        return []

    def passed(self, fracs: tuple[np.ndarray, ...]) -> list[tuple[QFormat, int, int]]:
        """Operands that pass through the accumulator without a weight: their format, the fractional
        bits of the result, and the left shift before. ``fracs``: fractional bits of the elements
        of all values."""
        return []

    def widest(self, table: Table, acc_bits: int) -> int:
        """Bits of the widest number that golden makes of accumulators of ``acc_bits`` bits."""
        return acc_bits


class QMatrix(QLayer):
    """A layer with weights. The classes that inherit this declare the fields."""

    b: np.ndarray
    x: QFormat
    x_align: np.ndarray
    activation: str
    scales: np.ndarray | None
    split: int

    @property
    def row_scales(self) -> np.ndarray:
        """The scale of every row of the accumulator (:meth:`result_shifts` lists the rows): so
        many fractional bits more than ``acc_frac`` its sum has. Zeros where the layer has none."""
        return np.zeros(len(self.b), np.int64) if self.scales is None else self.scales

    @property
    def features(self) -> int:
        """Columns of x's matrix: input features, with a window those of all its taps."""
        return getattr(self, self.of.weights[0]).shape[1]

    def tensors(self, table):
        return {"z": Tensor("acc", self.acc_frac, None), **super().tensors(table)}

    def result_shifts(self, table):
        tables = {"sigmoid": self.acc_frac + 1 - table.frac, "tanh": self.acc_frac - table.frac,
                  **{name: self.acc_frac + curve.divide - table.frac
                     for name, curve in CURVE_TABLES.items()}}
        assert self.result
        return [tables.get(self.activation, self.acc_frac - self.result.frac)] * len(self.b)

    def met(self, fracs: np.ndarray) -> np.ndarray:
        """Fractional bits (..., columns) of the operands of each column of x's matrix."""
        return fracs

    def aligned(self, fracs):
        return np.array_equal(self.x_align, column_shifts(self.x, self.met(fracs[0])))

    def widest(self, table, acc_bits):
        return max(acc_bits + max(0, *(-shift for shift in self.result_shifts(table))),
                   self.x.width + int(self.x_align.max(initial=0)))
