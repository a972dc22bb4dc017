"""Which chunks each group of rows meets at each step, and with which weight words.

Steps repeat: the vector of most lies in its chunks as that of the step before does, only some
chunks further on. Such steps share their groups (:class:`StepGroup`), which are found once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.plan.layout import NOWHERE, cut
from gatefold.gen.plan.lowered import Lowered
from gatefold.gen.plan.riders import Ride
from gatefold.gen.plan.rows import Fold
from gatefold.gen.plan.work import Word

__all__ = ["StepGroup", "StepTiles", "Tiling"]


@dataclass(frozen=True)
class StepGroup:
    """A group of rows at a step.

    number: which of the op's groups. beats: chunks that it writes. tiles: of each, which of the
    chunks that the step meets (-1 for any) and the weight word. bias: its bias word.
    """

    number: int
    beats: int
    tiles: tuple[tuple[int, int], ...]
    bias: int


@dataclass(frozen=True)
class StepTiles:
    """An op at a step. met: of each part that it meets, (part, numbers of the chunks)."""

    op: int
    step: int
    met: tuple[tuple[int, np.ndarray], ...]
    groups: tuple[StepGroup, ...]


@dataclass(frozen=True)
class _Cut:
    """A vector in chunks (:func:`~gatefold.gen.plan.layout.cut`), the first of which counts as
    chunk 0: their ``numbers``; ``lanes`` (chunks, simd), what they hold; ``keys``, the lanes of
    each as bytes."""

    numbers: np.ndarray
    lanes: np.ndarray
    keys: tuple[bytes, ...]


class Tiling:
    """The tiles of all steps, and the words that they need.

    Attributes: ``steps``; ``weight_words``; ``bias_words``, (op, group, whether for step 0 alone),
    numbered in this order.
    """

    def __init__(self, lowered: Lowered, folds: Sequence[Fold], repeated: frozenset[int],
                 rides: dict[int, Ride]):
        self.ops, self.folds, self.repeated, self.rides = lowered.ops, folds, repeated, rides
        self.simd, self.storage = lowered.simd, lowered.storage
        self.weight_words: list[Word] = []
        self.bias_words: dict[tuple[int, int, bool], int] = {}
        self._words: dict[tuple, int] = {}
        self._used: dict[tuple[int, int, int], np.ndarray] = {}  # columns of (op, part, group)
        self._cuts: dict[bytes, tuple[int, _Cut]] = {}
        self._groups_of: dict[tuple, tuple[StepGroup, ...]] = {}
        self.steps = [self._step(n, step) for n, op in enumerate(self.ops)
                      for step in range(len(op.sizes))
                      if any(part.steps[step] is not None for part in op.parts)]

    def _step(self, n: int, step: int) -> StepTiles:
        op, met, cuts, alike = self.ops[n], [], [], []
        for p, part in enumerate(op.parts):
            vector = part.steps[step]
            if vector is None or (p == 0 and n in self.repeated and step):
                continue
            which, found, first = self._cut(vector)
            met.append((p, found.numbers + first))
            cuts.append((p, found))
            alike.append((p, which))
        chunks = self.storage.words(op.sizes[step])
        begins = step == 0 and op.first_bias is not None
        rides = n in self.rides and step < self.rides[n].steps
        key = (n, chunks, begins, rides, *alike)
        if key not in self._groups_of:
            groups = self._rider(n) if rides else self._groups(n, chunks, begins, cuts)
            self._groups_of[key] = tuple(groups)
        return StepTiles(n, step, tuple(met), self._groups_of[key])

    def _cut(self, vector: np.ndarray) -> tuple[int, _Cut, int]:
        """A vector in chunks: (which of the cuts, the cut, number of its first chunk)."""
        there = vector >= 0
        first = int(vector.min(where=there, initial=1 << 62)) // self.simd if there.any() else 0
        relative = np.where(there, vector - first * self.simd, NOWHERE)
        key = relative.tobytes()
        if key not in self._cuts:
            numbers, lanes = cut(relative, self.simd)
            self._cuts[key] = len(self._cuts), _Cut(
                numbers, lanes, tuple(held.tobytes() for held in lanes))
        return *self._cuts[key], first

    def _groups(self, n: int, chunks: int, begins: bool,
                cuts: list[tuple[int, _Cut]]) -> Iterator[StepGroup]:
        """The groups that write any of the ``chunks`` of a step's result."""
        for g, group in enumerate(self.folds[n].groups):
            beats = min(group.beats, chunks - group.first)
            if beats < 1:
                continue
            tiles: list[tuple[int, int]] = []
            begin = 0
            for p, found in cuts:
                tiles += [(begin + at, self._word(n, p, g, found.lanes[at], found.keys[at]))
                          for at in self._meets(n, p, g, found)]
                begin += len(found.lanes)
            if not tiles:  # nothing but a bias
                tiles = [(-1, self._nothing(n, g))]
            bias = self.bias_words.setdefault((n, g, begins), len(self.bias_words))
            yield StepGroup(g, beats, tuple(tiles), bias)

    def _rider(self, n: int) -> Iterator[StepGroup]:
        """The one group of a step that rides: its sums are there, a tile finishes them. The tile
        meets the first chunk, so that it waits for the step's vector."""
        yield StepGroup(0, self.folds[n].groups[0].beats, ((0, self._nothing(n, 0)),), 0)

    def _nothing(self, n: int, g: int) -> int:
        """The word of a tile whose weights are zero."""
        nothing = np.full(self.simd, NOWHERE)
        return self._word(n, 0, g, nothing, nothing.tobytes())

    def _meets(self, n: int, p: int, g: int, found: _Cut) -> list[int]:
        """The chunks in which a group's rows can be other than zero."""
        part = self.ops[n].parts[p]
        if part.pattern is None:
            return list(range(len(found.lanes)))
        if (n, p, g) not in self._used:
            rows, per = self.folds[n].rows[g], self.ops[n].rows
            rows = rows[rows >= 0]
            columns = part.pattern[rows // per, rows % per].any(axis=0)
            self._used[n, p, g] = np.append(columns, False)  # -1: where a lane holds nothing
        return np.flatnonzero(self._used[n, p, g][found.lanes].any(axis=1)).tolist()

    def _word(self, n: int, p: int, g: int, held: np.ndarray, lanes: bytes) -> int:
        key = (n, p, g, lanes)
        if key not in self._words:
            self._words[key] = len(self.weight_words)
            self.weight_words.append(Word(n, p, g, held))
        return self._words[key]
