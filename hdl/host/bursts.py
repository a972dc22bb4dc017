"""Cuts a stretch of memory into bursts."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import ADDRESS_BITS, BURST, WORDS, burst

__all__ = ["Bursts"]


class Bursts(wiring.Component):
    """The bursts of ``words`` words from ``addr`` on, each up to the next multiple of
    :data:`~.axi.BURST` words: the first and the last may be shorter than the others.

    Parameters
    ----------
    word_bytes: bytes of a word, a power of two.

    Members
    -------
    start: In, for a cycle, with ``addr`` (a byte address, a multiple of ``word_bytes``) and
    ``words`` (may be 0); only while ``idle``.
    o: stream of bursts. idle: Out, all bursts have been given.
    """

    def __init__(self, *, word_bytes: int):
        self.word_bytes = word_bytes
        super().__init__({"start": In(1), "addr": In(ADDRESS_BITS), "words": In(WORDS),
                          "o": Out(stream.Signature(burst())), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        low = self.word_bytes.bit_length() - 1
        word = Signal(ADDRESS_BITS - low)
        left = Signal(WORDS)
        busy = Signal()
        room = Signal(range(BURST + 1))
        count = Signal(range(BURST + 1))
        m.d.comb += [
            room.eq(BURST - word[:BURST.bit_length() - 1]),
            count.eq(Mux(left > room, room, left)),
            self.o.valid.eq(busy),
            self.o.payload.addr.eq(Cat(Const(0, low), word)),
            self.o.payload.len.eq(count - 1),
            self.idle.eq(~busy),
        ]
        with m.If(busy & self.o.ready):
            m.d.sync += [word.eq(word + count), left.eq(left - count), busy.eq(left > room)]
        with m.If(self.start):
            m.d.sync += [word.eq(self.addr[low:]), left.eq(self.words), busy.eq(self.words != 0)]
        return m
