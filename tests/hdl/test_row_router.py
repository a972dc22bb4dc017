"""RowRouter: the row at each lane in each beat, for every rotation and kind."""

import numpy as np
import pytest

from gatefold.hdl.isa import beat_layout, finish_layout
from gatefold.hdl.row_router import RowRouter
from tests.support.hdl_harness import DENSE_KIND, LSTM_KIND, draw, record, small

KINDS = (LSTM_KIND, DENSE_KIND)


def routes_for(slots, simd):
    """As the plan lists: for every rotation its ways from slots to lanes, and where each begins."""
    routes, first = [], {}
    for rotation in range(simd):
        first[rotation] = len(routes)
        routes += [b * simd - rotation for b in range(-(-(rotation + slots) // simd))]
    return tuple(routes), first


def router(pe, simd, kinds=KINDS):
    routes, first = routes_for(pe // 4, simd)
    config = small(pe=pe, simd=simd, kinds=kinds, routes=routes, h_depth=32, cell_depth=16,
                   out_row=3 * simd, out_rows=10, max_beats=4 * len(routes), acc_width=16)
    return RowRouter(config), config, first


def random_events(rng, config, first, count):
    """Finishes of either kind, of every rotation, as many beats as fit: (cycle, fields)."""
    slots, simd = config.slots, config.simd
    events, now = [], 0
    for _ in range(count):
        kind = int(rng.integers(len(config.kinds)))
        span = 4 if config.kinds[kind] is DENSE_KIND else 1
        rotation = int(rng.integers(simd))
        ways = -(-(rotation + slots) // simd)
        beats = int(rng.integers(1, span * ways + 1))
        events.append((now, {
            "kind": kind, "route": first[rotation], "beats": beats - 1,
            "cell": int(rng.integers(16 - ways)) if span == 1 else 0,
            "fresh": int(rng.integers(2)), "to_h": int(rng.integers(2)),
            "h": int(rng.integers(4)), "to_out": int(rng.integers(2)),
            "out": int(rng.integers(4)), "complete": int(rng.integers(2)),
            "frame": int(rng.integers(2)), "h_step": 0, "out_step": 0}))
        now += beats + (int(rng.integers(1, 6)) if rng.random() < 0.4 else 0)
    return events


def expected_beats(event, config):
    """The fields of each beat of an event, and the slot that each lane gets."""
    dense = config.kinds[event["kind"]] is DENSE_KIND
    span = 4 if dense else 1
    beats = event["beats"] + 1
    for beat in range(beats):
        way = beat // span
        slot = config.routes[event["route"] + way] + np.arange(config.simd)
        holds = (slot >= 0) & (slot < config.slots)
        on_last_way = way == (beats - 1) // span
        yield {
            "kind": event["kind"], "dense": int(dense),
            "lanes": int(holds @ (1 << np.arange(config.simd))),
            "fresh": event["fresh"], "to_h": event["to_h"], "h": event["h"] + beat,
            "to_out": event["to_out"], "out": event["out"] + beat, "frame": event["frame"],
            "complete": int(not on_last_way or event["complete"]),
            **({"gate": beat % 4} if dense else {"cell": event["cell"] + beat}),
        }, slot, holds


# pe, simd: slots a multiple of the lanes, the reverse, neither, one of either
ARRAYS = [(16, 2), (8, 4), (12, 2), (8, 3), (20, 3), (4, 1), (4, 3), (16, 1)]


@pytest.mark.parametrize("kinds", [KINDS, (LSTM_KIND,), (DENSE_KIND,)],
                         ids=["both", "lstm", "dense"])
@pytest.mark.parametrize(("pe", "simd"), ARRAYS)
def test_every_lane_gets_its_rows(pe, simd, kinds):
    dut, config, first = router(pe, simd, kinds)
    rng = np.random.default_rng(pe * 10 + simd)
    events = random_events(rng, config, first, 40)
    length = events[-1][0] + events[-1][1]["beats"] + 1
    acc = draw(rng, 16, (length, pe))  # the array goes on: rows change in every cycle
    valid = np.zeros(length, int)
    idle = {name: 0 for name, _ in finish_layout(config)}
    finishes = [{name: int(rng.integers(2)) for name in idle}] * length  # noise
    for at, event in events:
        valid[at], finishes[at] = 1, event
    fields = [name for name, _ in beat_layout(config)]
    lanes = [f"routed.z[{lane}][{gate}]" for lane in range(simd) for gate in range(4)]
    seen = record(dut, {"rows.valid": [*valid, 0], "rows.finish": finishes}
                  | {f"rows.acc[{row}]": acc[:, row] for row in range(pe)},
                  ["routed.valid", *[f"routed.beat.{name}" for name in fields], *lanes],
                  cycles=length + RowRouter.latency)
    z = np.stack([seen[name] for name in lanes], axis=1).reshape(-1, simd, 4)

    beat_cycles = []
    for at, event in events:
        for n, (fields, slot, holds) in enumerate(expected_beats(event, config)):
            cycle = at + n + RowRouter.latency
            beat_cycles.append(cycle)
            assert {name: seen[f"routed.beat.{name}"][cycle] for name in fields} == fields, (at, n)
            rows = acc[at].reshape(-1, 4)  # of the cycle of the finish, in every beat
            np.testing.assert_array_equal(z[cycle][holds], rows[slot[holds]])
    np.testing.assert_array_equal(np.flatnonzero(seen["routed.valid"]), beat_cycles)


def test_without_several_beats_nothing_is_copied():
    config = small(pe=8, simd=2, routes=(0,), max_beats=1, acc_width=16)
    acc = draw(np.random.default_rng(0), 16, (20, 8))
    lanes = [f"routed.z[{lane}][{gate}]" for lane in range(2) for gate in range(4)]
    seen = record(RowRouter(config), {"rows.valid": np.ones(20)}
                  | {f"rows.acc[{row}]": acc[:, row] for row in range(8)},
                  ["routed.valid", "routed.beat.lanes", "routed.beat.complete", *lanes], cycles=21)
    z = np.stack([seen[name] for name in lanes], axis=1)
    np.testing.assert_array_equal(z[1:], acc)
    assert (seen["routed.beat.lanes"][1:] == 3).all()
    assert seen["routed.valid"].tolist() == [0] + [1] * 20
    assert not seen["routed.beat.complete"].any()


def test_latency_is_one():
    assert RowRouter.latency == 1
