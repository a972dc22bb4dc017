"""The reading half of the AXI4 master."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import ADDRESS_BITS, BURST, WORDS, axi4, burst, read_word
from gatefold.hdl.host.bursts import Bursts
from gatefold.hdl.host.fifo import Fifo

__all__ = ["Reader"]


class Reader(wiring.Component):
    """Memory to a stream of words, with up to :attr:`under_way` bursts under way.

    A burst is asked for only when there is room for all its words, so what comes is always taken
    at once. A burst that ends too early is filled up with zeros, and what comes behind its end is
    dropped: as many words leave as were asked for, and wrong ones are marked.

    What was asked for can be given up. AXI still wants a burst on offer to stay on offer until
    memory takes it, and all words of bursts under way to be taken: the reader goes on with that by
    itself, and asks for what starts then when it is done.

    Parameters
    ----------
    width: bits of a word.

    Members
    -------
    start, addr, words: In, as of :class:`Bursts`. idle: Out, all words have left.
    ar, r: the channels of the master. o: stream of :func:`~.axi.read_word`.
    give_up: In, for a cycle: no words leave any more. drains: Out, answers to what was given up are
    outstanding. owes: Out, memory owes an answer that somebody waits for.
    """

    under_way = 4  #: bursts

    def __init__(self, *, width: int):
        self.width = width
        port = axi4(width).members
        super().__init__({"start": In(1), "addr": In(ADDRESS_BITS), "words": In(WORDS),
                          "idle": Out(1), "ar": port["ar"], "r": port["r"],
                          "give_up": In(1), "drains": Out(1), "owes": Out(1),
                          "o": Out(stream.Signature(read_word(width)))})

    def elaborate(self, platform):
        m = Module()
        room = self.under_way * BURST
        bursts = Bursts(word_bytes=self.width // 8)
        words = Fifo(read_word(self.width), depth=room)
        m.submodules.bursts = ResetInserter(self.give_up)(bursts)
        m.submodules.words = ResetInserter(self.give_up)(words)
        m.submodules.lengths = lengths = Fifo(range(BURST), depth=self.under_way)

        # Ask.
        reserved = Signal(range(room + 1))  # words asked for that have not left
        fits = Signal()
        asks = Signal()
        leaves = Signal()
        offered = Signal()  # a burst that was given up, and memory has not taken
        abandoned = Signal(burst())
        m.d.comb += [
            bursts.start.eq(self.start), bursts.addr.eq(self.addr), bursts.words.eq(self.words),
            fits.eq((reserved <= room - BURST) & lengths.i.ready & ~self.drains),
            self.ar.valid.eq((bursts.o.valid & fits) | offered),
            self.ar.payload.eq(Mux(offered, abandoned, bursts.o.payload)),
            bursts.o.ready.eq(self.ar.ready & fits),
            asks.eq(self.ar.valid & self.ar.ready),
            lengths.i.valid.eq(asks), lengths.i.payload.eq(self.ar.payload.len),
            leaves.eq(self.o.valid & self.o.ready),
            self.idle.eq(bursts.idle & (reserved == 0)),
        ]
        m.d.sync += [
            reserved.eq(reserved + Mux(asks & ~self.drains, bursts.o.payload.len + 1, 0) - leaves),
            offered.eq(self.ar.valid & ~self.ar.ready & (offered | self.give_up)),
            self.drains.eq(self.drains & (offered | lengths.o.valid)),
        ]
        with m.If(self.give_up):
            m.d.sync += [reserved.eq(0), abandoned.eq(self.ar.payload), self.drains.eq(1)]
        m.d.comb += self.owes.eq(Mux(self.drains, ~bursts.idle, self.ar.valid | lengths.o.valid))

        # Take: as many words of a burst as were asked for.
        place = Signal(range(BURST))  # in the burst
        at_end = Signal()
        filling = Signal()
        dropping = Signal()
        comes = Signal()
        m.d.comb += [
            at_end.eq(place == lengths.o.payload),
            self.r.ready.eq(dropping | (lengths.o.valid & ~filling)),
            comes.eq(filling | (self.r.valid & self.r.ready & ~dropping)),
            lengths.o.ready.eq(comes & at_end),
            words.i.valid.eq(comes & ~self.drains),
            words.i.payload.data.eq(Mux(filling, 0, self.r.payload.data)),
            words.i.payload.error.eq(filling | self.r.payload.resp[1]
                                     | (self.r.payload.last != at_end)),
        ]
        with m.If(comes):
            m.d.sync += [place.eq(Mux(at_end, 0, place + 1)),
                         filling.eq((filling | self.r.payload.last) & ~at_end),
                         dropping.eq(~filling & at_end & ~self.r.payload.last)]
        with m.If(dropping & self.r.valid):
            m.d.sync += dropping.eq(~self.r.payload.last)
        wiring.connect(m, words.o, wiring.flipped(self.o))
        return m
