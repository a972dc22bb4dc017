"""FrameWriter: every chunk of a frame is sent once and in order, TLAST in its place, and none is
overwritten before, as long as no frame begins before the last but one has left."""

from typing import Any

import pytest
from amaranth.asserts import AnyConst
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal

from gatefold.hdl import frame_writer
from tests.formal.test_gearbox import counter, gearbox_claims, position
from tests.support.formal import assume, claim, free, inside, planted, prove, refute, started
from tests.support.hdl_harness import small


class WriterClaims(Elaboratable):
    """A writer of ``config``; ``source``: the contents of module ``frame_writer``."""

    def __init__(self, config, source: Any = frame_writer):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        writer = self.source.FrameWriter(c)
        free(m, writer)
        find = inside(m, "writer", writer)
        box, beats, write = find.part("gearbox"), writer.beats, writer.write
        *_, word_out = gearbox_claims(m, writer.gearbox(c), box, find, "gearbox.")
        depth = c.out_depth

        # The sequencer's part: words are completed in their order (or in any, in which case only
        # their number counts here), and two frames at most have results that have not left.
        done = counter(m, "ghost_done", depth, write.complete)
        half = Signal(name="ghost_half")
        kept = Signal(range(4), name="ghost_kept")  # frames that are complete and have not left
        ends = write.complete & (done == depth - 1)
        m.d.sync += [half.eq(half ^ ends), kept.eq(kept + ends - writer.left)]
        busy = write.lanes.any() | write.complete
        assume(m, ~busy | ((kept < 2) & (write.frame == half)))
        assume(m, ~busy | (write.chunk < depth))
        if not c.out_whole:
            assume(m, ~busy | (write.chunk >= done))
            assume(m, ~write.complete | (write.chunk == done))

        # Words leave in order, each with the chunks of all dies.
        takes = box.i.valid & box.i.ready
        sent = counter(m, "ghost_sent", depth, takes)
        sent_half = Signal(name="ghost_sent_half")
        leaves = takes & (sent == depth - 1)
        m.d.sync += sent_half.eq(sent_half ^ leaves)
        claim(m, "a frame has left with its last chunk", writer.left == leaves)
        waiting = (kept * depth if c.out_whole else kept * depth + done) - sent
        claim(m, "chunks wait until they are complete", box.i.valid == (waiting != 0))
        claim(m, "two frames at most", (kept <= 2) & (waiting >= 0))

        # Any element of any word, from its completion to its leave.
        chunk, of_half, lane = AnyConst(range(depth)), AnyConst(1), AnyConst(range(c.simd))
        of_bank = AnyConst(range(max(2, c.out_banks)))
        assume(m, (chunk < depth) & (of_bank < c.out_banks) & (lane < c.simd))
        data = Signal(c.act_width, name="ghost_data")
        sources = [write.data, *(writer.others if c.out_banks > 1 else ())]
        for n, source in enumerate(sources):
            with m.If(of_bank == n):
                m.d.comb += data.eq(source.as_value().word_select(lane, c.act_width))
        held, known = Signal(c.act_width, name="ghost_held"), Signal(name="ghost_known")
        hit = write.lanes.bit_select(lane, 1) & (write.chunk == chunk) & (write.frame == of_half)
        with m.If(hit):
            m.d.sync += [held.eq(data), known.eq(1)]
        promised, value = Signal(name="ghost_promised"), Signal(c.act_width, name="ghost_value")
        comes_to_leave = takes & (sent == chunk) & (sent_half == of_half)
        if c.out_whole:  # promised with the frame's end
            begins = ends & (half == of_half)
        else:
            begins = write.complete & (done == chunk) & (half == of_half)
        with m.If(comes_to_leave):
            m.d.sync += promised.eq(0)
        with m.If(begins & (hit | known)):
            m.d.sync += [promised.eq(1), value.eq(Mux(hit, data, held))]
        claim(m, "what was not sent is not overwritten", ~promised | (held == value))
        claim(m, "chunks are sent as they were written", ~(promised & comes_to_leave)
              | (box.i.payload.word_select(of_bank * c.simd + lane, c.act_width) == value))

        # The beats.
        beat = counter(m, "ghost_beat", c.out_beats, beats.valid & beats.ready)
        claim(m, "TLAST", beats.payload.last == (beat == c.out_beats - 1))
        claim(m, "beats are the gearbox's words", (beats.valid == box.o.valid)
              & (box.o.ready == beats.ready))
        claim(m, "elements are extended", beats.payload.data == Cat(
            Cat(word, word[-1].replicate(c.container - c.act_width)) for word in (
                box.o.payload[n * c.act_width:(n + 1) * c.act_width] for n in range(c.beat))))

        # What the registers hold.
        claim(m, "beats", word_out == beat)
        claim(m, "half", (find("half") == sent_half)
              & ((half ^ sent_half) == kept[0]) & (sent < depth) & (done < depth))
        claim(m, "waiting", (find("waiting") == waiting) & (find("any_waits") == (waiting != 0)))
        claim(m, "known", ~promised | known)
        position(m, "words", depth, sent, find, "next_word")
        if c.out_whole:
            position(m, "finished", depth, done, find, "finished")
        for n in range(c.out_banks):
            claim(m, f"memory {n}", ~known | (of_bank != n) | (find.word(
                f"memory_{n}" if n else "memory", of_half << len(write.chunk) | chunk)
                .word_select(lane, c.act_width) == held))

        # What is promised lies between what was sent and what is done.
        ahead = Mux(of_half == sent_half, Mux(chunk >= sent, chunk, chunk + 2 * depth),
                    chunk + depth)
        claim(m, "promises", ~promised | (ahead - sent < waiting))
        return m


def writer(beat, out_row, out_rows, simd, **more):
    return small(beat=beat, out_row=out_row, out_rows=out_rows, simd=simd, container=3, act_width=2,
                 **more)


PLAIN, WHOLE = writer(4, 4, 2, 3), writer(4, 4, 2, 3, out_whole=True)
SHORT = writer(4, 3, 2, 3)  # two words a frame
DIES = writer(4, 9, 2, 2, pe=12, dies=3)


@pytest.mark.parametrize("config", [
    pytest.param(PLAIN, id="plain"),
    pytest.param(WHOLE, id="whole", marks=pytest.mark.formal),
    pytest.param(DIES, id="dies", marks=pytest.mark.formal),
    pytest.param(writer(2, 3, 1, 4), id="a chunk a frame", marks=pytest.mark.formal)])
def test_writer(config, tmp_path):
    prove(WriterClaims(config), tmp_path)


#: claim: the correct text in hdl/frame_writer.py, a mistake, the core
MISTAKES = {
    "a frame has left with its last chunk": (
        "self.left.eq(takes & word.last)", "self.left.eq(box.i.valid & word.last)", DIES),
    "chunks wait until they are complete": (
        "Mux(takes, waiting[1:].any(), any_waits) | comes",
        "Mux(takes, waiting.any(), any_waits) | comes", PLAIN),
    "what was not sent is not overwritten": (
        "self.left.eq(takes & word.last)", "self.left.eq(takes & word.next_last)", SHORT),
    "chunks are sent as they were written": (
        "write.en.eq(self.write.lanes)", "write.en.eq(self.write.lanes.any().replicate(c.simd))",
        PLAIN),
    "TLAST": ("self.beats.payload.last.eq(box.o_last)", "self.beats.payload.last.eq(box.i_last)",
              PLAIN),
    "elements are extended": ("word[-1].replicate", "word[0].replicate", PLAIN),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_writer_mistakes_are_refuted(name, tmp_path):
    correct, wrong, config = MISTAKES[name]
    refute(WriterClaims(config, planted(frame_writer, correct, wrong)), tmp_path, name)
