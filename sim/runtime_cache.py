"""Verilator's runtime, compiled once on each machine: half of what a small core takes to build.

Its objects are the same for every core. They are kept in the user's cache folder, by a hash of all
that they were made from; where that folder can't be used, each build compiles its own.
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

__all__ = ["Runtime"]

#: What make's environment says of the compiler.
_FLAGS = ("MAKEFLAGS", "CXX", "CXXFLAGS", "CPPFLAGS", "USER_CPPFLAGS", "OPT", "OPT_FAST",
          "OPT_GLOBAL")


class Runtime:
    """The runtime's objects of a build.

    ``made``, the folder of Verilator's C++ and its makefile; ``environment``, that of make.
    """

    def __init__(self, made: Path, environment: dict[str, str]):
        self.made = made
        self.placed = False
        self.names = _objects(made)
        cache = Path(environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        # A relative one is that of nobody: a user without a home.
        self.kept = (cache / "gatefold" / "verilator" / _key(made, environment)
                     if cache.is_absolute() else None)

    def place(self) -> None:
        """Copy the kept objects, if there are such, to where make looks for them."""
        if self.kept is None:
            return
        try:
            for name in self.names:  # without times: make compares them with its makefile's
                shutil.copyfile(self.kept / name, self.made / name)
            self.placed = True
        except OSError:
            self._remove_copies()

    def forget(self) -> bool:
        """Remove the objects that were placed, and their originals, which may be damaged; whether
        there were such."""
        if not self.placed or self.kept is None:
            return False
        self._remove_copies()
        shutil.rmtree(self.kept, ignore_errors=True)
        self.placed = False
        return True

    def keep(self) -> None:
        """Copy the objects that make left to the cache folder, all or none."""
        if self.placed or self.kept is None:
            return
        with suppress(OSError):
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.kept.parent) as folder:
                new = Path(folder) / "new"
                new.mkdir()
                for name in self.names:
                    shutil.copyfile(self.made / name, new / name)
                new.rename(self.kept)  # fails where another build was faster, with the same objects

    def _remove_copies(self) -> None:
        for name in self.names:
            (self.made / name).unlink(missing_ok=True)


def _objects(made: Path) -> list[str]:
    """Names of the runtime's objects, from the lists of Verilator's makefile."""
    text = (made / "Vdrive_classes.mk").read_text()
    lists = re.findall(r"^VM_GLOBAL_(?:FAST|SLOW) \+= \\\n((?:  \w+ \\\n)*)", text, re.MULTILINE)
    return [f"{name}.o" for one in lists for name in re.findall(r"\w+", one)]


def _key(made: Path, environment: dict[str, str]) -> str:
    """A hash of the runtime's sources, its settings and the compiler."""
    lines = [line for name in ("Vdrive.mk", "Vdrive_classes.mk")
             for line in (made / name).read_text().splitlines()]
    settings = [line for line in lines if re.match(r"VM_\w+ =", line)]
    root = next(line for line in lines if line.startswith("VERILATOR_ROOT = ")).split(" = ")[1]
    include = Path(root) / "include"
    flags = [f"{name}={environment.get(name, '')}" for name in _FLAGS]
    makefile = (include / "verilated.mk").read_text(errors="replace")
    compiler = re.search(r"\bCXX ?= ?(\S+)", "\n".join([*flags, makefile]))
    version = ""
    with suppress(OSError):
        version = subprocess.run([compiler[1] if compiler else "c++", "--version"], text=True,
                                 capture_output=True, check=False).stdout
    parts = [*settings, *flags, version]
    parts += [path.read_text(errors="replace") for place in (include, include / "vltstd")
              for path in sorted(place.glob("*")) if path.is_file()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
