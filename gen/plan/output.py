"""Which ops' results are the output frame, if whole results are."""

from __future__ import annotations

import numpy as np

from gatefold.gen.plan.lowered import Lowered

__all__ = ["output_places"]


def output_places(lowered: Lowered) -> tuple[dict[tuple[int, int], int], int, int] | None:
    """Which results are the output: for (op, step) the output word of its first chunk, and the
    frame's rows and elements of a row; None where the output is not made of whole results."""
    frame, simd = lowered.frame(), lowered.simd
    sizes = {op.size for op in lowered.ops if op.written is not None}
    sizes |= {shape[-1] for shape in lowered.qnet.output_shapes}
    for row in sorted(sizes, reverse=True):
        if len(frame) % row:
            continue
        places = _places(lowered, frame.reshape(-1, row), simd)
        if places is not None:
            return places, len(frame) // row, row
    return None


def _places(lowered: Lowered, rows: np.ndarray, simd: int) -> dict[tuple[int, int], int] | None:
    """The same for a frame of these ``rows`` of addresses."""
    chunks_of_row, dies = lowered.storage.chunks_of(rows.shape[1]), lowered.storage.dies
    found: dict[tuple[int, int], dict[int, int]] = {}
    for r, row in enumerate(rows):
        for k in range(chunks_of_row):
            piece = row[k * simd:(k + 1) * simd]
            if piece[0] < 0 or piece[0] % simd or (np.diff(piece) != 1).any():
                return None
            chunk = lowered.storage.chunks[piece[0] // simd]
            op, step, index = chunk.origin
            if (op < 0 or chunk.age or chunk.size != len(piece)
                    or index in found.get((op, step), {})):
                return None
            found.setdefault((op, step), {})[index] = r * chunks_of_row + k
    places = {}
    for (op, step), chunks in found.items():
        size = lowered.storage.chunks_of(lowered.ops[op].size)
        first = chunks.get(0)
        if first is None or chunks != {k: first + k for k in range(size)}:
            return None
        row, place = divmod(first, chunks_of_row)
        inside = place + size <= chunks_of_row or chunks_of_row % dies == 0
        if place % dies or not inside:  # the row's chunks are made by other dies
            return None
        places[op, step] = row * lowered.storage.words(rows.shape[1]) + place // dies
    return places
