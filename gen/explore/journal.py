"""Finished points, a line each, in the folder of the exploration: it can be interrupted.

Line 1 says what was explored (:mod:`.identity`); the others are ``{"key": ..., "points": [...]}``.
The points of a line that is cut short or damaged are planned again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.explore.identity import NAMES
from gatefold.gen.explore.point import Point
from gatefold.gen.files.names import CORE
from gatefold.gen.files.output import check_target

__all__ = ["JOURNAL", "Journal", "check_folder", "open_journal"]

JOURNAL = "journal.jsonl"
_KIND = "exploration"


def check_folder(target: str | os.PathLike) -> Path:
    """The absolute path of a folder that an exploration may use: new, empty, or an exploration's.

    Raises :class:`UserError` for anything else.
    """
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        path = Path(target).resolve()
        if _header(path / JOURNAL) is not None:
            return path
    path = check_target(target)
    if (path / CORE).exists():
        raise UserError(f"the output folder {quoted(path.name)} holds a core: give another with -o")
    return path


class Journal:
    """The points known so far by key, and the file that more are appended to."""

    def __init__(self, file: IO[bytes], known: dict[str, list[Point]]):
        self._file = file
        self.known = known

    def add(self, key: str, points: list[Point]) -> None:
        """Keep the points of a job, at once."""
        self.known[key] = points
        self._file.write(_line(key, points))
        self._file.flush()

    @staticmethod
    def text(identity: Mapping, known: Mapping[str, list[Point]]) -> bytes:
        """A whole journal in the order of its keys."""
        return _first(identity) + b"".join(_line(key, known[key]) for key in sorted(known))


@contextlib.contextmanager
def open_journal(folder: Path, identity: Mapping, *, fresh: bool = False) -> Iterator[Journal]:
    """The journal in ``folder``, made where there is none; ``fresh`` throws the old one away.

    Raises :class:`UserError` where the folder holds another exploration or is in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / JOURNAL, "ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another exploration works in {quoted(folder.name)}: wait for it, or "
                            "give another folder with -o") from None
        if not fresh:
            _check_same(folder, _header(folder / JOURNAL), identity)
        file.seek(0)
        lines = [] if fresh else file.read().splitlines(keepends=True)
        known = dict(filter(None, map(_parsed, lines[1:])))
        if not lines or not lines[0].endswith(b"\n"):
            file.truncate(0)
            file.write(_first(identity))
        elif not lines[-1].endswith(b"\n"):
            file.write(b"\n")
        file.flush()
        yield Journal(file, known)


def _check_same(folder: Path, header: dict | None, identity: Mapping) -> None:
    if header is None:
        return
    differ = [name for key, name in NAMES.items() if header.get(key) != identity[key]]
    if differ:
        raise UserError(f"the folder {quoted(folder.name)} holds an exploration with another "
                        f"{' and another '.join(name.removeprefix('the ') for name in differ)}: "
                        "give another folder with -o, or start over with --fresh")


def _header(path: Path) -> dict | None:
    """The identity in a journal; None where Gatefold did not write it."""
    try:
        with open(path, "rb") as file:
            first = json.loads(file.readline(1 << 16))
        return first["identity"] if first["gatefold"] == _KIND else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _parsed(line: bytes) -> tuple[str, list[Point]] | None:
    try:
        entry = json.loads(line)
        return str(entry["key"]), [Point(**point) for point in entry["points"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _first(identity: Mapping) -> bytes:
    return json.dumps({"gatefold": _KIND, "identity": dict(identity)}).encode() + b"\n"


def _line(key: str, points: list[Point]) -> bytes:
    entry = {"key": key, "points": [point.as_dict() for point in points]}
    return json.dumps(entry).encode() + b"\n"
