"""The table of docs/bench.md that holds every network on every board beside published figures."""

from __future__ import annotations

from cells import (
    NETWORK_BOARDS,
    Table,
    mark,
    marked,
    microseconds,
    number,
    planned_core,
    quoted_cell,
)
from figures import (
    BOARD_TITLES,
    DEVICES,
    EDGE_TPU,
    PUBLISHED_FPGA,
    TARGETS,
    edge_tpu,
    key,
    latency_mark,
    published,
)

__all__ = ["main_table", "measured_rows", "our_rows"]

_SHAPE = ("pe", "simd", "dies", "reach", "gather")  #: what tells two cores of a network apart
_RESOURCES = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


def main_table(known: dict, names: list[str]) -> str:
    """The table, of the networks ``names``."""
    table = Table(names)
    for board in NETWORK_BOARDS:
        our_rows(table, known, board)
    measured_rows(table, known)
    workloads = known["workloads"]
    for board, title in DEVICES["fpga"].items():
        table.section(f"published FPGA, {title}, µs")
        for kind, pattern in PUBLISHED_FPGA:
            table.row(kind, lambda name, b=board, p=pattern: quoted_cell(
                workloads, b, p.format(name)))
    table.row("16-bit, ÷ Gatefold on the U280", lambda name: _ratio(known, name, "u280"))
    table.row("16-bit, ÷ Gatefold on the ZCU104", lambda name: _ratio(known, name, "zcu104"))
    table.section("published Edge TPU, 8-bit integers, µs")
    for title, entry in EDGE_TPU:
        table.row(title, lambda name, e=entry: marked(edge_tpu(workloads, name, e), "q"))
    table.row("deadline of its user", lambda name: marked(
        1000 * workloads["networks"][name].get("deadline_ms", 0) or None, "t"))
    for group in ("data-centre GPU", "embedded GPU", "cpu"):
        table.section(f"published {group if group != 'cpu' else 'CPU'}, µs")
        for device, title in DEVICES[group].items():
            table.row(title, lambda name, d=device: quoted_cell(workloads, d, name))
    return "\n".join(table.lines)


def our_rows(table: Table, known: dict, board: str) -> None:
    """The rows of our cores on a board."""
    clock = planned_core(known, table.names[0], board)["clock_mhz"]

    def each(text, letter=None):
        def cell(name):
            shown = text(planned_core(known, name, board), name)
            return shown and mark(shown, letter or latency_mark(known, name, board))
        return cell

    def star(row):
        return "\\*" if row["estimated"]["uram"] else ""

    table.section(f"Gatefold, {BOARD_TITLES[board]}")
    table.row(f"**latency, µs** at {clock:g} MHz (assumed)", each(
        lambda row, name: f"**{number(row['latency'] / row['clock_mhz'])}**{star(row)}"))
    table.row("latency, cycles", each(lambda row, name: f"{row['latency']:,}{star(row)}"))
    table.row("target, cycles", lambda name: mark(f"{TARGETS[board][name]:,}", "t")
              if name in TARGETS[board] else "")
    table.row("interval, cycles", each(lambda row, name: f"{row['interval']:,}"))
    table.row("latency / `bound`", each(
        lambda row, name: f"{row['latency'] / row['bound']:.2f}", "p"))
    table.row("latency / `no_overlap`", each(
        lambda row, name: f"{row['latency'] / row['no_overlap']:.2f}", "p"))
    table.row("multipliers", each(
        lambda row, name: f"{row['multipliers']:,} ({row['pe']} x {row['simd']})", "p"))
    table.row("dies; registers for the wires: out, back, across", each(
        lambda row, name: f"{row['dies']}; {row['reach']}, {row['gather']}, {row['cross']}", "p"))
    for field, title in _RESOURCES.items():
        table.row(title, lambda name, f=field: _resource(known, name, board, f))


def _resource(known: dict, name: str, board: str, field: str) -> str:
    row = planned_core(known, name, board)
    text = mark(f"{row['estimated'][field]:,g}" if field == "bram36"
                else f"{row['estimated'][field]:,}", "e")
    seen = known["synthesised"].get(key(name, board))
    if seen and all(seen.get(field) == row[field] for field in _SHAPE):
        text += "<br>" + mark(f"{seen[field]:,g}" if field == "bram36" else f"{seen[field]:,}",
                              "y")
    return text


def measured_rows(table: Table, known: dict) -> None:
    """The rows that were measured on this machine."""
    measured = known["measured"].get("networks", {})
    table.section("this machine, one CPU thread, float32, median µs")
    for runtime, title in (("onnxruntime", "ONNX Runtime"), ("litert", "LiteRT")):
        table.row(title, lambda name, r=runtime: mark(number(measured[name][r]["median_us"]), "m")
                  if name in measured else "not measured")
    gpu = known["gpu"].get("networks", {})
    if gpu:
        table.section(f"{known['gpu']['machine']['gpu']}, float32, median µs")
        for way in known["gpu"]["ways"]:
            table.row(way, lambda name, w=way: mark(number(gpu[name][w]["median_us"]), "m")
                      if w in gpu.get(name, {}) else "")


def _ratio(known: dict, name: str, board: str) -> str:
    value = published(known["workloads"], board, name)
    if value is None:
        return ""
    letters = f"q/{latency_mark(known, name, board)}"
    return mark(f"{value / microseconds(known, name, board):,.0f} x", letters)
