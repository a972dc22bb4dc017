"""A core with registers and a memory port, in Icarus under random AXI traffic, against golden."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gatefold.gen.host.config import host_config
from gatefold.gen.host.header import constants
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import HOST_TOP, write_rtl, write_weights
from gatefold.hdl.host.registers import MAP
from gatefold.sim import simulators
from gatefold.sim.golden import golden
from tests.support.networks import inputs, quantized
from tests.support.places import ROOT

SAMPLES = 4

#: network, options of the array, of the plan, and of the hardware around it
CASES = {
    "stateful, 32 bits": ("stateful rnn", {"stream_bits": 32}, {}, {}),
    "two engines, float32, loadable": ("dense only", {"stream_bits": 32}, {"loadable": True},
                                       {"engines": 2, "float32": True}),
}
LONG = {
    "64 bits": ("stack", {"stream_bits": 64}, {}, {}),
    "32 bits, stateful": ("stateful gru", {"stream_bits": 32}, {}, {}),
    "512 bits, loadable": ("lstm-dense", {"stream_bits": 512}, {"loadable": True, "uram_rows": 3},
                           {}),
    "three engines": ("dense only", {"stream_bits": 64}, {}, {"engines": 3}),
    "two engines that watch themselves": ("dense only", {"stream_bits": 32, "protect": True}, {},
                                          {"engines": 2}),
    "float32, loadable, outputs of several formats": (
        "bidirectional last", {"stream_bits": 32}, {"loadable": True}, {"float32": True}),
}

RUN = """
import sys
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
sources, top, folder = sys.argv[1].split(), *sys.argv[2:]
runner = get_runner("icarus")
runner.build(sources=sources, hdl_toplevel=top, build_dir=folder, always=True,
             timescale=("1ns", "1ps"), defines={"GATEFOLD_WEIGHTS": '"../weights"'})
tests, failed = get_results(runner.test(
    hdl_toplevel=top, test_module="host_bench", build_dir=folder, test_dir=folder, seed="1",
    results_xml=folder + "/results.xml"))
sys.exit(failed or not tests)
"""


def frames(values, container, bytes_a_frame):
    """Frames as they are in memory: integers, or floats as they are."""
    values = values.reshape(len(values), -1)
    if values.dtype != np.float32:
        values = values.astype(f"<i{container // 8}")
    return [row.tobytes().ljust(bytes_a_frame, b"\0").hex() for row in values]


def built(folder, case):
    """The Verilog of a case, its weights, and the data of the bench."""
    name, array, options, around = (CASES | LONG)[case]
    qnet = quantized(name)
    plan = make_plan(qnet, Array(pe=8, simd=3, **array), **options)
    host = host_config(plan, **around)
    write_rtl(folder / "rtl", plan, host)
    write_weights(folder / "weights", plan)
    regs = {name: value for name, value, _ in constants(MAP, host.constants)}
    x = inputs(qnet, SAMPLES)
    seen = np.float32(x / 2.0 ** input_fracs(qnet)) if host.float32 else x
    beat = plan.config.beat * plan.config.container // 8
    image = b"".join(word.to_bytes(beat, "little") for word in plan.images().get("load", []))
    data = {"regs": regs, "inputs": frames(seen, host.container, regs["GF_CORE_IN_BYTES"]),
            "weights": image.hex(), "protect": plan.config.protect}
    for key, fresh in (("outputs", None), ("fresh", np.ones(SAMPLES, bool))):
        y = golden(qnet, x, fresh=fresh)
        data[key] = frames(np.float32(qnet.to_float(y)) if host.float32 else y, host.container,
                           regs["GF_CORE_OUT_BYTES"])
    (folder / "data.json").write_text(json.dumps(data))


def input_fracs(qnet):
    """Fraction bits of every input element, in the shape of a sample."""
    return np.concatenate([np.full(np.prod(shape), form.frac) for shape, form in zip(
        qnet.input_shapes, qnet.input_formats, strict=True)]).reshape(qnet.input_shape)


def run_bench(folder, case):
    built(folder, case)
    environment = os.environ | {"GATEFOLD_HOST": str(folder / "data.json"),
                                "GPI_LOG_LEVEL": "WARNING",
                                "PYTHONPATH": str(ROOT / "tests/support")}
    (folder / "build").mkdir()
    sources = " ".join(map(str, sorted((folder / "rtl").glob("*.v"))))
    done = subprocess.run([sys.executable, "-c", RUN, sources, HOST_TOP, str(folder / "build")],
                          capture_output=True, text=True, env=environment, cwd=folder / "build")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


icarus = pytest.mark.skipif(simulators.missing("icarus") is not None,
                            reason="Icarus is not installed")


@icarus
@pytest.mark.parametrize("case", CASES)
def test_a_core_with_registers_equals_golden_under_random_traffic(tmp_path, case):
    run_bench(tmp_path, case)


@icarus
@pytest.mark.long
@pytest.mark.parametrize("case", LONG)
def test_more_cores_with_registers(tmp_path, case):
    run_bench(tmp_path, case)
