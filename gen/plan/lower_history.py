"""The history of a value: results of earlier frames, where they still lie.

The op that makes a value whose history is read writes it into a ring of words
(:class:`~gatefold.gen.plan.layout.Ring`). The input is copied into such a ring first: its own
memory holds no frame that has been read.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.network.views import History
from gatefold.gen.plan.lowered import Lowered, picking
from gatefold.gen.plan.ops import COPIED
from gatefold.hdl.kinds import DenseKind

__all__ = ["history"]


def history(to: Lowered, value: int, view: History) -> np.ndarray:
    """The addresses (timesteps, features) of the history ``view`` of ``value``."""
    if value < len(to.qnet.input_shapes) and value not in to.copies:
        to.copies[value] = _copy(to, value)
    newest = to.copies.get(value, to.values[value])
    frames = [to.storage.aged(newest, age) for age in range(to.places[value] - 1, 0, -1)]
    rows = np.concatenate([*frames, newest])
    end = len(rows) - view.behind
    return rows[end - view.timesteps:end]


def _copy(to: Lowered, value: int) -> np.ndarray:
    """One more op, which copies an input into a ring, as many rows at a time as fill chunks and fit
    the array."""
    x = to.values[value]
    rows, features = x.shape
    together = max((count for count in range(1, rows + 1)
                    if rows % count == 0 and (count == 1 or count * features <= to.pe)),
                   key=lambda count: (count * features % to.simd == 0, count))
    steps = x.reshape(-1, together * features)
    frac = to.qnet.input_formats[value].frac
    written = to.storage.result(len(to.ops), *steps.shape, frac, len(steps), to.places[value])
    to.add(COPIED, DenseKind("linear", 0, 0, to.qnet.act_width),
           (picking(steps.shape[1], 1, steps),), written, traced=None)
    to.stage += 1
    return written.reshape(x.shape)
