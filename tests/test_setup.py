"""The files behind `make setup`: pinned packages, the type checker's links, the entry of CI."""

import importlib.metadata
import os
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEVELOPMENT = "gatefold[dev]"


def pins(lines) -> dict[str, str]:
    """name -> version of lines like ``name==1.2``."""
    found = (re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line.strip()) for line in lines)
    return {canonicalize_name(m[1]): m[2] for m in found if m}


LOCK = pins((ROOT / "requirements.lock").read_text().splitlines())


def asked_by(name: str, extras: set[str]) -> list[Requirement]:
    """What the package ``name`` requires here, those of ``extras`` included."""
    if name == "gatefold":
        project = PROJECT["project"]
        lines = [*project["dependencies"],
                 *(line for extra in extras for line in project["optional-dependencies"][extra])]
    else:
        lines = importlib.metadata.requires(name) or []
    return [needed for needed in map(Requirement, lines) if needed.marker is None
            or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""})]


def test_the_lock_holds_what_the_project_needs_and_nothing_else():
    waiting = [Requirement(DEVELOPMENT), *map(Requirement, PROJECT["build-system"]["requires"])]
    seen, followed = set(), set()
    while waiting:
        needed = waiting.pop()
        name, key = canonicalize_name(needed.name), (needed.name, frozenset(needed.extras))
        if name != "gatefold":
            assert name in LOCK, f"requirements.lock lacks {needed}"
            assert needed.specifier.contains(LOCK[name]), f"{needed}, but the lock has {LOCK[name]}"
            seen.add(name)
        if key not in followed:
            followed.add(key)
            waiting += asked_by(name, set(needed.extras))
    assert seen == set(LOCK)


def test_the_project_asks_for_ranges():
    project = PROJECT["project"]
    lines = [*project["dependencies"], *PROJECT["build-system"]["requires"],
             *(line for extra in project["optional-dependencies"].values() for line in extra)]
    pinned = [line for line in lines if Requirement(line).name != "gatefold"
              and not str(Requirement(line).specifier).count(">=")]
    assert not pinned


def test_the_lock_pins_and_names_no_host():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    assert len(pins(named)) == len(named)
    assert not [line for line in lines if "://" in line or line.startswith("-")]


@pytest.mark.parametrize("part", ["hdl", "gen", "sim", "boards"])
def test_the_type_checker_sees_the_packages(part):
    link = ROOT / "typings/gatefold" / part
    assert link.is_symlink() and link.resolve() == ROOT / part
    assert f"typings/gatefold/{part}" in PROJECT["tool"]["pyright"]["include"]


@pytest.mark.parametrize("script", [".ci/run", "tools/setup.sh"])
def test_scripts_can_be_executed(script):
    assert os.access(ROOT / script, os.X_OK)
