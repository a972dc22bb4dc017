"""The accuracy table: the formats of its rows, the arithmetic that cuts, the stored page."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Lstm
from gatefold.gen.network.views import RepeatVector
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from tests.support.places import ROOT

FOLDER = ROOT / "bench" / "accuracy"
sys.path.insert(0, str(FOLDER))

import accuracy_page as page  # noqa: E402
import arithmetics  # noqa: E402
import detection  # noqa: E402
import evaluate  # noqa: E402
from cut import Cut  # noqa: E402

ROWS = {row.key: row for row in arithmetics.ROWS}
STORED = json.loads((FOLDER / "measured.json").read_text())


@pytest.fixture(scope="module")
def shipped():
    return arithmetics.Shipped()


def accuracy(key: str) -> float:
    return STORED["rows"][key]["accuracy"]


# --- the rows

def test_every_row_has_a_key_of_its_own_and_is_stored_in_order():
    assert list(ROWS) == list(STORED["rows"]) and len(ROWS) == len(arithmetics.ROWS)


def test_no_row_is_of_a_part_of_the_windows():
    assert {(row["windows"]) for row in STORED["rows"].values()} == {STORED["windows"]} == {1200}


@pytest.mark.parametrize("key", [key for key, row in STORED["rows"].items()
                                 if "formats" in row and "settings" not in row])
def test_a_row_still_has_the_formats_it_was_measured_with(shipped, key):
    made = ROWS[key].make(shipped)
    assert arithmetics.formats(made.qnet) == STORED["rows"][key]["formats"]


@pytest.mark.parametrize("form", [QFormat(16, 8), QFormat(16, 4), QFormat(8, 4)], ids=str)
def test_one_format_is_that_of_every_value(shipped, form):
    qnet = quantize(shipped.network, calibration=shipped.calibration, table_bits=8,
                    overrides=arithmetics.one_format(shipped.network, form))
    beside = ("g", "tc")  # results of tanh have the table's format
    found = {getattr(layer, one.name) for layer in qnet.layers for one in fields(layer)
             if isinstance(getattr(layer, one.name), QFormat) and one.name not in beside}
    assert found == set(qnet.input_formats) == {form}
    assert (qnet.act_width, qnet.weight_width, qnet.cell_width) == (form.width,) * 3


@pytest.mark.parametrize("key", ["w8 a8", "w8 a8 8 bits, the defaults", "fixed Q8.8"])
def test_a_row_scores_on_a_part_what_it_scores_on_all(shipped, key):
    found = detection.evaluate(ROWS[key].make(shipped), shipped.held_out.part(60))
    assert found.accuracy == pytest.approx(accuracy(key), abs=0.06)
    assert found.rmse == pytest.approx(STORED["rows"][key]["rmse"], rel=0.15)


# --- the claims about the table

@pytest.mark.parametrize("key", ["w16 a16", "w12 a12", "w10 a10", "w8 a8",
                                 "w8 a8 8 bits, the defaults", "w8 a16", "w16 a8"])
def test_down_to_8_bits_less_than_a_point_is_lost(key):
    assert accuracy("float32") - accuracy(key) < 0.01


def test_the_wide_cell_state_is_what_makes_8_bits_enough():
    assert accuracy("w8 a8 cell state of 8 bits") < 0.8 < 0.97 < accuracy(
        "w8 a8 cell state of 12 bits")


@pytest.mark.parametrize("frac", page.QUOTED)
def test_cutting_costs_more_than_rounding(frac):
    rounded, cut, each = (accuracy(f"{how} Q{16 - frac}.{frac}")
                          for how in ("fixed", "cut sum", "cut product"))
    assert rounded > cut > each


# --- the arithmetic that cuts

def small(rng, *, units=3, steps=4, **options) -> Network:
    def lstm(features, **more):
        return Lstm(units=units, w_ih=rng.normal(0, 0.5, (4 * units, features)),
                    w_hh=rng.normal(0, 0.5, (4 * units, units)),
                    b=rng.normal(0, 0.5, 4 * units), **more)
    return Network((steps, 2), (
        lstm(2, return_sequences=False, **options), RepeatVector(timesteps=steps),
        lstm(units, return_sequences=True), dense(rng, units)))


def dense(rng, features, outputs=1) -> Dense:
    return Dense(w=rng.normal(0, 0.5, (outputs, features)),
                 b=rng.normal(0, 0.5, outputs), activation="linear")


@pytest.mark.parametrize("products", [False, True])
def test_with_many_bits_cutting_is_as_good_as_floats(products):
    rng = np.random.default_rng(3)
    network = small(rng)
    x = rng.normal(0, 0.5, (5, 4, 2))
    y = Cut(network, 14, products=products, width=18)(x)
    np.testing.assert_allclose(y, forward(network, x), atol=2e-3)


@pytest.mark.parametrize("products", [False, True])
def test_cut_computes_its_definition(products):
    """One Dense layer, written out in Python's integers."""
    frac, rng = 5, np.random.default_rng(1)
    layer, x = dense(rng, 7, 2), rng.normal(size=(3, 7))
    w, b = layer.w, layer.b
    network = Network((7,), (layer,))

    def integer(value: float) -> int:
        return int(np.floor(value * 2**frac))
    wanted = np.zeros((3, 2))
    for n, row in enumerate(x):
        for out in range(2):
            each = [integer(w[out, j]) * integer(row[j]) for j in range(7)]
            total = sum(p >> frac for p in each) if products else sum(each) >> frac
            wanted[n, out] = (integer(b[out]) + total) / 2**frac
    np.testing.assert_array_equal(Cut(network, frac, products=products)(x), wanted)


def test_cut_refuses_other_layers():
    network = small(np.random.default_rng(0), activation="relu")
    with pytest.raises(ValueError, match="plain LSTM, linear Dense and views, not a lstm"):
        Cut(network, 8, products=True)


def test_cut_refuses_values_that_do_not_fit():
    network = small(np.random.default_rng(0))
    with pytest.raises(ValueError, match="beyond 16 bits, 12 of them fractional"):
        Cut(network, 12, products=False)(np.full((1, 4, 2), 9.0))


# --- the command

def test_a_run_that_was_stopped_goes_on_where_it_stopped(tmp_path, monkeypatch):
    kept, asked = tmp_path / "measured.json", []
    kept.write_text(json.dumps(STORED | {"code": {}}))

    def figures(of: str):
        def measured(one=None, *_):
            if len(asked) == stop:
                raise KeyboardInterrupt
            asked.append(key := getattr(one, "key", of))
            return STORED[of][key] if one else STORED[of]
        return measured
    for name, value in {"MEASURED": kept, "measure": figures("rows"), "_matplotlib": dict,
                        "measure_target": figures("targets"), "elsewhere": figures("elsewhere"),
                        "code": lambda *weights: str(weights)}.items():
        monkeypatch.setattr(evaluate, name, value)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "-o", str(tmp_path)])
    keys = [*ROWS, *(target.key for target in evaluate.TARGETS), "elsewhere"]
    for stop in (3, len(ROWS) + 2):
        with pytest.raises(KeyboardInterrupt):
            evaluate.main()
        assert asked == keys[:stop]
    stop = None
    for _ in range(2):  # the second has nothing left to measure
        evaluate.main()
        assert asked == keys
    assert json.loads(kept.read_text())["rows"] == STORED["rows"]


# --- the page

def test_the_page_is_made_of_the_stored_results():
    assert (ROOT / "docs/accuracy.md").read_text() == page.markdown(STORED)


def test_every_row_is_on_the_page():
    text = (ROOT / "docs/accuracy.md").read_text()
    for row in arithmetics.ROWS:
        line = page.table_row(row, STORED["rows"][row.key], accuracy("float32"))
        assert line in text, row.key


def test_the_plot_shows_the_papers_figures_and_ours():
    found = page.figures(STORED)
    assert found["quoted"] == [[4, 0.8641], [6, 0.9419], [8, 0.9517]]
    assert set(found["series"]) == {"16 bits", "one format", "chosen", "every sum cut",
                                    "every product cut"}
    assert [16, accuracy("w16 a16") / accuracy("float32")] in found["series"]["chosen"]


@pytest.mark.parametrize(("options", "message"), [
    (["--windows", "3"], "--windows must be at least 10, not 3"),
    (["--only", "w9 a9"], "--only 'w9 a9' is no row: the rows are float64, "),
    (["--windows", "20", "--render"], "--render measures nothing: leave out --windows"),
])
def test_bad_options_are_refused(options, message):
    done = subprocess.run([sys.executable, FOLDER / "evaluate.py", *options], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2 and message in done.stderr


def test_a_quick_look_writes_nothing(tmp_path):
    before = (FOLDER / "measured.json").read_bytes()
    done = subprocess.run([sys.executable, FOLDER / "evaluate.py", "--windows", "10", "--only",
                           "float32", "-o", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("| float32 | 32 |"), done.stderr
    assert (FOLDER / "measured.json").read_bytes() == before and not list(tmp_path.iterdir())
