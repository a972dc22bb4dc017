"""What a host does with a core with registers: the steps that sim/bench/host.v plays."""

from __future__ import annotations

import zlib
from enum import IntEnum

from gatefold.hdl.host.registers import MAP

__all__ = ["WORD", "Op", "Script"]

WORD = 0xFFFFFFFF
_OFF = 4  # above a step: bytes of a write that are not enabled


class Op(IntEnum):
    """A step, as sim/bench/host.v numbers them."""

    END = 0
    WRITE = 1
    READ = 2
    DONE = 3
    WAIT = 4
    PAUSES = 5
    BASE = 6
    BROKEN = 7
    INTERRUPT = 8
    RESET = 9
    FAULT = 10


class Script:
    """The steps of sim/bench/host.v, and what it reads: the name of a value, and the value or those
    that are right, None: any is. ``low``: bits of an address in memory; ``descriptors``: how many
    have been started."""

    def __init__(self, low: int):
        self.steps: list[tuple[int, int, int]] = []
        self.expected: list[tuple[str, int | range | None]] = []
        self.low, self.descriptors = low, 0

    def write(self, **registers: int) -> None:
        self.steps += [(Op.WRITE, MAP[name].address, value) for name, value in registers.items()]

    def bytewise(self, address: int, value: int, *, upwards: bool) -> None:
        """Write a word that is wrong in all bytes, then one byte after the other; what lies in
        bytes that are not enabled is wrong."""
        self.steps.append((Op.WRITE, address, ~value & WORD))
        for n in range(4)[::1 if upwards else -1]:
            self.steps.append((Op.WRITE | (0xF ^ 1 << n) << _OFF, address,
                               value ^ (WORD & ~(0xFF << 8 * n))))

    def read(self, name: str, expected: int | range | None, what: str = "") -> None:
        self.steps.append((Op.READ, MAP[name].address, 0))
        self.expected.append((what or f"in {name}", expected))

    def upper(self, base: int) -> int:
        """The bits of ``base`` that are in the low half of an address."""
        return base >> self.low << self.low

    def interrupt(self, expected: int) -> None:
        self.steps.append((Op.INTERRUPT, 0, 0))
        self.expected.append(("on the interrupt", expected))

    def error(self, cause: str) -> int:
        """Its bit of the register ERROR."""
        return MAP["ERROR"].field(cause).mask

    def fails(self, *causes: str) -> None:
        """The causes are in ERROR, which is cleared."""
        bits = sum(map(self.error, causes))
        self.write(ERROR=~bits & WORD)  # clears others
        self.read("ERROR", bits)
        self.write(ERROR=bits)
        self.read("ERROR", 0)

    def without(self, **registers: int) -> None:
        """Write 1 to all bits but these, which are in the low byte; then to all, but that byte is
        not enabled: these bits must do nothing."""
        for name, bits in registers.items():
            self.write(**{name: ~bits & WORD})
            self.steps.append((Op.WRITE | 1 << _OFF, MAP[name].address, WORD))

    def refused(self, cause: str, **registers: int) -> None:
        """A descriptor with these registers ends at once, for this cause."""
        self.write(**{"FLAGS": 1} | registers, CTRL=MAP["CTRL"].field("AP_START").mask)
        self.steps.append((Op.WAIT, 0, 40))
        act, shown = (sum(MAP["CTRL"].field(f"AP_{name}").mask for name in names)
                      for names in (("START", "CONTINUE"), ("DONE", "READY")))
        self.without(CTRL=act)
        self.read("CTRL", shown)
        self.steps.append((Op.DONE, 0, 0))
        self.descriptors += 1
        self.fails(cause)

    def load(self, image: bytes, at: int = 0, *, wrong: int = 0, error: str = "", also: str = ""
             ) -> None:
        """Load weights; with bits of the checksum that are ``wrong``, and what must be in ERROR."""
        self.write(WEIGHTS_BYTES=len(image), WEIGHTS_CRC=zlib.crc32(image) ^ wrong)
        self.run(0, at, 0, weights=True)
        self.fails(*filter(None, (error, also)))

    def run(self, frames: int, at_in: int, at_out: int, base: int = 0, **flags: bool) -> None:
        """A descriptor, to its end; parameters as of :meth:`start`."""
        self.start(frames, at_in, at_out, base, **flags)
        self.steps.append((Op.DONE, 0, 0))

    def start(self, frames: int, at_in: int, at_out: int, base: int = 0, *, first: bool = True,
              **flags: bool) -> None:
        """Begin a descriptor; ``base``, of step BASE; ``first``, its first frame begins a
        sequence."""
        flag = MAP["FLAGS"].field
        above = ~base & WORD
        self.descriptors += 1
        self.write(FRAMES=frames, IN_ADDR_LO=at_in | self.upper(base), IN_ADDR_HI=base,
                   OUT_ADDR_LO=at_out | self.upper(above), OUT_ADDR_HI=above,
                   FLAGS=sum(flag(name.upper()).mask for name, on in (
                       ("first", first), *flags.items()) if on),
                   CTRL=MAP["CTRL"].field("AP_START").mask)
