"""The largest magnitudes of a layer's tensors, in place of their values.

Formats need no more than peaks by default. The values of a network of 20,000 steps take a gigabyte
for a few samples; without them many samples are computed together, which takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

__all__ = ["Largest"]


class Largest(dict):
    """Receives the tensors of a layer as a dict does, whole or piece by piece, and keeps of those
    in ``names`` the largest magnitude."""

    #: Steps of a recurrent layer in a piece.
    STEPS = 2048

    def __init__(self, names: Collection[str]):
        super().__init__()
        self.names = names

    def __setitem__(self, name: str, values: np.ndarray):
        if name in self.names:
            peak = np.max(np.abs(values), initial=0.0)
            super().__setitem__(name, np.maximum(peak, self.get(name, 0.0)))
