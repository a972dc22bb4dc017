"""`gatefold explore`: its output, the files that it writes, and its refusals."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys

import pytest

import gatefold as gf
from gatefold.gen.cli.explore import explore as command
from gatefold.gen.explore import GOALS
from tests.frontends.test_cut import CASES, onnx_file
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, contents, gatefold, refused

QUICK = ("--board", "zcu104", "--calibrate", DATA, "--widths", "8,16", "--sizes", 2, "--shapes", 2,
         "--jobs", 1)


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """(its output, the folder)."""
    folder = tmp_path_factory.mktemp("explore") / "space"
    result = gatefold("explore", MODEL, "-o", folder, *QUICK)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines(), folder


def test_it_prints_the_best_and_how_to_get_it(explored):
    lines, folder = explored
    assert len(lines) == 4
    assert lines[0].endswith(f" fit: {folder}/explore.md")
    assert lines[1].startswith("best by latency: ") and "% of the range" in lines[1]
    assert lines[2].startswith("it takes about ") and "energy proxy" in lines[2]
    assert lines[3].startswith(f"gatefold build {MODEL} -o core --board zcu104 --calibrate {DATA}")


@pytest.mark.parametrize(("goal", "more"), [(goal, ()) for goal in GOALS] + [
    ("throughput", ("--contexts", 2, "--clock", 200, "--fresh"))])  # the clock decides registers
def test_the_printed_command_builds_the_best(explored, tmp_path, goal, more):
    folder = shutil.copytree(explored[1], tmp_path / "space")
    result = gatefold("explore", MODEL, "-o", folder, *QUICK, "--goal", goal, *more)
    words = shlex.split(result.stdout.splitlines()[-1])
    assert words[:2] == ["gatefold", "build"]
    words[words.index("core")] = tmp_path / "core"
    assert gatefold(*words[1:]).exit_code == 0
    report = json.loads((tmp_path / "core" / "report.json").read_text())
    space = json.loads((folder / "explore.json").read_text())
    point = space["points"][space["best"][goal]["point"]]
    assert report["cycles"]["latency"] == point["latency"]
    assert report["latency_us"] == point["latency_us"]
    assert {key: report["resources"][key] for key in ("lut", "ff", "dsp", "bram36", "uram")} == {
        key: point[key] for key in ("lut", "ff", "dsp", "bram36", "uram")}
    assert 100 * report["numbers"]["error"]["rms_relative"] == point["error"]


def test_no_file_reveals_where_it_was_made_or_the_names_of_layers(tmp_path):
    folder = tmp_path / "space"
    gatefold("explore", FIXTURES / "keras_functional.keras", "-o", folder, "--widths", 16,
             "--sizes", 1, "--shapes", 1, "--jobs", 1)
    for name, data in contents(folder).items():
        assert str(tmp_path).encode() not in data and str(FIXTURES).encode() not in data, name
        if name != "explore.json":
            assert b"rm -rf" not in data, name


def test_python_finds_the_same(explored, tmp_path):
    from gatefold.gen.files.arrays import read_array

    gf.explore(gf.load(MODEL), out=tmp_path / "space", board="zcu104", calibrate=read_array(DATA),
               widths=(8, 16), sizes=2, shapes=2)
    assert contents(tmp_path / "space") == contents(explored[1])


def test_a_limit_that_no_core_keeps_is_reported(explored, tmp_path):
    folder = shutil.copytree(explored[1], tmp_path / "space")
    result = gatefold("explore", MODEL, "-o", folder, *QUICK, "--max-latency", "0.001")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("no core fits within the limits: see why")


def test_the_help_names_the_goals():
    (option,) = [p for p in command.params if p.name == "goal"]
    assert option.metavar == "|".join(GOALS)


def test_a_terminal_sees_progress_and_the_time_left(tmp_path):
    ours, theirs = pty.openpty()
    code = "from gatefold.gen.cli import main; main()"
    words = [sys.executable, "-c", code, "explore", MODEL, "-o", tmp_path / "space", *QUICK]
    with subprocess.Popen([str(word) for word in words], stderr=theirs, stdout=subprocess.DEVNULL,
                          env=os.environ | {"TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(ours)
    assert b"arrays" in shown and b"left" in shown and b"0:00:0" in shown


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "message"), [
    ((), "-o DIR is missing"),
    (("-o", "out", "--widths", "8;9"), "--widths must be numbers of bits like 8,12,16, not '8;9'"),
    (("-o", "out", "--widths", "8,33"), "each of --widths must be an integer in 4..18"),
    (("-o", "out", "--contexts", "many"), "--contexts must be numbers of sequences"),
    (("-o", "out", "--goal", "cheap"), "--goal must be one of latency, throughput, area, energy-"),
    (("-o", "out", "--sizes", "x"), "--sizes must be an integer in 1..12, not 'x'"),
    (("-o", "out", "--jobs", "0"), "--jobs must be an integer in 1..256, not 0"),
    (("-o", "out", "--max-error", "-1"), "--max-error must be a part of the outputs' range like"),
    (("-o", "out", "--board", "basys"), "--board must be one of zcu104, zcu102"),
    (("-o", "out", "--macs", "4096"), "--macs must be at most 256 for a core without --board"),
    (("-o", "out", "--dask", "here"), "--dask must be a scheduler's address"),
    (("-o", "out", "--dask", "tcp://h:1", "--jobs", "2"), "--jobs and --dask contradict"),
    (("-o", "out", "--place"), "No such option"),
    (("-o", MODEL,), "is a file"),
    (("-o", "out", "--calibrate", "no.npz"), "does not exist"),
], ids=lambda value: " ".join(map(str, value[2:4])) if isinstance(value, tuple) else "")
def test_wrong_options(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("explore", MODEL, *words)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_model_is_refused(tmp_path):
    assert "no such file" in refused("explore", tmp_path / "no.keras", "-o", tmp_path / "space")
    assert not list(tmp_path.iterdir())


def test_a_core_is_not_overwritten(tmp_path):
    core = built(tmp_path / "core", MODEL, "--pe", 4, "--simd", 1)
    before = contents(core)
    assert "holds a core" in refused("explore", MODEL, "-o", core, *QUICK)
    assert contents(core) == before


def test_an_exploration_is_not_overwritten(explored):
    before = contents(explored[1])
    assert "not made by gatefold" in refused("build", MODEL, "-o", explored[1])
    assert contents(explored[1]) == before


def test_a_model_that_is_cut_is_explored(tmp_path):
    nodes, shape, integers, _, _ = CASES["normalised behind"]
    model = onnx_file(tmp_path, nodes, shape, integers)
    result = gatefold("explore", model, "--cut", "auto", "-o", tmp_path / "space", "--board",
                      "zcu104", "--widths", 16, "--sizes", 1, "--shapes", 1, "--jobs", 1)
    assert result.exit_code == 0, result.stderr
    words = shlex.split(result.stdout.splitlines()[-1])
    assert words[:2] == ["gatefold", "build"] and words[-2:] == ["--cut", "auto"]
    words[words.index("core")] = tmp_path / "core"
    assert gatefold(*words[1:]).exit_code == 0
    space = json.loads((tmp_path / "space" / "explore.json").read_text())
    report = json.loads((tmp_path / "core" / "report.json").read_text())
    point = space["points"][space["best"]["latency"]["point"]]
    assert report["cycles"]["latency"] == point["latency"]
    assert 100 * report["numbers"]["error"]["rms_relative"] == point["error"]
