"""All finishing lanes, and the timing of what they produce."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .arith import delay
from .config import DenseKind, EngineConfig, bits_for
from .dense_lane import DenseLane, dense_latency
from .lstm_lane import LstmLane
from .row_router import beat_layout
from .target import shared

__all__ = ["LaneArray", "early_latency", "late_latency"]


def early_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the output port."""
    return dense_latency(config) if config.out_early else late_latency(config)


def late_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the h port: one for all kinds, so that results of
    different kinds never meet, whatever stalls came between them."""
    return LstmLane.latency if config.has_lstm else dense_latency(config)


class LaneArray(wiring.Component):
    """``simd`` lanes; each beat's results leave together.

    Results for the operand memory leave on the h port after :func:`late_latency` cycles. Results
    for the output memory leave after :func:`early_latency`: a final Dense layer does not wait for
    the LSTM's pipeline.

    Members
    -------
    beat_valid, beat, z_<lane>_<gate>: In, from the router.
    h_lanes, h_chunk, h_data: Out, write of the operand memory.
    out_lanes, out_frame, out_chunk, out_data, out_complete: Out, write of the output memory; its
    chunk is complete.
    trace_valid, trace_lanes, trace_h_<lane>, trace_c_<lane>: Out, every h and c, for test benches.
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
        has_dense = any(isinstance(kind, DenseKind) for kind in c.kinds)
        waits = late - dense_latency(c)

        valid = delay(m, "valid", self.beat_valid, late, reset_less=False)
        beats = delay(m, "beat", self.beat.as_value(), late)
        at_late = data.View(beat_layout(c), beats[late])
        at_early = data.View(beat_layout(c), beats[early])
        m.d.comb += [
            self.h_lanes.eq(Mux(valid[late] & at_late.to_h, at_late.lanes, 0)),
            self.h_chunk.eq(at_late.h),
            self.out_lanes.eq(Mux(valid[early] & at_early.to_out, at_early.lanes, 0)),
            self.out_chunk.eq(at_early.out),
            self.out_frame.eq(at_early.frame),
            self.out_complete.eq(valid[early] & at_early.to_out & at_early.complete),
            self.trace_valid.eq(valid[late] & ~at_late.dense),
            self.trace_lanes.eq(at_late.lanes),
        ]

        for n in range(c.simd):
            h = None
            if c.has_lstm:
                lane = LstmLane(c, self.images)
                m.submodules[f"lstm_{n}"] = shared("gatefold_lstm_lane", lane, platform)
                m.d.comb += [getattr(lane, f"z_{gate}").eq(getattr(self, f"z_{n}_{gate}"))
                             for gate in range(4)]
                m.d.comb += [
                    lane.kind.eq(self.beat.kind),
                    lane.writes.eq(self.beat_valid & ~self.beat.dense & self.beat.lanes[n]),
                    lane.cell.eq(self.beat.cell),
                    lane.fresh.eq(self.beat.fresh),
                    getattr(self, f"trace_h_{n}").eq(lane.h),
                    getattr(self, f"trace_c_{n}").eq(lane.c),
                ]
                h = lane.h
            y_late = y = None
            if has_dense:
                dense = DenseLane(c, self.images)
                m.submodules[f"dense_{n}"] = shared("gatefold_dense_lane", dense, platform)
                with m.Switch(self.beat.gate):
                    for gate in range(4):
                        with m.Case(gate):
                            m.d.comb += dense.z.eq(getattr(self, f"z_{n}_{gate}"))
                m.d.comb += dense.kind.eq(self.beat.kind)
                y = dense.y
                y_late = delay(m, f"y_{n}", y, waits)[-1]
            if h is None:
                late_result = y_late
            elif y_late is None:
                late_result = h
            else:
                late_result = Mux(at_late.dense, y_late, h)
            m.d.comb += [
                self.h_data[n].eq(late_result),
                self.out_data[n].eq(y if c.out_early else late_result),
            ]
        return m
