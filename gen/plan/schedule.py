"""The order of tiles and the waits between them.

The hardware issues tiles in the order given here and waits ``gap`` cycles after each where the plan
says so. Stalls (a late input, a full output) only ever add distance. Two rules keep every order
that this module produces correct under any stall:

* a value is used only by tiles that follow its producer at the distance of its latency
  (read after write), and the gaps that ensure it are computed as if nothing ever stalled;
* a word is overwritten only by tiles that come after its last reader in program order
  (write after read): results are written after the tile that yields them is issued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...hdl.isa import Start, Stop
from .latency import Latencies
from .work import Job, Operand

__all__ = ["Tile", "schedule"]


@dataclass(frozen=True)
class Tile:
    """One tile of a job, in program order.

    start, stop: see :mod:`gatefold.hdl.isa`. gap: cycles to wait after it.
    """

    job: Job
    operand: Operand
    start: Start
    stop: Stop
    init: int = 0
    park: int = 0
    gap: int = field(default=0, compare=False)


def row_major(jobs: Sequence[Job]) -> list[Tile]:
    """Jobs one after the other, each from its bias to its last column."""
    tiles = []
    for job in jobs:
        ends = len(job.operands) - 1
        tiles += [Tile(job, operand, Start.GO_ON if k else Start.BIAS,
                       Stop.FINISH if k == ends else Stop.GO_ON, init=job.bias)
                  for k, operand in enumerate(job.operands)]
    return tiles


def space_out(tiles: Sequence[Tile], latency: Latencies) -> list[Tile]:
    """Give each tile the gap that the tile after it needs."""
    written: dict[int, int] = {}  # h chunk -> first issue cycle that may read it
    parked: dict[int, int] = {}  # park word -> first issue cycle that may start from it
    issue, free = 0, 0  # of this tile; first cycle in which another finish may be issued
    spaced: list[Tile] = []
    for tile in tiles:
        ready = issue
        if not tile.operand.chunk.from_x:
            ready = max(ready, written[tile.operand.chunk.address])
        if tile.start is Start.PARKED:
            ready = max(ready, parked[tile.init])
        if tile.stop is Stop.FINISH:
            ready = max(ready, free)
            free = ready + tile.job.beats
            if tile.job.h is not None:
                for beat in range(tile.job.beats):
                    written[tile.job.h + beat] = ready + latency.tail + beat
        elif tile.stop is Stop.PARK:
            parked[tile.park] = ready + latency.park
        if spaced:
            spaced[-1] = _with_gap(spaced[-1], ready - issue)
        spaced.append(tile)
        issue = ready + 1
    # The next frame's first finish may come with its first tile.
    spaced[-1] = _with_gap(spaced[-1], max(0, free - issue))
    return spaced


def _with_gap(tile: Tile, gap: int) -> Tile:
    return Tile(tile.job, tile.operand, tile.start, tile.stop, tile.init, tile.park, gap)


def schedule(jobs: Sequence[Job], latency: Latencies) -> list[Tile]:
    """The tiles of a frame, in the order and with the gaps in which they are issued."""
    return space_out(row_major(jobs), latency)
