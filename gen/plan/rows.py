"""How an op's rows are folded onto the array: groups of ``pe`` rows, and their way to the lanes.

Four rows make a slot: row 4 j + k of group r is row k of slot r * (pe / 4) + j, counted through all
groups. Where an element has four rows (the gates of a unit), slot p holds element p. Where it has
one, slot q * simd + lane holds four elements, those of lane ``lane`` of the chunks 4 q to 4 q + 3,
row k that of chunk 4 q + k. So in both cases simd slots side by side go to simd lanes, in one beat
or in four.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Fold", "Group", "fold"]


@dataclass(frozen=True)
class Group:
    """Rows that the array works on together.

    rotation: the lane of the group's first slot. first: the chunk of the result (and of the states)
    that its first beat writes. beats: how many chunks it writes. complete: whether the chunks of
    its last simd slots are complete then; if not, the next group goes on with them.
    """

    rotation: int
    first: int
    beats: int
    complete: bool


@dataclass(frozen=True)
class Fold:
    """The rows of an op on the array.

    Attributes: ``groups``; ``rows``, (groups, pe), what each row of the array holds: element * rows
    of an element + row, or -1 for nothing; ``chunks``, the number of chunks of the result.
    """

    groups: tuple[Group, ...]
    rows: np.ndarray
    chunks: int

    @property
    def free(self) -> int:
        """The first row of the first slot from which on the last group holds nothing."""
        return 4 * (int(np.flatnonzero(self.rows[-1] >= 0).max(initial=-1)) // 4 + 1)

    def moved(self, rows: int) -> Fold:
        """The same, if it is one group, so many rows further down the array."""
        (group,) = self.groups
        return replace(self, groups=(replace(group, rotation=-rows // 4),),
                       rows=np.roll(self.rows, rows, axis=1))


def fold(size: int, rows: int, pe: int, simd: int) -> Fold:
    """Fold ``size`` elements of ``rows`` (4 or 1) matrix rows each onto an array of ``pe`` rows and
    ``simd`` lanes."""
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
