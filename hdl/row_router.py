"""From finished rows to lanes: the array finishes many elements at once, lanes take ``simd`` a
cycle, in chunks as the operand memory stores them."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_parameter
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import finished_rows, routed_beat
from gatefold.hdl.isa import beat_layout, finish_layout

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
    return choices[0]


class RowRouter(wiring.Component):
    """Brings the rows of an element to each lane, one chunk a cycle: on a route of R rows an
    element that begins at slot s, rows R (s + n) to R (s + n) + R - 1 to lane n.

    The accumulators go on to the next tile at once, so beats after the first read a copy; each
    takes the next route. Results come :attr:`latency` cycle after the rows. The plan leaves at
    least ``beats`` cycles between finishes.

    Members
    -------
    rows: In, from the array. routed: Out, beats for the lanes; ``z[n][k]`` is row k of lane n's
        element, and undefined for lanes that get none and for k >= R.
    """

    latency = 1

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"rows": In(finished_rows(config)), "routed": Out(routed_beat(config))})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        active = Signal()  # there is a beat in this cycle
        finish = Signal(finish_layout(c))  # how the rows are finished, for this beat
        last = Signal()  # the beat is the last of its rows
        self._count_beats(m, active, finish, last)

        # Row 0 of its element comes to every lane that gets one.
        taking = {n: 0 for n in range(len(c.routes))}
        for lane in range(c.simd):
            for n in c.sources(lane, 0):
                taking[n] |= 1 << lane
        lanes = by_parameter(m, "lanes", finish.route, taking, lambda mask: Const(mask, c.simd),
                             c.simd)
        valid = Signal()
        beat = Signal(beat_layout(c), reset_less=True)
        m.d.sync += [
            valid.eq(active),
            beat.lanes.eq(lanes),
            beat.complete.eq(~last | finish.complete),
        ]
        m.d.sync += [beat[name].eq(finish[name])
                     for name in ("kind", "cell", "fresh", "to_h", "h", "to_out", "out", "frame")]
        m.d.comb += [self.routed.valid.eq(valid), self.routed.beat.eq(beat)]

        rows = self._rows(m)
        for lane in range(c.simd):
            for k in range(4):
                sources = c.sources(lane, k)
                if sources:
                    z = Signal(signed(c.acc_width), name=f"z_{lane}_{k}", reset_less=True)
                    m.d.sync += z.eq(_choose(finish.route, {
                        n: rows[row] for n, row in sources.items()}))
                    m.d.comb += self.routed.z[lane][k].eq(z)
        return m

    def _count_beats(self, m: Module, active: Signal, finish, last: Signal):
        """Beat 0 comes straight from the array, the others from a copy; each goes to the next
        chunk by the next route."""
        rows = self.rows
        held = Signal(finish_layout(self.config))
        left = Signal(bits_for(self.config.max_beats))
        busy = Signal()  # left is not zero
        m.d.comb += [
            finish.eq(Mux(rows.valid, rows.finish.as_value(), held.as_value())),
            active.eq(rows.valid | busy),
            last.eq(Mux(rows.valid, rows.finish.beats == 0, left == 1)),
        ]
        with m.If(active):
            m.d.sync += [
                left.eq(Mux(rows.valid, rows.finish.beats, left - 1)),
                busy.eq(~last),
                held.eq(finish),
                *(held[name].eq(finish[name] + 1) for name in ("route", "h", "out", "cell")),
            ]

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
