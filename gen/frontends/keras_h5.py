"""The weights inside a ``.keras`` file: ``model.weights.h5``, read from memory.

Only plain, contiguous, native float32 datasets reached through hard links are read. Soft and
external links, external and virtual storage and compressed or chunked data are refused: they are
how an HDF5 file makes its reader open other files or allocate what the file does not hold.
Attributes are not read at all: a damaged heap of strings makes the HDF5 library loop for ever.
"""

from __future__ import annotations

import io

import h5py
import numpy as np

from ..errors import UserError, quoted
from .limits import check_elements

__all__ = ["Weights"]


class Weights:
    """The HDF5 weights of a Keras model.

    Parameters: ``data``, the bytes of ``model.weights.h5``; ``name``, the model file, for messages.
    Raises :class:`UserError` if it is not HDF5.
    """

    def __init__(self, data: bytes, name: str):
        try:
            self._file = h5py.File(io.BytesIO(data), "r")
        except Exception as error:  # h5py's errors on damaged files are of many kinds
            raise UserError(f"{name}: its model.weights.h5 is damaged ({quoted(error)}): "
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
                raise UserError(f"{where} has no weights in model.weights.h5 "
                                f"({group}/vars): save the whole model with model.save()")
            wanted = [str(n) for n in range(len(shapes))]
            if sorted(holder.keys()) != wanted:
                raise UserError(f"{where} must have {len(wanted)} weight arrays, not "
                                f"{len(holder)}: the file's weights contradict its description")
            return [self._array(holder, key, where, shape)
                    for key, shape in zip(wanted, shapes, strict=True)]
        except UserError:
            raise
        except Exception as error:  # whatever else h5py meets in a damaged file
            raise self._damaged(where, error) from None

    def _damaged(self, where: str, error: Exception) -> UserError:
        return UserError(f"{where}: its weights in model.weights.h5 are damaged "
                         f"({quoted(error)}): save the model again")

    def _descend(self, path: str) -> h5py.Group | None:
        node = self._file
        for part in path.split("/"):
            node = self._member(node, part)
            if node is None:
                return None
            if not isinstance(node, h5py.Group):
                raise UserError(f"{path} in model.weights.h5 must be a group: "
                                "save the model again")
        return node

    def _member(self, group: h5py.Group, key: str) -> object:
        link = group.get(key, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{quoted(key)} in model.weights.h5 is a link to another "
                            "place or file, which is not followed: save the model again")
        return group[key]

    def _array(self, holder: h5py.Group, key: str, where: str,
               shape: tuple[int, ...]) -> np.ndarray:
        data = self._member(holder, key)
        if not isinstance(data, h5py.Dataset):
            raise UserError(f"{where}: weight array {key} is no array: save the model "
                            "again")
        if data.dtype != np.float32:
            raise UserError(f"{where}: weights must be float32, not "
                            f"{quoted(data.dtype)}: train or save the model in float32")
        if data.shape != shape:
            raise UserError(f"{where}: weight array {key} must have the shape "
                            f"{shape}, not {data.shape}: the weights contradict the layer's "
                            "description")
        size = 4 * check_elements(where, data.shape)
        plain = data.chunks is None and not data.is_virtual and not data.external
        if not plain or data.id.get_storage_size() != size:
            raise UserError(f"{where}: weight array {key} is not stored plainly "
                            "(compressed, elsewhere, or missing): save the model again with Keras")
        return data[()]
