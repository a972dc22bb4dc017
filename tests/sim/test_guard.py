"""Faults planted in what a core watches itself with: verify and the exported bench find each.

A mistake there changes no result, so that only a fault that is made shows it (sim/faults.py).
"""

import json
import re
import shutil
import subprocess
import sys

import pytest

import gatefold as gf
from gatefold.gen.check import check_core, registers_bench, seeded_inputs
from gatefold.sim import simulators
from gatefold.sim.core_info import load_core_info
from gatefold.sim.expected import expectation
from gatefold.sim.faults import Fault, Job, chosen_faults
from gatefold.sim.results import CheckFailed
from gatefold.sim.verilog_run import VerilogCore
from tests.sim.test_protect import core
from tests.support.networks import network

NO_ICARUS = simulators.missing("icarus")
icarus = pytest.mark.skipif(NO_ICARUS is not None, reason=str(NO_ICARUS))

CORES = {"plain": "lstm", "loadable": "gru, stateful, loadable"}
WATCHDOG = {*Job} - {Job.LEARN, Job.COPY, Job.WORD}

#: fault: core, module ("": the top), text (a regular expression), replacement, the jobs that are
#: played, and what is said
FAULTS = {
    "the watchdog is dead": (
        "plain", "watchdog", r"expires = waits == \d+'h\w+", "expires = 1'h0", WATCHDOG,
        "no tile yields output any more: the watchdog has not ended it 1009 cycles after"),
    "the watchdog counts a cycle less": (
        "plain", "watchdog", r"waits == 10'h3f0", "waits == 10'h3ef", WATCHDOG,
        "the watchdog ends it too early, 1008 cycles after"),
    "the watchdog counts a cycle more": (
        "plain", "watchdog", r"waits == 10'h3f0", "waits == 10'h3f1", WATCHDOG,
        "the watchdog has not ended it 1009 cycles after"),
    "the watchdog does not see what is offered": (
        "plain", "watchdog", r"works__t3 \| offered", "works__t3", WATCHDOG,
        "no input is taken any more: the watchdog has not ended it 1008 cycles"),
    "the watchdog does not see frames under way": (
        "plain", "watchdog", r"works__t3 \| offered", "offered", WATCHDOG,
        "no tile yields output any more: the watchdog has not ended it"),
    "the watchdog counts frames that never leave": (
        "plain", "watchdog", r"= ends & ends_last", "= 1'h0", WATCHDOG,
        "the watchdog ends it too early|nothing moves after whole frames: .* bits 1000"),
    "the watchdog counts every beat as a frame": (
        "plain", "watchdog", r"= came & came_last", "= came", WATCHDOG,
        "nothing moves .*: the core reports a fault where there is none, bits 1000"
        "|the watchdog ends it too early"),
    "the watchdog keeps its frames when it has expired": (
        "plain", "watchdog", r"(if \(expires\) begin\s+under_way__next = )\d+'h0+", r"\1under_way",
        WATCHDOG, "the watchdog ends it too early"),
    "the watchdog does not see a blocked output": (
        "plain", "watchdog", r"= ~ blocked", "= 1'h1", WATCHDOG,
        "no output is taken: the core reports a fault where there is none, bits 1000"),
    "the watchdog does not wait for weights": (
        "loadable", "watchdog", r"= ~ closed", "= 1'h1", WATCHDOG,
        "no weights are loaded: the core reports a fault where there is none, bits 1000"),
    "the watchdog does not reset the sequencer": (
        "plain", "core", r"\.expires\(expires\)(?=,\s+\.fault\(sequencer)", ".expires(1'h0)",
        WATCHDOG, "the watchdog ends it too early"),
    "a core that the watchdog has reset takes frames without weights": (
        "loadable", "core", r"\.expires\(expires\)(?=,\s+\.holds\(loader)", ".expires(1'h0)",
        WATCHDOG, "the core takes frames without weights"),
    "the watchdog is not told of": (
        "plain", "", r"\{ watchdog__expires, ", "{ 1'h0, ", WATCHDOG, "has not ended it"),
    "fault is always 0": (
        "plain", "", r"fault__next = fault__t1", "fault__next = 4'h0", {Job.COPY},
        "_copy is wrong: the core does not report it"),
    "fault does not stay": (
        "plain", "", r"= fault \| ", "= ", {Job.COPY}, "the report does not stay, bits 0000"),
    "a reset does not clear fault": (
        "plain", "", r"fault__next = 4'h0", "fault__next = fault", {Job.COPY},
        "the core reports a fault where there is none, bits 0010"),
    "two bits of fault are swapped": (
        "plain", "", r"watchdog__expires, core__faults \}",
        "watchdog__expires, core__faults[1], core__faults[2], core__faults[0] }", {Job.COPY},
        "_copy is wrong: the core reports something else, bits 0100"),
    "a bit of a copy is not compared": (
        "plain", "core", r"sequencer__tile != sequencer__tile_copy",
        "sequencer__tile[36:0] != sequencer__tile_copy[36:0]", {Job.COPY},
        "bit 37 of core.sequencer.tile_copy is wrong: the core does not report it"),
    "a copy is compared with itself": (
        "plain", "core", r"writer__half != ", "writer__half_copy != ", {Job.COPY},
        "bit 0 of core.writer.half_copy is wrong: the core does not report it"),
    "the parity of a row is left out": (
        "plain", "core_array_region_00", r", wrong_3_1, ", ", ", {Job.WORD},
        r"of .*weights_3.* is wrong: the core does not report it"),
    "the parity of biases is left out": (
        "plain", "core_array_region_00", r" \| fault__t3;", ";", {Job.WORD},
        r"of core.array.region_00.bias.* is wrong: the core does not report it"),
    "the parity of the program is left out": (
        "plain", "core_sequencer", r"fetched & fault__t3", "1'h0", {Job.WORD},
        "program_memory.*: the core "),
    "the parity of segments is left out": (
        "plain", "core_sequencer", r"fault((?:_copy)?)__t5 & fault\1__t6", "1'h0", {Job.WORD},
        "core.sequencer.segment_memory.*: the core (does not report it|reports something else)"),
}


#: Those that are planted for the exported bench, too.
EXPORTED = ["the parity of a row is left out", pytest.param(
    "the watchdog counts a cycle more", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def cores(tmp_path_factory):
    """The folders of CORES and their quantised networks."""
    made = {}
    for name, which in CORES.items():
        saved, folder = core(which), tmp_path_factory.mktemp(name) / "core"
        saved.save(folder)
        made[name] = (folder, saved.qnet)
    return made


def planted(cores, fault, folder):
    """A copy of the fault's core with the fault in it."""
    which, module, text, replacement, *_ = FAULTS[fault]
    shutil.copytree(cores[which][0], folder)
    path = folder / "rtl/gatefold.v"
    name = "_".join(filter(None, ("gatefold", module)))
    before, start, rest = path.read_text().partition(f"module {name}(")
    body, end, after = rest.partition("endmodule")
    body, found = re.subn(text, replacement, body)
    assert found, f"no place for {fault!r}"
    path.write_text(before + start + body + end + after)
    return folder


def played(folder, jobs, every=1):
    """What is found when the faults of ``jobs`` are played; of flips in memories every n-th."""
    info = load_core_info(folder)
    with VerilogCore(folder, info, "icarus") as compiled:
        compiled.play_faults([fault for n, fault in enumerate(chosen_faults(info, "verilator"))
                              if fault.job in {*jobs, Job.LEARN}
                              and (fault.job != Job.WORD or n % every == 0)])


@icarus
def test_without_a_mistake_every_fault_is_told_of(cores):
    folder, qnet = cores["plain"]
    result = check_core(folder, qnet, sim="icarus", samples=2)
    assert result.faults == len(chosen_faults(load_core_info(folder), "icarus")) > 100
    played(cores["loadable"][0], {*Job}, every=5)


@icarus
@pytest.mark.parametrize("options", [{"board": "zcu104", "memory": "uram"}, {"dies": 2}], ids=str)
def test_memories_of_other_kinds_are_told_of(tmp_path, options):
    gf.compile(network("stack"), pe=8, simd=3, protect=True, **options).save(tmp_path / "core")
    info = load_core_info(tmp_path / "core")
    assert info.guard is not None
    seen: set[int] = set()
    faults = [fault for fault in chosen_faults(info, "verilator") if fault.job == Job.WORD
              and not (fault.watched in seen or seen.add(fault.watched))]
    with VerilogCore(tmp_path / "core", info, "icarus") as compiled:
        compiled.play_faults([Fault(Job.LEARN), *faults])
    assert len(faults) == sum(item.depth > 0 for item in info.guard.watched) > 10


@icarus
@pytest.mark.parametrize("fault", FAULTS)
def test_verify_finds(cores, fault, tmp_path):
    *_, jobs, says = FAULTS[fault]
    with pytest.raises(CheckFailed, match=f"^faults: .*({says})"):
        played(planted(cores, fault, tmp_path / "core"), jobs, every=5)


@icarus
def test_verify_finds_a_bit_without_parity_in_memory_and_core(cores, tmp_path):
    folder = shutil.copytree(cores["plain"][0], tmp_path / "core")
    image, rtl = folder / "weights/weights_005.hex", folder / "rtl/gatefold.v"
    words = [int(word, 16) for word in image.read_text().split()]
    image.write_text("".join(f"{word ^ (word >> 3 & 1) << 24:x}\n" for word in words))
    text, found = re.subn(r"\^ (weights_5__data)", r"^ {\1[24:4], \1[2:0]}", rtl.read_text())
    assert found == 1 and any(word >> 3 & 1 for word in words)
    rtl.write_text(text)
    with pytest.raises(CheckFailed, match="faults: bit 3 of core.array.region_00.weights_5.*, word "
                       r"\d+ is wrong: the core does not report it"):
        played(folder, {Job.WORD})


@icarus
def test_verify_plays_faults_after_its_scenarios(cores, tmp_path):
    folder = planted(cores, "fault is always 0", tmp_path / "core")
    with pytest.raises(CheckFailed, match="^faults: "):
        check_core(folder, cores["plain"][1], sim="icarus", samples=2)


@icarus
@pytest.mark.parametrize(("text", "replacement"), [
    (r"engine_0__fault, ", "engine_0__fault[2:0], "),
    pytest.param(r"engine_1__fault, ", "", marks=pytest.mark.long)], ids=str)
def test_verify_finds_an_engine_whose_faults_end_no_descriptor(tmp_path, text, replacement):
    made = gf.compile(network("dense only"), width=8, pe=8, simd=3, host="axi", port="64",
                      engines=2, protect=True)
    made.save(tmp_path / "core")
    path = tmp_path / "core/rtl/gatefold_host.v"
    verilog, found = re.subn(f"(assign wrong = .*){text}", rf"\1{replacement}", path.read_text())
    assert found == 1
    path.write_text(verilog)
    frames = seeded_inputs(made.qnet, 3, 1).reshape(3, -1)
    host = json.loads((tmp_path / "core/core.json").read_text())["host"]
    with (registers_bench(tmp_path / "core", made.plan, load_core_info(tmp_path / "core"), host,
                          frames, expectation(made.qnet, frames, 1), "icarus") as bench,
          pytest.raises(CheckFailed, match="expected .* in ERROR, got 0$")):
        bench.check()


@icarus
@pytest.mark.parametrize("fault", EXPORTED)
def test_the_exported_bench_finds(cores, fault, tmp_path):
    folder = planted(cores, fault, tmp_path / "core")
    done = subprocess.run([sys.executable, "run.py", "--sim", "icarus", "--test", "faults"],
                          cwd=folder / "cocotb", capture_output=True, text=True)
    assert done.returncode and "AssertionError" in done.stdout, done.stdout[-2000:]
