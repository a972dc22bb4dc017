"""Weights that are rounded together: on their grid, and with less error of the sums."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.network.graph import Dense, Gru, Lstm, Network
from gatefold.gen.network.layers import Rnn
from gatefold.gen.numbers.fit import fitted, moments_of
from gatefold.gen.numbers.quantize import FITTED, quantize, requantize_into

U, F, T = 12, 3, 10
_RNG = np.random.default_rng(5)


def some(rows, columns, size=0.4):
    return _RNG.normal(0, size, (rows, columns))


def recurrent(kind: Any, gates: int, **more) -> Any:
    return kind(units=U, w_ih=some(gates * U, F), w_hh=some(gates * U, U),
                b=some(gates * U, 1)[:, 0], return_sequences=False, **more)


LAYERS = {"lstm": recurrent(Lstm, 4), "rnn": recurrent(Rnn, 1),
          "gru": recurrent(Gru, 3, reset_after=True, b_n=some(U, 1)[:, 0]),
          "gru, reset before": recurrent(Gru, 3, reset_after=False)}


def of(name: str, **changes) -> Network:
    return Network(((T, F),), (replace(LAYERS[name], **changes),
                               Dense(w=some(2, U), b=np.zeros(2))))


def quantized(network: Network, **options) -> Any:
    return quantize(network, **options)


def inputs(count: int) -> np.ndarray:
    """Features that go together, and have a mean."""
    return 0.5 + np.random.default_rng(count).normal(size=(count, T, 1)) * np.ones(F)


def error_of_sums(layer: Any, q: Any, moment: np.ndarray, rows: slice) -> float:
    """The mean square of the error of these rows' sums, for operands of such moments."""
    bias = layer.b - q.b * 2.0**-q.acc_frac
    off = np.concatenate([*(getattr(layer, tensor) - form.to_float(getattr(q, tensor))
                            for tensor, form in q.weights.items()), bias[:, None]], axis=1)[rows]
    return float(np.einsum("rc,cd,rd->", off, moment, off)) / len(off)


# the layer, the rows that meet x and h, the largest share of the error that is left
SUMS = [("lstm", slice(None), 0.5), ("rnn", slice(None), 0.5), ("gru", slice(0, 2 * U), 0.5),
        ("gru, reset before", slice(0, 2 * U), 0.5)]


@pytest.mark.parametrize(("name", "rows", "most"), SUMS)
def test_the_sums_have_half_the_error_at_4_bits(name, rows, most):
    network, x = of(name), inputs(64)
    moments = moments_of(network, x)
    plain, fit = (quantized(network, calibration=x, weight_width=4, moments=given)
                  for given in (None, moments))
    assert FITTED in fit.calibration and FITTED not in plain.calibration
    moment = moments.layers[network.names[0]][0]
    errors = [error_of_sums(network.layers[0], q.layers[0], moment, rows) for q in (fit, plain)]
    assert errors[0] < most * errors[1]


@pytest.mark.parametrize("row_scales", [False, True])
@pytest.mark.parametrize("activation", ["linear", "hard_sigmoid"])
def test_every_weight_lies_on_the_grid_of_its_row(activation, row_scales):
    network = Network(((T, F),), (LAYERS["lstm"], Dense(w=some(2, U), b=np.zeros(2),
                                                        activation=activation)))
    q = quantized(network, weight_width=4, weight_rule="mse", row_scales=row_scales,
                 moments=moments_of(network, inputs(8)))
    numbers = [{**{f"{tensor}_format": form for tensor, form in layer.weights.items()},
                "scales": layer.scales, "x": layer.x, "h": getattr(layer, "h", None),
                "split": layer.split}
               for layer in q.layers]
    again = fitted(network, numbers, moments_of(network, inputs(8)))
    for layer, ints in zip(again.layers, q.layers, strict=True):
        quarter = 0.25 if layer.last_activation == "hard_sigmoid" else 1.0
        for tensor, form in ints.weights.items():
            rows = len(getattr(ints, tensor))
            steps = 2.0 ** -(form.frac + ints.row_scales[:rows, None])
            np.testing.assert_array_equal(getattr(ints, tensor) * steps,
                                          getattr(layer, tensor) * quarter)


def test_operands_that_never_move_leave_the_rounding_to_the_nearest():
    """A sample of zeros says nothing of the weights: each of them is rounded by itself."""
    network = Network(((F,),), (Dense(w=some(4, F), b=np.zeros(4)),))
    options: Any = dict(calibration=inputs(4)[:, 0], weight_width=5)
    silent = moments_of(network, np.zeros((2, F)))
    np.testing.assert_array_equal(quantized(network, moments=silent, **options).layers[0].w,
                                  quantized(network, **options).layers[0].w)


def test_the_bias_takes_the_error_that_all_samples_share():
    network = Network(((1,),), (Dense(w=np.array([[0.3]]), b=np.zeros(1)),))
    q = quantized(network, calibration=np.array([[2.0], [2.5]]), weight_width=4, act_width=8,
                 moments=moments_of(network, np.full((1000, 1), 2.0)))
    (layer,) = q.layers
    step = layer.w_format.step
    assert layer.b[0] * 2.0**-layer.acc_frac == pytest.approx(
        2 * (0.3 - layer.w[0, 0] * step), abs=1e-3)


def test_other_weights_for_the_same_core_are_fitted_as_the_first():
    network = of("lstm")
    moments = moments_of(network, inputs(16))
    core = quantized(network, calibration=inputs(16), weight_width=4, weight_rule="mse",
                    moments=moments)
    again: Any = requantize_into(network, core, saturate=True, moments=moments)
    for layer, other in zip(core.layers, again.layers, strict=True):
        for tensor in (*layer.weights, "b"):
            np.testing.assert_array_equal(getattr(layer, tensor), getattr(other, tensor))
