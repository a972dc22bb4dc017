"""Q-formats: the conversion of floats to integers."""

import numpy as np
import pytest

from gatefold.gen.numbers.qformat import QFormat

# width, frac, printed, lo, hi
FORMATS = [
    (16, 13, "Q3.13", -32768, 32767),
    (4, 3, "Q1.3", -8, 7),
    (8, 10, "Q-2.10", -128, 127),
    (18, -2, "Q20.-2", -131072, 131071),
]


@pytest.mark.parametrize(("width", "frac", "text", "lo", "hi"), FORMATS)
def test_format_prints_and_spans(width, frac, text, lo, hi):
    form = QFormat(width, frac)
    assert (str(form), form.lo, form.hi, form.step) == (text, lo, hi, 2.0**-frac)


# value, its integer in Q4.4 (8 bits): half up, saturating
ROUNDED = [
    (0.0, 0), (1 / 32, 1), (-1 / 32, 0), (3 / 32, 2), (-3 / 32, -1), (0.03, 0), (-0.04, -1),
    (7.9375, 127), (7.97, 127), (100.0, 127), (-8.0, -128), (-8.1, -128), (-1e9, -128),
]


@pytest.mark.parametrize(("value", "integer"), ROUNDED)
def test_quantize_rounds_half_up_and_saturates(value, integer):
    assert QFormat(8, 4).quantize(value) == integer


def test_to_float_inverts_quantize_on_every_integer():
    form = QFormat(8, 4)
    integers = np.arange(form.lo, form.hi + 1)
    np.testing.assert_array_equal(form.quantize(form.to_float(integers)), integers)


# peak, fractional bits of the finest 8-bit format that holds +-peak
PEAKS = [(0.0, 7), (1.0, 6), (127 / 128, 7), (127.49 / 128, 7), (127.5 / 128, 6), (0.5, 7),
         (127.0, 0), (128.0, -1), (3.9, 5), (1e-3, 16), (1e6, -13)]


@pytest.mark.parametrize(("peak", "frac"), PEAKS)
def test_covering_is_the_finest_format_that_does_not_saturate(peak, frac):
    form = QFormat.covering(8, peak)
    assert form.frac == frac
    if peak:
        def scaled(f):
            return np.floor(peak * 2.0**f + 0.5)
        assert scaled(frac) <= form.hi < scaled(frac + 1)


@pytest.mark.parametrize("width", [1, 0, 49])
def test_illegal_width_is_refused(width):
    with pytest.raises(ValueError, match="QFormat width must be in 2..48"):
        QFormat(width, 0)
