"""The legal imports of every module: read from the source, nothing is run."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.places import ROOT

PARTS = ("hdl", "gen", "sim", "boards")

#: From the bottom up: a room imports itself and rooms before it, never one after it.
ROOMS = ("hdl", "gen.errors", "boards", "gen.legal", "gen.options", "gen.files", "gen.network",
         "gen.frontends", "gen.cut", "gen.numbers", "gen.plan", "gen.verilog", "gen.store",
         "gen.host", "sim",
         "gen.measure", "gen.html", "gen.synth", "gen.report", "gen.rare", "gen.check",
         "gen.limits", "gen.planning", "gen.samples", "gen.flow",
         "gen.weights", "gen.explore", "gen.inspect", "gen.cli")

#: Names of hdl that state cycles, and the modules outside hdl that may import them.
CYCLES = {"MacArray", "MacRow", "OperandMemory", "RowRouter", "LaneArray", "Lane", "StateLane",
          "LstmLane", "GruLane", "MergeLane", "DenseLane", "TanhTable", "Gearbox", "GearboxModel",
          "FrameReader", "FrameWriter", "activation_latency", "early_latency", "late_latency",
          "state_latency", "lanes_of"}
MAY_COUNT = ("gen.plan.latency", "gen.plan.cycles")


def module_name(path: Path) -> str:
    """``gen.plan.rows`` of gen/plan/rows.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(*folders: str) -> list[Path]:
    """Every module in these folders; the driver's examples are files for users."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
            if "examples" not in path.parts]


@cache
def imports(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """(module, names) of every import."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or ".", tuple(alias.name for alias in node.names)))
    return found


def ours(path: Path):
    """Imports of Gatefold's own modules, without the package's name: (``gen.plan``, names)."""
    for module, names in imports(path):
        if module == "gatefold":
            yield from ((name, ()) for name in names if name in PARTS)
        elif module.startswith("gatefold."):
            yield module.removeprefix("gatefold."), names


def within(module: str, packages) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def by_name(paths):
    return [pytest.param(path, id=module_name(path)) for path in paths]


def room(module: str) -> int:
    """The place in :data:`ROOMS` of a module's room."""
    return next(n for n, name in enumerate(ROOMS) if within(module, (name,)))


@pytest.mark.parametrize("path", by_name(path for path in sources(*PARTS)
                                         if module_name(path) != "gen"))
def test_a_room_imports_only_rooms_before_it(path):
    name = module_name(path)
    wrong = [module for module, _ in ours(path) if room(module) > room(name)]
    assert not wrong, f"{name} must import only {', '.join(ROOMS[:room(name) + 1])}, not {wrong}"


def test_no_module_imports_itself_in_the_end():
    modules = {module_name(path): path for path in sources(*PARTS)}
    TopologicalSorter({
        name: {part if (part := f"{module}.{imported}") in modules else module
               for module, names in ours(path) for imported in names or ("",)}
        for name, path in modules.items()}).prepare()  # raises at a circle


def test_a_room_says_what_it_is_for():
    for path in sources(*PARTS):
        assert path.name != "__init__.py" or len(ast.get_docstring(ast.parse(path.read_text()))
                                                 or "") > 30, path


@pytest.mark.parametrize("path", by_name(sources(*PARTS, "src", "tests", "tools", "bench")))
def test_no_bare_imports(path):
    wrong = [module for module, _ in imports(path) if within(module, PARTS)]
    assert not wrong, f"import gatefold.{wrong[0]}, not {wrong[0]}"


@pytest.mark.parametrize("path", by_name(sources("hdl")))
def test_hdl_needs_amaranth_and_no_float(path):
    tops = {module.split(".")[0] for module, _ in imports(path)}
    assert tops <= {"__future__", "amaranth", "collections", "dataclasses", "enum", "functools",
                    "gatefold", "math", "zlib"}, tops
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
        assert not (isinstance(node, ast.Name) and node.id == "float")


#: The modules of golden, and all that they may import.
GOLDEN = ("golden", "layers", "cells", "int8", "scalars")
KNOWN = {"__future__", "collections.abc", "dataclasses", "numpy",
         "gatefold.gen.errors",
         "gatefold.gen.network.graph", "gatefold.gen.network.layers",
         "gatefold.gen.numbers.int8_table", "gatefold.gen.numbers.qformat",
         "gatefold.gen.numbers.quantized", "gatefold.gen.numbers.tables", "gatefold.sim.cells",
         "gatefold.sim.int8", "gatefold.sim.layers", "gatefold.sim.scalars"}


@pytest.mark.parametrize("part", GOLDEN)
def test_golden_knows_integers_and_numpy_only(part):
    modules = {module for module, _ in imports(ROOT / "sim" / f"{part}.py")}
    assert modules <= KNOWN


@pytest.mark.parametrize("path", by_name(sources("gen", "sim", "boards")))
def test_only_the_plan_asks_for_latencies(path):
    name = module_name(path)
    asked = {n for module, names in ours(path) if within(module, ("hdl",)) for n in names} & CYCLES
    assert not asked or name in MAY_COUNT, f"{name} takes {asked} of hdl: ask the plan instead"


def test_the_names_that_state_cycles_exist():
    trees = [ast.parse(path.read_text()) for path in sources("hdl")]
    defined = {node.name for tree in trees for node in ast.walk(tree)
               if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert defined >= CYCLES, f"gone from hdl: {CYCLES - defined}"


@pytest.mark.parametrize("path", by_name(sources("gen/frontends")))
def test_frontends_know_networks_only(path):
    wrong = [module for module, _ in ours(path)
             if within(module, ("gen.plan", "gen.numbers", "hdl"))]
    assert not wrong


def test_every_module_is_seen():
    assert len(sources(*PARTS)) > 50
    assert module_name(ROOT / "gen" / "plan" / "__init__.py") == "gen.plan"
    assert ("hdl.config", ("EngineConfig",)) in list(ours(ROOT / "gen" / "plan" / "bounds.py"))
