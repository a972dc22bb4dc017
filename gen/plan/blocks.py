"""Convolutions in blocks: several windows side by side make one matrix that fills the array.

A Conv1D of few filters on a tall array would leave rows idle. Neighbouring windows share most of
their taps, so ``steps`` of them are computed together: their filters, shifted, stand below each
other in one matrix (block Toeplitz), which meets every chunk of the joint window once. Zero blocks
are skipped. More steps cost weight words and gain cycles, up to a point; where the input is stored
without holes between timesteps, blocks that begin at the same lane share their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from gatefold.gen.network.layers import Window
from gatefold.gen.plan.rows import fold

__all__ = ["Block", "blocks", "choose", "joint_taps"]

_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)


@dataclass(frozen=True)
class Block:
    """``steps`` windows computed together; ``pitch``, elements from one to the next in the result.
    ``cycles`` of the whole layer and ``words`` of weights that this takes."""

    steps: int
    pitch: int
    cycles: int
    words: int


def joint_taps(window: Window, steps: int) -> np.ndarray:
    """The timesteps that ``steps`` windows meet, from the first tap of the first on."""
    taps = (np.arange(steps)[:, None] * window.stride
            + np.arange(window.size)[None, :] * window.dilation)
    return np.unique(taps)


@lru_cache  # an array is drafted with many numbers of words
def blocks(*, outputs: int, features: int, windows: int, window: Window, pe: int, simd: int,
           packed: bool, pitch: int) -> tuple[Block, ...]:
    """The ways to compute ``windows`` windows of a layer, fewest cycles first.

    ``packed``: the input's timesteps follow each other without holes. ``pitch``: see
    :class:`Block`.
    """
    found = []
    for steps in _STEPS:
        if steps > 1 and (steps > windows or steps * pitch > 8 * pe):
            break
        taps = joint_taps(window, steps)
        # Which chunks each tap lies in: (first, last + 1), and how many there are.
        if packed:
            first, end = taps * features // simd, ((taps + 1) * features - 1) // simd + 1
        else:
            words = -(-features // simd)
            first, end = np.arange(len(taps)) * words, np.arange(1, len(taps) + 1) * words
        tiles = 0
        for rows in fold(steps * pitch, 1, pe, simd).rows:
            used = np.unique(rows[rows >= 0] // pitch)
            meets = np.isin(taps, (used[:, None] * window.stride + np.arange(window.size)
                                   * window.dilation).ravel())
            covered = np.zeros(int(end.max()) + 1, bool)
            for k in range(int((end - first).max())):
                covered[np.minimum(first + k, end - 1)[meets]] = True
            tiles += int(covered.sum())
        phases = simd // gcd(simd, steps * window.stride * features) if packed else 1
        count = -(-windows // steps)
        found.append(Block(steps, pitch, count * tiles, tiles * min(phases, count)))
    return tuple(sorted(found, key=lambda block: (block.cycles, block.words)))


def choose(ways: Sequence[Sequence[Block]], words: int) -> list[Block]:
    """Of each layer's ways one, fewest cycles in all with at most so many ``words`` in all; where
    that cannot be, fewest words."""
    # (words taken) -> (cycles, choice); a longer way with more words is none.
    best: dict[int, tuple[int, tuple[Block, ...]]] = {0: (0, ())}
    for layer in ways:
        reached: dict[int, tuple[int, tuple[Block, ...]]] = {}
        for taken, (cycles, choice) in best.items():
            for way in layer:
                now = (cycles + way.cycles, (*choice, way))
                at = taken + way.words
                if at <= words and (at not in reached or now[0] < reached[at][0]):
                    reached[at] = now
        frontier: dict[int, tuple[int, tuple[Block, ...]]] = {}
        fewest = None
        for at in sorted(reached):
            if fewest is None or reached[at][0] < fewest:
                frontier[at] = reached[at]
                fewest = reached[at][0]
        best = frontier
    if not best:
        return [min(layer, key=lambda way: way.words) for layer in ways]
    return list(min(best.values(), key=lambda found: found[0])[1])
