"""docs/registers.md: the register map for readers."""

from __future__ import annotations

from gatefold.hdl.host.registers import ACCESS, RegisterMap

__all__ = ["registers_page"]

_HEAD = """\
# The registers of a core

A core that was built with `--host axi` has these registers at its AXI4-Lite port, and an AXI4 \
master that reads frames and writes results. [host.md](host.md) says how to use them. This page \
is written by `gen/host/page.py` from the map in `hdl/host/registers.py`, which also makes the \
slave in hardware, `gatefold_regs.h`, the Python constants and `gatefold.rdl`.

Registers have 32 bits. Other addresses read as 0, and writing to them, or to what is read only, \
does nothing. The answer is OKAY everywhere.

| access | a program |
|---|---|
"""


def registers_page(registers: RegisterMap) -> str:
    """The page's text."""
    lines = [f"| {name} | {text} |" for name, text in ACCESS.items()]
    lines += ["", "| address | register | bits | field | access | reset | meaning |",
              "|---|---|---|---|---|---|---|"]
    for register in registers.registers:
        for field in register.fields:
            bits = f"{field.low + field.width - 1}:{field.low}" if field.width > 1 else field.low
            reset = "" if field.access == "constant" and not field.reset else f"{field.reset:#x}"
            lines.append(f"| {register.address:#04x} | {register.name} | {bits} | {field.name} | "
                         f"{field.access} | {reset} | {field.text} |")
    for window in registers.windows:
        lines.append(f"| {window.address:#x} to {window.address + window.size - 1:#x} | "
                     f"{window.name} | | | {window.access} | | {window.text} |")
    return _HEAD + "\n".join([*lines, ""])
