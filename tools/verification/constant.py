"""Which bits of a core never change, whatever comes in: proved on its gates.

A bit is constant if it has one value in all states that agree with what holds of the registers,
with any inputs: some registers are constant, as is seen without solving anything, and in small
cores those that no data reach keep the invariants of ``invariants.py``. A bit that is constant for
another reason is not found.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from cone import Cone, chosen
from fold import constants
from gates import FLATTEN, Gates, read_graph, simulate
from invariants import control, invariants
from mutants import READ, TOP, yosys
from pysat.solvers import Solver

from gatefold.sim.core_info import CoreInfo

__all__ = ["Bit", "constant_bits"]

Bit = tuple[str, str, int]  #: module without parameters, signal or word of a memory, and its bit
_CYCLES = 8000  # of the simulation in which invariants are looked for,
_SOLVER, _CONFLICTS = "glucose4", 1000  # a solver that can be told to stop
_MOST_CONTROL = 1000  # and bits of registers that no data reach: with more it takes minutes


def constant_bits(core: Path, wanted: Iterable[Bit], top: str = TOP, info: CoreInfo | None = None,
                  loads: list[list[int]] | None = None) -> dict[Bit, bool]:
    """Of the ``wanted`` bits of the core in the folder ``core``, from ``top`` on: whether they are
    constant in all instances of their module. Bits that Yosys does not know are left out, and
    those of memories that it drops.

    ``info``: of a core whose streams can be played, which is asked for invariants;
    ``loads``: the beats of loads of a loadable one.
    """
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        work = Path(temporary)
        for name in ("rtl", "weights"):
            shutil.copytree(core / name, work / name)
        yosys(READ.format(top=top) + "write_json plain.json\n", work)
        signals, words = _places(json.loads((work / "plain.json").read_text())["modules"], top,
                                 wanted)
        (work / "expose.ys").write_text("".join(f"expose {top}/w:{name}\n" for name in signals))
        before, after = FLATTEN.format(top=top).split("flatten\n")
        log = yosys(f"read_rtlil plain.il\n{before}flatten\nscript expose.ys\n{after}", work)
        if "did not match any object" in log:
            raise RuntimeError(f"Yosys does not find all signals of {core}")
        gates = read_graph(work)
        # Yosys writes no name of a bit that it has found constant.
        numbered = dict(zip(gates.outputs, gates.out.tolist(), strict=True))
        asked = {(name, bit): numbered.get((name, number), 0)
                 for name, bits in signals.items() for bit, number in bits}
        first = gates.first_register
        asked |= {(register[0], bit): 2 * (first + n)
                  for n, register in enumerate(gates.registers)
                  for bit, number in words.get(register[0], ()) if number == register[1]}
        still = unchanging(gates, set(asked.values()), info, loads, work)
    found: dict[Bit, bool] = {}
    for (_, bit), literal in asked.items():
        found[bit] = found.get(bit, True) and literal in still
    return found


def _places(modules: dict, top: str, wanted: Iterable[Bit]):
    """Where the wanted bits are in the flat core: by the name of a signal and by that of the word
    of a memory, the bits and their numbers there."""
    inputs = {name for name, port in modules[top]["ports"].items() if port["direction"] == "input"}
    inside: dict[str, list[tuple[str, dict]]] = defaultdict(list)
    for path, kind, module in _instances(modules, top):
        inside[kind].append((path, module))
    signals, words = defaultdict(list), defaultdict(list)
    for bit in wanted:
        kind, name, number = bit
        for path, module in inside[kind]:
            nets, memory = module["netnames"], name.partition("[")[0]
            if name in nets and (path or name not in inputs):
                signals[path + name].append((bit, number - nets[name].get("offset", 0)))
            elif memory in module.get("memories", {}):
                words[path + name].append((bit, number))
    return signals, words


def _instances(modules: dict, top: str, path: str = "") -> Iterator[tuple[str, str, dict]]:
    """Every instance of a module: its path, with a dot at the end; its module's name without
    parameters; and the module."""
    module = modules[top]
    yield path, re.sub(r"^\$paramod(\$[0-9a-f]+)?\\(\w+).*", r"\2", top), module
    for name, cell in module["cells"].items():
        if cell["type"] in modules:
            yield from _instances(modules, cell["type"], f"{path}{name}.")


def unchanging(gates: Gates, literals: set[int], info: CoreInfo | None,
               loads: list[list[int]] | None, work: Path) -> set[int]:
    """Those of the literals that have one value."""
    cone = Cone(gates)
    cone.clauses += [[-cone.register(register)] for register in constants(gates).tolist()]
    still = _one_valued(cone, literals)
    watched = control(gates)
    if info and still != literals and len(watched) <= _MOST_CONTROL:
        beats = {"s_axis": info.beats_in} | (
            {"s_load": info.load_beats} if info.load_beats else {})
        seen = simulate(gates, watched, [0], beats, _CYCLES, 1, work, loads)
        now = [cone.register(register) for register in watched.tolist()]
        cone.clauses += [chosen(now, fact) for fact in invariants(gates, seen, work)]
        still |= _one_valued(cone, literals - still)
    return still


def _one_valued(cone: Cone, literals: Iterable[int]) -> set[int]:
    """Those that have one value in all models of the clauses; each model shows of all literals a
    value that they can have. One that takes more than _CONFLICTS to decide counts as both."""
    places = list(literals)
    value = np.array([cone.literal(literal) for literal in places], np.int64)
    can = {sign: np.zeros(len(places), bool) for sign in (True, False)}
    still = np.ones(len(places), bool)
    still[[n for n, one in enumerate(value.tolist()) if abs(one) != 1]] = False
    with Solver(_SOLVER, bootstrap_with=cone.clauses) as solver:
        for n in np.flatnonzero(~still).tolist():
            never = False
            for sign in can:
                if can[sign][n]:
                    continue
                solver.conf_budget(_CONFLICTS)
                found = solver.solve_limited(assumptions=[int(value[n]) * (1 if sign else -1)])
                if found:
                    model = np.array([0, *(solver.get_model() or [])]) > 0
                    now = model[abs(value)] == (value > 0)
                    can[True] |= now
                    can[False] |= ~now
                else:
                    can[sign][n] = found is None  # too hard to decide
                    never |= found is False
            still[n] = never
    return {literal for literal, one in zip(places, still.tolist(), strict=True) if one}
