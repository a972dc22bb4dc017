"""OperandMemory: every read gives what an ideal memory would give, past the bypass too."""

from typing import Any

import pytest
from amaranth.asserts import AnyConst
from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal

from gatefold.hdl import operand_memory
from tests.support.formal import claim, free, inside, planted, prove, refute, started
from tests.support.hdl_harness import small


def later(m: Module, value, name: str, cycles: int = 1):
    """``value`` so many cycles later."""
    for n in range(cycles):
        held = Signal.like(value, name=f"ghost_{name}_{n}")
        m.d.sync += held.eq(value)
        value = held
    return value


class MemoryClaims(Elaboratable):
    """The operand memory of ``config``; ``source``: the contents of module ``operand_memory``.

    One element of one word of each memory is followed; that each is any element makes it all.
    """

    def __init__(self, config, source: Any = operand_memory):
        self.config, self.source = config, source

    def elaborate(self, platform):
        c, m = self.config, Module()
        started(m)
        memory = self.source.OperandMemory(c)
        free(m, memory)
        find = inside(m, "memory", memory)
        late = memory.latency(c) - 1
        lane = AnyConst(range(c.simd))
        read = memory.read
        element = memory.chunk.as_value().word_select(lane, c.act_width)
        counts = ~read.zero if c.stateful else Const(1)

        # h: the element announced in a cycle comes in the next one.
        chunk, result = AnyConst(range(c.h_depth)), memory.result
        announced = Signal(name="ghost_announced")
        m.d.comb += announced.eq(result.lanes.bit_select(lane, 1) & (result.chunk == chunk))
        comes = later(m, announced, "comes")
        data = result.data.as_value().word_select(lane, c.act_width)
        held, known = Signal(c.act_width, name="ghost_held"), Signal(name="ghost_known")
        with m.If(comes):
            m.d.sync += [held.eq(data), known.eq(1)]
        reads = ~read.from_x & counts & (read.chunk == chunk)
        soon = later(m, reads & announced, "soon")
        now = later(m, reads & ~announced & (comes | known), "now")
        value = Mux(soon, data, later(m, Mux(comes, data, held), "value"))
        claim(m, "reads of h",
              ~later(m, soon | now, "asks", late) | (element == later(m, value, "gives", late)))

        # x: a chunk can be read the cycle after its write.
        x_chunk, frame, write = AnyConst(range(c.x_depth)), AnyConst(1), memory.write
        stored, written = Signal(c.act_width, name="ghost_stored"), Signal(name="ghost_written")
        with m.If(write.en & (write.chunk == x_chunk) & (write.frame == frame)):
            m.d.sync += [stored.eq(write.data.as_value().word_select(lane, c.act_width)),
                         written.eq(1)]
        asks = read.from_x & counts & (read.chunk == x_chunk) & (read.frame == frame) & written
        claim(m, "reads of x", ~later(m, asks, "asks_x", 1 + late)
              | (element == later(m, stored, "gives_x", 1 + late)))
        if c.stateful:
            claim(m, "what counts as zero", ~later(m, read.zero, "zero", 1 + late) | (element == 0))

        at_x = Cat(Const(0, 0), x_chunk, frame)
        claim(m, "words of h", ~known | (
            find.word("h_memory", chunk).word_select(lane, c.act_width) == held))
        claim(m, "words of x", ~written | (
            find.word("x_memory", at_x).word_select(lane, c.act_width) == stored))
        # In the cycle after a reset, what was announced before it is still written.
        claim(m, "announced", ~later(m, Const(1), "settled") | (
            (find("written_lanes").bit_select(lane, 1) & (find("written_chunk") == chunk))
            == comes))
        return m


# All chunks of a memory have addresses of their own: 4 of x, 4 of h.
def memory(**more):
    return small(simd=2, act_width=2, x_row=2, x_rows=4, h_depth=4, **more)


PLAIN, REACH, STATEFUL = memory(), memory(reach=1), memory(stateful=True)


@pytest.mark.parametrize("config", [
    pytest.param(PLAIN, id="plain"),
    pytest.param(REACH, id="reach", marks=pytest.mark.formal),
    pytest.param(STATEFUL, id="stateful", marks=pytest.mark.formal)])
def test_memory(config, tmp_path):
    prove(MemoryClaims(config), tmp_path, depth=4)


#: mistake: the claim that it breaks, the correct text in hdl/operand_memory.py, the wrong one
MISTAKES = {
    "no data of the next cycle": (
        "reads of h", "soon.eq(Mux(is_h & (address == result.chunk), result.lanes, 0))",
        "soon.eq(0)"),
    "data of this cycle for every chunk": (
        "reads of h", "now.eq(Mux(is_h & (address == chunk), lanes, 0))",
        "now.eq(Mux(is_h, lanes, 0))"),
    "the older of two writes": (
        "reads of h", "comes_now.eq(now & ~soon)", "comes_now.eq(now)"),
    "one half of the input memory": (
        "reads of x", "x_write.addr.eq(Cat(write.chunk, write.frame))",
        "x_write.addr.eq(write.chunk)"),
    "h beside x": (
        "reads of x", "~read.from_x & counts & (bank == n)", "counts & (bank == n)"),
    "a state that counts": (
        "what counts as zero", "counts = ~read.zero if c.stateful else Const(1)",
        "counts = Const(1)"),
}


@pytest.mark.formal
@pytest.mark.parametrize("mistake", MISTAKES)
def test_memory_mistakes_are_refuted(mistake, tmp_path):
    name, correct, wrong = MISTAKES[mistake]
    config = STATEFUL if "zero" in name else PLAIN
    refute(MemoryClaims(config, planted(operand_memory, correct, wrong)), tmp_path, name)
