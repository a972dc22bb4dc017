"""Which cases the default run plays: of large matrices of cases every n-th, and `make long` all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

#: Files whose tests simulate or plan a core in every case: of each test's cases, one of so many.
SAMPLED = {
    "cli/test_explore.py": 2, "cli/test_verify.py": 3, "explore/test_explore.py": 4,
    "hdl/host/test_cycles.py": 2, "hdl/test_core.py": 16, "hdl/test_frames.py": 2,
    "hdl/test_int8.py": 2, "hdl/test_lanes.py": 8, "hdl/test_mac_array.py": 3,
    "hdl/test_relay.py": 2, "hdl/test_remainders.py": 2, "hdl/test_row_router.py": 2,
    "hdl/test_row_scales.py": 2, "hdl/test_split.py": 2, "hdl/test_weight_loader.py": 3,
    "html/test_page.py": 2, "numbers/test_headroom.py": 4, "plan/test_program.py": 4,
    "sim/test_cores.py": 10, "sim/test_verify.py": 2, "store/test_verilog.py": 4,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that the default run leaves out as long."""
    seen: Counter[str] = Counter()
    here = Path(__file__).parent
    for item in items:
        every = SAMPLED.get(item.path.relative_to(here).as_posix(), 1)
        if not hasattr(item, "callspec"):
            continue
        test = f"{item.path}::{getattr(item, 'originalname', item.name)}"
        if seen[test] % every:
            item.add_marker(pytest.mark.long)
        seen[test] += 1
