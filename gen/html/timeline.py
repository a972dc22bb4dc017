"""A drawing of the schedule: which layer has the array in which cycles, and where it is idle."""

from __future__ import annotations

import json
from collections import defaultdict

from gatefold.gen.html.markup import Markup, fitted, flat, num, svg, tag, text_tag
from gatefold.gen.html.occupancy import INPUT, RECURRENT, Occupancy

__all__ = ["LEFT", "PLOT", "RIGHT", "timeline"]

LEFT, PLOT, RIGHT = 190, 830, 20  #: widths: labels, plot, margin
_TOP, _GAP, _WHOLE = 6, 10, 36  # margin, between layers, the line of the whole array
_LINE, _THIN, _MANY = 22, 15, 12  # height of a line; where there are many lines; how many that are
_PART_NAMES = {INPUT: "input", RECURRENT: "recurrent"}


def timeline(what: Occupancy, names: dict[int, str], colours: dict[int, int]) -> Markup:
    """The drawing, its controls, and its data for the page's script.

    ``names``, ``colours``: of the layers that compute. A recurrent layer has two lines: products
    with its input, and with its own h. Successive steps alternate in tint.
    """
    lines = [(layer, part) for layer in what.layers for part in (INPUT, RECURRENT)
             if (layer, part) in what.tiles]
    line = _LINE if len(lines) <= _MANY else _THIN
    y, tops, labels = float(_TOP), {}, []
    labels += [text_tag(2, y + _WHOLE / 2 + 4, "array", class_="strong"),
               text_tag(LEFT - 12, y + _WHOLE / 2 + 4, "idle in grey", text_anchor="end",
                        class_="muted")]
    y += _WHOLE + _GAP
    for layer in what.layers:
        first, parts = y, [part for its, part in lines if its == layer]
        for part in parts:
            tops[layer, part] = y
            if len(parts) > 1:
                labels.append(text_tag(LEFT - 12, y + line / 2 + 4, _PART_NAMES[part],
                                       text_anchor="end", class_="muted small"))
            y += line + 2
        room = LEFT - 16 - (66 if len(parts) > 1 else 0)
        labels.append(tag("g", tag("title", names[layer]), text_tag(
            2, (first + y) / 2 + 3, fitted(names[layer], room),
            class_="strong" if layer < 0 else f"strong t{colours[layer] % 6}")))
        y += _GAP if line == _LINE else _GAP / 2
    height = y + 4

    marks = [tag("rect", x=0, y=num(top), width=what.cycles, height=line, class_="track")
             for top in tops.values()]
    marks += _marks(what, tops, line, colours) + _whole(what, colours)
    plot = tag("svg", *marks, tag("rect", id="cursor", x=-what.cycles, y=0, width=0,
                                  height=num(height)),
               id="plot", x=LEFT, y=0, width=PLOT, height=num(height),
               viewBox=f"0 0 {what.cycles} {num(height)}", preserveAspectRatio="none")
    share = 100 * what.busy / what.cycles
    drawing = svg(
        "timeline", "The schedule of one frame",
        f"{what.cycles} cycles from the first input beat to the last output beat. A tile is issued "
        f"in {what.busy} of them ({share:.1f} %). Each layer has one line for products with its "
        "input and one for products with its own state; the top line shows all of them together, "
        "and idle cycles.",
        LEFT + PLOT + RIGHT, height + 34, *labels, plot,
        tag("g", *_axis(what.cycles, height), id="axis", data_top=num(height)),
        tabindex="0", data_cycles=what.cycles)
    buttons = tag(
        "div", tag("button", "+", type="button", id="closer", aria_label="zoom in"),
        tag("button", "−", type="button", id="farther", aria_label="zoom out"),
        tag("button", "whole frame", type="button", id="whole"),
        tag("output", "Drag to move, double-click or Ctrl + wheel to zoom, point to read.",
            id="readout", for_="timeline"), class_="controls")
    return flat(buttons, drawing, _data(what, names))


def _axis(cycles: int, top: float) -> list[Markup]:
    """Ticks of the whole frame; the page's script redraws them when zoomed."""
    step = next(size for power in range(9) for digit in (1, 2, 5)
                if cycles / (size := digit * 10**power) <= 10)
    parts = []
    for cycle in range(0, cycles + 1, step):
        x = LEFT + PLOT * cycle / cycles
        parts += [tag("line", x1=num(x), x2=num(x), y1=num(top), y2=num(top + 5)),
                  text_tag(x, top + 19, f"{cycle:,}", text_anchor="middle")]
    parts.append(text_tag(LEFT - 12, top + 19, "cycle", text_anchor="end"))
    return parts


def _colour(layer: int, colours: dict[int, int]) -> str:
    return "gathered" if layer < 0 else f"s{colours[layer] % 6}"


def _marks(what: Occupancy, tops: dict[tuple[int, int], float], line: int,
           colours: dict[int, int]) -> list[Markup]:
    """One path a line and tint."""
    paths: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for run in what.runs:
        top = tops[run.layer, run.part]
        paths[run.layer, run.part, run.step % 2].append(
            f"M{run.start} {num(top)}h{run.length}v{line}h-{run.length}z")
    if not what.runs:
        for place, shares in enumerate(what.bins):
            for (layer, part), count in shares.items():
                high = line * count / what.bin_size
                foot = tops[layer, part] + line
                paths[layer, part, 0].append(f"M{place * what.bin_size} {num(foot)}v-{num(high)}"
                                             f"h{what.bin_size}v{num(high)}z")
    return [tag("path", d="".join(path), class_=_colour(layer, colours) + (" odd" if odd else ""))
            for (layer, _, odd), path in sorted(paths.items())]


def _whole(what: Occupancy, colours: dict[int, int]) -> list[Markup]:
    """The line of the whole array: its layers, one on the other in a bin, and above them idle."""
    paths: dict[str, list[str]] = defaultdict(list)  # by colour
    if what.runs:
        spans = [(run.start, run.length, _colour(run.layer, colours)) for run in what.runs]
        for start, length, colour in _joined([*spans, *((*gap, "idle") for gap in what.idle)]):
            paths[colour].append(f"M{start} {_TOP}h{length}v{_WHOLE}h-{length}z")
    else:
        for at, shares in enumerate(what.bins):
            size = min(what.bin_size, what.cycles - at * what.bin_size)
            foot = float(_TOP + _WHOLE)
            counts = [(_colour(layer, colours),
                       sum(count for (its, _), count in shares.items() if its == layer))
                      for layer in what.layers]
            left = size - sum(count for _, count in counts)
            for colour, count in (*counts, ("idle", left)):
                if count:
                    high = _WHOLE * count / size
                    paths[colour].append(f"M{at * what.bin_size} {num(foot)}v-{num(high)}"
                                         f"h{size}v{num(high)}z")
                    foot -= high
    return [tag("path", d="".join(path), class_=colour) for colour, path in sorted(paths.items())]


def _joined(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """(start, length, what) in order, neighbours of the same joined."""
    joined: list[tuple[int, int, str]] = []
    for start, length, what in sorted(spans):
        if joined and joined[-1][2] == what and sum(joined[-1][:2]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + length, what)
        else:
            joined.append((start, length, what))
    return joined


def _data(what: Occupancy, names: dict[int, str]) -> Markup:
    """Integers and generated names only: nothing in it can end the element."""
    data: dict = {"cycles": what.cycles, "left": LEFT, "plot": PLOT,
                  "names": [names[layer] for layer in what.layers],
                  "parts": [_PART_NAMES[INPUT], _PART_NAMES[RECURRENT]]}
    if what.runs:
        data["runs"] = [[run.start, run.length, what.layers.index(run.layer), run.step, run.part]
                        for run in what.runs]
    else:
        data["bin"] = what.bin_size
        data["bins"] = [[[what.layers.index(layer), part, count]
                         for (layer, part), count in sorted(shares.items())]
                        for shares in what.bins]
    text = json.dumps(data, separators=(",", ":"))
    assert "<" not in text
    return tag("script", Markup(text), type="application/json", id="timeline-data")
