"""The register map of a core with ``--host axi``: declared here once, and everything else follows.

The AXI4-Lite slave (:mod:`.axi_lite`), the C header, the SystemRDL file and docs/registers.md
(``gen/host``) and the drivers read :data:`MAP`. It is the same for every core: what differs from
core to core is the value of the registers in :attr:`RegisterMap.constants`. This module imports
nothing but the standard library, so that a driver can use it without Amaranth.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ACCESS", "MAP", "Field", "Register", "RegisterMap", "Window"]

#: What a program may do with a field.
ACCESS = {
    "constant": "read only; fixed when the core was built",
    "ro": "read only",
    "rw": "read and write",
    "pulse": "writing 1 triggers the action, 0 does nothing; reads as described",
    "w1c": "set by the hardware; writing 1 clears it",
    "w1t": "set by the hardware; writing 1 toggles it",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Neighbouring bits of a register: ``low``, the lowest; ``access``, one of :data:`ACCESS`;
    ``reset``, their value after a reset; ``text``, one sentence."""

    name: str
    low: int = 0
    width: int = 1
    access: str = "ro"
    reset: int = 0
    text: str

    def __post_init__(self):
        if self.access not in ACCESS:
            raise ValueError(f"access of {self.name} must be one of {', '.join(ACCESS)}, "
                             f"not {self.access!r}")
        if not (self.low >= 0 and self.width >= 1 and self.low + self.width <= 32):
            raise ValueError(f"{self.name} must lie in bits 0 to 31, not {self.low} to "
                             f"{self.low + self.width - 1}")
        if not 0 <= self.reset < 1 << self.width:
            raise ValueError(f"reset of {self.name} must have {self.width} bits, "
                             f"not {self.reset!r}")

    @property
    def mask(self) -> int:
        """The field's bits in the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """32 bits at the byte address ``address``, a multiple of 4."""

    name: str
    address: int
    text: str
    fields: tuple[Field, ...]

    def __post_init__(self):
        if self.address % 4 or self.address < 0:
            raise ValueError(f"address of {self.name} must be a multiple of 4, "
                             f"not {self.address!r}")
        taken = 0
        for field in self.fields:
            if taken & field.mask:
                raise ValueError(f"field {field.name} of {self.name} overlaps another")
            taken |= field.mask

    def field(self, name: str) -> Field:
        """The field of this name."""
        return next(field for field in self.fields if field.name == name)

    @property
    def constant(self) -> bool:
        """Whether its value is fixed when the core is built."""
        return all(field.access == "constant" for field in self.fields)


@dataclass(frozen=True)
class Window:
    """Memory of ``size`` bytes from ``address`` on; ``access``: ``wo`` or ``ro``."""

    name: str
    address: int
    size: int
    access: str
    text: str


@dataclass(frozen=True)
class RegisterMap:
    """Registers and windows in the order of their addresses; ``address_bits`` of a byte address."""

    registers: tuple[Register, ...]
    windows: tuple[Window, ...]
    address_bits: int

    def __post_init__(self):
        end = 0
        for part in (*self.registers, *self.windows):
            if part.address < end:
                raise ValueError(f"{part.name} at {part.address:#x} overlaps what is before it")
            end = part.address + (part.size if isinstance(part, Window) else 4)
        if end > 1 << self.address_bits:
            raise ValueError(f"the map ends at {end:#x}, beyond {self.address_bits} address bits")

    def __getitem__(self, name: str) -> Register:
        return next(register for register in self.registers if register.name == name)

    def window(self, name: str) -> Window:
        """The window of this name."""
        return next(window for window in self.windows if window.name == name)

    @property
    def constants(self) -> tuple[Register, ...]:
        """The registers whose values are those of one core."""
        return tuple(register for register in self.registers if register.constant)


def _word(name: str, address: int, text: str, access: str = "ro", reset: int = 0) -> Register:
    """A register that is one field of 32 bits."""
    return Register(name, address, text, (Field(name="VALUE", width=32, access=access, reset=reset,
                                                text=text),))


def _pair(name: str, address: int, text: str, access: str = "ro") -> tuple[Register, Register]:
    """64 bits in two registers, the low half first."""
    high = "Bits 63 to 32 of it" + (", as they were when the low half was read."
                                    if access == "ro" else ".")
    return (_word(f"{name}_LO", address, text, access), _word(f"{name}_HI", address + 4, high,
                                                              access))


def _bits(access: str, *names: tuple[str, str]) -> tuple[Field, ...]:
    """Single bits from bit 0 up, of (name, text)."""
    return tuple(Field(name=name, low=n, access=access, text=text)
                 for n, (name, text) in enumerate(names))


MAP = RegisterMap((
    Register("CTRL", 0x00, "Start and end of a descriptor, as ap_ctrl_chain has them.", (
        Field(name="AP_START", low=0, access="pulse", text="Write 1: start the descriptor in "
              "IN_ADDR to WEIGHTS_CRC. Reads 1 until the core has taken it."),
        Field(name="AP_DONE", low=1, text="A descriptor has ended. Stays 1 until AP_CONTINUE is "
              "written; the next descriptor ends only after that."),
        Field(name="AP_IDLE", low=2, reset=1, text="No descriptor is waiting or under way, and "
              "AP_DONE is 0."),
        Field(name="AP_READY", low=3, reset=1, text="AP_START is 0: the registers of the "
              "descriptor may be written, and another one started."),
        Field(name="AP_CONTINUE", low=4, access="pulse", text="Write 1: AP_DONE has been seen, and "
              "becomes 0. May be written together with AP_START. Reads 0."),
    )),
    Register("GIE", 0x04, "Global interrupt enable.", _bits(
        "rw", ("ENABLE", "The interrupt output is 1 while any bit of ISR is."))),
    Register("IER", 0x08, "Which events set their bit in ISR.", _bits(
        "rw", ("DONE", "A descriptor has ended."), ("READY", "A descriptor has been taken."))),
    Register("ISR", 0x0C, "Events that IER enables.", _bits(
        "w1t", ("DONE", "A descriptor has ended."), ("READY", "A descriptor has been taken."))),

    _word("MAGIC", 0x10, "The letters GATE, G in the low byte.", "constant", 0x45544147),
    _word("VERSION", 0x14, "Of this map: major version in bits 31 to 16, minor in 15 to 0.",
          "constant", 0x0001_0001),
    *_pair("HASH", 0x18, "The build hash: hardware, program and number formats, not weights.",
           "constant"),
    Register("CAPS", 0x20, "What this core is.", (
        *_bits("constant", ("STATEFUL", "State goes on from frame to frame."),
               ("LOADABLE", "Weights are loaded at run time, and must be before any frame."),
               ("FLOAT32", "Elements in memory are float32."),
               ("WINDOW", "The windows exist, and a frame fits into them.")),
        Field(name="ENGINES", low=8, width=8, access="constant", text="Engines that share a "
              "batch."),
        Field(name="PORT_BYTES", low=16, width=8, access="constant", text="Bytes of a word of the "
              "memory port. Frames and weights begin at multiples of them."))),
    _word("IN_ELEMENTS", 0x24, "Elements of an input frame.", "constant"),
    _word("OUT_ELEMENTS", 0x28, "Elements of an output frame.", "constant"),
    _word("IN_BYTES", 0x2C, "Bytes from an input frame to the next, a multiple of PORT_BYTES.",
          "constant"),
    _word("OUT_BYTES", 0x30, "Bytes from an output frame to the next, a multiple of PORT_BYTES.",
          "constant"),
    Register("FORMAT", 0x34, "Elements in memory.", (
        Field(name="CONTAINER", low=0, width=8, access="constant", text="Bits that an element "
              "takes in memory: 8, 16 or 32."),
        Field(name="WIDTH", low=8, width=8, access="constant", text="Bits of it that count; of "
              "float32, bits of the integer that it becomes."),
        Field(name="IN_FRAC", low=16, width=8, access="constant", text="Fraction bits of an input, "
              "signed; 0x80 where they differ from element to element, and where elements have a "
              "scale: see core.json."),
        Field(name="OUT_FRAC", low=24, width=8, access="constant", text="The same of an output."))),
    _word("CONTEXTS", 0x38, "Sequences in a frame, one after the other.", "constant"),
    _word("LOAD_BYTES", 0x3C, "Bytes of the weights' image, 0 without LOADABLE.", "constant"),

    *_pair("IN_ADDR", 0x40, "Address of the input frames, or of the weights' image; a multiple of "
           "PORT_BYTES.", "rw"),
    *_pair("OUT_ADDR", 0x48, "Address for the output frames; a multiple of PORT_BYTES.", "rw"),
    _word("FRAMES", 0x50, "Frames of the descriptor, at least 1; in the window exactly 1.", "rw"),
    Register("FLAGS", 0x54, "How the descriptor is run.", _bits(
        "rw", ("FIRST", "The first frame begins a new sequence (STATEFUL)."),
        ("WINDOW", "Input and output are the windows, not memory."),
        ("WEIGHTS", "Load weights: WEIGHTS_BYTES from IN_ADDR on. No frame is read or written."),
        ("DONE_WORD", "At the end, write the completion word to DONE_ADDR: bit 31 is 1, the bits "
         "below are this descriptor's bits of ERROR."),
        ("CHECK_HASH", "Refuse the descriptor unless EXPECTED_HASH is HASH_LO."))),
    *_pair("DONE_ADDR", 0x58, "Address of the completion word; a multiple of 4.", "rw"),
    _word("SEQUENCE", 0x60, "Frames after which a new sequence begins (STATEFUL); 0: all frames of "
          "the descriptor are of one sequence.", "rw"),
    _word("EXPECTED_HASH", 0x64, "What HASH_LO must be, with CHECK_HASH.", "rw"),
    _word("WEIGHTS_BYTES", 0x68, "Bytes of the image to load: LOAD_BYTES.", "rw"),
    _word("WEIGHTS_CRC", 0x6C, "CRC-32 (of zlib) of the image.", "rw"),

    Register("STATE_RESET", 0x80, "The state of a stateful core.", (
        Field(name="RESET", access="pulse", reset=1, text="Write 1: the next descriptor's first "
              "frame begins a new sequence. Reads 1 until that descriptor has been taken."),)),
    Register("STATUS", 0x84, "What the core does.", _bits(
        "ro", ("BUSY", "A descriptor is waiting or under way."),
        ("LOADED", "The core has its weights. Always 1 without LOADABLE."))),
    Register("ERROR", 0x88, "Causes of errors, until they are cleared. A descriptor with an error "
             "ends like any other; its results do not count.", _bits(
                 "w1c", ("READ", "A read was answered with an error, or with too few or too many "
                         "words."),
                 ("WRITE", "A write was answered with an error."),
                 ("TWO_STARTS", "AP_START was written while it was 1; that start was ignored."),
                 ("FRAMES", "FRAMES was 0, or not 1 with WINDOW: refused."),
                 ("ALIGNMENT", "An address was no multiple of PORT_BYTES, or DONE_ADDR none of 4: "
                  "refused."),
                 ("NO_WINDOW", "WINDOW, but the core has none: refused."),
                 ("NOT_LOADED", "Frames before weights: refused."),
                 ("HASH", "EXPECTED_HASH was not HASH_LO: refused."),
                 ("LENGTH", "WEIGHTS_BYTES was not LOAD_BYTES, or the core is not LOADABLE: "
                  "refused, and the weights are as before."),
                 ("CHECKSUM", "The image had another CRC than WEIGHTS_CRC, or could not be read: "
                  "the core has no weights now."),
                 ("INTERNAL", "The core has seen a frame of a wrong length, or, built with "
                  "--protect, a fault of its own. This never happens unless the hardware fails."),
                 ("NO_ANSWER", "Memory has not answered for WATCHDOG cycles: all descriptors were "
                  "given up."),
                 ("ABORTED", "ABORT was written: all descriptors were given up."))),
    _word("COMPLETED", 0x8C, "Descriptors that have ended since reset."),
    *_pair("FRAMES_DONE", 0x90, "Frames written since reset."),
    *_pair("CYCLES", 0x98, "Cycles since reset in which the core was BUSY."),
    *_pair("STALLS", 0xA0, "Those of them in which the core waited for memory: for a word of input "
           "that was not there, or to be rid of a word of output."),
    _word("LAST_CYCLES", 0xA8, "Cycles of the last descriptor, from the start to the end."),
    _word("WATCHDOG", 0xAC, "Cycles for which an answer of memory may be outstanding while nothing "
          "moves at the memory port; then all descriptors are given up. 0: for ever.", "rw",
          0x0001_0000),
    Register("ABORT", 0xB0, "Giving up.", (
        Field(name="ABORT", access="pulse", text="Write 1: give up all descriptors that are "
              "waiting or under way. Reads 1 while memory owes answers to accesses that were given "
              "up."),)),
), (
    Window("WINDOW_IN", 0x1000, 0x1000, "wo", "The input frame, as it would be in memory."),
    Window("WINDOW_OUT", 0x2000, 0x1000, "ro", "The output frame."),
), address_bits=14)
