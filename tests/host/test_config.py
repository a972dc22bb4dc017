"""What of a network decides the hardware around it, and what is refused."""

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.errors import UserError
from gatefold.gen.host.memory import frames_in_memory
from tests.support.networks import network


def compiled(name, **options):
    return gf.compile(network(name), width=8, output_width=8, cell_width=10, pe=8, simd=3,
                      host="axi", **options)


@pytest.mark.parametrize(("options", "port_bits", "beat_bits"), [
    ({}, 128, 128), ({"port": "32"}, 32, 32), ({"port": "512"}, 512, 512),
    ({"io": "float32"}, 128, 32), ({"io": "float32", "port": "32"}, 32, 8)])
def test_a_word_of_the_port_has_as_many_elements_as_a_beat(options, port_bits, beat_bits):
    host = compiled("dense only", **options).host
    assert (host.width, host.beat_bits) == (port_bits, beat_bits)


def test_engines_share_the_device():
    one, four = (gf.compile(network("lstm-dense"), width=8, host="axi", engines=engines,
                            quick=True) for engines in (1, 4))
    config = four.plan.config
    assert config.pe * config.simd <= 256 // 4
    assert four.report()["resources"]["dsp"] == 4 * four.report()["host"]["engine"]["dsp"]
    assert four.report()["host"]["cycles"]["interval"] * 4 == four.plan.cycles.interval
    assert one.host.engines == 1


def test_a_stateful_network_has_one_engine():
    with pytest.raises(UserError, match="--engines must be 1 for a stateful network"):
        compiled("stateful gru", engines=2)


@pytest.mark.parametrize(("io", "want"), [
    ("fixed", b"\x01\xff" + b"\0\0"), ("float32", b"\0\0\x80\x3e" + b"\0\0\0\xbf")])
def test_frames_in_memory(io, want):
    got = frames_in_memory(np.array([[1, -1]]), np.array([2, 1]), io=io, container=8,
                           size=len(want))
    assert got == [want]
