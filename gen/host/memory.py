"""Frames as they are in memory."""

from __future__ import annotations

import numpy as np

__all__ = ["floats_in_memory", "frames_in_memory"]

#: float32 that become 0: signed zeros, NaNs, the largest and the smallest subnormal, and more.
_ZEROS = np.array([0x0000_0000, 0x8000_0000, 0x7FC0_0000, 0xFFFF_FFFF, 0x7F80_0001, 0x807F_FFFF,
                   0x0000_0001, 0x0080_0000, 0x8080_0000], np.uint32).view(np.float32)
#: What becomes the upper end of every format; negated, the lower end.
_LARGE = np.array([np.inf, np.finfo(np.float32).max], np.float32)


def frames_in_memory(integers: np.ndarray, fracs: np.ndarray, *, io: str, container: int,
                     size: int) -> list[bytes]:
    """The bytes of each frame of ``integers`` (frames, elements), with zeros up to ``size``.

    ``fracs``, fraction bits of each element; ``io``, ``fixed`` or ``float32``; ``container``, bits
    of a fixed element.
    """
    values = (np.float32(integers / 2.0 ** fracs).astype("<f4") if io == "float32"
              else integers.astype(f"<i{container // 8}"))
    return [row.tobytes().ljust(size, b"\0") for row in values]


def floats_in_memory(integers: np.ndarray, fracs: np.ndarray, low: np.ndarray, high: np.ndarray, *,
                     size: int, seed: int = 1) -> list[bytes]:
    """Like :func:`frames_in_memory`, float32 that are rounded to ``integers`` (docs/numbers.md), of
    which few are exact: some are ties and their neighbours; at the ends ``low`` and ``high`` of
    the formats some lie beyond these, and 0 comes of NaN and subnormal numbers, too."""
    rng, shape, step = np.random.default_rng(seed), integers.shape, 2.0 ** -fracs
    tie = np.float32((integers - 0.5) * step)
    below = np.nextafter(np.float32((integers + 0.5) * step), np.float32(-np.inf))
    between = np.clip(np.float32((integers + rng.uniform(-0.5, 0.5, shape)) * step), tie, below)
    kind = rng.integers(0, 5, shape)
    strange = np.where(integers == 0, rng.choice(_ZEROS, shape), between)
    made = np.select([kind == 0, kind == 1, kind == 2, kind == 3],
                     [tie, below, between, np.float32(integers * step)], strange)
    beyond = np.where(rng.random(shape) < 0.5, rng.choice(_LARGE, shape),
                      np.float32((np.abs(integers) + rng.uniform(0, 4, shape)) * step))
    made = np.where((kind >= 2) & (integers == high), beyond, made)
    made = np.where((kind >= 2) & (integers == low), -beyond, made)
    return [row.astype("<f4").tobytes().ljust(size, b"\0") for row in made]
