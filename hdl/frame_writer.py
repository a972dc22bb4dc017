"""The output side: finished chunks to stream beats."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.gearbox import Gearbox, GearboxShape, Position
from gatefold.hdl.interfaces import beat_stream, output_write

__all__ = ["FrameWriter"]


class FrameWriter(wiring.Component):
    """Holds two output frames and sends them, TLAST on the last beat.

    Results cannot wait, so there is always room for the frame in progress: the sequencer starts no
    result of a frame before the last frame but one has left (:attr:`left`). Chunks leave as they
    are completed, in order; or, where they come in any order, when the whole frame is complete.

    Members
    -------
    write: In, write of the output memory.
    beats: Out, stream of beats. left: Out, for a cycle: all chunks of a frame have left.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"write": In(output_write(config)), "beats": Out(beat_stream(config)),
                          "left": Out(1)})

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
        write, read = memory.write_port(granularity=c.act_width), memory.read_port(domain="comb")
        half = Signal()  # of the memory, that leaves
        waiting = Signal(range(2 * c.out_depth + 1))  # chunks that may leave
        any_waits = Signal()  # a register of its own
        takes = Signal()
        chunk = Position.counted(m, "next_chunk", c.out_depth, takes)
        m.d.comb += [
            write.addr.eq(Cat(self.write.chunk, self.write.frame)),
            write.data.eq(self.write.data.as_value()),
            write.en.eq(self.write.lanes),
            read.addr.eq(Cat(chunk.word, half)),
            box.i.payload.eq(read.data),
            box.i.valid.eq(any_waits),
            takes.eq(box.i.valid & box.i.ready),
            self.left.eq(takes & chunk.last),
        ]
        with m.If(self.left):
            m.d.sync += half.eq(~half)

        comes, chunks = self.write.complete, 1
        if c.out_whole:  # finished in any order: all at once
            finished = Position.counted(m, "finished", c.out_depth, self.write.complete)
            comes, chunks = self.write.complete & finished.last, c.out_depth
        m.d.sync += [
            waiting.eq(waiting + Mux(comes, Mux(takes, chunks - 1, chunks), Mux(takes, -1, 0))),
            any_waits.eq(Mux(takes, waiting[1:].any(), any_waits) | comes),
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
