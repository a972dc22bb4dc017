"""bench/accuracy: the benchmark's construction, the scoring, the shipped autoencoder's figures."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from gatefold.gen.frontends import load
from tests.support.places import ROOT

MODEL = ROOT / "models" / "mgab-autoencoder"
sys.path.insert(0, str(ROOT / "bench" / "accuracy"))

import arithmetics  # noqa: E402
import detection  # noqa: E402
import mgab  # noqa: E402


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return mgab.mackey_glass(60_000)


# --- the benchmark

def test_the_series_solves_its_equation(series):
    """Integrated once more by Simpson's rule over 2 time units, with its own past."""
    fine = np.array([mgab.BETA * d / (1 + d**10) for d in series])
    t = np.arange(200, 2000)
    slope = fine[t - mgab.TAU] - mgab.GAMMA * series[t]
    change = (slope[:-2] + 4 * slope[1:-1] + slope[2:]) / 3
    assert np.abs(change - (series[t][2:] - series[t][:-2])).max() < 5e-3


def test_the_series_has_the_published_range(series):
    """x(t) in [0.26, 1.66]."""
    assert 0.25 < series.min() < 0.35 and 1.55 < series.max() < 1.67


def test_a_series_begins_as_a_shorter_one(series):
    np.testing.assert_array_equal(mgab.mackey_glass(100), series[:100])


def test_anomalies_are_cuts_where_the_ends_match(series):
    made = mgab.insert_anomalies(series, 8, np.random.default_rng(0))
    removed = len(series) - len(made.values)
    assert 8 * 100 <= removed <= 8 * 200 and len(made.cuts) == 8
    assert np.diff(made.cuts).min() >= mgab.MIN_DISTANCE - 200
    np.testing.assert_array_equal(made.values[:made.cuts[0] + 1], series[:made.cuts[0] + 1])
    np.testing.assert_array_equal(made.values[made.cuts[-1] + 1:],
                                  series[made.cuts[-1] + 1 + removed:])
    steps = np.abs(np.diff(made.values))
    assert steps[made.cuts].max() < 1.5 * np.abs(np.diff(series)).max()  # no jump to be seen


def test_too_many_anomalies_are_refused(series):
    with pytest.raises(ValueError, match="need a longer series than 1000 samples"):
        mgab.insert_anomalies(series[:1000], 1, np.random.default_rng(0))


def test_noise_is_uniform(series):
    noise = mgab.noisy(series, np.random.default_rng(0)) - series
    assert 0.0099 < noise.max() <= mgab.NOISE and abs(noise.mean()) < 1e-4


# --- the scoring

@pytest.mark.parametrize(("normal", "anomalous", "expected"), [
    ([1, 2], [3, 4], 1.0), ([3, 4], [1, 2], 0.0), ([1, 2], [1, 2], 0.5), ([1, 1], [1], 0.5),
    ([1, 3], [2], 0.5), ([0, 2, 4], [1, 3], 0.5),
])
def test_auc(normal, anomalous, expected):
    assert detection.auc(np.array(normal), np.array(anomalous)) == expected


def test_a_callable_is_scored_by_its_errors():
    """One that reconstructs zeros: the score is the window's mean square."""
    train = np.sqrt(np.arange(1, 101))[:, None, None] * np.ones((1, 5, 1))
    x = np.concatenate([np.ones((4, 5, 1)), np.full((2, 5, 1), 20.0), np.ones((2, 5, 1))])
    data = detection.HeldOut(x, np.arange(8) >= 4, train)
    found = detection.evaluate(np.zeros_like, data)
    assert found.threshold == pytest.approx(np.quantile(np.arange(1, 101), detection.QUANTILE))
    assert (found.accuracy, found.found, found.false_alarms) == (0.75, 0.5, 0.0)
    assert found.auc == 0.75 and found.rmse == pytest.approx(np.sqrt(50.5))


def test_a_part_keeps_the_balance():
    data = detection.read(MODEL / "held-out.npz")
    assert data.anomalous.sum() * 2 == len(data.x) == 1200
    part = data.part(50)
    assert len(part.x) == len(part.train) == 50 and part.anomalous.sum() == 25


# --- the shipped model

def test_the_shipped_network():
    network, data = arithmetics.Shipped().network, arithmetics.Shipped().held_out
    assert [layer.shown for layer in network.layers if layer.kind != "slice"] == [
        "lstm", "repeat_vector", "lstm", "dense"]
    assert network.parameters == 198_273 and data.x.shape[1:] == network.input_shape == (50, 1)


def test_the_description_in_the_file_is_the_one_beside_it():
    inside = load(MODEL / "mgab-autoencoder.safetensors")
    beside = load(MODEL / "mgab-autoencoder.safetensors", network=MODEL / "network.toml")
    assert inside.source == beside.source


def test_float_detection_equals_that_of_training():
    """On a part of the windows, so near to torch's figures on all."""
    stored = json.loads((MODEL / "training.json").read_text())["detection_float32"]
    shipped = arithmetics.Shipped()
    float32 = next(row for row in arithmetics.ROWS if row.key == "float32").make(shipped)
    found = detection.evaluate(float32, shipped.held_out.part(120))
    assert found.rmse == pytest.approx(stored["rmse"], rel=0.1)
    assert found.auc == pytest.approx(stored["auc"], abs=0.02)
    assert found.accuracy == pytest.approx(stored["accuracy"], abs=0.06)


def test_the_readme_holds_the_stored_figures():
    stored = json.loads((MODEL / "training.json").read_text())["detection_float32"]
    text = (MODEL / "README.md").read_text()
    for name in ("accuracy", "found", "false_alarms"):
        assert f"{stored[name]:.2%}" in text, name
    assert f"{stored['auc']:.4f}" in text
