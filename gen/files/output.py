"""Complete writes: a new folder or set of files replaces the old one as a whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.names import CONTENTS, CORE

__all__ = ["check_target", "new_folder", "replace_file", "replace_files"]

_PREFIX = ".gatefold-"  # of temporary folders, beside their targets


def check_target(target: str | os.PathLike, *,
                 keeps: Iterable[str | os.PathLike | None] = ()) -> Path:
    """The absolute path of an output folder that may be made, or replaced, at ``target``.

    Legal are a path that does not exist, an empty folder, and a folder that holds nothing but an
    earlier build. ``keeps``: files that are still needed, and must not lie in it.
    Raises :class:`UserError` for anything else.
    """
    if not os.fspath(target):
        raise UserError("the output folder has no name: give one with -o")
    try:
        path = Path(target).resolve()
        if not os.path.lexists(path):
            ancestor = _existing(path)
            if not ancestor.is_dir():
                raise UserError(f"the output folder can not be made: {quoted(ancestor.name)} on "
                                "the way to it is a file: give another with -o")
            return path
        shown = quoted(path.name)
        if not path.is_dir():
            raise UserError(f"the output {shown} is a file: give a new folder with -o")
        if path in (Path.cwd(), *Path.cwd().parents):
            raise UserError(f"the output {shown} is the working directory or holds it: give a new "
                            "folder with -o")
        if any(path.iterdir()) and not _is_ours(path):
            raise UserError(f"the output folder {shown} is not empty and not made by gatefold: "
                            "give a new folder with -o, or delete this one")
        inside = [Path(kept).name for kept in keeps
                  if kept is not None and path in Path(kept).resolve().parents]
        strange = inside or sorted({one.name for one in path.iterdir()} - CONTENTS)
        if strange:
            raise UserError(f"the output folder {shown} would be replaced as a whole, but holds "
                            f"{', '.join(map(quoted, strange[:3]))}"
                            f"{', ...' if len(strange) > 3 else ''}, which no build made: move "
                            "that away, or give a new folder with -o")
    except ValueError as error:  # a NUL in the name
        raise UserError(f"the output folder can not be used: {quoted(error)}") from None
    except RuntimeError:
        raise UserError("the output folder is a loop of links: give another with -o") from None
    return path


def _is_ours(path: Path) -> bool:
    try:
        core = json.loads((path / CORE).read_text())
        return isinstance(core, dict) and core.get("top") == "gatefold"
    except (OSError, ValueError):
        return False


def _existing(path: Path) -> Path:
    """The nearest of ``path``'s parents that exists."""
    return next(parent for parent in path.parents if os.path.lexists(parent))


def _beside(target: Path, folder: Path) -> Path:
    """A new temporary folder in ``folder``, from which ``target`` is written."""
    try:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError as error:  # which names a folder that the user never heard of
        raise OSError(error.errno, error.strerror, str(target)) from None


@contextlib.contextmanager
def new_folder(target: str | os.PathLike) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends well, and vanishes otherwise.

    Raises :class:`UserError` as :func:`check_target` does, before and after the block.
    """
    path = check_target(target)
    work = _beside(path, _existing(path))
    try:
        fresh, old = work / "new", work / "old"
        fresh.mkdir()  # with the user's umask, unlike mkdtemp's folder
        yield fresh
        check_target(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rename(old)
        try:
            fresh.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
    except OSError as error:
        name = os.fspath(error.filename or "")
        raise OSError(error.errno, error.strerror or str(error), str(path)
                      if name.startswith(str(work)) else name or None) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def replace_files(folder: Path) -> Iterator[Path]:
    """A staging folder whose files replace those of the same names in ``folder``, all or none.

    The block fills it; nothing of ``folder`` changes while it does. If it raises, or a file can not
    be moved into place, ``folder`` is as before.
    """
    work = _beside(folder, folder)
    try:
        staged, old = work / "new", work / "old"
        staged.mkdir()
        yield staged
        done: list[Path] = []
        try:
            for source in sorted(p for p in staged.rglob("*") if p.is_file()):
                name = source.relative_to(staged)
                target, kept = folder / name, old / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(target, kept)
                done.append(name)
                source.replace(target)
        except BaseException:
            for name in done:
                if (old / name).exists():
                    (old / name).replace(folder / name)
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write one file beside ``path`` and rename it into place."""
    work = _beside(path, path.parent)
    try:
        (work / "new").write_bytes(data)
        (work / "new").replace(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
