"""What a host does with a core with registers: the steps that sim/bench/host.v plays."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from gatefold.hdl.host.registers import MAP, Register
from gatefold.sim.host_info import HostInfo
from gatefold.sim.host_memory import HostMemory

__all__ = ["ALL", "AT_BETWEEN", "AT_FIRST", "AT_LAST", "CHANNELS", "SOME", "WORD", "Op", "Script",
           "mask", "reset_of", "rw_mask"]

WORD = 0xFFFFFFFF
_OFF = 4  # above a step: bytes of a write that are not enabled, or cycles
CHANNELS, ALL = (0x01, 0x02, 0x04, 0x08, 0x10), 0x1F  #: of memory: AR, R, AW, W, B
#: Words of a burst that are answered with an error, where not all are.
AT_LAST, AT_FIRST, AT_BETWEEN = 1, 2, 3
SOME = 8  #: frames of a descriptor that follows another


class Op(IntEnum):
    """A step, as sim/bench/host.v numbers them."""

    END = 0
    WRITE = 1
    READ = 2
    DONE = 3
    WAIT = 4
    PAUSES = 5
    ORIGIN = 6
    BROKEN = 7
    INTERRUPT = 8
    RESET = 9
    FAULT = 10
    COUNTERS = 11
    STRIKE = 12


class Script:
    """The steps of sim/bench/host.v, and what it reads.

    Parameters: ``info``; ``memory``; ``thorough``, whether the simulator is fast.

    Members: ``expected``, of each value that is read its name, and the value or those that are
    right, None: any is; ``relations``, of values: what is wrong unless they hold; ``descriptors``,
    how many have been started; ``outputs``, what golden makes of the frames.
    """

    def __init__(self, info: HostInfo, memory: HostMemory, *, thorough: bool):
        self.info, self.memory, self.thorough = info, memory, thorough
        self.outputs = memory.outputs
        self.steps: list[tuple[int, int, int]] = []
        self.expected: list[tuple[str, int | range | None]] = []
        self.relations: list[tuple[str, Callable[[list[int]], bool]]] = []
        self.descriptors = 0
        self._read_from = self._write_from = 0
        self._random = random.Random(1)

    # ---- registers ----

    def write(self, **registers: int) -> None:
        self.steps += [(Op.WRITE, MAP[name].address, value) for name, value in registers.items()]

    def write_at(self, address: int, value: int) -> None:
        """Write where no register is."""
        self.steps.append((Op.WRITE, address, value & WORD))

    def bytewise(self, address: int, value: int, *, upwards: bool) -> None:
        """Write a word that is wrong in all bytes, then one byte after the other; what lies in
        bytes that are not enabled is wrong."""
        self.write_at(address, ~value)
        for n in range(4)[::1 if upwards else -1]:
            self.steps.append((Op.WRITE | (0xF ^ 1 << n) << _OFF, address,
                               value ^ (WORD & ~(0xFF << 8 * n))))

    def read(self, name: str, expected: int | range | None = None, what: str = "") -> int:
        """Read a register; the place of its value among all."""
        return self.read_at(MAP[name].address, expected, what or f"in {name}")

    def read_at(self, address: int, expected: int | range | None, what: str) -> int:
        self.steps.append((Op.READ, address, 0))
        self.expected.append((what, expected))
        return len(self.expected) - 1

    def relate(self, what: str, holds: Callable[[list[int]], bool]) -> None:
        """``holds`` must be true of all values that are read."""
        self.relations.append((what, holds))

    def interrupt(self, expected: int) -> None:
        self.steps.append((Op.INTERRUPT, 0, 0))
        self.expected.append(("on the interrupt", expected))

    def without(self, **registers: int) -> None:
        """Write 1 to all bits but these, which are in the low byte; then to all, but that byte is
        not enabled: these bits must do nothing."""
        for name, bits in registers.items():
            self.write(**{name: ~bits & WORD})
            self.steps.append((Op.WRITE | 1 << _OFF, MAP[name].address, WORD))

    def strike(self, cycles: int, name: str, value: int) -> None:
        """Write AP_START, and so many cycles later, 2 to 15, a register."""
        self.descriptors += 1
        self.steps.append((Op.STRIKE | cycles << _OFF, MAP[name].address, value))

    # ---- time and memory ----

    def wait(self, cycles: int) -> None:
        self.steps.append((Op.WAIT, 0, cycles))

    def pauses(self, reads: int = 0, writes: int = 0, slow: int = 0) -> None:
        """From now on memory pauses in so many of 256 cycles, and ``slow`` channels move in one
        cycle of 64."""
        self.steps.append((Op.PAUSES, 0, reads | writes << 8 | slow << 16))

    def broken(self, *, rresp: int = 0, bresp: int = 0, stop: int = 0, at: int = 0,
               anywhere: bool = False, early: int = 0, late: int = 0, burst: int = 0) -> None:
        """From now on memory is broken: it answers with ``rresp``, ``at`` some words, and with
        ``bresp``; nothing moves on the channels ``stop``; ``anywhere``, any address is right and
        nothing is written; bursts end ``early`` or ``late`` by so many words; ``burst``, the number
        of the only burst of all this, 0: all are."""
        self.steps.append((Op.BROKEN, 0, rresp | bresp << 2 | stop << 4 | at << 9 | anywhere << 11
                           | early << 12 | late << 16 | burst << 20))

    def origin(self, read: int = 0, write: int = 0) -> None:
        """From now on memory lies at these addresses, where it is read and where it is written."""
        self._read_from, self._write_from = read, write
        self.steps += [(Op.ORIGIN, n, half) for n, half in enumerate(
            half for place in (read, write) for half in (place & WORD, place >> 32))]

    def move(self) -> None:
        """From now on memory lies at addresses of which any bit may be 1, and which are no
        multiples of a burst."""
        read = self._random.getrandbits(64) // self.memory.size * self.memory.size
        self.origin(read, ~read // self.memory.size * self.memory.size & (1 << 64) - 1)

    # ---- descriptors ----

    def addresses(self, at_in: int, at_out: int) -> dict[str, int]:
        """The registers for these places in memory."""
        places = (at_in + self._read_from, at_out + self._write_from)
        return {f"{side}_ADDR_{half}": place >> shift & WORD
                for side, place in zip(("IN", "OUT"), places, strict=True)
                for half, shift in (("LO", 0), ("HI", 32))}

    def word(self, errors: int | None = 0) -> dict[str, Any]:
        """Flags that ask for a completion word, which must show these bits of ERROR; None: it must
        not be written."""
        address = self.memory.word(errors) + self._write_from
        self.write(DONE_ADDR_LO=address & WORD, DONE_ADDR_HI=address >> 32 & WORD)
        return {"done_word": True}

    def start(self, frames: int, at_in: int, at_out: int, *, first: bool = True,
              ctrl: int = 1, **flags: bool) -> None:
        """Begin a descriptor, with ``ctrl``, by default AP_START; ``first``, its first frame begins
        a sequence."""
        self.descriptors += 1
        self.write(FRAMES=frames, **self.addresses(at_in, at_out),
                   FLAGS=mask("FLAGS", *(name.upper() for name, on in (
                       ("first", first), *flags.items()) if on)),
                   CTRL=ctrl)

    def done(self, *, alone: bool = False, keep: bool = False) -> None:
        """Wait until AP_DONE is 1, and write AP_CONTINUE unless it is to ``keep``; ``alone``, no
        other descriptor writes."""
        self.steps.append((Op.DONE, 0, alone | keep << 1))

    def run(self, frames: int, at_in: int, at_out: int, **how) -> None:
        """A descriptor, to its end; parameters as of :meth:`start`."""
        self.start(frames, at_in, at_out, **how)
        self.done(alone=True)

    def again(self, name: str, results: list[bytes] | None = None, *, skip: int = 0,
              first: bool = False, **flags: bool) -> None:
        """Some frames, those behind ``skip``, which give their ``results``, by default those of a
        new sequence."""
        wanted = (results or self.outputs)[:SOME]
        self.run(len(wanted), self.memory.frames + skip * self.info.in_bytes,
                 self.memory.room(name, wanted), first=first, **flags)

    def load(self, image: bytes | None = None, at: int = 0, *, wrong: int = 0,
             errors: tuple[str, ...] = (), **flags: bool) -> None:
        """Load weights, by default the core's, where it is loadable; with bits of the checksum that
        are ``wrong``, and what must be in ERROR."""
        image = self.info.load if image is None else image
        if self.info.load:
            self.write(WEIGHTS_BYTES=len(image), WEIGHTS_CRC=zlib.crc32(image) ^ wrong)
            self.start(0, at, 1, weights=True, **flags)
            self.done()
            self.fails(*errors)

    def refused(self, *causes: str, **registers: int) -> None:
        """A descriptor with these registers ends at once, for these causes."""
        self.write(**{"FLAGS": 1} | registers, CTRL=mask("CTRL", "AP_START"))
        self.wait(40)
        self.without(CTRL=mask("CTRL", "AP_START", "AP_CONTINUE"))
        self.read("CTRL", mask("CTRL", "AP_DONE", "AP_READY"))
        self.done(alone=True)
        self.descriptors += 1
        self.fails(*causes)

    def fails(self, *causes: str) -> None:
        """The causes are in ERROR, which is cleared."""
        bits = mask("ERROR", *causes)
        self.read("ERROR", bits)
        self.write(ERROR=~bits & WORD)  # clears none of them
        self.read("ERROR", bits)
        self.write(ERROR=bits)
        self.read("ERROR", 0)


def mask(register: str, *fields: str) -> int:
    """These fields' bits of the register."""
    return sum(MAP[register].field(name).mask for name in fields)


def rw_mask(register: Register) -> int:
    """The bits that a program writes and reads."""
    return sum(field.mask for field in register.fields if field.access == "rw")


def reset_of(register: Register) -> int:
    """What those bits are after a reset."""
    return sum(field.reset << field.low for field in register.fields if field.access == "rw")
