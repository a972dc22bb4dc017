"""LiteRT's int8 arithmetic: golden against what LiteRT answered, and its parts against float32."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.numbers.quantize import quantize
from gatefold.sim.golden import golden, run
from gatefold.sim.int8 import multiplied, scaled, sigmoid16, tanh16
from tests.support.places import ROOT
from tests.support.tflite_files import INT8, path, vectors

PAIRS = np.arange(-32768, 32768)


@pytest.mark.parametrize("name", INT8)
def test_golden_gives_the_bytes_of_litert(name):
    given = vectors(name)
    x, y = given["x"].astype(np.int64), given["y"]
    np.testing.assert_array_equal(golden(quantize(load(path(name))), x), y)


def test_floats_pass_quantize_and_dequantize_as_in_litert():
    given = vectors("borders")
    np.testing.assert_array_equal(run(quantize(load(path("borders"))), given["x"]), given["y"])


def test_the_forum_s_network_gives_the_bytes_of_litert():
    folder = ROOT / "models/forum-cnn-lstm"
    with np.load(folder / "vectors.npz") as given:
        x, y, label = given["x"][:8].astype(np.int64), given["y"][:8], given["label"][:8]
    qnet = quantize(load(folder / "forum-cnn-lstm.tflite"))
    np.testing.assert_array_equal(golden(qnet, x), y)
    np.testing.assert_array_equal(y.argmax(axis=1), label)


@pytest.mark.parametrize("name", INT8)
def test_golden_keeps_the_state_as_litert_does_between_resets(name):
    given = vectors(name)
    fresh = np.zeros(len(given["x"]), bool)
    fresh[len(fresh) // 2] = True
    qnet = quantize(load(path(name), keep_state=True))
    np.testing.assert_array_equal(golden(qnet, given["x"].astype(np.int64), fresh=fresh),
                                  given["kept"])


def test_the_fixtures_saturate_everything():
    counts: dict[str, int] = {}
    for name in INT8:
        qnet, trace = quantize(load(path(name))), {}
        golden(qnet, vectors(name)["x"].astype(np.int64), trace=trace)
        for layer in qnet.computing.values():
            inside = trace[layer.name]
            for tensor, bounds in {"y": (getattr(layer, "lo", 0), getattr(layer, "hi", 0)),
                                   "h": (getattr(layer, "lo", 0), getattr(layer, "hi", 0)),
                                   "c": (-getattr(layer, "clip", 0), getattr(layer, "clip", 0))
                                   }.items():
                if tensor in inside:
                    for side, bound in zip("<>", bounds, strict=True):
                        counts[tensor + side] = (counts.get(tensor + side, 0)
                                                 + int((inside[tensor] == bound).sum()))
    assert min(counts.values()) > 0 and len(counts) == 6, counts


def test_scaling_is_that_of_float32():
    rng = np.random.default_rng(0)
    sums = np.concatenate([rng.integers(-2**31, 2**31, 200_000) >> rng.integers(0, 31, 200_000),
                           [0, 1, -1, 2**31 - 1, -2**31, 2**24 + 1, -2**24 - 1, 2**24 + 3]])
    scales = np.exp2(rng.uniform(-32, 8, len(sums))).astype(np.float32)
    scales[::3] = np.exp2(rng.integers(-31, 8, len(scales[::3])))  # many ties
    mantissa, exponent = np.frexp(scales)
    found = scaled(sums, (mantissa * 2**24).astype(np.int64), 24 - exponent.astype(np.int64))
    products = sums.astype(np.float32) * scales
    np.testing.assert_array_equal(np.clip(found, -300, 300),
                                  np.clip(np.rint(products), -300, 300))


@pytest.mark.parametrize("shift", [-31, -12, -1, 0, 3])
def test_multiplying_rounds_twice(shift):
    rng = np.random.default_rng(1)
    for x, m in zip(rng.integers(-2**27, 2**27, 300).tolist(),
                    rng.integers(2**30, 2**31, 300).tolist(), strict=True):
        high = math.floor(((x << max(shift, 0)) * m + 2**30) / 2**31) if shift > 0 else (
            (x * m + 2**30) >> 31)
        exact = abs(high) / 2.0 ** max(-shift, 0)
        expected = int(math.copysign(math.floor(exact + 0.5), high)) if high else 0
        assert int(multiplied(x, m, shift)) == expected


def test_a_shift_to_the_left_keeps_32_bits():
    m = 1 << 30  # 1/2
    assert multiplied([1 << 20, 1 << 21, 3 << 20, -(1 << 21) - 1], m, 10).tolist() == [
        1 << 29, -(1 << 30), -(1 << 29), (1 << 30) - 512]


def test_sigmoid_is_near_the_function_and_symmetric():
    found = sigmoid16(PAIRS)
    np.testing.assert_allclose(found / 2**15, 1 / (1 + np.exp(-PAIRS / 2**12)), rtol=0, atol=2e-4)
    inner = PAIRS[(PAIRS != 0) & (PAIRS > -32768)]
    np.testing.assert_array_equal(sigmoid16(-inner), 32767 - sigmoid16(inner))
    assert [int(sigmoid16(p)) for p in (0, -32768, -32767)] == [16384, 11, 11]
    assert int((np.diff(found) < 0).sum()) == 976


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 4, 5, 6])
def test_tanh_is_near_the_function_and_odd(bits):
    found = tanh16(PAIRS, bits)
    np.testing.assert_allclose(found / 2**15, np.tanh(PAIRS / 2 ** (15 - bits)), rtol=0,
                               atol=4e-4)
    np.testing.assert_array_equal(tanh16(-PAIRS[1:], bits), -found[1:])


def test_one_table_serves_sigmoid_and_tanh():
    """What the hardware stores: R of u, from which both come, whatever the fractional bits."""
    p = np.arange(32768)
    table = (tanh16(p, 3) + 3) >> 2  # R(2p) on a grid of Q3.12, where 4 R does not saturate
    half = p[:16384]
    sigmoid = np.minimum(2 * table[half] + 16384, 32767)
    odd = np.flatnonzero(sigmoid != sigmoid16(2 * half))
    assert len(odd) == 0
