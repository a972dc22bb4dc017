"""What is constant in a graph of gates, and a smaller graph that does the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gates import Gates

__all__ = ["constants", "folded"]

_ANY = 2  #: a value that may be 0 and 1


def constants(gates: Gates, mutants: bool = False) -> np.ndarray:
    """Registers that are never anything but 0, with which all of them begin, as is seen without
    solving anything: no input and no register that moves can make them 1. ``mutants``: not those
    of any mutant either."""
    first_register, first = gates.first_register, gates.first_and
    value = [0] * first
    for n, (name, _) in enumerate(gates.inputs, 1):
        value[n] = _ANY if mutants or name != "mutant" else 0
        value[n] *= name != ""  # UNDRIVEN
    pairs = list(zip(gates.left.tolist(), gates.right.tolist(), strict=True))
    users: list[list[int]] = [[] for _ in range(first + len(pairs))]
    moves: dict[int, list[int]] = defaultdict(list)  # registers that a variable is the next of
    for v, (a, b) in enumerate(pairs, first):
        users[a >> 1].append(v)
        users[b >> 1].append(v)
        value.append(_both(value, a, b))
    for n, lit in enumerate(gates.next.tolist()):
        moves[lit >> 1].append(n)
    after = gates.next.tolist()
    stack = [first_register + n for n, lit in enumerate(after) if _of(value, lit)]
    while stack:
        v = stack.pop()
        if value[v] == _ANY:
            continue
        value[v] = _ANY
        stack += [u for u in users[v]
                  if value[u] != _ANY and _both(value, *pairs[u - first]) == _ANY]
        stack += [first_register + n for n in moves[v]]
    return np.flatnonzero([value[first_register + n] == 0 for n in range(len(after))])


def _of(value: list[int], lit: int) -> int:
    v = value[lit >> 1]
    return v if v == _ANY else v ^ lit & 1


def _both(value: list[int], a: int, b: int) -> int:
    x, y = _of(value, a), _of(value, b)
    return 0 if x == 0 or y == 0 else 1 if x == y == 1 else _ANY


def folded(gates: Gates) -> Gates:
    """The same graph without what is constant, equal to something else, or never read."""
    first_register, first = gates.first_register, gates.first_and
    zeros = set(constants(gates, mutants=True).tolist())
    place = [0 if v - first_register in zeros else 2 * v for v in range(first)]
    found: dict[tuple[int, int], int] = {}
    for a, b in zip(gates.left.tolist(), gates.right.tolist(), strict=True):
        a, b = place[a >> 1] ^ a & 1, place[b >> 1] ^ b & 1
        if a > b:
            a, b = b, a
        if a == 0 or a == b ^ 1:
            place.append(0)
        elif a == 1 or a == b:
            place.append(b)
        else:
            place.append(found.setdefault((a, b), 2 * (first + len(found))))
    then, out = ([place[lit >> 1] ^ lit & 1 for lit in literals.tolist()]
                 for literals in (gates.next, gates.out))
    ands = list(found)
    live = [v < first_register for v in range(first + len(ands))]
    stack = [lit >> 1 for lit in out]
    while stack:
        v = stack.pop()
        if not live[v]:
            live[v] = True
            stack += ([lit >> 1 for lit in ands[v - first]] if v >= first
                      else [then[v - first_register] >> 1])
    renamed = np.cumsum(live) - 1

    def literals(some: Iterable[int]) -> np.ndarray:
        old = np.fromiter(some, np.int64)
        return (2 * renamed[old >> 1] + (old & 1)).astype(np.int32)

    kept = [n for n in range(len(then)) if live[first_register + n]]
    used = [pair for pair, lives in zip(ands, live[first:], strict=True) if lives]
    return replace(gates, registers=[gates.registers[n] for n in kept], out=literals(out),
                   next=literals(then[n] for n in kept), left=literals(a for a, _ in used),
                   right=literals(b for _, b in used))
