"""Whether mutants are equivalent whatever the inputs are: by the registers that may differ.

Two copies of a core with registers, one of them mutated, run side by side on the same inputs. From
equal states on, the registers that one step can make different are collected, until there are no
more; the mutant is equivalent if no output then differs while it means something. All that is
assumed of the other registers is that some are constant. So this shows what nobody reads; what
depends on values that are reached, ``reach.py`` shows of cores whose streams it can play.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cone import values
from gates import UNDRIVEN, Gates, read_gates
from mutants import Mutant
from reach import Base, Pair

__all__ = ["equivalent"]

#: Outputs that mean something while another one is high, by their prefixes.
WEAK = {prefix: f"{prefix}valid" for prefix in (
    "s_axi_control_b", "s_axi_control_r", "m_axi_gmem_aw", "m_axi_gmem_w", "m_axi_gmem_ar")}
MOST_REGISTERS = 2000  #: that may differ, before a proof is given up


def equivalent(mutants: list[Mutant], top: str, work: Path) -> set[Mutant]:
    """Those that are equivalent. ``work``: the folder of their list; ``top``: the module that they
    were listed from."""
    if not mutants:
        return set()
    gates = read_gates(mutants, work, top)
    zeros = constants(gates)
    base = Base(gates, zeros, [(-n,) for n in range(1, len(zeros) + 1)])
    return {mutant for n, mutant in enumerate(mutants, 1) if closes(base, n)}


def constants(gates: Gates) -> np.ndarray:
    """Registers that are never anything but 0, with which all of them begin, as is seen without
    solving anything: no input and no register that moves can make them 1."""
    first, count = gates.first_register, len(gates.registers)
    zero, one = ([True] * gates.first_and for _ in range(2))  # what a variable can be
    one[0] = False
    for n, (name, _) in enumerate(gates.inputs, 1):
        one[n] = name not in ("mutant", UNDRIVEN[0])
    one[first:] = [False] * count
    pairs = list(zip(gates.left.tolist(), gates.right.tolist(), strict=True))
    after = gates.next.tolist()
    while True:
        can = [zero[:], one[:]]
        for a, b in pairs:
            can[1].append(can[~a & 1][a >> 1] and can[~b & 1][b >> 1])
            can[0].append(can[a & 1][a >> 1] or can[b & 1][b >> 1])
        moved = [n for n, lit in enumerate(after) if can[~lit & 1][lit >> 1] and not one[first + n]]
        if not moved:
            return np.flatnonzero(~np.array(one[first:]))
        for n in moved:
            one[first + n] = True


def closes(base: Base, machine: int) -> bool:
    """Whether no output differs in any state that is reached from equal ones."""
    gates, differing = base.gates, set()
    valid = {name: base.literal(int(lit)) for lit, (name, _) in zip(
        gates.out, gates.outputs, strict=True) if name in WEAK.values()}
    while len(differing) <= MOST_REGISTERS:
        pair = Pair(base, machine, differing)
        wrong = [pair.both(pair.difference(int(lit)), _means(name, valid))
                 for lit, (name, _) in zip(gates.out, gates.outputs, strict=True)]
        after = {register: lit for register, next_ in enumerate(gates.next.tolist())
                 if register not in differing and (lit := pair.difference(next_)) != -1}
        new: set[int] = set()
        with pair.solver() as solver:
            if pair.model(solver, wrong) is not None:
                return False
            while (model := pair.model(solver, [lit for register, lit in after.items()
                                                if register not in new])) is not None:
                moved = values(model, list(after.values()))
                new |= {register for register, one in zip(after, moved, strict=True) if one}
        if not new:
            return True
        differing |= new
    return False


def _means(name: str, valid: dict[str, int]) -> int:
    """When an output means something: a literal."""
    if name in valid:
        return 1
    return next((valid[flag] for prefix, flag in WEAK.items() if name.startswith(prefix)
                 and not name.endswith("ready")), 1)
