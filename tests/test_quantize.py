"""The quantiser: formats from peaks, weights from formats, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.accuracy import error_report
from gatefold.gen.errors import UserError
from gatefold.gen.forward import forward
from gatefold.gen.initialise import initialise
from gatefold.gen.network import Dense, Flatten, Lstm, Network, RepeatVector
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantize import quantize, requantize_into
from gatefold.gen.quantized import QDense, QLstm
from gatefold.sim import golden


def parts(network) -> Any:
    """The layers, whose kinds the test knows."""
    return network.layers


def small(seed=0, gain=1.0, activation="linear", units=4):
    rng = np.random.default_rng(seed)
    lstm = Lstm(units=units, w_ih=gain * rng.normal(size=(4 * units, 2)),
                w_hh=gain * rng.normal(size=(4 * units, units)), b=rng.normal(size=4 * units),
                return_sequences=False)
    return Network((5, 2), (lstm, Dense(w=gain * rng.normal(size=(3, units)), b=rng.normal(size=3),
                                        activation=activation)))


X = np.random.default_rng(1).normal(size=(20, 5, 2))


# ---- formats -----------------------------------------------------------------------------------


def test_formats_cover_the_calibrated_peaks():
    network = small()
    trace = {}
    y = forward(network, X, trace=trace)
    q = quantize(network, calibration=X, act_width=12, weight_width=10, cell_width=14)
    lstm, dense = parts(q)
    assert isinstance(lstm, QLstm) and isinstance(dense, QDense)
    assert q.input_format == lstm.x == QFormat.covering(12, np.abs(X).max())
    assert lstm.h == dense.x == QFormat(12, 11)
    assert lstm.c == QFormat.covering(14, 2 * np.abs(trace["l0_lstm"]["c"]).max())
    assert dense.y == q.output_format == QFormat.covering(12, np.abs(y).max())
    for form, w in ((lstm.w_ih_format, parts(network)[0].w_ih),
                    (lstm.w_hh_format, parts(network)[0].w_hh),
                    (dense.w_format, parts(network)[1].w)):
        assert form == QFormat.covering(10, float(np.abs(w).max()))
    np.testing.assert_array_equal(dense.w, dense.w_format.quantize(parts(network)[1].w))
    np.testing.assert_array_equal(
        lstm.b, np.floor(parts(network)[0].b.astype(float) * 2.0**lstm.acc_frac + 0.5))
    assert q.calibration["source"] == "calibration data" and q.calibration["samples"] == 20


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_bounded_outputs_have_the_unit_format(activation):
    assert quantize(small(activation=activation)).output_format == QFormat(16, 15)


def test_without_data_the_inputs_are_seeded_and_said_so():
    network = small()
    one, two, three = (quantize(network, seed=seed) for seed in (0, 0, 1))
    assert one.calibration == two.calibration != three.calibration
    assert one.calibration["source"] == "seeded random inputs"
    assert (one.calibration["samples"], one.calibration["seed"]) == (64, 0)


def test_one_sample_without_the_axis_is_calibration_data():
    assert quantize(small(), calibration=X[0]).calibration == \
        quantize(small(), calibration=X[:1]).calibration


def test_cell_state_needs_no_more_than_the_timesteps():
    # f = i = g = 1: |c| after 5 steps is just below 5, so twice the peak is more than it can be.
    lstm = Lstm(units=1, w_ih=np.zeros((4, 1)), w_hh=np.zeros((4, 1)),
                b=np.array([20, 20, 20, 20]), return_sequences=False)
    q = quantize(Network((5, 1), (lstm,)))
    assert parts(q)[0].c == QFormat.covering(18, 5.0)


def test_any_weights_formats():
    q = quantize(initialise(units=3, features=2, timesteps=4, dense=1), any_weights=True,
                 act_width=12, weight_width=10, cell_width=14)
    lstm, dense = parts(q)
    assert [str(f) for f in (q.input_format, lstm.w_ih_format, lstm.w_hh_format, lstm.c, lstm.h,
                             dense.w_format, dense.y)] == \
        ["Q4.8", "Q3.7", "Q3.7", "Q6.8", "Q1.11", "Q3.7", "Q4.8"]
    assert q.calibration["source"] == "none: formats for any weights"
    assert q.calibration["bias_limit"] == 8.0


# scale of the inputs, of the weights: far apart, but the integers stay exact (checked in golden)
SCALES = [(1e-30, 1.0), (1e-6, 1.0), (1e4, 1e-3), (1.0, 1e-30), (1.0, 0.0), (1e6, 1e-6),
          (0.0, 1.0), (1.0, 100.0), (5e-324, 1.0)]


@pytest.mark.parametrize(("inputs", "weights"), SCALES)
@pytest.mark.parametrize("width", [4, 16, 18])
def test_odd_scales_keep_the_sums_within_int64(width, inputs, weights):
    network = small(gain=weights)
    x = X * inputs
    q = quantize(network, calibration=x, act_width=width, weight_width=width, cell_width=width)
    assert q.acc_width <= 62
    span = np.ptp(forward(network, x)) or 1.0
    if width >= 16:
        assert np.abs(golden.run(q, x) - forward(network, x)).max() < 0.02 * max(span, 1e-3)


# ---- what is refused ---------------------------------------------------------------------------

NAN = X.copy()
NAN[3, 2, 1] = np.nan
# arguments, words of the message
WRONG = [
    (dict(act_width=3), "the act width must be 4..18 bits, not 3"),
    (dict(act_width=19), "not 19"),
    (dict(act_width=True), "not True"),
    (dict(act_width=15.5), "not 15.5"),
    (dict(weight_width=0), "the weight width must be 4..18 bits, not 0"),
    (dict(cell_width=24), "the cell width must be 4..18 bits, not 24: the default is 18"),
    (dict(samples=0), "positive integer, not 0"),
    (dict(calibration=NAN), "must be finite, but 1 of 200 values"),
    (dict(calibration=X[:, :, :1]), r"\(samples, 5, 2\) or \(5, 2\), not \(20, 5, 1\)"),
    (dict(calibration=X[:0]), "at least one sample"),
    (dict(calibration=X[0, 0]), r"not \(2,\)"),
    (dict(calibration=np.full((1, 5, 2), "a")), "must hold real numbers, not <U1"),
    (dict(calibration=X + 1j), "must hold real numbers, not complex128"),
    (dict(calibration=X * 1e30), "normalise the input data"),
    (dict(calibration=X, any_weights=True), "leave the data out"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_wrong_arguments_are_refused(arguments, text):
    with pytest.raises(UserError, match=text):
        quantize(small(), **arguments)


def test_weights_too_far_apart_are_refused():
    lstm, dense = parts(small())
    with pytest.raises(UserError, match="l0_lstm: .* too far apart in magnitude"):
        quantize(Network((5, 2), (replace(lstm, b=lstm.b * 1e30), dense)))


def test_large_bias_is_refused_for_any_weights():
    lstm, dense = parts(small())
    with pytest.raises(UserError, match="l0_lstm: a core for any weights takes biases of -8.0..8"):
        quantize(Network((5, 2), (replace(lstm, b=lstm.b + 20), dense)), any_weights=True)


def test_table_of_another_width_is_a_programming_error():
    with pytest.raises(ValueError, match="table.out_frac must be act_width"):
        quantize(small(), act_width=8, table=quantize(small()).table)


# ---- other weights for the same core -----------------------------------------------------------


def test_requantizing_the_same_model_changes_nothing():
    q = quantize(small(), calibration=X)
    again = requantize_into(small(), q)
    for old, new in zip(parts(q), again.layers, strict=True):
        for name, value in vars(old).items():
            np.testing.assert_array_equal(getattr(new, name), value)


def test_other_training_goes_into_a_core_for_any_weights():
    core = quantize(initialise(units=4, features=2, timesteps=5, dense=3), any_weights=True)
    network = small(seed=7, gain=0.5)
    q = requantize_into(network, core)
    assert q.acc_width == core.acc_width and parts(q)[0].c == parts(core)[0].c
    assert np.abs(golden.run(q, X) - forward(network, X)).max() < 2e-3  # float tolerance


CORE = quantize(small(), calibration=X)
LSTM, DENSE = parts(small())
# model, words of the message
OTHER = [
    (Network((6, 2), (LSTM, DENSE)), r"input \(6, 2\) differs from the core's \(5, 2\)"),
    (small(units=5), r"layer 0: the model has LSTM\(2 features, 5 units, the last h\), the core"),
    (small(activation="relu"), r"layer 1: the model has Dense\(4 features, 3 outputs, relu\)"),
    (Network((5, 2), (LSTM,)), "layer 1: the model has nothing, the core Dense"),
    (Network((5, 2), (LSTM, DENSE, RepeatVector(timesteps=2))),
     r"layer 2: the model has RepeatVector\(2\), the core nothing"),
    (Network((5, 2), (Flatten(), replace(DENSE, w=np.zeros((3, 10))))), "has Flatten"),
    (Network((5, 2), (replace(LSTM, w_hh=LSTM.w_hh * 4), DENSE)),
     r"l0_lstm: \d+ of 64 weights of w_hh saturate in the core's Q\d.\d+ .* their peak is .*: "
     "rebuild the core with this model"),
    (Network((5, 2), (replace(LSTM, b=LSTM.b + 1000), DENSE)),
     r"l0_lstm: these weights need an accumulator of \d+ bits, the core's has \d+: rebuild"),
]


@pytest.mark.parametrize(("network", "text"), OTHER)
def test_models_that_do_not_fit_the_core_are_refused(network, text):
    with pytest.raises(UserError, match=text):
        requantize_into(network, CORE)


# ---- the error against float -------------------------------------------------------------------


def test_error_report_states_error_and_saturations():
    network = small()
    report = error_report(network, CORE, X * 1.5)
    x = X * 1.5
    y, got = forward(network, x), golden.run(CORE, x)
    assert report["samples"] == 20
    assert report["max_abs"] == pytest.approx(np.abs(got - y).max())
    assert report["rms"] == pytest.approx(np.sqrt(np.mean((got - y) ** 2)))
    assert report["max_relative"] == pytest.approx(np.abs(got - y).max() / np.ptp(y))
    assert [o["max_abs"] for o in report["outputs"]] == \
        pytest.approx(np.abs(got - y).max(axis=0).tolist())
    over = (np.abs(x) > CORE.input_format.hi * CORE.input_format.step).sum()
    assert report["saturations"]["input"]["x"] == {"count": over, "total": x.size}
    assert report["saturations"]["l0_lstm"]["c"]["total"] == 20 * 5 * 4


def test_error_report_of_many_samples_is_that_of_the_parts():
    network = small()
    x = np.random.default_rng(2).normal(size=(150, 5, 2))
    report = error_report(network, CORE, x)
    assert report["max_abs"] == pytest.approx(
        max(error_report(network, CORE, part)["max_abs"] for part in (x[:70], x[70:])))
    assert report["saturations"]["l1_dense"]["y"]["total"] == 450
