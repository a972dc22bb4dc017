"""The two operand memories: input frames and h (and every other vector that is read again)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import chunk_layout, input_write, operand_read, result_write
from gatefold.hdl.relay import relayed

__all__ = ["OperandMemory"]


class OperandMemory(wiring.Component):
    """A chunk of ``simd`` elements a cycle, from the input or from the h memory, for every row.

    The input memory holds two frames: one being read, one being filled. Read addresses in cycle 0,
    memory output in cycle 1: there is the chunk (:meth:`latency`), on its way into registers near
    the rows. With a ``reach`` of at least 1 it has a register here first.

    A chunk of h may be addressed a cycle *before* its data comes (:attr:`lead`): data that comes in
    the cycle of its address, or in the next one, goes straight to the chunk, and with a register
    here it comes out of one of its own. An input chunk can be read the cycle after its write.

    Members
    -------
    read: In, which chunk. chunk: Out, the chunk, ``latency`` cycles later, not yet in a register.
    write: In, write of an input chunk. result: In, write of the h memory, lane by lane.
    """

    lead = 1  #: Cycles from the first address that finds a chunk of h to its data.

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from an address to its chunk."""
        return 2 if config.reach else 1

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

        # Each lane takes its element from one of four places, chosen in the cycle of the address:
        # the input memory; the h memory; the data that is written to it in that cycle (the memory
        # does not have it yet); the data that is written in the next cycle. Where none is chosen,
        # the element is zero.
        is_h = Signal()
        now = Signal(c.simd)
        soon = Signal(c.simd)
        from_h = Signal(c.simd)
        comes_now = Signal(c.simd)
        comes_next = Signal(c.simd)
        written = Signal(width, reset_less=True)
        counts = ~read.zero if c.stateful else Const(1)
        m.d.comb += [
            is_h.eq(~read.from_x & counts),
            now.eq(Mux(is_h & (h_address == chunk), lanes, 0)),
            soon.eq(Mux(is_h & (h_address == result.chunk), result.lanes, 0)),
        ]
        from_x = relayed(m, platform, "from_x", (read.from_x & counts).replicate(c.simd))
        m.d.sync += [
            from_h.eq(is_h.replicate(c.simd) & ~now & ~soon),
            comes_now.eq(now & ~soon),
            comes_next.eq(soon),
            written.eq(result.data.as_value()),
        ]

        def those(lanes: Value, elements: Value) -> Value:
            return elements & Cat(lane.replicate(c.act_width) for lane in lanes)

        stored = those(from_x, x_read.data) | those(from_h, h_read.data) | those(comes_now, written)
        coming = result.data.as_value()
        if c.reach:
            stored, comes_next = (delay(m, name, value, 1)[1] for name, value in (
                ("stored", stored), ("comes_next", comes_next)))
            coming = written
        m.d.comb += self.chunk.as_value().eq(stored | those(comes_next, coming))
        return m
