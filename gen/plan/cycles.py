"""The plan's model of time: the program replayed against the streams, cycle for cycle.

Every latency that Gatefold states comes from here, and simulation must agree to the cycle. The
model knows instructions, gaps, the fixed distances of the pipeline, and the two gearboxes with the
frame buffers around them; it computes no data.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gatefold.gen.plan.latency import latencies
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.hdl.gearbox import GearboxModel
from gatefold.hdl.isa import Stop
from gatefold.hdl.kinds import DenseKind

__all__ = ["Timeline", "input_arrivals", "replay"]


@dataclass(frozen=True)
class Timeline:
    """What happened when, in cycles from the first input beat.

    issues: of every tile, frame by frame. first_in, last_out: of each frame, the cycles in which
    its first input beat and its last output beat move.
    """

    issues: tuple[tuple[int, ...], ...]
    first_in: tuple[int, ...]
    last_out: tuple[int, ...]

    def first(self) -> Timeline:
        """The first frame's alone."""
        return Timeline(self.issues[:1], self.first_in[:1], self.last_out[:1])


def replay(instructions: list[dict], config: EngineConfig, frames: int) -> Timeline:
    """Run ``frames`` frames back to back: a source that always offers, a sink that always takes.

    ``instructions``: a frame's, in order of issue, addresses final.
    """
    c = config
    distance = latencies(c)
    source = GearboxModel(FrameReader.gearbox(c))
    sink = GearboxModel(FrameWriter.gearbox(c))
    beats_in = c.x_beats * frames

    offered = chunks = started = 0  # input beats taken, chunks written, frames fully issued
    ahead_limit = 2 * c.x_depth
    finished = deque()  # (cycle from which it counts) of complete output chunks
    complete = 0  # chunks completed
    waiting = left = 0  # chunks in the output memory that may leave; chunks that have
    beats_out = 0
    frame = index = wait = 0
    issues: list[list[int]] = [[]]
    first_in: list[int] = []
    last_out: list[int] = []
    cycle = 0
    while len(last_out) < frames:
        # State as registers hold it in this cycle.
        while finished and finished[0] <= cycle:
            finished.popleft()
            complete += 1
            if not c.out_whole:
                waiting += 1
            elif complete % c.out_depth == 0:
                waiting += c.out_depth
        visible_chunks, visible_left, visible_waiting = chunks, left, waiting

        # Issue.
        issued_last = False
        if frame < frames and wait == 0:
            tile = instructions[index]
            there = not tile["from_x"] or frame * c.x_depth + tile["operand"] < visible_chunks
            yields = tile["stop"] & Stop.FINISH and tile["to_out"]
            free = not yields or frame - visible_left // c.out_depth < 2
            # What the last frame left counts or not, as the frame's first beat says.
            carried = tile.get("carried") or tile.get("cell_carried")
            known = not carried or visible_chunks > frame * c.x_depth
            if there and free and known:
                issues[-1].append(cycle)
                if yields:
                    for beat in range(tile["beats"] + 1):
                        if _completes(tile, beat, c):
                            finished.append(cycle + distance.output + beat + 1)
                wait = tile["gap"]
                index += 1
                if tile["last"]:
                    frame, index = frame + 1, 0
                    issues.append([])
                issued_last = bool(tile["last"])
        else:
            wait = max(0, wait - 1)

        # Input: a beat into the gearbox, a chunk out of it.
        room = visible_chunks < ahead_limit + started * c.x_depth
        took, gave = source.step(offered < beats_in, room)
        if took:
            if offered % c.x_beats == 0:
                first_in.append(cycle)
            offered += 1
        chunks += gave
        started += issued_last

        # Output: a chunk into the gearbox, a beat out of it.
        took, gave = sink.step(visible_waiting > 0, True)
        waiting -= took
        left += took
        if gave:
            beats_out += 1
            if beats_out % c.out_beats == 0:
                last_out.append(cycle)
        cycle += 1
    return Timeline(tuple(map(tuple, issues[:frames])), tuple(first_in), tuple(last_out))


def input_arrivals(config: EngineConfig) -> list[int]:
    """Cycle from which each chunk of an input frame can be addressed, at full rate."""
    source = GearboxModel(FrameReader.gearbox(config))
    arrivals: list[int] = []
    cycle = offered = 0
    while len(arrivals) < config.x_depth:
        took, gave = source.step(offered < config.x_beats, True)
        offered += took
        if gave:
            arrivals.append(cycle + 1)
        cycle += 1
    return arrivals


def _completes(tile: dict, beat: int, config: EngineConfig) -> bool:
    """Whether this beat's chunk is complete after it: all but those of the last route are."""
    if tile["complete"]:
        return True
    span = 4 if isinstance(config.kinds[tile["kind"]], DenseKind) else 1
    return beat // span < tile["beats"] // span
