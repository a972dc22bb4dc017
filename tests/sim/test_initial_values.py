"""Cores whose registers start from anything: one cycle of reset is enough, and nothing is relied on
that a configured FPGA would give them."""

import pytest

from gatefold.gen.check import check_core
from gatefold.sim import simulators, testbench
from tests.sim.test_cores import CORES, compiled
from tests.support.initial_values import drawn, give_initial_values, unknown

#: In every test run; the other cores in `make long`.
SHORT = "stateful gru, loadable"
NAMES = [pytest.param(name, marks=() if name == SHORT else pytest.mark.long) for name in CORES]


def runs(name, folder, monkeypatch, sim, value):
    reason = simulators.missing(sim)
    if reason:
        pytest.skip(reason)
    monkeypatch.setattr(testbench, "RESET_CYCLES", 1)
    core = compiled(name)
    core.save(folder)
    assert give_initial_values(folder, value) > 100
    assert check_core(folder, core.qnet, sim=sim, samples=2).outputs


@pytest.mark.parametrize("name", NAMES)
def test_unknown_initial_values(name, tmp_path, monkeypatch):
    runs(name, tmp_path / "core", monkeypatch, "icarus", unknown)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CORES)
def test_random_initial_values(name, seed, tmp_path, monkeypatch):
    runs(name, tmp_path / "core", monkeypatch, "verilator", drawn(seed))
