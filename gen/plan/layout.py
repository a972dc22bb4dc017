"""Where elements live: every element of every value has an address, and views rearrange those.

An *element address* is ``chunk number * simd + lane``; -1 is an element that is not there (padding,
a zero). A value is an array of addresses of its own shape, so a view costs nothing but NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["NOWHERE", "Chunk", "Storage", "cut"]

NOWHERE = -1  #: Address of an element that is always zero.


@dataclass(frozen=True)
class Chunk:
    """One memory word of a step's result: ``count`` elements from lane 0 up.

    address: word of the input memory (``from_x``) or of the h memory, -1 for none. frac: fractional
    bits of its elements. origin: (op, step, index) of what writes it; op -1 is the input.
    """

    from_x: bool
    address: int
    count: int
    frac: int
    origin: tuple[int, int, int]


@dataclass
class Storage:
    """All chunks, by number, and the words of the h memory they take.

    swaps: (address, words) of results whose two words change places from frame to frame.
    """

    simd: int
    chunks: list[Chunk] = field(default_factory=list)
    h_depth: int = 0
    swaps: list[tuple[int, int]] = field(default_factory=list)

    def words(self, elements: int) -> int:
        """Chunks that so many elements take."""
        return -(-elements // self.simd)

    def input_rows(self, rows: int, row: int, fracs: np.ndarray) -> np.ndarray:
        """Addresses (rows, row) of an input frame stored row by row; ``fracs`` (rows, row).

        A word whose elements have several formats is a chunk for each of them.
        """
        words = self.words(row)
        found = np.empty((rows, row), np.int64)
        for t in range(rows):
            for k in range(words):
                lanes = slice(k * self.simd, min(row, (k + 1) * self.simd))
                here = found[t, lanes]
                for frac in np.unique(fracs[t, lanes]).tolist():
                    held = np.flatnonzero(fracs[t, lanes] == frac)
                    here[held] = len(self.chunks) * self.simd + held
                    self.chunks.append(Chunk(True, t * words + k, len(held), frac, (-1, t, k)))
        return found

    def result(self, op: int, steps: int, size: int, frac: int, kept: int) -> np.ndarray:
        """Addresses (steps, size) of an op's results, of which ``kept`` steps are kept at a
        time, written in turn; 0 for results that only leave."""
        base, words, first = self.h_depth, self.words(size), len(self.chunks)
        self.h_depth += kept * words
        for t in range(steps):
            for k in range(words):
                address = base + t % kept * words + k if kept else -1
                count = min(self.simd, size - k * self.simd)
                self.chunks.append(Chunk(False, address, count, frac, (op, t, k)))
        number = first + np.arange(steps)[:, None] * words + np.arange(size) // self.simd
        return number * self.simd + np.arange(size) % self.simd

    def swapped(self, address: int) -> int:
        """Where the word of the h memory lies in every second frame."""
        for base, words in self.swaps:
            if base <= address < base + 2 * words:
                return base + (address - base + words) % (2 * words)
        return address

    def before(self, chunk: Chunk) -> Chunk:
        """The same chunk of the frame before."""
        return replace(chunk, address=self.swapped(chunk.address))


def cut(addresses: np.ndarray, simd: int) -> tuple[np.ndarray, np.ndarray]:
    """The chunks that a vector lies in: (their numbers (n,), what each lane of them holds
    (n, simd): an index into the vector, or -1).

    An element that the vector holds twice makes its chunk come twice.
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
