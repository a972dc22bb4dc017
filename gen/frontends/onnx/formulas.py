"""The formula of every value of a small network: a sum of products, in one canonical form.

A value is a constant and a sum of *terms*, each a matrix times a product of *atoms*, element by
element. An atom is an input, an activation of a formula, or a formula that is a factor without
being a sum of single elements (R h + b in r (R h + b)). Equal atoms are one atom, products of sums
are multiplied out, and terms of the same atoms are added up: so two networks that write one formula
in different ways have the same terms, and a network that differs in an operand, a constant or an
operator has others. Nothing is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from gatefold.gen.frontends.builder import Builder
from gatefold.gen.network.layers import Dense, Layer, Multiply
from gatefold.gen.network.views import View

__all__ = ["Formula", "FormulaError", "Formulas", "Term", "is_diagonal", "same"]

#: The numbers of the atoms that are multiplied, in order; of the constant, none.
Term = tuple[int, ...]
#: Of each term, its matrix (size, elements of the term); the constant (size, 1) is always there.
Formula = dict[Term, np.ndarray]
#: Most elements of all matrices together, and most of a row that is multiplied by a matrix: no cell
#: multiplies by two matrices, one after the other.
_MAX_ELEMENTS, _MAX_ROW = 1 << 26, 4


class FormulaError(Exception):
    """A layer has no formula here."""


class Formulas:
    """The formulas of a network's values, each flattened.

    Parameters: ``builder``, the network. Raises :class:`FormulaError` for layers other than views,
    products and Dense layers of vectors.
    Attributes: ``atoms``, of each its kind (``input``, an activation, or ``linear``) and the
    formula that it is a function of; ``values``, the formulas by number. The inputs come first.
    """

    def __init__(self, builder: Builder):
        self.atoms: list[tuple[str, Formula]] = []
        self.values: list[Formula] = []
        self._elements = 0
        for shape in builder.input_shapes:
            self.atoms.append(("input", {(): np.zeros((math.prod(shape), 1))}))
            self.values.append(self.unit(len(self.atoms) - 1))
        for layer in builder.layers:
            shapes = [builder.shapes[value] for value in layer.inputs]
            self.values.append(self._made(layer, shapes))

    def unit(self, *atoms: int) -> Formula:
        """The product of atoms."""
        size = len(self.atoms[atoms[0]][1][()])
        return self._tidy({(): np.zeros((size, 1)), tuple(sorted(atoms)): np.eye(size)})

    def function(self, kind: str, inside: Formula) -> Formula:
        """An activation of a formula; ``linear`` makes it one atom."""
        for number, (known, formula) in enumerate(self.atoms):
            if known == kind and same(formula, inside):
                return self.unit(number)
        self.atoms.append((kind, inside))
        return self.unit(len(self.atoms) - 1)

    def product(self, a: Formula, b: Formula) -> Formula:
        """The product, element by element."""
        a, b = (one if all(is_diagonal(gain) for term, gain in one.items() if term)
                else self.function("linear", one) for one in (a, b))
        gains: dict[Term, np.ndarray] = {}
        for term, gain in a.items():
            for other, factor in b.items():
                both = tuple(sorted((*term, *other)))
                vector = gain.sum(axis=1) * factor.sum(axis=1)
                gains[both] = gains.get(both, 0.0) + vector
        return self._tidy({term: np.diag(gain) if term else gain[:, np.newaxis]
                           for term, gain in gains.items()})

    def _made(self, layer: Layer, shapes: Sequence[tuple[int, ...]]) -> Formula:
        parts = [self.values[value] for value in layer.inputs]
        if isinstance(layer, Multiply):
            return self.product(*parts)
        if isinstance(layer, View):
            ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
            index = layer.arrange(*(np.arange(start, end).reshape(1, *shape) for start, end, shape
                                    in zip(ends, ends[1:], shapes, strict=False)), fill=-1)
            widths = {term: gain.shape[1] for part in parts for term, gain in part.items()}
            return self._tidy({term: np.concatenate([
                *(part.get(term, np.zeros((len(part[()]), width))) for part in parts),
                np.zeros((1, width))])[index.reshape(-1)] for term, width in widths.items()})
        if not isinstance(layer, Dense) or layer.window is not None or len(shapes[0]) != 1:
            raise FormulaError
        w = _exact(layer.w) if layer.label == "scale" else layer.w.astype(np.float64)
        inside = {term: _dot(w, gain) for term, gain in parts[0].items()}
        inside = self._tidy({**inside, (): inside[()] + layer.b[:, np.newaxis]})
        return inside if layer.activation == "linear" else self.function(layer.activation, inside)

    def _tidy(self, formula: Formula) -> Formula:
        """``formula`` without terms that are zero; c hard_tanh(z) + c as 2 c hard_sigmoid(2 z)."""
        formula = {term: gain for term, gain in formula.items() if gain.any() or not term}
        self._elements += sum(gain.size for gain in formula.values())
        if self._elements > _MAX_ELEMENTS:
            raise FormulaError
        constant, *others = sorted(formula)
        if len(others) == 1 and len(others[0]) == 1:
            (kind, inside), gain = self.atoms[others[0][0]], formula[others[0]]
            if kind == "hard_tanh" and is_diagonal(gain) and np.array_equal(
                    gain.sum(axis=1, keepdims=True), formula[constant]):
                formula = self.function("hard_sigmoid", {t: 2 * one for t, one in inside.items()})
                return {term: _dot(2 * gain, one) for term, one in formula.items()}
        return formula


def same(a: Formula, b: Formula) -> bool:
    """Whether two formulas are one, constants as float32."""
    return a.keys() == b.keys() and all(
        np.array_equal(np.float32(gain), np.float32(b[term])) for term, gain in a.items())


def _exact(w: np.ndarray) -> np.ndarray:
    """A diagonal of one constant as the fraction meant by it: float32's 1/3 becomes 1/3."""
    gain = w.diagonal()
    exact = float(Fraction(float(gain[0])).limit_denominator(100))
    return (np.diag(np.full(len(w), exact)) if (gain == np.float32(exact)).all()
            else w.astype(np.float64))


def is_diagonal(w: np.ndarray) -> bool:
    """Whether a matrix multiplies every element alone."""
    return w.shape[0] == w.shape[1] and np.count_nonzero(w) == np.count_nonzero(w.diagonal())


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, of matrices of which one has few elements in a row or column; these alone count."""
    if b.shape[1] == 1:
        return a @ b
    made = _few_times(a, b)
    if made is None and (turned := _few_times(b.T, a.T)) is not None:
        made = turned.T
    if made is None:
        raise FormulaError
    return made


def _few_times(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b; None where ``a`` has many elements in a row."""
    if np.count_nonzero(a) > _MAX_ROW * len(a):  # at once for most
        return None
    rows, columns = np.nonzero(a != 0)
    turn = np.arange(len(rows)) - np.searchsorted(rows, rows)  # which of its row each element is
    few = int(turn.max(initial=0)) + 1
    if few > _MAX_ROW:
        return None
    places, gains = np.zeros((few, len(a)), int), np.zeros((few, len(a), 1))
    places[turn, rows], gains[turn, rows, 0] = columns, a[rows, columns]
    total = gains[0] * b[places[0]]
    for gain, place in zip(gains[1:], places[1:], strict=True):
        total += gain * b[place]
    return total
