"""report.html: its figures; one file, the same bytes; hostile names; and its use in a browser."""

import html
import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from gatefold.gen.flow import Core, compile, shape_network
from gatefold.gen.html import render
from gatefold.gen.html.charts import waterfall
from gatefold.gen.html.markup import flat, percent, svg, tag
from gatefold.gen.html.occupancy import INPUT, MAX_RUNS, RECURRENT, occupancy, op_name
from gatefold.gen.html.tensors import Row, Scales, in_digits, parse, tensor_drawing
from gatefold.gen.html.timeline import LEFT, PLOT, RIGHT
from gatefold.gen.html.words import net_title
from gatefold.gen.measure.inside import inside
from gatefold.gen.network.graph import Network
from gatefold.gen.plan.latency import stages
from gatefold.gen.plan.ops import COPIED, GATHERED
from gatefold.gen.store.folder import load_plan
from gatefold.sim import simulators
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, gatefold
from tests.support.networks import Make, network
from tests.support.windows import NETWORKS

AUTOENCODER = FIXTURES / "keras_autoencoder.keras"
HOSTILE = ("<script>document.title='owned'</script>", "\"'><img src=x onerror=alert(1)>",
           "</title></svg></script><script>document.title='owned'</script>", "\x00\u202e&amp;")


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("html") / "core", AUTOENCODER, "--board", "zcu104",
                 "--pe", 16, "--simd", 4)


@pytest.fixture
def copy(core, tmp_path):
    return shutil.copytree(core, tmp_path / "core")


@pytest.fixture(scope="module")
def report(core):
    return json.loads((core / "report.json").read_text())


@pytest.fixture(scope="module")
def page(core):
    return (core / "report.html").read_bytes().decode("ascii")


class Page(HTMLParser):
    """Elements that are open, every attribute seen, the text outside script and style."""

    VOID = frozenset({"meta", "br", "hr", "link", "img"})

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.attributes += [(name, key, value or "") for key, value in attributes]
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, text):
        if self.open[-1:] == ["script"]:
            self.scripts.append(text)
        elif self.open[-1:] != ["style"]:
            self.texts.append(text)


def words(text: str) -> str:
    return " ".join(" ".join(Page(text).texts).split())


def figures(report: dict) -> list[str]:
    """The figures of a report as people read them."""
    cycles, numbers, array = report["cycles"], report["numbers"], report["array"]
    shown = [f"{cycles[key]:,}" for key in ("latency", "interval", "bound", "no_overlap", "A", "B")]
    shown += [f"{report['latency_us']:,.2f}", f"{report['clock_mhz']['value']:g} MHz", "assumed",
             f"{array['multipliers']:,}", f"{report['network']['parameters']:,} parameters",
             f"{numbers['error']['max_abs']:.3g}", f"{numbers['error']['rms']:.3g}",
             *numbers["inputs"], *numbers["outputs"], report["input_hash"]]
    shown += [f"{report['resources'][key]:,.10g}" for key in ("lut", "ff", "dsp", "bram36")]
    shown += [form for tensors in numbers["layers"].values() for form in tensors.values()]
    shown += [layer["name"] for layer in report["network"]["layers"]]
    return shown + list(report["versions"].values())


# --- Its figures ----------------------------------------------------------------------------------

def test_it_shows_the_figures_of_the_report(page, report):
    text = words(page)
    assert [figure for figure in figures(report) if figure not in text] == []


def test_it_says_how_figures_came_to_be(page):
    for kind in ("planned", "computed", "estimated", "assumed", "quoted", "simulated"):
        assert f'class="badge {kind}"' in page
    assert "Not yet verified." in words(page) and "What was verified" not in words(page)


def test_the_waterfall_is_the_tail(core, page):
    plan = load_plan(core)
    parts = stages(plan.config)
    assert sum(parts.values()) == plan.latencies.tail
    assert all(cycles > 0 for cycles in parts.values())
    described = ", ".join(f"{name} {cycles}" for name, cycles in parts.items())
    assert f"{described}: {plan.latencies.tail} cycles" in words(page)


def test_every_cycle_of_the_frame_is_accounted_for(core):
    plan = load_plan(core)
    what = occupancy(plan)
    assert what.cycles == plan.cycles.latency
    assert what.busy == plan.cycles.tiles == sum(run.length for run in what.runs)
    assert what.busy + sum(length for _, length in what.idle) == what.cycles
    assert sum(what.idle_parts) == what.cycles - what.busy and min(what.idle_parts) >= 0
    spans = sorted([(run.start, run.length) for run in what.runs] + list(what.idle))
    at = 0
    for start, length in spans:
        assert start == at
        at += length


def test_many_tiles_stay_a_small_page():
    core = compile(shape_network(units=24, features=8, timesteps=20, layers=2), pe=4, simd=1)
    what = occupancy(core.plan)
    assert what.busy > 30_000 and len(what.runs) <= MAX_RUNS
    assert len(render(core.report(), core.plan)) < 1_500_000


def test_many_runs_are_drawn_as_shares(core, report, monkeypatch):
    monkeypatch.setattr("gatefold.gen.html.occupancy.MAX_RUNS", 10)
    monkeypatch.setattr("gatefold.gen.html.occupancy.MAX_BINS", 100)
    what = occupancy(load_plan(core))
    assert what.runs == () and what.bin_size == -(-what.cycles // 100)
    assert sum(sum(shares.values()) for shares in what.bins) == what.busy
    text = render(report, load_plan(core))
    assert f"Each mark covers {what.bin_size} cycles" in words(text)
    data = json.loads(next(script for script in Page(text).scripts if script.startswith("{")))
    assert sum(count for shares in data["bins"] for *_, count in shares) == what.busy


# --- Every kind of network ------------------------------------------------------------------------

#: Networks, and the layers whose tiles meet their own h.
KINDS = {
    "bidirectional": {0, 2, 5}, "residual": {0}, "joined formats": {1, 3}, "pools": set(),
    "two inputs": {0}, "two outputs": {0, 2}, "states as inputs": {0, 1, 2, 3},
    "gru reset before": {0, 1}, "stateful gru": {0, 1}, "constant states": {0, 1, 2, 3},
    "attention gate": {2}, "conv, conv, lstm": {2}, "views": {5}, "returned states": {0},
    "dense only": set(),
}


@cache
def small(name: str) -> Core:
    """A small core that holds the network of this name."""
    return compile(network(name), pe=4, simd=2)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_is_drawn(name):
    core = small(name)
    what, report = occupancy(core.plan), core.report()
    text = render(report, core.plan)
    seen = Page(text)
    assert seen.open == []
    assert [figure for figure in figures(report) if figure not in words(text)] == []
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert not re.search(r'="-?(nan|inf)|(width|height|r)="-', text)
    assert f">{plural_of(core.network.input_shapes, 'input')}<" in text
    assert f">{plural_of(core.network.outputs, 'output')}<" in text
    assert what.busy + sum(length for _, length in what.idle) == what.cycles


def plural_of(values, word: str) -> str:
    """The name of the last of them in the drawing."""
    return word if len(values) == 1 else f"{word} {len(values) - 1}"


@pytest.mark.parametrize("name", KINDS)
def test_tiles_that_meet_their_own_h_are_recurrent(name):
    core = small(name)
    tiles = occupancy(core.plan).tiles
    assert {layer for layer, part in tiles if part == RECURRENT} == KINDS[name]


def test_ops_are_listed_below_their_layer():
    core = small("gru reset before")
    what = occupancy(core.plan)
    for layer, ops in what.ops.items():
        assert sum(tiles for _, tiles in ops) == sum(
            what.tiles.get((layer, part), 0) for part in (INPUT, RECURRENT))
    assert [op_name(core.plan, op) for op, _ in what.ops[0]] == ["reset", "state"]
    text = words(render(core.report(), core.plan))
    assert "op 0: reset" in text and "op 1: state" in text


def test_an_output_put_together_has_a_lane():
    core = small("two outputs")
    assert occupancy(core.plan).layers[-1] == GATHERED
    assert "output put together" in words(render(core.report(), core.plan))


def test_a_copied_input_and_an_output_put_together_are_two_things():
    core = compile(NETWORKS["columns"](Make(np.random.default_rng(1))), hop=2, pe=4, simd=2)
    what = occupancy(core.plan)
    assert what.layers[0] == COPIED and what.layers[-1] == GATHERED
    text = words(render(core.report(), core.plan))
    assert "input copied" in text and "output put together" in text


def test_the_hosts_function_is_drawn_behind_the_output():
    net = network("dense only")
    core = compile(Network(net.input_shapes, net.layers, host=("softmax",)), pe=4, simd=2)
    text = render(core.report(), core.plan)
    drawing = text[text.index('id="network"'):]
    assert drawing.index(">output<") < drawing.index(">Softmax<") < drawing.index(
        ">left to the host<")
    assert "before the functions left to the host" in words(text)


@pytest.mark.parametrize("name, title", [
    ("stack", "LSTM 4 \N{RIGHTWARDS ARROW} LSTM 3 \N{RIGHTWARDS ARROW} LSTM 6"),
    ("repeat first", "Repeat 3 times \N{RIGHTWARDS ARROW} LSTM 2"),
    ("hard dense", "Dense 6 hard tanh \N{RIGHTWARDS ARROW} Dense 3 hard sigmoid"),
    ("bidirectional", "LSTM 2, LSTM 2, GRU 3, Dense 2"),
    ("two outputs", "LSTM 3, Dense 2, GRU 2, Dense 1 sigmoid"),
    ("joined states handed over", "LSTM 2, Cell state, LSTM 2, Cell state, LSTM 4"),
])
def test_a_chain_has_arrows_in_its_title_and_a_graph_has_none(name, title):
    report = small(name).report()
    assert net_title(report["network"], set(report["numbers"]["layers"])) == title


def test_a_title_counts_the_layers_of_a_large_network():
    report = compile(network(((2, 3), ("L3seq",) * 3 + ("G3seq",) * 2 + ("D3",) * 3)), pe=4,
                     simd=2).report()
    assert net_title(report["network"], set(report["numbers"]["layers"])) \
        == "3 LSTM, 2 GRU, 3 Dense"


def test_a_network_too_large_to_draw_is_in_the_table_alone(monkeypatch):
    monkeypatch.setattr("gatefold.gen.html.graph.MOST_SLOTS", 3)
    core = small("residual")
    text = render(core.report(), core.plan)
    assert "too many layers to be drawn" in words(text) and 'id="network"' not in text
    assert "l2_add" in words(text)


def test_stages_of_any_name_and_length_are_drawn():
    drawing = waterfall("x", "x", {"a stage with quite a long name": 3, "b": 0, "stream": 4000}, {},
                        4003, "end")
    assert "a stage with quite a long name 3, b 0, stream 4000: 4003 cycles" in drawing
    assert 'width="-' not in drawing and len(drawing) < 4000


# --- Inside ---------------------------------------------------------------------------------------

def test_it_shows_every_tensor_and_where_the_error_enters():
    core = small("gru every h")
    report = core.report()
    report["numbers"]["inside"] = json.loads(json.dumps(
        inside(core.network, core.qnet, core.data)))
    text = words(render(report, core.plan))
    assert "Where the error enters" in text
    for layer, known in report["numbers"]["inside"].items():
        assert layer in text
        for tensor, measured in known["tensors"].items():
            assert f"{tensor} {measured['format'] or 'accumulator'}" in text
            assert f"{measured['min']:.3g} to {measured['max']:.3g}" in text
            span = measured["max"] - measured["min"]
            assert in_digits(measured["rms"] / span) in text


def test_without_it_formats_and_peaks_are_shown():
    core = small("gru every h")
    report = core.report()
    report["numbers"].pop("inside", None)
    text = words(render(report, core.plan))
    assert "Where the error enters" not in text
    peak = report["numbers"]["calibration"]["peaks"]["l0_gru"]["h"]
    assert f"\N{PLUS-MINUS SIGN} {peak:.3g}" in text


@pytest.mark.parametrize("name", ["padded pool", "views"])
def test_no_error_at_all_is_drawn(name):
    core = small(name)
    report = core.report()
    report["numbers"]["inside"] = {
        layer: {"saturations": {}, "tensors": {"y": {
            "format": "Q1.15", "min": 0.0, "max": 0.0, "rms": 0.0, "max_abs": 0.0,
            "rms_alone": 0.0}}} for layer in report["numbers"]["layers"]}
    assert "0 %" in words(render(report, core.plan))


@pytest.mark.parametrize("share, expected", [
    (0, "0 %"), (1, "100 %"), (0.123, "12 %"), (1.234e-4, "0.012 %"), (1e-5, "0.001 %"),
    (7.7e-6, "7.7e-4 %"), (1e-8, "1e-6 %")])
def test_small_shares_keep_two_digits(share, expected):
    assert in_digits(share) == expected


BITS = [("Q3.13", (3, 13)), ("Q0.16", (0, 16)), ("Q-1.17", (-1, 17)), ("Q18.-2", (18, -2))]


@pytest.mark.parametrize("text, form", BITS)
def test_every_format_has_as_many_bits_as_it_is_wide(text, form):
    assert parse(text) == form
    drawing = tensor_drawing("x", [Row("y", form)], Scales(18, 17, -4, 0))
    cells = {kind: path.count("M") for path, kind in
             re.findall(r'd="([^"]*)" class="(sign|whole|fraction)"', drawing)}
    assert sum(cells.values()) == sum(form) and cells["sign"] == 1
    assert cells.get("whole", 0) == max(0, form[0] - 1 + min(0, form[1]))


# --- Drawn again ----------------------------------------------------------------------------------

@pytest.mark.skipif(simulators.missing("icarus") is not None, reason="icarus is missing")
def test_verify_and_weights_draw_it_again(tmp_path):
    core = built(tmp_path / "core", MODEL, "--calibrate", DATA, "--pe", 8, "--simd", 2)
    assert gatefold("verify", core, "--sim", "icarus", "--samples", 2).exit_code == 0
    text = words((core / "report.html").read_text())
    assert "Verified. Simulated with Icarus (2 samples)" in text and "What was verified" in text
    assert gatefold("weights", MODEL, core, "--input", DATA).exit_code == 0
    assert "Not yet verified." in words((core / "report.html").read_text())


def test_report_draws_it_again_where_it_is_missing_or_old(copy, page):
    path = copy / "report.html"
    for change in (path.unlink, lambda: path.write_text("old")):
        change()
        assert gatefold("report", copy).exit_code == 0
        assert path.read_text() == page
    before = path.stat().st_mtime_ns
    assert gatefold("report", copy).exit_code == 0
    assert path.stat().st_mtime_ns == before


def test_a_schedule_of_another_version_is_left_out(report):
    text = words(render(report, None))
    assert "Left out: this version of Gatefold plans another schedule" in text
    assert f"{report['cycles']['latency']:,}" in text


# --- One file, the same bytes ---------------------------------------------------------------------

def test_it_is_deterministic(core, page, tmp_path):
    again = built(tmp_path / "again", AUTOENCODER, "--board", "zcu104", "--pe", 16, "--simd", 4)
    assert (again / "report.html").read_text() == page
    assert str(tmp_path) not in page and str(core.parent) not in page


def test_it_needs_nothing_else(page):
    seen = Page(page)
    assert seen.open == []
    for name, key, value in seen.attributes:
        assert key not in ("src", "href", "action") and not key.startswith("on"), (name, key)
        assert "http:" not in value and "https:" not in value, (name, key)
    style = page[page.index("<style>"):page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in html.unescape(page)


def test_drawings_are_described(page):
    drawings = re.findall(r'<svg[^>]*role="img".*?</title><desc', page, re.DOTALL)
    assert len(drawings) == page.count('role="img"') >= 6
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


# --- Foreign text ---------------------------------------------------------------------------------

def hostile(report: dict) -> dict:
    """``report`` with every text that comes from a file turned against the page."""
    changed = json.loads(json.dumps(report))
    for place, layer in enumerate(changed["network"]["layers"]):
        layer["origin"] = HOSTILE[place % len(HOSTILE)]
    changed["network"]["source"] |= {"exporter": HOSTILE[0], HOSTILE[1]: HOSTILE[2]}
    changed["numbers"]["error"]["data"] = HOSTILE[2]
    changed["versions"]["numpy"] = HOSTILE[0]
    changed["verified"] = [{
        "simulator": HOSTILE[0], "scenarios": {HOSTILE[2]: 3}, "input": HOSTILE[1], "samples": 1,
        "outputs": 1, "states": 1, "latency": report["cycles"]["latency"], "interval": None,
        "cycles": 1}]
    return changed


def test_foreign_text_stays_text(core, report, page):
    text = render(hostile(report), load_plan(core))
    seen, honest = Page(text), Page(page)
    assert seen.scripts == honest.scripts
    assert not [name for name, key, _ in seen.attributes if name == "img" or key == "onerror"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)


ESCAPES = [
    (flat("<b>"), "&lt;b&gt;"), (flat(["a", ("&", None)], 1, 0.5), "a&amp;10.5"),
    (tag("p", "'", title='"'), '<p title="&quot;">&#x27;</p>'),
    (tag("p", class_="x", data_y=1, hidden=None), '<p class="x" data-y="1"></p>'),
    (flat("a\x00\u202eb"), "a??b"),
]


@pytest.mark.parametrize("got, want", ESCAPES)
def test_plain_text_is_escaped(got, want):
    assert got == want


def test_drawings_escape_their_words():
    assert "<x" not in svg("a", "<x", "<x", 1, 1)


@pytest.mark.parametrize("share, expected", [(0, "0.0 %"), (0.0001, "< 0.1 %"), (0.123, "12.3 %"),
                                         (0.9999, "99.9 %"), (1, "100.0 %")])
def test_percent(share, expected):
    assert percent(share) == expected


# --- In a browser ---------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr", "--virtual-time-budget=2000", "--window-size=1200,900")
browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing")

#: Uses the page as a person would, and writes the observations to the title.
PERSON = """
const plot = document.getElementById("plot"), seen = [plot.getAttribute("viewBox")];
document.getElementById("closer").click(); seen.push(plot.getAttribute("viewBox"));
document.getElementById("whole").click(); seen.push(plot.getAttribute("viewBox"));
const drawing = document.getElementById("timeline"), box = drawing.getBoundingClientRect();
drawing.dispatchEvent(new PointerEvent("pointermove",
  {clientX: box.left + box.width * MIDDLE, clientY: box.top + 9, bubbles: true}));
document.title = JSON.stringify([seen, document.getElementById("readout").textContent]);
"""


def browse(path, profile, query="") -> SimpleNamespace:
    """The page's DOM after its scripts ran, and the messages on its console."""
    result = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom",
         path.as_uri() + query],
        capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return SimpleNamespace(dom=result.stdout, console=console)


@browser
def test_a_browser_shows_it_without_complaint(core, report, tmp_path):
    seen = browse(core / "report.html", tmp_path / "profile")
    assert seen.console == []
    text = words(seen.dom)
    assert [figure for figure in figures(report) if figure not in text] == []


@browser
def test_a_browser_draws_a_graph_without_complaint(tmp_path):
    core = small("states as inputs")
    report = core.report()
    report["numbers"]["inside"] = json.loads(json.dumps(
        inside(core.network, core.qnet, core.data)))
    path = tmp_path / "page.html"
    path.write_text(render(report, core.plan), encoding="utf-8")
    seen = browse(path, tmp_path / "profile")
    assert seen.console == []
    assert "input 3" in words(seen.dom) and "Where the error enters" in words(seen.dom)


@browser
def test_it_is_printed_on_a4_without_empty_sheets(core, tmp_path):
    sheets = tmp_path / "sheets.pdf"
    subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}",
                    "--no-pdf-header-footer", f"--print-to-pdf={sheets}",
                    (core / "report.html").as_uri()], capture_output=True, timeout=120, check=True)
    found = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", sheets.read_bytes())
    assert 3 <= len(found) <= 7
    assert {(round(float(w)), round(float(h))) for w, h in found} == {(595, 842)}


@browser
def test_the_timeline_is_zoomed_and_read(core, page, report, tmp_path):
    """The policy lets only the page's own script run, so this one is put in without it."""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    person = PERSON.replace("MIDDLE", str((LEFT + PLOT / 2 + 0.1) / (LEFT + PLOT + RIGHT)))
    path = tmp_path / "page.html"
    path.write_text(open_page.replace("</body>", f"<script>{person}</script></body>"))
    seen = browse(path, tmp_path / "profile")
    assert seen.console == []
    title = html.unescape(re.search(r"<title>(.*?)</title>", seen.dom)[1])
    (whole, closer, again), readout = json.loads(title)
    spans = [float(view.split()[2]) for view in (whole, closer, again)]
    cycles = report["cycles"]["latency"]
    assert spans == [cycles, cycles / 2, cycles]
    assert re.match(rf"cycle {cycles // 2}: (idle|l\d_\w+, step \d+)", readout), readout


@browser
def test_hostile_names_do_not_run(core, report, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render(hostile(report), load_plan(core)), encoding="utf-8")
    seen = browse(path, tmp_path / "profile")
    assert seen.console == []
    assert "owned" not in re.search(r"<title>(.*?)</title>", seen.dom)[1]
    assert "<img" not in seen.dom


@browser
def test_the_policy_stops_what_escaping_might_miss(page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page.replace("<main>", f"<main>{HOSTILE[0]}"))
    seen = browse(path, tmp_path / "profile")
    assert "owned" not in re.search(r"<title>(.*?)</title>", seen.dom)[1]
    assert any("Content Security Policy" in line for line in seen.console)
