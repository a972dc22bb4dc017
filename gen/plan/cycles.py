"""The plan's model of time: the program replayed against the streams, cycle for cycle.

Every latency that Gatefold states comes from here, and simulation must agree to the cycle. The
model knows the instructions and their gaps, the fixed distances of the pipeline, and the gearboxes
and frame buffers at both ends; it computes no data.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

import numpy as np

from gatefold.gen.plan.latency import latencies
from gatefold.gen.plan.program import Program, tile_fields
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.hdl.gearbox import GearboxModel, GearboxShape
from gatefold.hdl.isa import Stop

__all__ = ["Timeline", "gearboxes", "input_arrivals", "input_taking", "replay"]

_FINISH = int(Stop.FINISH)
#: What time depends on.
_FIELDS = ("gap", "from_x", "operand", "last", "stop", "to_out", "out", "beats", "complete", "age",
           "cell_carried")


@dataclass(frozen=True)
class Timeline:
    """What happened when, in cycles from the first input beat.

    issues: of each frame, the cycle in which each of its tiles is issued. first_in, last_out: of
    each frame, the cycle in which its first input beat (its last output beat) is transferred.
    beats_out: of each frame, those of all its output beats.
    """

    issues: tuple[tuple[int, ...], ...]
    first_in: tuple[int, ...]
    beats_out: tuple[tuple[int, ...], ...]

    @property
    def last_out(self) -> tuple[int, ...]:
        return tuple(beats[-1] for beats in self.beats_out)

    def first(self) -> Timeline:
        """The timeline of the first frame alone."""
        return Timeline(self.issues[:1], self.first_in[:1], self.beats_out[:1])


def replay(program: Program, tiles: int, config: EngineConfig, frames: int) -> Timeline:
    """Run ``frames`` frames back to back: the source always has a beat, the sink always takes one.

    ``program``: its first frame, of so many ``tiles``, is run again and again.
    """
    fields = tile_fields(program, _FIELDS)
    return _Replay({name: values[:tiles] for name, values in fields.items()}, config, frames).run()


class _Replay:
    """The core, its source and its sink, cycle by cycle; but tiles that wait for nothing are issued
    in one go while the streams stand still."""

    def __init__(self, fields: dict[str, np.ndarray], config: EngineConfig, frames: int):
        self.config, self.frames = config, frames
        self.x_depth, self.out_depth = config.x_depth, config.out_depth
        self.x_beats, self.out_beats = config.x_beats, config.out_beats
        self.output = latencies(config).output
        self.source, self.sink = map(GearboxModel, gearboxes(config))
        # The cycle of each tile of a frame that waits for nothing but the gaps, and the tiles that
        # wait for more or whose issue is noticed elsewhere: all such tiles, and those that are left
        # when the frame's input is there.
        gaps, reads, last = fields["gap"], fields["from_x"] == 1, fields["last"] == 1
        self.at = np.cumsum(gaps + 1) - gaps - 1
        leaves = (fields["stop"] & _FINISH != 0) & (fields["to_out"] == 1)
        # It needs the frame's first beat, which says whether the state of the last frame counts.
        carried = (fields["age"] != 0) | (fields["cell_carried"] != 0)
        late = leaves | carried | last
        self.stops, self.late_stops = np.flatnonzero(late | reads), np.flatnonzero(late)
        self.gaps, self.leaves, self.carried = gaps.tolist(), leaves.tolist(), carried.tolist()
        self.reads = np.where(reads, fields["operand"], -1).tolist()  # the input chunk, or -1
        # Of tiles whose rows leave the core: the first beat, how many follow, and whether the last
        # one completes its word.
        at = np.flatnonzero(leaves)
        self.beats = dict(zip(at.tolist(), zip(*(fields[name][at].tolist() for name in (
            "out", "beats", "complete")), strict=True), strict=True))
        self.offered = self.chunks = 0  # input beats taken, input chunks written
        self.frame = self.index = self.wait = 0  # the next tile, and the gap before it
        self.finished: deque[int] = deque()  # of output words on their way: when each is complete
        self.complete = 0  # output words that are complete
        self.waiting = self.left = 0  # of these, those that may leave now; those that have left
        self.issues: list[list[int]] = [[]]
        self.first_in: list[int] = []
        self.sent: list[int] = []  # the cycle of each output beat

    def run(self) -> Timeline:
        cycle = 0
        while len(self.sent) < self.frames * self.out_beats:
            self._complete(cycle)
            # What comes and goes in this cycle is seen in the next.
            chunks, left, waiting, started = self.chunks, self.left, self.waiting, self.frame
            self._issue(cycle, chunks, left)
            moved = self._take(cycle, chunks < (2 + started) * self.x_depth)
            moved |= self._give(cycle, waiting > 0)
            cycle += 1
            if not moved and self.frame == started:
                cycle = self._go_on(cycle)
        return Timeline(tuple(map(tuple, self.issues[:self.frames])), tuple(self.first_in), tuple(
            tuple(self.sent[n:n + self.out_beats])
            for n in range(0, len(self.sent), self.out_beats)))

    def _go_on(self, cycle: int) -> int:
        """Issue the tiles from ``cycle`` on that wait for nothing, while the streams stand still:
        until an output word is complete. The cycle in which to go on."""
        until = self.finished[0] if self.finished else inf
        if self.frame == self.frames:
            return cycle if until == inf else int(until)
        arrived = self.chunks >= (self.frame + 1) * self.x_depth
        stops = self.late_stops if arrived else self.stops
        stop = stops[np.searchsorted(stops, self.index)]
        times = cycle + self.wait + self.at[self.index:stop + 1] - self.at[self.index]
        count = int(np.searchsorted(times[:-1], until))
        self.issues[-1] += times[:count].tolist()
        self.index += count
        there = int(min(times[count], until))
        self.wait = int(times[count]) - there
        return there

    def _complete(self, cycle: int):
        """Output words that are complete may leave; if they come in any order, a frame at once."""
        while self.finished and self.finished[0] <= cycle:
            self.finished.popleft()
            self.complete += 1
            if not self.config.out_whole:
                self.waiting += 1
            elif self.complete % self.out_depth == 0:
                self.waiting += self.out_depth

    def _issue(self, cycle: int, chunks: int, left: int):
        """Issue a tile when its gap is over, its input there and a half of the output memory free.

        ``chunks`` of the input are written, ``left`` words of the output have left.
        """
        if self.frame == self.frames or self.wait:
            self.wait = max(0, self.wait - 1)
            return
        index = self.index
        before = self.frame * self.x_depth  # input chunks of earlier frames
        leaves = self.leaves[index]
        if ((before + self.reads[index] >= chunks and self.reads[index] >= 0)
                or (leaves and self.frame - left // self.out_depth >= 2)
                or (self.carried[index] and chunks <= before)):
            return
        self.issues[-1].append(cycle)
        if leaves:
            parts = self.config.parts
            out, more, complete = self.beats[index]
            # The last beat may leave its word open; the others complete theirs with its last part.
            for beat in range(more + 1):
                whole = (out + beat) % parts == parts - 1
                if complete if beat == more else whole:
                    self.finished.append(cycle + self.output + beat + 1)
        self.wait = self.gaps[index]
        self.index += 1
        if self.index == len(self.gaps):
            self.frame, self.index = self.frame + 1, 0
            self.issues.append([])

    def _take(self, cycle: int, room: bool) -> bool:
        """Input: a beat into the gearbox, a chunk out of it. Whether anything moved."""
        took, gave = self.source.step(self.offered < self.x_beats * self.frames, room)
        if took and self.offered % self.x_beats == 0:
            self.first_in.append(cycle)
        self.offered += took
        self.chunks += gave
        return took or gave

    def _give(self, cycle: int, some: bool) -> bool:
        """Output: a word into the gearbox, a beat out of it. Whether anything moved."""
        took, gave = self.sink.step(some, True)
        self.waiting -= took
        self.left += took
        if gave:
            self.sent.append(cycle)
        return took or gave


def gearboxes(config: EngineConfig) -> tuple[GearboxShape, GearboxShape]:
    """The shapes of the input's gearbox and of the output's."""
    return FrameReader.gearbox(config), FrameWriter.gearbox(config)


def input_arrivals(config: EngineConfig) -> list[int]:
    """The cycle from which each chunk of an input frame can be addressed, at full rate."""
    source = GearboxModel(gearboxes(config)[0])
    arrivals: list[int] = []
    cycle = offered = 0
    while len(arrivals) < config.x_depth:
        took, gave = source.step(offered < config.x_beats, True)
        offered += took
        if gave:
            arrivals.append(cycle + 1)
        cycle += 1
    return arrivals


def input_taking(config: EngineConfig) -> int:
    """The cycles in which a core that stands still takes the beats of a frame: more than it has
    beats where these are larger than chunks."""
    source = GearboxModel(gearboxes(config)[0])
    taken = cycles = 0
    while taken < config.x_beats:
        taken += source.step(True, True)[0]
        cycles += 1
    return cycles
