"""A row for every tensor of a layer: its bits on one ruler, its range, saturations and error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatefold.gen.html.markup import Markup, num, percent, svg, tag, text_tag

__all__ = ["Format", "Row", "Scales", "entering", "in_digits", "parse", "rows_of", "scales",
           "tensor_drawing", "tensor_legend"]

_WIDTH, _STEP = 1040, 18
_NAME, _RULER, _FORMAT, _RANGE, _SATURATED, _PLOT = 58, 70, 414, 498, 640, 766  # left edges
_PLOT_RIGHT = 944

#: Bits before the point with the sign, and behind it.
Format = tuple[int, int]

#: Tensors in the order in which they are computed; others come before the last four.
_ORDER = ("x", "a", "b", "h_in", "c_in", "w", "w_ih", "w_hh", "w_p", "w_hr", "hr", "u",
          "z_i", "i", "z_f", "f", "z_g", "g", "z_o", "o", "z_r", "r", "z_z", "z",
          "m", "q", "z_n", "n", "c", "tc", "h", "y")


@dataclass(frozen=True)
class Row:
    """A tensor; None is a value that is unknown or has no meaning. ``form``: its format, None for a
    sum as wide as the accumulator. ``seen``: smallest and largest float. ``clipped``: how many of
    how many values saturated. ``error``, ``alone``: RMS errors, the latter added by the layer
    itself."""

    name: str
    form: Format | None = None
    seen: tuple[float, float] | None = None
    clipped: tuple[int, int] | None = None
    error: float | None = None
    alone: float | None = None

    @property
    def span(self) -> float:
        """The range to which errors are relative."""
        return self.seen[1] - self.seen[0] if self.seen and self.seen[1] > self.seen[0] else 1.0

    @property
    def shown(self) -> str:
        """The format in words."""
        if self.form is None:
            return "all z" if self.name == "u" else "accumulator"
        return f"Q{self.form[0]}.{self.form[1]}"


@dataclass(frozen=True)
class Scales:
    """Scales that all drawings share: bits before and behind the point, decades of errors."""

    most: int
    least: int
    low: int
    high: int

    def bit(self, place: float) -> float:
        """x of the left edge of a bit, counted from the binary point."""
        cell = self.cell
        return _RULER + (self.most + place) * cell

    @property
    def cell(self) -> float:
        """Width of a bit."""
        return min(16.0, (_FORMAT - _RULER - 20) / max(1, self.most + self.least))

    def error(self, share: float) -> float:
        """x of an error related to the range."""
        power = math.log10(share) if share > 0 else self.low
        place = (min(self.high, max(self.low, power)) - self.low) / (self.high - self.low)
        return _PLOT + place * (_PLOT_RIGHT - _PLOT)


def parse(text: str) -> Format:
    """(3, 13) of ``Q3.13``."""
    whole, _, fraction = text.removeprefix("Q").rpartition(".")
    return int(whole), int(fraction)


def rows_of(numbers: dict) -> dict[str, list[Row]]:
    """The tensors of every input and layer that computes, by its name."""
    names = ["input"] if len(numbers["inputs"]) == 1 else [
        f"input{n}" for n in range(len(numbers["inputs"]))]
    found = {name: [_row(numbers, name, "x", form, {})]
             for name, form in zip(names, numbers["inputs"], strict=True)}
    inside = numbers.get("inside") or {}
    for name, formats in numbers["layers"].items():
        known = inside.get(name, {}).get("tensors", {})
        forms = {tensor: measured["format"] for tensor, measured in known.items()} | formats
        if "u" in numbers["saturations"].get(name, {}):  # counted for all gates together
            forms["u"] = None if known else numbers["table"]["argument"]
        last = len(_ORDER) - 4
        order = sorted(forms, key=lambda tensor: _ORDER.index(tensor) if tensor in _ORDER else last)
        found[name] = [_row(numbers, name, tensor, forms[tensor], known.get(tensor, {}))
                       for tensor in order]
    return found


def _row(numbers: dict, layer: str, tensor: str, form: str | None, measured: dict) -> Row:
    counted = numbers["saturations"].get(layer, {}).get(tensor)
    seen = (measured["min"], measured["max"]) if measured else None
    peaks = numbers["calibration"].get("peaks", {}).get(layer)
    peak = peaks.get(tensor) if isinstance(peaks, dict) else peaks if tensor == "x" else None
    if seen is None and peak is not None:
        seen = -peak, peak
    return Row(tensor, parse(form) if form else None, seen,
               (counted["count"], counted["total"]) if counted else None,
               measured.get("rms"), measured.get("rms_alone"))


def scales(rows: dict[str, list[Row]]) -> Scales:
    """Scales that hold every row."""
    every = [row for known in rows.values() for row in known]
    forms = [row.form for row in every if row.form]
    return Scales(max([1, *(whole for whole, _ in forms)]),
                  max([1, *(fraction for _, fraction in forms)]), *_decades(every))


def _decades(rows: list[Row]) -> tuple[int, int]:
    """Powers of ten around all errors, related to their ranges; no more than eight decades."""
    shares = [value / row.span for row in rows for value in (row.error, row.alone) if value]
    high = math.ceil(math.log10(max(shares, default=1.0)))
    low = math.floor(math.log10(min(shares, default=1e-4)))
    return max(min(low, high - 1), high - 8), high


def entering(rows: dict[str, list[Row]]) -> Markup | None:
    """The error of every layer's result, and the part that the layer adds; None where unknown."""
    results = {name: known[-1] for name, known in rows.items()
               if known[-1].error is not None}
    if not results:
        return None
    low, high = _decades(list(results.values()))
    left, right, step = 190, 900, 24

    def x(share: float) -> float:
        power = max(low, math.log10(share)) if share > 0 else low
        return left + (power - low) / (high - low) * (right - left)

    y, bottom = 26.0, 26.0 + step * len(results)
    parts = _dots_legend(left, 12)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts += [tag("path", d=f"M{num(at)} {num(y - 4)}V{num(bottom)}", class_="grid"),
                  text_tag(at, bottom + 16, in_digits(10.0**power), text_anchor="middle",
                           class_="muted small")]
    described = []
    for name, row in results.items():
        middle = y + step / 2
        share, alone = (row.error or 0) / row.span, (row.alone or 0) / row.span
        parts.append(text_tag(left - 14, middle + 4, name, text_anchor="end", class_="strong"))
        parts += _dots(x, middle, share, None if row.alone is None else alone, 5)
        parts.append(text_tag(right + 24, middle + 4, in_digits(share), class_="strong"))
        described.append(f"{name} {in_digits(share)}, {in_digits(alone)} of its own")
        y += step
    return svg("entering", "Where the error enters", "; ".join(described) + ".", _WIDTH,
               bottom + 22, *parts)


def in_digits(share: float) -> str:
    """A small share of a whole in percent, with two significant digits."""
    if not share:
        return "0 %"
    percents = 100 * share
    if percents < 0.99e-3:
        digits, power = f"{percents:.1e}".split("e")
        return f"{digits.removesuffix('.0')}e{int(power)} %"
    digits = max(0, 1 - math.floor(math.log10(percents)))
    return f"{num(percents, digits)} %"


def _dots_legend(x: float, y: float) -> list[Markup]:
    return [tag("circle", cx=num(x + 4), cy=num(y - 4), r=4.5, class_="s0"),
            text_tag(x + 14, y, "RMS error / range", class_="small"),
            tag("circle", cx=num(x + 172), cy=num(y - 4), r=5, class_="ring"),
            text_tag(x + 182, y, "error of the layer alone", class_="small")]


def _dots(x, y: float, share: float, alone: float | None, r: float) -> list[Markup]:
    parts = []
    if alone is not None:
        parts += [tag("path", d=f"M{num(x(alone))} {num(y)}H{num(x(share))}", class_="span"),
                  tag("circle", cx=num(x(alone)), cy=num(y), r=r + 1, class_="ring")]
    return [*parts, tag("circle", cx=num(x(share)), cy=num(y), r=r, class_="s0")]


def tensor_legend(rows: dict[str, list[Row]]) -> Markup:
    """The meaning of the drawings' colours."""
    parts, x = [], 2.0
    for kind, label in (("sign", "sign"), ("whole", "integer bits"), ("fraction", "fraction bits")):
        parts += [tag("rect", x=num(x), y=2, width=11, height=11, rx=2, class_=kind),
                  text_tag(x + 16, 12, label, class_="small")]
        x += 34 + 6.6 * len(label)
    parts += [tag("path", d=f"M{num(x)} 1v13", class_="limit"),
              text_tag(x + 8, 12, "binary point", class_="small")]
    if any(row.error is not None for known in rows.values() for row in known):
        parts += [*_dots_legend(x + 108, 12), tag("path", d=f"M{num(x + 500)} 1v13", class_="step"),
                  text_tag(x + 508, 12, "one step of the format", class_="small")]
    return svg("tensor-legend", "Legend", "Colours of the drawings below.", _WIDTH, 18, *parts)


def tensor_drawing(name: str, rows: list[Row], scale: Scales) -> Markup:
    """``rows`` of one layer. ``name``: its id in the page."""
    plotted = any(row.error is not None for row in rows)
    heads = [(_FORMAT, "format"), (_RANGE, "range seen"), (_SATURATED, "saturated")]
    parts = [text_tag(x, 12, head, class_="muted small") for x, head in heads]
    top, bottom = 20.0, 20.0 + _STEP * len(rows)
    if plotted:
        powers = range(scale.low, scale.high + 1)
        every = -(-len(powers) // 4)
        for power in powers:
            at = scale.error(10.0**power)
            parts.append(tag("path", d=f"M{num(at)} {num(top - 2)}V{num(bottom)}", class_="grid"))
            if (power - scale.low) % every == 0:
                parts.append(text_tag(at, 12, in_digits(10.0**power), text_anchor="middle",
                                      class_="muted small"))
    for place, row in enumerate(rows):
        parts += _tensor(row, top + _STEP * place, scale)
    point = scale.bit(0)
    parts.append(tag("path", d=f"M{num(point)} {num(top - 3)}V{num(bottom)}", class_="limit"))
    described = "; ".join(f"{row.name} {row.shown}" for row in rows)
    return svg(name, "Formats, ranges and errors", described + ".", _WIDTH, bottom + 4, *parts)


def _tensor(row: Row, y: float, scale: Scales) -> list[Markup]:
    base = y + 12
    parts = [text_tag(_NAME, base, row.name, text_anchor="end", class_="mono")]
    if row.form:
        whole, fraction = row.form
        ends = [("sign", -whole, 1 - whole), ("whole", 1 - whole, 0), ("fraction", 0, fraction)]
        if whole < 1:  # all bits lie behind the point
            ends = [("sign", -whole, 1 - whole), ("fraction", 1 - whole, fraction)]
        elif fraction < 0:
            ends = [("sign", -whole, 1 - whole), ("whole", 1 - whole, fraction)]
        for kind, first, end in ends:
            path = "".join(f"M{num(scale.bit(bit) + 0.75)} {num(y + 1)}h{num(scale.cell - 1.5)}v14"
                           f"h-{num(scale.cell - 1.5)}z" for bit in range(first, end))
            parts += [tag("path", d=path, class_=kind)] if path else []
    parts.append(text_tag(_FORMAT, base, row.shown,
                          class_="muted small" if row.form is None else "strong mono"))
    if row.seen:
        low, high = row.seen
        text = f"\N{PLUS-MINUS SIGN} {high:.3g}" if low == -high else f"{low:.3g} to {high:.3g}"
        parts.append(text_tag(_RANGE, base, text, class_="small"))
    if row.clipped:
        count, total = row.clipped
        parts.append(text_tag(_SATURATED, base, f"{count:,} ({percent(count / total)})" if count
                              else "none", class_="small warn" if count else "muted small"))
    if row.error is not None:
        share = row.error / row.span
        if row.form and 2.0 ** -row.form[1] / row.span >= 10.0**scale.low:
            at = scale.error(2.0 ** -row.form[1] / row.span)
            parts.append(tag("path", d=f"M{num(at)} {num(y + 2)}v12", class_="step"))
        parts += _dots(scale.error, y + 8, share,
                       None if row.alone is None else row.alone / row.span, 4)
        parts.append(text_tag(_PLOT_RIGHT + 12, base, in_digits(share), class_="small"))
    return [tag("g", *parts)]
