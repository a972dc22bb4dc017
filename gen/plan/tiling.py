"""Which chunks each group of rows meets at each step, and with which weight words.

Steps repeat: the vector of most lies in its chunks as that of the step before does, only some
chunks further on. Such steps share their groups (:class:`StepGroup`), which are found once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.plan.dies import Columns, columns, places
from gatefold.gen.plan.layout import NOWHERE, cut
from gatefold.gen.plan.lowered import Lowered
from gatefold.gen.plan.riders import Ride
from gatefold.gen.plan.rows import Fold
from gatefold.gen.plan.work import Word

__all__ = ["StepGroup", "StepTile", "StepTiles", "Tiling"]


@dataclass(frozen=True)
class StepTile:
    """A tile of a group. at: which of the chunks that the step meets (-1 for any), or of a word of
    such chunks any. weight: its weight word. bank, absolute, away: see
    :mod:`gatefold.gen.plan.dies`."""

    at: int
    weight: int
    bank: int = 0
    absolute: bool = False
    away: int = 0


@dataclass(frozen=True)
class StepGroup:
    """A group of rows at a step.

    number: which of the op's groups. beats: words that it writes. tiles: its tiles, none where it
    rides. bias: its bias word.
    """

    number: int
    beats: int
    tiles: tuple[StepTile, ...]
    bias: int


@dataclass(frozen=True)
class StepTiles:
    """An op at a step. met: of each part that it meets, its own or that of an op that rides on it,
    (op, part, numbers of the chunks)."""

    op: int
    step: int
    met: tuple[tuple[int, int, np.ndarray], ...]
    groups: tuple[StepGroup, ...]


@dataclass(frozen=True)
class _Cut:
    """A vector in chunks (:func:`~gatefold.gen.plan.layout.cut`): their ``ranks`` among those that
    it lies in, by number; ``words``, the tiles of each word (:func:`~.dies.columns`)."""

    ranks: np.ndarray
    words: list[tuple[list[Columns], list[Columns]]]


class Tiling:
    """The tiles of all steps, and the words that they need.

    Attributes: ``steps``; ``weight_words``; ``bias_words``, (op, group, whether for step 0 alone),
    numbered in this order.
    """

    def __init__(self, lowered: Lowered, folds: Sequence[Fold], repeated: frozenset[int],
                 rides: dict[int, tuple[Ride, ...]], parts: int):
        self.ops, self.folds, self.repeated, self.rides = lowered.ops, folds, repeated, rides
        self.simd, self.storage, self.parts = lowered.simd, lowered.storage, parts
        self.weight_words: list[Word] = []
        self.bias_words: dict[tuple[int, int, bool], int] = {}
        self._words: dict[tuple, int] = {}
        # Of (op, part, group), for each die the columns that its rows can use.
        self._used: dict[tuple[int, int, int], np.ndarray] = {}
        self._cuts: dict[tuple, tuple[int, _Cut]] = {}
        self._groups_of: dict[tuple, tuple[StepGroup, ...]] = {}
        # Of (op, step), what those meet beside that ride on it and meet more: (op, part, vector).
        self._beside: dict[tuple[int, int], list[tuple[int, int, np.ndarray]]] = {}
        for n, of_op in rides.items():
            for ride in of_op:
                for step, carried in ride.steps.items():
                    self._find_beside(n, ride, step, carried)
        self.steps = [self._step(n, step) for n, op in enumerate(self.ops)
                      for step in range(len(op.sizes))
                      if any(part.steps[step] is not None for part in op.parts)]

    def _step(self, n: int, step: int) -> StepTiles:
        op, met, cuts, alike = self.ops[n], [], [], []
        vectors = [(n, p, part.steps[step]) for p, part in enumerate(op.parts)
                   if not (p == 0 and n in self.repeated and step)]
        for other, p, vector in (*vectors, *self._beside.get((n, step), ())):
            if vector is None:
                continue
            which, found, numbers = self._cut(vector)
            met.append((other, p, numbers))
            cuts.append((other, p, found))
            alike.append((other, p, which))
        words = self.storage.words(op.sizes[step])
        begins = step == 0 and op.first_bias is not None
        rides = any(step in ride.steps for ride in self.rides.get(n, ()))
        key = (n, words, begins, rides, *alike)
        if key not in self._groups_of:
            self._groups_of[key] = (StepGroup(0, self.folds[n].groups[0].beats, (), 0),) \
                if rides else tuple(self._groups(n, words, begins, cuts))
        return StepTiles(n, step, tuple(met), self._groups_of[key])

    def _cut(self, vector: np.ndarray) -> tuple[int, _Cut, np.ndarray]:
        """A vector in chunks: (which of the cuts, the cut, the numbers of its chunks)."""
        there = vector >= 0
        numbers, rank = np.unique(vector[there] // self.simd, return_inverse=True)
        ranked = np.full_like(vector, NOWHERE)
        ranked[there] = rank * self.simd + vector[there] % self.simd
        chunks = [self.storage.chunks[number] for number in numbers.tolist()]
        key = (ranked.tobytes(), places(chunks, self.storage.dies))
        if key not in self._cuts:
            ranks, lanes = cut(ranked, self.simd)
            self._cuts[key] = len(self._cuts), _Cut(ranks, columns(
                [chunks[one] for one in ranks.tolist()], lanes, self.storage.dies))
        which, found = self._cuts[key]
        return which, found, numbers[found.ranks]

    def _find_beside(self, n: int, ride: Ride, step: int, carried: int) -> None:
        """Note what an op that rides meets beside its carrier's vector."""
        vector = self.ops[n].parts[0].steps[step]
        if vector is not None and len(ride.columns) < len(vector):
            rest = vector.copy()
            rest[ride.columns.start:ride.columns.stop] = NOWHERE
            self._beside.setdefault((ride.carrier, carried), []).append((n, 0, rest))

    def _groups(self, n: int, words: int, begins: bool,
                cuts: list[tuple[int, int, _Cut]]) -> Iterator[StepGroup]:
        """The groups that write any of the ``words`` of a step's result, ``parts`` beats each. The
        last one meets what riders meet beside."""
        for g, group in enumerate(self.folds[n].groups):
            beats = min(group.beats, self.parts * words - group.first)
            if beats < 1:
                continue
            tiles: list[StepTile] = []
            begin = 0
            for other, p, found in cuts:
                if other == n or g == len(self.folds[n].groups) - 1:
                    rows = g if other == n else 0
                    tiles += [StepTile(begin + tile.at, self._word(other, p, rows, tile.lanes),
                                       tile.bank, tile.absolute, away)
                              for tile, away in self._meets(other, p, rows, found)]
                begin += len(found.ranks)
            if not tiles:  # nothing but a bias
                nothing = np.full((self.storage.dies, self.simd), NOWHERE)
                tiles = [StepTile(-1, self._word(n, 0, g, nothing))]
            bias = self.bias_words.setdefault((n, g, begins), len(self.bias_words))
            yield StepGroup(g, beats, tuple(tiles), bias)

    def _meets(self, n: int, p: int, g: int, found: _Cut) -> list[tuple[Columns, int]]:
        """The tiles in which any of a group's rows can be other than zero, and how far away the
        chunks are that they meet, the nearest first. Of each word the relative ones or the absolute
        ones, whichever are fewer."""
        tiles: list[tuple[Columns, int]] = []
        for ways in found.words:
            relative, absolute = (
                [(tile, tile.away(meets)) for tile in way
                 if (meets := self._uses(n, p, g, tile.lanes)).any()] for way in ways)
            tiles += absolute if ways[1] and len(absolute) < len(relative) else relative
        return sorted(tiles, key=lambda tile: (tile[1], tile[0].absolute, tile[0].bank))

    def _uses(self, n: int, p: int, g: int, lanes: np.ndarray) -> np.ndarray:
        """Of each die, whether its rows of a group, those of riders too, can be other than zero in
        these columns."""
        part, dies = self.ops[n].parts[p], self.storage.dies
        if (n, p, g) not in self._used:
            rows, per = self.folds[n].rows[g], self.ops[n].rows
            used = (rows >= 0)[:, None]
            if part.pattern is not None:
                used = used & part.pattern[rows // per, rows % per]
            for rider, rides in self.rides.items():
                if (n, p, g) in {(ride.carrier, ride.part, ride.group) for ride in rides}:
                    used = used | (self.folds[rider].rows[0] >= 0)[:, None]
            self._used[n, p, g] = used.reshape(dies, -1, used.shape[1]).any(axis=1)
        used = self._used[n, p, g]
        column = lanes if part.pattern is not None else np.zeros_like(lanes)
        return np.any(used[np.arange(dies)[:, None], column] & (lanes >= 0), axis=1)

    def _word(self, n: int, p: int, g: int, lanes: np.ndarray) -> int:
        key = (n, p, g, lanes.tobytes())
        if key not in self._words:
            self._words[key] = len(self.weight_words)
            self.weight_words.append(Word(n, p, g, lanes))
        return self._words[key]
