"""One lane of the GRU: accumulators in, the state s kept, h (or r s) out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.memory import Memory

from gatefold.hdl.activation import (
    Activated,
    Argument,
    activate,
    activation_latency,
    gate_squash,
)
from gatefold.hdl.arith import (
    as_signed,
    by_parameter,
    delay,
    floor_shift,
    floored,
    half,
    half_by_kind,
    is_one_of,
    of_saturated,
    plus_minus,
    saturate,
)
from gatefold.hdl.kinds import AsideKind, GruKind, LoadKind, ResetKind
from gatefold.hdl.lane import StateLane

__all__ = ["GruLane"]


class GruLane(StateLane):
    """s = z s + (1 - z) n, h of s; or q = r s; bit-exact with :mod:`gatefold.sim.golden`.

    ::

        0     z_z z_a z_r z_m       accumulators (rounding constants in the bias of z, r, m)
        1     sign, |u| of r and z  shift, clamp; m: shift, saturate
        2     the old s is read
        3     t of r and z          table, or |u| itself; the factor of r: m, or s for q
        4     |r| factor, a + factor, z
        5     a + r m               sign of r
        6     sign, |u| of it       rounded; or q: shift, saturate
        8     t of n                table, or |u| itself
        9     s - n, n              aligned
        10    z (s - n)             product
        11    n + z (s - n)         with the rounding constant
        12    s; h                  shift, saturate, written to the state memory; rounded

    h is saturated on the way out. A short pipeline takes cycles 2 and 3, 4 and 5, 7 and 8, 11 and
    12 as one: s and h are ready in cycle 8.

    One unit a cycle (II = 1). A :class:`LoadKind` takes its s from row 0. A :class:`ResetKind`
    uses the multiplier of r, and shows q instead of h; it leaves s as it is.

    Products: (T + 1) x C and (T + 2) x D bits, D being those of s and n aligned, and one: 19 where
    s and n lie in -1..1, C = 18 and T = 16. A DSP48E2 (27 x 18, signed) holds each where T <= 16,
    C <= 18 and D <= 27; a wider one takes two slices, and is slower.

    Rows of a unit: z, a, r, m; of a :class:`GruKind` without m, z and a; of one with ``aside``, m;
    of the others, one. An :class:`AsideKind` keeps a, z or r in a memory of the lane, written in
    the cycle in which a :class:`GruKind` reads it: so order alone decides what it reads.
    """

    SUM, scaled = "n + z * (s - n)", True

    @staticmethod
    def takes(kind):
        return isinstance(kind, GruKind | AsideKind | ResetKind) or (
            isinstance(kind, LoadKind) and kind.gru)

    @staticmethod
    def updates(kind):
        return isinstance(kind, GruKind | AsideKind | LoadKind)

    @staticmethod
    def stages(config):
        activation, pair = activation_latency(config), config.pair
        return (("gates", activation), ("r * m", pair), ("n", activation),
                ("s - n", 1), (GruLane.SUM, pair), ("h", 1))

    def elaborate(self, platform):
        c = self.config
        gates_at, inner_at, _, _, sum_at, end = self.ends(c).values()
        m = Module()
        kind = delay(m, "kind", self.kind, end)
        gru, resets = self._of(GruKind), self._of(ResetKind)
        is_reset = delay(m, "is_reset", is_one_of(self.kind, resets), end)

        own = {n: k for n, k in gru.items() if not k.aside}
        r, z = activate(m, c, self.images, {
            "r": Argument(self._r(m), kind[0], {
                n: gate_squash(k.gate) for n, k in (own | resets | self._kept("r")).items()}),
            "z": Argument(self.total(self.z[0]), kind[0], {
                n: gate_squash(k.gate) for n, k in (own | self._kept("z")).items()}),
        }).values()
        r_bits = self._set_aside(m, kind, gates_at, Cat(r.t, r.negative), "r")
        r = Activated(r_bits[:-1], r_bits[-1])

        new = Signal(signed(c.cell_width), name="s_new", reset_less=True)
        old = Signal(signed(c.cell_width), name="s_old", reset_less=True)
        state = self.state(m, new)
        m.d.sync += old.eq(state)
        m_late = self._m(m, kind[0])
        factor = Signal(signed(c.cell_width), reset_less=True)  # of r: m, or the state
        m.d.sync += factor.eq(Mux(is_reset[self.read(c)], state, m_late) if resets else m_late)

        inner = self._inner(m, kind, r, factor)
        total = self._sum(m, kind, inner, z, old)
        self.put(m, new, kind[sum_at], total,
                 {n: (k.state, k.cell_width) for n, k in gru.items()})
        h = self._h(m, kind, total)
        if resets:  # q, delayed to the cycle of h
            q = Signal(signed(c.act_width), reset_less=True)
            m.d.sync += q.eq(by_parameter(
                m, "q_now", kind[inner_at], resets,
                lambda k: saturate(floor_shift(inner, k.q), k.h_width), signed(c.act_width)))
            q_late = delay(m, "q_late", q, end - inner_at - 1)[-1]
            m.d.comb += self.y.eq(Mux(is_reset[end], q_late, h))
        else:
            m.d.comb += self.y.eq(h)
        m.d.comb += self.c.eq(delay(m, "s_late", new, end - self.written(c))[-1])
        return m

    def _of(self, kind: type) -> dict:
        return {n: k for n, k in self.kinds(self.config).items() if isinstance(k, kind)}

    def _r(self, m: Module) -> Value:
        """Row r: the third of four, or the first. Without m, r counts for nothing."""
        rows = {n: 2 if k.m is not None else 0
                for n, k in self._of(GruKind).items() if not k.aside} | dict.fromkeys(
                    self._of(ResetKind) | self._kept("r"), 0)
        return by_parameter(m, "row_r", self.kind, rows, lambda row: self.total(self.z[row], row),
                            signed(self.config.acc_width))

    def _kept(self, row: str) -> dict:
        """The kinds that set this row aside."""
        return {n: k for n, k in self._of(AsideKind).items() if k.row == row}

    def _set_aside(self, m: Module, kind: list[Value], at: int, value: Value, name: str) -> Value:
        """``value`` of the row ``name``, or in beats of a kind with ``aside`` what has been set
        aside in the same cycle ``at`` of an earlier beat."""
        kept = self._kept(name)
        if not kept:
            return value
        m.submodules[f"aside_{name}"] = memory = Memory(
            shape=value.shape(), depth=max(2, self.config.cell_depth), init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        address = delay(m, f"address_{name}", self.cell_addr, at)[-1]
        m.d.comb += [
            read.addr.eq(address), write.addr.eq(address), write.data.eq(value),
            write.en.eq(delay(m, f"keeps_{name}", self.writes, at)[-1] & is_one_of(kind[at], kept)),
        ]
        users = [n for n, k in self._of(GruKind).items() if k.aside]
        return Mux(is_one_of(kind[at], users), read.data, value)

    def _a(self, m: Module) -> Value:
        """Row a: the second of a unit's, or the only one."""
        rows = {n: 1 for n, k in self._of(GruKind).items() if not k.aside} | dict.fromkeys(
            self._kept("a"), 0)
        return by_parameter(m, "row_a", self.kind, rows, lambda row: self.total(self.z[row], row),
                            signed(self.config.acc_width))

    def _m(self, m: Module, kind: Value) -> Value:
        """Row m, shifted and saturated, in the cycle in which the state is read; or 0."""
        c = self.config
        row = Signal(signed(c.cell_width), name="m", reset_less=True)
        m.d.sync += row.eq(by_parameter(
            m, "m_now", kind, {n: (0 if k.aside else 3, k.m, k.cell_width)
                               for n, k in self._of(GruKind).items()},
            lambda way: Const(0) if way[1] is None else saturate(
                floor_shift(self.total(self.z[way[0]], way[0]), way[1]), way[2]),
            signed(c.cell_width)))
        return delay(m, "m_late", row, self.ends(c)["gates"] - 2)[-1]

    def _inner(self, m: Module, kind: list[Value], r: Activated, factor: Signal) -> Signal:
        """a + r m, a gate being 2^T +- t. For q = r s, its rounding constant replaces a."""
        c, gru, resets = self.config, self._of(GruKind), self._of(ResetKind)
        t_bits, width = c.table.out_frac, c.cell_width
        gates_at, inner_at, *_ = self.ends(c).values()
        a = self._set_aside(m, kind, gates_at, delay(m, "a", self._a(m), gates_at)[-1], "a")
        ups = {n: k.up_m for n, k in gru.items()} | dict.fromkeys(resets, 0)
        starts = {n: (k.up_a, 0) for n, k in gru.items()} | {
            n: (None, half(k.q)) for n, k in resets.items()}
        widest = max([c.acc_width + k.up_a for k in gru.values()]
                     + [half(k.q).bit_length() + 1 for k in resets.values()])
        start = by_parameter(
            m, "start", kind[gates_at], starts,
            lambda way: Const(way[1]) if way[0] is None else a << way[0], signed(widest))
        up_m = max(ups.values())
        factor_up = by_parameter(m, "factor_up", kind[gates_at], ups,
                                 lambda up: factor << (t_bits + up), signed(width + t_bits + up_m))
        base = Signal(signed(max(widest, len(factor_up)) + 1), reset_less=True)
        product_rm = Signal(signed(t_bits + 1 + width), reset_less=True)
        m.d[c.between] += [base.eq(start + factor_up), product_rm.eq(as_signed(r.t) * factor)]
        product_up = by_parameter(m, "product_up", kind[inner_at - 1], ups,
                                  lambda up: product_rm << up, signed(len(product_rm) + up_m))
        inner = Signal(signed(max(len(base), len(product_up)) + 1), reset_less=True)
        negative_r = delay(m, "negative_r_later", r.negative, c.pair - 1)[-1]
        m.d.sync += inner.eq(plus_minus(base, product_up, negative_r))
        return inner

    def _sum(self, m: Module, kind: list[Value], inner: Signal, z: Activated,
             old: Signal) -> Signal:
        """n + z (s - n), with the rounding constant of the new s; z and s wait for n."""
        c, gru = self.config, self._of(GruKind)
        t_bits, width = c.table.out_frac, c.cell_width
        gates_at, inner_at, n_at, *_ = self.ends(c).values()
        n = activate(m, c, self.images, {"n": Argument(
            inner, kind[inner_at], {n: k.candidate for n, k in gru.items()},
            rounded=False)})["n"]
        z_gate = Signal(t_bits + 1, reset_less=True)
        m.d.sync += z_gate.eq(plus_minus(Value.cast(1 << t_bits), z.t, z.negative))
        z_late = self._set_aside(m, kind, n_at + 1,
                                 delay(m, "z_late", z_gate, n_at - gates_at)[-1], "z")
        s = delay(m, "s_old_late", old, n_at - gates_at)[-1]

        up_s, up_n = ({n: k.up_s for n, k in gru.items()}, {n: k.up_n for n, k in gru.items()})
        s_up = by_parameter(m, "s_up", kind[n_at], up_s, lambda up: s << up,
                            signed(width + max(up_s.values())))
        n_up = by_parameter(m, "n_up", kind[n_at], up_n, lambda up: n.t << up,
                            t_bits + max(up_n.values()))
        constant = half_by_kind(m, "half_s", kind[n_at], {n: k.state for n, k in gru.items()})
        difference = Signal(signed(max(len(s_up), len(n_up) + 1) + 1), reset_less=True)
        rest = Signal(signed(max(len(constant), len(n_up) + t_bits + 1) + 2), reset_less=True)
        m.d.sync += [
            difference.eq(plus_minus(s_up, n_up, ~n.negative)),
            rest.eq(plus_minus(constant, n_up << (t_bits + 1), n.negative)),
        ]
        product_z = Signal(signed(t_bits + 2 + len(difference)), reset_less=True)
        total = Signal(signed(max(len(product_z), len(rest)) + 1), reset_less=True)
        rest_later = delay(m, "rest", rest, 1)[-1]
        m.d.sync += product_z.eq(as_signed(z_late) * difference)
        m.d[c.between] += total.eq(product_z + rest_later)
        return total

    def _h(self, m: Module, kind: list[Value], total: Signal) -> Value:
        """h from the sum that also gives s, in parallel with s."""
        c, gru = self.config, self._of(GruKind)
        *_, sum_at, end = self.ends(c).values()
        exact = floored(m, "exact", kind[sum_at], total, {n: k.state for n, k in gru.items()})
        constant = half_by_kind(m, "half_h", kind[sum_at], {n: k.h for n, k in gru.items()})
        rounded = Signal(signed(max(c.cell_width, len(constant) + 1) + 1), reset_less=True)
        m.d.sync += rounded.eq(of_saturated(
            m, "s", kind[sum_at], exact,
            {n: (k.cell_width, half(k.h)) for n, k in gru.items()},
            exact[:c.cell_width].as_signed() + constant, lambda limit, way: limit + way[1],
            len(rounded)))
        return by_parameter(m, "h", kind[end], {n: (k.h, k.h_width) for n, k in gru.items()},
                            lambda way: saturate(floor_shift(rounded, way[0]), way[1]),
                            signed(c.act_width))
