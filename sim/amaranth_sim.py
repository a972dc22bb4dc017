"""The Amaranth model in Amaranth's simulator: it plays the scenarios that the Verilog plays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Const, ResetInserter, Signal, Value
from amaranth.sim import Simulator

from gatefold.gen.plan import Plan
from gatefold.hdl.core import Core
from gatefold.sim.core_info import CoreInfo
from gatefold.sim.observed import Observed
from gatefold.sim.results import SimRun
from gatefold.sim.scenario import AFTER_CYCLES, DRAIN_CYCLES, Scenario

__all__ = ["AmaranthCore"]

#: Cycles without any output beat after which a simulation is given up, in units of the latency.
_PATIENCE = 4


@dataclass
class _Run:
    """What is played, what was ``seen``, and how far it is: frames ``sent`` since the last reset,
    whether there was a wrong load since then, whether the first weights are loaded (``opened``),
    whether all frames are sent (``ends``), and the ``cycles`` that it took in the end."""

    x: np.ndarray
    scenario: Scenario
    seen: Observed
    sent: int = 0
    load_wrong: bool = False
    opened: bool = False
    ends: bool = False
    cycles: int = 0


class AmaranthCore:
    """The core of a plan in Amaranth's simulator, made once; it plays any number of scenarios.

    Parameters: ``plan``, and ``info`` of its core.json.
    """

    def __init__(self, plan: Plan, info: CoreInfo):
        images = plan.images()
        self._info = info
        self._run: Any = None  # a _Run, once there is one
        self._core, self._reset = Core(plan.config, images), Signal()
        self._load = images["load"] if plan.config.loadable else []
        self._simulator = Simulator(ResetInserter(self._reset)(self._core))
        self._simulator.add_clock(1e-6)
        if self._load:
            self._simulator.add_testbench(self._loader, background=True)
        self._simulator.add_testbench(self._source, background=True)
        self._simulator.add_testbench(self._sink, background=True)
        self._simulator.add_testbench(self._monitor)

    @classmethod
    def of(cls, directory: Path, info: CoreInfo) -> AmaranthCore:
        """The core in ``directory``; its plan is computed from its integers."""
        from gatefold.gen.store.folder import load_plan

        return cls(load_plan(directory), info)

    def simulate(self, x: np.ndarray, scenario: Scenario) -> SimRun:
        """Play ``scenario``: x (samples, n_in) integers. No load begins while frames are under
        way."""
        if self._run:
            self._simulator.reset()
        self._run = _Run(x, scenario, Observed(self._info, scenario))
        self._simulator.run()
        return self._run.seen.run(self._run.cycles)

    async def _source(self, ctx):
        run, core = self._run, self._core
        for beat in run.scenario.beats(self._info, run.x):
            if beat.isolated:
                while run.seen.frames_out < run.sent:
                    await ctx.tick()
                await ctx.tick().repeat(DRAIN_CYCLES)
            if beat.gap:
                await ctx.tick().repeat(beat.gap)
            if beat.reset:
                ctx.set(self._reset, 1)
                await ctx.tick()
                ctx.set(self._reset, 0)
                await self._send(ctx, self._load)
            ctx.set(core.i.valid, 1)
            self._offer(ctx, beat.data, beat.last, beat.user)
            await ctx.tick().until(core.i.ready)
            ctx.set(core.i.valid, 0)
            self._offer(ctx, ~beat.data, not beat.last, not beat.user)  # which means nothing now
            run.sent += beat.last
        run.ends = True

    def _offer(self, ctx, word, last, user):
        ctx.set(self._core.i.payload.data, word)
        ctx.set(self._core.i.payload.last, last)
        if self._info.stateful:
            ctx.set(self._core.i.payload.first, user)

    async def _sink(self, ctx):
        o = self._core.o
        while self._load and not self._run.opened:  # a load is no stall
            await ctx.tick()
        for stall in self._run.scenario.stalls.reshape(-1).tolist():
            if stall:
                await ctx.tick().repeat(stall)
            ctx.set(o.ready, 1)
            taken = False
            while not taken:  # tick().until() cannot be left where a reset took the last frames
                *_, taken = await ctx.tick().sample(o.valid)
            ctx.set(o.ready, 0)
        ctx.set(o.ready, 1)  # to see superfluous beats

    async def _loader(self, ctx):
        load = self._load
        wrong = [load[:len(load) // 2 + 1], [*load, 0]] if self._run.scenario.loads else []
        self._run.load_wrong = bool(wrong)
        for words in (*wrong, load):
            await self._send(ctx, words)
        self._run.opened = True

    async def _send(self, ctx, words):
        for n, word in enumerate(words):
            load = self._core.load
            ctx.set(load.valid, 1)
            ctx.set(load.payload.data, word)
            ctx.set(load.payload.last, n == len(words) - 1)
            await ctx.tick().until(load.ready)
            ctx.set(load.valid, 0)

    async def _monitor(self, ctx):
        run, core = self._run, self._core
        seen, patience = run.seen, self._patience(run.scenario)
        sampled = [self._reset, core.i.valid & core.i.ready, core.i.payload.last, core.o.valid,
                   core.o.ready, core.o.payload.data, core.o.payload.last, core.frame_error,
                   core.load_error if self._load else Const(0), core.trace.valid, core.trace.lanes,
                   core.trace.summed]
        trace = [Value.cast(signal) for pair in zip(core.trace.h, core.trace.c, strict=True)
                 for signal in pair]
        sums = [Value.cast(row) for rows in core.trace.sums for row in rows
                ] if run.scenario.sums else []
        resetting, inside, held, cycle, quiet = 0, False, None, 0, 0
        async for _, _, rst, came, ends, valid, ready, data, last, error, bad_load, traced, which, \
                summed, *values in ctx.tick().sample(*sampled, *trace, *sums):
            if rst and not resetting:
                seen.reset(bool(error), bool(bad_load), run.load_wrong)
                run.sent, run.load_wrong, inside = 0, False, False
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
            if run.ends and seen.frames_out >= run.sent and quiet >= AFTER_CYCLES:
                seen.reset(bool(error), bool(bad_load), run.load_wrong)
                run.cycles = cycle
                return
            if quiet > patience:
                seen.hang(cycle)

    def _patience(self, scenario: Scenario) -> int:
        """Cycles without any beat after which the simulation is given up."""
        longest = int(max(scenario.gaps.max(initial=0), scenario.stalls.max(initial=0)))
        return (4 * len(self._load)
                + _PATIENCE * (self._info.latency + self._info.interval + longest) + 1000)
