"""From a quantised network and a budget to a frozen plan: array, memories, schedule, cycles."""

from gatefold.gen.plan.array import Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.plan import Cycles, Plan, make_plan
from gatefold.gen.plan.resources import Resources, estimate
from gatefold.gen.plan.sizing import choose_array

__all__ = ["Array", "Budget", "Cycles", "Plan", "Resources", "choose_array", "estimate",
           "make_plan"]
