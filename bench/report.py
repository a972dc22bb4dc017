"""docs/bench.md: a table of networks with every known figure; each cell carries its origin."""

from __future__ import annotations

from figures import (
    BOARD_TITLES,
    DEVICES,
    EDGE_TPU,
    MARKS,
    PUBLISHED_FPGA,
    STREAMED_BY,
    TARGETS,
    edge_tpu,
    key,
    latency_mark,
    published,
)
from networks import Workload

__all__ = ["markdown"]

_NONE = "–"
_BOARDS = tuple(BOARD_TITLES)  #: of the networks of the main table
_SHAPE = ("pe", "simd", "dies", "reach", "gather")  #: what tells two cores of a network apart
_PUBLISHED = tuple(DEVICES["fpga"])  #: those for which others published figures, too
_STREAMED_ON = "u55c"
_RESOURCES = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


def mark(text: str, letter: str) -> str:
    """A figure with the mark of its origin."""
    return f"{text}&nbsp;<sup>{letter}</sup>"


def number(value: float) -> str:
    """Three significant digits, or all digits before the point; thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


class _Table:
    """A Markdown table with one column a network."""

    def __init__(self, names: list[str]):
        self.names = names
        self.lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]

    def section(self, title: str) -> None:
        self.lines.append(f"| **{title}** |" + " |" * len(self.names))

    def row(self, title: str, cell) -> None:
        """``cell(name)`` for each network; an empty row is left out."""
        cells = [cell(name) or _NONE for name in self.names]
        if set(cells) != {_NONE}:
            self.lines.append(f"| {title} | " + " | ".join(cells) + " |")


def markdown(known: dict, rows: list[Workload]) -> str:
    """The whole document, from ``known``: the contents of bench/*.json."""
    planned = known["planned"].get("networks", {})
    there = [row for row in rows if set(row.boards) <= set(planned.get(row.name, {}))]
    names = [row.name for row in there if not row.network.stateful]
    streams = [row for row in there if row.network.stateful]
    parts = [_head(known, names), "![Latency of one inference](bench.svg)", _marks(),
             "## Every network on every board, beside the published figures",
             _main_table(known, names), _notes(known, names), _streaming(known, streams),
             _measured(known, [row.name for row in there]), _int8(known),
             _throughput(known, names), _gpu(known), _shares(known, names),
             _missing([row for row in rows if row not in there]), _again()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(known: dict, names: list[str]) -> str:
    ratios = [published(known["workloads"], board, name) / _us(known, name, board)
              for board in _PUBLISHED for name in names
              if published(known["workloads"], board, name)]
    gpus = [min(figures) / _best(known, name) for name in names
            if (figures := _figures(known, name, "data-centre GPU", "embedded GPU"))]
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
    cpus = [min(seen["median_us"] for seen in measured[name].values()) / _best(known, name)
            for name in names if name in measured]
    if cpus:
        text += ("\n- One thread of the CPU of this machine, with the faster of two runtimes, "
                 f"takes {number(min(cpus))} to {number(max(cpus))} times as long as the faster "
                 "board.")
    return text.rstrip()


def _differs(known: dict, names: list[str]) -> str:
    """What else differs from the published FPGA cores: where weights are, and multipliers."""
    theirs, ours, each = [], [], []
    for board in _PUBLISHED:
        slices = known["workloads"]["devices"][board]["dsp"]
        for entry, shares in known["workloads"]["published_resources"].get(board, {}).items():
            quoted = published(known["workloads"], board, entry)
            if entry not in names or quoted is None:
                continue
            dsp = _row(known, entry, board)["estimated"]["dsp"]
            theirs.append(shares[-1])
            ours.append(100 * dsp / slices)
            each.append(quoted * shares[-1] / (_us(known, entry, board) * ours[-1]))
    return (f"Those load their weights from DDR and use {number(min(theirs))} to "
            f"{number(max(theirs))} % of the DSP slices; ours keep the weights on chip and use "
            f"{number(min(ours))} to {number(max(ours))} %. For each DSP slice, ours are "
            f"{number(min(each))} to {number(max(each))} times as fast.")


def _marks() -> str:
    return "A mark beside each figure says how it is known:\n\n" + "\n".join(
        f"- <sup>{letter}</sup> {meaning}" for letter, meaning in MARKS.items())


def _row(known: dict, name: str, board: str) -> dict:
    return known["planned"]["networks"][name][board]


def _us(known: dict, name: str, board: str) -> float:
    row = _row(known, name, board)
    return row["latency"] / row["clock_mhz"]


def _best(known: dict, name: str) -> float:
    return min(_us(known, name, board) for board in _PUBLISHED)


def _figures(known: dict, name: str, *groups: str) -> list[float]:
    """Published microseconds of a network on all devices of ``groups``."""
    found = [published(known["workloads"], device, name) for group in groups
             for device in DEVICES[group]]
    return [value for value in found if value is not None]


def _main_table(known: dict, names: list[str]) -> str:
    table = _Table(names)
    for board in _BOARDS:
        _our_rows(table, known, board)
    _measured_rows(table, known)
    workloads = known["workloads"]
    for board, title in DEVICES["fpga"].items():
        table.section(f"published FPGA, {title}, µs")
        for kind, pattern in PUBLISHED_FPGA:
            table.row(kind, lambda name, b=board, p=pattern: _quoted(workloads, b, p.format(name)))
    table.row("16-bit, ÷ Gatefold on the U280", lambda name: _ratio(known, name, "u280"))
    table.row("16-bit, ÷ Gatefold on the ZCU104", lambda name: _ratio(known, name, "zcu104"))
    table.section("published Edge TPU, 8-bit integers, µs")
    for title, entry in EDGE_TPU:
        table.row(title, lambda name, e=entry: _marked(edge_tpu(workloads, name, e), "q"))
    table.row("deadline of its user", lambda name: _marked(
        1000 * workloads["networks"][name].get("deadline_ms", 0) or None, "t"))
    for group in ("data-centre GPU", "embedded GPU", "cpu"):
        table.section(f"published {group if group != 'cpu' else 'CPU'}, µs")
        for device, title in DEVICES[group].items():
            table.row(title, lambda name, d=device: _quoted(workloads, d, name))
    return "\n".join(table.lines)


def _our_rows(table: _Table, known: dict, board: str) -> None:
    clock = _row(known, table.names[0], board)["clock_mhz"]

    def each(text, letter=None):
        def cell(name):
            shown = text(_row(known, name, board), name)
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
    row = _row(known, name, board)
    text = mark(f"{row['estimated'][field]:,g}" if field == "bram36"
                else f"{row['estimated'][field]:,}", "e")
    seen = known["synthesised"].get(key(name, board))
    if seen and all(seen.get(field) == row[field] for field in _SHAPE):
        text += "<br>" + mark(f"{seen[field]:,g}" if field == "bram36" else f"{seen[field]:,}",
                              "y")
    return text


def _measured_rows(table: _Table, known: dict) -> None:
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


def _quoted(workloads: dict, device: str, entry: str) -> str:
    return _marked(published(workloads, device, entry), "q")


def _marked(value: float | None, letter: str) -> str:
    return "" if value is None else mark(number(value), letter)


def _ratio(known: dict, name: str, board: str) -> str:
    value = published(known["workloads"], board, name)
    if value is None:
        return ""
    letters = f"q/{latency_mark(known, name, board)}"
    return mark(f"{value / _us(known, name, board):,.0f} x", letters)


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
    missed = _missed(known, names, _BOARDS)
    lines.append(_on_target(missed))
    near = [f"{name} on the {BOARD_TITLES[board]} ({row['latency'] / row['bound']:.2f}; "
            f"{row['beats']} of its {row['latency']:,} cycles are beats of input and output)"
            for board in _BOARDS for name in names
            if (row := _row(known, name, board))["A"] >= 2.5 * row["B"]
            and row["latency"] > 1.15 * row["bound"]]
    lines.append("- Where A >= 2.5 B, the latency is at most 1.15 x `bound`"
                 + (f", except for {' and '.join(near)}." if near else "."))
    loaded = [f"{name} on the {BOARD_TITLES[board]}" for board in _BOARDS for name in names
              if _row(known, name, board)["estimated"]["uram"]]
    if loaded:
        lines.append(f"- \\* Part of the weights is in URAM, which cannot be initialised: "
                     f"{', '.join(loaded)} must be loaded with weights once after power-up. The "
                     "figures do not include that.")
    return "\n".join(lines)


def _on_target(missed: list[str]) -> str:
    return ("- Every core reaches its target." if not missed else
            f"- These cores miss their target: {', '.join(missed)}.")


def _missed(known: dict, names: list[str], boards: tuple[str, ...]) -> list[str]:
    """The cores above their target."""
    return [f"{name} on the {BOARD_TITLES[board]}" for board in boards for name in names
            if _row(known, name, board)["latency"] > TARGETS[board].get(name, 1 << 60)]


def _streaming(known: dict, rows: list[Workload]) -> str:
    """The planned networks that take one step in a frame and keep their state."""
    if not rows:
        return ""
    table, names = _Table([row.name for row in rows]), [row.name for row in rows]
    by_name = known["workloads"]["streaming"]["networks"]
    table.row("layers", lambda name: ", ".join(by_name[name]["layers"]))
    _our_rows(table, known, _STREAMED_ON)
    _measured_rows(table, known)
    table.section("published: Vollo, mean µs from a host's call to its result over PCIe")
    for card, title in STREAMED_BY.items():
        table.row(title, lambda name, c=card: _marked(by_name[name]["vollo_us"].get(c), "q"))
    table.section("difference, µs: a transfer both ways may take that long")
    for card, title in STREAMED_BY.items():
        table.row(f"{title} - Gatefold", lambda name, c=card: _left(known, name, c))
    missed = _missed(known, names, (_STREAMED_ON,))
    sizes = ", ".join(f"{name} {into} and {out}" for name in names
                      for into, out in [_row(known, name, _STREAMED_ON)["bytes"]])
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
        _on_target(missed),
    ]
    return ("## Streaming: one timestep a call, the state kept\n\n" + "\n".join(table.lines)
            + "\n\n" + "\n".join(lines))


def _left(known: dict, name: str, card: str) -> str:
    """Microseconds by which a core is ahead of a quoted figure that includes a transfer."""
    quoted = known["workloads"]["streaming"]["networks"][name]["vollo_us"].get(card)
    if quoted is None:
        return ""
    return mark(f"{quoted - _us(known, name, _STREAMED_ON):.2f}",
                f"q/{latency_mark(known, name, _STREAMED_ON)}")


def _measured(known: dict, names: list[str]) -> str:
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


def _int8(known: dict) -> str:
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
                      mark(number(_us(known, core, board) / 1000),
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


def _throughput(known: dict, names: list[str]) -> str:
    table = _Table(names)
    for board in _BOARDS:
        def each(text, b=board):
            return lambda name: mark(text(_row(known, name, b)), latency_mark(known, name, b))

        table.section(f"Gatefold, {BOARD_TITLES[board]}")
        table.row("µs per inference", each(
            lambda row: number(row["interval"] / row["clock_mhz"])))
        table.row("inferences per second", each(
            lambda row: f"{row['clock_mhz'] * 1e6 / row['interval']:,.0f}"))
        table.row("multipliers busy", each(lambda row: f"{_busy(row, row['interval']):.0%}"))
        for n in range(3):
            def several(name, b=board, i=n):
                row = _row(known, name, b)
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
    one = _row(known, "autoenc-5", "u280")
    lines.append(f"| Gatefold, for batch 1, {one['pe']} x {one['simd']} | "
                 + mark(f"{_busy(one, one['interval']):.0%}", "p") + " | "
                 + mark(number(_us(known, "autoenc-5", "u280")), "p") + " | – | – | – |")
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
        cells = [entry and _quoted(workloads, "u280", entry) or _NONE for entry in entries]
        lines.append(f"| {kind} | – | " + " | ".join(cells) + " |")
    return ("A batch is distributed to copies of a core, each with several sequences in a frame. "
            "The copies share the memories, logic and multipliers of the card evenly. The table "
            "gives the time of the whole batch divided by its size:\n\n" + "\n".join(lines))


def _busy(row: dict, cycles: float) -> float:
    return row["multiplications"] / (row["multipliers"] * cycles)


def _gpu(known: dict) -> str:
    if known["gpu"]:
        machine = known["gpu"]["machine"]
        return (f"## GPU, measured\n\n{machine['gpu']}, PyTorch {machine['torch']}, CUDA "
                f"{machine['cuda']}, measured by bench/gpu.py: see the rows in the table above.")
    return ("## GPU, measured\n\nNot measured: this machine has no GPU. On a machine with one, run "
            "`python bench/gpu.py --out bench/gpu.json`, which needs only PyTorch and NumPy; "
            "`make bench` then shows the result.")


def _shares(known: dict, names: list[str]) -> str:
    workloads, lines = known["workloads"], []
    devices = workloads["devices"]
    for board in _PUBLISHED:
        shares = workloads["published_resources"].get(board, {})
        for entry, (lut, _lutram, ff, bram, dsp) in shares.items():
            title = f"{entry}, {BOARD_TITLES[board]}"
            if entry in names:
                row, total = _row(known, entry, board), devices[board]
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


def _missing(rows: list[Workload]) -> str:
    if not rows:
        return ""
    return ("## Not planned yet\n\n" + ", ".join(row.name for row in rows)
            + ": `make bench` plans them.")


def _again() -> str:
    return ("## Repeat it\n\n`make bench` plans all cores, measures this machine and writes this "
            "page, in about five minutes. [bench/README.md](../bench/README.md) explains how to "
            "simulate and synthesise more of the cores, and where each figure is stored.")
