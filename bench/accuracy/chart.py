"""docs/accuracy.svg: share of float's accuracy against bits, one format for all and chosen ones.

    python bench/accuracy/chart.py figures.json OUT.svg|OUT.png      runs in .venv-bench

figures.json holds the result of ``figures`` in accuracy_page.py. Series differ in colour (of Okabe
and Ito) and in shape; a filled mark is measured, a hollow one quoted, as in bench/plot.py.
"""

from __future__ import annotations

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#666666", "#222222"

#: By panel, series: label, colour, marker, line.
PANELS = {
    "One format for everything, 16 bits": {
        "16 bits": ("Gatefold: rounded once a result (measured)", BLUE, "o", "-"),
        "every sum cut": ("every sum cut (measured)", GREEN, "D", "--"),
        "every product cut": ("every product cut (measured)", GREY, "v", ":"),
        "quoted": ("paper, another network and data (quoted)", ORANGE, "s", "-"),
    },
    "Fewer bits": {
        "chosen": ("a format for each tensor,\ncell state 18 bits (measured)", BLUE, "o", "-"),
        "one format": ("one format for everything,\nQ5.n (measured)", GREEN, "D", "--"),
    },
}
_AXES = ("fractional bits", "bits of weights and activations")


def draw(found: dict, target: str) -> None:
    """Write the plot to ``target``."""
    plt.rcParams |= {"font.family": "DejaVu Sans", "font.size": 11, "svg.hashsalt": "gatefold",
                     "svg.fonttype": "path", "text.color": INK, "xtick.color": INK,
                     "ytick.color": INK}
    series = found["series"] | {"quoted": found["quoted"]}
    figure, both = plt.subplots(1, 2, figsize=(12, 6.4), sharey=True)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.77, bottom=0.155, wspace=0.06)
    for axes, (title, styles), axis in zip(both, PANELS.items(), _AXES, strict=True):
        for name, (label, colour, marker, line) in styles.items():
            bits, shares = zip(*series[name], strict=True)
            hollow = name == "quoted"
            axes.plot(bits, [100 * share for share in shares], color=colour, marker=marker,
                      linestyle=line, linewidth=2, markersize=9, label=label, zorder=3,
                      markerfacecolor="white" if hollow else colour,
                      markeredgecolor=colour if hollow else "white",
                      markeredgewidth=1.8 if hollow else 0.8)
        ticks = sorted({bits for name in styles for bits, _ in series[name]})
        axes.set_xticks(ticks)
        axes.set_xlabel(axis)
        axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=10)
        axes.axhline(100, color=INK, linewidth=1, zorder=1)
        axes.axhline(100 * found["chance"], color=GREY, linewidth=1, linestyle=":", zorder=1)
        axes.grid(axis="y", color="#d4d4d4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.16), frameon=True, framealpha=0.9,
                    edgecolor="none", fontsize=9.5)
    both[0].set_ylim(47, 102.5)
    both[0].yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(decimals=0))
    both[0].text(0.01, 100.5, "float32", transform=both[0].get_yaxis_transform(), fontsize=9)
    both[0].text(0.01, 100 * found["chance"] - 1.7, "never an alarm", fontsize=9, color=GREY,
                 transform=both[0].get_yaxis_transform())
    _eight(both[1], dict(map(tuple, found["series"]["chosen"]))[8])
    _words(figure, found)
    figure.savefig(target, dpi=120, metadata={"Date": None} if target.endswith(".svg") else None)


def _eight(axes, share: float) -> None:
    axes.annotate(f"8 bits: {share:.1%}", (8, 100 * share), (5.6, 87), fontsize=13, color=BLUE,
                  fontweight="bold", arrowprops={"arrowstyle": "-", "color": BLUE, "shrinkB": 6})


def _words(figure, found: dict) -> None:
    figure.text(0.02, 0.945, "What fixed point costs an LSTM autoencoder that finds anomalies",
                fontsize=19, fontweight="bold", va="center")
    figure.text(0.02, 0.89, f"Share of float32's detection accuracy ({found['accuracy']:.2%}); "
                f"{found['windows']:,} windows of the Mackey-Glass anomaly benchmark", fontsize=12,
                color=GREY, va="center")
    notes = ("Measured: LSTM 128, RepeatVector 50, LSTM 128, Dense 1, all windows; the golden "
             "model, which the hardware equals bit for bit.",
             "Cut: emulated, towards minus infinity, as C++ for HLS does unless told otherwise. "
             "Quoted: Danopoulos et al., SAMOS 2022: 16 bits, their network.")
    for n, line in enumerate(notes):
        figure.text(0.02, 0.047 - 0.028 * n, line, fontsize=9, color=GREY, va="center")


if __name__ == "__main__":
    with open(sys.argv[1]) as source:
        draw(json.load(source), sys.argv[2])
