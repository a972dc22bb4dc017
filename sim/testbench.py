"""The test benches of sim/bench, fitted to a core: the cocotb bench and the Verilog driver.

The files in sim/bench are the bench; only widths and the number of lanes are filled in here, at
``@{...}``. tb.v serves both: cocotb drives its ports, or drive.v does.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from .core_info import CoreInfo
from .vectors import write_vectors

__all__ = ["write_cocotb_bench", "write_driver"]

_BENCH = ("Makefile", "run.py", "test_gatefold.py", "verilator.vlt")


def _source(name: str) -> str:
    return (files("gatefold.sim") / "bench" / name).read_text()


def _verilog(name: str, info: CoreInfo) -> str:
    """A Verilog file of sim/bench for this core's widths and lanes."""
    lines = [f"$fwrite(trace_file, \" %0d %0d\", $signed(dut.core.trace_h_{lane}), "
             f"$signed(dut.core.trace_c_{lane}));" for lane in range(info.lanes)]
    values = {"beat_msb": str(info.stream.beat_bits - 1), "lanes": str(info.lanes),
              "lane_writes": "\n".join(" " * 12 + line for line in lines)}
    text = _source(name)
    for key, value in values.items():
        text = text.replace("@{" + key + "}", value)
    return text


def write_cocotb_bench(folder: Path, info: CoreInfo, x, y) -> None:
    """Write the cocotb bench of a core into ``folder`` (DIR/cocotb), which is made where missing.

    ``x`` (samples, n_in) and ``y`` (samples, n_out) are the integers of vectors.json: inputs and
    what the golden model makes of them. The bench reads ../core.json and ../rtl when it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _BENCH:
        (folder / name).write_text(_source(name))
    (folder / "tb.v").write_text(_verilog("tb.v", info))
    write_vectors(folder / "vectors.json", x, y)


def write_driver(folder: Path, info: CoreInfo) -> None:
    """Write tb.v, drive.v and main.cpp, the bench without Python, into an existing ``folder``."""
    (folder / "tb.v").write_text(_verilog("tb.v", info))
    (folder / "drive.v").write_text(_verilog("drive.v", info))
    (folder / "main.cpp").write_text(_source("main.cpp"))
