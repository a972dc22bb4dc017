"""FrameReader: whatever the stream does, whole frames go in, none is lost or doubled, and an error
means a wrong TLAST. That the gearbox inside is a queue is claimed with it."""

from typing import Any

import pytest
from amaranth.asserts import AnySeq
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal

from gatefold.hdl import frame_reader
from tests.formal.test_gearbox import counter, gearbox_claims, position
from tests.support.formal import assume, claim, free, inside, planted, prove, refute, started
from tests.support.hdl_harness import small


class ReaderClaims(Elaboratable):
    """A reader of ``config``; ``source``: the contents of module ``frame_reader``."""

    def __init__(self, config, source: Any = frame_reader):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        reader = self.source.FrameReader(c)
        free(m, reader)
        find = inside(m, "reader", reader)
        box, beats = find.part("gearbox"), reader.beats
        fill, word_in, word_out = gearbox_claims(m, reader.gearbox(c), box, find, "gearbox.")

        # The frames that the stream's beats make.
        beat = Signal(range(max(2, c.x_beats)), name="ghost_beat")
        dropped, completed = Signal(name="ghost_dropped"), Signal(name="ghost_completed")
        last, ends = beats.payload.last, beat == c.x_beats - 1
        taken = beats.valid & beats.ready
        counts = taken & ~dropped
        enters = box.i.valid & box.i.ready
        following = Mux(ends, 0, beat + 1)
        with m.If(completed & enters):
            m.d.sync += [beat.eq(following), completed.eq(~ends)]
        with m.Elif(counts):
            m.d.sync += [beat.eq(following), dropped.eq(ends & ~last), completed.eq(~ends & last)]
        with m.Elif(taken):
            m.d.sync += dropped.eq(~last)
        elements = Cat(beats.payload.data[n * c.container:n * c.container + c.act_width]
                       for n in range(c.beat))
        claim(m, "an error is a wrong TLAST", reader.error == (counts & (last != ends)))
        claim(m, "beats of a frame go in once", completed | (enters == counts))
        claim(m, "beats go in as they are", ~counts | (box.i.payload == elements))
        claim(m, "a short frame is completed with zeros",
              ~completed | (box.i.valid & (box.i.payload == 0) & ~beats.ready))
        claim(m, "a frame begins", reader.begins == (counts & (beat == 0)))
        claim(m, "a frame is offered", reader.offered == (beats.valid & (beat == 0) & ~dropped))
        claim(m, "nothing is taken while it must not be", ~taken | reader.enable)
        if c.loadable:
            claim(m, "no frame begins while a load waits",
                  ~(counts & reader.holds) | (beat != 0))

        # The input memory: two frames, one of which is read.
        write, held = reader.write, reader.arrivals
        chunk = counter(m, "ghost_chunk", c.x_depth, write.en)
        ahead, halves = Signal(range(4), name="ghost_ahead_frames"), Signal(2, name="ghost_halves")
        whole = write.en & (chunk == c.x_depth - 1)
        frames = Signal(2, name="ghost_frames")
        assume(m, ~held.done | (ahead != 0))
        m.d.sync += [ahead.eq(ahead + whole - held.done), frames.eq(frames + whole),
                     halves.eq(halves ^ Cat(whole, held.done))]
        claim(m, "two frames ahead at most", ahead <= 2)
        claim(m, "a frame that is read is not written",
              ~write.en | (ahead == 0) | ((ahead == 1) & (write.frame != halves[1])))
        claim(m, "every chunk is written once", write.en == (box.o.valid & box.o.ready))
        claim(m, "chunks are written as they are", write.data.as_value() == box.o.payload)
        claim(m, "chunks are written in order",
              (write.frame == halves[0]) & (write.chunk == chunk))
        claim(m, "arrivals", (held.frames == frames) & (held.chunks == chunk))
        claim(m, "the reader is never stuck", ~reader.enable | (reader.holds if c.loadable else 0)
              | (ahead == 2) | beats.ready | box.o.valid | (completed & box.i.ready))
        if c.stateful:
            self._sequences(m, reader, find, fill, beat, chunk)

        claim(m, "first", find("first") == (beat == 0))
        claim(m, "filling", find("filling") == completed)
        claim(m, "dropping", find("dropping") == dropped)
        claim(m, "words of a frame", (word_in == beat) & (word_out == chunk))
        claim(m, "chunks wait between frames only", box.o.ready | (chunk == 0))
        claim(m, "one way to be wrong", ~(dropped & completed) & ~(dropped & (beat != 0))
              & ~(completed & (beat == 0)) & (beat < c.x_beats) & (chunk < c.x_depth))
        claim(m, "ahead", (find("ahead") == ahead) & (halves.xor() == ahead[0]))
        claim(m, "halves", frames[0] == halves[0])
        position(m, "chunks", c.x_depth, chunk, find, "chunk")
        return m

    def _sequences(self, m, reader, find, fill, beat, chunk):
        """Of any frame that begins: whether it begins a new sequence is known with its first chunk.
        """
        c, shape = self.config, reader.gearbox(self.config)
        wait = Signal(range(shape.most // shape.row_in + 2), name="ghost_wait")
        fresh = Signal(init=1, name="ghost_after_reset")
        begins, known = reader.begins, reader.write.en & (chunk == 0)
        flag = reader.beats.payload.first | fresh
        m.d.sync += [wait.eq(wait + begins - known), fresh.eq(fresh & ~begins)]
        follows, ahead = Signal(name="ghost_flag_follows"), Signal.like(wait, name="ghost_flags")
        value, half = Signal(name="ghost_flag"), Signal(name="ghost_half")
        arrived = Signal(name="ghost_flag_arrived")
        m.d.sync += arrived.eq(follows & known & (ahead == 0))
        with m.If(known):
            m.d.sync += [ahead.eq(ahead - 1), half.eq(reader.write.frame)]
        with m.If(follows & known & (ahead == 0)):
            m.d.sync += follows.eq(0)
        with m.If(~follows & ~arrived & begins & AnySeq(1)):
            m.d.sync += [follows.eq(1), ahead.eq(wait - known), value.eq(flag)]
        claim(m, "a new sequence is known with its first chunk",
              ~arrived | (reader.arrivals.fresh.bit_select(half, 1) == value))

        # Elements that came are those that wait and those that left: so few frames wait.
        came, left = (Signal(range(2 * shape.row_in + 1), name=f"ghost_{name}")
                      for name in ("came", "left"))
        m.d.comb += [
            came.eq(Mux(beat == 0, shape.row_in, beat * c.beat)),
            left.eq(sum((Mux(chunk % c.x_chunks == n, n * c.simd, 0) for n in range(c.x_chunks)),
                        0) + chunk // c.x_chunks * c.x_row),
        ]
        claim(m, "frames that wait", fill + left + shape.row_in
              == (wait + (chunk != 0)) * shape.row_in + came)
        claim(m, "free", find("free") == 1 << wait)
        claim(m, "free places", find("queue") >> wait == 0)
        claim(m, "queue", ~follows | ((ahead < wait)
                                      & (find("queue").bit_select(ahead, 1) == value)))
        claim(m, "after reset", find("after_reset") == fresh)


def reader(beat, x_row, x_rows, simd, **more):
    return small(beat=beat, x_row=x_row, x_rows=x_rows, simd=simd, container=3, act_width=2, **more)


PLAIN = reader(4, 5, 3, 3)
STATEFUL = reader(4, 3, 1, 2, stateful=True)
LOADABLE = reader(2, 3, 2, 2, loadable=True)


@pytest.mark.parametrize("config", [
    pytest.param(PLAIN, id="plain"),
    *(pytest.param(config, marks=pytest.mark.formal, id=name) for name, config in {
        "stateful": STATEFUL, "loadable": LOADABLE, "a beat a frame": reader(8, 2, 3, 4),
        "a chunk a frame": reader(1, 3, 1, 4)}.items())])
def test_reader(config, tmp_path):
    prove(ReaderClaims(config), tmp_path)


#: claim: the correct text in hdl/frame_reader.py, a mistake, the core
MISTAKES = {
    "an error is a wrong TLAST": (
        "self.beats.payload.last != at_end", "self.beats.payload.last & ~at_end", PLAIN),
    "beats of a frame go in once": (
        "self.beats.ready.eq(enable & (dropping | (~filling & box.i.ready)))",
        "self.beats.ready.eq(enable & (dropping | ~filling))", PLAIN),
    "beats go in as they are": (
        "n * c.container + c.element_width]", "(n + 1) * c.container][-c.element_width:]", PLAIN),
    "a short frame is completed with zeros": (
        "Mux(filling, 0, Cat(elements))", "Cat(elements)", PLAIN),
    "two frames ahead at most": ("box.o.ready.eq(~ahead[1])", "box.o.ready.eq(1)", PLAIN),
    "chunks wait between frames only": (
        "box.o.ready.eq(~ahead[1])", "box.o.ready.eq(~ahead[1] & ~held.done)", PLAIN),
    "a frame that is read is not written": (
        "write.frame.eq(held.frames[0])", "write.frame.eq(held.frames[1])", PLAIN),
    "every chunk is written once": (
        "write.en.eq(box.o.valid & box.o.ready)", "write.en.eq(box.o.valid)", PLAIN),
    "no frame begins while a load waits": (
        "~(self.holds & first & ~dropping)", "1", LOADABLE),
    "a new sequence is known with its first chunk": (
        "place = Mux(leaves, free >> 1, free)", "place = free", STATEFUL),
    "arrivals": ("with m.If(last_chunk):", "with m.If(write.en & (chunk.word == 0)):", PLAIN),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_reader_mistakes_are_refuted(name, tmp_path):
    correct, wrong, config = MISTAKES[name]
    refute(ReaderClaims(config, planted(frame_reader, correct, wrong)), tmp_path, name, depth=25)
