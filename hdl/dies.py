"""Where the dies of an array lie in the device's stack, and how far they are from each other.

Die 0 is the hub: sequencer, streams and loader are there. It lies in the middle of the stack, so
that the way to the farthest die is short, and the others follow by their distance from it.
"""

from __future__ import annotations

__all__ = ["HUB", "borders", "place", "sources", "to_farthest"]

HUB = 0  #: the number of the die with the sequencer and the streams


def place(die: int, dies: int) -> int:
    """The place of a die in the stack, counted from its bottom.

    >>> [place(die, 3) for die in range(3)]
    [1, 0, 2]
    """
    middle = (dies - 1) // 2
    return sorted(range(dies), key=lambda where: (abs(where - middle), where))[die]


def borders(one: int, other: int, dies: int) -> int:
    """Borders of dies between two of them."""
    return abs(place(one, dies) - place(other, dies))


def to_farthest(dies: int) -> int:
    """Borders between the hub and the die that is farthest from it."""
    return max(borders(HUB, die, dies) for die in range(dies))


def sources(die: int, dies: int) -> list[int]:
    """All dies, in the order in which their chunks come to a die: first its own, then those of its
    neighbours.

    >>> [sources(die, 3) for die in range(3)]
    [[0, 1, 2], [1, 0, 2], [2, 0, 1]]
    """
    return sorted(range(dies), key=lambda other: (borders(die, other, dies), other))
