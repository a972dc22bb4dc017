"""A memory that stops answering, and a program that aborts: every descriptor ends, the master keeps
to AXI, and the next frames are right once memory answers."""

import zlib

import pytest

from gatefold.gen.host.config import host_config
from gatefold.gen.plan import Array, make_plan
from gatefold.hdl.host.watchdog import Watchdog
from tests.hdl.host.test_cycles import IN, OUT, prepared, warm_up
from tests.support.hdl_harness import simulate
from tests.support.host_sim import REG, HostSim
from tests.support.networks import quantized

PATIENCE = 100
ALL = {"ar", "r", "aw", "w", "b"}
NO_ANSWER, ABORTED = REG["GF_ERROR_NO_ANSWER"], REG["GF_ERROR_ABORTED"]

#: Cycles after the start, and the channels at which nothing moves from then on.
STOPS = [(0, ALL), (4, {"ar"}), (14, {"r"}), (20, {"r"}), (0, {"aw"}), (50, {"w"}), (0, {"b"}),
         (50, ALL)]


async def errors(ctx, sim):
    found = await sim.read(ctx, REG["GF_ERROR"])
    await sim.write(ctx, REG["GF_ERROR"], found)
    return found


def test_a_memory_that_stops_answering():
    sim, _, given, wanted = prepared("dense only", 32, {})
    given, wanted = given * 8, wanted * 8
    batch = {"IN_ADDR_LO": IN, "OUT_ADDR_LO": OUT, "FRAMES": len(given)}

    async def script(ctx):
        await warm_up(ctx, sim)
        await sim.write(ctx, REG["GF_WATCHDOG"], PATIENCE)
        sim.put(IN, b"".join(given))
        for cycles, channels in STOPS:
            await sim.start(ctx, **batch)
            await ctx.tick().repeat(cycles or 1)
            sim.stopped = channels
            for _ in range(2):  # the one under way, and one that finds memory like that
                await sim.end(ctx)
                assert await errors(ctx, sim) == NO_ANSWER, (cycles, channels)
                assert await sim.read(ctx, REG["GF_ABORT"]) == 1
                await sim.start(ctx, **batch)
            sim.stopped = set()  # in time for the third
            await sim.end(ctx)
            assert await errors(ctx, sim) == 0, (cycles, channels)
            want = b"".join(wanted)
            assert sim.get(OUT, len(want)) == want, (cycles, channels)
            assert await sim.read(ctx, REG["GF_ABORT"]) == 0
            sim.put(OUT, bytes(len(want)))

    sim.run(script)


@pytest.mark.parametrize("cycles", [1, 2, 3, 4, 40])
def test_an_abort(cycles):
    """Of a load of weights: the core has none then. Frames that wait meanwhile are refused."""
    plan = make_plan(quantized("dense only"), Array(pe=8, simd=3, stream_bits=32), loadable=True)
    host = host_config(plan)
    sim = HostSim(host)
    image = b"".join(word.to_bytes(4, "little") for word in plan.images()["load"])
    load = {"IN_ADDR_LO": IN, "FLAGS": REG["GF_FLAGS_WEIGHTS"], "WEIGHTS_BYTES": len(image),
            "WEIGHTS_CRC": zlib.crc32(image)}

    async def script(ctx):
        await warm_up(ctx, sim)
        sim.put(IN, image)
        await sim.start(ctx, **load)
        await ctx.tick().repeat(cycles)
        await sim.write(ctx, REG["GF_ABORT"], 1)
        await sim.end(ctx)
        assert await errors(ctx, sim) == ABORTED
        assert not await sim.read(ctx, REG["GF_STATUS"]) & REG["GF_STATUS_LOADED"]
        await sim.descriptor(ctx, **load)
        assert await errors(ctx, sim) == 0
        assert await sim.read(ctx, REG["GF_STATUS"]) & REG["GF_STATUS_LOADED"]

    sim.run(script)


@pytest.mark.parametrize("patience", [0, 1, 2, 5])
def test_the_watchdog_counts_from_the_last_transfer(patience):
    dut = Watchdog()
    expired = []

    async def bench(ctx):
        ctx.set(dut.patience, patience)
        await ctx.tick()
        for cycle in range(20):
            ctx.set(dut.owes, cycle >= 2)
            ctx.set(dut.moves, cycle == 4)
            _, _, now = await ctx.tick().sample(dut.expires)
            expired.extend([cycle] * now)

    simulate(dut, bench)
    first = [cycle for cycle in range(2, 4) if patience == 1 or (patience == 2 and cycle == 3)]
    later = range(4 + patience, 20, patience) if patience else []
    assert expired == [*first, *later]
