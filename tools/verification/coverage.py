"""Which lines, branches and signal bits of small cores `gatefold verify` reaches: `make coverage`.

Verilator counts them, on the cores of ``cores.py``. A line, a branch or a bit is reached if it is
in any core that has it: they are merged by module, and by the text of the statement without its
numbers, or by the name and the place of the bit. What nothing can reach does not count: points that
match a line of coverage.tsv, which says why, and bits that are proved to be constant in every core
that has them (``constant.py``), with the branches that they decide. The command fails if a line of
coverage.tsv matches a point that was reached, or none, and if less is reached than GOALS.

What each core reached is kept in build/, so that the command goes on where it stopped, until the
core's Verilog or what ``verify`` plays changes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from constant import Bit, constant_bits
from cores import CORES
from figures import ROOT, digest, hardware, record
from mutants import TOP
from mutate import some_loads

from gatefold.gen.check import other_weights, registers_bench, stimuli
from gatefold.gen.store.folder import load_plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.verify import scenarios
from gatefold.sim.verilog_run import VerilogCore

EXCLUDED = Path(__file__).with_name("coverage.tsv")
KEPT = ROOT / "build" / "verification" / "coverage"
FLAGS = ("--coverage-line", "--coverage-toggle")
KINDS = {"v_line": "lines", "v_branch": "branches", "v_toggle": "toggles"}
GOALS = {"lines": 100, "branches": 100, "toggles": 98}  #: percent
CONSTANT = "proved: the bit is constant in every core that has it"
#: What decides a branch: in an if, or before a question mark.
_CONDITION = re.compile(r"(?:if \(!? ?|= |^)(\w+)(?:\[(\d+)\])?(?:\)| \?)")


def reached(name: str, folder: Path) -> dict[str, bool]:
    """Of each line, branch and direction of a bit of a core whether verify reaches it. ``folder``
    takes the core."""
    qnet, top = CORES[name].save(folder), CORES[name].top
    kept = KEPT / f"{name}-{hardware(folder)}-{digest(*played(top))}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    info, plan = load_core_info(folder), load_plan(folder)
    x, expect, counts = stimuli(info, qnet, folder=folder)
    other = other_weights(plan, info, x, 1)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        data = Path(temporary) / "coverage.dat"
        written = f"+coverage={data}"
        with VerilogCore(folder, info, "verilator", other=other, flags=FLAGS) as core:
            for scenario in scenarios(info, counts, "verilator", 1, other=other is not None):
                core.simulate(x, scenario, written)
                found.update(points(data.read_text(errors="replace"), folder / "rtl"))
        if top != TOP:
            host = json.loads((folder / "core.json").read_text())["host"]
            with registers_bench(folder, plan, info, host, x, expect, "verilator", FLAGS) as bench:
                bench.check(written)
                found.update(points(data.read_text(errors="replace"), folder / "rtl"))
    hit = {key: count > 0 for key, count in found.items()}
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(hit))
    return hit


def played(top: str) -> list[Path]:
    """The sources of what verify plays on a core."""
    names = ["bench/drive.v", "bench/tb.v", "scenario.py", "testbench.py", "verify.py"]
    return [ROOT / "sim" / name for name in (
        names if top == TOP else [*names, "bench/host.v", *(f"host_{part}.py" for part in (
            "run", "script", "memory", "program", "registers", "failures"))])]


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
        module = re.sub(r"^(gatefold_(rom2?|ram|relay))__.*", r"\1", module)  # its parameters
        if page == "v_toggle":
            place = re.sub(r"___05F", "__", fields["o"])
            if module.startswith("gatefold_rom") and ".mem[" in place:
                continue  # words of a ROM never change: Verilator counts that they are filled
        else:
            statement = _lines(rtl / fields["f"].rpartition("/")[2])[int(fields["l"]) - 1]
            place = f"{_without_numbers(statement)} | {fields['o']}"
        found[f"{KINDS[page]}\t{module}\t{place}"] += int(count)
    return found


def _without_numbers(statement: str) -> str:
    return re.sub(r"\d+('[hd][0-9a-f]+)?", "#", " ".join(statement.split()))[:90]


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def other_side(key: str) -> str:
    """The other branch of a branch."""
    text, part = key.rpartition(" ")[::2]
    sides = ("if", "else") if part in ("if", "else") else ("cond_then", "cond_else")
    return f"{text} {sides[part == sides[0]]}"


def deciding(key: str, folder: Path) -> set[Bit]:
    """The bits on which a point depends: that of a toggle, those of the condition of a branch in
    all statements that have its text; none where they are not seen."""
    kind, module, place = key.split("\t")
    if kind == "toggles":
        name, _, number = place.rpartition(":")[0].rstrip("]").rpartition("[")
        return {(module, name, int(number))} if name else {(module, number, 0)}
    found: set[Bit] = set()
    for line in _module(folder, module):
        if _without_numbers(line) == place.rpartition(" | ")[0]:
            condition = _CONDITION.search(line)
            width = condition and _width(folder, module, condition[1])
            if not condition or not width:
                return set()
            found |= {(module, condition[1], number) for number in (
                [int(condition[2])] if condition[2] else range(width))}
    return found


@cache
def _module(folder: Path, name: str) -> list[str]:
    """The lines of a module."""
    text = "".join(path.read_text() for path in sorted((folder / "rtl").glob("*.v")))
    found = re.search(rf"^module {name}\b.*?^endmodule", text, re.DOTALL | re.MULTILINE)
    return found[0].splitlines() if found else []


def _width(folder: Path, module: str, signal: str) -> int:
    """Bits of a signal; 0: it is not declared."""
    declared = re.compile(rf"(?:wire|reg)\s+(?:\[(\d+):0\]\s+)?{signal}\b(?!\s*\[)")
    found = next(filter(None, map(declared.search, _module(folder, module))), None)
    return 1 + int(found[1] or 0) if found else 0


def constants(name: str, folder: Path, keys: Iterable[str]) -> dict[str, bool]:
    """Of points of a core that were not reached, whether they are proved to depend on constant bits
    alone. What was proved is kept."""
    kept = KEPT / f"{name}-{hardware(folder)}-constant.json"
    known: dict[str, bool] = json.loads(kept.read_text()) if kept.exists() else {}
    bits = {key: deciding(key, folder) for key in keys if key not in known}
    wanted = set().union(*bits.values())
    if wanted:
        top = CORES[name].top
        found = constant_bits(folder, wanted, top, load_core_info(folder) if top == TOP else None,
                              some_loads(folder))
        known |= {key: bool(some) and all(found.get(bit, False) for bit in some)
                  for key, some in bits.items()}
        kept.write_text(json.dumps(known))
    return known


def exclusions() -> list[tuple[str, str, str, str]]:
    """The lines of coverage.tsv: regular expressions of kind, module, and statement or signal;
    and the reason."""
    lines = EXCLUDED.read_text().splitlines()
    return [(kind, module, place, why) for kind, module, place, why in (
        line.split("\t") for line in lines if line and not line.startswith("#"))]


def excused(merged: dict[str, bool]) -> tuple[dict[str, str], list[str]]:
    """Why points count as out of reach, by coverage.tsv; and what is wrong with it."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for *parts, why in exclusions():
        pattern = re.compile("\t".join(f"(?:{part})" for part in parts))
        matching = [key for key in merged if pattern.fullmatch(key)]
        wrong += [f"coverage.tsv excludes what is reached: {key}"
                  for key in matching if merged[key]]
        if not matching:
            wrong.append(f"coverage.tsv has a line that matches nothing: {' '.join(parts)}")
        found |= dict.fromkeys(matching, why)
    return found, wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: all")
    parser.add_argument("--missing", type=int, default=20, help="lines to print of what is missing")
    options = parser.parse_args()
    names = options.cores or [*CORES]
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        folders = {name: Path(temporary) / name for name in names}
        by_core: dict[str, dict[str, bool]] = {}
        merged: dict[str, bool] = {}
        for name in names:
            by_core[name] = reached(name, folders[name])
            for key, hit in by_core[name].items():
                merged[key] = merged.get(key, False) or hit
            print(f"{name}: {sum(merged.values())} of {len(merged)} points so far", flush=True)
        why, wrong = excused(merged)
        missing = {key for key, hit in merged.items() if not hit and key not in why}
        proved = defaultdict(bool)
        for name in names:
            asked = [key for key in by_core[name] if key in missing and proved.get(key, True)
                     and (key.startswith("toggles") or merged.get(other_side(key)))]
            proved |= {key: still for key, still in constants(name, folders[name], asked).items()
                       if key in asked}
            print(f"{name}: {len(asked)} points asked, {sum(proved[key] for key in asked)} are "
                  "constant", flush=True)
    why |= {key: CONSTANT for key in missing if proved[key]}
    missing = sorted(key for key in missing if not proved[key])
    figures = {}
    for kind in KINDS.values():
        of_kind = [key for key in merged if key.startswith(f"{kind}\t") and key not in why]
        left = sum(key.startswith(f"{kind}\t") for key in why)
        figures[kind] = [sum(merged[key] for key in of_kind), len(of_kind), left]
    print(*missing[:options.missing], figures, sep="\n")
    if options.cores:
        return 0
    record("coverage", {"cores": len(CORES), **figures, "excluded": dict(Counter(why.values()))})
    wrong += [f"{kind}: {hit} of {every} are reached, of which {GOALS[kind]} % should be"
              for kind, (hit, every, _) in figures.items() if 100 * hit < GOALS[kind] * every]
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
