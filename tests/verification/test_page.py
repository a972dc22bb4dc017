"""docs/verification.md is what its figures say; a failing case is shrunk while it still fails."""

import json
from dataclasses import replace

import pytest

from tests.support.tools import tool

page = tool("tools/verification", "page")
figures = tool("tools/verification", "figures")
soak = tool("tools/verification", "soak")
survivors = tool("tools/verification", "survivors")


def test_the_page_is_written_from_its_figures():
    assert page.PAGE.read_text() == page.render(json.loads(figures.FIGURES.read_text()))


def test_a_page_counts_what_survives():
    text = page.render({"mutants": {"no core": {
        "mutants": 10, "killed": {"full rate": 6, "blocked": 1}, "proved": 2, "left": ["a"],
        "shown": [], "cpu": [20, 6], "modules": {"gatefold_row": [10, 7, 2]}}}})
    assert "| no core | 10 | 7 | 2 | 0 | 1 | 2.6 |" in text
    assert "A scenario that found each: full rate 6, blocked 1." in text
    assert "| `gatefold_row` | 10 | 7 | 2 | 1 |" in text


def test_a_line_explains_what_nothing_was_seen_of(monkeypatch):
    monkeypatch.setattr(survivors, "reasons", lambda: [
        ("lstm", "gatefold_row: a | Y[?] inv", "is not read"), ("lstm", "b", survivors.OPEN),
        ("gru", "c", "is of another core"), ("lstm", "d", "contradicts what was seen")])
    left = ["gatefold_row: a | Y[3] inv", "b", "c", "d"]
    assert survivors.explained("lstm", left, shown=["d"]) == 1
    assert survivors.explained("gru", left, shown=[]) == 1


#: section: figures, lines of the page
SECTIONS = {
    "soak": ({"lstm": {"frames": 3_000_000, "seconds": 600.5, "slices": 2, "hardware": "a"},
              "gru": {"frames": 500, "seconds": 2, "slices": 1, "hardware": "b"}},
             ["of 3,000,500 frames compared, of 2 cores;", "| lstm | 3,000,000 | 4,996 |"]),
    "flips": ({"gru, protected": {"flips": 900, "registers": {"masked": 890, "detected": 10},
                                  "memories": {"wrong": 900}, "hardware": "a"}},
              ["| gru, protected | registers | 900 | 890 | 0 | 10 | 0 | 0 |",
               "| gru, protected | memories | 900 | 0 | 900 | 0 | 0 | 0 |"]),
    "tests": ({"formal": {"passed": {"proofs": 3, "planted mistakes refuted": 2}, "seconds": 70,
                          "whole": False}},
              ["| formal | 2 planted mistakes refuted, 3 proofs | no | 70 |"]),
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_the_page(section):
    found, lines = SECTIONS[section]
    text = page.render({section: found})
    for line in lines:
        assert line in text


def test_a_record_begins_anew_where_the_hardware_changes(tmp_path, monkeypatch):
    for name in ("rtl", "weights"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one").write_text(name)
    monkeypatch.setattr(figures, "FIGURES", tmp_path / "figures.json")
    before = figures.hardware(tmp_path)
    figures.FIGURES.write_text(json.dumps({"soak": {"lstm": {"frames": 7, "hardware": before}}}))
    assert figures.recorded("soak", "lstm", before, {"frames": 0})["frames"] == 7
    (tmp_path / "weights" / "one").write_text("another image")
    after = figures.hardware(tmp_path)
    assert figures.recorded("soak", "lstm", after, {"frames": 0}) == {
        "frames": 0, "hardware": after}


def test_a_seed_is_always_the_same_network():
    assert soak.random_case(7) == soak.random_case(7) != soak.random_case(8)


def test_a_failure_is_shrunk_to_the_least_that_fails(monkeypatch):
    def failure(case):
        return "wrong" if "G7" in case.layers and case.options.get("contexts") == 2 else None

    monkeypatch.setattr(soak.Case, "failure", failure)
    case = soak.Case((5, 3), ("L4seq", "G7", "D2tanh"),
                     {"pe": 8, "simd": 3, "contexts": 2, "reach": 1})
    assert soak.shrunk(case) == replace(case, shape=(1, 1), layers=("G7",), options={
        "pe": 8, "simd": 3, "contexts": 2})
