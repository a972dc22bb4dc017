"""Sequencer: replays exactly what `unroll` says, and waits for gaps, input and output only."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.plan.images import program_images
from gatefold.gen.plan.program import Program, Segment, unroll
from gatefold.hdl.isa import STEPS, Start, Stop, finish_layout, tile_layout
from gatefold.hdl.sequencer import Sequencer
from tests.support.hdl_harness import FLOW, simulate, small

CHUNKS = 24  # of an input frame, of the h memory, of an output frame


def random_program(rng, shape, max_gap=5, least=0):
    """Segments of (length, repeats) instructions, strides from ``least`` on and fields at random.

    As in every program of a plan, the instruction that ends a frame is in no loop, and by then the
    frame's last input chunk has been asked for.
    """
    instructions, segments = [], []
    if shape[-1][1] > 1:
        shape = [*shape, (1, 1)]
    for length, repeats in shape:
        strides = tuple(map(int, rng.integers(least, 4, STEPS))) if repeats > 1 else (0,) * STEPS
        first = len(instructions)
        for _ in range(length):
            step = {name: int(rng.integers(STEPS + 1)) if repeats > 1 else 0
                    for name in ("operand_step", "h_step", "out_step")}
            run = int(rng.choice([0, 0, 0, 1, 4]))
            # Far enough from zero for the last turn.
            moves = {name: (0, *strides)[step[f"{name}_step"]] * (repeats - 1)
                     for name in ("operand", "h", "out")}
            address = {name: max(0, -by) + int(rng.integers(8 - run)) for name, by in moves.items()}
            instructions.append(step | address | {
                "repeats": run, "weight": int(rng.integers(8 - run)),
                "from_x": int(rng.integers(2)), "align": 0,
                "start": int(rng.choice(list(Start))), "init": int(rng.integers(4)),
                "stop": int(rng.integers(4)), "park": 0,
                "gap": int(rng.integers(max_gap + 1)) if rng.random() < 0.4 else 0, "last": 0,
                "kind": 0, "route": 0, "beats": 0, "cell": int(rng.integers(4)),
                "fresh": int(rng.integers(2)), "to_h": int(rng.integers(2)),
                "to_out": int(rng.integers(2)), "complete": int(rng.integers(2))})
        segments.append(Segment(first, len(instructions) - 1, repeats, strides))
    instructions[-1] |= {"last": 1, "from_x": 1, "operand": CHUNKS - 1, "repeats": 0}
    return Program(tuple(instructions), tuple(segments))


def engine(program):
    return small(
        x_row=3, x_rows=CHUNKS, h_depth=CHUNKS, out_row=3, out_rows=CHUNKS,
        program_depth=len(program.instructions), segments=len(program.segments),
        max_gap=max(i["gap"] for i in program.instructions),
        max_run=1 + max(i["repeats"] for i in program.instructions),
        max_count=max(s.repeats for s in program.segments),
        min_stride=min(stride for s in program.segments for stride in s.strides),
        max_stride=max(stride for s in program.segments for stride in s.strides),
        offsets=STEPS if any(s.repeats > 1 for s in program.segments) else 0)


def play(program, frames, *, fill=1.0, drain=1.0, seed=0, limit=20_000):
    """Run ``frames`` frames: (cycle, fields, input half) of every tile issued.

    ``fill``: probability of an input chunk a cycle, at most two frames ahead. ``drain``: that a
    complete output frame leaves. Checks that tiles wait for their input and for the output.
    """
    config = engine(program)
    dut: Any = Sequencer(config, program_images(program, config))
    rng = np.random.default_rng(seed)
    names = [name for name, _ in tile_layout(config) if name != "finish"]
    finish = [name for name, _ in finish_layout(config)]
    signals = [dut.tile.word[name] for name in names] + [
        dut.tile.word.finish[name] for name in finish] + [dut.read.from_x, dut.read.chunk]
    want = unroll(program)
    issued = []

    async def bench(ctx):
        chunks = done = left = 0
        for cycle in range(limit):
            ctx.set(dut.arrivals.frames, chunks // CHUNKS % 4)
            ctx.set(dut.arrivals.chunks, chunks % CHUNKS)
            leaves = left < done and rng.random() < drain
            ctx.set(dut.left, leaves)
            _, _, valid, half, ends, primed, *values = await ctx.tick().sample(
                dut.tile.valid, dut.read.frame, dut.arrivals.done, dut.primed, *signals)
            tile = dict(zip([*names, *finish, "from_x", "operand"], values, strict=True))
            if valid:
                assert primed and half == tile["frame"] == done % 2
                if tile["from_x"]:
                    assert done * CHUNKS + tile["operand"] < chunks, "input is not there yet"
                if tile["stop"] & Stop.FINISH and tile["to_out"]:
                    assert done - left < 2, "both halves of the output are full"
                issued.append((cycle, tile))
            assert ends == (valid and want[(len(issued) - 1) % len(want)]["last"])
            left += leaves
            done += ends
            if chunks < CHUNKS * (done + 2) and rng.random() < fill:
                chunks += 1 if fill < 1 else CHUNKS * (done + 2) - chunks
            if done == frames:
                return
        raise AssertionError(f"deadlock after {len(issued)} tiles")

    simulate(dut, bench)
    return issued


def same_tiles(issued, program, frames):
    """Check that the tiles are those of `unroll`, frame after frame, with the steps already added;
    of a tile before the last of its run, only the fields that have a meaning. Returns the cycles
    that each tile waited beyond the gap before it."""
    want = unroll(program) * frames
    left = [tiles for s in program.segments for _ in range(s.repeats)  # of the run, after a tile
            for i in program.instructions[s.start:s.end + 1]
            for tiles in range(i["repeats"], -1, -1)]
    assert len(issued) == len(want)
    for n, ((_, tile), instruction) in enumerate(zip(issued, want, strict=True)):
        names = set(tile) - {"frame", "init" if tile["start"] == Start.GO_ON else ""}
        if left[n % len(left)]:
            names &= {"stop", "weight", "from_x", "operand", "align", "start"}
        for name in names:
            assert tile[name] == instruction[name], (n, name)
    waits = [after - before - 1 - tile["gap"] for (before, _), (after, _), tile in zip(
        issued, issued[1:], want, strict=False)]
    assert min(waits) >= 0
    return waits


# (instructions, repeats) of each segment
SHAPES = {
    "one instruction": [(1, 1)],
    "one instruction, looped": [(1, 5)],
    "straight": [(9, 1)],
    "a loop": [(4, 6)],
    "before, loop, after": [(3, 1), (4, 5), (2, 1)],
    "loop after loop": [(2, 3), (5, 2), (1, 4), (3, 3)],
    "short ones": [(1, 1), (1, 2), (1, 1), (2, 2), (1, 3)],
}


#: The least stride of a loop.
LEAST = (0, -3)


@pytest.mark.parametrize("least", LEAST)
@pytest.mark.parametrize("shape", SHAPES)
def test_full_rate_is_one_tile_a_cycle_and_gaps(shape, least):
    program = random_program(np.random.default_rng(1), SHAPES[shape], least=least)
    # The program starts again as it goes on: nothing between frames but the last tile's gap.
    assert not any(same_tiles(play(program, 4), program, 4))


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_waits_only_lengthen_distances(shape, flow, seed):
    program = random_program(np.random.default_rng(10 + seed), SHAPES[shape], least=LEAST[seed])
    fill, drain = FLOW[flow]
    issued = play(program, 5, fill=fill, drain=drain / 10 if drain < 1 else 1.0, seed=seed)
    same_tiles(issued, program, 5)


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed):
    rng = np.random.default_rng(100 + seed)
    shape = [(int(rng.integers(1, 6)), int(rng.choice([1, 1, 2, 5])))
             for _ in range(int(rng.integers(1, 7)))]
    program = random_program(rng, shape, int(rng.choice([0, 1, 12])), LEAST[seed % 2])
    issued = play(program, 3, fill=0.7, drain=0.2, seed=seed)
    same_tiles(issued, program, 3)


def test_unroll_adds_the_strides_of_each_turn():
    base = dict.fromkeys(random_program(np.random.default_rng(0), [(1, 1)]).instructions[0], 0)
    loop = base | {"operand": 9, "operand_step": 2, "h": 1, "h_step": 1, "out": 4}
    program = Program((base, loop), (Segment(0, 0, 1, (0,) * STEPS),
                                     Segment(1, 1, 3, (2, -4, 7, 0))))
    flat = unroll(program)
    assert [(i["operand"], i["h"], i["out"]) for i in flat] == [
        (0, 0, 0), (9, 1, 4), (5, 3, 4), (1, 5, 4)]
    assert not any(i["operand_step"] or i["h_step"] or i["out_step"] for i in flat)
