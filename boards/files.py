"""Board files: the TOML that describes a board, ours and a user's, read by one schema.

``docs/boards.md`` describes the file. Keys become the fields of the types in
:mod:`~gatefold.boards.board`, which check the numbers; unknown and missing keys are refused here.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from gatefold.boards.board import Board, Columns, Counts, Die, Grid, Host
from gatefold.gen.errors import UserError, quoted

__all__ = ["read_board"]

_BYTES = 1 << 16  # of a file


def read_board(path: str | os.PathLike) -> Board:
    """The board that the file describes.

    Raises :class:`UserError` for a file that is missing, too large or no TOML, and for what
    describes no board.
    """
    where = f"the board file {quoted(os.path.basename(os.fspath(path)))}"
    try:
        # A pipe must not block: its type is checked once it is open.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{where} must be a file, not a directory or device")
            data = file.read(_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}: "
                        "give the path of a .toml file, or a board's name") from None
    if len(data) > _BYTES:
        raise UserError(f"{where} must be at most {_BYTES >> 10} KiB: it is no board file")
    try:
        return _board(tomllib.loads(data.decode("utf-8")))
    except RecursionError:
        raise UserError(f"{where} is nested too deeply: docs/boards.md shows one") from None
    except ValueError as error:  # also of TOML and UTF-8
        raise UserError(f"{where}: {' '.join(str(error).split())[:240]}") from None


def _board(entries: dict[str, Any]) -> Board:
    dies = entries.pop("die", None)
    if not isinstance(dies, list) or not dies:
        raise ValueError("[[die]] is missing: describe each die in one")
    entries = {"device": None} | entries
    device = _table(entries.pop("device"), "[device]", _keys(Counts) | {"lutram_lut": True})
    source = entries.get("source", ())
    if "host" in entries:
        entries["host"] = Host(**_table(entries["host"], "[host]", _keys(Host)))
    entries["source"] = tuple(source) if isinstance(source, list) else ()
    own = {name: needed for name, needed in _keys(Board).items()
           if name not in device and name != "dies"}
    return Board(**_table(entries, "the file", own), **device, dies=tuple(
        _die(die, f"die {number}") for number, die in enumerate(dies)))


def _die(entries: Any, where: str) -> Die:
    found = _table(entries, where, _keys(Die))
    try:
        for name, kind in (("clock_regions", Grid), ("columns", Columns), ("shell", Counts)):
            found[name] = kind(**_table(found[name], name, _keys(kind)))
        return Die(**found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _keys(kind: type) -> dict[str, bool]:
    """The names of a dataclass's fields, and whether each must be given."""
    return {field.name: field.default is MISSING for field in fields(kind)}


def _table(entries: Any, where: str, keys: Mapping[str, bool]) -> dict[str, Any]:
    """``entries``, which must be a table with exactly these keys."""
    if not isinstance(entries, dict):
        raise ValueError(f"{where} must be a table with {', '.join(keys)}")
    for name in entries:
        if name not in keys:
            raise ValueError(f"{where} has no key {quoted(name)}: the keys are {', '.join(keys)}")
    for name, needed in keys.items():
        if needed and name not in entries:
            raise ValueError(f"{where} lacks {name}: the keys are {', '.join(keys)}")
    return dict(entries)
