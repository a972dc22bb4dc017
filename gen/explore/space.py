"""Which arrays to plan: sizes halved from the largest, and of each size the promising shapes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from gatefold.gen.errors import UserError
from gatefold.gen.explore.point import Job
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import ExploreOptions
from gatefold.gen.plan import CROSS, Array, Budget, choose_array
from gatefold.gen.plan.array import BLOCK_WORDS
from gatefold.gen.plan.placing import might_fit
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.stream import with_streams

__all__ = ["quick_tiles", "space"]

#: A size whose frames take more tiles is left out: it would be planned for many seconds a shape.
_TILES = 150_000


def space(qnets: Mapping[int, QuantizedNetwork], limits: Budget, settings: ExploreOptions
          ) -> list[Job]:
    """The arrays to plan for networks by width, the longest to plan first.

    Of the ``sizes`` of ``settings`` the first has all the multipliers of ``limits``, each other
    half of those that the fastest array of the size before uses. Each size gets the ``shapes`` that
    a quick count finds fastest among those that a quick look does not rule out, with different
    numbers of rows, on as few dies as have so many multipliers; and, where it would be faster, the
    fastest that it does rule out, so that the table shows what the device lacks. A small size is
    left out where its schedule would be very long. Every array is planned for each of ``contexts``,
    and so is the one that ``gatefold build`` chooses.
    Raises :class:`UserError` where nothing is left.
    """
    jobs = set()
    for width, qnet in qnets.items():
        shares = [(share, Ranking(qnet).on(share.dies)) for share in limits.shares()]
        allowed = limits.multipliers
        for _ in range(settings.sizes):
            share, ranking = next((one for one in shares if allowed <= one[0].multipliers),
                                  shares[-1])
            ranked = [shape for shape in ranking.shapes(allowed)
                      if ranking.cycles(*shape) <= _TILES] if allowed >= 4 else []
            hopeful = [shape for shape in ranked if might_fit(qnet, *shape, share, ranking.asked)]
            by_rows = {pe: (pe, simd) for pe, simd in reversed(hopeful)}  # the best of these rows
            chosen = sorted(by_rows.values(), key=hopeful.index)[:settings.shapes]
            if ranked and ranked[0] not in chosen:
                chosen.append(ranked[0])
            jobs |= {Job(width, Array(pe=pe, simd=simd, stream_bits=limits.stream_bits,
                                      contexts=contexts, dies=share.dies, packed=share.packs,
                                      cross=CROSS if share.dies > 1 else 0), settings.synth)
                     for pe, simd in chosen for contexts in settings.contexts}
            # A small network leaves multipliers idle: half of what the fastest array uses.
            allowed = min([allowed, *(pe * simd for pe, simd in hopeful[:1])]) // 2
        for contexts in settings.contexts:
            with contextlib.suppress(UserError):  # none fits: the table says why
                # A job chooses its streams itself, by the same rule.
                jobs.add(Job(width, replace(_built(qnet, limits, contexts),
                                            block_words=BLOCK_WORDS,
                                            stream_bits=limits.stream_bits), settings.synth))
    if not jobs:
        raise UserError(f"no array of at most {limits.multipliers} multipliers computes a frame in "
                        f"{_TILES} cycles: allow more with --macs, or use fewer timesteps")
    return sorted(jobs, key=lambda job: (job.array.multipliers / job.array.contexts, job))


def _built(qnet: QuantizedNetwork, limits: Budget, contexts: int) -> Array:
    """The array that ``gatefold build`` chooses."""
    return with_streams(lambda bits: choose_array(qnet, replace(limits, stream_bits=bits),
                                                  contexts=contexts), limits.stream_bits)[0].array


def quick_tiles(rankings: Mapping[int, Ranking], job: Job) -> float:
    """How long a job takes, in about tiles: for the time left."""
    array = job.array
    synthesis = 40_000 + 400 * array.multipliers if job.synth else 0
    return 3000 + synthesis + array.contexts * rankings[job.width].cycles(array.pe,
                                                                                 array.simd)
