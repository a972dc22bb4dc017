"""Descriptors in three stages: one waits, one is read, one is written."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import ADDRESS_BITS
from gatefold.hdl.host.axi_lite import registers_layout
from gatefold.hdl.host.config import FRAME_BITS, HostConfig
from gatefold.hdl.host.registers import MAP

__all__ = ["GIVE_UP", "Jobs", "descriptor", "results"]

_ERRORS = [field.name for field in MAP["ERROR"].fields]
#: Causes for which all descriptors are given up.
GIVE_UP = ("INTERNAL", "NO_ANSWER", "ABORTED")


def results() -> data.StructLayout:
    """What the results of a descriptor need. ``begun``: the counter of cycles at its start;
    ``error``: bits of the register ERROR."""
    return data.StructLayout({
        "out_addr": ADDRESS_BITS, "frames": FRAME_BITS, "window": 1, "done_word": 1,
        "done_addr": ADDRESS_BITS, "begun": 32, "error": len(_ERRORS)})


def descriptor(config: HostConfig) -> data.StructLayout:
    """A descriptor that has been checked. One that was refused has 0 frames and is no load.
    ``first`` and ``sequence`` are there in a stateful core, ``crc`` in a loadable one."""
    stateful, loadable = config.engine.stateful, config.engine.loadable
    return data.StructLayout({
        **{name: field.shape for name, field in results()}, "in_addr": ADDRESS_BITS, "weights": 1,
        "first": int(stateful), "sequence": 32 * stateful, "crc": 32 * loadable})


class Jobs(wiring.Component):
    """Takes descriptors from the registers, sees them through, and says when they have ended.

    ::

        registers, AP_START -> reading -> writing -> completion word -> AP_DONE
                               (and its results are written meanwhile)

    A descriptor is checked when it is taken. It is in the second stage until the core has all its
    input, and in the third from about then on until all its output is in memory. So the next one is
    read while the results of the last are written, and they end in order.

    All descriptors can be given up: those under way lose their frames and their completion word,
    and the one that waits is refused; all end as others do, with the cause.

    Members
    -------
    written: In, seen: Out, the registers (:class:`.axi_lite.AxiLite`); it leaves to others what is
    in ERROR beside its own causes. loaded: In, the core has weights.
    reading, writing: Out, the descriptors in either stage. read_starts, write_starts: Out, for a
    cycle, that stage has a new one. read_idle, write_idle: In, everything that a start has started
    has ended, from the next cycle on.
    read_error, checksum_error, write_error: In, pulses.
    word_starts: Out, for a cycle: the completion word ``word`` is to be written to
    ``writing.done_addr``; ``write_idle`` says when it has been.
    give_up: In, for a cycle, whether all descriptors are given up for each cause of GIVE_UP.
    busy: Out, some descriptor is in some stage. ends: Out, for a cycle, a descriptor has ended.
    """

    def __init__(self, config: HostConfig):
        self.config = config
        super().__init__({
            "written": In(registers_layout(MAP)), "loaded": In(1),
            "start": Out(1), "ready": Out(1), "done": Out(1), "busy": Out(1), "ends": Out(1),
            "errors": Out(len(_ERRORS)), "last_cycles": Out(32), "reset_waits": Out(1),
            "reading": Out(descriptor(config)), "read_starts": Out(1), "read_idle": In(1),
            "writing": Out(results()), "write_starts": Out(1), "write_idle": In(1),
            "word_starts": Out(1), "word": Out(32),
            "read_error": In(1), "checksum_error": In(1), "write_error": In(1),
            "give_up": In(len(GIVE_UP))})

    def elaborate(self, platform):
        m = Module()
        now = Signal(32)
        m.d.sync += now.eq(now + 1)
        written = self.written
        gives_up, causes = self.give_up.any(), _given_up(self.give_up)

        # A descriptor waits.
        waits = Signal()
        checked = Signal()  # a cycle later: `refusals` is of these registers
        begun = Signal(32)
        starts = written.CTRL.AP_START
        two_starts = Signal()
        m.d.comb += two_starts.eq(starts & waits)
        with m.If(starts & ~waits):
            m.d.sync += [waits.eq(1), checked.eq(0), begun.eq(now)]
        with m.Else():
            m.d.sync += checked.eq(waits)
        given_up = Signal(len(GIVE_UP))  # why the one that waits is
        with m.If(gives_up & (waits | starts)):
            m.d.sync += given_up.eq(self.give_up)
        refusals, taken = self._checked(m, _given_up(given_up))

        # It is read.
        in_reading, passed_on = Signal(), Signal()  # passed on: to the third stage too
        takes = Signal()
        begins_anew = Signal(init=1)  # the state is not known, or no longer wanted
        read_ends = Signal()
        settled = Signal()  # the reader and all behind it have seen their start
        m.d.comb += [
            takes.eq(waits & checked & ~in_reading & ~gives_up),
            self.read_starts.eq(in_reading & ~settled),
            read_ends.eq(in_reading & settled & passed_on & self.read_idle),
            self.reset_waits.eq(begins_anew),
        ]
        m.d.sync += settled.eq(in_reading & ~read_ends)
        with m.If(takes):
            m.d.sync += [
                waits.eq(0), checked.eq(0), given_up.eq(0), in_reading.eq(1), passed_on.eq(0),
                self.reading.eq(taken), self.reading.begun.eq(begun),
                self.reading.first.eq(taken.first | begins_anew)]
            with m.If(taken.frames != 0):
                m.d.sync += begins_anew.eq(0)
        with m.If(read_ends):
            m.d.sync += in_reading.eq(0)
        late = Signal(len(_ERRORS))
        m.d.comb += late.eq(causes | error_bits(
            READ=self.read_error, CHECKSUM=self.checksum_error))
        with m.If(in_reading):
            m.d.sync += self.reading.error.eq(self.reading.error | late)

        # It is written.
        in_writing, writes_word, settled_too = Signal(), Signal(), Signal()
        passes, results_end = Signal(), Signal()
        last_step = Signal()
        m.d.comb += [
            passes.eq(in_reading & ~passed_on & ~in_writing),
            self.write_starts.eq(in_writing & ~settled_too & ~writes_word),
            self.word_starts.eq(in_writing & ~settled_too & writes_word),
            last_step.eq(~self.writing.done_word | writes_word),
            results_end.eq(in_writing & settled_too & self.write_idle
                           & ~(in_reading & passed_on)),
            self.ends.eq(results_end & last_step & ~self.done),
            self.word.eq(Cat(self.writing.error, Const(0, 31 - len(_ERRORS)), Const(1, 1))),
        ]
        m.d.sync += settled_too.eq(in_writing & (settled_too | self.write_starts | self.word_starts)
                                   & ~(results_end & (~last_step | self.ends)))
        with m.If(passes):
            m.d.sync += [in_writing.eq(1), passed_on.eq(1), writes_word.eq(0),
                         *(self.writing[name].eq(self.reading[name]) for name, _ in results()),
                         self.writing.error.eq(self.reading.error | late)]
        with m.If(results_end & ~last_step):
            m.d.sync += writes_word.eq(1)
        with m.If(self.ends):
            m.d.sync += [in_writing.eq(0), self.last_cycles.eq(now - self.writing.begun)]
        with m.If(in_writing):
            m.d.sync += self.writing.error.eq(
                self.writing.error | error_bits(WRITE=self.write_error) | causes
                | Mux(in_reading & passed_on, late, 0))
        with m.If(gives_up):
            m.d.sync += self.reading.weights.eq(0)
            for job in (self.reading, self.writing):
                m.d.sync += [job.frames.eq(0), job.done_word.eq(0)]

        # The end, and what registers show.
        with m.If(self.ends):
            m.d.sync += self.done.eq(1)
        with m.Elif(written.CTRL.AP_CONTINUE):
            m.d.sync += self.done.eq(0)
        with m.If(written.STATE_RESET.RESET | late.any()):
            m.d.sync += begins_anew.eq(1)
        m.d.comb += [
            self.start.eq(waits), self.ready.eq(takes),
            self.busy.eq(waits | in_reading | in_writing),
            self.errors.eq(late | error_bits(WRITE=self.write_error, TWO_STARTS=two_starts)
                           | Mux(takes, refusals, 0)),
        ]
        return m

    def _checked(self, m: Module, given_up: Value):
        """The reasons to refuse what is in the registers, and the descriptor without them."""
        c, w = self.config, self.written
        low = c.word_bytes.bit_length() - 1
        flags = w.FLAGS
        window = flags.WINDOW & ~flags.WEIGHTS
        frames = w.FRAMES.VALUE
        in_memory = ~flags.WINDOW | flags.WEIGHTS
        wrong_word = flags.DONE_WORD & w.DONE_ADDR_LO.VALUE[:2].any()
        known = error_bits(
            FRAMES=~flags.WEIGHTS & ((frames == 0) | frames[FRAME_BITS:].any()
                                     | (flags.WINDOW & (frames != 1))),
            ALIGNMENT=(in_memory & w.IN_ADDR_LO.VALUE[:low].any()) | wrong_word
            | (in_memory & ~flags.WEIGHTS & w.OUT_ADDR_LO.VALUE[:low].any()),
            NO_WINDOW=Const(0) if c.window else window,
            HASH=flags.CHECK_HASH & (c.constants["HASH_LO"] != w.EXPECTED_HASH.VALUE),
            LENGTH=flags.WEIGHTS & ((c.constants["LOAD_BYTES"] != w.WEIGHTS_BYTES.VALUE)
                                    | Const(int(not c.engine.loadable), 1)))
        before = Signal(len(_ERRORS))
        m.d.sync += before.eq(known)
        refusals = Signal(len(_ERRORS))
        m.d.comb += refusals.eq(before | given_up
                                | error_bits(NOT_LOADED=~self.loaded & ~flags.WEIGHTS))
        refused = refusals.any()
        taken = Signal(descriptor(c))
        m.d.comb += [
            taken.in_addr.eq(Cat(w.IN_ADDR_LO.VALUE, w.IN_ADDR_HI.VALUE)),
            taken.out_addr.eq(Cat(w.OUT_ADDR_LO.VALUE, w.OUT_ADDR_HI.VALUE)),
            taken.done_addr.eq(Cat(w.DONE_ADDR_LO.VALUE, w.DONE_ADDR_HI.VALUE)),
            taken.frames.eq(Mux(refused | flags.WEIGHTS, 0, frames)),
            taken.weights.eq(flags.WEIGHTS & ~refused if c.engine.loadable else 0),
            taken.window.eq(window), taken.first.eq(flags.FIRST),
            taken.sequence.eq(w.SEQUENCE.VALUE), taken.crc.eq(w.WEIGHTS_CRC.VALUE),
            taken.done_word.eq(flags.DONE_WORD & ~wrong_word & ~given_up.any()),
            taken.error.eq(refusals),
        ]
        return refusals, taken


def error_bits(**causes: Value) -> Value:
    """The register ERROR with these causes."""
    return Cat(causes.get(name, Const(0, 1)) for name in _ERRORS)


def _given_up(causes: Value) -> Value:
    """The register ERROR with these causes of GIVE_UP."""
    return error_bits(**{name: causes[n] for n, name in enumerate(GIVE_UP)})
