"""The tanh table, the one non-linear function behind sigmoid and tanh; and tables of curves."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import inverted, plus_minus
from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.target import DualRom

__all__ = ["TablePort", "TanhTable"]


class TablePort(wiring.Signature):
    """One look-up. magnitude: Out, ``frac + 3`` bits of |u|. t: In, ``out_frac`` bits."""

    def __init__(self, table: TableConfig):
        super().__init__({"magnitude": Out(table.frac + 3), "t": In(table.out_frac)})


class TanhTable(wiring.Component):
    """t = tanh(magnitude), bit-exact with :func:`gatefold.sim.golden.tanh_magnitude`; or, by its
    contents, another ``function`` of Dense layers.

    Direct (n2 = 0): one memory. Bipartite: two small memories read side by side and one addition,
    no multiplier. Two look-ups a cycle, one on each port of the memories. Cycle 1: the memories.
    Cycle 2, or of a short pipeline cycle 1 too: the sum.

    Members
    -------
    a, b: In, a look-up each; its t comes :meth:`latency` after its magnitude.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, function: str = "tanh"):
        self.config, self.images, self.function = config, images or {}, function
        self.table = config.table_of(function)
        port = TablePort(self.table)
        super().__init__({"a": In(port), "b": In(port)})

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from a magnitude to its t."""
        return config.pair

    def elaborate(self, platform):
        c = self.table
        m = Module()
        t0 = DualRom(width=c.out_frac, depth=1 << (c.n0 + c.n1), file=f"{self.function}_t0.hex",
                     init=self.images.get(f"{self.function}_t0"))
        m.submodules.t0 = t0.placed(platform)
        t1 = None
        if c.n2:
            t1 = DualRom(width=c.t1_width, depth=1 << (c.n0 + c.n2 - 1),
                         file=f"{self.function}_t1.hex",
                         init=self.images.get(f"{self.function}_t1"))
            m.submodules.t1 = t1.placed(platform)
        self._look_up(m, "a", self.a, t0.a, t1.a if t1 else None)
        self._look_up(m, "b", self.b, t0.b, t1.b if t1 else None)
        return m

    def _look_up(self, m: Module, name: str, port, t0, t1) -> None:
        c, between = self.table, self.config.between
        t = Signal(c.out_frac, name=f"t_{name}", reset_less=True)
        m.d.comb += [t0.addr.eq(port.magnitude[c.n2:]), port.t.eq(t)]
        if t1 is None:
            m.d[between] += t.eq(t0.data)
            return
        # t1 is odd around the middle of the low range: the top low bit is the sign.
        above = port.magnitude[c.n2 - 1]
        index = inverted(port.magnitude[: c.n2 - 1], ~above)
        subtracts = Signal(name=f"subtracts_{name}", reset_less=True)
        m.d.comb += t1.addr.eq(Cat(index, port.magnitude[c.n2 + c.n1:]))
        m.d.sync += subtracts.eq(~above)
        m.d[between] += t.eq(plus_minus(t0.data, t1.data, subtracts))
