"""What of a network decides the hardware around it, and what is refused."""

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.errors import UserError
from gatefold.gen.host.memory import floats_in_memory, frames_in_memory
from gatefold.gen.numbers.qformat import QFormat
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


@pytest.mark.parametrize("form", [QFormat(8, 5), QFormat(18, -3), QFormat(4, 17), QFormat(12, 100)])
def test_floats_in_memory_are_rounded_to_the_integers(form):
    """Most of them are not exact; NaN becomes 0, and infinities the ends of the format."""
    wanted = np.random.default_rng(1).integers(form.lo, form.hi, (200, 7), endpoint=True)
    wanted[::3, :3] = form.lo, form.hi, 0
    rows = floats_in_memory(wanted, np.full(7, form.frac), np.full(7, form.lo),
                            np.full(7, form.hi), size=32)
    made = np.array([np.frombuffer(row, "<f4", 7) for row in rows])
    assert np.isnan(made).any() and np.isinf(made).any()
    assert (made == wanted * form.step).mean() < 0.5
    np.testing.assert_array_equal(form.quantize(np.where(np.isnan(made), 0.0, made)), wanted)
