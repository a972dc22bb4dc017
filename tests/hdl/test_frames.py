"""FrameReader and FrameWriter: whole frames also where TLAST is wrong, two at most, none lost."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.numbers.qlayer import parted
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.sim.scalars import saturate
from tests.support.hdl_harness import FLOW, draw, pack, simulate, small, unpack

LIMIT = 5000  # cycles


def beats_of(config, frame):
    """A frame's elements as beats, containers sign-extended."""
    padded = np.zeros(config.x_beats * config.beat, np.int64)
    padded[:len(frame)] = frame
    return [pack(word, config.container) for word in padded.reshape(-1, config.beat)]


def chunks_of(config, frame):
    """What the input memory must hold: (chunks, simd), rows padded with zeros."""
    rows = np.zeros((config.x_rows, config.x_chunks * config.simd), np.int64)
    rows[:, :config.x_row] = np.reshape(frame, (config.x_rows, config.x_row))
    return rows.reshape(-1, config.simd)


def read_frames(config, beats, *, flow, consume=True, cycles=LIMIT, stop=None, enable_from=0):
    """Offer (word, last) beats; a consumer takes each complete frame a while later.

    Returns the memory's writes as (frame half, chunk, elements), how many error pulses there were,
    and how many beats were taken. Ends after ``stop`` frames are complete and taken, and all beats.
    """
    dut: Any = FrameReader(config)
    offers, takes = FLOW[flow]
    rng = np.random.default_rng(len(beats))
    writes, counted = [], {"errors": 0, "sent": 0, "frames": 0, "done": 0}

    async def bench(ctx):
        offering, before = False, 0
        for cycle in range(cycles):
            if not offering and counted["sent"] < len(beats) and rng.random() < offers:
                offering = True
                word, last = beats[counted["sent"]]
                ctx.set(dut.beats.payload.data, word)
                ctx.set(dut.beats.payload.last, last)
            ctx.set(dut.beats.valid, offering)
            ctx.set(dut.enable, cycle >= enable_from)
            done = consume and counted["done"] < counted["frames"] and rng.random() < takes / 4
            ctx.set(dut.arrivals.done, done)
            _, _, ready, en, half, chunk, word, error, frames, chunks = await ctx.tick().sample(
                dut.beats.ready, dut.write.en, dut.write.frame, dut.write.chunk,
                dut.write.data.as_value(),
                dut.error, dut.arrivals.frames, dut.arrivals.chunks)
            data = unpack(word, config.act_width, config.simd)
            assert chunks == len(writes) % config.x_depth
            assert (frames - before) % 4 in (0, 1)
            counted["frames"] += (frames - before) % 4
            before = frames
            assert len(writes) // config.x_depth == counted["frames"]
            assert counted["frames"] - counted["done"] <= 2
            counted["done"] += done
            if en:
                writes.append((half, chunk, data))
            counted["errors"] += error
            if offering and ready:
                assert cycle >= enable_from
                counted["sent"], offering = counted["sent"] + 1, False
            if stop is not None and counted["done"] == stop and counted["sent"] == len(beats):
                return
        assert stop is None, f"no end after {cycles} cycles: {counted}"

    simulate(dut, bench)
    return writes, counted["errors"], counted["sent"]


def frames_written(config, writes):
    """The writes of whole frames as arrays; halves alternate, chunks come in order."""
    depth = config.x_depth
    for n, (half, chunk, _) in enumerate(writes):
        assert (half, chunk) == (n // depth % 2, n % depth)
    return [np.array([data for _, _, data in writes[k:k + depth]])
            for k in range(0, len(writes), depth)]


# beat, x_row, x_rows, simd, container, act_width
READERS = [(4, 5, 3, 3, 8, 8), (1, 3, 2, 2, 16, 12), (8, 2, 5, 4, 8, 4), (2, 7, 1, 3, 32, 18),
           (4, 1, 1, 1, 8, 8), (4, 4, 2, 4, 16, 16)]


def reader(beat, x_row, x_rows, simd, container, act_width):
    return small(beat=beat, x_row=x_row, x_rows=x_rows, simd=simd, container=container,
                 act_width=act_width)


def good_beats(config, frame):
    words = beats_of(config, frame)
    return [(word, n == len(words) - 1) for n, word in enumerate(words)]


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize(("sizes", "split"), [*((sizes, 1) for sizes in READERS),
                                              ((1, 3, 2, 14, 16, 12), 4),
                                              ((8, 2, 5, 16, 8, 4), 16)], ids=str)
def test_reader_clean_frames(sizes, split, flow):
    config = replace(reader(*sizes), x_split=split)
    rng = np.random.default_rng(0)
    frames = draw(rng, config.element_width, (6, config.x_row * config.x_rows))
    beats = [beat for frame in frames for beat in good_beats(config, frame)]
    writes, errors, _ = read_frames(config, beats, flow=flow, stop=6)
    wide = replace(config, x_row=config.x_row * split, x_split=1)
    np.testing.assert_array_equal(
        frames_written(config, writes),
        [chunks_of(wide, saturate(parted(frame, split), config.act_width)) for frame in frames])
    assert errors == 0


# The second of three frames of four beats: its beats with TLAST, and how many of its elements (of
# 15) are kept. Each is one error, and the third frame is clean.
BAD = {
    "early, first beat": ([0], [1], 4),
    "early, third beat": ([0, 1, 2], [0, 0, 1], 12),
    "late by one": ([0, 1, 2, 3, 0], [0, 0, 0, 0, 1], 15),
    "late by a frame": ([0, 1, 2, 3] * 2, [0, 0, 0, 0, 0, 0, 0, 1], 15),
    "missing, the next frame is lost": ([0, 1, 2, 3, 3, 2, 1, 0], [0] * 7 + [1], 15),
}


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("case", BAD)
def test_reader_recovers_from_tlast(case, flow):
    config = small()  # 15 elements, 4 beats of 4
    order, lasts, kept = BAD[case]
    frames = draw(np.random.default_rng(1), 8, (3, 15))
    words = beats_of(config, frames[1])
    bad = [(words[n], last) for n, last in zip(order, lasts, strict=True)]
    beats = good_beats(config, frames[0]) + bad + good_beats(config, frames[2])
    writes, errors, sent = read_frames(config, beats, flow=flow, stop=3)
    frames[1, kept:] = 0
    np.testing.assert_array_equal(frames_written(config, writes),
                                  [chunks_of(config, frame) for frame in frames])
    assert (errors, sent) == (1, len(beats))


def test_reader_survives_one_bad_frame_after_the_other():
    config = small()
    rng = np.random.default_rng(2)
    want, beats, bad = [], [], 0
    for n in range(12):
        frame = draw(rng, 8, 15)
        words = beats_of(config, frame)
        length = int(rng.choice([1, 2, 3, 4, 5, 7])) if n < 11 else 4
        beats += [(words[min(k, 3)], k == length - 1) for k in range(length)]
        frame[4 * length:] = 0
        want.append(chunks_of(config, frame))
        bad += length != 4
    writes, errors, _ = read_frames(config, beats, flow="both", stop=12)
    np.testing.assert_array_equal(frames_written(config, writes), want)
    assert errors == bad


def test_a_frame_of_one_beat_cannot_be_early():
    config = small(x_row=3, x_rows=1)
    frame = np.array([1, -2, 3])
    (word, _), = good_beats(config, frame)
    writes, errors, _ = read_frames(config, [(word, 0), (0, 0), (0, 1), (word, 1)],
                                    flow="full rate", stop=2)
    assert errors == 1 and [w for *_, w in writes] == [[1, -2, 3]] * 2


def test_reader_is_two_frames_ahead_at_most():
    config = small()
    frames = draw(np.random.default_rng(3), 8, (6, 15))
    beats = [beat for frame in frames for beat in good_beats(config, frame)]
    writes, errors, sent = read_frames(config, beats, flow="full rate", consume=False, cycles=200)
    assert len(writes) == 2 * config.x_depth and errors == 0
    # the gearbox holds further elements: less than two beats and a chunk
    assert 8 <= sent <= 8 + 3


def test_reader_takes_nothing_before_it_is_enabled():
    config = small()
    frame = draw(np.random.default_rng(4), 8, 15)
    writes, _, _ = read_frames(config, good_beats(config, frame), flow="full rate", stop=1,
                               enable_from=30)
    np.testing.assert_array_equal(frames_written(config, writes)[0], chunks_of(config, frame))


# ---- FrameWriter ---------------------------------------------------------------------------------


def write_frames(config, frames, *, flow, parts):
    """Play the lanes' part for ``frames`` (n, words, dies, simd); the beats (data, last).

    A word is written in ``parts`` writes, lane by lane, the last of which completes it. As the
    sequencer promises, no frame starts before the last but one has left.
    """
    dut: Any = FrameWriter(config)
    offers, takes = FLOW[flow]
    rng = np.random.default_rng(len(frames))
    jobs = []
    for n, frame in enumerate(frames):
        for word, elements in enumerate(frame):
            owner = rng.integers(0, parts, config.simd)
            for part in range(parts):
                mask = int((owner == part) @ (1 << np.arange(config.simd)))
                noise = draw(rng, config.act_width, elements.shape)
                data = np.where(owner == part, elements, noise)
                jobs.append((n, word, mask, data, part == parts - 1))
    chunks = [dut.write.data, *(dut.others if config.out_banks > 1 else ())]
    beats, left_count = [], 0

    async def bench(ctx):
        nonlocal left_count
        at, held = 0, None
        for _ in range(LIMIT):
            writes = at < len(jobs) and jobs[at][0] - left_count < 2 and rng.random() < offers
            if writes:
                n, word, mask, data, complete = jobs[at]
                ctx.set(dut.write.frame, n % 2)
                ctx.set(dut.write.chunk, word)
                for bank, chunk in enumerate(chunks):
                    ctx.set(chunk, data[bank].tolist())
                ctx.set(dut.write.lanes, mask)
                ctx.set(dut.write.complete, complete)
                at += 1
            else:
                ctx.set(dut.write.lanes, 0)
                ctx.set(dut.write.complete, 0)
            taking = rng.random() < takes
            ctx.set(dut.beats.ready, taking)
            _, _, valid, data, last, left = await ctx.tick().sample(
                dut.beats.valid, dut.beats.payload.data, dut.beats.payload.last, dut.left)
            assert held is None or (valid and (data, last) == held), "a beat on offer changed"
            held = (data, last) if valid and not taking else None
            left_count += left
            if valid and taking:
                beats.append((data, last))
            if len(beats) == len(frames) * config.out_beats:
                assert left_count == len(frames)
                return
        raise AssertionError(f"deadlock after {len(beats)} beats")

    simulate(dut, bench)
    return beats


# beat, out_row, out_rows, simd, container, act_width
WRITERS = [(4, 4, 2, 3, 8, 8), (1, 3, 2, 2, 16, 12), (8, 2, 5, 4, 8, 4), (2, 7, 1, 3, 32, 18),
           (4, 1, 1, 1, 8, 8), (4, 1, 3, 5, 16, 16)]


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("dies", [1, 2, 3])
@pytest.mark.parametrize(("beat", "out_row", "out_rows", "simd", "container", "act_width"), WRITERS)
def test_writer(beat, out_row, out_rows, simd, container, act_width, dies, parts, flow):
    config = small(beat=beat, out_row=out_row, out_rows=out_rows, simd=simd, container=container,
                   act_width=act_width, pe=4 * dies, dies=dies)
    rng = np.random.default_rng(0)
    elements = draw(rng, act_width, (5, out_rows, out_row))
    words = draw(rng, act_width, (5, out_rows, config.out_words * dies * simd))  # behind it: noise
    words[:, :, :out_row] = elements
    got = write_frames(config, words.reshape(5, -1, dies, simd), flow=flow, parts=parts)
    # TLAST on the last beat of each frame only; elements sign-extended; zeros behind the frame
    assert [last for _, last in got] == ([0] * (config.out_beats - 1) + [1]) * 5
    padded = np.zeros((5, config.out_beats * beat), np.int64)
    padded[:, :out_row * out_rows] = elements.reshape(5, -1)
    words = [unpack(data, container, beat) for data, _ in got]
    np.testing.assert_array_equal(np.reshape(words, (5, -1)), padded)
