"""tools/route: nextpnr's report of a core of 16 x 2, read; and the page that is made of it."""

import copy
import json
import re

import pytest

from tests.support.places import ROOT
from tests.support.tools import tool

routed = tool("tools/route", "routed")
run = tool("tools/route", "run")
REPORT = json.loads((ROOT / "tests/fixtures/nextpnr_report.json").read_text())


def test_the_report_of_a_routed_core():
    core = routed.routed(REPORT)
    assert f"{core.mhz:.2f}" == "106.62"
    assert core.cells == {"LUT4": 8351, "FF": 7191, "block RAM": 18, "multipliers": 38}
    # From an operand register, over a wire, through a multiplier, over a wire, to its product.
    assert [(step.kind, step.component, f"{step.ns:.3f}", step.tiles) for step in core.path] == [
        ("logic", "array.row", "0.395", 0), ("wire", "array.row", "3.953", 24),
        ("logic", "array.row", "3.066", 0), ("wire", "array.row", "1.965", 4),
        ("logic", "array.row", "0.000", 0)]
    assert core.path[1].name == "core.array.row_14.a_1[4]"
    assert (f"{core.ns:.3f}", f"{core.wire_ns:.3f}") == ("9.379", "5.918")
    assert core.mhz == pytest.approx(1000 / core.ns)


@pytest.mark.parametrize(("change", "found"), [
    ({"fmax": {}}, "0 clocks and 1 paths"),
    ({"critical_paths": []}, "1 clocks and 0 paths"),
    ({"critical_paths": [REPORT["critical_paths"][0] | {"from": "<async>"}]},
     "1 clocks and 0 paths"),
])
def test_a_report_without_clock_or_path_is_refused(change, found):
    with pytest.raises(ValueError, match=f"one clock and a path, this report has {found}"):
        routed.routed(copy.deepcopy(REPORT) | change)


@pytest.mark.parametrize(("name", "component"), [
    ("core.array.row_14.a_1[4]", "array.row"),
    ("core.array.region_00.row_3.m_1__next_MULT18X18D_P9", "array.row"),
    ("core.array.region_00.weight_q", "array"),
    ("core.lanes.lstm_1.table_c.t0", "lanes.lstm"),
    ("core.sequencer.tile", "sequencer"),
    ("frame_error", "core"),
])
def test_a_cell_or_net_lies_in_a_component(name, component):
    assert routed.component(name) == component


@pytest.fixture(scope="module")
def found() -> dict:
    return json.loads(run.FOUND.read_text())


def test_the_page_is_made_from_the_figures(found):
    assert set(found["now"]) == {case.name for case in run.CASES}
    assert run.PAGE.read_text() == run.render(found), "run tools/route/run.py --page"


def test_the_weight_address_was_the_slowest_path_and_is_not(found):
    def limited(when: str) -> list[bool]:
        return [any(re.search(r"\.weights_\d+", step["name"]) for step in core["path"])
                for core in found[when].values()]

    assert all(limited("before")) and not any(limited("now"))
