"""Mutants of a core's Verilog: which there can be, some of them, and one netlist that holds them.

Yosys' ``mutate`` lists every mutation of a cell's port: a bit inverted, stuck, or exclusive-ored
with another. A core's netlist gets all chosen ones at once, each behind a comparison with a
selector, so that one simulation program plays any of them: +mutant=N selects the N-th, 0 none.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gatefold.gen.synth.netlist import YOSYS

__all__ = ["TOP", "Mutant", "choose", "list_mutants", "write_mutants", "yosys"]

TOP = "gatefold"
#: Ports on which Yosys allows no selector: clocks, initial values, ties of asynchronous reads.
_FIXED = re.compile(r"-port CLK |-cell \$meminit|-cell \$memrd\S* -port (ARST|SRST|EN) ")
_SOURCE = re.compile(r"-src (\S+?):(\d+)\.(\d+)-(\d+)\.(\d+)")

READ = """\
read_verilog -sv -defer -DGATEFOLD_WEIGHTS="weights" rtl/*.v
hierarchy -top {top}
proc
setattr -set keep 1 gatefold_core/w:trace__*
opt_clean
rename -enumerate -pattern register_% t:$dff
write_rtlil plain.il
"""


@dataclass(frozen=True)
class Mutant:
    """One mutation. ``module``: where, of a module with parameters the name of an instance;
    ``kind``: the module without parameters; ``text``: the statement, the port and what is done to
    it; ``command``: Yosys' options, which hold for one netlist only."""

    module: str
    kind: str
    text: str
    command: str

    @property
    def key(self) -> str:
        """What stays the same while other statements come and go."""
        return f"{self.module}: {self.text}"


def yosys(script: str, folder: Path, timeout: float | None = None) -> str:
    """Run a script in ``folder``; its log, of what it did in ``timeout`` seconds."""
    (folder / "run.ys").write_text(script)
    try:
        done = subprocess.run([str(YOSYS), "-l", "yosys.log", "-q", "run.ys"], cwd=folder,
                              text=True, capture_output=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return (folder / "yosys.log").read_text(errors="replace")
    if done.returncode:
        raise RuntimeError(f"Yosys fails in {folder}: {done.stderr.strip()[-500:]}")
    return (folder / "yosys.log").read_text()


def list_mutants(core: Path, work: Path, top: str = TOP) -> list[Mutant]:
    """Every mutant of the core in the folder ``core``, in the module ``top`` and what is inside it,
    without the module ``gatefold`` in another one; ``work`` takes its netlist, plain.il."""
    for name in ("rtl", "weights"):
        shutil.copytree(core / name, work / name)
    yosys(READ.format(top=top) + "write_json plain.json\nmutate -list 100000000 -o list.txt\n",
          work)
    sources = {path.name: path.read_text().splitlines() for path in (work / "rtl").glob("*.v")}
    instances = _instances(json.loads((work / "plain.json").read_text())["modules"])
    found: list[Mutant] = []
    times: dict[tuple[str, str], int] = defaultdict(int)
    for line in (work / "list.txt").read_text().splitlines():
        if _FIXED.search(line):
            continue
        options: dict[str, str] = dict(
            re.findall(r"-(mode|module|port|portbit|ctrlbit) (\S+)", line))
        module = options["module"]
        if top != TOP and not module.startswith(top):
            continue
        what = f"{options['port']}[{options['portbit']}] {options['mode']}"
        if "ctrlbit" in options:
            what += f" {options['ctrlbit']}"
        text = f"{_statement(line, sources)} | {what}"
        place = instances.get(module, module) if module.startswith("$paramod") else module
        times[place, text] += 1
        if times[place, text] > 1:  # another cell of the same statement, or an equal one
            text += f" #{times[place, text]}"
        command = re.sub(r" -(wire|wirebit|src) \S+", "", line).removeprefix("mutate ")
        kind = re.sub(r"^\$paramod(\$[0-9a-f]+)?\\(\w+).*", r"\2", module)
        found.append(Mutant(place, kind, text, command))
    return found


def _instances(modules: dict) -> dict[str, str]:
    """The first instance of each module with parameters: the module that holds it, and its name."""
    found: dict[str, str] = {}
    for name, module in sorted(modules.items()):
        for cell, inside in sorted(module["cells"].items()):
            found.setdefault(inside["type"].replace("\\\\", "\\"), f"{name}.{cell}")
    return found


def _statement(line: str, sources: dict[str, list[str]]) -> str:
    """The text in the Verilog that a cell comes from."""
    places = _SOURCE.findall(line)
    if not places:
        return "?"
    file, first, start, last, end = places[-1]
    lines = sources[Path(file).name]
    begin = lines[int(first) - 1]
    text = begin[int(start) - 1:int(end) - 1] if first == last else begin[int(start) - 1:] + " ..."
    return " ".join((text if len(text) > 12 else begin).split())[:100]


def choose(mutants: Iterable[Mutant], count: int, seed: int = 1) -> list[Mutant]:
    """``count`` of them, as many of each kind of module as it has; decided by the hash of seed
    and key, so that a change of the Verilog leaves most of the choice as it is."""
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        kinds[mutant.kind].append(mutant)
    for group in kinds.values():
        group.sort(key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
    chosen: list[Mutant] = []
    while len(chosen) < count and any(kinds.values()):
        chosen += [group.pop(0) for _, group in sorted(kinds.items()) if group]
    return chosen[:count]


def write_mutants(mutants: list[Mutant], core: Path, work: Path, folder: Path,
                  top: str = TOP, more: str = "") -> None:
    """A core folder whose Verilog holds the ``mutants`` of ``core``; ``work``, of its list;
    ``more``, Verilog for the end of the module ``top``."""
    commands = "\n".join(f"mutate -ctrl mutant 16 {n} {mutant.command}"
                         for n, mutant in enumerate(mutants, 1))
    yosys(f"read_rtlil plain.il\n{commands}\ndelete -port {top}/mutant\n"
          "write_verilog -noattr mutants.v\n", work)
    text = (work / "mutants.v").read_text()
    before, start, rest = text.partition(f"module {top}(")
    rest = rest.replace("  wire [15:0] mutant;\n", '  reg [15:0] mutant = 0;\n'
                        '  initial if (!$value$plusargs("mutant=%d", mutant)) mutant = 0;\n', 1)
    rest = rest.replace("endmodule\n", f"{more}endmodule\n", 1)
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "mutants.v").write_text(before + start + rest)
    shutil.copytree(core / "weights", folder / "weights")
    shutil.copy(core / "core.json", folder)
