"""The plan's model of time: the program replayed against the streams, cycle for cycle.

Every latency that Gatefold states comes from here, and simulation must agree to the cycle. The
model knows the instructions and their gaps, the fixed distances of the pipeline, and the gearboxes
and frame buffers at both ends; it computes no data.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gatefold.gen.plan.latency import latencies
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.hdl.gearbox import GearboxModel, GearboxShape
from gatefold.hdl.isa import Stop

__all__ = ["Timeline", "gearboxes", "input_arrivals", "input_taking", "replay"]


@dataclass(frozen=True)
class Timeline:
    """What happened when, in cycles from the first input beat.

    issues: of each frame, the cycle in which each of its tiles is issued. first_in, last_out: of
    each frame, the cycle in which its first input beat (its last output beat) is transferred.
    """

    issues: tuple[tuple[int, ...], ...]
    first_in: tuple[int, ...]
    last_out: tuple[int, ...]

    def first(self) -> Timeline:
        """The timeline of the first frame alone."""
        return Timeline(self.issues[:1], self.first_in[:1], self.last_out[:1])


def replay(instructions: list[dict], config: EngineConfig, frames: int) -> Timeline:
    """Run ``frames`` frames back to back: the source always has a beat, the sink always takes one.

    ``instructions``: of one frame, in order of issue (:func:`~gatefold.gen.plan.program.unroll`).
    """
    return _Replay(instructions, config, frames).run()


class _Replay:
    """The core, its source and its sink, cycle by cycle."""

    def __init__(self, instructions: list[dict], config: EngineConfig, frames: int):
        self.instructions, self.config, self.frames = instructions, config, frames
        self.output = latencies(config).output
        self.source, self.sink = map(GearboxModel, gearboxes(config))
        self.offered = self.chunks = 0  # input beats taken, input chunks written
        self.frame = self.index = self.wait = 0  # the next tile, and the gap before it
        self.finished: deque[int] = deque()  # of output words on their way: when each is complete
        self.complete = 0  # output words that are complete
        self.waiting = self.left = 0  # of these, those that may leave now; those that have left
        self.beats_out = 0
        self.issues: list[list[int]] = [[]]
        self.first_in: list[int] = []
        self.last_out: list[int] = []

    def run(self) -> Timeline:
        cycle = 0
        while len(self.last_out) < self.frames:
            self._complete(cycle)
            # What comes and goes in this cycle is seen in the next.
            chunks, left, waiting, started = self.chunks, self.left, self.waiting, self.frame
            self._issue(cycle, chunks, left)
            self._take(cycle, chunks < (2 + started) * self.config.x_depth)
            self._give(cycle, waiting > 0)
            cycle += 1
        return Timeline(tuple(map(tuple, self.issues[:self.frames])), tuple(self.first_in),
                        tuple(self.last_out))

    def _complete(self, cycle: int):
        """Output words that are complete may leave; if they come in any order, a frame at once."""
        depth = self.config.out_depth
        while self.finished and self.finished[0] <= cycle:
            self.finished.popleft()
            self.complete += 1
            if not self.config.out_whole:
                self.waiting += 1
            elif self.complete % depth == 0:
                self.waiting += depth

    def _issue(self, cycle: int, chunks: int, left: int):
        """Issue a tile when its gap is over, its input there and a half of the output memory free.

        ``chunks`` of the input are written, ``left`` words of the output have left.
        """
        c = self.config
        if self.frame == self.frames or self.wait:
            self.wait = max(0, self.wait - 1)
            return
        tile = self.instructions[self.index]
        before = self.frame * c.x_depth  # input chunks of earlier frames
        leaves = tile["stop"] & Stop.FINISH and tile["to_out"]
        # The frame's first beat says whether the state that the last frame left counts.
        carried = tile.get("age") or tile.get("cell_carried")
        if ((tile["from_x"] and before + tile["operand"] >= chunks)
                or (leaves and self.frame - left // c.out_depth >= 2)
                or (carried and chunks <= before)):
            return
        self.issues[-1].append(cycle)
        if leaves:
            # The last beat may leave its word open; the others complete theirs with its last part.
            for beat in range(tile["beats"] + 1):
                whole = (tile["out"] + beat) % c.parts == c.parts - 1
                if tile["complete"] if beat == tile["beats"] else whole:
                    self.finished.append(cycle + self.output + beat + 1)
        self.wait = tile["gap"]
        self.index += 1
        if tile["last"]:
            self.frame, self.index = self.frame + 1, 0
            self.issues.append([])

    def _take(self, cycle: int, room: bool):
        """Input: a beat into the gearbox, a chunk out of it."""
        beats = self.config.x_beats
        took, gave = self.source.step(self.offered < beats * self.frames, room)
        if took and self.offered % beats == 0:
            self.first_in.append(cycle)
        self.offered += took
        self.chunks += gave

    def _give(self, cycle: int, some: bool):
        """Output: a word into the gearbox, a beat out of it."""
        took, gave = self.sink.step(some, True)
        self.waiting -= took
        self.left += took
        self.beats_out += gave
        if gave and self.beats_out % self.config.out_beats == 0:
            self.last_out.append(cycle)


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
