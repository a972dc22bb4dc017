"""Files that hold named arrays and nothing else: ``.safetensors`` and ``.npz``.

Both are read here, byte by byte: no pickle, no framework, and every size is compared with the bytes
that are there before anything is allocated.

A safetensors file is the length of a header (8 bytes, little-endian), the header, JSON that names
each tensor's type, shape and place, and the tensors' bytes, which must follow each other without
gaps and to the end of the file. (Source: the format's description by its authors, Hugging Face.)
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import read_npy
from gatefold.gen.frontends.container import Archive
from gatefold.gen.frontends.limits import MAX_ELEMENTS
from gatefold.gen.network.graph import Shape

__all__ = ["WeightsFile", "is_weights", "read_weights"]

#: Most bytes of a safetensors header: some ten thousand tensors.
MAX_HEADER = 4 << 20
#: Bytes of an element, by safetensors' names.
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "U16": 2, "I16": 2,
          "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8}
_FLOATS = ("F32", "F16", "BF16", "F64")
_MAX_RANK = 8


class WeightsFile:
    """Named arrays of a file, none of them read yet.

    Attributes: ``kind``, ``safetensors`` or ``npz``; ``names``; ``metadata``, strings that a
    safetensors file carries beside its tensors.
    """

    def __init__(self, kind: str, name: str, metadata: Mapping[str, str] | None = None):
        self.kind, self.file, self.metadata = kind, name, dict(metadata or {})

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        raise NotImplementedError

    def array(self, name: str, shape: Shape) -> np.ndarray:
        """The array ``name`` as float32.

        Raises :class:`UserError` if the file has no such array, or one of another shape or type.
        """
        if name not in self.names:
            near = [other for other in self.names if other.split(".")[-1] == name.split(".")[-1]]
            listed = ", ".join(quoted(other) for other in (near or self.names)[:4])
            raise UserError(f"{self.file} holds no {quoted(name)}: give the prefix under which the "
                            "file has these weights, or describe the layer as it is (bias, "
                            f"num_layers, bidirectional); it holds {listed}"
                            + (", ..." if len(near or self.names) > 4 else ""))
        array = self._read(name)
        if array.shape != shape:
            raise UserError(f"{self.file}: {quoted(name)} must have the shape {shape}, which the "
                            f"network's description implies, not {array.shape}: correct the sizes "
                            "of its layer")
        with np.errstate(over="ignore"):  # the layer refuses a weight that becomes infinite
            return array.astype(np.float32)

    def _read(self, name: str) -> np.ndarray:
        raise NotImplementedError

    def _refuse_type(self, name: str, found: object) -> UserError:
        return UserError(f"{self.file}: {quoted(name)} must be of {', '.join(_FLOATS)}, not "
                         f"{quoted(found)[1:-1]}: give the float model, Gatefold quantises it")


def is_weights(data: bytes, name: str) -> bool:
    """Whether ``data`` are the bytes of such a file; ``name`` is for messages."""
    if data[8:10] == b'{"':
        return True
    if not data.startswith(b"PK"):
        return False
    names = Archive(data, name).names
    return bool(names) and all(member.endswith(".npy") for member in names)


def read_weights(data: bytes, name: str) -> WeightsFile:
    """The arrays in the bytes of a file for which :func:`is_weights` holds.

    Raises :class:`UserError` where it is damaged.
    """
    return _Npz(data, name) if data.startswith(b"PK") else _Safetensors(data, name)


class _Npz(WeightsFile):
    def __init__(self, data: bytes, name: str):
        super().__init__("npz", name)
        self._archive = Archive(data, name)

    @property
    def names(self):
        return [member.removesuffix(".npy") for member in self._archive.names]

    def _read(self, name):
        where = f"{self.file}: the array {quoted(name)}"
        data = self._archive.read(f"{name}.npy")
        array = read_npy(io.BytesIO(data), len(data), where)
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise self._refuse_type(name, array.dtype)
        return array


class _Safetensors(WeightsFile):
    def __init__(self, data: bytes, name: str):
        super().__init__("safetensors", name)
        self._data = data
        length = int.from_bytes(data[:8], "little")
        if length > min(len(data) - 8, MAX_HEADER):
            raise self._damaged(f"declares a header of {length} bytes, of which "
                                f"{len(data) - 8} are there and at most {MAX_HEADER} are read")
        self._start = 8 + length
        header = self._json(data[8:self._start])
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(
                isinstance(value, str) for value in metadata.values()):
            raise self._damaged("has a __metadata__ that is not made of strings")
        self.metadata = metadata
        self._tensors = {key: self._entry(key, value) for key, value in header.items()}
        self._check_places(len(data) - self._start)

    def _damaged(self, what: str) -> UserError:
        return UserError(f"{self.file} is a safetensors file, but {what}: it is damaged, save it "
                         "again")

    def _json(self, text: bytes) -> dict:
        def unique(pairs: list) -> dict:
            found = dict(pairs)
            if len(found) != len(pairs):
                raise ValueError("a name occurs twice")
            return found

        try:
            value = json.loads(text.decode(), object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"its header is not readable ({quoted(error)})") from None
        if not isinstance(value, dict):
            raise self._damaged("its header is no JSON object")
        return value

    def _entry(self, key: str, value: object) -> tuple[str, Shape, int, int]:
        """(type, shape, begin, end) of a tensor, its size checked."""
        where = f"its tensor {quoted(key)}"
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
            raise self._damaged(f"{where} is not described by dtype, shape and data_offsets")
        kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(kind, str) or kind not in _BYTES:
            raise self._damaged(f"{where} is of the unknown type {quoted(kind)}")
        if not _naturals(shape) or len(shape) > _MAX_RANK:
            raise self._damaged(f"{where} has no shape of at most {_MAX_RANK} sizes")
        if not _naturals(offsets) or len(offsets) != 2:
            raise self._damaged(f"{where} has no data_offsets (begin, end)")
        elements = math.prod(shape)
        if elements > MAX_ELEMENTS or elements * _BYTES[kind] != offsets[1] - offsets[0]:
            raise self._damaged(f"{where} of {elements:.4g} elements of {kind} lies in "
                                f"{offsets[1] - offsets[0]:.4g} bytes (at most {MAX_ELEMENTS} "
                                "elements are read)")
        return kind, tuple(shape), offsets[0], offsets[1]

    def _check_places(self, size: int) -> None:
        end = 0
        for key, (_, _, begin, stop) in sorted(self._tensors.items(), key=lambda t: t[1][2:]):
            if begin != end:
                what = "overlaps the one before it" if begin < end else "leaves a gap before it"
                raise self._damaged(f"its tensor {quoted(key)} {what}")
            end = stop
        if end != size:
            raise self._damaged(f"its tensors have {end:.12g} bytes, and {size} are there")

    @property
    def names(self):
        return list(self._tensors)

    def _read(self, name):
        kind, shape, begin, end = self._tensors[name]
        if kind not in _FLOATS:
            raise self._refuse_type(name, kind)
        stored = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}[kind]
        flat = np.frombuffer(self._data, stored, math.prod(shape), self._start + begin)
        if kind == "BF16":  # the upper half of a float32
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.reshape(shape)


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 63 for n in value)
