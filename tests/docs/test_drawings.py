"""The drawings of docs/engine.md: they are those of the script, and show what the plans say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import gatefold as gf
from tests.support.places import ROOT
from tests.support.tools import tool

SVG = "{http://www.w3.org/2000/svg}"
drawn = tool("tools/site", "drawings")


@pytest.fixture(scope="module")
def drawings():
    return drawn.drawings()


def words(svg: str) -> str:
    """All text of a drawing."""
    return " ".join(text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_the_files_are_those_that_the_script_makes(drawings):
    files = {path.name: path.read_text() for path in drawn.PLACE.iterdir()}
    assert files == drawings, "run tools/site/drawings.py"


def test_the_page_shows_every_drawing(drawings):
    shown = re.findall(r"\]\(engine/([\w.]+)\)", (ROOT / "docs/engine.md").read_text())
    assert sorted(shown) == sorted(drawings)


def test_they_show_the_cycles_of_the_plan(drawings):
    net = gf.initialise(units=32, features=8, timesteps=4, dense=1)
    plan = gf.compile(net, pe=64, simd=4, reach=1).plan
    last = next(tile.issue for tile in plan.tiles if tile.job.step == 1 and tile.finishes)
    distance = plan.latencies
    seen = [int(cycle) for cycle in re.findall(r"cycle (\d+)", words(drawings["step.svg"]))]
    assert seen == sorted(seen)
    assert {last, last + distance.array, last + distance.tail} <= set(seen)
    assert f"{distance.tail} cycles" in drawings["tail.svg"]
    assert drawings["parked.svg"].count(' flat"') == len(plan.tiles)


def test_the_moments_of_a_step_stand_out_in_turn_unless_the_reader_wants_no_motion(drawings):
    moments = [group for group in ElementTree.fromstring(drawings["step.svg"]).iter(f"{SVG}g")
               if group.get("class") == "moment"]
    delays = [int(re.findall(r"-?\d+", group.get("style", ""))[0]) for group in moments]
    assert delays == [-12, -10, -8, -6, -4, -2]
    shown = [re.findall(r"cycle (\d+)", words(ElementTree.tostring(group, "unicode")))
             for group in moments]
    assert [len(cycles) for cycles in shown] == [1] * 6 and shown == sorted(shown)
    moving = drawings["step.svg"].split("@media (prefers-reduced-motion: no-preference)")
    assert "animation:" not in moving[0] and "animation: turn 12s 3;" in moving[1]


def test_they_are_legible_on_a_phone(drawings):
    for name, svg in drawings.items():
        box = ElementTree.fromstring(svg).attrib["viewBox"].split()
        assert float(box[2]) <= 404, name  # at 12 units a letter, on 340 pixels of paper
