"""A quantised network in one file: a zip of ``network.json`` and one ``.npy`` member per array.

Written uncompressed with fixed dates, so that the same network gives the same bytes on every
machine; read without pickle, and no member is larger than the file that holds it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from gatefold.gen.accumulator import accumulator_bits, accumulator_bounds
from gatefold.gen.errors import UserError, quoted
from gatefold.gen.network import ACTIVATIONS
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantized import (
    QDense,
    QFlatten,
    QLayer,
    QLstm,
    QRepeatVector,
    QuantizedNetwork,
    Table,
)

__all__ = ["load_quantized", "save_quantized"]

_VERSION = 1
_JSON = "network.json"
_LAYERS: dict[str, type[QLayer]] = {
    "lstm": QLstm, "dense": QDense, "repeat_vector": QRepeatVector, "flatten": QFlatten}
_KINDS = {cls: kind for kind, cls in _LAYERS.items()}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class _Damage(Exception):
    """Something in the file contradicts itself; told as a :class:`UserError`."""


def save_quantized(path: str | Path, qnet: QuantizedNetwork) -> None:
    """Write ``qnet``; the same network gives the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    layers = [{"kind": _KINDS[type(layer)], **_pack(layer, layer.name, arrays)}
              for layer in qnet.layers]
    table = _pack(qnet.table, "table", arrays)
    head = {"format": "gatefold quantised network", "version": _VERSION,
            "input_shape": list(qnet.input_shape), "act_width": qnet.act_width,
            "weight_width": qnet.weight_width, "cell_width": qnet.cell_width,
            "acc_width": qnet.acc_width, "table": table, "layers": layers,
            "input_format": [qnet.input_format.width, qnet.input_format.frac],
            "calibration": qnet.calibration}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _member(archive, _JSON, json.dumps(head, indent=1, sort_keys=True).encode())
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, _smallest(array), version=(1, 0), allow_pickle=False)
            _member(archive, f"{name}.npy", buffer.getvalue())


def load_quantized(path: str | Path) -> QuantizedNetwork:
    """Read what :func:`save_quantized` wrote, checked: shapes, ranges, accumulator width.

    Raises :class:`UserError` for a missing, foreign or damaged file.
    """
    where = quoted(Path(path).name)
    try:
        with zipfile.ZipFile(path) as archive:
            qnet = _read(archive)
            _check(qnet)
            return qnet
    except FileNotFoundError:
        raise UserError(f"there is no quantised network {where}: build the core first") from None
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror or 'damaged'}): build the core "
                        "again") from None
    except (_Damage, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError,
            IndexError, EOFError, OverflowError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{where} is no quantised network of this version or is damaged "
                        f"({quoted(error)}): build the core again") from None


# ---- writing -----------------------------------------------------------------------------------


def _pack(thing: QLayer | Table, owner: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """A dataclass as JSON; arrays go to ``arrays`` under owner.field."""
    packed = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{owner}.{field.name}"] = value
        else:
            packed[field.name] = [value.width, value.frac] if isinstance(value, QFormat) else value
    return packed


def _smallest(array: np.ndarray) -> np.ndarray:
    lo, hi = int(array.min(initial=0)), int(array.max(initial=0))
    for dtype in ("<i1", "<i2", "<i4"):
        if np.iinfo(dtype).min <= lo and hi <= np.iinfo(dtype).max:
            return np.ascontiguousarray(array, dtype)
    return np.ascontiguousarray(array, "<i8")


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o644 << 16
    archive.writestr(info, data)


# ---- reading -----------------------------------------------------------------------------------


def _read(archive: zipfile.ZipFile) -> QuantizedNetwork:
    head = json.loads(_bytes(archive, _JSON))
    if head["format"] != "gatefold quantised network" or head["version"] != _VERSION:
        raise _Damage("another format or version")
    layers = []
    for entry in head["layers"]:
        kind, name = entry.pop("kind"), entry["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _Damage("a layer's name")
        layers.append(_unpack(_LAYERS[kind], entry, name, archive))
    width, frac = (_integer(v) for v in head["input_format"])
    if not isinstance(head["calibration"], dict):
        raise _Damage("calibration")
    return QuantizedNetwork(
        input_shape=tuple(_integer(n) for n in head["input_shape"]), layers=tuple(layers),
        act_width=_integer(head["act_width"]), weight_width=_integer(head["weight_width"]),
        cell_width=_integer(head["cell_width"]), input_format=QFormat(width, frac),
        table=_unpack(Table, head["table"], "table", archive),
        acc_width=_integer(head["acc_width"]), calibration=head["calibration"])


def _unpack(cls: type, entry: dict, owner: str, archive: zipfile.ZipFile):
    """The inverse of :func:`_pack`; a field's declared type says how it was stored."""
    values = {}
    for field in fields(cls):
        kind = str(field.type)
        if kind == "np.ndarray":
            values[field.name] = _array(archive, f"{owner}.{field.name}.npy")
        elif kind == "QFormat":
            width, frac = (_integer(v) for v in entry[field.name])
            values[field.name] = QFormat(width, frac)
        elif kind == "int":
            values[field.name] = _integer(entry[field.name])
        else:
            values[field.name] = entry[field.name]
            if type(values[field.name]).__name__ != kind:
                raise _Damage(f"{owner}.{field.name}")
    return cls(**values)


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) > 1 << 32:
        raise _Damage("an integer")
    return value


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise _Damage(name)
    return archive.read(info)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    data = _bytes(archive, name)
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise _Damage(name)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    count = 1
    for n in shape:
        count *= n
    body = data[buffer.tell():]
    if fortran or dtype.str.lstrip("<|") not in ("i1", "i2", "i4", "i8") \
            or len(body) != count * dtype.itemsize:
        raise _Damage(name)
    array = np.frombuffer(body, dtype).astype(np.int64).reshape(shape)
    array.setflags(write=False)
    return array


def _check(qnet: QuantizedNetwork) -> None:
    """Everything golden and plan rely on: shapes that fit, integers within their formats."""
    table, shape = qnet.table, tuple(qnet.input_shape)
    _expect(1 <= len(shape) <= 2 and min(shape) >= 1, "input_shape")
    _expect(all(4 <= w <= 18 for w in (qnet.act_width, qnet.weight_width, qnet.cell_width)),
            "widths")
    _expect(qnet.acc_width <= 62 and table.out_frac == qnet.act_width, "acc_width")
    _expect(table.n0 >= 1 and table.n1 >= 0 and table.n2 >= 0 and table.frac <= 20
            and table.n0 + table.n1 + table.n2 == 3 + table.frac, "the table's split")
    half = 1 << (table.n0 + table.n2 - 1) if table.n2 else 0
    _expect(table.t0.shape == (1 << (table.n0 + table.n1),) and table.t1.shape == (half,), "table")
    for entries in (table.t0, table.t1):
        _expect(entries.min(initial=0) >= 0 and entries.max(initial=0) < 1 << table.out_frac,
                "table")
    _expect(any(isinstance(layer, (QLstm, QDense)) for layer in qnet.layers), "layers")
    x = qnet.input_format
    for layer, shape in zip(qnet.layers, qnet.shapes, strict=False):
        if isinstance(layer, QLstm):
            u = layer.units
            _expect(u >= 1 and len(shape) == 2 and layer.w_ih.shape == (4 * u, shape[1])
                    and layer.w_hh.shape == (4 * u, u) and layer.b.shape == (4 * u,)
                    and layer.x == x, layer.name)
            weights = ((layer.w_ih, layer.w_ih_format), (layer.w_hh, layer.w_hh_format))
            x = layer.h
        elif isinstance(layer, QDense):
            _expect(layer.w.ndim == 2 and layer.w.shape[1] == shape[-1] and layer.x == x
                    and layer.b.shape == layer.w.shape[:1] and layer.activation in ACTIVATIONS,
                    layer.name)
            weights = ((layer.w, layer.w_format),)
            x = layer.y
        else:
            _expect(not isinstance(layer, QRepeatVector)
                    or (len(shape) == 1 and layer.timesteps >= 1), layer.name)
            continue
        for w, form in weights:
            _expect(form.width == qnet.weight_width and w.min() >= form.lo and w.max() <= form.hi,
                    layer.name)
        bounds = accumulator_bounds(layer, table.frac)
        _expect(max(accumulator_bits(bounds)) <= qnet.acc_width, layer.name)


def _expect(condition: object, what: str) -> None:
    if not condition:
        raise _Damage(what)
