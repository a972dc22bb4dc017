"""Boards by name or file: the resources and the geometry of the device, and vendor project files.

One TOML file a board; :func:`get` finds it. To add a board, write its file beside ``zcu104.toml``
(``docs/boards.md`` describes it) and name it in :data:`BOARDS`.
"""

from __future__ import annotations

from pathlib import Path

from gatefold.boards.board import Board
from gatefold.boards.files import read_board
from gatefold.boards.vivado import write_vivado
from gatefold.gen.errors import UserError, quoted

__all__ = ["BOARDS", "Board", "get", "write_vivado"]

#: Every board that ``--board`` knows, by its name.
BOARDS: dict[str, Board] = {
    name: read_board(Path(__file__).with_name(f"{name}.toml"))
    for name in ("zcu104", "zcu102", "kv260", "u280", "u55c", "u50")}


def get(name: str) -> Board:
    """The board called ``name``, or the one that the file of that path describes.

    Raises :class:`UserError` with the legal set, and as :func:`~gatefold.boards.files.read_board`.
    """
    if isinstance(name, str) and name.endswith(".toml"):
        board = read_board(name)
        if board.name in BOARDS:
            raise UserError(f"the board file {quoted(Path(name).name)}: name must differ from "
                            f"{', '.join(BOARDS)}, which Gatefold has, not {quoted(board.name)}")
        return board
    board = BOARDS.get(name) if isinstance(name, str) else None
    if board is None:
        raise UserError(f"board must be one of {', '.join(BOARDS)} or a file like my.toml, not "
                        f"{quoted(name)}: choose one of these with --board")
    return board
