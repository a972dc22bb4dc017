"""Cores whose windows overlap: rings, a program of many frames, all values and cycles."""

import pytest

from gatefold.sim.scenario import full_rate, random_flow
from tests.hdl.test_core import check
from tests.support.windows import windowed

# network, hop, array, samples, flow, other options: chunks that frames fill and that they do not;
# several rings; columns that leave; gaps, stalls and a reset
CORES = [("columns", 3, (8, 3), 4, random_flow, {}), ("branches", 4, (12, 4), 5, full_rate, {}),
         ("short", 3, (16, 4), 8, full_rate, {"stream_bits": 128, "gather": 2})]


@pytest.mark.parametrize(("name", "hop", "array", "samples", "flow", "options"), CORES,
                         ids=[case[0] for case in CORES])
def test_cores_of_windows_that_overlap(name, hop, array, samples, flow, options):
    check(windowed(name, hop)[1], *array, samples=samples, scenarios=(flow,), **options)


@pytest.mark.long
@pytest.mark.parametrize(("name", "hop", "array", "samples", "options"), [
    ("int8", 6, (8, 3), 5, {"packed": True}), ("stack", 1, (12, 4), 14, {}),
    ("pooled", 4, (8, 3), 7, {}), ("gated", 3, (8, 2), 5, {}),
    ("stack", 2, (16, 2), 7, {"dies": 2, "cross": 2}),
    ("stack", 3, (8, 3), 6, {"contexts": 2}), ("pooled", 2, (16, 4), 13, {"reach": 1, "gather": 1}),
    ("branches", 2, (16, 4), 8, {"parts": 2}), ("gated", 1, (8, 3), 12, {"pipeline": "short"}),
    ("columns", 2, (8, 2), 6, {"loadable": True}), ("stack", 5, (12, 3), 4, {"protect": True}),
    ("int8", 2, (16, 4), 12, {"parts": 2}), ("int8", 4, (8, 2), 7, {"dies": 2, "cross": 2})],
    ids=str)
def test_more_cores_of_windows_that_overlap(name, hop, array, samples, options):
    check(windowed(name, hop)[1], *array, samples=samples, scenarios=(full_rate, random_flow),
          **options)
