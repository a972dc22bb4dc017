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
    first, lane = np.divmod(rows[:, ::simd], simd)
    following = rows[:, 1:] == rows[:, :-1] + 1
    following[:, simd - 1::simd] = True  # the next chunk begins there
    sizes = np.minimum(simd, rows.shape[1] - simd * np.arange(chunks_of_row))
    op, step, index, age, size = (lowered.storage.chunks.column(name)[first] for name in (
        "op", "step", "index", "age", "size"))
    if (rows < 0).any() or lane.any() or not following.all() or (op < 0).any() or age.any() \
            or (size != sizes).any():
        return None
    made = zip(*(one.ravel().tolist() for one in (op, step, index)), strict=True)
    for place, (*at, k) in enumerate(made):
        of_step = found.setdefault((at[0], at[1]), {})
        if k in of_step:
            return None
        of_step[k] = place
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
