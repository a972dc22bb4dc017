"""The measured choice of rules, scales of rows, grids of trained weights, and widths of outputs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.measure.rules import output_bits, quantize_measured, splits
from gatefold.gen.measure.search import error_of, outputs_of
from gatefold.gen.network.graph import Dense, Lstm, Network
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.formats import by_row
from gatefold.gen.numbers.integers import keeps_weights
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from tests.support.networks import network


def rows_of(layer):
    return layer.row_scales[:len(layer.b)]


def data(of: Network, count: int = 16) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *of.input_shape))


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_what_is_measured_is_no_worse_than_the_rule_max(bits):
    of = network("lstm-dense", gain=0.4)
    x = data(of)
    floats = outputs_of(of, x)
    errors = [error_of(of, qnet, x[::2], floats[::2]) for qnet in (
        quantize_measured(of, calibration=x, act_width=bits, weight_width=bits),
        quantize(of, calibration=x, act_width=bits, weight_width=bits))]
    assert errors[0] <= errors[1]


def test_from_12_bits_on_the_rule_is_max_without_row_scales():
    of = network("lstm-dense")
    qnet = quantize_measured(of, calibration=data(of), act_width=12, weight_width=12)
    assert (qnet.calibration["rule"], qnet.calibration["weight_rule"]) == ("max", "max")
    assert all(not layer.row_scales.any() for layer in qnet.layers)


# rows of two matrices, their formats, the scales: a row takes a bit more where both matrices allow
SCALES = [([[0.9], [0.4], [0.4]], [[0.2], [0.2], [0.8]], [0, 1, 0]),
          ([[0.5], [0.25], [0.0]], [[0.5], [0.25], [0.0]], [0, 0, 0])]  # exact without


@pytest.mark.parametrize(("first", "second", "scales"), SCALES)
def test_a_row_has_a_scale_where_all_its_weights_stay_in_range_and_gain(first, second, scales):
    forms = [[QFormat(6, 5)]] * 2
    assert by_row([np.array(first), np.array(second)], forms, [False, False])[1].tolist() == scales


@pytest.mark.parametrize("row_scales", [False, True])
def test_weights_on_a_grid_keep_it_exactly_whatever_the_rule(row_scales):
    of = network("lstm-dense", gain=0.3)
    trained = quantize(of, weight_width=4, row_scales=row_scales, weight_rule="mse")
    layers = tuple(replace(layer, **{
        tensor: getattr(q, tensor) * 2.0 ** -(form.frac + rows_of(q)[:, None])
        for tensor, form in q.weights.items()})
        for layer, q in zip(of.layers, trained.layers, strict=True))
    on_grid = replace(of, layers=layers)
    again = quantize(on_grid, weight_width=4, row_scales=row_scales)
    for layer, q in zip(on_grid.layers, again.layers, strict=True):
        for tensor, form in q.weights.items():
            steps = 2.0 ** -(form.frac + rows_of(q)[:, None])
            np.testing.assert_array_equal(getattr(q, tensor) * steps, getattr(layer, tensor))


def test_the_lowest_integer_lies_on_the_grid():
    of = Network(((2,),), (Dense(w=np.array([[-0.5, 0.4375]]), b=np.zeros(1)),))
    assert keeps_weights(of, quantize(of, weight_width=4))


@pytest.mark.parametrize("row_scales", [False, True])
def test_weights_that_were_trained_in_split_formats_keep_the_split(row_scales):
    of = network("dense per step", gain=0.3)
    x = data(of)
    options: dict[str, Any] = {"act_width": 4, "weight_width": 4, "calibration": x}
    q: Any = quantize(of, split=4, row_scales=row_scales, **options).layers[0]
    whole = q.w.reshape(len(q.w), -1, 4).sum(axis=2)
    on_grid = replace(of, layers=(replace(of.layers[0], w=whole * 2.0 ** -(
        q.w_format.frac + rows_of(q)[:, None])),))
    again = quantize_measured(on_grid, **options)
    assert again.split == 4 and keeps_weights(on_grid, again)
    assert not keeps_weights(on_grid, quantize(on_grid, **options))


# features, places of a chunk, bits of activations and of the output, numbers of operands
SPLITS = [(1, 16, 4, None, [2, 4, 8, 16]), (1, 16, 6, None, [2, 4]), (1, 16, 6, 16, [2, 4, 8, 16]),
          (1, 2, 4, None, [2]), (5, 16, 4, None, [2]), (9, 16, 4, None, []), (9, 5, 4, None, []),
          (3, 4, 8, None, [])]


@pytest.mark.parametrize(("features", "places", "bits", "output", "operands"), SPLITS)
def test_an_input_is_split_where_its_vectors_take_no_chunk_and_no_byte_more(
        features, places, bits, output, operands):
    of = initialise(units=2, features=features, timesteps=3)
    assert splits(of, places, bits, output, {}) == operands


# whether rows have scales: of all layers, by the sections; of the LSTM and the Dense layer
SECTIONS = [(False, {"l0_lstm": {"row_scales": True}}, [True, False]),
            (False, {"default": {"row_scales": True}}, [True, True]),
            (True, {"default": {"row_scales": True}, "l0_lstm": {"row_scales": False}},
             [False, True])]


@pytest.mark.parametrize(("every", "sections", "scaled"), SECTIONS, ids=str)
def test_a_section_says_whether_the_rows_of_a_layer_have_scales(every, sections, scaled):
    of = network("lstm-dense", gain=0.3)
    w = np.array([[0.9] * 5, [0.2] * 5])
    of = replace(of, layers=(of.layers[0], replace(of.layers[1], w=w)))
    q = quantize(of, weight_width=4, row_scales=every, overrides=sections)
    assert [bool(layer.row_scales.any()) for layer in q.layers] == scaled


# activations, features, stream bits, bits of the output
OUTPUTS = [(8, 3, 64, 16), (16, 3, 64, 16), (18, 3, 64, 18), (8, 100, 64, 8), (6, 100, 64, 8),
           (10, 100, 64, 16)]


@pytest.mark.parametrize(("act", "features", "stream", "bits"), OUTPUTS)
def test_outputs_have_16_bits_unless_a_wide_input_would_wait_for_them(act, features, stream, bits):
    lstm = Lstm(units=2, w_ih=np.zeros((8, features)), w_hh=np.zeros((8, 2)), b=np.zeros(8),
                return_sequences=False)
    of = Network(((4, features),), (lstm, Dense(w=np.zeros((1, 2)), b=np.zeros(1))))
    assert output_bits(of, act, stream) == bits


def test_an_output_that_is_no_dense_layer_has_no_width_of_its_own():
    assert output_bits(network("every h"), 8, 64) is None
