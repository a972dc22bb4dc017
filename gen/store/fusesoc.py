"""``DIR/gatefold.core``: a core as FuseSoC and Edalize take it: files, lint and simulation.

The target ``sim`` runs the bench in cocotb/ in Edalize's flow of the same name. To that flow a
failed test is a success, so cocotb/gatefold_bench.py ends the simulator with an error. cocotb 2.1
wants GPI_USERS in its environment, which Edalize 0.6.8 does not set: ``vvp_options`` has make
export it.

Source: FuseSoC's reference of its core file, CAPI2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatefold.gen.files.names import CORE, FUSESOC

__all__ = ["write_fusesoc"]

_TEXT = """\
CAPI=2:
# Made by Gatefold. In a FuseSoC workspace: fusesoc library add mine THIS_FOLDER, then depend on
# ::gatefold. Here: fusesoc --cores-root . run --target lint ::gatefold   (or --target sim)
# Target lint needs Verilator on PATH, target sim Icarus Verilog.
# The memory images are read from the folder GATEFOLD_WEIGHTS, a macro that holds a string. Where a
# tool runs in FuseSoC's folder it is "gatefold/weights", quoted as that tool wants it.
name: ::gatefold:{version}
description: A neural network as a core with {ports}.
filesets:
  rtl:
    file_type: verilogSource
    files:
{rtl}
  weights:
    file_type: user
    files:
{weights}
  bench:
    file_type: user
    files:
{bench}
targets:
  default: &default
    filesets: [rtl, weights]
    toplevel: {top}
  lint:
    <<: *default
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall{waived}]
  sim:  # needs cocotb, cocotbext-axi and Icarus Verilog
    filesets: [rtl, weights, bench]
    toplevel: tb
    flow: sim
    flow_options:
      tool: icarus
      cocotb_module: gatefold_bench
      vvp_options:  # cocotb 2.1 wants GPI_USERS, which Edalize 0.6.8 does not set
        - "$(eval export GPI_USERS := $(shell cocotb-config --libpython);\\
          $(shell cocotb-config --pygpi-entry-point))"
    parameters: [GATEFOLD_WEIGHTS]
parameters:
  GATEFOLD_WEIGHTS:
    datatype: str
    paramtype: vlogdefine
    default: '"gatefold/weights"'
    description: The folder of the memory images, from where the tool runs.
"""


#: Warnings about registers: Yosys writes no default where every output has a value before the case,
#: and the port `interrupt` has the name of a word of C++.
_WAIVED = ", -Wno-CASEINCOMPLETE, -Wno-SYMRSVDWORD"
#: What FuseSoC must know of files of the bench besides their names.
_BENCH = {"tb.v": "copyto: gatefold/cocotb/tb.v, file_type: verilogSource",
          "gatefold_bench.py": "copyto: gatefold_bench.py"}


def write_fusesoc(folder: Path, *, top: str, verilog: Sequence[str], memories: Sequence[str],
                  version: str) -> None:
    """Write the core file to ``folder``, which holds all the rest.

    Parameters: ``top``, the module; ``verilog`` and ``memories``, names of the files in rtl/ and
    weights/; ``version``, of the package.
    """
    def listed(*paths: str) -> str:
        about = [_BENCH.get(Path(path).name, f"copyto: gatefold/{path}") for path in paths]
        return "\n".join(f"      - {path}: {{{one}}}"
                         for path, one in zip(paths, about, strict=True))

    bench, streams = sorted(path.name for path in (folder / "cocotb").iterdir()), top == "gatefold"
    (folder / FUSESOC).write_text(_TEXT.format(
        version=version, top=top, waived="" if streams else _WAIVED,
        ports="AXI4-Stream ports" if streams else "registers and a memory port",
        rtl=listed(*(f"rtl/{name}" for name in verilog)),
        weights=listed(*(f"weights/{name}" for name in memories)),
        bench=listed(CORE, *(f"cocotb/{name}" for name in bench))))
