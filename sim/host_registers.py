"""Registers alone: each bit and byte, addresses, interrupts, refusals, counters, coincidences."""

from __future__ import annotations

from gatefold.hdl.host.config import FRAME_BITS
from gatefold.hdl.host.registers import MAP
from gatefold.sim.host_script import WORD, Op, Script, mask, reset_of, rw_mask

__all__ = ["coincide", "count", "interrupt", "look_beside", "read_back", "refuse"]

_PATTERN = 0x96A5C35A  # written to registers, and its complement
_SOON = range(2, 13)  # cycles after AP_START in which a refused descriptor is taken and ends
_HIGH = 5  # of counters that are about to carry


def read_back(script: Script) -> None:
    """Write and read every register that can be written, and read constant ones."""
    for name, value in script.info.constants.items():
        script.write(**{name: ~value & WORD})
        script.read(name, value)
    for register in MAP.registers:
        bits = rw_mask(register)
        for n, value in enumerate((_PATTERN, ~_PATTERN, ~_PATTERN, _PATTERN, reset_of(register))):
            if bits and (script.thorough or n % 2 == 0):
                script.bytewise(register.address, value & bits, upwards=n < 2)
                script.read(register.name, value & bits)
    # Where another bit of the address is 1 nothing happens; each has a value of its own.
    held = {register.name: value for n, register in enumerate(MAP.registers)
            if (value := _PATTERN * (2 * n + 1) & rw_mask(register))}
    script.write(**held)
    windows = range(MAP.windows[0].address, MAP.windows[-1].address + MAP.windows[-1].size)
    for name in held:
        for bit in range(MAP.registers[-1].address.bit_length(), MAP.address_bits):
            address = MAP[name].address | 1 << bit
            script.write_at(address, ~held[name])
            if address not in windows and name == "FRAMES":
                _nothing(script, address)
    for name, value in held.items():
        script.read(name, value)
        script.write(**{name: reset_of(MAP[name])})
    script.read("CTRL", mask("CTRL", "AP_IDLE", "AP_READY"))


def look_beside(script: Script) -> None:
    """Read where a window holds no result, after frames have been in it."""
    for name in ("IN", "OUT"):
        window = MAP.window(f"WINDOW_{name}")
        size = script.info.window * script.info.constants[f"{name}_BYTES"]
        for at in {at for at in (size, 2 * size, window.size - 4) if size <= at < window.size}:
            _nothing(script, window.address + at)
    _nothing(script, MAP.window("WINDOW_IN").address)


def _nothing(script: Script, address: int) -> None:
    script.read_at(address, 0, f"at the address {address:#x} that nothing can be read at")


def interrupt(script: Script) -> None:
    """Interrupts of both kinds, enabled and not."""
    script.write(IER=3, GIE=1)
    script.refused("FRAMES", FRAMES=0, **script.addresses(0, 0))
    script.read("ISR", 3)
    script.interrupt(1)
    script.without(ISR=3)
    script.read("ISR", 3)
    script.write(ISR=3)
    script.read("ISR", 0)
    script.interrupt(0)
    for event, other in ((1, 2), (2, 1)):  # one bit stays as the other one changes
        script.write(ISR=event)
        script.read("ISR", event)
        script.interrupt(1)
        script.write(ISR=other)
        script.read("ISR", 3)
        script.write(ISR=event)
        script.read("ISR", other)
        script.write(ISR=other)
        script.read("ISR", 0)
    for event in (1, 2):  # the other one is not told
        script.write(IER=event)
        script.refused("FRAMES", FRAMES=1 << 31)
        script.interrupt(1)
        script.read("ISR", event)
        script.write(GIE=0)
        script.read("GIE", 0)
        script.interrupt(0)
        script.write(GIE=1, ISR=event)
    script.write(IER=0, GIE=0)


def refuse(script: Script) -> None:
    """Descriptors that the core must refuse, each for one reason; what is no reason."""
    info, memory = script.info, script.memory
    good = {"FRAMES": 1, **script.addresses(memory.frames, memory.anywhere)}

    def refused(*causes: str, flags: int = 0, **registers: int) -> None:
        script.word(mask("ERROR", *causes))
        script.refused(*causes, **good | {"FLAGS": flags | mask("FLAGS", "DONE_WORD")} | registers)

    few = slice(None) if script.thorough else slice(None, None, 8)  # bits that are tried
    refused("FRAMES", FRAMES=0)
    for bit in range(FRAME_BITS, 32):
        refused("FRAMES", FRAMES=1 | 1 << bit)
    unaligned = range((info.port_bits // 8).bit_length() - 1)
    for side in ("IN", "OUT"):
        for bit in unaligned:
            refused("ALIGNMENT", **{f"{side}_ADDR_LO": good[f"{side}_ADDR_LO"] | 1 << bit})
    refused("FRAMES", "ALIGNMENT", FRAMES=0, IN_ADDR_LO=good["IN_ADDR_LO"] | 1)
    for low in (1, 2):
        script.refused("ALIGNMENT", **good | {"FLAGS": mask("FLAGS", "DONE_WORD"),
                                              "DONE_ADDR_LO": low})
    script.run(1, memory.frames, memory.room("without a completion word", script.outputs[:1]))
    build = info.constants["HASH_LO"]
    for bit in range(32)[few]:
        refused("HASH", flags=mask("FLAGS", "CHECK_HASH"), EXPECTED_HASH=build ^ 1 << bit)
        refused("LENGTH", flags=mask("FLAGS", "WEIGHTS"), WEIGHTS_BYTES=len(info.load) ^ 1 << bit)
    if not info.load:
        refused("LENGTH", flags=mask("FLAGS", "WEIGHTS"), WEIGHTS_BYTES=0)
    for frames in (0, 2, 3) if info.window else ():
        refused("FRAMES", flags=mask("FLAGS", "WINDOW"), FRAMES=frames)
    if not info.window:
        refused("NO_WINDOW", flags=mask("FLAGS", "WINDOW"))
    script.write(EXPECTED_HASH=build)
    for n in range(3):
        script.move()
        script.run(1, memory.frames, memory.room(f"completion word {n}", script.outputs[:1]),
                   check_hash=True, **script.word())
    script.origin()
    script.read("ERROR", 0)


def coincide(script: Script) -> None:
    """What happens in the cycle of a write is not lost. A refused descriptor is taken, and ends
    after LAST_CYCLES. What is written to a bit before is followed by the event, which sets it; what
    is written later makes it 0. In the cycle itself the event counts."""
    if not script.thorough:
        return
    seen: dict[str, list[int]] = {"DONE": [], "READY": [], "FRAMES": []}
    took = 0
    for event, values in seen.items():
        name = "ERROR" if event == "FRAMES" else "ISR"
        bit = mask(name, event)
        script.write(IER=bit * (name == "ISR"))
        for cycles in _SOON:
            script.write(FRAMES=0, FLAGS=0)
            script.strike(cycles, name, bit)
            script.wait(40)
            script.done()
            values.append(script.read(name))
            took = script.read("LAST_CYCLES")
            if name == "ISR":  # another event sets it in any case
                script.refused("FRAMES")
                script.read(name, bit)
                script.write(ISR=bit)
            script.write(ERROR=WORD)
    script.write(IER=0)

    def told(got: list[int], event: str) -> int:
        return sum(got[n] != 0 for n in seen[event])

    script.relate("an event is lost in the cycle of a write to its bit", lambda got: (
        told(got, "DONE") == got[took] - _SOON.start + 1
        and told(got, "READY") == told(got, "FRAMES") > 0))


def count(script: Script) -> None:
    """Counters carry from the low half to the high one, which is kept for a program that has read
    the low half."""
    memory, low = script.memory, WORD - 1
    script.steps.append((Op.COUNTERS, _HIGH, low))
    script.descriptors = low
    script.read("FRAMES_DONE_LO", low)
    for n in range(2):
        script.run(1, memory.frames, memory.room(f"as counters carry, {n}", script.outputs[:1]))
    script.read("FRAMES_DONE_HI", _HIGH, "in FRAMES_DONE_HI, as FRAMES_DONE_LO was read")
    took = script.read("LAST_CYCLES")
    for name in ("FRAMES_DONE", "CYCLES", "STALLS"):
        at = script.read(f"{name}_LO", 0 if name == "FRAMES_DONE" else None)
        script.read(f"{name}_HI", _HIGH + 1)
        if name == "CYCLES":
            script.relate("CYCLES does not count the cycles of descriptors",
                          lambda got, at=at: got[at] + 2 == 2 * got[took])
    script.read("COMPLETED", 0)
    script.descriptors = 0
