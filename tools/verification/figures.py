"""The figures of docs/verification.md: every command writes its own, and then the page."""

from __future__ import annotations

import fcntl
import json
from hashlib import sha256
from pathlib import Path

__all__ = ["FIGURES", "ROOT", "digest", "figures", "hardware", "record", "recorded"]

ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_name("figures.json")


def figures() -> dict:
    """What figures.json holds."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def digest(*places: Path) -> str:
    """A name of what is in these files, and in all files of these folders but compiled Python."""
    files = (path for place in places for path in sorted(place.rglob("*")) or [place]
             if path.is_file() and path.suffix != ".pyc")
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def hardware(folder: Path) -> str:
    """A name of the Verilog and the images in the folder of a core."""
    return digest(folder / "rtl", folder / "weights")


def recorded(section: str, key: str, hardware: str, start: dict) -> dict:
    """What a section holds of a core with this :func:`hardware`; otherwise ``start``, which the
    command adds to from run to run."""
    found = figures().get(section, {}).get(key, {})
    return found if found.get("hardware") == hardware else start | {"hardware": hardware}


def record(section: str, found: dict) -> None:
    """Merge ``found`` into a section of figures.json, and write the page again."""
    from page import write

    with FIGURES.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several commands may run at once
        file.seek(0)
        every = json.loads(file.read() or "{}")
        every.setdefault(section, {}).update(found)
        file.truncate(0)
        file.write(json.dumps(every, indent=1, sort_keys=True) + "\n")
        file.flush()
        write(every)
