"""The longest paths between registers of a netlist, in LUT levels and in carry chains.

A LUT is one level, and so is a LUT RAM that is read without a clock and an inverter. F7/F8
multiplexers are none: they belong to their LUTs. A carry chain is entered through its S, DI or
CYINIT pins and counts once, however long. A DSP slice between two of its own registers starts and
ends paths; one that xcup leaves without registers is passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Depth", "Path", "Ports", "analyse", "stitch"]

#: LUT levels and carry chains on a path.
Depth = tuple[int, int]

_LUT = {"INV", *(f"LUT{n}" for n in range(1, 7))}
_NONE = {"MUXF7", "MUXF8", "MUXF9"}
_CARRY = {"CARRY4", "CARRY8"}
_DSP = {"DSP48E1", "DSP48E2"}
#: Pins of LUT RAMs that only a clock edge reads.
_WRITES = ("D", "WE", "WCLK", "CLK", "ADDRD", "ADDRH", "DI")
_CONSTANTS = ("0", "1", "x", "z")


@dataclass(frozen=True)
class Path:
    """``levels`` and ``chains`` from a register or port to another; ``cell``: where it ends."""

    levels: int
    chains: int
    start: str
    end: str
    cell: str = ""


@dataclass
class Ports:
    """Of a module that another instantiates: the deepest path from an input port to a register,
    and from a register to an output port. No path leads through."""

    inputs: dict[str, Depth] = field(default_factory=dict)
    outputs: dict[str, Depth] = field(default_factory=dict)


def analyse(netlist: dict, black: Mapping[str, Ports] | None = None,
            by: Callable[[Depth], tuple] = tuple) -> tuple[list[Path], Ports]:
    """Deepest path to each register (and output port), deepest first, as ordered by ``by``.

    ``black``: the modules inside that are left out; names that are missing count as clocked. Paths
    from and to ports are included: they count from the port.
    """
    return _Graph(netlist, black or {}, by).paths()


def stitch(modules: Mapping[str, dict], top: str) -> dict:
    """``top`` with the other ``modules`` flattened into it, names prefixed by their instances'."""
    cells: dict[str, dict] = {}
    nets: dict[str, dict] = {}
    joined: dict = {}

    def root(bit):
        while bit in joined:
            bit = joined[bit]
        return bit

    def join(a, b):
        a, b = root(a), root(b)
        if a != b:
            if a in _CONSTANTS:
                a, b = b, a
            joined[a] = b

    def add(module: dict, prefix: str):
        def local(bits):
            return [bit if bit in _CONSTANTS else (prefix, bit) for bit in bits]

        for name, net in module["netnames"].items():
            nets[prefix + name] = net | {"bits": local(net["bits"])}
        for name, cell in module["cells"].items():
            kind = cell["type"]
            pins = {pin: local(bits) for pin, bits in cell["connections"].items()}
            if kind in modules:
                inside = f"{prefix}{name}."
                add(modules[kind], inside)
                for pin, port in modules[kind]["ports"].items():
                    for outer, bit in zip(pins.get(pin, ()), port["bits"], strict=False):
                        join((inside, bit) if bit not in _CONSTANTS else bit, outer)
            else:
                cells[prefix + name] = cell | {"connections": pins}

    add(modules[top], "")
    for net in nets.values():
        net["bits"] = [root(bit) for bit in net["bits"]]
    for cell in cells.values():
        cell["connections"] = {pin: [root(bit) for bit in bits]
                               for pin, bits in cell["connections"].items()}
    ports = {name: port | {"bits": [root(("", bit)) for bit in port["bits"]]}
             for name, port in modules[top]["ports"].items()}
    return {"ports": ports, "cells": cells, "netnames": nets}


class _Graph:
    def __init__(self, netlist: dict, black: Mapping[str, Ports], by):
        self.by, self.black = by, black
        self.names = _names(netlist)
        self.driver: dict[int, tuple[dict, str]] = {}
        self.ports = netlist["ports"]
        self.inputs = {bit: name for name, port in self.ports.items()
                       if port["direction"] == "input" for bit in port["bits"]}
        self.cells = {name: cell for name, cell in netlist["cells"].items()
                      if cell["type"] != "$scopeinfo"}
        for cell in self.cells.values():
            for pin, bits in cell["connections"].items():
                if cell["port_directions"].get(pin) == "output":
                    for bit in bits:
                        self.driver[bit] = (cell, pin)
        #: Deepest arrival of a net: depth and where it starts; with inputs only and registers only.
        self.memo: dict[int, dict[str, tuple[Depth, str]]] = {}

    def name(self, bit) -> str:
        return self.names.get(bit, "?")

    def arrival(self, bit) -> dict[str, tuple[Depth, str]]:
        """Deepest path to a net from a port ("port") and from a register ("reg")."""
        stack = [bit]
        while stack:
            top = stack[-1]
            if top in self.memo or top in _CONSTANTS:
                stack.pop()
                continue
            sources = self.sources(top)
            missing = [source for source, _ in sources
                       if source not in self.memo and source not in _CONSTANTS]
            if missing:
                if len(stack) > 100_000:
                    raise SystemExit(f"combinational loop at {self.name(top)}")
                stack.extend(missing)
                continue
            stack.pop()
            self.memo[top] = self.start(top) if not sources else self.join(sources)
        return self.memo.get(bit, {})

    def join(self, sources) -> dict[str, tuple[Depth, str]]:
        found: dict[str, tuple[Depth, str]] = {}
        for source, (levels, chains) in sources:
            for kind, (depth, start) in self.memo.get(source, {}).items():
                new = (depth[0] + levels, depth[1] + chains)
                if kind not in found or self.by(new) > self.by(found[kind][0]):
                    found[kind] = (new, start)
        return found

    def start(self, bit) -> dict[str, tuple[Depth, str]]:
        if bit in self.inputs:
            return {"port": ((0, 0), self.inputs[bit])}
        if bit not in self.driver:
            return {}
        cell, pin = self.driver[bit]
        ports = self.black.get(cell["type"].split("\\")[-1])
        depth = ports.outputs.get(pin, (0, 0)) if ports else (0, 0)
        return {"reg": (depth, self.name(bit))}

    def sources(self, bit) -> list[tuple[int | str, Depth]]:
        """Nets that a net depends on within a cycle, and the depth between."""
        if bit not in self.driver:
            return []
        cell, out = self.driver[bit]
        kind, pins = cell["type"], cell["connections"]
        if kind in _LUT or kind in _NONE:
            step = (kind in _LUT, 0)
            return [(b, (int(step[0]), 0)) for pin, bits in pins.items()
                    if cell["port_directions"][pin] == "input" for b in bits]
        if kind in _CARRY:
            index = pins[out].index(bit)
            into = [b for pin in ("S", "DI") for b in pins[pin][: index + 1]] + pins["CYINIT"]
            return ([(b, (0, 1)) for b in into if b not in _CONSTANTS]
                    + [(b, (0, 0)) for b in pins["CI"] if b not in _CONSTANTS])
        if kind.startswith("RAM") and not kind.startswith("RAMB"):
            return [(b, (1, 0)) for pin, bits in pins.items()
                    if cell["port_directions"][pin] == "input" and pin not in _WRITES
                    and not pin.startswith(("DI", "W")) for b in bits]
        if kind in _DSP and not _registered(cell):
            return [(b, (0, 0)) for pin in ("A", "B", "C", "D") for b in pins.get(pin, ())
                    if b not in _CONSTANTS]
        return []

    def paths(self) -> tuple[list[Path], Ports]:
        out, ports = [], Ports()
        for name, cell in self.cells.items():
            kind = cell["type"].split("\\")[-1]
            if kind in _LUT or kind in _NONE or kind in _CARRY:
                continue
            if kind in _DSP and not _registered(cell):
                continue
            inside = self.black.get(kind, Ports()).inputs
            for pin, bits in cell["connections"].items():
                if cell["port_directions"].get(pin) != "input":
                    continue
                # A LUT RAM's read address ends nowhere: the path goes on from its output.
                reads = (kind.startswith("RAM") and not kind.startswith("RAMB")
                         and pin not in _WRITES and not pin.startswith(("DI", "W")))
                if reads:
                    continue
                extra = _rom_levels(cell, pin) or inside.get(pin, (0, 0))
                for bit in bits:
                    for source, (depth, start) in self.arrival(bit).items():
                        total = (depth[0] + extra[0], depth[1] + extra[1])
                        out.append(Path(*total, start, self.end(name, cell, pin), name))
                        if source == "port":
                            old = ports.inputs.get(start, (0, 0))
                            ports.inputs[start] = max(old, total, key=self.by)
        for name, port in self.ports.items():
            if port["direction"] != "output":
                continue
            for bit in port["bits"]:
                for source, (depth, start) in self.arrival(bit).items():
                    out.append(Path(*depth, start, f"port {name}"))
                    if source == "reg":
                        old = ports.outputs.get(name, (0, 0))
                        ports.outputs[name] = max(old, depth, key=self.by)
        out.sort(key=lambda path: self.by((path.levels, path.chains)), reverse=True)
        return out, ports

    def end(self, name: str, cell: dict, pin: str) -> str:
        """A register by the net it drives; anything else by its own name and the pin."""
        if cell["type"].startswith("FD"):
            suffix = {"CE": " (enable)", "R": " (reset)", "S": " (set)"}.get(pin, "")
            return self.name(cell["connections"]["Q"][0]) + suffix
        outputs = [bit for out, bits in cell["connections"].items()
                   if cell["port_directions"].get(out) == "output" for bit in bits]
        known = [self.name(bit) for bit in outputs if bit in self.names]
        return f"{known[0] if known else name} ({cell['type'].split(chr(92))[-1]}.{pin})"


def _registered(cell: dict) -> bool:
    def value(name: str) -> int:
        text = str(cell["parameters"].get(name, "0"))
        return int(text, 2) if set(text) <= {"0", "1"} else int(text)

    return value("MREG") + value("PREG") > 0


def _rom_levels(cell: dict, pin: str) -> Depth | None:
    """LUT levels of a ROM in LUTs, from its address to its output register."""
    if "gatefold_rom" not in cell["type"] or not pin.startswith("addr"):
        return None
    parameters = cell["parameters"]
    if "distributed" not in str(parameters.get("STYLE", "")):
        return None
    depth = parameters["DEPTH"]
    words = int(depth, 2) if isinstance(depth, str) else int(depth)
    return (1 if words <= 256 else 2), 0


def _names(netlist: dict) -> dict[int, str]:
    """The shortest name that people gave to a net's bit."""
    names: dict[int, str] = {}
    for name, net in netlist["netnames"].items():
        if net.get("hide_name") or "$auto" in name or "$techmap" in name or "$abc" in name:
            continue
        for bit in net["bits"]:
            if bit not in names or (name.count("$"), len(name)) < (
                    names[bit].count("$"), len(names[bit])):
                names[bit] = name
    return names
