"""Formats of weights: by their rule, or the grid on which they were trained, and scales of rows."""

from __future__ import annotations

import numpy as np

from gatefold.gen.numbers.formats import Seen, at_most, by_row, least_error, peak_of
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import MOST_SCALE
from gatefold.gen.numbers.settings import Settings

__all__ = ["WeightFormats"]

_ANY = 3  #: integer bits, sign included, of weights that come later
_BITS_ABOVE = 18  # integer bits that a grid of weights may leave unused


class WeightFormats:
    """The formats of a network's weights by its ``settings``. ``seen``: the weights are known; else
    they come later."""

    def __init__(self, settings: Settings, seen: bool):
        self.settings, self.seen = settings, seen

    def of_rows(self, name: str, tensors: list[str], matrices: list[np.ndarray],
                finest: list[int], bits: list[int], pattern: np.ndarray | None
                ) -> tuple[list[QFormat], np.ndarray | None]:
        """Formats of the matrices (rows, columns) of layer ``name``, and the scales of the rows
        that they share, or None.

        Parameters, an entry for each matrix: ``tensors``, its name; ``finest``, fractional bits
        beyond which its weights change nothing; ``bits``, beyond its width. ``pattern``: that of
        the layer, whose weights are then those of a sum or an average, ones at best.
        """
        scaled = self.settings.scales_of(name) and pattern is None
        tried = [self._candidates(name, tensor, w, most, MOST_SCALE if scaled else 0,
                                  pattern is not None, more)
                 for tensor, w, most, more in zip(tensors, matrices, finest, bits, strict=False)]
        if not scaled:
            return [least_error(w, forms)
                    for w, forms in zip(matrices, tried, strict=True)], None
        if not self.seen:
            return [forms[0] for forms in tried], np.zeros(len(matrices[0]), np.int64)
        forms, scales = by_row(matrices, tried, [self.settings.rule_of(name, tensor).looks
                                                 for tensor in tensors])
        return forms, scales if scales.any() else None

    def of_one(self, name: str, tensor: str, w: np.ndarray, finest: int) -> QFormat:
        """The format of weights whose rows have no scales."""
        return least_error(w, self._candidates(name, tensor, w, finest, 0, False))

    def _candidates(self, name: str, tensor: str, w: np.ndarray, finest: int, most: int,
                    simple: bool, more: int = 0) -> list[QFormat]:
        """The formats that a matrix may have by its settings and its rule. Where formats hold its
        weights as they are, these alone: those of its rule, if they do. ``most``: the largest scale
        of its rows. ``simple``: the weights are those of a sum or an average, ones at best.
        ``more``: bits beyond its width."""
        given = self.settings.of(name, tensor)
        if isinstance(given, QFormat):
            return [QFormat(given.width + more, given.frac)]
        given += more
        if not self.seen:
            return [QFormat(given, given - _ANY)]
        if not peak_of(w):
            return [at_most(QFormat.covering(given, 0.0), finest)]
        rule = self.settings.rule_of(name, tensor)
        forms = list(dict.fromkeys(at_most(form, finest) for form in rule.candidates(
            given, Seen.of(w, most=w.size))))
        exact = _exact(w, given, most)
        held = [] if simple else [form for form in forms if form in exact]
        return held or exact or forms


def _exact(w: np.ndarray, width: int, most: int) -> list[QFormat]:
    """The formats in which no weight of (rows, columns) is rounded, where each row may have a scale
    of 0..``most``; those with the fewest fractional bits first."""
    values, found = w.astype(np.float64), []
    # Of the finest format, the peak may be the lowest integer, which has no opposite.
    least = QFormat.covering(width, peak_of(w)).frac + 1 - _BITS_ABOVE
    finest = values * 2.0**(least + _BITS_ABOVE + most)
    if (finest != np.floor(finest)).any():  # then no coarser format holds them
        return found
    for frac in range(least, least + _BITS_ABOVE + 1):
        fits = np.zeros(len(values), bool)
        for scale in range(most + 1):
            scaled = values * 2.0**(frac + scale)
            fits |= ((scaled == np.floor(scaled)) & (np.abs(scaled + 0.5) < 2**(width - 1))
                     ).all(axis=1)
        if fits.all():
            found.append(QFormat(width, frac))
    return found
