"""The Vivado files: run in tclsh against a recorder of Vivado's commands, without Vivado."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gatefold as gf
from gatefold.boards import BOARDS, get, write_vivado
from gatefold.gen.errors import UserError
from tests.support.networks import network
from tests.support.places import ROOT

RECORDER = ROOT / "tests/support/vivado_recorder.tcl"
REFUSED = 97  #: the recorder's exit code for a script that Vivado would not accept

needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

CORE = """\
module core (
  input wire clk,
  input wire rst,
  input wire [127:0] i_payload,
  output wire [127:0] o_payload,
  output wire o_valid
);
  gatefold_core core (
    .clk(clk)
  );
endmodule
"""

#: The parts of a core by the number of its dies, as `gatefold build` names them.
PARTS = ("operands", "array", "router", "lanes")


def hierarchy(dies=1, regions=3):
    """The modules below the top of a core: what all dies share, then each die's own."""
    own = [f"{part}_{die}" if dies > 1 else part for die in range(dies) for part in PARTS]
    inside = "".join(f"  gatefold_array {name} (\n  );\n" if name.startswith("array") else
                     f"  gatefold_part {name} (\n  );\n"
                     for name in ["reader", "sequencer", "writer", *own])
    rows = "".join(f"  gatefold_part region_{n:02d} (\n  );\n" for n in range(regions))
    return (f"module gatefold_core(clk);\n{inside}endmodule\n"
            f"module gatefold_array(clk);\n{rows}endmodule\nmodule gatefold_part(clk);\n"
            "endmodule\n")

#: The flow, in order; reports and queries, which do not change the design, are left out.
FLOW = ["get_parts", "create_project", "set_msg_config", "read_verilog", "read_verilog",
        "add_files", "set_property", "read_xdc", "synth_design", "write_checkpoint", "opt_design",
        "place_design", "phys_opt_design", "route_design", "write_checkpoint", "exit"]

DIRECTIVES = ("synth_design", "opt_design", "place_design", "phys_opt_design", "route_design")

REPORTS = {"high_fanout_nets.rpt", "congestion.rpt", "versions.txt", "post_synth_utilization.rpt",
           "utilization.rpt", "utilization_hierarchical.rpt",
           "ram_utilization.rpt", "timing_summary.rpt", "methodology.rpt", "drc.rpt",
           "route_status.rpt", "power_vectorless.rpt", "summary.json"}
#: On boards of several dies; the second with Vivado 2025.2 and later.
CROSSINGS = ["slr_utilization.rpt", "slr_crossing.rpt"]


def generate(folder, board="zcu104", below="", **options):
    """An output folder as ``gatefold build`` writes it, with a dummy core; ``below``, the modules
    under its top."""
    settings: dict[str, Any] = dict(
        board=get(board), top="core", verilog_files=["core.v", "rtl/pe.v"],
        memory_files=["l0_lstm.hex", "l1_dense.hex"]) | options
    for name, text in {"rtl/core.v": CORE + below, "rtl/pe.v": "module pe (input a); endmodule\n",
                       "weights/l0_lstm.hex": "0\n", "weights/l1_dense.hex": "0\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return write_vivado(folder / "vivado", **settings)


def execute(folder, **model):
    """Run synth.tcl from another directory; its calls, its exit code and what it printed."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    log = elsewhere / "calls.jsonl"
    words = [str(word) for pair in model.items() for word in pair]
    done = subprocess.run(
        ["tclsh", RECORDER, folder / "vivado" / "synth.tcl", log, *words],
        cwd=elsewhere, capture_output=True, text=True, timeout=60)
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr, calls=calls,
                           names=[call["command"] for call in calls])


def arguments(run, command):
    """The arguments of every call of ``command``."""
    return [call["args"] for call in run.calls if call["command"] == command]


def value(args, option):
    """The argument that follows ``option``."""
    return args[args.index(option) + 1]


@needs_tclsh
@pytest.mark.parametrize("board", BOARDS)
def test_flow(tmp_path, board):
    generate(tmp_path, board)
    run = execute(tmp_path)
    assert (run.code, run.err) == (0, "")

    in_tcl = [call["command"] for call in run.calls if call["context"] == "tcl"]
    placed = ["set_property"] if len(get(board).dies) > 1 else []  # on a die
    before = FLOW.index("opt_design")
    assert [name for name in in_tcl if name in FLOW] == FLOW[:before] + placed + FLOW[before:]
    for command in DIRECTIVES:
        (call,) = arguments(run, command)
        assert value(call, "-directive") != "Default", command

    (synth,) = arguments(run, "synth_design")
    assert value(synth, "-part") == get(board).part
    assert value(synth, "-top") == "core"
    assert value(synth, "-mode") == "out_of_context"
    assert value(synth, "-flatten_hierarchy") == "rebuilt"
    assert "-keep_equivalent_registers" in synth  # relays are equal registers
    assert value(synth, "-verilog_define") == f'GATEFOLD_WEIGHTS="{tmp_path / "weights"}"'

    assert arguments(run, "read_verilog") == [["../rtl/core.v"], ["../rtl/pe.v"]]
    (memories,) = arguments(run, "add_files")
    assert memories[-1].split() == ["../weights/l0_lstm.hex", "../weights/l1_dense.hex"]
    assert arguments(run, "read_xdc") == [["-mode", "out_of_context", "clock.xdc"]]
    # A missing memory image must stop Vivado, which only warns by itself.
    assert arguments(run, "set_msg_config") == [["-id", "Synth 8-4445", "-new_severity", "ERROR"]]


@needs_tclsh
def test_reports_and_summary(tmp_path):
    generate(tmp_path)
    assert execute(tmp_path, wns=0.25, whs=0.031).code == 0
    vivado = tmp_path / "vivado"
    assert {path.name for path in (vivado / "reports").iterdir()} == REPORTS
    assert {path.name for path in (vivado / "build").iterdir()} == {
        "post_synth.dcp", "post_route.dcp"}
    assert {path.name for path in vivado.iterdir()} == {
        "synth.tcl", "floorplan.tcl", "clock.xdc", "Makefile", "reports", "build"}
    assert (vivado / "reports" / "versions.txt").read_text().startswith("Vivado v2023.1 (64-bit)")
    # The resource figures are those of the recorder's utilisation table.
    assert json.loads((vivado / "reports" / "summary.json").read_text()) == {
        "tool": "Vivado 2023.1", "mode": "out_of_context", "state": "routed", "board": "zcu104",
        "dies": 1, "top": "core", "worst_path": {
            "from": "core/array/acc_reg[0]/C", "to": "core/array/acc_reg[0]/C", "levels": "3",
            "net_ns": "1.234"},
        "part": "xczu7ev-ffvc1156-2-e", "clock_mhz": 300, "period_ns": 3.333, "wns_ns": 0.25,
        "whs_ns": 0.031, "fmax_mhz": 324.4, "timing_met": True, "lut": 41234, "ff": 51345,
        "lutram_lut": 2234, "bram36": 112.5, "uram": 0, "dsp": 1040}


@needs_tclsh
@pytest.mark.parametrize(("wns", "whs", "met", "extra_pass"), [
    ("0.125", "0.031", True, False),
    ("0", "0.000", True, False),
    ("-0.001", "0.031", False, True),
    ("0.125", "-0.002", False, False),
    ("none", "0.031", False, False),
    ("0.125", "none", False, False),
    ("inf", "inf", False, False),
    ("", "0.031", False, False),
])
def test_exit_code_says_whether_timing_is_met(tmp_path, wns, whs, met, extra_pass):
    generate(tmp_path)
    run = execute(tmp_path, wns=wns, whs=whs)
    assert run.err == ""
    assert run.code == (0 if met else 1)
    assert ("timing not met" in run.out) is not met
    assert run.names.count("phys_opt_design") == (2 if extra_pass else 1)
    # The reports are written in either case.
    reports = tmp_path / "vivado" / "reports"
    assert {path.name for path in reports.iterdir()} == REPORTS
    assert json.loads((reports / "summary.json").read_text())["timing_met"] is met


@needs_tclsh
@pytest.mark.parametrize(("board", "version", "crossings"), [
    ("zcu104", "2025.2", []), ("u55c", "2024.1", CROSSINGS[:1]), ("u55c", "2025.2", CROSSINGS)])
def test_what_crosses_dies_is_reported(tmp_path, board, version, crossings):
    generate(tmp_path, board)
    run = execute(tmp_path, version=version)
    assert (run.code, run.err) == (0, "")
    reports = {path.name for path in (tmp_path / "vivado" / "reports").iterdir()}
    assert reports - REPORTS == set(crossings)
    assert arguments(run, "report_design_analysis") == [[
        "-congestion", "-min_congestion_level", "3", "-file", "reports/congestion.rpt"]]


@needs_tclsh
@pytest.mark.parametrize(("board", "version", "refusal"), [
    ("u280", "2023.1", None), ("u280", "2022.1.2", None), ("u55c", "2025.1", None),
    ("u280", "2023.2", "Vivado 2023.2 does not support the u280 (xcu280-fsvh2892-2L-e): 2023.1 is "
     "the last version that has the part, run that one"),
    ("u280", "2024.1.1", "Vivado 2024.1 does not support the u280"),
])
def test_the_version_is_checked_before_anything_else(tmp_path, board, version, refusal):
    generate(tmp_path, board)
    run = execute(tmp_path, version=version)
    assert run.code == (REFUSED if refusal else 0)
    assert refusal is None or refusal in " ".join(run.err.split())
    assert refusal is None or run.names == ["version"]
    assert (tmp_path / "vivado" / "reports").exists() is (refusal is None)


@needs_tclsh
def test_a_vivado_without_the_part_is_told_so(tmp_path):
    generate(tmp_path)
    run = execute(tmp_path, parts="none")
    assert run.code == REFUSED
    assert "this Vivado (2023.1) has no part xczu7ev-ffvc1156-2-e: install its device" in run.err


# ---- the floorplan -----------------------------------------------------------------------------


@needs_tclsh
@pytest.mark.parametrize(("board", "dies", "slrs"), [
    ("zcu104", 1, {}),
    ("u280", 1, {"core": "SLR1"}),
    ("u55c", 1, {"core": "SLR2"}),
    ("u55c", 2, {**{f"core/{part}_{die}": f"SLR{1 + die}" for part in PARTS for die in (0, 1)},
                 **{f"core/{part}": "SLR1" for part in ("reader", "sequencer", "writer")}}),
    ("u280", 3, {**{f"core/{part}_{die}": f"SLR{slr}" for part in PARTS
                    for die, slr in enumerate((1, 0, 2))},
                 **{f"core/{part}": "SLR1" for part in ("reader", "sequencer", "writer")}}),
])
def test_parts_are_assigned_to_dies(tmp_path, board, dies, slrs):
    generate(tmp_path, board, below=hierarchy(dies), dies=dies)
    run = execute(tmp_path)
    assert (run.code, run.err) == (0, "")
    assert {call[2]: call[1] for call in arguments(run, "set_property")
            if call[0] == "USER_SLR_ASSIGNMENT"} == slrs
    assert "no cell is called" not in run.out
    (place,) = arguments(run, "place_design")
    assert value(place, "-directive") == ("Explore" if dies == 1 else "SSI_ExtraTimingOpt")
    assert "create_pblock" not in run.names


@needs_tclsh
@pytest.mark.parametrize(("board", "dies", "regions", "bands"), [
    ("zcu104", 1, 3, [("array/region_00", 0, 2), ("array/region_01", 1, 4),
                      ("array/region_02", 3, 5)]),
    ("zcu104", 1, 6, [(f"array/region_{n:02d}", max(0, n - 1), min(5, n + 1)) for n in range(6)]),
    ("u280", 1, 2, [("array/region_00", 4, 6), ("array/region_01", 5, 7)]),
    ("u280", 3, 1, [("array_0/region_00", 4, 7), ("array_1/region_00", 0, 3),
                    ("array_2/region_00", 8, 11)]),
])
def test_regions_are_placed_in_bands_of_their_die(tmp_path, board, dies, regions, bands):
    generate(tmp_path, board, below=hierarchy(dies, regions), dies=dies, regions=regions)
    run = execute(tmp_path)
    assert (run.code, run.err) == (0, "") and "no cell is called" not in run.out
    right = {"zcu104": 3, "u280": 7}[board]
    assert [call[1] for call in arguments(run, "add_cells_to_pblock")] == [
        f"core/{name}" for name, _, _ in bands]
    assert [value(call, "-add") for call in arguments(run, "resize_pblock")] == [
        f"CLOCKREGION_X0Y{low}:CLOCKREGION_X{right}Y{high}" for _, low, high in bands]
    soft = [call for call in arguments(run, "set_property") if call[0] == "IS_SOFT"]
    assert [call[1] for call in soft] == ["TRUE"] * len(bands)


@needs_tclsh
def test_the_names_are_those_of_an_exported_core(tmp_path):
    core = gf.compile(network("lstm-dense"), board="u280", pe=36, simd=2, reach=1)
    core.save(tmp_path / "core")
    run = execute(tmp_path / "core")
    assert (run.code, run.err) == (0, "") and "no cell is called" not in run.out
    assert [call[1] for call in arguments(run, "add_cells_to_pblock")] == [
        f"core/array/region_{n:02d}" for n in range(3)]


@needs_tclsh
def test_a_name_without_cells_is_reported_and_nothing_else_happens(tmp_path):
    generate(tmp_path, below=hierarchy(regions=1), regions=2)
    run = execute(tmp_path)
    assert (run.code, run.err) == (0, "")
    assert ("floorplan: no cell is called core/array/region_01: its place is left to the placer"
            in run.out)
    assert [call[1] for call in arguments(run, "add_cells_to_pblock")] == ["core/array/region_00"]


@needs_tclsh
def test_the_floorplan_may_be_left_out(tmp_path, monkeypatch):
    generate(tmp_path, "u280", below=hierarchy(3), dies=3, regions=3)
    monkeypatch.setenv("GATEFOLD_FLOORPLAN", "0")
    run = execute(tmp_path)
    assert run.code == 0 and "floorplan: left out" in run.out and "get_cells" not in run.names


@needs_tclsh
@pytest.mark.parametrize(("clock_mhz", "period", "budget"), [
    (None, "3.333", "1.111"),
    (300, "3.333", "1.111"),
    (250.0, "4.000", "1.333"),
    (333.333, "3.000", "1.000"),
    (1, "1000.000", "333.333"),
    (1000, "1.000", "0.333"),
])
def test_constraints(tmp_path, clock_mhz, period, budget):
    generate(tmp_path, clock_mhz=clock_mhz)
    run = execute(tmp_path)
    assert run.code == 0
    assert arguments(run, "create_clock") == [["-name", "clk", "-period", period, "clk"]]
    assert arguments(run, "set_input_delay") == [
        ["-clock", "clk", "-max", budget, "rst i_payload"]]
    assert arguments(run, "set_output_delay") == [
        ["-clock", "clk", "-max", budget, "o_payload o_valid"]]
    assert arguments(run, "set_false_path") == [
        ["-hold", "-from", "rst i_payload"], ["-hold", "-to", "o_payload o_valid"]]
    xdc = {call["command"] for call in run.calls if call["context"] == "xdc"}
    assert xdc == {"create_clock", "get_ports", "set_input_delay", "set_output_delay",
                   "set_false_path"}


@needs_tclsh
def test_no_memory_files(tmp_path):
    generate(tmp_path, memory_files=[])
    run = execute(tmp_path)
    assert run.code == 0
    assert "add_files" not in run.names


@needs_tclsh
def test_folder_whose_name_needs_quoting(tmp_path):
    folder = tmp_path / "my core [1] $x"
    folder.mkdir()
    generate(folder)
    run = execute(folder)
    assert (run.code, run.err) == (0, "")
    (synth,) = arguments(run, "synth_design")
    assert value(synth, "-verilog_define") == 'GATEFOLD_WEIGHTS="../weights"'


@needs_tclsh
@pytest.mark.parametrize("missing", ["rtl/pe.v", "weights/l1_dense.hex", "vivado/clock.xdc",
                                     "vivado/floorplan.tcl"])
def test_a_missing_file_stops_the_script(tmp_path, missing):
    generate(tmp_path)
    (tmp_path / missing).unlink()
    run = execute(tmp_path)
    assert run.code == REFUSED
    assert f"cannot read {'' if 'vivado' in missing else '../'}" in run.err
    assert Path(missing).name in run.err
    assert run.names == []


#: Mistakes that the recorder must refuse: (file, pattern, replacement, the refusal).
MUTANTS = [
    ("synth.tcl", r"-flatten_hierarchy", "-flaten_hierarchy", "unknown option -flaten_hierarchy"),
    ("synth.tcl", r"-max_paths 10", "-max_path 10", "unknown option -max_path"),
    ("synth.tcl", r"\broute_design", "route_desing", "invalid command name"),
    ("synth.tcl", r"place_design .*\n", "", "phys_opt_design: the design must be at step placed"),
    ("synth.tcl", r"place_design .*\n", "place_design fast\n", "takes 0 to 0 arguments"),
    ("synth.tcl", r"opt_design .*\nplace_design .*", "place_design\nopt_design", "step optimised"),
    ("synth.tcl", r"-directive Explore\nplace", "-directive Fast\nplace", "no such directive"),
    ("synth.tcl", r"-congestion", "-congested", "unknown option -congested"),
    ("synth.tcl", r"set part xczu7ev", "set part xczu7eg", "has no part xczu7eg"),
    ("synth.tcl", r"set top core", "set top cores", "no module cores"),
    ("synth.tcl", r"\.\./weights\]", "../weight]", "GATEFOLD_WEIGHTS is no quoted name"),
    ("synth.tcl", r'=\\"\$weights\\"', "=$weights", "GATEFOLD_WEIGHTS is no quoted name"),
    ("synth.tcl", r"-mode out_of_context clock", "-mode ooc clock", "no such mode: ooc"),
    ("synth.tcl", r"read_xdc .*\n", "", "the constraints create no clock"),
    ("synth.tcl", r"reports/drc", "../drc", "writes outside build/ and reports/"),
    ("synth.tcl", r"open reports/", "open ./", "writes outside build/ and reports/"),
    ("synth.tcl", r"build/post_route.dcp", "build/post_route", "not a .dcp file"),
    ("synth.tcl", r"SLACK", "SLAK", "has no property SLAK"),
    ("synth.tcl", r"file mkdir build reports", "exec rm -rf build", "invalid command name"),
    ("floorplan.tcl", r"-filter \"NAME == ", "-filter \"NAMES == ", "get_cells: not NAME =="),
    ("floorplan.tcl", r"SLR\$slr", "SLR9", "no such SLR: SLR9"),
    ("floorplan.tcl", r"CLOCKREGION_X0Y", "CLOCKREGION_X9Y", "no such clock regions"),
    ("floorplan.tcl", r"create_pblock", "create_block", "invalid command name"),
    ("clock.xdc", r"-period 3", "-periode 3", "unknown option -periode"),
    ("clock.xdc", r"-period 3", "-period -3", "no such period"),
    ("clock.xdc", r"get_ports clk", "get_ports clock", "no port matches: clock"),
    ("clock.xdc", r"-clock clk", "-clock clock", "no such clock: clock"),
    ("clock.xdc", r"DIRECTION == OUT", "DIRECTION == out", "no port matches"),
    ("clock.xdc", r"create_clock", "if 1 create_clock", "invalid command name"),
    ("clock.xdc", r"create_clock", "opt_design; create_clock", "invalid command name"),
]


@needs_tclsh
@pytest.mark.parametrize(("name", "pattern", "replacement", "refusal"), MUTANTS)
def test_the_recorder_refuses(tmp_path, name, pattern, replacement, refusal):
    if name == "floorplan.tcl":
        generate(tmp_path, "u280", below=hierarchy(3), dies=3, regions=3)
    else:
        generate(tmp_path)
    path = tmp_path / "vivado" / name
    mutant, count = re.subn(pattern, lambda _: replacement, path.read_text(), count=1)
    assert count == 1, "the mutation no longer applies"
    path.write_text(mutant)
    run = execute(tmp_path)
    assert run.code == REFUSED
    assert refusal in run.err


def test_bytes_depend_on_the_arguments_alone(tmp_path):
    first = generate(tmp_path / "one")
    second = generate(tmp_path / "somewhere" / "else")
    assert [path.name for path in first] == [
        "synth.tcl", "floorplan.tcl", "clock.xdc", "Makefile"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert str(tmp_path).encode() not in one.read_bytes()
        assert b"\r" not in one.read_bytes()
        assert all(len(line) <= 100 for line in one.read_text("ascii").splitlines())


@pytest.mark.parametrize("bad", [
    "Core", "core; exec sh", "co re", "core\n", "$core", "[exit]", "core}", "0core", "", "c" * 49,
    "cöre", "../core", "core\\", '"core"',
])
@pytest.mark.parametrize("where", ["top", "clock_port", "verilog_files", "memory_files"])
def test_only_generated_names_reach_the_scripts(tmp_path, where, bad):
    option: Any = bad
    if where.endswith("files"):
        option = [bad + (".v" if where == "verilog_files" else ".hex")]
    with pytest.raises(ValueError, match="must be"):
        generate(tmp_path, **{where: option})
    assert not (tmp_path / "vivado").exists()


@pytest.mark.parametrize(("where", "files"), [
    ("verilog_files", []),
    ("verilog_files", ["core"]),
    ("verilog_files", ["core.sv"]),
    ("verilog_files", ["weights/core.v"]),
    ("verilog_files", ["/rtl/core.v"]),
    ("verilog_files", ["rtl/../core.v"]),
    ("verilog_files", ["core.v", "rtl/core.v"]),
    ("memory_files", ["l0_lstm.mem"]),
    ("memory_files", ["rtl/l0_lstm.hex"]),
])
def test_files_outside_their_folders_are_refused(tmp_path, where, files):
    with pytest.raises(ValueError, match="must"):
        generate(tmp_path, **{where: files})
    assert not (tmp_path / "vivado").exists()


@pytest.mark.parametrize("clock_mhz", [0, -300, 1001, float("nan"), float("inf"), "300"])
def test_clock_out_of_range(tmp_path, clock_mhz):
    with pytest.raises(UserError, match="clock must be from 1 to 1000 MHz, not"):
        generate(tmp_path, clock_mhz=clock_mhz)
    assert not (tmp_path / "vivado").exists()


def make(folder, *targets, **environment):
    """Run make in ``folder``'s vivado/ as a user would."""
    return subprocess.run(
        ["make", "-C", folder / "vivado", "--no-print-directory", *targets], timeout=60,
        capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment})


@needs_make
def test_make_without_a_target_prints_help(tmp_path):
    generate(tmp_path)
    done = make(tmp_path)
    assert done.returncode == 0
    assert "make synth" in done.stdout


@needs_make
def test_make_without_vivado_says_so_in_one_line(tmp_path):
    generate(tmp_path)
    done = make(tmp_path, "synth", VIVADO="no-such-vivado")
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first == ("no-such-vivado is not on PATH: source Vivado's settings64.sh, "
                     "or set VIVADO=PATH")
    assert all(line.startswith("make") for line in rest)
    assert not (tmp_path / "vivado" / "build").exists()


@needs_make
def test_a_bundle_needs_reports(tmp_path):
    generate(tmp_path)
    done = make(tmp_path, "report-bundle")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "there are no reports yet: run make synth first"


@needs_make
@needs_tclsh
@pytest.mark.parametrize(("wns", "met"), [("0.1", True), ("-0.1", False)])
def test_make_synth_runs_the_script_and_clean_removes_the_results(tmp_path, wns, met):
    generate(tmp_path)
    vivado = tmp_path / "tools" / "vivado"
    vivado.parent.mkdir()
    vivado.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/arguments"\n'
                      f'exec tclsh "{RECORDER}" synth.tcl "{tmp_path}/calls" wns {wns}\n')
    vivado.chmod(0o755)
    done = make(tmp_path, "synth", PATH=f"{vivado.parent}:{os.environ['PATH']}")
    assert (done.returncode == 0) is met
    assert (tmp_path / "arguments").read_text().split() == [
        "-mode", "batch", "-source", "synth.tcl", "-nojournal", "-log", "build/vivado.log"]
    assert (tmp_path / "vivado" / "reports" / "summary.json").exists()

    # Also where timing is not met, the results can be packed.
    assert make(tmp_path, "report-bundle").returncode == 0
    with tarfile.open(tmp_path / "vivado" / "report-bundle.tar.gz") as bundle:
        names = set(bundle.getnames())
    assert names == {f"reports/{name}" for name in REPORTS} | {
        "synth.tcl", "floorplan.tcl", "clock.xdc"}

    assert make(tmp_path, "clean").returncode == 0
    assert {path.name for path in (tmp_path / "vivado").iterdir()} == {
        "synth.tcl", "floorplan.tcl", "clock.xdc", "Makefile"}
