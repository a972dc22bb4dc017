"""Where elements lie: every element of every value has an address, and views rearrange those.

An *element address* is ``chunk number * simd + lane``; -1 (:data:`NOWHERE`) is an element that is
not there: padding, a zero. A value is an array of addresses of its own shape, so what a layer that
only moves values does to the value, NumPy does to the addresses, and no hardware has to.

A value of two timesteps of four features, with simd = 3, takes two chunks a timestep; the second
holds one element, and the addresses of its empty lanes do not occur:

>>> storage = Storage(simd=3)
>>> value = storage.input_rows(2, 4, np.zeros((2, 4), int))
>>> value
array([[0, 1, 2, 3],
       [6, 7, 8, 9]])
>>> [(chunk.address, chunk.size) for chunk in storage.chunks]
[(0, 3), (1, 1), (2, 3), (3, 1)]

Reversed in time and flattened it is another vector of the same chunks. A window over both steps and
one of padding before them begins with elements that are nowhere:

>>> back = value[::-1].ravel()
>>> back
array([6, 7, 8, 9, 0, 1, 2, 3])
>>> window = np.concatenate([np.full(4, NOWHERE), value.ravel()])
>>> window
array([-1, -1, -1, -1,  0,  1,  2,  3,  6,  7,  8,  9])

A matrix meets a vector chunk by chunk. :func:`cut` gives the numbers of the chunks and, for each of
their lanes, the column of the matrix that belongs there; a lane with -1 has a weight of zero. So a
view changes weight words, and padding takes no tile:

>>> numbers, columns = cut(back, 3)
>>> numbers
array([0, 1, 2, 3])
>>> columns
array([[ 4,  5,  6],
       [ 7, -1, -1],
       [ 0,  1,  2],
       [ 3, -1, -1]])
>>> cut(window, 3)[1]
array([[ 4,  5,  6],
       [ 7, -1, -1],
       [ 8,  9, 10],
       [11, -1, -1]])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import lcm
from typing import NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["NOWHERE", "Chunk", "Chunks", "Ring", "Storage", "cut"]

_Address = TypeVar("_Address", int, np.ndarray)

NOWHERE = -1  #: Address of an element that is always zero.


class Chunk(NamedTuple):
    """One memory word of a step's result, or of the input: ``size`` elements of one format.

    from_x: it is a word of the input memory, else of the h memory. address: of that word; -1, none.
    frac: fractional bits of its elements. origin: (op, step, index) of what writes it; op -1 is
    the input. age: how many frames ago it was written; steps of earlier frames are negative. bank:
    the die that makes it, in whose bank of every die's h memory it lies. everywhere: every die
    makes it and has it in its own bank. A result's elements lie from lane 0 up, an input's where
    its word has them.
    """

    from_x: bool
    address: int
    size: int
    frac: int
    origin: tuple[int, int, int]
    bank: int = 0
    everywhere: bool = False
    age: int = 0


class Chunks(Sequence[Chunk]):
    """Chunks by number. They are kept as columns: an array that is only drafted makes a hundred
    thousand chunks and looks at few of them."""

    #: The fields of a :class:`Chunk`, ``origin`` as three.
    COLUMNS = ("from_x", "address", "size", "frac", "op", "step", "index", "bank", "everywhere",
               "age")

    def __init__(self):
        self._blocks: list[np.ndarray] = []
        self._count = 0

    def add(self, **columns: ArrayLike) -> None:
        """Append as many chunks as the arrays of the ``columns`` make together, in their order;
        those that are not given are zero."""
        arrays = np.broadcast_arrays(*(columns.get(name, 0) for name in self.COLUMNS))
        self._blocks.append(np.stack([array.ravel() for array in arrays], axis=1, dtype=np.int64,
                                     casting="unsafe"))
        self._count += len(self._blocks[-1])
        self.__dict__.pop("table", None)

    @cached_property
    def table(self) -> np.ndarray:
        """All of them, (chunks, columns)."""
        self._blocks = [np.concatenate([np.empty((0, len(self.COLUMNS)), np.int64),
                                        *self._blocks])]
        return self._blocks[0]

    def column(self, name: str) -> np.ndarray:
        """A field of all of them."""
        return self.table[:, self.COLUMNS.index(name)]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Chunk: ...
    @overload
    def __getitem__(self, number: slice) -> list[Chunk]: ...
    def __getitem__(self, number: int | slice) -> Chunk | list[Chunk]:
        if isinstance(number, slice):
            return [_chunk(row) for row in self.table[number].tolist()]
        return _chunk(self.table[number].tolist())

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self[:])


def _chunk(row: list[int]) -> Chunk:
    """The chunk of a row of :attr:`Chunks.table`."""
    from_x, address, size, frac, op, step, index, bank, everywhere, age = row
    return Chunk(bool(from_x), address, size, frac, (op, step, index), bank, bool(everywhere), age)


@dataclass(frozen=True)
class Ring:
    """Words of the h memory that an op writes in turn, frame after frame: ``places`` of ``words``
    words each, from ``base`` on. Of the frame in progress and of each of the others that are still
    there, ``chunks`` are listed, the oldest frame's first; none, where nothing but step 0 reads
    them."""

    base: int
    words: int
    places: int
    chunks: int = 0

    def moved(self, address: _Address, frames: int) -> _Address:
        """What lies at ``address`` in one frame, so many frames later."""
        return self.base + (address - self.base + frames * self.words) % (self.words * self.places)


@dataclass
class Storage:
    """All chunks, by number, and the words of the h memory that they take.

    Chunk n of a result is made by die n modulo ``dies`` and lies in that die's bank, behind the
    n // dies chunks that this die made before it: so a word is ``dies`` chunks, one of each die.
    Where only one chunk is left for the last word, all dies make it.

    rings: of results that move from frame to frame.
    """

    simd: int
    dies: int = 1
    chunks: Chunks = field(default_factory=Chunks)
    h_depth: int = 0
    rings: list[Ring] = field(default_factory=list)

    def chunks_of(self, elements: int) -> int:
        """Chunks that so many elements take."""
        return -(-elements // self.simd)

    def words(self, elements: int) -> int:
        """Words that a result of so many elements takes: the most chunks of one die."""
        return -(-self.chunks_of(elements) // self.dies)

    def input_rows(self, rows: int, row: int, fracs: np.ndarray) -> np.ndarray:
        """Addresses (rows, row) of an input frame stored row by row; ``fracs`` (rows, row), their
        fractional bits. A word whose elements have several formats is a chunk for each of them."""
        words = self.chunks_of(row)
        if (fracs == fracs[:1, :1]).all():
            first = len(self.chunks)
            t, k = np.arange(rows)[:, None], np.arange(words)
            self.chunks.add(from_x=1, address=t * words + k,
                            size=np.minimum(self.simd, row - k * self.simd), frac=fracs[0, 0],
                            op=-1, step=t, index=k)
            return (first + t * words) * self.simd + np.arange(row)
        found = np.empty((rows, row), np.int64)
        for t in range(rows):
            for k in range(words):
                lanes = slice(k * self.simd, min(row, (k + 1) * self.simd))
                here = found[t, lanes]
                for frac in np.unique(fracs[t, lanes]).tolist():
                    held = np.flatnonzero(fracs[t, lanes] == frac)
                    here[held] = len(self.chunks) * self.simd + held
                    self.chunks.add(from_x=1, address=t * words + k, size=len(held), frac=frac,
                                    op=-1, step=t, index=k)
        return found

    def result(self, op: int, steps: int, size: int, frac: int, kept: int,
               places: int = 1) -> np.ndarray:
        """Addresses (steps, size) of an op's results. The h memory has room for ``kept`` steps,
        which are written in turn; for none, if the results only leave. It has such room in so many
        ``places``, one for each of the last frames (:meth:`aged`)."""
        base, words = self.h_depth, self.words(size)
        chunks = self.chunks_of(size)
        self.h_depth += places * kept * words
        ring = Ring(base, kept * words, places, steps * chunks)
        if places > 1:
            self.rings.append(ring)
        k, t = np.arange(chunks), np.arange(steps)[:, None]
        word, bank = np.divmod(k, self.dies)
        last = chunks - 1 if (chunks - 1) % self.dies == 0 else -1  # it is alone in its word
        for age in range(places - 1, -1, -1):
            at = base + t % max(1, kept) * words
            if age and kept:
                at = ring.moved(at, -age)
            self.chunks.add(address=at + word if kept else -1,
                            size=np.minimum(self.simd, size - k * self.simd), frac=frac, op=op,
                            step=t - age * steps, index=k, bank=bank, everywhere=k == last, age=age)
        first = len(self.chunks) - steps * chunks
        number = first + np.arange(steps)[:, None] * chunks + np.arange(size) // self.simd
        return number * self.simd + np.arange(size) % self.simd

    def aged(self, addresses: np.ndarray, frames: int) -> np.ndarray:
        """The addresses of the elements that the result of an op in a ring had so many ``frames``
        ago."""
        word = self.chunks[int(addresses.flat[0]) // self.simd].address
        chunks = next(ring.chunks for ring in self.rings if self._holds(ring, word))
        return addresses - frames * chunks * self.simd

    def moved(self, address: int, frames: int) -> int:
        """Where that which lies at ``address`` of the h memory in one frame lies so many frames
        later."""
        for ring in self.rings:
            if self._holds(ring, address):
                return ring.moved(address, frames)
        return address

    @staticmethod
    def _holds(ring: Ring, address: int) -> bool:
        return ring.base <= address < ring.base + ring.places * ring.words

    def before(self, chunk: Chunk) -> Chunk:
        """The same chunk of the frame before."""
        return chunk._replace(address=self.moved(chunk.address, -1), age=1)

    @property
    def phases(self) -> int:
        """After how many frames all results lie where they did."""
        return lcm(*(ring.places for ring in self.rings))

    @property
    def oldest(self) -> int:
        """The most frames ago that anything in it was written."""
        return max((ring.places - 1 for ring in self.rings), default=1)


def cut(addresses: np.ndarray, simd: int) -> tuple[np.ndarray, np.ndarray]:
    """The chunks in which a vector lies: (their numbers (n,), what each lane of them holds
    (n, simd): an index into the vector, or -1).

    If the vector holds an element twice, the element's chunk comes twice.
    """
    there = np.flatnonzero(addresses >= 0)
    order = there[np.argsort(addresses[there], kind="stable")]
    at = addresses[order]
    index = np.arange(len(at))
    first = np.concatenate([np.ones(min(1, len(at)), bool), at[1:] != at[:-1]])
    again = index - np.maximum.accumulate(np.where(first, index, 0))  # equal ones before
    most = int(again.max(initial=0)) + 1
    chunk, row = np.unique(at // simd * most + again, return_inverse=True)
    lanes = np.full((len(chunk), simd), -1)
    lanes[row, at % simd] = order
    return chunk // most, lanes
