"""`gatefold build`: the files that it writes, the same bytes each time, and its refusals."""

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gatefold import __version__
from gatefold.gen.samples import EXTREMES, VECTORS
from tests.frontends.test_keras import layer, pack, unpack
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, contents, gatefold, refused

SHAPE = ("--units", 3, "--features", 2, "--timesteps", 2, "--pe", 4, "--simd", 2)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("build") / "core", MODEL, "--board", "zcu104",
                 "--macs", 16, "--calibrate", DATA)


# --- The files that it writes ---------------------------------------------------------------------

def test_the_folder_holds_what_the_contract_names(core):
    assert sorted(p.name for p in core.iterdir()) == [
        "cocotb", "core.json", "floats.npz", "gatefold.core", "integers.npz", "report.html",
        "report.json", "rtl", "vivado", "weights"]
    assert {p.name for p in (core / "vivado").iterdir()} == {
        "synth.tcl", "clock.xdc", "floorplan.tcl", "Makefile"}
    assert {"Makefile", "tb.v", "test_gatefold.py", "vectors.json"} <= {
        p.name for p in (core / "cocotb").iterdir()}


def test_without_a_board_there_are_no_vendor_files(tmp_path):
    assert not (built(tmp_path / "core", *SHAPE) / "vivado").exists()


def test_the_vectors_are_golden_on_the_calibration_data(core):
    with (core / "cocotb" / "vectors.json").open() as file:
        vectors = json.load(file)
    (part,) = json.loads((core / "core.json").read_text())["output"]["parts"]
    (frac,) = part["frac"]
    y = np.load(DATA)["y"][:VECTORS]  # frames of extreme inputs follow
    assert len(vectors["output"]) == VECTORS + EXTREMES
    floats = np.array(vectors["output"][:VECTORS]) * 2.0**-frac
    np.testing.assert_allclose(floats, y, atol=2e-3)


def test_the_same_input_gives_the_same_bytes(core, tmp_path):
    again = built(tmp_path / "another name", MODEL, "--board", "zcu104", "--macs", 16,
                  "--calibrate", DATA)
    assert contents(again) == contents(core)


def test_no_file_reveals_where_it_was_built(core):
    for name, data in contents(core).items():
        assert str(core).encode() not in data and str(FIXTURES).encode() not in data, name


def test_permissions_follow_the_umask(core):
    plain = os.umask(0)
    os.umask(plain)
    assert core.stat().st_mode & 0o777 == 0o777 & ~plain


def test_hostile_names_stay_in_the_report(tmp_path):
    core = built(tmp_path / "core", FIXTURES / "keras_functional.keras", "--board", "u280",
                 "--macs", 16)
    hostile = ["endmodule\nassign x = 'h0;", '"; rm -rf $HOME', "always", "reg [0:0]"]
    files = contents(core)
    layers = json.loads(files.pop("report.json"))["network"]["layers"]
    assert [layer["origin"] for layer in layers] == hostile
    page = files.pop("report.html")
    assert b"&quot;; rm -rf $HOME" in page and b'"; rm -rf $HOME' not in page
    for name, data in files.items():
        assert re.fullmatch(r"(\w+/)?\w+(\.\w+)?", name)
        for foreign in (b"rm -rf $HOME", b"assign x = 'h0", b"reg [0:0]"):
            assert foreign not in data, name


# --- The folders that it replaces -----------------------------------------------------------------

def test_an_earlier_output_is_replaced_as_a_whole(tmp_path):
    folder = built(tmp_path / "core", *SHAPE, "--board", "zcu104")
    (folder / "vivado" / "reports").mkdir()
    built(folder, *SHAPE)
    assert not (folder / "vivado").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["core"]


def test_an_empty_folder_is_taken_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    built(tmp_path / "empty", *SHAPE)
    built(tmp_path / "a" / "b" / "core", *SHAPE)


@pytest.mark.parametrize("failing", ["gatefold.gen.flow.write_weights",
                                     "gatefold.gen.flow.write_report"])
def test_a_failure_while_writing_leaves_the_old_files(tmp_path, monkeypatch, failing):
    folder = built(tmp_path / "core", *SHAPE)
    before = contents(tmp_path)

    def no_space(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(failing, no_space)
    assert refused("build", *SHAPE, "-o", folder) == "gatefold: error: No space left on device"
    refused("build", *SHAPE, "-o", tmp_path / "new" / "core")
    assert contents(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ["core"]


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("gatefold.gen.flow.write_weights", interrupt)
    result = gatefold("build", *SHAPE, "-o", tmp_path / "core")
    assert result.exit_code == 130
    assert not list(tmp_path.iterdir())


# --- Bad models -----------------------------------------------------------------------------------

def truncated() -> bytes:
    data = MODEL.read_bytes()
    return data[:len(data) // 2]


def random_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no model")
    return buffer.getvalue()


BAD_MODELS = {
    "empty": (b"", "is empty"),
    "text": (b"this is no model\n", ""),
    "truncated": (truncated(), "damaged or truncated"),
    "zip": (random_zip(), ""),
    "noise": (bytes(range(256)) * 20, ""),
    "pickle": (b"\x80\x04K\x01.", "pickle"),
    "array": (b"\x93NUMPY\x01\x00", "array"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_file_that_is_no_model_is_refused(tmp_path, name):
    data, message = BAD_MODELS[name]
    (tmp_path / "model.keras").write_bytes(data)
    line = refused("build", tmp_path / "model.keras", "-o", tmp_path / "core")
    assert "model.keras" in line and message in line
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("model, message", [("missing.keras", "no such file"), (".", "directory")])
def test_a_path_that_is_no_file_is_refused(tmp_path, model, message):
    assert message in refused("build", tmp_path / model, "-o", tmp_path / "core")
    assert not list(tmp_path.iterdir())


# --- Bad options ----------------------------------------------------------------------------------

def shape(**changes):
    sizes = {"units": 3, "features": 2, "timesteps": 2} | changes
    return [text for name, value in sizes.items() for text in (f"--{name}", value)]


BAD_OPTIONS = [
    ([MODEL, "--width", 3], "--width must be an integer in 4..18 bits or auto, not 3"),
    ([MODEL, "--width", 19], "4..18"),
    ([MODEL, "--width", "wide"], "--width must be an integer in 4..18 bits or auto, not 'wide'"),
    ([MODEL, "--weight-width", 0], "--weight-width must be an integer in 4..18 bits, not 0"),
    ([MODEL, "--act-width", -1], "4..18"),
    ([MODEL, "--cell-width", 64], "4..18"),
    ([MODEL, "--macs", 3], "--macs must be an integer in 4..16384 multipliers, not 3"),
    ([MODEL, "--macs", 257], "--macs must be at most 256 for a core without --board, not 257"),
    ([MODEL, "--board", "zcu104", "--macs", 1600], "at most 1536 for the zcu104"),
    ([MODEL, "--macs", 16, "--pe", 4], "--macs and --pe/--simd contradict"),
    ([MODEL, "--pe", 4], "--pe needs --simd"),
    ([MODEL, "--simd", 4], "--simd needs --pe"),
    ([MODEL, "--pe", 6, "--simd", 1], "--pe must be a multiple of 4 in 4..4096 rows, not 6"),
    ([MODEL, "--pe", 64, "--simd", 64], "--pe x --simd must be at most 256 for "),
    ([MODEL, "--pipeline", "deep"], "--pipeline must be one of full, short, not 'deep'"),
    ([MODEL, "--clock", 0.5], "--clock must be a number in 1..1000 MHz, not 0.5"),
    ([MODEL, "--clock", "nan"], "1..1000"),
    ([MODEL, "--board", "zcu999"], "--board must be one of zcu104, zcu102, kv260, u280, "
     "u55c, u50 or a file like my.toml, not 'zcu999'"),
    ([MODEL, "--board", "no.toml"], "the board file 'no.toml' cannot be read: No such file"),
    ([MODEL, "--board", "zcu104", "--clock", 900], "take --clock"),
    ([MODEL, "--board", "zcu104", "--dies", 2], "--dies must be at most 1 for the zcu104, not 2"),
    ([MODEL, "--seed", -1], "--seed must be"),
    ([MODEL, "--hop", 16], "--hop has nothing to reuse: l0_lstm depends on where its"),
    ([MODEL, "--units", 4], "MODEL and --units contradict each other"),
    ([MODEL, "--dense", 4], "MODEL and --dense contradict each other"),
    ([], "give MODEL, or --units"),
    (["--units", 4], "needs --features and --timesteps too"),
    ([*shape(), "--calibrate", DATA], "--calibrate and --units contradict"),
    (shape(units=0), "--units must be an integer in 1..4096, not 0"),
    (shape(units=10**9), "--units must be an integer in 1..4096, not 1000000000"),
    (shape(units="1e3"), "--units must be an integer"),
    (shape(features=0), "--features must be"),
    (shape(timesteps=0), "--timesteps must be"),
    (shape(layers=17), "--layers must be an integer in 1..16, not 17"),
    (shape(units=4096, layers=2), "do not fit"),
    (shape(units=256, timesteps=65536), "longest schedule"),
    ([MODEL, "--colour", "red"], "No such option"),
    ([MODEL, MODEL], "unexpected extra argument"),
]


@pytest.mark.parametrize("options, message", BAD_OPTIONS, ids=lambda value: str(value)[:60]
                         if isinstance(value, str) else "")
def test_wrong_options_are_refused_in_one_line(tmp_path, options, message):
    assert message in refused("build", *options, "-o", tmp_path / "core")
    assert not list(tmp_path.iterdir())


def test_the_output_folder_must_be_named():
    assert "-o DIR is missing" in refused("build", MODEL)


def some_file(place: Path):
    (place / "core").write_text("mine")


def some_folder(place: Path):
    (place / "core").mkdir()
    (place / "core" / "mine.txt").write_text("mine")


def another_core_json(place: Path):
    some_folder(place)
    (place / "core" / "core.json").write_text('{"cpu": "apple"}')


@pytest.mark.parametrize("prepare, message", [
    (some_file, "'core' is a file"),
    (some_folder, "not empty and not made by gatefold"),
    (another_core_json, "not empty and not made by gatefold")])
def test_foreign_files_are_not_replaced(tmp_path, prepare, message):
    prepare(tmp_path)
    before = contents(tmp_path)
    assert message in refused("build", *SHAPE, "-o", tmp_path / "core")
    assert contents(tmp_path) == before


def test_files_that_no_build_made_are_not_thrown_away(tmp_path):
    out = built(tmp_path / "core", *SHAPE)
    (out / "notes.txt").write_text("mine")
    assert "holds 'notes.txt', which no build made: move" in refused("build", *SHAPE, "-o", out)
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("option", ["model", "--calibrate"])
def test_input_files_are_not_replaced(tmp_path, option):
    out = built(tmp_path / "core", *SHAPE)
    inside = out / "weights" / (DATA if option == "--calibrate" else MODEL).name
    inside.write_bytes((DATA if option == "--calibrate" else MODEL).read_bytes())
    words = (inside,) if option == "model" else (MODEL, "--calibrate", inside)
    assert f"holds '{inside.name}'" in refused("build", *words, "-o", out, "--macs", 16)
    assert inside.exists()


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "is the working directory" in refused("build", *SHAPE, "-o", ".")


def test_a_file_in_place_of_a_parent_folder_is_refused(tmp_path):
    some_file(tmp_path)
    assert "'core' on the way to it is a file" in refused(
        "build", *SHAPE, "-o", tmp_path / "core" / "deeper" / "still")


# --- Bad calibration ------------------------------------------------------------------------------

X = np.zeros((2, 6, 3), np.float32)


def npy(array, **more) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **more)
    return buffer.getvalue()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def claiming(shape) -> bytes:
    """An .npy file whose header promises more than it holds."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + b"\0" * 64


BAD_ARRAYS = {
    "empty": (b"", "is empty"),
    "text": (b"1,2,3\n", "neither .npy nor .npz"),
    "truncated": (npy(X)[:-1], "truncated"),
    "header": (b"\x93NUMPY\x01\x00\x10\x00" + b"x" * 16, "damaged .npy header"),
    "nan": (npy(X * np.nan), "36 of 36 values are NaN or infinite"),
    "inf": (npy(X + np.inf), "NaN or infinite"),
    "shape": (npy(X[..., :2]), "(samples, 6, 3) or (6, 3), not (2, 6, 2)"),
    "no samples": (npy(X[:0]), "at least one sample"),
    "objects": (npy(np.array([{}, None]), allow_pickle=True), "must hold real numbers"),
    "text array": (npy(np.array(["a"])), "must hold real numbers"),
    "complex": (npy(X.astype(complex)), "must hold real numbers"),
    "absurd": (claiming((1 << 40, 6, 3)), "the limit is"),
    "overflowing": (claiming((1 << 62, 1 << 62, 3)), "the limit is"),
    "promising": (claiming((1000, 6, 3)), "truncated"),
    "zip": (random_zip(), "zip without arrays"),
    "npz nan": (npz(a=X * np.nan), "NaN"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_calibration_is_refused(tmp_path, name):
    data, message = BAD_ARRAYS[name]
    (tmp_path / "x.npz").write_bytes(data)
    assert message in refused("build", MODEL, "--calibrate", tmp_path / "x.npz",
                           "-o", tmp_path / "core")
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("name, message", [("missing.npz", "does not exist"), (".", "directory")])
def test_calibration_that_is_no_file_is_refused(tmp_path, name, message):
    assert message in refused("build", MODEL, "--calibrate", tmp_path / name,
                              "-o", tmp_path / "core")


# --- As a program ---------------------------------------------------------------------------------

PROGRAM = [sys.executable, "-c", "from gatefold.gen.cli import main; main()"]


def program(*args, **more):
    return subprocess.run([*PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=100,
                          **more)


def test_help_and_version_are_quick_and_import_nothing_heavy():
    code = ("import sys, gatefold, gatefold.gen.cli; "
            "print([m for m in ('numpy', 'amaranth', 'rich', 'h5py', 'onnx') if m in sys.modules])")
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        assert program("--version").stdout == f"gatefold {__version__}\n"
        best = min(best, time.perf_counter() - started)
    assert best < 3.0  # 0.15 s on a quiet machine


@pytest.mark.parametrize("args, code", [
    (["--help"], 0), (["build", "--help"], 0), (["nonsense"], 2), ([], 2),
    (["build", "missing.keras", "-o", "out"], 2), (["run", "missing"], 2)])
def test_exit_codes(tmp_path, args, code):
    done = program(*args, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0,
                    reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    assert "Permission denied" in refused("build", *SHAPE, "-o", tmp_path / "core")


def test_nothing_can_be_written_to_a_file_system_without_files():
    assert refused("build", *SHAPE, "-o", "/proc/core").startswith("gatefold: error: ")


def test_an_end_of_the_reader_is_no_error(core):
    done = subprocess.run(["bash", "-c", f'"$@" report "{core}" | head -c 1 >/dev/null; '
                                         'echo "${PIPESTATUS[0]}"', "bash", *PROGRAM],
                          capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and done.stdout.strip() in ("0", "141")


# --- open timesteps


@pytest.fixture
def open_model(tmp_path):
    """The model with an open time axis."""
    config, weights = unpack("keras_last.keras")
    layer(config, "InputLayer")["config"].update(name="x", batch_shape=[None, None, 3])
    return pack(tmp_path / "open.keras", config, weights)


@pytest.mark.parametrize("option", [("--timesteps", 6), ("--set", "x:1=6")])
def test_a_model_with_open_timesteps_is_the_one_with_fixed_ones(open_model, tmp_path, option):
    core = built(tmp_path / "core", open_model, *option)
    whole = built(tmp_path / "whole", MODEL)
    for name in ("rtl", "weights"):
        assert contents(core / name) == contents(whole / name)
    assert gatefold("weights", open_model, core, *option).exit_code == 0


@pytest.mark.parametrize(("more", "words"), [
    ([], "the number of timesteps is not fixed (shape (x:1, 3)): give it with --timesteps T"),
    (["--timesteps", 0], "--timesteps must be an integer in 1..65536, not 0"),
    (["--set", "y=3"], "--set: 'y' is no open dimension of the model: its open dimensions are x:1"),
    (["--set", "x:1"], "--set must be NAME=VALUE"),
    (["--units", 4], "MODEL and --units contradict each other"),
])
def test_open_timesteps_are_refused(open_model, tmp_path, more, words):
    assert words in refused("build", open_model, *more, "-o", tmp_path / "core")
    assert not (tmp_path / "core").exists()


def test_timesteps_that_contradict_the_file_or_miss_it_are_refused(tmp_path):
    core = ("-o", tmp_path / "core")
    text = refused("build", MODEL, "--timesteps", 9, *core)
    assert "--timesteps is 9, but the file fixes the shape of its input to (6, 3)" in text
    text = refused("build", "--units", 4, "--features", 2, "--timesteps", 3, "--set", "t=3", *core)
    assert "--set fixes an open dimension of MODEL: name its file too" in text


def test_quiet_and_verbose_and_errors_as_json(tmp_path):
    quiet = gatefold("build", MODEL, "-o", tmp_path / "a", "--pe", 4, "--simd", 4, "-q")
    assert quiet.exit_code == 0 and quiet.stderr == ""
    loud = gatefold("build", MODEL, "-o", tmp_path / "b", "--pe", 4, "--simd", 4, "--verbose")
    assert [line.split(" s  ")[1] for line in loud.stderr.splitlines()] == [
        "quantising", "planning", "measuring the error against float", "writing Verilog",
        "writing weights and test benches"]
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    told = gatefold("build", MODEL, "--pe", 3, "--json")
    assert json.loads(told.stderr) == {"error": told.stderr and json.loads(told.stderr)["error"],
                                       "kind": "error", "exit_code": 2}
    assert "--pe must be" in json.loads(told.stderr)["error"]
    report = json.loads(gatefold("report", tmp_path / "a", "--json").stdout)
    assert report == json.loads((tmp_path / "a" / "report.json").read_text())
    assert report["files"].keys() >= {"core.json", "integers.npz", "rtl/gatefold.v"}


def test_a_changed_file_is_refused(tmp_path):
    folder = built(tmp_path / "core", MODEL, "--pe", 4, "--simd", 4)
    (folder / "rtl" / "gatefold.v").write_text("// mine")
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 3)))
    for words in (("run", folder, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy"),
                  ("report", folder), ("verify", folder)):
        assert "gatefold.v' is damaged or changed" in refused(*words)
