"""The lane of LiteRT's matrices against golden: every width of sums, every exponent, many ties."""

import numpy as np
import pytest

from gatefold.hdl.int8_dense_lane import MANTISSA, Int8DenseLane
from gatefold.hdl.kinds import Int8DenseKind
from gatefold.sim.int8 import scaled
from tests.support.hdl_harness import draw, record, small

KINDS = Int8DenseKind(-128, 127), Int8DenseKind(0, 255), Int8DenseKind(-9, 33)
SAMPLES = 3000


def factors(rng: np.random.Generator, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissas and exponents: most give results within a byte, a third are powers of two, and so
    give ties; the last of all ones."""
    near = np.log2(np.maximum(1, np.abs(z))) + MANTISSA - rng.uniform(-2, 10, len(z))
    mantissa = rng.integers(1 << MANTISSA - 1, 1 << MANTISSA, len(z))
    mantissa[::3] = 1 << MANTISSA - 1
    mantissa[1::9] = (1 << MANTISSA) - 1
    return mantissa, np.clip(near.round(), 16, 55).astype(np.int64)


@pytest.mark.parametrize("width", [12, 24, 25, 26, 32])
def test_the_lane_rounds_as_float32_does(width):
    rng = np.random.default_rng(width)
    config = small(acc_width=width, act_width=9, container=16, kinds=KINDS, factor_depth=2)
    z = draw(rng, width, SAMPLES)
    z[::7] = (2 * rng.integers(-200, 200, len(z[::7])) + 1) << rng.integers(0, width - 9)
    mantissa, exponent = factors(rng, z)
    kind = rng.integers(0, len(KINDS), SAMPLES)
    latency = Int8DenseLane.latency(config)
    assert latency == 6 + (width > MANTISSA)
    factor = np.concatenate([[0], mantissa + (exponent << MANTISSA)])  # a cycle later
    y = record(Int8DenseLane(config), {"z": z, "kind": kind, "factor": factor}, ["y"],
               cycles=SAMPLES + latency)["y"][latency:]
    lo, hi = (np.array([getattr(one, name) for one in KINDS])[kind] for name in ("lo", "hi"))
    np.testing.assert_array_equal(y, np.clip(scaled(z, mantissa, exponent), lo, hi))
    assert len(np.unique(y)) > 200
