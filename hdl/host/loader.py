"""Words from memory become a load of weights, if their checksum is right."""

from __future__ import annotations

import zlib

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import bits_for
from gatefold.hdl.host.axi import read_word
from gatefold.hdl.host.config import HostConfig

__all__ = ["Crc", "Loader"]

_ONES = 0xFFFFFFFF


def _step(state: int, word: bytes) -> int:
    """The register of a CRC-32 after a word, which is linear in both."""
    return zlib.crc32(word, state ^ _ONES) ^ _ONES


class Crc(wiring.Component):
    """CRC-32 as of ``zlib.crc32``, a word a cycle.

    A bit of the next state is the parity of some bits of the state and of the word. The parity of
    the word's goes into a register first, so :attr:`value` lags behind.

    Parameters
    ----------
    width: bits of a word, a multiple of 8.

    Members
    -------
    clear: In. valid, word: In. value: Out, of all words that came :attr:`latency` cycles ago.
    """

    latency = 2

    def __init__(self, *, width: int):
        self.width = width
        super().__init__({"clear": In(1), "valid": In(1), "word": In(width), "value": Out(32)})

    def elaborate(self, platform):
        m = Module()
        size = self.width // 8
        of_state = [_step(1 << bit, bytes(size)) for bit in range(32)]
        of_word = [_step(0, (1 << bit).to_bytes(size, "little")) for bit in range(self.width)]
        state = Signal(32, init=_ONES)
        comes = Signal()
        parity = Signal(32)
        m.d.sync += [comes.eq(self.valid), parity.eq(_parities(of_word, self.word))]
        with m.If(comes):
            m.d.sync += state.eq(_parities(of_state, state) ^ parity)
        with m.If(self.clear):
            m.d.sync += [state.eq(_ONES), comes.eq(0)]
        m.d.comb += self.value.eq(~state)
        return m


def _parities(columns: list[int], bits: Value) -> Value:
    """Each of 32 bits: the parity of the bits whose column has it."""
    return Cat(Cat(bits[n] for n, column in enumerate(columns) if column >> bit & 1).xor()
               for bit in range(32))


class Loader(wiring.Component):
    """Gives the words of a weights' image to the core as beats, and judges it before the last one.

    The core takes a load for complete when TLAST comes with its last beat. So the last beat waits
    for the checksum; where that is wrong, or a word could not be read, TLAST comes a beat too late,
    and the core drops the load.

    Members
    -------
    start: In, for a cycle, with ``crc``, the checksum. i: stream of words. o: stream of beats.
    idle: Out. good, bad: Out, for a cycle, at the end of a load.
    """

    def __init__(self, config: HostConfig):
        self.config = config
        super().__init__({
            "start": In(1), "crc": In(32), "i": In(stream.Signature(read_word(config.width))),
            "o": Out(stream.Signature(data.StructLayout({"data": config.beat_bits, "last": 1}))),
            "idle": Out(1), "good": Out(1), "bad": Out(1)})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.crc = crc = Crc(width=c.beat_bits)
        pieces = c.width // c.beat_bits
        piece = Signal(bits_for(pieces))  # of the word
        left = Signal(range(c.engine.load_beats + 1))  # beats
        wait = Signal(range(Crc.latency + 1))
        wrong = Signal()
        moves = Signal()
        beat = self.i.payload.data.word_select(piece, c.beat_bits)
        m.d.comb += [self.o.payload.data.eq(beat), moves.eq(self.o.valid & self.o.ready),
                     crc.word.eq(beat), crc.clear.eq(self.start)]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("IDLE"))
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [left.eq(c.engine.load_beats), piece.eq(0), wrong.eq(0)]
                m.next = "PASS"
            with m.State("PASS"):
                last = left == 1
                m.d.comb += [self.o.valid.eq(self.i.valid & ~last),
                             crc.valid.eq(self.i.valid & (last | self.o.ready))]
                with m.If(moves):
                    m.d.sync += [left.eq(left - 1),
                                 piece.eq(Mux(piece == pieces - 1, 0, piece + 1))]
                    m.d.comb += self.i.ready.eq(piece == pieces - 1)
                with m.If(self.i.valid):
                    m.d.sync += wrong.eq(wrong | self.i.payload.error)
                    with m.If(last):
                        m.d.sync += wait.eq(Crc.latency)
                        m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += wrong.eq(wrong | (crc.value != self.crc))
                    m.next = "LAST"
            with m.State("LAST"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.last.eq(~wrong)]
                with m.If(moves):
                    m.d.comb += [self.i.ready.eq(1), self.good.eq(~wrong)]
                    m.next = "LATE"
                    with m.If(~wrong):
                        m.next = "IDLE"
            with m.State("LATE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(Const(0)),
                             self.o.payload.last.eq(1), self.bad.eq(moves)]
                with m.If(moves):
                    m.next = "IDLE"
        return m
