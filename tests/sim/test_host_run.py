"""`gatefold verify` runs descriptors on a core with registers, and finds what is wrong there."""

import json
import re

import pytest

import gatefold as gf
from gatefold.gen.check import check_core, registers_bench, seeded_inputs
from gatefold.hdl.host.axi import BURST
from gatefold.sim import simulators
from gatefold.sim.core_info import load_core_info
from gatefold.sim.expected import expectation
from gatefold.sim.results import CheckFailed
from tests.support.networks import network

pytestmark = pytest.mark.skipif(simulators.missing("icarus") is not None,
                                reason="Icarus is not installed")


@pytest.fixture(scope="module")
def core():
    return gf.compile(network("dense only"), width=8, pe=8, simd=3, host="axi", io="float32",
                      port="64", loadable=True)


def check(core, folder):
    return check_core(folder, core.qnet, sim="icarus", samples=1)


def test_descriptors_give_golden_s_results_in_planned_cycles(core, tmp_path):
    core.save(tmp_path / "core")
    assert check(core, tmp_path / "core").scenarios["registers and memory"] == 91


def test_a_core_that_computes_longer_than_its_words_take_waits_for_no_memory(tmp_path):
    """One word a frame comes in time even where memory hardly moves."""
    model = gf.compile(network("one unit"), width=8, pe=4, simd=1, host="axi")
    model.save(tmp_path / "core")
    assert "registers and memory" in check(model, tmp_path / "core").scenarios


def test_the_planned_cycles_of_a_batch_hold_whatever_the_bursts_before_it_took(tmp_path):
    """Results of no whole number of bursts come before the batch in memory."""
    model = gf.compile(network(((6, 1), ("L1", "D5"))), width=8, pe=4, simd=1, host="axi",
                       port="32")
    model.save(tmp_path)
    host = json.loads((tmp_path / "core.json").read_text())["host"]
    assert host["cycles"]["keeps_up"]
    assert host["cycles"]["batch_frames"] * host["out_bytes"] // 4 % BURST
    frames = seeded_inputs(model.qnet, 3, 1).reshape(3, -1)
    with registers_bench(tmp_path, model.plan, load_core_info(tmp_path), host, frames,
                         expectation(model.qnet, frames, 1), "icarus") as bench:
        assert bench.check() > host["cycles"]["batch_frames"]


@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="no Verilator")
def test_results_of_many_frames_leave_what_memory_holds(tmp_path):
    """Descriptors of a thousand frames, whose results are longer than the memory of the bench."""
    model = gf.compile(network(((16,), ("D16",))), host="axi")
    model.save(tmp_path / "core")
    check_core(tmp_path / "core", model.qnet, sim="verilator")


def wrong_verilog(text, replacement):
    """A fault: what is put in the place of a text, a regular expression, of the host's Verilog."""
    def plant(folder):
        path = folder / "rtl" / "gatefold_host.v"
        verilog, count = re.subn(text, replacement, path.read_text())
        assert count == 1
        path.write_text(verilog)
    return plant


def wrong_cycles(folder):
    path = folder / "core.json"
    core = json.loads(path.read_text())
    core["host"]["cycles"]["frame"] -= 1
    path.write_text(json.dumps(core))


@pytest.mark.parametrize(("plant", "message"), [
    (wrong_verilog(r"(assign m_axi_gmem_wdata = )([^;]+);", r"\1(\2) ^ 1;"),
     "the first descriptor, frame 0, byte 0: expected"),
    (wrong_verilog("result_0__t8 = ~ minus_2_0;", "result_0__t8 = 1'h0;"),  # ties go to 0
     ".* frame .*, byte .*: expected"),
    (wrong_verilog("special_0__t3 = ", "special_0__t3 = 1'h0 & "),  # NaN is infinite
     ".* frame .*, byte .*: expected"),
    (wrong_verilog("= m_axi_gmem_rresp;", "= 2'b00;"), "expected .* in ERROR, got 0"),
    (wrong_verilog("m_axi_gmem_arcache = 4'h3", "m_axi_gmem_arcache = 4'h7"),
     "wrong: a burst's ID, protection or cache attributes are not 0, 0 and 3"),
    (wrong_verilog("s_axi_control_bresp = 2'h0", "s_axi_control_bresp = 2'h2"),
     "wrong: an answer to an access to registers is not OKAY"),
    (wrong_cycles, "expected .* cycles for one frame, got")])
def test_a_fault_around_the_core_is_found(core, tmp_path, plant, message):
    core.save(tmp_path / "core")
    plant(tmp_path / "core")
    with pytest.raises(CheckFailed, match=f"registers and memory: {message}"):
        check(core, tmp_path / "core")


#: By the network of the core: a module of the host's Verilog, a signal of it, how its value begins
#: (where the name does not tell), and what it is instead.
FAULTS = {"one unit": {
    "a bit of ISR is lost as another is cleared": (
        "registers", r"\\port\S+", "written__ISR__READY ^ ",
        "written__ISR__READY & ~(writes_isr & write[0])"),
    "clearing a bit of ERROR clears others": (
        "registers", "written__ERROR__t7", "",
        "written__ERROR__WRITE & ~(writes_error & write[0])"),
    "AP_START may be in any byte": (
        "registers", "written__CTRL__AP_START", "", "writes_ctrl & | write & data[0]"),
    "ABORT may be in any byte": ("registers", "written__ABORT", "",
                                 "writes_abort & | write & data[0]"),
    "ABORT is lost": ("", "jobs__give_up__t1", "", "0"),
    "an address is decoded in part": (
        "registers", "writes_frames", "", "write_address[8:2] == 5'h14"),
    "a write is taken before its data": ("registers", "bus__aw__ready__t1", "", "bus__aw__valid"),
    "a write is taken before the last one is answered": (
        "registers", "bus__aw__ready__t2", "", "1"),
    "a read is taken before the last one is answered": ("registers", "bus__ar__ready", "", "1"),
    "AP_IDLE does not wait for AP_DONE": ("", "registers__seen__t4", "", "1"),
    "AP_IDLE does not wait for descriptors": ("", "registers__seen__t3", "", "1"),
    "AP_READY while a descriptor waits": ("", "registers__seen__t5", "", "1"),
    "the watchdog counts while words move": ("watchdog", "counts__t3", "", "1"),
    "RRESP of the last word is ignored": (
        "reader", "words__i__payload__t3", "", "filling | (r__payload[33] & ~at_end)"),
    "an abort with no descriptor gives up": ("", "jobs__give_up__t1", "", "written__ABORT__ABORT"),
    "STALLS counts idle cycles": ("", "stalls__t2", "", "stalls__t3 | ~jobs__busy"),
    "STALLS does not count blocked results": ("", "stalls__t3", "", "stalls__t4"),
    "CYCLES has 32 bits": ("", "cycles__t1", "", "(cycles + jobs__busy) & 64'hffffffff"),
    "BUSY does not count what is written": ("jobs", "busy", "", "busy__t1"),
    "an abort forgets the descriptor that waits": ("jobs", "given_up__t1", "", "0"),
    "a refused descriptor is not told in its word": (
        "jobs", r"taken\[198:186\]", "", "0"),
    "the watchdog does not see R": ("", "watchdog__moves__t4", "", "0"),
    "RRESP of the last word alone": (
        "reader", "words__i__payload__t3", "", "filling | (r__payload[33] & at_end)"),
    "BRESP DECERR is no error": ("writer", "error__t1", "", "b__valid & (b__payload == 2)"),
    "AP_DONE before the last answer": ("writer", r"\\idle\$38__t2 ", "", "1"),
    "addresses do not carry": (
        "reader_bursts", "word__t2", "", "{word[61:20], 20'(word[19:0] + count)}"),
    "WINDOW_OUT repeats behind the frame": ("windows", "there__t1", "", "there__t2"),
}, "stateful gru": {
    "every descriptor begins a sequence": ("feeder", "begins__next", "first__sequence", "1"),
    "SEQUENCE is ignored": ("feeder", r"\\sequence", "", "0"),
    "a refused descriptor takes the new sequence": ("jobs", "reset_waits__t1", "", "1"),
    "STATE_RESET is ignored": ("registers", "writes_state_reset", "", "0"),
}}


@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="no Verilator")
@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_registers_and_the_memory_port_are_found(name, tmp_path):
    """All are in one core, which takes seconds to compile: +fault=N chooses the N-th."""
    faults = FAULTS[name]
    model = gf.compile(network(name), width=8, pe=4, simd=1, host="axi", port="32")
    model.save(tmp_path)
    path = tmp_path / "rtl" / "gatefold_host.v"
    verilog = path.read_text()
    for n, (module, signal, begin, wrong) in enumerate(faults.values(), 1):
        module = "gatefold_host_shell" + (module and f"_{module}")
        before, start, rest = verilog.partition(f"module {module}(")
        body, end, after = rest.partition("endmodule")
        body, count = re.subn(rf"(\s{signal} *= )({re.escape(begin)}[^;]*);",
                              lambda m, n=n, wrong=wrong: f"{m[1]}fault == {n} ? {wrong} : {m[2]};",
                              body)
        assert count == 1, signal
        verilog = before + start + body + end + after
    read = 'integer fault;\ninitial if (!$value$plusargs("fault=%d", fault)) fault = 0;\n'
    path.write_text(re.sub(r"(?m)^(module gatefold_host_shell[^;]*;)", rf"\1\n{read}", verilog))
    host = json.loads((tmp_path / "core.json").read_text())["host"]
    frames = seeded_inputs(model.qnet, 3, 1).reshape(3, -1)
    with registers_bench(tmp_path, model.plan, load_core_info(tmp_path), host, frames,
                         expectation(model.qnet, frames, 1), "verilator") as bench:
        bench.check()
        left = []
        for n, fault in enumerate(faults, 1):
            try:
                bench.check(f"+fault={n}")
                left.append(fault)
            except CheckFailed as failed:
                assert str(failed).startswith("registers and memory: ")
        assert not left
