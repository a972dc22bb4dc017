"""The tanh table: the one non-linear function behind sigmoid and tanh."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import TableConfig
from .target import Rom

__all__ = ["TanhTable"]


class TanhTable(wiring.Component):
    """t = tanh(magnitude), bit-exact with :func:`gatefold.sim.golden.tanh_magnitude`.

    Direct (n2 = 0): one memory. Bipartite: two small memories read side by side and one addition,
    no multiplier. One look-up a cycle; memory in cycle 1, sum in cycle 2.

    Members
    -------
    magnitude: In, ``frac + 3`` bits of |u|. t: Out, ``out_frac`` bits, :attr:`latency` later.
    """

    latency = 2
    def __init__(self, config: TableConfig, images: dict | None = None):
        self.config, self.images = config, images or {}
        super().__init__({
            "magnitude": In(config.frac + 3),
            "t": Out(config.out_frac),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        high = self.magnitude[c.n2 + c.n1:]

        t0 = Rom(width=c.out_frac, depth=1 << (c.n0 + c.n1), file="tanh_t0.hex",
                 init=self.images.get("tanh_t0"))
        m.submodules.t0 = t0.placed(platform)
        t = Signal(c.out_frac, reset_less=True)
        m.d.comb += [t0.addr.eq(self.magnitude[c.n2:]), self.t.eq(t)]
        if c.n2 == 0:
            m.d.sync += t.eq(t0.data)
            return m

        # t1 is odd around the middle of the low range: the top low bit is the sign.
        above = self.magnitude[c.n2 - 1]
        index = self.magnitude[: c.n2 - 1] ^ (~above).replicate(c.n2 - 1)
        t1 = Rom(width=c.t1_width, depth=1 << (c.n0 + c.n2 - 1), file="tanh_t1.hex",
                 init=self.images.get("tanh_t1"))
        m.submodules.t1 = t1.placed(platform)
        adds = Signal(reset_less=True)
        m.d.comb += t1.addr.eq(Cat(index, high))
        m.d.sync += [adds.eq(above), t.eq(Mux(adds, t0.data + t1.data, t0.data - t1.data))]
        return m

