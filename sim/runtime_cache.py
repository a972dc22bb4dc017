"""Verilator's runtime, compiled once on each machine: half of what a small core takes to build.

Its objects are the same for every core. They are kept in the user's cache folder, by a hash of all
that they were made from; where that folder can't be written, each build compiles its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["keep", "place"]


def place(made: Path, flags: str) -> Path | None:
    """Copy the kept objects, if there are such, into ``made``, the folder of Verilator's C++.

    ``flags``, those of make. The folder in which :func:`keep` keeps the objects of this build,
    None if it has them already.
    """
    kept = _cache() / _key(made, flags)
    try:
        for name in _objects(made):  # without its times: make compares them with its makefile's
            shutil.copyfile(kept / name, made / name)
    except OSError:
        return kept
    return None


def keep(made: Path, kept: Path) -> None:
    """Copy the objects that make left in ``made`` to ``kept``, all or none."""
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            new = Path(folder) / "new"
            new.mkdir()
            for name in _objects(made):
                shutil.copyfile(made / name, new / name)
            new.rename(kept)  # fails where another build was faster, whose objects are the same


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "gatefold" / "verilator"


def _objects(made: Path) -> list[str]:
    """Names of the runtime's objects, from the lists of Verilator's makefile."""
    text = (made / "Vdrive_classes.mk").read_text()
    lists = re.findall(r"^VM_GLOBAL_(?:FAST|SLOW) \+= \\\n((?:  \w+ \\\n)*)", text, re.MULTILINE)
    return [f"{name}.o" for one in lists for name in re.findall(r"\w+", one)]


def _key(made: Path, flags: str) -> str:
    """A hash of the runtime's sources, its settings and the compiler."""
    lines = [line for name in ("Vdrive.mk", "Vdrive_classes.mk")
             for line in (made / name).read_text().splitlines()]
    settings = [line for line in lines if re.match(r"VM_\w+ =", line)]
    root = next(line for line in lines if line.startswith("VERILATOR_ROOT = ")).split(" = ")[1]
    include = Path(root) / "include"
    compiler = subprocess.run(["g++", "--version"], text=True, capture_output=True, check=False)
    parts = [*settings, flags, compiler.stdout]
    parts += [path.read_text(errors="replace") for path in sorted(include.glob("verilated*"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
