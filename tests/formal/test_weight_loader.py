"""WeightLoader: closed until one exact load, every word written once, an error is a wrong TLAST."""

from typing import Any

import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal

from gatefold.hdl import weight_loader
from tests.support.formal import claim, free, inside, planted, prove, refute, started
from tests.support.hdl_harness import small

# Words of two beats for a row, of three for the biases; memories of three and of two words.
WORDS = small(loadable=True, pe=4, simd=2, weight_width=4, acc_width=3, beat=2, container=2,
               act_width=2, weight_depth=3, bias_depth=2)


# A load of six beats, for mistakes that come to light after one.
SHORT = small(loadable=True, pe=4, simd=1, weight_width=2, acc_width=2, beat=2, container=2,
              act_width=2, weight_depth=1, bias_depth=1)


class LoaderClaims(Elaboratable):
    """A loader of ``config``; ``source``: the contents of module ``weight_loader``."""

    def __init__(self, config, source: Any = weight_loader):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        loader = self.source.WeightLoader(c)
        free(m, loader)
        find = inside(m, "loader", loader)
        beats, write, width = loader.beats, loader.write, c.beat * c.container
        last, taken = beats.payload.last, beats.valid & beats.ready

        # Which beat of which word of which memory comes next; the biases are the last memory.
        piece = Signal(range(max(c.row_beats, c.bias_beats)), name="ghost_piece")
        address = Signal(range(max(c.weight_depth, c.bias_depth)), name="ghost_address")
        memory = Signal(range(c.pe + 1), name="ghost_memory")
        dropped, loaded = Signal(name="ghost_dropped"), Signal(name="ghost_loaded")
        biases = memory == c.pe
        word_ends = piece == Mux(biases, c.bias_beats - 1, c.row_beats - 1)
        memory_ends = word_ends & (address == Mux(biases, c.bias_depth - 1, c.weight_depth - 1))
        ends = memory_ends & biases
        wrong = taken & ~dropped & (last != ends)
        exact = taken & ~dropped & last & ends
        with m.If(taken):
            m.d.sync += [
                loaded.eq(exact), dropped.eq((dropped | wrong) & ~last),
                piece.eq(Mux(word_ends, 0, piece + 1)),
                address.eq(Mux(memory_ends, 0, address + word_ends)),
                memory.eq(Mux(ends, 0, memory + memory_ends))]
            with m.If(wrong | dropped):
                m.d.sync += [piece.eq(0), address.eq(0), memory.eq(0)]
        claim(m, "closed until an exact load", loader.closed | loaded)
        claim(m, "beats are taken while it is closed", beats.ready == loader.closed)
        claim(m, "an error is a wrong TLAST", loader.error == wrong)

        # It closes only for a load that waits while no frame is under way, and opens by itself.
        was_open, may_close = Signal(name="ghost_open"), Signal(name="ghost_may_close")
        m.d.sync += [was_open.eq(~loader.closed), may_close.eq(beats.valid & loader.idle)]
        claim(m, "frames under way are finished", ~(was_open & loader.closed) | may_close)
        waits = Signal(name="ghost_waits")
        m.d.sync += waits.eq(loaded & loader.closed & ~taken)
        claim(m, "it opens without a load", ~waits | ~loader.closed)
        begun, holds = Signal(name="ghost_begun"), Signal(name="ghost_holds")
        m.d.sync += [begun.eq(~loader.closed & (begun | loader.begins)),
                     holds.eq(~loader.closed & begun & beats.valid)]
        claim(m, "a load gets its turn", loader.holds == holds)

        # Of any word of a load: where and what is written, a cycle after its last beat.
        pieces = [Signal(width, name=f"ghost_piece_{n}") for n in range(c.bias_beats)]
        for n, value in enumerate(pieces):
            with m.If(taken & (piece == n)):
                m.d.sync += value.eq(beats.payload.data)
        writes, where = Signal(name="ghost_writes"), Signal.like(memory, name="ghost_where")
        word = Signal.like(address, name="ghost_word_address")
        m.d.sync += writes.eq(taken & ~dropped & word_ends)
        with m.If(taken):
            m.d.sync += [where.eq(memory), word.eq(address)]
        claim(m, "words go to their memory", ((write.bias << c.pe) | write.rows)
              == Mux(writes, 1 << where, 0))
        claim(m, "words are written whole and in order", ~writes | ((write.addr == word) & Cat(
            (write.word.word_select(n, width) == value) | ((n >= c.row_beats) & ~write.bias)
            for n, value in enumerate(pieces)).all()))

        claim(m, "counts", (piece <= Mux(biases, c.bias_beats - 1, c.row_beats - 1))
              & (address <= Mux(biases, c.bias_depth - 1, c.weight_depth - 1)))
        claim(m, "registers", (find("piece") == piece) & (find("addr") == address)
              & (find("row") == 1 << memory) & (find("dropping") == dropped)
              & (find("loaded") == loaded) & (memory <= c.pe) & (find("begun") == begun)
              & ~(dropped & (find("row") != 1)))
        claim(m, "written", (find("writes") == writes)
              & (~writes | (find("rows") == 1 << where)))
        for n, value in enumerate(pieces):
            whole = writes & ((n < c.row_beats) | (where == c.pe))
            claim(m, f"piece {n}", ~((piece > n) | whole)
                  | (find("word").word_select(n, width) == value))
        return m


def test_loader(tmp_path):
    prove(LoaderClaims(WORDS), tmp_path)


#: claim: the correct text in hdl/weight_loader.py, a mistake
MISTAKES = {
    "closed until an exact load": ("with m.Elif(load_ends):", "with m.Elif(memory_ends):"),
    "an error is a wrong TLAST": ("(self.beats.payload.last != load_ends)",
                                  "(self.beats.payload.last != memory_ends)"),
    "frames under way are finished": ("claims.eq(self.beats.valid & self.idle & ~closed)",
                                      "claims.eq(self.beats.valid & ~closed)"),
    "it opens without a load": ("will_be_loaded.eq(loaded)", "will_be_loaded.eq(loaded & ~closed)"),
    "a load gets its turn": ("begun.eq(~closed & (begun | self.begins))", "begun.eq(self.begins)"),
    "words go to their memory": ("writes.eq(moves & ~dropping & word_ends)",
                                 "writes.eq(moves & word_ends)"),
    "words are written whole and in order": ("addr.eq(Mux(memory_ends, 0, addr + 1))",
                                             "addr.eq(addr + 1)"),
    "beats are taken while it is closed": ("self.beats.ready.eq(closed)",
                                           "self.beats.ready.eq(closed | self.idle)"),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_loader_mistakes_are_refuted(name, tmp_path):
    refute(LoaderClaims(SHORT, planted(weight_loader, *MISTAKES[name])), tmp_path, name)
