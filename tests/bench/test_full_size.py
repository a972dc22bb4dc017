"""bench/full_size.py: its page lists the cores that were run, that failed and that are missing."""

import importlib
import json
import sys

import pytest

from tests.support.places import ROOT

BENCH = ROOT / "bench"

PROVED = {
    "source": "0123abc", "pe": 96, "simd": 16, "loadable": False,
    "weights": {"distributed": 22, "block": 74},
    "estimated": {"lut": 100_000, "ff": 80_000, "dsp": 1584, "bram36": 290.5, "uram": 0},
    "verified": {"simulator": "verilator", "samples": 3, "scenarios": {"full rate": 4},
                 "latency": 28170, "interval": 28151, "outputs": 728, "states": 147_896,
                 "cycles": 200_000},
    "seconds": {"plan": 12.3, "write": 4, "compile": 91.7, "simulate": 13.9}}
LOADED = PROVED | {"loadable": True, "weights": {"ultra": 96}}
FAILED = {"source": "0123abc", "failed": "full rate: sample 0, output 3: expected 1, got 2",
          "seconds": {"plan": 1}}


@pytest.fixture
def full_size(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    before = set(sys.modules)
    yield importlib.import_module("full_size")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
            del sys.modules[name]


def cells(page, network):
    """The row of a network, by the titles of the columns."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in page.splitlines() if line.startswith("|")]
    (row,) = [row for row in rows if row[0] == network]
    return dict(zip(rows[0], row, strict=True))


@pytest.mark.parametrize(("core", "network", "row", "shown"), [
    ("forum-cnn-lstm/zcu104", "forum-cnn-lstm", PROVED,
     {"array": "96 x 16", "latency": "**28,170**", "interval": "28,151", "target": "31,000",
      "compared": "148,624", "weights": "22 rows in LUTs, 74 rows in block RAM",
      "BRAM36": "290.5", "simulator": "verilator", "compile, s": "92", "source": "0123abc"}),
    ("autoenc-1/zcu104", "autoenc-1", PROVED, {"target": "193"}),
    ("stream-2x128/u55c", "stream-2x128", LOADED,
     {"target": "100", "weights": "loaded: 96 rows in UltraRAM"}),
])
def test_a_proved_core_is_a_row(full_size, core, network, row, shown):
    page = full_size.markdown({core: row}, full_size.all_workloads())
    assert cells(page, network).items() >= shown.items()
    assert "of 1 of 28 cores" in page and "148,624 integers compared in 200,000 cycles" in page


def test_failed_and_missing_runs_are_listed(full_size):
    found = {"autoenc-1/u280": FAILED, "autoenc-1/zcu104": PROVED}
    page = full_size.markdown(found, full_size.all_workloads())
    assert "of 1 of 28 cores" in page
    assert f"- **autoenc-1 on the U280**: {FAILED['failed']}" in page
    missing = page.split("Not run yet: ")[1].split(".\n")[0].split(", ")
    assert len(missing) == 26 and "stream-2x128 on the U55C" in missing
    assert [entry for entry in missing if entry.startswith("autoenc-1 ")] == [
        "autoenc-1 on the U55C"]


def test_a_run_goes_on_where_it_stopped(full_size, tmp_path, monkeypatch, capsys):
    proved = []

    def prove(workload, board, known):
        if known == PROVED:
            return known
        proved.append((workload.name, board))
        return PROVED

    monkeypatch.setattr(full_size, "prove", prove)
    journal = tmp_path / "found.json"
    row = full_size.all_workloads()[0]
    journal.write_text(json.dumps({"autoenc-1/u280": FAILED, "autoenc-2/u280": PROVED}))
    full_size._one(journal, row, "u280", again=False)  # failed last time
    full_size._one(journal, row, "u280", again=False)  # is done now
    full_size._one(journal, row, "u280", again=True)
    assert proved == [("autoenc-1", "u280")] * 2
    assert json.loads(journal.read_text()) == {"autoenc-1/u280": PROVED, "autoenc-2/u280": PROVED}
    assert "autoenc-1/u280 is done" in capsys.readouterr().out
