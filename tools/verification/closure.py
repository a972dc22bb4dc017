"""Whether mutants are equivalent whatever the inputs are: by the registers that may differ.

Two copies of a core with registers, one of them mutated, run side by side on the same inputs. From
equal states on, the registers that one step can make different are collected, until there are no
more; the mutant is equivalent if no output then differs while it means something. All that is
assumed of the other registers is that some are constant. So this shows what nobody reads; what
depends on values that are reached, ``reach.py`` shows of cores whose streams it can play.
"""

from __future__ import annotations

from collections.abc import Mapping

from cone import values
from gates import Gates
from mutants import Mutant
from reach import Base, Pair, plain

__all__ = ["equivalent"]

#: Outputs that mean something while another one is high, by their prefixes.
WEAK = {prefix: f"{prefix}valid" for prefix in (
    "s_axi_control_b", "s_axi_control_r", "m_axi_gmem_aw", "m_axi_gmem_w", "m_axi_gmem_ar")}
MOST_REGISTERS = 2000  #: that may differ, before a proof is given up


def equivalent(gates: Gates, machines: Mapping[Mutant, int]) -> set[Mutant]:
    """Those that are equivalent. ``machines``: their numbers in ``gates``."""
    base = plain(gates)
    return {mutant for mutant, machine in machines.items() if closes(base, machine)}


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
