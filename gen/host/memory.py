"""Frames as they are in memory."""

from __future__ import annotations

import numpy as np

__all__ = ["frames_in_memory"]


def frames_in_memory(integers: np.ndarray, fracs: np.ndarray, *, io: str, container: int,
                     size: int) -> list[bytes]:
    """The bytes of each frame of ``integers`` (frames, elements), with zeros up to ``size``.

    ``fracs``, fraction bits of each element; ``io``, ``fixed`` or ``float32``; ``container``, bits
    of a fixed element.
    """
    values = (np.float32(integers / 2.0 ** fracs).astype("<f4") if io == "float32"
              else integers.astype(f"<i{container // 8}"))
    return [row.tobytes().ljust(size, b"\0") for row in values]
