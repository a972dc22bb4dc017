"""Memory that fails or does not answer, descriptors that are given up, resets, wrong loads."""

from __future__ import annotations

import zlib
from typing import Any

from gatefold.hdl.host.axi import BURST
from gatefold.hdl.host.registers import MAP
from gatefold.sim.host_script import (
    ALL,
    AT_BETWEEN,
    AT_FIRST,
    AT_LAST,
    CHANNELS,
    SOME,
    Op,
    Script,
    mask,
    reset_of,
    rw_mask,
)

__all__ = ["BUDGET", "fail", "give_up", "reset", "starve", "watch", "wrong_loads"]

#: How memory fails, and which cause that is; the only burst of many, as late as the first.
_FAILURES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"rresp": 2}, "READ"), ({"rresp": 3}, "READ"), ({"rresp": 2, "at": AT_FIRST}, "READ"),
    ({"rresp": 2, "at": AT_LAST}, "READ"), ({"rresp": 2, "at": AT_BETWEEN}, "READ"),
    ({"rresp": 3, "burst": 1}, "READ"), ({"early": 1}, "READ"), ({"early": 3}, "READ"),
    ({"late": 1}, "READ"), ({"late": 5}, "READ"), ({"early": 1, "burst": 1}, "READ"),
    ({"bresp": 2}, "WRITE"), ({"bresp": 3}, "WRITE"), ({"bresp": 2, "burst": 1}, "WRITE"))
_PATIENCE = 100  # cycles, of the watchdog, where memory does not answer
_LATE = 24  # cycles by which the watchdog's may differ from LAST_CYCLES where nothing is answered
_LONG = range(8, 32)  # bits of the watchdog's patience that are tried one by one
_ABORTS = range(2, 16)  # cycles after AP_START in which ABORT is written
_FAULTS = 4  # bits of an engine's port ``fault``
_ENDLESS = range(4, 24)  # bits of numbers of frames, most of which no simulation plays to the end
#: Cycles that resets take altogether, about, and a long wait at most.
BUDGET = {True: 100_000, False: 600}


def fail(script: Script) -> None:
    """Memory that fails: the descriptor says so, and the next one is right."""
    info, memory = script.info, script.memory
    # So many frames that there are several bursts, if there are so many frames.
    frames = min(len(script.outputs), max(4, *(
        BURST * memory.size // size + 2 for size in (info.in_bytes, info.out_bytes))))
    for how, cause in _FAILURES if script.thorough else _FAILURES[::3]:
        script.broken(**how)
        script.run(frames, memory.frames, memory.anywhere,
                   **script.word(mask("ERROR", cause)))
        script.fails(cause)
        if cause == "READ" and len(info.load) > 4 * memory.size:
            script.broken(**how)
            script.load(errors=(cause, "CHECKSUM"))
            script.broken()
            script.load()
        script.broken()
        script.again(f"after memory with {how}", first=cause == "WRITE", **script.word())
    script.broken(rresp=1, bresp=1)  # of an exclusive access: no error
    script.again("with EXOKAY", first=True)
    script.read("ERROR", 0)
    script.broken()


def wrong_loads(script: Script) -> None:
    """Loads with a wrong checksum, and other images."""
    images = script.memory.images() if script.info.load else []
    for k, at in enumerate(images if script.thorough else images[:4]):
        image = bytes(script.memory.content[at:at + len(script.info.load)])
        script.load(image, at)
        script.load(wrong=0x11111111 << k % 4, errors=("CHECKSUM",), **script.word(
            mask("ERROR", "CHECKSUM")))
        script.read("STATUS", 0)
    script.load()


def give_up(script: Script) -> None:
    """Descriptors are given up: that under way and the one that waits, at any time, and without
    their completion words."""
    info, memory = script.info, script.memory
    several = info.batch_frames
    left = ("NOT_LOADED",) if info.load else ()  # no weights are left for the one that waits
    for cause in ("ABORTED", "NO_ANSWER"):
        script.write(WATCHDOG=20 * _PATIENCE if cause == "ABORTED" else 4 * _PATIENCE)
        script.broken(stop=ALL)
        for shown in ("AP_READY", "AP_START"):
            script.start(several, memory.frames, memory.anywhere, **script.word(None))
            script.wait(60)
            script.read("CTRL", mask("CTRL", shown))
            script.read("STATUS", mask("STATUS", "BUSY", "LOADED"))
        if cause == "ABORTED":
            script.without(ABORT=1)
            script.wait(60)
            script.read("ABORT", 0)
            script.read("COMPLETED", script.descriptors - 2)
            script.write(ABORT=1)
        script.done()
        script.done()
        script.fails(cause, *left)
        script.read("COMPLETED", script.descriptors)
        if info.load:
            script.read("STATUS", 0)
        script.broken()
        script.wait(2 * _PATIENCE)
        script.write(WATCHDOG=0)
        script.load()
        script.again(f"after two that were given up: {cause}")
    for cycles in _ABORTS if script.thorough else _ABORTS[::6]:
        script.write(FRAMES=several, FLAGS=mask("FLAGS", "FIRST"),
                     **script.addresses(memory.frames, memory.anywhere))
        script.strike(cycles, "ABORT", 1)
        script.done()
        script.fails("ABORTED")
        script.load()
        script.again(f"after an abort in cycle {cycles}")
    for n in range(info.engines):  # one of them sees a frame of a wrong length
        for kind in range(1 + (_FAULTS if n < info.watching else 0)):
            script.start(several, memory.frames, memory.anywhere)
            script.steps.append((Op.FAULT, n, kind))
            script.done()
            script.fails("INTERNAL")
            script.load()
            script.again(f"after fault {kind} of engine {n}")
            script.read("ERROR", 0)


def watch(script: Script) -> None:
    """Memory that does not answer: on a channel, from the start on, or anywhere, while a frame is
    computed; and what the watchdog may not take for that."""
    info, memory = script.info, script.memory
    several = info.batch_frames
    cases = [*((channel, 0) for channel in CHANNELS),
             *((ALL, info.frame * part // 8) for part in (2, 4, 6))]
    for n, (stop, cycles) in enumerate(cases if script.thorough else cases[1::3]):
        patience = _PATIENCE + n
        script.write(WATCHDOG=patience)
        script.move()
        if not cycles:
            script.broken(stop=stop)
        script.start(several, memory.frames, memory.anywhere, **script.word(None))
        if cycles:
            script.wait(cycles)
            script.broken(stop=stop)
        script.done()
        script.fails("NO_ANSWER")
        # Nothing moves on the way to the first word; later, results may.
        script.read("LAST_CYCLES", range(patience, patience + _LATE) if stop in CHANNELS[:2] else
                    range(patience, 2 * patience + info.batch),
                    "cycles until the watchdog expires")
        script.read("ABORT", 1)
        _go_on(script, f"given up, case {n}", late=n % 2 == 0)
        script.origin()
    # A patience of 0 has no end; another one counts from when it is written.
    script.write(WATCHDOG=0)
    script.broken(stop=ALL)
    script.start(several, memory.frames, memory.anywhere)
    script.wait(2 * _PATIENCE)
    script.read("ERROR", 0)
    script.write(WATCHDOG=_PATIENCE)
    script.done()
    script.fails("NO_ANSWER")
    _answered(script)
    for bit in _LONG if script.thorough else _LONG[::8]:
        script.write(WATCHDOG=1 << bit | 20)
        script.broken(stop=ALL)
        script.write(WEIGHTS_BYTES=len(info.load))
        script.start(several, memory.frames, memory.anywhere, weights=bool(info.load))
        script.wait(60)
        script.read("ERROR", 0)
        script.write(ABORT=1)
        script.done()
        script.fails("ABORTED")
        _answered(script)
    script.load()
    # Each channel alone is slow, or answers as late as it may after the one before it: whatever
    # moves, the watchdog begins anew.
    script.write(WATCHDOG=_PATIENCE)
    slowly = (*CHANNELS, *(CHANNELS[n] | CHANNELS[n + 1] for n in (0, 2)))
    for slow in slowly if script.thorough else ():
        script.pauses(slow=slow)
        for n in range(4):
            script.again(f"with slow channels {slow:#x}, {n}", first=True)
    script.pauses()
    script.write(WATCHDOG=0)
    script.read("ERROR", 0)


def _answered(script: Script) -> None:
    """Memory answers again, until nothing is outstanding."""
    script.broken()
    script.wait(2 * _PATIENCE)
    script.read("ABORT", 0)


def _go_on(script: Script, name: str, *, late: bool) -> None:
    """What was given up has no answer yet: the window works, other descriptors are given up too, or
    wait for memory. ``late`` answers that are errors, or what comes to a descriptor that waits."""
    memory = script.memory
    window = script.info.window and late and not script.info.load
    if not script.info.load:
        script.start(SOME, memory.frames, memory.anywhere, **script.word(None))
        script.done()
        script.fails("NO_ANSWER")
        script.read("ABORT", 1)
        if window:
            script.start(1, 1, 1, window=True)
            script.done()
            script.read("ERROR", 0)
    if late:
        script.broken(rresp=2, bresp=2)
        script.wait(2 * _PATIENCE)
        script.read("ABORT", 0)
        script.broken()
        script.load()
        script.again(name, first=window)
    else:
        script.write(WATCHDOG=0)
        address = memory.room(name, script.outputs[:SOME]) if not script.info.load else 1
        if script.info.load:
            script.write(WEIGHTS_BYTES=len(script.info.load),
                         WEIGHTS_CRC=zlib.crc32(script.info.load))
            script.start(0, 0, address, weights=True)
        else:
            script.start(len(script.outputs[:SOME]), memory.frames, address, first=False)
        script.wait(60)
        if not script.info.load:
            script.read("STATUS", mask("STATUS", "BUSY", "LOADED"))
        script.broken()
        script.done(alone=not script.info.load)
        script.wait(2 * _PATIENCE)  # a load does not wait for old writes
        script.read("ABORT", 0)
        script.again(f"{name}, after the one that waited", first=True)
    script.read("ERROR", 0)


def starve(script: Script) -> None:
    """STALLS counts the cycles in which the core waits for memory, and no others; CYCLES all of
    them in which descriptors are under way."""
    info, memory = script.info, script.memory
    frame = -(-info.batch // info.batch_frames)
    full = info.frame + (3 * info.engines + 40 * memory.size // info.out_bytes + 8) * frame
    waits = 200
    cases = [("nothing is under way", None, 0), ("memory is not read", CHANNELS[1], info.frame)]
    if full < BUDGET[script.thorough]:
        cases.append(("memory is not written", CHANNELS[3], full))
    for what, stop, before in cases:
        if stop:
            script.broken(stop=stop, anywhere=True)
            script.start(1 << 20, memory.frames, memory.anywhere)
        script.wait(before + 100)
        places = {}
        for name in ("STALLS", "CYCLES"):
            one = script.read(f"{name}_LO")
            script.wait(waits)
            places[name] = one, script.read(f"{name}_LO")
        for name, (one, other) in places.items():
            right = range(waits, 3 * waits) if stop else range(1)
            script.relate(f"{name} is wrong where {what}", lambda got, one=one, other=other,
                          right=right: (got[other] - got[one]) % (1 << 32) in right)
        if stop:
            restart(script)


def reset(script: Script) -> None:
    """Descriptors of many frames, to their end; and of more frames than a simulation plays, up to a
    reset: of them no counter has come to its end, and nothing is left of them."""
    info, memory, budget = script.info, script.memory, BUDGET[script.thorough]
    frame = -(-info.batch // info.batch_frames)
    over = BURST + 3  # above the power of two: more than a burst
    wait = info.frame + (over + 5) * frame
    every = max(1, 2 * len(_ENDLESS) * wait // budget)
    restart(script)
    for bit in _ENDLESS[::every]:
        count = (1 << bit) + over
        script.broken(anywhere=True)
        script.start(count, memory.frames, memory.anywhere)
        if 8 * count * frame < budget:
            script.done(alone=True)
            script.read("FRAMES_DONE_LO", count)
        else:
            script.wait(wait + bit * frame // 8)
            script.read("FRAMES_DONE_LO", range(over + 2, count + 1))
        restart(script)


def restart(script: Script) -> None:
    """A reset, after which registers are as they were at first, and weights are loaded."""
    script.steps.append((Op.RESET, 0, 0))
    script.broken()
    script.descriptors = 0
    loaded = mask("STATUS", *(() if script.info.load else ("LOADED",)))
    for name in ("STATUS", "ERROR", "ISR", "COMPLETED", "FRAMES_DONE_LO", "CYCLES_LO", "STALLS_LO",
                 "ABORT"):
        script.read(name, loaded if name == "STATUS" else 0)
    script.read("STATE_RESET", 1)
    for register in MAP.registers:
        if rw_mask(register):
            script.read(register.name, reset_of(register))
    script.load()
