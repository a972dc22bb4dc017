"""The figures of docs/verification.md: every command writes its own, and then the page."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["FIGURES", "ROOT", "figures", "record"]

ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_name("figures.json")


def figures() -> dict:
    """What figures.json holds."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def record(section: str, found: dict) -> None:
    """Merge ``found`` into a section of figures.json, and write the page again."""
    from page import write

    every = figures()
    every.setdefault(section, {}).update(found)
    FIGURES.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
    write(every)
