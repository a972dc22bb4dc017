"""The output side: finished chunks to stream beats."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.gearbox import Gearbox, GearboxShape, Position

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
        waiting, some = Signal(range(2 * c.out_depth + 1)), Signal()
        takes = Signal()
        chunk = Position.counted(m, "next_chunk", c.out_depth, takes)
        m.d.comb += [
            write.addr.eq(Cat(self.chunk, self.frame)),
            write.data.eq(self.data.as_value()),
            write.en.eq(self.lanes),
            read.addr.eq(Cat(chunk.word, half)),
            box.i.payload.eq(read.data),
            box.i.valid.eq(some),
            takes.eq(box.i.valid & box.i.ready),
            self.left.eq(takes & chunk.last),
        ]
        with m.If(self.left):
            m.d.sync += half.eq(~half)

        # Chunks that may leave; whether there are any has a register of its own.
        comes, chunks = self.complete, 1
        if c.out_whole:  # finished in any order: all at once
            finished = Position.counted(m, "finished", c.out_depth, self.complete)
            comes, chunks = self.complete & finished.last, c.out_depth
        m.d.sync += [
            waiting.eq(waiting + Mux(comes, Mux(takes, chunks - 1, chunks), Mux(takes, -1, 0))),
            some.eq(Mux(takes, waiting[1:].any(), some) | comes),
        ]

        # Elements sign-extended to their containers; TLAST.
        words = [box.o.payload[n * c.act_width:(n + 1) * c.act_width] for n in range(c.beat)]
        m.d.comb += [
            self.beats.payload.last.eq(box.o_last),  # a row of beats is a frame
            self.beats.payload.data.eq(Cat(
                Cat(word, word[-1].replicate(c.container - c.act_width)) for word in words)),
            self.beats.valid.eq(box.o.valid),
            box.o.ready.eq(self.beats.ready),
        ]
        return m
