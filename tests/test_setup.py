"""What `make setup` relies on: pinned packages, the type checker's links, the entry of CI."""

import os
import re
import tomllib

import pytest

from tests.support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lines) -> dict[str, str]:
    """name -> version of lines like ``name==1.2``."""
    found = (re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line.strip()) for line in lines)
    return {re.sub(r"[-_.]+", "-", m[1]).lower(): m[2] for m in found if m}


def test_the_lock_holds_what_the_project_asks_for():
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"],
              *PROJECT["build-system"]["requires"]]
    asked = pins(wanted)
    assert len(asked) == len(wanted), "every dependency is pinned with =="
    assert asked.items() <= pins((ROOT / "requirements.lock").read_text().splitlines()).items()


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
