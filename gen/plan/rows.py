"""How an op's rows are folded onto the array: groups of rows, and their way to the lanes.

An element has R rows: four gates of a unit, or the one row of an element of a Dense layer. Row
R s + k of the array holds row k of slot s, and a group fills the ``pe // R`` slots with as many
neighbouring elements. So slots side by side go to the lanes beside one another, in one beat; a
chunk of results takes one beat, or ``parts`` of them where a die has fewer lanes than columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Fold", "Group", "fold", "list_routes"]


@dataclass(frozen=True)
class Group:
    """Rows that the array works on together.

    rotation: the lane of the group's first slot. first: the number of its first beat among those of
    the result (and of the states). beats: how many it takes. complete: whether the chunk of its
    last beat is complete then; if not, the next group goes on with it.
    """

    rotation: int
    first: int
    beats: int
    complete: bool


@dataclass(frozen=True)
class Fold:
    """The rows of an op on the array.

    Attributes: ``per``, the rows R of an element; ``groups``; ``rows``, (groups, pe), what each row
    of the array holds: element * R + row, or -1 for nothing; ``dies``, which have an equal number
    of these rows each.
    """

    per: int
    groups: tuple[Group, ...]
    rows: np.ndarray
    dies: int = 1

    @property
    def of_die(self) -> np.ndarray:
        """``rows`` as (groups, dies, rows of a die)."""
        return self.rows.reshape(len(self.groups), self.dies, -1)

    @property
    def free(self) -> int:
        """The first row of a die from which on the last group holds nothing, on any die."""
        held = (self.of_die[-1] >= 0).any(axis=0)
        return int(np.flatnonzero(held).max(initial=-1)) + 1

    def moved(self, rows: int) -> Fold:
        """The same, if it is one group of elements of one row, so many rows further down on each
        die."""
        (group,) = self.groups
        return replace(self, groups=(replace(group, rotation=-rows),),
                       rows=np.roll(self.of_die, rows, axis=2).reshape(self.rows.shape))


def fold(size: int, per: int, pe: int, simd: int, parts: int = 1) -> Fold:
    """Fold ``size`` elements of ``per`` matrix rows each onto an array of ``pe`` rows, whose chunks
    of ``simd`` results take ``parts`` beats."""
    slots, lanes = pe // per, simd // parts
    groups = []
    for first in range(0, size, slots):
        end = min(first + slots, size)
        groups.append(Group(rotation=first % lanes, first=first // lanes,
                            beats=(end - 1) // lanes + 1 - first // lanes,
                            complete=end == size or end % simd == 0))
    rows = np.full((len(groups), pe), -1)
    held = np.arange(len(groups) * slots * per).reshape(len(groups), -1)
    rows[:, :slots * per] = np.where(held < size * per, held, -1)
    return Fold(per, tuple(groups), rows)


def list_routes(folds: Sequence[Fold], lanes: int) -> tuple[tuple[tuple[int, int], ...],
                                                            dict[tuple[int, int], int]]:
    """The routes that groups take to so many ``lanes``, each (R, the slot that lane 0 sees, which
    may be negative), and of each (R, rotation) the index of the first; the beats of a group take
    one after the other."""
    beats: dict[tuple[int, int], int] = {}
    for found in folds:
        for group in found.groups:
            way = found.per, group.rotation
            beats[way] = max(group.beats, beats.get(way, 0))
    routes: list[tuple[int, int]] = []
    first = {}
    for (per, rotation), count in sorted(beats.items()):
        first[per, rotation] = len(routes)
        routes += [(per, beat * lanes - rotation) for beat in range(count)]
    return tuple(routes), first
