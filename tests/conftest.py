"""Which cases the default run plays, of large matrices of cases every n-th (`make long` plays all);
the order of the files; and how often Python collects garbage."""

from __future__ import annotations

import gc
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

#: Files that take longest. They run first: `make test` gives each worker a whole file at a time, so
#: that the fixtures of a file are made once, and a long file at the end would keep one worker busy
#: while the others wait.
FIRST = (
    "verification/test_mutate.py", "sim/test_faults.py", "hdl/test_core.py", "sim/test_cores.py",
    "explore/test_explore.py", "cli/test_verify.py", "sim/test_verify.py",
    "sim/test_runtime_cache.py", "sim/test_guard.py", "hdl/host/test_host.py",
    "cli/test_explore.py", "test_flow.py")


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that the default run leaves out as long; put the longest files first."""
    items.sort(key=lambda item: FIRST.index(_file(item)) if _file(item) in FIRST else len(FIRST))
    seen: Counter[str] = Counter()
    for item in items:
        every = SAMPLED.get(_file(item), 1)
        if not hasattr(item, "callspec"):
            continue
        test = f"{item.path}::{getattr(item, 'originalname', item.name)}"
        if seen[test] % every:
            item.add_marker(pytest.mark.long)
        seen[test] += 1


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at all tests again and again, and let it run less
    often: it took an eighth of the time in which a core is built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
