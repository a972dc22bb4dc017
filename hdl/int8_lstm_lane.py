"""One lane of LiteRT's LSTM cell in int8: sums of x set aside, sums of h in, c kept, h out."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory

from gatefold.hdl.arith import by_parameter, delay, floor_shift, half, is_one_of, saturate
from gatefold.hdl.kinds import Int8GatesKind, Int8LstmKind, Scale
from gatefold.hdl.lane import StateLane
from gatefold.hdl.recip_table import GATES, SEGMENT, RecipTable

__all__ = ["Int8LstmLane"]

_LAST = GATES * SEGMENT - 1  #: The entry of all arguments of gates that are larger.
_WIDE, _NARROW = 27, 18  #: Bits of the operands that a DSP slice multiplies.


class Int8LstmLane(StateLane):
    """c = f c + i g, h = o tanh(c) as LiteRT rounds them; bit-exact with
    :func:`gatefold.sim.int8.lstm_cell_int8`.

    ::

        0     z_i z_f z_g z_o           accumulators
        1, 2  times the multipliers     of the beat's kind, 31 bits each
        3     rounded to 31 bits less
        4     rounded again, 16 bits    of an Int8GatesKind set aside; else added to what is
        5     p: saturated; its entry in the table
        6, 7  R of each                 table
        8     i, f, g, o
        9     f*c and i*g               products
        10    both rounded
        11    added
        12    c: saturated, clipped; written
        13    |c|'s entry
        14, 15 R                        table
        16    tanh(c)
        17    o * tanh(c)
        18, 19 times the multiplier of h
        20    rounded to 31 bits less
        21    h: rounded again, offset added, clamped

    One unit a cycle (II = 1). What is set aside is written in the cycle in which it is read, so
    that order alone decides what is read.
    """

    SUM = "f*c + i*g"

    @staticmethod
    def takes(kind):
        return isinstance(kind, Int8GatesKind | Int8LstmKind)

    updates = takes

    @staticmethod
    def stages(config):
        return (("gate scales", 4), ("gates", 4), (Int8LstmLane.SUM, 3), ("c", 1),
                ("tanh c", 4), ("o * tanh c", 1), ("h", 4))

    @classmethod
    def read(cls, config):
        return cls.ends(config)["gates"] - 1

    def elaborate(self, platform):
        c = self.config
        m = Module()
        at = self.ends(c)
        kind = delay(m, "kind", self.kind, self.latency(c))
        lstm = {n: k for n, k in self.kinds(c).items() if isinstance(k, Int8LstmKind)}
        scaled = [self._scaled(m, f"{name}", kind, 0, z, {
            n: k.scales[row] for n, k in self.kinds(c).items()})
            for row, (name, z) in enumerate(zip("ifgo", self.z, strict=True))]
        arguments = self._arguments(m, kind, scaled)
        gates = self._gates(m, arguments)

        new = Signal(signed(c.cell_width), name="c_new", reset_less=True)
        old = Signal(signed(c.cell_width), name="c_old", reset_less=True)
        m.d.sync += old.eq(self.state(m, new))
        i, f, g, o = gates
        fc, ig = (Signal(signed(32), name=name, reset_less=True) for name in ("fc", "ig"))
        kept, made = Signal(signed(17), reset_less=True), Signal(signed(16), reset_less=True)
        total = Signal(signed(18), reset_less=True)
        m.d.sync += [
            fc.eq(f * old), ig.eq(i * g),
            kept.eq(_half_away(fc, 15)),
            made.eq(by_parameter(
                m, "ig_now", kind[at[self.SUM] - 2], {n: 30 - k.frac for n, k in lstm.items()},
                lambda shift: _half_away(ig, shift)[:16].as_signed(), signed(16))),
            total.eq(kept + made),
        ]
        m.d.sync += new.eq(by_parameter(
            m, "c_now", kind[at[self.SUM]], {n: k.clip for n, k in lstm.items()},
            lambda clip: _clamped(saturate(total, 16), -clip, clip), signed(16)))

        i_late = delay(m, "i_late", i, at["tanh c"] - at["gates"] - 1)[-1]
        tc = self._tanh(m, kind, lstm, new, i_late)
        o_late = delay(m, "o_late", o, at["tanh c"] - at["gates"])[-1]
        product = Signal(signed(31), name="product_h", reset_less=True)
        m.d.sync += product.eq(o_late * tc)
        h = self._scaled(m, "h", kind, at["o * tanh c"], product,
                         {n: k.h for n, k in lstm.items()})
        y = Signal(signed(c.act_width), reset_less=True)
        m.d.comb += y.eq(by_parameter(
            m, "h_now", kind[at["h"]], {n: (k.offset, k.lo, k.hi) for n, k in lstm.items()},
            lambda way: _clamped(h + way[0], way[1], way[2]), signed(c.act_width)))
        m.d.comb += [self.y.eq(y),
                     self.c.eq(delay(m, "c_late", new, self.latency(c) - self.written(c))[-1])]
        return m

    def _scaled(self, m: Module, name: str, kind: list[Value], start: int, value: Value,
                scales: dict[int, Scale]) -> Signal:
        """``value``, which is there in cycle ``start``, times the scale of its kind: 4 cycles."""
        multiplier = by_parameter(m, f"{name}_multiplier", kind[start],
                                  {n: s.multiplier for n, s in scales.items()},
                                  lambda one: Const(one, unsigned(31)), 31)
        lefts = {n: max(0, s.shift) for n, s in scales.items()}
        # What a shift to the left would move out of 32 bits is lost.
        kept = by_parameter(m, f"{name}_kept", kind[start],
                            {n: min(len(value), 32 - left) for n, left in lefts.items()},
                            lambda bits: value[:bits].as_signed(), signed(len(value)))
        late = self._product(m, name, kept, multiplier)
        high = Signal(signed(len(value) + 1 + max(lefts.values())), name=f"{name}_high",
                      reset_less=True)
        m.d.sync += high.eq(by_parameter(
            m, f"{name}_high_now", kind[start + 2], lefts,
            lambda left: (late + (1 << 30 - left)).shift_right(31 - left), high.shape()))
        out = Signal(high.shape(), name=f"{name}_scaled", reset_less=True)
        m.d.sync += out.eq(by_parameter(
            m, f"{name}_scaled_now", kind[start + 3],
            {n: max(0, -s.shift) for n, s in scales.items()},
            lambda right: _half_away(high, right), high.shape()))
        return out

    @staticmethod
    def _product(m: Module, name: str, value: Value, multiplier: Value) -> Value:
        """value * multiplier, two cycles later: of parts that each fit a DSP slice."""
        parts = [value] if len(value) <= _WIDE else [value[:_WIDE - 1],
                                                     value[_WIDE - 1:].as_signed()]
        found = 0
        for n, part in enumerate(parts):
            terms = part * multiplier[:_NARROW - 1], part * multiplier[_NARROW - 1:]
            low, high = (Signal(term.shape(), name=f"{name}_{end}_{n}", reset_less=True)
                         for term, end in zip(terms, ("low", "high"), strict=True))
            joined = low + (high << _NARROW - 1)
            late = Signal(joined.shape(), name=f"{name}_product_{n}", reset_less=True)
            m.d.sync += [low.eq(terms[0]), high.eq(terms[1]), late.eq(joined)]
            found += late << n * (_WIDE - 1)
        return found

    def _arguments(self, m: Module, kind: list[Value], scaled: list[Signal]) -> list[Signal]:
        """The gates' arguments p, in the cycle behind the scaled sums: those of h are added to what
        those of x have set aside."""
        c, at = self.config, self.ends(self.config)["gate scales"]
        layout = data.ArrayLayout(signed(16), 4)
        m.submodules.asides = memory = Memory(shape=layout, depth=max(2, c.cell_depth), init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        address = delay(m, "aside_address", self.cell_addr, at)[-1]
        keeps = is_one_of(kind[at], [n for n, k in self.kinds(c).items()
                                     if isinstance(k, Int8GatesKind)])
        m.d.comb += [read.addr.eq(address), write.addr.eq(address),
                     write.en.eq(delay(m, "keeps", self.writes, at)[-1] & keeps)]
        found = []
        for n, (name, one) in enumerate(zip("ifgo", scaled, strict=True)):
            m.d.comb += write.data[n].eq(saturate(one, 16))
            p = Signal(signed(16), name=f"p_{name}", reset_less=True)
            m.d.sync += p.eq(saturate(read.data[n] + one, 16))
            found.append(p)
        return found

    def _gates(self, m: Module, arguments: list[Signal]) -> list[Signal]:
        """The values of i, f, g, o, three cycles behind their arguments."""
        tables = [RecipTable("gates", GATES, self.images) for _ in range(2)]
        m.submodules.table_if, m.submodules.table_go = tables
        ports = [tables[0].a, tables[0].b, tables[1].a, tables[1].b]
        found = []
        for name, p, port in zip("ifgo", arguments, ports, strict=True):
            magnitude = _magnitude(p)
            entry = magnitude << 1 if name == "g" else magnitude
            m.d.comb += port.entry.eq(Mux(entry > _LAST, _LAST, entry))
            negative = delay(m, f"negative_{name}", p[-1], 2)[-1]
            gate = Signal(signed(17), name=name, reset_less=True)
            if name == "g":
                positive = _at_most(port.value << 2, 32767)
                m.d.sync += gate.eq(Mux(negative, -positive, positive))
            else:
                positive = _at_most((port.value << 1) + 16384, 32767)
                m.d.sync += gate.eq(Mux(negative, 32767 - positive, positive))
            found.append(gate)
        return found

    def _tanh(self, m: Module, kind: list[Value], lstm: dict[int, Int8LstmKind], new: Signal,
              i_late: Value) -> Signal:
        """tanh of the new c, four cycles behind it."""
        c, at = self.config, self.ends(self.config)["c"]
        table = m.submodules.table_c = RecipTable("cell", c.recips, self.images)
        entry = Signal(table.a.entry.shape(), reset_less=True)
        magnitude = _magnitude(new)
        m.d.sync += entry.eq(by_parameter(
            m, "entry_now", kind[at],
            {n: (k.first, k.up, k.last) if k.first is not None else (0, 0, 0)
             for n, k in lstm.items()},
            lambda way: way[0] + _at_most(magnitude << way[1], way[2]), entry.shape()))
        m.d.comb += table.a.entry.eq(entry)
        positive = _at_most(table.a.value << 2, 32767)
        negative = delay(m, "negative_c", new[-1], 3)[-1]
        tc = Signal(signed(17), reset_less=True)
        tables = Mux(negative, -positive, positive)
        m.d.sync += tc.eq(by_parameter(
            m, "tc_now", kind[at + 3], {n: k.first is None for n, k in lstm.items()},
            lambda buffered: i_late if buffered else tables, signed(17)))
        return tc


def _half_away(value: Value, shift: int) -> Value:
    """value * 2**-shift, rounded to nearest, halves away from zero."""
    return floor_shift(value + half(shift) - value[-1], shift) if shift else value


def _magnitude(value: Value) -> Value:
    return Mux(value[-1], -value, value).as_unsigned()


def _at_most(value: Value, most: int) -> Value:
    return Mux(value > most, most, value)


def _clamped(value: Value, lo: int, hi: int) -> Value:
    return Mux(value < lo, lo, Mux(value > hi, hi, value))
