"""Saturated values are reported by a build, with other weights and by a run. So are calibration
data that are too few or too uniform."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.measure.inference import run
from gatefold.gen.measure.saturation import doubts, in_words, lost
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.weights import replace_weights
from gatefold.sim import golden
from tests.support.cli_harness import DATA, MODEL, built, gatefold
from tests.support.networks import NETWORKS, Make, Network, inputs, network, quantized

X = np.random.default_rng(0).normal(size=(100, 10, 3))


def relu_network() -> Network:
    make = Make(np.random.default_rng(0), 0.3)
    return Network((10, 3), (make.lstm(3, 8, activation="relu"), make.dense(8, 2)))


# ---- values that are lost ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_lost_on_the_data_of_the_calibration(name):
    net = network(name)
    x = np.random.default_rng(1).standard_normal((64, *net.input_shape))
    assert run(quantize(net, calibration=x), x).lost == []


# Large arguments of what is flat there: its results are right.
@pytest.mark.parametrize("name", ["hard dense", "hard lstm", "hard gru", "dense per step",
                                  "hard_tanh rnn", "hard_sigmoid rnn", "gru reset before"])
def test_flat_activations_lose_nothing(name):
    qnet = quantized(name, (8, 8, 18), gain=8.0)
    trace: dict = {}
    golden.golden(qnet, inputs(qnet, 20), trace=trace)
    flat = {layer.name for layer in qnet.computing.values()
            if getattr(layer, "activation", "linear") not in ("linear", "relu")}
    assert any(counted["count"] for layer in flat
               for counted in trace["saturations"][layer].values())
    assert not flat & {one["layer"] for one in lost(qnet, trace["saturations"])}


def test_counting_without_a_trace_gives_the_same_counts():
    qnet = quantized("lstm, gru, rnn", gain=8.0)
    x, trace, counts = inputs(qnet, 9), {}, {}
    golden.golden(qnet, x, trace=trace)
    golden.golden(qnet, x, saturations=counts)
    assert counts == trace["saturations"]


def test_a_relu_loses_only_what_is_above():
    make = Make(np.random.default_rng(0))
    net = Network((4,), (replace(make.dense(4, 3, "relu"), b=np.full(3, -100.0)),))
    qnet = quantize(net, calibration=X[:, 0, :1].repeat(4, axis=1))
    assert run(qnet, 0 * X[:, 0, :1].repeat(4, axis=1)).lost == []


def test_in_words():
    losses = [{"layer": f"l{n}_dense", "tensor": "y", "format": "Q1.15", "count": n, "total": 100}
              for n in range(1, 10)]
    words = in_words(losses)
    assert words.startswith("l9_dense.y 9 of 100 beyond Q1.15, l8_dense.y 8 of 100 beyond Q1.15, ")
    assert words.endswith("and 3 tensors more") and words.count("beyond") == 6


# ---- a run ---------------------------------------------------------------------------------------


def test_a_run_in_python_warns_once_of_all_that_saturated():
    core = gf.compile(relu_network(), calibrate=X, macs=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        core.run(X)
    with pytest.warns(gf.NumbersWarning) as seen:
        core.run(4 * X)
    (one,) = seen
    assert one.filename == __file__
    text = str(one.message)
    assert "input values lie outside Q3.13 and were clamped; saturated: l1_dense.y " in text
    for tensor in ("l0_lstm.h", "l0_lstm.c", "l0_lstm.g"):
        assert text.count(f"{tensor} ") == 1


def test_a_run_of_the_command_line_says_it_in_one_line(tmp_path):
    core = gf.compile(relu_network(), calibrate=X, macs=16)
    core.save(tmp_path / "core")
    for name, scale in (("same", 1), ("larger", 4)):
        np.save(tmp_path / f"{name}.npy", scale * X)
    result = gatefold("run", tmp_path / "core", "--input", tmp_path / "same.npy", "-o",
                      tmp_path / "y.npy")
    assert result.exit_code == 0 and result.stderr == ""
    result = gatefold("run", tmp_path / "core", "--input", tmp_path / "larger.npy", "-o",
                      tmp_path / "y.npy")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 0 and "were clamped; saturated: l1_dense.y " in line


# ---- other weights -------------------------------------------------------------------------------


def test_weights_whose_values_saturate_are_reported(tmp_path):
    make = Make(np.random.default_rng(0))
    lstm, dense = make.lstm(3, 8), make.dense(8, 2)
    lstm = replace(lstm, b=np.full(32, 8.0))  # the accumulator then holds the larger bias, too
    dense = replace(dense, b=np.array([0.4, -0.3]))
    net = Network((10, 3), (lstm, dense))
    larger = replace(net, layers=(lstm, replace(dense, b=20 * dense.b)))
    core = gf.compile(net, calibrate=X, macs=16)
    core.save(tmp_path / "core")
    before = replace_weights(net, tmp_path / "core", X)["numbers"]
    assert before["lost"] == [] and before["error"]["max_abs"] < 5e-3
    after = replace_weights(larger, tmp_path / "core", X)["numbers"]
    assert after["error"]["max_abs"] > 1
    assert [(one["layer"], one["tensor"]) for one in after["lost"]] == [("l1_dense", "y")]
    assert json.loads((tmp_path / "core" / "report.json").read_text())["numbers"] == after
    assert "l1_dense.y 200 of 200 beyond" in gatefold("report", tmp_path / "core").stdout


@pytest.mark.parametrize("option", ["--calibrate", "--input"])
def test_the_command_line_measures_other_weights_on_calibration_data(tmp_path, option):
    core = built(tmp_path / "core", MODEL, "--calibrate", DATA, "--pe", 8, "--simd", 2)
    np.savez(tmp_path / "large.npz", x=40 * np.load(DATA)["x"])
    fine = gatefold("weights", MODEL, core, option, DATA)
    assert fine.exit_code == 0 and fine.stderr == ""
    result = gatefold("weights", MODEL, core, option, tmp_path / "large.npz")
    assert result.exit_code == 0 and "on 4 samples of the given data" in result.stdout
    (line,) = result.stderr.splitlines()
    assert "saturated: input.x " in line and "rebuild the core with this model" in line


# ---- calibration data ----------------------------------------------------------------------------

DOUBTS = [
    (np.zeros((100, 10, 3)), "are zeros alone: inputs get the format of -1..1"),
    (np.full((100, 10, 3), 2.5), "are 2.5 throughout: formats fit"),
    (X[:1].repeat(50, axis=0), "the 50 samples of calibration data are all the same: formats fit"),
    (X[:1], "1 sample of calibration data are few: formats fit these"),
    (X[:6], "6 samples of calibration data are few: formats fit these"),
    (X.reshape(10, 100, 3)[:1], "1 sample of calibration data are few: formats fit these"),
    (X[:8], None), (X, None), (X.reshape(2, 500, 3)[:1], None),
]


@pytest.mark.parametrize(("x", "text"), DOUBTS, ids=[str(text) for _, text in DOUBTS])
def test_data_that_say_too_little(x, text):
    found = doubts(x)
    assert len(found) == (text is not None) and (text is None or text in found[0])


def test_a_build_warns_of_calibration_data_that_say_too_little(tmp_path):
    with pytest.warns(gf.NumbersWarning, match="zeros alone") as seen:
        core = gf.compile(relu_network(), calibrate=0 * X, macs=16)
    assert len(seen) == 1 and seen[0].filename == __file__
    assert len(core.report()["numbers"]["calibration"]["doubts"]) == 1
    np.save(tmp_path / "zeros.npy", np.zeros((10, 6, 3)))
    result = gatefold("build", MODEL, "--calibrate", tmp_path / "zeros.npy", "--pe", 8, "--simd",
                      2, "-o", tmp_path / "core")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 0 and line.startswith("gatefold: the calibration data are zeros")
    assert "zeros alone" in gatefold("report", tmp_path / "core").stdout
