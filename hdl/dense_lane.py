"""One lane of a Dense layer's finish: an accumulator in, an element out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In

from gatefold.hdl.activation import Argument, activate, activation_latency
from gatefold.hdl.arith import (
    by_parameter,
    delay,
    floor_shift,
    half,
    is_one_of,
    plus_minus,
    saturate,
    within,
)
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.kinds import DenseKind, Squash
from gatefold.hdl.lane import Lane

__all__ = ["DenseLane"]


def _table_kinds(config: EngineConfig) -> dict[int, DenseKind]:
    return {n: kind for n, kind in enumerate(config.kinds)
            if isinstance(kind, DenseKind) and kind.tabled}


class DenseLane(Lane):
    """y = activation(z); bit-exact with :mod:`gatefold.sim.golden`.

    linear, relu, in one cycle: shift, saturate or clamp. sigmoid, tanh and curves, in four: sign
    and magnitude, the table's memory, its sum, y of a base +- t (2^T of a sigmoid, 0 of tanh); a
    short pipeline takes the table as one. Where a network has both, all take as many. II = 1.

    Members
    -------
    z: In, accumulator (its rounding constant is in the bias).
    """

    scaled = True

    @staticmethod
    def members(config):
        return {"z": In(signed(config.acc_width))}

    @staticmethod
    def takes(kind):
        return isinstance(kind, DenseKind)

    @staticmethod
    def stages(config):
        table = (("activation", activation_latency(config)),) if _table_kinds(config) else ()
        return (*table, ("rounding", 1))

    def elaborate(self, platform):
        c = self.config
        a = c.result_width
        m = Module()
        tabled = _table_kinds(c)
        plain = {n: kind for n, kind in self.kinds(c).items() if n not in tabled}
        end = self.latency(c)
        kind, total = delay(m, "kind", self.kind, end - 1), self.total(self.z)
        results, late = {}, None

        if plain:
            def shifted(way: tuple):
                shift, width, relu, limit = way
                value = floor_shift(total, shift)
                value = saturate(value, width) if limit is None else within(value, limit)
                return Mux(value[-1], 0, value) if relu else value

            direct = Signal(signed(a), reset_less=True)
            m.d.sync += direct.eq(by_parameter(
                m, "direct_now", kind[0],
                {n: (k.shift, k.h_width, k.activation == "relu", k.limit)
                 for n, k in plain.items()},
                shifted, signed(a)))
            if not tabled:
                m.d.comb += self.y.eq(direct)
                return m
            late = delay(m, "direct_late", direct, end - 2)[-1]
            results |= dict.fromkeys(plain, None)

        z = activate(m, c, self.images, {"z": Argument(
            total, kind[0], {n: Squash(k.shift, k.activation if k.sign else "tanh")
                              for n, k in tabled.items()})})["z"]
        bases = {n: half(k.out) + ((1 << c.table.out_frac) if k.activation == "sigmoid" else k.base)
                 for n, k in tabled.items()}
        base = by_parameter(m, "base", kind[end - 1], bases, lambda value: value,
                            max(1, *(value.bit_length() for value in bases.values())))
        t, negative = z.t, z.negative
        for sign in ("even", "left"):
            these = [n for n, k in tabled.items() if k.sign == sign]
            if these:
                here = is_one_of(kind[end - 1], these)
                if sign == "left":
                    t = Mux(here & ~z.negative, 0, t)
                negative = negative | here
        curve = plus_minus(base, t, negative)
        results |= {n: (k.out, k.h_width) for n, k in tabled.items()}
        y = Signal(signed(a), reset_less=True)
        m.d.sync += y.eq(by_parameter(
            m, "y_now", kind[end - 1], results,
            lambda way: saturate(floor_shift(curve, way[0]), way[1]) if way else late,
            signed(a)))
        m.d.comb += self.y.eq(y)
        return m
