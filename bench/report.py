"""docs/bench.md: its head, its notes and the order of its parts; each figure carries its origin."""

from __future__ import annotations

from cells import (
    NETWORK_BOARDS,
    PUBLISHED,
    best_us,
    microseconds,
    missed_cores,
    number,
    on_target,
    planned_core,
    published_us,
)
from figures import BOARD_TITLES, MARKS, published
from main_table import main_table
from networks import Workload
from sections import cpu, gpu, int8, shares, streaming, throughput

__all__ = ["markdown"]


def markdown(known: dict, rows: list[Workload]) -> str:
    """The whole document, from ``known``: the contents of bench/*.json."""
    planned = known["planned"].get("networks", {})
    there = [row for row in rows if set(row.boards) <= set(planned.get(row.name, {}))]
    names = [row.name for row in there if not row.network.stateful]
    streams = [row for row in there if row.network.stateful]
    parts = [_head(known, names), "![Latency of one inference](bench.svg)", _marks(),
             "## Every network on every board, beside the published figures",
             main_table(known, names), _notes(known, names), streaming(known, streams),
             cpu(known, [row.name for row in there]), int8(known),
             throughput(known, names), gpu(known), shares(known, names),
             _missing([row for row in rows if row not in there]), _again()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(known: dict, names: list[str]) -> str:
    ratios = [published(known["workloads"], board, name) / microseconds(known, name, board)
              for board in PUBLISHED for name in names
              if published(known["workloads"], board, name)]
    gpus = [min(figures) / best_us(known, name) for name in names
            if (figures := published_us(known, name, "data-centre GPU", "embedded GPU"))]
    text = ("# Benchmark\n\nThis page gives the latency of one inference at batch 1, from the "
            "first input beat to the last output beat, for the networks of bench/workloads.json. "
            "**Nothing ran on a board, and no vendor tool ran.** The plan counted the cycles, and "
            "a mark says where a simulation confirmed them. The clock of 300 MHz is an "
            "assumption: registers are placed for it by the wire model of [boards.md](boards.md), "
            "which may be wrong by 30 %. `make bench` writes this page.\n")
    if ratios and gpus:
        text += (f"\n- The cores are {number(min(ratios))} to {number(max(ratios))} times as fast "
                 "as the published 16-bit FPGA cores on the same boards. "
                 f"{_differs(known, names)}\n"
                 f"- The faster of these two boards is {number(min(gpus))} to {number(max(gpus))} "
                 "times as fast as the fastest published GPU.")
    measured = known["measured"].get("networks", {})
    cpus = [min(seen["median_us"] for seen in measured[name].values()) / best_us(known, name)
            for name in names if name in measured]
    if cpus:
        text += ("\n- One thread of the CPU of this machine, with the faster of two runtimes, "
                 f"takes {number(min(cpus))} to {number(max(cpus))} times as long as the faster "
                 "board.")
    return text.rstrip()


def _differs(known: dict, names: list[str]) -> str:
    """What else differs from the published FPGA cores: where weights are, and multipliers."""
    theirs, ours, each = [], [], []
    for board in PUBLISHED:
        slices = known["workloads"]["devices"][board]["dsp"]
        for entry, used in known["workloads"]["published_resources"].get(board, {}).items():
            quoted = published(known["workloads"], board, entry)
            if entry not in names or quoted is None:
                continue
            dsp = planned_core(known, entry, board)["estimated"]["dsp"]
            theirs.append(used[-1])
            ours.append(100 * dsp / slices)
            each.append(quoted * used[-1] / (microseconds(known, entry, board) * ours[-1]))
    return (f"Those load their weights from DDR and use {number(min(theirs))} to "
            f"{number(max(theirs))} % of the DSP slices; ours keep the weights on chip and use "
            f"{number(min(ours))} to {number(max(ours))} %. For each DSP slice, ours are "
            f"{number(min(each))} to {number(max(each))} times as fast.")


def _marks() -> str:
    return "A mark beside each figure says how it is known:\n\n" + "\n".join(
        f"- <sup>{letter}</sup> {meaning}" for letter, meaning in MARKS.items())


def _notes(known: dict, names: list[str]) -> str:
    lines = [
        "- Latency is that of the core, from the first input beat that it accepts to its last "
        "output beat, with weights on chip and streams of 128 bits (ZCU104) and 512 bits (U280, "
        "U55C). It does not include transfers to and from a host.",
        "- All quoted figures of this table are from Danopoulos et al., SAMOS 2022, except those "
        "of the Edge TPU, which its user posted in a forum. Their FPGA figures include loading the "
        "weights from DDR; GPU, CPU and Edge TPU figures are those of whole calls.",
        "- `bound` = max(A, B): no schedule on the same array is faster. `no_overlap` = A + B. A "
        "is the number of multiplications that must be done / multipliers, B the longest chain of "
        "dependent tails ([glossary](../ARCHITECTURE.md#glossary)).",
    ]
    missed = missed_cores(known, names, NETWORK_BOARDS)
    lines.append(on_target(missed))
    near = [f"{name} on the {BOARD_TITLES[board]} ({row['latency'] / row['bound']:.2f}; "
            f"{row['beats']} of its {row['latency']:,} cycles are beats of input and output)"
            for board in NETWORK_BOARDS for name in names
            if (row := planned_core(known, name, board))["A"] >= 2.5 * row["B"]
            and row["latency"] > 1.15 * row["bound"]]
    lines.append("- Where A >= 2.5 B, the latency is at most 1.15 x `bound`"
                 + (f", except for {' and '.join(near)}." if near else "."))
    loaded = [f"{name} on the {BOARD_TITLES[board]}" for board in NETWORK_BOARDS for name in names
              if planned_core(known, name, board)["estimated"]["uram"]]
    if loaded:
        lines.append(f"- \\* Part of the weights is in URAM, which cannot be initialised: "
                     f"{', '.join(loaded)} must be loaded with weights once after power-up. The "
                     "figures do not include that.")
    return "\n".join(lines)


def _missing(rows: list[Workload]) -> str:
    if not rows:
        return ""
    return ("## Not planned yet\n\n" + ", ".join(row.name for row in rows)
            + ": `make bench` plans them.")


def _again() -> str:
    return ("## Repeat it\n\n`make bench` plans all cores, measures this machine and writes this "
            "page, in about five minutes. [bench/README.md](../bench/README.md) explains how to "
            "simulate and synthesise more of the cores, and where each figure is stored.")
