"""The error of each output against float."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatefold.gen.html.markup import Markup, flat, num, svg, tag, text_tag
from gatefold.gen.html.tensors import parse

__all__ = ["error_chart"]

_WIDTH, _LEFT = 1040, 170
_FEW = 12  # outputs that get a row each


@dataclass(frozen=True)
class _Output:
    """A feature of an output: its name, its errors, one step of its format."""

    name: str
    worst: float
    rms: float
    step: float


def error_chart(numbers: dict, outputs: list[dict]) -> Markup:
    """Maximum and RMS error of each feature of each output (``outputs`` as the report's network has
    them) on a logarithmic axis, beside one step of its format."""
    rows = _rows(numbers, outputs)
    values = [value for row in rows for value in (row.worst, row.rms, row.step) if value]
    low = math.floor(math.log10(min(values) / 1.5))
    high = max(math.ceil(math.log10(max(values) * 1.5)), low + 1)
    return (_few if len(rows) <= _FEW else _many)(rows, low, high)


def _rows(numbers: dict, outputs: list[dict]) -> list[_Output]:
    """The errors of every output; a value of several formats is compared with its coarsest."""
    features = [(n, k) for n, output in enumerate(outputs) for k in range(output["shape"][-1])]
    steps = [max(2.0 ** -parse(form)[1] for form in forms.split(", "))
             for forms in numbers["outputs"]]
    several = len(outputs) > 1
    return [_Output(f"output {n} [{k}]" if several else f"output {k}", error["max_abs"],
                    error["rms"], steps[n])
            for (n, k), error in zip(features, numbers["error"]["outputs"], strict=True)]


def _legend(x: float, y: float) -> list[Markup]:
    return [tag("circle", cx=num(x), cy=num(y - 4), r=4.5, class_="s0"),
            text_tag(x + 9, y, "RMS", class_="small"),
            tag("circle", cx=num(x + 56), cy=num(y - 4), r=4.5, class_="s1"),
            text_tag(x + 65, y, "largest", class_="small"),
            tag("path", d=f"M{num(x + 128)} {num(y - 10)}v12", class_="limit"),
            text_tag(x + 135, y, "one step of the output format", class_="small")]


def _description(rows: list[_Output]) -> str:
    """The drawing in words."""
    return (f"{len(rows)} outputs; largest error {max(row.worst for row in rows):.3g}, "
            f"largest RMS {max(row.rms for row in rows):.3g}.")


def _few(rows: list[_Output], low: int, high: int) -> Markup:
    """A row an output."""
    width = _WIDTH - _LEFT - 40

    def x(value: float) -> float:
        return _LEFT + width * (max(low, math.log10(value) if value else low) - low) / (high - low)

    parts, y = _legend(_LEFT, 14), 30.0
    bottom = y + 26 * len(rows)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts += [tag("path", d=f"M{num(at)} {num(y - 4)}V{num(bottom)}", class_="grid"),
                  text_tag(at, bottom + 16, f"1e{power}", text_anchor="middle",
                           class_="muted small")]
    for row in rows:
        middle, step = y + 13, x(row.step)
        parts += [tag("path", d=f"M{num(step)} {num(y)}v26", class_="limit"),
                  text_tag(_LEFT - 14, middle + 4, row.name, text_anchor="end", class_="strong"),
                  tag("path", d=f"M{num(x(row.rms))} {num(middle)}H{num(x(row.worst))}",
                      class_="span"),
                  tag("circle", cx=num(x(row.rms)), cy=num(middle), r=5.5, class_="s0"),
                  tag("circle", cx=num(x(row.worst)), cy=num(middle), r=5.5, class_="s1")]
        y += 26
    return svg("errors", "Error of each output against float", _description(rows), _WIDTH,
               bottom + 24, *parts)


def _many(rows: list[_Output], low: int, high: int) -> Markup:
    """A column an output."""
    top, high_px = 30.0, 150.0
    width = _WIDTH - _LEFT - 40
    column = width / len(rows)

    def y(value: float) -> float:
        share = (max(low, math.log10(value) if value else low) - low) / (high - low)
        return top + high_px * (1 - share)

    def marks(values: list[float], wide: float) -> str:
        return "".join(f"M{num(_LEFT + column * (n + 0.5) - wide / 2)} {num(y(value) - 2)}"
                       f"h{num(wide)}v4h-{num(wide)}z" for n, value in enumerate(values))

    parts = _legend(_LEFT, 14)
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts += [tag("path", d=f"M{_LEFT} {num(at)}h{width}", class_="grid"),
                  text_tag(_LEFT - 10, at + 4, f"1e{power}", text_anchor="end",
                           class_="muted small")]
    steps = "".join(f"M{num(_LEFT + column * n)} {num(y(row.step))}h{num(column)}"
                    for n, row in enumerate(rows))
    wide = max(0.6, min(8.0, column * 0.7))
    parts += [tag("path", d=steps, class_="limit"),
              tag("path", d=marks([row.worst for row in rows], wide), class_="s1"),
              tag("path", d=marks([row.rms for row in rows], wide), class_="s0")]
    parts.append(flat(text_tag(_LEFT, top + high_px + 18, rows[0].name, class_="muted small"),
                      text_tag(_LEFT + width, top + high_px + 18, rows[-1].name,
                               text_anchor="end", class_="muted small")))
    return svg("errors", "Error of each output against float", _description(rows), _WIDTH,
               top + high_px + 24, *parts)
