"""The output side: finished chunks to stream beats."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import EngineConfig, bits_for
from .gearbox import Gearbox, GearboxShape

__all__ = ["FrameWriter"]


class FrameWriter(wiring.Component):
    """Holds two output frames and sends them, TLAST on the last beat.

    Results cannot wait, so there is always room for the frame in progress: the sequencer starts no
    result of a frame before the last but one has left (:attr:`left`). Chunks leave as they are
    completed, in order; or, where they come in any order, when the whole frame is complete.

    Members
    -------
    lanes, frame, chunk, data, complete: In, write of the output memory; the chunk is complete.
    beats: Out, stream of {data, last}. left: Out, for a cycle: a frame's chunks have all left.
    """

    def __init__(self, config: EngineConfig):
        self.config = c = config
        super().__init__({
            "lanes": In(c.simd),
            "frame": In(1),
            "chunk": In(bits_for(c.out_depth)),
            "data": In(data.ArrayLayout(signed(c.act_width), c.simd)),
            "complete": In(1),
            "beats": Out(stream.Signature(data.StructLayout(
                {"data": c.beat * c.container, "last": 1}))),
            "left": Out(1),
        })

    @staticmethod
    def gearbox(config: EngineConfig) -> GearboxShape:
        """Chunks of one output row each to beats, packed over the whole frame."""
        return GearboxShape(width=config.act_width, size_in=config.simd, row_in=config.out_row,
                            size_out=config.beat, row_out=config.out_row * config.out_rows)

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.gearbox = box = Gearbox(self.gearbox(c))
        bits = bits_for(c.out_depth)
        m.submodules.memory = memory = Memory(shape=c.simd * c.act_width, depth=2 << bits, init=[])
        write = memory.write_port(granularity=c.act_width)
        read = memory.read_port(domain="comb")
        half = Signal()
        next_chunk = Signal(bits)
        waiting = Signal(range(2 * c.out_depth + 1))
        takes, at_end = Signal(), Signal()
        m.d.comb += [
            write.addr.eq(Cat(self.chunk, self.frame)),
            write.data.eq(self.data.as_value()),
            write.en.eq(self.lanes),
            read.addr.eq(Cat(next_chunk, half)),
            box.i.payload.eq(read.data),
            box.i.valid.eq(waiting != 0),
            takes.eq(box.i.valid & box.i.ready),
            at_end.eq(next_chunk == c.out_depth - 1),
            self.left.eq(takes & at_end),
        ]
        if not c.out_whole:
            m.d.sync += waiting.eq(waiting + self.complete - takes)
        else:  # finished in any order: all at once
            finished = Signal(bits)
            whole = Signal()
            m.d.comb += whole.eq(self.complete & (finished == c.out_depth - 1))
            m.d.sync += waiting.eq(waiting + Mux(whole, c.out_depth, 0) - takes)
            with m.If(self.complete):
                m.d.sync += finished.eq(Mux(whole, 0, finished + 1))
        with m.If(takes):
            m.d.sync += next_chunk.eq(Mux(at_end, 0, next_chunk + 1))
            with m.If(at_end):
                m.d.sync += half.eq(~half)

        # Elements sign-extended to their containers; TLAST.
        beat = Signal(bits_for(c.out_beats))
        last = Signal()
        words = [box.o.payload[n * c.act_width:(n + 1) * c.act_width] for n in range(c.beat)]
        m.d.comb += [
            last.eq(beat == c.out_beats - 1),
            self.beats.payload.last.eq(last),
            self.beats.payload.data.eq(Cat(
                Cat(word, word[-1].replicate(c.container - c.act_width)) for word in words)),
            self.beats.valid.eq(box.o.valid),
            box.o.ready.eq(self.beats.ready),
        ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m
