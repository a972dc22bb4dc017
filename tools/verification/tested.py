"""Proofs, planted faults and initial values, which are tests, on the page: `make formal`, and
`make long` for the others.

What has passed is kept in build/ until a source changes, so that a run goes on where the last one
stopped, and the page counts it.
"""

from __future__ import annotations

import argparse
import json
import sys

import pytest
from figures import ROOT, digest, record

#: Groups: the files of their tests, and what the tests are, by a part of their names.
GROUPS = {
    "formal": ("tests/formal", {"refuted": "planted mistakes refuted", "is_found":
                                "planted mistakes refuted", "": "proofs"}),
    "faults": ("tests/sim/test_faults.py", {
        "cocotb": "found by the exported bench", "finds": "found by verify",
        "found": "found by verify", "": "cores without a fault that pass"}),
    "initial values": ("tests/sim/test_initial_values.py", {
        "unknown": "cores with unknown values", "": "cores with random values"}),
}


class Passed:
    """A plugin of pytest that keeps which tests of a group have passed, and how long each took."""

    def __init__(self, group: str):
        self.group, self.kinds = group, GROUPS[group][1]
        self.place = ROOT / "build" / "verification" / f"{group}.json"
        self.source = digest(*(ROOT / place for place in (
            "hdl", "gen", "sim", "tests/support", GROUPS[group][0])))
        before = json.loads(self.place.read_text()) if self.place.exists() else {}
        #: Seconds of the tests that have passed, by name.
        self.tests: dict[str, float] = (before["tests"] if before.get("source") == self.source
                                        else {})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.tests[report.nodeid] = round(report.duration, 2)
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self.place.write_text(json.dumps({"source": self.source, "tests": self.tests}))
            self.show(whole=False)

    def show(self, whole: bool) -> None:
        """Write what has passed to the page; ``whole``: that is all of the group."""
        found: dict[str, int] = {}
        for test in self.tests:
            kind = next(kind for part, kind in self.kinds.items() if part in test.split("::")[-1])
            found[kind] = found.get(kind, 0) + 1
        record("tests", {self.group: {
            "passed": found, "seconds": round(sum(self.tests.values())), "whole": whole}})


def main() -> int:
    """The command: pytest's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    passed = Passed(options.group)
    code = pytest.main([
        "-q", str(ROOT / GROUPS[options.group][0]), "-m", "long or not long",
        *(["-n", str(options.jobs)] if options.jobs > 1 else []),
        *(f"--deselect={test}" for test in passed.tests)], plugins=[passed])
    done = code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    passed.show(whole=done)
    return 0 if done else int(code)


if __name__ == "__main__":
    sys.exit(main())
