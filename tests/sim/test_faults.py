"""Faults planted in the generated Verilog of two small cores: verify and the exported bench must
find every one.

Each is a mistake that a designer could make, with the scenario that tells of it. Most are in what
only an unusual flow, frame or value reaches: that is why the scenarios are there.
"""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.check import check_core
from gatefold.sim import simulators
from gatefold.sim.results import CheckFailed
from tests.support import tflite_files, windows
from tests.support.networks import network

NO_ICARUS = simulators.missing("icarus")
icarus = pytest.mark.skipif(NO_ICARUS is not None, reason=str(NO_ICARUS))

# The first steps of all samples are zeros: on other inputs the cell state grows beyond its format.
LATE = np.zeros((64, 4, 3))
LATE[:, -1] = np.random.default_rng(1).uniform(-1, 1, (64, 3))
LATE[:2, -1] = [[1, 1, 1], [-1, -1, -1]]

CORES = {
    "lstm": dict(network=((4, 3), ("L3", "D2")), calibrate=LATE, rule="max", weight_rule="max"),
    "loadable": dict(network="stateful lstm", loadable=True),
}

#: fault: core, file in rtl/, module, text (a regular expression), replacement, the scenario of
#: verify and the test of the cocotb bench that tell
FAULTS = {
    "output is never blocked": (
        "lstm", "gatefold", "core_sequencer", r"~ full\[1\]", "1'h1", "blocked", "blocked"),
    "output is never blocked, loadable": (
        "loadable", "gatefold", "core_sequencer", r"~ full\[1\]", "1'h1", "blocked", "blocked"),
    "gearbox takes chunks when it is full": (
        "lstm", "gatefold", "core_writer_gearbox", r"i__ready__next = i__ready__t1\[\d+\]",
        "i__ready__next = 1'h1", "blocked", "blocked"),
    "input memory takes frames when it is full": (
        "lstm", "gatefold", "core_reader", r"gearbox__o__ready = ~ ahead\[1\]",
        "gearbox__o__ready = 1'h1", "full rate", "back_to_back"),
    "output memory is always written": (
        "lstm", "gatefold", "core_writer", r"if \(write__lanes\[1\]\)", "if (1'h1)",
        "blocked", "blocked"),
    "input is taken a cycle early after a reset": (
        "lstm", "gatefold", "core_sequencer", r"draining__t1 = \| drains;",
        "draining__t1 = | drains[4:1];", "full rate", "back_to_back"),
    "beats leave without TREADY": (
        "lstm", "gatefold", "core_writer_gearbox", r"gives = o__valid & o__ready",
        "gives = o__valid", "blocked", "blocked"),
    "lowest bit of a product is lost": (
        "lstm", "gatefold_row", "row",
        r"\$signed\((a_0\w*)\) \* \$signed\((b_0\w*)\)",
        r"$signed(\1) * $signed({\2[9:1], 1'h0})", "full rate", "latency"),
    "lowest bit of an accumulator is lost": (
        "lstm", "gatefold_row", "row", r"acc__next = acc__t1\[(\d+):0\]",
        r"acc__next = {acc__t1[\1:1], 1'h0}", "full rate", "accumulators"),
    "cell state wraps": (
        "lstm", "gatefold_lstm_lane", "lstm_lane", r"new_now = new_now__t1 \?",
        "new_now = 1'h1 ?", "extreme", "latency"),
    "cell state wraps on its way to tanh": (
        "lstm", "gatefold_lstm_lane", "lstm_lane", r"u_c__next = u_c_saturates \?",
        "u_c__next = 1'h0 ?", "extreme", "latency"),
    "short frames are not filled up": (
        "lstm", "gatefold", "core_reader", r"filling__next = filling__t3", "filling__next = 1'h0",
        "hostile", "hostile"),
    "short frames are filled up with the next one": (
        "lstm", "gatefold", "core_reader", r"gearbox__i__payload = filling \?",
        "gearbox__i__payload = 1'h0 ?", "hostile", "hostile"),
    "short frames wait for the next one": (
        "lstm", "gatefold", "core_reader", r"= filling \| ", "= ", "hostile", "wrong_tlast"),
    "a reset leaves a frame that is filled up": (
        "lstm", "gatefold", "core_reader", r"(rst\) begin\s+filling__next = )1'h0", r"\1filling",
        "hostile", "hostile"),
    "the rest of long frames is not dropped": (
        "lstm", "gatefold", "core_reader", r"dropping__next = dropping__t\d;",
        "dropping__next = 1'h0;", "hostile", "hostile"),
    "a late TLAST is no error": (
        "lstm", "gatefold", "core_reader", r"error__t1 = (\S+) != gearbox__i_last;",
        r"error__t1 = \1 & ~gearbox__i_last;", "hostile", "wrong_tlast"),
    "a beat on offer in a reset begins a frame": (
        "lstm", "gatefold", "core_reader", r"(rst\) begin\s+filling__next = )1'h0;",
        r"\1moves & ~filling & filling__t1 & filling__t3;", "hostile", "reset_in_a_frame"),
    "frame_error is never set": (
        "lstm", "gatefold", "core", r"frame_error__next = 1'h1", "frame_error__next = 1'h0",
        "hostile", "hostile"),
    "a reset leaves the half of the output memory": (
        "lstm", "gatefold", "core_writer",
        r"half__next = 1'h0;\s+end\s+if \(rst\) begin\s+half__next = 1'h0;",
        "half__next = half === 1'h1;", "hostile", "reset_in_a_frame"),
    "upper bits of the stream are read": (
        "lstm", "gatefold", "core_reader", r"beats__payload\[(\d+):0\]",
        r"beats__payload[\1:0] ^ {\1{beats__payload[\1 + 1] ^ beats__payload[\1]}}",
        "hostile", "hostile"),
    "a reset leaves elements in the reader's gearbox": (
        "lstm", "gatefold", "core_reader_gearbox", r"fill__next = \d+'h0;", "fill__next = fill;",
        "hostile", "reset_in_a_frame"),
    "a load begins while frames are under way": (
        "loadable", "gatefold", "core", r"loader__idle__t2 = ! frames_under_way",
        "loader__idle__t2 = 1'h1", "hostile", "loads"),
    "a frame that begins as one ends counts twice": (
        "loadable", "gatefold", "core", r"(frames_under_way__t\d = ends \?) 1'h0", r"\1 1'h1",
        "blocked", "coincidences"),
    "a load of one beat leaves the core open": (
        "loadable", "gatefold", "core_loader", r"if \(will_be_loaded__t1\) begin\s+end",
        "if (will_be_loaded__t1) begin will_be_loaded = loaded; end", "blocked", "loads"),
    "a load waits for a frame": (
        "loadable", "gatefold", "core", r"= loader__idle__t\d \| loader__holds", "= loader__holds",
        "full rate", "blocked"),
    "load_error is never set": (
        "loadable", "gatefold", "core", r"load_error__next = 1'h1", "load_error__next = 1'h0",
        "blocked", "loads"),
    "a load goes on after a wrong TLAST": (
        "loadable", "gatefold", "core_loader", r"row__next = \d+'h0*1;(?=\s+end\s+end\s+if \(rst)",
        "row__next = row;", "blocked", "loads"),
    "a reset leaves the place in a load": (
        "loadable", "gatefold", "core_loader",
        r"addr__next = \d+'h0;(?=\s+end\s+end\s+always @\* begin\s+if \(at_start\) begin end\s+r)",
        "addr__next = addr;", "hostile", "loads"),
    "a reset leaves a load that drops its beats": (
        "loadable", "gatefold", "core_loader", r"(rst\) begin\s+dropping__next = )1'h0",
        r"\1dropping", "blocked", "loads"),
    "a reset leaves the core open": (
        "loadable", "gatefold", "core_loader",
        r"loaded__next = will_be_loaded;\s+if \(rst\) begin\s+loaded__next = 1'h0;",
        "loaded__next = will_be_loaded; if (rst) begin", "hostile", "loads"),
    "a load gets no turn": (
        "loadable", "gatefold", "core_loader", r"holds__t1 = holds__t2 & beats__valid",
        "holds__t1 = 1'h0", "blocked", "loads"),
    "the rest of a long frame ends though it is not taken": (
        "loadable", "gatefold", "core_reader", r"(dropping__t1 = dropping__t\d) & dropping__t\d",
        r"\1", "hostile", "loads"),
    "state is kept through a reset": (
        "loadable", "gatefold", "core_reader", r"after_reset__next = 1'h1",
        "after_reset__next = after_reset", "hostile", "reset_in_a_frame"),
}


#: The faults that every core can have,
EVERYWHERE = [
    "output is never blocked", "gearbox takes chunks when it is full",
    "input memory takes frames when it is full", "output memory is always written",
    "beats leave without TREADY", "lowest bit of a product is lost",
    "lowest bit of an accumulator is lost", "short frames are not filled up",
    "short frames are filled up with the next one", "the rest of long frames is not dropped",
    "frame_error is never set", "a reset leaves the half of the output memory",
    "upper bits of the stream are read"]
#: and cores of other kinds: network or model file, options.
OTHERS = {
    "gru": ("gru", {}), "bidirectional": ("bidirectional", {}), "conv": ("conv, conv, lstm", {}),
    "contexts": ("lstm-dense", {"contexts": 2}), "protect": ("lstm-dense", {"protect": True}),
    "axi": ("dense only", {"host": "axi", "port": "64"}), "dies": ("stack", {"dies": 2}),
    "int8": ("dense", {}),
}


@pytest.fixture(scope="module")
def cores(tmp_path_factory):
    """The folders of CORES and their quantised networks."""
    made = {}
    for name, options in CORES.items():
        core = gf.compile(network(options["network"]), pe=8, simd=3, width=10, cell_width=12,
                          **{key: value for key, value in options.items() if key != "network"})
        folder = tmp_path_factory.mktemp(name) / "core"
        core.save(folder)
        made[name] = (folder, core.qnet)
    return made


def planted(cores, fault, folder, core=None, faults=FAULTS):
    """A copy of the fault's core, or of ``core``, with the fault in it, and its network."""
    own, file, module, text, replacement, *_ = faults[fault]
    whole, qnet = cores[core or own]
    shutil.copytree(whole, folder)
    path = folder / "rtl" / f"{file}.v"
    before, start, rest = path.read_text().partition(f"module gatefold_{module}(")
    body, end, after = rest.partition("endmodule")
    body, found = re.subn(text, replacement, body, count=bool(core))
    assert found == 1, f"{found} places for {fault!r}"
    path.write_text(before + start + body + end + after)
    return folder, qnet


def bench_output(folder, test):
    """What a test of the exported bench prints, which fails."""
    done = subprocess.run([sys.executable, "run.py", "--sim", "icarus", "--test", test],
                          cwd=folder / "cocotb", capture_output=True, text=True)
    assert done.returncode, done.stdout[-2000:]
    return done.stdout


@icarus
@pytest.mark.parametrize("core", CORES)
def test_without_a_fault_both_cores_pass(cores, core):
    folder, qnet = cores[core]
    result = check_core(folder, qnet, sim="icarus", samples=3)
    assert [*result.scenarios] == ["full rate", "random gaps and stalls", "blocked", "hostile",
                                   "extreme", *(["other weights"] if core == "loadable" else []),
                                   "short waits", "coincidences"]


@icarus
def test_a_lost_bit_of_an_accumulator_is_found_in_the_accumulator(cores, tmp_path):
    folder, qnet = planted(cores, "lowest bit of an accumulator is lost", tmp_path / "core")
    with pytest.raises(CheckFailed, match="^full rate: .*: expected acc_[ifgo] = "):
        check_core(folder, qnet, sim="icarus", samples=3)


@icarus
def test_what_the_core_s_own_weights_never_do_is_found_with_other_weights(cores, tmp_path):
    fault = ("loadable", "gatefold_dense_lane", "dense_lane", r"direct_now__t1 \?", "1'h1 ?")
    folder, qnet = planted(cores, "a Dense wraps", tmp_path / "core", faults={
        "a Dense wraps": fault})
    with pytest.raises(CheckFailed, match="^other weights: .* y = "):
        check_core(folder, qnet, sim="icarus", samples=3)
    assert "AssertionError" in bench_output(folder, "other_weights")


@icarus
def test_a_wrong_smallest_weight_is_found_with_other_weights(cores, tmp_path):
    fault = ("loadable", "gatefold_row", "row", r"b_0_1 <= weights__0;",
             "b_0_1 <= weights__0 == 10'h200 ? 10'h201 : weights__0;")
    folder, qnet = planted(cores, "a weight", tmp_path / "core", faults={"a weight": fault})
    with pytest.raises(CheckFailed, match="^other weights: .* acc_[ifgo] = "):
        check_core(folder, qnet, sim="icarus", samples=3)


@icarus
@pytest.mark.parametrize(("module", "text", "replacement"), [
    ("core_sequencer", r"full__next = full__t1\[1:0\];",
     "full__next = arrivals__done & left ? full + 2'd1 : full__t1[1:0];"),
    ("core_reader", r"ahead__next = ahead__t1\[1:0\];",
     "ahead__next = last_chunk & arrivals__done ? ahead + 2'd1 : ahead__t1[1:0];")])
def test_a_counter_that_goes_up_and_down_at_once_is_found(cores, tmp_path, module, text,
                                                          replacement):
    fault = ("lstm", "gatefold", module, text, replacement)
    folder, qnet = planted(cores, "a counter", tmp_path / "core", faults={"a counter": fault})
    with pytest.raises(CheckFailed, match="^coincidences: "):
        check_core(folder, qnet, sim="icarus", samples=28)
    assert "AssertionError" in bench_output(folder, "coincidences")


@icarus
def test_what_is_read_in_the_cycle_after_its_write_is_found_with_short_waits(tmp_path):
    core = gf.compile(windows.made("branches"), pe=8, simd=3, width=10, cell_width=12, hop=2)
    core.save(tmp_path / "core")
    fault = ("windows", "gatefold", "core_operands", r" written <= result__data;", " written <= 0;")
    folder, qnet = planted({"windows": (tmp_path / "core", core.qnet)}, "lost", tmp_path / "lost",
                           faults={"lost": (*fault, "short waits", "short_waits")})
    with pytest.raises(CheckFailed, match="^short waits: .* y = "):
        check_core(folder, qnet, sim="icarus", samples=8)
    assert "AssertionError" in bench_output(folder, "short_waits")


@icarus
@pytest.mark.parametrize("fault", FAULTS)
def test_verify_finds(cores, fault, tmp_path):
    folder, qnet = planted(cores, fault, tmp_path / "core")
    with pytest.raises(CheckFailed, match=f"^{FAULTS[fault][5]}: "):
        check_core(folder, qnet, sim="icarus", samples=3)


def test_verify_finds_in_verilator(cores, tmp_path):
    folder, qnet = planted(cores, "output is never blocked", tmp_path / "core")
    with pytest.raises(CheckFailed, match="^blocked: "):
        check_core(folder, qnet, sim="verilator", samples=3)


@pytest.fixture(scope="module", params=OTHERS)
def other(request, tmp_path_factory):
    """The name of a core of OTHERS, its folder and its quantised network."""
    model, options = OTHERS[request.param]
    if request.param == "int8":
        core = gf.compile(gf.load(tflite_files.path(model)), pe=8, simd=3)
    else:
        core = gf.compile(network(model), pe=8, simd=3, width=10, cell_width=12, **options)
    folder = tmp_path_factory.mktemp(request.param) / "core"
    core.save(folder)
    return request.param, folder, core.qnet


@icarus
@pytest.mark.long
@pytest.mark.parametrize("fault", EVERYWHERE)
def test_verify_finds_in_other_cores(other, fault, tmp_path):
    name, *core = other
    folder, qnet = planted({name: core}, fault, tmp_path / "core", name)
    with pytest.raises(CheckFailed):
        check_core(folder, qnet, sim="icarus", samples=3)


@icarus
@pytest.mark.parametrize("fault", FAULTS)
def test_the_cocotb_bench_finds(cores, fault, tmp_path):
    folder, _ = planted(cores, fault, tmp_path / "core")
    output = bench_output(folder, FAULTS[fault][6])
    assert "AssertionError" in output or "SimTimeoutError" in output, output[-2000:]
