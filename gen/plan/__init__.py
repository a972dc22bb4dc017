"""From a quantised network and a budget to a frozen plan: array, memories, schedule, cycles.

In the order of the data: `sizing` chooses an array, `deadline` the smallest that is fast enough, by
what layers ask (`demand`, `ranking`), what their size decides (`drafts`) and what it takes
(`placing`, `resources`, `amounts`, `memories`), and `stream` the width of the streams. `lower`
makes ops of layers (`lowered`, `lower_*`, `kinds`, `blocks`; `ops`, and `layout` for addresses).
`breakdown` makes jobs of ops (`work`; `rows`, `tiling`, `output`), `schedule` tiles of jobs
(`waves`), `program` instructions of tiles, `images` the contents of the memories. `latency`,
`cycles` and `bounds` count cycles; `plan` holds all of it, and is made with Python's collector off
(`collection`).
"""

from gatefold.gen.plan.amounts import Resources
from gatefold.gen.plan.array import CROSS, Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.plan import Cycles, Plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.sizing import choose_array

__all__ = ["CROSS", "Array", "Budget", "Cycles", "Plan", "Resources", "choose_array", "estimate",
           "make_plan"]
