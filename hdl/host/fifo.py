"""A queue of words in LUT memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Fifo"]


class Fifo(wiring.Component):
    """First in, first out; a word can leave the cycle after it came (:attr:`latency`).

    Parameters
    ----------
    shape: of a word. depth: words, a power of two.

    Members
    -------
    i, o: streams of words.
    """

    latency = 1

    def __init__(self, shape, *, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two, at least 2, not {depth!r}")
        self.shape, self.depth = shape, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        comes = Signal()
        leaves = Signal()
        level = Signal(range(self.depth + 1))
        empty = Signal(init=1)
        full = Signal()
        head = Signal(range(self.depth))
        tail = Signal(range(self.depth))
        m.d.comb += [
            self.i.ready.eq(~full), self.o.valid.eq(~empty),
            comes.eq(self.i.valid & ~full), leaves.eq(self.o.ready & ~empty),
            write.addr.eq(tail), write.data.eq(self.i.payload), write.en.eq(comes),
            read.addr.eq(head), self.o.payload.eq(read.data),
        ]
        m.d.sync += [tail.eq(tail + comes), head.eq(head + leaves)]
        with m.If(comes != leaves):
            m.d.sync += [
                level.eq(Mux(comes, level + 1, level - 1)),
                empty.eq(leaves & (level == 1)),
                full.eq(comes & (level == self.depth - 1)),
            ]
        return m
