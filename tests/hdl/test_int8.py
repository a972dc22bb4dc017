"""Cores of full-integer .tflite files: every output, every value and every cycle, in Amaranth's
simulator and in Verilator."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.numbers.int8_table import reciprocal_table
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.quantized_io import load_quantized, save_quantized
from gatefold.sim.amaranth_sim import AmaranthCore
from gatefold.sim.expected import expectation
from gatefold.sim.int8 import sigmoid16, tanh16
from gatefold.sim.scenario import full_rate, random_flow
from gatefold.sim.verify import check_run
from tests.hdl.test_core import core_info
from tests.support.tflite_files import INT8, path, vectors


def check(name, pe, simd, *, samples=3, keep_state=False, scenario=full_rate, **array):
    """A core on LiteRT's fixture: an array, a flow of frames, latency and all values exact."""
    check_network(quantize(load(path(name), keep_state=keep_state)),
                  vectors(name)["x"].astype(np.int64), pe, simd, samples, scenario, **array)


def check_network(qnet, given, pe, simd, samples, scenario, **array):
    plan = make_plan(qnet, Array(pe=pe, simd=simd, stream_bits=32, **array))
    info = core_info(plan)
    contexts = array.get("contexts", 1)
    x = given[np.linspace(0, len(given) - 1, samples * contexts).astype(int)]
    flow = scenario(info, samples)
    run = AmaranthCore(plan, info).simulate(x.reshape(samples, -1), flow)
    check_run(run, info, flow, expectation(qnet, x, contexts))


@pytest.mark.parametrize(("name", "pe", "simd", "more"), [
    ("dense", 8, 3, {"scenario": random_flow}),
    ("sequence", 4, 1, {"keep_state": True}), ("wrapping", 12, 3, {}),
    ("dense", 8, 3, {"packed": True}),
    ("dense", 8, 4, {"packed": True, "parts": 2, "scenario": random_flow}),
])
def test_a_core_gives_the_bytes_of_litert(name, pe, simd, more):
    check(name, pe, simd, **more)


def joined_states():
    """Two LSTMs side by side, whose h have zero points of their own and are the output."""
    network = load(path("both_ways"))
    joined = next(n for n, layer in enumerate(network.layers) if layer.kind == "concat")
    (x,), (y,) = network.affine
    return replace(network, layers=network.layers[:joined + 1], outputs=(joined + 1,),
                   affine=((x,), (y,)))


def test_an_output_may_have_several_zero_points(tmp_path):
    network = joined_states()
    zeros = {layer.state.zero for layer in network.layers if layer.kind == "int8_lstm"}
    assert len(zeros) == 2
    save_quantized(tmp_path / "n", quantize(network))
    qnet = load_quantized(tmp_path / "n")
    assert set(qnet.output_zeros.tolist()) == zeros
    check_network(qnet, vectors("both_ways")["x"].astype(np.int64), 8, 4, 2, full_rate)


@pytest.mark.long
@pytest.mark.parametrize(("name", "pe", "simd", "more"), [
    ("stacked", 16, 4, {}), ("stacked", 16, 4, {"pipeline": "short"}), ("autoencoder", 24, 5, {}),
    ("padded", 12, 4, {"reach": 1}), ("both_ways", 16, 6, {"gather": 1}), ("clipped", 40, 2, {}),
    ("saturating", 32, 4, {"scenario": random_flow}), ("sequence", 8, 1, {"dies": 2, "cross": 2}),
    ("stacked", 16, 3, {"keep_state": True}), ("stacked", 24, 5, {"packed": True}),
    ("autoencoder", 16, 4, {"packed": True, "pipeline": "short"}),
    ("stacked", 16, 8, {"packed": True, "parts": 4}),
    ("sequence", 4, 2, {"contexts": 2, "scenario": random_flow})])
def test_more_cores_give_the_bytes_of_litert(name, pe, simd, more):
    check(name, pe, simd, **more)


@pytest.mark.long
@pytest.mark.parametrize("name", INT8)
def test_verilog_gives_the_bytes_of_litert(name):
    core = compile(load(path(name)), quick=True)
    given = vectors(name)
    np.testing.assert_array_equal(core.run(given["x"].astype(np.int64), raw=True), given["y"])
    core.verify(samples=8)


@pytest.mark.parametrize("fracs", [(12,), (12, 13, 14)])
def test_one_table_gives_sigmoid_and_tanh_of_every_argument(fracs):
    table = reciprocal_table(fracs)
    entries, p = table.entries(), np.arange(-32768, 32768)
    last = {12: 74 * 512 - 1, 13: 32767, 14: 32767}

    def signed(magnitude, negative, other):
        return np.where(negative, other, magnitude)

    gate = np.minimum(2 * entries[np.minimum(np.abs(p), last[12])] + 16384, 32767)
    np.testing.assert_array_equal(signed(gate, p < 0, 32767 - gate), sigmoid16(p))
    for frac in range(9, max(fracs) + 2):
        fine = max(12, frac - 1)
        entry = table.first[fine] + np.minimum(np.abs(p) << max(0, 13 - frac), last[fine])
        tanh = np.minimum(4 * entries[entry], 32767)
        np.testing.assert_array_equal(signed(tanh, p < 0, -tanh), tanh16(p, 15 - frac))
