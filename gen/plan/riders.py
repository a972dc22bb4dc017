"""Ops that ride on others: their rows lie in spare rows of a group; its tiles make their sums.

A Dense layer on every step of a recurrent layer meets h_t, and so does the recurrent layer itself,
at step t + 1. Two heads of a network meet the same vector. Where the last group of one op, the
*carrier*, leaves rows of every die empty, the rows of the other, the *rider*, fill them: they meet
the chunks in the carrier's tiles. The router keeps all rows when the carrier's job is finished, so
those of the rider go to the lanes a little later, with a kind, a route and an address of their own,
beside a tile that finishes nothing itself. The last step of a Dense layer on a recurrent one has no
later step to ride on, so it takes tiles of its own.

A Dense layer on both directions of a recurrent layer meets half of its vector in the tiles of each.
A step rides on the direction that comes to it later; that job takes more tiles, in which the
rider's rows meet the other half, which has long been there.

A step that rides is finished later than it could be, so only ops ride whose results no other layer
reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.plan.ops import Op
from gatefold.gen.plan.rows import Fold
from gatefold.hdl.kinds import DenseKind

__all__ = ["Ride", "find_rides"]


@dataclass(frozen=True)
class Ride:
    """How an op rides on another.

    carrier, part: the op that carries it, and the part of that op whose vectors it meets.
    group: of the carrier's rows. row: the row of each die that is the rider's first.
    columns: those of the rider's matrix that meet these vectors; jobs of the carrier take tiles
    for the others. steps: of the rider, each with the step of the carrier that it rides on.
    """

    carrier: int
    part: int
    group: int
    row: int
    columns: range
    steps: dict[int, int]


def find_rides(ops: Sequence[Op], folds: Sequence[Fold], read: frozenset[int],
               repeated: frozenset[int], needs: Callable[[int, int], bool],
               ) -> dict[int, tuple[Ride, ...]]:
    """The rides of each op that rides, by its number.

    ``folds``: the rows of the ops as if none rode. ``read``: the ops of layers that other layers
    read. ``needs``: whether a layer reads, perhaps through others, what another one makes. Which
    ops ride depends on shapes and formats alone, so it is the same with other weights.
    """
    found: dict[int, tuple[Ride, ...]] = {}
    free = [fold.free for fold in folds]  # of each op's last group, a die's first row that is free
    for n, op in enumerate(ops):
        carries = any(ride.carrier == n for rides in found.values() for ride in rides)
        if carries or n in read or n in repeated or not _may_ride(op, folds[n]):
            continue
        rows = folds[n].of_die.shape[2] - folds[n].free
        fits = [carrier for carrier in range(len(ops))
                if carrier != n and carrier not in found and free[carrier] <= rows]
        for ways in _ways(n, ops, fits, repeated, needs):
            row = max(free[carrier] for carrier, *_ in ways)
            found[n] = tuple(Ride(carrier, part, len(folds[carrier].groups) - 1, row, columns,
                                  steps) for carrier, part, columns, steps in ways)
            for carrier, *_ in ways:
                free[carrier] = row + folds[n].free
            break
    return found


def _may_ride(op: Op, fold: Fold) -> bool:
    """Whether an op could ride if there were a carrier."""
    if not isinstance(op.kind, DenseKind) or len(op.parts) != 1:
        return False
    (part,) = op.parts
    return len(fold.groups) == 1 and part.pattern is None and len(set(op.sizes)) == 1


#: A carrier, the part of it, the rider's columns, and its steps, as of :class:`Ride`.
_Way = tuple[int, int, range, dict[int, int]]


def _ways(n: int, ops: Sequence[Op], fits: list[int], repeated: frozenset[int],
          needs: Callable[[int, int], bool]) -> Iterator[list[_Way]]:
    """All that an op can do to ride on those that have room for its rows, the best first: on one of
    them, or on the two directions of a recurrent layer."""
    for carrier in fits:
        way = _whole(ops[n], ops[carrier], carrier in repeated)
        if way is not None and (way[1] or carrier < n):
            part, ahead = way
            steps = min(len(ops[n].sizes), len(ops[carrier].sizes) - ahead)
            yield [(carrier, part, range(ops[n].parts[0].matrix.shape[2]),
                    {step: step + ahead for step in range(steps)})]
    halves = [half for carrier in fits if ops[carrier].layer >= 0
              for half in _halves(ops[n], carrier, ops[carrier])]
    for one in halves:
        for other in halves:
            layers = ops[one[0]].layer, ops[other[0]].layer
            if one[2].stop == other[2].start and not needs(*layers) and not needs(*layers[::-1]):
                ways = [_later(one, other, ops[n], ops), _later(other, one, ops[n], ops)]
                if any(steps for *_, steps in ways):
                    yield [way for way in ways if way[3]]


def _whole(rider: Op, carrier: Op, repeated: bool) -> tuple[int, int] | None:
    """(part, steps ahead) of a way to ride on one op; None if there is none. ``repeated``: only the
    carrier's first step meets its part 0, and its other steps start from the sums of that."""
    mine = rider.parts[0]
    for ahead in (0, 1):
        for p, part in enumerate(carrier.parts):
            steps = list(zip(mine.steps, part.steps[ahead:], strict=False))
            if (part.base == mine.base and part.pattern is None and steps
                    and not (repeated and 0 in (p, ahead)) and len(set(carrier.sizes)) == 1
                    and (ahead or not part.carried)  # at step 0 it meets the last frame's h
                    and all(a is not None and b is not None and np.array_equal(a, b)
                            for a, b in steps)):
                return p, ahead
    return None


def _halves(rider: Op, carrier: int, op: Op) -> Iterator[_Way]:
    """The ways in which a recurrent op meets the first or the last of the rider's columns, at later
    steps than 0, whatever the shifts."""
    mine = rider.parts[0]
    for p, part in enumerate(op.parts[1:], 1):
        width, whole = part.matrix.shape[2], mine.matrix.shape[2]
        if part.pattern is not None or len(set(op.sizes)) != 1 or width >= whole:
            continue
        met = {vector.tobytes(): step for step, vector in enumerate(part.steps)
               if step and vector is not None}
        for columns in (range(width), range(whole - width, whole)):
            steps = {step: met[here] for step, vector in enumerate(mine.steps) if vector is not None
                     and (here := vector[columns.start:columns.stop].tobytes()) in met}
            if steps:
                yield carrier, p, columns, steps


def _later(one: _Way, other: _Way, rider: Op, ops: Sequence[Op]) -> _Way:
    """The steps of a rider on one direction: those for which the other one, a step before it meets
    its half, has made it. (If both have, the step rides on the one that has the first columns.)"""
    carrier, part, columns, steps = one
    if ops[carrier].parts[part].base != rider.parts[0].base:
        return carrier, part, columns, {}
    return carrier, part, columns, {
        step: at for step, at in steps.items()
        if step in other[3] and other[3][step] + (columns.start > 0) <= at}
