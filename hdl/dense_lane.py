"""One lane of a Dense layer's finish: an accumulator in, an element out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .arith import by_kind, delay, floor_shift, half, magnitude, saturate
from .config import DenseKind, EngineConfig, bits_for
from .tanh_table import TanhTable

__all__ = ["DenseLane", "dense_latency"]


def dense_latency(config: EngineConfig) -> int:
    """Cycles from accumulator to element: 1, or with a table 4."""
    return 4 if _table_kinds(config) else 1


def _table_kinds(config: EngineConfig) -> dict[int, DenseKind]:
    return {n: kind for n, kind in enumerate(config.kinds)
            if isinstance(kind, DenseKind) and kind.activation in ("sigmoid", "tanh")}


class DenseLane(wiring.Component):
    """y = activation(z); bit-exact with :func:`gatefold.sim.golden.golden`.

    linear, relu: shift, saturate (1 cycle). sigmoid, tanh: magnitude (1), table (3), sign (4).
    Where a network has both, all take 4 cycles. II = 1.

    Members
    -------
    z: In, accumulator (its rounding constant is in the bias). kind: In, index into
    ``config.kinds``. y: Out, ``act_width`` bits, :func:`dense_latency` cycles later.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config = self.key = config
        self.images = images
        super().__init__({
            "z": In(signed(config.acc_width)),
            "kind": In(bits_for(len(config.kinds))),
            "y": Out(signed(config.act_width)),
        })

    def elaborate(self, platform):
        c = self.config
        a, width = c.act_width, c.table.width
        m = Module()
        tables = _table_kinds(c)
        plain = {n: kind for n, kind in enumerate(c.kinds)
                 if isinstance(kind, DenseKind) and n not in tables}
        kind = delay(m, "kind", self.kind, 3 if tables else 0)
        results = {}

        if plain:
            choices = {}
            for n, k in plain.items():
                value = saturate(floor_shift(self.z, k.shift), a)
                choices[n] = Mux(value[-1], 0, value) if k.activation == "relu" else value
            y = Signal(signed(a), name="plain", reset_less=True)
            m.d.sync += y.eq(by_kind(m, "plain_now", kind[0], choices, signed(a)))
            if tables:
                waiting = delay(m, "plain_late", y, 2)[-1]
                results |= dict.fromkeys(plain, waiting)
            else:
                m.d.comb += self.y.eq(y)
                return m

        u = by_kind(m, "u", kind[0], {n: saturate(floor_shift(self.z, k.shift), width)
                                      for n, k in tables.items()}, signed(width))
        sign, argument = Signal(reset_less=True), Signal(width - 1, reset_less=True)
        m.d.sync += [sign.eq(u[-1]), argument.eq(magnitude(u))]
        m.submodules.table = table = TanhTable(c.table, self.images)
        m.d.comb += table.magnitude_a.eq(argument)
        negative = delay(m, "negative", sign, TanhTable.latency)[-1]
        t = Cat(table.t_a, Const(0, 1)).as_signed()
        for n, k in tables.items():
            # sigmoid: (2^A +- t) from A + 1 to A - 1 fractional bits; tanh: +- t from A to A - 1.
            shift, base = (2, 1 << a) if k.activation == "sigmoid" else (1, 0)
            constant = base + half(shift)
            results[n] = saturate(
                floor_shift(Mux(negative, constant - t, constant + t), shift), a)
        y = Signal(signed(a), name="y_reg", reset_less=True)
        m.d.sync += y.eq(by_kind(m, "y_now", kind[3], results, signed(a)))
        m.d.comb += self.y.eq(y)
        return m
