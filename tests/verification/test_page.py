"""docs/verification.md is what its figures say; a failing case is shrunk while it still fails."""

import json
from dataclasses import replace

from tests.support.tools import tool

page = tool("tools/verification", "page")
soak = tool("tools/verification", "soak")


def test_the_page_is_written_from_its_figures():
    figures = json.loads((page.HEAD.with_name("figures.json")).read_text())
    assert page.PAGE.read_text() == page.render(figures)


def test_a_page_counts_what_survives():
    text = page.render({"mutants": {"lstm": {
        "mutants": 10, "killed": {"full rate": 6, "blocked": 1}, "proved": 2, "explained": 1,
        "open": 0, "modules": {"gatefold_row": [10, 7, 2]}}}})
    assert "| lstm | 10 | 7 | 2 | 1 | 0 |" in text
    assert "The first scenario that fails: full rate 6, blocked 1." in text
    assert "| `gatefold_row` | 10 | 7 | 2 | 1 |" in text


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
