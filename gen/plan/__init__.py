"""From a quantised network and a board's budget to a frozen plan: array, memories, schedule, cycles."""

from .plan import Cycles, Plan, make_plan

__all__ = ["Cycles", "Plan", "make_plan"]
