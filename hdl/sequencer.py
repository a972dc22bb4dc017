"""Replays the program that the plan computed: one tile a cycle, loops over timesteps."""

from __future__ import annotations

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.interfaces import arrivals, operand_read, tile_issue
from gatefold.hdl.isa import Start, Stop, instruction_layout, segment_layout
from gatefold.hdl.target import Rom

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Issues the program's tiles in order, the program once a frame.

    A tile waits only for the gap that its predecessor asked for, its input chunk, and (if it yields
    output) a free half of the output memory. The plan guarantees every other distance between
    tiles, and a wait only makes these longer.

    A tile of a stateful core that meets what earlier frames left also waits for the first chunk of
    its own frame: only then is it known whether that frame begins a new sequence.

    ::

        program counter, loop offsets -> program memory -> offsets added -> issue
                  fetch                     word              tile register

    Members
    -------
    arrivals: In, the contents of the input memory. left: In, an output frame has left.
    tile: Out, the tile issued, its addresses final. Where a finished state of a stateful core
    counts as zero, ``fresh`` is set in its ``finish``.
    read: Out, the tile's operand.
    primed: Out, the first tile is in the tile register, some cycles after reset. No input is taken
    before, so that the latency never includes them.
    fault: Out, of a core that watches itself: a word of the program has the wrong parity.

    Parameters: ``drain``, cycles after reset before the first instruction is read; after that
    :attr:`latency` pass until the first tile is there.
    """

    latency = 5

    def __init__(self, config: EngineConfig, images: dict | None = None, *, drain: int = 0):
        self.config, self.images, self.drain = config, images or {}, drain
        super().__init__({
            "arrivals": In(arrivals(config)),
            "left": In(1),
            "tile": Out(tile_issue(config)),
            "read": Out(operand_read(config)),
            "primed": Out(1),
            **({"fault": Out(1)} if config.protect else {}),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        instruction, segment = instruction_layout(c), segment_layout(c)
        program = Rom(width=instruction.size + c.protect, depth=c.program_depth, file="program.hex",
                      init=self.images.get("program"))
        segments = Rom(width=segment.size + c.protect, depth=c.segments, file="segments.hex",
                       init=self.images.get("segments"))
        m.submodules.program_memory = program.placed(platform)
        m.submodules.segment_memory = segments.placed(platform)

        tile = Signal(instruction_layout(c, steps=False))
        present = Signal()  # the tile register holds a tile
        run_ends = Signal()  # its tile is the last of its instruction
        advance = Signal()  # all stages before the issue move on
        starting = Signal(2, init=3)  # two cycles fill the memories' outputs
        address = max(len(tile.operand), len(tile.finish.h), len(tile.finish.out))
        steps = [Signal(address, name=f"step_{n}") for n in range(1, c.offsets + 1)]
        fetched = self._fetch(m, program, segments, advance, starting, steps)

        # The tile register: loop offsets are added to the addresses.
        word = data.View(instruction, program.data[:instruction.size])
        step_of = Array([Const(0, address), *steps])

        def moved(place, name: str) -> Value:
            """An address with its loop offset."""
            return place[name] + step_of[place[f"{name}_step"]] if steps else place[name]

        weight = Signal.like(tile.weight, name="next_weight")
        m.d.comb += weight.eq(tile.weight)
        with m.If(advance & ~starting[0]):
            m.d.comb += weight.eq(word.weight)
            m.d.sync += [
                present.eq(fetched),
                *_same_fields(tile, word),
                tile.operand.eq(moved(word, "operand")),
                tile.finish.h.eq(moved(word.finish, "h")),
                tile.finish.out.eq(moved(word.finish, "out")),
                run_ends.eq(word.repeats == 0),
            ]

        frame = Signal(2)  # number of the frame in progress, modulo 4
        issues = self._issue(m, tile, present, run_ends, frame)
        m.d.comb += [
            advance.eq((issues & run_ends) | ~present),
            self.primed.eq(present),
        ]
        with m.If(issues & run_ends):
            m.d.sync += frame.eq(frame + tile.last)
        with m.Elif(issues):  # the next of a run: the next chunk, onto the same sums
            m.d.comb += weight.eq(tile.weight + 1)
            m.d.sync += [
                tile.operand.eq(tile.operand + 1),
                tile.repeats.eq(tile.repeats - 1),
                tile.start.eq(Start.GO_ON),
                run_ends.eq(tile.repeats == 1),
            ]
        m.d.sync += tile.weight.eq(weight)
        if not c.reach:
            m.d.comb += self.tile.next_weight.eq(weight)
        return m

    def _fetch(self, m: Module, program: Rom, segments: Rom, advance: Signal, starting: Signal,
               steps: list[Signal]) -> Signal:
        """Addresses of both memories, and the loop offsets beside the instruction that is read;
        whether the program memory's output is an instruction.

        A segment's word is read while the last instruction of its predecessor is fetched, from an
        address that is a register; a start-up state reads the first.
        """
        c = self.config
        counter = Signal(range(max(2, c.program_depth)))
        segment_start = Signal.like(counter)
        next_segment = Signal(range(max(2, c.segments)))
        layout = segment_layout(c)
        segment = data.View(layout, segments.data[:layout.size])
        iteration = Signal(segment.shape()["count"].shape)
        offsets = [Signal.like(step, name=f"offset_{n}") for n, step in enumerate(steps, 1)]
        at_end = Signal()
        leaves = Signal()
        next_counter = Signal.like(counter)
        drains = Signal(range(self.drain + 1), init=self.drain)  # cycles of the drain
        draining = Signal(init=self.drain > 0)
        m.d.comb += [
            at_end.eq(counter == segment.end),
            leaves.eq(at_end & (iteration == segment.count)),
            next_counter.eq(Mux(leaves & (next_segment == 0), 0, counter + 1)),
            segments.addr.eq(next_segment),
            segments.en.eq((starting[1] & ~draining) | (~starting[0] & advance & leaves)),
            program.addr.eq(counter),
            program.en.eq(advance),
        ]
        with m.If(segments.en):
            m.d.sync += next_segment.eq(Mux(next_segment == c.segments - 1, 0, next_segment + 1))
        fetched = Signal()
        with m.If(draining):
            m.d.sync += [drains.eq(drains - 1), draining.eq(drains != 0)]
        with m.Elif(starting[0]):
            m.d.sync += starting.eq(starting >> 1)
        with m.Elif(advance):
            m.d.sync += [fetched.eq(1), counter.eq(next_counter)]
            m.d.sync += [step.eq(offset) for step, offset in zip(steps, offsets, strict=True)]
            with m.If(leaves):
                m.d.sync += [segment_start.eq(next_counter), iteration.eq(0)]
                m.d.sync += [offset.eq(0) for offset in offsets]
            with m.Elif(at_end):
                m.d.sync += [counter.eq(segment_start), iteration.eq(iteration + 1)]
                m.d.sync += [offset.eq(offset + segment[f"step_{n}"])
                             for n, offset in enumerate(offsets, 1)]
        if c.protect:  # of words that were read
            m.d.sync += self.fault.eq((fetched & program.data.xor())
                                      | (~starting[1] & segments.data.xor()))
        return fetched

    def _issue(self, m: Module, tile, present: Signal, run_ends: Signal, frame: Signal) -> Signal:
        """The tile with its final addresses, as soon as it need not wait; whether it is issued."""
        c = self.config
        gap = Signal(range(max(2, c.max_gap + 1)))  # cycles still to wait
        in_gap = Signal()  # there are some
        full = Signal(2)  # output frames begun that have not left
        arrived = Signal()
        has_room = Signal()
        state_settled = Signal(init=1)
        issues = Signal()
        frame_ends = Signal()
        yields = ((tile.stop & Stop.FINISH) != 0) & tile.finish.to_out & run_ends
        finish = self.tile.word.finish
        m.d.comb += [
            arrived.eq(~tile.from_x | (self.arrivals.frames != frame)
                       | (tile.operand < self.arrivals.chunks)),
            has_room.eq(~yields | ~full[1]),
            issues.eq(present & ~in_gap & arrived & has_room & state_settled),
            frame_ends.eq(issues & tile.last & run_ends),
            self.arrivals.done.eq(frame_ends),
            self.tile.valid.eq(issues),
            *_same_fields(self.tile.word, tile),
            self.tile.word.stop.eq(Mux(run_ends, tile.stop, Stop.GO_ON)),
            finish.frame.eq(frame[0]),
            self.read.from_x.eq(tile.from_x),
            self.read.frame.eq(frame[0]),
            self.read.chunk.eq(tile.operand),
        ]
        if c.dies > 1:
            m.d.comb += [self.read.bank.eq(tile.bank), self.read.absolute.eq(tile.absolute)]
        if c.stateful:
            fresh = self.arrivals.fresh.bit_select(frame[0], 1)
            carried = tile.age.any() | tile.finish.cell_carried
            m.d.comb += [
                state_settled.eq(~carried | (self.arrivals.frames != frame)
                                 | (self.arrivals.chunks != 0)),
                self.read.zero.eq(tile.age > self._age(m, fresh, frame_ends)),
                finish.fresh.eq(tile.finish.fresh | (tile.finish.cell_carried & fresh)),
            ]
        m.d.sync += full.eq(full + frame_ends - self.left)
        with m.If(issues & run_ends):
            m.d.sync += [gap.eq(tile.gap), in_gap.eq(tile.gap != 0)]
        with m.Elif(in_gap):
            m.d.sync += [gap.eq(gap - 1), in_gap.eq(gap != 1)]
        return issues


    def _age(self, m: Module, fresh: Value, frame_ends: Value) -> Value:
        """How many frames of its sequence are before the one in progress: all, or enough for the
        oldest operand."""
        oldest = self.config.oldest
        if oldest == 1:
            return ~fresh
        before = Signal(range(oldest + 1), name="frames_before")
        age = Mux(fresh, 0, before)
        with m.If(frame_ends):
            m.d.sync += before.eq(Mux(age == oldest, oldest, age + 1))
        return age


def _same_fields(target, source) -> list:
    """Assignments to the fields of ``target`` from those of ``source`` with the same names."""
    layouts = target.shape(), source.shape()
    names = [name for name, _ in layouts[0] if name in dict(layouts[1])]
    return [assignment for name in names for assignment in (
        _same_fields(target[name], source[name]) if name == "finish"
        else [target[name].eq(source[name])])]
