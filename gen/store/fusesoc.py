"""``DIR/gatefold.core``: a core as FuseSoC and Edalize take it: files, lint and simulation.

Source: FuseSoC's reference of its core file, CAPI2. The target ``sim`` runs the bench in cocotb/ by
cocotb's own runner before Icarus elaborates the top module, since Edalize's flow for cocotb takes a
failed test for a success.
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
      verilator_options: [-Wall]
  sim:  # needs cocotb, cocotbext-axi and Icarus Verilog
    <<: *default
    filesets: [rtl, weights, bench]
    default_tool: icarus
    parameters: [GATEFOLD_WEIGHTS]
    hooks:
      pre_build: [bench]
scripts:
  bench:
    cmd: [python3, gatefold/cocotb/run.py, --sim, icarus]
parameters:
  GATEFOLD_WEIGHTS:
    datatype: str
    paramtype: vlogdefine
    default: '"gatefold/weights"'
    description: The folder of the memory images, from where the tool runs.
"""


def write_fusesoc(folder: Path, *, top: str, verilog: Sequence[str], memories: Sequence[str],
                  version: str) -> None:
    """Write the core file to ``folder``, which holds all the rest.

    Parameters: ``top``, the module; ``verilog`` and ``memories``, names of the files in rtl/ and
    weights/; ``version``, of the package.
    """
    def listed(*paths: str) -> str:
        return "\n".join(f"      - {path}: {{copyto: gatefold/{path}}}" for path in paths)

    bench = sorted(path.name for path in (folder / "cocotb").iterdir())
    (folder / FUSESOC).write_text(_TEXT.format(
        version=version, top=top,
        ports="AXI4-Stream ports" if top == "gatefold" else "registers and a memory port",
        rtl=listed(*(f"rtl/{name}" for name in verilog)),
        weights=listed(*(f"weights/{name}" for name in memories)),
        bench=listed(CORE, *(f"cocotb/{name}" for name in bench))))
