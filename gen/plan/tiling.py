"""Which chunks each group of rows meets at each step, and with which weight words.

Steps repeat: the vector of most lies in its chunks as that of the step before does, only some
chunks further on. Such steps share their groups (:class:`StepGroup`), which are found once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatefold.gen.plan.dies import Columns, columns, places
from gatefold.gen.plan.layout import NOWHERE, cut
from gatefold.gen.plan.lowered import Lowered
from gatefold.gen.plan.riders import Ride
from gatefold.gen.plan.rows import Fold
from gatefold.gen.plan.work import Word

__all__ = ["StepGroup", "StepTile", "StepTiles", "Tiling"]

#: Elements of vectors that are cut at a time, for memory.
_AT_A_TIME = 1 << 20


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
    it lies in, by number; ``words``, how many tiles each word has (:func:`~.dies.columns`),
    relative ones and absolute ones; ``tiles``, all of these; ``lanes``, (tiles, dies, simd), and
    for each tile the number of its lanes; ``ways``, (tiles, dies)."""

    ranks: np.ndarray
    words: tuple[tuple[int, int], ...]
    tiles: tuple[Columns, ...]
    lanes: np.ndarray
    numbers: tuple[int, ...]
    ways: np.ndarray


class _Met(NamedTuple):
    """A vector that an op meets with a part of its own, or of those that ride on it (``ops``):
    ``which`` of the cuts it is in, that ``cut``, and the ``numbers`` of its chunks."""

    ops: tuple[int, ...]
    part: int
    which: int
    cut: _Cut
    numbers: np.ndarray


def _rows(array: np.ndarray) -> list[bytes]:
    """The bytes of each array of ``array``."""
    data, size = array.tobytes(), array[0].nbytes if len(array) else 0
    return [data[at * size:(at + 1) * size] for at in range(len(array))]


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
        self._words: dict[tuple[tuple[int, ...], int, int, int], int] = {}
        self._lanes: dict[bytes, int] = {}  # numbers of what the lanes of a tile meet
        # Of (ops, part, group), for each die the columns that its rows can use.
        self._used: dict[tuple[tuple[int, ...], int, int], np.ndarray] = {}
        self._places = places(self.storage.chunks, self.storage.dies) \
            if self.storage.dies > 1 else np.empty((0, 3), int)
        # Of vectors that differ in which chunk is their first: the numbers of the chunks, counted
        # from that, and the bytes of the vector as if they followed one another.
        self._shapes: dict[bytes, tuple[np.ndarray, bytes]] = {}
        self._cuts: dict[tuple[bytes, bytes], tuple[int, _Cut]] = {}
        self._groups_of: dict[tuple, tuple[StepGroup, ...]] = {}
        # Of (op, step), what those meet beside that ride on it and meet more: of each vector, and
        # base of its products, once, with all of them.
        self._beside: dict[tuple[int, int], dict[tuple[int, bytes, int | None], _Met]] = {}
        for n, of_op in rides.items():
            for ride in of_op:
                self._find_beside(n, ride)
        self.steps = [step for n in range(len(self.ops)) for step in self._steps(n)]
        for found in (self._words, self._lanes, self._used, self._shapes, self._cuts,
                      self._groups_of, self._beside):
            found.clear()  # a draft is kept for long

    def _steps(self, n: int) -> Iterator[StepTiles]:
        """The steps of an op."""
        op = self.ops[n]
        parts = [self._met(n, p, list(part.steps)) for p, part in enumerate(op.parts)]
        riding = {step for ride in self.rides.get(n, ()) for step in ride.steps}
        words = {size: self.storage.words(size) for size in set(op.sizes)}
        beats = self.folds[n].groups[0].beats
        for step, size in enumerate(op.sizes):
            met = [there for of_part in parts if (there := of_part[step]) is not None]
            if not met:
                continue
            if step and n in self.repeated and parts[0][step] is not None:
                del met[0]
            met += self._beside.get((n, step), {}).values()
            begins = step == 0 and op.first_bias is not None
            rides = step in riding
            key = (words[size], begins, rides, *[(one.ops, one.part, one.which) for one in met])
            if key not in self._groups_of:
                self._groups_of[key] = (StepGroup(0, beats, (), 0),) if rides else tuple(
                    self._groups(n, words[size], begins, met))
            yield StepTiles(n, step, tuple([(one.ops[0], one.part, one.numbers) for one in met]),
                            self._groups_of[key])
        self._groups_of.clear()

    def _met(self, n: int, p: int, vectors: list[np.ndarray | None]) -> list[_Met | None]:
        """Each of the ``vectors`` that a part of an op meets, in chunks."""
        found: list[_Met | None] = [None] * len(vectors)
        there = [(step, vector) for step, vector in enumerate(vectors) if vector is not None]
        if not there:
            return found
        at_a_time = max(1, _AT_A_TIME // max(1, len(there[0][1])))
        for begin in range(0, len(there), at_a_time):
            some = there[begin:begin + at_a_time]
            cuts = self._cut(np.stack([vector for _, vector in some]))
            for (step, _), one in zip(some, cuts, strict=True):
                found[step] = _Met((n,), p, *one)
        return found

    def _cut(self, vectors: np.ndarray) -> list[tuple[int, _Cut, np.ndarray]]:
        """Each of the ``vectors`` (vectors, columns) in chunks: (which of the cuts, the cut, the
        numbers of its chunks)."""
        there = vectors >= 0
        first = np.min(vectors, axis=1, where=there,
                       initial=len(self.storage.chunks) * self.simd) // self.simd
        moved = np.where(there, vectors - first[:, None] * self.simd, NOWHERE)
        shapes = _rows(moved)
        self._rank({shape: v for v, shape in enumerate(shapes) if shape not in self._shapes}, moved)
        alike: dict[bytes, list[int]] = {}  # by the vector of their chunks' ranks
        for v, shape in enumerate(shapes):
            alike.setdefault(self._shapes[shape][1], []).append(v)
        found: list = [None] * len(vectors)
        for key, those in alike.items():
            ranked = np.frombuffer(key, np.int64)
            numbers = np.stack([self._shapes[shapes[v]][0] for v in those]) + first[those][:, None]
            for v, its, lie in zip(those, numbers, self._lie(numbers), strict=True):
                if (key, lie) not in self._cuts:
                    self._cuts[key, lie] = len(self._cuts), self._new_cut(ranked, its)
                which, cut_ = self._cuts[key, lie]
                found[v] = which, cut_, its[cut_.ranks]
        return found

    def _rank(self, new: dict[bytes, int], vectors: np.ndarray) -> None:
        """Note the ``new`` shapes, each with one of the ``vectors`` that has it."""
        some = vectors[list(new.values())]
        there = some >= 0
        chunk = np.where(there, some // self.simd, len(self.storage.chunks))  # padding comes last
        order = np.argsort(chunk, axis=1, kind="stable")
        inside = np.take_along_axis(there, order, axis=1)
        chunk = np.take_along_axis(chunk, order, axis=1)
        begins = inside.copy()
        begins[:, 1:] &= chunk[:, 1:] != chunk[:, :-1]
        rank = np.empty_like(chunk)
        np.put_along_axis(rank, order, np.cumsum(begins, axis=1) - 1, axis=1)
        ranked = np.where(there, rank * self.simd + some % self.simd, NOWHERE)
        for shape, its, of_its, key in zip(new, chunk, begins, _rows(ranked), strict=True):
            self._shapes[shape] = its[of_its], key

    def _lie(self, numbers: np.ndarray) -> list[bytes]:
        """How each row of chunks with these ``numbers`` lies on the dies: rows that lie alike are
        cut alike."""
        if self.storage.dies == 1:
            return [b""] * len(numbers)
        lie = self._places[numbers]
        word = lie[..., 0].copy()
        lie[:, 1:, 0] = np.cumsum(word[:, 1:] != word[:, :-1], axis=1)
        lie[:, :1, 0] = 0
        return _rows(lie)

    def _new_cut(self, ranked: np.ndarray, numbers: np.ndarray) -> _Cut:
        """Of a vector as if the chunks with these ``numbers`` followed one another."""
        ranks, lanes = cut(ranked, self.simd)
        dies = self.storage.dies
        words = columns([self.storage.chunks[one] for one in numbers[ranks].tolist()], lanes, dies)
        tiles = tuple(tile for ways in words for way in ways for tile in way)
        return _Cut(
            ranks, tuple((len(relative), len(absolute)) for relative, absolute in words), tiles,
            np.array([tile.lanes for tile in tiles], int).reshape(-1, dies, self.simd),
            tuple(self._number(tile.lanes) for tile in tiles),
            np.array([tile.ways for tile in tiles], int).reshape(-1, dies))

    def _find_beside(self, n: int, ride: Ride) -> None:
        """Note what an op that rides meets beside its carrier's vectors."""
        part = self.ops[n].parts[0]
        if len(ride.columns) == part.matrix.shape[2]:
            return
        rest = [None if (vector := part.steps[step]) is None else vector.copy()
                for step in ride.steps]
        for vector in rest:
            if vector is not None:
                vector[ride.columns.start:ride.columns.stop] = NOWHERE
        for carried, met in zip(ride.steps.values(), self._met(n, 0, rest), strict=True):
            if met is None:
                continue
            beside = self._beside.setdefault((ride.carrier, carried), {})
            key = met.which, met.numbers.tobytes(), part.base
            before = beside[key].ops if key in beside else ()
            beside[key] = met._replace(ops=(*before, n))

    def _groups(self, n: int, words: int, begins: bool, met: list[_Met]) -> Iterator[StepGroup]:
        """The groups that write any of the ``words`` of a step's result, ``parts`` beats each. The
        last one meets what riders meet beside."""
        for g, group in enumerate(self.folds[n].groups):
            beats = min(group.beats, self.parts * words - group.first)
            if beats < 1:
                continue
            tiles: list[StepTile] = []
            begin = 0
            for ops, p, _, found, _ in met:
                if ops == (n,) or g == len(self.folds[n].groups) - 1:
                    rows = g if ops == (n,) else 0
                    for at, away in self._meets(ops, p, rows, found):
                        tile = found.tiles[at]
                        word = self._word(ops, p, rows, tile.lanes, found.numbers[at])
                        tiles.append(StepTile(begin + tile.at, word, tile.bank, tile.absolute,
                                              away))
                begin += len(found.ranks)
            if not tiles:  # nothing but a bias
                nothing = np.full((self.storage.dies, self.simd), NOWHERE)
                tiles = [StepTile(-1, self._word((n,), 0, g, nothing, self._number(nothing)))]
            bias = self.bias_words.setdefault((n, g, begins), len(self.bias_words))
            yield StepGroup(g, beats, tuple(tiles), bias)

    def _meets(self, ops: tuple[int, ...], p: int, g: int, found: _Cut) -> list[tuple[int, int]]:
        """The tiles in which any of a group's rows can be other than zero, and how far away the
        chunks are that they meet, the nearest first. Of each word the relative ones or the absolute
        ones, whichever are fewer."""
        meets = self._uses(ops, p, g, found.lanes)
        met: list[bool] = np.any(meets, axis=1).tolist()
        away: list[int] = np.max(np.where(meets, found.ways, 0), axis=1).tolist()
        if self.storage.dies == 1:
            return [(at, 0) for at, there in enumerate(met) if there]
        tiles: list[tuple[int, int]] = []
        begin = 0
        for count, others in found.words:
            middle, end = begin + count, begin + count + others
            relative, absolute = ([(at, away[at]) for at in way if met[at]]
                                  for way in (range(begin, middle), range(middle, end)))
            tiles += absolute if others and len(absolute) < len(relative) else relative
            begin = end
        return sorted(tiles, key=lambda tile: (tile[1], found.tiles[tile[0]].absolute,
                                               found.tiles[tile[0]].bank))

    def _uses(self, ops: tuple[int, ...], p: int, g: int, lanes: np.ndarray) -> np.ndarray:
        """Of each tile with these ``lanes`` and each die, whether its rows of a group, those of
        riders too, can be other than zero: (tiles, dies)."""
        n, *others = ops
        part, dies = self.ops[n].parts[p], self.storage.dies
        if (ops, p, g) not in self._used:
            rows, per = self.folds[n].rows[g], self.ops[n].rows
            used = (rows >= 0)[:, None]
            if part.pattern is not None:
                used = used & part.pattern[rows // per, rows % per]
            others += [rider for rider, rides in self.rides.items() if (n, p, g) in
                       {(ride.carrier, ride.part, ride.group) for ride in rides}]
            for rider in others:
                used = used | (self.folds[rider].rows[0] >= 0)[:, None]
            self._used[ops, p, g] = used.reshape(dies, -1, used.shape[1]).any(axis=1)
        used = self._used[ops, p, g]
        column = lanes if part.pattern is not None else np.zeros_like(lanes)
        return np.any(used[np.arange(dies)[:, None], column] & (lanes >= 0), axis=2)

    def _number(self, lanes: np.ndarray) -> int:
        return self._lanes.setdefault(lanes.tobytes(), len(self._lanes))

    def _word(self, ops: tuple[int, ...], p: int, g: int, lanes: np.ndarray, number: int) -> int:
        """The weight word of a group's rows with these ``lanes``, which have this ``number``."""
        key = ops, p, g, number
        if key not in self._words:
            self._words[key] = len(self.weight_words)
            self.weight_words.append(Word(ops, p, g, lanes))
        return self._words[key]
