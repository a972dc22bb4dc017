"""RTLIL, the netlist in text between Amaranth and Yosys: as much of it as Amaranth writes.

A statement is a line. What a cell drives is a bare name in it; what it reads has a range behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["NAME", "Block", "Module", "Wire", "bits", "parse"]

NAME = re.compile(r"[\\$]\S+")
_RANGE = re.compile(r"([\\$]\S+) \[(?:(\d+):)?(\d+)\]")
_WIRE = re.compile(r"  wire width (\d+)(?: (input|output) \d+ )?( signed)? +(\S+)")
_ASSIGN = re.compile(r"( +assign) (\{[^}]*\}|\S+(?: \[[^]]*\])?) (.*)")
_READ = re.compile(r"( +(?:switch|connect \S+)) (.*)")


def bits(value: str) -> tuple[str, int, int] | None:
    """Of ``name [top:low]``: name, top, low. None of any other value."""
    found = _RANGE.fullmatch(value)
    return found and (found[1], int(found[2] or found[3]), int(found[3]))


@dataclass(frozen=True)
class Wire:
    """``direction``: of a port, input or output. ``attributes``: lines."""

    width: int
    direction: str | None
    signed: str
    attributes: tuple[str, ...]

    @property
    def range(self) -> str:
        """All its bits."""
        return f"[{self.width - 1}:0]" if self.width > 1 else "[0]"


@dataclass
class Block:
    """A memory, a cell or a process; ``type``: of a cell."""

    lines: list[str]

    def __post_init__(self):
        head = next(line for line in self.lines if not line.startswith("  attribute")).split()
        self.name = head[-1]
        self.type = head[1] if head[0] == "cell" else ""

    @property
    def is_part(self) -> bool:
        """Whether it is an instance of a module."""
        return self.type.startswith("\\")

    @property
    def memory(self) -> str:
        """Of a port of a memory, the memory."""
        return next((line.split('"')[1][1:] for line in self.lines if r"\MEMID" in line), "")

    def statements(self) -> Iterator[tuple[str, str, str]]:
        """The words before, what is driven, what is read, line by line; other lines as words."""
        for line in self.lines:
            if found := _ASSIGN.fullmatch(line):
                yield found[1], found[2], found[3]
            elif found := _READ.fullmatch(line):
                bare = NAME.fullmatch(found[2])
                yield found[1], found[2] if bare else "", "" if bare else found[2]
            else:
                yield line, "", ""

    def ports(self) -> Iterator[tuple[str, str, str]]:
        """Of a cell: port, what it drives, what it reads."""
        for words, driven, read in self.statements():
            if driven or read:
                yield words.split()[-1], driven, read


@dataclass
class Module:
    """``connects``: names that stand for something else, and for what."""

    name: str
    attributes: list[str]
    wires: dict[str, Wire] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    connects: dict[str, str] = field(default_factory=dict)

    def text(self, order: Sequence[str]) -> str:
        """RTLIL again; ports in ``order``, others behind."""
        place = {port: n for n, port in enumerate(order)}
        ports = sorted((port for port, wire in self.wires.items() if wire.direction),
                       key=lambda port: place.get(port, len(place)))
        number = {port: n for n, port in enumerate(ports, 1)}
        lines = [*self.attributes, f"module {self.name}"]
        for name, wire in self.wires.items():
            port = f" {wire.direction} {number[name]} " if wire.direction else ""
            lines += [*wire.attributes, f"  wire width {wire.width}{port}{wire.signed} {name}"]
        for block in self.blocks:
            lines += block.lines
        lines += [f"connect {name} {value}" for name, value in self.connects.items()]
        return "\n".join([*lines, "end", "", ""])


def parse(text: str) -> Iterator[Module]:
    """The modules, those that hold others first."""
    module, attributes, lines = Module("", []), [], []
    for line in text.splitlines():
        head, _, rest = line.strip().partition(" ")
        if lines:
            lines.append(line)
            if line == "  end":
                module.blocks.append(Block(lines))
                lines = []
        elif head == "attribute":
            attributes.append(line)
        elif head == "module":
            module, attributes = Module(rest, attributes), []
        elif found := _WIRE.fullmatch(line):
            module.wires[found[4]] = Wire(int(found[1]), found[2], found[3] or "",
                                          tuple(attributes))
            attributes = []
        elif head == "memory":
            module.blocks.append(Block([*attributes, line]))
            attributes = []
        elif head in ("cell", "process"):
            lines, attributes = [*attributes, line], []
        elif head == "connect":
            name, _, value = rest.partition(" ")
            module.connects[name] = value
        elif head == "end":
            yield module
