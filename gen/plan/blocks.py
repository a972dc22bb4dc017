"""Convolutions in blocks: several neighbouring windows make one matrix that fills the array.

A Conv1D of few filters on a tall array would leave rows idle. Neighbouring windows share most of
their taps, so ``steps`` of them are computed together: one matrix (block Toeplitz) holds their
filters below each other, each shifted by its window's place, and meets every chunk of all their
taps once. Chunks that meet only zeros are left out. More windows a block cost weight words and save
cycles, up to a point. Where the input is stored without holes between timesteps, blocks that begin
at the same lane share their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from gatefold.gen.network.layers import Window
from gatefold.gen.plan.dies import spread

__all__ = ["Block", "blocks", "choose", "joint_taps"]

_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)


@dataclass(frozen=True)
class Block:
    """A way to compute a convolution: ``steps`` windows together, whose results lie ``pitch``
    elements apart; the whole layer takes so many ``cycles`` and so many ``words`` of weights."""

    steps: int
    pitch: int
    cycles: int
    words: int


def joint_taps(window: Window, steps: int) -> np.ndarray:
    """The timesteps that ``steps`` windows meet, counted from the first tap of the first window."""
    taps = (np.arange(steps)[:, None] * window.stride
            + np.arange(window.size)[None, :] * window.dilation)
    return np.unique(taps)


@lru_cache  # an array is drafted with many numbers of words
def blocks(*, outputs: int, features: int, windows: int, window: Window, pe: int, simd: int,
           packed: bool, pitch: int, dies: int = 1) -> tuple[Block, ...]:
    """The ways to compute the ``windows`` windows of a layer, fewest cycles first.

    ``packed``: the input's timesteps are stored without holes. ``pitch``: see :class:`Block`.
    """
    found = []
    for steps in _STEPS:
        if steps > 1 and (steps > windows or steps * pitch > 8 * pe):
            break
        taps = joint_taps(window, steps)
        # The chunks that each tap lies in: the first, and the one behind the last.
        if packed:
            first, end = taps * features // simd, ((taps + 1) * features - 1) // simd + 1
        else:
            words = -(-features // simd)
            first, end = np.arange(len(taps)) * words, np.arange(1, len(taps) + 1) * words
        tiles = 0
        for rows in spread(steps * pitch, 1, pe, simd, dies).rows:
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
    """One of each layer's ways: those that take the fewest cycles together and at most so many
    ``words`` together; where none do, those that take the fewest words."""
    # By words taken, (cycles, choice), without choices that take more words and no fewer cycles.
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
