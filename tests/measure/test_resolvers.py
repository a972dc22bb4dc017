"""LiteRT's other resolvers, whose rounding of matrices is written out here number by number."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.measure.resolvers import RESOLVERS, agreement
from gatefold.gen.numbers.quantize import quantize
from tests.support.tflite_files import path, vectors


def nearest(v: Fraction) -> int:
    """Halves away from zero."""
    return floor(v + Fraction(1, 2)) if v >= 0 else -floor(-v + Fraction(1, 2))


def first(acc: int, scale: float) -> Fraction:
    """acc times the 31 bits of a scale below 1, rounded with halves up, before the shift."""
    e = 0
    while scale * 2**e < 0.5:
        e += 1
    high = floor(acc * Fraction(round(scale * 2**(31 + e)), 2**31) + Fraction(1, 2))
    return Fraction(high, 2**e)


def double(acc: int, scale: float) -> int:
    return nearest(first(acc, scale))


def halves_up(acc: int, scale: float) -> int:
    return floor(first(acc, scale) + Fraction(1, 2))


def float64(acc: int, scale: float) -> int:
    return nearest(Fraction(acc * scale))


@pytest.mark.parametrize(("resolver", "conv", "dense"), [
    ("BUILTIN_REF, LiteRT 2.3", double, float64),
    ("BUILTIN_REF, LiteRT 1.2", double, double),
    ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", halves_up, halves_up)])
@pytest.mark.parametrize("scale", [2.0**-9, 0.0013, 0.31])
def test_sums_are_rounded_as_the_resolver_does(resolver, conv, dense, scale):
    sums = np.arange(-1024, 1025)
    for rounding, expected in zip(RESOLVERS[resolver], (conv, dense), strict=True):
        np.testing.assert_array_equal(rounding(sums, scale), [
            expected(acc, scale) for acc in sums.tolist()])


def test_bytes_that_resolvers_share_are_counted():
    network = load(path("forum"))
    (x,), _ = network.affine
    found = agreement(network, quantize(network), x.to_float(vectors("forum")["x"]))
    assert list(found) == list(RESOLVERS)
    for one in found.values():
        assert 0.9 < one["equal"] < 1 and 1 <= one["largest"] <= 3
