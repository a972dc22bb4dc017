"""README, ARCHITECTURE and the other pages agree with the code."""

import importlib.util
import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.cli import main
from gatefold.gen.host.config import host_config
from gatefold.gen.host.cycles import HostCycles
from gatefold.gen.host.latency import latency_budget
from gatefold.gen.plan.latency import latencies
from gatefold.hdl.config import PIPELINES
from tests.support.places import ROOT
from tests.support.tools import tool

PAGES = [path for pattern in ("*.md", "docs/**/*.md", "models/**/*.md")
         for path in sorted(ROOT.glob(pattern))]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def load_demo():
    spec = importlib.util.spec_from_file_location("gatefold_demo", ROOT / "tools/demo.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo():
    return load_demo()


@pytest.fixture(scope="module")
def shipped(demo):
    """The shipped model on the ZCU104, calibrated."""
    folder = ROOT / demo.MODEL
    with np.load(folder / "calibration.npz") as calibration:
        return gf.compile(gf.load(folder / "lstm-dense.keras"), board="zcu104",
                          calibrate=calibration["x"])


# ---- links, paths, commands --------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    broken = [target for target in targets
              if "://" not in target and not (page.parent / target).exists()]
    assert not broken


def test_files_of_the_code_map_exist():
    rows = [line for line in read("ARCHITECTURE.md").splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`((?:hdl|gen|sim|boards|docs)/[^`: ]+)`",
                                                        row)}
    assert len(named) > 20
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def shell_lines():
    for page in PAGES:
        for block in re.findall(r"```\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                yield page.name, line.split(" #")[0].strip()


def test_gatefold_commands_in_the_pages_exist(demo):
    lines = [line for _, line in shell_lines() if line.startswith("gatefold ")]
    assert len(lines) >= 7
    for line in [*lines, *demo.COMMANDS]:
        _, name, *arguments = shlex.split(line)
        known = {option for parameter in main.commands[name].params for option in parameter.opts}
        assert {word for word in arguments if word.startswith("-")} <= known, line


def test_make_targets_in_the_pages_exist():
    # Of the repository, and of the folders that a build writes.
    files = ("Makefile", "gen/host/driver/Makefile", "boards/zynqmp_files/Makefile")
    targets = {found for file in files
               for found in re.findall(r"^([a-z]+):", read(file), re.MULTILINE)}
    listed = {found for page in PAGES for found in re.findall(r"`make ([a-z]+)`", page.read_text())}
    assert {"demo", "test", "setup", "long"} <= listed
    assert listed <= targets


# ---- figures -----------------------------------------------------------------------------------


def test_the_tail_in_the_architecture_is_the_plans():
    text = read("ARCHITECTURE.md")
    simd = int(re.findall(r"<!-- tail: simd=(\d+) -->", text)[0])
    rows = re.findall(r"^\| ([\d, .]+) \| ([\d, .]+) \| (.*?) \|", text.split("<!-- tail")[1],
                      re.MULTILINE)
    tails = next(cycles for *cycles, what in rows if "the **tail**" in what)
    sums = next(cycles for *cycles, what in rows if what == "accumulator")
    outputs = re.findall(r"at the output memory in cycle (\d+) \(short: (\d+)\)", text)[0]
    core = gf.compile(gf.initialise(units=4, features=2, timesteps=2, dense=1), pe=16, simd=4)
    for pipeline, *listed in zip(PIPELINES, tails, sums, outputs, strict=True):
        distance = latencies(replace(core.plan.config, simd=simd, pipeline=pipeline))
        assert list(map(int, listed)) == [distance.tail, distance.array, distance.output]


def test_the_latency_budget_is_that_of_the_shipped_model(shipped):
    cycles = HostCycles(shipped.plan, host_config(shipped.plan))
    table = "\n".join(tool("tools/host", "latency").table(
        latency_budget(cycles, shipped.clock_mhz)))
    page = read("docs/latency.md")
    assert table in page, table
    assert f"{cycles.frames(32):,} cycles (planned" in page


def test_the_readme_shows_what_the_demo_prints(demo, shipped):
    """Everything but the simulation, which ``make demo`` does."""
    with np.load(ROOT / demo.MODEL / "test.npz") as test:
        found = shipped.report(), shipped.run(test["x"]), dict(test)
    shown = [line for line in demo.in_readme(read("README.md")).splitlines()
             if "Verilog = golden" not in line]
    assert shown == demo.summary(*found).splitlines(), "run tools/demo.py --readme"
    whole = "".join(cell for column in demo.table(*found, json.loads(read(
        "tools/published.json"))).columns for cell in column.cells)
    assert f"{found[0]['cycles']['latency']:,} cycles" in whole


def test_the_picture_in_the_readme_is_of_that_core(demo):
    text = demo.PICTURE.read_text()
    assert "docs/schedule.svg" in read("README.md") and len(text) < 60_000
    drawn, = re.findall(r"(\d+) cycles from the first input beat to the last output beat", text)
    assert f"({int(drawn):,} cycles)" in demo.in_readme(read("README.md"))


@pytest.mark.long
def test_the_readme_shows_the_whole_demo(demo):
    found = demo.build_and_verify()
    assert demo.in_readme(read("README.md")) == demo.summary(*found)
    page = (ROOT / demo.CORE / "report.html").read_text()
    assert demo.picture(page) == demo.PICTURE.read_text()
