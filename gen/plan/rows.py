"""How an op's rows are folded onto the array: groups of ``pe`` rows, and the ways out of them.

Row 4 j + k of group r belongs to slot p = r * (pe / 4) + j. Where four rows make an element (the
gates of a unit), slot p has those of element p. Where each row is an element of its own, four
chunks of the result stand side by side: slot p = q * simd + lane holds in its row k the element of
chunk 4 q + k, lane ``lane``. So the same routes bring both to the lanes, the chunks being filled
from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Fold", "Group", "fold"]


@dataclass(frozen=True)
class Group:
    """Rows that the array works on together.

    rotation: lane of the group's first slot. first: chunk that its first beat writes (and the cell
    chunk). beats: chunks it writes to. complete: the chunks of its last beats are full then.
    """

    rotation: int
    first: int
    beats: int
    complete: bool


@dataclass(frozen=True)
class Fold:
    """An op on the array.

    Attributes: ``groups``; ``rows``, (groups, pe): element * rows of an element + row, or -1 for an
    array row without work; ``chunks``, the number of chunks of the result.
    """

    groups: tuple[Group, ...]
    rows: np.ndarray
    chunks: int


def fold(size: int, rows: int, pe: int, simd: int) -> Fold:
    """Fold ``size`` elements of ``rows`` (4 or 1) matrix rows each onto ``pe`` rows and ``simd``
    lanes."""
    slots = pe // 4
    chunks = -(-size // simd)
    span = 1 if rows == 4 else 4
    used = size if rows == 4 else (-(-chunks // 4) - 1) * simd + min(simd, size)

    slot = np.arange(-(-used // slots) * slots)[:, None]
    if rows == 4:
        work = np.where(slot < size, 4 * slot + np.arange(4), -1)
    else:
        work = (4 * (slot // simd) + np.arange(4)) * simd + slot % simd
        work = np.where(work < size, work, -1)

    groups = []
    for first in range(0, used, slots):
        end = min(first + slots, used)
        first_q, last_q = first // simd, (end - 1) // simd
        groups.append(Group(
            rotation=first % simd,
            first=span * first_q,
            beats=min(span * (last_q + 1), chunks) - span * first_q,
            complete=end == used or end % simd == 0,
        ))
    return Fold(tuple(groups), work.reshape(len(groups), pe), chunks)
