"""Vivado batch files beside the Verilog: synth.tcl, floorplan.tcl, clock.xdc and a Makefile.

The implementation is out of context: the core alone on the part, without pads and without a shell.
Its utilisation and timing are those of the core itself. Commands and options are those of UG835
(Vivado Tcl Command Reference); no Vivado runs on the machines this is developed on, so the tests
execute the script in tclsh against a recorder of these commands.

UG901 lets the data file of ``$readmemh`` have any name, and does not define the folder of a
relative path. So the script passes an absolute path, computed when it runs, as the macro
GATEFOLD_WEIGHTS; the files are also added to the in-memory project. Vivado only warns of a data
file that it cannot open (Synth 8-4445) and continues with an empty memory, from which it would
optimise the network away: the script turns that message into an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from string import Template

from gatefold.boards.board import NAME, Board
from gatefold.gen.errors import UserError
from gatefold.hdl.dies import HUB
from gatefold.hdl.dies import place as stacked

__all__ = ["At", "generated", "listed", "write_vivado"]


class At(Template):
    """A template with ``@`` as its mark, since ``$`` is Tcl's own."""

    delimiter = "@"


_TCL = At(r"""# Out-of-context synthesis, placement and routing of @top.
# @title, @part
# Run with: make synth   (or: vivado -mode batch -source synth.tcl, from any directory)
# Exit code: 0 timing met; 1 timing not met, or an error of Vivado's.
cd [file dirname [file normalize [info script]]]

set top @top
set part @part
set clock_mhz @mhz
set period_ns @period
set verilog {
@verilog
}
set memories {
@memories
}
@version
foreach name [concat $verilog $memories clock.xdc floorplan.tcl] {
    if {![file readable $name]} {
        error "cannot read $name: copy the whole output folder, not vivado/ alone"
    }
}
if {[llength [get_parts -quiet $part]] == 0} {
    error "this Vivado ([version -short]) has no part $part: install its device family"
}
file mkdir build reports

# Slack of the worst path, or null where there is none.
proc slack {paths} {
    if {[llength $paths] == 0} {
        return null
    }
    set value [get_property SLACK [lindex $paths 0]]
    return [expr {[regexp {^-?[0-9]+(\.[0-9]+)?$} $value] ? $value : "null"}]
}

# The "Used" column of a row of the utilisation report, as in "| CLB LUTs* | 1234 | 0 | ...".
proc used {table row} {
    set pattern [format {^\|\s*%s\*?\s*\|\s*([0-9.]+)\s*\|} $row]
    return [expr {[regexp -line $pattern $table -> count] ? $count : "null"}]
}

# A property of a path as a JSON string.
proc text {name path} {
    set value [get_property $name $path]
    return "\"[string map [list \\ \\\\ \" \\\" \n { } \t { }] $value]\""
}

create_project -in_memory -part $part
# A memory image that cannot be opened must stop the run, not leave an empty memory.
set_msg_config -id {Synth 8-4445} -new_severity ERROR

foreach name $verilog {
    read_verilog $name
}
if {[llength $memories] > 0} {
    set_property file_type {Memory Initialization Files} [add_files -norecurse $memories]
}
read_xdc -mode out_of_context clock.xdc

# The images are found by an absolute path. Where that holds characters that would need quoting
# in the macro, the relative one serves: it is the same from here and from ../rtl.
set weights [file normalize ../weights]
if {![regexp {^[A-Za-z0-9_./:+-]+$} $weights]} {
    set weights ../weights
}
# Registers with equal inputs are copies for different places: they must stay.
synth_design -mode out_of_context -flatten_hierarchy rebuilt -directive PerformanceOptimized \
    -keep_equivalent_registers -top $top -part $part \
    -verilog_define "GATEFOLD_WEIGHTS=\"$weights\""
write_checkpoint -force build/post_synth.dcp
report_utilization -file reports/post_synth_utilization.rpt

source floorplan.tcl
opt_design -directive Explore
place_design -directive @place
phys_opt_design -directive AggressiveExplore
route_design -directive AggressiveExplore
# A second pass only where it can help: it takes long, and a design that meets timing needs none.
set wns [slack [get_timing_paths -setup -max_paths 1 -nworst 1]]
if {$wns ne "null" && $wns < 0} {
    phys_opt_design -directive AggressiveExplore
}
write_checkpoint -force build/post_route.dcp

report_utilization -file reports/utilization.rpt
report_utilization -hierarchical -file reports/utilization_hierarchical.rpt
report_ram_utilization -include_lutram -file reports/ram_utilization.rpt
report_timing_summary -max_paths 10 -report_unconstrained -file reports/timing_summary.rpt
report_methodology -file reports/methodology.rpt
report_drc -file reports/drc.rpt
report_route_status -file reports/route_status.rpt
# Where wires are the limit: nets with many loads, and where they crowd.
report_high_fanout_nets -timing -load_types -max_nets 50 -file reports/high_fanout_nets.rpt
report_design_analysis -congestion -min_congestion_level 3 -file reports/congestion.rpt
@crossings# Vectorless: switching activity is assumed by the tool, not taken from a simulation.
report_power -file reports/power_vectorless.rpt

set file [open reports/versions.txt w]
puts $file [version]
close $file

# summary.json: the figures that matter, for programs.
set paths [get_timing_paths -setup -max_paths 1 -nworst 1]
set wns [slack $paths]
set whs [slack [get_timing_paths -hold -max_paths 1 -nworst 1]]
# No path at all means that no clock arrived: that is a failure too.
set met [expr {$wns ne "null" && $whs ne "null" && $wns >= 0 && $whs >= 0 ? "true" : "false"}]
set fmax null
set worst null
if {$wns ne "null"} {
    set fmax [format %.1f [expr {1000.0 / ($period_ns - $wns)}]]
    set path [lindex $paths 0]
    set worst "{\"from\": [text STARTPOINT_PIN $path], \"to\": [text ENDPOINT_PIN $path],\
        \"levels\": [text LOGIC_LEVELS $path], \"net_ns\": [text DATAPATH_NET_DELAY $path]}"
}
set table [report_utilization -return_string]
set fields [list \
    "\"tool\": \"Vivado [version -short]\"" "\"mode\": \"out_of_context\"" \
    "\"state\": \"routed\"" "\"board\": \"@board\"" "\"dies\": @dies" \
    "\"top\": \"$top\"" "\"part\": \"$part\"" \
    "\"clock_mhz\": $clock_mhz" "\"period_ns\": $period_ns" \
    "\"wns_ns\": $wns" "\"whs_ns\": $whs" "\"fmax_mhz\": $fmax" "\"timing_met\": $met" \
    "\"worst_path\": $worst"]
foreach {key row} {
    lut "CLB LUTs" ff "CLB Registers" lutram_lut "LUT as Memory"
    bram36 "Block RAM Tile" uram "URAM" dsp "DSPs"
} {
    lappend fields "\"$key\": [used $table $row]"
}
set file [open reports/summary.json w]
puts $file "{\n  [join $fields ",\n  "]\n}"
close $file

puts "gatefold: $top at $period_ns ns: setup slack $wns ns, hold slack $whs ns"
if {!$met} {
    puts "gatefold: timing not met: see reports/timing_summary.rpt"
    exit 1
}
exit 0
""")

_VERSION = At(r"""
# A later Vivado does not know the part. It must be said before anything is read.
regexp {^[0-9]+\.[0-9]+} [version -short] vivado
if {[package vcompare $vivado @last] > 0} {
    error "Vivado $vivado does not support the @board ($part): @last is the last version that has\
        the part, run that one (docs/boards.md)"
}
""")

_CROSSINGS = r"""# What crosses dies. The second report is a command of Vivado 2025.2 and later.
report_utilization -slr -file reports/slr_utilization.rpt
if {[llength [info commands report_slr_crossing]] > 0} {
    report_slr_crossing -file reports/slr_crossing.rpt
}
"""

_FLOORPLAN = At(r"""# Where the parts of @top lie: @where
# "make synth FLOORPLAN=0" leaves all of it to the placer.
if {[info exists ::env(GATEFOLD_FLOORPLAN)] && $::env(GATEFOLD_FLOORPLAN) eq "0"} {
    puts "gatefold: floorplan: left out"
    return
}

# The cells of a name. A constraint without cells would be lost in silence, hence the note.
proc cells {name} {
    set found [get_cells -quiet -hierarchical -filter "NAME == $name"]
    if {[llength $found] == 0} {
        puts "gatefold: floorplan: no cell is called $name: its place is left to the placer"
    }
    return $found
}
@dies@bands""")

_SLR = r"""
proc on_slr {slr name} {
    set found [cells $name]
    if {[llength $found] > 0} {
        set_property USER_SLR_ASSIGNMENT SLR$slr $found
    }
}
"""

_BANDS = At(r"""
# A region is @region rows that one register drives. Regions follow each other from the bottom of a
# die to its top, each in a band of rows of clock regions; bands overlap by a row on either side.
set width 0
foreach clock_region [get_clock_regions] {
    if {[regexp {X([0-9]+)Y[0-9]+$} $clock_region -> x] && $x > $width} {
        set width $x
    }
}
proc in_band {name bottom top} {
    set found [cells $name]
    if {[llength $found] > 0} {
        set block [create_pblock band_[string map {/ _} $name]]
        resize_pblock $block -add CLOCKREGION_X0Y${bottom}:CLOCKREGION_X${::width}Y$top
        add_cells_to_pblock $block $found
        set_property IS_SOFT TRUE $block
    }
}
foreach {name bottom top} {
@rows
} {
    in_band $name $bottom $top
}
""")

_XDC = At("""\
# Clock of @top: @mhz MHz. The period is rounded down to a picosecond, never up.
create_clock -name @clock -period @period [get_ports @clock]

# Out of context the ports are no pads: their neighbours are registers of the same clock in the
# shell. A third of the period is left to them on either side, so that a path that starts or ends
# at a port counts in setup analysis. (The route from a port to its first cell is not there yet.)
set_input_delay -clock @clock -max @budget [get_ports -filter {DIRECTION == IN && NAME != @clock}]
set_output_delay -clock @clock -max @budget [get_ports -filter {DIRECTION == OUT}]

# Hold at a port depends on the neighbour's clock arrival, unknown here: checking it against a
# guess would make the router add delay for nothing. It is checked in the finished design.
set_false_path -hold -from [get_ports -filter {DIRECTION == IN && NAME != @clock}]
set_false_path -hold -to [get_ports -filter {DIRECTION == OUT}]

# HD.CLK_SRC (UG905: the site of the clock buffer outside, for exact skew) is left out: the shell
# decides it. Once known: set_property HD.CLK_SRC <buffer site> [get_ports @clock]
""")

_MAKEFILE = """\
# Vivado, out of context. "make synth" takes minutes to hours; the results are in reports/.
VIVADO ?= vivado
FLOORPLAN ?= 1

export GATEFOLD_FLOORPLAN = $(FLOORPLAN)

.PHONY: help synth report-bundle clean
help:
	@echo "make synth          synthesis, placement, routing; figures in reports/summary.json"
	@echo "make report-bundle  pack reports, versions and log into report-bundle.tar.gz"
	@echo "make clean          remove build/, reports/ and the bundle"
	@echo "VIVADO=PATH         the vivado command to use (now: $(VIVADO))"
	@echo "FLOORPLAN=0         leave the place of every part to Vivado"

synth:
	@command -v "$(VIVADO)" >/dev/null 2>&1 || { echo "$(VIVADO) is not on PATH:" \\
		"source Vivado's settings64.sh, or set VIVADO=PATH" >&2; exit 1; }
	@mkdir -p build reports
	"$(VIVADO)" -mode batch -source synth.tcl -nojournal -log build/vivado.log

# For those who run Vivado for somebody else: "gatefold report DIR --vivado FILE" reads it.
report-bundle:
	@test -f reports/summary.json || { echo "there are no reports yet: run make synth first" >&2; \\
		exit 1; }
	tar czf report-bundle.tar.gz reports/*.rpt reports/summary.json reports/versions.txt \\
		synth.tcl floorplan.tcl clock.xdc $(wildcard build/vivado.log)

clean:
	rm -rf build reports .Xil report-bundle.tar.gz
"""


def write_vivado(directory: str | Path, *, board: Board, top: str,
                 verilog_files: Iterable[str | PurePath], memory_files: Iterable[str | PurePath],
                 clock_mhz: float | None = None, clock_port: str = "clk", dies: int = 1,
                 regions: int = 0, region_rows: int = 16) -> list[Path]:
    """Write the Vivado batch files and return their paths.

    Parameters: ``directory``, the ``vivado/`` folder beside ``rtl/`` and ``weights/``, made if
    need be; ``top``, the top module; ``verilog_files``, names of files in ``rtl/`` in the order
    they are to be read (``core.v`` or ``rtl/core.v``); ``memory_files``, the same for
    ``weights/``; ``clock_mhz``, the board's default where None; ``clock_port``, of the top module;
    ``dies``, how many share the core; ``regions`` of ``region_rows`` rows each that a die has where
    the core is large enough to be spread over it, else 0.

    Raises :class:`UserError` for a clock out of range, and :class:`ValueError` for a name that
    was not generated here: names reach Tcl unquoted. Nothing is written then.
    """
    mhz = board.clock_mhz if clock_mhz is None else clock_mhz
    if not (isinstance(mhz, (int, float)) and 1 <= mhz <= 1000):
        raise UserError(f"clock must be from 1 to 1000 MHz, not {mhz!a}: "
                        f"the default of the {board.name} is {board.clock_mhz:g}")
    verilog = listed(verilog_files, "rtl", ".v")
    if not verilog:
        raise ValueError("verilog_files must name at least one file")
    memories = listed(memory_files, "weights", ".hex")
    picoseconds = int(1_000_000 / mhz)
    values = {
        "top": generated(top, "top"), "clock": generated(clock_port, "clock_port"),
        "part": board.part, "title": board.title, "mhz": f"{mhz:g}",
        "period": f"{picoseconds / 1000:.3f}", "budget": f"{picoseconds // 3 / 1000:.3f}",
        "verilog": "\n".join(f"    {name}" for name in verilog),
        "memories": "\n".join(f"    {name}" for name in memories),
        "board": board.name, "dies": dies,
        "place": "Explore" if dies == 1 else "SSI_ExtraTimingOpt",
        "crossings": "" if len(board.dies) == 1 else _CROSSINGS,
        "version": "" if board.vivado_last is None else _VERSION.substitute(
            last=board.vivado_last, board=board.name),
    }
    contents = {
        "synth.tcl": _TCL.substitute(values),
        "floorplan.tcl": _floorplan(board, values["top"], dies, regions, region_rows),
        "clock.xdc": _XDC.substitute(values),
        "Makefile": _MAKEFILE,
    }
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="ascii", newline="\n")
    return [directory / name for name in contents]


def _floorplan(board: Board, top: str, dies: int, regions: int, region_rows: int) -> str:
    """The script that assigns parts of the core to dies, and regions to rows of clock regions."""
    first, place, bands = board.window(dies), [], []
    slr = [first + stacked(die, dies) for die in range(dies)]
    if len(board.dies) > 1 and dies == 1:
        place = [f"on_slr {first} core"]
    elif dies > 1:
        # What all dies share lies on the hub.
        place = [f"on_slr {slr[HUB]} core/{part}" for part in ("reader", "sequencer", "writer")]
        place += [f"on_slr {slr[die]} core/{part}_{die}" for die in range(dies)
                  for part in ("operands", "array", "router", "lanes")]
    for die in range(dies):
        bottom = sum(one.clock_regions.rows for one in board.dies[:slr[die]])
        rows = board.dies[slr[die]].clock_regions.rows
        for region in range(regions):
            low, high = region * rows // regions, ((region + 1) * rows - 1) // regions
            bands.append(f"    core/array{f'_{die}' if dies > 1 else ''}/region_{region:02d} "
                         f"{bottom + max(0, low - 1)} {bottom + min(rows - 1, high + 1)}")
    where = ("all where the placer wants" if not place and not bands else
             f"{dies} of the {len(board.dies)} dies of the {board.name}, {len(bands)} regions")
    return _FLOORPLAN.substitute(
        top=top, where=where, dies=_SLR + "\n".join(place) + "\n" if place else "",
        bands=_BANDS.substitute(region=region_rows, rows="\n".join(bands)) if bands else "")


def generated(name: str, what: str) -> str:
    """``name``, checked to be a generated one."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{what} must be a generated name ({NAME.pattern}), not {name!a}")
    return name


def listed(files: Iterable[str | PurePath], folder: str, suffix: str) -> list[str]:
    """Paths of ``files`` as seen from ``vivado/``, each name checked."""
    paths = []
    for file in files:
        path = PurePosixPath(file)
        if str(path.parent) not in (".", folder) or path.suffix != suffix:
            raise ValueError(f"a file of {folder}/ must be called NAME{suffix} or "
                             f"{folder}/NAME{suffix}, not {str(file)!a}")
        paths.append(f"../{folder}/{generated(path.stem, 'file name')}{suffix}")
    if len(set(paths)) != len(paths):
        raise ValueError(f"a file of {folder}/ must be named only once: {', '.join(paths)}")
    return paths
