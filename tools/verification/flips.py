"""What becomes of single bit flips in cores with and without --protect: `make flips`.

Every flip changes one bit of a register or of a memory in some cycle of a run of its own; Icarus
plays it, and the outputs are compared with golden (tests/support/flips.py).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from figures import ROOT, record

sys.path.insert(0, str(ROOT))

from tests.sim.test_protect import CORES, core
from tests.support.flips import Campaign


def flips(name: str, protect: bool, count: int) -> dict[str, dict[str, int]]:
    """The verdicts of ``count`` flips of registers and as many of memories of a core."""
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        made, folder = core(name, protect), Path(temporary) / "core"
        made.save(folder)
        return {kind: dict(verdicts) for kind, verdicts in
                Campaign(folder, made.plan).draw(count, count).items()}


def main() -> int:
    """The command: fails where a protected core hangs, or does not work again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: all")
    parser.add_argument("--count", type=int, default=1000, help="flips of each kind")
    options = parser.parse_args()
    bad = 0
    for name in options.cores or CORES:
        for protect in (False, True):
            found = flips(name, protect, options.count)
            print(f"{name}, {'with' if protect else 'without'} --protect: {found}", flush=True)
            record("flips", {f"{name}, protected" if protect else name: found})
            bad += protect * sum(found[kind].get(verdict, 0) for kind in found
                                 for verdict in ("hang", "lost"))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
