"""The streams of a whole core keep the rules of AXI4-Stream, with any program and any weights.

The rules are those that ZipCPU checks: TVALID falls and the payload changes only after a
transfer or in a reset, TVALID is low after a reset, and no TREADY or TVALID waits for the other
through logic.
"""

from typing import Any

import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal

from gatefold.hdl import core
from gatefold.hdl.core import Top
from tests.formal.test_gearbox import counter, gearbox_claims
from tests.support.formal import (
    assert_independent,
    claim,
    free,
    inside,
    planted,
    prove,
    refute,
    started,
)
from tests.support.hdl_harness import small

# Multipliers of two bits: the claims are about the streams.
SMALLEST = dict(pe=4, simd=1, weight_width=2, act_width=2, container=3, x_row=2, x_rows=2, beat=3,
                out_row=2, out_rows=2, weight_depth=2, bias_depth=2, h_depth=2, cell_depth=2)
CORES = {"plain": small(**SMALLEST), "loadable": small(**SMALLEST, loadable=True),
         "stateful": small(**SMALLEST, stateful=True)}
SHORT = 6  # cycles in which a mistake shows


class StreamClaims(Elaboratable):
    """The output stream of the top module of ``config``; ``source``: the contents of module
    ``core``."""

    def __init__(self, config, source: Any = core):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        top = self.source.Top(c)
        free(m, top)
        find = inside(m, "top", top)
        payload = top.m_axis_tdata, top.m_axis_tlast
        waits, before = Signal(name="ghost_waits"), [Signal.like(p, name=f"ghost_{n}")
                                                     for n, p in enumerate(payload)]
        reset = Signal(name="ghost_reset", init=1)
        m.d.sync += [waits.eq(top.m_axis_tvalid & ~top.m_axis_tready), reset.eq(0),
                     *(held.eq(now) for held, now in zip(before, payload, strict=True))]
        claim(m, "TVALID stays until TREADY", ~waits | top.m_axis_tvalid)
        claim(m, "the payload stays until TREADY", ~waits | (
            (before[0] == payload[0]) & (before[1] == payload[1])))
        claim(m, "TVALID is low after a reset", ~reset | ~top.m_axis_tvalid)
        beat = counter(m, "ghost_beat", c.out_beats, top.m_axis_tvalid & top.m_axis_tready)
        claim(m, "TLAST ends a frame", top.m_axis_tlast == (beat == c.out_beats - 1))

        box = find.part("core.writer.gearbox")
        fill, word_in, word = gearbox_claims(m, box.shape, box, find, "core.writer.gearbox.")
        claim(m, "beats", word == beat)
        # The writer is empty until the core is ready, which it stays.
        ready = find("core.sequencer.present")
        claim(m, "ready", ~ready | find("core.sequencer.fetched"))
        claim(m, "empty before", ready | Cat(
            value == 0 for value in (find("core.writer.any_waits"), fill, word_in, word)).all())
        return m


@pytest.mark.formal
@pytest.mark.parametrize("name", CORES)
def test_output_stream(name, tmp_path):
    prove(StreamClaims(CORES[name]), tmp_path)


#: claim: what is wrong between the writer and the output of the core
MISTAKES = {
    "TVALID stays until TREADY": "self.o.valid.eq(writer.beats.valid | self.i.valid)",
    "the payload stays until TREADY": "self.o.valid.eq(1), self.o.payload.eq(self.i.payload)",
    "TVALID is low after a reset": "self.o.valid.eq(~sequencer.primed)",
    "TLAST ends a frame": "self.o.payload.last.eq(~writer.beats.payload.last)",
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_output_stream_mistakes_are_refuted(name, tmp_path):
    wrong = planted(core, "wiring.connect(m, writer.beats, wiring.flipped(self.o))",
                    f"m.d.comb += [writer.beats.ready.eq(self.o.ready), {MISTAKES[name]}]")
    refute(StreamClaims(CORES["plain"], wrong), tmp_path, name, depth=SHORT)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=() if name == "loadable" else pytest.mark.formal) for name in CORES])
def test_tvalid_and_tready_are_independent(name, tmp_path):
    pairs = [("s_axis_tvalid", "s_axis_tready"), ("m_axis_tready", "m_axis_tvalid")]
    if CORES[name].loadable:
        pairs += [("s_load_tvalid", "s_load_tready"), ("s_axis_tvalid", "s_load_tready"),
                  ("s_load_tvalid", "s_axis_tready")]
    pairs += [("m_axis_tready", "s_axis_tready"), ("s_axis_tvalid", "m_axis_tvalid")]
    assert_independent(Top(CORES[name]), pairs, tmp_path)


@pytest.mark.formal
def test_a_dependence_is_found(tmp_path):
    with pytest.raises(AssertionError, match="selection is not empty"):
        assert_independent(Top(CORES["plain"]), [("m_axis_tready", "m_axis_tready")], tmp_path)
