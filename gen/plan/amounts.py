"""Amounts of a device's resources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["Resources", "part", "total"]


@dataclass(frozen=True)
class Resources:
    """Device resources; bram36 counts half blocks as 0.5."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0
    uram: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp,
                         self.bram36 + other.bram36, self.uram + other.uram)

    def __sub__(self, other: Resources) -> Resources:
        return self + other * -1

    def __mul__(self, number: int) -> Resources:
        return Resources(self.lut * number, self.ff * number, self.dsp * number,
                         self.bram36 * number, self.uram * number)

    def as_dict(self) -> dict:
        """For reports, with where the figures come from."""
        return asdict(self) | {"source": "estimate: gen/plan/resources.py (formulas over the "
                                         "plan's widths and depths; no vendor tool was run)"}


def part(lut: float = 0, ff: float = 0, dsp: int = 0, halves: int = 0, uram: int = 0) -> Resources:
    """What a component takes; ``halves``, of block RAMs."""
    return Resources(round(lut), round(ff), dsp, halves / 2, uram)


def total(parts: Iterable[Resources]) -> Resources:
    """The sum of components."""
    return sum(parts, Resources())
