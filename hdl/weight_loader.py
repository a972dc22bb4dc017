"""Fills the weight memories from a stream: a new training needs no new synthesis."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig, bits_for

__all__ = ["WeightLoader"]


class WeightLoader(wiring.Component):
    """Beats to words: every row's weight words in turn, row 0 first, then the bias words.

    A word starts with a new beat, low bits first; TLAST stands on the last beat of all. The core
    takes no frames until a load has ended there (which survives a reset, as the memories do), and
    no load while a frame is under way (:attr:`idle`). Once loaded, another load's first beat waits
    a cycle: in that cycle no frame begins (:attr:`closed`), so whether the beat is taken depends on
    registers alone. TLAST too early or too late gives :attr:`error`, and the load starts again from
    the first row after the next TLAST.

    Members
    -------
    beats: In, stream of {data, last}. idle: In, no frame is under way and none begins.
    closed: Out, no frame may begin: the weights are not there, or about to be replaced.
    rows: Out, write enable of each row's memory; bias: of the bias memory. addr, word: Out, common
    to all. error: Out.
    """

    def __init__(self, config: EngineConfig):
        self.config = c = config
        beat = c.beat * c.container
        super().__init__({
            "beats": In(stream.Signature(data.StructLayout({"data": beat, "last": 1}))),
            "idle": In(1),
            "rows": Out(c.pe),
            "bias": Out(1),
            "addr": Out(bits_for(max(c.weight_depth, c.bias_depth))),
            "word": Out(c.load_width),
            "closed": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        beat = c.beat * c.container
        piece = Signal(bits_for(max(c.row_beats, c.bias_beats)))
        addr = Signal.like(self.addr)
        row = Signal(c.pe + 1, init=1)  # one-hot; the last is the bias
        dropping = Signal()
        loaded, will_be = Signal(reset_less=True), Signal()
        claims = Signal()  # the next beat begins a load
        shut = Signal(init=1, reset_less=True)  # not loaded, or claimed: frames wait for it
        word = Signal(c.load_width, reset_less=True)

        in_bias = row[c.pe]
        word_ends, section_ends, all_ends, moves = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.closed.eq(shut),
            will_be.eq(loaded),
            claims.eq(self.beats.valid & self.idle & ~shut),
            self.beats.ready.eq(self.closed),
            moves.eq(self.beats.valid & self.beats.ready),
            word_ends.eq(piece == Mux(in_bias, c.bias_beats - 1, c.row_beats - 1)),
            section_ends.eq(
                word_ends & (addr == Mux(in_bias, c.bias_depth - 1, c.weight_depth - 1))),
            all_ends.eq(section_ends & in_bias),
            self.word.eq(word),
        ]

        m.d.sync += [loaded.eq(will_be), shut.eq(~will_be | claims)]
        writes = Signal()
        rows = Signal.like(row)
        m.d.sync += writes.eq(moves & ~dropping & word_ends)
        m.d.comb += [self.rows.eq(Mux(writes, rows[: c.pe], 0)), self.bias.eq(writes & rows[c.pe])]
        with m.If(moves):
            m.d.comb += will_be.eq(0)
            m.d.sync += [rows.eq(row), self.addr.eq(addr)]
            for n in range(c.load_width // beat):
                with m.If(piece == n):
                    m.d.sync += word[n * beat:(n + 1) * beat].eq(self.beats.payload.data)
            m.d.sync += piece.eq(Mux(word_ends, 0, piece + 1))
            with m.If(word_ends):
                m.d.sync += addr.eq(Mux(section_ends, 0, addr + 1))
            with m.If(section_ends):
                m.d.sync += row.eq(row.rotate_left(1))
            with m.If(dropping | (self.beats.payload.last != all_ends)):
                # Out of step: from the top after the next TLAST.
                m.d.comb += self.error.eq(~dropping)
                m.d.sync += [dropping.eq(~self.beats.payload.last), piece.eq(0), addr.eq(0),
                             row.eq(1)]
            with m.Elif(all_ends):
                m.d.comb += will_be.eq(1)
        return m
