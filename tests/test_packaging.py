"""The package list, the pinned versions and the directions of imports, against the disk."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
HOMES = SETUPTOOLS["package-dir"]
FOLDERS = ("hdl", "gen", "sim", "boards")


def folder_of(package: str) -> Path:
    """Where a package's modules lie, by the nearest mapped parent."""
    parts = package.split(".")
    for n in range(len(parts), 0, -1):
        home = HOMES.get(".".join(parts[:n]))
        if home is not None:
            return ROOT.joinpath(home, *parts[n:])
    raise AssertionError(f"{package} has no home")


def pins(lines) -> dict[str, str]:
    """name -> version of lines like ``name==1.2``."""
    found = (re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line.strip()) for line in lines)
    return {re.sub(r"[-_.]+", "-", m[1]).lower(): m[2] for m in found if m}


def test_every_package_is_listed():
    on_disk = {"gatefold"} | {
        ".".join(("gatefold", *path.parent.relative_to(ROOT).parts))
        for top in FOLDERS for path in (ROOT / top).rglob("__init__.py")}
    assert set(SETUPTOOLS["packages"]) == on_disk


def test_every_data_file_is_listed():
    listed = {path for package, patterns in SETUPTOOLS["package-data"].items()
              for pattern in patterns for path in folder_of(package).glob(pattern)}
    missing = {path for top in FOLDERS for path in (ROOT / top).rglob("*")
               if path.is_file() and path.suffix not in (".py", ".pyc") and path not in listed}
    assert not missing


def test_links_for_the_type_checker():
    assert {path.name for path in (ROOT / "typings/gatefold").iterdir()} == {
        *FOLDERS, "__init__.py"}
    for top in FOLDERS:
        assert (ROOT / "typings/gatefold" / top).resolve() == ROOT / top


def test_the_lock_holds_what_the_project_asks_for():
    project = PROJECT["project"]
    asked = pins([*project["dependencies"], *project["optional-dependencies"]["dev"],
                  *PROJECT["build-system"]["requires"]])
    text = (ROOT / "requirements.lock").read_text()
    locked = pins(text.splitlines())
    assert len(asked) == 1 + len(project["dependencies"]) + len(
        project["optional-dependencies"]["dev"]), "every dependency is pinned with =="
    assert asked.items() <= locked.items()
    assert "://" not in text


# ---- who may import whom -----------------------------------------------------------------------


def imports(path: Path) -> set[str]:
    """Absolute names of the gatefold modules that a file imports, in functions too."""
    here = ["gatefold", *path.relative_to(ROOT).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) - node.level] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def modules(*places: str) -> list[Path]:
    paths = []
    for place in places:
        target = ROOT / place
        paths += sorted(target.rglob("*.py")) if target.is_dir() else [target]
    return [path for path in paths if "bench" not in path.parts]


FORBIDDEN = [
    # (who, never imports, because)
    (("hdl",), ("gatefold.gen", "gatefold.sim", "gatefold.boards"), "hdl knows hardware only"),
    (("hdl",), ("numpy", "onnx", "h5py"), "no float and no file format below the quantiser"),
    (("sim/golden.py",), ("gatefold.hdl", "amaranth"), "golden is independent of the hardware"),
    (("gen/frontends", "gen/network.py", "gen/forward.py", "gen/quantize.py"),
     ("gatefold.hdl", "gatefold.sim", "gatefold.boards", "amaranth"), "floats know no hardware"),
    (("gen/plan",), ("gatefold.sim", "gatefold.boards", "gatefold.gen.frontends", "amaranth"),
     "the plan knows no simulator, no board and no file"),
    (("boards",), ("gatefold.sim", "gatefold.gen.frontends", "amaranth.sim"), "boards are data"),
    (("hdl", "gen", "sim", "boards"),
     ("tensorflow", "keras", "torch", "onnxruntime", "pickle"), "no framework, no pickle"),
    (("hdl", "gen", "sim", "boards"), FOLDERS, "the packages are called gatefold.*"),
]


@pytest.mark.parametrize(("who", "never", "because"), FORBIDDEN,
                         ids=[row[2].replace(" ", "-") for row in FORBIDDEN])
def test_import_directions(who, never, because):
    broken = [f"{path.relative_to(ROOT)} imports {name}"
              for path in modules(*who) for name in sorted(imports(path))
              if any(name == other or name.startswith(f"{other}.") for other in never)]
    assert not broken, because


def test_no_float_in_hardware():
    floats = [f"{path.relative_to(ROOT)}:{node.lineno}" for path in modules("hdl")
              for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    assert not floats
