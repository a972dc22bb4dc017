"""What planning takes, counted instead of timed: drafts, schedules, and choices in a schedule."""

from collections import Counter
from dataclasses import replace

import pytest

from gatefold.boards import get
from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, Budget, choose_array, estimate, layout, sizing
from gatefold.gen.plan.drafts import drafted
from gatefold.gen.plan.plan import Outline, draft_plan, scheduled
from gatefold.gen.plan.tiling import Tiling
from gatefold.gen.plan.waves import Wave
from tests.support.places import ROOT


@pytest.fixture
def counted(monkeypatch):
    """Calls of functions, counted from when they are named: ``counted(owner, name)``."""
    calls = Counter()

    def count(owner, name):
        original = getattr(owner, name)

        def counting(*args, **options):
            calls[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counting)
        return calls

    return count


@pytest.mark.parametrize(("pe", "simd", "choices"), [(64, 4, 11), (128, 2, 5)])
def test_a_schedule_chooses_for_a_stretch_and_not_for_a_tile(counted, pe, simd, choices):
    qnet = quantize(initialise(units=64, features=8, timesteps=100, dense=1))
    calls = counted(Wave, "next_group")
    frame = scheduled(*draft_plan(qnet, Array(pe=pe, simd=simd)))
    assert calls["next_group"] <= 100 * choices  # of each step
    assert len(frame.stretches) <= calls["next_group"] and frame.tiles > 70 * 100


def test_steps_that_lie_alike_are_cut_once(counted):
    qnet = quantize(initialise(units=24, features=8, timesteps=60, layers=2, dense=1))
    calls = counted(Tiling, "_new_cut")
    for dies in (1, 2):
        calls.clear()
        draft_plan(qnet, Array(pe=32, simd=4, dies=dies, cross=2 * (dies > 1)))
        assert calls["_new_cut"] <= 8


def test_a_search_for_the_forum_network_drafts_little(counted):
    network = load(ROOT / "models/forum-cnn-lstm/forum-cnn-lstm.tflite")
    calls = counted(Outline, "draft")
    counted(sizing, "scheduled")
    # A convolution may take several blocks, and lanes several beats: each is a draft.
    qnet = quantize(network)
    plan = choose_array(qnet, Budget.of(get("zcu104")).packed(), quick=True)
    assert plan.cycles.latency <= 13_846
    assert calls["scheduled"] <= 5 and calls["draft"] <= 12


@pytest.mark.parametrize("dies", [1, 3])
def test_an_array_whose_operands_do_not_fit_is_refused_without_tiles(counted, dies):
    qnet = quantize(initialise(units=64, features=8, timesteps=500, layers=2, dense=1))
    calls = counted(Outline, "draft")
    array, board = Array(pe=48, simd=4), Budget.of(get("u280")).on(dies)
    outline = Outline(qnet, replace(array, dies=dies, cross=2 * (dies > 1)))
    needs = estimate(outline.config).bram36
    assert drafted(qnet, array, board) is not None and calls["draft"] == 1
    assert drafted(qnet, array, replace(board, bram36=0.9 * needs)) is None
    assert calls["draft"] == 1


def test_a_draft_looks_at_few_chunks(counted):
    qnet = quantize(initialise(units=64, features=8, timesteps=500, layers=2, dense=1))
    calls = counted(layout, "_chunk")
    work, config = draft_plan(qnet, Array(pe=64, simd=4))
    assert len(work.storage.chunks) > 10_000 and calls["_chunk"] < 100
    scheduled(work, config)
    assert calls["_chunk"] > 10_000


def test_arrays_of_too_many_tiles_are_not_scheduled(counted, monkeypatch):
    qnet = quantize(initialise(units=32, features=8, timesteps=20, dense=1))
    monkeypatch.setattr(sizing, "MAX_TILES", 40)
    calls = counted(sizing, "scheduled")
    board = Budget.of(get("kv260"))
    for budget, remedy in ((board.within(16), r"more multipliers \(--macs\)"),
                           (replace(board, multipliers=16), r"a larger board \(--board\)")):
        with pytest.raises(UserError, match="at most 16 multipliers that fits the .* more than 40 "
                           f"tiles, the longest schedule: use {remedy}, fewer timesteps"):
            choose_array(qnet, budget)
    assert not calls["scheduled"]
