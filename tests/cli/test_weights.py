"""`gatefold weights`: another training of the same shape goes into a core, nothing else does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.sim import simulators
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, contents, gatefold, refused
from tests.support.tflite_files import patched, path, places

SAME_SHAPE = FIXTURES / "tf_keras_last.keras"  # LSTM 7 on (6, 3), Dense 2: other weights
CHANGES = ("weights/", "cocotb/vectors.json", "integers.npz", "floats.npz", "report.json",
           "report.html")


@pytest.fixture(scope="module")
def shape(tmp_path_factory):
    """A core without a model."""
    return built(tmp_path_factory.mktemp("weights") / "core", "--units", 7, "--features", 3,
                 "--timesteps", 6, "--dense", 2, "--pe", 8, "--simd", 2)


@pytest.fixture
def core(shape, tmp_path):
    return shutil.copytree(shape, tmp_path / "core")


@pytest.mark.parametrize("model", [MODEL, SAME_SHAPE], ids=lambda p: p.name)
def test_a_core_without_a_model_takes_any_of_its_shape(core, tmp_path, model):
    before = contents(core)
    result = gatefold("weights", model, core, "--input", DATA)
    assert result.exit_code == 0, result.stderr
    after = contents(core)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert {"weights/weights_000.hex", "weights/bias_00.hex", *CHANGES[1:]} <= changed
    assert all(name.startswith(CHANGES) for name in changed)

    assert gatefold("run", core, "--input", DATA, "-o", tmp_path / "y.npy").exit_code == 0
    want = forward(load(model), np.load(DATA)["x"])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), want, atol=5e-3)


@pytest.mark.skipif(simulators.missing("icarus") is not None, reason="icarus is missing")
def test_the_verilog_computes_with_the_new_weights(core):
    gatefold("verify", core, "--sim", "icarus", "--samples", 1)
    gatefold("weights", MODEL, core)
    assert json.loads((core / "report.json").read_text())["verified"] == []
    assert gatefold("verify", core, "--sim", "icarus", "--samples", 1).exit_code == 0


def test_the_report_describes_the_new_model(core):
    gatefold("weights", MODEL, core, "--input", DATA)
    report = json.loads((core / "report.json").read_text())
    assert report["input_hash"] == load(MODEL).source["sha256"]
    assert report["network"]["source"]["sha256"] == report["input_hash"]
    assert report["numbers"]["calibration"]["source"] == "none: formats for any weights"
    assert report["numbers"]["error"]["data"] == "4 samples of the given data"


def test_a_training_back_and_forth_gives_the_same_bytes(core):
    gatefold("weights", MODEL, core)
    before = contents(core)
    gatefold("weights", SAME_SHAPE, core)
    gatefold("weights", MODEL, core)
    assert contents(core) == before


REFUSED = [
    ("keras_stack.keras", "rebuild the core with this model"),
    ("keras_flatten.keras", "rebuild the core with this model"),
    ("keras_sequence.keras", "rebuild the core with this model"),
    ("missing.keras", "no such file"),
    ("keras_last.npz", "keras_last.npz"),
]


@pytest.mark.parametrize("model, message", REFUSED)
def test_anything_else_leaves_the_core_as_it_is(core, model, message):
    before = contents(core)
    assert message in refused("weights", FIXTURES / model, core)
    assert contents(core) == before


def test_a_core_of_a_model_takes_only_what_its_formats_hold(tmp_path):
    """Peaks of w_hh: 1.6 in the core's model (Q2.14), 2.3 in the other."""
    core = built(tmp_path / "core", MODEL, "--calibrate", DATA, "--pe", 4, "--simd", 1)
    before = contents(core)
    line = refused("weights", SAME_SHAPE, core)
    assert "weights of w_hh saturate" in line and "rebuild the core with this model" in line
    assert contents(core) == before
    assert gatefold("weights", MODEL, core, "--input", DATA).exit_code == 0
    after = contents(core)
    assert {name for name in after if after[name] != before[name]} <= {"report.json", "report.html"}


@pytest.mark.parametrize("failing", ["write_weights", "save_quantized", "save_network",
                                     "write_vectors", "write_report"])
def test_a_failure_while_writing_leaves_the_old_files(core, monkeypatch, failing):
    before = contents(core)

    def no_space(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"gatefold.gen.weights.{failing}", no_space)
    refused("weights", MODEL, core)
    assert contents(core) == before


def test_a_failure_while_moving_restores_the_old_files(core, monkeypatch):
    before, replace, moved = contents(core), Path.replace, []

    def third_fails(self, target):
        moved.append(target)
        if len(moved) == 3:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", third_fails)
    assert "Input/output error" in refused("weights", MODEL, core)
    assert contents(core) == before


def test_an_edited_program_is_refused(core):
    (core / "weights" / "program.hex").write_text("0\n")
    assert "program.hex differs" in refused("weights", MODEL, core)


def test_weights_beyond_the_formats_are_refused_or_saturate_as_asked(tmp_path):
    core = built(tmp_path / "core", MODEL, "--weight-rule", "percentile", "--percentile", 60,
                 "--width", 8)
    before = contents(core)
    assert "or let them saturate with --saturate" in refused("weights", MODEL, core)
    assert contents(core) == before
    result = gatefold("weights", MODEL, core, "--saturate")
    assert result.exit_code == 0 and "of them saturate: l0_lstm" in result.stdout
    numbers = json.loads((core / "report.json").read_text())["numbers"]
    assert numbers["calibration"]["saturated_weights"]["l0_lstm"]
    assert any("w_hh" in tensors for tensors in numbers["saturations"].values())


def test_a_cell_state_that_reaches_the_clip_of_a_float_file_is_refused(tmp_path):
    data = path("float_padded").read_bytes()
    (tmp_path / "m.tflite").write_bytes(data)
    (tmp_path / "clipped.tflite").write_bytes(
        patched(data, places(data)["Lstm.cell_clip"][0], "f", 0.01))
    core = built(tmp_path / "core", tmp_path / "m.tflite", "--pe", 8, "--simd", 2)
    assert gatefold("weights", tmp_path / "m.tflite", core).exit_code == 0
    before = contents(core)
    assert "its cell state reaches 0.01" in refused("weights", tmp_path / "clipped.tflite", core)
    assert contents(core) == before
