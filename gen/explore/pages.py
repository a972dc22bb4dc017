"""explore.json, explore.md and the plots: the same bytes for the same exploration."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from gatefold import __version__
from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.goals import area
from gatefold.gen.explore.plots import PLOTS, write_plots
from gatefold.gen.explore.point import ENERGY, Point
from gatefold.gen.files.arrays import array_digest
from gatefold.gen.html.markup import Child, table, tag
from gatefold.gen.html.page import page_style
from gatefold.gen.options import GOALS
from gatefold.gen.report import describe_network, input_hash

__all__ = ["JSON", "PAGE", "TABLE", "as_html", "as_json", "as_markdown", "write_pages"]

JSON, TABLE, PAGE = "explore.json", "explore.md", "explore.html"

#: Placeholders for the user's files: the pages contain no paths.
_MODEL, _DATA, _OUT = "MODEL", "X.npz", "core"

#: Options that explore.json has elsewhere, and options that change nothing in it.
_ELSEWHERE = ("board", "macs", "clock", "jobs", "dask", "fresh")

_COLUMNS = ("width", "PE x SIMD", "multipliers", "contexts", "weights in", "latency", "us",
            "interval", "inferences/s", "error", "DSP", "BRAM36", "URAM", "LUT", "FF",
            "energy proxy", "front")


def write_pages(folder: Path, found: Exploration) -> None:
    """Write everything but the journal into ``folder``."""
    text = json.dumps(as_json(found), indent=1, ensure_ascii=True, allow_nan=False)
    (folder / JSON).write_text(text + "\n", encoding="ascii", newline="\n")
    (folder / TABLE).write_text(as_markdown(found), encoding="ascii", newline="\n")
    (folder / PAGE).write_text(as_html(as_markdown(found)), encoding="utf-8", newline="\n")
    write_plots(folder, found)


def as_json(found: Exploration) -> dict:
    """Everything, ready for JSON. ``front`` and ``best`` are places in ``points``."""
    settings, place = found.settings, {id(p): n for n, p in enumerate(found.points)}
    best = {goal: found.best(goal) for goal in GOALS}
    return {
        "network": describe_network(found.network),
        "input_hash": input_hash(found.network),
        "calibration": None if found.calibration is None else array_digest(found.calibration),
        "board": None if found.board is None else {
            "name": found.board.name, "title": found.board.title, "part": found.board.part},
        "limits": {name: getattr(found.limits, name)
                   for name in ("multipliers", "dsp", "bram36", "lut", "uram")},
        "clock_mhz": {"value": found.clock_mhz, "source": "assumed"},
        "options": {name: value for name, value in vars(settings).items()
                    if name not in _ELSEWHERE},
        "errors": {str(width): dict(error) for width, error in found.errors.items()}
        | {"data": found.data},
        "refused": {str(width): reason for width, reason in found.refused.items()},
        "meaning": {"goals": GOALS, "energy": ENERGY, "cycles": "planned; verify simulates them",
                    "resources": "estimates", "latency_us": "at the assumed clock",
                    "error": "rms against float, " + _unit(found)},
        "points": [point.as_dict() | _derived(found, point) for point in found.points],
        "front": {axis: [place[id(p)] for p in points]
                  for axis, points in found.fronts().items()},
        "best": {goal: None if point is None else {
            "point": place[id(point)], "command": _command(found, point)}
            for goal, point in best.items()},
        "version": __version__,
    }


def as_markdown(found: Exploration) -> str:
    """The table for people: ASCII, without any text from the model."""
    settings = found.settings
    lines = [f"# Design space{f' on the {found.board.title}' if found.board else ''}", ""]
    fitting = sum(point.fits for point in found.points)
    lines += [f"{len(found.points)} cores, {fitting} of them fit. Cycles are planned, microseconds "
              f"assume {found.clock_mhz:g} MHz, resources are estimates"
              f"{', and behind them what Yosys finds' if settings.synth else ''}. The error is rms "
              f"against float, {_unit(found)}, on {found.data}."]
    if settings.hop is not None:
        lines[-1] += (f" A frame brings {settings.hop} samples of a window of "
                      f"{found.network.window}.")
    lines += [""]
    lines += ["## The best" + _limits_text(found), "",
              _row(("by", "core", "latency", "inferences/s", "error", "command")),
              _row("---" for _ in range(6))]
    for goal in GOALS:
        point = found.best(goal)
        mark = " (asked for)" if goal == settings.goal else ""
        lines.append(f"| {goal}{mark} | none | | | | |" if point is None else
                     f"| {goal}{mark} | {point.pe} x {point.simd}, {point.width} bits "
                     f"| {point.latency} cycles, {found.latency_us(point):.2f} us "
                     f"| {found.throughput(point):.0f} | {found.error(point.width):.3g} "
                     f"| `{_command(found, point)}` |")
    lines += ["", "## Latency against what it takes", ""]
    lines += [f"![{title}]({name})" for name, title in PLOTS.items()]
    lines += ["", "## Cores that fit, the fastest first", "",
              "front: on the Pareto front of latency against DSP (D), block RAM (B), error (E).",
              "", _row(_COLUMNS), _row("---" for _ in _COLUMNS)]
    letters = {axis: {id(p) for p in points} for axis, points in found.fronts().items()}
    for point in found.points:
        if point.fits:
            mark = "".join(axis[0].upper() for axis, members in letters.items()
                           if id(point) in members)
            lines.append(_row([*_cells(found, point), mark]))
    if fitting < len(found.points):
        lines += ["", "## Cores that do not fit", "",
                  _row(("width", "PE x SIMD", "weights in", "latency", "why not")),
                  _row("---" for _ in range(5))]
        lines += [_row((point.width, f"{point.pe} x {point.simd}", _memory(point),
                        point.latency or "", point.reason))
                  for point in found.points if not point.fits]
    for width, reason in found.refused.items():
        lines += ["", f"{width} bits are not possible: {reason}"]
    lines += ["", f"Energy proxy: {ENERGY}."]
    return "\n".join(lines) + "\n"


def as_html(markdown: str) -> str:
    """The same table as a page: what :func:`as_markdown` writes, and no other Markdown."""
    parts: list[Child] = []
    rows: list[list[Child]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if set(line) > set("|-"):
                rows.append([tag("code", cell.strip("`")) if cell.startswith("`") else cell
                             for cell in cells])
            continue
        if rows:
            parts.append(table([str(head) for head in rows[0]], rows[1:], words=1))
            rows = []
        image = re.fullmatch(r"!\[(.*)\]\((.*)\)", line)
        if image:
            parts.append(tag("img", src=image[2], alt=image[1]))
        elif line.startswith("#"):
            parts.append(tag("h1" if line.startswith("# ") else "h2", line.lstrip("# ")))
        elif line:
            parts.append(tag("p", line))
    head = tag("head", tag("meta", charset="utf-8"),
               tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
               tag("title", f"{markdown.splitlines()[0].lstrip('# ')}: Gatefold"),
               tag("style", page_style()))
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', *parts)), lang='en')}\n"


def _memory(point: Point) -> str:
    """Where the weights are, with the rows that are not in block RAM."""
    rows = {"URAM": point.uram_rows, "LUT": point.lut_rows}
    return ", ".join(name + (f" ({rows[name]} rows)" if rows.get(name) else "")
                     for name in point.memory.upper().split("+"))


def _cells(found: Exploration, p: Point) -> list:
    memory = _memory(p)
    return [p.width, f"{p.pe} x {p.simd}", p.multipliers, p.contexts, memory, p.latency,
            f"{found.latency_us(p):.2f}", p.interval, f"{found.throughput(p):.0f}",
            f"{found.error(p.width):.3g}",
            *(_resource(p, name) for name in ("dsp", "bram36", "uram", "lut", "ff")), p.energy]


def _resource(p: Point, name: str) -> str:
    """The estimate, and after it the number that synthesis found."""
    text = f"{getattr(p, name):g}"
    return text if p.synthesised is None else f"{text} / {p.synthesised[name]:g}"


def _row(cells) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _derived(found: Exploration, point: Point) -> dict:
    """Values that follow from the cycles, the clock and the width."""
    if not point.planned:
        return {}
    return {"multipliers": point.multipliers, "latency_us": found.latency_us(point),
            "throughput": found.throughput(point), "error": found.error(point.width),
            "area": area(point, found.limits)}


def _unit(found: Exploration) -> str:
    return "in % of the output's range" if found.relative else "absolute"


def _limits_text(found: Exploration) -> str:
    settings, limits = found.settings, []
    if settings.max_error is not None:
        limits.append(f"an error of at most {100 * settings.max_error:g} %")
    if settings.max_latency is not None:
        limits.append(f"at most {settings.max_latency:g} us")
    return " with " + " and ".join(limits) if limits else ""


def _command(found: Exploration, point: Point) -> str:
    data = None if found.calibration is None else _DATA
    return shlex.join(found.build_words(point, _MODEL, data, _OUT))
