"""Two yardsticks that depend on the network and the array, not on the schedule.

A: the multiplications that must be done (:func:`gatefold.gen.plan.demand.must_multiply`) over the
multipliers. B: the longest chain of dependent tails. ``bound`` = max(A, B): no schedule is faster.
``no_overlap`` = A + B: what a schedule takes that never multiplies while it waits for a tail.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.demand import must_multiply
from gatefold.gen.plan.latency import Latencies
from gatefold.gen.plan.work import Work
from gatefold.hdl.config import EngineConfig

__all__ = ["Bounds", "bounds"]


@dataclass(frozen=True)
class Bounds:
    """multiplications: those that must be done, of all contexts of a frame. work: A, in cycles.
    chain: B, in cycles."""

    multiplications: int
    work: int
    chain: int

    @property
    def bound(self) -> int:
        """max(A, B)."""
        return max(self.work, self.chain)

    @property
    def no_overlap(self) -> int:
        """A + B."""
        return self.work + self.chain


def chain(work: Work, distance: Latencies) -> int:
    """The longest chain of dependent tails, in cycles.

    A step of an op can begin when all that it reads is there, and a tail later its own result is
    there. The last link is the way to the output memory instead of a tail.
    """
    # All keys are (op, step).
    # The steps whose results it reads, and the borders of dies that they pass.
    met: dict[tuple[int, int], set[tuple[tuple[int, int], int]]] = {}
    # What is finished before it without a tail between: what is set aside for it, its carrier.
    behind: dict[tuple[int, int], set[tuple[int, int]]] = {}
    leaves: set[tuple[int, int]] = set()  # those whose results are output
    for job in work.jobs:
        if job.context:
            continue
        key = (job.op, job.step)
        read = met.setdefault(key, set())
        read |= {(operand.chunk.origin[:2], operand.away) for operand in job.operands
                 if not operand.chunk.from_x and not operand.chunk.age}
        behind[key] = {(aside, job.step) for aside in work.ops[job.op].asides}
        if job.rides is not None:
            behind[key].add(job.rides[:2])
        if job.out is not None:
            leaves.add(key)
    begun: dict[tuple[int, int], int] = {}  # the first cycle in which it can be finished
    there: dict[tuple[int, int], int] = {}  # the cycle from which its result can be read
    longest = 0
    left = sorted(met, key=lambda key: work.rank(*key), reverse=True)
    while left:
        key = left[-1]
        before = [other for other in ({source for source, _ in met[key]} | behind[key])
                  if other not in begun]
        if before and key not in begun:  # a rider, whose carrier comes behind it in rank
            left += before
            continue
        left.pop()
        begins = begun[key] = max(
            [there[source] + away * distance.cross for source, away in met[key]]
            + [begun[other] for other in behind[key]], default=0)
        there[key] = begins + distance.tail
        if key in leaves:
            longest = max(longest, begins + distance.output + 1)
    return longest


def bounds(qnet: QuantizedNetwork, work: Work, config: EngineConfig, distance: Latencies,
           contexts: int = 1) -> Bounds:
    """Both yardsticks of ``qnet`` on an engine that takes ``contexts`` sequences a frame."""
    multiplications = contexts * must_multiply(qnet)
    return Bounds(multiplications, ceil(multiplications / (config.pe * config.simd)),
                  chain(work, distance))
