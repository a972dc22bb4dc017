"""How a layer's rows are folded onto the array: groups of ``pe`` rows, and the ways out of them.

Row 4 j + k of group r belongs to slot p = r * (pe / 4) + j. An LSTM has gate k of unit p there.
A Dense layer of N outputs, chunk by chunk in the operand memory, has four chunks side by side:
slot p = q * simd + lane holds in its row k the element of chunk 4 q + k, lane ``lane``. So the
same routes bring both to the lanes, the chunks being filled from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..quantized import QDense, QLstm

__all__ = ["Fold", "Group", "fold"]


@dataclass(frozen=True)
class Group:
    """Rows that the array works on together.

    rotation: lane of the group's first slot. first: chunk that its first beat writes (and the cell
    chunk). beats: chunks it writes to. complete: the chunks of its last beats are full then.
    """

    rotation: int
    first: int
    beats: int
    complete: bool


@dataclass(frozen=True)
class Fold:
    """A layer on the array.

    Attributes: ``groups``; ``rows``, (groups, pe): index of the matrix row that an array row works
    on, or -1; ``chunks``, the number of chunks of the result.
    """

    groups: tuple[Group, ...]
    rows: np.ndarray
    chunks: int


def fold(layer: QLstm | QDense, pe: int, simd: int) -> Fold:
    """Fold ``layer`` onto ``pe`` rows and ``simd`` lanes."""
    slots = pe // 4
    if isinstance(layer, QLstm):
        size, span = layer.units, 1
        used = size  # slots
    else:
        size, span = layer.outputs, 4
        chunks = -(-size // simd)
        used = (-(-chunks // 4) - 1) * simd + min(simd, size)
    chunks = -(-size // simd)

    slot = np.arange(-(-used // slots) * slots)
    if isinstance(layer, QLstm):
        # gate blocks i, f, g, o in the matrix; interleaved on the array
        rows = np.arange(4)[None, :] * size + slot[:, None]
        rows[slot >= size] = -1
    else:
        chunk = 4 * (slot[:, None] // simd) + np.arange(4)[None, :]
        rows = chunk * simd + slot[:, None] % simd
        rows[rows >= size] = -1

    groups = []
    for first in range(0, used, slots):
        end = min(first + slots, used)
        first_q, last_q = first // simd, (end - 1) // simd
        groups.append(Group(
            rotation=first % simd,
            first=span * first_q,
            beats=min(span * (last_q + 1), chunks) - span * first_q,
            complete=end == used or end % simd == 0,
        ))
    return Fold(tuple(groups), rows.reshape(len(groups), pe), chunks)
