"""What the array is asked to do: a matrix times vectors, step after step, and a finish.

An *op* is what a layer is to the engine. Most layers are one; a GRU without reset_after is two that
take turns, a large MaxPool a cascade, an initial cell state one more in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.hdl.kinds import DenseKind, Kind

__all__ = ["Op", "Part"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Columns of an op's matrix and the vectors that meet them.

    matrix: (size, rows of an element, columns) integers. steps: for each step the addresses
    (columns,) of the vector, or None where it is not met. base: a chunk with f fractional bits is
    shifted left by base - f into the accumulator; None, not at all. pattern: None, or where the
    matrix may be other than zero, of its shape. carried: at step 0 the vector is what the last
    frame left.
    """

    matrix: np.ndarray
    steps: tuple[np.ndarray | None, ...]
    base: int | None
    pattern: np.ndarray | None = None
    carried: bool = False


@dataclass(frozen=True, kw_only=True)
class Op:
    """A matrix, its operands and its finish.

    layer: of the quantised network; -1, none (the output put together). kind: its finish. size:
    elements of a step's result. sizes: how many of them each step yields (the last may have fewer).
    parts: operands, those from other ops first. bias, first_bias: (size, rows); the latter for step
    0, where it differs. written: addresses (steps, size) of its results in the operand memory, or
    None. stage: ops are ordered by it; those of one stage take turns, step by step. cells: the
    layer whose states these are, or None. fresh: at step 0 the state counts as zero. carried: at
    step 0 the state is the last frame's. after: the op whose states must be there before the
    first is finished. traced: for each result (steps, size) its index in the layer's value, flat,
    or -1; None where the results are none of golden's.
    """

    layer: int
    kind: Kind
    size: int
    sizes: tuple[int, ...]
    parts: tuple[Part, ...]
    bias: np.ndarray
    first_bias: np.ndarray | None = None
    written: np.ndarray | None
    stage: int
    cells: int | None = None
    fresh: bool = True
    carried: bool = False
    after: int | None = None
    traced: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Matrix rows of an element: 4 share a slot, or each is an element of its own."""
        return 1 if isinstance(self.kind, DenseKind) else 4

    @property
    def repeated(self) -> bool:
        """Whether every step has the same input, so that its products serve them all."""
        if len(self.sizes) < 2 or len(self.parts) < 2 or self.first_bias is not None:
            return False
        first, *recurrent = self.parts
        if any(part.steps[0] is not None for part in recurrent):
            return False
        if any(step is None for part in recurrent for step in part.steps[1:]):
            return False
        return all(step is not None and first.steps[0] is not None
                   and np.array_equal(step, first.steps[0]) for step in first.steps)
