"""How the dies of an array share an op: which die makes which elements, and which chunk each reads.

All dies obey the same instructions, so whatever one of them does in a cycle, the others do with
other rows and other chunks. Die d makes the chunks d, d + dies, d + 2 dies ... of every result
(:class:`~gatefold.gen.plan.layout.Storage`): each has whole chunks, and none has two more than
another. A last chunk that is alone in its word is made by all dies, whose rows would have nothing
to do: so it need not travel. In every die's h memory, bank s holds the chunks that die s has made.
A tile names a word and a bank, in one of two ways:

- *relative*: each die counts the banks in the order in which their chunks come to it
  (:func:`gatefold.hdl.dies.sources`). With bank 0 every die reads what it has made itself, which it
  has before the others, then what its neighbour has made: so a vector that fills whole words is
  read in as many tiles as it has chunks, and its first tiles need not wait for a chunk to travel.
- *absolute*: all dies read the same bank. So a last word in which some banks are empty takes no
  more tiles than it has chunks.

A tile waits for the chunk that comes from farthest away (:attr:`Columns.ways`), of those that meet
a weight: a die that makes no element of a small result waits for nothing.

What a die meets in a tile decides its weights alone, for every row has its own memory: the order of
the columns may differ from die to die for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from gatefold.gen.plan.layout import Chunk, Chunks
from gatefold.gen.plan.rows import Fold, fold
from gatefold.hdl.dies import borders, sources

__all__ = ["Columns", "columns", "places", "spread"]


def spread(size: int, per: int, pe: int, simd: int, dies: int, parts: int = 1) -> Fold:
    """``size`` elements of ``per`` matrix rows each on ``pe`` rows, an equal number on each of
    ``dies``, a chunk in ``parts`` beats: the fold of the die that has most elements, with the rows
    of all dies side by side."""
    die, chunk = np.arange(dies), np.arange(-(-size // simd))
    counts = np.minimum(size - chunk * simd, simd)
    first = fold(int(counts[::dies].sum()), per, pe // dies, simd, parts)
    element, row = np.divmod(first.rows[:, None, :], per)
    word = element // simd * dies
    alone = word == len(chunk) - 1
    element = np.where(alone, word, word + die[None, :, None]) * simd + element % simd
    held = np.where((first.rows[:, None, :] >= 0) & (element < size), element * per + row, -1)
    return replace(first, rows=held.reshape(len(first.groups), pe), dies=dies)


@dataclass(frozen=True)
class Columns:
    """What the dies meet in one tile.

    at: the place of a chunk of the word among those of the vector. bank, absolute: see the module.
    lanes: (dies, simd), for each die and lane the column of the matrix, or -1.
    """

    at: int
    bank: int
    absolute: bool
    lanes: np.ndarray

    @property
    def ways(self) -> tuple[int, ...]:
        """Of each die, the borders that the tile's chunk passes on its way there."""
        return _ways(self.bank, self.absolute, len(self.lanes))


@cache
def _orders(dies: int) -> list[list[int]]:
    """Of each die, all of them in the order in which their chunks come to it."""
    return [sources(die, dies) for die in range(dies)]


@cache
def _ways(bank: int, absolute: bool, dies: int) -> tuple[int, ...]:
    return tuple(borders(die, bank if absolute else _orders(dies)[die][bank], dies)
                 for die in range(dies))


def _word(chunk: Chunk, dies: int) -> tuple:
    """What tells a chunk's word from others."""
    op, step, index = chunk.origin
    return op, step, index // dies if op >= 0 else index, chunk.frac


def places(chunks: Chunks, dies: int) -> np.ndarray:
    """(chunks, 3): the word of each chunk, by its number; its bank; whether every die has it. It is
    all that :func:`columns` asks of chunks; of words, only which chunks have the same one."""
    op, index = chunks.column("op"), chunks.column("index")
    word = np.zeros(len(chunks), np.int64)
    for field in (op, chunks.column("step"), np.where(op >= 0, index // dies, index),
                  chunks.column("frac")):  # what _word tells apart, as digits of a number
        least = field.min(initial=0)
        word = word * (field.max(initial=0) - least + 1) + field - least
    there = chunks.column("from_x") | chunks.column("everywhere")
    return np.stack([word, chunks.column("bank"), there], axis=1)


def columns(chunks: Sequence[Chunk], lanes: np.ndarray, dies: int) -> list[tuple[list[Columns],
                                                                                 list[Columns]]]:
    """The tiles of each word of a vector that lies in these ``chunks``, as
    :func:`~gatefold.gen.plan.layout.cut` gives them with their ``lanes``: relative ones, and
    absolute ones, which do the same. Of a chunk that every die has there is one."""
    if dies == 1:  # a tile for each chunk, in their order
        return [([Columns(at, 0, False, lanes[at:at + 1])], []) for at in range(len(lanes))]
    words: dict[tuple, dict[int, int]] = defaultdict(dict)  # of each word, by bank its place
    for at, chunk in enumerate(chunks):
        word, again = _word(chunk, dies), 0
        while chunk.bank in words[word, again]:  # the vector holds an element twice
            again += 1
        words[word, again][chunk.bank] = at
    shared = np.vstack([lanes, np.full((1, lanes.shape[1]), -1)])  # the last one, of no chunk
    order = _orders(dies)
    found = []
    for banks in words.values():
        any_at = next(iter(banks.values()))
        if chunks[any_at].from_x or chunks[any_at].everywhere:
            found.append(([Columns(any_at, 0, False, shared[[any_at] * dies])], []))
            continue
        met = shared[[[banks.get(source[bank], -1) for source in order] for bank in range(dies)]]
        relative = [Columns(any_at, bank, False, met[bank]) for bank in range(dies)]
        absolute = [Columns(at, bank, True, shared[[at] * dies]) for bank, at in banks.items()]
        found.append((relative, absolute))
    return found
