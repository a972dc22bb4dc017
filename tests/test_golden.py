"""The golden model against hand-computed cases, a naive twin in Python integers, and float."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.forward import forward
from gatefold.gen.network import Dense, Flatten, Lstm, Network, RepeatVector
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized import QDense, QLstm, QuantizedNetwork
from gatefold.gen.tables import default_table, tanh_table
from gatefold.sim import golden

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
    q = QFormat(8, 7)
    zero = np.zeros((4, 1), np.int64)
    layer = QLstm(name="l0_lstm", units=1, w_ih=zero, w_hh=zero, b=np.array([0, 0, b_g, 0]),
                  x=q, w_ih_format=q, w_hh_format=q, c=q, h=q, return_sequences=True)
    return QuantizedNetwork(input_shape=(3, 1), layers=(layer,), act_width=8, weight_width=8,
                            cell_width=8, input_format=q, table=default_table(8), acc_width=18)


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
        "u_i": [0, 0], "u_f": [0, 0], "u_g": [2047, 2047], "u_o": [0, 0], "i": [256, 256],
        "f": [256, 256], "g": [255, 255], "o": [256, 256], "c": [64, 96], "h": [30, 41]}
    counts = trace["saturations"]["l0_lstm"]
    assert counts == {"u": {"count": 3, "total": 12}, "c": {"count": 0, "total": 3},
                      "h": {"count": 0, "total": 3}}


def test_lstm_at_rest_stays_at_zero():
    h = golden.golden(one_unit(0), np.full((2, 3, 1), -128))
    np.testing.assert_array_equal(h, 0)


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
    layer = QDense(name="l0_dense", w=np.zeros((1, 1), np.int64), b=np.array([acc]), x=q,
                   w_format=q, y=q, activation=activation)
    trace = {}
    assert golden.dense(layer, default_table(8), np.zeros((1, 1), np.int64), trace) == y
    assert (trace["acc"], trace["y"]) == (acc, y)


# ---- a naive twin: docs/numbers.md in loops over Python integers --------------------------------


def rnd(v, s):
    return (v + 2 ** (s - 1)) // 2**s if s > 0 else v * 2**-s


def sat(v, n):
    return max(-(2 ** (n - 1)), min(2 ** (n - 1) - 1, v))


def t_of(table, u):
    m = min(abs(u), 2 ** (table.frac + 3) - 1)
    bits = format(m, f"0{table.frac + 3}b")
    high, low = bits[:table.n0], bits[table.n0 + table.n1:]
    t = int(table.t0[int(bits[:table.n0 + table.n1], 2)])
    if low:
        plus, rest = low[0] == "1", low[1:]
        if not plus:
            rest = "".join("10"[int(bit)] for bit in rest)
        odd = int(table.t1[int(high + rest, 2)])
        t += odd if plus else -odd
    return t if u >= 0 else -t


def naive_lstm(q, table, a, xs) -> Any:
    fu, w_ih, w_hh, b = table.frac, q.w_ih.tolist(), q.w_hh.tolist(), q.b.tolist()
    h, c, every = [0] * q.units, [0] * q.units, []
    for x in xs:
        u = []
        for row in range(4 * q.units):
            half = 0 if row // q.units == 2 else 1
            acc = (b[row] + sum(p * v for p, v in zip(w_ih[row], x, strict=True)) * 2**q.align_ih
                   + sum(p * v for p, v in zip(w_hh[row], h, strict=True)) * 2**q.align_hh)
            u.append(sat(rnd(acc, q.acc_frac + half - fu), fu + 4))
        h = []
        for n in range(q.units):
            i, f, o = (2**a + t_of(table, u[n + k * q.units]) for k in (0, 1, 3))
            g = t_of(table, u[n + 2 * q.units])
            most = max(a + 1 + q.c.frac, 2 * a + 1)
            total = (f * c[n] * 2 ** (most - a - 1 - q.c.frac)
                     + i * g * 2 ** (most - 2 * a - 1))
            c[n] = sat(rnd(total, most - q.c.frac), q.c.width)
            tc = t_of(table, sat(rnd(c[n], q.c.frac - fu), fu + 4))
            h.append(sat(rnd(o * tc, 2 * a + 1 - q.h.frac), a))
        every.append(h)
    return every if q.return_sequences else h


def naive_dense(q, table, a, x) -> list[int]:
    y = []
    for row, b in zip(q.w.tolist(), q.b.tolist(), strict=True):
        acc = b + sum(p * v for p, v in zip(row, x, strict=True))
        if q.activation == "sigmoid":
            t = t_of(table, sat(rnd(acc, q.acc_frac + 1 - table.frac), table.frac + 4))
            y.append(sat(rnd(2**a + t, a + 1 - q.y.frac), a))
        elif q.activation == "tanh":
            t = t_of(table, sat(rnd(acc, q.acc_frac - table.frac), table.frac + 4))
            y.append(sat(rnd(t, a - q.y.frac), a))
        else:
            value = sat(rnd(acc, q.acc_frac - q.y.frac), a)
            y.append(max(0, value) if q.activation == "relu" else value)
    return y


def naive(qnet, sample):
    a = qnet.act_width
    value: Any = sample
    for layer in qnet.layers:
        if isinstance(layer, QLstm):
            value = naive_lstm(layer, qnet.table, a, value)
        elif isinstance(layer, QDense):
            value = ([naive_dense(layer, qnet.table, a, v) for v in value]
                     if isinstance(value[0], list) else naive_dense(layer, qnet.table, a, value))
        elif "repeat" in layer.name:
            value = [value] * layer.timesteps
        else:
            value = [n for row in value for n in row] if isinstance(value[0], list) else value
    return value


def lstm(rng, features, units, sequences, gain=1.0):
    return Lstm(units=units, w_ih=gain * rng.normal(size=(4 * units, features)),
                w_hh=gain * rng.normal(size=(4 * units, units)) / np.sqrt(units),
                b=gain * rng.normal(size=4 * units), return_sequences=sequences)


def dense(rng, features, outputs, activation):
    return Dense(w=rng.normal(size=(outputs, features)), b=rng.normal(size=outputs),
                 activation=activation)


#: name: (input shape, layers made with a generator)
NETWORKS = {
    "last h": ((4, 3), lambda r: [lstm(r, 3, 5, False)]),
    "stacked, sequence, relu": (
        (3, 2), lambda r: [lstm(r, 2, 3, True, 3.0), lstm(r, 3, 4, True), dense(r, 4, 2, "relu")]),
    "autoencoder, sigmoid": (
        (3, 2), lambda r: [lstm(r, 2, 3, False), RepeatVector(timesteps=3),
                           lstm(r, 3, 2, True), dense(r, 2, 2, "sigmoid")]),
    "flatten, tanh, linear": (
        (3, 1), lambda r: [lstm(r, 1, 2, True), Flatten(), dense(r, 6, 3, "tanh"),
                           dense(r, 3, 1, "linear")]),
    "dense first": ((4,), lambda r: [dense(r, 4, 3, "linear"), RepeatVector(timesteps=2),
                                     lstm(r, 3, 2, False)]),
}
# activation, weight and cell widths
WIDTHS = [(4, 4, 4), (4, 18, 18), (7, 4, 12), (8, 8, 8), (12, 7, 16), (16, 16, 18), (16, 8, 4),
          (18, 18, 18), (18, 4, 7)]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_golden_equals_the_naive_twin(name, widths):
    rng = np.random.default_rng(sum(widths))
    shape, layers = NETWORKS[name]
    qnet = quantize(Network(shape, tuple(layers(rng))), act_width=widths[0],
                    weight_width=widths[1], cell_width=widths[2])
    form = qnet.input_format
    x = rng.integers(form.lo, form.hi + 1, (4, *shape))
    x[0], x[1] = form.lo, form.hi
    expected = np.array([naive(qnet, sample.tolist()) for sample in x])
    trace = {}
    np.testing.assert_array_equal(golden.golden(qnet, x, trace=trace), expected)
    np.testing.assert_array_equal(golden.golden(qnet, x), expected)
    assert expected.shape == (4, *qnet.output_shape)
    assert set(trace) == {"saturations"} | {
        layer.name for layer in qnet.layers if isinstance(layer, (QLstm, QDense))}


def test_golden_equals_the_naive_twin_with_another_table():
    rng = np.random.default_rng(3)
    table = tanh_table(frac=10, n0=6, n1=3, n2=4, out_frac=14)
    qnet = quantize(Network((5, 2), (lstm(rng, 2, 6, True, 2.0),)), act_width=14, table=table)
    x = rng.integers(-8192, 8192, (3, 5, 2))
    np.testing.assert_array_equal(golden.golden(qnet, x), [naive(qnet, s.tolist()) for s in x])


def test_what_saturates_is_counted():
    rng = np.random.default_rng(0)
    network = Network((6, 2), (lstm(rng, 2, 4, False, 3.0), dense(rng, 4, 2, "linear")))
    qnet = quantize(network, act_width=8)
    first, last = qnet.layers
    assert isinstance(first, QLstm) and isinstance(last, QDense)
    # An output format of a quarter of the range, a cell state of an eighth.
    first = replace(first, c=QFormat(first.c.width, first.c.frac + 3))
    last = replace(last, y=QFormat(8, last.y.frac + 2))
    qnet = replace(qnet, layers=(first, last))
    trace = {}
    form = qnet.input_format
    x = rng.integers(form.lo, form.hi + 1, (16, 6, 2))
    golden.golden(qnet, x, trace=trace)
    inside, counts = trace["l0_lstm"], trace["saturations"]["l0_lstm"]
    assert counts["u"]["total"] == 4 * counts["c"]["total"] == 4 * inside["c"].size
    acc = trace["l1_dense"]["acc"]
    shift = last.acc_frac - last.y.frac
    assert counts["c"]["count"] == np.isin(inside["c"], (first.c.lo, first.c.hi)).sum() > 0
    beyond = np.abs(golden.round_shift(acc, shift) + 0.5) > 128
    assert beyond.any()
    assert trace["saturations"]["l1_dense"] == {"y": {"count": beyond.sum(), "total": acc.size}}


# ---- against float -----------------------------------------------------------------------------

# activation = weight width, tolerance of the float comparison: |golden - float| of h (measured:
# 2.8e-2, 9.6e-4, 1.7e-4, 8.9e-5)
FLOAT_TOLERANCE = [(8, 5e-2), (12, 2e-3), (16, 4e-4), (18, 2e-4)]


@pytest.mark.parametrize(("width", "tolerance"), FLOAT_TOLERANCE)
def test_golden_is_near_the_float_network(width, tolerance):
    rng = np.random.default_rng(11)
    network = Network((30, 4), (lstm(rng, 4, 32, False, 0.5),))
    x = rng.standard_normal((32, 30, 4))
    qnet = quantize(network, calibration=x, act_width=width, weight_width=width)
    error = np.abs(golden.run(qnet, x) - forward(network, x))
    print(f"largest error against float at {width} bits: {error.max():.2e}")
    assert error.max() < tolerance


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
