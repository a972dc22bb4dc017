"""What every net of a core drives, and where: a register near some rows must not drive others.

A wire across the array is slow, and so is a register with thousands of loads. The check reads the
core's netlist from Yosys (flattened, equal cells merged, not yet mapped to a family) and says for
each net how many pins it drives, and in which rows and lanes these are. A row is its multipliers
with its memory of weights, its weight word and its copy in the router. Logic is where its result is
used; if that is in several regions, it is in none, and its own output is examined. Every register
without a row or a lane, such as one of a tree of registers, is a place of its own.

Rows and lanes may stay modules of their own (``whole=False``): they are then mapped to LUTs once,
and the pins inside counted. That is quick for large cores, but cannot show whether registers of
different rows are merged into one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gatefold.gen.plan import Plan
from gatefold.gen.plan.memories import bram18s
from gatefold.gen.store.export import TOP
from gatefold.gen.synth.components import CACHE, modules, verilog
from gatefold.gen.synth.netlist import RAM_STUBS, Job, netlists
from gatefold.hdl.config import REGION

__all__ = ["Net", "fan_out", "loads_of", "offenders"]

#: Where a cell or a net is, by its hierarchical name: its row, or its lane.
_ROW = re.compile(r"\.\\?(?:row|weights|weight_word|copy)_(\d+)\b")
_LANE = re.compile(r"\.\\?(?:(?:lstm|gru|merge|dense)(?:_late|_state)?|z|result|state)_(\d+)(?!\d)")
#: Cells that a clock edge or a memory's address separates from what they drive.
_REGISTER = re.compile(r"\$.*dff|\$mem|.*gatefold_")
_MEMORY = re.compile(r".*gatefold_(rom|ram|uram)")
_CONTROL = {"EN", "SRST", "ARST", "S"}  #: Pins of one bit that act on every bit of a word.
_CLOCKS = {"clk", "CLK", "RD_CLK", "WR_CLK"}
_CONSTANTS = {"0", "1", "x", "z"}


@dataclass(frozen=True, order=True)
class Net:
    """A net of one or more bits; figures are those of its worst bit.

    name: as people called it. driver: "register", "memory", "logic" or "port". pins: that it
    drives. rows, regions, lanes: among which they are. stations: registers outside rows and lanes.
    """

    name: str
    driver: str
    pins: int
    rows: int
    regions: int
    lanes: int
    stations: int

    def __str__(self) -> str:
        return (f"{self.name} ({self.driver}) drives {self.pins:,} pins in {self.rows} rows of "
                f"{self.regions} regions, {self.lanes} lanes and {self.stations} other registers")


def fan_out(plan: Plan, *, whole: bool = True, cache: Path = CACHE) -> list[Net]:
    """Every net of a core, those with the most rows first. Seconds; with ``whole``, minutes for a
    core of a thousand multipliers. Raises :class:`UserError` where Yosys fails."""
    texts = verilog(plan)
    shared = () if whole else modules(texts)
    stubs = RAM_STUBS if plan.config.loadable else ""
    netlist = netlists(Job("".join(texts.values()) + stubs, TOP, family="", black=shared),
                       cache=cache)[TOP]
    inside = {name: pins_inside(netlists(Job(texts[f"{name}.v"], name), cache=cache)[name])
              for name in shared}
    return loads_of(netlist, inside)


def offenders(nets: Iterable[Net]) -> list[Net]:
    """The nets that drive rows of more than one region: registers that lack copies, decoded
    controls that are broadcast."""
    return [net for net in nets if net.regions > 1]


def pins_inside(module: dict) -> dict[str, list[int]]:
    """The pins that each bit of a module's input ports drives inside."""
    pins = Counter(bit for cell in module["cells"].values()
                   for pin, bits in cell["connections"].items()
                   if cell["port_directions"][pin] == "input" for bit in bits)
    return {name: [pins[bit] for bit in port["bits"]] for name, port in module["ports"].items()
            if port["direction"] == "input"}


@dataclass(frozen=True)
class _Place:
    """Rows and lanes as sets of bits; how many registers are elsewhere."""

    rows: int = 0
    lanes: int = 0

    def __or__(self, other: _Place) -> _Place:
        return _Place(self.rows | other.rows, self.lanes | other.lanes)

    @property
    def regions(self) -> int:
        """Regions that the rows lie in."""
        rows, regions = self.rows, 0
        while rows:
            regions += bool(rows & ((1 << REGION) - 1))
            rows >>= REGION
        return regions


_NOWHERE = _Place()


def loads_of(netlist: dict, inside: dict[str, dict[str, list[int]]] | None = None) -> list[Net]:
    """:func:`fan_out` of a netlist; ``inside``: :func:`pins_inside` of modules left out of it."""
    return _Loads(netlist, inside or {}).nets()


class _Loads:
    def __init__(self, netlist: dict, inside: dict[str, dict[str, list[int]]]):
        self.inside = inside
        self.cells = {name: cell for name, cell in netlist["cells"].items()
                      if cell["type"] != "$scopeinfo"}
        self.ports = netlist["ports"]
        self.names: dict[int, list[str]] = defaultdict(list)
        for name, net in netlist["netnames"].items():
            if not net.get("hide_name"):
                for bit in net["bits"]:
                    self.names[bit].append(name)
        #: What drives a bit: the name of its cell, or None for a port.
        self.driver: dict[int, str | None] = {
            bit: None for port in self.ports.values() if port["direction"] == "input"
            for bit in port["bits"]}
        #: What a bit drives: cells, and how many pins of each.
        self.loads: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for name, cell in self.cells.items():
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    self.driver.update(dict.fromkeys(bits, name))
                elif pin not in _CLOCKS:
                    for bit, pins in zip(bits, self.pins(cell, pin), strict=True):
                        if bit not in _CONSTANTS and pins:
                            self.loads[bit].append((name, pins))
        self.places: dict[str, _Place] = {}

    def pins(self, cell: dict, pin: str) -> list[int]:
        """The pins behind each bit of a cell's input ``pin``: one, but for a control a pin for each
        bit that it acts on, and for an address one for each LUT or block of the memory."""
        kind, bits = cell["type"].split("\\")[-1], cell["connections"][pin]
        if kind in self.inside:
            return self.inside[kind][pin]
        if _MEMORY.match(cell["type"]) and "addr" in pin:
            return [_blocks(cell)] * len(bits)
        if pin in _CONTROL and cell["type"].startswith("$"):
            word = cell["connections"].get("Q") or cell["connections"]["Y"]
            return [len(word)] * len(bits)
        return [1] * len(bits)

    def nets(self) -> list[Net]:
        worst: dict[str, Net] = {}
        for bit, loads in self.loads.items():
            place, stations = _NOWHERE, set()
            for cell, _ in loads:
                there = self.place(cell)
                place |= there
                if there == _NOWHERE and self.is_register(cell):
                    stations.add(cell)
            net = Net(self.name(bit), self.kind(bit), sum(pins for _, pins in loads),
                      place.rows.bit_count(), place.regions, place.lanes.bit_count(),
                      len(stations))
            old = worst.get(net.name)
            if old is None or (net.rows, net.pins) > (old.rows, old.pins):
                worst[net.name] = net
        return sorted(worst.values(), key=lambda net: (-net.regions, -net.pins, net.name))

    def is_register(self, name: str) -> bool:
        return bool(_REGISTER.match(self.cells[name]["type"]))

    def outputs(self, name: str) -> list[int]:
        cell = self.cells[name]
        return [bit for pin, bits in cell["connections"].items()
                if cell["port_directions"][pin] == "output" for bit in bits]

    def place(self, name: str) -> _Place:
        """Where a cell is. The way to it is followed with a stack: logic may be deep."""
        stack, begun = [name], set()
        while stack:
            top = stack[-1]
            if top in self.places:
                stack.pop()
                continue
            memory = bool(_MEMORY.match(self.cells[top]["type"]))
            own = self.named(top)
            if own != _NOWHERE or (self.is_register(top) and not memory):
                self.places[top] = own
                continue
            readers = {reader for bit in self.outputs(top) for reader, _ in self.loads.get(bit, ())}
            missing = [reader for reader in readers if reader not in self.places]
            if missing and top not in begun:
                begun.add(top)
                stack.extend(missing)
                continue
            used = _NOWHERE
            for reader in readers:  # one that is missing leads back here, through a memory
                used |= self.places.get(reader, _NOWHERE)
            # A memory is as wide as what reads it; logic that several regions use is in none.
            self.places[top] = used if memory or used.regions <= 1 else _NOWHERE
        return self.places[name]

    def named(self, name: str) -> _Place:
        """Where a cell is by its name, or else by the names of the nets that it drives."""
        driven = [each for bit in self.outputs(name) for each in self.names.get(bit, ())]
        for names in ([name], driven):
            rows = {int(found[1]) for each in names if (found := _ROW.search(f".{each}"))}
            lanes = {int(found[1]) for each in names if (found := _LANE.search(f".{each}"))}
            if len(rows) == 1:
                return _Place(rows=1 << rows.pop())
            if len(lanes) == 1 and not rows:
                return _Place(lanes=1 << lanes.pop())
        return _NOWHERE

    def name(self, bit: int) -> str:
        """The shortest name of a bit's net: the others lie deeper in the hierarchy."""
        return min(self.names.get(bit, ()), key=lambda name: (name.count("$"), len(name), name),
                   default=str(self.driver.get(bit)))

    def kind(self, bit: int) -> str:
        name = self.driver.get(bit)
        if name is None:
            return "port"
        kind = self.cells[name]["type"]
        if _MEMORY.match(kind) or kind.startswith("$mem"):
            return "memory"
        return "register" if self.is_register(name) else "logic"


def _blocks(cell: dict) -> int:
    """LUTs or block RAMs of a memory that is left out: so many pins an address bit drives."""
    def value(name: str) -> int:
        number = cell["parameters"][name]
        return int(number, 2) if isinstance(number, str) else number

    width, depth = value("WIDTH"), value("DEPTH")
    if "distributed" in str(cell["parameters"].get("STYLE", "")):
        return width * -(-depth // 64)
    return -(-bram18s(width, depth) // 2)
