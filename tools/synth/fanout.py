"""What the nets of the benchmark's cores drive: `make fanout`.

It exports the core of every network of bench/workloads.json for both boards, as `gatefold build`
plans it, and reads its nets from Yosys (:mod:`gatefold.gen.synth.fanout`): one to three minutes a
core. The figures go to ``fanout.json`` and docs/resources.md. It fails where a net drives rows of
more than one region, or crosses a die without registers. ``--only NETWORK``: that network alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from compare import FANOUT
from page import NETS, PAGE, nets

from gatefold.gen.synth.fanout import Net, fan_out, offenders

__all__ = ["row"]

BENCH = Path(__file__).resolve().parents[2] / "bench"


def row(found: Iterable[Net]) -> dict:
    """A core's figures: its offenders as text, and the nets with the most pins: of those that reach
    rows, of those that reach lanes, and of all others."""
    found = list(found)
    groups = {"rows": [net for net in found if net.rows],
              "lanes": [net for net in found if net.lanes and not net.rows],
              "others": [net for net in found if not net.rows and not net.lanes]}
    return {"nets": len(found), "offenders": [str(net) for net in offenders(found)]} | {
        place: [net.pins, net.name] for place, group in groups.items()
        for net in [max(group, key=lambda net: net.pins)]}


def main() -> int:
    sys.path.insert(0, str(BENCH))
    from networks import all_workloads  # pyright: ignore[reportMissingImports]
    from planned import core_of  # pyright: ignore[reportMissingImports]

    workloads = {workload.name: workload for workload in all_workloads()}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=workloads, default=list(workloads))
    options = parser.parse_args()
    found = json.loads(FANOUT.read_text()) if FANOUT.exists() else {}
    for name in options.only:
        for board in workloads[name].boards:
            plan = core_of(workloads[name], board).plan
            c = plan.config
            core = f"{name}/{board}"
            found[core] = {"array": [c.pe, c.simd], "stages": [c.reach, c.gather],
                           "dies": c.dies} | row(fan_out(plan, whole=False))
            print("\n    ".join([f"{core}, {c.pe} x {c.simd}: {found[core]['nets']:,} nets",
                                 *found[core]["offenders"]]), flush=True)
            FANOUT.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(PAGE.read_text().partition(NETS)[0] + nets(found))
    return any(core["offenders"] for core in found.values())


if __name__ == "__main__":
    sys.exit(main())
