"""Which lines, branches and signal bits of small cores `gatefold verify` reaches: `make coverage`.

Verilator counts them, on the cores of ``cores.py``. A line, a branch or a bit is reached if it is
in any core that has it: they are merged by module, and by the text of the statement without its
numbers, or by the name and the place of the bit. Those that match a line of coverage.tsv do not
count: it says why nothing can reach them. What each core reached is kept in build/, so that the
command goes on where it stopped, until the core's Verilog or what ``verify`` plays changes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

from cores import CORES
from figures import ROOT, digest, hardware, record

from gatefold.gen.check import other_weights, stimuli
from gatefold.gen.store.folder import load_plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.verify import scenarios
from gatefold.sim.verilog_run import VerilogCore

EXCLUDED = Path(__file__).with_name("coverage.tsv")
KEPT = ROOT / "build" / "verification" / "coverage"
FLAGS = ("--coverage-line", "--coverage-toggle")
KINDS = {"v_line": "lines", "v_branch": "branches", "v_toggle": "toggles"}


def reached(name: str) -> dict[str, bool]:
    """Of each line, branch and direction of a bit of a core whether verify reaches it."""
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        folder = Path(temporary) / "core"
        qnet = CORES[name].save(folder)
        kept = KEPT / f"{name}-{hardware(folder)}-{digest(ROOT / 'sim')}.json"
        if kept.exists():
            return json.loads(kept.read_text())
        info = load_core_info(folder)
        x, _, counts = stimuli(info, qnet, folder=folder)
        other = other_weights(load_plan(folder), info, x, 1)
        found: Counter[str] = Counter()
        data = Path(temporary) / "coverage.dat"
        with VerilogCore(folder, info, "verilator", other=other, flags=FLAGS) as core:
            for scenario in scenarios(info, counts, "verilator", 1, other=other is not None):
                core.simulate(x, scenario, f"+coverage={data}")
                found.update(points(data.read_text(errors="replace"), folder / "rtl"))
    hit = {key: count > 0 for key, count in found.items()}
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(hit))
    return hit


def points(text: str, rtl: Path) -> Counter[str]:
    """How often the points of Verilator's coverage were reached that lie in the core: of each its
    kind, its module, its statement or signal, and which part of that it is."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        what, _, count = line.rpartition("' ")
        fields = dict(part.split("\x02", 1) for part in what.split("\x01") if "\x02" in part)
        page, _, module = fields.get("page", "").partition("/")
        if page not in KINDS or "/rtl/" not in fields["f"]:
            continue
        if page == "v_toggle":
            place = re.sub(r"___05F", "__", fields["o"])
        else:
            statement = _lines(rtl / fields["f"].rpartition("/")[2])[int(fields["l"]) - 1]
            place = re.sub(r"\d+", "#", " ".join(statement.split()))[:90] + f" | {fields['o']}"
        found[f"{KINDS[page]}\t{module}\t{place}"] += int(count)
    return found


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def exclusions() -> list[tuple[str, str, str, str]]:
    """The lines of coverage.tsv: regular expressions of kind, module, and statement or signal;
    and the reason."""
    lines = EXCLUDED.read_text().splitlines()
    return [(kind, module, place, why) for kind, module, place, why in (
        line.split("\t") for line in lines if line and not line.startswith("#"))]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: all")
    parser.add_argument("--missing", type=int, default=20, help="lines to print of what is missing")
    options = parser.parse_args()
    merged: dict[str, bool] = {}
    for name in options.cores or CORES:
        for key, hit in reached(name).items():
            merged[key] = merged.get(key, False) or hit
        print(f"{name}: {sum(merged.values())} of {len(merged)} points so far", flush=True)
    excluded: Counter[str] = Counter()
    figures = {kind: [0, 0, 0] for kind in KINDS.values()}  # reached, all, excluded
    missing, excuses = [], exclusions()
    for key, hit in sorted(merged.items()):
        kind = key.partition("\t")[0]
        why = None if hit else next((reason for *parts, reason in excuses if re.search(
            "\t".join(parts), key)), None)
        if why:
            excluded[why] += 1
            figures[kind][2] += 1
            continue
        figures[kind][0] += hit
        figures[kind][1] += 1
        missing += [] if hit else [key]
    print(*missing[:options.missing], figures, sep="\n")
    if not options.cores:
        record("coverage", {"cores": len(CORES), **figures, "excluded": dict(excluded)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
