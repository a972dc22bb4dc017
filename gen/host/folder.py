"""What a core with registers adds to its folder: the driver, what it loads, the board's package."""

from __future__ import annotations

from pathlib import Path

from gatefold.boards import Board
from gatefold.boards.zynqmp import write_zynqmp
from gatefold.gen.files.names import ANY_BOARD, CONTENTS
from gatefold.gen.host.driver_files import DRIVER, write_driver, write_load
from gatefold.gen.plan import Plan
from gatefold.hdl.host.config import HostConfig

__all__ = ["write_host"]


def write_host(folder: Path, plan: Plan, host: HostConfig, *, board: Board | None,
               clock_mhz: float, version: str, verilog: list[str], memories: list[str]) -> None:
    """Write to ``folder``, which holds the Verilog and the weights, all but the driver's examples.

    Parameters: ``version``, of Gatefold; ``verilog`` and ``memories``, names of the files in rtl/
    and weights/.
    """
    built = host.constants["HASH_LO"] | host.constants["HASH_HI"] << 32
    write_driver(folder / DRIVER, plan, host.constants, clock_mhz=clock_mhz, version=version)
    if plan.config.loadable:
        write_load(folder / "weights", plan, built)
    if board is not None and board.host is not None:
        name = board.name if board.name in CONTENTS else ANY_BOARD
        write_zynqmp(folder / name, board=board, verilog_files=verilog, memory_files=memories,
                     clock_mhz=clock_mhz, port_bits=host.width,
                     load_bytes=host.constants["LOAD_BYTES"], build_hash=built, version=version)
