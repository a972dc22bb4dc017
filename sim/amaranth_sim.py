"""The Amaranth model in Amaranth's simulator: it plays the scenarios that the Verilog plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.sim import Simulator

from gatefold.gen.plan import Plan
from gatefold.hdl.core import Core
from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed, SimRun
from gatefold.sim.scenario import AFTER_CYCLES, DRAIN_CYCLES, RESET_CYCLES, Scenario
from gatefold.sim.trace import Beat, layer_values

__all__ = ["simulate", "simulate_plan"]

#: Cycles without any output beat after which a simulation is given up, in units of the latency.
_PATIENCE = 4


def simulate(directory: Path, info: CoreInfo, x: np.ndarray, scenario: Scenario) -> SimRun:
    """Play ``scenario`` on the core in ``directory``; its plan is computed from its integers."""
    from gatefold.gen.store.folder import load_plan

    return simulate_plan(load_plan(directory), info, x, scenario)


def simulate_plan(plan: Plan, info: CoreInfo, x: np.ndarray, scenario: Scenario) -> SimRun:
    """Play ``scenario`` on the core of ``plan``: x (samples, n_in) integers."""
    core, reset = Core(plan.config, plan.images()), Signal()
    beats = info.stream.pack(np.asarray(x)[list(scenario.frames)])
    frames = len(scenario.frames)
    first_in: list[int] = []
    last_out: list[int] = []
    out_beats: list[list[int]] = []
    results: list[Beat] = []
    errors: set[int] = set()  # values of frame_error: a reset in between would clear it
    clock = {"cycle": 0, "idle": 0}
    moved = {"in": 0, "out": 0}  # beats
    load = plan.images()["load"] if plan.config.loadable else []
    patience = 2 * len(load) + _PATIENCE * (info.latency + info.interval + int(
        max(scenario.gaps.max(initial=0), scenario.stalls.max(initial=0)))) + 1000
    states = [(core.trace.h[n], core.trace.c[n]) for n in range(plan.config.simd)]

    async def source(ctx):
        for n, frame in enumerate(beats):
            if n and scenario.isolated[n]:
                while len(last_out) < n:
                    await ctx.tick()
                await ctx.tick().repeat(DRAIN_CYCLES)
            if scenario.resets[n]:
                ctx.set(reset, 1)
                await ctx.tick().repeat(RESET_CYCLES)
                ctx.set(reset, 0)
            for b, word in enumerate(frame):
                gap = int(scenario.gaps[n, b])
                if gap:
                    await ctx.tick().repeat(gap)
                ctx.set(core.i.valid, 1)
                ctx.set(core.i.payload.data, word)
                ctx.set(core.i.payload.last, b == len(frame) - 1)
                if info.stateful:  # TUSER counts with a frame's first beat alone: wrong elsewhere
                    ctx.set(core.i.payload.first, (b == 0) == bool(scenario.fresh[n]))
                await ctx.tick().until(core.i.ready)
                ctx.set(core.i.valid, 0)

    async def sink(ctx):
        for n in range(frames):
            for b in range(info.beats_out):
                stall = int(scenario.stalls[n, b])
                if stall:
                    await ctx.tick().repeat(stall)
                ctx.set(core.o.ready, 1)
                await ctx.tick().until(core.o.valid)
                ctx.set(core.o.ready, 0)
        ctx.set(core.o.ready, 1)  # to see superfluous beats

    async def monitor(ctx):
        sampled = [core.i.valid & core.i.ready, core.o.valid & core.o.ready,
                   core.o.payload.data, core.o.payload.last, core.frame_error, core.trace.valid,
                   core.trace.lanes]
        trace = [Value.cast(signal) for pair in states for signal in pair]
        async for _, _, came, left, data, last, error, traced, which, *values in \
                ctx.tick().sample(*sampled, *trace):
            cycle = clock["cycle"]
            clock["cycle"] += 1
            errors.add(error)
            if came:
                if moved["in"] % info.beats_in == 0:
                    first_in.append(cycle)
                moved["in"] += 1
            if traced:
                results.append((which, values))
            clock["idle"] += 1
            if left:
                clock["idle"] = 0
                if moved["out"] % info.beats_out == 0:
                    out_beats.append([])
                out_beats[-1].append(data)
                moved["out"] += 1
                at_end = moved["out"] % info.beats_out == 0
                if bool(last) != at_end:
                    raise CheckFailed(f"TLAST is {last} on output beat {moved['out'] - 1}")
                if at_end:
                    last_out.append(cycle)
            done = len(last_out) >= frames and clock["idle"] > AFTER_CYCLES
            if done or clock["idle"] > patience:
                return

    async def loader(ctx):
        for n, word in enumerate(load):
            ctx.set(core.load.valid, 1)
            ctx.set(core.load.payload.data, word)
            ctx.set(core.load.payload.last, n == len(load) - 1)
            await ctx.tick().until(core.load.ready)
        ctx.set(core.load.valid, 0)

    simulator = Simulator(ResetInserter(reset)(core))
    simulator.add_clock(1e-6)
    if load:
        simulator.add_testbench(loader, background=True)
    simulator.add_testbench(source, background=True)
    simulator.add_testbench(sink, background=True)
    simulator.add_testbench(monitor)
    simulator.run()
    if len(last_out) < frames:
        raise CheckFailed(f"{scenario.name}: no output for {patience} cycles after "
                          f"{len(last_out)} of {frames} frames")
    if moved["out"] != frames * info.beats_out:
        raise CheckFailed(f"{scenario.name}: {moved['out']} beats came out for {frames} frames of "
                          f"{info.beats_out}")
    try:
        outputs = np.array([info.stream.unpack(frame, info.n_out) for frame in out_beats])
    except ValueError as error:
        raise CheckFailed(f"{scenario.name}: {error}") from None
    return SimRun(
        outputs=outputs,
        first_in=np.array(first_in[:frames]), last_out=np.array(last_out),
        trace=layer_values(results, info, frames, scenario.name), cycles=clock["cycle"],
        frame_error=1 in errors)
