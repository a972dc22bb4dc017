"""The AXI4-Lite slave: a register map in hardware."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.host.axi import axi_lite
from gatefold.hdl.host.registers import Field, Register, RegisterMap

__all__ = ["AxiLite", "registers_layout"]


def registers_layout(registers: RegisterMap) -> data.StructLayout:
    """A structure of registers, each a structure of its fields."""
    return data.StructLayout({
        register.name: data.StructLayout({field.name: field.width for field in register.fields})
        for register in registers.registers})


class AxiLite(wiring.Component):
    """The registers of a map behind an AXI4-Lite port, and the way to its windows.

    A write takes effect in the cycle after both its address and its data were taken; a read is
    answered three cycles after its address was taken. One of each is under way at a time. The
    answer is always OKAY: a hole reads as 0.

    Of a pair of registers X_LO and X_HI that are read only, reading X_LO keeps X_HI as it is until
    it is read.

    Parameters
    ----------
    registers: the map. constants: values of its constant registers by name.

    Members
    -------
    bus: In, the AXI4-Lite port.
    written: Out, of ``rw`` fields the value, of ``pulse`` ones a pulse, of ``w1c`` and ``w1t`` ones
    what is set.
    seen: In, of ``ro`` and ``pulse`` fields the value to read, of ``w1c`` and ``w1t`` ones what to
    set.
    write: Out, byte enables of ``data`` at ``write_address``, for a window that is there.
    read_address: Out; read_data: In, what the window there holds, a cycle later.
    """

    def __init__(self, registers: RegisterMap, constants: dict[str, int]):
        self.registers, self.constants = registers, constants
        layout = registers_layout(registers)
        super().__init__({
            "bus": In(axi_lite(registers.address_bits)),
            "written": Out(layout, init={
                register.name: {field.name: field.reset for field in register.fields
                                if field.access == "rw"} for register in registers.registers}),
            "seen": In(layout),
            "write_address": Out(registers.address_bits), "write": Out(4), "data": Out(32),
            "read_address": Out(registers.address_bits), "read_data": In(32)})

    def elaborate(self, platform):
        m = Module()
        self._take_writes(m)
        mask = Cat(enable.replicate(8) for enable in self.write)
        words = {}
        for register in self.registers.registers:
            hit = Signal(name=f"writes_{register.name.lower()}")
            m.d.comb += hit.eq(self.write_address[2:] == register.address >> 2)
            words[register.name] = Signal(32, name=f"read_{register.name.lower()}")
            for field in register.fields:
                bits = slice(field.low, field.low + field.width)
                value = self._field(m, register, field, Mux(hit, mask[bits], 0), self.data[bits])
                m.d.comb += words[register.name][bits].eq(value)
        self._answer_reads(m, words)
        return m

    def _take_writes(self, m: Module) -> None:
        """Address and data are taken together, when the last answer has been taken."""
        bus = self.bus
        takes = Signal()
        m.d.comb += [
            takes.eq(bus.aw.valid & bus.w.valid & ~bus.b.valid),
            bus.aw.ready.eq(takes), bus.w.ready.eq(takes),
        ]
        m.d.sync += [
            bus.b.valid.eq(takes | (bus.b.valid & ~bus.b.ready)),
            self.write.eq(Mux(takes, bus.w.payload.strb, 0)),
        ]
        with m.If(takes):
            m.d.sync += [self.write_address.eq(bus.aw.payload), self.data.eq(bus.w.payload.data)]

    def _field(self, m: Module, register: Register, field: Field, enabled: Value,
               bits: Value) -> Value:
        """The field's hardware; what it reads as. ``enabled``: the bits that are written."""
        seen = self.seen[register.name][field.name]
        written = self.written[register.name][field.name]
        if field.access == "constant":
            return Const((self.constants[register.name] & field.mask) >> field.low, field.width)
        if field.access == "ro":
            return seen
        if field.access == "pulse":
            m.d.comb += written.eq(enabled & bits)
            return seen
        m.d.sync += written.eq({
            "rw": (written & ~enabled) | (bits & enabled),
            "w1c": (written & ~(bits & enabled)) | seen,
            "w1t": (written ^ (bits & enabled)) | seen}[field.access])
        return written

    def _answer_reads(self, m: Module, words: dict[str, Signal]) -> None:
        bus = self.bus
        busy = Signal()  # from the address to the answer
        chosen = Signal()  # `read_address` is valid
        found = Signal()  # `word` is valid
        word = Signal(32)
        in_window = Signal()
        high = Signal(32)
        m.d.comb += bus.ar.ready.eq(~busy)
        m.d.sync += [
            busy.eq(Mux(busy, ~(bus.r.valid & bus.r.ready), bus.ar.valid)),
            chosen.eq(bus.ar.valid & bus.ar.ready), found.eq(chosen),
            bus.r.valid.eq(found | (bus.r.valid & ~bus.r.ready)),
            in_window.eq(self.read_address >= self.registers.windows[0].address),
        ]
        with m.If(bus.ar.ready):
            m.d.sync += self.read_address.eq(bus.ar.payload)
        with m.Switch(self.read_address[2:]):
            for register in self.registers.registers:
                name, kept = register.name, register.fields[0].access == "ro"
                with m.Case(register.address >> 2):
                    m.d.sync += word.eq(high if kept and name.endswith("_HI") else words[name])
                    if kept and name.endswith("_LO"):
                        with m.If(chosen):
                            m.d.sync += high.eq(words[name.removesuffix("_LO") + "_HI"])
            with m.Default():
                m.d.sync += word.eq(0)
        with m.If(found):
            m.d.sync += bus.r.payload.data.eq(Mux(in_window, self.read_data, word))
