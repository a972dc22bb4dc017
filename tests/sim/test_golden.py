"""The golden model against hand-computed cases, a naive twin in Python integers, and float."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Concat, Dense, Network, Reverse
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QDense, QGru, QLayer, QLstm, QRnn, QuantizedNetwork
from gatefold.gen.numbers.tables import default_table, tanh_table
from gatefold.sim import golden
from tests.support.naive import Naive
from tests.support.networks import NETWORKS, Make, inputs, network, quantized

# ---- arithmetic, by hand -----------------------------------------------------------------------

# v, s, rounded half up
ROUNDINGS = [(5, 1, 3), (-5, 1, -2), (4, 1, 2), (1, 1, 1), (-1, 1, 0), (6, 2, 2), (5, 2, 1),
             (-6, 2, -1), (-7, 2, -2), (7, 0, 7), (-7, 0, -7), (3, -2, 12), (-3, -2, -12)]
# v, bits, saturated
SATURATIONS = [(7, 4, 7), (8, 4, 7), (-8, 4, -8), (-9, 4, -8), (0, 4, 0), (1 << 40, 18, 131071),
               (-(1 << 40), 18, -131072)]


@pytest.mark.parametrize(("v", "s", "result"), ROUNDINGS)
def test_round_shift(v, s, result):
    assert golden.round_shift(v, s) == result


@pytest.mark.parametrize(("v", "bits", "result"), SATURATIONS)
def test_saturate(v, bits, result):
    assert golden.saturate(v, bits) == result


# u in Q4.8, tanh with 8 fractional bits, sigmoid(2u) with 9
FUNCTIONS = [(0, 0, 256), (1, 1, 257), (-1, -1, 255), (128, 118, 374), (-128, -118, 138),
             (192, 163, 419), (2047, 255, 511), (-2047, -255, 1), (-2048, -255, 1)]


@pytest.mark.parametrize(("u", "tanh", "sigmoid"), FUNCTIONS)
def test_functions_at_8_bits(u, tanh, sigmoid):
    table = default_table(8)
    assert (golden.tanh(table, u), golden.sigmoid(table, u)) == (tanh, sigmoid)


def one_unit(b_g):
    """An LSTM of one unit at 8 bits that sees only the bias of its g gate."""
    q, t = QFormat(8, 7), QFormat(9, 8)
    zero = np.zeros((4, 1), np.int64)
    return one_layer(QLstm(
        name="l0_lstm", inputs=(0,), units=1, w_ih=zero, w_hh=zero, b=np.array([0, 0, b_g, 0]),
        x=q, x_align=np.zeros(1, int), w_ih_format=q, w_hh_format=q, c=q, h=q, g=t, tc=t,
        return_sequences=True))


def one_layer(layer: QLayer) -> QuantizedNetwork:
    """A network of 3 steps of one feature at 8 bits."""
    return QuantizedNetwork(
        input_shapes=((3, 1),), layers=(layer,), outputs=(1,), act_width=8, weight_width=8,
        cell_width=8, input_formats=(QFormat(8, 7),), table=default_table(8), acc_width=18)


def test_lstm_step_by_hand():
    # g = 8 saturates: u = 2047, g = 255/256; i = f = o = 1/2 (256 of 9 fractional bits).
    # c1: 256*255 = 65280 (17 frac) -> /1024 = 63.75 -> 64;  tc = t(128) = 118;
    # h1: 256*118 = 30208 -> /1024 = 29.5, a tie -> 30.
    # c2: (256*64 << 1) + 65280 = 98048 -> 95.75 -> 96;  tc = t(192) = 163;  h2: 40.75 -> 41.
    trace = {}
    h = golden.golden(one_unit(8 << 14), np.zeros((1, 3, 1), np.int64), trace=trace)
    assert h[0, :2, 0].tolist() == [30, 41]
    inside = {name: values[0, :2, 0].tolist() for name, values in trace["l0_lstm"].items()}
    assert inside == {
        "acc_i": [0, 0], "acc_f": [0, 0], "acc_g": [8 << 14, 8 << 14], "acc_o": [0, 0],
        "u_i": [0, 0], "u_f": [0, 0], "u_g": [2047, 2047], "u_o": [0, 0], "i": [256, 256],
        "f": [256, 256], "g": [255, 255], "o": [256, 256], "c": [64, 96], "h": [30, 41]}
    counts = trace["saturations"]["l0_lstm"]
    assert counts == {"u": {"count": 3, "total": 12}, "c": {"count": 0, "total": 3},
                      "h": {"count": 0, "total": 3}}


def test_lstm_at_rest_stays_at_zero():
    h = golden.golden(one_unit(0), np.full((2, 3, 1), -128))
    np.testing.assert_array_equal(h, 0)


def one_gru(*, reset_after, b=(0, 0, 0), b_n=0, w_n=0):
    """A GRU of one unit at 8 bits that sees its biases, and w_n h in its candidate."""
    q, t = QFormat(8, 7), QFormat(9, 8)
    return one_layer(QGru(
        name="l0_gru", inputs=(0,), units=1, w_ih=np.zeros((3, 1), np.int64),
        w_hh=np.array([[0], [0], [w_n]]), b=np.array(b), b_n=np.array([b_n]), x=q,
        x_align=np.zeros(1, int), w_ih_format=q, w_hh_format=q, c=q, m=q, n=t, h=q,
        reset_after=reset_after, return_sequences=True))


def test_gru_steps_by_hand_with_reset_after():
    # r = z = 1/2 (256 of 9 fractional bits). b_n = 1 (14 frac): m = 128 saturates to 127;
    # a << 2 = 0 and r m = 256 * 127 with 16 frac: u = 32512 / 256 = 127; n = t(127) = 118.
    # s1: (118 << 9) + 256 (0 - 118) = 30208, d = 8: / 2^10 = 29.5 -> 30; h the same.
    # s2: (118 << 9) + 256 (60 - 118) = 45568 -> 44.5 -> 45.
    trace = {}
    h = golden.golden(one_gru(reset_after=True, b_n=1 << 14), np.zeros((1, 3, 1), np.int64),
                      trace=trace)
    assert h[0, :2, 0].tolist() == [30, 45]
    inside = {name: values[0, :2, 0].tolist() for name, values in trace["l0_gru"].items()}
    assert inside == {"acc_r": [0, 0], "acc_z": [0, 0], "acc_n": [0, 0], "acc_m": [1 << 14] * 2,
                      "u_r": [0, 0], "u_z": [0, 0], "u_n": [127, 127], "r": [256, 256],
                      "z": [256, 256], "n": [118, 118], "m": [127, 127], "c": [30, 45],
                      "h": [30, 45]}
    assert trace["saturations"]["l0_gru"]["m"] == {"count": 3, "total": 3}


def test_gru_steps_by_hand_with_reset_before():
    # Candidate's bias 1/2: u = 128, n = 118. s1: (118 << 9) - 256 * 118 = 30208 -> 29.5 -> 30.
    # Then q = 256 * 30 / 2^9 = 15; acc = 8192 + 127 * 15 = 10097 (14 frac) -> u = 157.77 -> 158;
    # n = t(158) = 141; s2: (141 << 9) + 256 (60 - 141) = 51456 -> 50.25 -> 50.
    trace = {}
    h = golden.golden(one_gru(reset_after=False, b=(0, 0, 1 << 13), w_n=127),
                      np.zeros((1, 3, 1), np.int64), trace=trace)
    assert h[0, :2, 0].tolist() == [30, 50]
    assert trace["l0_gru"]["q"][0, :2, 0].tolist() == [0, 15]
    assert trace["l0_gru"]["acc_n"][0, :2, 0].tolist() == [8192, 10097]
    assert trace["l0_gru"]["u_n"][0, :2, 0].tolist() == [128, 158]


# activation, accumulator (14 fractional bits), y: by hand at 8 bits (y Q1.7, table Q4.8)
DENSE = [
    ("linear", 64, 1), ("linear", 63, 0), ("linear", -64, 0), ("linear", -65, -1),
    ("linear", 1 << 20, 127), ("linear", -(1 << 20), -128),
    ("relu", 64, 1), ("relu", -(1 << 20), 0), ("relu", 1 << 20, 127),
    ("sigmoid", 0, 64), ("sigmoid", 1 << 20, 127), ("sigmoid", -(1 << 20), 0),
    ("sigmoid", 1 << 14, 94),  # u = 128: (256 + 118) / 4 = 93.5 -> 94
    ("tanh", 0, 0), ("tanh", 1 << 13, 59), ("tanh", -(1 << 13), -59),
    ("tanh", 1 << 20, 127), ("tanh", -(1 << 20), -127),  # 255/2 = 127.5 -> 128, saturated
]


@pytest.mark.parametrize(("activation", "acc", "y"), DENSE)
def test_dense_by_hand(activation, acc, y):
    q = QFormat(8, 7)
    layer = QDense(name="l0_dense", inputs=(0,), w=np.zeros((1, 1), np.int64), b=np.array([acc]),
                   x=q, x_align=np.zeros(1, int), w_format=q, y=q, activation=activation)
    trace = {}
    assert golden.dense(layer, default_table(8), np.zeros((1, 1), np.int64), trace) == y
    assert (trace["acc"], trace["y"]) == (acc, y)


# ---- a naive twin: docs/numbers.md in loops over Python integers --------------------------------

# activation, weight and cell widths
WIDTHS = [(4, 4, 4), (4, 18, 18), (7, 4, 12), (8, 8, 10), (16, 16, 18), (16, 8, 4), (18, 18, 18)]


def same_as_naive(qnet, samples=3, seed=0):
    x = inputs(qnet, samples, seed)
    twin = Naive(qnet)
    expected = [twin(sample) if qnet.stateful else Naive(qnet)(sample) for sample in x]
    trace = {}
    for got in (golden.golden(qnet, x, trace=trace), golden.golden(qnet, x)):
        assert got.shape == (samples, *qnet.output_shape)
        np.testing.assert_array_equal(got.reshape(samples, -1), np.array(expected, np.int64))
    assert set(trace) == {"saturations"} | {layer.name for layer in qnet.computing.values()}


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_golden_equals_the_naive_twin(name, widths):
    same_as_naive(quantized(name, widths, seed=sum(widths)))


#: Numbers of other kinds than one width for all.
OPTIONS = {
    "another table": dict(table=tanh_table(frac=10, n0=6, n1=3, n2=4, out_frac=14)),
    "a small table": dict(table_bits=6, argument_bits=8),
    "a fine table": dict(table_bits=16, argument_bits=14),
    "for any weights": dict(any_weights=True),
    "row scales": dict(row_scales=True, output_width=12),
    "remainders": dict(carry="every"),
    "narrow results": dict(overrides={"default": {"activations": 6}, "input": {"x": 8}}),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", ["lstm, gru, rnn", "gru reset before", "linear lstm", "relu gru",
                                  "scale", "constant states", "residual", "hard dense"])
def test_golden_equals_the_naive_twin_whatever_the_formats(name, options):
    same_as_naive(quantized(name, (8, 8, 10), gain=0.3, **options))


@pytest.mark.parametrize("name", ["hard dense", "flatten", "residual", "hard_tanh rnn"])
def test_golden_equals_the_naive_twin_where_results_are_finer_than_sums(name):
    qnet = quantized(name, (8, 4, 10), gain=64.0)
    assert any(layer.result.frac > layer.acc_frac for layer in qnet.layers
               if isinstance(layer, QDense | QRnn))
    same_as_naive(qnet)


def test_products_beyond_float64_are_computed_in_integers():
    # Two inputs far apart: the accumulator has over 53 bits, and the lowest ones matter.
    dense = Dense(w=np.array([[0.99, 0.99]]), b=np.zeros(1))
    net = Network(((1,), (1,)), (Concat(axis=0, inputs=(0, 1)), dense))
    x = np.array([[2.0**13, 2.0**-8]])
    qnet = quantize(net, calibration=x, act_width=18, weight_width=18,
                    overrides={"l1_dense": {"w": "Q1.17"}})
    assert qnet.acc_width > 54
    same_as_naive(qnet, 20)


# scale of the weights, of the inputs: far apart
SCALES = [(1e-6, 1.0), (1e3, 1.0), (1.0, 1e-9), (1.0, 1e5), (1e-4, 1e6), (1e5, 1e-5), (0.0, 0.0)]


@pytest.mark.parametrize(("gain", "spread"), SCALES)
@pytest.mark.parametrize("name", [
    "lstm, gru, rnn", "gru reset before", "linear lstm", "linear gru", "relu gru", "residual",
    "joined formats", "states as inputs", "multiply", "padded pool", "formats joined in time"])
def test_golden_stays_within_int64_or_the_quantiser_refuses(name, gain, spread):
    # The twin computes in Python's integers, which have no end.
    net = network(name, gain=gain)
    data = np.random.default_rng(0).normal(size=(8, *net.input_shape)) * spread
    for width in (6, 18):
        try:
            qnet = quantize(net, act_width=width, weight_width=width, calibration=data)
        except UserError as refused:
            assert "too far apart" in str(refused) or "overflows" in str(refused)
            continue
        same_as_naive(qnet, 2)


def test_saturated_values_are_counted():
    qnet = quantized("lstm-dense", (8, 8, 10), gain=3.0)
    first, last = qnet.layers
    assert isinstance(first, QLstm) and isinstance(last, QDense)
    # An output format of a quarter of the range, a cell state of an eighth.
    first = replace(first, c=QFormat(first.c.width, first.c.frac + 3))
    last = replace(last, y=QFormat(8, last.y.frac + 2))
    qnet = replace(qnet, layers=(first, last))
    trace = {}
    golden.golden(qnet, inputs(qnet, 16), trace=trace)
    inside, counts = trace["l0_lstm"], trace["saturations"]["l0_lstm"]
    assert counts["u"]["total"] == 4 * counts["c"]["total"] == 4 * inside["c"].size
    acc = trace["l1_dense"]["acc"]
    shift = last.acc_frac - last.y.frac
    assert 0 < counts["c"]["count"] <= np.isin(inside["c"], (first.c.lo, first.c.hi)).sum()
    beyond = np.abs(golden.round_shift(acc, shift) + 0.5) > 128
    assert beyond.any()
    assert trace["saturations"]["l1_dense"] == {"y": {"count": beyond.sum(), "total": acc.size}}


#: Tensors of a trace, by the layer's kind.
TRACED = {
    "lstm": {"acc_i", "acc_f", "acc_g", "acc_o", "u_i", "u_f", "u_g", "u_o", "i", "f", "g", "o",
             "c", "h"},
    "gru": {"acc_r", "acc_z", "acc_n", "acc_m", "u_r", "u_z", "u_n", "r", "z", "n", "c", "h", "m"},
    "rnn": {"acc", "h"}, "dense": {"acc", "y"}, "max_pool": {"y"},
    "average_pool": {"acc", "y"}, "multiply": {"y"}, "cell_state": {"y"},
}


@pytest.mark.parametrize("name", ["lstm, gru, rnn", "states handed over", "multiply", "pools"])
def test_a_trace_holds_every_tensor(name):
    trace = {}
    qnet = quantized(name)
    golden.golden(qnet, inputs(qnet, 2), trace=trace)
    for n, layer in qnet.computing.items():
        inside = trace[layer.name]
        assert set(inside) == TRACED[layer.name.split("_", 1)[1]]
        shape = qnet.shapes[qnet.value(n)]
        result = inside["h" if "h" in inside else "y"]
        assert result.shape[-1] == shape[-1] and result.shape[0] == 2


# ---- sequences of samples ----------------------------------------------------------------------

STATEFUL = ["stateful lstm", "stateful gru", "stateful rnn"]


@pytest.mark.parametrize("name", STATEFUL)
def test_state_goes_from_sample_to_sample(name):
    qnet = quantized(name)
    x = inputs(qnet, 7)
    fresh = np.array([False, False, True, False, False, True, False])
    together = golden.golden(qnet, x, fresh=fresh)
    for start, end in ((0, 2), (2, 5), (5, 7)):
        np.testing.assert_array_equal(golden.golden(qnet, x[start:end]), together[start:end])
    assert (golden.golden(qnet, x)[2:] != together[2:]).any()
    np.testing.assert_array_equal(
        golden.golden(qnet, x, fresh=np.ones(7, bool)),
        np.concatenate([golden.golden(qnet, sample[None]) for sample in x]))


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_samples_of_a_stateful_layer_are_one_long_sequence(kind):
    layer = getattr(Make(np.random.default_rng(2)), kind)(3, 4, True)
    whole = quantize(Network((12, 3), (layer,)), act_width=10, table_bits=12)
    steps = quantize(Network((1, 3), (replace(layer, stateful=True),)), act_width=10,
                     table_bits=12)
    # The same numbers, whatever the two were calibrated on.
    steps = replace(steps, input_formats=whole.input_formats, layers=tuple(
        replace(one, stateful=True, inputs=(0,)) for one in whole.layers))  # type: ignore
    x = inputs(whole, 2)
    for sample in x:
        np.testing.assert_array_equal(golden.golden(steps, sample[:, None])[:, 0],
                                      golden.golden(whole, sample[None])[0])


@pytest.mark.parametrize("fresh", [np.ones(2, bool), np.ones(3, int), [True, False]])
def test_fresh_is_a_boolean_a_sample(fresh):
    with pytest.raises(ValueError, match="fresh must be 3 booleans"):
        golden.golden(one_unit(0), np.zeros((3, 3, 1), int), fresh=fresh)


# ---- the same by other means -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv", "causal conv", "strided conv", "dilated conv"])
def test_a_convolution_is_a_dense_layer_on_explicit_windows(name):
    qnet = quantized(name)
    conv = qnet.layers[0]
    assert isinstance(conv, QDense) and conv.window
    x = inputs(qnet, 3)
    windows = conv.window.arrange(x).reshape(3, -1, conv.features)
    plain = replace(conv, window=None)
    np.testing.assert_array_equal(golden.dense(conv, qnet.table, x),
                                  golden.dense(plain, qnet.table, windows))


def test_bidirectional_is_two_passes():
    net = network("bidirectional")
    x = np.random.default_rng(0).normal(size=(3, 4, 3))
    both = Network((4, 3), net.layers[:5])
    qnet = quantize(both, act_width=8, calibration=x)
    x = qnet.quantize(x)
    one = replace(qnet, layers=qnet.layers[:1], outputs=(1,))
    other = replace(qnet, layers=(replace(qnet.layers[2], inputs=(0,)),), outputs=(1,))
    np.testing.assert_array_equal(golden.golden(qnet, x), np.concatenate(
        [golden.golden(one, x), golden.golden(other, x[:, ::-1])[:, ::-1]], axis=2))
    assert isinstance(both.layers[1], Reverse)


def test_a_layer_can_be_looked_at_by_itself():
    qnet = quantized("stack")
    x, given = inputs(qnet, 3), {1: np.ones((3, 4, 4), np.int64)}
    trace, other = {}, {}
    golden.golden(qnet, x, trace=trace)
    golden.golden(qnet, x, trace=other, instead=given)
    np.testing.assert_array_equal(trace["l0_lstm"]["h"], other["l0_lstm"]["h"])
    assert (trace["l1_lstm"]["h"] != other["l1_lstm"]["h"]).any()
    again = {}
    golden.golden(qnet, x // 2, trace=again, instead=given)
    np.testing.assert_array_equal(again["l2_lstm"]["h"], other["l2_lstm"]["h"])


# ---- against float -----------------------------------------------------------------------------


# activation = weight width, tolerance of the float comparison: |golden - float| of the outputs
FLOAT_TOLERANCE = [(8, 8e-2), (12, 8e-3), (16, 6e-4), (18, 4e-4)]


@pytest.mark.parametrize(("width", "tolerance"), FLOAT_TOLERANCE)
@pytest.mark.parametrize("kind", ["lstm", "gru", "gru reset before", "rnn"])
def test_golden_is_near_the_float_network(kind, width, tolerance):
    make = Make(np.random.default_rng(11), 0.2)
    layer = {"lstm": make.lstm, "gru": make.gru, "rnn": make.rnn}.get(
        kind, lambda f, u: make.gru(f, u, False, False))(4, 32)
    net = Network((30, 4), (layer,))
    x = np.random.default_rng(0).standard_normal((32, 30, 4))
    qnet = quantize(net, calibration=x, act_width=width, weight_width=width)
    error = np.abs(golden.run(qnet, x) - forward(net, x))
    print(f"largest error against float at {width} bits: {error.max():.2e}")
    assert error.max() < tolerance


@pytest.mark.parametrize("name", NETWORKS)
def test_16_bits_are_near_float_for_every_kind(name):
    net = network(name, gain=0.5)
    x = np.random.default_rng(0).standard_normal((16, *net.input_shape))
    qnet = quantize(net, calibration=x)
    wanted = forward(net, x)
    assert np.abs(golden.run(qnet, x) - wanted).max() < 5e-4 * max(1.0, np.ptp(wanted))


# ---- wrong input -------------------------------------------------------------------------------

WRONG = [
    (np.zeros((1, 3, 1)), "raw input must hold integers, not float64"),
    (np.zeros((3, 1), int), r"must have the shape \(samples, 3, 1\)"),
    (np.zeros((1, 3, 2), int), r"not \(1, 3, 2\)"),
    (np.zeros((0, 3, 1), int), "at least one sample"),
    (np.full((1, 3, 1), 128), r"-128..127 \(Q1.7\), but it spans 128..128"),
    (np.full((1, 3, 1), -129), "spans -129..-129"),
    (np.full((1, 3, 1), 2**64 - 1, np.uint64), "spans 18446744073709551615"),
]


@pytest.mark.parametrize(("x", "text"), WRONG)
def test_wrong_integers_are_refused(x, text):
    with pytest.raises(UserError, match=text):
        golden.golden(one_unit(0), x)


@pytest.mark.parametrize("x", [np.full((1, 3, 1), np.nan), np.full((1, 3, 1), np.inf),
                               np.full((1, 3, 1), "1")])
def test_wrong_floats_are_refused(x):
    with pytest.raises(UserError, match="finite real numbers"):
        golden.run(one_unit(0), x)
