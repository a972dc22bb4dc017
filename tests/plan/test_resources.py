"""The resource formulas against the results of open synthesis: `tools/synth/measured.json`.

`make synth-check` writes that file; nothing is synthesised here.
"""

import json
from dataclasses import MISSING, astuple, fields

import pytest

from gatefold.gen.plan import Array, make_plan
from gatefold.gen.plan.amounts import Resources
from gatefold.gen.plan.memories import bram18s, rom_luts, urams
from gatefold.gen.plan.resources import components, estimate
from gatefold.hdl.config import EngineConfig
from tests.support.networks import NETWORKS, quantized
from tests.support.places import ROOT
from tests.support.tools import tool

SYNTH = ROOT / "tools" / "synth"


compare = tool("tools/synth", "compare")
FOUND = json.loads((SYNTH / "measured.json").read_text())
#: Whether the file describes engines of today. What they have beyond it, these do without: it has
#: a default.
TODAY = all({field.name for field in fields(EngineConfig) if field.default is MISSING}
            <= set(entry["config"]) <= {field.name for field in fields(EngineConfig)}
            for entry in FOUND.values())
today = pytest.mark.skipif(not TODAY, reason="tools/synth/measured.json is of an earlier engine: "
                           "run `make synth-check`")
CASES = [pytest.param(entry, id=name) for name, entry in FOUND.items()]


@today
def test_enough_cores_of_enough_shapes():
    configs = [compare.config_of(entry) for entry in FOUND.values()]
    assert len(configs) >= 12 and len(compare.groups(FOUND)["held out"]) >= 3
    assert {4, 64} <= {c.pe for c in configs} and {1, 16} <= {c.simd for c in configs}
    assert {8, 12, 16} <= {c.act_width for c in configs}
    assert {8, 12, 16} <= {c.weight_width for c in configs}
    assert {1, 2, 3} <= {len(c.kinds) for c in configs}
    assert {True, False} == {c.loadable for c in configs}
    assert {"block", "distributed", "ultra"} == {
        c.weight_style(row) for c in configs for row in range(c.pe)}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_configuration_can_be_kept(name):
    config = make_plan(quantized(name), Array(pe=8, simd=3)).config
    kept = json.loads(json.dumps({"config": compare.config_as_dict(config)}))
    assert compare.config_of(kept) == config


@today
@pytest.mark.parametrize("group", ["fitted", "held out"])
@pytest.mark.parametrize("kind", ["lut", "ff", "dsp", "bram36", "uram"])
def test_formulas_are_near_the_synthesis(kind, group):
    off = compare.errors(compare.groups(FOUND)[group], kind)
    if not off:
        pytest.skip("no core of this group has any")
    assert sum(map(abs, off.values())) / len(off) < 0.10, off
    assert max(map(abs, off.values())) < 0.25, off


@today
@pytest.mark.parametrize("entry", CASES)
def test_components_are_those_that_were_synthesised(entry):
    assert set(components(compare.config_of(entry))) == {
        name for name, part in entry["components"].items() if any(part.values())}


@today
@pytest.mark.parametrize("entry", CASES)
def test_an_estimate_is_the_sum_of_its_components(entry):
    config = compare.config_of(entry)
    parts = [astuple(part) for part in components(config).values()]
    assert astuple(estimate(config)) == tuple(map(sum, zip(*parts, strict=True)))


@today
@pytest.mark.parametrize("entry", CASES)
def test_a_multiplier_is_one_dsp_slice_and_no_fabric(entry):
    config = compare.config_of(entry)
    assert entry["lane_fabric"] == {"lut": 0, "ff": 0}
    assert entry["components"]["rows"]["dsp"] == config.slices
    # All flip-flops of a row are its tree's, start value's and accumulator's: none a multiplier's.
    assert entry["components"]["rows"]["ff"] == components(config)["rows"].ff


@today
def test_the_comparison_finds_no_failures():
    assert compare.failures(FOUND) == []


@today
def test_the_page_is_made_from_the_figures():
    page, fanout = tool("tools/synth", "page"), json.loads(compare.FANOUT.read_text())
    assert page.PAGE.read_text() == page.render(FOUND, fanout), (
        "run tools/synth/calibrate.py --page")


def test_the_section_on_nets_is_made_from_its_figures():
    page = tool("tools/synth", "page")
    assert page.PAGE.read_text().endswith(page.nets(json.loads(compare.FANOUT.read_text()))), (
        "run tools/synth/fanout.py")


# ---- memories ----------------------------------------------------------------------------------

@pytest.mark.parametrize(("width", "depth", "halves"), [
    (36, 512, 1), (37, 512, 2), (18, 1024, 1), (9, 2048, 1), (576, 512, 16), (576, 1024, 32),
    (1, 16384, 1), (16, 2048, 2),
])
def test_block_rams(width, depth, halves):
    assert bram18s(width, depth) == halves


@pytest.mark.parametrize(("width", "depth", "luts"), [(576, 64, 576), (1, 65, 2), (1, 320, 7)])
def test_roms_in_luts(width, depth, luts):
    assert rom_luts(width, depth) == luts


@pytest.mark.parametrize(("width", "depth", "blocks"), [(144, 2048, 1), (145, 2048, 2),
                                                        (144, 2049, 2)])
def test_ultra_rams(width, depth, blocks):
    assert urams(width, depth) == blocks


def test_resources_say_that_they_are_estimates():
    assert "estimate" in Resources(1, 2, 3, 4.5, 0).as_dict()["source"]
