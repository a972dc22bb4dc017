"""The register map in IP-XACT (IEEE 1685-2014), for packagers and for register verification."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from gatefold.hdl.host.registers import Field, Register, RegisterMap

__all__ = ["ip_xact"]

_SPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
#: Of a field by its access: what software may do, and what a write or its ones do.
_ACCESS = {
    "constant": ("read-only", ""), "ro": ("read-only", ""), "rw": ("read-write", ""),
    "pulse": ("read-write", "oneToSet"), "w1c": ("read-write", "oneToClear"),
    "w1t": ("read-write", "oneToToggle"),
}
_WINDOW = {"wo": "write-only", "ro": "read-only"}


def ip_xact(registers: RegisterMap, core: Mapping[str, int], version: str) -> str:
    """``gatefold.xml``; ``core`` gives the values of a core's constant registers."""
    register_namespace("ipxact", _SPACE)
    component = Element(_name("component"))
    for name, text in (("vendor", "gatefold"), ("library", "cores"), ("name", "gatefold"),
                       ("version", version)):
        _add(component, name, text)
    memory_map = _add(_add(component, "memoryMaps"), "memoryMap")
    _add(memory_map, "name", "s_axi_control")
    block = _block(memory_map, "registers", 0, registers.windows[0].address, "register")
    for register in registers.registers:
        _register(block, register, core.get(register.name))
    for window in registers.windows:
        block = _block(memory_map, window.name, window.address, window.size, "memory")
        _add(block, "access", _WINDOW[window.access])
    _add(memory_map, "addressUnitBits", "8")
    indent(component)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(component, "unicode") + "\n"


def _name(name: str) -> str:
    return f"{{{_SPACE}}}{name}"


def _add(parent: Element, name: str, text: str = "") -> Element:
    child = SubElement(parent, _name(name))
    child.text = text or None
    return child


def _block(parent: Element, name: str, address: int, size: int, usage: str) -> Element:
    block = _add(parent, "addressBlock")
    for tag, text in (("name", name), ("baseAddress", f"'h{address:x}"), ("range", f"'h{size:x}"),
                      ("width", "32"), ("usage", usage)):
        _add(block, tag, text)
    return block


def _register(block: Element, register: Register, value: int | None) -> None:
    one = _add(block, "register")
    for tag, text in (("name", register.name), ("description", register.text),
                      ("addressOffset", f"'h{register.address:x}"), ("size", "32")):
        _add(one, tag, text)
    for field in register.fields:
        _field(one, field, field.reset if value is None else (value & field.mask) >> field.low)


def _field(register: Element, field: Field, reset: int) -> None:
    one = _add(register, "field")
    access, written = _ACCESS[field.access]
    _add(one, "name", field.name)
    _add(one, "description", field.text)
    _add(one, "bitOffset", str(field.low))
    _add(_add(_add(one, "resets"), "reset"), "value", f"'h{reset:x}")
    _add(one, "bitWidth", str(field.width))
    _add(one, "access", access)
    if written:
        _add(one, "modifiedWriteValue", written)
