"""docs/bench.svg: latency of every network, ours against everything published and measured.

    python bench/plot.py all.json OUT.svg|OUT.png      runs in .venv-bench

all.json joins the contents of bench/*.json. The colours of Okabe and Ito are distinct for the
colour-blind, and groups also differ in shape. A filled mark is ours or measured here, a hollow one
is quoted.
"""

from __future__ import annotations

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from figures import BOARD_TITLES, DEVICES, EDGE_TPU, edge_tpu, latency_mark, published
from matplotlib.lines import Line2D

BLUE, SKY, ORANGE, GREEN, PURPLE, GREY = ("#0072B2", "#56B4E9", "#D55E00", "#009E73", "#AA5F96",
                                          "#666666")
INK = "#222222"

#: Group of the legend; title; marker; colour; height within a network's band, in its heights.
STYLES = {
    "u280": ("Gatefold", "U280", "o", BLUE, 0.0),
    "zcu104": ("Gatefold", "ZCU104", "o", SKY, 0.0),
    "onnxruntime": ("Measured here", "CPU, ONNX Runtime", "D", GREEN, 0.27),
    "litert": ("Measured here", "CPU, LiteRT", "P", GREEN, 0.27),
    "fpga u280": ("Quoted", "FPGA, U280", "s", ORANGE, -0.27),
    "fpga zcu104": ("Quoted", "FPGA, ZCU104", "v", ORANGE, -0.27),
    "gpu": ("Quoted", "GPU: V100, A30, P40", "^", PURPLE, -0.09),
    "jetson": ("Quoted", "GPU: Jetson NX, AGX, Nano", "<", PURPLE, 0.09),
    "tpu": ("Quoted", "Edge TPU, int8", ">", PURPLE, 0.09),
    "cpu quoted": ("Quoted", "CPU: Xeon 4210, Cortex-A53", "d", GREY, 0.27),
}
#: Legend groups: left edge, columns, title.
GROUPS = {"Gatefold": (0.012, 1, "Gatefold: planned, or simulated"),
          "Measured here": (0.27, 1, "Measured here"),
          "Quoted": (0.45, 3, "Quoted")}


def points(known: dict, name: str) -> dict[str, list[float]]:
    """Microseconds of a network by style."""
    workloads, ours = known["workloads"], known["planned"]["networks"][name]

    def quoted(devices) -> list[float]:
        found = [published(workloads, device, name) for device in devices]
        return [value for value in found if value is not None]

    measured = known["measured"].get("networks", {}).get(name, {})
    return {
        "fpga u280": quoted(["u280"]), "fpga zcu104": quoted(["zcu104"]),
        "gpu": quoted(DEVICES["data-centre GPU"]), "jetson": quoted(DEVICES["embedded GPU"]),
        "tpu": [us for _, entry in EDGE_TPU[:3]
                if (us := edge_tpu(workloads, name, entry)) is not None],
        "cpu quoted": quoted(DEVICES["cpu"]),
        **{way: [measured[way]["median_us"]] if way in measured else []
           for way in ("onnxruntime", "litert")},
        **{board: [row["latency"] / row["clock_mhz"]] for board, row in ours.items()},
    }


def marker_style(kind: str) -> dict:
    """Matplotlib's options for a mark: filled if ours or measured here, hollow if quoted."""
    group, _, marker, colour, _ = STYLES[kind]
    style = {"marker": marker, "linestyle": "none", "color": colour}
    if group == "Quoted":
        return style | {"markersize": 7.5, "markerfacecolor": "white", "markeredgewidth": 1.6}
    return style | {"markersize": {"o": 12, "D": 10, "P": 11.5}[marker],
                    "markeredgecolor": "white", "markeredgewidth": 0.8}


def draw(known: dict, target: str) -> None:
    """Write the plot to ``target``."""
    plt.rcParams |= {"font.family": "DejaVu Sans", "font.size": 11, "svg.hashsalt": "gatefold",
                     "svg.fonttype": "path", "text.color": INK, "xtick.color": INK}
    names = [name for name in known["workloads"]["networks"]
             if name in known["planned"]["networks"]]
    figure, axes = plt.subplots(figsize=(12, 7.9))
    figure.subplots_adjust(left=0.145, right=0.885, top=0.765, bottom=0.115)
    for n, name in enumerate(names):
        _band(axes, known, name, n)
    axes.set_xscale("log")
    axes.set_xlim(0.22, 170_000)
    axes.set_ylim(len(names) - 0.5, -0.5)
    ticks = {1: "1 µs", 10: "10 µs", 100: "100 µs", 1000: "1 ms", 10_000: "10 ms",
             100_000: "100 ms"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_yticks([])
    axes.tick_params(axis="both", which="both", length=0)
    axes.grid(axis="x", which="major", color="#d4d4d4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    _words(figure, axes, known)
    figure.savefig(target, dpi=120, metadata={"Date": None} if target.endswith(".svg") else None)


def _band(axes, known: dict, name: str, n: int) -> None:
    """One network: its name, its marks, our figures as text, the lead of the faster one."""
    if n % 2 == 0:
        axes.axhspan(n - 0.5, n + 0.5, color="#f5f5f5", zorder=0, linewidth=0)
    parameters = known["workloads"]["networks"][name]["params"]
    beside = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(-0.012, n - 0.12, name, ha="right", fontweight="bold", **beside)
    axes.text(-0.012, n + 0.17, f"{parameters / 1000:,.0f} k parameters", ha="right", fontsize=8.5,
              color=GREY, **beside)
    found = points(known, name)
    for kind, (*_, colour, height) in STYLES.items():
        values = found[kind]
        if len(values) > 1:
            axes.plot([min(values), max(values)], [n + height] * 2, color=colour, alpha=0.35,
                      linewidth=1.6, zorder=2)
        axes.plot(values, [n + height] * len(values), zorder=3, **marker_style(kind))
    for board, sign in {"u280": -1, "zcu104": 1}.items():
        us = found[board][0]
        side = "right" if sign < 0 else "left"
        simulated = latency_mark(known, name, board) == "s"
        axes.annotate(f"{us:.2f}" if us < 1 else f"{us:.1f}" if us < 10 else f"{us:.0f}", (us, n),
                      (10 * sign, 2.5), textcoords="offset points", ha=side, va="center",
                      fontsize=11, color=BLUE if board == "u280" else "#1a7fb5",
                      fontweight="bold")
        axes.annotate("simulated" if simulated else "planned", (us, n), (10 * sign, -8.5),
                      textcoords="offset points", ha=side, va="center", fontsize=7, color=GREY)
    others = [value for kind, values in found.items() if kind not in BOARD_TITLES
              for value in values]
    ahead = min(others) / min(found[board][0] for board in BOARD_TITLES)
    axes.text(1.06, n, f"{ahead:.0f} ×", ha="center", fontsize=13, fontweight="bold", color=BLUE,
              **beside)


def _words(figure, axes, known: dict) -> None:
    figure.text(0.02, 0.957, "One inference of an LSTM network, batch 1", fontsize=19,
                fontweight="bold", va="center")
    figure.text(0.02, 0.917, "Latency, logarithmic: further left is faster", fontsize=12,
                color=GREY, va="center")
    for group, (left, columns, title) in GROUPS.items():
        handles = [Line2D([], [], label=STYLES[kind][1], **marker_style(kind))
                   for kind in STYLES if STYLES[kind][0] == group]
        legend = figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(left, 0.897), ncols=columns,
            frameon=False, fontsize=9.5, handletextpad=0.2, columnspacing=1.2, borderpad=0.2,
            title=title, alignment="left", title_fontproperties={"size": 10, "weight": "bold"})
        figure.add_artist(legend)
    axes.text(1.06, 1.015, "faster than\nthe best other", ha="center", va="bottom", fontsize=9,
              color=BLUE, transform=axes.transAxes)
    notes = ["Gatefold, µs: the core alone, first beat in to last beat out, 16 bits, weights on "
             "chip, clock of 300 MHz assumed; no board was run."]
    if known["measured"]:
        notes.append("Quoted: Danopoulos et al., SAMOS 2022; FPGA with 16 bits, weights loaded "
                     "from DDR; the Edge TPU: a forum. Measured: one thread of "
                     + known["measured"]["machine"]["cpu"].split(" (")[0] + ", float32, median.")
    for n, line in enumerate(notes):
        figure.text(0.02, 0.047 - 0.026 * n, line, fontsize=9, color=GREY, va="center")


if __name__ == "__main__":
    with open(sys.argv[1]) as source:
        draw(json.load(source), sys.argv[2])
