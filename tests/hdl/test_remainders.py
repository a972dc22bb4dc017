"""h that takes over the remainder of its last rounding: cores against golden, to the cycle."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QLstm
from gatefold.gen.plan import Array, make_plan
from gatefold.sim.scenario import full_rate, random_flow
from tests.hdl.test_core import check
from tests.support.networks import network

NARROW: dict[str, Any] = {"act_width": 5, "weight_width": 5, "cell_width": 10}

# network, array, other options of the core: the last h alone and every h, contexts, several dies,
# initial states that are loaded
CORES = [("lstm-dense", (8, 3), {"contexts": 2}), ("stack", (24, 2), {"dies": 3, "cross": 2}),
         ("states as inputs", (16, 3), {"pipeline": "short"})]


@pytest.mark.parametrize(("name", "array", "options"), CORES, ids=str)
def test_a_core_with_remainders_equals_golden_and_takes_no_cycle_more(name, array, options):
    carrying = quantize(network(name), carry="every", **NARROW)
    assert any(getattr(layer, "carries", 0) for layer in carrying.layers)
    check(carrying, *array, scenarios=(full_rate, random_flow), **options)
    pe, simd = array
    cycles = [make_plan(qnet, Array(pe=pe, simd=simd)).cycles
              for qnet in (carrying, quantize(network(name), **NARROW))]
    assert cycles[0] == cycles[1]


# network, LSTMs that carry, the steps before which each of its LSTMs does
STEPS = [("lstm-dense", "every", [3]), ("lstm-dense", "last", [3]), ("lstm-dense", "none", [0]),
         ("stack", "every", [4, 4, 3]), ("stack", "last", [0, 0, 3]),
         ("autoencoder", "last", [0, 3, 0, 0])]


@pytest.mark.parametrize(("name", "carry", "steps"), STEPS)
def test_the_last_h_has_no_remainder_where_it_leaves_alone(name, carry, steps):
    layers = quantize(network(name), carry=carry).layers
    assert [layer.carries for layer in layers if isinstance(layer, QLstm)] == steps


def test_a_layer_that_rounds_nothing_carries_nothing():
    q = quantize(network("last h"), carry="every", overrides={"l0_lstm": {"h": QFormat(18, 17)}},
                 table_bits=7)
    assert [layer.carries for layer in q.layers if isinstance(layer, QLstm)] == [0]


def test_the_remainders_of_an_input_make_its_sum_right():
    of = network("lstm-dense")
    x = np.full((1, *of.input_shape), 0.1)
    plain, carrying = (quantize(of, act_width=4, overrides={"input": {"x": QFormat(4, 1)}},
                                input_carries=carries) for carries in (False, True))
    assert plain.quantize(x)[0, :, 0].tolist() == [0, 0, 0, 0]
    assert carrying.quantize(x)[0, :, 0].tolist() == [0, 0, 1, 0]  # 0.2, 0.4, 0.6 - 1 ... of a step
    assert carrying.quantize(np.full_like(x, 9.0))[0, :, 0].tolist() == [7] * 4
