"""What becomes of single bit flips in cores with and without --protect: `make flips`.

Every flip changes one bit of a register or of a memory in some cycle of a run of its own; Verilator
plays it, and the outputs are compared with golden (tests/support/flips.py). The command goes on
where it stopped, and begins anew for a core whose Verilog or images have changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from figures import ROOT, hardware, record, recorded

sys.path.insert(0, str(ROOT))

from tests.sim.test_protect import CORES, core
from tests.support.flips import Campaign

CHUNK = 100  #: flips of each kind, after which they are recorded
#: What must not become of flips in a core that watches itself.
BAD = [("registers", "hang"), ("registers", "lost"), ("memories", "hang"), ("memories", "lost"),
       ("memories", "wrong")]

def flips(name: str, protect: bool, count: int) -> dict:
    """The verdicts of ``count`` flips of registers and as many of memories of a core, which the
    page shows while they are played."""
    key = f"{name}, protected" if protect else name
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        made, folder = core(name, protect), Path(temporary) / "core"
        made.save(folder)
        found = recorded("flips", key, hardware(folder), {"flips": 0, "registers": {},
                                                          "memories": {}})
        campaign = Campaign(folder, made.plan, "verilator") if found["flips"] < count else None
        while campaign and found["flips"] < count:
            some = min(CHUNK, count - found["flips"])
            for kind, verdicts in campaign.draw(some, some, seed=found["flips"]).items():
                found[kind] = dict(verdicts + Counter(found[kind]))
            found["flips"] += some
            record("flips", {key: found})
    print(f"{key}: {found}", flush=True)
    return found


def main() -> int:
    """The command: fails where a protected core hangs, does not work again, or computes with a
    wrong word of a memory that it watches."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: all")
    parser.add_argument("--count", type=int, default=1000, help="flips of each kind")
    options = parser.parse_args()
    bad = 0
    for name in options.cores or CORES:
        for protect in (False, True):
            found = flips(name, protect, options.count)
            bad += protect * sum(found[kind].get(verdict, 0) for kind, verdict in BAD)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
