"""The order of points by a goal, and the points of the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gatefold.gen.explore.point import Point
from gatefold.gen.plan import Budget

__all__ = ["AXES", "area", "best", "front"]

Key = Callable[[Point], Any]

#: The Pareto plots: latency against each of these.
AXES = ("dsp", "bram36", "error")


def area(point: Point, limits: Budget) -> float:
    """The largest share of LUTs, DSPs, block RAMs or UltraRAMs that the point takes."""
    return max(point.lut / limits.lut, point.dsp / limits.dsp, point.bram36 / limits.bram36,
               point.uram / max(1, limits.uram))


def best(points: Iterable[Point], goal: str, limits: Budget,
         errors: Mapping[int, float]) -> Point | None:
    """The best of the points that fit; None where none does. ``errors`` by width."""
    keys: dict[str, Key] = {
        "latency": lambda p: (p.latency, errors[p.width], area(p, limits)),
        "throughput": lambda p: (p.interval / p.contexts, p.latency, errors[p.width],
                                 area(p, limits)),
        "area": lambda p: (area(p, limits), p.latency, errors[p.width]),
        "energy-proxy": lambda p: (p.energy, p.latency, errors[p.width], area(p, limits)),
    }
    key = keys[goal]
    return min((p for p in points if p.fits), key=lambda p: (key(p), p.place), default=None)


def front(points: Sequence[Point], value: Key) -> list[Point]:
    """The points that fit and that no other beats in latency without being worse in ``value``.

    By rising latency, so by falling value; of equal points the first by :attr:`Point.place`.
    """
    found: list[Point] = []
    for point in sorted((p for p in points if p.fits),
                        key=lambda p: (p.latency, value(p), p.place)):
        if not found or value(point) < value(found[-1]):
            found.append(point)
    return found
