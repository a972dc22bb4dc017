"""The design space of a network on a board: many cores planned, none written.

    space (which arrays) -> point (one array planned) -> sweep (all of them, resumable) -> pages
"""

from .goals import GOALS
from .point import Point
from .sweep import Exploration, explore

__all__ = ["GOALS", "Exploration", "Point", "explore"]
