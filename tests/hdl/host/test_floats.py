"""float32 to integers and back, against golden's definition."""

import numpy as np
import pytest

from gatefold.gen.numbers.qformat import QFormat
from gatefold.hdl.host.floats import FixedToFloat, FloatToFixed
from tests.support.hdl_harness import draw, simulate

SPECIAL = np.array([0x0000_0000, 0x8000_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0xFFC0_0001,
                    0x7F80_0001, 0x0000_0001, 0x807F_FFFF, 0x0080_0000, 0x7F7F_FFFF, 0xFF7F_FFFF],
                   np.uint32).view(np.float32)


def converted(dut, words, flow):
    """What comes out of ``words``, of one lane, while the sink pauses."""
    got = []
    rng = np.random.default_rng(0)

    async def bench(ctx):
        for word in words:
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload.data, int(word))
            taken = False
            while not taken:
                ctx.set(dut.o.ready, int(rng.random() < flow))
                _, _, taken, valid, ready, data = await ctx.tick().sample(
                    dut.i.ready, dut.o.valid, dut.o.ready, dut.o.payload.data)
                if valid and ready:
                    got.append(data)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.o.ready, 1)
        while len(got) < len(words):
            _, _, valid, data = await ctx.tick().sample(dut.o.valid, dut.o.payload.data)
            if valid:
                got.append(data)

    simulate(dut, bench)
    return np.array(got)


def floats_around(rng, frac, width, count):
    """Anything, halves of steps and their neighbours, and values of every size in the format."""
    anything = rng.integers(0, 1 << 32, count).astype(np.uint32).view(np.float32)
    halves = np.float32(rng.integers(-300, 300, count) / 2 * 2.0 ** -frac)
    near = np.nextafter(halves, rng.choice(np.float32([-np.inf, np.inf]), count))
    sized = np.float32(rng.normal(size=count) * 2.0 ** rng.integers(-frac - 4, width - frac + 3,
                                                                    count))
    return np.concatenate([SPECIAL, anything, halves, near, sized])


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("formats", [[(13, 16)], [(5, 8), (20, 12)], [(-3, 18)], [(17, 4)],
                                     [(100, 8)], [(-100, 8)]], ids=str)
def test_floats_become_golden_s_integers(formats, flow):
    rng = np.random.default_rng(len(formats))
    x = np.concatenate([floats_around(rng, *formats[0], 120)] * len(formats))
    x = x[:len(x) // len(formats) * len(formats)]
    want = [0 if np.isnan(value) else QFormat(width, frac).quantize(value)
            for value, (frac, width) in zip(x, formats * (len(x) // len(formats)), strict=True)]
    got = converted(FloatToFixed(lanes=1, formats=formats, container=32), x.view(np.uint32), flow)
    np.testing.assert_array_equal(got.astype(np.uint32).view(np.int32), want)


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize(("fracs", "width"), [([3], 8), ([13, 2], 16), ([-4], 18), ([20], 5),
                                              ([100], 18), ([-100], 18)], ids=str)
def test_integers_become_golden_s_floats(fracs, width, flow):
    y = draw(np.random.default_rng(0), width, 200)
    want = np.float32(y * 2.0 ** -np.tile(fracs, len(y) // len(fracs)).astype(float))
    got = converted(FixedToFloat(lanes=1, formats=fracs, container=32, width=width),
                    y.astype(np.int32).view(np.uint32), flow)
    np.testing.assert_array_equal(got.astype(np.uint32), want.view(np.uint32))
