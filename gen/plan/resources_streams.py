"""What the streams of a core take, and its ways from die to die: formulas as of
:mod:`gatefold.gen.plan.resources`."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.gen.plan.amounts import Resources, part
from gatefold.gen.plan.cycles import gearboxes
from gatefold.gen.plan.memories import ram_luts
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.gearbox import GearboxShape
from gatefold.hdl.isa import instruction_layout

__all__ = ["crossings", "loader", "reader", "writer"]


@dataclass(frozen=True)
class _Gearbox:
    """The bits of a gearbox that take logic.

    held: bits of its buffer. shifted: multiplexers of the shifter that moves a new word to the end
    of the buffer's content: in each stage one for every bit where the word, moved, overlaps the
    word in place. moving: bits of the buffer that take over a bit from further up when a word
    leaves. two: those of them that choose between two such bits, since the last word of a row is
    shorter than the others.
    """

    held: int
    shifted: int
    moving: int
    two: int

    @classmethod
    def of(cls, shape: GearboxShape) -> _Gearbox:
        unit = shape.unit * shape.width
        held = shape.units * unit
        put = (shape.size_in if shape.words_in > 1 else shape.rest_in) * shape.width
        shifted = 0
        for bit in range(shape.before.bit_length()):
            move = unit << bit
            shifted, put = shifted + max(0, put - move), put + move
        moving = max(0, held - min(shape.size_out, shape.rest_out) * shape.width)
        two = shape.words_out > 1 and shape.rest_out != shape.size_out
        return cls(held, shifted, moving, moving * two)


def reader(c: EngineConfig) -> Resources:
    box = _Gearbox.of(gearboxes(c)[0])
    split = 0  # a choice for each bit of each operand, and one more than the first of them
    if c.x_split > 1:
        split = min(c.x_row, c.simd // c.x_split) * (c.x_split + 1) * c.act_width
    return part(0.275 * box.held + 0.6 * box.shifted + 1.04 * box.moving + 0.71 * box.two + 65
                + split,
                box.held + 2 * bits_for(c.x_depth) + 16)


def writer(c: EngineConfig) -> Resources:
    box = _Gearbox.of(gearboxes(c)[1])
    memory = c.out_banks * c.simd * ram_luts(c.result_width, 2 << bits_for(c.out_depth))
    return part(0.61 * box.held + 0.92 * box.two + 3 + memory,
                box.held + 2 * bits_for(c.out_depth) + 8)


def crossings(c: EngineConfig) -> Resources:
    """To each die an input chunk, its operand and the tile; from it a chunk to every other die,
    over as many borders as there are, and one to the writer."""
    chunk = c.simd * c.act_width
    there = chunk + 2 * bits_for(max(c.x_depth, c.h_depth)) + instruction_layout(c).size
    if c.loadable:
        there += c.pe + c.load_width
    result = chunk + c.simd + bits_for(max(c.h_depth, c.out_depth))
    return part(ff=c.dies * c.way_there * there + c.dies * (c.dies - 1) * c.cross * result
                + c.out_banks * c.way_back * result)


def loader(c: EngineConfig) -> Resources:
    if not c.loadable:
        return part()
    address = bits_for(c.load_depth)
    return part(2 * c.pe + 50, c.load_width + 2 * c.pe + 2 * address)
