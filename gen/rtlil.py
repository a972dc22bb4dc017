"""Names in the netlist that Amaranth writes, before Yosys makes Verilog of it.

Amaranth declares every signal that a module touches, also those of the modules inside it. So a net
has several names, and where two signals are called the same, one gets a suffix (``valid$8``). The
steps of an expression and the next value of a register have no name at all. Here:

- a net has one name: that of the port in its component's signature, else that of its source;
- a field of a structure is ``tile__weight``, an element of an array ``operands__3``, also where
  they are read;
- the next value of a register ``acc`` is ``acc__next``; the steps on the way to a value ``acc`` are
  ``acc__t1``, ``acc__t2``, ...;
- ports have an order: clock, reset, then as in the signature.

Nothing is added to the netlist, removed or moved. RTLIL, the text between the two tools, has a
statement a line. What a cell drives is a bare name in it; what it reads has a range behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

__all__ = ["rename"]

_WIRE = re.compile(r"  wire width (\d+)(?: (input|output) \d+ )?( signed)? +(\S+)")
_ASSIGN = re.compile(r"( +assign) (\{[^}]*\}|\S+(?: \[[^]]*\])?) (.*)")
_READ = re.compile(r"( +(?:switch|connect \S+)) (.*)")
_NAME = re.compile(r"[\\$]\S+")
_RANGE = re.compile(r"([\\$]\S+) \[(?:(\d+):)?(\d+)\]")
_SUFFIX = re.compile(r"\$\d+(?=[.\[]|$)")


@dataclass(frozen=True)
class _Wire:
    width: int
    direction: str | None
    signed: str
    attributes: tuple[str, ...]

    @property
    def range(self) -> str:
        """All its bits."""
        return f"[{self.width - 1}:0]" if self.width > 1 else "[0]"


@dataclass
class _Module:
    """As Amaranth writes it. blocks: the lines of each memory, cell and process. aliases: names and
    what they stand for."""

    name: str
    attributes: list[str]
    wires: dict[str, _Wire] = field(default_factory=dict)
    blocks: list[list[str]] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass
class _Names:
    """New names by old ones; the wires that remain, by their new names; what some stand for, and
    which of these are fields."""

    new: dict[str, str] = field(default_factory=dict)
    wires: dict[str, _Wire] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)

    def declare(self, old: str, new: str, wire: _Wire, value: str | None = None) -> None:
        """Keep a wire."""
        self.new[old], self.wires[new] = new, wire
        if value:
            self.aliases[new] = value


def rename(text: str, ports: Mapping[str, Sequence[str]]) -> str:
    """``text`` with better names. ``ports``: for a module ``a.b``, the ports that the signature of
    its component has, in that order. In what is returned the module is called ``a_b``."""
    modules = list(_modules(text))
    order = {module.name: ports.get(_SUFFIX.sub("", module.name[1:]), ()) for module in modules}
    names: dict[str, _Names] = {}
    for module in reversed(modules):  # those inside others first
        names[module.name] = found = _net_names(module, order[module.name], names)
        _step_names(module, found)
    return "".join(_text(module, names, order[module.name]) for module in modules)


def _modules(text: str) -> Iterator[_Module]:
    module, attributes, block = _Module("", []), [], None
    for line in text.splitlines():
        head, _, rest = line.strip().partition(" ")
        if block is not None:
            block.append(line)
            block = None if line == "  end" else block
        elif head == "attribute":
            attributes.append(line)
        elif head == "module":
            module, attributes = _Module(rest, attributes), []
        elif found := _WIRE.fullmatch(line):
            module.wires[found[4]] = _Wire(int(found[1]), found[2], found[3] or "",
                                           tuple(attributes))
            attributes = []
        elif head in ("cell", "process", "memory"):
            module.blocks.append([*attributes, line])
            attributes, block = [], module.blocks[-1] if head != "memory" else None
        elif head == "connect":
            name, _, value = rest.partition(" ")
            module.aliases[name] = value
        elif head == "end":
            yield module


def _statement(line: str) -> tuple[str, str, str] | None:
    """The words before, what is driven, what is read; None where there is neither."""
    if found := _ASSIGN.fullmatch(line):
        return found[1], found[2], found[3]
    if found := _READ.fullmatch(line):
        return (found[1], found[2], "") if _NAME.fullmatch(found[2]) else (found[1], "", found[2])
    return None


def _plain(name: str) -> str:
    """A name without a suffix and without what Verilog would have to escape."""
    return re.sub(r"[.\[]", "__", _SUFFIX.sub("", name)).replace("]", "")


def _net_names(module: _Module, order: Sequence[str], inside: Mapping[str, _Names]) -> _Names:
    """One name for every net; partial names, such as those of fields, beside it."""
    wires, known = module.wires, {f"\\{name}" for name in order}
    ends, foreign = _ends(module, inside)
    nets: dict[str, list[str]] = {name: [name] for name in wires if name not in module.aliases}
    parts = {}
    for name, value in module.aliases.items():
        found = _RANGE.fullmatch(value)
        if not found or value != f"{found[1]} {wires[found[1]].range}":
            parts[name] = value
        elif wires[name].direction and any(wires[other].direction for other in nets[found[1]]):
            nets[name] = [name]  # a second port
            parts[name] = value
        else:
            nets[found[1]].append(name)

    names = _Names()
    blocks = {_head(block)[-1] for block in module.blocks}
    best = {driver: min(group, key=lambda name: (
        name not in known, _plain(name) in foreign, "$" in name, not wires[name].direction))
        for driver, group in nets.items()}
    for driver in sorted(nets, key=lambda driver: "$" in best[driver]):
        old = best[driver]
        direction = next(filter(None, (wires[name].direction for name in nets[driver])), None)
        part, port = ends.get(driver, ("", ""))
        if part and not direction and old not in known and (
                old.startswith("$") or _plain(old) in foreign):
            new = f"{_plain(part)}__{port[1:]}"
        elif old.startswith("$"):
            new = old  # a step, named later
        elif old.startswith(r"\port$"):
            new = _joined(module, old, parts, known)
        else:
            new = _plain(old)
        if new in names.wires or new in blocks:
            new = old
        names.declare(driver, new, replace(wires[driver], direction=direction), parts.get(driver))
        names.new |= dict.fromkeys(nets[driver], new)
    for name, value in parts.items():
        if name in names.new or (name not in known and _plain(name) in foreign):
            continue
        base = re.split(r"[.\[]", name)[0]
        new = (_joined(module, name, parts, known) if name.startswith(r"\port$")
               else names.new.get(base, base) + _plain(name[len(base):]))
        if new not in names.wires and "$" not in new:
            names.declare(name, new, wires[name], value)
            if name != base:
                names.fields.add(new)
    for block in blocks:
        names.new.setdefault(block, _plain(block) if _plain(block) not in names.wires else block)
    return names


def _ends(module: _Module, inside: Mapping[str, _Names]) -> tuple[
        dict[str, tuple[str, str]], set[str]]:
    """For each wire that a part of the module drives: the part and the name of its port; also where
    one part alone reads it. And the names of all ports of parts."""
    drivers: dict[str, tuple[str, str]] = {}
    readers: dict[str, set[tuple[str, str]]] = {}
    foreign = set()
    for block in module.blocks:
        head = _head(block)
        if head[0] != "cell" or head[1].startswith("$"):
            continue
        own = inside.get(head[1])
        for words, driven, read in filter(None, map(_statement, block)):
            port = words.split()[-1]
            if own:
                foreign.add(_plain(port))
                port = own.new[port]
            foreign.add(port)
            found = _RANGE.fullmatch(read)
            name = driven or (found[1] if found else "")
            if driven or (own and own.wires[port].direction == "output"):
                drivers[name] = head[2], port
            else:
                readers.setdefault(name, set()).add((head[2], port))
    return {name: next(iter(ends)) for name, ends in readers.items()
            if len(ends) == 1} | drivers, foreign


def _joined(module: _Module, port: str, parts: Mapping[str, str], known: set[str]) -> str:
    """The name of a port that Amaranth made of neighbours in one register: those of its parts."""
    own = parts.get(port, f"{port} {module.wires[port].range}")
    base, top, low = _bits(own)
    inside = {name: _bits(value) for name, value in parts.items()
              if name in known and _RANGE.fullmatch(value)}
    found = sorted((first, name) for name, (other, last, first) in inside.items()
                   if other == base and low <= first and last <= top)
    return "\\" + "__".join(name[1:] for _, name in found) if found else port


def _bits(spec: str) -> tuple[str, int, int]:
    """Of ``name [top:low]``: name, top, low."""
    name, top, low = _RANGE.fullmatch(spec).groups()
    return name, int(top or low), int(low)


def _head(block: list[str]) -> list[str]:
    """The words of a block's first line: cell, type, name; or process, name; or memory, ..."""
    return next(line for line in block if not line.lstrip().startswith("attribute")).split()


def _step_names(module: _Module, names: _Names) -> None:
    """Call what has no name after what it is a step to."""
    inputs: dict[str, list[str]] = {}  # of what is driven
    roots: list[tuple[str, list[str]]] = []  # a name, and what is read for it
    for block in module.blocks:
        kind, *_, own = _head(block)
        statements = [found for found in map(_statement, block) if found]
        read = [name for _, _, spec in statements for name in _NAME.findall(spec)]
        driven = [name for _, spec, _ in statements for name in _NAME.findall(spec)]
        if kind == "cell" and own.startswith("\\"):
            roots += [(f"{names.new[own]}__{words.split()[-1][1:]}", _NAME.findall(spec))
                      for words, _, spec in statements]
            continue
        for name in driven:
            inputs.setdefault(name, []).extend(read)
        if "$dff" in block[-1] or any(line.startswith("  cell $dff") for line in block):
            data = next(spec for words, _, spec in statements if words.endswith(r"\D"))
            found = _RANGE.fullmatch(data)
            if found and found[1].startswith("$") and data == (
                    f"{found[1]} {module.wires[found[1]].range}"):
                _name_step(names, found[1], f"{names.new[driven[0]]}__next")
                roots.insert(0, (names.new[driven[0]], inputs.get(found[1], [])))
        memory = next((line.split('"')[1][2:] for line in block if r"\MEMID" in line), "")
        roots += [(names.new[name], read) for name in dict.fromkeys(driven)
                  if not name.startswith("$")] or [(f"\\{memory}", read)] * bool(memory)
    for prefix, starts in roots:
        numbers, waiting = count(1), list(reversed(starts))
        while waiting:
            name = waiting.pop()
            if names.new.get(name) == name and name.startswith("$"):
                while not _name_step(names, name, f"{prefix}__t{next(numbers)}"):
                    pass
                waiting += reversed(inputs.get(name, []))


def _name_step(names: _Names, old: str, new: str) -> bool:
    """Whether ``new`` is free for ``old``, which it then is called."""
    if new in names.wires or names.new[old] != old:
        return False
    names.declare(old, new, names.wires.pop(old))
    return True


def _text(module: _Module, names: Mapping[str, _Names], order: Sequence[str]) -> str:
    """RTLIL again."""
    own = names[module.name]
    spelled = {value: f"{name} {own.wires[name].range}" for name, value in own.aliases.items()
               if not own.wires[name].direction}

    def change(spec: str) -> str:
        return _NAME.sub(lambda found: own.new.get(found[0], found[0]), spec)

    unread = set(own.fields)

    def field_or_range(found: re.Match) -> str:
        unread.discard(spelled.get(found[0], "").partition(" ")[0])
        return spelled.get(found[0]) or change(found[0])

    body = []
    for block in module.blocks:
        _, kind, *_ = head = _head(block)
        inside = names[kind].new if kind in names else {}
        for line in block:
            found = _statement(line)
            if found:
                words, drives, spec = found
                if inside:
                    head_words, port = words.rsplit(" ", 1)
                    words = f"{head_words} {inside.get(port, port)}"
                line = f"{words} {change(drives)}{' ' * bool(drives and spec)}"
                line += _RANGE.sub(field_or_range, spec)
            elif line.lstrip().startswith("cell") and head[-1].startswith("\\"):
                line = f"  cell {_module_name(kind) if inside else kind} {own.new[head[-1]]}"
            body.append(line)
    body += [f"connect {name} {change(value)}" for name, value in own.aliases.items()
             if name not in unread]

    place = {f"\\{name}": n for n, name in enumerate(("clk", "rst", *order))}
    ports = sorted((name for name, wire in own.wires.items() if wire.direction),
                   key=lambda name: place.get(name, len(place)))
    numbers = {name: n for n, name in enumerate(ports, 1)}
    lines = [*module.attributes, f"module {_module_name(module.name)}"]
    for name, wire in own.wires.items():
        if name in unread:
            continue
        port = f" {wire.direction} {numbers[name]} " if wire.direction else ""
        lines += [*wire.attributes, f"  wire width {wire.width}{port}{wire.signed} {name}"]
    return "\n".join([*lines, *body, "end", "", ""])


def _module_name(name: str) -> str:
    return _SUFFIX.sub("", name).replace(".", "_")
