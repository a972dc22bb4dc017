"""The boards' data, and boards found by name or refused."""

import dataclasses
import json

import pytest

from gatefold.boards import BOARDS, Board, get
from gatefold.gen.errors import UserError
from tests.support.places import ROOT

#: Each device's figures in the design documents; kept here so that a clone alone can be tested.
EXPECTED = {
    "zcu104": dict(part="xczu7ev-ffvc1156-2-e", lut=230400, ff=460800, lutram_lut=101760,
                   bram36=312, uram=96, dsp=1728, stream_bits=128, max_multipliers=1536,
                   clock_mhz=300, family="zynq-ultrascale+"),
    "u280": dict(part="xcu280-fsvh2892-2L-e", lut=1303680, ff=2607360, lutram_lut=600960,
                 bram36=2016, uram=960, dsp=9024, stream_bits=512, max_multipliers=8192,
                 clock_mhz=300, family="virtex-ultrascale+"),
}

DESIGN = ROOT.parent / "shared" / "design" / "workloads.json"


@pytest.mark.parametrize("name", EXPECTED)
def test_data(name):
    board = get(name)
    assert {key: getattr(board, key) for key in EXPECTED[name]} == EXPECTED[name]
    assert board.name == name and board.title and board.source
    assert board.clock_period_ns == pytest.approx(3.3333, abs=1e-4)


def test_registry_holds_exactly_these():
    assert list(BOARDS) == list(EXPECTED)
    assert all(isinstance(board, Board) for board in BOARDS.values())


@pytest.mark.skipif(not DESIGN.exists(), reason="the design documents are not beside this checkout")
@pytest.mark.parametrize("name", EXPECTED)
def test_data_agree_with_the_design_documents(name):
    device = json.loads(DESIGN.read_text())["devices"][name]
    common = device.keys() & {field.name for field in dataclasses.fields(Board)}
    assert common >= {"part", "lut", "ff", "lutram_lut", "bram36", "uram", "dsp"}
    assert {key: getattr(get(name), key) for key in common} == {key: device[key] for key in common}


@pytest.mark.parametrize("name", ["vcu118", "ZCU104", "", "a\nb", "../zcu104", None, ["u280"]])
def test_unknown_board_is_refused_in_one_line(name):
    with pytest.raises(UserError, match="board must be one of zcu104, u280, not ") as refusal:
        get(name)
    assert "\n" not in str(refusal.value)


def test_a_board_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get("zcu104").lut = 1  # type: ignore[misc]


@pytest.mark.parametrize(("change", "message"), [
    (dict(name="ZCU 104"), "name must match"),
    (dict(part="xczu7ev; exec sh"), "part must be device-package-speed-grade"),
    (dict(part="xczu7ev-ffvc1156-2-e\n"), "part must be device-package-speed-grade"),
    (dict(family="versal"), "family must be one of zynq-ultrascale"),
    (dict(lut=0), "lut must be a positive integer, not 0"),
    (dict(dsp=1728.0), "dsp must be a positive integer, not 1728.0"),
    (dict(uram=True), "uram must be a positive integer, not True"),
    (dict(lutram_lut=230401), "lutram_lut must be at most lut"),
    (dict(max_multipliers=1729), "max_multipliers must be at most dsp"),
    (dict(stream_bits=96), "stream_bits must be a power of two"),
    (dict(clock_mhz=0), "clock_mhz must be from 1 to 1000"),
    (dict(clock_mhz=float("nan")), "clock_mhz must be from 1 to 1000"),
    (dict(source=()), "source must name at least one document"),
])
def test_data_that_cannot_be_true_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(get("zcu104"), **change)
