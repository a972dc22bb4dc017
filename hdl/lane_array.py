"""All finishing lanes, and the timing of what they produce."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind, by_parameter, delay
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.dense_lane import DenseLane
from gatefold.hdl.gru_lane import GruLane
from gatefold.hdl.kinds import LoadKind
from gatefold.hdl.lane import Lane, StateLane
from gatefold.hdl.lstm_lane import LstmLane
from gatefold.hdl.merge_lane import MergeLane
from gatefold.hdl.row_router import beat_layout
from gatefold.hdl.target import shared

__all__ = ["LaneArray", "early_latency", "lanes_of", "late_latency", "state_latency"]

#: Every sort of lane, and the name of its module in Verilog.
_LANES = {
    LstmLane: "gatefold_lstm_lane", GruLane: "gatefold_gru_lane",
    MergeLane: "gatefold_merge_lane", DenseLane: "gatefold_dense_lane"}


def lanes_of(config: EngineConfig) -> tuple[type[Lane], ...]:
    """The sorts of lanes that an engine has: those that finish any of its kinds."""
    return tuple(lane for lane in _LANES if lane.kinds(config))


def early_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the output port."""
    return DenseLane.latency(config) if config.out_early else late_latency(config)


def late_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the h port: one for all kinds, so that results of
    different kinds never meet, whatever stalls came between them."""
    return max(lane.latency(config) for lane in lanes_of(config))


def state_latency(config: EngineConfig) -> int:
    """Cycles from a beat that writes a state to the first that may read it, whatever the kinds."""
    return max((lane.state_latency(config) for lane in lanes_of(config)
                if issubclass(lane, StateLane)), default=0)


class LaneArray(wiring.Component):
    """``simd`` lanes; each beat's results leave together.

    Results for the operand memory leave on the h port after :func:`late_latency` cycles. Results
    for the output memory leave after :func:`early_latency`: a final Dense layer does not wait for
    the pipeline of a recurrent one.

    Members
    -------
    beat_valid, beat, z_<lane>_<gate>: In, from the router.
    h_data: Out, a chunk for the operand memory. h_lanes, h_chunk: Out, a cycle before it, which
    lanes of which chunk.
    out_lanes, out_frame, out_chunk, out_data, out_complete: Out, write of the output memory; its
    chunk is complete.
    trace_valid, trace_lanes, trace_h_<lane>: Out, every element of every kind (a beat that loads a
    state has none), after :func:`late_latency`. trace_c_<lane>: Out, the new state beside it where
    the kind has one. For test benches.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images
        c = config
        chunk = data.ArrayLayout(signed(c.act_width), c.simd)
        super().__init__({
            "beat_valid": In(1),
            "beat": In(beat_layout(c)),
            **{f"z_{lane}_{gate}": In(signed(c.acc_width))
               for lane in range(c.simd) for gate in range(4)},
            "h_lanes": Out(c.simd),
            "h_chunk": Out(bits_for(c.h_depth)),
            "h_data": Out(chunk),
            "out_lanes": Out(c.simd),
            "out_chunk": Out(bits_for(c.out_depth)),
            "out_frame": Out(1),
            "out_data": Out(chunk),
            "out_complete": Out(1),
            "trace_valid": Out(1),
            "trace_lanes": Out(c.simd),
            **{f"trace_h_{lane}": Out(signed(c.act_width)) for lane in range(c.simd)},
            **{f"trace_c_{lane}": Out(signed(c.cell_width)) for lane in range(c.simd)},
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        late, early = late_latency(c), early_latency(c)
        sorts = lanes_of(c)

        def is_of(kind, indices):
            return Cat(kind == n for n in indices).any()

        valid = delay(m, "valid", self.beat_valid, late, reset_less=False)
        beats = delay(m, "beat", self.beat.as_value(), late)
        at_late = data.View(beat_layout(c), beats[late])
        at_early = data.View(beat_layout(c), beats[early])
        before = data.View(beat_layout(c), beats[late - 1])
        loads = [n for n, kind in enumerate(c.kinds) if isinstance(kind, LoadKind)]
        m.d.comb += [
            self.h_lanes.eq(Mux(valid[late - 1] & before.to_h, before.lanes, 0)),
            self.h_chunk.eq(before.h),
            self.out_lanes.eq(Mux(valid[early] & at_early.to_out, at_early.lanes, 0)),
            self.out_chunk.eq(at_early.out),
            self.out_frame.eq(at_early.frame),
            self.out_complete.eq(valid[early] & at_early.to_out & at_early.complete),
            self.trace_valid.eq(valid[late] & ~is_of(at_late.kind, loads)),
            self.trace_lanes.eq(at_late.lanes),
        ]

        # Which sort of lane a late result is of; whether a beat writes the state of a sort.
        kinds = {sort: sort.kinds(c) for sort in sorts}
        sort_of = {n: place for place, sort in enumerate(sorts) for n in kinds[sort]}
        late_sort = Signal(bits_for(len(sorts)))
        sort_now = by_parameter(m, "sort_now", self.beat.kind, sort_of, lambda place: place,
                                len(late_sort))
        m.d.comb += late_sort.eq(delay(m, "sort", sort_now, late)[-1])
        writes = {}
        for sort in sorts:
            updating = [n for n, kind in kinds[sort].items() if sort.updates(kind)]
            writes[sort] = Signal(name=f"writes_{_name(sort)}")
            m.d.comb += writes[sort].eq(self.beat_valid & is_of(self.beat.kind, updating))

        for n in range(c.simd):
            results, states = {}, {}
            early_result = None
            for place, sort in enumerate(sorts):
                lane = sort(c, self.images)
                name, wait = _name(sort), late - sort.latency(c)
                m.submodules[f"{name}_{n}"] = shared(_LANES[sort], lane, platform)
                z = [getattr(self, f"z_{n}_{row}") for row in range(4)]
                m.d.comb += lane.kind.eq(self.beat.kind)
                if isinstance(lane, DenseLane):
                    with m.Switch(self.beat.gate):
                        for row in range(4):
                            with m.Case(row):
                                m.d.comb += lane.z.eq(z[row])
                    early_result = lane.y
                else:
                    m.d.comb += [getattr(lane, f"z_{row}").eq(z[row]) for row in range(4)]
                if isinstance(lane, StateLane):
                    m.d.comb += [
                        lane.writes.eq(writes[sort] & self.beat.lanes[n]),
                        lane.cell.eq(self.beat.cell),
                        lane.fresh.eq(self.beat.fresh),
                    ]
                    states[place] = delay(m, f"{name}_state_{n}", lane.c, wait)[-1]
                results[place] = delay(m, f"{name}_late_{n}", lane.y, wait)[-1]
            result = by_kind(m, f"result_{n}", late_sort, results, signed(c.act_width))
            m.d.comb += [
                self.h_data[n].eq(result),
                self.out_data[n].eq(early_result if c.out_early else result),
                getattr(self, f"trace_h_{n}").eq(result),
            ]
            if states:
                m.d.comb += getattr(self, f"trace_c_{n}").eq(
                    by_kind(m, f"state_{n}", late_sort, states, signed(c.cell_width)))
        return m


def _name(sort: type[Lane]) -> str:
    return _LANES[sort].removeprefix("gatefold_").removesuffix("_lane")
