"""``DIR/host``: the host's parts of a model as ONNX files, and the names of what joins them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.names import HOST
from gatefold.gen.frontends.container import read_file
from gatefold.gen.network.around import Around, Port

__all__ = ["load_host", "save_host"]

_PORTS = ("inputs", "outputs", "into", "out_of")
_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
           "float16", "float32", "float64")


def save_host(folder: Path, around: Around) -> None:
    """Write before.onnx and behind.onnx, where there is such a part, and ports.json."""
    (folder / HOST).mkdir(exist_ok=True)
    for name, part in (("before", around.before), ("behind", around.behind)):
        if part:
            (folder / HOST / f"{name}.onnx").write_bytes(part)
    ports: dict = {name: [asdict(port) for port in getattr(around, name)] for name in _PORTS}
    if around.whole:
        ports["whole"] = around.whole
    (folder / HOST / "ports.json").write_text(json.dumps(ports, indent=1) + "\n")


def load_host(directory: Path) -> Around | None:
    """What :func:`save_host` wrote to a core's folder, without the rows; None where it wrote
    nothing. Raises :class:`UserError` for a damaged one."""
    folder = directory / HOST
    if not folder.exists():
        return None
    try:
        ports = json.loads((folder / "ports.json").read_text())
        inputs, outputs, into, out_of = (tuple(_port(one) for one in ports[name])
                                         for name in _PORTS)
        whole = tuple((str(name), int(number)) for name, number in ports.get("whole", ()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{quoted(folder, limit=300)} is damaged ({quoted(error)}): build the "
                        "folder again") from None
    before, behind = (read_file(path) if path.exists() else b""
                      for path in (folder / "before.onnx", folder / "behind.onnx"))
    return Around(before, behind, inputs, outputs, into, out_of, whole=whole)


def _port(stored: dict[str, Any]) -> Port:
    port = Port(**{**stored, "dims": tuple(stored["dims"])})
    if port.dtype not in _DTYPES or not all(
            type(n) is int and 0 < n <= 1 << 26 for n in port.dims):
        raise ValueError("a port's shape")
    return port
