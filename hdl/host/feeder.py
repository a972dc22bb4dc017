"""Words from memory become frames."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.gearbox import Position
from gatefold.hdl.host.config import FRAME_BITS, HostConfig

__all__ = ["Feeder"]


class Feeder(wiring.Component):
    """Gives the words of a descriptor to the core, TLAST with each frame's last.

    Members
    -------
    start: In, for a cycle, with ``frames`` (may be 0), ``first``, whether the first begins a new
    sequence, and ``sequence``, frames of a sequence or 0.
    i: stream of words. o: stream of the same, with ``last`` and, of a stateful core, ``first``.
    idle: Out.
    """

    def __init__(self, config: HostConfig):
        self.config = config
        super().__init__({
            "start": In(1), "frames": In(FRAME_BITS), "first": In(1), "sequence": In(32),
            "i": In(stream.Signature(config.width)),
            "o": Out(stream.Signature(data.StructLayout({"data": config.width, "last": 1,
                                                         "first": 1}))),
            "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(FRAME_BITS)
        busy = Signal()
        moves = Signal()
        place = Position.counted(m, "beat", self.config.engine.x_beats, moves)
        m.d.comb += [
            self.o.valid.eq(self.i.valid & busy), self.i.ready.eq(self.o.ready & busy),
            moves.eq(self.o.valid & self.o.ready),
            self.o.payload.data.eq(self.i.payload),
            self.o.payload.last.eq(place.last), self.idle.eq(~busy),
        ]
        with m.If(moves & place.last):
            m.d.sync += [left.eq(left - 1), busy.eq(left != 1)]
        with m.If(self.start):
            m.d.sync += [left.eq(self.frames), busy.eq(self.frames != 0)]
        if self.config.engine.stateful:
            self._count_sequences(m, moves & place.last)
        return m

    def _count_sequences(self, m: Module, frame_ends: Value) -> None:
        """Say which frames begin a sequence."""
        begins = Signal()
        until = Signal(32)  # frames of this sequence after this one; all ones: no end
        m.d.comb += self.o.payload.first.eq(begins)
        with m.If(frame_ends):
            m.d.sync += [begins.eq(until == 0),
                         until.eq(Mux(until == 0, self.sequence - 1, until - 1))]
        with m.If(self.start):
            m.d.sync += [begins.eq(self.first), until.eq(self.sequence - 1)]
