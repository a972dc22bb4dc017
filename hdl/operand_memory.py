"""The two operand memories: input frames and h (and every other vector that is read again)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import chunk_layout, input_write, operand_read, result_write

__all__ = ["OperandMemory"]


class OperandMemory(wiring.Component):
    """A chunk of ``simd`` elements a cycle, from the input or from the h memory, to every row.

    The input memory holds two frames: one being read, one being filled. Read addresses in cycle 0,
    memory output in cycle 1, broadcast register in cycle 2 (:attr:`latency`).

    A chunk of h may be addressed a cycle *before* its data comes (:attr:`lead`): data that comes in
    the cycle of its address, or in the next one, goes straight to the broadcast register. An input
    chunk can be read the cycle after its write.

    Members
    -------
    read: In, which chunk. chunk: Out, the chunk, ``latency`` cycles later.
    write: In, write of an input chunk. result: In, write of the h memory, lane by lane.
    """

    latency = 2
    lead = 1  #: Cycles from the first address that finds a chunk of h to its data.

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({
            "read": In(operand_read(config)),
            "chunk": Out(chunk_layout(config)),
            "write": In(input_write(config)),
            "result": In(result_write(config)),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        width = c.simd * c.act_width
        x_bits, h_bits = bits_for(c.x_depth), bits_for(c.h_depth)
        read, write, result = self.read, self.write, self.result
        x_address, h_address = read.chunk[:x_bits], read.chunk[:h_bits]

        m.submodules.x_memory = x = Memory(shape=width, depth=2 << x_bits, init=[])
        m.submodules.h_memory = h = Memory(shape=width, depth=max(2, c.h_depth), init=[])
        x_write, x_read = x.write_port(), x.read_port(domain="sync")
        h_write, h_read = h.write_port(granularity=c.act_width), h.read_port(domain="sync")
        lanes = Signal(c.simd, name="written_lanes")
        chunk = Signal(h_bits, name="written_chunk")
        m.d.sync += [lanes.eq(result.lanes), chunk.eq(result.chunk)]
        m.d.comb += [
            x_write.addr.eq(Cat(write.chunk, write.frame)),
            x_write.data.eq(write.data.as_value()),
            x_write.en.eq(write.en),
            x_read.addr.eq(Cat(x_address, read.frame)),
            h_write.addr.eq(chunk),
            h_write.data.eq(result.data.as_value()),
            h_write.en.eq(lanes),
            h_read.addr.eq(h_address),
        ]

        # Lanes whose data comes while their address is read: in the cycle of the address, before
        # the memory has it, or in the next cycle.
        comes_now = Signal(c.simd)
        comes_next = Signal(c.simd)
        from_x = Signal()
        written = Signal(width, reset_less=True)
        broadcast = Signal(width, reset_less=True)
        m.d.sync += [
            from_x.eq(read.from_x),
            comes_now.eq(Mux(~read.from_x & (h_address == chunk), lanes, 0)),
            comes_next.eq(Mux(~read.from_x & (h_address == result.chunk), result.lanes, 0)),
            written.eq(result.data.as_value()),
        ]
        for lane in range(c.simd):
            part = slice(lane * c.act_width, (lane + 1) * c.act_width)
            stored = Mux(from_x, x_read.data[part],
                         Mux(comes_now[lane], written[part], h_read.data[part]))
            m.d.sync += broadcast[part].eq(Mux(comes_next[lane], result.data[lane], stored))
        if c.stateful:
            zero = Signal()
            m.d.sync += zero.eq(read.zero)
            with m.If(zero):  # a synchronous reset of the register
                m.d.sync += broadcast.eq(0)
        m.d.comb += self.chunk.as_value().eq(broadcast)
        return m
