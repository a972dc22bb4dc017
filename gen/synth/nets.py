"""A netlist as a graph: what drives each bit, and what each bit drives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from gatefold.gen.plan.memories import bram18s

__all__ = ["Nets"]

#: Cells that a clock edge or a memory's address separates from what they drive; of these, memories
#: that the netlist leaves out.
_REGISTER = re.compile(r"\$.*dff|\$mem|.*gatefold_")
_MEMORY = re.compile(r".*gatefold_(rom|ram|uram)")
_CONTROL = {"EN", "SRST", "ARST", "S"}  #: Pins of one bit that act on every bit of a word.
_CLOCKS = {"clk", "CLK", "RD_CLK", "WR_CLK"}
_CONSTANTS = {"0", "1", "x", "z"}


class Nets:
    """The bits of a module's netlist (Yosys' JSON, not mapped to a family).

    inside: of modules that it leaves out, the pins behind their ports (:meth:`pins_inside`).

    Attributes: ``cells`` by name; ``names`` of each bit; ``driver``: the cell that drives a bit,
    None for a port; ``loads``: cells that a bit drives, each with its number of pins; clocks are
    left out.
    """

    def __init__(self, netlist: dict, inside: Mapping[str, dict[str, list[int]]] | None = None):
        self.inside = inside or {}
        self.ports = netlist["ports"]
        self.cells: dict[str, dict] = {name: cell for name, cell in netlist["cells"].items()
                                       if cell["type"] != "$scopeinfo"}
        self.names: dict[int, list[str]] = defaultdict(list)
        for name, net in netlist["netnames"].items():
            if not net.get("hide_name"):
                for bit in net["bits"]:
                    self.names[bit].append(name)
        self.driver: dict[int, str | None] = {
            bit: None for port in self.ports.values() if port["direction"] == "input"
            for bit in port["bits"]}
        loads: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for name, cell in self.cells.items():
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    self.driver.update(dict.fromkeys(bits, name))
                elif pin not in _CLOCKS:
                    for bit, pins in zip(bits, self._pins(cell, pin), strict=True):
                        if bit not in _CONSTANTS and pins:
                            loads[bit].append((name, pins))
        self.loads = dict(loads)

    def _pins(self, cell: dict, pin: str) -> list[int]:
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

    def pins_inside(self) -> dict[str, list[int]]:
        """The pins that each bit of an input port drives."""
        return {name: [sum(pins for _, pins in self.loads.get(bit, ())) for bit in port["bits"]]
                for name, port in self.ports.items() if port["direction"] == "input"}

    def is_register(self, cell: str) -> bool:
        """Whether a cell separates cycles: a register, a memory, a module that is left out."""
        return bool(_REGISTER.match(self.cells[cell]["type"]))

    def is_memory(self, cell: str) -> bool:
        """Whether a cell is a memory that is left out."""
        return bool(_MEMORY.match(self.cells[cell]["type"]))

    def outputs(self, cell: str) -> list[int]:
        """The bits that a cell drives."""
        found = self.cells[cell]
        return [bit for pin, bits in found["connections"].items()
                if found["port_directions"][pin] == "output" for bit in bits]

    def before(self, bit: int) -> int | str | None:
        """Of a bit that a plain register drives, the bit that it was a cycle before."""
        cell = self.cells.get(self.driver.get(bit) or "")
        if cell is None or cell["type"] not in ("$dff", "$sdff"):
            return None
        return cell["connections"]["D"][cell["connections"]["Q"].index(bit)]

    def name(self, bit: int) -> str:
        """The shortest name of a bit's net: the others lie deeper in the hierarchy."""
        return min(self.names.get(bit, ()), key=lambda name: (name.count("$"), len(name), name),
                   default=str(self.driver.get(bit)))

    def kind(self, bit: int) -> str:
        """What drives a bit: "register", "memory", "logic" or "port"."""
        name = self.driver.get(bit)
        if name is None:
            return "port"
        if self.is_memory(name) or self.cells[name]["type"].startswith("$mem"):
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
