"""The work of the array in each cycle of a frame: runs of tiles, or shares of bins if too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from gatefold.gen.plan import Plan
from gatefold.gen.plan.ops import GATHERED
from gatefold.hdl.kinds import (
    AsideKind,
    DenseKind,
    EmitKind,
    GruKind,
    Int8DenseKind,
    Int8GatesKind,
    Int8LstmKind,
    LoadKind,
    LstmKind,
    MergeKind,
    PeepholeKind,
    ResetKind,
)

__all__ = ["INPUT", "MAX_RUNS", "RECURRENT", "Occupancy", "Run", "occupancy", "op_name"]

#: Which columns of a layer's matrices a tile holds: those that meet what it reads, or its own h.
INPUT, RECURRENT = 0, 1
#: More runs than this are drawn as bins, so that the page stays small and quick.
MAX_RUNS = 8000
#: Most bins of a frame.
MAX_BINS = 1600

_OPS = {LstmKind: "cell", GruKind: "state", AsideKind: "set aside", ResetKind: "reset",
        LoadKind: "initial state", PeepholeKind: "peepholes", EmitKind: "cell state out",
        MergeKind: "merge", DenseKind: "sums", Int8DenseKind: "sums", Int8GatesKind: "set aside",
        Int8LstmKind: "cell"}


@dataclass(frozen=True)
class Run:
    """Tiles of one layer, step and kind of column in successive cycles."""

    start: int
    length: int
    layer: int
    step: int
    part: int


@dataclass(frozen=True)
class Occupancy:
    """A frame on the array, cycles counted from its first input beat.

    cycles: the frame's latency. layers: the copy of an input first, then the layers that compute,
    in order, and last the op that puts the output together. runs:
    exact, in order, empty where there are more than :data:`MAX_RUNS`. bin_size, bins: cycles of a
    bin, and for each the tiles by (layer, part). tiles: by (layer, part). ops: of each layer its
    ops, as (number in the plan, tiles). idle: (start, length) of every gap.
    """

    cycles: int
    layers: tuple[int, ...]
    runs: tuple[Run, ...]
    bin_size: int
    bins: tuple[dict[tuple[int, int], int], ...]
    tiles: dict[tuple[int, int], int]
    ops: dict[int, tuple[tuple[int, int], ...]]
    idle: tuple[tuple[int, int], ...]

    @property
    def busy(self) -> int:
        """Cycles in which a tile is issued."""
        return sum(self.tiles.values())

    @property
    def idle_parts(self) -> tuple[int, int, int]:
        """Idle cycles before the first tile, between tiles, after the last."""
        first = self.idle[0][1] if self.idle and self.idle[0][0] == 0 else 0
        last = 0
        if self.idle and sum(self.idle[-1]) == self.cycles and self.idle[-1][0] > 0:
            last = self.idle[-1][1]
        return first, self.cycles - self.busy - first - last, last


def occupancy(plan: Plan) -> Occupancy:
    """The occupancy of the array by the first frame of ``plan``'s timeline."""
    start, end = plan.timeline.first_in[0], plan.timeline.last_out[0]
    cycles = end - start
    layer_of = [op.layer for op in plan.work.ops]
    recurrent = {n for n, layer in enumerate(plan.qnet.layers) if layer.of.states}
    runs: list[list[int]] = []
    bin_size = max(1, -(-cycles // MAX_BINS))
    bins = [Counter() for _ in range(-(-cycles // bin_size))]
    tiles: Counter = Counter()
    ops: Counter = Counter()
    issues = [issue - start for issue in plan.timeline.issues[0]]
    for tile, at in zip(plan.tiles, issues, strict=True):
        layer, source = layer_of[tile.job.op], tile.operand.chunk.origin[0]
        own = layer in recurrent and source >= 0 and layer_of[source] == layer
        part = RECURRENT if own else INPUT
        tiles[layer, part] += 1
        ops[tile.job.op] += 1
        bins[at // bin_size][layer, part] += 1
        key = [layer, tile.job.step, part]
        if runs and runs[-1][2:] == key and runs[-1][0] + runs[-1][1] == at:
            runs[-1][1] += 1
        else:
            runs.append([at, 1, *key])
    edges = [-1, *issues, cycles]
    idle = tuple((a + 1, b - a - 1) for a, b in pairwise(edges) if b > a + 1)
    layers = tuple(sorted({layer for layer, _ in tiles}, key=lambda n: (n == GATHERED, n)))
    return Occupancy(
        cycles=cycles, layers=layers,
        runs=tuple(Run(*run) for run in runs) if len(runs) <= MAX_RUNS else (),
        bin_size=bin_size, bins=tuple(map(dict, bins)), tiles=dict(tiles),
        ops={layer: tuple((op, ops[op]) for op in sorted(ops) if layer_of[op] == layer)
             for layer in layers}, idle=idle)


def op_name(plan: Plan, op: int) -> str:
    """What an op does, in words."""
    return _OPS[type(plan.work.ops[op].kind)]
