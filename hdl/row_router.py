"""From finished rows to lanes: the rows of a die finish up to ``slots`` units at once, its lanes
take ``simd`` a cycle, in chunks as the operand memory stores them."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind, is_one_of
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import finished_rows, routed_beat
from gatefold.hdl.isa import beat_layout, finish_layout
from gatefold.hdl.kinds import DenseKind

__all__ = ["RowRouter"]


def _choose(index: Value, choices: dict[int, Value]) -> Value:
    """``choices[index]`` by a tree of two-to-one multiplexers, one level a bit of ``index``; where
    it names none, any of them."""
    for bit in range(len(index)):
        pairs: dict[int, Value] = {}
        for n in sorted(choices):  # the even one of a pair comes first
            even = pairs.get(n >> 1)
            pairs[n >> 1] = choices[n] if even is None else Mux(index[bit], choices[n], even)
        choices = pairs
    return choices.get(0, Const(0))


class RowRouter(wiring.Component):
    """Brings the four rows of slot ``routes[route] + lane`` to each lane, one chunk a cycle.

    The accumulators go on to the next tile at once, so beats after the first read a copy. An LSTM
    beat uses all four rows of a slot; a Dense layer has an output in each row and takes four beats
    for the same slots (``gate`` 0..3). Results come :attr:`latency` cycle after the rows. The plan
    leaves at least ``beats`` cycles between finishes.

    Members
    -------
    rows: In, from the array. routed: Out, beats for the lanes.
    """

    latency = 1

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"rows": In(finished_rows(config)), "routed": Out(routed_beat(config))})

    def lanes_of(self, route: int) -> list[int]:
        """Lanes that get a slot on this route."""
        return [lane for lane in range(self.config.simd) if 0 <= route + lane < self.config.slots]

    def elaborate(self, platform):
        c = self.config
        m = Module()
        active = Signal()  # there is a beat in this cycle
        finish = Signal(finish_layout(c))  # how the rows are finished, for this beat
        dense = Signal()
        gate = Signal(2)
        m.d.comb += dense.eq(is_one_of(finish.kind, (
            n for n, kind in enumerate(c.kinds) if isinstance(kind, DenseKind))))
        beats_left = self._count_beats(m, active, finish, dense, gate)
        last_route = self._last_route(m, beats_left, dense, gate)

        lanes = by_kind(m, "lanes", finish.route, {
            n: Const(sum(1 << lane for lane in self.lanes_of(route)), c.simd)
            for n, route in enumerate(c.routes)}, c.simd)
        valid = Signal()
        beat = Signal(beat_layout(c), reset_less=True)
        m.d.sync += [
            valid.eq(active),
            beat.dense.eq(dense),
            beat.gate.eq(gate),
            beat.lanes.eq(lanes),
            beat.complete.eq(~last_route | finish.complete),
        ]
        m.d.sync += [beat[name].eq(finish[name])
                     for name in ("kind", "cell", "fresh", "to_h", "h", "to_out", "out", "frame")]
        m.d.comb += [self.routed.valid.eq(valid), self.routed.beat.eq(beat)]

        rows = self._rows(m)
        for lane in range(c.simd):
            for k in range(4):
                z = Signal(signed(c.acc_width), name=f"z_{lane}_{k}", reset_less=True)
                m.d.sync += z.eq(_choose(finish.route, {
                    n: rows[4 * (route + lane) + k] for n, route in enumerate(c.routes)
                    if lane in self.lanes_of(route)}))
                m.d.comb += self.routed.z[lane][k].eq(z)
        return m

    def _count_beats(self, m: Module, active: Signal, finish, dense: Signal,
                     gate: Signal) -> Signal:
        """Beat 0 comes straight from the array, the others from a copy that advances by a chunk a
        beat. Returns the number of beats that are still to come."""
        rows = self.rows
        held = Signal(finish_layout(self.config))
        left = Signal(bits_for(self.config.max_beats))
        busy = Signal()  # left is not zero
        next_gate = Signal(2)
        m.d.comb += [
            finish.eq(Mux(rows.valid, rows.finish.as_value(), held.as_value())),
            active.eq(rows.valid | busy),
            gate.eq(Mux(rows.valid, 0, next_gate)),
        ]
        with m.If(active):
            m.d.sync += [
                left.eq(Mux(rows.valid, rows.finish.beats, left - 1)),
                busy.eq(Mux(rows.valid, rows.finish.beats != 0, left != 1)),
                next_gate.eq(gate + 1),
                held.eq(finish),
                held.h.eq(finish.h + 1),
                held.out.eq(finish.out + 1),
                held.cell.eq(finish.cell + 1),
            ]
            with m.If(~dense | (gate == 3)):
                m.d.sync += held.route.eq(finish.route + 1)
        return left

    def _last_route(self, m: Module, beats_left: Signal, dense: Signal, gate: Signal) -> Signal:
        """Whether the beat is on the last route of its rows: unless the plan says otherwise, it
        leaves its chunk open. The routes of a Dense layer are counted: those that come after that
        of the beat."""
        rows = self.rows
        width = max(1, len(beats_left) - 2)
        routes = Signal(width)
        routes_left = Signal(width)
        last = Signal(name="last_route")
        m.d.comb += routes.eq(rows.finish.beats >> 2)
        with m.If(rows.valid):
            m.d.sync += routes_left.eq(routes)
            m.d.comb += last.eq(Mux(dense, routes == 0, rows.finish.beats == 0))
        with m.Else():
            with m.If(gate == 3):
                m.d.sync += routes_left.eq(routes_left - 1)
            m.d.comb += last.eq(Mux(dense, routes_left == 0, beats_left == 1))
        return last

    def _rows(self, m: Module) -> list[Value]:
        """The rows of the beat: from the array, and from the second beat on their copies."""
        c, rows = self.config, []
        if c.max_beats == 1:
            return list(self.rows.acc)
        for n, acc in enumerate(self.rows.acc):
            copy = Signal(signed(c.acc_width), name=f"copy_{n}", reset_less=True)
            row = Signal(signed(c.acc_width), name=f"row_{n}")
            with m.If(self.rows.valid):
                m.d.sync += copy.eq(acc)
            m.d.comb += row.eq(Mux(self.rows.valid, acc, copy))
            rows.append(row)
        return rows
