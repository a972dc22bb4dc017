"""Boards by name: the resources of the device, and the vendor project files for it.

One declarative file a board; :func:`get` finds it. To add a board, write its file beside
``zcu104.py`` and name it in :data:`BOARDS`.
"""

from __future__ import annotations

from gatefold.boards.board import Board
from gatefold.boards.u280 import U280
from gatefold.boards.vivado import write_vivado
from gatefold.boards.zcu104 import ZCU104
from gatefold.gen.errors import UserError, quoted

__all__ = ["BOARDS", "Board", "get", "write_vivado"]

#: Every board that ``--board`` accepts, by its name.
BOARDS: dict[str, Board] = {board.name: board for board in (ZCU104, U280)}


def get(name: str) -> Board:
    """The board called ``name``; raises :class:`UserError` with the legal set."""
    board = BOARDS.get(name) if isinstance(name, str) else None
    if board is None:
        raise UserError(f"board must be one of {', '.join(BOARDS)}, not {quoted(name)}: "
                        "choose one of these with --board")
    return board
