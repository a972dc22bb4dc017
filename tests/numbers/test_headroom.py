"""Headroom: what it adds to formats and accumulators, and weights that fit only with it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Concat, Dense, Network
from gatefold.gen.numbers.accumulator import accumulator_width
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.weights import replace_weights
from gatefold.sim import simulators
from tests.support.networks import Make, network


def formats(qnet) -> dict[str, Any]:
    found = {f"{layer.name}.{field}": form for layer in qnet.computing.values()
             for field, form in vars(layer).items() if isinstance(form, QFormat)}
    return found | {f"input{n}": form for n, form in enumerate(qnet.input_formats)}


@pytest.mark.parametrize("name, moved", [
    ("lstm-dense", {"l0_lstm.c", "l1_dense.y"}),
    ("linear lstm", {"l0_lstm.c", "l0_lstm.g", "l0_lstm.tc", "l0_lstm.h", "l1_dense.x",
                     "l1_dense.y"}),
    ("gru", {"l0_gru.m", "l1_dense.y"}),
    ("hard dense", set()),
    ("multiply", {"l0_lstm.c", "l1_lstm.c", "l2_multiply.y", "l3_dense.x", "l3_dense.y"}),
])
def test_results_and_states_of_the_data_get_integer_bits_and_nothing_else(name, moved):
    net = network(name, gain=0.5)
    plain, roomy = formats(quantize(net)), formats(quantize(net, headroom=1))
    assert {key for key in plain if plain[key] != roomy[key]} == moved
    for key in moved:
        assert roomy[key] == QFormat(plain[key].width, plain[key].frac - 1)


@pytest.mark.parametrize("rule", ["max", "percentile", "mse"])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_a_state_gets_no_more_than_it_can_need_and_an_accumulator_all(bits, rule):
    net = network("lstm-dense", gain=0.5)
    plain, roomy = quantize(net, rule=rule), quantize(net, rule=rule, headroom=bits)
    before, after = formats(plain)["l0_lstm.c"], formats(roomy)["l0_lstm.c"]
    assert after.frac == max(before.frac - bits, QFormat.covering(18, 4.0).frac)  # 4 steps
    assert roomy.acc_width == accumulator_width(roomy) + bits
    assert roomy.calibration["headroom"] == bits and "headroom" not in plain.calibration


def test_a_format_of_the_user_stays():
    net = network("lstm-dense", gain=0.5)
    qnet = quantize(net, headroom=2, overrides={"l0_lstm": {"c": "Q2.16"}, "l1_dense": {"y": 9}})
    found = formats(qnet)
    assert str(found["l0_lstm.c"]) == "Q2.16" and found["l1_dense.y"].width == 9


def trained(dense: float = 1.0) -> Network:
    """An LSTM whose rows have few weights, and a Dense layer; ``dense`` scales all weights of the
    latter but the largest."""
    make = Make(np.random.default_rng(0), 0.1)
    lstm, last = make.lstm(2, 9), make.dense(9, 2)
    lstm = replace(lstm, w_hh=np.tile(np.eye(9) / 2, (4, 1)))
    w = np.clip(last.w * np.float32(dense), -1, 1)
    w[:, 0] = 1.0
    return Network((3, 2), (lstm, replace(last, w=w, b=last.b / 8)))


def test_weights_of_the_same_peak_and_a_larger_norm_need_headroom():
    small, large = trained(), trained(dense=100.0)
    with pytest.raises(UserError, match=r"l1_dense: these weights need an accumulator of \d+ bits, "
                                        r".* \(--headroom\)"):
        requantize_into(large, quantize(small))
    core = quantize(small, headroom=2)
    again = requantize_into(large, core)
    assert again.acc_width == core.acc_width and formats(again) == formats(core)


@pytest.mark.parametrize("sim", ["amaranth", pytest.param("icarus", marks=pytest.mark.skipif(
    simulators.missing("icarus") is not None, reason="icarus is missing"))])
@pytest.mark.parametrize("loadable", [False, True])
def test_the_core_computes_with_weights_that_only_its_headroom_holds(tmp_path, sim, loadable):
    from gatefold.gen.check import check_core, load_folder

    core = gf.compile(trained(), headroom=2, pe=4, simd=2, width=8, loadable=loadable)
    core.save(tmp_path / "core")
    replace_weights(trained(dense=100.0), tmp_path / "core")
    qnet = load_folder(tmp_path / "core")
    check_core(tmp_path / "core", qnet, None, sim=sim, samples=2, seed=1)
    report = json.loads((tmp_path / "core/report.json").read_text())
    assert report["numbers"]["calibration"]["headroom"] == 2
    assert report["numbers"]["widths"]["accumulator"] == core.qnet.acc_width


def far_apart() -> tuple[Network, np.ndarray]:
    dense = Dense(w=np.array([[0.99, 0.99]]), b=np.zeros(1))
    net = Network(((1,), (1,)), (Concat(axis=0, inputs=(0, 1)), dense))
    return net, np.array([[2.0**13, 2.0**-8]])


def test_an_accumulator_beyond_62_bits_is_refused():
    net, x = far_apart()
    options = dict(calibration=x, act_width=18, weight_width=18,
                   overrides={"l1_dense": {"w": "Q1.17"}})
    width = quantize(net, **options).acc_width
    assert 54 < width <= 61
    assert quantize(net, **options, headroom=62 - width).acc_width == 62
    with pytest.raises(UserError, match="l1_dense: with 8 bits of headroom a sum could need over "
                                        "62 bits: give a smaller --headroom"):
        quantize(net, **options, headroom=8)


@pytest.mark.parametrize("bits", [-1, 9, True, 1.0, "2", None])
def test_other_numbers_are_refused(bits):
    with pytest.raises(UserError, match="the headroom must be 0..8 bits, not "):
        quantize(network("gru"), headroom=bits)


def test_a_core_without_a_model_has_no_headroom():
    with pytest.raises(UserError, match="leave --headroom out"):
        gf.compile(network("lstm-dense"), any_weights=True, headroom=1)
