"""One lane of the LSTM cell: four accumulators in, c kept, h out."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
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
    plus_minus,
    saturate,
)
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.kinds import EmitKind, LoadKind, LstmKind, PeepholeKind
from gatefold.hdl.lane import StateLane

__all__ = ["LstmLane"]


class LstmLane(StateLane):
    """c = f c + i g, h = o activation(c); bit-exact with :mod:`gatefold.sim.golden`.

    ::

        0     z_i z_f z_g z_o           accumulators (rounding constants are in the bias)
        1     sign, |u| of each         shift, clamp
        3     t of each                 table, or |u| itself
        4     i*g - and f*c - products  |g| i = |g| 2^T +- |g| t_i: the constant 2^T of a gate
        5     the same, completed       is added behind the multiplier, not before it
        6     f*c +- i*g                signs
        7     c; sign, |u| of it        shift, saturate, written to the cell memory; rounded
        9     t of c                    table, or |u| itself
        10    o * t                     product
        11    h                         sign, round; saturated on the way out

    A short pipeline takes cycles 2 and 3, 4 and 5, 6 and 7, 8 and 9, 10 and 11 as one: c is ready
    in cycle 4, h in 6.

    |u| of c is computed from the same sum as c, in parallel with it
    (:class:`~gatefold.hdl.activation.Argument`, ``widths``): so h does not wait for c's own cycle.

    One unit a cycle (II = 1). A :class:`LoadKind` takes its c from z_i instead. An
    :class:`EmitKind` shows the old c, rounded, instead of h.

    Where a kind carries, the low bits that the rounding of h leaves are kept, for each unit, and
    stand at its next step where the rounding constant stands otherwise.

    Products: T x T, (T + 1) x C and (T + 2) x (T + 1) bits, of which a DSP48E2 (27 x 18, signed)
    holds each where T <= 17 and C <= 18; a wider one takes two slices, and is slower.

    Rows of a slot: i, f, g, o.

    With peepholes in any kind, the sums of i and f meet p times the old c before cycle 1, and that
    of o meets p times the new c. A product and its sum take two cycles (short: one)::

        1     the old c and the weights are read
        3     z_i + p c, z_f + p c      with the rounding constants
        10    c                         the cycles 1 to 7 above
        12    z_o + p c
        15    t of o                    table; t of c, there in cycle 12, waits
        16    o                         2^T +- t
        18    h                         short: in cycle 11

    The weights stand in a memory of the lane, which a :class:`PeepholeKind` fills from the rows of
    a unit, in the cycle in which they are read: so order alone decides what is read.
    """

    SUM, scaled = "f*c + i*g", True

    def __init__(self, config: EngineConfig, images: dict | None = None):
        cell = config.table.out_frac + 1
        for kind in self.kinds(config).values():
            if isinstance(kind, LstmKind) and kind.cell != cell + kind.up_f:
                raise ValueError(f"LstmLane cell must be T + 1 + up_f ({cell + kind.up_f}), "
                                 f"not {kind.cell!r}")
        super().__init__(config, images)

    @staticmethod
    def takes(kind):
        return isinstance(kind, LstmKind | PeepholeKind | EmitKind) or (
            isinstance(kind, LoadKind) and not kind.gru)

    @staticmethod
    def updates(kind):
        return isinstance(kind, LstmKind | PeepholeKind | LoadKind)

    @staticmethod
    def stages(config):
        activation, pair = activation_latency(config), config.pair
        gates = ("gates", activation), (LstmLane.SUM, 2 * pair - 1)
        if not config.has(PeepholeKind):
            return (*gates, ("tanh c", activation), ("o * tanh c", pair))
        return (("old c", 1), ("peepholes", pair), *gates, ("c", 1), ("peephole of o", pair),
                ("gate o", activation + 1), ("o * tanh c", pair))

    @classmethod
    def read(cls, config):
        return 0 if config.has(PeepholeKind) else super().read(config)

    def elaborate(self, platform):
        c = self.config
        gates_at, sum_at, end = self.ends(c)["gates"], self.ends(c)[self.SUM], self.latency(c)
        m = Module()
        kind = delay(m, "kind", self.kind, end)
        lstm = self._lstm()

        new = Signal(signed(c.cell_width), name="c_new", reset_less=True)
        old = Signal(signed(c.cell_width), name="c_old", reset_less=True)
        m.d.sync += old.eq(self.state(m, new))
        gates = {n: gate_squash(k.gate) for n, k in lstm.items()}
        candidates = {n: k.candidate for n, k in lstm.items()}
        rows = [self.total(z, row) for row, z in enumerate(self.z)]
        sums = dict(zip("ifgo", ((z, 0) for z in rows), strict=True))
        if c.has(PeepholeKind):
            sums = self._peepholes(m, kind, rows, old, new)
            old = delay(m, "c_old_later", old, gates_at - self.read(c) - 1)[-1]
        i, f, g, o = activate(m, c, self.images, {
            name: Argument(z, kind[at], candidates if name == "g" else gates)
            for name, (z, at) in sums.items()}).values()

        total = self._sum(m, kind, i, f, g, old)
        self.put(m, new, kind[sum_at], total,
                 {n: (k.cell, k.cell_width) for n, k in lstm.items()})
        h = self._h(m, kind, total, o, self._rest(m))
        self._show(m, kind[gates_at], old, h)
        m.d.comb += self.c.eq(delay(m, "c_late", new, end - self.written(c))[-1])
        return m

    def _peepholes(self, m: Module, kind: list[Value], rows: list[Value], old: Signal,
                   new: Signal) -> dict[str, tuple[Value, int]]:
        """The sums of i, f, g and o, and the cycle in which each is a register: p c is added to
        ``rows`` i and f with the ``old`` c, to row o with the ``new`` one."""
        c, ends = self.config, self.ends(self.config)
        width = c.weight_width
        m.submodules.peepholes = memory = Memory(shape=3 * width, depth=max(2, c.cell_depth),
                                                 init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        m.d.comb += [
            read.addr.eq(self.cell_addr), write.addr.eq(self.cell_addr),
            write.data.eq(Cat(self.z[row][:width] for row in (0, 1, 3))),
            write.en.eq(self.writes & is_one_of(self.kind, (
                n for n, k in self.kinds(c).items() if isinstance(k, PeepholeKind)))),
        ]
        sums = {"g": (delay(m, "z_g", rows[2], ends["peepholes"])[-1], ends["peepholes"])}
        for place, (name, row, state, at) in enumerate((
                ("i", 0, old, ends["old c"]), ("f", 1, old, ends["old c"]), ("o", 3, new,
                                                                            ends["c"]))):
            weight = Signal(signed(width), name=f"p_{name}", reset_less=True)
            m.d.sync += weight.eq(read.data.word_select(place, width).as_signed())
            weight = delay(m, f"p_{name}_later", weight, at - 1)[-1]
            sums[name] = self._plus(m, name, kind, at, rows[row], weight, state), at + c.pair
        return {name: sums[name] for name in "ifgo"}

    def _plus(self, m: Module, name: str, kind: list[Value], at: int, z: Value, weight: Value,
              state: Signal) -> Signal:
        """z + p c of a gate, with its rounding constant; ``weight`` and ``state`` are registers in
        cycle ``at``."""
        c, lstm = self.config, self._lstm()
        product = Signal(signed(c.weight_width + c.cell_width), name=f"product_p{name}",
                         reset_less=True)
        m.d[c.between] += product.eq(weight * state)
        late, before = delay(m, f"z_{name}", z, at + c.pair - 1)[-1], kind[at + c.pair - 1]
        ways = {n: (k.peepholes, k.gate.shift) for n, k in lstm.items()}
        widest = 1 + max(max(len(late) + way[0], len(product) + way[1])
                         for way, _ in ways.values() if way)

        def summed(way: tuple[tuple[int, int] | None, int]) -> Value:
            ups, shift = way
            return late if ups is None else (late << ups[0]) + (product << ups[1]) + half(shift)

        total = Signal(signed(widest + 1), name=f"with_peephole_{name}", reset_less=True)
        m.d.sync += total.eq(by_parameter(m, f"total_{name}", before, ways, summed,
                                          signed(widest + 1)))
        return total

    def _lstm(self) -> dict[int, LstmKind]:
        return {n: k for n, k in self.kinds(self.config).items() if isinstance(k, LstmKind)}

    def _sum(self, m: Module, kind: list[Value], i: Activated, f: Activated, g: Activated,
             old: Signal) -> Signal:
        """f c + i g. Products first, |g| i and f c, a gate being 2^T +- t. In f c is also the
        rounding constant of the new c, 2^T up_f bits below its place in the sum: one more c."""
        c, lstm = self.config, self._lstm()
        t_bits, width = c.table.out_frac, c.cell_width
        products_at = self.ends(c)["gates"] + c.pair
        product_ig = Signal(2 * t_bits, reset_less=True)
        product_fc = Signal(signed(t_bits + 1 + width), reset_less=True)
        g_later = Signal(t_bits, reset_less=True)
        c_later = Signal(signed(width + 1), reset_less=True)
        m.d[c.between] += [
            product_ig.eq(i.t * g.t),
            product_fc.eq(as_signed(f.t) * old),
            g_later.eq(g.t),
            c_later.eq(old + 1),
        ]

        # The constant 2^T of a gate.
        ig = Signal(2 * t_bits + 1, reset_less=True)
        fc = Signal(signed(t_bits + 2 + width), reset_less=True)
        negative_i = delay(m, "negative_i_later", i.negative, c.pair - 1)[-1]
        negative_f = delay(m, "negative_f_later", f.negative, c.pair - 1)[-1]
        negative_g = delay(m, "negative_g_later", g.negative, c.pair)[-1]
        m.d.sync += [
            ig.eq(plus_minus(g_later << t_bits, product_ig, negative_i)),
            fc.eq(plus_minus(c_later << t_bits, product_fc, negative_f)),
        ]

        # The sum, aligned.
        up_f = {n: k.up_f for n, k in lstm.items()}
        up_g = {n: k.up_g for n, k in lstm.items()}
        fc_up = by_parameter(m, "fc_up", kind[products_at], up_f, lambda up: fc << up,
                             signed(len(fc) + max(up_f.values())))
        ig_up = by_parameter(m, "ig_up", kind[products_at], up_g, lambda up: ig << up,
                             len(ig) + max(up_g.values()))
        total = Signal(signed(max(len(fc_up), len(ig_up) + 1) + 1), reset_less=True)
        m.d[c.between] += total.eq(plus_minus(fc_up, ig_up, negative_g))
        return total

    def _rest(self, m: Module) -> Memory | None:
        """The remainders of the units' last h, less half a step; None where no kind carries."""
        bits = max((k.h for k in self._lstm().values() if k.carries), default=0)
        if not bits:
            return None
        m.submodules.rests = rests = Memory(shape=bits, depth=max(2, self.config.cell_depth),
                                            init=[])
        return rests

    def _constant(self, m: Module, kind: list[Value], rests: Memory | None) -> Value:
        """What is added to o * activation(c) before its bits below h fall away."""
        lstm, end = self._lstm(), self.latency(self.config)
        if rests is None:
            return half_by_kind(m, "half_h", kind[end - 1], {n: k.h for n, k in lstm.items()})
        read, old = rests.read_port(domain="comb"), Signal(rests.shape, reset_less=True)
        m.d.comb += read.addr.eq(delay(m, "rest_read", self.cell_addr, end - 2)[-1])
        m.d.sync += old.eq(Mux(delay(m, "rest_fresh", self.fresh, end - 2)[-1], 0, read.data))
        widest = max([half(k.h).bit_length() for k in lstm.values()] + [len(old)])
        return by_parameter(
            m, "constant_h", kind[end - 1], {n: (k.h, k.carries) for n, k in lstm.items()},
            lambda way: Value.cast(old[:way[0]]) ^ half(way[0]) if way[1] else half(way[0]), widest)

    def _keep(self, m: Module, kind: list[Value], rests: Memory, rounded: Signal) -> None:
        """Write what the rounding left; a state that is loaded leaves nothing."""
        written = self._lstm().keys() | {n for n, k in self.kinds(self.config).items()
                                         if isinstance(k, LoadKind)}
        end, write, bits = self.latency(self.config), rests.write_port(), rests.shape
        left = by_parameter(m, "left", kind[end], {n: k.h for n, k in self._lstm().items()},
                            lambda h: Value.cast(rounded[:max(0, h)]) ^ half(h), bits)
        m.d.comb += [
            write.addr.eq(delay(m, "rest_write", self.cell_addr, end)[-1]),
            write.en.eq(delay(m, "rest_writes", self.writes & is_one_of(self.kind, written),
                              end)[-1]),
            write.data.eq(Mux(is_one_of(kind[end], self._lstm()), left, 0)),
        ]

    def _h(self, m: Module, kind: list[Value], total: Signal, o: Activated,
           rests: Memory | None) -> Value:
        """o activation(c): sign and t from the sum that gives c, while the output gate is delayed;
        the product, then its sign and its rounding."""
        c, lstm = self.config, self._lstm()
        t_bits = c.table.out_frac
        ends = self.ends(c)
        sum_at, end = ends[self.SUM], self.latency(c)
        factors_at = end - c.pair
        exact = floored(m, "exact", kind[sum_at], total, {n: k.cell for n, k in lstm.items()})
        tc = activate(m, c, self.images, {"c": Argument(
            exact, kind[sum_at], {n: k.out for n, k in lstm.items()}, rounded=False,
            widths={n: k.cell_width for n, k in lstm.items()})})["c"]
        o_gate = Signal(t_bits + 1, reset_less=True)
        m.d.sync += o_gate.eq(plus_minus(Value.cast(1 << t_bits), o.t, o.negative))
        o_late = delay(m, "o_late", o_gate,
                       factors_at - ends.get("gate o", ends["gates"] + 1))[-1]
        waits = factors_at - sum_at - activation_latency(c)
        tc_t, tc_negative = (delay(m, name, value, waits)[-1] for name, value in (
            ("tc_later", tc.t), ("tc_negative_later", tc.negative)))

        product_h = Signal(2 * t_bits + 1, reset_less=True)
        widest = max(2 * t_bits + 1, *(k.h for k in lstm.values()))  # of product and constant
        rounded = Signal(signed(widest + 2), reset_less=True)
        negative_c = delay(m, "negative_c_later", tc_negative, c.pair - 1)[-1]
        constant = self._constant(m, kind, rests)
        m.d[c.between] += product_h.eq(o_late * tc_t)
        m.d.sync += rounded.eq(plus_minus(constant, product_h, negative_c))
        if rests is not None:
            self._keep(m, kind, rests, rounded)
        return by_parameter(m, "h", kind[end], {n: (k.h, k.h_width) for n, k in lstm.items()},
                            lambda way: saturate(floor_shift(rounded, way[0]), way[1]),
                            signed(c.act_width))

    def _show(self, m: Module, kind: Value, old: Signal, h: Value) -> None:
        """The result: h, or the old c of an :class:`EmitKind`, delayed to the cycle of h."""
        c = self.config
        emits = {n: k for n, k in self.kinds(c).items() if isinstance(k, EmitKind)}
        if not emits:
            m.d.comb += self.y.eq(h)
            return
        shown = Signal(signed(c.act_width), reset_less=True)
        m.d.sync += shown.eq(by_parameter(
            m, "shown_now", kind, emits,
            lambda k: saturate(floor_shift(old + half(k.shift), k.shift), k.h_width),
            signed(c.act_width)))
        end = self.latency(c)
        shows = delay(m, "shows", is_one_of(self.kind, emits), end)[-1]
        late = delay(m, "shown_late", shown, end - self.ends(c)["gates"] - 1)[-1]
        m.d.comb += self.y.eq(Mux(shows, late, h))
