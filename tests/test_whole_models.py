"""Models of real frameworks compiled to programs: the executed program equals golden."""


import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.sim.golden import golden
from tests.frontends.test_keras_options import archive, members
from tests.support.places import FIXTURES
from tests.support.tile_machine import TileMachine

ARRAYS = ((8, 3), (16, 4), (24, 8))
WELL = 5e-3  # of the outputs' range: 16 bits on random inputs
LEAST = 0.1  # a range: the outputs of two samples may lie close together


def check(network, number: int):
    """Two samples, the second going on with the first's state where the network keeps one."""
    qnet = quantize(network)
    pe, simd = ARRAYS[number % len(ARRAYS)]
    machine = TileMachine(make_plan(qnet, Array(pe=pe, simd=simd, stream_bits=64)))
    x = np.random.default_rng(number).standard_normal((2, *qnet.input_shape))
    integers = qnet.quantize(x)
    y = golden(qnet, integers)
    for n in range(2):
        got, _ = machine.run(integers[n].ravel(), fresh=n == 0 or not qnet.stateful)
        np.testing.assert_array_equal(got, y[n].ravel())
    wanted = forward(network, x)
    assert np.abs(qnet.to_float(y) - wanted).max() <= WELL * max(np.ptp(wanted), LEAST)


KERAS = members("keras")
ONNX = sorted(path.name for path in FIXTURES.glob("*.onnx"))


@pytest.mark.parametrize(("number", "name"), list(enumerate(KERAS)),
                         ids=KERAS)
def test_every_keras_option(number, name, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(archive("keras")[f"{name}.keras"])
    check(load(path), number)


@pytest.mark.parametrize(("number", "name"), list(enumerate(ONNX)), ids=ONNX)
def test_every_onnx_exporter(number, name):
    check(load(FIXTURES / name), number)
