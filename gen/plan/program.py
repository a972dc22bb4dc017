"""From tiles to a program: instructions, and loops where the same tiles repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

import numpy as np

from gatefold.gen.plan.stretches import Stretch
from gatefold.gen.plan.work import Job, Work
from gatefold.hdl.isa import STEPS, Start, Stop

__all__ = ["Program", "Segment", "assemble", "tile_fields", "unroll"]

#: Fields that move from turn to turn of a loop, and the fields that say by which offset.
_STEPPED = (("operand", "operand_step"), ("h", "h_step"), ("out", "out_step"))
#: A loop gets a segment if it saves more instructions than this.
_WORTH = 4
_RUN = 256  # the most tiles of an instruction


@dataclass(frozen=True)
class Segment:
    """Instructions ``start`` to ``end``, both included, that run ``repeats`` times; each turn adds
    ``strides[n]`` to offset n."""

    start: int
    end: int
    repeats: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """The program of one frame, or of as many as results take to lie where they did.

    instructions: dicts of the fields of :func:`gatefold.hdl.isa.instruction_layout`, with the
    fields of ``finish`` beside the others. segments: those that the instructions make up.
    """

    instructions: tuple[dict, ...]
    segments: tuple[Segment, ...]


def _instructions(stretches: Sequence[Stretch], work: Work, frame: int
                  ) -> Iterator[tuple[dict, Job | None]]:
    """The instructions of the ``frame``th frame, the first one 0, without loops; and the job that
    each finishes."""
    none = dict.fromkeys(_finish(stretches[0].job, stretches[0].job, work), 0)
    found: dict = {}  # the last instruction, which the next tile may join, and what it finishes
    finishes: Job | None = None
    after = (-1, -1, ())  # the tile that could: weight and operand, and what is the same in a run
    for n, stretch in enumerate(stretches):
        start, init = int(stretch.start), stretch.init
        for operand in stretch.operands:
            chunk = operand.chunk
            address = chunk.address
            if frame and not chunk.from_x:
                address = work.storage.moved(address, frame)
            same = (chunk.from_x, operand.align, operand.bank, operand.absolute, chunk.age)
            if (after == (operand.weight, address, same) and start == Start.GO_ON
                    and found["repeats"] + 1 < _RUN):
                found["repeats"] += 1
            else:
                if found:
                    yield found, finishes
                finishes = None
                found = {"repeats": 0, "weight": operand.weight, "from_x": int(chunk.from_x),
                         "operand": address, "operand_step": 0, "align": operand.align,
                         "start": start, "init": init, "stop": int(Stop.GO_ON), "park": 0,
                         "gap": 0, "last": 0}
                if work.storage.dies > 1:
                    found |= {"bank": operand.bank, "absolute": int(operand.absolute)}
                if work.stateful:
                    found["age"] = chunk.age
                found |= none
            after = operand.weight + 1, address + 1, same
            start, init = int(Start.GO_ON), 0
        found |= {"stop": int(stretch.stop), "park": stretch.park, "gap": stretch.gap,
                  "last": int(n == len(stretches) - 1)}
        if stretch.finishes:
            finishes = stretch.finishes
            found |= _finish(finishes, stretch.job, work)
            if frame and found["to_h"]:
                word, part = divmod(found["h"], work.parts)
                found["h"] = work.parts * work.storage.moved(word, frame) + part
        if stretch.stop != Stop.GO_ON or stretch.gap:
            after = (-1, -1, ())
    yield found, finishes


def _finish(job: Job, carrier: Job, work: Work) -> dict:
    """The fields of ``finish`` where a job is finished, its own tile's or a ``carrier``'s."""
    finish = {
        "kind": work.kind_of[job.op][job.step], "route": job.route, "beats": job.beats - 1,
        "cell": job.cell, "fresh": int(job.fresh), "to_h": int(job.h is not None),
        "h": job.h or 0, "h_step": 0, "to_out": int(job.out is not None), "out": job.out or 0,
        "out_step": 0, "complete": int(job.complete),
    }
    if work.scale_depth:
        finish["scale"] = job.scale
    if work.rides:
        finish["again"] = int(job is not carrier or not job.operands)
    if work.stateful:
        finish["cell_carried"] = int(job.carried)
    return finish


def assemble(stretches: Sequence[Stretch], work: Work) -> Program:
    """The program of a frame's tiles, with runs, and with loops where tiles repeat; where results
    move from frame to frame, of as many frames as they take to come back to their place."""
    flat: list[dict] = []
    marks: dict[int, list[int]] = {}  # of each op, the instructions that finish its first group
    frames = []  # of each the first instruction
    for frame in range(work.storage.phases):
        frames.append(len(flat))
        for fields, finishes in _instructions(stretches, work, frame):
            if finishes and finishes.group == 0:
                marks.setdefault(finishes.op, []).append(len(flat))
            flat.append(fields)
    return _roll(flat, _periods(marks), frames)


def _periods(marks: dict[int, list[int]]) -> list[int]:
    """Distances after which a schedule may repeat: from the finish of an op's first group to that
    one and two steps later (addresses that alternate repeat after two)."""
    periods = {b - a for at in marks.values() for k in (1, 2)
               for a, b in zip(at, at[k:], strict=False)}
    return sorted(periods)


def _roll(flat: list[dict], periods: list[int], begins: list[int]) -> Program:
    """A flat program with its loops rolled, none of which runs over an instruction of ``begins``.
    """
    stepped = np.array([[i[name] for name, _ in _STEPPED] for i in flat], dtype=np.int64)
    instructions: list[dict] = []
    segments: list[Segment] = []

    def emit(begin: int, length: int, repeats: int):
        if not length:
            return
        first = len(instructions)
        strides: list[int] = []
        for n in range(begin, begin + length):
            fields = dict(flat[n])
            if repeats > 1:
                for k, (_, step) in enumerate(_STEPPED):
                    stride = int(stepped[n + length, k] - stepped[n, k])
                    if stride and stride not in strides:
                        strides.append(stride)
                    fields[step] = strides.index(stride) + 1 if stride else 0
            instructions.append(fields)
        segments.append(Segment(first, len(instructions) - 1, repeats,
                                tuple(strides) + (0,) * (STEPS - len(strides))))

    position = 0
    for begin, length, repeats in _loops(flat, stepped, periods, begins):
        emit(position, begin - position, 1)
        emit(begin, length, repeats)
        position = begin + length * repeats
    emit(position, len(flat) - position, 1)
    return Program(tuple(instructions), tuple(segments))


def _loops(flat: list[dict], stepped: np.ndarray, periods: list[int],
           begins: list[int]) -> list[tuple[int, int, int]]:
    """The loops (begin, length, repeats) of a flat program: the one that saves most, then the same
    on either side of it. ``stepped``: (instructions, stepped fields)."""
    fixed = itemgetter(*(name for name in flat[0] if name not in dict(_STEPPED)))
    keys: dict[tuple, int] = {}
    same = np.array([keys.setdefault(fixed(fields), len(keys)) for fields in flat])
    loops: list[tuple[int, int, int]] = []
    stretches = list(pairwise([*begins, len(flat)]))
    while stretches:
        begin, end = stretches.pop()
        saved, at, length, repeats = max(
            (_longest(same, stepped, begin, end, length) for length in periods
             if 2 * length <= end - begin), default=(0, 0, 0, 0))
        if saved > _WORTH:
            loops.append((at, length, repeats))
            stretches += [(begin, at), (at + repeats * length, end)]
    return sorted(loops)


def _longest(same: np.ndarray, stepped: np.ndarray, begin: int, end: int,
             length: int) -> tuple[int, int, int, int]:
    """The loop of a given length that saves most in a stretch: (instructions saved, begin, length,
    repeats).

    ``same``: equal numbers where all fields but the stepped ones are equal. An instruction *agrees*
    with the one ``length`` later if these are equal; from turn to turn of a loop the stepped fields
    must move by the same strides.
    """
    moved = stepped[begin + length:end] - stepped[begin:end - length]
    agrees = same[begin:end - length] == same[begin + length:end]
    steady = agrees.copy()  # and the stride is that of the turn before
    steady[length:] &= (moved[length:] == moved[:-length]).all(axis=1)
    index, count = np.arange(len(agrees)), len(agrees)
    # Of each instruction the last one up to it that does not agree, and the next one that is not
    # steady.
    disagrees = np.maximum.accumulate(np.where(agrees, -1, index))
    breaks = np.append(np.minimum.accumulate(np.where(steady, count, index)[::-1])[::-1], count)
    best = (0, 0, 0, 0)
    start = 0
    while start + length <= count:
        # Turns from `start` on: the first sets the strides, the others must keep them.
        if disagrees[start + length - 1] >= start:
            start = int(disagrees[start + length - 1]) + 1
            continue
        run = int(breaks[start + length]) - start
        repeats = run // length + 1
        found = ((repeats - 1) * length, begin + start, length, repeats)
        if found > best:
            strides = np.unique(moved[start:start + length])
            if np.count_nonzero(strides) <= STEPS:
                best = found
        start += run - length + 1
    return best


def unroll(program: Program) -> list[dict]:
    """The tiles in the order in which the sequencer issues them, as instructions of one tile each
    whose addresses include the loop offsets."""
    out = []
    for segment in program.segments:
        for turn in range(segment.repeats):
            for fields in program.instructions[segment.start:segment.end + 1]:
                fields = dict(fields)
                for name, step in _STEPPED:
                    if fields[step]:
                        fields[name] += turn * segment.strides[fields[step] - 1]
                    fields[step] = 0
                out += _tiles(fields)
    return out


def tile_fields(program: Program, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Of each tile in the order of issue some fields of :func:`unroll`, zero where an engine has no
    such field. Of runs, only those fields are right that the first tile has not for itself."""
    length = np.array([segment.end - segment.start + 1 for segment in program.segments])
    repeats = np.array([segment.repeats for segment in program.segments])
    # Of each instruction as often as it is run: which one it is, in which turn, and the strides.
    ran = length * repeats
    after = np.arange(ran.sum()) - np.repeat(np.cumsum(ran) - ran, ran)
    turn, which = np.divmod(after, np.repeat(length, ran))
    which += np.repeat([segment.start for segment in program.segments], ran)
    strides = np.repeat([(0, *segment.strides) for segment in program.segments], ran, axis=0)

    def column(name: str) -> np.ndarray:
        return np.array([fields.get(name, 0) for fields in program.instructions])[which]

    run = column("repeats") + 1
    ends = np.cumsum(run)
    number = np.arange(ends[-1]) - np.repeat(ends - run, run)
    found = {}
    for name in names:
        values = column(name)
        if name in dict(_STEPPED):
            values = values + turn * strides[np.arange(len(turn)), column(dict(_STEPPED)[name])]
        values = np.repeat(values, run)
        if name in _LAST:
            values[number + 1 < np.repeat(run, run)] = 0
        elif name in ("operand", "weight"):
            values += number
        found[name] = values
    return found


#: Fields that belong to the last tile of a run alone.
_LAST = ("stop", "park", "gap", "last", "kind", "route", "beats", "cell", "fresh", "to_h", "h",
         "h_step", "to_out", "out", "out_step", "complete", "cell_carried", "again")


def _tiles(fields: dict) -> list[dict]:
    """The tiles of an instruction."""
    run = fields["repeats"]
    fields["repeats"] = 0
    if not run:
        return [fields]
    early = fields | {name: 0 for name in _LAST if name in fields}
    tiles = [early | {"operand": fields["operand"] + n, "weight": fields["weight"] + n}
             for n in range(run)]
    tiles.append(fields | {"operand": fields["operand"] + run, "weight": fields["weight"] + run})
    for tile in tiles[1:]:
        tile |= {"start": int(Start.GO_ON), "init": 0}
    return tiles
