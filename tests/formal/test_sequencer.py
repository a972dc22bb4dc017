"""Sequencer with any program: it issues what an interpreter of the program says, waits for the gap,
for its input and for a free half of the output memory, and for nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal
from amaranth.lib import data

from gatefold.hdl import sequencer
from gatefold.hdl.isa import Start, Stop, instruction_layout, segment_layout
from tests.support.formal import assume, claim, free, inside, planted, prove, refute, started
from tests.support.hdl_harness import small


class SequencerClaims(Elaboratable):
    """A sequencer of ``config``; ``source``: the contents of module ``sequencer``."""

    def __init__(self, config, source: Any = sequencer):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        dut = self.source.Sequencer(c)
        free(m, dut)
        find = inside(m, "sequencer", dut)
        tile, arrivals = dut.tile, dut.arrivals
        word = data.View(instruction_layout(c, steps=False), find("tile"))  # the tile that waits
        issues, ends = tile.valid, word.repeats == 0  # the last tile of its instruction

        # The neighbours' part: at most two frames are there, and as many left as were begun.
        frame, out = Signal(2, name="ghost_frame"), Signal(range(4), name="ghost_out")
        done = issues & ends & word.last
        m.d.sync += [frame.eq(frame + done), out.eq(out + done - dut.left)]
        here = Signal(2, name="ghost_here")
        m.d.comb += here.eq(arrivals.frames - frame)
        assume(m, here != 3)
        assume(m, ~dut.left | (out != 0))
        assume(m, ~done | (out != 2))  # a frame that ends has an output

        # Waits.
        yields = ((word.stop & Stop.FINISH) != 0) & word.finish.to_out & ends
        arrived = ~word.from_x | (here != 0) | (word.operand < arrivals.chunks)
        room = ~yields | (out < 2)
        settled: Any = Const(1)
        if c.stateful:
            carried = word.age.any() | word.finish.cell_carried
            settled = ~carried | (here != 0) | (arrivals.chunks != 0)
        gap = Signal(range(c.max_gap + 1), name="ghost_gap")
        m.d.sync += gap.eq(Mux(issues & ends, word.gap, Mux(gap == 0, 0, gap - 1)))
        claim(m, "a tile waits for its input", ~issues | arrived)
        claim(m, "a tile waits for room", ~issues | room)
        claim(m, "a tile waits for its gap", ~issues | (gap == 0))
        claim(m, "a tile waits for nothing else",
              issues == (dut.primed & (gap == 0) & arrived & room & settled))
        cycles = Signal(range(5), name="ghost_cycles")  # since reset, at most 4
        with m.If(cycles != 4):
            m.d.sync += cycles.eq(cycles + 1)
        claim(m, "a tile is always there", dut.primed == (cycles == 4))
        claim(m, "a frame is done with its last tile", arrivals.done == done)
        claim(m, "halves", (dut.read.frame == frame[0]) & (tile.word.finish.frame == frame[0]))
        claim(m, "operand", (dut.read.from_x == word.from_x) & (dut.read.chunk == word.operand))

        # The interpreter: what is fetched next, and behind it what is read and what is issued.
        fetch, reads, at = ({name: Signal(shape, name=f"ghost_{stage}_{name}") for name, shape in {
            "counter": range(c.program_depth), "segment": range(max(2, c.segments)),
            "iteration": range(c.max_count), "start": range(c.program_depth),
            "offset_1": find("offset_1").shape(), "offset_2": find("offset_1").shape(),
            "offset_3": find("offset_1").shape()}.items()} for stage in ("fetch", "read", "tile"))
        segment = data.View(segment_layout(c), find.word("segment_memory.memory", fetch["segment"]))
        at_end = fetch["counter"] == segment.end
        leaves = at_end & (fetch["iteration"] == segment.count)
        next_segment = Mux(fetch["segment"] == c.segments - 1, 0, fetch["segment"] + 1)
        following = Signal.like(fetch["counter"], name="ghost_following")
        m.d.comb += following.eq(Mux(leaves & (next_segment == 0), 0, fetch["counter"] + 1))
        goes_on = find("advance") & (cycles >= 2)
        with m.If(goes_on):
            m.d.sync += [at[name].eq(reads[name]) for name in at]
            m.d.sync += [reads[name].eq(fetch[name]) for name in at]
            m.d.sync += fetch["counter"].eq(following)
            with m.If(leaves):
                m.d.sync += [fetch["segment"].eq(next_segment), fetch["start"].eq(following),
                             fetch["iteration"].eq(0)]
                m.d.sync += [fetch[f"offset_{n}"].eq(0) for n in range(1, 4)]
            with m.Elif(at_end):
                m.d.sync += [fetch["counter"].eq(fetch["start"]),
                             fetch["iteration"].eq(fetch["iteration"] + 1)]
                m.d.sync += [fetch[f"offset_{n}"].eq(fetch[f"offset_{n}"] + segment[f"step_{n}"])
                             for n in range(1, 4)]
        instruction = data.View(instruction_layout(c),
                                find.word("program_memory.memory", at["counter"]))
        turn = Signal(range(c.max_run + 1), name="ghost_turn")  # tiles of the run before this one
        with m.If(issues):
            m.d.sync += turn.eq(Mux(ends, 0, turn + 1))
        claim(m, "the tiles of the program in order", ~dut.primed | self._is(
            m, word, tile.word, instruction, at, turn, ends))

        # What the registers hold.
        claim(m, "frames", (find("frame") == frame) & (find("full") == out) & (out <= 2))
        claim(m, "gap", (find("gap") == gap) & (find("in_gap") == (gap != 0)))
        claim(m, "run", ~dut.primed | (find("run_ends") == ends) & (turn <= instruction.repeats)
              & (word.stop == instruction.stop))
        starting = Mux(cycles == 0, 3, Mux(cycles == 1, 1, 0))
        claim(m, "start", (find("starting") == starting) & (find("fetched") == (cycles >= 3))
              & (cycles <= 4))
        claim(m, "fetch", (find("counter") == fetch["counter"])
              & (find("iteration") == fetch["iteration"])
              & (find("segment_start") == fetch["start"])
              & Cat(find(f"offset_{n}") == fetch[f"offset_{n}"] for n in range(1, 4)).all())
        claim(m, "segment", (cycles == 0) | ((find.data("segment_memory") == segment.as_value())
              & (find("next_segment") == next_segment)))
        claim(m, "none yet", (cycles != 0) | (find("next_segment") == 0))
        claim(m, "read", ~find("fetched") | (
            find.data("program_memory") == find.word("program_memory.memory", reads["counter"]))
            & Cat(find(f"step_{n}") == reads[f"offset_{n}"] for n in range(1, 4)).all())
        claim(m, "first", (cycles == 0) | (cycles > 2) | (find.data(
            "program_memory") == find.word("program_memory.memory", Const(0))))
        claim(m, "before", (cycles > 2) | Cat(value == 0 for value in fetch.values()).all())
        claim(m, "places", (fetch["segment"] < c.segments) & (dut.primed | (turn == 0)))
        return m

    def _is(self, m, word, issued, instruction, at, turn, ends):
        """``word`` is tile ``turn`` of an instruction, with the loop offsets added, and is what is
        ``issued``."""
        offsets = Array([Const(0, 1), *(at[f"offset_{n}"] for n in range(1, 4))])
        same = [issued.weight == (instruction.weight + turn)[:len(word.weight)],
                word.operand == (instruction.operand + offsets[instruction.operand_step]
                                 + turn)[:len(word.operand)],
                issued.start == Mux(turn == 0, instruction.start, Start.GO_ON),
                issued.stop == Mux(ends, instruction.stop, Stop.GO_ON),
                word.repeats == instruction.repeats - turn]
        same += [word[name] == instruction[name] for name in ("from_x", "gap", "last")]
        same += [issued[name] == instruction[name] for name in ("align", "init", "park")]
        finish, given = issued.finish, instruction.finish
        same += [finish[name] == (given[name] + offsets[given[f"{name}_step"]])[:len(finish[name])]
                 for name in ("h", "out")]
        same += [finish[name] == given[name] for name in (
            "kind", "route", "beats", "cell", "to_h", "to_out", "complete")]
        return Cat(same).all()


def engine(**more):
    return small(x_row=3, x_rows=3, h_depth=4, out_row=3, out_rows=2, program_depth=4, segments=2,
                 max_gap=3, max_run=3, max_count=3, max_stride=2, offsets=3, weight_depth=4,
                 **more)


PLAIN, STATEFUL = engine(), engine(stateful=True)
# Strides of both signs, of fewer bits than an address.
BACKWARDS = replace(PLAIN, h_depth=8, min_stride=-1, max_stride=1)


@pytest.mark.parametrize("config", [
    pytest.param(PLAIN, id="plain"),
    pytest.param(STATEFUL, id="stateful", marks=pytest.mark.formal),
    pytest.param(BACKWARDS, id="backwards", marks=pytest.mark.formal)])
def test_sequencer(config, tmp_path):
    prove(SequencerClaims(config), tmp_path)


#: claim: the correct text in hdl/sequencer.py, a mistake
MISTAKES = {
    "a tile waits for its input": ("(tile.operand < self.arrivals.chunks)",
                                   "(tile.operand <= self.arrivals.chunks)"),
    "a tile waits for room": ("has_room.eq(~yields | ~full[1])", "has_room.eq(1)"),
    "a tile waits for its gap": ("in_gap.eq(gap != 1)", "in_gap.eq(gap > 2)"),
    "a tile waits for nothing else": ("in_gap.eq(tile.gap != 0)", "in_gap.eq(1)"),
    "a tile is always there": ("starting = Signal(2, init=3)", "starting = Signal(2, init=1)"),
    "a frame is done with its last tile": ("frame_ends.eq(issues & tile.last & run_ends)",
                                           "frame_ends.eq(issues & tile.last)"),
    "halves": ("frame.eq(frame + tile.last)", "frame.eq(frame + 1)"),
    "the tiles of the program in order": ("leaves.eq(at_end & (iteration == segment.count))",
                                     "leaves.eq(at_end)"),
    "fetch": ('offset + segment[f"step_{n}"]', 'offset + segment[f"step_{n}"].as_unsigned()'),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_sequencer_mistakes_are_refuted(name, tmp_path):
    refute(SequencerClaims(BACKWARDS, planted(sequencer, *MISTAKES[name])), tmp_path, name)
