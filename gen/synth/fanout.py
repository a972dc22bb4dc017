"""What every net of a core drives, and where: a register near some rows must not drive others.

A wire across the array is slow, and so is a register with thousands of loads. The check reads the
core's netlist from Yosys (flattened, equal cells merged, not yet mapped to a family) and says for
each net how many pins it drives, and in which rows and lanes these are. A row is its multipliers
with its memory of weights, its weight word and its copy in the router. Logic is where its result is
used; if that is in several regions, it is in none, and its own output is examined. Every register
without a row or a lane, such as one of a tree of registers, is a place of its own.

Where dies share the array, a register between two of them belongs to neither. What a die takes
from another, or from the parts that a core has once, comes through as many registers as a crossing
has, with no logic between.

Pins are those of adders, multiplexers and registers: mapping makes LUTs of them, which may take a
few pins into one. An enable or a select counts a pin for each bit that it acts on.

Rows and lanes may stay modules of their own (``whole=False``), which are read once. That is quick
for large cores, but cannot show whether registers of different rows are merged into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gatefold.gen.plan import Plan
from gatefold.gen.store.export import TOP
from gatefold.gen.synth.components import CACHE, modules, verilog
from gatefold.gen.synth.netlist import RAM_STUBS, Job, netlists
from gatefold.gen.synth.nets import Nets
from gatefold.hdl.config import REGION
from gatefold.hdl.dies import HUB, borders

__all__ = ["Net", "fan_out", "loads_of", "offenders"]

#: Where a cell or a net is, by its hierarchical name: its row, its lane.
_ROW = re.compile(r"\.\\?(?:row|weights|weight_word|copy)_(\d+)\b")
_LANE = re.compile(r"\.\\?(?:(?:lstm|gru|merge|dense)(?:_late|_state)?|(?:routed__)?z|result|state|"
                   r"trace__(?:h|c|sums))_+(\d+)(?!\d)")
#: The part of the core in which a cell or a net is: one that each die has, with the die's number,
#: or one that the core has once. Registers between dies are in none.
_PART = re.compile(r"\bcore\.\\?(?:(?:operands|array|router|lanes)(?:_(\d+))?"
                   r"|reader|sequencer|writer|loader)\.")
#: More rows, or lanes, than a die has.
_MOST = 1 << 12


@dataclass(frozen=True, order=True)
class Net:
    """A net of one or more bits; figures are those of its worst bit.

    name: as people called it. driver: "register", "memory", "logic" or "port". pins: that it
    drives. rows, regions, lanes: among which they are. stations: registers outside rows and lanes.
    crosses: it leads to another die through too few registers.
    """

    name: str
    driver: str
    pins: int
    rows: int
    regions: int
    lanes: int
    stations: int
    crosses: bool = False

    def __str__(self) -> str:
        across = ", on another die without registers between" if self.crosses else ""
        return (f"{self.name} ({self.driver}) drives {self.pins:,} pins in {self.rows} rows of "
                f"{self.regions} regions, {self.lanes} lanes and {self.stations} other registers"
                + across)


def fan_out(plan: Plan, *, whole: bool = True, cache: Path = CACHE) -> list[Net]:
    """Every net of a core, those with the most regions and pins first. Raises :class:`UserError`
    where Yosys fails."""
    texts = verilog(plan)
    shared = () if whole else modules(texts)
    stubs = RAM_STUBS if plan.config.loadable else ""

    def read(text: str, top: str, *black: str) -> dict:
        return netlists(Job(text, top, family="", black=black), cache=cache)[top]

    inside = {name: Nets(read(texts[f"{name}.v"], name)).pins_inside() for name in shared}
    return loads_of(read("".join(texts.values()) + stubs, TOP, *shared), inside,
                    plan.config.dies, plan.config.cross)


def offenders(nets: Iterable[Net]) -> list[Net]:
    """The nets that drive rows of more than one region (registers that lack copies, decoded
    controls that are broadcast), or cross to another die without registers."""
    return [net for net in nets if net.regions > 1 or net.crosses]


def loads_of(netlist: dict, inside: Mapping[str, dict[str, list[int]]] | None = None,
             dies: int = 1, cross: int = 0) -> list[Net]:
    """:func:`fan_out` of a netlist; ``inside``: of modules left out of it, the pins behind each bit
    of their ports. ``dies``, ``cross``: as of the engine."""
    return _Loads(Nets(netlist, inside), dies, cross).nets()


@dataclass(frozen=True)
class _Place:
    """Rows and lanes, as sets of bits."""

    rows: int = 0
    lanes: int = 0

    def __or__(self, other: _Place) -> _Place:
        return _Place(self.rows | other.rows, self.lanes | other.lanes)

    @property
    def regions(self) -> int:
        """Regions that the rows lie in."""
        rows, regions = self.rows, 0
        while rows:
            first = (rows & -rows).bit_length() - 1
            rows >>= first - first % REGION + REGION
            regions += 1
        return regions


_NOWHERE = _Place()


class _Loads:
    def __init__(self, graph: Nets, dies: int, cross: int):
        self.graph, self.count, self.cross = graph, dies, cross
        self.places: dict[str, _Place] = {}
        self.dies: dict[str, int | None] = {}

    def nets(self) -> list[Net]:
        graph, worst = self.graph, {}
        for bit, loads in graph.loads.items():
            place, stations = _NOWHERE, set()
            for cell, _ in loads:
                there = self.place(cell)
                place |= there
                if there == _NOWHERE and graph.is_register(cell):
                    stations.add(cell)
            net = Net(graph.name(bit), graph.kind(bit), sum(pins for _, pins in loads),
                      place.rows.bit_count(), place.regions, place.lanes.bit_count(),
                      len(stations), self.crosses(bit))
            old = worst.get(net.name)
            if old is None or (net.crosses, net.rows, net.pins) > (old.crosses, old.rows, old.pins):
                worst[net.name] = net
        return sorted(worst.values(), key=lambda net: (-net.regions, -net.pins, net.name))

    def place(self, name: str) -> _Place:
        """Where a cell is. The way to it is followed with a stack: logic may be deep."""
        graph = self.graph
        stack, begun = [name], set()
        while stack:
            top = stack[-1]
            if top in self.places:
                stack.pop()
                continue
            own = self.named(top)
            if own != _NOWHERE or (graph.is_register(top) and not graph.is_memory(top)):
                self.places[top] = own
                continue
            readers = {reader for bit in graph.outputs(top)
                       for reader, _ in graph.loads.get(bit, ())}
            missing = [reader for reader in readers if reader not in self.places]
            if missing and top not in begun:
                begun.add(top)
                stack.extend(missing)
                continue
            used = _NOWHERE
            for reader in readers:  # one that is missing leads back here, through a memory
                used |= self.places.get(reader, _NOWHERE)
            # A memory is as wide as what reads it; logic that several regions use is in none.
            self.places[top] = used if graph.is_memory(top) or used.regions <= 1 else _NOWHERE
        return self.places[name]

    def named(self, name: str) -> _Place:
        """Where a cell is by its name, or else by the names of the nets that it drives."""
        for names in ([name], self.driven(name)):
            rows = {_number(_ROW, each) for each in names} - {None}
            lanes = {_number(_LANE, each) for each in names} - {None}
            if len(rows) == 1:
                return _Place(rows=1 << (rows.pop() or 0))
            if len(lanes) == 1 and not rows:
                return _Place(lanes=1 << (lanes.pop() or 0))
        return _NOWHERE

    def driven(self, name: str) -> list[str]:
        """The names of the nets that a cell drives."""
        graph = self.graph
        return [each for bit in graph.outputs(name) for each in graph.names.get(bit, ())]

    def crosses(self, bit: int) -> bool:
        """Whether a bit comes from another die than its loads, through too few registers."""
        if self.count == 1:
            return False
        there = {die for cell, _ in self.graph.loads[bit] if (die := self.die(cell)) is not None}
        start, registers = bit, 0
        while True:
            cell = self.graph.driver.get(start)
            came = HUB if cell is None else self.die(cell)
            before = self.graph.before(start)
            if came is None and isinstance(before, int):
                start, registers = before, registers + 1
                continue
            if came is None:  # logic between dies
                return bool(there)
            return any(registers < self.cross * borders(came, die, self.count) for die in there)

    def die(self, name: str) -> int | None:
        """The die of a cell, the hub's of what there is once; of registers between dies None."""
        if name not in self.dies:
            self.dies[name] = self.die_by_name(name)
        return self.dies[name]

    def die_by_name(self, name: str) -> int | None:
        """The same. Where Yosys made a cell, its name says nothing: the nets tell that it drives,
        or else those that it reads."""
        plain = self.graph.cells[name]["type"] in ("$dff", "$sdff")
        own = [] if name.startswith("$auto") else [name]
        for names in (own, self.driven(name), self.read(name)):
            parts = [_PART.search(each) for each in names if "core." in each]
            if plain and None in parts:
                return None
            dies = {int(part[1] or HUB) for part in parts if part}
            if dies:
                return dies.pop() if len(dies) == 1 else HUB
        return HUB

    def read(self, name: str) -> list[str]:
        """The names of the nets that a cell reads."""
        cell = self.graph.cells[name]
        return [each for pin, bits in cell["connections"].items()
                if cell["port_directions"][pin] == "input"
                for bit in bits for each in self.graph.names.get(bit, ())]


def _number(pattern: re.Pattern, name: str) -> int | None:
    """The row or lane that a name names, numbered over all dies."""
    found, part = pattern.search(f".{name}"), _PART.search(name)
    die = int(part[1] or 0) if part else 0
    return int(found[1]) + _MOST * die if found else None
