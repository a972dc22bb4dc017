"""Amounts of a device's resources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from operator import add

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
        return Resources(*map(add, astuple(self), astuple(other)))

    def __mul__(self, number: int) -> Resources:
        return Resources(*(value * number for value in astuple(self)))

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
