"""--deadline: the smallest array that is fast enough."""

import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.plan import Budget
from gatefold.gen.plan.sizing import meet_deadline
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
