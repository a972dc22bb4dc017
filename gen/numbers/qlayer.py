"""What every layer in integers is: the base classes, and what a layer states of itself.

A quantised layer names its formats by what they are for (of weights, of a state, of an operand), so
that checks, accumulators, reports and files ask no layer for its class. What the integers do:
``docs/numbers.md``, executed by ``sim/golden.py``, which reads the fields alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from gatefold.gen.network.layer import Layer, Shape
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.tables import Table

__all__ = ["ABSENT", "RESULT_ACTIVATIONS", "Columns", "QLayer", "QMatrix", "Tensor", "alignment",
           "argument", "column_shifts"]

#: In place of the fractional bits of an element that is padding: a zero of any format.
ABSENT = -1000
#: Activations of a Dense or SimpleRNN in integers.
RESULT_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")


def alignment(x: QFormat, fracs: np.ndarray) -> np.ndarray:
    """Left shifts that bring elements with ``fracs`` fractional bits to the format x."""
    return np.where(fracs == ABSENT, 0, x.frac - fracs)


def column_shifts(x: QFormat, fracs: np.ndarray) -> np.ndarray:
    """The largest left shift to x in each column of (..., columns) fractional bits."""
    shifts = alignment(x, fracs).reshape(-1, fracs.shape[-1]).max(axis=0)
    shifts.setflags(write=False)
    return shifts


def argument(activation: str, table: Table, result: QFormat) -> QFormat:
    """Format of what a candidate's or cell's activation takes (`docs/numbers.md`, Activation):
    the table's argument for tanh, else the result's own format, ``table.out_frac + 1`` bits."""
    return table.format if activation == "tanh" else result


@dataclass(frozen=True)
class Tensor:
    """A tensor of golden's trace: ``name`` there, ``frac`` fractional bits, ``form`` for reports
    (None: as wide as the accumulator)."""

    name: str
    frac: int
    form: QFormat | None

    @classmethod
    def of(cls, name: str, form: QFormat) -> Tensor:
        """One with a format of its own."""
        return cls(name, form.frac, form)

    def to_float(self, integers: np.ndarray) -> np.ndarray:
        """Values of integers."""
        return integers * 2.0**-self.frac


@dataclass(frozen=True)
class Columns:
    """Some rows' weights (rows, columns) of the format ``form``, and the extremes of what each
    column meets, in units of the accumulator's last bit: ``lo`` and ``hi`` shifted left by ``up``
    (columns,). ``used``: None, or where (rows, columns) there can be a weight at all."""

    w: np.ndarray
    form: QFormat
    lo: int
    hi: int
    up: np.ndarray
    used: np.ndarray | None = None

    def extremes(self, any_weights: bool) -> Iterator[tuple[list[int], list[int]]]:
        """(least, most) of each row, summed over its columns, one for each shift that occurs."""
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

    of: ClassVar[type[Layer]] = Layer  #: the float layer that it is the integers of
    computes = True  #: False of a view
    #: Constant initial states, and the fields with their formats.
    constants: ClassVar[Mapping[str, str]] = {}
    #: Inputs whose elements all have one format, by their place, and the fields with these formats.
    operands: ClassVar[Mapping[int, str]] = {}
    #: Fields with formats of states, as wide as the cell state.
    cells: ClassVar[tuple[str, ...]] = ()
    #: Fields with formats of what an inner activation gives, as wide as the table's results.
    activated: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape behind this layer."""
        raise NotImplementedError

    def fits(self, *shapes: Shape) -> bool:
        """Whether arrays, activations and inputs of these shapes belong together."""
        raise NotImplementedError

    def elements(self, *shapes: Shape) -> int:
        """At most so many elements its value has, and its operands as windows."""
        return sum(map(prod, shapes))

    @property
    def result(self) -> QFormat | None:
        """Format of its value; None for a view, which takes its elements' formats along."""
        return None

    def fracs(self, shape: Shape, *fracs: np.ndarray) -> np.ndarray:
        """Fractional bits of its value's elements, of ``shape``, and of its inputs' elements."""
        assert self.result
        return np.full(shape, self.result.frac)

    @property
    def traced(self) -> tuple[str, ...]:
        """What a core's trace shows of the layer, by golden's names: its value, then its state."""
        return (self.of.result, *(("c",) if "c" in self.cells else ()))

    @property
    def weights(self) -> dict[str, QFormat]:
        """Formats of its matrices, by their names."""
        return {tensor: getattr(self, f"{tensor}_format") for tensor in self.of.weights}

    @property
    def finest(self) -> QFormat | None:
        """The format that the elements of its first input are shifted to, where it has one."""
        return None

    def aligned(self, fracs: Sequence[np.ndarray]) -> bool:
        """Whether its shifts of the operands are right for inputs of these fractional bits."""
        return True

    def tensors(self, table: Table) -> dict[str, Tensor]:
        """Its tensors in golden's trace, by their names in a float trace."""
        assert self.result
        return {"y": Tensor.of("y", self.result)}

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
    def columns(self) -> list[Columns]:
        """The weights of every row, and what they meet."""
        return []

    def passed(self, fracs: tuple[np.ndarray, ...]) -> list[tuple[QFormat, int, int]]:
        """Operands that pass the accumulator without a weight: their format, the fractional bits of
        the result, the left shift before. ``fracs``: fractional bits of all values' elements."""
        return []

    def widest(self, table: Table, acc_bits: int) -> int:
        """Bits of the widest number that golden makes of accumulators of ``acc_bits`` bits."""
        return acc_bits


class QMatrix(QLayer):
    """A layer with weights; its fields are declared by the classes below it."""

    b: np.ndarray
    x: QFormat
    x_align: np.ndarray
    activation: str

    @property
    def finest(self):
        return self.x

    def met(self, fracs: np.ndarray) -> np.ndarray:
        """Fractional bits (..., columns) of what the input's columns of a matrix meet."""
        return fracs

    def aligned(self, fracs):
        return np.array_equal(self.x_align, column_shifts(self.x, self.met(fracs[0])))

    def widest(self, table, acc_bits):
        return max(acc_bits + max(0, *(-shift for shift in self.result_shifts(table))),
                   self.x.width + int(self.x_align.max(initial=0)))

    def _plain_shift(self, table: Table, y: QFormat) -> int:
        """The right shift of a row whose result is the layer's value, of the format y."""
        tables = {"sigmoid": self.acc_frac + 1 - table.frac, "tanh": self.acc_frac - table.frac}
        return tables.get(self.activation, self.acc_frac - y.frac)
