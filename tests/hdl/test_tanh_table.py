"""TanhTable against the golden model: every magnitude of direct and bipartite tables."""

import numpy as np
import pytest

from gatefold.gen.numbers.tables import default_table, tanh_table
from gatefold.hdl.config import PIPELINES, TableConfig
from gatefold.hdl.tanh_table import TanhTable
from gatefold.sim import golden
from tests.support.hdl_harness import record, small

# frac, n0, n1, n2, out_frac: direct ones, bipartite ones, the narrowest t1
TABLES = [(4, 7, 0, 0, 4), (8, 11, 0, 0, 8), (8, 6, 5, 0, 9), (7, 4, 3, 3, 10), (8, 5, 4, 2, 10),
          (6, 8, 0, 1, 8)]


pipelines = pytest.mark.parametrize("pipeline", PIPELINES)


def hardware(table, pipeline) -> TanhTable:
    config = TableConfig(table.frac, table.n0, table.n1, table.n2, table.out_frac,
                         max(1, int(max(table.t1, default=0)).bit_length()))
    return TanhTable(small(table=config, pipeline=pipeline),
                     {"tanh_t0": table.t0.tolist(), "tanh_t1": table.t1.tolist()})


def check(table, magnitudes, pipeline):
    """Both ports at once, port b backwards."""
    dut = hardware(table, pipeline)
    latency = dut.latency(dut.config)
    asked = {"a": magnitudes, "b": magnitudes[::-1]}
    seen = record(dut, {f"{port}.magnitude": m for port, m in asked.items()},
                  ["a.t", "b.t"], cycles=len(magnitudes) + latency)
    for port, m in asked.items():
        np.testing.assert_array_equal(seen[f"{port}.t"][latency:],
                                      golden.tanh_magnitude(table, m))


@pytest.mark.parametrize(("frac", "n0", "n1", "n2", "out_frac"), TABLES)
@pipelines
def test_every_magnitude(frac, n0, n1, n2, out_frac, pipeline):
    table = tanh_table(frac=frac, n0=n0, n1=n1, n2=n2, out_frac=out_frac)
    check(table, np.arange(1 << (frac + 3)), pipeline)


@pytest.mark.parametrize("act_width", [4, 16, 18])
@pipelines
def test_default_tables(act_width, pipeline):
    table = default_table(act_width)
    top = 1 << (table.frac + 3)
    ends = [m for edge in (0, top // 64, top // 8, top) for m in range(edge - 40, edge + 40)
            if 0 <= m < top]
    check(table, np.concatenate([ends, np.random.default_rng(0).integers(0, top, 3000)]), pipeline)


def test_latency():
    assert [TanhTable.latency(small(pipeline=pipeline)) for pipeline in PIPELINES] == [2, 1]
