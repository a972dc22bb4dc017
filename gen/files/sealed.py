"""Hashes of the files in a core's folder that decide its results, kept in report.json."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.names import CORE, FLOATS, HOST, INTEGERS

__all__ = ["check_sealed", "sealed"]

_DECIDE = (CORE, INTEGERS, FLOATS, HOST, "rtl", "weights")


def sealed(folder: Path) -> dict[str, str]:
    """sha256 of each of these files by its path in ``folder``."""
    found = [path for name in _DECIDE for path in (
        sorted((folder / name).rglob("*")) if (folder / name).is_dir() else [folder / name])]
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in found if path.is_file()}


def check_sealed(folder: Path, report: dict) -> None:
    """Raise :class:`UserError` where a file is not what ``report`` says; one without hashes, of an
    earlier version, says nothing."""
    stated = report.get("files", {})
    if not isinstance(stated, dict):
        raise UserError(f"{quoted(folder, limit=300)}: the hashes in its report.json are damaged: "
                        "build the folder again")
    there = sealed(folder) if stated else {}
    wrong = sorted(name for name in {*stated, *there} if stated.get(name) != there.get(name))
    if wrong:
        raise UserError(f"{quoted(folder / wrong[0], limit=300)} is damaged or changed "
                        f"(report.json holds the hashes of what was built{_more(wrong)}): build "
                        "the folder again, or put other weights in with `gatefold weights`")


def _more(wrong: list[str]) -> str:
    return f"; {len(wrong) - 1} more files differ" if len(wrong) > 1 else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
