"""A core behind registers and a memory port: everything but the names of its pins."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import axi4, axi_lite
from gatefold.hdl.host.axi_lite import AxiLite
from gatefold.hdl.host.config import FRAME_BITS, HostConfig
from gatefold.hdl.host.engines import Engines
from gatefold.hdl.host.feeder import Feeder
from gatefold.hdl.host.floats import FixedToFloat, FloatToFixed
from gatefold.hdl.host.jobs import Jobs
from gatefold.hdl.host.loader import Loader
from gatefold.hdl.host.reader import Reader
from gatefold.hdl.host.registers import MAP
from gatefold.hdl.host.watchdog import Watchdog
from gatefold.hdl.host.window import Windows
from gatefold.hdl.host.writer import Writer

__all__ = ["Shell"]


class Shell(wiring.Component):
    """Descriptors in registers, frames in memory.

    ::

        control <-> AxiLite <-> Jobs ------ starts -----.---------------------------.
                       |                                v                           v
                       '--- Windows -.--> Feeder -> FloatToFixed -> Engines -> FixedToFloat -.
        gmem -> Reader --------------'--> Loader --------- load ------^                      |
        gmem <- Writer <- Windows <------------------------ results -------------------------'

    Where memory does not answer (:class:`Watchdog`), where a program asks for it, and where a core
    is wrong, all descriptors are given up: everything between the reader and the writer is reset,
    the cores included, and reader and writer keep to AXI.

    Members
    -------
    control: In, AXI4-Lite. gmem: Out, AXI4. interrupt: Out.
    """

    def __init__(self, config: HostConfig, images: dict | None = None):
        self.config, self.images = config, images
        super().__init__({"control": In(axi_lite(MAP.address_bits)),
                          "gmem": Out(axi4(config.width)), "interrupt": Out(1)})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        m.submodules.registers = registers = AxiLite(MAP, c.constants)
        m.submodules.jobs = jobs = Jobs(c)
        m.submodules.engines = engines = Engines(c, self.images)
        gives_up = Signal()
        m.d.comb += [gives_up.eq(jobs.give_up.any()), engines.restart.eq(gives_up)]
        windows = Windows(c) if c.window else None
        if windows is not None:
            m.submodules.windows = ResetInserter(gives_up)(windows)
            m.d.comb += [
                windows.write_address.eq(registers.write_address),
                windows.write.eq(registers.write), windows.data.eq(registers.data),
                windows.read_address.eq(registers.read_address),
                registers.read_data.eq(windows.read_data)]
        wiring.connect(m, wiring.flipped(self.control), registers.bus)
        m.d.comb += jobs.written.eq(registers.written)
        reader, starved = self._feed(m, jobs, engines, windows, gives_up)
        writer, blocked, frame_left = self._collect(m, jobs, engines, windows, gives_up)
        self._watch(m, registers, jobs, engines, reader, writer)
        self._show(m, registers, jobs, starved | blocked, frame_left)
        return m

    def _feed(self, m: Module, jobs: Jobs, engines: Engines, windows: Windows | None, gives_up):
        """From memory or a window to the engines; the reader, and whether they wait for a word."""
        c = self.config
        m.submodules.reader = reader = Reader(width=c.width)
        feeder = Feeder(c)
        m.submodules.feeder = ResetInserter(gives_up)(feeder)
        wiring.connect(m, reader.ar, wiring.flipped(self.gmem.ar))
        wiring.connect(m, wiring.flipped(self.gmem.r), reader.r)
        job = jobs.reading
        reads = Signal()  # a cycle after the start, when the number of words is there
        m.d.sync += [
            reads.eq(jobs.read_starts & ~gives_up),
            reader.words.eq(Mux(job.weights, c.load_words,
                                Mux(job.window, 0, job.frames * c.engine.x_beats)))]
        m.d.comb += [
            reader.start.eq(reads & ~gives_up), reader.give_up.eq(gives_up),
            reader.addr.eq(job.in_addr),
            feeder.start.eq(jobs.read_starts), feeder.frames.eq(job.frames),
            feeder.first.eq(job.first), feeder.sequence.eq(job.sequence),
            feeder.i.payload.eq(reader.o.payload.data),
            jobs.read_error.eq(reader.o.valid & reader.o.ready & reader.o.payload.error),
        ]
        loader_idle = self._load(m, jobs, engines, reader, gives_up)
        m.d.comb += jobs.read_idle.eq(~reads & reader.idle & feeder.idle & loader_idle)
        with m.If(~job.weights):
            m.d.comb += [feeder.i.valid.eq(reader.o.valid), reader.o.ready.eq(feeder.i.ready)]
        if windows is not None:
            m.d.comb += windows.start.eq(jobs.read_starts & job.window & (job.frames != 0))
            with m.If(job.window):
                m.d.comb += [feeder.i.valid.eq(windows.o.valid),
                             feeder.i.payload.eq(windows.o.payload),
                             windows.o.ready.eq(feeder.i.ready)]
        beats = feeder.o
        if c.float32:
            to_fixed = FloatToFixed(
                lanes=c.engine.beat, formats=c.in_formats, container=c.engine.container)
            m.submodules.to_fixed = ResetInserter(gives_up)(to_fixed)
            wiring.connect(m, beats, to_fixed.i)
            beats = to_fixed.o
        m.d.comb += [engines.i.valid.eq(beats.valid), beats.ready.eq(engines.i.ready),
                     engines.i.payload.data.eq(beats.payload.data),
                     engines.i.payload.last.eq(beats.payload.last)]
        if c.engine.stateful:
            m.d.comb += engines.i.payload.first.eq(beats.payload.first)
        return reader, engines.i.ready & ~engines.i.valid & ~feeder.idle

    def _load(self, m: Module, jobs: Jobs, engines: Engines, reader: Reader, gives_up):
        """Weights from memory to the engines; whether none are under way."""
        if not self.config.engine.loadable:
            m.d.comb += jobs.loaded.eq(1)
            return Const(1, 1)
        loader = Loader(self.config)
        m.submodules.loader = ResetInserter(gives_up)(loader)
        loaded = Signal()
        m.d.comb += [
            loader.start.eq(jobs.read_starts & jobs.reading.weights),
            loader.crc.eq(jobs.reading.crc), loader.i.payload.eq(reader.o.payload),
            engines.load.valid.eq(loader.o.valid), loader.o.ready.eq(engines.load.ready),
            engines.load.payload.eq(loader.o.payload.as_value()),
            jobs.loaded.eq(loaded), jobs.checksum_error.eq(loader.bad),
        ]
        with m.If(jobs.reading.weights):
            m.d.comb += [loader.i.valid.eq(reader.o.valid), reader.o.ready.eq(loader.i.ready)]
        with m.If(loader.start | loader.good | gives_up):
            m.d.sync += loaded.eq(loader.good & ~gives_up)
        return loader.idle

    def _collect(self, m: Module, jobs: Jobs, engines: Engines, windows: Windows | None, gives_up):
        """From the engines to memory or a window, and the completion word; the writer, whether a
        beat waits, and whether a frame has left."""
        c = self.config
        m.submodules.writer = writer = Writer(width=c.width)
        wiring.connect(m, writer.aw, wiring.flipped(self.gmem.aw))
        wiring.connect(m, writer.w, wiring.flipped(self.gmem.w))
        wiring.connect(m, wiring.flipped(self.gmem.b), writer.b)
        beats = engines.o
        if c.float32:
            to_float = FixedToFloat(
                lanes=c.engine.beat, formats=c.out_fracs, container=c.engine.container,
                width=c.engine.result_width)
            m.submodules.to_float = ResetInserter(gives_up)(to_float)
            m.d.comb += [to_float.i.valid.eq(beats.valid), beats.ready.eq(to_float.i.ready),
                         to_float.i.payload.data.eq(beats.payload.data),
                         to_float.i.payload.last.eq(beats.payload.last)]
            beats = to_float.o
        job = jobs.writing
        left = Signal(FRAME_BITS)  # frames of this descriptor
        writes = Signal()
        word_waits = Signal()
        moves = Signal()
        lane = job.done_addr[2:max(3, c.word_bytes.bit_length() - 1)]
        enables = Array(0xF << 4 * n for n in range(c.word_bytes // 4))
        sink = writer.i
        m.d.sync += [
            writes.eq(jobs.write_starts | jobs.word_starts),
            writer.words.eq(Mux(jobs.word_starts, 1,
                                Mux(job.window, 0, job.frames * c.engine.out_beats))),
            writer.addr.eq(Mux(jobs.word_starts, job.done_addr, job.out_addr)),
            word_waits.eq(jobs.word_starts | (word_waits & ~sink.ready)),
        ]
        with m.If(jobs.write_starts):
            m.d.sync += left.eq(job.frames)
        with m.Elif(moves & beats.payload.last):
            m.d.sync += left.eq(left - 1)
        with m.If(gives_up):
            m.d.sync += [left.eq(0), writes.eq(0), word_waits.eq(0)]
        open_ = left != 0
        m.d.comb += [
            writer.start.eq(writes & ~gives_up), jobs.write_error.eq(writer.error),
            writer.give_up.eq(gives_up),
            jobs.write_idle.eq(~writes & writer.idle & ~word_waits & ~open_),
            moves.eq(beats.valid & beats.ready),
            sink.payload.data.eq(beats.payload.data),
            sink.payload.strb.eq(~Const(0, c.word_bytes)),
            sink.valid.eq(beats.valid & open_), beats.ready.eq(sink.ready & open_),
        ]
        if windows is not None:
            m.d.comb += windows.i.payload.eq(beats.payload.data)
            with m.If(job.window & open_):
                m.d.comb += [sink.valid.eq(0), windows.i.valid.eq(beats.valid),
                             beats.ready.eq(1)]
        with m.If(word_waits):
            m.d.comb += [sink.valid.eq(1), sink.payload.strb.eq(
                enables[lane] if c.word_bytes > 4 else 0xF),
                sink.payload.data.eq(jobs.word.replicate(c.width // 32))]
        return writer, beats.valid & ~beats.ready, moves & beats.payload.last

    def _watch(self, m: Module, registers: AxiLite, jobs: Jobs, engines: Engines, reader: Reader,
               writer: Writer) -> None:
        """When everything is given up."""
        m.submodules.watchdog = watchdog = Watchdog()
        was_wrong = Signal()
        m.d.sync += [
            was_wrong.eq(engines.wrong),
            jobs.give_up.eq(Cat(  # in the order of GIVE_UP
                engines.wrong & ~was_wrong, watchdog.expires,
                registers.written.ABORT.ABORT & jobs.busy)),
        ]
        channels = (getattr(self.gmem, name) for name in ("ar", "r", "aw", "w", "b"))
        m.d.comb += [
            watchdog.patience.eq(registers.written.WATCHDOG.VALUE),
            watchdog.owes.eq((reader.owes | writer.owes) & jobs.busy),
            watchdog.moves.eq(Cat(channel.valid & channel.ready for channel in channels).any()),
            registers.seen.ABORT.ABORT.eq(reader.drains | writer.drains),
        ]

    def _show(self, m: Module, registers: AxiLite, jobs: Jobs, stall, frame_left) -> None:
        """What the registers read as, and the interrupt."""
        seen, written = registers.seen, registers.written
        counters = {"FRAMES_DONE": (64, frame_left), "CYCLES": (64, jobs.busy),
                    "STALLS": (64, jobs.busy & stall), "COMPLETED": (32, jobs.ends)}
        for name, (bits, counts) in counters.items():
            counter = Signal(bits, name=name.lower())
            m.d.sync += counter.eq(counter + counts)
            if bits == 32:
                m.d.comb += seen[name].VALUE.eq(counter)
            else:
                m.d.comb += [seen[f"{name}_LO"].VALUE.eq(counter[:32]),
                             seen[f"{name}_HI"].VALUE.eq(counter[32:])]
        m.d.comb += [
            seen.CTRL.AP_START.eq(jobs.start), seen.CTRL.AP_DONE.eq(jobs.done),
            seen.CTRL.AP_IDLE.eq(~jobs.busy & ~jobs.done), seen.CTRL.AP_READY.eq(~jobs.start),
            seen.ISR.DONE.eq(jobs.ends & written.IER.DONE),
            seen.ISR.READY.eq(jobs.ready & written.IER.READY),
            seen.STATE_RESET.RESET.eq(jobs.reset_waits),
            seen.STATUS.BUSY.eq(jobs.busy), seen.STATUS.LOADED.eq(jobs.loaded),
            seen.ERROR.eq(jobs.errors),
            seen.LAST_CYCLES.VALUE.eq(jobs.last_cycles),
        ]
        m.d.sync += self.interrupt.eq(written.GIE.ENABLE & written.ISR.as_value().any())
