"""The test benches of sim/bench, fitted to a core: the cocotb bench and the Verilog driver.

The files in sim/bench are the bench; only widths and the number of lanes are filled in here, at
``@{...}``. tb.v serves both: cocotb drives its ports, or drive.v does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.expected import Expect, Other
from gatefold.sim.results import Trace
from gatefold.sim.scenario import AFTER_CYCLES, RESET_CYCLES
from gatefold.sim.vectors import write_vectors

__all__ = ["bench_file", "write_cocotb_bench", "write_driver"]

_DRIVE = """\
`ifdef VERILATOR
module drive (input wire clk);  // main.cpp makes the clock
`else
module drive;
    reg clk = 0;
    always #5 clk = !clk;
`endif
"""

_LOAD_PORTS = """
        .s_load_tdata(load_data),
        .s_load_tvalid(load_valid),
        .s_load_tready(load_ready),
        .s_load_tlast(load_last),
        .load_error(load_error),"""

_USER_PORT = """
        .s_axis_tuser(guard_valid || (s_axis_tvalid ? s_axis_tuser : noise[9])),"""

_FAULT_PORT = """
        .fault(fault),"""

_LOAD_FEEDER = """\
    // The core's weights are loaded: ../weights/load.hex goes in after the first reset. Until then
    // the core takes no frames; after every other reset they go in again. With +loads (or
    // wrong_loads = 1 before that), wrong weights with an early TLAST come first, at some beat and
    // at the first one, then a TLAST that is TOO_MANY beats late, then the weights; and while
    // frames are under way wrong weights with TLAST at the first beat and at some beat, and the
    // weights; all of these, and those of +weights, with pauses. With +late_loads=N those among
    // frames wait until the output was blocked for N cycles in which nothing moved.
    // load_wrong is what load_error must be. With +weights=FILE the weights are those in FILE.
    // last_load = 1 asks for the weights twice more, no frame between: last_loaded tells that they
    // went in.
`ifndef GATEFOLD_WEIGHTS
`define GATEFOLD_WEIGHTS "../weights"
`endif
    localparam integer LOAD_BEATS = @{load_beats};
    localparam integer TOO_MANY = 4;  // beats of ones, behind the load
    localparam integer EARLY = 0, FIRST = 1, LATE = 2, RIGHT = 3, FIRST_AGAIN = 4, EARLY_AGAIN = 5,
                       RIGHT_AGAIN = 6, DONE = 7;
    reg  [@{beat_msb}:0] load_image [0:LOAD_BEATS + TOO_MANY - 1];
    integer beat_too_many;
    reg [8*256-1:0] load_name;
    reg     wrong_loads = 0;
    reg     other_weights = 0;
    reg     load_pauses = 0;
    integer load = EARLY;  // which load goes in
    integer early_at = 0;  // the beat at which some loads end early
    integer late_loads = 0;
    integer stuck = 0;     // cycles that the output has been blocked and nothing has gone in
    integer load_at = 0;
    reg     load_wrong = 0;
    reg     frames_seen = 0;
    reg     last_load = 0;
    integer last_loads = 0;
    wire    last_loaded = last_loads == 2 && load == DONE;
    wire    load_first = load == FIRST || load == FIRST_AGAIN;
    wire    load_early = load == EARLY || load == EARLY_AGAIN || load_first;
    wire    load_last = load_at == (load_first ? 0 : load_early ? early_at : load == LATE
                                    ? LOAD_BEATS + TOO_MANY - 1 : LOAD_BEATS - 1);
    wire    load_again = last_loads != 0 || (frames_seen && wrong_loads);
    wire    load_valid = load < (load_again ? DONE : FIRST_AGAIN)
                         && (load >= RIGHT || wrong_loads) && !load_pauses;
    reg     opened = 0;  // the last load since the reset was right
    wire    load_ready, load_error;
    wire [@{beat_msb}:0] load_data = load_early ? ~load_image[load_at] : load_image[load_at];

    initial begin
        for (beat_too_many = 0; beat_too_many < TOO_MANY; beat_too_many = beat_too_many + 1)
            load_image[LOAD_BEATS + beat_too_many] = {@{beat_bits}{1'b1}};
        if ($value$plusargs("weights=%s", load_name)) begin
            other_weights = 1;
            $readmemh(load_name, load_image, 0, LOAD_BEATS - 1);
        end else
            $readmemh({`GATEFOLD_WEIGHTS, "/load.hex"}, load_image, 0, LOAD_BEATS - 1);
        if ($test$plusargs("loads")) wrong_loads = 1;
        if (!$value$plusargs("late_loads=%d", late_loads)) late_loads = 0;
    end

    always @(posedge clk) begin
        stuck <= m_axis_tvalid && !m_axis_tready && !s_axis_tready ? stuck + 1 : 0;
        if (late_loads == 0 ? s_axis_tvalid && s_axis_tready : stuck == late_loads)
            frames_seen <= 1;
        if (load_at == 0 && LOAD_BEATS > 2) early_at <= 1 + noise[15:0] % (LOAD_BEATS - 2);
        if (!load_valid || load_ready) load_pauses <= (wrong_loads || other_weights) && noise[11];
        if (rst) begin
            load_at <= 0;
            load_wrong <= 0;
            opened <= 0;
            load <= load == DONE ? RIGHT_AGAIN : load >= RIGHT || !wrong_loads ? RIGHT : load;
        end else if (load_valid && load_ready) begin
            load_at <= load_last ? 0 : load_at + 1;
            opened <= load_last && load_at == LOAD_BEATS - 1;
            if (load_last) load <= load + 1;
            if (load_last ? load_at < LOAD_BEATS - 1 : load_at == LOAD_BEATS - 1) load_wrong <= 1;
        end else if (last_load && load_at == 0
                     && (last_loads == 0 || (last_loads == 1 && load == DONE))) begin
            last_loads <= last_loads + 1;
            load <= RIGHT_AGAIN;
        end
    end

"""

_NO_LOAD = """\
    wire load_error = 0, load_wrong = 0, load_valid = 0, load_ready = 0, wrong_loads = 0;
    wire [31:0] load_at = 0;
    reg  last_load = 0;
    wire last_loaded = 1, opened = 1;

"""

_SUM_WIRES = """\
    wire summed = dut.core.trace__summed && !rst;  // accumulators are shown:
    // four rows for each lane, lane 0 in the low bits
    wire [@{msb}:0] sums = {@{sums}};
    wire told = dut.core.trace__valid && !rst;  // some cycles later: their results are shown,
    wire [@{lanes_msb}:0] lanes = dut.core.trace__lanes;  // of these lanes

"""

_SUM_WRITES = """\
        if (sums_traced && summed) begin
            $fwrite(trace_file, "sums");
@{writes}
            $fwrite(trace_file, "\\n");
        end
"""

_NO_GUARD = """\
    wire playing = 0, tampered = 0, guard_rst = 0, guard_valid = 0, guard_last = 0, guard_ready = 0;
    wire [@{beat_msb}:0] guard_data = 0;

"""

_OPENS = """\
        if (opens) begin
            dut.core.loader.loaded <= 1;
            dut.core.loader.loaded_copy <= 1;
        end
"""

_FAULT_PLAYER = """\
    reg [8*256-1:0] faults_name;
    integer next_job;

    initial if ($value$plusargs("faults=%s", faults_name)) faults = $fopen(faults_name, "r");

    always @(posedge clk) if (faults != 0 && !rst && bench.opened) begin
        if (bench.cycle >= cycles_limit) finish("hang");
        else if (bench.judged && bench.job != 0) begin
            $fwrite(bench.trace_file, "judged %0d %0d %0d %b\\n", bench.cycle, bench.verdict,
                    bench.found, bench.found[3:0]);
            bench.job <= 0;
            if (bench.verdict != 0) finish("end");
        end else if (bench.job == 0 && !bench.judged) begin
            fields = $fscanf(faults, "%d %d %d %d %d %d %d", next_job, bench.watched,
                             bench.flip_bit, bench.flip_word, bench.flip_cycle, bench.right,
                             bench.replay);
            bench.job <= next_job;
            if (fields != 7) finish("end");
        end
    end

"""

_LENGTHS = 8  # of frames that are too short or right, at most
_START = 1024  # cycles from a reset to the first tile, at most
_SUMS = 20_000  # accumulators of a frame, at most

_BENCH = ("Makefile", "gatefold_bench.py", "run.py", "test_gatefold.py", "verilator.vlt")


def bench_file(name: str, values: Mapping[str, object] | None = None) -> str:
    """A file of sim/bench with ``values`` in its ``@{...}``."""
    text = (files("gatefold.sim") / "bench" / name).read_text()
    for key, value in {"drive": _DRIVE, **(values or {})}.items():
        text = text.replace("@{" + key + "}", str(value))
    return text


def _verilog(name: str, info: CoreInfo) -> str:
    """A Verilog file of sim/bench for this core's widths and lanes."""
    lines = [f"$fwrite(trace_file, \" %0d %0d\", $signed(dut.core.trace__h__{lane}), "
             f"$signed(dut.core.trace__c__{lane}));" for lane in range(info.dies * info.lanes)]
    values = {"beat_msb": str(info.stream.beat_bits - 1),
              "beat_bits": str(info.stream.beat_bits), "lanes": str(info.lanes),
              "beats_in": str(info.beats_in), "start": str(info.start),
              "noise_words": str(-(-info.stream.beat_bits // 32)),
              "lane_writes": "\n".join(" " * 12 + line for line in lines),
              "sum_wires": _sum_wires(info), "sum_writes": _sum_writes(info),
              "user_port": _USER_PORT if info.stateful else "",
              "reset_cycles": str(RESET_CYCLES), "after_cycles": str(AFTER_CYCLES)}
    loads = {"load_ports": _LOAD_PORTS if info.load_beats else "",
             "load_feeder": _LOAD_FEEDER if info.load_beats else _NO_LOAD,
             "load_beats": str(info.load_beats)}
    return bench_file(name, _guard(info) | loads | values)


def _guard(info: CoreInfo) -> dict[str, str]:
    """What makes and judges faults in a core that watches itself; in others nothing does."""
    guard = info.guard
    if guard is None:
        return {"guard": _NO_GUARD, "fault_player": "", "fault_port": "", "no_fault": " = 0"}
    flips = "\n".join(
        f"            {n}: dut.{place} <= dut.{place} ^ flip_mask;" for n, place in enumerate(
            item.place + (f"[{item.first} + flip_word]" if item.depth else "")
            for item in guard.watched))
    longest = info.latency + (guard.frames + 2) * info.interval + _START
    inside = {"flips": flips, "mask_msb": str(max(item.width for item in guard.watched) - 1),
              "patience": str(guard.patience), "longest": str(longest),
              "beats_in": str(info.beats_in), "beats_out": str(info.beats_out),
              "opens": _OPENS if info.load_beats else "", "loads": str(min(1, info.load_beats))}
    text = bench_file("guard.v", inside)
    return {"guard": text, "fault_player": _FAULT_PLAYER, "fault_port": _FAULT_PORT, "no_fault": ""}


def _sum_names(info: CoreInfo) -> list[str]:
    """The signals of the accumulators, four of each lane."""
    return [f"dut.core.trace__sums__{lane}__{row}" for lane in range(info.dies * info.lanes)
            for row in range(4)]


def _sum_wires(info: CoreInfo) -> str:
    """The accumulators as signals of tb.v; nothing, where the core does not show them."""
    if not info.acc_width:
        return ""
    names = _sum_names(info)
    lines = ",\n        ".join(", ".join(names[at:at + 4][::-1])
                               for at in reversed(range(0, len(names), 4)))
    return _SUM_WIRES.replace("@{msb}", str(len(names) * info.acc_width - 1)).replace(
        "@{lanes_msb}", str(len(names) // 4 - 1)).replace("@{sums}", lines)


def _sum_writes(info: CoreInfo) -> str:
    """What tb.v writes of the accumulators; nothing, where the core does not show them."""
    if not info.acc_width:
        return ""
    return _SUM_WRITES.replace("@{writes}", "\n".join(
        f'            $fwrite(trace_file, " %0d", $signed({name}));' for name in _sum_names(info)))


def write_cocotb_bench(folder: Path, info: CoreInfo, x, expect: Expect,
                       other: Other | None = None) -> None:
    """Write the cocotb bench of a core into ``folder`` (DIR/cocotb), which is made where missing.

    ``x`` (frames, n_in) are the input integers of vectors.json; ``expect``
    (:mod:`.expected`) computes the outputs; ``other``, weights that a loadable core gets in a test
    of its own. The frames of a stateful core are one sequence.
    The bench reads ../core.json and ../rtl when it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _BENCH:
        (folder / name).write_text(bench_file(name))
    (folder / "tb.v").write_text(_verilog("tb.v", info))
    fresh = np.arange(len(x)) == 0 if info.stateful else np.ones(len(x), bool)
    y, trace = expect(range(len(x)), fresh)
    lengths = np.unique(np.linspace(1, info.beats_in, _LENGTHS, dtype=int))
    cut, _ = expect([len(x) - 1] * len(lengths), np.ones(len(lengths), bool),
                    np.minimum(lengths * info.stream.per_beat, info.n_in))
    write_vectors(folder / "vectors.json", x, y, fresh,
                  dict(zip(lengths.tolist(), cut, strict=True)), _sums(info, trace),
                  None if other is None else (other.load, other.expect(range(len(x)), fresh)[0]))


def _sums(info: CoreInfo, trace: Trace) -> list[list[int]]:
    """The accumulators of the first frame: of each event (``trace.events`` in core.json) the rows
    of lane 0, of lane 1, ...; of the first events alone where a frame has many."""
    found: list[list[int]] = []
    shown = 0
    for at, first, count in info.events if info.acc_width else ():
        layer = info.layers[at]
        rows = [trace[layer.name][name][0].reshape(-1)[first:first + count] + constant
                for name, constant in layer.sums.items()] if at >= 0 else []
        found.append(np.stack(rows, axis=1).reshape(-1).tolist() if rows else [])
        shown += max(1, len(found[-1]))  # an event whose sums golden has no names for counts, too
        if shown > _SUMS:
            break
    return found


def write_driver(folder: Path, info: CoreInfo) -> None:
    """Write tb.v, drive.v and main.cpp, the bench without Python, into an existing ``folder``."""
    (folder / "tb.v").write_text(_verilog("tb.v", info))
    (folder / "drive.v").write_text(_verilog("drive.v", info))
    (folder / "main.cpp").write_text(bench_file("main.cpp"))
