"""From finished rows to lanes: the rows of a die finish many elements at once, its lanes take
a beat of elements a cycle, in chunks as the operand memory stores them or in parts of chunks."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_parameter, delay, is_one_of
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import FINISH_LEAD, finished_rows, routed_beat
from gatefold.hdl.isa import beat_layout, finish_layout
from gatefold.hdl.relay import fan_out, relayed

__all__ = ["RowRouter"]

#: Spans that the second level of registers joins in one place.
_JOINED = 4


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
    """Brings the rows of an element to each lane, one beat a cycle: on a route of R rows an
    element that begins at slot s, rows R (s + n) to R (s + n) + R - 1 to lane n.

    ::

        accumulators, or their copies -> selected in each span -> (joined by fours) -> z of a lane
                     0                        gather 1, 2            gather 2         latency

    The accumulators go on to the next tile at once, so beats after the first read a copy; each
    takes the next route. A finish that comes ``again`` reads the copy from its first beat on.
    Results come :meth:`latency` cycles after the rows. The plan leaves at
    least ``beats`` cycles between finishes.

    Without ``gather`` there is one span and no register but z. With it, a span gives zero where it
    has no row for a lane, and an OR joins the spans. Beats are counted FINISH_LEAD cycles before
    the rows are there: their controls end in a relay for each region (the first beat is there: copy
    the rows) and for each lane in each span (the route).

    Members
    -------
    rows: In, from the array. primed: In, the core has begun; until then the count of beats is kept
        at zero, for it would not leave what it began with by itself. routed: Out, beats for the
        lanes; ``z[n][k]`` is row k of lane n's element, and undefined for lanes that get none and
        for k >= R. scale: Out, of a core with row scales, the word of those of the next cycle's
        beat.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({
            "rows": In(finished_rows(config)), "primed": In(1, init=1),
            "routed": Out(routed_beat(config)),
            **({"scale": Out(config.scale_address)} if config.scale_depth else {})})

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from the rows to the lanes."""
        return 1 + config.gather

    def elaborate(self, platform):
        c = self.config
        m = Module()
        active = Signal()  # there will be a beat
        finish = Signal(_of_a_beat(c))  # how the rows are finished, for this beat
        last = Signal()  # the beat is the last of its rows
        self._count_beats(m, active, finish, last)
        self._controls(m, active, finish, last)

        rows = self._rows(m, platform)
        spans = {lane: self._spans(lane) for lane in range(c.lanes)}
        places = [(n, lane) for lane, found in spans.items() for n in found]
        routes = fan_out(m, platform, "route", finish.route, len(places), FINISH_LEAD - 1)
        parts: dict[tuple[int, int], list[Value]] = {}  # of row k of a lane's element, by span
        for (n, lane), route in zip(places, routes, strict=True):
            held = spans[lane][n]
            several = [k for k in held if sum(k in other for other in spans[lane].values()) > 1]
            decoded = [is_one_of(route, held[k]) for k in several]
            way = relayed(m, platform, f"way_{n}_{lane}", Cat(route, *decoded))
            brings = {k: way[len(route) + at] for at, k in enumerate(several)}
            for k, sources in held.items():
                z = _choose(way[:len(route)], {at: rows[row] for at, row in sources.items()})
                parts.setdefault((lane, k), []).append(Mux(brings[k], z, 0) if k in brings else z)
        for (lane, k), terms in parts.items():
            for level in range(c.gather):
                joined = _JOINED if level else 1
                terms = [self._register(m, f"part_{lane}_{k}_{level}_{n}", terms[n:n + joined])
                         for n in range(0, len(terms), joined)]
            m.d.comb += self.routed.z[lane][k].eq(self._register(m, f"z_{lane}_{k}", terms))
        return m

    def _count_beats(self, m: Module, active: Signal, finish, last: Signal):
        """Beat 0 comes straight from the array, the others from a copy; each goes to the next
        chunk by the next route."""
        rows = self.rows
        new = {name: rows.finish[name] for name, _ in finish.shape()}
        if self.config.max_beats == 1:
            m.d.comb += [active.eq(rows.valid), last.eq(1),
                         *(finish[name].eq(value) for name, value in new.items())]
            return
        held = Signal.like(finish, name="held", reset_less=True)
        left = Signal(bits_for(self.config.max_beats), reset_less=True)
        busy = Signal(reset_less=True)  # left is not zero
        m.d.comb += [
            active.eq(rows.valid | busy),
            last.eq(Mux(rows.valid, rows.finish.beats == 0, left == 1)),
            *(finish[name].eq(Mux(rows.valid, value, held[name])) for name, value in new.items()),
        ]
        with m.If(~self.primed):
            m.d.sync += [left.eq(0), busy.eq(0)]
        with m.Elif(active):
            m.d.sync += [
                left.eq(Mux(rows.valid, rows.finish.beats, left - 1)),
                busy.eq(~last),
                held.eq(finish),
                *(held[name].eq(finish[name] + 1) for name in new
                  if name in ("route", "h", "out", "cell", "scale")),
            ]

    def _controls(self, m: Module, active: Signal, finish, last: Signal):
        """The controls of a beat, which come to the lanes with its rows."""
        c = self.config
        taking = dict.fromkeys(range(len(c.routes)), 0)  # lanes that get an element: row 0 of it
        for lane in range(c.lanes):
            for route in c.sources(lane, 0):
                taking[route] |= 1 << lane
        beat = Signal(beat_layout(c))
        m.d.comb += [
            beat.lanes.eq(by_parameter(m, "lanes", finish.route, taking,
                                       lambda mask: Const(mask, c.lanes), c.lanes)),
            beat.complete.eq(Mux(last, finish.complete,
                                 finish.out[:bits_for(c.parts)].all() if c.parts > 1 else 1)),
            *(beat[name].eq(finish[name])
              for name in ("kind", "cell", "fresh", "to_h", "h", "to_out", "out", "frame"))]
        wait = FINISH_LEAD + self.latency(c)
        m.d.comb += [
            self.routed.valid.eq(delay(m, "valid", active, wait)[-1]),
            self.routed.beat.as_value().eq(delay(m, "beat", beat.as_value(), wait)[-1])]
        if c.scale_depth:
            m.d.comb += self.scale.eq(delay(m, "scale", finish.scale, wait - 1)[-1])

    def _rows(self, m: Module, platform) -> list[Value]:
        """The rows of the beat: from the array, and from the second beat on, or if they come again,
        their copies."""
        c, rows = self.config, []
        if not c.copies:
            return list(self.rows.acc)
        new = self.rows.valid & ~self.rows.finish.again if c.again else self.rows.valid
        firsts = fan_out(m, platform, "first", new, len(c.die_regions), FINISH_LEAD - 1)
        for region, (held, first) in enumerate(zip(c.die_regions, firsts, strict=True)):
            first = relayed(m, platform, f"first_{region}", first)
            for n in held:
                copy = Signal(signed(c.acc_width), name=f"copy_{n}", reset_less=True)
                row = Signal(signed(c.acc_width), name=f"row_{n}")
                m.d.comb += row.eq(Mux(first, self.rows.acc[n], copy))
                m.d.sync += copy.eq(row)
                rows.append(row)
        return rows

    def _spans(self, lane: int) -> dict[int, dict[int, dict[int, int]]]:
        """Of each span that holds rows of a lane's elements, by k, the row k of the element by the
        routes that bring it."""
        c = self.config
        found: dict[int, dict[int, dict[int, int]]] = {}
        for n, span in enumerate(c.spans):
            for k in range(4):
                sources = {route: row for route, row in c.sources(lane, k).items() if row in span}
                if sources:
                    found.setdefault(n, {})[k] = sources
        return found

    def _register(self, m: Module, name: str, terms: list[Value]) -> Signal:
        """The OR of terms, a cycle later."""
        out = Signal(signed(self.config.acc_width), name=name, reset_less=True)
        total = terms[0]
        for term in terms[1:]:
            total = total | term
        m.d.sync += out.eq(total)
        return out


def _of_a_beat(config: EngineConfig) -> data.StructLayout:
    """What every beat of finished rows needs to know: all but their number."""
    return data.StructLayout({
        name: field.shape for name, field in finish_layout(config) if name != "beats"})
