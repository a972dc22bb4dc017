"""A core inside an Amaranth design, between a stream processor before it and one behind it.

::

    samples (12 bits) -> Scaler -> core: LSTM, Dense -> Threshold -> alarms (a bit a frame)

Run it: ``python detector.py`` simulates the design and compares it with the reference model;
``python detector.py design.v`` writes it as Verilog.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

import gatefold as gf

BITS, FEATURES, TIMESTEPS = 12, 2, 6
Sample = data.ArrayLayout(signed(BITS), FEATURES)  #: what the sensor gives at a timestep


class Scaler(wiring.Component):
    """Samples become beats of the core: offset removed, sign extended, the last of a frame marked.

    No cycle of its own: a beat is there in the cycle of its sample.

    Members
    -------
    i: In, stream of samples. o: Out, stream of the core's beats.
    """

    def __init__(self, beats: stream.Signature, *, offset: int, container: int):
        self.offset, self.container = offset, container
        super().__init__({"i": In(stream.Signature(Sample)), "o": Out(beats)})

    def elaborate(self, platform):
        m = Module()
        step = Signal(range(TIMESTEPS))
        last = step == TIMESTEPS - 1
        elements = [Signal(signed(self.container), name=f"element_{n}") for n in range(FEATURES)]
        m.d.comb += [
            *(element.eq(self.i.payload[n] - self.offset) for n, element in enumerate(elements)),
            self.o.payload.data.eq(Cat(*elements)), self.o.payload.last.eq(last),
            self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
        with m.If(self.i.valid & self.o.ready):
            m.d.sync += step.eq(Mux(last, 0, step + 1))
        return m


class Threshold(wiring.Component):
    """A result becomes an alarm where it is above ``level``, in the core's integers.

    Members
    -------
    i: In, stream of the core's beats, one a frame. o: Out, stream of bits.
    """

    def __init__(self, beats: stream.Signature, *, level: int, container: int):
        self.level, self.container = level, container
        super().__init__({"i": In(beats), "o": Out(stream.Signature(1))})

    def elaborate(self, platform):
        m = Module()
        result = self.i.payload.data[:self.container].as_signed()
        m.d.comb += [self.o.payload.eq(result > self.level), self.o.valid.eq(self.i.valid),
                     self.i.ready.eq(self.o.ready)]
        return m


class Detector(wiring.Component):
    """Samples in, alarms out."""

    def __init__(self, core: gf.Core, *, offset: int, level: int):
        self.core, self.offset, self.level = core, offset, level
        super().__init__({"i": In(stream.Signature(Sample)), "o": Out(stream.Signature(1))})

    def elaborate(self, platform):
        m = Module()
        container = self.core.plan.config.container
        m.submodules.core = core = self.core.component()
        m.submodules.before = before = Scaler(
            core.i.signature.flip(), offset=self.offset, container=container)
        m.submodules.behind = behind = Threshold(
            core.o.signature, level=self.level, container=container)
        connect(m, flipped(self.i), before.i)
        connect(m, before.o, core.i)
        connect(m, core.o, behind.i)
        connect(m, behind.o, flipped(self.o))
        return m


def detector(frames: np.ndarray, offset: int) -> Detector:
    """A detector whose core has random weights and formats for these frames, integers (frames,
    timesteps, features); its level is the median of their results."""
    network = gf.initialise(units=4, features=FEATURES, timesteps=TIMESTEPS, dense=1)
    scale = 2.0 ** -(BITS - 1)
    core = gf.compile(network, calibrate=(frames - offset) * scale, pe=8, simd=2, port="32",
                      overrides={"input": {"x": f"Q{17 - BITS}.{BITS - 1}"}})
    results = core.run(frames - offset, raw=True)
    return Detector(core, offset=offset, level=int(np.median(results)))


def simulate(design: Detector, frames: np.ndarray) -> list[int]:
    """The alarms of Amaranth's simulator, one a frame; the sensor pauses, the consumer stalls."""
    alarms: list[int] = []
    rng = np.random.default_rng(1)

    async def sensor(ctx):
        for sample in frames.reshape(-1, FEATURES).tolist():
            await ctx.tick().repeat(int(rng.integers(1, 4)))
            ctx.set(design.i.payload, sample)
            ctx.set(design.i.valid, 1)
            await ctx.tick().until(design.i.ready)
            ctx.set(design.i.valid, 0)

    async def consumer(ctx):
        for _ in frames:
            await ctx.tick().repeat(int(rng.integers(1, 9)))
            ctx.set(design.o.ready, 1)
            alarm, = await ctx.tick().sample(design.o.payload).until(design.o.valid)
            ctx.set(design.o.ready, 0)
            alarms.append(alarm)

    simulator = Simulator(design)
    simulator.add_clock(1e-8)
    simulator.add_testbench(sensor, background=True)
    simulator.add_testbench(consumer)
    simulator.run()
    return alarms


def main() -> None:
    """Simulate, compare, and write the Verilog if a name is given."""
    offset = 100
    frames = np.random.default_rng(0).integers(-1000, 1000, (12, TIMESTEPS, FEATURES)) + offset
    design = detector(frames, offset)
    expected = design.core.run(frames - offset, raw=True)[:, 0] > design.level
    alarms = simulate(design, frames)
    print("alarms  ", *alarms)
    print("expected", *expected.astype(int))
    if alarms != expected.astype(int).tolist():
        sys.exit("the design differs from the reference model")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(verilog.convert(design))


if __name__ == "__main__":
    main()
