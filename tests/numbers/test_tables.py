"""The table behind sigmoid and tanh, over every possible input."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.layer import FUNCTIONS
from gatefold.gen.numbers.tables import (
    ARGUMENT_BITS,
    CURVE_TABLES,
    TABLE_BITS,
    curve_table,
    default_table,
    table_for,
    tanh_table,
)
from gatefold.sim import golden
from gatefold.sim.scalars import curved

# act_width, frac, (n0, n1, n2), largest |t - tanh| over every m: measured, with 1 % slack
MEASURED = [
    (4, 8, (11, 0, 0), 6.25e-2), (5, 8, (11, 0, 0), 3.125e-2), (6, 8, (11, 0, 0), 1.563e-2),
    (7, 8, (11, 0, 0), 7.82e-3), (8, 8, (11, 0, 0), 3.91e-3), (9, 8, (11, 0, 0), 1.96e-3),
    (10, 12, (7, 4, 4), 9.8e-4), (11, 12, (7, 4, 4), 5.0e-4), (12, 12, (7, 4, 4), 2.6e-4),
    (13, 12, (7, 4, 4), 1.5e-4), (14, 12, (7, 4, 4), 9.1e-5), (15, 14, (6, 5, 6), 1.2e-4),
    (16, 14, (6, 5, 6), 1.0e-4), (17, 14, (6, 5, 6), 9.7e-5), (18, 14, (6, 5, 6), 9.3e-5),
]
# frac, n0, n1, n2, out_frac: odd splits that the reader must address correctly too
SPLITS = [(8, 11, 0, 0, 8), (8, 4, 7, 0, 8), (8, 5, 5, 1, 10), (9, 4, 4, 4, 12), (10, 6, 1, 6, 16),
          (6, 4, 0, 5, 12), (12, 8, 3, 4, 16), (13, 7, 4, 5, 16)]


def every_m(table):
    return np.arange(1 << (table.frac + 3))


@pytest.mark.parametrize(("act_width", "frac", "split", "bound"), MEASURED)
def test_default_table_error_over_every_input(act_width, frac, split, bound):
    table = default_table(act_width)
    assert (table.frac, table.n0, table.n1, table.n2) == (frac, *split)
    m = every_m(table)
    error = np.abs(golden.tanh_magnitude(table, m) * 2.0**-act_width - np.tanh(m * 2.0**-frac))
    assert error.max() == pytest.approx(table.error, rel=1e-9)
    assert table.error <= bound


@pytest.mark.parametrize("act_width", range(4, 19))
def test_default_table_fits_one_block_ram_and_needs_no_clamp(act_width):
    table = default_table(act_width)
    assert len(table.t0) <= 2048 and len(table.t1) <= 2048
    t = golden.tanh_magnitude(table, every_m(table))
    assert (t.min(), t.max(), t[0]) == (0, 2**act_width - 1, 0)


@pytest.mark.parametrize("act_width", range(4, 19))
def test_symmetry_over_every_argument(act_width):
    table = default_table(act_width)
    one = 1 << act_width
    u = np.arange(table.format.lo, table.format.hi + 1)
    tanh, sigmoid = golden.tanh(table, u), golden.sigmoid(table, u)
    np.testing.assert_array_equal(tanh[1:], -tanh[1:][::-1])  # u = -8 has no twin
    assert tanh[0] == tanh[1]  # ... and counts as the largest magnitude
    np.testing.assert_array_equal(sigmoid, one + tanh)
    assert sigmoid.min() >= 1 and sigmoid.max() <= 2 * one - 1
    assert (golden.tanh(table, 0), golden.sigmoid(table, 0)) == (0, one)


@pytest.mark.parametrize(("frac", "n0", "n1", "n2", "out_frac"), SPLITS)
def test_any_split_states_its_own_error(frac, n0, n1, n2, out_frac):
    table = tanh_table(frac=frac, n0=n0, n1=n1, n2=n2, out_frac=out_frac)
    assert table.t0.shape == (1 << (n0 + n1),)
    assert table.t1.shape == ((1 << (n0 + n2 - 1)) if n2 else 0,)
    m = every_m(table)
    t = golden.tanh_magnitude(table, m)
    assert t.min() >= 0 and t.max() <= 2**out_frac - 1 and t[0] == 0
    error = np.abs(t * 2.0**-out_frac - np.tanh(m * 2.0**-frac))
    assert error.max() == pytest.approx(table.error, rel=1e-9)


def test_direct_table_is_rounded_tanh():
    table = default_table(8)
    exact = np.floor(np.tanh(every_m(table) / 256) * 256 + 0.5)
    np.testing.assert_array_equal(table.t0, np.minimum(exact, 255))


# wrong arguments, words of the message
WRONG = [
    (dict(frac=8, n0=5, n1=5, n2=2, out_frac=8), r"must be 3 \+ frac \(11\)"),
    (dict(frac=8, n0=0, n1=8, n2=3, out_frac=8), "n0 >= 1"),
    (dict(frac=8, n0=11, n1=0, n2=0, out_frac=0), "out_frac must be in 1..24"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_wrong_split_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        tanh_table(**arguments)


@pytest.mark.parametrize("act_width", [3, 19])
def test_no_default_table_for_illegal_widths(act_width):
    with pytest.raises(ValueError, match="must be in 4..18"):
        default_table(act_width)


@pytest.mark.parametrize("argument", ARGUMENT_BITS)
@pytest.mark.parametrize("bits", TABLE_BITS)
def test_every_table_that_may_be_asked_for_exists(bits, argument):
    table = table_for(16, bits, argument)
    assert (table.out_frac, table.frac) == (bits, argument)
    assert len(table.t0) <= 2048 and len(table.t1) <= 2048
    # Half an LSB of a direct table, a little more of a bipartite one; what is far beyond 1 has
    # no more to give than its argument.
    assert table.error <= max(2.0 ** -bits * 1.8, 1.8e-4)


def test_results_of_a_table_are_as_wide_as_the_activations_by_default():
    for width in TABLE_BITS:
        assert table_for(width).out_frac == default_table(width).out_frac == width
    assert table_for(8, 12).frac == default_table(12).frac
    assert table_for(8, argument_bits=14).out_frac == 8


@pytest.mark.parametrize(("width", "steps", "bits"), [
    (8, 1, 8), (8, 8, 8), (8, 9, 9), (8, 30, 10), (8, 50, 11), (8, 1000, 15), (8, 1 << 16, 16),
    (4, 30, 6), (4, 400, 10), (12, 128, 16), (12, 4000, 16), (16, 4000, 16), (18, 4000, 18)])
def test_results_of_a_table_have_more_bits_where_a_state_is_kept_for_many_steps(width, steps,
                                                                                bits):
    assert table_for(width, steps=steps).out_frac == bits
    assert table_for(width, 7, steps=steps).out_frac == 7


@pytest.mark.parametrize(("arguments", "text"), [
    ((8, 3, None), "the table bits must be 4..18, not 3: leave them out"),
    ((8, None, 7), "the argument bits must be 8..14, not 7"), ((8, True, None), "not True"),
    ((8, 8.0, None), "not 8.0")])
def test_other_tables_are_refused(arguments, text):
    with pytest.raises(UserError, match=text):
        table_for(*arguments)


@pytest.mark.parametrize(("activation", "error"), [
    ("erf", 2.6e-5), ("expm1", 1.2e-4), ("log1pexp", 3.0e-5), ("softsign", 5.8e-5),
    ("softsign_tail", 2.3e-5)])
def test_a_curve_is_within_its_bound_for_every_argument(activation, error):
    """From the integer argument on, every one; beyond the table's end it stays as it is there."""
    table = default_table(16)
    curve = CURVE_TABLES[activation]
    u = np.arange(-(1 << table.width - 1), 1 << table.width - 1)
    wanted = FUNCTIONS[activation](u * 2.0 ** (curve.divide - table.frac))
    found = curved(activation, table, u, table.frac - curve.divide) * 2.0**-table.out_frac
    assert np.abs(found[1:] - wanted[1:]).max() <= error + 2.0**-table.out_frac
    assert found[u == 0] == pytest.approx(wanted[u == 0], abs=2.0**-table.out_frac)


@pytest.mark.parametrize("activation", CURVE_TABLES)
@pytest.mark.parametrize("act_width", [4, 8, 10, 12, 14, 18])
def test_curves_have_tables_of_every_width(activation, act_width):
    like = default_table(act_width)
    table = curve_table(activation, like)
    assert (table.frac, table.out_frac) == (like.frac, like.out_frac)
    assert table.error <= max(1.3e-4, 1.05 * 2.0**-like.out_frac)
