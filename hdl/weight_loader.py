"""Fills the weight memories from a stream: a new training needs no new synthesis."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import beat_stream, weight_write

__all__ = ["WeightLoader"]


class WeightLoader(wiring.Component):
    """Beats to words: every row's weight words in turn, row 0 first, then the bias words, and of a
    core with row scales the words of those.

    A word starts with a new beat, low bits first; TLAST comes with the last beat of all. The core
    takes no frames until a load has ended there, and no load while a frame is in progress
    (:attr:`idle`). After a reset it is as before the first load. A new load's first beat waits a
    cycle, in which no frame begins (:attr:`closed`): so whether it is taken depends on registers
    alone. Where TLAST is early or late there is an :attr:`error`, and after the next TLAST the load
    starts again from the first row.

    Loads and frames take turns. A load that waits while frames are in progress keeps further ones
    from beginning (:attr:`holds`), if one has begun since the last load.

    Members
    -------
    beats: In, stream of beats. idle: In, no frame is in progress and none begins. begins: In, a
    frame begins.
    write: Out, write of the weight memories.
    closed: Out, no frame may begin: there are no weights, or they are about to be replaced.
    holds: Out, no frame may begin, but one whose first beat was taken goes on: a load waits.
    error: Out, TLAST was early or late.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({
            "beats": In(beat_stream(config)),
            "idle": In(1),
            "begins": In(1),
            "write": Out(weight_write(config)),
            "closed": Out(1),
            "holds": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        beat = c.beat * c.container
        write = self.write
        others = [(c.bias_beats, c.bias_depth, write.bias)]  # memories behind the rows'
        if c.scale_depth:
            others.append((c.scale_beats, c.scale_depth, write.scales))
        piece = Signal(bits_for(c.load_width // beat))  # beat of a word
        addr = Signal.like(write.addr, name="addr")
        row = Signal(c.pe + len(others), init=1)  # one-hot; behind the rows the other memories
        dropping = Signal()  # beats, until the next TLAST
        loaded = Signal()
        will_be_loaded = Signal()
        claims = Signal()  # the next beat begins a load
        closed = Signal(init=1)
        begun = Signal()  # a frame, since the last load
        holds = Signal()
        word = Signal(c.load_width, reset_less=True)

        last_piece: Value = Const(c.row_beats - 1)
        last_addr: Value = Const(c.weight_depth - 1)
        for n, (beats, depth, _) in enumerate(others):
            last_piece = Mux(row[c.pe + n], beats - 1, last_piece)
            last_addr = Mux(row[c.pe + n], depth - 1, last_addr)
        word_ends = Signal()
        memory_ends = Signal()
        load_ends = Signal()
        moves = Signal()
        m.d.comb += [
            self.closed.eq(closed),
            self.holds.eq(holds),
            will_be_loaded.eq(loaded),
            claims.eq(self.beats.valid & self.idle & ~closed),
            self.beats.ready.eq(closed),
            moves.eq(self.beats.valid & self.beats.ready),
            word_ends.eq(piece == last_piece),
            memory_ends.eq(word_ends & (addr == last_addr)),
            load_ends.eq(memory_ends & row[-1]),
            write.word.eq(word),
        ]

        m.d.sync += [
            loaded.eq(will_be_loaded),
            closed.eq(~will_be_loaded | claims),
            begun.eq(~closed & (begun | self.begins)),
            holds.eq(~closed & begun & self.beats.valid),
        ]
        writes = Signal()
        rows = Signal.like(row, name="rows", init=0)  # a cycle later, beside the word
        m.d.sync += writes.eq(moves & ~dropping & word_ends)
        m.d.comb += [write.rows.eq(Mux(writes, rows[: c.pe], 0)),
                     *(enable.eq(writes & rows[c.pe + n])
                       for n, (_, _, enable) in enumerate(others))]
        with m.If(moves):
            m.d.comb += will_be_loaded.eq(0)
            m.d.sync += [rows.eq(row), write.addr.eq(addr)]
            for n in range(c.load_width // beat):
                with m.If(piece == n):
                    m.d.sync += word[n * beat:(n + 1) * beat].eq(self.beats.payload.data)
            m.d.sync += piece.eq(Mux(word_ends, 0, piece + 1))
            with m.If(word_ends):
                m.d.sync += addr.eq(Mux(memory_ends, 0, addr + 1))
            with m.If(memory_ends):
                m.d.sync += row.eq(row.rotate_left(1))
            with m.If(dropping | (self.beats.payload.last != load_ends)):
                # From the first row again, after the next TLAST.
                m.d.comb += self.error.eq(~dropping)
                m.d.sync += [dropping.eq(~self.beats.payload.last), piece.eq(0), addr.eq(0),
                             row.eq(1)]
            with m.Elif(load_ends):
                m.d.comb += will_be_loaded.eq(1)
        return m
