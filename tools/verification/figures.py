"""The figures of docs/verification.md: every command writes its own, and then the page."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

__all__ = ["FIGURES", "ROOT", "record"]

ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_name("figures.json")


def record(section: str, found: dict) -> None:
    """Merge ``found`` into a section of figures.json, and write the page again."""
    from page import write

    with FIGURES.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several commands may run at once
        file.seek(0)
        figures = json.loads(file.read() or "{}")
        figures.setdefault(section, {}).update(found)
        file.truncate(0)
        file.write(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        file.flush()
        write(figures)
