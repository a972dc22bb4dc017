"""Programs of two frames, state carried from frame to frame, and frames that begin a sequence."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.plan.images import program_images
from gatefold.gen.plan.program import Program, Segment, unroll
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.isa import Stop
from gatefold.hdl.sequencer import Sequencer
from tests.hdl.test_sequencer import CHUNKS, engine, play, random_program, same_tiles
from tests.support.hdl_harness import FLOW, simulate, small


def one_after_the_other(*programs: Program) -> Program:
    """A program that holds the frames of several."""
    instructions: list[dict] = []
    segments: list[Segment] = []
    for program in programs:
        at = len(instructions)
        instructions += program.instructions
        segments += [replace(s, start=s.start + at, end=s.end + at) for s in program.segments]
    return Program(tuple(instructions), tuple(segments))


# ---- two frames in a program ---------------------------------------------------------------------


# segments of the first and of the second frame: (instructions, repeats)
FRAMES = [([(1, 1)], [(1, 1)]), ([(9, 1)], [(3, 1)]), ([(4, 6)], [(4, 6)]),
          ([(3, 1), (4, 5), (2, 1)], [(2, 3), (5, 2)])]


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("shapes", FRAMES, ids=str)
def test_a_program_may_hold_two_frames(shapes, flow):
    rng = np.random.default_rng(7)
    program = one_after_the_other(*(random_program(rng, shape) for shape in shapes))
    fill, drain = FLOW[flow]
    issued = play(program, 6, fill=fill, drain=drain / 10 if drain < 1 else 1.0)
    waits = same_tiles(issued, program, 3)  # the halves, `done`, input and output: see `play`
    assert not any(waits) or flow != "full rate"


# ---- which frames begin a sequence: the reader ---------------------------------------------------


# beat, x_row, x_rows, simd: chunks of several beats; many frames a beat of room in the gearbox
READERS = [(4, 5, 3, 3), (1, 3, 2, 2), (8, 2, 5, 4), (4, 1, 1, 1), (8, 1, 1, 2), (4, 4, 2, 4)]


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("sizes", READERS, ids=str)
def test_the_reader_flags_the_frames_that_begin_a_sequence(sizes, flow):
    beat, x_row, x_rows, simd = sizes
    config = small(beat=beat, x_row=x_row, x_rows=x_rows, simd=simd, stateful=True)
    offers, takes = FLOW[flow]
    rng = np.random.default_rng(beat)
    frames = 24
    first = rng.integers(0, 2, frames)
    dut: Any = FrameReader(config)
    seen = []

    async def bench(ctx):
        sent = done = complete = before = 0
        offering = False
        for _ in range(8000):
            if not offering and sent < frames * config.x_beats and rng.random() < offers:
                offering = True
                frame, place = divmod(sent, config.x_beats)
                # It has a meaning with a frame's first beat alone.
                ctx.set(dut.beats.payload.first, int(first[frame]) if place == 0
                        else int(rng.integers(2)))
                ctx.set(dut.beats.payload.last, place == config.x_beats - 1)
            ctx.set(dut.beats.valid, offering)
            ctx.set(dut.enable, 1)
            ends = done < complete and rng.random() < takes / 4
            ctx.set(dut.arrivals.done, ends)
            _, _, ready, count, chunks, fresh = await ctx.tick().sample(
                dut.beats.ready, dut.arrivals.frames, dut.arrivals.chunks, dut.arrivals.fresh)
            complete += (count - before) % 4
            before = count
            # Every frame that is being read, and the one of which a chunk is there.
            for frame in range(done, complete + (chunks > 0)):
                seen.append(frame)
                want = 1 if frame == 0 else first[frame]
                assert fresh >> (frame % 2) & 1 == want, f"frame {frame}"
            done += ends
            if offering and ready:
                sent, offering = sent + 1, False
            if done == frames:
                return
        raise AssertionError(f"no end: {sent} beats sent, {done} frames done")

    simulate(dut, bench)
    assert set(seen) == set(range(frames))


# ---- the sequencer's use of it -------------------------------------------------------------------


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize(("seed", "oldest"), [(0, 1), (1, 1), (2, 1), (3, 3), (4, 5)])
def test_what_earlier_sequences_left_counts_as_zero(seed, oldest, flow):
    rng = np.random.default_rng(seed)
    program = random_program(rng, [(6, 1), (3, 3), (2, 1)])
    for fields in program.instructions:
        carried = rng.random() < 0.4 and not fields["from_x"]
        finishes = fields["stop"] & Stop.FINISH
        fields |= {"age": int(carried and rng.integers(1, oldest + 1)),
                   "cell_carried": int(finishes and rng.integers(2))}
    config = replace(engine(program), stateful=True, oldest=oldest)
    dut: Any = Sequencer(config, program_images(program, config))
    fill, _ = FLOW[flow]
    frames, kinds = 8, set()
    want = unroll(program)
    begins = rng.integers(0, 2, frames + 2) if oldest == 1 else np.arange(frames + 2) % 5 == 0
    begins[0] = 1
    before = [n - np.flatnonzero(begins[:n + 1])[-1] for n in range(len(begins))]

    async def bench(ctx):
        chunks = done = left = issued = 0
        for _ in range(6000):
            ctx.set(dut.arrivals.frames, chunks // CHUNKS % 4)
            ctx.set(dut.arrivals.chunks, chunks % CHUNKS)
            there = -(-chunks // CHUNKS)  # frames of which a chunk is there
            # The halves of frames that are not there hold anything.
            flags = int(rng.integers(4))
            for frame in range(done, min(there, done + 2)):
                flags = flags & ~(1 << frame % 2) | int(begins[frame]) << frame % 2
            ctx.set(dut.arrivals.fresh, flags)
            leaves = left < done
            ctx.set(dut.left, leaves)
            tile = dut.tile.word
            _, _, valid, ends, zero, fresh = await ctx.tick().sample(
                dut.tile.valid, dut.arrivals.done, dut.read.zero, tile.finish.fresh)
            if valid:
                fields, new = want[issued % len(want)], bool(begins[done])
                age, cell = fields["age"], fields["cell_carried"]
                if age or cell:
                    assert done < there, "whether the frame begins a sequence is not known yet"
                assert zero == (age > before[done])
                if fields["stop"] & Stop.FINISH:
                    assert fresh == (fields["fresh"] or (cell and new))
                kinds.add((bool(age), bool(cell), new))
                issued += 1
            left += leaves
            done += ends
            if chunks < CHUNKS * (done + 2) and rng.random() < fill:
                chunks += 1 if fill < 1 else CHUNKS * (done + 2) - chunks
            if done == frames:
                return
        raise AssertionError("deadlock")

    simulate(dut, bench)
    assert {(True, False, True), (True, False, False)} <= kinds


def test_fresh_is_the_programs_or_that_of_a_new_sequence():
    rng = np.random.default_rng(0)
    program = random_program(rng, [(8, 1)], max_gap=0)
    for n, fields in enumerate(program.instructions):
        fields |= {"age": 0, "stop": int(Stop.FINISH), "fresh": n % 2,
                   "cell_carried": n // 2 % 2, "from_x": 1, "operand": CHUNKS - 1, "to_out": 0,
                   "repeats": 0}
    config = replace(engine(program), stateful=True)
    dut: Any = Sequencer(config, program_images(program, config))
    got: list[tuple] = []

    async def bench(ctx):
        ctx.set(dut.arrivals.fresh, 0b10)  # the second frame begins a sequence, the first goes on
        ctx.set(dut.arrivals.frames, 2)
        while len(got) < 16:
            _, _, valid, half, fresh = await ctx.tick().sample(
                dut.tile.valid, dut.read.frame, dut.tile.word.finish.fresh)
            if valid:
                got.append((half, fresh))

    simulate(dut, bench)
    assert got == [(0, n % 2) for n in range(8)] + [(1, n % 2 | n // 2 % 2) for n in range(8)]
