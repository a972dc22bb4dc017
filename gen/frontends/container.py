"""Reading a model file, and the members of a zip, within limits."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
import zlib

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import FILE_BYTES

__all__ = ["GIVE", "SAFETENSORS", "SAVED_MODEL", "Archive", "Siblings", "file_name", "read_file"]

#: A .keras file stores its members plain, and even deflated weights shrink only a little: more than
#: this ratio is an attack, or text that no model holds.
_MAX_RATIO = 200

#: What to do with a checkpoint of PyTorch.
SAFETENSORS = ("in your own Python, where you trust the file: from safetensors.torch import "
               "save_file; save_file(torch.load(FILE, weights_only=True), 'm.safetensors'), and "
               "describe the network (--network net.toml), or export to ONNX with torch.onnx")
#: What to do with a SavedModel of TensorFlow.
SAVED_MODEL = 'load it with Keras and save it with model.save("model.keras"), or make .onnx of it \
with tf2onnx'
#: What to do with a file that is no model.
GIVE = "give a .keras, .h5, .onnx, .safetensors or .npz file"


def file_name(path: str | os.PathLike) -> str:
    """The file's last component, quoted, for messages (never a whole path: reports are shared)."""
    return quoted(os.path.basename(os.fspath(path)) or os.fspath(path))


def read_file(path: str | os.PathLike) -> bytes:
    """The bytes of a regular file of 1..FILE_BYTES bytes; raises :class:`UserError` otherwise."""
    name = file_name(path)
    try:
        with open(path, "rb", opener=_open_without_blocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                kind = "directory" if stat.S_ISDIR(status.st_mode) else "special file"
                raise UserError(f"{name} is a {kind}, not a model file: {GIVE}")
            if status.st_size > FILE_BYTES:
                raise UserError(f"{name} has {status.st_size} bytes; a model file may have at most "
                                f"{FILE_BYTES}")
            # One byte more than the file has: a file that grows meanwhile is not read to its end.
            # (A read of FILE_BYTES would reserve as much memory.)
            data = file.read(status.st_size + 1)
    except FileNotFoundError:
        raise UserError(f"{name}: there is no such file: {GIVE}") from None
    except IsADirectoryError:
        raise UserError(f"{name} is a directory, not a model file: {GIVE}; a TensorFlow "
                        f"SavedModel: {SAVED_MODEL}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{name} can not be read: {reason}") from None
    if not data:
        raise UserError(f"{name} is empty: {GIVE}")
    return data


def _open_without_blocking(path: str, flags: int) -> int:
    # A named pipe would block open() for ever; with this it opens, and is refused as special.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Siblings:
    """Reads parts of files that lie beside a model file: where torch.onnx puts large weights.

    Only a plain name in the model's own folder is followed, to a regular file that is no link.

    Parameters: ``path`` of the model file. Attributes: ``bytes``, how much was read; ``sha256``, of
    all that was read.
    """

    def __init__(self, path: str | os.PathLike):
        self.folder = os.path.dirname(os.path.abspath(os.fspath(path)))
        self.sha256, self.bytes = hashlib.sha256(), 0

    def __call__(self, location: str, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset`` of the file ``location``; :class:`UserError` otherwise."""
        plain = location and location == os.path.basename(location) and not (
            location.startswith(".") or set(location) & set('\\:\0'))
        if not plain:
            raise UserError(f"external data must lie in a file beside the model, not in "
                            f"{quoted(location)}: export the model into one file")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
        path = os.path.join(self.folder, location)
        try:
            with open(path, "rb", opener=lambda p, _: _open_without_blocking(p, flags)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or os.path.islink(path):
                    raise UserError(f"external data {quoted(location)} is no regular file")
                if self.bytes + length > FILE_BYTES or offset + length > status.st_size:
                    raise UserError(f"external data {quoted(location)} ends before byte "
                                    f"{offset + length}, or is too large: export the model again")
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise UserError(f"external data {quoted(location)} can not be read "
                            f"({error.strerror}): keep it beside the model") from None
        self.bytes += length
        self.sha256.update(data)
        return data


class Archive:
    """A zip in memory whose declared sizes were checked before anything was unpacked.

    Parameters: ``data``, the file's bytes; ``name``, for messages.
    Raises :class:`UserError` where it is damaged, encrypted, ambiguous or a bomb.
    """

    def __init__(self, data: bytes, name: str):
        self.name = name
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            members = self._zip.infolist()
        except Exception as error:  # zipfile raises many kinds on damaged directories
            raise UserError(f"{name} is a damaged or truncated zip ({quoted(error)}): "
                            "save the model again") from None
        self.names = [member.filename for member in members]
        if len(set(self.names)) != len(self.names):
            raise UserError(f"{name} is a zip with two members of one name: save the model again")
        total = sum(member.file_size for member in members)
        if total > FILE_BYTES or total > _MAX_RATIO * max(len(data), 1 << 10):
            raise UserError(f"{name} is a zip of {len(data)} bytes that declares {total} bytes "
                            "unpacked: that is no model file")

    def read(self, member: str, most: int = FILE_BYTES) -> bytes:
        """The bytes of one member, ``most`` of them; never more than its directory entry declares.
        """
        try:
            info = self._zip.getinfo(member)
            if info.file_size > most:
                raise UserError(f"{self.name}: its {quoted(member)[1:-1]} has {info.file_size} "
                                f"bytes; it may have at most {most}")
            if info.flag_bits & 1:
                raise UserError(f"{self.name} is an encrypted zip: save the model again without")
            # read() with a size stops there even if the stream goes on.
            with self._zip.open(info) as file:
                data = file.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError,
                NotImplementedError, RuntimeError, OverflowError) as error:
            raise UserError(f"{self.name}: the zip's member {quoted(member)} is damaged "
                            f"({quoted(error)}): save the model again") from None
        if len(data) != info.file_size:
            raise UserError(f"{self.name}: the zip's member {quoted(member)} is damaged "
                            f"({len(data)} bytes of {info.file_size}): save the model again")
        return data
