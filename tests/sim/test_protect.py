"""Cores that watch themselves: no false alarm, flips are detected, and no hang without an end."""

import re

import pytest

import gatefold as gf
from gatefold.gen.check import check_core
from gatefold.gen.plan.images import image_widths
from gatefold.sim import simulators
from gatefold.sim.results import CheckFailed
from tests.support.flips import Campaign
from tests.support.networks import network

NO_ICARUS = simulators.missing("icarus")
icarus = pytest.mark.skipif(NO_ICARUS is not None, reason=str(NO_ICARUS))

CORES = {"lstm": ("lstm-dense", {}), "several outputs": ("two outputs", {}),
         "gru, stateful, loadable": ("stateful gru", {"loadable": True})}


def core(name, protect=True):
    which, options = CORES[name]
    return gf.compile(network(which), pe=8, simd=3, width=8, cell_width=10, protect=protect,
                      **options)


def test_every_checked_word_has_an_even_number_of_ones():
    plain, protected = (core("lstm", protect).plan for protect in (False, True))
    assert protected.cycles == plain.cycles
    for name, words in protected.images().items():
        width = image_widths(plain.config)[name]
        assert [word & (1 << width) - 1 for word in words] == plain.images()[name]
        if not name.startswith("tanh"):
            assert not any(word.bit_count() % 2 for word in words)


@icarus
@pytest.mark.long
@pytest.mark.parametrize("name", CORES)
def test_no_false_alarm_in_any_scenario(name, tmp_path):
    made, folder = core(name), tmp_path / "core"
    made.save(folder)
    assert check_core(folder, made.qnet, sim="icarus", samples=2).outputs  # fault stays 0


@icarus
def test_verify_finds_a_false_alarm(tmp_path):
    made, folder = core("lstm"), tmp_path / "core"
    made.save(folder)
    top = folder / "rtl/gatefold.v"
    text, found = re.subn(r"= fault \|", "= 4'h8 | fault |", top.read_text())
    assert found == 1
    top.write_text(text)
    with pytest.raises(CheckFailed, match="reports a fault where there is none, bits 1000"):
        check_core(folder, made.qnet, sim="icarus", samples=2)


@icarus
def test_a_flip_of_a_control_register_is_detected_and_the_core_works_again(tmp_path):
    made = core("gru, stateful, loadable")
    made.save(tmp_path / "core")
    campaign = Campaign(tmp_path / "core", made.plan)
    names = ("sequencer.counter[0]", "sequencer.full[1]", "sequencer.gap[0]", "loader.loaded",
             "reader.ahead[1]", "writer.half")
    flips = [(campaign.registers.index(f"campaign.dut.core.{name}"), 40 + 7 * n)
             for n, name in enumerate(names)]
    assert campaign.play(flips) == [("detected", True)] * len(flips)
