"""What the tables of docs/bench.md share: cells with the mark of their origin, and look-ups.

``known`` is the contents of bench/*.json, by the name of the file.
"""

from __future__ import annotations

from figures import BOARD_TITLES, DEVICES, TARGETS, published

__all__ = ["NETWORK_BOARDS", "NONE", "PUBLISHED", "Table", "best_us", "mark", "marked",
           "microseconds", "missed_cores", "number", "on_target", "planned_core", "published_us",
           "quoted_cell"]

NONE = "–"
NETWORK_BOARDS = tuple(BOARD_TITLES)  #: of the networks of the main table
PUBLISHED = tuple(DEVICES["fpga"])  #: those for which others published figures, too


def mark(text: str, letter: str) -> str:
    """A figure with the mark of its origin."""
    return f"{text}&nbsp;<sup>{letter}</sup>"


def number(value: float) -> str:
    """Three significant digits, or all digits before the point; thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def marked(value: float | None, letter: str) -> str:
    """A number with the mark of its origin; nothing for None."""
    return "" if value is None else mark(number(value), letter)


class Table:
    """A Markdown table with one column a network."""

    def __init__(self, names: list[str]):
        self.names = names
        self.lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]

    def section(self, title: str) -> None:
        self.lines.append(f"| **{title}** |" + " |" * len(self.names))

    def row(self, title: str, cell) -> None:
        """``cell(name)`` for each network; an empty row is left out."""
        cells = [cell(name) or NONE for name in self.names]
        if set(cells) != {NONE}:
            self.lines.append(f"| {title} | " + " | ".join(cells) + " |")


def planned_core(known: dict, name: str, board: str) -> dict:
    """What planned.json holds of the core of a network on a board."""
    return known["planned"]["networks"][name][board]


def microseconds(known: dict, name: str, board: str) -> float:
    """The latency of that core at its assumed clock."""
    row = planned_core(known, name, board)
    return row["latency"] / row["clock_mhz"]


def best_us(known: dict, name: str) -> float:
    """The latency on the faster of the two boards for which others published figures."""
    return min(microseconds(known, name, board) for board in PUBLISHED)


def published_us(known: dict, name: str, *groups: str) -> list[float]:
    """Published microseconds of a network on all devices of ``groups``."""
    found = [published(known["workloads"], device, name) for group in groups
             for device in DEVICES[group]]
    return [value for value in found if value is not None]


def quoted_cell(workloads: dict, device: str, entry: str) -> str:
    """The published microseconds of an entry on a device, marked as quoted."""
    return marked(published(workloads, device, entry), "q")


def missed_cores(known: dict, names: list[str], boards: tuple[str, ...]) -> list[str]:
    """The cores above their target."""
    return [f"{name} on the {BOARD_TITLES[board]}" for board in boards for name in names
            if planned_core(known, name, board)["latency"] > TARGETS[board].get(name, 1 << 60)]


def on_target(missed: list[str]) -> str:
    """The note on :func:`missed_cores`."""
    return ("- Every core reaches its target." if not missed else
            f"- These cores miss their target: {', '.join(missed)}.")
