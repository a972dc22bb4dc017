"""HDF5 files of Keras, read from memory: the weights inside a ``.keras`` file, or an ``.h5`` file.

Only plain, contiguous, native float32 datasets reached through hard links are read. Soft and
external links, external and virtual storage and compressed or chunked data are refused: they are
how an HDF5 file makes its reader open other files or allocate what the file does not hold.
Attributes are not read through the HDF5 library at all: a damaged heap of strings makes it loop for
ever, a damaged length makes it allocate gigabytes. Where a text is needed, :func:`texts` reads the
heaps themselves.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import h5py
import numpy as np

from ..errors import UserError, quoted
from .limits import check_elements

__all__ = ["MAX_TEXT", "File", "texts"]

#: Most bytes of a model's configuration.
MAX_TEXT = 8 << 20
_MAX_DEPTH, _MAX_MEMBERS = 16, 1 << 14  # of groups within groups; of all of them together


class File:
    """An HDF5 file.

    Parameters: ``data``, its bytes; ``name``, the model file; ``what``, this one in messages.
    Raises :class:`UserError` if it is not HDF5.
    """

    def __init__(self, data: bytes, name: str, what: str):
        self._what = what
        try:
            self._file = h5py.File(io.BytesIO(data), "r")
        except Exception as error:  # h5py's errors on damaged files are of many kinds
            raise UserError(f"{name}: its {what} is damaged ({quoted(error)}): "
                            "save the model again") from None

    def close(self) -> None:
        """Let go of the memory."""
        self._file.close()

    def variables(self, group: str, where: str,
                  shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
        """The arrays ``0, 1, ...`` in ``group/vars``: exactly as many as ``shapes``, of these.

        ``where`` names the layer in messages.
        """
        try:
            holder = self._descend(f"{group}/vars")
            if holder is None:
                raise UserError(f"{where} has no weights in {self._what} "
                                f"({quoted(group)[1:-1]}/vars): save the whole model with "
                                "model.save()")
            wanted = [str(n) for n in range(len(shapes))]
            if sorted(holder.keys()) != wanted:
                raise UserError(f"{where} must have {len(wanted)} weight arrays, not "
                                f"{len(holder)}: the file's weights contradict its description")
            return [self._array(self._member(holder, key), f"weight array {key}", where, shape)
                    for key, shape in zip(wanted, shapes, strict=True)]
        except UserError:
            raise
        except Exception as error:  # whatever else h5py meets in a damaged file
            raise self._damaged(f"{where}: its weights", error) from None

    def names(self, group: str) -> list[tuple[str, ...]]:
        """The names of all arrays in a group, each a path of parts."""
        try:
            top = self._descend(group)
            if top is None:
                raise UserError(f"there is no {group} in the {self._what}: save the whole model "
                                'with model.save("model.keras")')
            return list(self._walk(top, (), [0]))
        except UserError:
            raise
        except Exception as error:
            raise self._damaged(group, error) from None

    def array(self, group: str, parts: tuple[str, ...], where: str,
              shape: tuple[int, ...]) -> np.ndarray:
        """The array of this name in ``group``, which must have this shape."""
        try:
            node: object = self._descend(group)
            for part in parts:
                node = self._member(node, part)
            return self._array(node, f"weights {quoted(parts[-1])}", where, shape)
        except UserError:
            raise
        except Exception as error:
            raise self._damaged(f"{where}: its weights", error) from None

    def _damaged(self, what: str, error: Exception) -> UserError:
        return UserError(f"{what} in {self._what} are damaged ({quoted(error)}): save the model "
                         "again")

    def _walk(self, group: h5py.Group, parts: tuple[str, ...],
              count: list[int]) -> Iterator[tuple[str, ...]]:
        for key in map(str, group):
            count[0] += 1
            if len(parts) >= _MAX_DEPTH or count[0] > _MAX_MEMBERS:
                raise UserError(f"the {self._what} has more groups, or more of them nested, than "
                                "any model: save the model again")
            node = self._member(group, key)
            if isinstance(node, h5py.Group):
                yield from self._walk(node, (*parts, key), count)
            else:
                yield (*parts, key)

    def _descend(self, path: str) -> h5py.Group | None:
        node: object = self._file
        for part in path.split("/"):
            node = self._member(node, part)
            if node is None:
                return None
            if not isinstance(node, h5py.Group):
                raise UserError(f"{path} in {self._what} must be a group: "
                                "save the model again")
        assert isinstance(node, h5py.Group)
        return node

    def _member(self, group: object, key: str) -> object:
        if not isinstance(group, h5py.Group):
            return None
        link = group.get(key, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{quoted(key)} in {self._what} is a link to another "
                            "place or file, which is not followed: save the model again")
        return group[key]

    def _array(self, data: object, what: str, where: str, shape: tuple[int, ...]) -> np.ndarray:
        if not isinstance(data, h5py.Dataset):
            raise UserError(f"{where}: {what} is no array: save the model again")
        if data.dtype != np.float32:
            raise UserError(f"{where}: weights must be float32, not "
                            f"{quoted(data.dtype)}: train or save the model in float32")
        if data.shape != shape:
            raise UserError(f"{where}: {what} must have the shape "
                            f"{shape}, not {data.shape}: the weights contradict the layer's "
                            "description")
        size = 4 * check_elements(where, data.shape)
        plain = data.chunks is None and not data.is_virtual and not data.external
        if not plain or data.id.get_storage_size() != size:
            raise UserError(f"{where}: {what} is not stored plainly "
                            "(compressed, elsewhere, or missing): save the model again with Keras")
        return data[()]


def texts(data: bytes) -> list[bytes]:
    """The variable-length strings that an HDF5 file's attributes hold, whosever they are.

    Raises ValueError where a heap of strings is damaged. A collection of them is its size and then
    objects, each with its own size, up to a free one with index 0 (HDF5 File Format Specification,
    III.E: Global Heap).
    """
    found, start = [], 0
    while (start := data.find(b"GCOL\x01\0\0\0", start)) >= 0:
        end = start + int.from_bytes(data[start + 8:start + 16], "little")
        at = start + 16
        if not at <= end <= len(data):
            raise ValueError("a heap of strings that goes beyond the file")
        while at + 16 <= end and (index := int.from_bytes(data[at:at + 2], "little")):
            size = int.from_bytes(data[at + 8:at + 16], "little")
            if at + 16 + size > end:
                raise ValueError(f"string {index} of a heap goes beyond it")
            if size <= MAX_TEXT:
                found.append(data[at + 16:at + 16 + size])
            at += 16 + -(-size // 8) * 8
        start = end
    return found
