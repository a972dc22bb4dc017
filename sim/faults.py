"""Faults in a core that watches itself: does it tell of each, and of nothing else?

sim/bench/guard.v makes them in the exported Verilog, in a run of their own: the copies of registers
and the words of memories lose a bit, the core hangs, and it stands still without a fault. All bits
are tried where that takes seconds, else a seeded choice of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed

__all__ = ["NAME", "Fault", "check_judged", "chosen_faults", "fault_cycles"]

NAME = "faults"  #: among the scenarios

#: Cycles times multipliers that the flips may take, and those that wait for the watchdog.
_WORK = {"verilator": 300_000_000, "icarus": 300_000}
_STANDS = {"verilator": 3_000_000_000, "icarus": 1_000_000}
_LEAST = 40  # flips
_MOST_CYCLES = (1 << 31) - 1
_EACH = 70  # cycles of a flip, about
_FLIPS = range(10, 70)  # cycles after a reset in which a copy changes


class Job(IntEnum):
    """As in sim/bench/guard.v."""

    LEARN = 1
    COPY = 2
    WORD = 3
    STOPS = 4
    SHUT = 5
    IDLE = 6
    LENGTHS = 7
    AMID = 8
    BLOCKED = 9
    UNLOADED = 10


_WATCHDOG = 8  # its bit of the port
_PROGRAM = 0  # the number of the bit of what makes a core do anything
_WHERE = {
    Job.LEARN: "two frames after a reset", Job.STOPS: "no tile yields output any more",
    Job.SHUT: "no input is taken any more", Job.IDLE: "nothing moves after whole frames",
    Job.LENGTHS: "nothing moves after frames of wrong lengths",
    Job.AMID: "nothing moves in the middle of an input frame",
    Job.BLOCKED: "no output is taken", Job.UNLOADED: "no weights are loaded"}
#: The verdicts of sim/bench/guard.v; {bits} of the port.
_VERDICTS = (
    "", "the core reports a fault where there is none, bits {bits}",
    "the core does not report it", "the core reports something else, bits {bits}",
    "the report does not stay, bits {bits}",
    "the watchdog ends it too early, {cycles} cycles after a beat moved last",
    "the watchdog has not ended it {cycles} cycles after a beat moved last",
    "the core does not work again", "the core takes frames without weights")


@dataclass(frozen=True)
class Fault:
    """What is done to a core: the ``job``; for a flip the index of what is ``watched``, its
    ``bit``, the ``word`` of a memory and the ``cycle`` after a reset; ``told``, the bits of the
    port then; and whether frames are played ``again``, after a reset."""

    job: Job
    watched: int = 0
    bit: int = 0
    word: int = 0
    cycle: int = 0
    told: int = 0
    again: bool = False

    @property
    def line(self) -> str:
        """For drive.v."""
        return (f"{self.job:d} {self.watched} {self.bit} {self.word} {self.cycle} {self.told} "
                f"{self.again:d}\n")

    def place(self, info: CoreInfo) -> str:
        """For messages."""
        if self.job not in (Job.COPY, Job.WORD):
            return _WHERE[self.job]
        assert info.guard is not None
        item = info.guard.watched[self.watched]
        word = f", word {self.word}" if item.depth else ""
        return f"bit {self.bit} of {item.place}{word} is wrong"


def chosen_faults(info: CoreInfo, sim: str, seed: int = 1) -> list[Fault]:
    """The faults to play, in their order."""
    guard, rng = info.guard, np.random.default_rng(seed)
    if guard is None:
        return []
    places = [(n, bit) for n, item in enumerate(guard.watched) for bit in range(item.width)]
    most = max(_LEAST, _WORK[sim] // info.multipliers // _EACH)
    if len(places) > most:  # a bit of each first
        first = [(n, int(rng.integers(item.width))) for n, item in enumerate(guard.watched)]
        others = [places[n] for n in rng.permutation(len(places))]
        places = sorted([*dict.fromkeys([*(first[n] for n in rng.permutation(len(first))),
                                         *others])][:most])
    flips = []
    seen: set[tuple[int, bool]] = set()
    for n, bit in places:
        item = guard.watched[n]
        kind = (item.tells, item.depth > 0)
        flips.append(Fault(
            Job.WORD if item.depth else Job.COPY, n, bit, int(rng.integers(max(1, item.depth))),
            int(rng.choice(_FLIPS)), 1 << item.tells, kind not in seen or item.tells == _PROGRAM))
        seen.add(kind)
    return [Fault(Job.LEARN), *flips, *_stands(info, sim)]


def _stands(info: CoreInfo, sim: str) -> Iterator[Fault]:
    """Those that wait for the watchdog, as many as the simulator has time for."""
    assert info.guard is not None
    jobs = [Job.STOPS, Job.IDLE, Job.SHUT, Job.BLOCKED, Job.LENGTHS, Job.AMID,
            *([Job.UNLOADED] if info.load_beats else [])]
    each = (info.guard.patience + 3 * info.latency) * info.multipliers
    for job in jobs[:max(1, _STANDS[sim] // each)]:
        yield Fault(job, told=_WATCHDOG if job in (Job.STOPS, Job.SHUT) else 0)


def fault_cycles(info: CoreInfo, faults: Sequence[Fault]) -> int:
    """More cycles than these ``faults`` take, as far as an integer of the benches goes."""
    assert info.guard is not None
    frame = info.latency + info.interval
    return min(_MOST_CYCLES, 4 * info.load_beats + 10_000 + len(faults) * (
        (info.guard.frames + 4) * frame + 4_000) + 16 * (info.guard.patience + 16 * frame))


def check_judged(log: str, info: CoreInfo, faults: Sequence[Fault]) -> int:
    """What guard.v says of ``faults``; the cycles that they took. Raises :class:`CheckFailed` at
    the first that is not told of as it must be."""
    cycle = judged = 0
    for line in log.splitlines():
        kind, *words = line.split()
        if kind in ("judged", "hang", "end"):
            cycle = int(words[0])
        if kind == "judged":
            fault, verdict = faults[judged], int(words[1])
            if verdict:
                raise CheckFailed(f"{NAME}: {fault.place(info)}: "
                                  + _VERDICTS[verdict].format(cycles=words[2], bits=words[3]))
            judged += 1
    if judged < len(faults):
        raise CheckFailed(f"{NAME}: {faults[judged].place(info)}: the simulation ends without a "
                          f"verdict, cycle {cycle}")
    return cycle
