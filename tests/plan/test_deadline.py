"""--deadline: the smallest array that is fast enough."""

from dataclasses import replace

import pytest

from gatefold.boards import get
from gatefold.gen.errors import UserError
from gatefold.gen.plan import Array, Budget, deadline, sizing
from gatefold.gen.plan.deadline import meet_deadline
from gatefold.gen.plan.drafts import made_to_fit
from gatefold.gen.plan.ranking import Ranking
from tests.support.networks import quantized

BUDGET = Budget.of(None)
QNET = quantized("stack")


@pytest.fixture(scope="module")
def plans():
    return {us: meet_deadline(QNET, BUDGET, us) for us in (0.4, 0.6, 1.2)}


def multipliers(plan) -> int:
    return plan.config.pe * plan.config.simd


@pytest.mark.parametrize("us", [0.4, 0.6, 1.2])
def test_a_deadline_is_met(plans, us):
    assert plans[us].cycles.latency <= us * BUDGET.clock_mhz


def test_more_time_takes_fewer_multipliers(plans):
    sizes = [multipliers(plan) for plan in plans.values()]
    assert sizes == sorted(set(sizes), reverse=True), sizes


def test_a_deadline_that_nothing_meets_is_refused_with_the_best_figure():
    with pytest.raises(UserError, match="--deadline 0.1us cannot be met: the fastest core .* "
                                        "takes [0-9.]+ us, [0-9]+ cycles at 300 MHz"):
        meet_deadline(QNET, BUDGET, 0.1)


def test_counts_tell_where_to_begin(monkeypatch):
    """A schedule of many tiles takes a minute: an array near the smallest is planned first."""
    sizes = []

    class Counted(sizing.Search):
        def run(self):
            sizes.append(max(share.multipliers for share in self.shares))
            return super().run()

    monkeypatch.setattr(deadline, "Search", Counted)
    found = multipliers(meet_deadline(QNET, BUDGET, 1.2))
    assert len(sizes) <= 4 and found <= 1.5 * sizes[0], (sizes, found)


def test_an_array_of_many_tiles_is_scheduled_for_its_plan_alone(monkeypatch):
    scheduled, planned = [], []

    def seen(calls, made):
        return lambda *args, **options: calls.append(made) or made(*args, **options)

    monkeypatch.setattr(sizing, "scheduled", seen(scheduled, sizing.scheduled))
    monkeypatch.setattr(sizing, "make_plan", seen(planned, sizing.make_plan))
    monkeypatch.setattr(deadline, "QUICK", sizing.Effort(work=10, plans=1))
    assert meet_deadline(QNET, BUDGET, 1.2).cycles.latency <= 1.2 * BUDGET.clock_mhz
    assert len(scheduled) == len(planned) > 0


@pytest.mark.parametrize("name", ["last h", "lstm-dense"])
def test_the_number_of_dies_that_promises_most_is_searched_first(monkeypatch, name):
    budget, looks, drafted = Budget.of(get("u280")), [], sizing.drafted

    def seen(qnet, array, share):
        looks.append(share.dies)
        return drafted(qnet, array, share)

    monkeypatch.setattr(sizing, "drafted", seen)
    ranking = Ranking(quantized(name))
    promise = {share.dies: ranking.on(share.dies).cycles(*ranking.on(share.dies).shapes(
        share.multipliers)[0]) for share in budget.shares()}
    sizing.choose_array(quantized(name), budget, quick=True)
    assert looks[0] == min(promise, key=lambda dies: (promise[dies], dies))


@pytest.mark.parametrize(("name", "simd", "lanes", "parts"), [
    ("stack", 8, 2, 4), ("stack", 4, 3, 2), ("stack", 4, 4, 1)])
def test_lanes_are_no_more_than_the_user_allows(name, simd, lanes, parts):
    array = Array(pe=8, simd=simd, stream_bits=32)
    assert made_to_fit(quantized(name), array, replace(BUDGET, lanes=lanes)).parts == parts


def test_lanes_that_do_not_go_with_the_columns_are_refused():
    with pytest.raises(UserError, match="--lanes 2 does not go with 5 columns"):
        made_to_fit(QNET, Array(pe=8, simd=5, stream_bits=32), replace(BUDGET, lanes=2))
