"""Facts that hold in every state that a core reaches: found in a simulation, kept if inductive.

They are constants, equalities, implications between bits of neighbouring registers, and values that
small registers never have. Only *control* is looked at: the registers that no input data reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from cone import Cone, chosen
from gates import Gates, Seen, walk

__all__ = ["Clause", "Table", "control", "invariants", "small_registers"]

MOST_BITS = 40  #: of a register of which all values are looked at
MOST_VALUES = 64  #: of a register, or of two together, whose other values are excluded
Clause = tuple[int, ...]  #: literals: places in ``Seen.watched`` from 1 on, negative where inverted


def control(gates: Gates) -> np.ndarray:
    """The registers that no input data and no loaded weight can reach."""
    reached = np.zeros(gates.first_and + len(gates.left), bool)
    for n, (name, _) in enumerate(gates.inputs):
        reached[1 + n] = name.endswith("tdata")
    pairs = list(zip((gates.left >> 1).tolist(), (gates.right >> 1).tolist(), strict=True))
    first, registers = gates.first_and, slice(gates.first_register, gates.first_and)
    while True:
        flags = reached.tolist()
        for n, (a, b) in enumerate(pairs, first):
            flags[n] = flags[a] or flags[b]
        found = np.array(flags, bool)
        found[registers] |= found[gates.next >> 1]
        if (found == reached).all():
            return np.flatnonzero(~found[registers])
        reached = found


def small_registers(gates: Gates, among: np.ndarray, bits: int) -> list[list[int]]:
    """The registers of at most ``bits`` bits, as places in ``among``."""
    found: dict[str, list[int]] = {}
    for place, register in enumerate(among.tolist()):
        found.setdefault(gates.registers[register][0], []).append(place)
    return [group for group in found.values() if len(group) <= bits]


def candidates(gates: Gates, seen: Seen) -> Iterator[Clause]:
    """Clauses that hold in all of a trace: literals are places in ``seen.watched`` from 1 on,
    negative where inverted."""
    trace = seen.trace
    ones, zeros = np.array(trace.any(0)), np.array((~trace).any(0))
    for n in np.flatnonzero(~ones | ~zeros).tolist():
        yield ((n + 1) if ones[n] else -(n + 1),)
    columns: dict[bytes, int] = {}
    moving = []
    for n in np.flatnonzero(ones & zeros).tolist():
        column = np.packbits(trace[:, n])
        for sign, key in ((1, column.tobytes()), (-1, np.packbits(~trace[:, n]).tobytes())):
            if key in columns:
                other = columns[key]
                yield (n + 1, -sign * (other + 1))
                yield (-(n + 1), sign * (other + 1))
                break
        else:
            columns[column.tobytes()] = n
            moving.append(n)
    bits = np.unique(trace[:, moving], axis=0).astype(np.float32)
    kinds, index = np.unique([gates.registers[seen.watched[n]][0].rpartition(".")[0]
                              for n in moving], return_inverse=True)
    inside = np.array([[a == b or a.startswith(b + ".") and "." in b for b in kinds]
                       for a in kinds])
    near = (inside | inside.T)[index][:, index]
    for invert_a, invert_b in ((0, 0), (0, 1), (1, 1)):  # never a and b together
        together = (1 - bits if invert_a else bits).T @ (1 - bits if invert_b else bits)
        for a, b in zip(*np.nonzero((together == 0) & near), strict=True):
            if a != b and (a < b or invert_a != invert_b):
                yield ((moving[a] + 1) * (1 if invert_a else -1),
                       (moving[b] + 1) * (1 if invert_b else -1))
    yield from _unseen_values(gates, seen)


def _unseen_values(gates: Gates, seen: Seen) -> Iterator[Clause]:
    """Values that control registers never have, each for itself, and two of a module together, or
    one and the one that its next value is made of."""
    registers: dict[str, list[int]] = {}
    for place, register in enumerate(seen.watched.tolist()):
        registers.setdefault(gates.registers[register][0], []).append(place)
    have: dict[str, np.ndarray] = {}  # of each register, the number of its value in every cycle
    for name, places in registers.items():
        codes: dict[bytes, int] = {}
        number = np.array([codes.setdefault(row.tobytes(), len(codes))
                           for row in np.packbits(seen.trace[:, places], axis=1)])
        first = np.unique(number, return_index=True)[1]
        if len(places) <= MOST_BITS and 1 < len(codes) <= MOST_VALUES:
            have[name] = number
            yield from _unseen(seen.trace[first][:, places], places)
    module = {name: name.rpartition(".")[0] for name in have}
    sources = _sources(gates, seen.watched, registers)
    for a, b in combinations(have, 2):
        if not (module[a] == module[b] or a in sources[b] or b in sources[a]):
            continue
        pairs, first = np.unique(have[a] * MOST_VALUES + have[b], return_index=True)
        if len(pairs) <= MOST_VALUES and len(pairs) < (1 + have[a].max()) * (1 + have[b].max()):
            places = registers[a] + registers[b]
            yield from _unseen(seen.trace[first][:, places], places)


def _sources(gates: Gates, watched: np.ndarray, registers: dict[str, list[int]]
             ) -> dict[str, set[str]]:
    """Of each control register, by name, the others of which its next value is made."""
    names = list(registers)
    reads = [0] * (gates.first_and + len(gates.left))  # a bit for each name
    for bit, name in enumerate(names):
        for place in registers[name]:
            reads[gates.first_register + int(watched[place])] = 1 << bit
    for n, (a, b) in enumerate(zip((gates.left >> 1).tolist(), (gates.right >> 1).tolist(),
                                   strict=True), gates.first_and):
        reads[n] = reads[a] | reads[b]
    found: dict[str, set[str]] = {}
    for name, places in registers.items():
        mask = 0
        for place in places:
            mask |= reads[int(gates.next[watched[place]]) >> 1]
        found[name] = {other for bit, other in enumerate(names) if mask >> bit & 1}
    return found


def _unseen(rows: np.ndarray, places: list[int]) -> Iterator[Clause]:
    """Clauses that together exclude all values of ``places`` but the ``rows`` (values, places): of
    every value that leaves the rows at some bit, as few bits as exclude no row."""
    some = [k for k in range(len(places)) if rows[:, k].any() and not rows[:, k].all()]
    values = {sum(bit << k for k, bit in enumerate(row)) for row in rows[:, some].tolist()}
    stack: list[tuple[int, set[int]]] = [(0, values)]
    done: set[tuple[int, int]] = set()
    while stack:
        depth, left = stack.pop()
        if depth == len(some):
            continue
        ones = {value for value in left if value >> depth & 1}
        if 0 < len(ones) < len(left):
            stack += [(depth + 1, ones), (depth + 1, left - ones)]
            continue
        stack.append((depth + 1, left))
        other, mask = next(iter(left)) ^ 1 << depth, (2 << depth) - 1
        for k in range(depth):
            fewer = mask & ~(1 << k)
            if all((value ^ other) & fewer for value in values):
                mask = fewer
        if (other & mask, mask) not in done:
            done.add((other & mask, mask))
            yield tuple((places[some[k]] + 1) * (-1 if other >> k & 1 else 1)
                        for k in range(depth + 1) if mask >> k & 1)


def reduced(clauses: Iterable[Clause]) -> list[Clause]:
    """Without clauses that a shorter one of at most four literals implies."""
    kept: list[Clause] = []
    short: set[Clause] = set()
    for clause in clauses:
        ordered = tuple(sorted(clause))
        if any(part in short for size in range(1, min(len(ordered), 5))
               for part in combinations(ordered, size)):
            continue
        if len(ordered) <= 4:
            short.add(ordered)
        kept.append(ordered)
    return list(dict.fromkeys(kept))


class Table:
    """Clauses, tried on many states at once."""

    def __init__(self, clauses: list[Clause]):
        longest = max(map(len, clauses), default=1)
        padded = np.array([[*clause, *[clause[0]] * (longest - len(clause))]
                           for clause in clauses], np.int64).reshape(-1, longest)
        self.places = abs(padded) - 1
        self.inverted = np.where(padded > 0, np.uint64(0), ~np.uint64(0))

    def drop(self, alive: np.ndarray, rows: np.ndarray) -> None:
        """Take those out of ``alive`` that do not hold in all ``rows`` (rows, watched) uint64."""
        for row in rows:
            left = np.flatnonzero(alive)
            holds = row[self.places[left, 0]] ^ self.inverted[left, 0]
            for k in range(1, self.places.shape[1]):
                holds |= row[self.places[left, k]] ^ self.inverted[left, k]
            alive[left[holds != ~np.uint64(0)]] = False


def invariants(gates: Gates, seen: Seen, work: Path, say=lambda text: None) -> list[Clause]:
    """The candidates that are inductive together; literals as in :func:`candidates`."""
    clauses = reduced(candidates(gates, seen))
    say(f"{len(clauses)} candidates over {len(seen.watched)} registers")
    watched = seen.watched.tolist()
    table, alive = Table(clauses), np.ones(len(clauses), bool)
    rounds = seed = 0
    while True:
        rounds += 1
        cone = Cone(gates)
        now = [cone.register(register) for register in watched]
        after = [cone.literal(int(gates.next[register])) for register in watched]
        for n in np.flatnonzero(alive).tolist():
            cone.clauses.append(chosen(now, clauses[n]))
        broken: dict[int, int] = {}
        for n in np.flatnonzero(alive).tolist():
            lits = chosen(after, clauses[n])
            if 1 in lits:
                continue
            out = cone.new()
            cone.clauses += [[-out, -lit] for lit in lits]
            broken[n] = out
        solver = cone.solver()
        found = models = 0
        while broken:
            model = cone.model(solver, broken.values())
            if model is None:
                break
            seed += 1
            table.drop(alive, walk(gates, seen.watched, *cone.state(model), 40, seed, work))
            models += 1
            for n in [n for n in broken if not alive[n]]:
                del broken[n]
                found += 1
        solver.delete()
        say(f"round {rounds}, {models} models: {found} are not inductive, {alive.sum()} remain")
        if not found:
            return [clause for n, clause in enumerate(clauses) if alive[n]]
