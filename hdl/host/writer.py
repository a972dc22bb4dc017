"""The writing half of the AXI4 master."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import ADDRESS_BITS, BURST, WORDS, axi4
from gatefold.hdl.host.bursts import Bursts
from gatefold.hdl.host.fifo import Fifo

__all__ = ["Writer"]


class Writer(wiring.Component):
    """A stream of words to memory.

    A burst begins when all its words are there, so it never keeps others from the memory while the
    core computes; the next one follows it without a gap.

    What was started can be given up. Bursts under way go on by themselves, since all their words
    are there; what starts then waits until memory has confirmed them.

    Parameters
    ----------
    width: bits of a word.

    Members
    -------
    start, addr, words: In, as of :class:`Bursts`.
    i: stream of words and their byte enables. aw, w, b: the channels of the master.
    idle: Out, every word is written, and the memory has said so. error: Out, for a cycle, it said
    that it failed.
    give_up: In, for a cycle: forget all words that are in no burst. drains: Out, answers to what
    was given up are outstanding. owes: Out, memory owes an answer that somebody waits for.
    """

    def __init__(self, *, width: int):
        self.width = width
        port = axi4(width).members
        super().__init__({"start": In(1), "addr": In(ADDRESS_BITS), "words": In(WORDS),
                          "i": In(stream.Signature(data.StructLayout({
                              "data": width, "strb": width // 8}))),
                          "aw": port["aw"], "w": port["w"], "b": port["b"],
                          "idle": Out(1), "error": Out(1),
                          "give_up": In(1), "drains": Out(1), "owes": Out(1)})

    def elaborate(self, platform):
        m = Module()
        bursts = Bursts(word_bytes=self.width // 8)
        words = Fifo(self.i.payload.shape(), depth=2 * BURST)
        outstanding = Signal()
        m.submodules.bursts = ResetInserter(self.give_up)(bursts)
        m.submodules.words = ResetInserter(self.drains & ~outstanding)(words)
        waiting = Signal(range(2 * BURST + 1))  # words of no burst yet
        left = Signal(range(BURST + 1))  # words of the burst under way
        unanswered = Signal(WORDS)
        count = Signal.like(left)
        comes = Signal()
        begins = Signal()
        moves = Signal()
        m.d.comb += [
            words.i.payload.eq(self.i.payload), words.i.valid.eq(self.i.valid & ~self.drains),
            self.i.ready.eq(words.i.ready & ~self.drains),
            outstanding.eq(self.aw.valid | (left != 0) | (unanswered != 0)),
            self.owes.eq(Mux(self.drains, ~bursts.idle, outstanding)),
            bursts.start.eq(self.start), bursts.addr.eq(self.addr), bursts.words.eq(self.words),
            count.eq(bursts.o.payload.len + 1),
            comes.eq(self.i.valid & self.i.ready),
            moves.eq(self.w.valid & self.w.ready),
            begins.eq(bursts.o.valid & (waiting >= count) & (~self.aw.valid | self.aw.ready)
                      & ((left == 0) | ((left == 1) & moves)) & ~self.give_up & ~self.drains),
            bursts.o.ready.eq(begins),
            self.w.valid.eq(left != 0),
            self.w.payload.data.eq(words.o.payload.data),
            self.w.payload.strb.eq(words.o.payload.strb),
            self.w.payload.last.eq(left == 1),
            words.o.ready.eq(moves),
            self.b.ready.eq(1),
            self.error.eq(self.b.valid & self.b.payload[1] & ~self.drains),
            self.idle.eq(bursts.idle & ((unanswered == 0) | self.drains)),
        ]
        m.d.sync += [
            waiting.eq(waiting + comes - Mux(begins, count, 0)),
            unanswered.eq(unanswered + begins - self.b.valid),
            left.eq(Mux(begins, count, left - moves)),
            self.aw.valid.eq(begins | (self.aw.valid & ~self.aw.ready)),
            self.drains.eq(self.give_up | (self.drains & outstanding)),
        ]
        with m.If(self.give_up):
            m.d.sync += waiting.eq(0)
        with m.If(begins):
            m.d.sync += self.aw.payload.eq(bursts.o.payload)
        return m
