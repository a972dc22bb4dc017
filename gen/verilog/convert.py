"""Components as Verilog: Amaranth's netlist, its names made better, each module explained."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amaranth.back import rtlil
from amaranth.back.verilog import _convert_rtlil_text
from amaranth.hdl import ClockDomain, Fragment, Value
from amaranth.lib import wiring

from gatefold.gen.verilog.net_names import rename
from gatefold.hdl.target import VerilogTarget

__all__ = ["Netlist", "comment", "explanation", "netlist", "to_verilog"]

#: Every block that begins with ``always @*`` reads a register that Yosys adds for simulators, which
#: otherwise would not run it at time zero. Its name is a line of Yosys' own source.
_START = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ ")
_MODULE = re.compile(r"^module .*?^endmodule", re.DOTALL | re.MULTILINE)
#: The register in which Yosys keeps what a memory's port has read.
_READ = re.compile(r"^  assign (\w+) = (_\d+_);$", re.MULTILINE)


@dataclass(frozen=True)
class Netlist:
    """A component as Amaranth's netlist, in RTLIL, and what its Verilog says of each module.

    Attributes: ``name`` of the first module; ``text``; ``components``, the module names and their
    components.
    """

    name: str
    text: str
    components: dict[str, wiring.Component]


def netlist(component: wiring.Component, name: str, target: VerilogTarget, *,
            reset: bool = True) -> Netlist:
    """The modules of ``component``, the first of which is called ``name``. Without ``reset`` they
    have a clock alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        fragment = Fragment.get(component, target)
        components = dict(_components(fragment, name))
        text, _ = rtlil.convert_fragment(
            fragment, _ports(component), name, emit_src=False,
            missing_domain=lambda domain: ClockDomain(domain, reset_less=not reset))
    text = rename(text, {path: list(_ports(part)) for path, part in components.items()})
    return Netlist(name, text, {path.replace(".", "_"): part for path, part in components.items()})


def to_verilog(netlists: Sequence[Netlist]) -> dict[str, str]:
    """The Verilog of each netlist by its name, each module below its docstring.

    Yosys is started once: a start takes longer than most netlists.
    """
    text = _convert_rtlil_text("".join(one.text for one in netlists), strip_internal_attrs=True)
    text = re.sub(r"\A/\*.*?\*/\n+", "", text)  # the banner names the build of Yosys
    text = _MODULE.sub(_name_reads, _START.sub("at_start", text))
    # SystemVerilog gives a declared value before any block runs, so that none would see a change.
    text = text.replace("  reg at_start = 0;", "  reg at_start;\n  initial at_start = 0;")
    explained = {name: part for one in netlists for name, part in one.components.items()}
    modules = {name: "\n".join([*comment(explanation(explained[name])), body])
               for body in _MODULE.findall(text) for name in [body.split("(")[0].split()[1]]}
    return {one.name: "\n\n".join(modules[name] for name in modules if name in one.components)
            + "\n" for one in netlists}


def _name_reads(module: re.Match) -> str:
    """Call the registers of a memory's ports after what they give."""
    names = {anonymous: f"{data}__read" for data, anonymous in _READ.findall(module[0])}
    return re.sub(r"\b_\d+_\b", lambda found: names.get(found[0], found[0]), module[0])


def _components(fragment: Fragment, path: str) -> Iterator[tuple[str, wiring.Component]]:
    """Every component and where it is."""
    for origin in fragment.origins or ():
        if isinstance(origin, wiring.Component):
            yield path, origin
    for part, name, _ in fragment.subfragments:
        yield from _components(part, f"{path}.{name}")


def _ports(component: wiring.Component) -> dict:
    """Ports by name, as Amaranth flattens a signature."""
    return {"__".join(map(str, path)): (Value.cast(value), None)
            for path, _, value in component.signature.flatten(component)}


def explanation(component: wiring.Component) -> str:
    """The docstring of a component as plain text."""
    text = inspect.getdoc(type(component)) or ""
    text = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"\1", text)
    text = re.sub(r":\w+:`([^`]*)`", r"\1", text).replace("``", "").replace("`", "")
    text = re.sub(r"^(Members|Parameters)\n-+$", r"\1:", text, flags=re.MULTILINE)
    return re.sub(r"^::\n\n", "", text, flags=re.MULTILINE)


def comment(text: str) -> list[str]:
    """Text as lines of a comment."""
    return [f"// {line}".rstrip() for line in text.splitlines()]
