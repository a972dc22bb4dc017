"""One row of the array: ``simd`` multipliers, an adder tree, the accumulator, parked sums."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind, tree_levels, tree_sum
from gatefold.hdl.config import EngineConfig, bits_for

__all__ = ["MacRow"]


class MacRow(wiring.Component):
    """acc = start + ((sum over k of operands[k] * weights[k]) << align).

    ::

        operands, weights -> A/B reg -> M reg -> P reg -> tree (a register a level) -> acc
             0                 1          2        3         3 + levels = latency      + 1

    The tree adds by threes, and stops at two terms: the accumulator's own addition takes them. A
    short pipeline has no M register, and a register every second level, the accumulator's addition
    counting as one more.

    One tile a cycle. Cycles are counted from the operands. The controls come beside their data:
    ``init_parked`` and ``init`` one cycle before the tree's sums, ``valid``, ``go_on`` and
    ``align`` with them, ``park`` and ``parks`` with the accumulator.

    Members
    -------
    operands, weights: In, ``simd`` signed elements.
    bias: In, the bias word of this row, with ``init``.
    init_parked, init: In, start from the parked sum at ``init`` instead of the bias.
    valid, go_on, align: In, accumulate; onto itself; shifted left by ``config.aligns[align]``.
    parks, park: In, keep the accumulator at ``park``.
    acc: Out, ``acc_width`` signed bits.
    """

    def __init__(self, config: EngineConfig):
        self.config = self.key = config
        c = config
        super().__init__({
            "operands": In(data.ArrayLayout(signed(c.act_width), c.simd)),
            "weights": In(data.ArrayLayout(signed(c.weight_width), c.simd)),
            "bias": In(signed(c.acc_width)),
            "init_parked": In(1),
            "init": In(bits_for(c.park_depth)),
            "valid": In(1),
            "go_on": In(1),
            "align": In(bits_for(len(c.aligns))),
            "parks": In(1),
            "park": In(bits_for(c.park_depth)),
            "acc": Out(signed(c.acc_width)),
        })

    @staticmethod
    def stages(config: EngineConfig) -> tuple[tuple[str, int], ...]:
        """The stages in their order, each with its number of cycles."""
        levels = tree_levels(config.simd)
        return ("multipliers", 1 + config.pair), ("adder tree", levels * config.pair // 2)

    @classmethod
    def latency(cls, config: EngineConfig) -> int:
        """Cycles from operands to the tree's sums."""
        return sum(cycles for _, cycles in cls.stages(config))

    def elaborate(self, platform):
        c = self.config
        m = Module()

        # The registers of a DSP slice (A/B, M, P).
        products = []
        for k in range(c.simd):
            a = Signal(signed(c.act_width), name=f"a_{k}", reset_less=True)
            b = Signal(signed(c.weight_width), name=f"b_{k}", reset_less=True)
            product = Signal(signed(c.act_width + c.weight_width), name=f"m_{k}", reset_less=True)
            p = Signal.like(product, name=f"p_{k}")
            m.d.sync += [a.eq(self.operands[k]), b.eq(self.weights[k])]
            m.d[c.between] += product.eq(a * b)
            m.d.sync += p.eq(product)
            products.append(p)

        sums = tree_sum(m, "sum", products, step=2 // c.pair)

        # The start value, fetched while the tree finishes.
        start = Signal(signed(c.acc_width), reset_less=True)
        m.d.sync += start.eq(self.bias)
        if c.park_depth:
            m.submodules.parked = parked = Memory(
                shape=signed(c.acc_width), depth=max(2, c.park_depth), init=[])
            read = parked.read_port(domain="comb")
            write = parked.write_port()
            m.d.comb += [read.addr.eq(self.init), write.addr.eq(self.park),
                         write.en.eq(self.parks), write.data.eq(self.acc)]
            with m.If(self.init_parked):
                m.d.sync += start.eq(read.data)

        acc = Signal(signed(c.acc_width), reset_less=True)
        total = Mux(self.go_on, acc, start)
        for k, part in enumerate(sums):
            total = total + by_kind(m, f"aligned_{k}", self.align,
                                    {n: part << shift for n, shift in enumerate(c.aligns)},
                                    signed(c.acc_width))
        with m.If(self.valid):
            m.d.sync += acc.eq(total)
        m.d.comb += self.acc.eq(acc)
        return m
