"""Other weights in the formats of a network: they use all of them, and no sum overflows."""

import numpy as np
import pytest

from gatefold.gen.network.graph import Dense, Network
from gatefold.gen.numbers.accumulator import layer_bits
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.redrawn import redrawn
from gatefold.sim.golden import golden
from tests.support.networks import quantized


@pytest.mark.parametrize("name", ["stateful lstm", "gru", "conv, conv, lstm", "multiply"])
def test_other_weights_differ_in_every_bit_and_fit(name):
    qnet = quantized(name, (10, 10, 12))
    other = redrawn(qnet, 1)
    assert other.acc_width == qnet.acc_width
    for layer, old in zip(other.layers, qnet.layers, strict=True):
        assert layer_bits(layer, qnet.table) <= qnet.acc_width
        for tensor in old.of.weights:
            new, was = getattr(layer, tensor), getattr(old, tensor)
            np.testing.assert_array_equal(new[was == 0], 0)
            assert (new != was).mean() > 0.9
            form = old.weights[tensor]
            assert np.isin(new, [form.lo, form.hi])[was != 0].any()


def test_other_weights_saturate_what_the_network_s_own_do_not():
    qnet = quantized("stateful lstm", (10, 10, 12))
    x = np.random.default_rng(1).integers(-512, 512, (20, *qnet.input_shape))

    def saturating(network):
        counts: dict = {}
        golden(network, x, saturations=counts)
        return {(layer, tensor) for layer, tensors in counts.items()
                for tensor, found in tensors.items() if found["count"]}

    assert ("l2_dense", "y") in saturating(redrawn(qnet, 1)) - saturating(qnet)


@pytest.mark.parametrize("seed", range(8))
def test_weights_of_one_step_become_others_or_stay(seed):
    net = Network((1,), (Dense(inputs=(0,), w=np.ones((1, 1)), b=np.zeros(1)),))
    qnet = quantize(net, act_width=8, weight_width=8, overrides={
        "input": {"x": QFormat(8, 4)}, "l0_dense": {"w": QFormat(8, 0), "y": QFormat(8, 4)}})
    assert layer_bits(redrawn(qnet, seed).layers[0], qnet.table) <= qnet.acc_width
