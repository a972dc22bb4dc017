"""The benchmark: every figure marked, nothing published left out, the page as it was stored."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from gatefold.gen.forward import forward
from gatefold.gen.network import Dense, Lstm, Network, RepeatVector

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
WORKLOADS = json.loads((BENCH / "workloads.json").read_text())
BUILT = ("autoenc-1", "autoenc-2", "autoenc-3", "autoenc-4", "autoenc-5", "lstm-dense", "lstm-cell")


def bench(*arguments):
    return subprocess.run([sys.executable, BENCH / "run.py", *map(str, arguments)],
                          capture_output=True, text=True, check=False)


@pytest.fixture
def script(monkeypatch):
    """Import a script of bench/ as it imports its neighbours."""
    monkeypatch.syspath_prepend(BENCH)
    before = set(sys.modules)
    yield lambda name: __import__(name)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs/bench.md").read_text()


def main_table(page):
    """Cells (title, network) -> text of the first table."""
    lines = [line for line in page.split("\n## ")[1].splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in lines[0].split("|")[2:-1]]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    return names, rows


def test_the_page_is_made_of_what_is_stored(page, tmp_path):
    done = bench("--render", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bench.md").read_text() == page


def test_all_networks_stand_in_the_table_or_are_said_to_be_missing(page):
    names, _ = main_table(page)
    assert tuple(names) == BUILT
    missing = page.split("## Not built yet")[1]
    for name in {*WORKLOADS["networks"], *WORKLOADS["streaming"]["networks"]} - set(BUILT):
        assert re.search(rf"^\| {name} \|.*not yet: ", missing, re.M), name


def test_every_cell_says_how_it_is_known(page):
    _, rows = main_table(page)
    for title, *cells in rows:
        for cell in cells:
            assert cell in ("", "–") or re.search(r"<sup>[a-z](/[a-z])?</sup>$", cell), title


def test_every_published_figure_is_quoted(page):
    wanted = [figure for device, figures in WORKLOADS["published"].items() if device != "comment"
              for figure in figures.values()]
    wanted += [share for figures in WORKLOADS["published_resources"].values()
               if isinstance(figures, dict) for shares in figures.values()
               for share in np.delete(shares, 1)]  # LUTRAM is not estimated
    wanted += [us for row in WORKLOADS["streaming"]["networks"].values()
               for us in row["vollo_us"].values()]
    tables = page.split("\n## ", 1)[1]
    # A range of the Edge TPU is one mark for two figures, quotients have a mark of their own.
    assert tables.count("<sup>q</sup>") == len(wanted) - 1 + 5  # batches and engines stand twice


def test_a_network_is_planned_and_written(tmp_path):
    done = bench("--only", "autoenc-1", "--no-measure", "--results", tmp_path, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "planned.json").read_text())["networks"]["autoenc-1"]["u280"]
    text = (tmp_path / "bench.md").read_text()
    assert f"{row['latency']:,}&nbsp;<sup>p</sup>" in text
    assert "Not measured: `make bench` measures." in text
    assert row["bound"] <= row["latency"] and row["multipliers"] <= 8192


def test_an_unknown_network_is_one_line():
    done = bench("--only", "autoenc-9")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "autoenc-1" in done.stderr


@pytest.mark.parametrize("changed", [{}, {"latency": 218}, {"interval": 1}, {"pe": 84}])
def test_only_the_core_that_was_simulated_is_marked_so(script, changed):
    row = {"pe": 80, "simd": 16, "latency": 217, "interval": 197}
    known = {"planned": {"networks": {"n": {"u280": row}}}, "simulated": {"n/u280": row | changed}}
    assert script("figures").latency_mark(known, "n", "u280") == ("p" if changed else "s")
    assert script("figures").latency_mark(known | {"simulated": {}}, "n", "u280") == "p"


def test_onnx_files_compute_what_the_network_does(script):
    rng = np.random.default_rng(3)

    def lstm(units, features, sequences):
        return Lstm(units=units, w_ih=rng.normal(size=(4 * units, features)),
                    w_hh=rng.normal(size=(4 * units, units)), b=rng.normal(size=4 * units),
                    return_sequences=sequences)

    def dense(outputs, features):
        return Dense(w=rng.normal(size=(outputs, features)), b=rng.normal(size=outputs))

    network = Network((4, 3), (lstm(5, 3, True), lstm(6, 5, False), dense(4, 6),
                               RepeatVector(timesteps=3), lstm(5, 4, True), dense(2, 5)))
    x = rng.normal(size=(1, 4, 3)).astype(np.float32)
    model = script("exports").to_onnx("n", network)
    y, = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(y, forward(network, x), atol=1e-5)


def test_the_gpu_script_needs_torch_and_numpy_only():
    tree = ast.parse((BENCH / "gpu.py").read_text())
    tops = {name.split(".")[0] for node in ast.walk(tree)
            for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import)
                         else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])}
    assert tops - set(sys.stdlib_module_names) == {"torch", "numpy"}
