"""The benchmark: every figure is marked, no published one is missing, the page is up to date."""

import ast
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, RepeatVector, Window
from tests.support.networks import Make
from tests.support.places import ROOT

BENCH = ROOT / "bench"
WORKLOADS = json.loads((BENCH / "workloads.json").read_text())
STREAMS = tuple(WORKLOADS["streaming"]["networks"])


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


def table(page, title):
    """Names of the networks, and the cells by row, of the first table under a heading."""
    part = page.split(f"\n## {title}", 1)[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in lines[0].split("|")[2:-1]]
    return names, [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_the_page_is_made_of_the_stored_results(page, tmp_path):
    done = bench("--render", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bench.md").read_text() == page


def test_all_networks_are_in_a_table(page):
    names, _ = table(page, "Every network")
    assert names == list(WORKLOADS["networks"])
    names, rows = table(page, "Streaming")
    assert tuple(names) == STREAMS
    assert ["layers", *(", ".join(WORKLOADS["streaming"]["networks"][name]["layers"])
                        for name in names)] in rows
    assert "not planned" not in page.lower()


@pytest.mark.parametrize("title", ["Every network", "Streaming"])
def test_every_cell_says_how_it_is_known(page, title):
    _, rows = table(page, title)
    for what, *cells in rows:
        for cell in cells:
            assert what == "layers" or cell in ("", "–", "not measured") or re.search(
                r"<sup>[a-z](/[a-z])?</sup>$", cell), what


def test_the_row_of_the_transfer_is_the_difference(page):
    planned = json.loads((BENCH / "planned.json").read_text())["networks"]
    _, rows = table(page, "Streaming")
    (left,) = [cells for what, *cells in rows if what == "V80 - Gatefold"]
    for name, cell in zip(STREAMS, left, strict=True):
        row = planned[name]["u55c"]
        us = WORKLOADS["streaming"]["networks"][name]["vollo_us"]["v80"] - (
            row["latency"] / row["clock_mhz"])
        assert cell.startswith(f"{us:.2f}&nbsp;<sup>q/")


def test_networks_that_are_not_planned_are_named(script):
    known = {"workloads": WORKLOADS, **dict.fromkeys(
        ("planned", "measured", "simulated", "synthesised", "gpu"), {})}
    rows = script("networks").all_workloads()
    planned = json.loads((BENCH / "planned.json").read_text())
    kept = {"lstm-cell": planned["networks"]["lstm-cell"]}
    text = script("report").markdown(known | {"planned": {"networks": kept}}, rows)
    assert ", ".join(row.name for row in rows if row.name != "lstm-cell") + (
        ": `make bench` plans them.") in text
    assert "## Streaming" not in text


def test_every_published_figure_is_quoted(page):
    wanted = [figure for device, figures in WORKLOADS["published"].items() if device != "comment"
              for figure in figures.values()]
    wanted += [share for figures in WORKLOADS["published_resources"].values()
               if isinstance(figures, dict) for shares in figures.values()
               for share in np.delete(shares, 1)]  # LUTRAM is not estimated
    wanted += [us for row in WORKLOADS["streaming"]["networks"].values()
               for us in row["vollo_us"].values()]
    tables = page.split("\n## ", 1)[1]
    # Quotients and differences have a mark of their own. Batches, engines and the Edge TPU are
    # shown twice.
    assert tables.count("<sup>q</sup>") == len(wanted) + 10


@pytest.mark.long
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
    seen = row | changed
    seen |= {"verified": {name: seen.pop(name) for name in ("latency", "interval")}}
    known = {"planned": {"networks": {"n": {"u280": row}}}, "simulated": {"n/u280": seen}}
    assert script("figures").latency_mark(known, "n", "u280") == ("p" if changed else "s")
    assert script("figures").latency_mark(known | {"simulated": {}}, "n", "u280") == "p"


def test_onnx_files_compute_what_the_network_does(script):
    make = Make(np.random.default_rng(3))
    network = Network((4, 3), (
        make.lstm(3, 5, True), make.lstm(5, 6), make.dense(6, 4), RepeatVector(timesteps=3),
        make.lstm(4, 5, True), make.dense(5, 2)))
    x = make.normal(1, 4, 3).astype(np.float32)
    model = script("exports").to_onnx("n", network)
    y, = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(y, forward(network, x), atol=1e-5)


@pytest.mark.parametrize("window", [Window(3), Window(3, stride=2, dilation=2, left=2, right=1)])
def test_onnx_files_of_convolutions(script, window):
    make = Make(np.random.default_rng(3))
    network = Network((12, 2), (make.conv(2, 3, window, "relu"), make.conv(3, 4, Window(2)),
                                make.lstm(4, 5), make.dense(5, 6, "relu")))
    x = make.normal(1, 12, 2).astype(np.float32)
    y, = ReferenceEvaluator(script("exports").to_onnx("n", network)).run(None, {"x": x})
    np.testing.assert_allclose(y, forward(network, x), atol=1e-5)


def test_onnx_files_hand_out_the_states_of_stateful_layers(script):
    make = Make(np.random.default_rng(3))
    network = Network((1, 3), (make.lstm(3, 4, True, stateful=True),
                               make.lstm(4, 5, stateful=True), make.dense(5, 2)))
    run = ReferenceEvaluator(script("exports").to_onnx("n", network))
    assert list(run.input_names) == ["x", "h0_in", "c0_in", "h1_in", "c1_in"]
    x = make.normal(3, 1, 3).astype(np.float32)
    states = [np.zeros((1, 1, units), np.float32) for units in (4, 4, 5, 5)]
    for step, wanted in zip(x, forward(network, x), strict=True):
        y, *states = run.run(None, dict(zip(run.input_names, [step[None], *states], strict=True)))
        np.testing.assert_allclose(y[0], wanted, atol=1e-5)


def test_a_layer_that_no_export_knows_is_refused(script):
    make = Make(np.random.default_rng(3))
    with pytest.raises(NotImplementedError, match="no dense with tanh in the benchmark yet"):
        script("exports").to_onnx("n", Network((2, 3), (make.dense(3, 2, "tanh"),)))


def test_the_gpu_script_needs_torch_and_numpy_only():
    tree = ast.parse((BENCH / "gpu.py").read_text())
    tops = {name.split(".")[0] for node in ast.walk(tree)
            for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import)
                         else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])}
    assert tops - set(sys.stdlib_module_names) == {"torch", "numpy"}
