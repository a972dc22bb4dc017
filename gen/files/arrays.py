"""Arrays from and to ``.npy`` and ``.npz`` files, without pickle.

The size that a header declares is compared with the file's before anything is allocated.
"""

from __future__ import annotations

import io
import math
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from gatefold.gen.errors import UserError, quoted

__all__ = ["add_member", "array_digest", "check_writable", "read_array", "read_arrays", "read_npy",
           "without_blocking", "write_arrays"]

#: Largest array read, in bytes.
LIMIT = 1 << 30
#: Arrays of more bytes must not be compressed more than so many times.
_PLAIN, _RATIO = 1 << 24, 50

_SAVE = "save it with numpy.save"


def read_array(path: str | os.PathLike, what: str = "the input") -> np.ndarray:
    """The array in ``path``: of an ``.npz`` the one named ``x``, or else the first.

    ``what`` names the array in messages. Its shape and values are the caller's to check.
    Raises :class:`UserError` for a missing, foreign, damaged or too large file, and for arrays
    that hold anything but real numbers.
    """
    (array,) = _read(path, what, every=False).values()
    return array


def read_arrays(path: str | os.PathLike, what: str = "the input") -> dict[str, np.ndarray]:
    """Every array in ``path``, as :func:`read_array` reads one, by name in the file's order; an
    ``.npy`` holds one, ``x``."""
    return _read(path, what, every=True)


def _read(path: str | os.PathLike, what: str, *, every: bool) -> dict[str, np.ndarray]:
    where = f"{what} {quoted(os.path.basename(os.fspath(path)) or os.fspath(path))}"
    try:
        with open(path, "rb", opener=without_blocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{where} must be a .npy or .npz file, not a directory or device")
            start = file.read(6)
            file.seek(0)
            if start.startswith(b"PK"):
                return _read_npz(file, where, every)
            if start == b"\x93NUMPY":
                return {"x": read_npy(file, status.st_size, where, _KINDS)}
    except FileNotFoundError:
        raise UserError(f"{where} does not exist: give a .npy or .npz file") from None
    except IsADirectoryError:
        raise UserError(f"{where} must be a .npy or .npz file, not a directory") from None
    except OSError as error:
        raise UserError(f"{where} can not be read: {error.strerror or quoted(error)}") from None
    except ValueError as error:
        raise UserError(f"{where} can not be read: {quoted(error)}") from None
    fault = "is empty" if not start else "is neither .npy nor .npz"
    raise UserError(f"{where} {fault}: {_SAVE} or numpy.savez")


#: Of inputs: a model that is cut may take a mask of True and False.
_KINDS = "fiub"


def without_blocking(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open` that does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_npz(file: IO[bytes], where: str, every: bool) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            if not members:
                raise UserError(f"{where} is a zip without arrays: save it with numpy.savez")
            if not every:
                members = [next((m for m in members if m.filename == "x.npy"), members[0])]
            size = sum(member.file_size for member in members)
            if size > LIMIT:
                raise UserError(f"{where} declares {size} bytes, the limit is {LIMIT}: "
                                "give fewer samples")
            packed = sum(member.compress_size for member in members)
            if size > _PLAIN and size > _RATIO * packed:
                raise UserError(f"{where} declares {size} bytes in {packed} compressed ones: save "
                                "it with numpy.savez")
            if len({member.filename for member in members}) < len(members):
                raise UserError(f"{where} holds two arrays of one name: save it again")
            found = {}
            for member in members:
                with archive.open(member) as inner:
                    found[member.filename.removesuffix(".npy")] = read_npy(
                        inner, member.file_size, where, _KINDS)
            return found
    except UserError:
        raise
    except Exception as error:  # zipfile and zlib have many ways to say "damaged"
        raise UserError(f"{where} is a damaged .npz file ({quoted(error)}): save "
                        "it again") from None


def read_npy(file: IO[bytes], size: int, where: str, kinds: str = "fiu") -> np.ndarray:
    """The array of the ``.npy`` that begins ``file`` and has ``size`` bytes; ``where`` names it in
    messages; ``kinds``, NumPy's letters of the legal types. Raises :class:`UserError` for anything
    but a complete array of such numbers."""
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                       (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read_header(file)
    except Exception as error:  # a header is parsed as Python literals: many ways to fail
        raise UserError(f"{where} has a damaged .npy header ({quoted(error)}): {_SAVE}") from None
    if dtype.kind not in kinds:
        raise UserError(f"{where} must hold real numbers, not {quoted(dtype)}: save an array of "
                        "floats or integers, never of objects")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise UserError(f"{where} declares the shape {shape}: {_SAVE}")
    declared, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared > LIMIT:
        raise UserError(f"{where} declares {declared} bytes, the limit is {LIMIT}: "
                        "give fewer samples")
    if declared != there:
        raise UserError(f"{where} declares {declared} bytes of data, but holds {there}: it is "
                        "truncated or damaged, save it again")
    data = file.read(declared)
    if len(data) != declared:
        raise UserError(f"{where} is truncated: save it again")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def check_writable(path: str | os.PathLike, suffixes: tuple[str, ...], what: str) -> Path:
    """``path``, checked before anything is computed: an array can be written there.

    Raises :class:`UserError` for another suffix, a directory, or a folder that is missing.
    """
    target = Path(path)
    if target.suffix not in suffixes:
        raise UserError(f"{what} must end in {' or '.join(suffixes)}, not {quoted(target.name)}")
    if target.is_dir():
        raise UserError(f"{what} {quoted(target.name)} is a directory: give a file")
    if not target.parent.is_dir():
        raise UserError(f"{what}: there is no folder {quoted(target.parent)}: make it first")
    return target


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` to an ``.npz``, or the only one to an ``.npy``; completely or not at all.

    The same arrays give the same bytes (numpy.savez would write the time of day).
    """
    from gatefold.gen.files.output import replace_file

    buffer = io.BytesIO()
    if path.suffix == ".npy":
        (array,) = arrays.values()
        np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    else:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                add_member(archive, f"{name}.npy", array)
    replace_file(path, buffer.getvalue())


def add_member(archive: zipfile.ZipFile, name: str, content: bytes | np.ndarray) -> None:
    """Add bytes, or an array as an ``.npy``, to a zip that is being written: the same ones give the
    same bytes, without the time of day."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o644 << 16
    info.compress_type = archive.compression
    if isinstance(content, np.ndarray):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(content), allow_pickle=False)
        content = buffer.getvalue()
    archive.writestr(info, content)


def array_digest(array: np.ndarray) -> str:
    """sha256 of an array's values and shape, whatever its byte order or memory layout."""
    import hashlib

    plain = np.ascontiguousarray(array, dtype="<f8")
    return hashlib.sha256(f"{plain.shape}".encode() + plain.tobytes()).hexdigest()
