"""The small arithmetic of hdl against golden: every 8-bit value, every shift and width."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import (
    by_kind,
    by_parameter,
    clamp,
    delay,
    floor_shift,
    half,
    inverted,
    plus_minus,
    saturate,
    tree,
    tree_levels,
    tree_sum,
    within,
)
from gatefold.hdl.config import bits_for
from gatefold.sim import golden
from tests.support.hdl_harness import draw, evaluate, record

EVERY = np.arange(-128, 128)


@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 2, 5, 7, 8, 9, 12])
def test_rounding_is_half_and_floor_shift(shift):
    # one bit wider than the value: the sum with half must not wrap
    wide = evaluate(signed(8), lambda v: floor_shift(v + half(shift), shift), EVERY)
    np.testing.assert_array_equal(wide, golden.round_shift(EVERY, shift))


@pytest.mark.parametrize(("shift", "value"), [(-2, 0), (0, 0), (1, 1), (2, 2), (5, 16)])
def test_half(shift, value):
    assert half(shift) == value


@pytest.mark.parametrize("shift", [-2, 0, 1, 7, 8, 20])
def test_floor_shift_keeps_the_sign(shift):
    want = EVERY >> shift if shift >= 0 else EVERY << -shift
    np.testing.assert_array_equal(
        evaluate(signed(8), lambda v: floor_shift(v, shift), EVERY), want)


@pytest.mark.parametrize("bits", range(1, 11))
def test_saturate(bits):
    np.testing.assert_array_equal(evaluate(signed(8), lambda v: saturate(v, bits), EVERY),
                                  golden.saturate(EVERY, bits))


@pytest.mark.parametrize("limit", [0, 1, 2, 16, 64, 128, 256])
def test_within(limit):
    np.testing.assert_array_equal(evaluate(signed(8), lambda v: within(v, limit), EVERY),
                                  np.clip(EVERY, -limit, limit))


@pytest.mark.parametrize("bits", [1, 5, 8, 9])
def test_clamp(bits):
    values = np.arange(256)
    np.testing.assert_array_equal(evaluate(8, lambda v: clamp(v, bits), values),
                                  np.minimum(values, (1 << bits) - 1))


def test_inverted_is_a_magnitude_less_one():
    np.testing.assert_array_equal(evaluate(signed(8), lambda v: inverted(v, v[-1]), EVERY),
                                  np.where(EVERY < 0, -EVERY - 1, EVERY))


class PlusMinus(wiring.Component):
    """plus_minus of a base of a shape, or of a constant, and a value of a shape."""

    def __init__(self, base, shape):
        self.constant = base is None
        super().__init__({"value": In(shape), "base": In(base or 8), "negative": In(1),
                          "result": Out(signed(16))})

    def elaborate(self, platform):
        m = Module()
        ports: Any = self
        base = Const(23) if self.constant else ports.base
        m.d.comb += ports.result.eq(plus_minus(base, ports.value, ports.negative))
        m.d.sync += Signal().eq(0)
        return m


# base: signed and wide, unsigned, constant, narrower than the value
@pytest.mark.parametrize("base", [signed(11), 6, None, signed(3)], ids=str)
@pytest.mark.parametrize("shape", [signed(5), 5], ids=str)
def test_plus_minus(base, shape):
    rng = np.random.default_rng(0)
    value_bits, bits = 5, 5 if base is None else Shape.cast(base).width
    values = draw(rng, value_bits, 300) if shape != 5 else rng.integers(0, 32, 300)
    bases = (np.full(300, 23) if base is None else draw(rng, bits, 300) if base != 6
             else rng.integers(0, 64, 300))
    signs = rng.integers(0, 2, 300)

    seen = record(PlusMinus(base, shape), {"value": values, "base": bases, "negative": signs},
                  ["result"])
    np.testing.assert_array_equal(seen["result"], bases + np.where(signs == 1, -values, values))


class Sums(wiring.Component):
    """A tree over ``terms`` terms of 5 bits."""

    def __init__(self, terms: int):
        self.terms = terms
        super().__init__({f"x_{n}": In(signed(5)) for n in range(terms)} | {"sum": Out(signed(16))})

    def elaborate(self, platform):
        m = Module()
        ports: Any = self
        parts = tree_sum(m, "s", [getattr(self, f"x_{n}") for n in range(self.terms)])
        self.widths = [len(part) for part in parts]
        m.d.comb += ports.sum.eq(sum(parts))
        if self.terms < 3:
            m.d.sync += Signal().eq(0)  # a clock for the recorder
        return m


# terms, latency, bits of what is left: one sum or two
TREES = [(1, 0, [5]), (2, 0, [5, 5]), (3, 1, [7]), (4, 1, [6, 6]), (5, 1, [6, 7]), (6, 1, [7, 7]),
         (7, 2, [8]), (8, 2, [8]), (9, 2, [9]), (10, 2, [7, 8]), (16, 2, [8, 9]), (18, 2, [9, 9]),
         (19, 3, [10]), (32, 3, [9, 10])]


def test_a_tree_is_of_threes_and_as_even_as_can_be():
    assert tree(2) == [] and tree(3) == [[3]] and tree(5) == [[2, 3]]
    assert tree(16) == [[2, 2, 3, 3, 3, 3], [3, 3]]
    assert [tree_levels(n) for n in (1, 2, 3, 6, 7, 18, 19, 54, 55, 162)] == [
        0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    for terms in range(1, 200):
        left = terms
        for sizes in tree(terms):
            assert sum(sizes) == left and max(sizes) <= 3 and max(sizes) - min(sizes) <= 1
            left = len(sizes)
        assert left <= 2 and len(tree(terms)) == tree_levels(terms)


@pytest.mark.parametrize(("terms", "latency", "widths"), TREES)
def test_tree_sum(terms, latency, widths):
    x = np.concatenate([np.full((1, terms), -16), np.full((1, terms), 15),
                        draw(np.random.default_rng(terms), 5, (60, terms))])
    dut = Sums(terms)
    seen = record(dut, {f"x_{n}": x[:, n] for n in range(terms)}, ["sum"],
                  cycles=len(x) + latency)["sum"]
    assert dut.widths == widths
    np.testing.assert_array_equal(seen[latency:latency + len(x)], x.sum(axis=1))


class Line(wiring.Component):
    """A delay line of three cycles."""

    def __init__(self):
        super().__init__({"x": In(signed(4))} | {f"y_{n}": Out(signed(4)) for n in range(4)})

    def elaborate(self, platform):
        m = Module()
        ports: Any = self
        for n, stage in enumerate(delay(m, "x", ports.x, 3)):
            m.d.comb += getattr(self, f"y_{n}").eq(stage)
        return m


def test_delay_lists_every_lateness():
    x = draw(np.random.default_rng(0), 4, 30)
    seen = record(Line(), {"x": x}, [f"y_{n}" for n in range(4)])
    for n in range(4):
        np.testing.assert_array_equal(seen[f"y_{n}"], np.concatenate([[0] * n, x])[:len(x)])


class Picks(wiring.Component):
    """by_kind over the choices 10, 11, ... of the kinds given."""

    def __init__(self, kinds: list[int]):
        self.kinds = kinds
        super().__init__({"kind": In(3), "y": Out(8)})

    def elaborate(self, platform):
        m = Module()
        ports: Any = self
        constants: dict[int, Any] = {kind: Signal(8, init=10 + kind, name=f"c_{kind}")
                                     for kind in self.kinds}
        m.d.comb += ports.y.eq(by_kind(m, "pick", ports.kind, constants, 8))
        m.d.sync += Signal().eq(0)
        return m


@pytest.mark.parametrize("kinds", [[0], [3], [0, 1], [2, 5], [0, 1, 4, 6]])
def test_by_kind_follows_the_kinds_that_are_named(kinds):
    seen = record(Picks(kinds), {"kind": kinds}, ["y"])["y"]
    np.testing.assert_array_equal(seen, [10 + kind for kind in kinds])


class Shares(wiring.Component):
    """by_parameter of constants, which are noted as they are made."""

    def __init__(self, made: list[int]):
        self.made = made
        super().__init__({"kind": In(3), "y": Out(8)})

    def elaborate(self, platform):
        m = Module()
        ports: Any = self

        def make(value):
            self.made.append(value)
            return value

        m.d.comb += ports.y.eq(by_parameter(m, "pick", ports.kind, {0: 5, 1: 9, 4: 5, 6: 9}, make,
                                            8))
        m.d.sync += Signal().eq(0)
        return m


def test_by_parameter_makes_each_parameter_once():
    made: list[int] = []
    seen = record(Shares(made), {"kind": [0, 1, 4, 6]}, ["y"])["y"]
    assert seen.tolist() == [5, 9, 5, 9] and sorted(made) == [5, 9]


@pytest.mark.parametrize(("count", "bits"),
                         [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (9, 4)])
def test_bits_for(count, bits):
    assert bits_for(count) == bits
