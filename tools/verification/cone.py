"""The gates of a core as clauses for a SAT solver."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from gates import UNDRIVEN, Gates
from pysat.solvers import Solver

__all__ = ["Cone", "chosen", "values"]

SOLVER = "cadical153"


def chosen(literals: list[int], clause: tuple[int, ...]) -> list[int]:
    """A clause over places, from 1 on, as one over what is at these places."""
    return [literals[abs(lit) - 1] * (1 if lit > 0 else -1) for lit in clause]


class Cone:
    """Clauses of the core, of what is asked for. Variable 1 is true; constants are folded, and
    equal gates are one."""

    def __init__(self, gates: Gates):
        self.gates = gates
        self.clauses: list[list[int]] = [[1]]
        self.last = 1
        self.known: dict[tuple[int, int], int] = {}
        #: The literal of each variable of the graph in the core; 0: not asked for yet.
        self.sane = [0] * (gates.first_and + len(gates.left))
        self.sane[0] = -1
        for n, (name, _) in enumerate(gates.inputs, 1):
            self.sane[n] = -1 if name in ("mutant", UNDRIVEN[0]) else self.new()
        for n in range(gates.first_register, gates.first_and):
            self.sane[n] = self.new()
        self.lefts, self.rights = gates.left.tolist(), gates.right.tolist()

    def new(self) -> int:
        self.last += 1
        return self.last

    def both(self, a: int, b: int) -> int:
        """a and b."""
        if a == -1 or b == -1 or a == -b:
            return -1
        if a == 1 or a == b:
            return b
        if b == 1:
            return a
        key = (a, b) if a < b else (b, a)
        if key not in self.known:
            out = self.known[key] = self.new()
            self.clauses += [[-out, a], [-out, b], [out, -a, -b]]
        return self.known[key]

    def literal(self, lit: int) -> int:
        """The value of a literal of the graph in the core."""
        self.ask([lit >> 1])
        value = self.sane[lit >> 1]
        return -value if lit & 1 else value

    def ask(self, variables: Iterable[int]) -> None:
        """Make the clauses of the core's variables."""
        sane, first = self.sane, self.gates.first_and
        stack = [v for v in variables if not sane[v]]
        while stack:
            v = stack[-1]
            if sane[v]:
                stack.pop()
                continue
            a, b = self.lefts[v - first], self.rights[v - first]
            left, right = sane[a >> 1], sane[b >> 1]
            if left and right:
                sane[v] = self.both(-left if a & 1 else left, -right if b & 1 else right)
                stack.pop()
            else:
                stack += [u for u in (a >> 1, b >> 1) if not sane[u]]

    def register(self, n: int) -> int:
        """Register n."""
        return self.sane[self.gates.first_register + n]

    def state(self, model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Registers and inputs of the core in a model, bool."""
        first = self.gates.first_register
        return (values(model, self.sane[first:self.gates.first_and]),
                values(model, self.sane[1:first]))

    def solver(self) -> Solver:
        """A solver that has all clauses."""
        return Solver(SOLVER, bootstrap_with=self.clauses)

    def model(self, solver: Solver, literals: Iterable[int]) -> np.ndarray | None:
        """An assignment that makes one of the literals true, by variable, or None."""
        some = self.new()
        solver.add_clause([-some, *literals])
        if not solver.solve(assumptions=[some]):
            return None
        found = np.zeros(self.last + 1, bool)
        model = np.array([0, *(solver.get_model() or [])])
        found[:len(model)] = model > 0
        return found


def values(model: np.ndarray, literals: list[int]) -> np.ndarray:
    """What literals are in a model."""
    places = np.array(literals, np.int64)
    return model[abs(places)] == (places > 0)
