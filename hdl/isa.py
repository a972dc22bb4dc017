"""The instruction set: an instruction issues a run of tiles, and loops repeat instructions.

The plan writes programs in these layouts, and the sequencer and the components read them. No other
module knows a bit position.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from gatefold.hdl.config import EngineConfig, bits_for

__all__ = ["STEPS", "Start", "Stop", "beat_layout", "finish_layout", "instruction_layout", "pack",
           "segment_layout", "tile_layout"]

STEPS = 4  #: Loop offsets that a program has at most.


class Start(IntEnum):
    """The start value to which a tile's sums are added."""

    GO_ON = 0  #: the accumulator
    BIAS = 1  #: the bias word at ``init``
    PARKED = 2  #: the parked partial sums at ``init``


class Stop(IntFlag):
    """The use of the accumulator after a tile."""

    GO_ON = 0  #: nothing, more tiles follow
    PARK = 1  #: kept at ``park``
    FINISH = 2  #: sent to the finishing lanes


def finish_layout(config: EngineConfig) -> data.StructLayout:
    """How finished rows become elements of an operand or an output, as the array passes it on.

    again, where ``config.again``: not these rows are finished, but once more those of the last
    finish, which the router has kept; the tile's own sums go on.

    kind: index into ``config.kinds``. route: of the first beat. beats: number of beats - 1.
    cell: cell-state chunk of the first beat, or the word of its factors. fresh: c counts as zero.
    to_h, h: write to the operand memory from beat h on; a chunk is ``config.parts`` beats. to_out,
    out: the same for the output memory. complete: the last beat completes its chunk, which may
    leave.
    scale, of a core with row scales: the word of the first beat's.
    frame: half of the output memory.
    """
    return data.StructLayout({**_finish(config), "frame": 1})


def _finish(config: EngineConfig) -> dict:
    """The fields of :func:`finish_layout` that an instruction has."""
    return {
        "kind": bits_for(len(config.kinds)),
        "route": bits_for(len(config.routes)),
        "beats": bits_for(config.max_beats),
        **_places(config),
        **({"scale": config.scale_address} if config.scale_depth else {}),
        **({"again": 1} if config.again else {}),
    }


def _places(config: EngineConfig) -> dict:
    """The fields that say where the state of a beat is, and where its results go."""
    return {
        "cell": bits_for(config.cell_words),
        "fresh": 1,
        "to_h": 1,
        "h": bits_for(config.h_depth * config.parts),
        "to_out": 1,
        "out": bits_for(config.out_depth * config.parts),
        "complete": 1,
    }


def beat_layout(config: EngineConfig) -> data.StructLayout:
    """A beat, as the lanes read it.

    kind: index into ``config.kinds``. lanes: which lanes get an element. cell, fresh, to_h, h,
    to_out, out, frame: as in :func:`finish_layout`, for this beat. complete: the beat completes its
    chunk.
    """
    return data.StructLayout({
        "kind": bits_for(len(config.kinds)),
        "lanes": config.lanes,
        **_places(config),
        "frame": 1,
    })


def tile_layout(config: EngineConfig) -> data.StructLayout:
    """A tile as it is issued to the array: the fields of its instruction that the array reads."""
    return data.StructLayout({**_sums(config), "finish": finish_layout(config)})


def _sums(config: EngineConfig) -> dict:
    """The fields of an instruction that say what the rows do."""
    return {
        "weight": bits_for(config.weight_depth),
        "align": bits_for(len(config.aligns)),
        "start": 2,
        "init": bits_for(max(config.bias_depth, config.park_depth)),
        "stop": 2,
        "park": bits_for(config.park_depth),
    }


def instruction_layout(config: EngineConfig, *, steps: bool = True) -> data.StructLayout:
    """A run of tiles, or one: each takes the next weight word and the next chunk.

    repeats: tiles - 1. start is that of the first, stop and gap those of the last. weight: word of
    the weight memory. from_x: the operand chunk comes from the input memory, not from the h memory.
    operand: its chunk. bank, absolute, where there are
    several dies: of which bank of the h memory, from the die's own on or from the first die's on.
    align: index into ``config.aligns``. start, init, stop, park: see :class:`Start`, :class:`Stop`.
    finish: see :func:`finish_layout`. gap: cycles to wait after it. last: ends the frame (a program
    may hold several, one after the other).
    age, of a stateful core: the operand was written so many frames ago; it counts as zero where the
    sequence is younger. cell_carried, in ``finish``: the state is the last frame's, and so does
    it.
    With ``steps``, as in the program: operand_step, h_step, out_step, each the loop offset that is
    added to operand, h or out, or 0 for none.
    """
    def step(name: str) -> dict:
        return {f"{name}_step": bits_for(config.offsets + 1)} if steps and config.offsets else {}

    return data.StructLayout({
        "repeats": bits_for(config.max_run),
        "from_x": 1,
        "operand": bits_for(max(config.x_depth, config.h_depth)),
        **step("operand"),
        **({"bank": bits_for(config.dies), "absolute": 1} if config.dies > 1 else {}),
        **_sums(config),
        "finish": data.StructLayout({
            **_finish(config), **step("h"), **step("out"),
            **({"cell_carried": 1} if config.stateful else {})}),
        "gap": bits_for(config.max_gap + 1),
        "last": 1,
        **({"age": bits_for(config.oldest + 1)} if config.stateful else {}),
    })


def segment_layout(config: EngineConfig) -> data.StructLayout:
    """A stretch of the program that runs ``count + 1`` times; segments follow one another.

    end: address of its last instruction. step_1, step_2 ...: increments per iteration of the loop
    offsets, which start at zero. They are signed where a program has one that is negative, as that
    of an operand which a backward direction reads.
    """
    stride = (Shape.cast(range(config.min_stride, config.max_stride + 1)) if config.min_stride < 0
              else unsigned(bits_for(config.max_stride + 1)))
    return data.StructLayout({
        "end": bits_for(config.program_depth),
        "count": bits_for(config.max_count),
        **{f"step_{n}": stride for n in range(1, config.offsets + 1)},
    })


def pack(layout: data.StructLayout, values: dict) -> int:
    """One word of ``layout`` as an integer; every field must be given and must fit."""
    if set(values) != {name for name, _ in layout}:
        raise ValueError(f"fields must be {[name for name, _ in layout]}, not {list(values)}")
    word = 0
    for name, field in layout:
        value = values[name]
        if isinstance(field.shape, data.StructLayout):
            value = pack(field.shape, value)
        shape = Shape.cast(field.shape)
        lowest = -(1 << shape.width - 1) if shape.signed else 0
        highest = lowest + (1 << shape.width) - 1
        if not lowest <= value <= highest:
            raise ValueError(f"field {name} must be in {lowest}..{highest}, not {value!r}")
        word |= (int(value) & (1 << shape.width) - 1) << field.offset
    return word
