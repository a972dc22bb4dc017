"""What is installed: the packages listed are those on disk, with their data, in a wheel as well."""

import importlib
import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

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


def can_build() -> bool:
    """Whether a wheel can be built without a network: the backend that pyproject.toml names."""
    try:
        have = importlib.metadata.version("setuptools")
        importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return PROJECT["build-system"]["requires"] == [f"setuptools=={have}"]


@pytest.mark.skipif(not can_build(), reason="setuptools of pyproject.toml is not installed")
def test_a_wheel_works(tmp_path):
    source, out, site = tmp_path / "source", tmp_path / "wheel", tmp_path / "site"
    for folder in FOLDERS.values():
        shutil.copytree(folder, source / folder.relative_to(ROOT),
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation",
                    "--no-deps", "--no-index", "--wheel-dir", out, source], check=True, timeout=120,
                   capture_output=True)
    (wheel,) = out.glob(f"gatefold-{gatefold.__version__}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(site)
    for package, path in data_files():
        assert f"{package.replace('.', '/')}/{path}" in names
    for package, folder in packages_on_disk().items():
        for module in folder.glob("*.py"):
            assert f"{package.replace('.', '/')}/{module.name}" in names
    # From the wheel, not from the tree: without the editable install's finder.
    code = (f"import sys; sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in "
            f"str(getattr(f, '__module__', ''))]; sys.path.insert(0, {str(site)!r}); "
            f"import gatefold.gen.plan, gatefold.sim.verify, gatefold.boards; "
            f"print(gatefold.__file__, gatefold.gen.plan.__file__)")
    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path,
                          capture_output=True, text=True).stdout
    assert all(Path(path).is_relative_to(site) for path in told.split())
