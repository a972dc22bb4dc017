"""Ops that ride on another: their rows lie in spare rows of its group; its tiles make their sums.

A Dense layer on every step of a recurrent layer meets h_t, and so does the recurrent layer itself,
at step t + 1. Two heads of a network meet the same vector. Where the last group of one op, the
*carrier*, leaves rows of every die empty, the rows of the other, the *rider*, fill them: they meet
the chunks in the carrier's tiles. The router keeps all rows when the carrier's job is finished, so
those of the rider go to the lanes a little later, with a kind, a route and an address of their own,
beside a tile that finishes nothing itself. The last step of a Dense layer on a recurrent one has no
later step to ride on, so it takes tiles of its own.

A step that rides is finished later than it could be, so only ops ride whose results no other layer
reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.plan.ops import Op
from gatefold.gen.plan.rows import Fold
from gatefold.hdl.kinds import DenseKind

__all__ = ["Ride", "find_rides"]


@dataclass(frozen=True)
class Ride:
    """How an op rides.

    carrier, part: the op that carries it, and the part of that op whose vectors are the rider's.
    group: of the carrier's rows. row: the row of each die that is the rider's first. ahead: step t
    of the rider rides on step t + ahead of the carrier. steps: how many of its steps, from the
    first on, ride.
    """

    carrier: int
    part: int
    group: int
    row: int
    ahead: int
    steps: int


def find_rides(ops: Sequence[Op], folds: Sequence[Fold], read: frozenset[int],
               repeated: frozenset[int]) -> dict[int, Ride]:
    """The ride of each op that rides, by its number.

    ``folds``: the rows of the ops as if none rode. ``read``: the ops of layers that other layers
    read. Which ops ride depends on shapes and formats alone, so it is the same with other weights.
    """
    found: dict[int, Ride] = {}
    free = [fold.free for fold in folds]  # of each op's last group, a die's first row that is free
    for n, op in enumerate(ops):
        carries = any(ride.carrier == n for ride in found.values())
        if carries or n in read or n in repeated or not _may_ride(op, folds[n]):
            continue
        for carrier, other in enumerate(ops):
            way = None if carrier in found else _way(op, other, carrier in repeated)
            if carrier == n or way is None:
                continue
            part, ahead = way
            rows = folds[n].of_die.shape[2]
            if (ahead or carrier < n) and free[carrier] + folds[n].free <= rows:
                found[n] = Ride(carrier, part, len(folds[carrier].groups) - 1, free[carrier],
                                ahead, min(len(op.sizes), len(other.sizes) - ahead))
                free[carrier] += folds[n].free
                break
    return found


def _may_ride(op: Op, fold: Fold) -> bool:
    """Whether an op could ride if there were a carrier."""
    if not isinstance(op.kind, DenseKind) or len(op.parts) != 1:
        return False
    (part,) = op.parts
    return len(fold.groups) == 1 and part.pattern is None and len(set(op.sizes)) == 1


def _way(rider: Op, carrier: Op, repeated: bool) -> tuple[int, int] | None:
    """(part, ahead) of a way to ride; None if there is none. ``repeated``: only the carrier's first
    step meets its part 0, and its other steps start from the sums of that."""
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
