"""The whole core, and the module that a user instantiates."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.hdl.lane_array import LaneArray
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.row_router import RowRouter
from gatefold.hdl.sequencer import Sequencer
from gatefold.hdl.weight_loader import WeightLoader

__all__ = ["Core", "Top"]


class Core(wiring.Component):
    """Frames in, frames out.

    ::

        beats -> FrameReader -> OperandMemory -> MacArray -> RowRouter -> LaneArray -> FrameWriter
                                  ^     ^           ^                        |            |
                                  |  Sequencer -----'                        |          beats
                                  '----------------------- h ----------------'

    Members
    -------
    i, o: streams of {data, last} beats; of a stateful core's input also {first}: with a frame's
    first beat, whether it begins a new sequence.
    frame_error: Out, TLAST was early or late on some frame since reset.
    load, load_error: the weights' stream of a loadable core, and whether its TLAST was wrong.
    trace_*: Out, every element and state (:class:`gatefold.hdl.lane_array.LaneArray`).
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images
        c = config
        beats = stream.Signature(data.StructLayout({"data": c.beat * c.container, "last": 1}))
        super().__init__({
            "i": In(stream.Signature(FrameReader.payload(c))),
            "o": Out(beats),
            "frame_error": Out(1),
            **({"load": In(beats), "load_error": Out(1)} if c.loadable else {}),
            "trace_valid": Out(1),
            "trace_lanes": Out(c.simd),
            **{f"trace_h_{lane}": Out(signed(c.act_width)) for lane in range(c.simd)},
            **{f"trace_c_{lane}": Out(signed(c.cell_width)) for lane in range(c.simd)},
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.reader = reader = FrameReader(c)
        m.submodules.sequencer = sequencer = Sequencer(c, self.images)
        m.submodules.operands = operands = OperandMemory(c)
        m.submodules.array = array = MacArray(c, self.images)
        m.submodules.router = router = RowRouter(c)
        m.submodules.lanes = lanes = LaneArray(c, self.images)
        m.submodules.writer = writer = FrameWriter(c)

        closed = Const(0, 1)
        if c.loadable:
            m.submodules.loader = loader = WeightLoader(c)
            closed = loader.closed
            wiring.connect(m, wiring.flipped(self.load), loader.beats)
            # Frames under way: begun by their first input beat, ended by their last output beat.
            under_way = Signal(4)
            began, ends = Signal(), Signal()
            m.d.comb += [
                ends.eq(self.o.valid & self.o.ready & self.o.payload.last),
                loader.idle.eq((under_way == 0) & ~began & ~reader.offered),
                array.load_rows.eq(loader.rows),
                array.load_bias.eq(loader.bias),
                array.load_addr.eq(loader.addr),
                array.load_word.eq(loader.word),
            ]
            m.d.sync += [
                began.eq(reader.begins),  # and is counted a cycle later
                under_way.eq(under_way + Mux(began, Mux(ends, 0, 1), Mux(ends, -1, 0))),
            ]
            with m.If(loader.error):
                m.d.sync += self.load_error.eq(1)
        wiring.connect(m, wiring.flipped(self.i), reader.beats)
        wiring.connect(m, writer.beats, wiring.flipped(self.o))
        m.d.comb += [
            sequencer.frames.eq(reader.frames),
            sequencer.chunks.eq(reader.chunks),
            sequencer.left.eq(writer.left),
            reader.enable.eq(sequencer.primed & ~closed),
            reader.done.eq(sequencer.done),
            operands.x_en.eq(reader.x_en),
            operands.x_frame.eq(reader.x_frame),
            operands.x_chunk.eq(reader.x_chunk),
            operands.x_data.eq(reader.x_data),
            operands.from_x.eq(sequencer.tile.from_x),
            operands.frame.eq(sequencer.frame),
            operands.chunk.eq(sequencer.tile.operand),
            operands.h_lanes.eq(lanes.h_lanes),
            operands.h_chunk.eq(lanes.h_chunk),
            operands.h_data.eq(lanes.h_data),
            array.tile_valid.eq(sequencer.tile_valid),
            array.tile.eq(sequencer.tile),
            array.operands.eq(operands.operands),
            router.finish_valid.eq(array.finish_valid),
            router.finish.eq(array.finish),
            lanes.beat_valid.eq(router.beat_valid),
            lanes.beat.eq(router.beat),
            writer.lanes.eq(lanes.out_lanes),
            writer.frame.eq(lanes.out_frame),
            writer.chunk.eq(lanes.out_chunk),
            writer.data.eq(lanes.out_data),
            writer.complete.eq(lanes.out_complete),
            self.trace_valid.eq(lanes.trace_valid),
            self.trace_lanes.eq(lanes.trace_lanes),
        ]
        for row in range(c.pe):
            m.d.comb += getattr(router, f"acc_{row}").eq(getattr(array, f"acc_{row}"))
        for n in range(c.simd):
            m.d.comb += [getattr(lanes, f"z_{n}_{gate}").eq(getattr(router, f"z_{n}_{gate}"))
                         for gate in range(4)]
            m.d.comb += [
                getattr(self, f"trace_h_{n}").eq(getattr(lanes, f"trace_h_{n}")),
                getattr(self, f"trace_c_{n}").eq(getattr(lanes, f"trace_c_{n}")),
            ]
        if c.stateful:
            m.d.comb += [sequencer.anew.eq(reader.anew), operands.zero.eq(sequencer.zero)]
        with m.If(reader.error):
            m.d.sync += self.frame_error.eq(1)
        return m


class Top(wiring.Component):
    """The core behind AXI4-Stream ports with the names that the vendor's tools recognise.

    The core's trace outputs stay inside (``core.trace_*``) for test benches to tap; synthesis
    removes what nobody reads.

    Members
    -------
    s_axis_t*: In, input stream. m_axis_t*: Out, output stream. frame_error: Out, sticky.
    s_axis_tuser, of a stateful core: In, with a frame's first beat: it begins a new sequence.
    s_load_t*, load_error: the weights' stream of a loadable core.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images
        width = config.beat * config.container
        super().__init__({
            "s_axis_tdata": In(width),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(width),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
            "frame_error": Out(1),
            **({"s_axis_tuser": In(1)} if config.stateful else {}),
            **({"s_load_tdata": In(width), "s_load_tvalid": In(1), "s_load_tready": Out(1),
                "s_load_tlast": In(1), "load_error": Out(1)} if config.loadable else {}),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = Core(self.config, self.images)
        m.d.comb += [
            core.i.payload.data.eq(self.s_axis_tdata),
            core.i.payload.last.eq(self.s_axis_tlast),
            core.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(core.i.ready),
            self.m_axis_tdata.eq(core.o.payload.data),
            self.m_axis_tlast.eq(core.o.payload.last),
            self.m_axis_tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis_tready),
            self.frame_error.eq(core.frame_error),
        ]
        if self.config.stateful:
            m.d.comb += core.i.payload.first.eq(self.s_axis_tuser)
        if self.config.loadable:
            m.d.comb += [
                core.load.payload.data.eq(self.s_load_tdata),
                core.load.payload.last.eq(self.s_load_tlast),
                core.load.valid.eq(self.s_load_tvalid),
                self.s_load_tready.eq(core.load.ready),
                self.load_error.eq(core.load_error),
            ]
        return m
