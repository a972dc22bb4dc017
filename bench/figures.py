"""Shared by the table and the plot: marks of origin, names, the figures of workloads.json.

It needs nothing but Python, so that the plot may run in .venv-bench.
"""

from __future__ import annotations

__all__ = ["BOARD_TITLES", "DEVICES", "EDGE_TPU", "MARKS", "PUBLISHED_FPGA", "STREAMED_BY",
           "TARGETS", "edge_tpu", "is_simulated", "key", "latency_mark", "published"]

#: The origins of a figure. Each cell of the table carries one of these marks.
MARKS = {
    "s": "simulated: the exported Verilog of this core ran in Verilator and agreed with the golden "
         "model bit for bit and with the plan cycle for cycle (bench/simulated.json)",
    "p": "planned: counted by the plan; simulations confirm such counts to the cycle, but this "
         "very core was not simulated for the benchmark",
    "e": "estimated: by the formulas of gen/plan/resources.py; no vendor tool ran",
    "v": "estimated by Vela, Arm's compiler for Ethos-U; nothing ran on that accelerator",
    "y": "synthesised: by Yosys (synth_xilinx), component by component; not placed, not routed",
    "m": "measured: on the machine that is named with it, all figures of a table in one run",
    "q": "quoted: from the literature (bench/workloads.json), not checked here",
    "t": "target: the project's aim, for batch 1 and 16 bits",
}

#: The project's aims: cycles from the first input beat to the last output beat.
TARGETS = {
    "zcu104": {"autoenc-1": 193, "autoenc-2": 233, "autoenc-3": 579, "autoenc-4": 1131,
               "autoenc-5": 5130, "lstm-dense": 3991, "lstm-cell": 19_455,
               "forum-cnn-lstm": 31_000, "forum-cnn-lstm, int8": 16_000},
    **dict.fromkeys(("u280", "u55c"), {
        "autoenc-1": 174, "autoenc-2": 188, "autoenc-3": 238, "autoenc-4": 327,
        "autoenc-5": 3169, "lstm-dense": 1031, "lstm-cell": 4393, "forum-cnn-lstm": 12_000,
        "stream-2x128": 100, "stream-3x256": 283, "stream-3x480": 816, "stream-6x320": 770}),
}

#: Titles of our boards.
BOARD_TITLES = {"zcu104": "ZCU104", "u280": "U280", "u55c": "U55C"}

#: Titles of the devices in workloads.json, in the order of the table.
DEVICES = {
    "fpga": {"zcu104": "ZCU104", "u280": "U280"},
    "data-centre GPU": {"v100": "V100", "a30": "A30", "p40": "P40"},
    "embedded GPU": {"xavier-nx": "Jetson Xavier NX", "agx-xavier": "Jetson AGX Xavier",
                     "jetson-nano": "Jetson Nano"},
    "cpu": {"cpu xeon silver 4210": "Xeon Silver 4210", "cpu cortex-a53": "Cortex-A53"},
}

#: Rows of published Edge TPU figures: a title, and the entry of workloads.json.
EDGE_TPU = (
    ("mean", "{} mean"), ("fastest", "min"), ("slowest", "max"),
    ("without the LSTM, mean", "without the LSTM, mean"),
    ("on a desktop", "on a desktop"),
)
_TPU, _ON_TPU = "coral edge tpu, embedded", "forum-cnn-lstm"

#: Titles of the cards with published streaming figures.
STREAMED_BY = {"ia-840f": "IA-840F", "v80": "V80"}

#: Rows of published FPGA figures: a title, and the entry of workloads.json for a network's name.
PUBLISHED_FPGA = (
    ("16-bit fixed point", "{}"),
    ("16-bit, two engines", "{} two engines"),
    ("16-bit, four LSTMs, batch 32", "{} four LSTMs, batch 32"),
    ("16-bit, four LSTMs, batch 64", "{} four LSTMs, batch 64"),
    ("16-bit, four LSTMs, batch 128", "{} four LSTMs, batch 128"),
    ("16-bit, float input and output", "{} float io"),
    ("float32", "fp {}"),
)


def key(name: str, board: str) -> str:
    """The name of a core in simulated.json and synthesised.json."""
    return f"{name}/{board}"


def published(workloads: dict, device: str, entry: str) -> float | None:
    """Microseconds that workloads.json quotes for ``entry`` on ``device``, if any."""
    milliseconds = workloads["published"][device].get(entry)
    return None if milliseconds is None else milliseconds * 1000


def edge_tpu(workloads: dict, name: str, entry: str) -> float | None:
    """Microseconds that are quoted for ``name`` on the Edge TPU, if any; ``entry`` of
    :data:`EDGE_TPU`."""
    if name != _ON_TPU:
        return None
    return workloads["published"][_TPU][entry.format(name)] * 1000


def latency_mark(known: dict, name: str, board: str) -> str:
    """``s`` where the planned core is the one that was simulated, with these cycles; else ``p``."""
    row = known["planned"]["networks"][name][board]
    seen = known["simulated"].get(key(name, board), {})
    core = (row[name] for name in ("pe", "simd", "latency", "interval"))
    return "s" if is_simulated(seen, *core) else "p"


def is_simulated(seen: dict, *core: int) -> bool:
    """Whether ``seen``, an entry of simulated.json, proved this very core: pe, simd, latency,
    interval."""
    verified = seen.get("verified", {})
    return core == (seen.get("pe"), seen.get("simd"), verified.get("latency"),
                    verified.get("interval"))
