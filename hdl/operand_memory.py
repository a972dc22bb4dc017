"""The two operand memories: input frames and h (and every other vector that is read again)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind
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

    Where several dies share an array, each has such a memory, with a bank for the chunks of each
    die. An instruction names a bank of those from the die's own on (die d reads bank + d, modulo
    ``dies``), or from the first die's on.

    Parameters: ``die``, the number of the die.

    Members
    -------
    read: In, which chunk. chunk: Out, the chunk, ``latency`` cycles later.
    write: In, write of an input chunk. result: In, write of the h memory, lane by lane; where there
    are several dies, of the die's own bank. others: In, of the banks of the other dies, the next
    die's first.
    """

    latency = 2
    lead = 1  #: Cycles from the first address that finds a chunk of h to its data.

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

        from_x = Signal()
        broadcast = Signal(width, reset_less=True)
        m.d.sync += from_x.eq(read.from_x)
        results = [self.result, *self.others] if c.dies > 1 else [self.result]
        names = ["", *(f"_{n}" for n in range(1, c.dies))]
        bank = self._bank()
        banks = [self._h_memory(m, result, name, ~read.from_x & (bank == n))
                 for n, (result, name) in enumerate(zip(results, names, strict=True))]
        bank_late = Signal.like(bank)
        m.d.sync += bank_late.eq(bank)
        for lane in range(c.simd):
            part = slice(lane * c.act_width, (lane + 1) * c.act_width)
            held = by_kind(m, f"held_{lane}", bank_late,
                           {n: stored[lane] for n, (stored, _) in enumerate(banks)}, c.act_width)
            chosen = Mux(from_x, x_read.data[part], held)
            for result, (_, comes_next) in zip(results, banks, strict=True):
                chosen = Mux(comes_next[lane], result.data[lane], chosen)
            m.d.sync += broadcast[part].eq(chosen)
        if c.stateful:
            zero = Signal()
            m.d.sync += zero.eq(read.zero)
            with m.If(zero):  # a synchronous reset of the register
                m.d.sync += broadcast.eq(0)
        m.d.comb += self.chunk.as_value().eq(broadcast)
        return m

    def _bank(self) -> Value:
        """The bank that is read, counted from the die's own on."""
        dies, read = self.config.dies, self.read
        if dies == 1:
            return Const(0)
        from_first = Const(0, len(read.bank))
        for bank in range(dies):
            from_first = Mux(read.bank == bank, (bank - self.die) % dies, from_first)
        return Mux(read.absolute, from_first, read.bank)

    def _h_memory(self, m: Module, result, name: str, reads: Value) -> tuple[list[Value], Signal]:
        """The memory of the chunks of a die: its lanes a cycle after the address, and the lanes
        whose data comes then, so that the memory does not have it yet.

        ``reads``: it is the one that is read.
        """
        c = self.config
        width, h_address = c.simd * c.act_width, self.read.chunk[:bits_for(c.h_depth)]
        m.submodules[f"h_memory{name}"] = h = Memory(shape=width, depth=max(2, c.h_depth), init=[])
        h_write, h_read = h.write_port(granularity=c.act_width), h.read_port(domain="sync")
        lanes = Signal(c.simd, name=f"written_lanes{name}")
        chunk = Signal(bits_for(c.h_depth), name=f"written_chunk{name}")
        # Lanes whose data comes while their address is read: in the cycle of the address, before
        # the memory has it, or in the next cycle.
        comes_now = Signal(c.simd, name=f"comes_now{name}")
        comes_next = Signal(c.simd, name=f"comes_next{name}")
        written = Signal(width, name=f"written{name}", reset_less=True)
        m.d.comb += [
            h_write.addr.eq(chunk),
            h_write.data.eq(result.data.as_value()),
            h_write.en.eq(lanes),
            h_read.addr.eq(h_address),
        ]
        m.d.sync += [
            lanes.eq(result.lanes),
            chunk.eq(result.chunk),
            comes_now.eq(Mux(reads & (h_address == chunk), lanes, 0)),
            comes_next.eq(Mux(reads & (h_address == result.chunk), result.lanes, 0)),
            written.eq(result.data.as_value()),
        ]
        parts = [slice(lane * c.act_width, (lane + 1) * c.act_width) for lane in range(c.simd)]
        return [Mux(comes_now[lane], written[part], h_read.data[part])
                for lane, part in enumerate(parts)], comes_next
