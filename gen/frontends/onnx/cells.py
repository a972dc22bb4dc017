"""Which recurrent cell one step computes, decided by its formulas (:mod:`.formulas`).

The step is a network of x and the states before; the states after it must have exactly the formula
of a cell, in which each gate is an activation of W x + R h + b:

- SimpleRNN  h' = act(W x + R h + b)
- GRU        h' = z h + (1 - z) n,  n = act(W x + b + r (R h + b_n)) or act(W x + R (r h) + b)
- LSTM       c' = f c + i g,  h' = o act(c')
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gatefold.gen.frontends.onnx.formulas import Formula, Formulas, Term, is_diagonal, same
from gatefold.gen.network.layers import ACTIVATIONS, CELL_ACTIVATIONS, GATE_ACTIVATIONS

__all__ = ["Cell", "cell"]

_X = 0  # the number of x among the atoms


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: its ``kind`` (rnn, gru, lstm), ``states``, numbers of h and c among the
    step's states, and the ``fields`` of the layer but for initial states."""

    kind: str
    states: tuple[int, ...]
    fields: dict


def cell(formulas: Formulas, after: list[Formula]) -> Cell | None:
    """The cell whose next states have the formulas ``after``; None if there is none. Value 0 of the
    network is x, the states before follow."""
    found: list = []
    if len(after) == 1:
        found = [("gru", (0,), _gru(formulas, after[0])), ("rnn", (0,), _rnn(formulas, after[0]))]
    elif len(after) == 2:
        found = [("lstm", (h, c), _lstm(formulas, 1 + h, 1 + c, after[h], after[c]))
                 for h, c in ((0, 1), (1, 0))]
    return next((Cell(*one) for one in found if one[2] is not None), None)


def _rnn(formulas: Formulas, h: Formula) -> dict | None:
    kind, inside = next((formulas.atoms[n] for n in _of(formulas, ACTIVATIONS)
                         if _is(h, {(n,): 1})), ("linear", h))
    return _layer([_affine(formulas, inside, 1)], {"activation": kind})


def _gru(formulas: Formulas, after: Formula, h: int = 1) -> dict | None:
    gates, cells = (_of(formulas, kinds) for kinds in (GATE_ACTIVATIONS, CELL_ACTIVATIONS))
    for r, z, n in itertools.product(gates, gates, cells):
        if _is(after, {_term(z, h): 1, (n,): 1, _term(z, n): -1}):
            parts = [*(_affine(formulas, formulas.atoms[gate][1], h) for gate in (r, z)),
                     _candidate(formulas, formulas.atoms[n][1], r, h)]
            fields = _layer(parts, _functions(formulas, (r, z), n))
            if fields is not None:
                return {**fields, "reset_after": "b_n" in fields}
    return None


def _candidate(formulas: Formulas, inside: Formula, r: int, h: int) -> dict | None:
    """The argument of n's activation as fields; with ``b_n`` if the reset is after the product."""
    plain = _affine(formulas, {t: gain for t, gain in inside.items() if r not in t}, h)
    reset = {t[:t.index(r)] + t[t.index(r) + 1:]: gain for t, gain in inside.items() if r in t}
    if plain is None or plain["w_hh"].any():
        return None
    if reset.keys() == {(h,)}:
        return {**plain, "w_hh": reset[h,]}
    if not all(is_diagonal(gain) for gain in reset.values()):
        return None
    # r (R h + b_n); multiplied out where R is a diagonal, as that of a single unit.
    reset = {(): np.zeros((len(plain["b"]), 1)), **{
        t: gain if t else gain.sum(axis=1, keepdims=True) for t, gain in reset.items()}}
    linear = [formulas.atoms[n][1] for n in _of(formulas, ("linear",)) if _is(reset, {(n,): 1})]
    parts = _affine(formulas, linear[0] if linear else reset, h)
    if parts is None or parts["w_ih"].any():
        return None
    return {**plain, "w_hh": parts["w_hh"], "b_n": parts["b"]}


def _lstm(formulas: Formulas, h: int, c: int, h_after: Formula, c_after: Formula) -> dict | None:
    gates, cells = (_of(formulas, kinds) for kinds in (GATE_ACTIVATIONS, CELL_ACTIVATIONS))
    for i, f, g, o in itertools.product(gates, gates, cells, gates):
        activation = formulas.atoms[g][0]
        if _is(c_after, {_term(f, c): 1, _term(i, g): 1}) and same(h_after, formulas.product(
                formulas.unit(o), c_after if activation == "linear"
                else formulas.function(activation, c_after))):
            parts = [_affine(formulas, formulas.atoms[gate][1], h) for gate in (i, f, g, o)]
            return _layer(parts, _functions(formulas, (i, f, o), g))
    return None


def _of(formulas: Formulas, kinds: tuple[str, ...]) -> list[int]:
    return [number for number, (kind, _) in enumerate(formulas.atoms) if kind in kinds]


def _term(*atoms: int) -> Term:
    return tuple(sorted(atoms))


def _is(formula: Formula, terms: dict[Term, int]) -> bool:
    """Whether the formula is these terms, each times its number."""
    return formula.keys() == {(), *terms} and same(formula, {
        (): np.zeros((len(formula[()]), 1)),
        **{term: gain * np.eye(len(formula[()])) for term, gain in terms.items()}})


def _affine(formulas: Formulas, formula: Formula, h: int) -> dict[str, np.ndarray] | None:
    """w_ih, w_hh and b of W x + R h + b; None for another formula."""
    if not formula.keys() <= {(_X,), (h,), ()}:
        return None
    rows = len(formula[()])
    w, r = (formula.get((n,), np.zeros((rows, len(formulas.atoms[n][1][()])))) for n in (_X, h))
    return {"w_ih": w, "w_hh": r, "b": formula[()][:, 0]}


def _functions(formulas: Formulas, gates: tuple[int, ...], inner: int) -> dict | None:
    """The activations of a cell, if all its gates have one."""
    kinds = {formulas.atoms[gate][0] for gate in gates}
    return None if len(kinds) > 1 else {"activation": formulas.atoms[inner][0],
                                        "recurrent_activation": kinds.pop()}


def _layer(parts: list, functions: dict | None) -> dict | None:
    """The fields of a layer of these blocks; None if one of them was not found."""
    if functions is None or not all(parts):
        return None
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**parts[-1], **stacked, **functions}
