"""The package for a Zynq UltraScale+ board: Vivado project, device tree, Yocto layer, PYNQ overlay.

The files are templates in ``zynqmp_files/``; ``@name`` stands for a value, and programs for
the board end in ``.in``, since their modules are not here. All values come from the
board's file, the register map and the plan. Tcl commands are those of UG835, the properties of the
processing system those of PG201. No vendor tool runs on the machines this is developed on: tests
execute the scripts in tclsh against a recorder, compile the device trees and parse the recipes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from gatefold.boards.board import Board
from gatefold.boards.vivado import At, generated, listed
from gatefold.hdl.host.registers import MAP

__all__ = ["BUFFER_BYTES", "VIVADO", "YOCTO", "write_zynqmp"]

VIVADO = "2025.2"  #: the version that the scripts are written for,
YOCTO = "scarthgap"  #: and the release of the vendor's embedded flow

BUFFER_BYTES = 16 << 20  #: of the DMA buffer, where the weights do not need more

_FILES = Path(__file__).parent / "zynqmp_files"
_PAGE = 0x1_0000  # of a control port's address range
#: Of the LICENSE of u-dma-buf, which its recipe states.
_LICENSE_MD5 = "bebf0492502927bef0741aa04d1f35f5"


def write_zynqmp(directory: Path, *, board: Board, verilog_files: Iterable[str | PurePath],
                 memory_files: Iterable[str | PurePath], clock_mhz: float, port_bits: int,
                 load_bytes: int, build_hash: int, version: str) -> list[Path]:
    """Write the package to ``directory``, beside ``rtl/`` and ``weights/``; the files' paths.

    Parameters: ``board``, with a ``host``; ``verilog_files`` and ``memory_files``, as of
    :func:`~gatefold.boards.vivado.write_vivado`; ``port_bits``, of the core's memory port;
    ``load_bytes``, of the image of a loadable core; ``build_hash``; ``version`` of Gatefold.
    """
    host = board.host
    if host is None:
        raise ValueError(f"{board.name} has no [host] in its file")
    verilog = listed(verilog_files, "rtl", ".v")
    memories = listed(memory_files, "weights", ".hex")
    buffer = max(BUFFER_BYTES, -(-2 * load_bytes // _PAGE) * _PAGE)
    values = {
        "board": generated(directory.name, "directory"), "title": board.title, "part": board.part,
        "board_part": host.board_part, "machine": host.machine,
        "mhz": f"{clock_mhz:g}", "port_bits": min(port_bits, host.port_bits),
        "control_base": f"{host.control_base:#010x}", "control_hex": f"{host.control_base:x}",
        "control_range": f"{max(_PAGE, 1 << MAP.address_bits):#x}", "interrupt": host.interrupt,
        "buffer_hex": f"{buffer:x}", "hash": f"{build_hash:016x}", "version": version,
        "vivado": VIVADO, "yocto": YOCTO, "license_md5": _LICENSE_MD5,
        "verilog": "\n".join(f"    {name}" for name in verilog),
        "memories": "\n".join(f"    {name}" for name in memories),
    }
    written = []
    for source in sorted(path for path in _FILES.rglob("*") if path.is_file()):
        name = At(str(source.relative_to(_FILES)).removesuffix(".in")).substitute(values)
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = At(source.read_text("ascii")).substitute(values)
        target.write_text(text, encoding="ascii", newline="\n")
        written.append(target)
    return written
