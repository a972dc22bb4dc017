"""Simulation of an output folder: verify passes a right core and finds every kind of fault.

The core is tests/fixtures/dummy_gatefold.v, small enough to be computed here in NumPy.
"""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.sim import simulators
from gatefold.sim.core_info import load_core_info
from gatefold.sim.testbench import write_cocotb_bench
from gatefold.sim.verify import CheckFailed, verify
from tests.support.places import FIXTURES

DUMMY = (FIXTURES / "dummy_gatefold.v").read_text()
BIAS = np.array([5, -7, 100, 0, 1, -1, 0, 0])
STEPS, UNITS, LANES, OUTPUTS = 4, 6, 4, 2
HOSTILE = 88  # frames of that scenario, for 3 beats a frame
SHORT_WAITS = 22  # and of those, for 5 samples
COINCIDENCES = 58
CORE = {
    "top": "gatefold", "tlast_checks": True, "array": {"pe": 4, "simd": LANES},
    "stream": {"element_bits": 16, "container_bits": 16, "beat_bits": 64},
    "stateful": False,
    "input": {"elements": 12, "beats": 3, "shape": [4, 3],
              "parts": [{"shape": [4, 3], "frac": 8, "width": 16}]},
    "output": {"elements": OUTPUTS, "beats": 1, "shape": [OUTPUTS],
               "parts": [{"shape": [OUTPUTS], "frac": [8]}]},
    "cycles": {"latency": 11, "interval": 12}, "simd": LANES, "act_width": 16, "cell_width": 18,
    "trace": {"layers": [{"name": "l0_lstm", "units": UNITS, "steps": STEPS, "states": ["h", "c"]}],
              "events": [[0, UNITS * t + first, count] for t in range(STEPS)
                         for first, count in ((0, 4), (4, 2))]},
}


@pytest.fixture(params=simulators.VERILOG_SIMULATORS)
def sim(request):
    reason = simulators.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture
def icarus():
    reason = simulators.missing("icarus")
    if reason:
        pytest.skip(reason)


def dummy_core(folder, replace=None, core=CORE):
    """An output folder with the dummy in it, one line of Verilog replaced where asked for."""
    verilog = DUMMY
    if replace:
        old, new = replace
        assert verilog.count(old) == 1
        verilog = verilog.replace(old, new)
    if core["stateful"]:
        verilog = "`define STATEFUL\n" + verilog
    for name in ("rtl", "weights"):
        (folder / name).mkdir(parents=True)
    (folder / "rtl" / "gatefold.v").write_text(verilog)
    (folder / "weights" / "bias.hex").write_text("".join(f"{b & 0xFFFF:04x}\n" for b in BIAS))
    (folder / "core.json").write_text(json.dumps(core))
    return folder


def golden(samples=5, *, stateful=False) -> dict[str, Any]:
    """x of seeded samples, corner values first, and the expected outputs of frames in any order."""
    x = np.random.default_rng(7).integers(-1000, 1000, (samples, STEPS * 3))
    x[:2] = [[-2700], [2700]][:samples]

    def expect(frames, begins, present=None):
        h = np.empty((len(frames), STEPS, UNITS), np.int64)
        count = np.full(len(frames), STEPS * 3) if present is None else present
        carry = 0
        for n, (sample, fresh) in enumerate(zip(frames, begins, strict=True)):
            carry = carry if stateful and not fresh else 0
            sent = x[sample] * (np.arange(STEPS * 3) < count[n])
            h[n] = (sent.reshape(STEPS, 3).sum(axis=1)[:, None] + np.arange(UNITS)
                    + BIAS[:UNITS] + carry)
            carry = h[n, -1, 0] & 0xFF
        return h[:, -1, :OUTPUTS], {"l0_lstm": {"h": h, "c": 3 * h - np.arange(STEPS)[:, None]}}

    return dict(x=x, expect=expect)


# --- A right core ---------------------------------------------------------------------------------

def test_a_right_core_passes(tmp_path, sim):
    result = verify(dummy_core(tmp_path), **golden(5), sim=sim)
    assert result.as_dict() == {
        "simulator": sim, "samples": 5,
        "scenarios": {"full rate": 6, "random gaps and stalls": 5, "blocked": 34,
                      "hostile": HOSTILE, "short waits": SHORT_WAITS,
                      "coincidences": COINCIDENCES},
        "latency": 11, "interval": 12, "outputs": result.outputs,
        "states": result.outputs // OUTPUTS * STEPS * UNITS * 2, "cycles": result.cycles}
    whole = 45 + SHORT_WAITS + COINCIDENCES
    assert whole < result.outputs // OUTPUTS < whole + HOSTILE  # resets took some


def test_both_simulators_see_the_same_cycles(tmp_path, icarus):
    core, vectors = dummy_core(tmp_path), golden(4)
    results = [verify(core, **vectors, sim=sim) for sim in simulators.VERILOG_SIMULATORS]
    assert len({result.cycles for result in results}) == 1


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_the_interval_is_measured_however_few_samples_there_are(tmp_path, icarus, samples):
    result = verify(dummy_core(tmp_path), **golden(samples), sim="icarus")
    assert (result.samples, result.interval) == (samples, 12)


def test_an_interpreter_plays_fewer_frames_of_a_large_core(tmp_path, icarus):
    core = dummy_core(tmp_path, core=CORE | {"array": {"pe": 16384, "simd": 16}})
    stages = []
    result = verify(core, **golden(5), sim="icarus", progress=stages.append)
    assert result.samples == 4
    assert result.scenarios == {"full rate": 4, "random gaps and stalls": 2}
    assert stages == ["icarus compiles the core", "icarus simulates 4 frames, full rate",
                    "icarus simulates 2 frames, random gaps and stalls"]


def test_a_folder_may_have_any_name(tmp_path, sim):
    verify(dummy_core(tmp_path / "a \"b' $c"), **golden(2), sim=sim)


def test_nothing_is_written_into_the_folder(tmp_path, icarus):
    core = dummy_core(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    verify(core, **golden(2), sim="icarus")
    assert sorted(tmp_path.rglob("*")) == before


# --- Faults ---------------------------------------------------------------------------------------

FAULTS = [
    ("output bit", ("{32'd0, y1, y0};  // FAULT_OUTPUT", "{32'd0, y1, y0 ^ 16'd4};"),
     r"full rate: sample 0, output 0: expected -8095, got -8091"),
    ("padding", ("{32'd0, y1, y0};  // FAULT_OUTPUT", "{32'd1, y1, y0};"),
     "frame 0, output beat 0: the bits after the last element must be zero"),
    ("tlast", ("m_axis_tlast = 1;", "m_axis_tlast = 0;"),
     "frame 0, output beat 0 of 1: TLAST is 0"),
    ("cell", ("trace__c__2 = 3 * h2 - late;",
              "trace__c__2 = 3 * h2 - late - $signed({17'd0, step == 2});"),
     "sample 0, layer l0_lstm, step 2, unit 2: expected c = -23996, got -23997"),
    ("hidden", ("trace__h__1 = h1", "trace__h__1 = h1 + (step == 3)"),
     "sample 0, layer l0_lstm, step 3, unit 1: expected h = -8106, got -8105"),
    ("missing lane", ("4'b0011 : 4'b1111", "4'b0001 : 4'b1111"),
     "frame 0, layer l0_lstm, step 0, unit 5 came 0 times, not once"),
    ("missing beat", ("trace__valid = run;", "trace__valid = run && step != 1;"),
     "the lanes gave 36 beats of results in 6 frames, not 8 a frame"),
    ("latency", ("EVENTS = 8;", "EVENTS = 9;"),
     "frame 0: expected a latency of 11 cycles, got 12"),
    ("hang", ("event_number == EVENTS - 1", "event_number == EVENTS - 1 && x[0] != 16'd2700"),
     "the core hangs: 2 of 6 frames had come out when nothing moved any more"),
    ("two outputs", ("GIVE: if (m_axis_tready) begin",
                     "GIVE: if (m_axis_tready && !event_number[2]) event_number <= 4;\n"
                     "            else if (m_axis_tready) begin"),
     "12 frames and 0 beats came out for 6 frames that went in"),
    ("frame_error", ("frame_error <= 0;", "frame_error <= 1;"), "frame_error is set"),
]


@pytest.mark.parametrize("replace, message", [fault[1:] for fault in FAULTS],
                         ids=[fault[0] for fault in FAULTS])
def test_every_fault_is_reported(tmp_path, icarus, replace, message):
    with pytest.raises(CheckFailed, match=message):
        verify(dummy_core(tmp_path, replace), **golden(5), sim="icarus")


@pytest.mark.parametrize("name", ["output bit", "hang"])
def test_verilator_reports_the_same(tmp_path, name):
    replace, message = {fault[0]: fault[1:] for fault in FAULTS}[name]
    with pytest.raises(CheckFailed, match=message):
        verify(dummy_core(tmp_path, replace), **golden(5), sim="verilator")


UNKNOWN = [
    (("m_axis_tdata = {32'd0, y1, y0};", "m_axis_tdata = {32'd0, y1, 16'hxx00};"),
     "output beat 0 has unknown bits"),
    (("trace__h__1 = h1", "trace__h__1 = 16'bx"), "step 0, unit 1: h has unknown bits"),
]


@pytest.mark.parametrize("replace, message", UNKNOWN)
def test_icarus_shows_unknown_bits(tmp_path, icarus, replace, message):
    with pytest.raises(CheckFailed, match=message):
        verify(dummy_core(tmp_path, replace), **golden(2), sim="icarus")


def test_unknown_bits_in_lanes_without_a_unit_do_not_matter(tmp_path, icarus):
    replace = ("trace__h__3 = h3", "trace__h__3 = trace__lanes[3] ? h3 : 16'bx")
    verify(dummy_core(tmp_path, replace), **golden(2), sim="icarus")


def test_lanes_beyond_the_elements_of_a_beat_may_hold_anything(tmp_path, icarus):
    verify(dummy_core(tmp_path, ("4'b0011 : 4'b1111", "4'b0111 : 4'b1111")), **golden(2),
           sim="icarus")


def test_an_interval_that_is_not_the_plan_s(tmp_path, icarus):
    core = CORE | {"cycles": {"latency": 11, "interval": 11}}
    with pytest.raises(CheckFailed, match="expected an interval of 11 cycles, got 12"):
        verify(dummy_core(tmp_path, core=core), **golden(5), sim="icarus")


def test_intervals_that_do_not_come_in_turn(tmp_path, icarus):
    core = CORE | {"cycles": {"latency": 11, "interval": 12, "intervals": [12, 11]}}
    with pytest.raises(CheckFailed, match="expected an interval of 11 cycles, got 12"):
        verify(dummy_core(tmp_path, core=core), **golden(4), sim="icarus")


def test_a_frame_that_takes_longer_after_a_long_pause(tmp_path, icarus):
    core = dummy_core(tmp_path, ("integer    n;", """integer    n;
    reg [6:0]  idle = 0;
    always @(posedge clk) idle <= rst || state != LOAD || s_axis_tvalid ? 0 : idle + 1;"""))
    verilog = core / "rtl" / "gatefold.v"
    longer = "event_number <= beat == 0 && idle > 40 ? 15 : beat == 0 ? 0 : event_number;"
    verilog.write_text(verilog.read_text().replace("event_number <= 0;", longer))
    given = golden(40)
    assert verify(core, **given, sim="icarus").latency == 11
    with pytest.raises(CheckFailed, match="many frames: frame ..: expected a latency of 11 cycles, "
                                          "got 12"):
        verify(core, **given, many=32, sim="icarus")


def test_verilog_that_does_not_compile_shows_the_log(tmp_path, sim):
    with pytest.raises(CheckFailed, match=r"compiles the core: failed(.|\n)*gatefold\.v"):
        verify(dummy_core(tmp_path, ("endmodule\n\nmodule dummy_core", "module dummy_core")),
               **golden(1), sim=sim)


def test_a_simulation_that_takes_too_long_is_stopped(tmp_path, icarus):
    with pytest.raises(CheckFailed, match="stopped after 1 s"):
        verify(dummy_core(tmp_path, ("always @(posedge clk) begin\n        case",
                                     "initial while (1) beat = 0;\n    always @(posedge clk) begin"
                                     "\n        case")), **golden(1), sim="icarus", timeout=1)


# --- State that goes on from frame to frame -------------------------------------------------------

STATEFUL = CORE | {"stateful": True}


def test_a_stateful_core_plays_sequences(tmp_path, sim):
    result = verify(dummy_core(tmp_path, core=STATEFUL), **golden(5, stateful=True), sim=sim)
    assert result.scenarios == {"full rate": 6, "random gaps and stalls": 10, "blocked": 34,
                                "hostile": HOSTILE, "short waits": SHORT_WAITS,
                                "coincidences": COINCIDENCES}
    assert result.samples == 5


STATEFUL_FAULTS = [
    ("TUSER ignored", ("beat == 0 && s_axis_tuser", "0"), "full rate: frame 3, sample 2, layer"),
    ("TUSER of any beat", ("beat == 0 && s_axis_tuser", "s_axis_tuser"),
     "full rate: frame 1, sample 0, layer"),
    ("TUSER not obeyed but assumed", ("beat == 0 && s_axis_tuser", "beat == 0"),
     "full rate: frame 1, sample 0, layer l0_lstm, step 0, unit 0: expected c"),
    ("kept through a reset", ("rst || begins", "begins"),
     "random gaps and stalls: frame 5, sample 4, layer l0_lstm, step 0"),
]


@pytest.mark.parametrize("replace, message", [fault[1:] for fault in STATEFUL_FAULTS],
                         ids=[fault[0] for fault in STATEFUL_FAULTS])
def test_a_wrong_state_is_reported_with_its_frame(tmp_path, icarus, replace, message):
    core = dummy_core(tmp_path, replace, STATEFUL)
    with pytest.raises(CheckFailed, match=message):
        verify(core, **golden(5, stateful=True), sim="icarus")


def test_a_frame_error_before_a_reset_is_not_forgotten(tmp_path, icarus):
    core = dummy_core(tmp_path, ("frame_error <= 0;", "frame_error <= m_axis_tvalid;"), STATEFUL)
    verilog = (core / "rtl" / "gatefold.v").read_text()
    (core / "rtl" / "gatefold.v").write_text(verilog.replace(
        "GIVE: if (m_axis_tready) begin",
        "GIVE: if (m_axis_tready) begin\n                frame_error <= carry != 0;"))
    with pytest.raises(CheckFailed, match="frame_error is set"):
        verify(core, **golden(5, stateful=True), sim="icarus")


# --- Damaged folders, wrong arguments, missing tools ----------------------------------------------

DAMAGE = [
    (lambda f: (f / "core.json").unlink(), "holds no core.json"),
    (lambda f: (f / "core.json").write_text("{"), "core.json' is damaged .JSONDecodeError"),
    (lambda f: (f / "core.json").write_text("{}"), "core.json' is damaged .KeyError: .*stream"),
    (lambda f: (f / "core.json").write_text(json.dumps(CORE | {"simd": 0})),
     "0 where an integer in 1.."),
    (lambda f: (f / "core.json").write_text(json.dumps(CORE | {"stateful": 1})),
     "1 where true or false belongs"),
    (lambda f: (f / "core.json").write_text(json.dumps(CORE | {"trace": CORE["trace"] | {
        "layers": [CORE["trace"]["layers"][0] | {"states": ["x"]}]}})),
     "where the states of a layer belong"),
    *[(lambda f, event=event: (f / "core.json").write_text(json.dumps(
        CORE | {"trace": CORE["trace"] | {"events": [event]}})),
       rf"trace event \{str(event)[:-1]}\] names no layer")
      for event in ([0, 22, 3], [0, -1, 2], [0, 0, 5], [1, 0, 4], [-2, 0, 0], [0, 0, -1])],
    (lambda f: (f / "rtl" / "gatefold.v").unlink(), "no Verilog file with the module gatefold"),
    (lambda f: (f / "rtl" / "gatefold.v").write_bytes(b"\xff\xfe"), "can't be read as text"),
    (lambda f: (f / "weights" / "bias.hex").unlink(), "bias.hex' is missing"),
    (lambda f: (f / "weights" / "bias.hex").write_text("12 zz"), "must hold hexadecimal words"),
    (lambda f: (f / "weights" / "bias.hex").write_text(""), "must hold hexadecimal words"),
]


@pytest.mark.parametrize("damage, message", DAMAGE)
def test_a_damaged_folder_is_a_user_error(tmp_path, damage, message):
    core = dummy_core(tmp_path)
    damage(core)
    with pytest.raises(UserError, match=message):
        verify(core, **golden(1))


def test_wrong_arguments(tmp_path):
    core = dummy_core(tmp_path)
    with pytest.raises(UserError, match="sim must be one of verilator, icarus, amaranth, not"):
        verify(core, **golden(1), sim="vcs")
    with pytest.raises(UserError, match=r"x must have the shape \(samples, 12\)"):
        verify(core, **(golden(1) | dict[str, Any](x=np.zeros((1, 11), int))))


@pytest.mark.parametrize("name, message", [
    ("icarus", "iverilog and vvp not found: apt-get install iverilog"),
    ("verilator", r"perl and make and g\+\+ not found: apt-get install perl make g\+\+"),
])
def test_a_missing_simulator_is_reported_with_the_remedy(tmp_path, monkeypatch, name, message):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=message):
        verify(dummy_core(tmp_path / "core"), **golden(1), sim=name)


def test_lint_lists_warnings(tmp_path):
    warnings = simulators.lint(dummy_core(tmp_path))
    assert any("'trace__valid'" in warning for warning in warnings)  # read by test benches only
    assert all(warning.startswith("%Warning") for warning in warnings)


# --- The cocotb bench of an output folder ---------------------------------------------------------

def run_bench(core, sim, *options):
    info = load_core_info(core)
    write_cocotb_bench(core / "cocotb", info, **golden(3, stateful=info.stateful))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(["make", f"SIM={sim}", f"PYTHON={sys.executable}", *options],
                          cwd=core / "cocotb", capture_output=True, text=True, env=environment)


def test_the_bench_passes_on_a_right_core(tmp_path, sim):
    done = run_bench(dummy_core(tmp_path), sim)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=22 PASS=18 FAIL=0 SKIP=4" in done.stdout
    written = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*")
               if path.is_file()}
    assert {part[1] for part in written if part[0] == "cocotb"} - {"__pycache__"} == {
        "Makefile", "gatefold_bench.py", "run.py", "tb.v", "test_gatefold.py", "vectors.json",
        "verilator.vlt", "sim_build"}


def test_the_bench_passes_on_a_stateful_core(tmp_path, icarus):
    done = run_bench(dummy_core(tmp_path, core=STATEFUL), "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=22 PASS=18 FAIL=0 SKIP=4" in done.stdout


@pytest.mark.parametrize("name, failing", [
    ("output bit", "latency"), ("latency", "latency"), ("hang", "back_to_back")])
def test_the_bench_fails_on_a_wrong_core(tmp_path, icarus, name, failing):
    replace = {fault[0]: fault[1] for fault in FAULTS}[name]
    done = run_bench(dummy_core(tmp_path, replace), "icarus", f"TEST={failing}")
    assert done.returncode != 0
    assert "FAIL=1" in done.stdout


@pytest.mark.parametrize("fault, failing", [
    ("TUSER ignored", "back_to_back"), ("TUSER of any beat", "latency"),
    ("kept through a reset", "reset_in_a_frame")])
def test_the_bench_fails_on_a_wrong_state(tmp_path, icarus, fault, failing):
    replace = {fault[0]: fault[1] for fault in STATEFUL_FAULTS}[fault]
    done = run_bench(dummy_core(tmp_path, replace, STATEFUL), "icarus", f"TEST={failing}")
    assert done.returncode != 0
    assert "FAIL=0" not in done.stdout and "PASS=" in done.stdout


def test_the_bench_writes_a_trace(tmp_path, icarus):
    core = dummy_core(tmp_path)
    assert run_bench(core, "icarus", "TEST=latency", "TRACE=trace.txt").returncode == 0
    kinds = [line.split()[0] for line in (core / "cocotb" / "trace.txt").read_text().splitlines()]
    assert (kinds.count("in"), kinds.count("out"), kinds.count("state")) == (3, 3, 24)


def test_the_bench_runs_no_test_of_a_wrong_name(tmp_path, icarus):
    assert run_bench(dummy_core(tmp_path), "icarus", "TEST=nothing").returncode != 0
