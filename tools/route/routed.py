"""What nextpnr reports of a routed core: its clock, and its slowest path by component."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Routed", "Step", "component", "routed"]

#: Cells that are reported, by the names of the page.
_CELLS = {"LUT4": "TRELLIS_COMB", "FF": "TRELLIS_FF", "block RAM": "DP16KD",
          "multipliers": "MULT18X18D"}


@dataclass(frozen=True)
class Step:
    """A piece of a path: ``ns`` in a cell ("logic") or on a wire ("wire") that spans ``tiles``;
    ``name``: of the net, or of the cell."""

    kind: str
    ns: float
    component: str
    name: str
    tiles: int = 0


@dataclass(frozen=True)
class Routed:
    """A routed core: the clock in MHz that it reaches, cells by type, its slowest path."""

    mhz: float
    cells: dict[str, int]
    path: tuple[Step, ...]

    @property
    def ns(self) -> float:
        """Length of the path."""
        return sum(step.ns for step in self.path)

    @property
    def wire_ns(self) -> float:
        """The part of it on wires."""
        return sum(step.ns for step in self.path if step.kind == "wire")


def component(name: str) -> str:
    """The component of a cell or net by its hierarchical name: ``array.row`` of
    ``core.array.region_00.row_3.a_1``; of a signal of the array itself, ``array``."""
    parts = [re.sub(r"_?\d+$", "", part) for part in name.split(".")[:-1]]
    inside = [part for part in parts if part not in ("core", "region", "")]
    return ".".join(inside[:2]) or "core"


def routed(report: dict) -> Routed:
    """nextpnr's ``--report``, read. Raises ``ValueError`` if it has no clock or no path between
    two of its edges."""
    clocks = [clock["achieved"] for clock in report.get("fmax", {}).values()]
    paths = [path["path"] for path in report.get("critical_paths", ())
             if path["from"] == path["to"] != "<async>"]
    if len(clocks) != 1 or not paths:
        raise ValueError(f"a routed core has one clock and a path, this report has {len(clocks)} "
                         f"clocks and {len(paths)} paths")
    slowest = max(paths, key=lambda path: sum(step["delay"] for step in path))
    cells = {name: report["utilization"][cell]["used"] for name, cell in _CELLS.items()}
    return Routed(clocks[0], cells, tuple(map(_step, slowest)))


def _step(step: dict) -> Step:
    wire = step["type"] == "routing"
    name = step["net"] if wire else step["to"]["cell"]
    (x0, y0), (x1, y1) = step["from"]["loc"], step["to"]["loc"]
    return Step("wire" if wire else "logic", step["delay"], component(name), name,
                abs(x1 - x0) + abs(y1 - y0))
