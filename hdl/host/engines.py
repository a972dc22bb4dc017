"""Several cores that share a batch."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.core import TOP, Top
from gatefold.hdl.host.config import HostConfig
from gatefold.hdl.interfaces import beat_stream
from gatefold.hdl.target import shared

__all__ = ["Engines"]


class Engines(wiring.Component):
    """One core, or several that take whole frames in turn and give results in the same order.

    Each has weight memories of its own, and all take the same load. In Verilog each is an instance
    of the module that a user without registers instantiates.

    Members
    -------
    i, o, load: streams as of :class:`~gatefold.hdl.core.Core`. restart: In, for a cycle, a reset.
    wrong: Out, since reset, a frame of a wrong length or a fault of a core that watches itself.
    """

    def __init__(self, config: HostConfig, images: dict | None = None):
        self.config, self.images = config, images
        c = config.engine
        super().__init__({
            "i": In(beat_stream(c, first=c.stateful)), "o": Out(beat_stream(c)),
            **({"load": In(beat_stream(c))} if c.loadable else {}), "restart": In(1),
            "wrong": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cores = []
        for n in range(self.config.engines):
            core = Top(self.config.engine, self.images)
            m.submodules[f"engine_{n}"] = shared(TOP, core, platform, reset=self.restart)
            cores.append(core)
        m.d.comb += self.wrong.eq(Cat(
            Cat(core.frame_error, core.fault if self.config.engine.protect else Const(0, 0))
            for core in cores).any())
        self._feed(m, cores)
        self._collect(m, cores)
        if self.config.engine.loadable:
            self._load(m, cores)
        return m

    def _feed(self, m: Module, cores: list[Top]) -> None:
        """A frame to each core in turn."""
        turn = self._turns(m, "fed", self.i)
        m.d.comb += self.i.ready.eq((Cat(core.s_axis_tready for core in cores) & turn).any())
        for mine, core in zip(turn, cores, strict=True):
            m.d.comb += [core.s_axis_tdata.eq(self.i.payload.data),
                         core.s_axis_tlast.eq(self.i.payload.last),
                         core.s_axis_tvalid.eq(self.i.valid & mine)]
            if self.config.engine.stateful:
                m.d.comb += core.s_axis_tuser.eq(self.i.payload.first)

    def _collect(self, m: Module, cores: list[Top]) -> None:
        """A frame from each core in turn."""
        turn = self._turns(m, "emptied", self.o)
        for mine, core in zip(turn, cores, strict=True):
            m.d.comb += core.m_axis_tready.eq(self.o.ready & mine)
            with m.If(mine):
                m.d.comb += [self.o.valid.eq(core.m_axis_tvalid),
                             self.o.payload.data.eq(core.m_axis_tdata),
                             self.o.payload.last.eq(core.m_axis_tlast)]

    def _turns(self, m: Module, name: str, stream) -> Value:
        """One-hot, the core whose turn it is: the next one after each frame of the stream."""
        if self.config.engines == 1:
            return Const(1, 1)
        turn = Signal(self.config.engines, init=1, name=name)
        with m.If(stream.valid & stream.ready & stream.payload.last):
            m.d.sync += turn.eq(turn.rotate_left(1))
        with m.If(self.restart):
            m.d.sync += turn.eq(1)
        return turn

    def _load(self, m: Module, cores: list[Top]) -> None:
        """A beat moves when all cores are ready; before, each must see that a load is waiting."""
        ready = Cat(core.s_load_tready for core in cores)
        m.d.comb += self.load.ready.eq(ready.all())
        for core in cores:
            m.d.comb += [core.s_load_tdata.eq(self.load.payload.data),
                         core.s_load_tlast.eq(self.load.payload.last),
                         core.s_load_tvalid.eq(self.load.valid
                                               & (ready.all() | ~core.s_load_tready))]
