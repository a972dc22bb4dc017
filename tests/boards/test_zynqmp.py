"""The ZCU104 package: Tcl against a recorder, device trees through dtc, recipes through oelint."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from amaranth.lib.wiring import In

from gatefold.boards import get
from gatefold.boards.zynqmp import VIVADO, YOCTO, write_zynqmp
from gatefold.gen.host.config import host_config
from gatefold.gen.plan import Array, make_plan
from gatefold.hdl.host.registers import MAP
from gatefold.hdl.host.top import HostTop
from tests.support.networks import quantized
from tests.support.places import ROOT

RECORDER = ROOT / "tests/support/vivado_design_recorder.tcl"
REFUSED = 97

needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
needs_dtc = pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed: apt-get "
                               "install device-tree-compiler")

def stub() -> str:
    """A module with the ports of a core with registers."""
    plan = make_plan(quantized("lstm-dense"), Array(pe=8, simd=2, stream_bits=128))
    ports = [f"  {'input' if port.flow is In else 'output'} [{port.width - 1}:0] {port.name}"
             for port in HostTop.ports(host_config(plan))]
    return "\n".join(["module gatefold_host(", ",\n".join(["  input clk", "  input rst", *ports]),
                      ");", "endmodule", ""])


STUB = stub()


def generate(folder: Path, **changes) -> Path:
    """An output folder with the package and a stub of the core; the package's folder."""
    for name, text in {"rtl/gatefold_host.v": STUB, "weights/l0.hex": "0\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    settings = dict(board=get("zcu104"), verilog_files=["gatefold_host.v"], memory_files=["l0.hex"],
                    clock_mhz=300.0, port_bits=128, load_bytes=0, build_hash=0x0123456789ABCDEF,
                    version="0.1.0") | changes
    write_zynqmp(folder / "zcu104", **settings)  # type: ignore[arg-type]
    return folder / "zcu104"


def execute(package: Path, script: str, **model) -> SimpleNamespace:
    log = package.parent / f"{script}.jsonl"
    words = [str(word) for pair in model.items() for word in pair]
    done = subprocess.run(["tclsh", RECORDER, package / script, log, *words], cwd="/",
                          capture_output=True, text=True, timeout=60, check=False)
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr, calls=calls)


def calls_of(run, command: str) -> list[list[str]]:
    return [call["args"] for call in run.calls if call["command"] == command]


# ---- Vivado ------------------------------------------------------------------------------------


@needs_tclsh
def test_the_core_becomes_an_ip(tmp_path):
    package = generate(tmp_path)
    run = execute(package, "package_ip.tcl")
    assert (run.code, run.err) == (0, "")
    copied = (package / "build/ip/src/gatefold_host.v").read_text()
    assert f'`define GATEFOLD_WEIGHTS "{tmp_path}/weights"' in copied and copied.endswith(STUB)


@needs_tclsh
def test_the_design(tmp_path):
    package = generate(tmp_path)
    execute(package, "package_ip.tcl")
    run = execute(package, "project.tcl")
    assert (run.code, run.err) == (0, "")
    assert {path.name for path in (package / "output").iterdir()} == {
        "gatefold.bit", "gatefold.hwh", "gatefold.xsa"}
    board = get("zcu104")
    assert board.host is not None
    (project,) = calls_of(run, "create_project")
    assert project[-1] == board.part
    assert calls_of(run, "get_board_parts") == [["-quiet", board.host.board_part]]
    control, memory = calls_of(run, "assign_bd_address")
    assert int(control[control.index("-offset") + 1], 0) == board.host.control_base
    assert int(control[control.index("-range") + 1], 0) >= 1 << MAP.address_bits
    assert memory[memory.index("-range") + 1] == "2G"
    (system,) = (args for args in calls_of(run, "set_property") if args[-1] == "ps")
    settings = system[1].split()
    pairs = dict(zip(settings[::2], settings[1::2], strict=True))
    assert pairs["CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"] == "300"
    assert pairs["CONFIG.PSU__SAXIGP2__DATA_WIDTH"] == "128"


@needs_tclsh
def test_timing_that_is_not_met_is_an_error(tmp_path):
    package = generate(tmp_path)
    execute(package, "package_ip.tcl")
    run = execute(package, "project.tcl", wns=-0.1)
    assert run.code == 1 and "timing not met" in run.out


@needs_tclsh
@pytest.mark.parametrize(("script", "model", "message"), [
    ("project.tcl", {}, "run make ip first"),
    ("package_ip.tcl", {"parts": "none"}, f"this Vivado ({VIVADO}) has no part"),
    ("project.tcl", {"board_parts": "none"}, "no board files xilinx.com:zcu104:part0:1.1"),
])
def test_what_is_missing_is_said(tmp_path, script, model, message):
    package = generate(tmp_path)
    if "board_parts" in model:
        execute(package, "package_ip.tcl")
    run = execute(package, script, **model)
    assert run.code == REFUSED and message in run.err


@needs_tclsh
def test_a_folder_that_verilog_cannot_name(tmp_path):
    folder = tmp_path / "my core"
    folder.mkdir()
    run = execute(generate(folder), "package_ip.tcl")
    assert run.code == REFUSED and "has a name that Verilog cannot state" in run.err


#: Mistakes that the recorder must refuse: (file, pattern, replacement, the refusal).
MUTANTS = [
    ("package_ip.tcl", r"-root_dir", "-rootdir", "unknown option -rootdir"),
    ("package_ip.tcl", r"ACTIVE_HIGH", "ACTIVE_LOW", "polarity is not stated"),
    ("package_ip.tcl", r"-busif m_axi_gmem", "-busif m_axi_mem", "no interface m_axi_mem"),
    ("package_ip.tcl", r"top gatefold_host", "top gatefold_hosts", "no module gatefold_hosts"),
    ("project.tcl", r"connect_bd_net \[get_bd_pins gatefold/interrupt.*\n", "",
     "ps/pl_ps_irq0 is not connected"),
    ("project.tcl", r"PSU__USE__IRQ0", "PSU__USE__IRQ", "no property"),
    ("project.tcl", r"memory/M00_AXI", "memory/M01_AXI", "no such pin"),
    ("project.tcl", r"gatefold:core", "gatefolds:core", "no such IP"),
    ("project.tcl", r"    gatefold/clk\n", "", "gatefold/clk is not connected"),
    ("project.tcl", r"HP0_DDR_LOW", "HP0_DDR_MID", "there is no"),
]


@needs_tclsh
@pytest.mark.parametrize(("name", "pattern", "replacement", "refusal"), MUTANTS)
def test_the_recorder_refuses(tmp_path, name, pattern, replacement, refusal):
    package = generate(tmp_path)
    if name == "project.tcl":
        execute(package, "package_ip.tcl")
    path = package / name
    mutant, count = re.subn(pattern, lambda _: replacement, path.read_text(), count=1)
    assert count == 1, "the mutation no longer applies"
    path.write_text(mutant)
    run = execute(package, name)
    assert run.code == REFUSED and refusal in run.err


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_without_vivado_says_so(tmp_path):
    done = subprocess.run(["make", "-C", generate(tmp_path), "VIVADO=no-such-vivado"], text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith("no-such-vivado is not on PATH: source Vivado's settings64.sh")


# ---- device trees ------------------------------------------------------------------------------

#: A board's tree, as little of it as the overlay and the static part refer to.
BASE = """\
/dts-v1/;
/ {
	#address-cells = <2>;
	#size-cells = <2>;
	gic: interrupt-controller { #interrupt-cells = <3>; interrupt-controller; phandle = <1>; };
	zynqmp_reset: reset-controller { #reset-cells = <1>; };
	fpga_full: fpga-full { compatible = "fpga-region"; };
};
"""


def property_of(tree: str, name: str) -> str:
    return re.findall(rf"\b{name} = ([^;]+);", tree)[0]


@needs_dtc
def test_device_trees(tmp_path):
    linux = generate(tmp_path) / "linux"
    (tmp_path / "board.dts").write_text(BASE)
    (tmp_path / "static.dts").write_text(BASE + (linux / "gatefold.dtsi").read_text())
    host = get("zcu104").host
    assert host is not None

    def dtc(*words) -> str:
        done = subprocess.run(["dtc", *map(str, words)], cwd=tmp_path, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dtc("-@", "-O", "dtb", "-o", "board.dtb", "board.dts")
    dtc("-@", "-O", "dtb", "-o", "core.dtbo", linux / "gatefold.dtso")
    subprocess.run(["fdtoverlay", "-i", "board.dtb", "-o", "both.dtb", "core.dtbo"], cwd=tmp_path,
                   check=True, timeout=60)
    for tree in (dtc("-I", "dtb", "-O", "dts", "both.dtb"), dtc("-O", "dts", "static.dts")):
        numbers = [int(word, 0) for word in property_of(tree, "reg").strip("<>").split()]
        assert numbers == [0, host.control_base, 0, 0x10000]
        assert property_of(tree, "interrupts").split()[1] == f"{host.interrupt:#x}"
        assert '"generic-uio"' in tree and '"ikwzm,u-dma-buf"' in tree
        assert property_of(tree, "device-name") == '"gatefold0-buffer"'


def test_the_buffer_holds_the_weights(tmp_path):
    text = (generate(tmp_path, load_bytes=30 << 20) / "linux/gatefold.dtso").read_text()
    assert int(property_of(text, "size").strip("<>"), 0) >= 60 << 20


@needs_dtc
def test_dtschema_accepts_the_nodes(tmp_path):
    """All but the properties of generic-uio and u-dma-buf, which have no schema."""
    if shutil.which("dt-validate", path=f"{ROOT}/.venv/bin") is None:
        pytest.skip("dtschema is not installed: make host-check")
    (tmp_path / "static.dts").write_text(
        BASE + (generate(tmp_path) / "linux/gatefold.dtsi").read_text())
    subprocess.run(["dtc", "-O", "dtb", "-o", "static.dtb", "static.dts"], cwd=tmp_path, check=True,
                   capture_output=True, timeout=60)
    done = subprocess.run([ROOT / ".venv/bin/dt-validate", "static.dtb"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=120, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "gatefold" in line]
    assert {line.split(": ")[2] for line in ours} == {"linux,uio-name", "device-name", "sync-mode"}


# ---- Yocto and PYNQ ----------------------------------------------------------------------------


#: Rules of oelint that this layer breaks on purpose.
NOT_FOR_US = (
    "oelint.var.mandatoryvar.HOMEPAGE",  # the project has none
    "oelint.vars.specific",  # the machine is of the vendor's layer, which oelint does not see
    "oelint.vars.noncoreoverride",  # the layer is of one machine
    "oelint.vars.homepageping",  # asks the network
)


def test_recipes(tmp_path):
    oelint = shutil.which("oelint-adv", path=f"{ROOT}/.venv/bin")
    if oelint is None:
        pytest.skip("oelint-adv is not installed: pip install oelint-adv")
    layer = generate(tmp_path) / "meta-gatefold"
    recipes = sorted(layer.rglob("*.bb")) + sorted(layer.rglob("*.bbappend"))
    assert len(recipes) == 4
    done = subprocess.run([oelint, "--quiet", f"--release={YOCTO}",
                           *(f"--suppress={rule}" for rule in NOT_FOR_US), *recipes],
                          text=True, capture_output=True, timeout=120, check=False)
    assert ":error:" not in done.stdout + done.stderr, done.stdout + done.stderr


def installed(module: str) -> None:
    """Skip where a tool of `make host-check` is missing."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: make host-check")


def test_bitbake_parses_the_layer(tmp_path):
    installed("bb")
    package = generate(tmp_path)
    (tmp_path / "stubs").mkdir()
    done = subprocess.run(
        [sys.executable, ROOT / "tests/support/bitbake.py", package / "meta-gatefold",
         tmp_path / "stubs"], text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    recipes = json.loads(done.stdout)
    sources = {name: recipe["SRC_URI"].split() for name, recipe in recipes.items()}
    assert sources["gatefold"] == ["file://driver"]
    assert sources["gatefold-firmware"] == [
        "file://gatefold.bit", "file://gatefold.dtbo", "file://shell.json"]
    assert sources["linux-xlnx"] == ["file://theirs.cfg", "file://gatefold.cfg"]
    assert sources["u-dma-buf"][0].startswith("git://github.com/ikwzm/udmabuf.git;")
    assert recipes["gatefold"]["RDEPENDS:gatefold"] == "u-dma-buf"
    searched = {Path(name).resolve() for recipe in recipes.values()
                for name in recipe["FILESEXTRAPATHS"].split(":") if name}
    layer = package / "meta-gatefold"
    assert searched == {tmp_path, package / "output", package / "linux",
                        layer / "recipes-kernel/linux/files"}


def test_kas_knows_what_its_file_says(tmp_path):
    for module in ("kas", "jsonschema", "yaml"):
        installed(module)
    check = ("import sys, jsonschema, yaml, kas.configschema as schema; "
             "jsonschema.validate(yaml.safe_load(open(sys.argv[1])), schema.CONFIGSCHEMA)")
    subprocess.run([sys.executable, "-c", check, generate(tmp_path) / "meta-gatefold/kas.yml"],
                   check=True, timeout=120)


def test_files_that_programs_read(tmp_path):
    package = generate(tmp_path)
    shell = json.loads((package / "linux/shell.json").read_text())
    assert shell["shell_type"] == "PL_FLAT"
    notebook = json.loads((package / "pynq/gatefold.ipynb").read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "notebook", "exec")
    compile((package / "pynq/gatefold_overlay.py").read_text(), "overlay", "exec")


def test_no_placeholder_is_left_and_bytes_depend_on_the_arguments_alone(tmp_path):
    one, two = generate(tmp_path / "one"), generate(tmp_path / "two")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert Path("meta-gatefold/recipes-core/gatefold/gatefold_0.1.0.bb") in files
    for name in files:
        text = (one / name).read_text("ascii")
        assert text == (two / name).read_text("ascii") and str(tmp_path) not in text
        assert not re.search(r"@(title|part|board|mhz|hash|version|vivado|yocto|control)", text)


def test_a_board_without_a_processing_system(tmp_path):
    with pytest.raises(ValueError, match=r"zcu104 has no \[host\]"):
        generate(tmp_path, board=replace(get("zcu104"), host=None))
