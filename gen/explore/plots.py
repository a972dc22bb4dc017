"""The Pareto plots as SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.point import Point

__all__ = ["PLOTS", "write_plots"]

#: Files and their titles.
PLOTS = {"latency-dsp.svg": "Latency against DSPs",
         "latency-bram.svg": "Latency against block RAM",
         "latency-error.svg": "Latency against error"}

#: By width: colours for colour-blind readers too (Okabe and Ito), and shapes for print.
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
    axes: dict[str, tuple[str, str, Callable[[Point], float], float | None]] = {
        "latency-dsp.svg": ("dsp", "DSPs", lambda p: p.dsp, found.limits.dsp),
        "latency-bram.svg": ("bram36", "block RAMs of 36 Kbit", lambda p: p.bram36,
                             found.limits.bram36),
        "latency-error.svg": ("error", f"rms error, {unit}", lambda p: found.error(p.width), None),
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's own style: the same bytes everywhere
        matplotlib.rcParams.update({"svg.hashsalt": "gatefold", "svg.fonttype": "none",
                                    "axes.spines.top": False, "axes.spines.right": False})
        for name, (axis, label, value, limit) in axes.items():
            figure = Figure(figsize=(8, 5), layout="constrained")
            _draw(figure.add_subplot(), found, fronts[axis], label, value, limit)
            figure.suptitle(PLOTS[name])
            figure.savefig(folder / name, format="svg", metadata={"Date": None, "Creator": None})


def _draw(plot: Any, found: Exploration, front: list[Point], label: str,
          value: Callable[[Point], float], limit: float | None) -> None:
    planned = [p for p in found.points if p.planned]
    outside = [p for p in planned if not p.fits]
    plot.scatter([found.latency_us(p) for p in outside], [value(p) for p in outside], marker="x",
                 s=22, color=_GREY, linewidths=1, label="does not fit", zorder=2)
    for place, width in enumerate(found.errors):
        points = [p for p in planned if p.fits and p.width == width]
        plot.scatter([found.latency_us(p) for p in points], [value(p) for p in points], s=26,
                     marker=_MARKERS[place % len(_MARKERS)], alpha=0.75, linewidths=0,
                     color=_COLOURS[place % len(_COLOURS)], label=f"{width} bits", zorder=3)
    plot.step([found.latency_us(p) for p in front], [value(p) for p in front], where="post",
              color="black", linewidth=1, label="Pareto front", zorder=4)
    plot.scatter([found.latency_us(p) for p in front], [value(p) for p in front], s=70,
                 facecolors="none", edgecolors="black", linewidths=1, zorder=5)
    best = found.best()
    if best is not None:
        plot.scatter([found.latency_us(best)], [value(best)], marker="*", s=190, color="#f0c000",
                     edgecolors="black", linewidths=0.8, zorder=6,
                     label=f"best by {found.settings.goal}")
    if limit is not None:
        plot.axhline(limit, color=_GREY, linestyle="--", linewidth=1, zorder=1)
        plot.annotate(f"the device: {limit:g}", (1, limit), xycoords=("axes fraction", "data"),
                      ha="right", va="bottom", color="#707070", fontsize="small")
    _logarithmic(plot.xaxis)
    if planned and min(map(value, planned)) > 0:
        _logarithmic(plot.yaxis)
    plot.set_xlabel(f"latency, us at {found.clock_mhz:g} MHz (assumed)")
    plot.set_ylabel(label)
    plot.grid(True, which="both", color="#e8e8e8", linewidth=0.6, zorder=0)
    plot.figure.legend(loc="outside right upper", frameon=False, fontsize="small")


def _logarithmic(axis: Any) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
