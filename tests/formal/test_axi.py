"""The host's AXI ports: the AXI4-Lite slave answers everything once; bursts keep the rules of AXI4;
reading and writing hold what they offer, lose nothing and never stand still."""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
from amaranth.asserts import AnySeq
from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal

from gatefold.hdl.host import axi_lite, bursts, fifo, reader, writer
from gatefold.hdl.host.axi import BURST
from gatefold.hdl.host.registers import Field, Register, RegisterMap, Window
from tests.support.formal import assume, claim, free, inside, planted, prove, refute, started


def held(m: Module, name: str, port: Any, but: Any = 0) -> None:
    """Claim that a channel holds what it offers until that is taken; not in the cycle after
    ``but``."""
    waits = Signal(name=f"ghost_{name}_waits")
    payload = port.payload if isinstance(port.payload, Signal) else port.payload.as_value()
    before = Signal.like(payload, name=f"ghost_{name}_payload")
    m.d.sync += [waits.eq(port.valid & ~port.ready & ~but), before.eq(payload)]
    claim(m, f"{name} stays", ~waits | (port.valid & (payload == before)))


def queue(m: Module, find: Any, path: str, depth: int) -> None:
    """What the registers of a Fifo hold, for the induction."""
    level = find(f"{path}.level")
    claim(m, f"{path} level", (level <= depth) & (find(f"{path}.empty") == (level == 0))
          & (find(f"{path}.full") == (level == depth))
          & ((find(f"{path}.tail") - find(f"{path}.head") - level)[:(depth - 1).bit_length()] == 0))


# ---- the slave -----------------------------------------------------------------------------------

def register(name: str, address: int, access: str) -> Register:
    return Register(name, address, "", (Field(name="VALUE", width=32, access=access, text=""),))


REGISTERS = RegisterMap(
    (register("HELD", 0, "rw"), register("SEEN_LO", 4, "ro"), register("SEEN_HI", 8, "ro")),
    (Window("WINDOW", 16, 16, "ro", ""),), address_bits=5)


class SlaveClaims(Elaboratable):
    """The slave of a small map; ``source``: the contents of module ``axi_lite``."""

    def __init__(self, source: Any = axi_lite):
        self.source = source

    def elaborate(self, platform):
        m = Module()
        started(m)
        dut = self.source.AxiLite(REGISTERS, {})
        free(m, dut)
        find = inside(m, "slave", dut)
        bus: Any = dut.bus
        for name in ("b", "r"):
            held(m, name, getattr(bus, name))

        # Writes: address and data together, one answer each, in the next cycle.
        takes, owed = bus.aw.valid & bus.aw.ready, Signal(2, name="ghost_owed")
        m.d.sync += owed.eq(owed + takes - (bus.b.valid & bus.b.ready))
        claim(m, "address and data together", takes == (bus.w.valid & bus.w.ready))
        claim(m, "one answer to a write", (owed <= 1) & (bus.b.valid == owed[0]))
        claim(m, "a write waits for the last answer alone",
              takes == (bus.aw.valid & bus.w.valid & (owed == 0)))
        write, address = Signal(4, name="ghost_strb"), Signal(5, name="ghost_address")
        given, value = Signal(32, name="ghost_given"), Signal(32, name="ghost_value")
        m.d.sync += write.eq(Mux(takes, bus.w.payload.strb, 0))
        with m.If(takes):
            m.d.sync += [address.eq(bus.aw.payload), given.eq(bus.w.payload.data)]
        for n in range(4):
            with m.If(write[n] & (address[2:] == 0)):
                m.d.sync += value.word_select(n, 8).eq(given.word_select(n, 8))
        claim(m, "a register holds what was written", value == dut.written.HELD.VALUE)
        claim(m, "its way there", (find("write") == write)
              & ((write == 0) | ((dut.write_address == address) & (dut.data == given))))

        # Reads: an answer three cycles after the address.
        age, asked = Signal(2, name="ghost_age"), Signal(5, name="ghost_asked")
        word, high = Signal(32, name="ghost_word"), Signal(32, name="ghost_high")
        asks = bus.ar.valid & bus.ar.ready
        m.d.sync += age.eq(Mux(asks, 1, Mux((age == 3) & bus.r.ready, 0, age + (age % 3 != 0))))
        with m.If(asks):
            m.d.sync += asked.eq(bus.ar.payload)
        with m.If(age == 1), m.Switch(asked[2:]):
            with m.Case(0):
                m.d.sync += word.eq(value)
            with m.Case(1):
                m.d.sync += [word.eq(dut.seen.SEEN_LO.VALUE), high.eq(dut.seen.SEEN_HI.VALUE)]
            with m.Case(2):
                m.d.sync += word.eq(high)
            with m.Default():
                m.d.sync += word.eq(0)
        with m.If((age == 2) & asked[4]):
            m.d.sync += word.eq(dut.read_data)
        claim(m, "one answer to a read", bus.r.valid == (age == 3))
        claim(m, "a read waits for the last answer alone", bus.ar.ready == (age == 0))
        claim(m, "a read gives what is there", ~bus.r.valid | (bus.r.payload.data == word))
        claim(m, "every answer is OKAY", (bus.b.payload == 0) & (bus.r.payload.resp == 0))
        claim(m, "stages", (find("busy") == (age != 0)) & (find("chosen") == (age == 1))
              & (find("found") == (age == 2)) & ((age == 0) | (dut.read_address == asked)))
        claim(m, "kept", (find("high") == high)
              & ((age != 2) | (find("in_window") == asked[4]))
              & ((age != 2) | asked[4] | (find("word") == word)))
        return m


# ---- the master ----------------------------------------------------------------------------------

class BurstsClaims(Elaboratable):
    """The bursts of a stretch of memory; ``source``: the contents of module ``bursts``."""

    def __init__(self, word_bytes: int, source: Any = bursts):
        self.word_bytes, self.source = word_bytes, source

    def elaborate(self, platform):
        m, size = Module(), self.word_bytes
        started(m)
        dut = self.source.Bursts(word_bytes=size)
        free(m, dut)
        find = inside(m, "bursts", dut)
        assume(m, ~dut.start | dut.idle)
        left, at = Signal(40, name="ghost_left"), Signal(64, name="ghost_at")
        addr, words = dut.o.payload.addr, dut.o.payload.len + 1
        with m.If(dut.o.valid & dut.o.ready):
            m.d.sync += [left.eq(left - words), at.eq(at + words * size)]
        with m.If(dut.start):
            m.d.sync += [left.eq(dut.words), at.eq(dut.addr & ~(size - 1))]
        claim(m, "all words and no others", (dut.o.valid == (left != 0))
              & (~dut.o.valid | ((addr == at) & (words <= left))))
        claim(m, "at most 16 words", ~dut.o.valid | (words <= BURST))
        claim(m, "no burst crosses 4 KiB", ~dut.o.valid | (addr[:12] + words * size <= 4096))
        claim(m, "bursts are long", ~dut.o.valid | (words == left)
              | (((addr + words * size) & (BURST * size - 1)) == 0))
        claim(m, "idle", dut.idle == (left == 0))
        claim(m, "registers", (find("left") == left) & (find("busy") == (left != 0))
              & ((left == 0) | (dut.o.payload.addr == at)))
        held(m, "burst", dut.o)
        return m


class WriterClaims(Elaboratable):
    """The writing half, with a memory that answers what was written, also where words are given up;
    ``source``: of module ``writer``."""

    def __init__(self, source: Any = writer):
        self.source = source

    def elaborate(self, platform):
        m = Module()
        started(m)
        dut = self.source.Writer(width=8)
        free(m, dut)
        find = inside(m, "writer", dut)
        assume(m, ~dut.start | (dut.idle & ~dut.give_up))
        aw, w = dut.aw, dut.w
        moves = w.valid & w.ready

        # A burst's words begin with its address; neither waits for the other to be taken.
        waits, left = Signal(name="ghost_aw_waits_on"), Signal(range(BURST + 1), name="ghost_left")
        new = aw.valid & ~waits
        now = Signal.like(left, name="ghost_now")
        m.d.comb += now.eq(Mux(new, aw.payload.len + 1, left))
        m.d.sync += [waits.eq(aw.valid & ~aw.ready), left.eq(now - moves)]
        claim(m, "a burst has its words", w.valid == (now != 0))
        claim(m, "a burst begins behind the last", ~new | (left == 0))
        claim(m, "wlast", ~w.valid | (w.payload.last == (now == 1)))
        claim(m, "words are there when a burst begins", ~w.valid | find("words.level").bool())
        held(m, "aw", aw)
        held(m, "w", w)

        # The memory answers each burst once, after its last word and its address.
        done = Signal(40, name="ghost_done")
        m.d.sync += done.eq(done + (moves & w.payload.last) - dut.b.valid)
        assume(m, ~dut.b.valid | (done > aw.valid))
        assume(m, done < 1 << 39)  # there are not so many words
        claim(m, "answers are taken", dut.b.ready)
        claim(m, "unanswered", (find("unanswered") == done + (now != 0)))
        claim(m, "idle", dut.idle == (~find("bursts.busy") & (
            ((done == 0) & (now == 0)) | dut.drains)))
        claim(m, "error", dut.error == (dut.b.valid & dut.b.payload[1] & ~dut.drains))
        claim(m, "something moves", ~find("bursts.busy") | dut.i.ready | w.valid | aw.valid
              | find("begins") | dut.drains | dut.give_up)
        drained = Signal(name="ghost_drained")  # all answers were there in the cycle before
        m.d.sync += drained.eq(dut.drains & (done == 0) & (now == 0) & ~aw.valid & ~dut.give_up)
        claim(m, "given up words are gone with the last answer", ~drained | (
            ~dut.drains & (find("words.level") == 0)))

        # What the registers hold.
        queue(m, find, "words", 2 * BURST)
        claim(m, "words", Mux(
            dut.drains, (find("waiting") == 0) & (find("words.level") >= find("left")),
            find("words.level") == find("waiting") + find("left")))
        claim(m, "left", (find("left") == now) & (find("left") <= BURST))
        claim(m, "busy", ~find("bursts.busy") | (find("bursts.left") != 0))
        return m


class ReaderClaims(Elaboratable):
    """The reading half, with a memory that answers every burst, some with too few words and some
    with too many, also where words are given up; ``source``: of module ``reader``.

    Bursts have at most 4 words here, and two are under way: with 16 and four z3 takes too long.
    """

    burst, under_way = 4, 2

    def __init__(self, source: Any = reader):
        self.source = source

    def elaborate(self, platform):
        m = Module()
        started(m)
        dut = self.source.Reader(width=8)
        free(m, dut)
        with ExitStack() as stack:
            for part in (dut, bursts.Bursts):
                stack.enter_context(patch.dict(part.elaborate.__globals__, BURST=self.burst))
            stack.enter_context(patch.object(type(dut), "under_way", self.under_way))
            find = inside(m, "reader", dut)
        assume(m, ~dut.start | (dut.idle & ~dut.give_up))
        ar, r, o = dut.ar, dut.r, dut.o
        room, depth = self.under_way * self.burst, self.under_way
        asks = ar.valid & ar.ready

        # The memory owes each burst its last word, which may come too early or too late.
        owed = Signal(range(depth + 3), name="ghost_owed")
        m.d.sync += owed.eq(owed + asks - (r.valid & r.ready & r.payload.last))
        assume(m, ~r.valid | (owed != 0))
        filling, dropping = find("filling"), find("dropping")
        level, head = find("lengths.level"), find("lengths.head")
        claim(m, "what comes is taken", (owed == 0) | r.ready | filling)
        claim(m, "bursts under way", owed + filling == level + dropping)
        held(m, "ar", ar)

        # As many words leave as were asked for, those that are given up apart.
        due = Signal(range(room + self.burst + 1), name="ghost_due")
        m.d.sync += due.eq(due + Mux(asks & ~dut.drains, ar.payload.len + 1, 0)
                           - (o.valid & o.ready))
        with m.If(dut.give_up):
            m.d.sync += due.eq(0)
        claim(m, "there is room for what was asked for", due <= room)
        claim(m, "no word is lost", ~find("words.full") | ~find("comes") | dut.drains)
        claim(m, "idle", dut.idle == (~find("bursts.busy") & (due == 0)))
        claim(m, "given up words do not leave", ~dut.drains | ~o.valid)
        claim(m, "something moves", ~find("bursts.busy") | ar.valid | o.valid | (level != 0)
              | dut.drains)
        drained = Signal(name="ghost_drained")  # all answers were there in the cycle before
        m.d.sync += drained.eq(dut.drains & (level == 0) & ~ar.valid & ~dut.give_up)
        claim(m, "it drains to the end", ~drained | ~dut.drains)

        # What the registers hold.
        queue(m, find, "words", room)
        queue(m, find, "lengths", depth)
        place, to_come = find("place"), Signal(range(room + 1), name="ghost_to_come")
        bits = (depth - 1).bit_length()
        lengths = [find.word("lengths.memory", Const(n, bits)) for n in range(depth)]
        counts = [(Const(n, bits) - head)[:bits] < level for n in range(depth)]
        m.d.comb += to_come.eq(sum(Mux(counted, length[:4] + 1, 0)
                                   for counted, length in zip(counts, lengths, strict=True)))
        claim(m, "lengths", Cat(~counted | (length < self.burst) for counted, length in
                                zip(counts, lengths, strict=True)).all())
        first = find.word("lengths.memory", head)
        claim(m, "place", Mux(level == 0, place == 0, place <= first))
        claim(m, "filling", ~filling | ((level != 0) & ~dropping))
        claim(m, "reserved", (find("reserved") == due) & Mux(
            dut.drains, (due == 0) & (find("words.level") == 0),
            due + place == find("words.level") + to_come))
        claim(m, "busy", find("bursts.busy") == (find("bursts.left") != 0))
        claim(m, "offered", ~find("offered") | (
            dut.drains & (find("abandoned")[-8:] < self.burst) & (level != depth)))
        return m


class FifoClaims(Elaboratable):
    """A small queue: one word of any is followed from its coming to its leaving; ``source``: the
    contents of module ``fifo``."""

    def __init__(self, source: Any = fifo):
        self.source = source

    def elaborate(self, platform):
        m, depth = Module(), 4
        started(m)
        dut = self.source.Fifo(2, depth=depth)
        free(m, dut)
        find = inside(m, "fifo", dut)
        comes, leaves = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        level = Signal(range(depth + 1), name="ghost_level")
        m.d.sync += level.eq(level + comes - leaves)
        follows, word = Signal(name="ghost_follows"), Signal(2, name="ghost_word")
        before = Signal(range(depth), name="ghost_before")  # words that leave earlier
        with m.If(leaves & follows):
            m.d.sync += [before.eq(before - 1), follows.eq(before != 0)]
        with m.If(comes & ~follows & AnySeq(1)):
            m.d.sync += [before.eq(level - leaves), follows.eq(1), word.eq(dut.i.payload)]
        claim(m, "valid and ready",
              (dut.o.valid == (level != 0)) & (dut.i.ready == (level != depth)))
        claim(m, "words leave as they came", ~follows | (before != 0) | (dut.o.payload == word))
        queue(m, lambda path: find(path.removeprefix("fifo.")), "fifo", depth)
        claim(m, "registers", (find("level") == level) & (~follows | (
            (before < level) & (find.word("memory", (find("head") + before)[:2]) == word))))
        return m


def test_fifo(tmp_path):
    prove(FifoClaims(), tmp_path)


@pytest.mark.formal
def test_reader(tmp_path):
    prove(ReaderClaims(), tmp_path, depth=1)


def test_slave(tmp_path):
    prove(SlaveClaims(), tmp_path)


@pytest.mark.formal
@pytest.mark.parametrize("word_bytes", [4, 256])
def test_bursts(word_bytes, tmp_path):
    prove(BurstsClaims(word_bytes), tmp_path)


@pytest.mark.formal
def test_writer(tmp_path):
    prove(WriterClaims(), tmp_path)


#: claim: claims, module, the correct text, a mistake
MISTAKES = {
    "b stays": (SlaveClaims, axi_lite, "takes | (bus.b.valid & ~bus.b.ready)", "takes"),
    "one answer to a write": (SlaveClaims, axi_lite, "bus.w.valid & ~bus.b.valid", "bus.w.valid"),
    "a register holds what was written": (
        SlaveClaims, axi_lite, "(written & ~enabled) | (bits & enabled)", "bits"),
    "one answer to a read": (SlaveClaims, axi_lite, "bus.ar.ready.eq(~busy)", "bus.ar.ready.eq(1)"),
    "a read gives what is there": (
        SlaveClaims, axi_lite, 'high if kept and name.endswith("_HI") else words[name]',
        "words[name]"),
    "r stays": (SlaveClaims, axi_lite, "with m.If(found):", "if True:"),
    "no burst crosses 4 KiB": (
        lambda source: BurstsClaims(256, source), bursts,
        "BURST - word[:BURST.bit_length() - 1]", "BURST"),
    "all words and no others": (
        lambda source: BurstsClaims(4, source), bursts, "busy.eq(left > room)",
        "busy.eq(left >= room)"),
    "wlast": (WriterClaims, writer, "self.w.payload.last.eq(left == 1)",
              "self.w.payload.last.eq(waiting == 1)"),
    "aw stays": (WriterClaims, writer, "(~self.aw.valid | self.aw.ready)", "1"),
    "words are there when a burst begins": (WriterClaims, writer, "(waiting >= count)", "1"),
    "idle": (WriterClaims, writer, "(unanswered == 0) | self.drains", "1"),
    "ar stays": (ReaderClaims, reader, "self.ar.valid & ~self.ar.ready & (offered | self.give_up)",
                 "0"),
    "what comes is taken": (
        ReaderClaims, reader, "dropping | (lengths.o.valid & ~filling)",
        "lengths.o.valid & ~filling"),
    "it drains to the end": (
        ReaderClaims, reader, "self.drains & (offered | lengths.o.valid)", "self.drains"),
    "given up words do not leave": (
        ReaderClaims, reader, "words.i.valid.eq(comes & ~self.drains)", "words.i.valid.eq(comes)"),
    "words leave as they came": (FifoClaims, fifo, "write.addr.eq(tail)", "write.addr.eq(head)"),
}


@pytest.mark.formal
@pytest.mark.parametrize("name", MISTAKES)
def test_axi_mistakes_are_refuted(name, tmp_path):
    claims, module, correct, wrong = MISTAKES[name]
    refute(claims(planted(module, correct, wrong)), tmp_path, name)
