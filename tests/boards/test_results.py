"""What Vivado wrote is read back: in its own layout, as summary.json, as a bundle, and damaged."""

import io
import json
import shutil
import tarfile

import pytest

import gatefold as gf
from gatefold.boards.results import read_results
from gatefold.gen.errors import UserError
from gatefold.gen.html import PAGE
from gatefold.gen.report import read_report
from tests.support.cli_harness import gatefold, refused
from tests.support.networks import network
from tests.support.vivado_reports import VERSION, summary, timing_summary, utilization

PART, TOP = "xczu7ev-ffvc1156-2-e", "gatefold"
USED = {"lut": 91234, "ff": 120345, "bram36": 211.5, "uram": 0, "dsp": 1632}
FILES = {"timing_summary.rpt": timing_summary(), "utilization.rpt": utilization(),
         "summary.json": summary()}


def folder(path, files):
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path):
    return read_results(path, part=PART, top=TOP)


@pytest.mark.parametrize("names", [
    ["timing_summary.rpt", "utilization.rpt"], ["summary.json"], list(FILES)],
    ids=["reports", "summary", "all"])
def test_timing_and_resources(tmp_path, names):
    found = read(folder(tmp_path, {name: FILES[name] for name in names}))
    assert (found.version, found.top) == (VERSION, TOP)
    assert (found.period_ns, found.wns_ns, found.whs_ns) == (3.333, 0.112, 0.018)
    assert found.met and found.used == USED
    assert found.fmax_mhz == pytest.approx(1000 / (3.333 - 0.112))


@pytest.mark.parametrize(("wns", "whs", "met"), [
    (0.0, 0.0, True), (-0.412, 0.018, False), (0.112, -0.003, False)])
def test_met_and_failed_timing(tmp_path, wns, whs, met):
    found = read(folder(tmp_path, {"timing_summary.rpt": timing_summary(wns, whs)}))
    assert (found.wns_ns, found.whs_ns, found.met) == (wns, whs, met)
    assert found.used is None


@pytest.mark.parametrize("device", [
    "xczu7ev-ffvc1156", "xczu7ev-ffvc1156-2-e", "xczu7evffvc1156-2", "zu7ev-ffvc1156"])
def test_parts_are_written_in_several_ways(tmp_path, device):
    assert read(folder(tmp_path, {"timing_summary.rpt": timing_summary(device=device)})).timed


def test_a_bundle_a_single_file_and_a_folder_without_any(tmp_path):
    folder(tmp_path / "vivado" / "reports", FILES)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as bundle:
        bundle.add(tmp_path / "vivado" / "reports", "reports")
    assert read(tmp_path / "b.tar.gz") == read(tmp_path / "vivado" / "reports")
    (tmp_path / "my_util.rpt").write_text(utilization())
    assert read(tmp_path / "my_util.rpt").used == USED
    (tmp_path / "empty").mkdir()
    assert read(tmp_path / "empty") is None


#: Reports of something else, and damaged ones: files, and what the one line says.
WRONG = [
    ({"timing_summary.rpt": timing_summary(device="xcu280-fsvh2892")},
     "is of the part 'xcu280-fsvh2892', this core is for xczu7ev-ffvc1156-2-e: give the reports"),
    ({"utilization.rpt": utilization(device="xczu7ev-fbvb900-2-e")}, "is of the part 'xczu7ev-fbv"),
    ({"summary.json": summary(part="x")}, "is of the part 'x'"),
    ({"timing_summary.rpt": timing_summary(design="main")},
     "is of the top module 'main', this core's is gatefold"),
    ({"utilization.rpt": utilization(state="Fully Placed")},
     "is of a design that is not routed (Design State: 'Fully Placed')"),
    ({"utilization.rpt": utilization(state="Synthesized")}, "not routed"),
    ({"summary.json": summary(state="synthesised")}, "it is not of a routed design"),
    ({"timing_summary.rpt": timing_summary()[:400]}, "is damaged (its head lacks"),
    ({"timing_summary.rpt": timing_summary()[:1900]}, "is damaged (its Design Timing Summary"),
    ({"timing_summary.rpt": timing_summary()[:2300]}, "is damaged (its Clock Summary lists 0"),
    ({"timing_summary.rpt": timing_summary().replace("      0.112 ", "         NA ", 1)},
     "is damaged (no path is constrained)"),
    ({"timing_summary.rpt": timing_summary().replace("All user specified", "Some")},
     "is damaged (its Design Timing Summary is not complete)"),
    ({"timing_summary.rpt": timing_summary(-0.2).replace("Timing constraints are not met",
                                                         "All user specified timing constraints "
                                                         "are met")},
     "its slacks and its verdict contradict each other"),
    ({"timing_summary.rpt": timing_summary().replace("\nclk    {", "\nclk    [")},
     "its Clock Summary lists 0 clocks, the core has one"),
    ({"timing_summary.rpt": timing_summary(period=0.1)}, "a period of 0.1 ns and a slack of 0.112"),
    ({"utilization.rpt": utilization()[:1500]}, "is damaged (it lacks the row"),
    ({"utilization.rpt": b"\x00\xff\xfe"}, "is damaged ('utf-8' codec"),
    ({"utilization.rpt": utilization().replace("Vivado v.", "Quartus ")}, "not Vivado"),
    ({"summary.json": "{"}, "is damaged (Expecting property name"),
    ({"summary.json": "[" * 100_000}, "is damaged ("),
    ({"summary.json": "[]"}, "is damaged (it is no object)"),
    ({"summary.json": summary(wns_ns=None)}, "is damaged (no path is constrained)"),
    ({"summary.json": summary(wns_ns="0.1")}, "is damaged (wns_ns must be a number)"),
    ({"summary.json": summary(period_ns=float("inf"))}, "is damaged (period_ns must be a number)"),
    ({"summary.json": json.dumps({"tool": f"Vivado {VERSION}"})}, "is damaged (it lacks 'top')"),
    ({"summary.json": summary(wns_ns=0.2), "timing_summary.rpt": timing_summary()},
     "the reports differ in wns_ns ('0.112', '0.2'): they are of several runs"),
]


@pytest.mark.parametrize(("files", "message"), WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, files, message):
    with pytest.raises(UserError) as refusal:
        read(folder(tmp_path, files))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_damaged_and_hostile_bundles(tmp_path):
    whole = tmp_path / "whole.tar.gz"
    with tarfile.open(whole, "w:gz") as bundle:
        bundle.add(folder(tmp_path / "reports", FILES), "reports")
    (tmp_path / "cut.tar.gz").write_bytes(whole.read_bytes()[:700])
    with tarfile.open(tmp_path / "foreign.tar.gz", "w:gz") as bundle:
        link = tarfile.TarInfo("reports/summary.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
    with tarfile.open(tmp_path / "many.tar.gz", "w:gz") as bundle:
        for n in range(1001):
            bundle.addfile(tarfile.TarInfo(str(n)), io.BytesIO())
    for name, message in (("cut", "is damaged"), ("foreign", "holds none of timing_summary.rpt"),
                          ("many", "more than 1000 files"), ("missing", "cannot be read")):
        with pytest.raises(UserError, match=message):
            read(tmp_path / f"{name}.tar.gz")


# ---- gatefold report ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    core = gf.compile(network("lstm-dense"), board="zcu104", pe=8, simd=2)
    return core.save(tmp_path_factory.mktemp("routed") / "core")


@pytest.fixture
def core(built, tmp_path):
    return shutil.copytree(built, tmp_path / "core")


def test_the_report_says_what_vivado_found(core):
    cycles = read_report(core)["cycles"]["latency"]
    folder(core / "vivado" / "reports", FILES)
    gatefold("report", core)
    report = read_report(core)
    assert report["clock_mhz"] == {
        "value": 300.0, "source": "Vivado 2023.1, routed", "asked": 300.0, "rests_on":
        "timing met at 300 MHz: WNS 0.112 ns, WHS 0.018 ns, Fmax 310.5 MHz"}
    assert report["latency_us"] == cycles / 300
    assert {key: report["resources"][key] for key in USED} == USED
    assert report["resources"]["source"] == "Vivado 2023.1, routed"
    printed = " ".join(gatefold("report", core).stdout.split())
    assert "Vivado 2023.1, routed; timing met at 300 MHz" in printed
    assert "91234 lut, 120345 ff, 211.5 bram36, 0 uram, 1632 dsp (Vivado" in printed
    assert "assumed" not in printed and "estimate" not in printed
    page = (core / PAGE).read_text()
    assert 'class="badge routed"' in page and "91,234" in page
    body = page[:page.index("What the marks mean")]
    assert 'class="badge assumed"' not in body and 'class="badge estimated"' not in body


def test_failed_timing_gives_the_frequency_that_the_routes_allow(core, tmp_path):
    planned = read_report(core)["cycles"]["latency"]
    reports = folder(tmp_path / "elsewhere", {"timing_summary.rpt": timing_summary(-0.667)})
    gatefold("report", core, "--vivado", reports)
    report = read_report(core)
    assert report["clock_mhz"]["value"] == pytest.approx(250.0)
    assert report["clock_mhz"]["rests_on"].startswith("timing NOT met at 300 MHz: WNS -0.667 ns")
    assert report["latency_us"] == pytest.approx(planned / 250)
    assert report["resources"]["source"].startswith("estimate")  # there was no utilisation report
    # A later run that meets timing replaces it.
    gatefold("report", core, "--vivado", folder(tmp_path / "later", FILES))
    report = read_report(core)
    assert report["clock_mhz"]["value"] == 300 and report["vivado"]["wns_ns"] == 0.112
    assert report["resources"]["estimated"]["source"].startswith("estimate")


@pytest.mark.parametrize("files", [
    {"timing_summary.rpt": timing_summary(device="xcu280-fsvh2892")}, {"summary.json": "{"}])
def test_wrong_reports_leave_the_folder_as_it_was(core, files):
    before = {path: path.read_bytes() for path in core.rglob("*") if path.is_file()}
    folder(core / "vivado" / "reports", files)
    assert f"error: '{next(iter(files))}' is " in refused("report", core)
    assert all(path.read_bytes() == data for path, data in before.items())


def test_reports_need_a_part_to_be_compared_with(tmp_path):
    plain = gf.compile(network("lstm-dense"), pe=8, simd=2).save(tmp_path / "core")
    assert "--vivado needs a core that was built with --board" in refused(
        "report", plain, "--vivado", folder(tmp_path / "r", FILES))
    empty = tmp_path / "empty"
    empty.mkdir()
    board = gf.compile(network("lstm-dense"), board="zcu104", pe=8, simd=2).save(tmp_path / "b")
    assert "holds no reports of Vivado" in refused("report", board, "--vivado", empty)
