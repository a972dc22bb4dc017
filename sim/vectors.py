"""Integers to AXI4-Stream beats and back, and the vectors.json of a core's cocotb bench."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["StreamFormat", "write_vectors"]


@dataclass(frozen=True, kw_only=True)
class StreamFormat:
    """The layout of a frame's elements in beats.

    Element e of a beat has the bits ``[e * container_bits +: container_bits]`` and is sign-extended
    to its container. A frame's elements follow each other without holes; the last beat ends in
    zeros.

    Attributes, in bits: ``element_bits`` <= ``container_bits`` (8, 16, 32 or 64), ``beat_bits``
    (a multiple of ``container_bits``). Raises :class:`ValueError` for other formats.
    """

    element_bits: int
    container_bits: int
    beat_bits: int

    def __post_init__(self):
        if self.container_bits not in (8, 16, 32, 64):
            raise ValueError(f"container_bits must be 8, 16, 32 or 64, not {self.container_bits!r}")
        if not 1 <= self.element_bits <= self.container_bits:
            raise ValueError(f"element_bits must be in 1..{self.container_bits} (container_bits), "
                             f"not {self.element_bits!r}")
        if self.beat_bits < 1 or self.beat_bits % self.container_bits:
            raise ValueError("beat_bits must be a positive multiple of container_bits "
                             f"({self.container_bits}), not {self.beat_bits!r}")

    @property
    def per_beat(self) -> int:
        """Elements in a full beat."""
        return self.beat_bits // self.container_bits

    def beats(self, elements: int) -> int:
        """Beats of a frame of ``elements`` elements."""
        return -(-elements // self.per_beat)

    def mask(self, elements: int, beat: int) -> int:
        """The bits of a beat of a frame of ``elements`` that the core reads."""
        held = min(self.per_beat, elements - beat * self.per_beat)
        return sum(((1 << self.element_bits) - 1) << self.container_bits * n for n in range(held))

    def pack(self, values) -> list[list[int]]:
        """Frames of integers (samples, elements) as beats: ``[sample][beat]``.

        Raises :class:`ValueError` where a value does not fit an element.
        """
        array = np.asarray(values)
        low, high = -(1 << self.element_bits - 1), (1 << self.element_bits - 1) - 1
        if array.size and not low <= array.min() <= array.max() <= high:
            raise ValueError(f"values must be in {low}..{high} ({self.element_bits} bits), "
                             f"not {array.min()}..{array.max()}")
        size = self.beat_bits // 8
        frames = []
        for row in array.astype(f"<i{self.container_bits // 8}"):
            data = row.tobytes()
            frames.append([int.from_bytes(data[at:at + size], "little")
                           for at in range(0, len(data), size)])
        return frames

    def unpack(self, beats: list[int], elements: int) -> np.ndarray:
        """One frame's beats as its ``elements`` integers, int64 (elements,).

        Raises :class:`ValueError` where the number of beats is wrong or the padding is not zero.
        """
        if len(beats) != self.beats(elements):
            raise ValueError(f"{elements} elements take {self.beats(elements)} beats, "
                             f"not {len(beats)}")
        data = b"".join(beat.to_bytes(self.beat_bits // 8, "little") for beat in beats)
        used = elements * self.container_bits // 8
        if any(data[used:]):
            raise ValueError("the bits after the last element must be zero, "
                             f"not 0x{int.from_bytes(data[used:], 'little'):x}")
        return np.frombuffer(data[:used], f"<i{self.container_bits // 8}").astype(np.int64)


def write_vectors(path: Path, x, y, fresh, cut: dict, sums: list[list[int]],
                  other: tuple[list[int], np.ndarray] | None = None) -> None:
    """Write integer inputs x (frames, elements) and their expected outputs y as JSON, a frame
    a line; ``fresh`` (frames,), whether a frame begins a sequence or continues that of the
    frame before it; ``cut``, by a number of beats, the expected outputs of a last frame that
    has only so many; ``sums``, by event, the accumulators of the first frame; and ``other``, the
    beats of other weights and the outputs expected with them."""
    def rows(array):
        return ",\n  ".join(json.dumps(row) for row in array)

    x, y = np.asarray(x).tolist(), np.asarray(y).tolist()
    flags = json.dumps(np.asarray(fresh).astype(int).tolist())
    lines = ",\n  ".join(f'"{beats}": {json.dumps(np.asarray(values).tolist())}'
                         for beats, values in cut.items())
    more = "" if other is None else (
        f',\n"other": {{"load": {json.dumps(other[0])},\n"output": [\n  '
        f'{rows(np.asarray(other[1]).tolist())}\n]}}')
    path.write_text(f'{{"input": [\n  {rows(x)}\n],\n"output": [\n  {rows(y)}\n],\n'
                    f'"fresh": {flags},\n"cut": {{\n  {lines}\n}},\n'
                    f'"sums": [\n  {rows(sums)}\n]{more}}}\n')
