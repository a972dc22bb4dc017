"""Dataclasses with arrays in one file: a zip of ``network.json`` and one ``.npy`` member per array.

The file is written uncompressed and with fixed dates, so that the same contents give the same bytes
on every machine. It is read without pickle, and no member is larger than the file that holds it. A
dataclass is stored field by field, and each field's declared type says how it is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import add_member, read_npy
from gatefold.gen.network.layers import Layer, Window
from gatefold.gen.network.views import VIEWS, View
from gatefold.gen.numbers.qformat import QFormat

__all__ = ["Damage", "Stored", "entries", "expect", "integer", "integers", "pack",
           "read_stored", "write_stored"]

_JSON = "network.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
#: Fields of every layer, which a view in a quantised network leaves out.
_OF_LAYERS = {field.name for field in fields(Layer)}
#: Legal types of an array in the file, and the types in memory.
_DTYPES = {"i1": np.int64, "i2": np.int64, "i4": np.int64, "i8": np.int64, "f4": np.float32}


class Damage(Exception):
    """The file contradicts itself; ``str`` says where."""


def expect(condition: object, what: str) -> None:
    """Raise :class:`Damage` unless ``condition`` holds."""
    if not condition:
        raise Damage(what)


# ---- writing -----------------------------------------------------------------------------------


def write_stored(path: str | Path, head: Mapping[str, Any],
                 arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``head``, ready for JSON, and ``arrays`` of integers, booleans or float32, by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        add_member(archive, _JSON, json.dumps(head, indent=1, sort_keys=True).encode())
        for name, array in arrays.items():
            add_member(archive, f"{name}.npy", _smallest(array))


def pack(instance: Any, owner: str, arrays: dict[str, np.ndarray], *,
         left_out: Collection[str] = ()) -> dict[str, Any]:
    """A dataclass as JSON, without the fields ``left_out``; its arrays go to ``arrays``, under
    owner.field."""
    packed = {}
    for field in fields(instance):
        if field.name in left_out:
            continue
        value = getattr(instance, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{owner}.{field.name}"] = value
            value = "array"
        elif isinstance(value, QFormat):
            value = [value.width, value.frac]
        elif isinstance(value, Window):
            value = [getattr(value, part.name) for part in fields(Window)]
        elif isinstance(value, View):
            value = {"kind": value.kind, **pack(value, owner, arrays, left_out=_OF_LAYERS)}
        packed[field.name] = value
    return packed


def _smallest(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, "<f4")
    lo, hi = int(array.min(initial=0)), int(array.max(initial=0))
    for dtype in ("<i1", "<i2", "<i4"):
        if np.iinfo(dtype).min <= lo and hi <= np.iinfo(dtype).max:
            return np.ascontiguousarray(array, dtype)
    return np.ascontiguousarray(array, "<i8")


# ---- reading -----------------------------------------------------------------------------------


@contextlib.contextmanager
def read_stored(path: str | Path, what: str) -> Iterator[Stored]:
    """The file, open while the block reads it; messages call it ``what``.

    Raises :class:`UserError` for a missing, foreign or damaged file, also for the errors that
    damaged contents lead to in the block.
    """
    where = quoted(Path(path).name)
    try:
        with zipfile.ZipFile(path) as archive:
            yield Stored(archive)
    except FileNotFoundError:
        raise UserError(f"there is no {what} {where}: build the core first") from None
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror or 'damaged'}): build the core "
                        "again") from None
    except (Damage, UserError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError,
            IndexError, EOFError, OverflowError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{where} is no {what} of this version or is damaged "
                        f"({quoted(error)}): build the core again") from None


class Stored:
    """A file of :func:`write_stored`, open. ``head``: its JSON, of any shape."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self.head: Any = json.loads(self._bytes(_JSON))

    def layers(self, kinds: Mapping[str, type], **more: Any) -> list[tuple[str, Any]]:
        """Name and dataclass of every entry of ``head["layers"]``; ``kinds`` gives the class of
        each kind, ``more`` are further arguments of :meth:`unpack`."""
        found = {}
        for entry in entries(self.head["layers"]):
            name = entry["name"]
            expect(isinstance(name, str) and _NAME.fullmatch(name) and name not in found,
                   "a layer's name")
            found[name] = self.unpack(kinds[entry["kind"]], entry, name, **more)
        return list(found.items())

    def unpack(self, cls: type, entry: Any, owner: str, *, left_out: Collection[str] = (),
               floats: bool = False) -> Any:
        """The inverse of :func:`pack`; the arrays hold integers, or ``floats``."""
        values = {}
        for field in fields(cls):
            if field.name in left_out:
                continue
            kind, value = str(field.type), entry[field.name]
            if value is None:
                expect(kind.endswith("| None"), f"{owner}.{field.name}")
            elif kind.removesuffix(" | None") == "np.ndarray":
                value = self._field(f"{owner}.{field.name}", floats)
            elif kind.removesuffix(" | None") == "View":
                value = self.unpack(VIEWS[value["kind"]], value, "view", left_out=_OF_LAYERS)
            elif kind.removesuffix(" | None") in _READERS:
                value = _READERS[kind.removesuffix(" | None")](value)
            else:
                expect(type(value).__name__ == kind, f"{owner}.{field.name}")
            values[field.name] = value
        return cls(**values)

    def _field(self, name: str, floats: bool) -> np.ndarray:
        """An array; a pattern's are booleans."""
        pattern = name.endswith(".pattern")
        array = self._array(f"{name}.npy", floats and not pattern)
        if pattern:
            expect(array.min(initial=0) >= 0 and array.max(initial=0) <= 1, name)
            array = array.astype(bool)
        array.setflags(write=False)
        return array

    def _array(self, name: str, floats: bool) -> np.ndarray:
        data = self._bytes(name)
        array = read_npy(io.BytesIO(data), len(data), name)
        kind = array.dtype.str.lstrip("<|")
        expect(kind in _DTYPES and (kind == "f4") == floats, name)
        return array.astype(_DTYPES[kind])

    def _bytes(self, name: str) -> bytes:
        info = self._archive.getinfo(name)
        expect(info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size,
               name)
        return self._archive.read(info)


def entries(value: object) -> list:
    """``value``, a list; this and the next functions raise :class:`Damage` for other values."""
    expect(type(value) is list, "a list")
    return value  # type: ignore


def integer(value: object) -> int:
    """``value``, an integer of a sane size."""
    expect(type(value) is int and abs(value) <= 1 << 32, "an integer")
    return value  # type: ignore


def integers(value: object) -> tuple[int, ...]:
    """``value``, a list of integers."""
    return tuple(integer(n) for n in entries(value))


def _format(value: object) -> QFormat:
    width, frac = integers(value)
    return QFormat(width, frac)


def _window(value: object) -> Window:
    numbers = integers(value)
    expect(len(numbers) == len(fields(Window)), "a window")
    return Window(*numbers)


_READERS = {"int": integer, "tuple[int, ...]": integers, "Shape": integers, "QFormat": _format,
            "Window": _window}
