"""The input side: stream beats to input chunks, frame by frame, also where TLAST is wrong."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.gearbox import Gearbox, GearboxShape, Position
from gatefold.hdl.interfaces import arrivals, beat_stream, input_write

__all__ = ["FrameReader"]


class FrameReader(wiring.Component):
    """Fills the input memory, at most two frames ahead of the one that is read from it.

    A frame is ``x_beats`` beats, TLAST on the last. TLAST too early: the frame is completed with
    zeros. TLAST missing: beats are dropped up to and with the next TLAST. Either raises
    :attr:`error` for a cycle, and the next frame is clean.

    A stateful core's frames either go on with the sequence of the frame before or begin a new one:
    ``first`` says which, with a frame's first beat. The first frame after a reset always begins a
    new one.

    Where the input is split, each element becomes ``x_split`` neighbouring operands, whose sum it
    is (docs/numbers.md).

    Members
    -------
    beats: In, stream of beats, of a stateful core with ``first``. enable: In, beats are accepted.
    holds: In, of a loadable core, but not a frame's first beat.
    write: Out, write of the input memory. arrivals: Out, the contents of the memory.
    offered, begins: Out, a frame's first beat is offered, is accepted.
    error: Out, TLAST was early or late.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({
            "beats": In(beat_stream(config, first=config.stateful)),
            "enable": In(1),
            **({"holds": In(1)} if config.loadable else {}),
            "write": Out(input_write(config)),
            "arrivals": Out(arrivals(config)),
            "offered": Out(1),
            "begins": Out(1),
            "error": Out(1),
        })

    @staticmethod
    def gearbox(config: EngineConfig) -> GearboxShape:
        """Beats, packed over the whole frame, to chunks of one input row each, which wait between
        frames only. Elements are split behind it, where a chunk has fewer of them than a beat."""
        c = config
        width = c.act_width if c.x_split == 1 else c.element_width
        return GearboxShape(width=width, size_in=c.beat, row_in=c.x_row * c.x_rows,
                            size_out=c.simd // c.x_split, row_out=c.x_row, burst=c.x_depth)

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.gearbox = box = Gearbox(self.gearbox(c))

        # Frames of the right length, also where TLAST is wrong: filled up, or the rest dropped.
        at_end = box.i_last  # a row of beats is a frame
        first = Signal(init=1)
        filling = Signal()  # up a frame that is too short
        dropping = Signal()  # the rest of one that is too long
        enable = self.enable & ~(self.holds & first & ~dropping) if c.loadable else self.enable
        moves = Signal()
        elements = [self.beats.payload.data[n * c.container:n * c.container + c.element_width]
                    for n in range(c.beat)]
        taken = Mux(filling, 0, Cat(elements))
        if c.x_zero or c.centred:
            taken = Cat((taken.word_select(n, c.element_width).as_signed() - c.x_zero)[:c.act_width]
                        for n in range(c.beat))
        m.d.comb += [
            box.i.payload.eq(taken),
            box.i.valid.eq(~dropping & (filling | (self.beats.valid & enable))),
            self.beats.ready.eq(enable & (dropping | (~filling & box.i.ready))),
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
        with m.If(dropping & self.beats.valid & enable):
            m.d.sync += dropping.eq(~self.beats.payload.last)

        # Chunks into the memory's two halves.
        ahead = Signal(2)  # frames in the memory, the one being filled not counted
        write, held = self.write, self.arrivals
        chunk = Position.counted(m, "chunk", c.x_depth, write.en)
        last_chunk = Signal()
        m.d.comb += [
            box.o.ready.eq(~ahead[1]),
            write.en.eq(box.o.valid & box.o.ready),
            write.frame.eq(held.frames[0]),
            write.chunk.eq(chunk.word),
            write.data.as_value().eq(box.o.payload if c.x_split == 1 else self._operands(
                m, box.o.payload)),
            held.chunks.eq(chunk.word),
            last_chunk.eq(write.en & chunk.last),
        ]
        m.d.sync += ahead.eq(ahead + last_chunk - held.done)
        with m.If(last_chunk):
            m.d.sync += held.frames.eq(held.frames + 1)
        if c.stateful:
            self._keep_first(m, self.begins, write.en & (held.chunks == 0))
        return m

    def _operands(self, m: Module, elements: Value) -> Value:
        """The operands of each element x, whose sum it is: ``sat(floor((x + j) / x_split))``, which
        is that of x alone or one more, as the bits that the division drops say."""
        c, found = self.config, []
        bits = c.x_split.bit_length() - 1
        width = c.element_width - bits
        for n in range(min(c.x_row, c.simd // c.x_split)):
            element = elements.word_select(n, c.element_width)
            whole, dropped = element[bits:].as_signed(), element[:bits]
            more = Signal(signed(width), name=f"more_{n}")
            m.d.comb += more.eq(Mux(whole == (1 << width - 1) - 1, whole, whole + 1))
            for j in range(c.x_split):
                operand = Signal(signed(c.act_width), name=f"operand_{n}_{j}")
                m.d.comb += operand.eq(Mux(dropped >= c.x_split - j, more, whole) if j else whole)
                found.append(operand)
        return Cat(found)

    def _keep_first(self, m: Module, comes: Value, leaves: Value):
        """Which frames begin a new sequence: a queue beside the gearbox, in which a frame waits
        from its first beat to its first chunk. There are several where frames are small: all that
        wait are whole, but for the last of them."""
        shape = self.gearbox(self.config)
        depth = -(-shape.most // shape.row_in)
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
            m.d.sync += self.arrivals.fresh.bit_select(self.write.frame, 1).eq(queue[0])
