"""The two operand memories: input frames and h (and every other vector that is read again)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.dies import sources
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

    Where several dies share an array, each has such a memory, with a bank for the chunks of each
    die. An instruction names a bank in the order of :func:`gatefold.hdl.dies.sources`, the die's
    own first; or the same for all dies.

    Parameters: ``die``, the number of the die.

    Members
    -------
    read: In, which chunk. chunk: Out, the chunk, ``latency`` cycles later, not yet in a register.
    write: In, write of an input chunk. result: In, write of the h memory, lane by lane; where there
    are several dies, of the die's own bank. others: In, of the banks of the other dies, in that
    order.
    """

    lead = 1  #: Cycles from the first address that finds a chunk of h to its data.

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from an address to its chunk."""
        return 2 if config.reach else 1

    def __init__(self, config: EngineConfig, *, die: int = 0):
        self.config, self.die = config, die
        others = {"others": In(result_write(config)).array(config.dies - 1)}
        super().__init__({
            "read": In(operand_read(config)),
            "chunk": Out(chunk_layout(config)),
            "write": In(input_write(config)),
            "result": In(result_write(config)),
            **(others if config.dies > 1 else {}),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        width = c.simd * c.act_width
        x_bits = bits_for(c.x_depth)
        read, write = self.read, self.write
        m.submodules.x_memory = x = Memory(shape=width, depth=2 << x_bits, init=[])
        x_write, x_read = x.write_port(), x.read_port(domain="sync")
        m.d.comb += [
            x_write.addr.eq(Cat(write.chunk, write.frame)),
            x_write.data.eq(write.data.as_value()),
            x_write.en.eq(write.en),
            x_read.addr.eq(Cat(read.chunk[:x_bits], read.frame)),
        ]

        # Each lane's element comes from one of several places, chosen in the cycle of the address:
        # the input memory, a bank of the h memory, or past a bank. From none of them comes a zero.
        counts = ~read.zero if c.stateful else Const(1)
        from_x = relayed(m, platform, "from_x", (read.from_x & counts).replicate(c.simd))
        stored, passing = self._those(from_x, x_read.data), Const(0)
        bank = self._bank()
        results = [self.result, *self.others] if c.dies > 1 else [self.result]
        for n, result in enumerate(results):
            held, comes = self._h_memory(m, result, f"_{n}" if n else "",
                                         ~read.from_x & counts & (bank == n))
            stored, passing = stored | held, passing | comes
        if c.reach:
            stored = delay(m, "stored", stored, 1)[1]
        m.d.comb += self.chunk.as_value().eq(stored | passing)
        return m

    def _those(self, lanes: Value, elements: Value) -> Value:
        """The elements of these lanes, and zeros."""
        return elements & Cat(lane.replicate(self.config.act_width) for lane in lanes)

    def _bank(self) -> Value:
        """The bank that is read, the die's own counted as 0."""
        dies, read = self.config.dies, self.read
        if dies == 1:
            return Const(0)
        own_first = Const(0, len(read.bank))
        for rank, bank in enumerate(sources(self.die, dies)):
            own_first = Mux(read.bank == bank, rank, own_first)
        return Mux(read.absolute, own_first, read.bank)

    def _h_memory(self, m: Module, result, name: str, reads: Value) -> tuple[Value, Value]:
        """The memory of the chunks of a die: the elements that it has, and those that come past it:
        data that is written in the cycle of the address, before the memory has it, and data of the
        next cycle. The latter are apart, and with a ``reach`` come out of a register.

        ``reads``: it is the one that is read.
        """
        c = self.config
        width, h_bits = c.simd * c.act_width, bits_for(c.h_depth)
        address = self.read.chunk[:h_bits]
        m.submodules[f"h_memory{name}"] = h = Memory(shape=width, depth=max(2, c.h_depth), init=[])
        h_write, h_read = h.write_port(granularity=c.act_width), h.read_port(domain="sync")
        lanes = Signal(c.simd, name=f"written_lanes{name}", reset_less=True)
        chunk = Signal(h_bits, name=f"written_chunk{name}", reset_less=True)
        m.d.sync += [lanes.eq(result.lanes), chunk.eq(result.chunk)]
        m.d.comb += [
            h_write.addr.eq(chunk),
            h_write.data.eq(result.data.as_value()),
            h_write.en.eq(lanes),
            h_read.addr.eq(address),
        ]

        is_h = Signal(name=f"is_h{name}")
        now, soon = Signal(c.simd, name=f"now{name}"), Signal(c.simd, name=f"soon{name}")
        from_h = Signal(c.simd, name=f"from_h{name}", reset_less=True)
        comes_now = Signal(c.simd, name=f"comes_now{name}", reset_less=True)
        comes_next = Signal(c.simd, name=f"comes_next{name}", reset_less=True)
        written = Signal(width, name=f"written{name}", reset_less=True)
        m.d.comb += [
            is_h.eq(reads),
            now.eq(Mux(is_h & (address == chunk), lanes, 0)),
            soon.eq(Mux(is_h & (address == result.chunk), result.lanes, 0)),
        ]
        m.d.sync += [
            from_h.eq(is_h.replicate(c.simd) & ~now & ~soon),
            comes_now.eq(now & ~soon),
            comes_next.eq(soon),
            written.eq(result.data.as_value()),
        ]
        held = self._those(from_h, h_read.data) | self._those(comes_now, written)
        if c.reach:
            return held, self._those(delay(m, f"comes_next{name}", comes_next, 1)[1], written)
        return held, self._those(comes_next, result.data.as_value())
