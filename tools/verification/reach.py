"""Whether mutants are equivalent in every state that the core can reach: by induction.

Two copies of the core, one of them mutated, run side by side on the same inputs. The claim is a set
of facts that hold in every cycle, and under which no output differs while it means something:

- the invariants of the core (``invariants.py``), and those of them that the mutant has too;
- a set of registers which may differ between the copies, each only while certain control bits have
  certain values; all others are equal.

The second begins with what a simulation of both shows. Whatever one step from a state that
satisfies all facts breaks is taken back, until nothing more is found, and the mutant is equivalent,
or until an output differs, and nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
from cone import Cone, chosen, values
from fold import constants
from gates import WEAK, Gates, simulate, walk
from invariants import Clause, Table, control, invariants, small_registers
from mutants import Mutant
from pysat.solvers import Solver

from gatefold.sim.core_info import CoreInfo

__all__ = ["SECONDS", "Base", "Pair", "equivalent", "plain"]

UPPER = np.uint64(0xFFFFFFFF << 32)  #: the machines of a walk that are mutants
MOST_REGISTERS = 1500  #: that may differ, before a proof is given up;
MOST_MODELS = 1000  #: and steps that break what was assumed;
SECONDS = 120  #: and seconds of a CPU that a proof may take before its last round


def equivalent(gates: Gates, machines: Mapping[Mutant, int], info: CoreInfo, work: Path,
               cycles: int = 8000, loads: list[list[int]] | None = None, seconds: float = SECONDS
               ) -> tuple[set[Mutant], dict[Mutant, str]]:
    """Those that are equivalent in every state that the core reaches; and those which random
    traffic shows not to be: the output that differs, and when. ``machines``: their numbers in
    ``gates``; ``work``, a folder for libraries; ``cycles`` of the simulation; ``loads``: the beats
    of loads of a loadable core; ``seconds`` of a CPU that each proof may take before its last
    round, 0: nothing is proved but what is not read in any state."""
    beats = {"s_axis": info.beats_in} | ({"s_load": info.load_beats} if info.load_beats else {})
    watched, base, bare = control(gates), None, plain(gates)
    proved = {mutant for mutant, machine in machines.items()
              if Proof(bare, machine, {}, work).holds(models=1)}
    others = [mutant for mutant in machines if mutant not in proved]
    shown: dict[Mutant, str] = {}
    for first in range(0, len(others), 63):
        some = others[first:first + 63]
        seen = simulate(gates, watched, [0, *(machines[mutant] for mutant in some)], beats, cycles,
                        1, work, loads)
        for lane, mutant in enumerate(some, 1):
            cycle, output = divmod(int(seen.shown[lane]), 1024)
            if cycle >= 0:
                name, bit = gates.outputs[output]
                shown[mutant] = f"{name}[{bit}] in cycle {cycle}"
            elif seconds:
                base = base or Base(gates, watched, invariants(gates, seen, work))
                if Proof(base, machines[mutant], seen.cubes_of(lane), work).holds(seconds):
                    proved.add(mutant)
    return proved, shown


class Base(Cone):
    """The core and its invariants, for the pairs with its mutants. ``now``, ``after``: literals of
    the control registers in this cycle and in the next."""

    def __init__(self, gates: Gates, watched: np.ndarray, facts: list[Clause]):
        super().__init__(gates)
        self.facts, self.next = facts, gates.next[watched].tolist()
        self.now = [self.register(register) for register in watched.tolist()]
        self.after = [self.literal(int(gates.next[register])) for register in watched.tolist()]
        self.watched, self.table = watched.tolist(), Table(facts)
        names: dict[str, int] = {}
        #: Of each register, the number of the word whose bit it is.
        self.words = [names.setdefault(name, len(names)) for name, _ in gates.registers]
        self.clauses += [chosen(self.now, fact) for fact in facts]
        #: Small control registers: their module, and places of their bits.
        self.groups = [(gates.registers[self.watched[group[0]]][0].rpartition(".")[0], group)
                       for group in small_registers(gates, watched, 5) if len(group) > 1]
        self.users: list[list[int]] = [[] for _ in self.sane]  # ANDs that read a variable
        for v, (a, b) in enumerate(zip(self.lefts, self.rights, strict=True), gates.first_and):
            self.users[a >> 1].append(v)
            self.users[b >> 1].append(v)


def plain(gates: Gates) -> Base:
    """The core, of which is known that some registers are constant."""
    zeros = constants(gates)
    return Base(gates, zeros, [(-n,) for n in range(1, len(zeros) + 1)])


class Pair(Cone):
    """The core and a mutant of it, of which the registers in ``differing`` may differ."""

    def __init__(self, base: Base, machine: int, differing: Iterable[int]):
        gates = self.gates = base.gates
        self.clauses, self.known, self.sane = [*base.clauses], base.known.copy(), [*base.sane]
        self.last, self.lefts, self.rights = base.last, base.lefts, base.rights
        self.mutated: dict[int, int] = {}  # literals of variables that may differ
        self.differs: dict[int, int] = {}  # and whether they do
        for n, (name, bit) in enumerate(gates.inputs, 1):
            if name == "mutant" and machine >> bit & 1:
                self.mutated[n] = self.differs[n] = 1
        for register in differing:
            v = gates.first_register + register
            self.differs[v], self.mutated[v] = self.new(), self.new()
            self._exclusive(v)
        queue = sorted(u for v in self.differs for u in base.users[v])  # a sorted list is a heap
        done = 0
        while queue:
            v = heappop(queue)
            if v == done:
                continue
            done = v
            if self._gate(v):
                for user in base.users[v]:
                    heappush(queue, user)

    def _exclusive(self, v: int) -> None:
        d, s, m = self.differs[v], self.sane[v], self.mutated[v]
        self.clauses += [[-d, s, m], [-d, -s, -m], [d, s, -m], [d, -s, m]]

    def mutant(self, lit: int) -> int:
        """The value of a literal of the graph in the mutant."""
        v = lit >> 1
        value = self.mutated.get(v)
        if value is None:
            self.ask([v])
            value = self.sane[v]
        return -value if lit & 1 else value

    def _gate(self, v: int) -> bool:
        """The mutant's value of an AND; whether it may differ."""
        a, b = (literals[v - self.gates.first_and] for literals in (self.lefts, self.rights))
        self.ask([v])
        value, sane = self.both(self.mutant(a), self.mutant(b)), self.sane[v]
        if value == sane:
            return False
        self.mutated[v] = value
        if value == -sane:
            self.differs[v] = 1
            return True
        self.differs[v] = self.new()
        self._exclusive(v)
        # Where no input differs nothing does: a solver does not see this by itself in multipliers.
        self.clauses.append([self.differs.get(a >> 1, -1), self.differs.get(b >> 1, -1),
                             -self.differs[v]])
        return True

    def difference(self, lit: int) -> int:
        """Whether a literal of the graph differs."""
        return self.differs.get(lit >> 1, -1)


class Proof:
    """That a mutant is equivalent: what is assumed, weakened until it is inductive.

    ``cubes``: of each register that may differ, (2, watched): whether control registers may be 1,
    may be 0 in the core while it does. The bits of a word share theirs, for what is found of one
    bit mostly holds of the others. ``facts``: the invariants that the mutant has too.
    """

    def __init__(self, base: Base, machine: int, cubes: dict[int, np.ndarray], work: Path):
        self.base, self.machine, self.work = base, machine, work
        self.differing: set[int] = set()
        self.cubes: dict[int, np.ndarray] = {}  # of words
        self.facts = np.ones(len(base.facts), bool)
        self.values: dict[int, dict[int, np.ndarray]] = {}
        self.models, self.most, self.ends = 0, MOST_MODELS, 0.0
        self._widen(cubes)

    def _goes_on(self) -> bool:
        """Whether there are models, registers and time left."""
        return (self.models < self.most and len(self.differing) <= MOST_REGISTERS
                and time.process_time() < self.ends)

    def _widen(self, found: dict[int, np.ndarray]) -> set[int]:
        """Let these registers differ as well, each with its cube; the words that this changes."""
        changed: set[int] = set()
        for register, cube in found.items():
            word = self.base.words[register]
            before = self.cubes.get(word)
            if before is None or (cube & ~before).any():
                self.cubes[word] = cube if before is None else cube | before
                changed.add(word)
            if register not in self.differing:
                self.differing.add(register)
                changed.add(word)
        return changed

    def _allowed(self, register: int) -> dict[int, np.ndarray]:
        """Of each small control register of a register's module, which values it may have while
        the register differs: (values,) bool."""
        word = self.base.words[register]
        if word not in self.values:
            part = self.base.gates.registers[register][0].rpartition(".")[0]
            self.values[word] = {n: np.zeros(1 << len(group), bool) for n, (inside, group)
                                     in enumerate(self.base.groups) if inside == part}
        return self.values[word]

    def holds(self, seconds: float = SECONDS, models: int = MOST_MODELS) -> bool:
        """Whether it is; not, too, where that takes so many ``seconds``, or more than ``models``
        steps break what was assumed."""
        self.ends, self.most = time.process_time() + seconds, models
        while self._goes_on():
            pair = Pair(self.base, self.machine, self.differing)
            verdict = self._round(pair)
            if verdict is not None:
                return verdict
        return False

    def _round(self, pair: Pair) -> bool | None:
        """One step from all states that are assumed; None where that was weakened."""
        gates, base = pair.gates, self.base
        for register in self.differing:
            cube = self.cubes[base.words[register]]
            d = pair.difference(2 * (gates.first_register + register))
            pair.clauses += [[-d, base.now[k] if cube[0, k] else -base.now[k]]
                             for k in np.flatnonzero(cube[0] != cube[1]).tolist()]
            for n, allowed in self._allowed(register).items():
                pair.clauses += [[-d, *self._other(base.now, n, value)]
                                 for value in np.flatnonzero(~allowed).tolist()]
        held = [pair.mutant(2 * (gates.first_register + register)) for register in base.watched]
        then = [pair.mutant(lit) for lit in base.next]
        pair.clauses += [chosen(held, base.facts[n])
                         for n in np.flatnonzero(self.facts).tolist()]
        lost: dict[int, int] = {}  # invariants of which the mutant may leave the core alone
        for n in np.flatnonzero(self.facts).tolist():
            if any(then[abs(lit) - 1] != base.after[abs(lit) - 1] for lit in base.facts[n]):
                lost[n] = out = pair.new()
                pair.clauses += [[-out, -lit] for lit in chosen(then, base.facts[n])]
        valid = pair.literal(int(gates.out[gates.port("m_axis_tvalid", outputs=True)[0]]))
        wrong = [pair.both(pair.difference(int(lit)), valid) if name in WEAK
                 else pair.difference(int(lit))
                 for lit, (name, _) in zip(gates.out, gates.outputs, strict=True)]
        moved = any(pair.difference(lit) != -1 for lit in gates.next.tolist())
        if not (moved or lost or any(lit != -1 for lit in wrong)):
            return True
        with pair.solver() as solver:
            if pair.model(solver, wrong) is not None:
                return False
            return None if self._weaken(pair, solver, lost) else True

    def _weaken(self, pair: Pair, solver: Solver, lost: dict[int, int]) -> bool:
        """Give up what a step breaks; whether there was any."""
        after, words = self.base.after, self.base.words
        differences = {register: d for register, lit in enumerate(pair.gates.next.tolist())
                       if (d := pair.difference(lit)) != -1}
        inside: dict[int, list[int]] = {}  # each word's bits that differ
        for register in differences:
            inside.setdefault(words[register], []).append(register)
        count, weakened = self.facts.sum(), False

        def outside(word: int) -> int | None:
            """That the control registers leave a word's cube; None: they cannot."""
            cube = self.cubes[word]
            ends = [-after[k] if cube[0, k] else after[k]
                    for k in np.flatnonzero(cube[0] != cube[1]).tolist()]
            for n, allowed in self._allowed(inside[word][0]).items():
                if not allowed.all():
                    ends.append(pair.new())
                    for value in np.flatnonzero(allowed).tolist():
                        solver.add_clause([-ends[-1], *self._other(after, n, value)])
            if not ends:
                return None
            out = pair.new()
            solver.add_clause([-out, *ends])
            return out

        def breaking(word: int) -> dict[int, int]:
            """Of the bits of a word, that they differ where they may not."""
            found, leaves = {}, outside(word) if word in self.cubes else None
            for register in inside[word]:
                if register not in self.differing:
                    found[register] = differences[register]
                elif leaves is not None:
                    found[register] = out = pair.new()
                    solver.add_clause([-out, differences[register]])
                    solver.add_clause([-out, leaves])
            return found

        breaks = {word: breaking(word) for word in inside}
        while True:
            wrong = [lit for found in breaks.values() for lit in found.values()]
            if not wrong and not lost:
                break
            model = pair.model(solver, [*wrong, *lost.values()])
            if model is None:
                break
            self.models += 1
            found, wider = self._walk(pair, model)
            changed = self._widen(found) | wider
            weakened |= bool(changed)
            for word in changed & breaks.keys():
                breaks[word] = breaking(word)
            lost = {n: out for n, out in lost.items() if self.facts[n]}
            if not self._goes_on():
                break
        return weakened or self.facts.sum() < count

    def _other(self, bits: list[int], group: int, value: int) -> list[int]:
        """That the group has another value, as literals of a clause."""
        return [-bits[k] if value >> n & 1 else bits[k]
                for n, k in enumerate(self.base.groups[group][1])]

    def _walk(self, pair: Pair, model: np.ndarray) -> tuple[dict[int, np.ndarray], set[int]]:
        """The registers that differ after the model's step, and in any steps that follow it, each
        with its cube, and those that get more values; takes the invariants back that the mutant
        breaks."""
        gates, base = self.base.gates, self.base
        mutated = values(model, [pair.mutant(2 * v) for v in range(
            gates.first_register, gates.first_and)])
        rows = walk(gates, np.arange(len(mutated)), *pair.state(model), 16, self.models, self.work,
                    self.machine, mutated)
        base.table.drop(self.facts, rows[:, base.watched] >> np.uint64(32)
                        | rows[:, base.watched] & UPPER)
        found: dict[int, np.ndarray] = {}
        wider: set[int] = set()
        lanes = np.arange(32, dtype=np.uint64)
        for row in rows:
            differ = (row >> np.uint64(32) ^ row) & ~UPPER
            registers = np.flatnonzero(differ)
            here = row[base.watched] & ~UPPER
            cubes = np.stack([differ[registers, None] & here != 0,
                              differ[registers, None] & ~here != 0], axis=1)
            for register, cube in zip(registers.tolist(), cubes, strict=True):
                found[register] = found[register] | cube if register in found else cube
                some = (differ[register] >> lanes & np.uint64(1)).astype(bool)
                for n, allowed in self._allowed(register).items():
                    bits = here[self.base.groups[n][1]][:, None] >> lanes[some] & np.uint64(1)
                    numbers = (bits << np.arange(len(bits), dtype=np.uint64)[:, None]).sum(0)
                    if not allowed[numbers].all():
                        allowed[numbers] = True
                        wider.add(base.words[register])
        return found, wider
