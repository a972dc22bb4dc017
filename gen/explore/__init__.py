"""The design space of a network on a board: many cores planned, none written.

    space (which arrays) -> point (one array planned) -> sweep (all of them, resumable) -> pages
"""

from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.point import Point
from gatefold.gen.explore.sweep import explore
from gatefold.gen.options import GOALS

__all__ = ["GOALS", "Exploration", "Point", "explore"]
