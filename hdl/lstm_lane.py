"""One lane of the LSTM cell: four accumulators in, c kept, h out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .arith import by_kind, delay, floor_shift, half, magnitude, saturate
from .config import EngineConfig, LstmKind, bits_for
from .tanh_table import TanhTable

__all__ = ["LstmLane"]


class LstmLane(wiring.Component):
    """c = f c + i g, h = o tanh(c); bit-exact with :func:`gatefold.sim.golden.golden`.

    ::

        0     z_i z_f z_g z_o           accumulators (rounding constants are in the bias)
        1     sign, |u| of each         shift, saturate, magnitude
        3     t of each                 table
        4     i*g - and f*c - products  |g| i = |g| 2^A +- |g| t_i: the constant 2^A of a sigmoid
        5     the same, completed       is added behind the multiplier, not before it
        6     f*c +- i*g                signs
        7     c                         shift, saturate; written to the cell memory
        8     sign, |u| of c
        10    t of c                    table
        11    o * t                     product
        12    h                         sign, round; saturated on the way out

    One unit a cycle (II = 1).

    Members
    -------
    z_0 .. z_3: In, accumulators of the gates i, f, g, o. kind: In, index into ``config.kinds``.
    writes, cell, fresh: In, the lane holds a unit; its word of the cell memory; c counts as zero.
    h: Out, ``act_width`` bits in cycle :attr:`latency`. c: Out, the new cell state, same cycle.
    """

    latency = 12
    _C_READ, _C_NEW = 2, 7

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config = self.key = config
        self.images = images
        super().__init__({
            **{f"z_{gate}": In(signed(config.acc_width)) for gate in range(4)},
            "kind": In(bits_for(len(config.kinds))),
            "writes": In(1),
            "cell": In(bits_for(config.cell_depth)),
            "fresh": In(1),
            "h": Out(signed(config.act_width)),
            "c": Out(signed(config.cell_width)),
        })

    def elaborate(self, platform):
        c = self.config
        a, width = c.act_width, c.table.width
        kinds = {n: kind for n, kind in enumerate(c.kinds) if isinstance(kind, LstmKind)}
        m = Module()
        kind = delay(m, "kind", self.kind, self._C_NEW)
        cell = delay(m, "cell", self.cell, self._C_NEW)
        writes = delay(m, "writes", self.writes, self._C_NEW)
        fresh = delay(m, "fresh", self.fresh, self._C_READ)

        # Cycles 1 to 3: u = saturate(z >> shift), its magnitude through the table.
        tables = {pair: TanhTable(c.table, self.images) for pair in ("if", "go")}
        for pair, table in tables.items():
            m.submodules[f"table_{pair}"] = table
        t, negative = [], []
        for gate, name in enumerate("ifgo"):
            z = getattr(self, f"z_{gate}")
            u = by_kind(m, f"u_{name}", kind[0], {
                n: saturate(floor_shift(z, k.gate - (name == "g")), width)
                for n, k in kinds.items()}, signed(width))
            sign, argument = Signal(name=f"sign_{name}", reset_less=True), Signal(
                width - 1, name=f"argument_{name}", reset_less=True)
            m.d.sync += [sign.eq(u[-1]), argument.eq(magnitude(u))]
            table, port = tables["if" if name in "if" else "go"], "ab"[name in "fo"]
            m.d.comb += getattr(table, f"magnitude_{port}").eq(argument)
            t.append(getattr(table, f"t_{port}"))
            negative.append(delay(m, f"negative_{name}", sign, TanhTable.latency + 2))
        t_i, t_f, t_g, t_o = t
        at = TanhTable.latency  # the table's results are this late against the signs

        # The old cell state, beside the table's results.
        m.submodules.cells = cells = Memory(shape=signed(c.cell_width), depth=max(2, c.cell_depth),
                                            init=[])
        read, write = cells.read_port(domain="comb"), cells.write_port()
        old = Signal(signed(c.cell_width), reset_less=True)
        m.d.comb += read.addr.eq(cell[self._C_READ])
        m.d.sync += old.eq(Mux(fresh[self._C_READ], 0, read.data))

        # Cycles 4 and 5: |g| i and f c; sigmoid = 2^A +- t.
        product_ig = Signal(signed(2 * a + 1), reset_less=True)
        product_fc = Signal(signed(a + 1 + c.cell_width), reset_less=True)
        g_later, old_later = Signal(a, reset_less=True), Signal.like(old)
        m.d.sync += [
            product_ig.eq(t_i * t_g),
            product_fc.eq(_signed(t_f) * old),
            g_later.eq(t_g),
            old_later.eq(old),
        ]
        ig = Signal(signed(2 * a + 2), reset_less=True)
        fc = Signal(signed(a + 2 + c.cell_width), reset_less=True)
        base_g, base_c = _signed(g_later) << a, old_later << a
        m.d.sync += [
            ig.eq(Mux(negative[0][at + 1], base_g - product_ig, base_g + product_ig)),
            fc.eq(Mux(negative[1][at + 1], base_c - product_fc, base_c + product_fc)),
        ]

        # Cycle 6: the sum, aligned, with the rounding constant.
        up_f = max(k.up_f for k in kinds.values())
        up_g = max(k.up_g for k in kinds.values())
        total = Signal(signed(max(len(fc) + up_f, len(ig) + up_g) + 2), reset_less=True)
        fc_up = by_kind(m, "fc_up", kind[5], {n: (fc << k.up_f) + half(k.cell)
                                              for n, k in kinds.items()}, total.shape())
        ig_up = by_kind(m, "ig_up", kind[5], {n: ig << k.up_g for n, k in kinds.items()},
                        total.shape())
        m.d.sync += total.eq(Mux(negative[2][at + 2], fc_up - ig_up, fc_up + ig_up))

        # Cycle 7: the new cell state.
        new = Signal(signed(c.cell_width), reset_less=True)
        m.d.sync += new.eq(by_kind(m, "new_c", kind[6], {
            n: saturate(floor_shift(total, k.cell), c.cell_width) for n, k in kinds.items()},
            signed(c.cell_width)))
        m.d.comb += [write.addr.eq(cell[self._C_NEW]), write.data.eq(new),
                     write.en.eq(writes[self._C_NEW])]

        # Cycles 8 to 10: tanh of c.
        u_c = by_kind(m, "u_c", kind[7], {
            n: saturate(floor_shift(new + half(k.cell_u), k.cell_u), width)
            for n, k in kinds.items()}, signed(width))
        sign_c, argument_c = Signal(reset_less=True), Signal(width - 1, reset_less=True)
        m.d.sync += [sign_c.eq(u_c[-1]), argument_c.eq(magnitude(u_c))]
        m.submodules.table_c = table_c = TanhTable(c.table, self.images)
        m.d.comb += table_c.magnitude_a.eq(argument_c)
        negative_c = delay(m, "negative_c", sign_c, TanhTable.latency + 1)

        # The output gate waits for it.
        o = Signal(a + 1, reset_less=True)
        m.d.sync += o.eq(Mux(negative[3][at], (1 << a) - t_o, (1 << a) + t_o))
        waits = 10 - 4
        o_now = delay(m, "o", o, waits)[waits]

        # Cycles 11 and 12: h, sign and rounding behind the multiplier.
        product_h = Signal(2 * a + 1, reset_less=True)
        rounded = Signal(signed(2 * a + 3), reset_less=True)
        constant = Const(half(c.h_shift), signed(2 * a + 2))
        m.d.sync += [
            product_h.eq(o_now * table_c.t_a),
            rounded.eq(Mux(negative_c[at + 1], constant - _signed(product_h),
                           constant + _signed(product_h))),
        ]
        m.d.comb += [
            self.h.eq(saturate(floor_shift(rounded, c.h_shift), a)),
            self.c.eq(delay(m, "trace_c", new, self.latency - self._C_NEW)[-1]),
        ]
        return m


def _signed(value):
    """An unsigned value as a signed one, a bit wider."""
    return Cat(value, Const(0, 1)).as_signed()
