"""From tiles to a program: instructions, and loops where the same tiles come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...hdl.isa import STEPS, Stop
from .schedule import Tile
from .work import Work

__all__ = ["Program", "Segment", "assemble", "unroll"]

#: Fields that a loop may step, and where they are.
_STEPPED = (("operand", "operand_step"), ("h", "h_step"), ("out", "out_step"))


@dataclass(frozen=True)
class Segment:
    """Instructions ``start .. end`` that run ``repeats`` times; offset n grows by ``strides[n]``."""

    start: int
    end: int
    repeats: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Instructions as dicts of the fields of :func:`gatefold.hdl.isa.instruction_layout` (those of
    ``finish`` beside the others), and the segments that they fall into."""

    instructions: tuple[dict, ...]
    segments: tuple[Segment, ...]


def _instruction(tile: Tile, work: Work, last: bool) -> dict:
    job, chunk = tile.job, tile.operand.chunk
    finishes = bool(tile.stop & Stop.FINISH)
    fields = {
        "weight": tile.operand.weight, "from_x": int(chunk.from_x), "operand": chunk.address,
        "operand_step": 0, "align": tile.operand.align, "start": int(tile.start),
        "init": tile.init, "stop": int(tile.stop), "park": tile.park,
        "gap": tile.gap, "last": int(last),
    }
    finish = {
        "kind": work.kind_of[job.layer], "route": job.route, "beats": job.beats - 1,
        "cell": job.cell, "fresh": int(job.fresh), "to_h": int(job.h is not None),
        "h": job.h or 0, "h_step": 0, "to_out": int(job.out is not None), "out": job.out or 0,
        "out_step": 0, "complete": int(job.complete), "frame": 0,
    }
    return fields | (finish if finishes else dict.fromkeys(finish, 0))


def assemble(tiles: Sequence[Tile], work: Work) -> Program:
    """The program of a frame's tiles, rolled into loops over timesteps where they repeat."""
    flat = [_instruction(tile, work, n == len(tiles) - 1) for n, tile in enumerate(tiles)]
    starts = [n for n, tile in enumerate(tiles)
              if n == 0 or (tile.job.layer, tile.job.step) != (tiles[n - 1].job.layer,
                                                               tiles[n - 1].job.step)]
    return _roll(flat, starts)


def _roll(flat: list[dict], starts: list[int]) -> Program:
    """Find repetitions: from every step's start on, one or two steps that come again with
    addresses moved by constant strides, at most ``STEPS`` different ones."""
    stepped = np.array([[i[name] for name, _ in _STEPPED] for i in flat], dtype=np.int64)
    fixed = [name for name in flat[0] if name not in dict(_STEPPED)]
    keys: dict[tuple, int] = {}
    same = np.array([keys.setdefault(tuple(i[name] for name in fixed), len(keys)) for i in flat])
    boundaries = set(starts)
    edges = [*starts, len(flat)]

    instructions: list[dict] = []
    segments: list[Segment] = []

    def emit(begin: int, length: int, repeats: int, strides: list[int]):
        first = len(instructions)
        for n in range(begin, begin + length):
            fields = dict(flat[n])
            if repeats > 1:
                for k, (_, step) in enumerate(_STEPPED):
                    stride = int(stepped[n + length, k] - stepped[n, k])
                    fields[step] = strides.index(stride) + 1 if stride else 0
            instructions.append(fields)
        padded = tuple(strides) + (0,) * (STEPS - len(strides))
        segments.append(Segment(first, len(instructions) - 1, repeats, padded))

    plain = position = 0  # start of what is not yet emitted; where we look
    while position < len(flat):
        best = (0, 0, 0, [])  # saved, length, repeats, strides
        if position in boundaries:
            at = starts.index(position)
            for span in (1, 2):
                if at + span >= len(edges):
                    break
                length = edges[at + span] - position
                repeats, strides = _repetitions(same, stepped, position, length)
                if repeats > 1:
                    best = max(best, ((repeats - 1) * length, length, repeats, strides))
        saved, length, repeats, strides = best
        if saved:
            if plain < position:
                emit(plain, position - plain, 1, [])
            emit(position, length, repeats, strides)
            position += repeats * length
            plain = position
        else:
            position += 1
    if plain < len(flat):
        emit(plain, len(flat) - plain, 1, [])
    return Program(tuple(instructions), tuple(segments))


def _repetitions(same: np.ndarray, stepped: np.ndarray, begin: int,
                 length: int) -> tuple[int, list[int]]:
    """How often the block recurs at once after itself, and the distinct strides it takes."""
    body = same[begin:begin + length]
    stride = None
    repeats = 1
    while begin + (repeats + 1) * length <= len(same):
        at = begin + repeats * length
        if not np.array_equal(same[at:at + length], body):
            break
        moved = stepped[at:at + length] - stepped[at - length:at]
        if stride is None:
            if (moved < 0).any() or len(np.unique(moved[moved != 0])) > STEPS:
                break
            stride = moved
        elif not np.array_equal(moved, stride):
            break
        repeats += 1
    return repeats, [] if stride is None else [int(s) for s in np.unique(stride[stride != 0])]


def unroll(program: Program) -> list[dict]:
    """The instructions in the order in which the sequencer issues them, addresses final."""
    out = []
    for segment in program.segments:
        for turn in range(segment.repeats):
            for fields in program.instructions[segment.start:segment.end + 1]:
                fields = dict(fields)
                for name, step in _STEPPED:
                    if fields[step]:
                        fields[name] += turn * segment.strides[fields[step] - 1]
                    fields[step] = 0
                out.append(fields)
    return out
