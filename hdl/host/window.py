"""The windows: a frame in and a frame out, in memory that the program sees."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import bits_for
from gatefold.hdl.gearbox import Position
from gatefold.hdl.host.config import HostConfig
from gatefold.hdl.host.registers import MAP

__all__ = ["Windows"]


class Windows(wiring.Component):
    """Two memories of whole words of the port, which the program writes and reads 32 bits at a
    time.

    Members
    -------
    write_address, write, data, read_address, read_data: as of :class:`.axi_lite.AxiLite`.
    start: In, for a cycle: give the input frame. o: stream of its words.
    i: stream of words of an output frame.
    """

    def __init__(self, config: HostConfig):
        self.config = config
        words = stream.Signature(config.width)
        super().__init__({
            "write_address": In(MAP.address_bits), "write": In(4), "data": In(32),
            "read_address": In(MAP.address_bits), "read_data": Out(32),
            "start": In(1), "o": Out(words), "i": In(words)})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        low = c.word_bytes.bit_length() - 1
        lanes = c.width // 32

        # In: the program writes, the core reads.
        depth = c.engine.x_beats
        m.submodules.memory_in = inside = self._memory(depth)
        write, read = inside.write_port(granularity=8), inside.read_port()
        window = MAP.window("WINDOW_IN")
        here = Signal()
        busy, moves = Signal(), Signal()
        place = Position.counted(m, "word", depth, moves)
        m.d.comb += [
            here.eq((self.write_address >= window.address)
                    & (self.write_address < window.address + (depth << low))),
            write.addr.eq(self.write_address[low:] - (window.address >> low)),
            write.data.eq(self.data.replicate(lanes)),
            moves.eq(self.o.valid & self.o.ready),
            read.addr.eq(Mux(moves, Mux(place.last, 0, place.word + 1), place.word)),
            self.o.valid.eq(busy), self.o.payload.eq(read.data),
        ]
        with m.If(here):
            m.d.comb += write.en.eq(self.write << (self.write_address[2:low] << 2) if lanes > 1
                                    else self.write)
        with m.If(self.start | (moves & place.last)):
            m.d.sync += busy.eq(self.start)

        # Out: the core writes, the program reads.
        depth = c.engine.out_beats
        m.submodules.memory_out = outside = self._memory(depth)
        write, read = outside.write_port(), outside.read_port()
        window = MAP.window("WINDOW_OUT")
        place = Position.counted(m, "result", depth, write.en)
        lane = Signal(bits_for(lanes))
        there = Signal()
        m.d.comb += [
            self.i.ready.eq(1), write.en.eq(self.i.valid), write.addr.eq(place.word),
            write.data.eq(self.i.payload),
            read.addr.eq(self.read_address[low:] - (window.address >> low)),
        ]
        m.d.sync += [
            there.eq((self.read_address >= window.address)
                     & (self.read_address < window.address + (depth << low))),
            lane.eq(self.read_address[2:low] if lanes > 1 else 0),
        ]
        m.d.comb += self.read_data.eq(Mux(there, read.data.word_select(lane, 32), 0))
        return m

    def _memory(self, depth: int) -> Memory:
        return Memory(shape=self.config.width, depth=max(2, depth), init=[])
