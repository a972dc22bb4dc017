"""All finishing lanes, and the timing of their results."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind, by_parameter, delay, is_one_of, later, unscaled
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.dense_lane import DenseLane
from gatefold.hdl.gru_lane import GruLane
from gatefold.hdl.int8_dense_lane import EXPONENT, MANTISSA, Int8DenseLane
from gatefold.hdl.int8_lstm_lane import Int8LstmLane
from gatefold.hdl.interfaces import output_write, result_write, routed_beat, scale_layout, trace
from gatefold.hdl.kinds import SILENT
from gatefold.hdl.lane import Lane, StateLane
from gatefold.hdl.lstm_lane import LstmLane
from gatefold.hdl.merge_lane import MergeLane
from gatefold.hdl.target import Rom, shared

__all__ = ["LANES", "LaneArray", "early_latency", "lanes_of", "late_latency", "state_latency"]

#: Every type of lane, by the name of its instances; its module in Verilog is gatefold_NAME_lane.
LANES = {"lstm": LstmLane, "gru": GruLane, "merge": MergeLane, "dense": DenseLane,
          "int8_lstm": Int8LstmLane, "int8_dense": Int8DenseLane}


def lanes_of(config: EngineConfig) -> tuple[type[Lane], ...]:
    """The types of lanes that an engine has: those that finish any of its kinds."""
    return tuple(lane for lane in LANES.values() if lane.kinds(config))


def early_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the output port."""
    return DenseLane.latency(config) if config.out_early else late_latency(config)


def late_latency(config: EngineConfig) -> int:
    """Cycles from a beat to its result on the h port: one number for all kinds, so that results of
    different kinds never meet, also with stalls between them."""
    return max(lane.latency(config) for lane in lanes_of(config))


def state_latency(config: EngineConfig) -> int:
    """Cycles from a beat that writes a state to the first that may read it, for all kinds."""
    return max((lane.state_latency(config) for lane in lanes_of(config)
                if issubclass(lane, StateLane)), default=0)


class LaneArray(wiring.Component):
    """The lanes, so many of each type; the results of a beat leave together.

    A beat is a chunk of results, or one of the ``parts`` of it: the lowest bits of its addresses
    say which.

    Results for the operand memory leave after :func:`late_latency` cycles, results for the output
    memory after :func:`early_latency`: a final Dense layer does not wait for the pipeline of a
    recurrent one.

    ``die``: its number. Where results have factors of their own, each lane has a memory of them.

    Members
    -------
    routed: In, a beat from the router.
    result: Out, write of the operand memory. output: Out, write of the output memory.
    scales: In, of a core with row scales, those of the beat.
    trace: Out, for test benches, after :func:`late_latency`; its sums at once.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, die: int = 0):
        self.config, self.images, self.die = config, images, die
        super().__init__({
            "routed": In(routed_beat(config)),
            "result": Out(result_write(config)),
            "output": Out(output_write(config)),
            "trace": Out(trace(config)),
            **({"scales": In(scale_layout(config))} if config.scale_depth else {}),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        self._controls(m)

        # Of which type of lane a late result is, by its place among the types.
        names = [name for name, lane in LANES.items() if lane.kinds(c)]
        types = {kind: place for place, name in enumerate(names) for kind in LANES[name].kinds(c)}
        lane_type = by_parameter(m, "lane_type", self.routed.beat.kind, types,
                                 lambda place: place, bits_for(len(names)))
        late_type = delay(m, "lane_type", lane_type, late_latency(c))[-1]
        writes = {name: self._writes(m, name) for name in names}
        for n in range(c.lanes):
            results, states = {}, {}
            dense = None
            for place, name in enumerate(names):
                lane = self._lane(m, platform, name, n, writes[name])
                wait = late_latency(c) - lane.latency(c)
                results[place] = delay(m, f"{name}_late_{n}", lane.y, wait)[-1]
                if isinstance(lane, StateLane):
                    states[place] = delay(m, f"{name}_state_{n}", lane.c, wait)[-1]
                if isinstance(lane, DenseLane):
                    dense = lane.y
            result = by_kind(m, f"result_{n}", late_type, results, signed(c.result_width))
            for at in range(n, c.simd, c.lanes):
                m.d.comb += [self.result.data[at].eq(result),
                             self.output.data[at].eq(dense if c.out_early else result)]
            m.d.comb += self.trace.h[n].eq(result)
            if states:
                m.d.comb += self.trace.c[n].eq(
                    by_kind(m, f"state_{n}", late_type, states, signed(c.cell_width)))
        return m

    def _controls(self, m: Module) -> None:
        """The controls of the results and their destinations, delayed with them."""
        c, valid, beat = self.config, self.routed.valid, self.routed.beat
        late, early = late_latency(c), early_latency(c)
        silent = [n for n, kind in enumerate(c.kinds) if isinstance(kind, SILENT)]
        told = valid & ~is_one_of(beat.kind, silent)
        lanes = delay(m, "lanes", beat.lanes, max(late, early))
        to_h = later(m, "to_h", valid & beat.to_h, late - 1)
        to_out = later(m, "to_out", valid & beat.to_out, early)
        h, out = later(m, "h", beat.h, late - 1), later(m, "out", beat.out, early)
        part_bits = (c.parts - 1).bit_length()
        m.d.comb += [
            self.result.lanes.eq(self._written(lanes[late - 1], h, to_h)),
            self.result.chunk.eq(h >> part_bits),
            self.output.lanes.eq(self._written(lanes[early], out, to_out)),
            self.output.chunk.eq(out >> part_bits),
            self.output.frame.eq(later(m, "frame", beat.frame, early)),
            self.output.complete.eq(later(m, "complete", valid & beat.to_out & beat.complete,
                                          early)),
            self.trace.valid.eq(later(m, "told", told, late)),
            self.trace.lanes.eq(lanes[late]),
            self.trace.summed.eq(told),
            *(self.trace.sums[n][k].eq(
                unscaled(z, self.scales[n][k]) if c.scale_depth and k < c.row_places else z)
              for n in range(c.lanes) for k, z in enumerate(self.routed.z[n])),
        ]

    def _written(self, lanes: Value, address: Value, writes: Value) -> Value:
        """The elements of a chunk that a beat with these ``lanes`` and this address writes."""
        parts = self.config.parts
        part = address[:(parts - 1).bit_length()]
        return Cat(Mux(writes & (part == n) if parts > 1 else writes, lanes, 0)
                   for n in range(parts))

    def _writes(self, m: Module, name: str) -> Value:
        """Whether the beat writes a memory of such lanes."""
        lane = LANES[name]
        updating = [n for n, kind in lane.kinds(self.config).items() if lane.updates(kind)]
        writes = Signal(name=f"{name}_writes")
        m.d.comb += writes.eq(self.routed.valid & is_one_of(self.routed.beat.kind, updating))
        return writes

    def _lane(self, m: Module, platform, name: str, n: int, writes: Value) -> Lane:
        """Lane ``n`` of a type, with its inputs connected."""
        beat, z = self.routed.beat, self.routed.z[n]
        lane = LANES[name](self.config, self.images)
        m.submodules[f"{name}_{n}"] = shared(f"gatefold_{name}_lane", lane, platform)
        m.d.comb += lane.kind.eq(beat.kind)
        if lane.scaled and self.config.scale_depth:
            m.d.comb += lane.scales.eq(self.scales[n])
        if isinstance(lane, DenseLane | Int8DenseLane):
            m.d.comb += lane.z.eq(z[0])
        else:
            m.d.comb += [port.eq(row) for port, row in zip(lane.z, z, strict=True)]
        if isinstance(lane, Int8DenseLane):
            file = f"factors_{self.die * self.config.lanes + n:03d}"
            factors = Rom(width=MANTISSA + EXPONENT, depth=self.config.factor_depth,
                         file=f"{file}.hex", init=(self.images or {}).get(file))
            m.submodules[f"factors_{n}"] = factors.placed(platform)
            m.d.comb += [factors.addr.eq(beat.cell), lane.factor.eq(factors.data)]
        if isinstance(lane, StateLane):
            m.d.comb += [lane.writes.eq(writes & beat.lanes[n]), lane.cell_addr.eq(beat.cell),
                         lane.fresh.eq(beat.fresh)]
        return lane
