"""Rows with scales, and last results of more bits: whole cores against golden, to the cycle."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.plan import Array, make_plan
from gatefold.sim.scenario import full_rate, random_flow
from tests.hdl.test_core import check
from tests.support.networks import network

NARROW: dict[str, Any] = {"act_width": 6, "weight_width": 5, "cell_width": 10}

# network, array, other options of the core: one row an element and four, riders, groups that begin
# in the middle of a chunk, a GRU in one op and in two, several dies
CORES = [("lstm-dense", (8, 3), {}), ("flatten", (20, 3), {"loadable": True}),
         ("gru of several groups", (16, 3), {}), ("gru reset before", (16, 5),
                                                  {"pipeline": "short"}),
         ("stack", (24, 2), {"dies": 3, "cross": 2, "loadable": True})]


@pytest.mark.parametrize(("name", "array", "options"), CORES, ids=str)
def test_a_core_with_row_scales_equals_golden_and_takes_no_cycle_more(name, array, options):
    scaled = quantize(network(name), row_scales=True, weight_rule="mse", **NARROW)
    assert any(layer.row_scales.any() for layer in scaled.layers)
    check(scaled, *array, scenarios=(full_rate, random_flow), **options)
    pe, simd = array
    dies = {key: value for key, value in options.items() if key != "loadable"}
    cycles = [make_plan(qnet, Array(pe=pe, simd=simd, **dies)).cycles for qnet in (
        scaled, quantize(network(name), weight_rule="mse", **NARROW))]
    assert cycles[0] == cycles[1]


@pytest.mark.parametrize(("name", "array"), [("lstm-dense", (8, 3)), ("dense over time", (8, 2)),
                                             ("hard dense", (8, 3))], ids=str)
def test_a_last_dense_layer_may_have_more_bits_than_activations(name, array):
    qnet = quantize(network(name), output_width=14, **NARROW)
    assert (qnet.act_width, qnet.out_width) == (6, 14)
    check(qnet, *array, scenarios=(full_rate, random_flow))


def test_other_weights_bring_their_own_scales_along():
    first = quantize(network("lstm-dense"), row_scales=True, **NARROW)
    other = requantize_into(network("lstm-dense", seed=1, gain=0.5), first)
    assert not np.array_equal(first.layers[0].row_scales, other.layers[0].row_scales)
    plan = make_plan(first, Array(pe=8, simd=3), loadable=True)
    images = plan.images()["load"], plan.retrained(other).images()["load"]
    assert len(images[0]) == len(images[1]) == plan.config.load_beats
    assert images[0] != images[1]
