"""From a quantised network and a budget to a frozen plan: array, memories, schedule, cycles."""

from .plan import Cycles, Plan, make_plan
from .resources import Resources, estimate
from .sizing import choose_array

__all__ = ["Cycles", "Plan", "Resources", "choose_array", "estimate", "make_plan"]
