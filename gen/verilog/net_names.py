"""Names in the netlist that Amaranth writes, before Yosys makes Verilog of it.

Amaranth declares every signal that a module touches, also those of the modules inside it. So a net
has several names, and where two signals are called the same, one gets a suffix (``valid$8``). The
steps of an expression and the next value of a register have no name at all. Here:

- a net has one name: that of the port in its component's signature, else that of its source; what
  comes from a part of the module is ``array__rows__valid``, so is what goes to one part alone;
- a field of a structure is ``tile__weight``, an element of an array ``operands__3``: declared where
  they are read, and read by these names;
- the next value of a register ``acc`` is ``acc__next``; the steps on the way to a value ``acc`` are
  ``acc__t1``, ``acc__t2``, ...;
- ports have an order: clock, reset, then as in the signature.

Nothing is added to the netlist, removed or moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from gatefold.gen.verilog.rtlil import NAME, Block, Module, Wire, bits, parse

__all__ = ["rename"]

_SUFFIX = re.compile(r"\$\d+(?=[.\[]|$)")
_RANGE = re.compile(r"[\\$]\S+ \[[\d:]+\]")


@dataclass
class _Names:
    """New names by old ones; the wires that remain, by their new names; what some stand for, and
    which of these are fields or elements."""

    new: dict[str, str] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    connects: dict[str, str] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)

    def declare(self, old: str, new: str, wire: Wire, value: str | None = None) -> None:
        """Keep a wire."""
        self.new[old], self.wires[new] = new, wire
        if value:
            self.connects[new] = value

    def name_step(self, old: str, new: str) -> bool:
        """Whether ``new`` is free, and ``old`` had no name: then it has this one."""
        if new in self.wires or self.new[old] != old:
            return False
        self.declare(old, new, self.wires.pop(old))
        return True


def rename(text: str, ports: Mapping[str, Sequence[str]]) -> str:
    """``text`` with better names. ``ports``: for a module ``a.b``, the ports that the signature of
    its component has, in that order. In what is returned the module is called ``a_b``."""
    modules = list(parse(text))
    order = {module.name: [f"\\{port}" for port in ports.get(_SUFFIX.sub("", module.name[1:]), ())]
             for module in modules}
    names: dict[str, _Names] = {}
    for module in reversed(modules):  # those inside others first
        names[module.name] = own = _net_names(module, set(order[module.name]), names)
        _step_names(module, own)
    return "".join(_text(module, names, order[module.name]) for module in modules)


def _plain(name: str) -> str:
    """A name without a suffix and without what Verilog would have to escape."""
    return re.sub(r"[.\[]", "__", _SUFFIX.sub("", name)).replace("]", "")


def _net_names(module: Module, known: set[str], inside: Mapping[str, _Names]) -> _Names:
    """One name for every net, and beside it the names of parts of nets."""
    names, wires = _Names(), module.wires
    ends, foreign = _ends(module, inside)
    nets, parts = _nets(module)
    blocks = {block.name for block in module.blocks}
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
        new = names.new.get(base, base) + _plain(name[len(base):])
        if name.startswith(r"\port$"):
            new = _joined(module, name, parts, known)
        if wires[name].direction or (new not in names.wires and "$" not in new):
            names.declare(name, new, wires[name], value)
            if name != base:
                names.fields.add(new)
    for block in blocks:
        names.new.setdefault(block, _plain(block) if _plain(block) not in names.wires else block)
    return names


def _nets(module: Module) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The names of each net, by that of its driver; and those of what is no whole net."""
    wires = module.wires
    nets = {name: [name] for name in wires if name not in module.connects}
    parts = {}
    for name, value in module.connects.items():
        found = bits(value)
        if not found or value != f"{found[0]} {wires[found[0]].range}":
            parts[name] = value
        elif wires[name].direction and any(wires[other].direction for other in nets[found[0]]):
            nets[name] = [name]  # a second port of the same net
            parts[name] = value
        else:
            nets[found[0]].append(name)
    return nets, parts


def _ends(module: Module, inside: Mapping[str, _Names]) -> tuple[
        dict[str, tuple[str, str]], set[str]]:
    """For each wire that a part of the module drives, or that one part alone reads: the part, and
    what its port is called. And the names of all ports of parts."""
    drivers: dict[str, tuple[str, str]] = {}
    readers: dict[str, set[tuple[str, str]]] = {}
    foreign = set()
    for block in module.blocks:
        own = inside.get(block.type)
        for port, driven, read in block.ports() if block.is_part else ():
            foreign |= {_plain(port), own.new[port] if own else port}
            port = own.new[port] if own else port
            found = bits(read)
            name = driven or (found[0] if found else "")
            if driven or (own and own.wires[port].direction == "output"):
                drivers[name] = block.name, port
            else:
                readers.setdefault(name, set()).add((block.name, port))
    return {name: next(iter(ends)) for name, ends in readers.items()
            if len(ends) == 1} | drivers, foreign


def _joined(module: Module, port: str, parts: Mapping[str, str], known: set[str]) -> str:
    """The name of a port that Amaranth made of neighbours in one register, or of the part of a port
    that is not constant: those of the ports that it stands for."""
    base, top, low = bits(parts.get(port, f"{port} {module.wires[port].range}")) or (port, 0, 0)
    ranges = {name: found for name, value in parts.items()
              if name in known and (found := bits(value))}
    found = sorted((first, name) for name, (other, last, first) in ranges.items()
                   if other == base and low <= first and last <= top)
    found = found or [(0, name) for name, value in parts.items()
                      if name in known and f"{port} " in value][:1]
    return "\\" + "__".join(name[1:] for _, name in found) if found else port


def _step_names(module: Module, names: _Names) -> None:
    """Call what has no name after what it is a step to."""
    inputs: dict[str, list[str]] = {}  # of what is driven
    registers: list[tuple[str, str]] = []  # name, next value
    ends: list[tuple[str, list[str]]] = []  # other names, and what is read for them
    for block in module.blocks:
        if block.is_part:
            ends += [(f"{names.new[block.name]}__{port[1:]}", NAME.findall(read))
                     for port, _, read in block.ports()]
            continue
        driven, read = [], []
        for _, target, value in block.statements():
            driven += NAME.findall(target)
            read += NAME.findall(value)
        for name in driven:
            inputs.setdefault(name, []).extend(read)
        ends += [(names.new[name], read) for name in dict.fromkeys(driven) if name[0] == "\\"]
        if block.type in ("$dff", "$adff"):
            ports = {port: value for port, _, value in block.ports()}
            registers.append((names.new[driven[0]], ports[r"\D"]))
        elif not driven:
            ends.append((block.memory, read))
    ends += [(name, NAME.findall(value)) for name, value in names.connects.items()]
    for name, value in registers:
        data, top, low = bits(value) or ("", 0, 0)
        if data[:1] == "$" and top - low + 1 == module.wires[data].width:
            names.name_step(data, f"{name}__next")
    starts = [(name, [step for data in NAME.findall(value) for step in (
        inputs.get(data, []) if names.new[data] == f"{name}__next" else [data])])
        for name, value in registers]
    for name, steps in [*starts, *ends]:
        numbers, waiting = count(1), steps[::-1]
        while waiting:
            step = waiting.pop()
            if step[0] == "$" and names.new[step] == step:
                while not names.name_step(step, f"{name}__t{next(numbers)}"):
                    pass
                waiting += inputs.get(step, [])[::-1]


def _text(module: Module, names: Mapping[str, _Names], order: Sequence[str]) -> str:
    """The module by its new names."""
    own = names[module.name]
    spelled = {value: f"{name} {own.wires[name].range}" for name, value in own.connects.items()
               if not own.wires[name].direction}
    unread = set(own.fields)

    def change(value: str) -> str:
        return NAME.sub(lambda found: own.new.get(found[0], found[0]), value)

    def by_field(found: re.Match) -> str:
        unread.discard(spelled.get(found[0], "").partition(" ")[0])
        return spelled.get(found[0]) or change(found[0])

    def edit(block: Block) -> Iterator[str]:
        inside = names[block.type].new if block.type in names else {}
        for words, driven, read in block.statements():
            if driven or read:
                *others, port = words.split(" ")
                yield " ".join([*others, inside.get(port, port), *filter(None, (
                    change(driven), _RANGE.sub(by_field, read)))])
            elif block.is_part and words.startswith("  cell "):
                yield f"  cell {_module_name(block.type)} {own.new[block.name]}"
            else:
                yield words

    blocks = [Block(list(edit(block))) for block in module.blocks]
    return Module(
        _module_name(module.name), module.attributes,
        {name: wire for name, wire in own.wires.items() if name not in unread}, blocks,
        {name: change(value) for name, value in own.connects.items() if name not in unread},
    ).text([r"\clk", r"\rst", *order])


def _module_name(name: str) -> str:
    return _SUFFIX.sub("", name).replace(".", "_")
