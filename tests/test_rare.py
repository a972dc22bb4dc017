"""gen/rare.py: inputs that few of many random ones are."""

import numpy as np
import pytest

from gatefold.gen.check import seeded_inputs
from gatefold.gen.rare import furthest, rare_inputs
from gatefold.sim.golden import golden
from tests.support.networks import quantized


@pytest.fixture(scope="module")
def qnet():
    return quantized("lstm-dense")


def alone(qnet, x):
    return golden(qnet, x, fresh=np.ones(len(x), bool)).reshape(len(x), -1)


def test_the_search_drives_outputs_further_than_random_inputs(qnet):
    x = seeded_inputs(qnet, 256, 1)
    far, usual = alone(qnet, furthest(qnet, x, 1)), alone(qnet, x)
    assert (far.min(0) < usual.min(0)).all() and (far.max(0) > usual.max(0)).all()


def test_the_search_drives_layers_whose_values_the_output_need_not_follow():
    qnet = quantized("stack")
    x = seeded_inputs(qnet, 64, 1)

    def last_states(x):
        trace: dict = {}
        golden(qnet, x, trace=trace, fresh=np.ones(len(x), bool))
        return np.stack([trace[layer]["c"][:, -1, -1] for layer in ("l0_lstm", "l1_lstm")], 1)

    far, usual = last_states(furthest(qnet, x, 1)), last_states(x)
    assert (far.min(0) < usual.min(0)).all() and (far.max(0) > usual.max(0)).all()


def test_the_search_stays_in_the_format_of_the_input(qnet):
    lo, hi = (limits.reshape(qnet.input_shape) for limits in qnet.input_limits())
    found = furthest(qnet, seeded_inputs(qnet, 8, 1), 1)
    assert (found >= lo).all() and (found <= hi).all()


def test_a_bit_that_one_input_of_many_sets_is_rare(qnet):
    usual = np.zeros((63, *qnet.input_shape), np.int64)
    x = np.concatenate([usual, seeded_inputs(qnet, 3, 1)[2:]])
    assert rare_inputs(qnet, x).tolist() == [63]
    assert not len(rare_inputs(qnet, usual))
