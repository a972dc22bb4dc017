"""Accumulators cannot overflow: the bound is reached at the extremes and never passed."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.numbers.accumulator import accumulator_bits, accumulator_bounds, accumulator_width
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import QDense, QGru, QLstm, QRecurrent
from gatefold.sim import golden
from tests.support.networks import NETWORKS, inputs, quantized

WIDTHS = [(4, 4, 18), (7, 18, 10), (16, 16, 18), (18, 18, 18)]


def matrix_layers(qnet) -> Any:
    return [layer for layer in qnet.layers if isinstance(layer, (QRecurrent, QDense))]


def operands(layer, row):
    """The columns of a row, each as: weight, its format, smallest and largest operand, in units of
    the accumulator's last bit; whether the weight can be other than zero."""
    def columns(w, form, lo, hi, up, used=None):
        return [(int(v), form, lo << int(s), hi << int(s), used is None or bool(used[n]))
                for n, (v, s) in enumerate(zip(w, up, strict=True))]

    if isinstance(layer, QDense):
        return columns(layer.w[row], layer.w_format, layer.x.lo, layer.x.hi, layer.x_align,
                       None if layer.pattern is None else layer.pattern[row])
    u = layer.units
    block = row // u
    projection = getattr(layer, "w_hr", None)
    if projection is not None and block >= 4:
        return columns(projection[row - 4 * u], layer.w_hr_format, layer.h.lo, layer.h.hi,
                       np.zeros(u, int))
    met = layer.h if projection is None else layer.hr
    states = [met] + ([layer.h_in] if layer.h_in else [])
    ups = [layer.acc_frac - layer.w_hh_format.frac - form.frac for form in states]
    lo = min(form.lo << up for form, up in zip(states, ups, strict=True))
    hi = max(form.hi << up for form, up in zip(states, ups, strict=True))
    found = []
    inner = isinstance(layer, QGru) and layer.reset_after
    if not (inner and block == 3):  # a GRU's m does not meet x
        found += columns(layer.w_ih[row], layer.w_ih_format, layer.x.lo, layer.x.hi,
                         layer.x_align + layer.align_ih)
    if not (inner and block == 2):  # nor its a h
        w = layer.w_hh[row - u if inner and block == 3 else row]
        found += columns(w, layer.w_hh_format, lo, hi, np.zeros(len(w), int))
    return found


def bias(layer) -> list[int]:
    inner = layer.b_n.tolist() if isinstance(layer, QGru) and layer.reset_after else []
    projection = getattr(layer, "w_hr", None)
    return layer.b.tolist() + inner + [0] * (0 if projection is None else len(projection))


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_bounds_are_reached_at_the_extremes(name, widths):
    qnet = quantized(name, widths)
    needed = [2]
    for layer in matrix_layers(qnet):
        low, high = accumulator_bounds(layer, qnet.table)
        bits = accumulator_bits((low, high))
        for row, (b, shift) in enumerate(zip(bias(layer), layer.result_shifts(qnet.table),
                                             strict=True)):
            half = 2 ** (shift - 1) if shift > 0 else 0
            terms = [(w * lo, w * hi) for w, _, lo, hi, _ in operands(layer, row)]
            assert high[row] == max(b, 0) + half + sum(max(pair) for pair in terms)
            assert low[row] == min(b, 0) + sum(min(pair) for pair in terms)
            # The width holds both, one bit less does not.
            n = bits[row]
            assert -(2 ** (n - 1)) <= low[row] and high[row] < 2 ** (n - 1)
            assert n == 1 or low[row] < -(2 ** (n - 2)) or high[row] >= 2 ** (n - 2)
        needed += bits
    assert qnet.acc_width >= max(needed)
    assert qnet.acc_width == accumulator_width(qnet)


@pytest.mark.parametrize("name", ["lstm, gru, rnn", "gru reset before", "joined formats",
                                  "states as inputs", "residual", "padded conv"])
def test_no_partial_sum_in_any_order_passes_the_bounds(name):
    rng = np.random.default_rng(0)
    qnet = quantized(name)
    for layer in matrix_layers(qnet):
        low, high = accumulator_bounds(layer, qnet.table)
        for row, (b, shift) in enumerate(zip(bias(layer), layer.result_shifts(qnet.table),
                                             strict=True)):
            for _ in range(10):
                products = [w * int(rng.choice([lo, hi])) for w, _, lo, hi, _ in
                            operands(layer, row)]
                summands = [*products, b, 2 ** (shift - 1) if shift > 0 else 0]
                partial = np.cumsum(rng.permutation(summands))
                assert low[row] <= partial.min() and partial.max() <= high[row]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_accumulator_of_golden_passes_the_width(name):
    qnet = quantized(name, gain=2.0)
    trace = {}
    golden.golden(qnet, inputs(qnet, 8), trace=trace)
    for layer in matrix_layers(qnet):
        acc = trace[layer.name].get("acc")
        if acc is not None:
            half = 1 << (qnet.acc_width - 1)
            assert -half <= acc.min() and acc.max() < half


def test_rounding_constant_depends_on_the_row():
    lstm, gru, rnn, _ = matrix_layers(quantized("lstm, gru, rnn"))
    table = quantized("lstm-dense").table
    gate, candidate = (layer_frac - table.frac for layer_frac in (1, 0))
    assert lstm.result_shifts(table) == [lstm.acc_frac + gate] * 6 \
        + [lstm.acc_frac + candidate] * 3 + [lstm.acc_frac + gate] * 3
    assert gru.result_shifts(table) == [gru.acc_frac + gate] * 8 + [0] * 4 \
        + [gru.acc_frac - gru.m.frac] * 4
    assert rnn.result_shifts(table) == [rnn.acc_frac + candidate] * 5
    before = matrix_layers(quantized("gru reset before"))[0]
    assert before.result_shifts(table) == [before.acc_frac + gate] * 10 + [0] * 5
    hard = matrix_layers(quantized("hard lstm"))[0]
    assert set(hard.result_shifts(table)) == {hard.acc_frac + 1 - 8, hard.acc_frac - 8}


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("name", ["lstm-dense", "gru", "gru reset before", "residual", "conv"])
def test_any_weights_take_the_extremes_of_their_format(name, widths):
    qnet = quantized(name, widths, gain=0.3, any_weights=True)
    most = [2]
    for layer in matrix_layers(qnet):
        low, high = accumulator_bounds(layer, qnet.table, any_weights=True, bias_limit=8.0)
        w = QFormat(widths[1], widths[1] - 3)
        limit = int(8 * 2.0**layer.acc_frac)
        for row, shift in enumerate(layer.result_shifts(qnet.table)):
            half = 2 ** (shift - 1) if shift > 0 else 0
            columns = [(form, lo, hi) for _, form, lo, hi, used in operands(layer, row) if used]
            assert all(form == w for form, _, _ in columns)
            assert high[row] == limit + half + sum(w.lo * lo for _, lo, _ in columns)
            assert low[row] == -limit + sum(min(w.lo * hi, w.hi * lo) for _, lo, hi in columns)
        most += accumulator_bits((low, high))
    assert qnet.acc_width == max(most)


def test_operands_that_meet_no_weight_pass_through_the_accumulator_too():
    # A pool of 18 bits behind weights of nothing: the accumulator holds what the pool compares.
    qnet = quantized("padded pool", (18, 4, 4), gain=1e-6)
    pool = qnet.layers[1]
    assert qnet.acc_width >= 18 and pool.x.width == 18
    states = quantized("states as inputs", (18, 4, 4), gain=1e-9)
    lstm = states.layers[0]
    assert isinstance(lstm, QLstm) and lstm.c_in
    half = 1 << (lstm.c_in.frac - lstm.c.frac - 1)
    assert states.acc_width >= (lstm.c_in.hi + half).bit_length() + 1


# low, high, two's complement bits
BITS = [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-3, 0, 3), (-4, 3, 3), (-5, 3, 4),
        (0, 127, 8), (0, 128, 9), (-128, 0, 8), (-129, 0, 9)]


@pytest.mark.parametrize(("low", "high", "bits"), BITS)
def test_bits_of_bounds(low, high, bits):
    assert accumulator_bits(([low], [high])) == [bits]
