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
from cone import Cone
from gates import Gates, read_gates, walk
from mutants import Mutant
from reach import Base, Pair

__all__ = ["equivalent"]

#: Outputs that mean something while another one is high, by their prefixes.
WEAK = {prefix: f"{prefix}valid" for prefix in (
    "s_axi_control_b", "s_axi_control_r", "m_axi_gmem_aw", "m_axi_gmem_w", "m_axi_gmem_ar")}
MOST_REGISTERS = 2000  #: that may differ, before a proof is given up
CYCLES, STEPS = 300, 16  #: of simulations on random inputs, which show what is not constant


def equivalent(mutants: list[Mutant], top: str, work: Path) -> set[Mutant]:
    """Those that are equivalent. ``work``: the folder of their list; ``top``: the module that they
    were listed from."""
    if not mutants:
        return set()
    gates = read_gates(mutants, work, top)
    zeros = constants(gates, work)
    base = Base(gates, zeros, [(-n,) for n in range(1, len(zeros) + 1)])
    return {mutant for n, mutant in enumerate(mutants, 1) if closes(base, n)}


def constants(gates: Gates, work: Path) -> np.ndarray:
    """Registers that are never anything but 0, with which all of them begin."""
    everything = np.arange(len(gates.registers))
    seen = walk(gates, everything, np.zeros(len(everything), bool),
                np.zeros(len(gates.inputs), bool), CYCLES, 1, work)
    some = np.flatnonzero(~seen.any(0)).tolist()
    while True:
        cone = Cone(gates)
        ones = {register: cone.literal(int(gates.next[register])) for register in some}
        cone.clauses += [[-cone.register(register)] for register in some]
        with cone.solver() as solver:
            moving: set[int] = set()
            while (model := cone.model(solver, [lit for register, lit in ones.items()
                                                if register not in moving])) is not None:
                moving |= {register for register, lit in ones.items()
                           if model[abs(lit)] == (lit > 0)}
                rows = walk(gates, everything, *cone.state(model), STEPS, len(moving), work)
                moving |= set(np.flatnonzero(rows.any(0)).tolist()) & set(some)
        if not moving:
            return np.array(some, int)
        some = [register for register in some if register not in moving]


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
                new |= {register for register, lit in after.items()
                        if model[abs(lit)] == (lit > 0)}
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
