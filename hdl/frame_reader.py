"""The input side: stream beats to input chunks, one frame after another, whatever TLAST does."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.gearbox import Gearbox, GearboxShape, Position

__all__ = ["FrameReader"]


class FrameReader(wiring.Component):
    """Fills the input memory, at most two frames ahead of what has been worked off.

    A frame is ``x_beats`` beats, TLAST on the last. TLAST too early: the frame is completed with
    zeros. TLAST missing: beats are dropped up to and with the next TLAST. Either raises
    :attr:`error` for a cycle, and the next frame is clean.

    A stateful core's frames either go on with the sequence of the frame before or begin a new one:
    ``first`` says so, with a frame's first beat. The first frame after a reset always begins one.

    Members
    -------
    beats: In, stream of {data, last}, of a stateful core also {first}. enable: In, beats may come.
    done: In, a frame has been read from the memory.
    x_en, x_frame, x_chunk, x_data: Out, write of the input memory.
    frames, chunks: Out, frames completely written (modulo 4) and chunks of the next one.
    error: Out, TLAST was early or late. offered, begins: Out, a frame's first beat is there, is
    taken.
    anew, of a stateful core: Out, for either half of the memory: its frame begins a new sequence.
    Settled with the frame's first chunk.
    """

    def __init__(self, config: EngineConfig):
        self.config = c = config
        super().__init__({
            "beats": In(stream.Signature(self.payload(c))),
            "enable": In(1),
            "done": In(1),
            "x_en": Out(1),
            "x_frame": Out(1),
            "x_chunk": Out(bits_for(c.x_depth)),
            "x_data": Out(data.ArrayLayout(signed(c.act_width), c.simd)),
            "frames": Out(2),
            "chunks": Out(range(c.x_depth + 1)),
            "error": Out(1),
            "offered": Out(1),
            "begins": Out(1),
            **({"anew": Out(2)} if c.stateful else {}),
        })

    @staticmethod
    def payload(config: EngineConfig) -> data.StructLayout:
        """An input beat."""
        return data.StructLayout({"data": config.beat * config.container, "last": 1,
                                  **({"first": 1} if config.stateful else {})})

    @staticmethod
    def gearbox(config: EngineConfig) -> GearboxShape:
        """Beats, packed over the whole frame, to chunks of one input row each."""
        return GearboxShape(width=config.act_width, size_in=config.beat,
                            row_in=config.x_row * config.x_rows,
                            size_out=config.simd, row_out=config.x_row)

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.gearbox = box = Gearbox(self.gearbox(c))

        # Beats with TLAST made good.
        at_end = box.i_last  # a row of beats is a frame
        first = Signal(init=1)
        filling, dropping = Signal(), Signal()
        moves = Signal()
        elements = [self.beats.payload.data[n * c.container:n * c.container + c.act_width]
                    for n in range(c.beat)]
        m.d.comb += [
            box.i.payload.eq(Mux(filling, 0, Cat(elements))),
            box.i.valid.eq(~dropping & (filling | (self.beats.valid & self.enable))),
            self.beats.ready.eq(self.enable & (dropping | (~filling & box.i.ready))),
            moves.eq(box.i.valid & box.i.ready),
            self.offered.eq(self.beats.valid & first & ~dropping),
            self.begins.eq(moves & first),
        ]
        with m.If(moves):
            m.d.sync += first.eq(at_end)
            with m.If(filling):
                m.d.sync += filling.eq(~at_end)
            with m.Elif(self.beats.payload.last != at_end):
                m.d.comb += self.error.eq(1)
                m.d.sync += [filling.eq(~at_end), dropping.eq(at_end)]
        with m.If(dropping & self.beats.valid & self.enable):
            m.d.sync += dropping.eq(~self.beats.payload.last)

        # Chunks into the memory's two halves.
        ahead = Signal(2)  # frames in the memory, the one being filled not counted
        chunk = Position.counted(m, "chunk", c.x_depth, self.x_en)
        last_chunk = Signal()
        m.d.comb += [
            box.o.ready.eq(~ahead[1]),
            self.x_en.eq(box.o.valid & box.o.ready),
            self.x_frame.eq(self.frames[0]),
            self.x_chunk.eq(chunk.word),
            self.chunks.eq(chunk.word),
            self.x_data.as_value().eq(box.o.payload),
            last_chunk.eq(self.x_en & chunk.last),
        ]
        m.d.sync += ahead.eq(ahead + last_chunk - self.done)
        with m.If(last_chunk):
            m.d.sync += self.frames.eq(self.frames + 1)
        if c.stateful:
            self._keep_first(m, self.begins, self.x_en & (self.chunks == 0))
        return m

    def _keep_first(self, m: Module, comes: Value, leaves: Value):
        """Which frames begin a new sequence: a queue beside the gearbox, where a frame waits from
        its first beat to its first chunk (several do where they are small)."""
        shape = self.gearbox(self.config)
        depth = shape.capacity // shape.row_in + 1
        queue = Signal(depth)
        free = Signal(depth + 1, init=1)  # one-hot: the first free place
        after_reset = Signal(init=1)
        place = Mux(leaves, free >> 1, free)
        flag = self.beats.payload.first | after_reset
        m.d.sync += [
            free.eq(Mux(comes, place << 1, place)),
            queue.eq(Mux(leaves, queue >> 1, queue) | Mux(comes & flag, place, 0)),
        ]
        with m.If(comes):
            m.d.sync += after_reset.eq(0)
        with m.If(leaves):
            m.d.sync += self.anew.bit_select(self.x_frame, 1).eq(queue[0])
