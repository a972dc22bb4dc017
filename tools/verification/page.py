"""docs/verification.md, of figures.json: every command of this folder writes it again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from survivors import explained, reasons

__all__ = ["PAGE", "render", "write"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verification.md"
HEAD = Path(__file__).with_name("head.md")
#: What becomes of a flip.
VERDICTS = ("masked", "wrong", "detected", "hang", "lost")


def write(figures: dict) -> None:
    """Write the page."""
    PAGE.write_text(render(figures))


def render(figures: dict) -> str:
    """The text of the page."""
    parts = [HEAD.read_text()]
    if figures.get("tests"):
        parts += ["## Proofs, planted faults, initial values", "",
                  "Tests that have passed since a source of theirs changed last. Values are those "
                  "of registers before the first reset.", "",
                  "| tests | passed | all | seconds |", "|---|---|---|---|",
                  *(f"| {group} | {_counted(one['passed'])} | {'yes' if one['whole'] else 'no'} | "
                    f"{one['seconds']} |" for group, one in sorted(figures["tests"].items())), ""]
    for section, title in (("mutants", "## Mutants in CI"), ("many mutants", "## More mutants")):
        if figures.get(section):
            parts += [title, "", *_mutants(figures[section]), ""]
    parts += ["## Survivors that are explained", "", *_survivors(), ""]
    if figures.get("coverage"):
        parts += ["## Coverage", "", *_coverage(figures["coverage"]), ""]
    if figures.get("soak"):
        total = sum(one["frames"] for one in figures["soak"].values())
        parts += ["## Soak", "",
                  f"`make soak`: outputs and values of layers of {total:,} frames compared, of "
                  f"{len(figures['soak'])} cores; none differs. A core's frames are counted from "
                  "zero where its Verilog or its images change.", "",
                  "| core | frames | frames in a second of CPU time, comparison included |",
                  "|---|---|---|",
                  *(f"| {name} | {one['frames']:,} | {one['frames'] / one['seconds']:,.0f} |"
                    for name, one in sorted(figures["soak"].items())), ""]
    if figures.get("random networks"):
        parts += ["## Random networks", "",
                  "Networks, arrays, widths and options from a seed, each verified in Icarus.", "",
                  "| seeds | networks | refused, as their options do not fit | that fail |",
                  "|---|---|---|---|",
                  *(f"| {seeds.removeprefix('seeds ')} | {one['networks']} | "
                    f"{one.get('refused', 'not counted')} | {one['failures']} |"
                    for seeds, one in sorted(figures["random networks"].items())), ""]
    if figures.get("flips"):
        parts += ["## Bit flips", "",
                  "`make flips`: single flips of any register (without the watchdog's own) and of "
                  "the memories of program, weights and biases, in a random cycle of five frames. "
                  "*Hang*: nothing moves any more, and no watchdog ends it. *Lost*: the core does "
                  "not work again, after a reset or after its watchdog's.", "",
                  f"| core | flips of | number | {' | '.join(VERDICTS)} |", "|" + "---|" * 8,
                  *(f"| {name} | {kind} | {one['flips']} | "
                    + " | ".join(str(found.get(verdict, 0)) for verdict in VERDICTS) + " |"
                    for name, one in sorted(figures["flips"].items())
                    for kind in ("registers", "memories") for found in [one[kind]]), ""]
    if figures.get("parsers"):
        total = sum((Counter(one) for one in figures["parsers"].values()), Counter())
        parts += ["## Parsers", "",
                  f"{total.total()} mutated files: {total['refused']} refused in one line, "
                  f"{total['compared']} read and equal to an independent reader's result, "
                  f"{total['not compared']} read where that reader refuses them or the file "
                  "contradicts itself. None took 2 s or 500 MB, and none touched a file.", "",
                  "| file | refused | compared | not compared |", "|---|---|---|---|",
                  *(f"| {name} | {one.get('refused', 0)} | {one.get('compared', 0)} | "
                    f"{one.get('not compared', 0)} |"
                    for name, one in sorted(figures["parsers"].items())), ""]
    return "\n".join(parts)


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _mutants(cores: dict) -> list[str]:
    lines = ["| core | mutants | killed | proved equivalent | explained | open | CPU seconds a "
             "mutant |", "|---|---|---|---|---|---|---|"]
    modules: dict[str, list[int]] = {}
    killers: Counter = Counter()
    for name, one in sorted(cores.items()):
        killed = sum(one["killed"].values())
        killers += Counter(one["killed"])
        known = explained(name, one["left"], one["shown"])
        cost = f"{sum(one['cpu']) / one['mutants']:.1f}" if "cpu" in one else ""
        lines.append(f"| {name} | {one['mutants']} | {killed} | {one['proved']} | {known} | "
                     f"{len(one['left']) - known} | {cost} |")
        for module, counts in one["modules"].items():
            modules[module] = [a + b for a, b in zip(modules.get(module, [0, 0, 0]), counts,
                                                     strict=True)]
    found = ", ".join(f"{name} {count}" for name, count in killers.most_common())
    lines += ["", f"A scenario that found each: {found}.", "",
              "| module | mutants | killed | proved equivalent | others |", "|---|---|---|---|---|"]
    return lines + [f"| `{module}` | {count} | {killed} | {proved} | {count - killed - proved} |"
                    for module, (count, killed, proved) in sorted(modules.items())]


def _coverage(found: dict) -> list[str]:
    kinds = ("lines", "branches", "toggles")
    return [f"What `gatefold verify` reaches in the Verilog of {found['cores']} cores, merged: a "
            "point counts as reached if it is in any core that has it. A toggle is one direction "
            "of one bit of a signal. What nothing can reach does not count: bits that are proved "
            "to be constant in every core that has them, branches that such bits decide, and what "
            "`tools/verification/coverage.tsv` lists.", "",
            "| points | reached | of | % | excluded |", "|---|---|---|---|---|",
            *(f"| {kind} | {reached:,} | {every:,} | {100 * reached / every:.1f} | {left:,} |"
              for kind, (reached, every, left) in ((kind, found[kind]) for kind in kinds)), "",
            "| excluded | why |", "|---|---|",
            *(f"| {count:,} | {why} |" for why, count in sorted(found["excluded"].items()))]


def _survivors() -> list[str]:
    known = Counter(line[2] for line in reasons())
    return ["| lines of survivors.tsv | why the mutants cannot matter |", "|---|---|",
            *(f"| {count} | {reason} |" for reason, count in known.most_common())]
