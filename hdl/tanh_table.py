"""The tanh table: the one non-linear function behind sigmoid and tanh."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import plus_minus
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.target import DualRom

__all__ = ["TanhTable"]


class TanhTable(wiring.Component):
    """t = tanh(magnitude), bit-exact with :func:`gatefold.sim.golden.tanh_magnitude`.

    Direct (n2 = 0): one memory. Bipartite: two small memories read side by side and one addition,
    no multiplier. Two look-ups a cycle, one on each port of the memories; memory in cycle 1, sum in
    cycle 2, or of a short pipeline in cycle 1 too.

    Members
    -------
    magnitude_a, magnitude_b: In, ``frac + 3`` bits of |u|.
    t_a, t_b: Out, ``out_frac`` bits, :meth:`latency` later.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images or {}
        table = config.table
        super().__init__({
            "magnitude_a": In(table.frac + 3),
            "magnitude_b": In(table.frac + 3),
            "t_a": Out(table.out_frac),
            "t_b": Out(table.out_frac),
        })

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from a magnitude to its t."""
        return config.pair

    def elaborate(self, platform):
        c, between = self.config.table, self.config.between
        m = Module()
        t0 = DualRom(width=c.out_frac, depth=1 << (c.n0 + c.n1), file="tanh_t0.hex",
                     init=self.images.get("tanh_t0"))
        m.submodules.t0 = t0.placed(platform)
        t1 = None
        if c.n2:
            t1 = DualRom(width=c.t1_width, depth=1 << (c.n0 + c.n2 - 1), file="tanh_t1.hex",
                         init=self.images.get("tanh_t1"))
            m.submodules.t1 = t1.placed(platform)
        for port in "ab":
            magnitude, base = getattr(self, f"magnitude_{port}"), getattr(t0, f"data_{port}")
            t = Signal(c.out_frac, name=f"t_{port}_reg", reset_less=True)
            m.d.comb += [getattr(t0, f"addr_{port}").eq(magnitude[c.n2:]),
                         getattr(self, f"t_{port}").eq(t)]
            if t1 is None:
                m.d[between] += t.eq(base)
                continue
            # t1 is odd around the middle of the low range: the top low bit is the sign.
            above = magnitude[c.n2 - 1]
            index = magnitude[: c.n2 - 1] ^ (~above).replicate(c.n2 - 1)
            subtracts = Signal(name=f"subtracts_{port}", reset_less=True)
            m.d.comb += getattr(t1, f"addr_{port}").eq(Cat(index, magnitude[c.n2 + c.n1:]))
            m.d.sync += subtracts.eq(~above)
            m.d[between] += t.eq(plus_minus(base, getattr(t1, f"data_{port}"), subtracts))
        return m
