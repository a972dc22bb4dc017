"""The two operand memories: input frames and h (and every other vector that is read again)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for

__all__ = ["OperandMemory"]


class OperandMemory(wiring.Component):
    """A chunk of ``simd`` elements a cycle, from the input or from the h memory, to every row.

    The input memory holds two frames: one being read, one being filled. Read addresses in cycle 0,
    memory output in cycle 1, broadcast register in cycle 2 (:attr:`latency`).

    A chunk of h may be addressed a cycle *before* its data comes (:attr:`lead`): data that comes
    while its address waits for the memory, or for the register, goes straight to the register. An
    input chunk is there the cycle after its write.

    Members
    -------
    from_x, frame, chunk: In, which memory, which half of the input memory, which chunk. zero, of a
    stateful core: In, the chunk counts as zero.
    operands: Out, the chunk, ``latency`` cycles later.
    x_en, x_frame, x_chunk, x_data: In, write of an input chunk.
    h_lanes, h_chunk: In, the h memory will be written, lane by lane, with the next cycle's h_data.
    """

    latency = 2
    lead = 1  #: Cycles from the first address that finds a chunk of h to its data.

    def __init__(self, config: EngineConfig):
        self.config = c = config
        chunk = data.ArrayLayout(signed(c.act_width), c.simd)
        super().__init__({
            "from_x": In(1),
            "frame": In(1),
            "chunk": In(bits_for(max(c.x_depth, c.h_depth))),
            **({"zero": In(1)} if c.stateful else {}),
            "operands": Out(chunk),
            "x_en": In(1),
            "x_frame": In(1),
            "x_chunk": In(bits_for(c.x_depth)),
            "x_data": In(chunk),
            "h_lanes": In(c.simd),
            "h_chunk": In(bits_for(c.h_depth)),
            "h_data": In(chunk),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        width = c.simd * c.act_width

        x_bits = bits_for(c.x_depth)
        m.submodules.x = x = Memory(shape=width, depth=2 << x_bits, init=[])
        x_write, x_read = x.write_port(), x.read_port(domain="sync")
        m.submodules.h = h = Memory(shape=width, depth=max(2, c.h_depth), init=[])
        h_write, h_read = h.write_port(granularity=c.act_width), h.read_port(domain="sync")
        h_lanes, h_chunk = Signal.like(self.h_lanes), Signal.like(self.h_chunk)
        m.d.sync += [h_lanes.eq(self.h_lanes), h_chunk.eq(self.h_chunk)]
        m.d.comb += [
            x_write.addr.eq(Cat(self.x_chunk, self.x_frame)),
            x_write.data.eq(self.x_data.as_value()),
            x_write.en.eq(self.x_en),
            x_read.addr.eq(Cat(self.chunk[:x_bits], self.frame)),
            h_write.addr.eq(h_chunk),
            h_write.data.eq(self.h_data.as_value()),
            h_write.en.eq(h_lanes),
            h_read.addr.eq(self.chunk[: bits_for(c.h_depth)]),
        ]
        # Lanes that are written while their address is here: with the data of now, which the memory
        # has only for the next address, or with that of the next cycle.
        reads_h = self.chunk[: bits_for(c.h_depth)]
        now, soon = Signal(c.simd), Signal(c.simd)
        picks_x = Signal()
        written = Signal(width, reset_less=True)
        broadcast = Signal(width, reset_less=True)
        m.d.sync += [
            picks_x.eq(self.from_x),
            now.eq(Mux(~self.from_x & (reads_h == h_chunk), h_lanes, 0)),
            soon.eq(Mux(~self.from_x & (reads_h == self.h_chunk), self.h_lanes, 0)),
            written.eq(self.h_data.as_value()),
        ]
        for lane in range(c.simd):
            part = slice(lane * c.act_width, (lane + 1) * c.act_width)
            there = Mux(picks_x, x_read.data[part],
                        Mux(now[lane], written[part], h_read.data[part]))
            m.d.sync += broadcast[part].eq(Mux(soon[lane], self.h_data[lane], there))
        if c.stateful:
            zero = Signal()
            m.d.sync += zero.eq(self.zero)
            with m.If(zero):  # a synchronous reset of the register
                m.d.sync += broadcast.eq(0)
        m.d.comb += self.operands.as_value().eq(broadcast)
        return m
