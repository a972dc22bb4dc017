"""Descriptors where memory answers at once: golden's bits in planned cycles, and broken reads."""

import numpy as np
import pytest

from gatefold.gen.host.config import host_config
from gatefold.gen.host.cycles import HostCycles
from gatefold.gen.plan import Array, make_plan
from gatefold.sim.golden import golden
from tests.hdl.host.test_host import frames, input_fracs
from tests.support.host_sim import REG, HostSim
from tests.support.networks import inputs, quantized

IN, OUT = 0x1000, 0x8000
SAMPLES = 3


def prepared(name, stream_bits, around, *, spoil=None):
    """A simulation, the planned cycles, and the frames of SAMPLES samples in and out, bytes."""
    qnet = quantized(name)
    plan = make_plan(qnet, Array(pe=8, simd=3, stream_bits=stream_bits))
    host = host_config(plan, **around)
    x = inputs(qnet, SAMPLES)
    y = golden(qnet, x)
    if host.float32:
        x, y = np.float32(x / 2.0 ** input_fracs(qnet)), np.float32(qnet.to_float(y))
    given, wanted = (
        [bytes.fromhex(frame) for frame in frames(values, host.container, host.constants[size])]
        for values, size in ((x, "IN_BYTES"), (y, "OUT_BYTES")))
    return HostSim(host, plan.images(), spoil=spoil), HostCycles(plan, host), given, wanted


async def warm_up(ctx, sim):
    """After a reset, a core takes its first frame some cycles later."""
    await ctx.tick().repeat(60)


#: network, stream bits, options of the hardware, (frames, words between OUT and a whole burst)
BATCHES = {
    "lstm": ("lstm-dense", 64, {}, [(1, 0), (2, 0), (3, 15)]),
    "several words a frame": ("every h", 32, {}, [(1, 0), (5, 0), (2, 3)]),
    "float32": ("lstm-dense", 32, {"float32": True}, [(1, 0), (4, 1)]),
    "results of several bursts": (((6,), ("D40",)), 32, {}, [(1, 0), (2, 0), (3, 5)]),
    "three engines": ("lstm-dense", 64, {"engines": 3}, [(1, 0), (2, 0), (3, 0), (7, 0)]),
}


@pytest.mark.parametrize("case", BATCHES)
def test_planned_cycles_of_batches(case):
    name, stream_bits, around, batches = BATCHES[case]
    sim, cycles, given, wanted = prepared(name, stream_bits, around)

    async def script(ctx):
        await warm_up(ctx, sim)
        for count, words in batches:
            samples = [n % SAMPLES for n in range(count)]
            at = OUT + words * sim.size
            sim.put(IN, b"".join(given[n] for n in samples))
            took = await sim.descriptor(ctx, IN_ADDR_LO=IN, OUT_ADDR_LO=at, FRAMES=count)
            want = b"".join(wanted[n] for n in samples)
            assert sim.get(at, len(want)) == want
            assert cycles.exact(count)
            assert took == cycles.frames(count, words_before=words), (count, words)
        assert await sim.read(ctx, REG["GF_ERROR"]) == 0

    sim.run(script)


def test_planned_cycles_of_the_window():
    sim, cycles, given, wanted = prepared("lstm-dense", 64, {})

    async def script(ctx):
        await warm_up(ctx, sim)
        for frame, want in zip(given, wanted, strict=True):
            for n in range(0, len(frame), 4):
                await sim.write(ctx, REG["GF_WINDOW_IN"] + n,
                                int.from_bytes(frame[n:n + 4], "little"))
            assert await sim.descriptor(ctx, FLAGS=REG["GF_FLAGS_WINDOW"], FRAMES=1) == (
                cycles.window)
            got = [await sim.read(ctx, REG["GF_WINDOW_OUT"] + n) for n in range(0, len(want), 4)]
            assert b"".join(word.to_bytes(4, "little") for word in got) == want
        assert not sim.memory

    sim.run(script)


def test_a_port_that_is_slower_than_the_engines_bounds_them():
    sim, cycles, given, wanted = prepared("dense only", 32, {"engines": 8})
    assert not cycles.keeps_up and not cycles.exact(40)

    async def script(ctx):
        await warm_up(ctx, sim)
        sim.put(IN, b"".join(given[n % SAMPLES] for n in range(40)))
        took = await sim.descriptor(ctx, IN_ADDR_LO=IN, OUT_ADDR_LO=OUT, FRAMES=40)
        want = b"".join(wanted[n % SAMPLES] for n in range(40))
        assert sim.get(OUT, len(want)) == want
        assert 40 * cycles.interval < took <= cycles.bound(40)

    sim.run(script)


#: What memory makes of a burst (words of data, response, last), and of which burst.
SPOILT = {
    "an error in the middle": lambda words: [(data, 2 if n == 1 else 0, last)
                                             for n, (data, _, last) in enumerate(words)],
    "cut short": lambda words: [*words[:-2], (*words[-2][:2], True)],
    "too long": lambda words: [*words[:-1], (*words[-1][:2], False), *words],
    "no end in sight": lambda words: [*((data, 0, False) for data, _, _ in words * 3), words[-1]],
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_broken_read_is_said_and_the_next_descriptor_is_right(case):
    sim, _, given, wanted = prepared(
        "dense only", 32, {}, spoil=lambda number, words:
        SPOILT[case](words) if number == 0 else words)

    async def script(ctx):
        sim.put(IN, b"".join(given))
        for errors in (REG["GF_ERROR_READ"], 0):
            await sim.descriptor(ctx, IN_ADDR_LO=IN, OUT_ADDR_LO=OUT, FRAMES=SAMPLES)
            assert await sim.read(ctx, REG["GF_ERROR"]) == errors
            await sim.write(ctx, REG["GF_ERROR"], errors)
        want = b"".join(wanted)
        assert sim.get(OUT, len(want)) == want

    sim.run(script)
