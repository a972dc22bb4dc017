"""The Amaranth model in Amaranth's simulator: it plays the scenarios that the Verilog plays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Const, ResetInserter, Signal, Value
from amaranth.sim import Simulator

from gatefold.gen.plan import Plan
from gatefold.hdl.core import Core
from gatefold.sim.core_info import CoreInfo
from gatefold.sim.observed import Observed
from gatefold.sim.results import SimRun
from gatefold.sim.scenario import AFTER_CYCLES, DRAIN_CYCLES, RESET_CYCLES, Scenario

__all__ = ["simulate", "simulate_plan"]

#: Cycles without any output beat after which a simulation is given up, in units of the latency.
_PATIENCE = 4


def simulate(directory: Path, info: CoreInfo, x: np.ndarray, scenario: Scenario) -> SimRun:
    """Play ``scenario`` on the core in ``directory``; its plan is computed from its integers."""
    from gatefold.gen.store.folder import load_plan

    return simulate_plan(load_plan(directory), info, x, scenario)


def simulate_plan(plan: Plan, info: CoreInfo, x: np.ndarray, scenario: Scenario) -> SimRun:
    """Play ``scenario`` on the core of ``plan``: x (samples, n_in) integers. No load begins
    while frames are under way."""
    core, reset = Core(plan.config, plan.images()), Signal()
    seen, flow = Observed(info, scenario), _Flow()
    load = plan.images()["load"] if plan.config.loadable else []
    patience = 4 * len(load) + _PATIENCE * (info.latency + info.interval + int(
        max(scenario.gaps.max(initial=0), scenario.stalls.max(initial=0)))) + 1000
    states = list(zip(core.trace.h, core.trace.c, strict=True))

    async def source(ctx):
        for beat in scenario.beats(info, x):
            if beat.isolated:
                while seen.frames_out < flow.sent:
                    await ctx.tick()
                await ctx.tick().repeat(DRAIN_CYCLES)
            if beat.gap:
                await ctx.tick().repeat(beat.gap)
            if beat.reset:
                ctx.set(reset, 1)
                await ctx.tick().repeat(RESET_CYCLES)
                ctx.set(reset, 0)
                await send(ctx, load)
            ctx.set(core.i.valid, 1)
            offer(ctx, beat.data, beat.last, beat.user)
            await ctx.tick().until(core.i.ready)
            ctx.set(core.i.valid, 0)
            offer(ctx, ~beat.data, not beat.last, not beat.user)  # which means nothing now
            flow.sent += beat.last
        flow.ends = True

    def offer(ctx, word, last, user):
        ctx.set(core.i.payload.data, word)
        ctx.set(core.i.payload.last, last)
        if info.stateful:
            ctx.set(core.i.payload.first, user)

    async def sink(ctx):
        for stall in scenario.stalls.reshape(-1).tolist():
            if stall:
                await ctx.tick().repeat(stall)
            ctx.set(core.o.ready, 1)
            taken = False
            while not taken:  # tick().until() cannot be left where a reset took the last frames
                *_, taken = await ctx.tick().sample(core.o.valid)
            ctx.set(core.o.ready, 0)
        ctx.set(core.o.ready, 1)  # to see superfluous beats

    async def monitor(ctx):
        sampled = [reset, core.i.valid & core.i.ready, core.i.payload.last, core.o.valid,
                   core.o.ready, core.o.payload.data, core.o.payload.last, core.frame_error,
                   core.load_error if load else Const(0), core.trace.valid, core.trace.lanes,
                   core.trace.summed]
        trace = [Value.cast(signal) for pair in states for signal in pair]
        sums = [Value.cast(row) for rows in core.trace.sums for row in rows
                ] if scenario.sums else []
        resetting, inside, held, cycle, quiet = 0, False, None, 0, 0
        async for _, _, rst, came, ends, valid, ready, data, last, error, bad_load, traced, which, \
                summed, *values in ctx.tick().sample(*sampled, *trace, *sums):
            if rst and not resetting:
                seen.reset(bool(error), bool(bad_load), flow.load_wrong)
                flow.sent, flow.load_wrong, inside = 0, False, False
            resetting = rst
            if not rst:
                if held and held != (valid, data, last):
                    seen.unstable(cycle, str(valid))
                held = (valid, data, last) if valid and not ready else None
                if came:
                    if not inside:
                        seen.first_in.append(cycle)
                    inside = not ends
                if traced:
                    seen.result(which, " ".join(map(str, values[:len(trace)])))
                if summed and sums:
                    seen.sums(" ".join(map(str, values[len(trace):])))
                if valid and ready:
                    seen.output(cycle, last, data, "")
                quiet = 0 if came or (valid and ready) else quiet + 1
            else:
                held = None
            cycle += 1
            if flow.ends and seen.frames_out >= flow.sent and quiet >= AFTER_CYCLES:
                seen.reset(bool(error), bool(bad_load), flow.load_wrong)
                flow.cycles = cycle
                return
            if quiet > patience:
                seen.hang(cycle)

    async def loader(ctx):
        wrong = [load[:len(load) // 2 + 1], [*load, 0]] if scenario.loads else []
        flow.load_wrong = bool(wrong)
        for words in (*wrong, load):
            await send(ctx, words)

    async def send(ctx, words):
        for n, word in enumerate(words):
            ctx.set(core.load.valid, 1)
            ctx.set(core.load.payload.data, word)
            ctx.set(core.load.payload.last, n == len(words) - 1)
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
    return seen.run(flow.cycles)


@dataclass
class _Flow:
    """How far a run is: frames ``sent`` since the last reset, whether there was a wrong load since
    then, whether all frames are sent (``ends``), and the ``cycles`` that it took in the end."""

    sent: int = 0
    load_wrong: bool = False
    ends: bool = False
    cycles: int = 0
