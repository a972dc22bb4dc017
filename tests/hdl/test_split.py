"""Inputs whose elements become several operands: cores against golden, to the cycle."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatefold.gen.measure.rules import quantize_measured
from gatefold.gen.numbers.qlayer import parted
from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.quantized_io import load_quantized, save_quantized
from gatefold.sim.golden import golden
from gatefold.sim.scenario import full_rate, random_flow
from tests.hdl.test_core import check
from tests.support.networks import inputs, network

NARROW: dict[str, Any] = {"act_width": 4, "weight_width": 4, "cell_width": 10}

# network, operands of an element, array, other options of the core: chunks that elements fill or
# share, chunks of any size, two layers that meet the input, one of them backwards, several dies
CORES = [("dense only", 16, (8, 16), {}), ("stateful lstm", 4, (16, 13), {"contexts": 2}),
         ("bidirectional", 2, (24, 4), {"dies": 3, "cross": 2})]


@pytest.mark.parametrize(("name", "split", "array", "options"), CORES, ids=str)
def test_a_core_with_a_split_input_equals_golden(name, split, array, options):
    check(quantize(network(name), split=split, row_scales=True, **NARROW), *array,
          scenarios=(full_rate, random_flow), **options)


def test_an_input_may_be_narrower_than_other_activations():
    q = quantize(network("lstm-dense"), split=4, act_width=8, overrides={"input": {"x": 5}})
    assert (q.read_formats[0].width, q.act_width) == (5, 8)
    check(q, 8, 16, scenarios=(full_rate,))


def test_operands_that_cross_chunks_are_refused():
    with pytest.raises(ValueError, match="x_split must divide simd .6., or simd hold the 28 oper"):
        make_plan(quantize(network("dense only"), split=4, **NARROW), Array(pe=8, simd=6))


@pytest.mark.parametrize(("name", "simd", "split"), [("lstm-dense", 16, 4), ("gru", 8, 2),
                                                     ("dense only", 16, 2)])
def test_operands_that_fill_a_chunk_take_no_cycle(name, simd, split):
    alone, apart = (make_plan(quantize(network(name), split=k, **NARROW), Array(pe=8, simd=simd))
                    for k in (1, split))
    for count in ("latency", "interval", "tiles", "bound"):
        assert getattr(apart.cycles, count) == getattr(alone.cycles, count)
    assert apart.config.x_beats == alone.config.x_beats


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 4, 8, 16])
def test_parts_differ_by_one_at_most_and_add_up(parts, mirrored):
    whole = np.arange(-64, 64)[:, None]
    found = parted(whole, parts, mirrored=mirrored)
    np.testing.assert_array_equal(found.sum(axis=1), whole[:, 0])
    assert np.ptp(found, axis=1).max() <= 1


def test_golden_is_that_of_a_network_with_so_many_features():
    """The operands and the parts of the weights as docs/numbers.md defines them."""
    of, k = network("lstm-dense"), 4
    q = quantize(of, split=k, **NARROW)
    form = q.input_formats[0]
    lstm: Any = q.layers[0]
    floats: Any = of.layers[0]
    assert (form.width, form.frac) == (lstm.x.width + 2, lstm.x.frac + 2)
    x = inputs(q, 5)
    operands = np.stack([np.minimum((x + j) >> 2, lstm.x.hi) for j in range(k)], axis=-1)
    wide = replace(q, input_formats=q.read_formats, input_shapes=q.read_shapes,
                   layers=(replace(lstm, split=1), *q.layers[1:]))
    np.testing.assert_array_equal(golden(q, x), golden(wide, operands.reshape(5, 4, -1)))
    whole = np.clip(np.floor(floats.w_ih * 2.0**lstm.w_ih_format.frac + 0.5),
                    k * lstm.w_ih_format.lo, k * lstm.w_ih_format.hi).astype(np.int64)
    np.testing.assert_array_equal(lstm.w_ih.reshape(-1, 3, k),
                                  np.stack([(whole + j) >> 2 for j in (0, 2, 1, 3)], axis=-1))


def test_a_split_network_is_stored_and_takes_other_weights(tmp_path):
    q = quantize(network("lstm-dense"), split=4, row_scales=True, weight_rule="mse", **NARROW)
    save_quantized(tmp_path / "q.npz", q)
    again = load_quantized(tmp_path / "q.npz")
    assert again.split == 4 and again.shapes == q.shapes
    other = requantize_into(network("lstm-dense", gain=0.5), again, saturate=True)
    assert other.split == 4 and other.shapes == q.shapes


# network, elements of a chunk, bits, whether its input is split
CHOSEN = [("dense per step", 16, 4, True), ("dense per step", 8, 4, True),
          ("dense per step", 6, 4, False), ("dense per step", 16, 12, False),
          ("flatten first", 16, 4, False)]


@pytest.mark.parametrize(("name", "places", "bits", "split"), CHOSEN)
def test_an_input_is_split_where_that_gains_and_takes_no_chunk_more(name, places, bits, split):
    of = network(name, gain=0.4)
    x = np.random.default_rng(1).normal(size=(32, *of.input_shape))
    q = quantize_measured(of, calibration=x, act_width=bits, weight_width=bits, places=places,
                          output_width=16)
    assert (q.split > 1) == split
    assert -(-of.input_shape[-1] * q.split // places) == -(-of.input_shape[-1] // places)
