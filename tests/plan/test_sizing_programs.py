"""A search where programs are too long for the device: what it plans, and what it learns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gatefold.boards import get
from gatefold.gen.plan import Budget, sizing
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.resources import components
from tests.support.networks import quantized

QNET = quantized("stack")
BUDGET = replace(Budget.of(None), multipliers=64, bram36=24)


@pytest.fixture
def long_programs(monkeypatch):
    """Makes every program of an array of 32 multipliers and more take more instructions than any
    memory holds. The multipliers of the arrays that have been planned in full."""
    make_plan, programmed, place, planned = (
        sizing.make_plan, sizing.programmed, sizing.place, [])

    def longer(config):
        large = config.pe * config.simd >= 32
        return replace(config, program_depth=40_000) if large else config

    def made(qnet, array, **options):
        planned.append(array.pe * array.simd)
        return make_plan(qnet, array, **options)

    monkeypatch.setattr(sizing, "programmed", lambda *args: longer(programmed(*args)))
    monkeypatch.setattr(sizing, "place", lambda config, share: place(longer(config), share))
    monkeypatch.setattr(sizing, "make_plan", made)
    return planned


@pytest.mark.parametrize("effort", [
    sizing.Effort(work=1_000_000, plans=6), sizing.Effort(work=10, plans=1)],
    ids=["arrays are scheduled", "the best by counts is scheduled"])
def test_an_array_whose_program_does_not_fit_is_not_planned(long_programs, effort):
    wanted = sizing.Array(pe=4, simd=1, stream_bits=32)
    search = sizing.Search(QNET, wanted, BUDGET, sizing.Rule(1.0, 0.0), effort)
    assert search.run()
    assert long_programs and max(long_programs) < 32, long_programs


def test_arrays_leave_room_for_a_program_like_that_of_a_refused_one(monkeypatch):
    wanted = sizing.Array(pe=4, simd=1, stream_bits=32)
    search = sizing.Search(QNET, wanted, BUDGET, sizing.Rule(1.0, 0.0), sizing.QUICK)
    draft = sizing.drafted(QNET, replace(wanted, pe=16, simd=2), BUDGET)
    assert draft is not None
    frame = sizing.scheduled(draft.work, draft.config)
    long = replace(sizing.programmed(QNET, draft.array, frame), program_depth=40_000)
    assert search._program_fits(draft, frame, BUDGET) and not search.reserved
    monkeypatch.setattr(sizing, "programmed", lambda *_: long)
    monkeypatch.setattr(sizing, "place", lambda *_: None)
    assert not search._program_fits(draft, frame, BUDGET)
    assert search.reserved == 0.75 * components(long)["program"].bram36


def test_nothing_is_reserved_where_all_programs_fit():
    wanted = sizing.Array(pe=4, simd=1, stream_bits=32)
    search = sizing.Search(QNET, wanted, Budget.of(None), sizing.Rule(1.0, 0.0), sizing.QUICK)
    assert search.run() and not search.reserved


def test_where_a_schedule_is_more_than_the_effort_one_array_that_fits_is_drafted(monkeypatch):
    """And none that takes nearly as few cycles, by counts, as one that does not fit."""
    drafted, tried, ranking = sizing.drafted, [], Ranking(QNET)

    def seen(qnet, array, share):
        tried.append(ranking.cycles(array.pe, array.simd))
        return drafted(qnet, array, share) if len(tried) > 3 else None

    monkeypatch.setattr(sizing, "drafted", seen)
    wanted = sizing.Array(pe=4, simd=1, stream_bits=32)
    search = sizing.Search(QNET, wanted, Budget.of(None), sizing.Rule(1.0, 0.0),
                           sizing.Effort(work=10, plans=1))
    assert search.run() and len(tried) == 4
    assert all(later >= 1.04 * earlier for earlier, later in pairwise(tried))


@pytest.mark.parametrize(("slower", "plans"), [(0, 3), (1, 1)])
def test_an_array_whose_schedule_is_too_slow_for_the_rule_is_not_planned(monkeypatch, slower,
                                                                          plans):
    """``slower``: by how many cycles a schedule takes longer than the one before it."""
    make_plan, scheduled, frames, planned = sizing.make_plan, sizing.scheduled, [], []

    def timed(work, config):
        frames.append(replace(scheduled(work, config), cycles=10**6 + slower * len(frames)))
        return frames[-1]

    def made(qnet, array, **options):
        planned.append(plan := make_plan(qnet, array, **options))
        return replace(plan, cycles=replace(plan.cycles, latency=options["frame"].cycles))

    monkeypatch.setattr(sizing, "scheduled", timed)
    monkeypatch.setattr(sizing, "make_plan", made)
    wanted = sizing.Array(pe=4, simd=1, stream_bits=32)
    # More dies than one, and no array is scheduled before the end.
    search = sizing.Search(QNET, wanted, Budget.of(get("u280")), sizing.Rule(1.0, 0.0),
                           sizing.Effort(work=10, plans=1))
    assert search.run() and len(frames) == 3 and len(planned) == plans
