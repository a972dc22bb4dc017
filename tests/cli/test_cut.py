"""``gatefold build --cut``: from a model that hardware cannot do as a whole to the model's results.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import gatefold as gf
from gatefold.gen.check import load_folder
from gatefold.gen.cut import parts
from tests.cli.test_inspect import entry, keras_file
from tests.frontends.test_cut import CASES, RNG, onnx_file
from tests.support.cli_harness import built, gatefold, refused


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """(model, folder of its core): an embedding, an LSTM, a normalised output of 2 scores."""
    folder = tmp_path_factory.mktemp("cut")
    nodes, shape, integers, _, _ = CASES["normalised behind"]
    model = onnx_file(folder, nodes, shape, integers)
    return model, built(folder / "core", model, "--cut", "auto", "--pe", 4, "--simd", 4)


def test_run_takes_the_models_own_inputs_and_gives_its_outputs(tokens, tmp_path):
    model, folder = tokens
    x = RNG.integers(0, 50, (9, 6))
    np.save(tmp_path / "x.npy", x)
    result = gatefold("run", folder, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert result.exit_code == 0 and result.stderr == ""
    wanted = ReferenceEvaluator(onnx.load(model)).run(None, {"x": x})[0]
    y = np.load(tmp_path / "y.npy")
    assert y.shape == wanted.shape and np.abs(y - wanted).max() < 5e-3
    core = gf.compile(gf.load(model, cut="auto"), pe=4, simd=4)
    np.testing.assert_array_equal(core.run(x), y)


def test_the_folder_holds_the_hosts_parts(tokens):
    model, folder = tokens
    before = onnx.load(folder / "host" / "before.onnx")
    assert [node.name for node in before.graph.node] == ["embedding"]
    behind = onnx.load(folder / "host" / "behind.onnx")
    assert [node.name for node in behind.graph.node] == ["norm", "head", "scores"]
    around = gf.load(model, cut="auto").around
    assert (folder / "host" / "before.onnx").read_bytes() == around.before


def test_report_and_page_show_the_cut(tokens):
    _, folder = tokens
    cut = json.loads((folder / "report.json").read_text())["network"]["cut"]
    assert sorted(cut) == ["before", "behind", "inputs", "outputs", "share"]
    assert cut["inputs"] == [{"name": "x", "shape": [6], "type": "int64"}]
    assert [row["origin"] for row in cut["behind"]] == ["norm", "head", "scores"]
    assert sum(cut["share"].values()) == pytest.approx(1)
    line = next(line for line in gatefold("report", folder).stdout.splitlines()
                if line.startswith("cut"))
    assert "the core does 99.2% of the model's multiplications" in line
    assert "Core and host" in (folder / "report.html").read_text()


def test_verify_takes_the_models_own_inputs(tokens, tmp_path):
    around = gf.load(tokens[0], cut="auto").around
    x = RNG.integers(0, 50, (3, 6))
    np.save(tmp_path / "x.npy", x)
    frames = parts.frames_read(load_folder(tokens[1]), around, tmp_path / "x.npy", "the input")
    assert frames.shape == (3, 6, 3)  # the vectors of its tokens
    np.save(tmp_path / "x.npy", x[:, :5])
    line = refused("verify", tokens[1], "--input", tmp_path / "x.npy")
    assert "must have the shape (samples, 6) or (6,), not (3, 5)" in line


def test_formats_come_from_the_table_of_the_embedding(tokens):
    calibration = json.loads((tokens[1] / "report.json").read_text())["numbers"]["calibration"]
    assert calibration["source"] == "seeded random inputs, after the host's part"


def test_other_weights_replace_the_hosts_too(tokens, tmp_path):
    model, folder = tokens
    changed = onnx.load(model)
    table = next(t for t in changed.graph.initializer if t.name == "table")
    table.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(table) / 2, "table"))
    onnx.save(changed, tmp_path / "m.onnx")
    core = built(tmp_path / "core", model, "--cut", "auto", "--pe", 4, "--simd", 4)
    assert gatefold("weights", tmp_path / "m.onnx", core, "--cut", "auto").exit_code == 0
    assert (core / "host" / "before.onnx").read_bytes() == gf.load(
        tmp_path / "m.onnx", cut="auto").around.before


# --- Keras


def test_a_keras_model_is_cut(tmp_path):
    def edit(layers):
        layers[0]["config"].update(name="x", batch_shape=[None, 30])
        layers[1:1] = [entry("Reshape", "apart", target_shape=[6, 5]),
                       entry("UnitNormalization", "unit", axis=-1)]
    path = keras_file(tmp_path, edit)
    assert gf.inspect(path).options == ("--cut", "auto")
    core = gf.compile(gf.load(path, cut="auto"), pe=4, simd=4)
    around = core.network.around
    assert [row.kind for row in around.rows_before] == ["reshape", "UnitNormalization"]
    assert core.run(RNG.standard_normal((3, 30))).shape == (3, 1)


def test_a_host_ahead_turns_the_axes(tmp_path):
    def edit(layers):
        layers[0]["config"].update(name="x", batch_shape=[None, 5, 6])
        layers[1:1] = [entry("UnitNormalization", "unit", axis=-1),
                       entry("Permute", "turn", dims=[2, 1])]
    network = gf.load(keras_file(tmp_path, edit), cut="auto")
    assert [row.kind for row in network.around.rows_before] == ["UnitNormalization", "permute"]
    assert network.input_shape == (6, 5) and network.layers[0].computes


# --- bad input


@pytest.mark.parametrize(("options", "words"), [
    (["--cut", "here"], "--cut must be auto or none, not 'here'"),
    (["--cut", "auto", "--from", "turn"], "--cut auto with --from is for Keras models"),
    (["--from", "nowhere"], "--from: there is no layer or node 'nowhere'"),
    (["--from", "head", "--to", "embedding"], "cross"),
    (["--to", "embedding"], "leave the recurrent layer 'lstm' to the host")])
def test_a_cut_that_is_none_is_refused(tokens, tmp_path, options, words):
    assert words in refused("build", tokens[0], *options, "-o", tmp_path / "core")
    assert not (tmp_path / "core").exists()


def test_a_shape_has_no_parts(tmp_path):
    assert "--cut, --from and --to are for a MODEL" in refused(
        "build", "--units", 4, "--features", 2, "--timesteps", 3, "--cut", "auto", "-o",
        tmp_path / "c")


def test_an_operator_beyond_numpy_takes_onnx_runtime(tokens, tmp_path, monkeypatch):
    model, _ = tokens
    monkeypatch.setattr(parts, "COMPUTE", {})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    network = gf.load(model, cut="auto")
    with pytest.raises(gf.UserError, match=r'pip install "gatefold\[host\]"'):
        parts.Host(network.around)
    monkeypatch.undo()
    pytest.importorskip("onnxruntime", reason="the extra gatefold[host] is not installed")
    x = RNG.integers(0, 50, (3, 6))
    wanted = parts.Host(network.around).before(parts.Host(network.around).inputs(x))[0]
    monkeypatch.setattr(parts, "COMPUTE", {})
    host = parts.Host(network.around)
    np.testing.assert_array_equal(host.before(host.inputs(x))[0], wanted)


def test_a_damaged_host_folder_is_refused(tokens, tmp_path):
    model, _ = tokens
    folder = built(tmp_path / "core", model, "--cut", "auto", "--pe", 4, "--simd", 4)
    np.save(tmp_path / "x.npy", np.zeros((1, 6), int))
    (folder / "host" / "ports.json").write_text("{}")
    line = refused("run", folder, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "is damaged" in line and "build the folder again" in line
