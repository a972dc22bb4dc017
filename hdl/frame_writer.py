"""The output side: finished chunks to stream beats."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.gearbox import Gearbox, GearboxShape, Position
from gatefold.hdl.interfaces import beat_stream, output_layout, output_write

__all__ = ["FrameWriter"]


class FrameWriter(wiring.Component):
    """Holds two output frames and sends them, TLAST on the last beat.

    Results cannot wait, so there is always room for the frame in progress: the sequencer starts no
    result of a frame before the last frame but one has left (:attr:`left`). Chunks leave as they
    are completed, in order; or, where they come in any order, when the whole frame is complete.

    Where several dies share the array, they write side by side: a word of the memory is a chunk of
    each die, the first die's first, and leaves as a whole.

    Members
    -------
    write: In, write of the output memory. others: In, where there are several dies, the chunks that
    the other dies write with it.
    beats: Out, stream of beats. left: Out, for a cycle: all chunks of a frame have left.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        others = {"others": In(output_layout(config)).array(config.out_banks - 1)}
        super().__init__({"write": In(output_write(config)), "beats": Out(beat_stream(config)),
                          "left": Out(1), **(others if config.out_banks > 1 else {})})

    @staticmethod
    def gearbox(config: EngineConfig) -> GearboxShape:
        """Words of one output row each to beats, packed over the whole frame."""
        return GearboxShape(width=config.result_width, size_in=config.simd * config.out_banks,
                            row_in=config.out_row, size_out=config.beat,
                            row_out=config.out_row * config.out_rows)

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.gearbox = box = Gearbox(self.gearbox(c))
        half = Signal()  # of the memory, that leaves
        waiting = Signal(range(2 * c.out_depth + 1))  # words that may leave
        any_waits = Signal()  # a register of its own
        takes = Signal()  # a word
        word = Position.counted(m, "next_word", c.out_depth, takes)
        written = [self.write.data, *self.others] if c.out_banks > 1 else [self.write.data]
        m.d.comb += [
            box.i.payload.eq(Cat(
                self._bank_memory(m, f"memory_{n}" if n else "memory", data, Cat(word.word, half))
                for n, data in enumerate(written))),
            box.i.valid.eq(any_waits),
            takes.eq(box.i.valid & box.i.ready),
            self.left.eq(takes & word.last),
        ]
        with m.If(self.left):
            m.d.sync += half.eq(~half)

        comes, words = self.write.complete, 1
        if c.out_whole:  # finished in any order: all at once
            finished = Position.counted(m, "finished", c.out_depth, self.write.complete)
            comes, words = self.write.complete & finished.last, c.out_depth
        m.d.sync += [
            waiting.eq(waiting + Mux(comes, Mux(takes, words - 1, words), Mux(takes, -1, 0))),
            any_waits.eq(Mux(takes, waiting[1:].any(), any_waits) | comes),
        ]

        # Elements sign-extended to their containers; TLAST.
        words = [box.o.payload[n * c.result_width:(n + 1) * c.result_width] for n in range(c.beat)]
        if c.out_zero or c.out_element < c.result_width:
            # Zeros behind the last element stay zeros.
            rest = c.out_row * c.out_rows % c.beat or c.beat
            words = [Mux(box.o_last & (n >= rest), 0, (word + c.out_zero)[:c.out_element])
                     for n, word in enumerate(words)]
        m.d.comb += [
            self.beats.payload.last.eq(box.o_last),  # a row of beats is a frame
            self.beats.payload.data.eq(Cat(
                Cat(word, word[-1].replicate(c.container - c.out_element)) for word in words)),
            self.beats.valid.eq(box.o.valid),
            box.o.ready.eq(self.beats.ready),
        ]
        return m

    def _bank_memory(self, m: Module, name: str, data: Value, address: Value) -> Value:
        """The memory of a die's chunks, two frames of them: what it holds at ``address``."""
        c = self.config
        m.submodules[name] = memory = Memory(shape=c.simd * c.result_width,
                                             depth=2 << bits_for(c.out_depth), init=[])
        write, read = memory.write_port(granularity=c.result_width), memory.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(Cat(self.write.chunk, self.write.frame)),
            write.data.eq(data.as_value()),
            write.en.eq(self.write.lanes),
            read.addr.eq(address),
        ]
        return read.data
