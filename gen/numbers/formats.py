"""Rules that choose a tensor's format from the values that calibration saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import MOST_SCALE

__all__ = ["RULES", "Rule", "Seen", "as_rule", "at_most", "by_row", "least_error", "peak_of",
           "rules"]

#: Names of the rules.
RULES = ("max", "percentile", "mse")

_TINY = 2.0**-40  # the least peak that a format is made for, so that formats stay within int64
_STEPS = 8  # formats that mse tries: that of the peak, and finer ones
_VALUES = 1 << 18  # values of a tensor that are kept


@dataclass(frozen=True)
class Seen:
    """A tensor's values: ``peak``, the largest magnitude of all; ``values`` (n,), all of them or
    evenly spaced ones, empty if no rule needs them."""

    peak: float
    values: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, *, keep: bool = True, most: int = _VALUES) -> Seen:
        """The peak of an array and, with ``keep``, about ``most`` of its values at most."""
        flat = np.asarray(values, np.float64).ravel()
        return cls(peak_of(flat), flat[::max(1, flat.size // most)].copy() if keep
                   else np.zeros(0))

    def __or__(self, other: Seen) -> Seen:
        """The values of both."""
        return Seen(max(self.peak, other.peak), np.concatenate([self.values, other.values]))


@dataclass(frozen=True)
class Rule:
    """A way from values to a format of a given width.

    ``name`` of :data:`RULES`: ``max``, the finest format that holds the peak; ``percentile``, the
    finest that holds all but the largest magnitudes, ``percent`` of them; ``mse``, the one with the
    least mean squared error of rounding and saturation.
    """

    name: str = "max"
    percent: float = 99.9

    @property
    def looks(self) -> bool:
        """Whether the rule needs values, not only the peak."""
        return self.name != "max"

    def choose(self, width: int, seen: Seen, *, headroom: float = 1.0,
               most: float = math.inf) -> QFormat:
        """The format of ``width`` bits. The rule ``max`` leaves room for ``headroom`` times the
        peak, but not beyond ``most``, the largest value that is possible. Zeros alone give the
        format of the unit interval."""
        return least_error(seen.values, self.candidates(width, seen, headroom=headroom,
                                                        most=most))

    def candidates(self, width: int, seen: Seen, *, headroom: float = 1.0,
                   most: float = math.inf) -> list[QFormat]:
        """The formats of which :meth:`choose` takes the one with the least error."""
        if not seen.peak:
            return [QFormat.covering(width, 0.0)]
        if self.looks and not seen.values.size:
            raise ValueError(f"Rule {self.name} needs values, not only a peak")
        if self.name == "percentile":
            peak = float(np.percentile(np.abs(seen.values), self.percent))
            return [QFormat.covering(width, max(peak, _TINY))]
        if self.name == "mse":
            coarsest = QFormat.covering(width, max(seen.peak, _TINY)).frac
            return [QFormat(width, coarsest + n) for n in range(_STEPS)]
        return [QFormat.covering(width, max(min(headroom * seen.peak, most), _TINY))]


def as_rule(name: object, percent: object = 99.9) -> Rule:
    """A rule by its name.

    Raises :class:`UserError` for another name, or a percentile outside 50..100.
    """
    if not isinstance(name, str) or name not in RULES:
        raise UserError(f"the rule for formats must be one of {', '.join(RULES)}, not "
                        f"{quoted(name)}")
    if isinstance(percent, bool) or not isinstance(percent, (int, float)) \
            or not 50 <= percent <= 100:
        raise UserError(f"the percentile must be in 50..100, not {quoted(percent)}: the default is "
                        "99.9")
    return Rule(name, float(percent))


def rules(rule: object, weight_rule: object, percent: object,
          elsewhere: bool = False) -> tuple[Rule, Rule]:
    """The rules of values and of weights; ``elsewhere``: some layer's own rule is percentile.

    Raises :class:`UserError` as :func:`as_rule` does, and for a percentile without its rule.
    """
    both = as_rule(rule, percent), as_rule(weight_rule, percent)
    if percent != Rule().percent and not elsewhere and "percentile" not in (rule, weight_rule):
        raise UserError(f"--percentile {percent:g} needs --rule percentile or --weight-rule "
                        "percentile: no other rule uses it")
    return both


def least_error(values: np.ndarray, forms: list[QFormat]) -> QFormat:
    """That of ``forms`` with the least mean squared error on ``values``: the first of equals."""
    if len(forms) == 1:
        return forms[0]
    return min(forms, key=lambda form: float(np.mean(_squared_errors(form, values))))


def by_row(matrices: list[np.ndarray], forms: list[list[QFormat]],
           clips: list[bool]) -> tuple[list[QFormat], np.ndarray]:
    """Formats of ``matrices``, each (rows, columns), one of its ``forms`` for each, and scales
    (rows,) of 0..:data:`~.qlayer.MOST_SCALE` that they share: those with the least squared error.

    A row with scale e has e fractional bits more than the format. Of equal errors the one with the
    least scale is taken. ``clips``, of each matrix: whether a scale may make weights saturate.
    """
    rows = len(matrices[0])
    best: tuple[float, list[QFormat], np.ndarray] = (math.inf, [], np.zeros(rows, np.int64))
    known: list[dict[int, np.ndarray]] = []  # of each matrix the error of every row, by its bits
    for w, tried, clip in zip(matrices, forms, clips, strict=True):
        fracs = {form.frac + e for form in tried for e in range(MOST_SCALE + 1)}
        errors = {frac: _squared_errors(QFormat(tried[0].width, frac), w).sum(axis=1)
                  for frac in sorted(fracs)}
        if not clip:
            for frac in fracs - {tried[0].frac}:
                form, scaled = QFormat(tried[0].width, frac), np.floor(w * 2.0**frac + 0.5)
                errors[frac][((scaled < form.lo) | (scaled > form.hi)).any(axis=1)] = np.inf
        known.append(errors)
    for chosen in product(*forms):
        errors = np.stack([sum(of[form.frac + e] for of, form in zip(known, chosen, strict=True))
                           for e in range(MOST_SCALE + 1)])
        total = float(errors.min(axis=0).sum())
        if total < best[0]:
            best = total, list(chosen), errors.argmin(axis=0)
    return best[1], best[2]


def _squared_errors(form: QFormat, values: np.ndarray) -> np.ndarray:
    return (form.to_float(form.quantize(values)) - values) ** 2


def peak_of(values) -> float:
    """Largest magnitude; 0 of an empty array."""
    return float(np.max(np.abs(values), initial=0.0))


def at_most(form: QFormat, frac: float) -> QFormat:
    """``form`` with at most so many fractional bits."""
    return form if form.frac <= frac else QFormat(form.width, int(frac))
