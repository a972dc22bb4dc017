"""What the array does: a matrix times a vector, step after step, and a finish.

An *op* is what the engine sees of a layer. Most layers become one op. A GRU without reset_after
becomes two that take turns, and one with it three where these take fewer tiles; a large MaxPool
becomes one for each level of a tree; an initial state takes one more, in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.hdl.kinds import Kind

__all__ = ["COPIED", "GATHERED", "Op", "Part"]

#: In place of a layer's number: an op that puts the output together, or copies an input.
GATHERED, COPIED = -1, -2


@dataclass(frozen=True, kw_only=True)
class Part:
    """Columns of an op's matrix and the vectors that meet them.

    matrix: (size, rows of an element, columns) integers.
    steps: for each step the addresses (columns,) of the vector (:mod:`gatefold.gen.plan.layout`);
        None, the step leaves this part out.
    base: the products with a chunk of f fractional bits are shifted left by base - f into the
        accumulator; None, by nothing.
    pattern: booleans of the matrix's shape, false where it is zero whatever the training; None,
        nowhere.
    carried: at step 0 the vector is what the last frame left.
    """

    matrix: np.ndarray
    steps: tuple[np.ndarray | None, ...]
    base: int | None
    pattern: np.ndarray | None = None
    carried: bool = False


@dataclass(frozen=True, kw_only=True)
class Op:
    """A matrix, its operands and its finish.

    layer: its number in the quantised network, :data:`GATHERED` or :data:`COPIED`.
    kind: its finish. later: None, or a step, from which on it has another one, and that one.
    size: elements of a step's result. sizes: how many of them each step makes, from the first on.
    parts: its columns and the vectors that meet them, the layer's input first.
    bias, first_bias: (size, rows of an element); the latter for step 0, where that differs.
    scales: of the same shape, each row's scale (:mod:`gatefold.gen.numbers`); None, zeros.
    written: addresses (steps, size) of its results; None, it has none (it loads states).
    stage: an op reads results of lower stages; of its own stage, those of earlier steps and, of the
        same step, those of ops with a lower number.
    cells: the layer whose states it reads and writes, or None. fresh: at step 0 they count as zero.
        carried: at step 0 they are the last frame's. after: the op that loads them, or None.
    asides: ops that set aside, at the same step, what this op finishes with.
    factors: for each element of a result (size,) its word of the lanes' factors, or None.
    traced: for each result (steps, size) its index in the layer's value, flat, or -1; None, where
        golden has no such values.
    """

    layer: int
    kind: Kind
    later: tuple[int, Kind] | None = None
    size: int
    sizes: tuple[int, ...]
    parts: tuple[Part, ...]
    bias: np.ndarray
    first_bias: np.ndarray | None = None
    scales: np.ndarray | None = None
    written: np.ndarray | None
    stage: int
    cells: int | None = None
    fresh: bool = True
    carried: bool = False
    after: int | None = None
    asides: tuple[int, ...] = ()
    factors: np.ndarray | None = None
    traced: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Matrix rows of an element."""
        return self.bias.shape[1]

    def finishes(self) -> list[tuple[Kind, int]]:
        """Its finishes from the first step on, each with the number of steps that have it."""
        steps = len(self.sizes)
        if not self.later:
            return [(self.kind, steps)]
        begins = min(self.later[0], steps)
        return [(kind, count) for kind, count in (
            (self.kind, begins), (self.later[1], steps - begins)) if count]

    @property
    def repeated(self) -> bool:
        """Whether every step has the same input, so that the first step's products serve all."""
        if len(self.sizes) < 2 or len(self.parts) < 2 or self.first_bias is not None:
            return False
        first, *recurrent = self.parts
        if any(part.steps[0] is not None for part in recurrent):
            return False
        if any(step is None for part in recurrent for step in part.steps[1:]):
            return False
        return all(step is not None and first.steps[0] is not None
                   and np.array_equal(step, first.steps[0]) for step in first.steps)
