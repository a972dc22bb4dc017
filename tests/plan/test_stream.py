"""The width of the streams without --port: wider than the board's only where it pays."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.explore.point import Job, measure
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, Budget
from gatefold.gen.plan.stream import with_streams
from tests.support.networks import Make

#: Latencies with 128, 256 and 512 bits, beats of input and output with 128 bits, and the width that
#: is taken.
RULE = {
    "the input is all": ((1531, 798, 705), 1475, 512),
    "256 bits are enough": ((1531, 740, 705), 1475, 256),
    "a board of 512 bits": ((None, None, 705), 369, 512),
    "less than a tenth": ((1531, 1400, 1390), 1475, 128),
    "less than a hundred cycles": ((240, 160, 150), 200, 128),
    "few beats": ((1531, None, None), 150, 128),
}


@pytest.mark.parametrize(("latencies", "beats", "taken"), RULE.values(), ids=RULE)
def test_the_rule(latencies, beats, taken):
    def planned(bits) -> Any:
        latency = dict(zip((128, 256, 512), latencies, strict=True))[bits]
        return SimpleNamespace(bits=bits, cycles=SimpleNamespace(latency=latency),
                               config=SimpleNamespace(x_beats=beats, out_beats=0))

    own = next(bits for bits, latency in zip((128, 256, 512), latencies, strict=True) if latency)
    plan, cycles = with_streams(planned, own)
    assert plan == planned(taken)
    assert cycles[taken] == plan.cycles.latency


#: Options of a core for 40 timesteps of 128 features, which are 640 beats of 128 bits; the width of
#: its streams; a part of the reason.
BUILDS = [({}, 512, "would wait for its input"), ({"port": "128"}, 128, "as --port says"),
          ({"port": "256"}, 256, "as --port says"), ({"host": "axi"}, 128, "the memory port"),
          ({"pe": None, "simd": None, "deadline": 1.0}, 512, "would wait for its input"),
          ({"pe": None, "simd": None, "deadline": 3.0}, 128, "without --board")]


@pytest.fixture(scope="module")
def net():
    rng = np.random.default_rng(0)
    return Network(((40, 128),), (Make(rng).dense(128, 8),))


@pytest.mark.parametrize(("options", "bits", "reason"), BUILDS, ids=str)
def test_a_wide_input_gets_a_wide_stream_unless_the_user_or_a_port_says_otherwise(
        net, options, bits, reason):
    core = gf.compile(net, **{"pe": 8, "simd": 32} | options)
    assert core.plan.array.stream_bits == bits
    stream = core.report()["stream"]
    assert stream["bits"] == bits
    assert reason in stream["reason"]


def test_explore_and_build_take_the_same_streams(net):
    qnet = quantize(net)
    limits = Budget.of(None)
    point = measure(qnet, Job(16, Array(pe=8, simd=32)), limits)[0]
    plan = gf.compile(net, pe=8, simd=32).plan
    assert (point.stream_bits, point.latency) == (512, plan.cycles.latency)
