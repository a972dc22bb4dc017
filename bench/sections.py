"""The sections of docs/bench.md after its main table."""

from __future__ import annotations

from cells import (
    NETWORK_BOARDS,
    NONE,
    PUBLISHED,
    Table,
    mark,
    marked,
    microseconds,
    missed_cores,
    number,
    on_target,
    planned_core,
    quoted_cell,
)
from figures import BOARD_TITLES, EDGE_TPU, STREAMED_BY, edge_tpu, latency_mark
from main_table import measured_rows, our_rows
from networks import Workload

__all__ = ["cpu", "gpu", "int8", "shares", "streaming", "throughput"]

_STREAMED_ON = "u55c"


def streaming(known: dict, rows: list[Workload]) -> str:
    """The planned networks that take one step in a frame and keep their state."""
    if not rows:
        return ""
    table, names = Table([row.name for row in rows]), [row.name for row in rows]
    by_name = known["workloads"]["streaming"]["networks"]
    table.row("layers", lambda name: ", ".join(by_name[name]["layers"]))
    our_rows(table, known, _STREAMED_ON)
    measured_rows(table, known)
    table.section("published: Vollo, mean µs from a host's call to its result over PCIe")
    for card, title in STREAMED_BY.items():
        table.row(title, lambda name, c=card: marked(by_name[name]["vollo_us"].get(c), "q"))
    table.section("difference, µs: a transfer both ways may take that long")
    for card, title in STREAMED_BY.items():
        table.row(f"{title} - Gatefold", lambda name, c=card: _left(known, name, c))
    missed = missed_cores(known, names, (_STREAMED_ON,))
    sizes = ", ".join(f"{name} {into} and {out}" for name in names
                      for into, out in [planned_core(known, name, _STREAMED_ON)["bytes"]])
    lines = [
        "- A frame is one timestep. The state stays in the core between frames, until a frame "
        "says that a new sequence begins. Latency is that of a frame, from its first input beat to "
        "its last output beat.",
        "- The figures of Vollo (Myrtle's public documentation, benchmark-lstm, 25.1.2: sequence "
        "length 1, batch 1) include a transfer over PCIe both ways. Gatefold's core ends at its "
        "streams of 512 bits, and no host is in its figures. So the table shows the difference, "
        f"not a ratio. Bytes of a frame in and out: {sizes}.",
        "- Weights are loaded once, through a stream of their own. Networks that need it keep "
        "them in URAM (\\*).",
        "- The CPU gets one call for each timestep. LiteRT keeps the state; ONNX Runtime gets it "
        "back with the next call.",
        on_target(missed),
    ]
    return ("## Streaming: one timestep a call, the state kept\n\n" + "\n".join(table.lines)
            + "\n\n" + "\n".join(lines))


def _left(known: dict, name: str, card: str) -> str:
    """Microseconds by which a core is ahead of a quoted figure that includes a transfer."""
    quoted = known["workloads"]["streaming"]["networks"][name]["vollo_us"].get(card)
    if quoted is None:
        return ""
    return mark(f"{quoted - microseconds(known, name, _STREAMED_ON):.2f}",
                f"q/{latency_mark(known, name, _STREAMED_ON)}")


def cpu(known: dict, names: list[str]) -> str:
    """What the runtimes on this machine's CPU take."""
    measured = known["measured"]
    if not measured:
        return "## CPU, measured\n\nNot measured: `make bench` measures."
    machine, networks = measured["machine"], measured["networks"]
    busy = max(machine["load_before"], machine["load_after"] - 1)
    text = (f"## CPU, measured\n\n{machine['cpu']}; {machine['system']}, Python "
            f"{machine['python']}, ONNX Runtime {machine['onnxruntime']}, LiteRT "
            f"{machine['litert']}. One thread, batch 1, float32; a call passes the input, "
            "computes and fetches the output. The load average was "
            f"{machine['load_before']} before and {machine['load_after']} after the measurement, "
            "which itself counts as 1. ")
    if busy > 0.5:
        text += ("**Other programs used the machine too**: trust medians and minima, not the "
                 "99th percentiles. ")
    text += ("Both runtimes ran the same weights, and each agreed with Gatefold's float forward "
             "pass before it was timed. Times are in microseconds:\n\n"
             "| | runtime | min | median | 99 % | calls | largest difference / largest output |\n"
             "|---|---|---:|---:|---:|---:|---:|\n")
    lines = []
    for name in names:
        for runtime, title in (("onnxruntime", "ONNX Runtime"), ("litert", "LiteRT")):
            if name in networks:
                seen = networks[name][runtime]
                lines.append(
                    f"| {name} | {title} | {mark(number(seen['min_us']), 'm')} | "
                    f"{mark(number(seen['median_us']), 'm')} | {mark(number(seen['p99_us']), 'm')}"
                    f" | {seen['calls']:,} | {seen['difference']:.0e} |")
    return text + "\n".join(lines) + (
        "\n\nLiteRT ran float32 .tflite files that bench/tflite.py writes with the operators of a "
        "Keras conversion. The next table has a full-integer one.")


def int8(known: dict) -> str:
    """The forum's network: what its user measured, what this machine takes, what Vela estimates."""
    found = known.get("int8")
    if not found:
        return ""
    name, machine, vela = "forum-cnn-lstm", found["machine"], found["vela"]
    rows = [(f"Edge TPU, {title}", mark(number(edge_tpu(known["workloads"], name, entry) / 1000),
                                        "q"), "") for title, entry in EDGE_TPU]
    rows += [(runtime, mark(number(seen["median_us"] / 1000), "m"),
              f"min {number(seen['min_us'] / 1000)}, {seen['calls']:,} calls")
             for runtime, seen in found["runtimes"].items()]
    rows += [(f"{title}, Vela's estimate", mark(number(seen["ms"]), "v"),
              f"{seen['mhz']:,.0f} MHz, {seen['system']}, {seen['memory']}")
             for title, seen in vela["estimates"].items()]
    for core, boards in known["planned"]["networks"].items():
        if core.startswith(name):
            bits = "" if "int8" in core else ", 16 bits"
            rows += [(f"Gatefold, {core}{bits}, {BOARD_TITLES[board]}",
                      mark(number(microseconds(known, core, board) / 1000),
                           latency_mark(known, core, board)),
                      f"{row['latency']:,} cycles") for board, row in boards.items()]
    return ("## The forum's network in full integer\n\nIts user quotes the Edge TPU in the "
            "embedded system, the same without the LSTM, and on a desktop. ONNX Runtime and LiteRT "
            f"were measured in one run, with one thread ({machine['cpu']}; the load average was "
            f"{machine['load_before']} before and {machine['load_after']} after it); before it was "
            "timed, LiteRT gave the stored bytes of the shipped .tflite. Vela, Arm's compiler for "
            f"Ethos-U ({vela['version']}), compiled the same file; its figures are its estimate, "
            "for its default system, of an accelerator that was not run.\n\n"
            "| | ms | |\n|---|---:|---|\n"
            + "\n".join(f"| {' | '.join(row)} |" for row in rows))


def throughput(known: dict, names: list[str]) -> str:
    """Frames back to back, with several contexts, and batches."""
    table = Table(names)
    for board in NETWORK_BOARDS:
        def each(text, b=board):
            return lambda name: mark(text(planned_core(known, name, b)),
                                     latency_mark(known, name, b))

        table.section(f"Gatefold, {BOARD_TITLES[board]}")
        table.row("µs per inference", each(
            lambda row: number(row["interval"] / row["clock_mhz"])))
        table.row("inferences per second", each(
            lambda row: f"{row['clock_mhz'] * 1e6 / row['interval']:,.0f}"))
        table.row("multipliers busy", each(lambda row: f"{_busy(row, row['interval']):.0%}"))
        for n in range(3):
            def several(name, b=board, i=n):
                row = planned_core(known, name, b)
                if len(row["contexts"]) <= i:
                    return ""
                this = row["contexts"][i]
                each_one = this["interval"] / this["contexts"]
                busy = _busy(row | {"multipliers": this["pe"] * this["simd"]}, each_one)
                return mark(f"{number(each_one / row['clock_mhz'])}, {busy:.0%} "
                            f"({this['pe']} x {this['simd']})", "p")
            table.row(f"{2 << n} contexts: µs per inference, busy", several)
    return ("## Throughput\n\nOne core computes one frame after another: the table gives the "
            "interval between frames at full rate, on the arrays above. At batch 1 the tails of "
            "the recurrence stay visible. Several sequences that share a frame (contexts) hide "
            "them, but the frame has a longer latency. 2, 4 and 8 contexts are tried, each on the "
            "array that is chosen for it, until 90 % of the multipliers are busy.\n\n"
            + "\n".join(table.lines) + "\n\n" + _batches(known))


def _batches(known: dict) -> str:
    """Plans for the batches with published figures."""
    rows = known["planned"].get("batches")
    if not rows:
        return ""
    workloads, batches = known["workloads"], (32, 64, 128)
    lines = ["| autoenc-5 on the U280 | busy | " + " | ".join(
        f"batch {batch}, µs each" for batch in (1, *batches)) + " |", "|---|" + "---:|" * 5]
    one = planned_core(known, "autoenc-5", "u280")
    lines.append(f"| Gatefold, for batch 1, {one['pe']} x {one['simd']} | "
                 + mark(f"{_busy(one, one['interval']):.0%}", "p") + " | "
                 + mark(number(microseconds(known, "autoenc-5", "u280")), "p") + " | – | – | – |")
    for row in rows:
        busy = mark(f"{row['busy']:.0%}", "p")
        copies = f"{row['copies']} cores" if row["copies"] > 1 else "one core"
        cells = [mark(f"{row['cycles_per_inference'][str(batch)] / row['clock_mhz']:.2f}", "p")
                 + f" ({row['cycles_per_inference'][str(batch)]:,.0f} cycles)"
                 for batch in batches]
        lines.append(f"| Gatefold, {copies} of {row['pe']} x {row['simd']}, {row['contexts']} "
                     f"contexts | {busy} | – | " + " | ".join(cells)
                     + " |")
    for kind, entries in (("published, one engine", ["autoenc-5", None, None, None]),
                          ("published, two engines", ["autoenc-5 two engines", None, None, None]),
                          ("published, four LSTMs", [None, *(f"autoenc-5 four LSTMs, batch {n}"
                                                             for n in batches)])):
        cells = [entry and quoted_cell(workloads, "u280", entry) or NONE for entry in entries]
        lines.append(f"| {kind} | – | " + " | ".join(cells) + " |")
    return ("A batch is distributed to copies of a core, each with several sequences in a frame. "
            "The copies share the memories, logic and multipliers of the card evenly. The table "
            "gives the time of the whole batch divided by its size:\n\n" + "\n".join(lines))


def _busy(row: dict, cycles: float) -> float:
    return row["multiplications"] / (row["multipliers"] * cycles)


def gpu(known: dict) -> str:
    """What a GPU takes, or how to measure it."""
    if known["gpu"]:
        machine = known["gpu"]["machine"]
        return (f"## GPU, measured\n\n{machine['gpu']}, PyTorch {machine['torch']}, CUDA "
                f"{machine['cuda']}, measured by bench/gpu.py: see the rows in the table above.")
    return ("## GPU, measured\n\nNot measured: this machine has no GPU. On a machine with one, run "
            "`python bench/gpu.py --out bench/gpu.json`, which needs only PyTorch and NumPy; "
            "`make bench` then shows the result.")


def shares(known: dict, names: list[str]) -> str:
    """Resources as shares of the devices, beside published ones."""
    workloads, lines = known["workloads"], []
    devices = workloads["devices"]
    for board in PUBLISHED:
        shares = workloads["published_resources"].get(board, {})
        for entry, (lut, _lutram, ff, bram, dsp) in shares.items():
            title = f"{entry}, {BOARD_TITLES[board]}"
            if entry in names:
                row, total = planned_core(known, entry, board), devices[board]
                needs = row["estimated"]
                ours = [mark(f"{100 * needs[field] / total[field]:.1f}", "e")
                        for field in ("lut", "ff", "bram36", "dsp")]
                lines.append(f"| {title} | Gatefold | " + " | ".join(ours) + " |")
            lines.append(f"| {title} | published | " + " | ".join(
                mark(f"{value:.1f}", "q") for value in (lut, ff, bram, dsp)) + " |")
    return ("## Resources, percent of the device\n\nGatefold's cores have the arrays that "
            "`gatefold build` chooses: the fastest that fit, or arrays at most 3 % slower that "
            "take less logic (`--goal latency` takes the fastest). All their weights are on chip; "
            "the published cores keep them in DDR.\n\n"
            "| | | LUT | flip-flops | BRAM | DSP |\n|---|---|---:|---:|---:|---:|\n"
            + "\n".join(lines))
