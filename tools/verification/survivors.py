"""survivors.tsv: why the mutants that survive verify cannot matter."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

__all__ = ["OPEN", "PROVED", "explained", "reason", "reasons", "refresh"]

SURVIVORS = Path(__file__).with_name("survivors.tsv")
PROVED = "proved"  #: a reason: SAT or induction shows it
OPEN = "open"  #: a reason: that nobody has explained it


@cache
def reasons() -> list[tuple[str, ...]]:
    """The lines: core, mutant (both may have wildcards), reason."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def reason(core: str, key: str) -> tuple[str, ...] | None:
    """The line that says why a survivor cannot matter."""
    literal = key.replace("[", "(").replace("]", ")")  # fnmatch gives brackets a meaning
    return next((line for line in reasons() if fnmatchcase(core, line[0])
                 and fnmatchcase(literal, line[1].replace("[", "(").replace("]", ")"))), None)


def explained(core: str, left: list[str], shown: list[str]) -> int:
    """How many of the survivors that are not proved a line explains. Those that random traffic has
    ``shown`` to differ no line can."""
    lines = [reason(core, key) for key in left if key not in shown]
    return sum(line is not None and line[2] not in (PROVED, OPEN) for line in lines)


def refresh(name: str, lines: list[tuple[str, ...]]) -> None:
    """Write ``lines`` in place of those of a core."""
    text = SURVIVORS.read_text().splitlines()
    head = [line for line in text if line.startswith("#")]
    kept = [line for line in text if line and line.split("\t")[0] not in (name, *head)]
    new = sorted("\t".join(line) for line in set(lines))
    SURVIVORS.write_text("\n".join([*head, *sorted([*kept, *new])]) + "\n")
