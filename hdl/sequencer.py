"""Replays the program that the plan computed: one tile a cycle, loops over timesteps."""

from __future__ import annotations

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.isa import STEPS, Start, Stop, instruction_layout, segment_layout
from gatefold.hdl.target import Rom

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Issues the program's tiles in order, the program once a frame.

    A tile waits for three things only: the gap its predecessor asked for, its input chunk, and (if
    it yields output) an output memory half that has been emptied. Everything else was settled by
    the plan: a wait only lengthens the distances it relies on.

    A tile of a stateful core that meets the last frame's state waits for its frame's first chunk,
    with which comes whether there was a frame before it.

    ::

        program counter, loop offsets -> program memory -> offsets added -> issue
                  fetch                     word              tile register

    Members
    -------
    frames, chunks: In, input frames completely written (modulo 4), chunks of the next one.
    left: In, an output frame has left.
    tile_valid, tile: Out, the tile issued, its addresses final. frame: Out, its input half.
    done: Out, the frame's last tile is issued. primed: Out, the first tile is at hand (a few cycles
    after reset; no input is taken before, so that the latency never includes them).
    anew, of a stateful core: In, for either input half: its frame begins a new sequence. zero: Out,
    the tile's operand counts as zero. Where a finished state does, ``tile.finish.fresh`` is set.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images or {}
        super().__init__({
            "frames": In(2),
            "chunks": In(range(config.x_depth + 1)),
            "left": In(1),
            "tile_valid": Out(1),
            "tile": Out(instruction_layout(config)),
            "frame": Out(1),
            "done": Out(1),
            "primed": Out(1),
            **({"anew": In(2), "zero": Out(1)} if config.stateful else {}),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        layout, segment = instruction_layout(c), segment_layout(c)
        program = Rom(width=layout.size, depth=c.program_depth, file="program.hex",
                      init=self.images.get("program"))
        segments = Rom(width=segment.size, depth=c.segments, file="segments.hex",
                       init=self.images.get("segments"))
        m.submodules.program = program.placed(platform)
        m.submodules.segments = segments.placed(platform)
        moves = Signal()  # the fetch stages move on

        # Fetch: program counter, segment, iteration, offsets. The segment word of a segment is read
        # while its predecessor's last instruction is fetched, from an address that stands ready; a
        # start-up state reads the first.
        starting = Signal(2, init=3)
        counter = Signal(range(max(2, c.program_depth)))
        following = Signal(range(max(2, c.segments)))  # the segment after this one
        here = data.View(segment, segments.data)
        iteration = Signal(segment["count"].shape)
        address = max(len(self.tile.operand), len(self.tile.finish.h), len(self.tile.finish.out))
        offsets = [Signal(address, name=f"offset_{n}") for n in range(1, STEPS + 1)]
        at_end, leaves, wraps = Signal(), Signal(), Signal()
        m.d.comb += [
            at_end.eq(counter == here.end),
            leaves.eq(at_end & (iteration == here.count)),
            wraps.eq(following == 0),
            segments.addr.eq(following),
            segments.en.eq(starting[1] | (~starting[0] & moves & leaves)),
        ]
        with m.If(segments.en):
            m.d.sync += following.eq(Mux(following == c.segments - 1, 0, following + 1))
        start_of = Signal.like(counter)
        fetched = Signal()  # the program memory's output is an instruction
        steps = [Signal(address, name=f"step_{n}") for n in range(1, STEPS + 1)]
        m.d.comb += [program.addr.eq(counter), program.en.eq(moves)]
        with m.If(starting[0]):
            m.d.sync += starting.eq(starting >> 1)
        with m.Elif(moves):
            m.d.sync += fetched.eq(1)
            m.d.sync += [step.eq(offset) for step, offset in zip(steps, offsets, strict=True)]
            with m.If(leaves):
                m.d.sync += [counter.eq(Mux(wraps, 0, counter + 1)), iteration.eq(0),
                             start_of.eq(Mux(wraps, 0, counter + 1))]
                m.d.sync += [offset.eq(0) for offset in offsets]
            with m.Elif(at_end):
                m.d.sync += [counter.eq(start_of), iteration.eq(iteration + 1)]
                m.d.sync += [offset.eq(offset + here[f"step_{n}"])
                             for n, offset in enumerate(offsets, 1)]
            with m.Else():
                m.d.sync += counter.eq(counter + 1)

        # The tile register: stepped addresses made final.
        word = data.View(layout, program.data)
        tile = Signal(layout)
        present = Signal()
        step_of = Array([Const(0, address), *steps])
        my_frames = Signal(2)
        run_ends = Signal()  # the tile at hand is the last of its instruction
        with m.If(moves & ~starting[0]):
            m.d.sync += [
                present.eq(fetched),
                tile.eq(word),
                tile.operand.eq(word.operand + step_of[word.operand_step]),
                tile.finish.h.eq(word.finish.h + step_of[word.finish.h_step]),
                tile.finish.out.eq(word.finish.out + step_of[word.finish.out_step]),
                run_ends.eq(word.repeats == 0),
            ]

        # Issue.
        wait = Signal(range(max(2, c.max_gap + 1)))
        waits = Signal()  # wait is not zero
        full = Signal(2)  # output frames issued that have not left
        input_there, output_free, issues = Signal(), Signal(), Signal()
        known = Signal(init=1)  # whether the frame begins a new sequence, if the tile asks
        yields = ((tile.stop & Stop.FINISH) != 0) & tile.finish.to_out & run_ends
        m.d.comb += [
            input_there.eq(~tile.from_x | (self.frames != my_frames)
                           | (tile.operand < self.chunks)),
            output_free.eq(~yields | ~full[1]),
            issues.eq(present & ~waits & input_there & output_free & known),
            moves.eq((issues & run_ends) | ~present),
            self.primed.eq(present),
            self.tile_valid.eq(issues),
            self.tile.eq(tile),
            self.tile.stop.eq(Mux(run_ends, tile.stop, Stop.GO_ON)),
            self.tile.finish.frame.eq(my_frames[0]),
            self.frame.eq(my_frames[0]),
            self.done.eq(issues & tile.last & run_ends),
        ]
        if c.stateful:
            anew = self.anew.bit_select(my_frames[0], 1)
            carries = tile.carried | tile.finish.cell_carried
            m.d.comb += [
                known.eq(~carries | (self.frames != my_frames) | (self.chunks != 0)),
                self.zero.eq(tile.carried & anew),
                self.tile.finish.fresh.eq(tile.finish.fresh | (tile.finish.cell_carried & anew)),
            ]
        m.d.sync += full.eq(full + self.done - self.left)
        with m.If(issues & run_ends):
            m.d.sync += [wait.eq(tile.gap), waits.eq(tile.gap != 0),
                         my_frames.eq(my_frames + tile.last)]
        with m.Elif(issues):  # the next of a run: the next chunk, onto the same sums
            m.d.sync += [
                tile.operand.eq(tile.operand + 1),
                tile.weight.eq(tile.weight + 1),
                tile.repeats.eq(tile.repeats - 1),
                tile.start.eq(Start.GO_ON),
                run_ends.eq(tile.repeats == 1),
            ]
        with m.Elif(waits):
            m.d.sync += [wait.eq(wait - 1), waits.eq(wait != 1)]
        return m
