"""A quantised network in one file: a zip of ``network.json`` and one ``.npy`` member per array.

Written uncompressed with fixed dates, so that the same network gives the same bytes on every
machine; read without pickle, and no member is larger than the file that holds it. A dataclass is
stored field by field, each as its declared type says.
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

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.layers import Layer, Window
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantized import (
    QCellState,
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRnn,
    QuantizedNetwork,
    QView,
    Table,
)
from gatefold.gen.quantized_check import Damage, check, expect
from gatefold.gen.views import (
    Concat,
    Flatten,
    Pad,
    Permute,
    RepeatVector,
    Reshape,
    Reverse,
    Slice,
    View,
)

__all__ = ["load_quantized", "save_quantized"]

_FORMAT, _VERSION = "gatefold quantised network", 2
_JSON = "network.json"
_LAYERS: dict[str, type[QLayer]] = {
    "lstm": QLstm, "gru": QGru, "rnn": QRnn, "dense": QDense, "max_pool": QMaxPool,
    "multiply": QMultiply, "cell_state": QCellState, "view": QView}
_KINDS = {cls: kind for kind, cls in _LAYERS.items()}
_VIEWS: dict[str, type[View]] = {view.kind: view for view in (
    Concat, Flatten, Pad, Permute, RepeatVector, Reshape, Reverse, Slice)}
#: Fields of a view that come from the model file or are stored with its layer.
_LEFT_OUT = {field.name for field in fields(Layer)}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def save_quantized(path: str | Path, qnet: QuantizedNetwork) -> None:
    """Write ``qnet``; the same network gives the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    layers = [{"kind": _KINDS[type(layer)], **_pack(layer, layer.name, arrays)}
              for layer in qnet.layers]
    head = {"format": _FORMAT, "version": _VERSION, "layers": layers,
            "table": _pack(qnet.table, "table", arrays),
            "input_shapes": qnet.input_shapes, "outputs": qnet.outputs, "host": qnet.host,
            "input_formats": [[form.width, form.frac] for form in qnet.input_formats],
            "calibration": qnet.calibration, **{name: getattr(qnet, name) for name in _WIDTHS}}
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
            check(qnet)
            return qnet
    except FileNotFoundError:
        raise UserError(f"there is no quantised network {where}: build the core first") from None
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror or 'damaged'}): build the core "
                        "again") from None
    except (Damage, UserError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError,
            IndexError, EOFError, OverflowError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{where} is no quantised network of this version or is damaged "
                        f"({quoted(error)}): build the core again") from None


_WIDTHS = ("act_width", "weight_width", "cell_width", "acc_width")


# ---- writing -----------------------------------------------------------------------------------


def _pack(thing: QLayer | Table, owner: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """A dataclass as JSON; arrays go to ``arrays`` under owner.field."""
    packed = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{owner}.{field.name}"] = value
            value = "array"
        elif isinstance(value, QFormat):
            value = [value.width, value.frac]
        elif isinstance(value, Window):
            value = [getattr(value, part.name) for part in fields(Window)]
        elif isinstance(value, View):
            value = {"kind": value.kind, **{part.name: getattr(value, part.name)
                                            for part in fields(value)
                                            if part.name not in _LEFT_OUT}}
        packed[field.name] = value
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
    expect(head["format"] == _FORMAT and head["version"] == _VERSION, "another format or version")
    layers = []
    for entry in _list(head["layers"]):
        expect(isinstance(entry["name"], str) and _NAME.fullmatch(entry["name"]), "a layer's name")
        layers.append(_unpack(_LAYERS[entry["kind"]], entry, entry["name"], archive))
    expect(isinstance(head["calibration"], dict), "calibration")
    expect(len({layer.name for layer in layers}) == len(layers), "a layer's name")
    return QuantizedNetwork(
        input_shapes=tuple(_integers(shape) for shape in _list(head["input_shapes"])),
        layers=tuple(layers), outputs=_integers(head["outputs"]),
        input_formats=tuple(_format(form) for form in _list(head["input_formats"])),
        table=_unpack(Table, head["table"], "table", archive),
        host=tuple(map(str, _list(head["host"]))), calibration=head["calibration"],
        **{name: _integer(head[name]) for name in _WIDTHS})


def _unpack(cls: type, entry: dict, owner: str, archive: zipfile.ZipFile | None) -> Any:
    """The inverse of :func:`_pack`; a field's declared type says how it was stored."""
    values = {}
    for field in fields(cls):
        if field.name in _LEFT_OUT and issubclass(cls, View):
            continue
        kind, value = str(field.type), entry[field.name]
        if value is None:
            expect(kind.endswith("| None"), f"{owner}.{field.name}")
            values[field.name] = None
            continue
        kind = kind.removesuffix(" | None")
        if kind == "np.ndarray":
            assert archive  # views have no arrays
            value = _array(archive, f"{owner}.{field.name}.npy")
            if field.name == "pattern":
                expect(value.min(initial=0) >= 0 and value.max(initial=0) <= 1, f"{owner}.pattern")
                value = value.astype(bool)
                value.setflags(write=False)
        elif kind in _READERS:
            value = _READERS[kind](value)
        else:
            expect(type(value).__name__ == kind, f"{owner}.{field.name}")
        values[field.name] = value
    return cls(**values)


def _list(value: object) -> list:
    expect(type(value) is list, "a list")
    return value  # type: ignore


def _integer(value: object) -> int:
    expect(type(value) is int and abs(value) <= 1 << 32, "an integer")
    return value  # type: ignore


def _integers(value: object) -> tuple[int, ...]:
    return tuple(_integer(n) for n in _list(value))


def _format(value: object) -> QFormat:
    width, frac = _integers(value)
    return QFormat(width, frac)


def _window(value: object) -> Window:
    numbers = _integers(value)
    expect(len(numbers) == len(fields(Window)), "a window")
    return Window(*numbers)


def _view(value: dict) -> View:
    return _unpack(_VIEWS[value["kind"]], value, "view", None)


_READERS = {"int": _integer, "tuple[int, ...]": _integers, "Shape": _integers, "QFormat": _format,
            "Window": _window, "View": _view}


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise Damage(name)
    return archive.read(info)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    data = _bytes(archive, name)
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise Damage(name)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    count = 1
    for n in shape:
        count *= n
    body = data[buffer.tell():]
    if fortran or dtype.str.lstrip("<|") not in ("i1", "i2", "i4", "i8") \
            or len(body) != count * dtype.itemsize:
        raise Damage(name)
    array = np.frombuffer(body, dtype).astype(np.int64).reshape(shape)
    array.setflags(write=False)
    return array
