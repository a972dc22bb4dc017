"""One lane that makes one element of a slot's rows: their maximum, or a product."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from gatefold.hdl.arith import by_parameter, delay, floor_shift, half, saturate
from gatefold.hdl.kinds import MergeKind
from gatefold.hdl.lane import Lane

__all__ = ["MergeLane"]


class MergeLane(Lane):
    """y = max(z_0 .. z_3), or z_0 z_1; bit-exact with :mod:`gatefold.sim.golden`.

    ::

        1     the larger of rows 0 and 1, and of 2 and 3     the operands, shifted
        2     the larger of both                             product
        3     y: shift, saturate                             y: round, shift, saturate

    A short pipeline takes cycles 1 and 2 as one.

    The product is of ``act_width`` x ``act_width`` bits, which a DSP48E2 holds up to 18.

    Members
    -------
    z: In, accumulators of the four rows; of a maximum, with its rounding constant in them.
    """

    @staticmethod
    def members(config):
        return {"z": In(signed(config.acc_width)).array(4)}

    @staticmethod
    def takes(kind):
        return isinstance(kind, MergeKind)

    @staticmethod
    def stages(config):
        return (("maximum or product", config.pair), ("rounding", 1))

    def elaborate(self, platform):
        c = self.config
        a = c.act_width
        m = Module()
        kinds = self.kinds(c)
        products = {n: kind for n, kind in kinds.items() if kind.function == "mul"}
        end = self.latency(c)
        kind = delay(m, "kind", self.kind, end - 1)
        largest = product = Value.cast(0)

        if len(products) < len(kinds):
            first = self._larger(m, c.between, "larger_01", self.z[0], self.z[1])
            second = self._larger(m, c.between, "larger_23", self.z[2], self.z[3])
            largest = self._larger(m, "sync", "largest", first, second)
        if products:
            operands = []
            for row, z in enumerate(self.z[:2]):
                operand = Signal(signed(a), name=f"operand_{row}", reset_less=True)
                m.d[c.between] += operand.eq(by_parameter(
                    m, f"operand_{row}_now", kind[0],
                    {n: k.shifts[row] for n, k in products.items()},
                    lambda shift, z=z: floor_shift(z, shift), signed(a)))
                operands.append(operand)
            product = Signal(signed(2 * a), reset_less=True)
            m.d.sync += product.eq(operands[0] * operands[1])

        def result(way: tuple):
            function, shift, width = way
            value = largest if function == "max" else product + half(shift)
            return saturate(floor_shift(value, shift), width)

        # A name of its own: y, the port, may be wider.
        element = Signal(signed(a), reset_less=True)
        m.d.sync += element.eq(by_parameter(
            m, "y_now", kind[end - 1],
            {n: (k.function, k.shift, k.h_width) for n, k in kinds.items()}, result, signed(a)))
        m.d.comb += self.y.eq(element)
        return m

    def _larger(self, m: Module, domain: str, name: str, one, other) -> Signal:
        """The larger of two, in ``domain``."""
        out = Signal(signed(self.config.acc_width), name=name, reset_less=True)
        m.d[domain] += out.eq(Mux(one > other, one, other))
        return out
