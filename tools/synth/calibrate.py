"""Compare the resource formulas with open synthesis: `make synth-check`.

It synthesises every core of ``cases.py`` with Yosys (``synth_xilinx``), component by component, and
writes the results to ``measured.json`` and ``docs/resources.md``. It fails where a formula of
``gen/plan/resources.py`` is too far off, a multiplier takes fabric, or a path is too deep. Netlists
are kept in the system's temporary folder: a second run takes seconds. ``--page`` writes the page
from ``measured.json`` without a synthesis.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import page
from cases import CASES
from compare import FANOUT, MEASURED, config_as_dict, failures
from paths import deepest

from gatefold.gen.synth import measure


def synthesise(cache: Path) -> dict:
    """All cases, as ``measured.json`` holds them; on all cores."""
    cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip((case.name for case in CASES),
                        pool.map(partial(_synthesise, cache), range(len(CASES))), strict=True))


def _synthesise(cache: Path, number: int) -> dict:
    case = CASES[number]
    begun = time.monotonic()
    plan = case.plan()
    measured = measure(plan, cache=cache)
    print(f"{case.name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return {
        "sizes": case.sizes,
        "held_out": case.held_out,
        "config": config_as_dict(plan.config),
        "components": {name: asdict(part) for name, part in measured.components.items()},
        "lane_fabric": measured.lane_fabric,
        "paths": deepest(measured),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", action="store_true", help="no synthesis: write the page only")
    options = parser.parse_args()
    if options.page:
        found = json.loads(MEASURED.read_text())
    else:
        found = synthesise(Path(tempfile.gettempdir()) / "gatefold-synth")
        MEASURED.write_text(json.dumps(found, indent=1) + "\n")
        found = json.loads(MEASURED.read_text())
    page.PAGE.write_text(page.render(found, json.loads(FANOUT.read_text())))
    wrong = failures(found)
    print("\n".join(wrong) or "the formulas hold")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
