"""docs/streams.md, the contract: each case names a test or a proof that exists."""

import re

from gatefold.sim import scenario
from tests.support.places import ROOT

PAGE = (ROOT / "docs/streams.md").read_text()
CASES = re.findall(r"^\| (.+?) \| .+ \| (.+?) \|$",
                   PAGE.split("## The contract")[1].split("\n## ")[0], re.MULTILINE)[1:]
TESTS = {name for path in (ROOT / "tests").rglob("test_*.py")
         for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
SCENARIOS = (ROOT / "sim/scenario.py").read_text()


def test_every_case_of_the_contract_has_a_test_that_exists():
    assert len(CASES) > 12 and scenario.RESET_CYCLES
    for case, evidence in CASES:
        named = re.findall(r"`(test_\w+)(?:\[\w+\])?`", evidence)
        played = re.findall(r"scenario \*(.+?)\*", evidence)
        assert named or played, case
        assert set(named) <= TESTS, (case, set(named) - TESTS)
        assert all(f'"{name}"' in SCENARIOS for name in played), case
