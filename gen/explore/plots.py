"""The Pareto plots as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.point import Point

__all__ = ["PLOTS", "write_plots"]

#: Files and their titles.
PLOTS = {"latency-dsp.svg": "Latency against DSPs",
         "latency-bram.svg": "Latency against block RAM",
         "latency-error.svg": "Latency against error",
         "throughput-dsp.svg": "Throughput against DSPs"}

#: By width: colours for colour-blind readers too (Okabe and Ito). Shapes for print: by width too,
#: or by the number of contexts where there are several.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#b0b0b0"


def write_plots(folder: Path, found: Exploration) -> None:
    """Write :data:`PLOTS` into ``folder``: the same bytes for the same exploration."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # not that it builds a font cache
    import matplotlib
    from matplotlib.figure import Figure

    fronts, unit = found.fronts(), "% of the range" if found.relative else "absolute"
    latency = _Axis(f"latency, us at {found.clock_mhz:g} MHz (assumed)", found.latency_us)
    speed = _Axis(f"inferences/s at {found.clock_mhz:g} MHz (assumed)", found.throughput)
    dsp = _Axis("DSPs", lambda p: p.dsp, found.limits.dsp)
    plots: dict[str, tuple[_Axis, _Axis, list[Point]]] = {
        "latency-dsp.svg": (latency, dsp, fronts["dsp"]),
        "latency-bram.svg": (latency, _Axis("block RAMs of 36 Kbit", lambda p: p.bram36,
                                            found.limits.bram36), fronts["bram36"]),
        "latency-error.svg": (latency, _Axis(f"rms error, {unit}",
                                             lambda p: found.error(p.width)), fronts["error"]),
        "throughput-dsp.svg": (speed, dsp, []),
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's own style: the same bytes everywhere
        matplotlib.rcParams.update({"svg.hashsalt": "gatefold", "svg.fonttype": "none",
                                    "axes.spines.top": False, "axes.spines.right": False})
        for name, (across, up, front) in plots.items():
            figure = Figure(figsize=(8, 5), layout="constrained")
            _draw(figure.add_subplot(), found, front, across, up)
            figure.suptitle(PLOTS[name])
            figure.savefig(folder / name, format="svg", metadata={"Date": None, "Creator": None})


@dataclass(frozen=True)
class _Axis:
    """What an axis shows: its ``label``, the ``value`` of a point, the device's ``limit``."""

    label: str
    value: Callable[[Point], float]
    limit: float | None = None


def _draw(plot: Any, found: Exploration, front: list[Point], across: _Axis, up: _Axis) -> None:
    def scatter(points: Iterable[Point], **style: Any) -> None:
        points = list(points)
        plot.scatter([across.value(p) for p in points], [up.value(p) for p in points], **style)

    planned = [p for p in found.points if p.planned]
    scatter((p for p in planned if not p.fits), marker="x", s=22, color=_GREY, linewidths=1,
            label="does not fit", zorder=2)
    numbers = found.settings.contexts
    for place, width in enumerate(found.errors):
        for n, contexts in enumerate(numbers):
            several = f", {contexts} contexts" if contexts > 1 else ", 1 context"
            scatter((p for p in planned if p.fits and (p.width, p.contexts) == (width, contexts)),
                    s=26, alpha=0.75, linewidths=0, zorder=3,
                    marker=_MARKERS[(n if len(numbers) > 1 else place) % len(_MARKERS)],
                    color=_COLOURS[place % len(_COLOURS)],
                    label=f"{width} bits" + (several if len(numbers) > 1 else ""))
    if front:
        plot.step([across.value(p) for p in front], [up.value(p) for p in front], where="post",
                  color="black", linewidth=1, label="Pareto front", zorder=4)
        scatter(front, s=70, facecolors="none", edgecolors="black", linewidths=1, zorder=5)
    best = found.best()
    if best is not None:
        scatter([best], marker="*", s=190, color="#f0c000", edgecolors="black", linewidths=0.8,
                zorder=6, label=f"best by {found.settings.goal}")
    if up.limit is not None:
        plot.axhline(up.limit, color=_GREY, linestyle="--", linewidth=1, zorder=1)
        plot.annotate(f"the device: {up.limit:g}", (1, up.limit),
                      xycoords=("axes fraction", "data"), ha="right", va="bottom",
                      color="#707070", fontsize="small")
    _logarithmic(plot.xaxis)
    if planned and min(map(up.value, planned)) > 0:
        _logarithmic(plot.yaxis)
    plot.set_xlabel(across.label)
    plot.set_ylabel(up.label)
    plot.grid(True, which="both", color="#e8e8e8", linewidth=0.6, zorder=0)
    plot.figure.legend(loc="outside right upper", frameon=False, fontsize="small")


def _logarithmic(axis: Any) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
