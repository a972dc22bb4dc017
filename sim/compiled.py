"""A core's Verilog and a bench, compiled once into a temporary folder and run any number of times.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from gatefold.sim.simulators import build, command

__all__ = ["Compiled"]


class Compiled(ABC):
    """A compiled simulation, as a context manager that removes it at the end.

    The files of the core are copied, so that no character of the folder's own path reaches a tool's
    command line, and the weights are where the Verilog looks for them. A class of this kind states
    its bench in :meth:`_bench`.

    Parameters: ``directory``, made by ``gatefold build``; ``simulator``, one of
    :data:`~gatefold.sim.simulators.VERILOG_SIMULATORS`; ``timeout``, seconds for the build and for
    each run; ``flags``, of Verilator.
    """

    def __init__(self, directory: Path, simulator: str, timeout: float,
                 flags: Sequence[str] = ()):
        self.simulator, self._timeout = simulator, timeout
        self._temporary = tempfile.TemporaryDirectory(prefix="gatefold-")
        try:
            #: The folder of everything; files that each run reads may be written here.
            self._root = Path(self._temporary.name)
            for name in ("rtl", "weights"):
                if (directory / name).is_dir():
                    shutil.copytree(directory / name, self._root / name)
            folder = self._root / "build"
            folder.mkdir()
            sources = [*self._bench(folder), *sorted((self._root / "rtl").glob("*.v"))]
            self._command = build(simulator, folder, sources, timeout=timeout, flags=flags)
        except BaseException:
            self._temporary.cleanup()
            raise

    @abstractmethod
    def _bench(self, folder: Path) -> list[Path]:
        """Write the bench to ``folder``; its Verilog files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self._temporary.cleanup()

    @contextmanager
    def _run_folder(self) -> Iterator[Path]:
        """A folder for one run, from which the Verilog reads ../weights."""
        folder = Path(tempfile.mkdtemp(dir=self._root))
        yield folder
        shutil.rmtree(folder)

    def _play(self, folder: Path, plusargs: list[str], label: str) -> None:
        """Run the simulation in ``folder``; ``label`` says in errors what was run."""
        command([*self._command, *plusargs], cwd=folder, timeout=self._timeout, label=label)
