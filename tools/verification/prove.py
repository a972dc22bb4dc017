"""Whether mutants are equivalent: SAT on the next-state cones of their modules."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mutants import TOP, Mutant, yosys

__all__ = ["equivalent"]

#: A register as an instance of a module, which keeps the cell's name.
REGISTER = """\
(* techmap_celltype = "$dff" *)
module replace_dff (CLK, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    input CLK;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    mutated_register #(.WIDTH(WIDTH)) _TECHMAP_REPLACE_ (.CLK(CLK), .D(D), .Q(Q));
endmodule
"""
REGISTERS = """\
(* keep_hierarchy *) module mutated_register #(parameter WIDTH = 1) (CLK, D, Q);
    input CLK;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    assign Q = {WIDTH{CLK}};
endmodule
"""
BASE = """\
read_rtlil plain.il
setattr -mod -unset keep_hierarchy
attrmap -remove keep
techmap -map register.v
read_verilog -defer registers.v
hierarchy -top {top}
design -save base
"""
#: A module and its mutant. Registers, memories and instances become inputs and outputs, a miter
#: compares all outputs, and what both have in common is merged. Can the outputs differ?
QUESTION = """\
design -load base
copy {module} sane
copy {module} mutated
mutate {command}
memory -nordff -nomap sane mutated
memory_map sane mutated
opt_clean sane mutated
expose -evert sane/c:* mutated/c:*
expose -evert-dff sane/c:* mutated/c:*
miter -equiv -flatten sane mutated miter
opt -full miter
sat -prove trigger 0 miter
"""
SECONDS = 600  #: for all questions of a module: seconds of an idle machine, and some for a busy one
_ANSWER = re.compile(r"proof finished.*?: (SUCCESS|FAIL)!")


def equivalent(mutants: Iterable[Mutant], work: Path, top: str = TOP) -> set[Mutant]:
    """Those on which no output and no next state of their module depends, whatever its inputs and
    its state are. ``work``: the folder of their list."""
    (work / "register.v").write_text(REGISTER)
    (work / "registers.v").write_text(REGISTERS)
    modules: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        modules[mutant.command.split("-module ")[1].split()[0]].append(mutant)
    found: set[Mutant] = set()
    for module, inside in modules.items():
        found |= _proved(inside, module, BASE.format(top=top), work)
    return found


def _proved(mutants: list[Mutant], module: str, base: str, work: Path) -> set[Mutant]:
    """Those of a module. A mutant that leaves a register without an input cannot be asked about:
    Yosys finds nothing to compare the register with, and ends; the others are asked after it."""
    questions = [QUESTION.format(module=module, command=mutant.command.replace(
        f"-module {module} ", "-module mutated ")) for mutant in mutants]
    try:
        log, ends = yosys(base + "".join(questions), work, timeout=SECONDS), True
    except RuntimeError:
        log, ends = (work / "yosys.log").read_text(errors="replace"), False
    answers = _ANSWER.findall(log)
    found = {mutant for mutant, answer in zip(mutants, answers, strict=False)
             if answer == "SUCCESS"}
    others = [] if ends else mutants[len(answers) + 1:]
    return found | (_proved(others, module, base, work) if others else set())
