"""Registers for distance: the model against published wires, and what follows for cores."""

import dataclasses

import pytest

import gatefold as gf
from gatefold.boards import get
from gatefold.gen.errors import UserError
from gatefold.gen.network.initialise import initialise
from gatefold.gen.plan import Array, Budget, distance, make_plan
from gatefold.gen.plan.amounts import Resources
from gatefold.gen.plan.distance import Site, Stages, route_ns
from gatefold.gen.plan.drafts import made_to_fit
from gatefold.gen.plan.placing import fit
from gatefold.gen.plan.sizing import choose_array
from tests.support.networks import quantized

#: An ideal route with the terms at its ends, computed from RapidWright's terms (docs/boards.md):
#: (board, part of a die's width, of its height, nanoseconds).
ROUTES = {
    "ZU7EV, centre to corner": ("zcu104", 0.5, 0.5, 2.30),
    "ZU7EV, a quadrant's hub to its corner": ("zcu104", 0.25, 0.25, 1.43),
    "XCU280, one die, centre to corner": ("u280", 0.5, 0.5, 2.83),
    "XCU280, three dies without the crossings": ("u280", 0.5, 1.5, 4.60),
    "XCU280, a hub of 2 x 2 clock regions": ("u280", 1 / 8, 1 / 4, 1.38),
}


@pytest.mark.parametrize("name", ROUTES)
def test_the_model_gives_the_published_routes(name):
    board, width, height, published = ROUTES[name]
    ns = distance._ALWAYS + route_ns(get(board).dies[0], width, height)
    assert ns == pytest.approx(published, rel=0.03)


#: A core of so many DSP slices and columns at a clock: its levels of registers.
CORES = [
    ("zcu104", 1600, 6, 300, Stages(reach=1, gather=1)),
    ("zcu104", 1600, 6, 200, Stages(reach=0, gather=0)),
    ("zcu104", 1600, 6, 450, Stages(reach=2, gather=2)),
    ("zcu104", 800, 6, 300, Stages(reach=0, gather=0)),  # half of the device
    ("zcu104", 100, 4, 300, Stages(reach=0, gather=0)),  # lies in a clock region or two
    ("kv260", 1152, 6, 300, Stages(reach=1, gather=1)),
    ("kv260", 1152, 6, 250, Stages(reach=0, gather=0)),
    ("zcu102", 2400, 6, 300, Stages(reach=1, gather=1)),
    ("u280", 2700, 32, 300, Stages(reach=1, gather=1)),
    ("u55c", 2700, 16, 300, Stages(reach=1, gather=1)),
    ("zcu104", 1600, 6, 560, None),  # a clock that no levels keep
]


def site(board, dsp, simd, dies=1):
    return Site.of(Resources(dsp=dsp * dies), simd, get(board), dies)


@pytest.mark.parametrize(("board", "dsp", "simd", "clock", "stages"), CORES)
def test_stages(board, dsp, simd, clock, stages):
    assert site(board, dsp, simd).stages(clock) == stages


@pytest.mark.parametrize(("dies", "clock", "cross"), [
    (1, 300, 0), (2, 300, 2),  # a register on either side of the crossing
    (3, 300, 2), (3, 400, 3),  # at 400 MHz one more on the way through the die between
])
def test_registers_of_a_crossing(dies, clock, cross):
    assert site("u280", 2700, 32, dies).stages(clock).cross == cross


@pytest.mark.parametrize("board", ["zcu104", "u55c"])
def test_a_faster_clock_or_a_larger_core_needs_no_fewer_registers(board):
    def levels(dsp, clock):
        found = site(board, dsp, 8).stages(clock)
        return (9, 9) if found is None else (found.reach, found.gather)

    for dsp in range(50, 1700, 150):
        for clock in range(100, 600, 50):
            here = levels(dsp, clock)
            assert all(a <= b for a, b in zip(here, levels(dsp, clock + 50), strict=True))
            assert all(a <= b for a, b in zip(here, levels(dsp + 150, clock), strict=True))


@pytest.mark.parametrize(("board", "dsp", "simd"), [core[:3] for core in CORES])
def test_the_shortest_period_is_the_last_that_is_kept(board, dsp, simd):
    there = site(board, dsp, simd)
    highest = 1000 / there.shortest
    assert there.stages(highest * 0.9999) is not None
    assert there.stages(highest * 1.001) is None


def test_any_resource_may_decide_the_area():
    small = Site.of(Resources(dsp=100), 4, get("zcu104"), 1)
    by_memory = Site.of(Resources(dsp=100, bram36=300), 4, get("zcu104"), 1)
    assert by_memory.share == 1.0 and small.share < 0.1
    assert by_memory.hub_to_corner > 2 * small.hub_to_corner


# ---- budgets and arrays ------------------------------------------------------------------------


def test_a_budget_is_the_device_less_the_shell():
    budget = Budget.of(get("zcu104"))
    assert (budget.multipliers, budget.bram36, budget.dsp, budget.lut, budget.uram) == (
        1536, 312, 1728, 230400, 96)
    one = Budget.of(get("u280")).on(1)
    assert (one.bram36, one.dsp, one.lut, one.uram) == (
        672 - 71, 3072 - 192, 432000 - 38334, 320)


@pytest.mark.parametrize("dies", [1, 2, 3])
def test_an_array_of_several_dies_fits_that_many_times_the_poorest(monkeypatch, dies):
    monkeypatch.setattr("gatefold.gen.plan.budget.DIES", 4)
    board = get("u280")
    budget = Budget.of(board)
    assert [share.dies for share in budget.shares()] == [1, 2, 3]
    share, first = budget.on(dies), board.window(dies)
    for name in ("bram36", "dsp", "lut", "uram"):
        assert getattr(share, name) == dies * min(
            getattr(die.free, name) for die in board.dies[first:first + dies])
    assert 0.93 < share.multipliers / share.dsp < 0.97  # the rest is for the lanes of each die


def test_more_dies_than_there_are():
    with pytest.raises(UserError, match="--dies must be at most 1 for the zcu104, not 2"):
        Budget.of(get("zcu104")).on(2)


NET = "lstm-dense"


@pytest.mark.parametrize(("clock", "fixed", "levels"), [
    (300, {}, (1, 1)), (150, {}, (0, 0)), (300, {"reach": 3}, (3, 1)),
    (300, {"reach": 0, "gather": 2}, (0, 2))])
def test_an_array_gets_the_levels_that_its_wires_need_or_the_user_fixed(clock, fixed, levels):
    budget = dataclasses.replace(Budget.of(get("zcu104"), clock_mhz=clock), **fixed)
    array = made_to_fit(quantized(NET), Array(pe=256, simd=6), budget)
    assert (array.reach, array.gather, array.dies, array.cross) == (*levels, 1, 0)


def test_without_a_board_there_are_no_levels():
    array = Array(pe=64, simd=4)
    assert made_to_fit(quantized(NET), array, Budget.of(None)) == array


def test_an_array_that_does_not_fit_three_dies_is_not_planned_on_one():
    share = dataclasses.replace(Budget.of(get("u280")), lut=1)
    array = made_to_fit(quantized(NET), Array(pe=96, simd=40), share)
    assert (array.dies, array.cross) == (3, 2)
    assert fit(make_plan(quantized(NET), array), share) is None


def test_the_chosen_array_has_the_levels_of_its_size():
    budget = Budget.of(get("zcu104"))
    plan = choose_array(quantized(NET), budget)
    assert plan.array == made_to_fit(quantized(NET), plan.array, budget)
    assert (plan.config.reach, plan.config.gather) == (plan.array.reach, plan.array.gather)


def test_a_clock_that_no_registers_keep_names_the_highest_that_they_do():
    network = initialise(units=20, features=3, timesteps=4, layers=1, dense=2, seed=0)
    with pytest.raises(UserError, match=r"--clock 900 leaves the wires of the zcu104 too little "
                       r"time for an array of \d+ x \d+, whatever registers it has: by the model "
                       r"of docs/boards.md \(\+-30 %\) take --clock \d+ or less") as refusal:
        gf.compile(network, board="zcu104", macs=64, clock=900)
    highest = int(str(refusal.value).split("--clock ")[-1].split()[0])
    assert gf.compile(network, board="zcu104", macs=64, clock=highest).clock_mhz == highest
    with pytest.raises(UserError, match=f"take --clock {highest} or less"):
        gf.compile(network, board="zcu104", macs=64, clock=highest + 1)


def test_a_short_pipeline_has_half_the_clock_and_so_fewer_registers():
    short = made_to_fit(quantized(NET), Array(pe=256, simd=6, pipeline="short"),
                      Budget.of(get("zcu104"), clock_mhz=150))
    assert (short.reach, short.gather) == (0, 0)
