"""Shared by the tests of hdl: a small engine, recorders in Amaranth's simulator, a watchdog."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator

from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.kinds import DenseKind, Gate, LstmKind, Squash

#: Probabilities that a source offers and that a sink takes in a cycle.
FLOW = {"full rate": (1.0, 1.0), "starved": (0.3, 1.0), "stalled": (1.0, 0.3), "both": (0.5, 0.5)}

#: Shifts without meaning, for components that only pass a kind on.
LSTM_KIND = LstmKind(gate=Gate(3), candidate=Squash(2), up_f=0, up_g=2, cell=9, out=Squash(1), h=10,
                     cell_width=10, h_width=8)
DENSE_KIND = DenseKind("linear", 4, 0, 8)

SMALL = EngineConfig(
    pe=8, simd=3, weight_width=8, act_width=8, cell_width=10, acc_width=28,
    table=TableConfig(8, 11, 0, 0, 8, 1), aligns=(0,), kinds=(LSTM_KIND,), routes=((4, 0),),
    weight_depth=8, bias_depth=4, park_depth=0, h_depth=8, cell_depth=4, x_row=5, x_rows=3,
    out_row=4, out_rows=2, out_early=False, out_whole=False, beat=4, container=8, program_depth=8,
    segments=1, max_gap=0, max_beats=1, max_count=1, max_stride=0)


def small(**changes) -> EngineConfig:
    """A small engine with some parameters changed."""
    return replace(SMALL, **changes)


def corners(width: int) -> list[int]:
    """The values of ``width`` signed bits at which arithmetic goes wrong first."""
    top = 1 << (width - 1)
    return sorted({0, 1, -1, 2, -2, top - 1, top - 2, -top, 1 - top, top // 2, -top // 2})


def draw(rng: np.random.Generator, width: int, shape) -> np.ndarray:
    """Signed integers of ``width`` bits: corners, small and uniform ones, a third each."""
    lo, hi = -(1 << (width - 1)), (1 << (width - 1)) - 1
    small_ones = rng.normal(scale=2.0 ** rng.integers(0, width, shape)).round().astype(np.int64)
    return np.choose(rng.integers(0, 3, shape), [
        rng.choice(corners(width), shape), np.clip(small_ones, lo, hi),
        rng.integers(lo, hi + 1, shape)])


def simulator(dut) -> Simulator:
    """A simulator with a clock, in which a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        sim = Simulator(dut)
        sim.add_clock(1e-6)
    return sim


def simulate(dut, bench, *background) -> None:
    """Run a test bench to its end, beside others in the background."""
    sim = simulator(dut)
    sim.add_testbench(bench)
    for other in background:
        sim.add_testbench(other, background=True)
    sim.run()


def evaluate(shape, function, values) -> list[int]:
    """``function`` of a signal of ``shape``, without a clock, for each of ``values``."""
    m = Module()
    argument = Signal(shape)
    expression = Value.cast(function(argument))
    result = Signal(expression.shape())
    m.d.comb += result.eq(expression)
    results = []

    async def bench(ctx):
        for value in values:
            ctx.set(argument, int(value))
            results.append(ctx.get(result))

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()
    return results


def record(dut, inputs: dict[str, Any], watch: list[str], *, cycles: int = 0) -> dict:
    """Give ``inputs[name][n]`` in cycle n and record the signals ``watch`` in each cycle.

    An input stays at its last value. Arrays (n, elements) go to ports that are arrays. At least
    ``cycles`` cycles; names are ports, dotted for fields of a structure. int64 arrays by name.
    """
    length = max([cycles, *map(len, inputs.values())])
    ports = {name: port_of(dut, name) for name in inputs}
    signals = [Value.cast(port_of(dut, name)) for name in watch]
    seen: list[tuple] = []

    async def bench(ctx):
        for n in range(length):
            for name, values in inputs.items():
                if n < len(values):
                    value = values[n]
                    ctx.set(ports[name], value.tolist() if isinstance(value, np.ndarray)
                            else value if isinstance(value, dict) else int(value))
            _, _, *values = await ctx.tick().sample(*signals)
            seen.append(tuple(values))

    simulate(dut, bench)
    columns = np.array(seen, dtype=object).reshape(length, len(watch))
    return {name: columns[:, n].astype(np.int64) if fits(columns[:, n]) else columns[:, n]
            for n, name in enumerate(watch)}


def fits(values) -> bool:
    return all(-(1 << 63) <= v < 1 << 63 for v in values)


def port_of(dut, name: str):
    """A port by name; ``a.b`` is field b of port a, ``a[0]`` element 0."""
    found = dut
    for part in name.replace("[", ".").replace("]", "").split("."):
        if part.isdigit():
            found = found[int(part)]
        elif isinstance(found, Component) or hasattr(type(found), "signature"):
            found = getattr(found, part)
        else:
            try:
                found = getattr(found, part)
            except AttributeError:
                found = found[part]
    return found


def run_stream(dut, words: list, *, flow: str, count: int, seed: int = 0,
               every_cycle=None, limit: int = 100_000) -> list[int]:
    """Send ``words`` through ``dut.i`` and return the ``count`` that come out of ``dut.o``.

    Checks that a word on offer stays until it is taken. ``every_cycle(came, left, offered,
    taken)`` is called each cycle. A deadlock raises after ``limit`` cycles.
    """
    offers, takes = FLOW[flow]
    rng = np.random.default_rng(seed)
    out: list[int] = []
    ports = [Value.cast(s) for s in (dut.i.ready, dut.o.valid, dut.o.payload)]

    async def bench(ctx):
        sent, offering, held = 0, False, None
        for _ in range(limit):
            if not offering and sent < len(words) and rng.random() < offers:
                offering = True
                ctx.set(dut.i.payload, words[sent])
            ctx.set(dut.i.valid, offering)
            taking = rng.random() < takes
            ctx.set(dut.o.ready, taking)
            _, _, ready, valid, payload = await ctx.tick().sample(*ports)
            assert held is None or (valid and payload == held), "a word on offer changed"
            held = payload if valid and not taking else None
            if every_cycle:
                every_cycle(offering and ready, valid and taking, offering, taking)
            if valid and taking:
                out.append(payload)
            if offering and ready:
                sent, offering = sent + 1, False
            if len(out) >= count and sent == len(words):
                return
        raise AssertionError(f"deadlock: {sent} of {len(words)} words in, {len(out)} of {count} "
                             "out")

    simulate(dut, bench)
    return out


def pack(elements, width: int) -> int:
    """Signed elements side by side, element 0 in the low bits."""
    word = 0
    for n, element in enumerate(elements):
        word |= (int(element) & ((1 << width) - 1)) << (n * width)
    return word


def unpack(word: int, width: int, count: int) -> list[int]:
    """The signed elements of a word."""
    out = []
    for n in range(count):
        value = word >> (n * width) & ((1 << width) - 1)
        out.append(value - (1 << width) if value >> (width - 1) else value)
    return out
