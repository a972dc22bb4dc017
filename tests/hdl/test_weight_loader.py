"""Weights loaded at run time: the loader's protocol, and whole loadable cores against golden."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from gatefold.gen.plan import Array, make_plan
from gatefold.hdl.core import Core
from gatefold.sim.amaranth_sim import AmaranthCore
from gatefold.sim.expected import expectation
from gatefold.sim.golden import golden
from gatefold.sim.scenario import full_rate, random_flow
from gatefold.sim.verify import check_run
from tests.hdl.test_core import core_info
from tests.support.hdl_harness import simulator
from tests.support.networks import inputs, quantized

# pe, simd, stream bits, rows in UltraRAM and in LUTs: beats smaller and larger than a word
PLACES = [(8, 3, 32, 0, 0), (8, 3, 32, 8, 0), (12, 2, 128, 5, 4), (4, 1, 16, 1, 1)]


def loadable(name, pe, simd, stream_bits, uram_rows, lut_rows):
    return make_plan(quantized(name), Array(pe=pe, simd=simd, stream_bits=stream_bits),
                     loadable=True, uram_rows=uram_rows, lut_rows=lut_rows)


def two_trainings():
    """Plans of one core for two sets of weights."""
    first = loadable("lstm-dense", 8, 2, 32, 3, 0)
    trained = first.qnet
    layer = trained.layers[0]
    return first, first.retrained(replace(trained, layers=(
        replace(layer, w_hh=-layer.w_hh // 2), *trained.layers[1:])))


@pytest.mark.parametrize(("name", "place"), [
    *((name, place) for name in ("stack", "dense only") for place in PLACES),
    ("stateful gru", PLACES[2]), ("conv, conv, lstm", PLACES[0])], ids=str)
def test_a_loaded_core_equals_golden_to_the_cycle(name, place):
    plan = loadable(name, *place)
    info, qnet = core_info(plan), plan.qnet
    x, core = inputs(qnet, 3), AmaranthCore(plan, info)
    for scenario in (full_rate(info, 3), random_flow(info, 3)):
        run = core.simulate(x.reshape(3, -1), scenario)
        check_run(run, info, scenario, expectation(qnet, x))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_image_has_the_beats_that_the_loader_counts(place):
    plan = loadable("stack", *place)
    assert len(plan.images()["load"]) == plan.config.load_beats


def test_a_core_that_brings_its_weights_along_has_no_load():
    plan = make_plan(quantized("stack"), Array(pe=8, simd=3))
    assert plan.config.load_beats == 0 and "load" not in plan.images()


def test_ultraram_implies_loading():
    config = make_plan(quantized("stack"), Array(pe=8, simd=3)).config
    with pytest.raises(ValueError, match="uram_rows needs loadable"):
        replace(config, uram_rows=1)


def play(plan, script, reset=None):
    """Run ``script(ctx, core, send, frame)`` on a loadable core; ``reset`` resets it."""
    core = Core(plan.config, plan.images())
    info = core_info(plan)

    async def send(ctx, words, last_at):
        for n, word in enumerate(words):
            ctx.set(core.load.valid, 1)
            ctx.set(core.load.payload.data, word)
            ctx.set(core.load.payload.last, n == last_at)
            await ctx.tick().until(core.load.ready)
        ctx.set(core.load.valid, 0)

    async def frame(ctx, values):
        beats = info.stream.pack(values.reshape(1, -1))[0]
        for n, word in enumerate(beats):
            ctx.set(core.i.valid, 1)
            ctx.set(core.i.payload.data, word)
            ctx.set(core.i.payload.last, n == len(beats) - 1)
            await ctx.tick().until(core.i.ready)
        ctx.set(core.i.valid, 0)
        got = []
        ctx.set(core.o.ready, 1)
        while len(got) < info.beats_out:
            (data,) = await ctx.tick().sample(core.o.payload.data).until(core.o.valid)
            got.append(data)
        return info.stream.unpack(got, info.n_out)

    async def bench(ctx):
        await script(ctx, core, send, frame)

    run = simulator(core if reset is None else ResetInserter(reset)(core))
    run.add_testbench(bench)
    run.run()


def test_another_training_is_loaded_between_frames():
    first, second = two_trainings()
    x = inputs(first.qnet, 2)

    async def script(ctx, core, send, frame):
        for plan, sample in ((first, 0), (second, 1), (second, 0)):
            words = plan.images()["load"]
            await send(ctx, words, len(words) - 1)
            want = golden(plan.qnet, x[sample:sample + 1]).reshape(-1)
            np.testing.assert_array_equal(await frame(ctx, x[sample]), want)
        assert not ctx.get(core.load_error)

    play(first, script)


@pytest.mark.parametrize("wrong", ["early", "late"])
def test_a_wrong_tlast_is_reported_and_the_next_load_is_clean(wrong):
    plan = loadable("lstm-dense", 8, 2, 32, 3, 0)
    words = plan.images()["load"]
    x = inputs(plan.qnet, 1)

    async def script(ctx, core, send, frame):
        if wrong == "early":
            await send(ctx, words[:5], 4)
        else:
            await send(ctx, [*words, 1, 2, 3], len(words) + 2)
        await ctx.tick()
        assert ctx.get(core.load_error) and not ctx.get(core.i.ready)
        await send(ctx, words, len(words) - 1)
        np.testing.assert_array_equal(await frame(ctx, x[0]),
                                      golden(plan.qnet, x).reshape(-1))

    play(plan, script)


def test_no_load_begins_while_a_frame_is_under_way():
    plan = loadable("lstm-dense", 8, 2, 32, 3, 0)
    words = plan.images()["load"]
    x = inputs(plan.qnet, 1)

    async def script(ctx, core, send, frame):
        await send(ctx, words, len(words) - 1)
        await ctx.tick()
        beats = core_info(plan).stream.pack(x.reshape(1, -1))[0]
        for n, word in enumerate(beats):
            ctx.set(core.i.valid, 1)
            ctx.set(core.i.payload.data, word)
            ctx.set(core.i.payload.last, n == len(beats) - 1)
            await ctx.tick().until(core.i.ready)
            assert not ctx.get(core.load.ready)
            ctx.set(core.load.valid, 1)  # on offer from now on
        ctx.set(core.i.valid, 0)
        for _ in range(3 * plan.cycles.latency):
            await ctx.tick()
            assert not ctx.get(core.load.ready)  # the result has not been taken
        ctx.set(core.o.ready, 1)
        await ctx.tick().repeat(4)
        assert ctx.get(core.load.ready)

    play(plan, script)


def test_loads_and_frames_take_turns_where_both_are_always_on_offer():
    plan = loadable("lstm-dense", 8, 2, 32, 3, 0)
    words, x = plan.images()["load"], inputs(plan.qnet, 1)
    beats = core_info(plan).stream.pack(x.reshape(1, -1))[0]
    turns = []  # "load" or "frame", as each has gone in

    async def script(ctx, core, send, frame):
        ctx.set(core.o.ready, 1)
        streams = ((core.i, beats, "frame"), (core.load, words, "load"))
        moved = {"frame": 0, "load": 0}
        while len(turns) < 12:
            for port, sent, name in streams:
                ctx.set(port.valid, 1)
                ctx.set(port.payload.data, sent[moved[name]])
                ctx.set(port.payload.last, moved[name] == len(sent) - 1)
            _, _, *ready = await ctx.tick().sample(core.i.ready, core.load.ready)
            for taken, (_, sent, name) in zip(ready, streams, strict=True):
                moved[name] += taken
                if moved[name] == len(sent):
                    turns.append(name)
                    moved[name] = 0

    play(plan, script)
    assert turns == ["load", "frame"] * 6


def test_after_a_reset_the_core_waits_for_its_weights():
    plan = loadable("lstm-dense", 8, 2, 32, 3, 0)
    words, x = plan.images()["load"], inputs(plan.qnet, 1)

    async def script(ctx, core, send, frame):
        for _ in range(2):
            await send(ctx, words, len(words) - 1)
            np.testing.assert_array_equal(await frame(ctx, x[0]),
                                          golden(plan.qnet, x).reshape(-1))
            ctx.set(core.i.valid, 1)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await ctx.tick().repeat(20)
            assert not ctx.get(core.i.ready) and ctx.get(core.load.ready)
            ctx.set(core.i.valid, 0)

    reset = Signal()
    play(plan, script, reset)


@pytest.mark.parametrize("lead", range(-4, 5))
def test_a_frame_and_a_load_that_meet_never_overlap(lead):
    # Both on offer, the load `lead` cycles later than the frame: one is done before the other.
    first, second = two_trainings()
    words, again = first.images()["load"], second.images()["load"]
    x = inputs(first.qnet, 1)
    info = core_info(first)
    beats = info.stream.pack(x.reshape(1, -1))[0]

    async def script(ctx, core, send, frame):
        await send(ctx, words, len(words) - 1)
        await ctx.tick().repeat(10)
        ctx.set(core.o.ready, 1)
        read, loaded, got, ended = [], [], [], 0  # read, loaded: when each beat moved
        streams = ((max(0, -lead), core.i, beats, read), (max(0, lead), core.load, again, loaded))
        for cycle in range(20 + len(again) + 3 * first.cycles.latency):
            offered = [cycle >= begin and len(moved) < len(sent)
                       for begin, _, sent, moved in streams]
            for offers, (_, port, sent, moved) in zip(offered, streams, strict=True):
                ctx.set(port.valid, offers)
                if offers:
                    ctx.set(port.payload.data, sent[len(moved)])
                    ctx.set(port.payload.last, len(moved) == len(sent) - 1)
            _, _, *ready, valid, data = await ctx.tick().sample(
                core.i.ready, core.load.ready, core.o.valid, core.o.payload.data)
            for taken, offers, (*_, moved) in zip(ready, offered, streams, strict=True):
                moved += [cycle] * (taken and offers)
            if valid:
                got.append(data)
                ended = cycle
        assert len(read) == len(beats) and len(loaded) == len(again)
        frame_first = read[0] < loaded[0]
        assert ended < loaded[0] if frame_first else loaded[-1] < read[0]
        assert frame_first == (lead > -1)  # whoever comes first; a frame if both do
        want = golden((first if frame_first else second).qnet, x).reshape(-1)
        np.testing.assert_array_equal(info.stream.unpack(got, info.n_out), want)
        assert not ctx.get(core.load_error)

    play(first, script)


@pytest.mark.parametrize("frames", [15, 16, 17, 40])
def test_no_load_begins_while_many_small_frames_are_under_way(frames):
    # Frames of one element: with the output blocked, the core holds more than 16 of them.
    plan = make_plan(quantized("dense one to one"), Array(pe=4, simd=2, stream_bits=128),
                     loadable=True)
    words = plan.images()["load"]

    async def script(ctx, core, send, frame):
        await send(ctx, words, len(words) - 1)
        ctx.set(core.i.payload.last, 1)
        ctx.set(core.i.valid, 1)
        begun = 0
        for _ in range(200):
            *_, taken = await ctx.tick().sample(core.i.ready)
            begun += taken
            if begun == frames:
                break
        ctx.set(core.i.valid, 0)
        assert begun >= min(frames, 17)
        ctx.set(core.load.valid, 1)  # on offer from now on
        ctx.set(core.o.ready, 1)
        while begun:
            *_, given, loads = await ctx.tick().sample(core.o.valid, core.load.ready)
            assert not loads
            begun -= given
        await ctx.tick().repeat(4)
        assert ctx.get(core.load.ready)

    play(plan, script)
