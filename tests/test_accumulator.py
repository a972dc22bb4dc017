"""Accumulators cannot overflow: the bound is reached at the extremes and never passed."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.accumulator import accumulator_bits, accumulator_bounds, result_shifts
from gatefold.gen.network import Dense, Lstm, Network
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized import QDense, QLstm

WIDTHS = [(4, 4), (7, 18), (12, 8), (16, 16), (18, 18)]


def parts(network) -> Any:
    """The layers, whose kinds the test knows."""
    return network.layers


def network(rng, activation):
    lstm = Lstm(units=5, w_ih=rng.uniform(-3, 3, (20, 3)), w_hh=rng.normal(0, 0.1, (20, 5)),
                b=rng.normal(size=20), return_sequences=False)
    dense = Dense(w=rng.uniform(-1, 1, (4, 5)), b=rng.normal(size=4), activation=activation)
    return Network((4, 3), (lstm, dense))


def operands(layer):
    """Per operand: its weights, its format, its alignment in the accumulator."""
    if isinstance(layer, QLstm):
        return [(layer.w_ih, layer.x, layer.align_ih), (layer.w_hh, layer.h, layer.align_hh)]
    return [(layer.w, layer.x, 0)]


def terms(layer, row, sign):
    """Python integers: every product of a row with the operand that drives it to the extreme."""
    return [int(w) * (form.hi if w * sign > 0 else form.lo) * 2**align
            for weights, form, align in operands(layer) for w in weights[row]]


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_bounds_are_reached_at_the_extremes(widths, activation):
    rng = np.random.default_rng(sum(widths))
    qnet = quantize(network(rng, activation), act_width=widths[0], weight_width=widths[1])
    needed = []
    for layer in parts(qnet):
        assert isinstance(layer, (QLstm, QDense))
        low, high = accumulator_bounds(layer, qnet.table.frac)
        bits = accumulator_bits((low, high))
        for row, shift in enumerate(result_shifts(layer, qnet.table.frac)):
            half = 2 ** (shift - 1) if shift > 0 else 0
            b = int(layer.b[row])
            assert high[row] == max(b, 0) + half + sum(terms(layer, row, +1))
            assert low[row] == min(b, 0) + sum(terms(layer, row, -1))
            # The width holds both, one bit less does not.
            n = bits[row]
            assert -(2 ** (n - 1)) <= low[row] and high[row] < 2 ** (n - 1)
            assert low[row] < -(2 ** (n - 2)) or high[row] >= 2 ** (n - 2)
        needed += bits
    assert qnet.acc_width == max(needed)


def test_no_partial_sum_in_any_order_passes_the_bounds():
    rng = np.random.default_rng(0)
    qnet = quantize(network(rng, "linear"), act_width=8, weight_width=8)
    for layer in parts(qnet):
        low, high = accumulator_bounds(layer, qnet.table.frac)
        for row, shift in enumerate(result_shifts(layer, qnet.table.frac)):
            for _ in range(20):
                products = [int(w) * int(rng.choice([form.lo, form.hi])) << align
                            for weights, form, align in operands(layer) for w in weights[row]]
                summands = [*products, int(layer.b[row]), 2 ** (shift - 1) if shift > 0 else 0]
                partial = np.cumsum(rng.permutation(summands))
                assert low[row] <= partial.min() and partial.max() <= high[row]


def test_rounding_constant_depends_on_the_gate():
    layer = parts(quantize(network(np.random.default_rng(0), "linear")))[0]
    shifts = result_shifts(layer, 12)
    assert shifts == [layer.acc_frac - 11] * 10 + [layer.acc_frac - 12] * 5 \
        + [layer.acc_frac - 11] * 5


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_any_weights_take_the_extremes_of_their_format(widths):
    qnet = quantize(network(np.random.default_rng(0), "linear"), act_width=widths[0],
                    weight_width=widths[1], any_weights=True)
    most = []
    for layer in parts(qnet):
        low, high = accumulator_bounds(layer, qnet.table.frac, any_weights=True, bias_limit=8.0)
        w = QFormat(widths[1], widths[1] - 3)
        limit = int(8 * 2.0**layer.acc_frac)
        for row, shift in enumerate(result_shifts(layer, qnet.table.frac)):
            half = 2 ** (shift - 1) if shift > 0 else 0
            columns = [(form, align) for weights, form, align in operands(layer)
                       for _ in weights[row]]
            assert high[row] == limit + half + sum(w.lo * f.lo << a for f, a in columns)
            assert low[row] == -limit + sum(
                min(w.lo * f.hi, w.hi * f.lo) << a for f, a in columns)
        most += accumulator_bits((low, high))
    assert qnet.acc_width == max(most)


# low, high, two's complement bits
BITS = [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-3, 0, 3), (-4, 3, 3), (-5, 3, 4),
        (0, 127, 8), (0, 128, 9), (-128, 0, 8), (-129, 0, 9)]


@pytest.mark.parametrize(("low", "high", "bits"), BITS)
def test_bits_of_bounds(low, high, bits):
    assert accumulator_bits(([low], [high])) == [bits]
