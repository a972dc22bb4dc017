"""One lane of the GRU: accumulators in, the state s kept, h (or r s) out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from gatefold.hdl.activation import Argument, activate, activation_latency, gate_squash
from gatefold.hdl.arith import (
    as_signed,
    by_limits,
    by_parameter,
    delay,
    floor_shift,
    floored,
    half,
    half_by_kind,
    plus_minus,
    saturate,
)
from gatefold.hdl.kinds import GruKind, LoadKind, ResetKind
from gatefold.hdl.lane import StateLane

__all__ = ["GruLane"]


class GruLane(StateLane):
    """s = z s + (1 - z) n, h of s; or q = r s; bit-exact with :mod:`gatefold.sim.golden`.

    ::

        0     z_r z_z z_a z_m       accumulators (rounding constants in the bias of r, z, m)
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
    12 as one: s and h are there in cycle 8.

    One unit a cycle (II = 1). A :class:`LoadKind` takes its s from row 0. A :class:`ResetKind`
    shares the multiplier of r, and shows q instead of h; it leaves s as it is.

    Products: (T + 1) x C and (T + 2) x D bits, D being those of s and n aligned, and one: 19 where
    s and n lie in -1..1, C = 18 and T = 16. A DSP48E2 (27 x 18, signed) holds each where T <= 16,
    C <= 18 and D <= 27; a wider one takes two slices, and is slower.

    Rows of a slot: r, z, a, m.
    """

    SUM = "n + z * (s - n)"

    @staticmethod
    def takes(kind):
        return isinstance(kind, GruKind | ResetKind) or (isinstance(kind, LoadKind) and kind.gru)

    @staticmethod
    def updates(kind):
        return isinstance(kind, GruKind | LoadKind)

    @staticmethod
    def stages(config):
        activation, pair = activation_latency(config), config.pair
        return (("gates", activation), ("r * m", pair), ("n", activation),
                ("s - n", 1), (GruLane.SUM, pair), ("h", 1))

    def elaborate(self, platform):
        c = self.config
        a, t_bits, width = c.act_width, c.table.out_frac, c.cell_width
        kinds = self.kinds(c)
        gru = {n: kind for n, kind in kinds.items() if isinstance(kind, GruKind)}
        resets = {n: kind for n, kind in kinds.items() if isinstance(kind, ResetKind)}
        gates_at, inner_at, n_at, _, sum_at, end = self.ends(c).values()
        new_at = self.written(c)
        between = c.between
        m = Module()
        kind = delay(m, "kind", self.kind, end)
        is_reset = delay(m, "is_reset", Cat(self.kind == n for n in resets).any(), end)

        # To the gates' signs and t.
        gates = {n: gate_squash(k.gate) for n, k in (gru | resets).items()}
        r, z = activate(m, c, self.images, {
            "r": Argument(self.z_0, kind[0], gates),
            "z": Argument(self.z_1, kind[0], {n: gates[n] for n in gru}),
        }).values()

        # The old state, beside them, and again for s - n.
        new, old = Signal(signed(width), reset_less=True), Signal(signed(width), reset_less=True)
        now = self.state(m, new)
        m.d.sync += old.eq(now)
        old_late = delay(m, "old_late", old, n_at - gates_at)[-1]

        # Beside them: m, and what r multiplies.
        part = Signal(signed(width), name="m", reset_less=True)
        m.d.sync += part.eq(by_parameter(
            m, "m_now", kind[0], {n: (k.m, k.cell_width) for n, k in gru.items()},
            lambda way: saturate(floor_shift(self.z_3, way[0]), way[1]), signed(width)))
        part_late = delay(m, "m_late", part, gates_at - 2)[-1]
        factor = Signal(signed(width), reset_less=True)
        m.d.sync += factor.eq(Mux(is_reset[self.read(c)], now, part_late) if resets else part_late)
        own = delay(m, "a", self.z_2, gates_at)[-1]

        # a + r m, a gate being 2^T +- t; q has its rounding constant for a.
        ways = ({n: (k.up_a, k.up_m, 0) for n, k in gru.items()}
                | {n: (None, 0, half(k.q)) for n, k in resets.items()})
        widest_a = max([c.acc_width + k.up_a for k in gru.values()]
                       + [half(k.q).bit_length() + 1 for k in resets.values()])
        up_m = max(way[1] for way in ways.values())
        start = by_parameter(
            m, "start", kind[gates_at], {n: (way[0], way[2]) for n, way in ways.items()},
            lambda way: Const(way[1]) if way[0] is None else own << way[0], signed(widest_a))
        factor_up = by_parameter(
            m, "factor_up", kind[gates_at], {n: way[1] for n, way in ways.items()},
            lambda up: factor << (t_bits + up), signed(width + t_bits + up_m))
        base = Signal(signed(max(widest_a, len(factor_up)) + 1), reset_less=True)
        product_rm = Signal(signed(t_bits + 1 + width), reset_less=True)
        m.d[between] += [base.eq(start + factor_up), product_rm.eq(as_signed(r.t) * factor)]
        product_up = by_parameter(
            m, "product_up", kind[inner_at - 1], {n: way[1] for n, way in ways.items()},
            lambda up: product_rm << up, signed(len(product_rm) + up_m))
        total = Signal(signed(max(len(base), len(product_up)) + 1), reset_less=True)
        negative_r = delay(m, "negative_r_later", r.negative, c.pair - 1)[-1]
        m.d.sync += total.eq(plus_minus(base, product_up, negative_r))

        # Sign and t of n. Beside them z waits.
        n = activate(m, c, self.images, {"n": Argument(
            total, kind[inner_at], {n: k.candidate for n, k in gru.items()},
            rounded=False)})["n"]
        z_now = Signal(t_bits + 1, name="z", reset_less=True)
        m.d.sync += z_now.eq(plus_minus(Value.cast(1 << t_bits), z.t, z.negative))
        z_late = delay(m, "z_late", z_now, n_at - gates_at)[-1]

        # s - n, and n with the rounding constant of the new s.
        at = kind[n_at]
        align = {n: (k.up_s, k.up_n) for n, k in gru.items()}
        s_up = by_parameter(m, "s_up", at, {n: up for n, (up, _) in align.items()},
                            lambda up: old_late << up,
                            signed(width + max(up for up, _ in align.values())))
        n_up = by_parameter(m, "n_up", at, {n: up for n, (_, up) in align.items()},
                            lambda up: n.t << up, t_bits + max(up for _, up in align.values()))
        constant = half_by_kind(m, "half_state", at, {n: k.state for n, k in gru.items()})
        difference = Signal(signed(max(len(s_up), len(n_up) + 1) + 1), reset_less=True)
        rest = Signal(signed(max(len(constant), len(n_up) + t_bits + 1) + 2), reset_less=True)
        m.d.sync += [
            difference.eq(plus_minus(s_up, n_up, ~n.negative)),
            rest.eq(plus_minus(constant, n_up << (t_bits + 1), n.negative)),
        ]

        # Times z, and their sum.
        product_z = Signal(signed(t_bits + 2 + len(difference)), reset_less=True)
        sum_s = Signal(signed(max(len(product_z), len(rest)) + 1), reset_less=True)
        rest_later = delay(m, "rest", rest, 1)[-1]
        m.d.sync += product_z.eq(as_signed(z_late) * difference)
        m.d[between] += sum_s.eq(product_z + rest_later)

        # The new state.
        self.put(m, new, kind[sum_at], sum_s,
                 {n: (k.state, k.cell_width) for n, k in gru.items()})

        # h, of the same sum beside it; or q, which has waited.
        exact = floored(m, "exact", kind[sum_at], sum_s, {n: k.state for n, k in gru.items()})
        constant = half_by_kind(m, "half_h", kind[sum_at], {n: k.h for n, k in gru.items()})
        rounded = Signal(signed(max(width, len(constant) + 1) + 1), reset_less=True)
        m.d.sync += rounded.eq(by_limits(
            m, "s", kind[sum_at], exact,
            {n: (k.cell_width, half(k.h)) for n, k in gru.items()},
            exact[:width].as_signed() + constant, lambda rail, way: rail + way[1], len(rounded)))
        h = by_parameter(m, "h", kind[end], {n: (k.h, k.h_width) for n, k in gru.items()},
                         lambda way: saturate(floor_shift(rounded, way[0]), way[1]), signed(a))
        if resets:
            q = Signal(signed(a), reset_less=True)
            m.d.sync += q.eq(by_parameter(
                m, "q_now", kind[inner_at], resets,
                lambda k: saturate(floor_shift(total, k.q), k.h_width), signed(a)))
            q_late = delay(m, "q_late", q, end - inner_at - 1)[-1]
            m.d.comb += self.y.eq(Mux(is_reset[end], q_late, h))
        else:
            m.d.comb += self.y.eq(h)
        m.d.comb += self.c.eq(delay(m, "trace_c", new, end - new_at)[-1])
        return m
