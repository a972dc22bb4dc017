"""Verilator's runtime is compiled once, and not at all where it was kept."""

from pathlib import Path

import pytest

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


def test_the_second_build_takes_the_runtime_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, compiled = _built(tmp_path / "first", 1)
    second, taken = _built(tmp_path / "second", 2)
    assert (first, second) == ("4", "5")
    assert "verilated.cpp" in compiled
    assert "verilated.cpp" not in taken
    assert "Vdrive__ALL.cpp" in taken


def test_a_cache_that_cannot_be_used_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where a folder is needed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    printed, _ = _built(tmp_path / "core", 1)
    assert printed == "4"
    assert (tmp_path / "cache").read_text() == "a file where a folder is needed"


def test_a_damaged_object_is_compiled_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _built(tmp_path / "first", 1)
    (kept,) = (tmp_path / "cache").rglob("verilated.o")
    kept.write_bytes(b"")
    assert _built(tmp_path / "second", 2)[0] == "5"
    assert kept.stat().st_size > 0


def test_other_flags_have_objects_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _built(tmp_path / "first", 1)
    monkeypatch.setenv("CXXFLAGS", "-DANYTHING")
    assert "verilated.cpp" in _built(tmp_path / "second", 2)[1]
