"""Which arrays to plan: sizes halved from the largest, and of each size the promising shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatefold.gen.errors import UserError
from gatefold.gen.explore.point import Job
from gatefold.gen.flow import Budget
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.sizing import candidates, might_fit, quick_cycles

__all__ = ["quick_tiles", "space"]

#: A size whose frames take more tiles is left out: it would be planned for many seconds a shape.
_TILES = 150_000


def space(qnets: Mapping[int, QuantizedNetwork], limits: Budget, *, macs: int, sizes: int,
          shapes: int, contexts: Sequence[int] = (1,), synth: bool = False) -> list[Job]:
    """The arrays to plan for networks by width, the longest to plan first.

    Each of ``sizes`` sizes has half the multipliers that the fastest array of the size before uses;
    the first has ``macs``. Each gets the ``shapes`` that a quick count finds fastest among those
    that a quick look does not rule out; and the fastest that it does rule out, where it would be
    faster: so that the table tells what the device lacks. A small size is left out where its
    schedule would be very long.
    Every array is planned for each of ``contexts``, sequences in a frame, and synthesised where it
    fits if ``synth``.
    Raises :class:`UserError` where nothing is left.
    """
    jobs = set()
    for width, qnet in qnets.items():
        allowed = macs
        for _ in range(sizes):
            ranked = [shape for shape in candidates(qnet, allowed)
                      if quick_cycles(qnet, *shape) <= _TILES] if allowed >= 4 else []
            hopeful = [shape for shape in ranked if might_fit(qnet, *shape, **limits.memory)]
            chosen = hopeful[:shapes]
            if ranked and ranked[0] not in chosen:
                chosen.append(ranked[0])
            jobs |= {Job(width, pe, simd, count, synth) for pe, simd in chosen
                     for count in contexts}
            # A small network leaves multipliers idle: half of what the fastest array uses.
            allowed = min([allowed, *(pe * simd for pe, simd in hopeful[:1])]) // 2
    if not jobs:
        raise UserError(f"no array of at most {macs} multipliers computes a frame in {_TILES} "
                        "cycles: allow more with --macs, or use fewer timesteps")
    return sorted(jobs, key=lambda job: (job.multipliers / job.contexts, job))


def quick_tiles(qnets: Mapping[int, QuantizedNetwork], job: Job) -> float:
    """How long a job takes, in about tiles: for the time left."""
    synthesis = 40_000 + 400 * job.multipliers if job.synth else 0
    return 3000 + synthesis + job.contexts * quick_cycles(qnets[job.width], job.pe, job.simd)
