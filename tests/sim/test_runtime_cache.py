"""Verilator's runtime is compiled once, and not at all where it was kept."""

import os
import shutil
from pathlib import Path

import pytest

from gatefold.sim import simulators
from gatefold.sim.runtime_cache import Runtime
from gatefold.sim.simulators import build, command, missing

pytestmark = pytest.mark.skipif(missing("verilator") is not None, reason=str(missing("verilator")))

_MAIN = """\
#include <cstdio>
#include "Vdrive.h"
int main() { Vdrive drive; drive.a = 3; drive.eval(); std::printf("%d\\n", drive.y); return 0; }
"""


def _built(folder: Path, added: int) -> tuple[str, str]:
    """What a program that adds ``added`` to 3 prints, and the log of its compilation."""
    folder.mkdir()
    (folder / "main.cpp").write_text(_MAIN)
    (folder / "drive.v").write_text(
        f"module drive(input [7:0] a, output [7:0] y); assign y = a + {added}; endmodule\n")
    program = build("verilator", folder, [folder / "drive.v"])
    log = (folder / "command.log").read_text()
    return command(program, cwd=folder, timeout=60, label="it runs").strip(), log


@pytest.fixture(scope="module", autouse=True)
def quickly():
    """The runtime is not optimised: that takes half the time of its compilation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulators, "_WHEEL_MAKEFLAGS",
                      f"{simulators._WHEEL_MAKEFLAGS} OPT_GLOBAL=-O0")
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Path, Path, str]:
    """The cache folder, the folder of a first build, which found it empty, and the build's log."""
    folder = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        printed, log = _built(folder / "first", 1)
    assert printed == "4"
    return folder / "cache", folder / "first" / "obj_dir", log


def test_the_second_build_takes_the_runtime_of_the_first(kept, tmp_path, monkeypatch):
    cache, _, compiled = kept
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    printed, taken = _built(tmp_path / "second", 2)
    assert printed == "5"
    assert "verilated.cpp" in compiled
    assert "verilated.cpp" not in taken
    assert "Vdrive__ALL.cpp" in taken


def test_a_damaged_object_is_compiled_again(kept, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    shutil.copytree(kept[0], cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (damaged,) = cache.rglob("verilated.o")
    damaged.write_bytes(b"")
    assert _built(tmp_path / "third", 2)[0] == "5"
    assert damaged.stat().st_size > 0


def test_a_cache_that_cannot_be_used_is_done_without(kept, tmp_path):
    made = shutil.copytree(kept[1], tmp_path / "made", symlinks=True)
    (tmp_path / "cache").write_text("a file where a folder is needed")
    runtime = Runtime(made, os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    runtime.keep()
    runtime.place()
    assert not runtime.placed and not runtime.forget()
    assert (tmp_path / "cache").read_text() == "a file where a folder is needed"


@pytest.mark.parametrize("flag", ["CXX", "CXXFLAGS", "CPPFLAGS", "MAKEFLAGS"])
def test_other_flags_have_objects_of_their_own(kept, flag):
    cache, made, _ = kept
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    runtime = Runtime(made, environment | {flag: "-DANYTHING"})
    assert runtime.kept is not None and not runtime.kept.exists()
    runtime.place()
    assert not runtime.placed
