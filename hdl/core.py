"""The whole core, and the module that a user instantiates."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, In, Out

from gatefold.hdl import interfaces
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.die import Die, crossed, way
from gatefold.hdl.dies import borders, sources
from gatefold.hdl.frame_reader import FrameReader
from gatefold.hdl.frame_writer import FrameWriter
from gatefold.hdl.guard import FAULTS, Watchdog, with_copies
from gatefold.hdl.lane_array import early_latency, late_latency
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.row_router import RowRouter
from gatefold.hdl.sequencer import Sequencer
from gatefold.hdl.weight_loader import WeightLoader

__all__ = ["TOP", "Core", "Port", "Top"]

TOP = "gatefold"  #: the name of the module of :class:`Top`


class Core(wiring.Component):
    """Frames in, frames out.

    ::

        beats -> FrameReader -> OperandMemory -> MacArray -> RowRouter -> LaneArray -> FrameWriter
                                  ^     ^           ^                        |            |
                                  |  Sequencer -----'                        |          beats
                                  '----------------------- h ----------------'

    Where several dies share the array, each has all that is between the reader and the writer
    (:class:`Die`), and obeys the one sequencer, which is on die 0. What goes to them and what comes
    from them takes the same number of cycles for each, and a finished chunk goes to every other die
    as well, from neighbour to neighbour.

    A reset reaches the sequencer, the reader, the writer and the loader. The dies have none: the
    sequencer issues nothing until all that they did has come to its end (:meth:`drain`), and until
    then the writer takes nothing and the routers count no beats.

    Members
    -------
    i, o: streams of beats; of a stateful core's input also ``first``.
    frame_error: Out, TLAST was early or late on some frame since reset.
    load, load_error: the weights' stream of a loadable core, and whether its TLAST was wrong.
    faults: Out, of a core that watches itself: program, state and weights, for a cycle each, as of
    :data:`~.guard.FAULTS`.
    trace: Out, every element and state, for test benches.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images
        beats = interfaces.beat_stream(config)
        super().__init__({
            "i": In(interfaces.beat_stream(config, first=config.stateful)),
            "o": Out(beats),
            "frame_error": Out(1),
            **({"load": In(beats), "load_error": Out(1)} if config.loadable else {}),
            **({"faults": Out(3)} if config.protect else {}),
            "trace": Out(interfaces.trace(config, config.dies)),
        })

    @staticmethod
    def drain(config: EngineConfig) -> int:
        """Cycles after which nothing is left of what the dies did before a reset, and at power-up
        nothing of what their registers began with: from the issue of a tile to the last beat of
        its results, in the writer or on another die. The router counts as many beats as its
        counter can hold."""
        c = config
        return (MacArray.latency(c) + RowRouter.latency(c) + max(early_latency(c), late_latency(c))
                + c.way_there + c.cross * (c.dies - 1) + (1 << bits_for(c.max_beats)))

    @classmethod
    def start(cls, config: EngineConfig) -> int:
        """Cycles after a reset, or at power-up, in which no input is taken."""
        return cls.drain(config) + Sequencer.latency

    def elaborate(self, platform):
        c = self.config
        m = Module()
        reader, writer = FrameReader(c), FrameWriter(c)
        sequencer = Sequencer(c, self.images, drain=self.drain(c))
        loader = WeightLoader(c) if c.loadable else None
        parts = {"reader": reader, "sequencer": sequencer, "writer": writer,
                 **({} if loader is None else {"loader": loader})}
        inputs = {"write": reader.write, "read": sequencer.read, "tile": sequencer.tile}
        closed: Value = Const(0, 1)
        if loader is not None:
            closed, inputs["load"] = self._load(m, loader, reader)
        differ: list[Value] = []
        for name, part in parts.items():
            if c.protect:
                part, differs = with_copies(part, platform)
                differ.append(differs)
            m.submodules[name] = (ResetInserter(~sequencer.primed)(part) if name == "writer"
                                  else part)
        dies = [Die(c, self.images, n) for n in range(c.dies)]
        for die in dies:
            die.place(m, platform, inputs, sequencer.primed)

        wiring.connect(m, wiring.flipped(self.i), reader.beats)
        wiring.connect(m, reader.arrivals, sequencer.arrivals)
        wiring.connect(m, writer.beats, wiring.flipped(self.o))
        m.d.comb += [sequencer.left.eq(writer.left),
                     reader.enable.eq(sequencer.primed & ~closed)]
        self._results(m, platform, dies)
        self._outputs(m, platform, dies, writer)
        traces = [die.lanes.trace for die in dies]
        m.d.comb += [self.trace.valid.eq(traces[0].valid & sequencer.primed),
                     self.trace.summed.eq(traces[0].summed & sequencer.primed),
                     self.trace.lanes.eq(Cat(trace.lanes for trace in traces))]
        for n, trace in enumerate(traces):
            for lane in range(c.lanes):
                at = n * c.lanes + lane
                m.d.comb += [
                    self.trace.h[at].eq(trace.h[lane]), self.trace.c[at].eq(trace.c[lane]),
                    *(self.trace.sums[at][k].eq(trace.sums[lane][k]) for k in range(4))]
        if c.protect:
            weights = Cat(way(m, platform, c.way_there, f"fault_{die.number}", die.array.fault)
                          for die in dies).any()
            # The dies have no reset: until they are empty, what they find is of tiles before it.
            m.d.sync += self.faults.eq(Cat(sequencer.fault, Cat(differ).any(),
                                           weights & sequencer.primed))
        with m.If(reader.error):
            m.d.sync += self.frame_error.eq(1)
        return m

    def _results(self, m: Module, platform, dies: list[Die]) -> None:
        """Finished chunks go to the die's own bank of h at once, and to those of the other dies,
        over one border after the other."""
        count = len(dies)
        for n, die in enumerate(dies):
            wiring.connect(m, die.lanes.result, die.operands.result)
            there = {n: die.lanes.result}
            for to in sources(n, count)[1:]:
                before = next(other for other in there if borders(other, to, count) == 1)
                there[to] = dies[to].operands.others[sources(to, count).index(n) - 1]
                crossed(m, platform, self.config.cross, f"result_{n}_to_{to}", there[before],
                        there[to])

    def _outputs(self, m: Module, platform, dies: list[Die], writer: FrameWriter) -> None:
        """Outputs go to the writer. All dies write the same words, so that the first says which."""
        registers = self.config.way_back
        crossed(m, platform, registers, "output_0", dies[0].lanes.output, writer.write)
        for n in range(1, self.config.out_banks):
            m.d.comb += writer.others[n - 1].as_value().eq(way(
                m, platform, registers, f"output_{n}", dies[n].lanes.output.data.as_value()))

    def _load(self, m: Module, loader: WeightLoader, reader: FrameReader):
        """Load weights from the stream while no frame is in progress; returns whether no frame may
        begin, and the write of the memories."""
        wiring.connect(m, wiring.flipped(self.load), loader.beats)
        # A frame is in progress from its first input beat to its last output beat.
        frames_under_way = Signal(max(4, bits_for(_frames_inside(self.config) + 1)))
        began = Signal()
        ends = Signal()
        m.d.comb += [
            ends.eq(self.o.valid & self.o.ready & self.o.payload.last),
            loader.idle.eq((frames_under_way == 0) & ~began & (~reader.offered | loader.holds)),
            loader.begins.eq(reader.begins),
            reader.holds.eq(loader.holds),
        ]
        m.d.sync += [
            began.eq(reader.begins),  # and is counted a cycle later
            frames_under_way.eq(frames_under_way
                                + Mux(began, Mux(ends, 0, 1), Mux(ends, -1, 0))),
        ]
        with m.If(loader.error):
            m.d.sync += self.load_error.eq(1)
        return loader.closed, loader.write


def _frames_inside(config: EngineConfig) -> int:
    """Frames that are under way at most, when no output is taken: in each gearbox whole ones and
    one at either end; two in the input memory; one that is computed, and two in the output memory.
    """
    reader, writer = FrameReader.gearbox(config), FrameWriter.gearbox(config)
    return 2 + reader.most // reader.row_in + 2 + 3 + 2 + writer.most // writer.row_out


@dataclass(frozen=True)
class Port:
    """A port of the top module, and its purpose."""

    name: str
    flow: Flow
    width: int
    meaning: str


class Top(wiring.Component):
    """The core behind AXI4-Stream ports with the names that the vendor's tools recognise.

    The core's trace stays inside (``core.trace__*``), where test benches read it; synthesis removes
    signals that nothing reads. The members are those of :meth:`ports`.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images
        self.key = config
        super().__init__({port.name: port.flow(port.width) for port in self.ports(config)})

    @staticmethod
    def ports(config: EngineConfig) -> list[Port]:
        """All ports but clock and reset."""
        ports = _axi_stream("s_axis", In, config, "input frame")
        if config.stateful:
            ports.append(Port("s_axis_tuser", In, 1,
                              "with a frame's first beat: the frame begins a new sequence"))
        ports += _axi_stream("m_axis", Out, config, "output frame")
        if config.loadable:
            ports += _axi_stream("s_load", In, config, "image of the weights")
        ports.append(Port("frame_error", Out, 1,
                          "s_axis_tlast was early or late on some frame since reset"))
        if config.loadable:
            ports.append(Port("load_error", Out, 1,
                              "s_load_tlast was early or late on some load since reset"))
        if config.protect:
            ports.append(Port("fault", Out, len(FAULTS), "since reset: " + "; ".join(
                f"bit {n}, {meaning}" for n, meaning in enumerate(FAULTS.values()))))
        return ports

    def elaborate(self, platform):
        m = Module()
        core = Core(self.config, self.images)
        m.submodules.core = self._watched(m, core) if self.config.protect else core
        inside = _members("s_axis", core.i) | _members("m_axis", core.o) | {
            "frame_error": core.frame_error}
        if self.config.stateful:
            inside["s_axis_tuser"] = core.i.payload.first
        if self.config.loadable:
            inside |= _members("s_load", core.load) | {"load_error": core.load_error}
        for name, there in inside.items():
            outside = getattr(self, name)
            m.d.comb += (there.eq(outside) if self.signature.members[name].flow is In
                         else outside.eq(there))
        return m

    def _watched(self, m: Module, core: Core):
        """The core under a watchdog, and what was found since reset in the port ``fault``."""
        c = self.config
        m.submodules.watchdog = dog = Watchdog(patience=c.patience, most=_frames_inside(c))
        m.d.comb += [
            dog.came.eq(core.i.valid & core.i.ready), dog.came_last.eq(core.i.payload.last),
            dog.ends.eq(core.o.valid & core.o.ready), dog.ends_last.eq(core.o.payload.last),
            dog.offered.eq(core.i.valid), dog.blocked.eq(core.o.valid & ~core.o.ready),
            dog.closed.eq(core.load.ready if c.loadable else 0),
        ]
        m.d.sync += self.fault.eq(self.fault | Cat(core.faults, dog.expires))
        return ResetInserter(dog.expires)(core)


def _axi_stream(name: str, flow: Flow, config: EngineConfig, what: str) -> list[Port]:
    """The ports of a stream."""
    return [
        Port(f"{name}_tdata", flow, config.beat * config.container, f"beat of an {what}"),
        Port(f"{name}_tvalid", flow, 1, "the beat is there"),
        Port(f"{name}_tready", flow.flip(), 1, "the beat is taken"),
        Port(f"{name}_tlast", flow, 1, f"the beat is the last of an {what}"),
    ]


def _members(name: str, beats) -> dict[str, Value]:
    """The same ports inside."""
    return {f"{name}_tdata": beats.payload.data, f"{name}_tvalid": beats.valid,
            f"{name}_tready": beats.ready, f"{name}_tlast": beats.payload.last}
