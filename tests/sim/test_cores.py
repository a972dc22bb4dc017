"""Whole cores with every kind of layer against golden, as a user verifies them, bench included."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.check import check_core, seeded_inputs
from gatefold.sim import simulators
from gatefold.sim.core_info import load_core_info
from gatefold.sim.results import CheckFailed
from tests.support.networks import network, quantized

NO_ICARUS = simulators.missing("icarus")
icarus = pytest.mark.skipif(NO_ICARUS is not None, reason=str(NO_ICARUS))

#: network, further options, layers whose values are compared
CORES = {
    "gru": ("gru", {}, ["l0_gru", "l1_dense"]),
    "convolution": ("conv, conv, lstm", {},
                    ["l0_conv1d", "l1_conv1d", "l2_lstm", "l3_dense", "l4_dense"]),
    "global pool": ("global pool", {}, ["l0_conv1d", "l1_max_pool", "l3_dense"]),
    "merged": ("multiply", {}, ["l0_lstm", "l1_lstm", "l2_multiply", "l3_dense"]),
    "hard activations, joined": ("joined hard", {}, ["l0_dense", "l2_dense", "l3_multiply",
                                                     "l4_rnn", "l5_rnn"]),
    "states handed over": ("states handed over", {},
                           ["l0_lstm", "l1_cell_state", "l3_lstm", "l4_dense"]),
    "several outputs": ("two outputs", {}, ["l0_lstm", "l1_dense", "l2_gru", "l3_dense"]),
    "states as inputs": ("states as inputs", {}, ["l0_lstm", "l1_gru", "l2_gru", "l3_rnn"]),
    "stateful": ("stateful lstm", {}, ["l0_lstm", "l1_lstm", "l2_dense"]),
    "stateful gru, loadable": ("stateful gru", {"loadable": True},
                               ["l0_gru", "l1_gru", "l2_dense"]),
    "a long way out, short pipeline": ("stack", {"pe": 36, "reach": 2, "pipeline": "short"},
                                       ["l0_lstm", "l1_lstm", "l2_lstm"]),
    "peepholes": ("stateful peepholes", {}, ["l0_lstm", "l1_cell_state", "l2_dense"]),
    "stateful, contexts": ("stateful rnn", {"contexts": 2}, ["l0_rnn", "l1_lstm", "l2_dense"]),
}


def compiled(name):
    which, options, _ = CORES[name]
    return gf.compile(network(which), width=8, cell_width=10, **{"pe": 8, "simd": 3} | options)


@icarus
def test_results_finer_than_the_accumulator_in_icarus(tmp_path):
    core = gf.compile(network("hard dense", gain=64.0), pe=8, simd=3, act_width=8, weight_width=4)
    assert core.plan.qnet.layers[0].result.frac > core.plan.qnet.layers[0].acc_frac
    core.save(tmp_path / "core")
    assert core.verify(sim="icarus").outputs


@icarus
@pytest.mark.parametrize("macs", [16, 64])
def test_a_single_dense_layer_keeps_the_plan_s_intervals_in_icarus(tmp_path, macs):
    core = gf.compile(network(((4,), ("D3",))), macs=macs)
    assert len(core.plan.cycles.intervals) == 2
    result = core.verify(sim="icarus", samples=6)
    assert result.interval == core.plan.cycles.interval
    core.save(tmp_path / "core")
    bench = subprocess.run([sys.executable, "run.py", "--sim", "icarus"],
                           cwd=tmp_path / "core" / "cocotb", capture_output=True, text=True,
                           env=os.environ | {"GPI_LOG_LEVEL": "WARNING"})
    assert bench.returncode == 0, bench.stdout[-3000:] + bench.stderr[-3000:]


@icarus
@pytest.mark.parametrize("name", CORES)
def test_every_value_equals_golden_in_icarus(tmp_path, name):
    core, folder = compiled(name), tmp_path / "core"
    core.save(folder)
    info = load_core_info(folder)
    assert [layer.name for layer in info.layers] == CORES[name][2]
    assert info.stateful == core.qnet.stateful
    result = check_core(folder, core.qnet, sim="icarus", samples=3)
    assert result.latency == core.plan.cycles.latency
    assert result.interval == core.plan.cycles.interval
    frames, rest = divmod(result.outputs, info.n_out)  # resets take some of those that are played
    assert 0 < frames < sum(result.scenarios.values()) and not rest

    def values(layer, names):
        return layer.steps * layer.units * len(names)

    summed = result.scenarios["full rate"] + result.scenarios["extreme"]
    assert result.states == (
        frames * sum(values(layer, layer.states) for layer in info.layers)
        + summed * sum(values(layer, layer.sums) for layer in info.layers))


@pytest.mark.parametrize("name", ["stateful", "several outputs", "peepholes"])
def test_the_amaranth_model_and_verilator_agree(name):
    reason = simulators.missing("verilator")
    if reason:
        pytest.skip(reason)
    core = compiled(name)
    seen = [core.verify(sim=sim, samples=4).as_dict() for sim in ("amaranth", "verilator")]
    for result in seen:
        del result["simulator"], result["cycles"]
    assert seen[0] == seen[1]


# core, word of its biases that is damaged, words of the message
@icarus
@pytest.mark.parametrize("name, word, message", [
    ("global pool", 0, r"sample 0, layer l0_conv1d, step \d, unit \d: expected acc = "),
    ("global pool", -1, r"sample 0, layer l3_dense, step 0, unit 0: expected acc = "),
    ("gru", 0, r"sample 0, layer l0_gru, step 0, unit \d: expected acc_[rznm] = "),
    ("stateful", 0, r"frame 0, sample 0, layer l0_lstm, step 0, unit \d: expected acc_[ifgo] = ")])
def test_a_wrong_value_of_any_layer_is_reported(tmp_path, name, word, message):
    core, folder = compiled(name), tmp_path / "core"
    core.save(folder)
    image = folder / "weights" / "bias_00.hex"
    words, width = image.read_text().split(), core.plan.config.acc_width
    damage = sum(1 << width * row + width - 2 for row in range(core.plan.config.pe))
    words[word] = f"{int(words[word], 16) ^ damage:0{len(words[word])}x}"
    image.write_text("\n".join(words) + "\n")
    with pytest.raises(CheckFailed, match=message):
        check_core(folder, core.qnet, sim="icarus", samples=1)


# --- The frames that are played -------------------------------------------------------------------

def test_each_input_gets_values_over_its_own_format():
    qnet = quantized("states as inputs", (12, 8, 10))
    x = seeded_inputs(qnet, 30, seed=1)
    lo, hi = qnet.input_limits()
    flat = x.reshape(30, -1)
    np.testing.assert_array_equal(flat.min(axis=0), lo)
    np.testing.assert_array_equal(flat.max(axis=0), hi)
    np.testing.assert_array_equal(x, seeded_inputs(qnet, 30, seed=1))


@pytest.mark.parametrize("name", ["several outputs", "stateful"])
def test_the_bench_s_vectors_are_golden_s_as_one_sequence(tmp_path, name):
    core, folder = compiled(name), tmp_path / "core"
    core.save(folder)
    vectors = json.loads((folder / "cocotb" / "vectors.json").read_text())
    x = np.array(vectors["input"]).reshape(-1, *core.qnet.input_shape)
    stateful = core.qnet.stateful
    assert vectors["fresh"] == ([1, 0, 0, 0, 0, 0] if stateful else [1] * 6)
    together = core.run(x, raw=True).reshape(len(x), -1)
    alone = np.concatenate([core.run(sample[None], raw=True).reshape(1, -1) for sample in x])
    np.testing.assert_array_equal(vectors["output"], together)
    assert np.array_equal(together, alone) != stateful


@icarus
@pytest.mark.parametrize("name", ["several outputs", "stateful"])
def test_the_bench_passes(tmp_path, name):
    compiled(name).save(tmp_path / "core")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(["make", "SIM=icarus", f"PYTHON={sys.executable}"], env=environment,
                          cwd=tmp_path / "core" / "cocotb", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=22 PASS=19 FAIL=0 SKIP=3" in done.stdout
