"""Whole cores, built and verified in every simulator: minutes each, `make long`."""


import numpy as np
import pytest

import gatefold as gf
from gatefold.sim import simulators
from tests.support.networks import NETWORKS, network
from tests.support.places import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

MODEL = ROOT / "models/lstm-dense"

# pe, simd: square, tall, flat, odd; bits of activations, weights, cell state
ARRAYS = [((16, 4), (16, 16, 18)), ((32, 1), (8, 8, 10)), ((4, 7), (18, 12, 18)),
          ((8, 3), (4, 5, 6))]


@pytest.fixture(params=["verilator", "icarus", "amaranth"])
def sim(request):
    reason = None if request.param == "amaranth" else simulators.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize(("array", "widths"), ARRAYS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network(name, array, widths, sim):
    act, weight, cell = widths
    core = gf.compile(network(name), pe=array[0], simd=array[1], act_width=act,
                      weight_width=weight, cell_width=cell)
    result = core.verify(sim=sim, samples=3)
    assert result.latency == core.plan.cycles.latency


@pytest.mark.parametrize("units", [7, 13, 60])
@pytest.mark.parametrize("features", [1, 3, 5])
def test_odd_sizes_on_a_board(units, features, sim):
    net = gf.initialise(units=units, features=features, timesteps=6, layers=2, dense=3)
    gf.compile(net, board="zcu104", macs=256).verify(sim=sim, samples=3)


@pytest.mark.parametrize("board", ["zcu104", "u280"])
def test_the_shipped_model_on_a_board(board):
    reason = simulators.missing("verilator")
    if reason:
        pytest.skip(reason)
    with np.load(MODEL / "calibration.npz") as calibration, np.load(MODEL / "test.npz") as test:
        core = gf.compile(gf.load(MODEL / "lstm-dense.onnx"), board=board,
                          calibrate=calibration["x"])
        core.verify(test["x"], samples=8)
