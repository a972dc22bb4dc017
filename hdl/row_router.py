"""From finished rows to lanes: the array finishes up to ``pe // 4`` units at once, lanes take
``simd`` a cycle, in chunks as the operand memory stores them."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.isa import finish_layout
from gatefold.hdl.kinds import DenseKind

__all__ = ["RowRouter", "beat_layout"]


def beat_layout(config: EngineConfig) -> data.StructLayout:
    """What lanes are told about one beat.

    kind: index into ``config.kinds``; dense: it is a Dense kind. gate: which of the four rows of a
    slot a Dense result is in. lanes: which lanes hold something. cell, fresh, to_h, h, to_out, out,
    frame: as in :func:`gatefold.hdl.isa.finish_layout`, for this beat. complete: its chunk is.
    """
    return data.StructLayout({
        "kind": bits_for(len(config.kinds)),
        "dense": 1,
        "gate": 2,
        "lanes": config.simd,
        "cell": bits_for(config.cell_depth),
        "fresh": 1,
        "to_h": 1,
        "h": bits_for(config.h_depth),
        "to_out": 1,
        "out": bits_for(config.out_depth),
        "complete": 1,
        "frame": 1,
    })


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
    for the same slots (``gate`` 0..3). Results :attr:`latency` cycle after the rows; ``beats``
    cycles must pass between finishes, which the plan sees to.

    Members
    -------
    finish_valid, finish, acc_<row>: In, from the array.
    beat_valid, beat: Out, with the lanes' data. z_<lane>_<gate>: Out, accumulators.
    """

    latency = 1

    def __init__(self, config: EngineConfig):
        self.config = c = config
        super().__init__({
            "finish_valid": In(1),
            "finish": In(finish_layout(c)),
            **{f"acc_{row}": In(signed(c.acc_width)) for row in range(c.pe)},
            "beat_valid": Out(1),
            "beat": Out(beat_layout(c)),
            **{f"z_{lane}_{gate}": Out(signed(c.acc_width))
               for lane in range(c.simd) for gate in range(4)},
        })

    def lanes_of(self, route: int) -> list[int]:
        """Lanes that get a slot on this route."""
        return [lane for lane in range(self.config.simd) if 0 <= route + lane < self.config.slots]

    def elaborate(self, platform):
        c = self.config
        m = Module()

        # The event in progress: beat 0 straight from the array, the rest from the copy.
        first = self.finish_valid
        held = Signal(finish_layout(c))
        now = Signal(finish_layout(c))
        left = Signal(bits_for(c.max_beats))
        busy = Signal()  # left is not zero
        gate = Signal(2)
        active = Signal()
        dense = Signal()
        is_dense = [n for n, kind in enumerate(c.kinds) if isinstance(kind, DenseKind)]
        m.d.comb += [
            now.eq(Mux(first, self.finish.as_value(), held.as_value())),
            active.eq(first | busy),
            dense.eq(sum((now.kind == n for n in is_dense), Const(0, 1)) != 0),
        ]
        this_gate = Signal(2)
        last_gate = Signal()
        m.d.comb += [
            this_gate.eq(Mux(first, 0, gate)),
            last_gate.eq(~dense | (this_gate == 3)),
        ]
        remaining = Signal.like(left)
        m.d.comb += remaining.eq(Mux(first, self.finish.beats, left - 1))
        with m.If(active):
            m.d.sync += [
                left.eq(remaining),
                busy.eq(Mux(first, self.finish.beats != 0, left != 1)),
                gate.eq(this_gate + 1),
                held.eq(now),
                held.h.eq(now.h + 1),
                held.out.eq(now.out + 1),
                held.cell.eq(now.cell + 1),
            ]
            with m.If(last_gate):
                m.d.sync += held.route.eq(now.route + 1)

        # A beat on the last route of an event leaves its chunk open unless the plan says otherwise.
        # A Dense layer's routes are counted: how many come after that of the present beat.
        routes, routes_left = Signal(max(1, len(left) - 2)), Signal(max(1, len(left) - 2))
        on_last_route = Signal()
        m.d.comb += routes.eq(self.finish.beats >> 2)
        with m.If(first):
            m.d.sync += routes_left.eq(routes)
            m.d.comb += on_last_route.eq(Mux(dense, routes == 0, self.finish.beats == 0))
        with m.Else():
            with m.If(gate == 3):
                m.d.sync += routes_left.eq(routes_left - 1)
            m.d.comb += on_last_route.eq(Mux(dense, routes_left == 0, left == 1))

        mask = by_kind(m, "mask", now.route, {
            n: Const(sum(1 << lane for lane in self.lanes_of(route)), c.simd)
            for n, route in enumerate(c.routes)}, c.simd)
        valid = Signal()
        beat = Signal(beat_layout(c), reset_less=True)
        m.d.sync += [
            valid.eq(active),
            beat.kind.eq(now.kind),
            beat.dense.eq(dense),
            beat.gate.eq(this_gate),
            beat.lanes.eq(mask),
            beat.cell.eq(now.cell),
            beat.fresh.eq(now.fresh),
            beat.to_h.eq(now.to_h),
            beat.h.eq(now.h),
            beat.to_out.eq(now.to_out),
            beat.out.eq(now.out),
            beat.frame.eq(now.frame),
            beat.complete.eq(~on_last_route | now.complete),
        ]
        m.d.comb += [self.beat_valid.eq(valid), self.beat.eq(beat)]

        source = []
        for row in range(c.pe):
            acc = getattr(self, f"acc_{row}")
            if c.max_beats == 1:
                source.append(acc)
                continue
            copy = Signal(signed(c.acc_width), name=f"copy_{row}", reset_less=True)
            row_now = Signal(signed(c.acc_width), name=f"row_{row}")
            with m.If(first):
                m.d.sync += copy.eq(acc)
            m.d.comb += row_now.eq(Mux(first, acc, copy))
            source.append(row_now)

        for lane in range(c.simd):
            for k in range(4):
                choices = {n: source[4 * (route + lane) + k] for n, route in enumerate(c.routes)
                           if lane in self.lanes_of(route)}
                out = Signal(signed(c.acc_width), name=f"z_{lane}_{k}_reg", reset_less=True)
                m.d.sync += out.eq(_choose(now.route, choices))
                m.d.comb += getattr(self, f"z_{lane}_{k}").eq(out)
        return m
