"""What a net of a core drives, and whether that lies in one region of rows."""


import pytest

from gatefold.gen.plan import Array, make_plan
from gatefold.gen.synth.fanout import fan_out, loads_of, offenders
from gatefold.gen.synth.nets import Nets
from gatefold.hdl.config import REGION
from tests.support.networks import quantized


def cell(kind: str, ins: dict, outs: dict, **parameters) -> dict:
    return {"type": kind, "parameters": parameters, "connections": ins | outs,
            "port_directions": dict.fromkeys(ins, "input") | dict.fromkeys(outs, "output")}


def netlist(cells: dict, names: dict, inputs: tuple[int, ...] = ()) -> dict:
    """A netlist as Yosys writes it; ``names``: of nets, with their bits."""
    return {"cells": cells, "netnames": {name: {"bits": bits} for name, bits in names.items()},
            "ports": {f"in_{bit}": {"direction": "input", "bits": [bit]} for bit in inputs}}


def register(d: int | str, q: int) -> dict:
    return cell("$dff", {"D": [d], "CLK": [0]}, {"Q": [q]})


def rows(count: int, bit: int, first: int = 0) -> dict:
    """A register in each of ``count`` rows, driven by ``bit``."""
    return {f"core.array.row_{n}.a_0": register(bit, 1000 + n)
            for n in range(first, first + count)}


def the(nets, name: str):
    return next(net for net in nets if net.name == name)


@pytest.mark.parametrize(("count", "regions"), [(1, 1), (REGION, 1), (REGION + 1, 2), (64, 4)])
def test_a_register_may_drive_the_rows_of_a_region(count, regions):
    nets = loads_of(netlist({"hub": register(1, 2), **rows(count, 2)}, {"wide": [2]}, (1,)))
    wide = the(nets, "wide")
    assert (wide.driver, wide.pins, wide.rows, wide.regions) == ("register", count, count, regions)
    assert offenders(nets) == ([wide] if regions > 1 else [])


def test_rows_of_two_regions_are_two_even_if_few():
    nets = loads_of(netlist({"hub": register(1, 2), **rows(2, 2, first=REGION - 1)}, {"wide": [2]}))
    assert the(nets, "wide").rows == 2 and offenders(nets) == [the(nets, "wide")]


def test_a_tree_of_registers_has_its_loads_in_registers():
    tree = {"hub": register(1, 2)} | {f"relay_{n}": register(2, 10 + n) for n in range(4)}
    leaves = {name: load for n in range(4)
              for name, load in rows(REGION, 10 + n, first=n * REGION).items()}
    names = {"hub": [2]} | {f"relay_{n}": [10 + n] for n in range(4)}
    nets = loads_of(netlist(tree | leaves, names))
    assert offenders(nets) == []
    assert (the(nets, "hub").rows, the(nets, "hub").stations) == (0, 4)
    assert (the(nets, "relay_2").rows, the(nets, "relay_2").regions) == (REGION, 1)


def test_logic_that_is_broadcast_is_the_offender_and_not_what_it_reads():
    decode = cell("$eq", {"A": [2], "B": ["1"]}, {"Y": [3]})
    nets = loads_of(netlist({"hub": register(1, 2), "decode": decode, **rows(32, 3)},
                            {"code": [2], "decoded": [3]}))
    assert [(net.name, net.driver) for net in offenders(nets)] == [("decoded", "logic")]


def test_logic_of_a_region_lies_there_and_what_it_reads_must_not_be_shared():
    decodes = {f"decode_{n}": cell("$eq", {"A": [2], "B": ["1"]}, {"Y": [3 + n]}) for n in range(2)}
    nets = loads_of(netlist({"hub": register(1, 2), **decodes, **rows(16, 3), **rows(16, 4, 16)},
                            {"code": [2]}))
    assert [net.name for net in offenders(nets)] == ["code"]


def test_a_memory_for_several_regions_lies_in_all_of_them():
    memory = cell("gatefold_rom", {"addr": [2]}, {"data": [3, 4]}, WIDTH=2, DEPTH=128,
                  STYLE="distributed")
    nets = loads_of(netlist({"hub": register(1, 2), "bias": memory, **rows(1, 3), **rows(1, 4, 16)},
                            {"address": [2]}))
    assert [(net.name, net.pins) for net in offenders(nets)] == [("address", 4)]


def test_a_control_drives_a_pin_for_each_bit():
    enabled = cell("$dffe", {"D": [2, 3], "EN": [4], "CLK": [0]}, {"Q": [5, 6]})
    chosen = cell("$mux", {"A": [5, 6], "B": [2, 3], "S": [4]}, {"Y": [7, 8]})
    nets = loads_of(netlist({"r": enabled, "m": chosen}, {"enable": [4], "d": [2, 3]}))
    assert the(nets, "enable").pins == 4 and the(nets, "d").pins == 2


def test_of_a_net_its_worst_bit_is_told():
    nets = loads_of(netlist({"r": register(2, 5), **rows(3, 3)}, {"word": [2, 3]}))
    assert (the(nets, "word").pins, the(nets, "word").rows) == (3, 3)


def test_pins_inside_a_module_that_stays_one():
    module = netlist({"a": register(2, 5), "b": register(2, 6), "c": register(3, 7)}, {})
    module["ports"] = {"d": {"direction": "input", "bits": [2, 3, 4]}}
    inside = Nets(module).pins_inside()
    assert inside == {"d": [2, 1, 0]}
    core = netlist({"row": cell("gatefold_row", {"d": [8, 9, 10]}, {})}, {"n": [8, 9, 10]})
    assert [net.pins for net in loads_of(core, {"gatefold_row": inside})] == [2]


def crossing(registers: int, *, logic: bool = False) -> list:
    """Offenders between die 0 and a row of die 1, with two registers to a border."""
    way = {f"core.way_{n}": register(2 + n, 3 + n) for n in range(registers)}
    last = 2 + registers
    if logic:
        way["core.inverter"] = cell("$not", {"A": [last]}, {"Y": [50]})
        last = 50
    cells = {"core.lanes_0.h": register("0", 2), **way, "core.array_1.row_0.a": register(last, 99)}
    return [net.name for net in offenders(loads_of(netlist(cells, {"end": [last]}),
                                                   dies=2, cross=2))]


@pytest.mark.parametrize(("registers", "logic", "found"), [
    (2, False, []), (3, False, []), (1, False, ["end"]), (0, False, ["end"]), (2, True, ["end"])])
def test_a_crossing_has_its_registers_and_no_logic_behind_them(registers, logic, found):
    assert crossing(registers, logic=logic) == found


def test_rows_of_two_dies_lie_in_two_regions():
    cells = {"hub": register(1, 2), "core.array_0.row_0.a": register(2, 5),
             "core.array_1.row_0.a": register(2, 6)}
    assert the(loads_of(netlist(cells, {"wide": [2]})), "wide").regions == 2


@pytest.mark.parametrize(("network", "pe", "simd", "options"), [
    ("lstm-dense", 48, 2, {}),
    pytest.param("gru", 64, 3, {"loadable": True}, marks=pytest.mark.long)])
def test_the_registers_of_a_core_drive_one_region_each(network, pe, simd, options, tmp_path):
    array = Array(pe=pe, simd=simd, reach=1, gather=1)
    nets = fan_out(make_plan(quantized(network), array, **options), cache=tmp_path)
    assert offenders(nets) == []
    assert max(net.rows for net in nets) == REGION and len({net.name for net in nets}) > 1000


def test_the_dies_of_a_core_are_reached_through_registers(tmp_path):
    array = Array(pe=48, simd=2, reach=1, gather=1, dies=3, cross=2)
    found = offenders(fan_out(make_plan(quantized("lstm-dense"), array), cache=tmp_path))
    assert found == []
