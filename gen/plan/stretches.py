"""The order of tiles, as a schedule finds it: stretches of tiles of one job.

A frame may have a million tiles, but far fewer stretches, so that what looks at a schedule looks at
these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatefold.gen.plan.work import Job, Operand
from gatefold.hdl.isa import Start, Stop

__all__ = ["Stretch", "Tile"]


@dataclass(frozen=True)
class Tile:
    """One tile of a job.

    start, stop: see :mod:`gatefold.hdl.isa`. init: the word of the bias or parking memory that it
    starts from. park: the word that its sums are parked in. issue: its planned cycle. finishes: the
    job that goes to the lanes with it, its own or one that rode; None, none does. gap: idle cycles
    before the next tile.
    """

    job: Job
    operand: Operand
    start: Start
    stop: Stop
    init: int
    park: int
    issue: int
    finishes: Job | None
    gap: int = 0


@dataclass(slots=True)
class Stretch:
    """Tiles of a job in consecutive cycles, each of which goes on with the sums of the one before.

    operands: what they meet. start, init, issue: of the first tile. stop, park, finishes, gap: of
    the last one; the others have none. (All as of :class:`Tile`.)
    """

    job: Job
    operands: tuple[Operand, ...]
    start: Start
    init: int
    issue: int
    stop: Stop = Stop.GO_ON
    park: int = 0
    finishes: Job | None = None
    gap: int = 0

    @property
    def last(self) -> int:
        """The cycle of the last tile."""
        return self.issue + len(self.operands) - 1

    def tiles(self) -> Iterator[Tile]:
        """One by one."""
        start, init = self.start, self.init
        for issue, operand in enumerate(self.operands[:-1], self.issue):
            yield Tile(self.job, operand, start, Stop.GO_ON, init, 0, issue, None)
            start, init = Start.GO_ON, 0
        yield Tile(self.job, self.operands[-1], start, self.stop, init, self.park, self.last,
                   self.finishes, self.gap)
