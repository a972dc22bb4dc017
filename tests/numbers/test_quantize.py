"""The quantiser: formats from peaks, weights from formats, and refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import (
    CellState,
    Concat,
    Dense,
    Flatten,
    Lstm,
    MaxPool,
    Multiply,
    Network,
    Pad,
    RepeatVector,
    Rnn,
    Slice,
    Window,
)
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.numbers.quantized import QDense, QGru, QLstm
from gatefold.sim import golden
from tests.support.networks import NETWORKS, Make, add, alone, average, inputs, network, quantized


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
    assert lstm.g == lstm.tc == QFormat(13, 12)
    assert lstm.c == QFormat.covering(14, 2 * np.abs(trace["l0_lstm"]["c"]).max())
    assert dense.y == QFormat.covering(12, np.abs(y).max())
    assert (q.output_fracs == dense.y.frac).all()
    for form, w in ((lstm.w_ih_format, parts(network)[0].w_ih),
                    (lstm.w_hh_format, parts(network)[0].w_hh),
                    (dense.w_format, parts(network)[1].w)):
        assert form == QFormat.covering(10, float(np.abs(w).max()))
    np.testing.assert_array_equal(dense.w, dense.w_format.quantize(parts(network)[1].w))
    np.testing.assert_array_equal(
        lstm.b, np.floor(parts(network)[0].b.astype(float) * 2.0**lstm.acc_frac + 0.5))
    assert q.calibration["source"] == "calibration data" and q.calibration["samples"] == 20


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh"])
def test_bounded_outputs_have_the_unit_format(activation):
    assert parts(quantize(small(activation=activation)))[-1].y == QFormat(16, 15)


#: Bits of activations and weights; the inputs' magnitude; the weights'; the most that the error may
#: be. Accumulators have fewer fractional bits than the unit format.
COARSE = [(16, 16, 32768.0, 1.5, 1e-4), (8, 8, 128.0, 1.5, 0.008), (16, 4, 256.0, 8.0, 1e-4),
          (4, 4, 8.0, 8.0, 0.13)]


@pytest.mark.parametrize("coarse", COARSE, ids=str)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh"])
def test_bounded_outputs_keep_the_unit_format_of_coarse_sums(activation, coarse):
    width, weight_width, reach, peak, tolerance = coarse
    rng = np.random.default_rng(0)
    # Weights and inputs that no format rounds: what differs is the activation's.
    w = peak * rng.integers(-2, 3, (5, 4)) / 2
    x = rng.integers(-7, 8, (200, 4)) * reach / 8
    net = Network((4,), (Dense(w=w, b=np.zeros(5), activation=activation),))
    q = quantize(net, act_width=width, weight_width=weight_width, calibration=x)
    dense = parts(q)[0]
    assert dense.y == QFormat(width, width - 1)
    assert dense.acc_frac < width - 1 or activation == "hard_sigmoid"  # whose weights are quarters
    assert np.abs(golden.run(q, x) - forward(net, x)).max() <= tolerance


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh"])
def test_a_bounded_state_keeps_the_unit_format_of_coarse_sums(activation):
    rng = np.random.default_rng(0)
    w_ih, w_hh = (2.0**20 * rng.integers(1, 4, (3, n)) for n in (2, 3))
    # One step: over several, cancelling sums of such weights have no likeness to the float ones.
    net = Network((1, 2), (Rnn(units=3, w_ih=w_ih, w_hh=w_hh, b=np.zeros(3), activation=activation,
                               return_sequences=True),))
    x = rng.integers(-7, 8, (200, 1, 2)).astype(float)
    q = quantize(net, calibration=x)
    rnn = parts(q)[0]
    assert rnn.h == QFormat(16, 15) and rnn.acc_frac < 15
    assert np.abs(golden.run(q, x) - forward(net, x)).max() <= 1e-4


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


def gru(**more):
    return Make(np.random.default_rng(0)).gru(2, 3, True, **more)


def first(layer, **options) -> Any:
    return parts(quantize(Network((5, 2), (layer,)), **options))[0]


def test_a_gru_state_is_bounded_as_its_candidate_is():
    q = first(gru(), cell_width=14, calibration=X)
    assert (q.c, q.h, q.n) == (QFormat(14, 13), QFormat(16, 15), QFormat(17, 16))
    assert q.m.width == 14 and q.m.frac <= 13
    assert first(gru(), cell_width=14, any_weights=True).c == QFormat(14, 13)
    wide = first(gru(activation="linear"), calibration=X)
    trace = {}
    forward(Network((5, 2), (gru(activation="linear"),)), X, trace=trace)
    assert wide.c == QFormat.covering(18, 2 * np.abs(trace["l0_gru"]["h"]).max())
    assert wide.n == QFormat.covering(17, np.abs(trace["l0_gru"]["n"]).max())


def test_formats_hold_the_constant_initial_state():
    make = Make(np.random.default_rng(0))
    lstm = first(make.lstm(2, 2, h0=np.array([3.0, 0]), c0=np.array([0, 40.0])), calibration=X)
    assert lstm.h0.tolist() == [3 << lstm.h.frac, 0] and lstm.h.hi * lstm.h.step >= 3
    assert lstm.c0.tolist() == [0, 40 << lstm.c.frac]
    state = first(gru(h0=np.array([2.5, 0, 0])), calibration=X)
    assert state.h0[0] * state.c.step == 2.5 and state.h.hi * state.h.step >= 2.5
    within = first(make.lstm(2, 2, h0=np.array([1.0, -1.0])), calibration=X)
    assert within.h == QFormat(16, 15) and within.h0.tolist() == [32767, -32768]


def test_the_state_holds_all_that_its_input_can_bring():
    q = quantized("states as inputs", (8, 8, 10))
    lstm, gru_, before, _ = (layer for layer in q.layers)
    assert isinstance(lstm, QLstm) and lstm.c_in and isinstance(gru_, QGru) and gru_.h_in
    assert lstm.h_in == q.input_formats[1] and lstm.c_in == q.input_formats[2]
    for state, brought in ((lstm.c, lstm.c_in), (gru_.c, gru_.h_in)):
        assert state.lo * state.step <= brought.lo * brought.step


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_unbounded_candidates_have_calibrated_formats(activation):
    layer = Make(np.random.default_rng(0), 0.5).lstm(2, 3, activation=activation)
    trace = {}
    forward(Network((5, 2), (layer,)), X, trace=trace)
    q = first(layer, act_width=12, calibration=X)
    inside = {name: np.abs(values).max() for name, values in trace["l0_lstm"].items()}
    assert q.g == QFormat.covering(13, inside["g"]) and q.h == QFormat.covering(12, inside["h"])
    assert q.tc == QFormat.covering(13, 2 * inside["c"])


# ---- layers whose weights are given by their kind ------------------------------------------------


@pytest.mark.parametrize("width", [4, 8, 18])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_an_identity_passes_integers_unchanged(width, activation):
    q = quantize(Network((4,), (alone(4, activation),)), act_width=width, weight_width=width)
    dense = parts(q)[0]
    assert dense.y.frac == q.input_format.frac
    x = inputs(q, 20)
    np.testing.assert_array_equal(golden.golden(q, x),
                                  np.maximum(x, 0) if activation == "relu" else x)


@pytest.mark.parametrize("width", [4, 8, 18])
def test_a_sum_of_equal_formats_is_exact(width):
    net = Network(((3,), (3,)), (Concat(axis=0, inputs=(0, 1)), add(3)))
    x = np.random.default_rng(0).uniform(-1, 1, (50, 6))
    x[0] = 1.0
    q = quantize(net, act_width=width, weight_width=width, calibration=x)
    integers = q.quantize(x)
    shift = q.input_formats[0].frac - parts(q)[1].y.frac
    total = integers[:, :3] + integers[:, 3:]
    form = parts(q)[1].y
    wanted = np.clip(golden.round_shift(total, shift), form.lo, form.hi)
    np.testing.assert_array_equal(golden.golden(q, integers), wanted)


@pytest.mark.parametrize("taps", [2, 4])
def test_an_average_of_a_power_of_two_has_exact_weights(taps):
    net = Network((8, 2), (average(2, Window(taps, stride=taps)),))
    q = first_dense = parts(quantize(net, act_width=12, weight_width=4))[0]
    assert set(np.unique(q.w)) == {0, 1} and first_dense.w_format.frac == int(np.log2(taps))


# ---- operands of one format ----------------------------------------------------------------------


def test_states_that_are_joined_get_one_format():
    q = quantized("joined states handed over")
    cells = [layer for layer in q.layers if layer.name.endswith("cell_state")]
    assert len({layer.y for layer in parts(replace(q, layers=tuple(cells)))}) == 1
    last = parts(q)[-1]
    assert last.c_in == cells[0].result and last.h_in == QFormat(8, 7)


def test_a_product_of_joined_values_gets_one_format():
    make = Make(np.random.default_rng(0))
    net = Network((4,), (
        make.dense(4, 2), make.dense(4, 2, "sigmoid", inputs=(0,)), Concat(axis=0, inputs=(1, 2)),
        Multiply(inputs=(3, 0))))
    x = np.random.default_rng(0).normal(size=(20, 4))
    q = quantize(net, act_width=12, calibration=x)
    linear, bounded = (parts(q)[n].y for n in (0, 1))
    assert linear == bounded == parts(q)[3].a and linear.frac < 11
    assert np.abs(golden.run(q, x) - forward(net, x)).max() < 0.02


def joined(activation: str) -> Network:
    """x beside a bounded activation of it, times a gate: the result has the format of x."""
    make = Make(np.random.default_rng(0))
    return Network((4,), (
        make.dense(4, 4, activation, inputs=(0,)), Concat(axis=0, inputs=(0, 1)),
        make.dense(4, 8, "sigmoid", inputs=(0,)), Multiply(inputs=(2, 3))))


#: An input's magnitude, and the most that the error may be: some last bits of x.
JOINED = [(4.0, 1e-3), (100.0, 0.012), (8000.0, 0.6), (30000.0, 1.0)]


@pytest.mark.parametrize(("reach", "tolerance"), JOINED)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh"])
def test_a_bounded_activation_takes_the_format_that_it_is_joined_with(activation, reach,
                                                                         tolerance):
    net = joined(activation)
    x = np.random.default_rng(0).uniform(-reach, reach, (200, 4))
    q = quantize(net, calibration=x)
    y = parts(q)[0].y
    assert y == q.input_format == parts(q)[3].a and y.frac < 15
    trace, floats = {}, {}
    forward(net, x, trace=floats)
    golden.golden(q, q.quantize(x), trace=trace)
    got = y.to_float(trace["l0_dense"]["y"])
    assert np.abs(got - floats["l0_dense"]["y"]).max() <= tolerance
    one = 1 << y.frac
    low = {"tanh": -one, "hard_tanh": -one}.get(activation, 0)
    assert (trace["l0_dense"]["y"].min(), trace["l0_dense"]["y"].max()) == (low, one)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh"])
def test_a_bounded_state_may_begin_beyond_its_bounds(activation):
    rng = np.random.default_rng(0)
    net = Network((3, 2), (Rnn(units=3, w_ih=rng.normal(size=(3, 2)), w_hh=rng.normal(size=(3, 3)),
                               b=rng.normal(size=3), h0=np.array([-3.0, 1.5, 0.25]),
                               activation=activation, return_sequences=True),))
    x = 3 * rng.normal(size=(100, 3, 2))
    q = quantize(net, calibration=x)
    assert parts(q)[0].h == QFormat(16, 13)
    assert np.abs(golden.run(q, x) - forward(net, x)).max() < 2e-3


def test_a_user_may_give_a_hard_activation_a_coarser_format():
    net = small(activation="hard_tanh", gain=3.0)
    q = quantize(net, calibration=X, overrides={"l1_dense": {"y": QFormat(16, 12)}})
    assert parts(q)[1].y == QFormat(16, 12)
    assert np.abs(golden.run(q, X) - forward(net, X)).max() < 5e-3
    with pytest.raises(UserError, match="l1_dense: y must be Q1.15, or coarser, not Q-1.17: hard"):
        quantize(net, calibration=X, overrides={"l1_dense": {"y": QFormat(16, 17)}})


def test_a_core_that_clips_takes_no_model_that_does_not():
    clips, other = small(activation="hard_tanh"), small()
    for net, core in ((clips, other), (other, clips)):
        with pytest.raises(UserError, match="layer 1: the model has Dense.*, the core Dense.*: re"):
            requantize_into(net, quantize(core))


def test_padding_is_of_any_format():
    net = Network((3, 2), (Pad(left=1, right=1), Make(np.random.default_rng(0)).lstm(2, 3)))
    lstm = parts(quantize(net))[1]
    assert lstm.x == quantize(net).input_format and not lstm.x_align.any()


@pytest.mark.parametrize("layer", [Make(np.random.default_rng(0)).dense(2, 3),
                                   Make(np.random.default_rng(0)).lstm(2, 3),
                                   MaxPool(window=Window(2))], ids=["dense", "lstm", "pool"])
def test_a_layer_that_reads_padding_alone_is_refused(layer):
    with pytest.raises(UserError, match=r"^l2_\w+: an input of it is padding alone, "):
        quantize(Network((3, 2), (Pad(left=2, right=0), Slice(stop=2), layer)))


def test_padding_in_an_output_has_no_format():
    q = quantize(Network((3, 2), (Make(np.random.default_rng(0)).dense(2, 2, "tanh"),
                                  Pad(left=1, right=0))))
    assert q.formats(q.outputs[0]) == (QFormat(16, 15),)


def test_joined_formats_are_aligned_column_by_column():
    q = quantized("joined formats", (8, 8, 10))
    lstm = parts(q)[3]
    fracs = q.fracs[3]
    assert lstm.x.frac == fracs.max() and fracs.min() < fracs.max()
    np.testing.assert_array_equal(lstm.x_align, lstm.x.frac - fracs[0])


# ---- rules and settings --------------------------------------------------------------------------


def outlier():
    """Data and weights of one large value among many small ones."""
    x = np.random.default_rng(0).normal(size=(160, 1000)) * 0.1
    x[0, 0] = 3.0
    w = np.random.default_rng(1).normal(size=(12, 1000)) * 0.1
    w[0, 0] = 1.2
    return Network((1000,), (Dense(w=w, b=np.zeros(12)),)), x


@pytest.mark.parametrize("rule", ["percentile", "mse"])
def test_rules_let_outliers_saturate_and_count_them(rule):
    net, x = outlier()
    widest = quantize(net, act_width=8, weight_width=8, calibration=x)
    q = quantize(net, act_width=8, weight_width=8, calibration=x, rule=rule, weight_rule=rule,
                 percentile=99.0 if rule == "percentile" else 99.9)
    assert q.input_format.frac > widest.input_format.frac
    assert parts(q)[0].w_format.frac > parts(widest)[0].w_format.frac
    form = parts(q)[0].w_format
    scaled = np.floor(parts(net)[0].w.astype(float) * 2.0**form.frac + 0.5)
    beyond = int(((scaled < form.lo) | (scaled > form.hi)).sum())
    assert beyond >= 1
    assert q.calibration["saturated_weights"] == {"l0_dense": {"w": beyond}}
    assert "saturated_weights" not in widest.calibration
    assert (q.calibration["rule"], q.calibration["weight_rule"]) == (rule, rule)
    report = error_report(net, q, x)
    assert report["saturations"]["l0_dense"]["w"] == {"count": beyond, "total": 12_000}
    assert report["saturations"]["input"]["x"]["count"] > 0


def test_least_squared_error_is_least():
    net, x = outlier()
    q = quantize(net, act_width=8, weight_width=8, calibration=x, rule="mse", weight_rule="mse")
    for form, values in ((q.input_format, x), (parts(q)[0].w_format, parts(net)[0].w)):
        errors = [np.mean((other.to_float(other.quantize(values)) - values) ** 2)
                  for other in (QFormat(8, form.frac + n) for n in (-1, 0, 1))]
        assert errors[1] == min(errors)


def test_single_layers_may_differ():
    q = quantize(network("lstm, gru, rnn"), act_width=10, weight_width=10, cell_width=12,
                 overrides={"default": {"weights": 6}, "l0_lstm": {"weights": 9, "c": 16},
                            "l1_gru": {"activations": 7, "w_hh": "Q2.2", "m": "Q3.9"},
                            "l3_dense": {"y": "Q5.11"}, "input": {"activations": 8}})
    lstm, gru_, rnn, dense = parts(q)
    assert (q.input_format.width, lstm.h.width, gru_.h, rnn.h.width, dense.y) == \
        (8, 10, QFormat(7, 6), 10, QFormat(16, 11))
    assert (lstm.w_ih_format.width, lstm.w_hh_format.width) == (9, 9)
    assert (gru_.w_ih_format.width, gru_.w_hh_format) == (6, QFormat(4, 2))
    assert (lstm.c.width, gru_.c.width, gru_.m) == (16, 12, QFormat(12, 9))
    assert (rnn.w_ih_format.width, dense.w_format.width) == (6, 6)
    # The widest of each kind, which the hardware is made for.
    assert (q.act_width, q.out_width, q.weight_width, q.cell_width) == (10, 16, 9, 16)
    assert q.table.out_frac == 16
    x = inputs(q, 4)
    assert np.abs(golden.golden(q, x)).max() > 0


def test_a_rule_for_a_single_layer():
    net, x = outlier()
    q = quantize(net, act_width=8, weight_width=8, calibration=x,
                 overrides={"l0_dense": {"weight_rule": "mse"}, "input": {"rule": "mse"}})
    both = quantize(net, act_width=8, weight_width=8, calibration=x, rule="mse",
                    weight_rule="mse")
    plain = quantize(net, act_width=8, weight_width=8, calibration=x)
    assert parts(q)[0].w_format == parts(both)[0].w_format
    assert q.input_format == both.input_format
    assert parts(q)[0].y == parts(plain)[0].y


@pytest.mark.parametrize(("bits", "argument"), [(8, None), (12, None), (None, 10), (16, 14)])
def test_a_table_with_bits_of_its_own(bits, argument):
    net = small()
    q = quantize(net, act_width=10, weight_width=12, calibration=X, table_bits=bits,
                 argument_bits=argument)
    assert q.table.out_frac == (bits or 10) and q.table.frac == (argument or {8: 8}.get(
        q.table.out_frac, 14 if q.table.out_frac > 14 else 12))
    assert parts(q)[0].g.width == q.table.out_frac + 1
    assert np.abs(golden.run(q, X) - forward(net, X)).max() < 0.05


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


# ---- refusals ----------------------------------------------------------------------------------

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
    (dict(rule="best"), "the rule for formats must be one of max, percentile, mse, not 'best'"),
    (dict(weight_rule=3), "must be one of max, percentile, mse, not '3'"),
    (dict(rule="percentile", percentile=20), "the percentile must be in 50..100, not '20'"),
    (dict(table_bits=3), "the table bits must be 4..18, not 3"),
    (dict(argument_bits=20), "the argument bits must be 8..14, not 20"),
    (dict(any_weights=True, rule="mse"), "a core whose weights come later has none"),
    (dict(overrides={"l0_lstm": {"weights": 40}}), r"\[l0_lstm\] weights must be 4..18 bits"),
    (dict(overrides={"l0_lstm": {"x": 8}}), r"\[l0_lstm\] has no 'x': its keys may be weights"),
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


def test_a_table_and_its_bits_contradict_each_other():
    with pytest.raises(ValueError, match="not both"):
        quantize(small(), table_bits=8, table=quantize(small()).table)


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


def test_weights_beyond_the_formats_saturate_where_they_are_allowed_to():
    w = LSTM.w_hh.copy()
    w[[0, 3]] = 0  # the accumulator holds the largest possible sums
    w[0, 0], w[3, 1] = 100, -100
    q = requantize_into(Network((5, 2), (replace(LSTM, w_hh=w), DENSE)), CORE, saturate=True)
    form = parts(CORE)[0].w_hh_format
    np.testing.assert_array_equal(parts(q)[0].w_hh, form.quantize(w))
    assert (parts(q)[0].w_hh[0, 0], parts(q)[0].w_hh[3, 1]) == (form.hi, form.lo)
    assert q.calibration["saturated_weights"] == {"l0_lstm": {"w_hh": 2}}
    assert "saturated_weights" not in requantize_into(small(), q, saturate=True).calibration


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_goes_into_its_own_core_and_one_for_any_weights(name):
    net, other = network(name, gain=0.3), network(name, gain=0.3, seed=1)
    core = quantize(net)
    again = requantize_into(net, core)
    x = inputs(core, 3)
    np.testing.assert_array_equal(golden.golden(again, x), golden.golden(core, x))
    blank = quantize(net, any_weights=True)
    trained = requantize_into(other, blank)
    data = np.random.default_rng(0).uniform(-1, 1, (8, *net.input_shape))
    wanted = forward(other, data)
    assert np.abs(golden.run(trained, data) - wanted).max() < 0.02 * max(1.0, np.ptp(wanted))


#: name of a network, the changed layer and its change, the message about core and model.
CHANGED = [
    ("gru", 0, dict(reset_after=False, b_n=None), "units, the last h, reset before.*reset after"),
    ("gru", 0, dict(recurrent_activation="hard_sigmoid"), "hard_sigmoid, reset after"),
    ("stateful rnn", 0, dict(stateful=False), r"every h\), the core SimpleRNN.*stateful"),
    ("constant states", 0, dict(c0=None), "constant h0.*constant h0, constant c0"),
    ("dilated conv", 0, dict(window=None), "Dense.*Window"),
    ("residual", 2, dict(pattern=np.ones((3, 6), bool)), "pattern of 18 weights"),
]


@pytest.mark.parametrize(("name", "at", "change", "text"), CHANGED)
def test_a_model_that_is_another_network_is_refused(name, at, change, text):
    net = network(name)
    layers = list(net.layers)
    if "window" in change:
        change |= {"w": parts(net)[at].w[:, :2]}
    layers[at] = replace(layers[at], **change)
    other = Network(net.input_shapes, tuple(layers), outputs=net.outputs)
    with pytest.raises(UserError, match=text):
        requantize_into(other, quantize(net))


def test_another_view_is_refused():
    net = Network((2, 2), (Slice(axis=1, start=0, stop=1), Flatten(), alone(2, "relu")))
    other = replace(parts(net)[0], start=1, stop=2)
    with pytest.raises(UserError, match=r"has Slice\(1, 1, 2, 1, False\), the core Slice"):
        requantize_into(Network((2, 2), (other, *net.layers[1:])), quantize(net))


def test_other_wiring_and_other_outputs_are_refused():
    net = network("multiply")
    layers = (*net.layers[:2], Multiply(inputs=(2, 1)), *net.layers[3:])
    with pytest.raises(UserError, match="layer 2: the model has Multiply of values 2, 1, the core"):
        requantize_into(Network(net.input_shapes, layers), quantize(net))
    net = network("two outputs")
    with pytest.raises(UserError, match="the model's outputs are not the core's"):
        requantize_into(Network(net.input_shapes, net.layers, outputs=(4, 2)), quantize(net))


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


def test_error_report_of_several_outputs_and_layers():
    net = network("two outputs", gain=0.5)
    x = np.random.default_rng(2).normal(size=(80, 3, 2))
    q = quantize(net, calibration=x)
    report = error_report(net, q, x)
    wanted, got = forward(net, x), golden.run(q, x)
    first = slice(0, 6)  # (3, 2) and then (1,)
    assert report["values"][0]["rms"] == pytest.approx(
        np.sqrt(np.mean((got[:, first] - wanted[:, first]) ** 2)))
    assert report["values"][1]["range"] == pytest.approx(np.ptp(wanted[:, 6]))
    assert len(report["outputs"]) == 3 and set(report["layers"]) == {
        "l0_lstm", "l1_dense", "l2_gru", "l3_dense"}
    assert report["layers"]["l3_dense"]["max_abs"] == pytest.approx(report["values"][1]["max_abs"])


@pytest.mark.parametrize("name", [n for n in NETWORKS if "stateful" in n])
def test_samples_of_a_stateful_network_follow_one_another_in_the_report(name):
    net = network(name, gain=0.5)
    x = np.random.default_rng(2).normal(size=(150, *net.input_shape))
    q = quantize(net, calibration=x)
    assert error_report(net, q, x)["max_abs"] == pytest.approx(
        np.abs(golden.run(q, x) - forward(net, x)).max())


def test_the_cell_state_of_a_model_is_its_own():
    net = Network((5, 2), (parts(small())[0], CellState(units=4)))
    q = quantize(net, calibration=X)
    assert parts(q)[1].c == parts(q)[0].c
    assert np.abs(golden.run(q, X) - forward(net, X)).max() < 1e-3


@pytest.mark.parametrize("width", [6, 8, 12])
def test_a_state_is_kept_over_a_thousand_steps(width):
    """A latch: the first input sets c, a forget gate of 0.99955 keeps it."""
    steps, forget = 1000, 7.7
    latch = Lstm(
        inputs=(0,), units=1, w_ih=np.array([[8.0], [0.0], [1.0], [0.0]]), w_hh=np.zeros((4, 1)),
        b=np.array([-8.0, forget, 0.0, 8.0]), return_sequences=False)
    made = Network(input_shapes=((steps, 1),), layers=(latch,), outputs=(1,))
    x = np.zeros((1, steps, 1))
    x[:, 0] = 1.75
    exact = forward(made, x)
    assert 0.4 < exact.item() < 0.6
    found = golden.run(quantize(made, act_width=width, weight_width=width, calibration=x), x)
    assert abs(found - exact).max() < 0.05 * exact.item() + 2.0 ** (1 - width)
