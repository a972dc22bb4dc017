"""The sections of the page: each explains its drawing in words and figures."""

from __future__ import annotations

from gatefold.gen.errors import quoted
from gatefold.gen.html.charts import resource_bars, waterfall, yardsticks
from gatefold.gen.html.markup import (
    Child,
    Markup,
    badge,
    flat,
    percent,
    plural,
    section,
    table,
    tag,
)
from gatefold.gen.html.network import layer_table, network_drawing
from gatefold.gen.html.numbers import error_chart
from gatefold.gen.html.occupancy import INPUT, RECURRENT, Occupancy, occupancy, op_name
from gatefold.gen.html.tensors import entering, rows_of, scales, tensor_drawing, tensor_legend
from gatefold.gen.html.timeline import timeline
from gatefold.gen.html.words import cut_in_words, in_turn, layer_title
from gatefold.gen.plan import Plan
from gatefold.gen.plan.latency import stages
from gatefold.gen.plan.ops import COPIED, GATHERED

__all__ = ["cut_section", "cycles_section", "host_section", "inside_section", "network_section",
           "numbers_section", "origin_section", "resources_section", "schedule_section",
           "step_section", "verified_section"]

_STAGE_NOTES = {
    "broadcast": "the chunk to every row",
    "accumulator": "adds to the bias or a parked sum",
    "router": "finished rows to their lanes",
    "lanes": "gates, tables, c and h",
}


def verified_section(report: dict) -> Markup | None:
    """The simulations and their inputs; without any, the head of the page says so."""
    if not report["verified"]:
        return None
    cycles = report["cycles"]
    rows = []
    for done in report["verified"]:
        interval = "" if done["interval"] is None else f"{done['interval']:,}"
        flows = ", ".join(f"{name} ({frames})" for name, frames in done["scenarios"].items())
        if done.get("faults"):
            flows += f"; {done['faults']:,} faults, each told of"
        rows.append([str(done["simulator"]), flows, tag("span", str(done["input"]), class_="wrap"),
                     f"{done['samples']:,}", f"{done['outputs']:,}", f"{done['states']:,}",
                     f"{done['latency']:,}", interval, f"{done['cycles']:,}"])
    return section(
        "verified", "What was verified", flat(
            "Simulators compared the outputs of the core, and every h and c of every step, with "
            f"the golden model: all are equal. The plan states a latency of {cycles['latency']:,} "
            f"cycles, and {cycles['interval']:,} from frame to frame{in_turn(cycles)}. ",
            badge("simulated")),
        table(["simulator", "scenarios (frames)", "inputs", "samples", "outputs", "states",
                "latency", "interval", "cycles"], rows, words=3), long=True)


def network_section(report: dict, colours: dict[str, int]) -> Markup:
    """A drawing of the network, and a table of its layers."""
    network = report["network"]
    return section(
        "layers", "The network",
        f"The network has {plural(network['parameters'], 'parameter')}. As the model states it, an "
        f"inference takes {network['macs']:,} multiplications (MACs), of which "
        f"{report['array']['multiplications']:,} must be done: a repeated input is multiplied "
        "once, and a state of zero not at all.",
        network_drawing(network, colours), layer_table(network, colours),
        long=True)


def cut_section(report: dict) -> Markup | None:
    """What the host computes of a model that was cut; None of a model that is the core."""
    cut = report["network"].get("cut")
    if cut is None:
        return None
    rows: list[list[Child]] = []
    for where, place in (("before", "host, before the core"), ("behind", "host, behind the core")):
        rows += [[place, layer["kind"], quoted(layer["origin"], 60)[1:-1],
                  "" if layer["shape"] is None else str(tuple(layer["shape"])),
                  "" if layer["parameters"] is None else f"{layer['parameters']:,}",
                  "" if layer["macs"] is None else f"{layer['macs']:,}"] for layer in cut[where]]
        if where == "before":
            rows.append(["core", "the network below", "", "",
                         f"{report['network']['parameters']:,}",
                         f"{report['network']['macs']:,}"])
    words = cut_in_words(cut)
    return section("cut", "Core and host", words[0].upper() + words[1:] + ". gatefold run and "
                   "core.run take the model's own inputs and give its own outputs; DIR/host holds "
                   "the host's parts as ONNX models.",
                   table(["where", "layer", "in the file", "shape", "parameters",
                          "multiplications"], rows, words=3), long=True)


def schedule_section(report: dict, plan: Plan | None, colours: dict[str, int]) -> Markup:
    """The timeline, and a table of the cycles that each layer takes on the array."""
    if plan is None:
        return section("schedule", "The schedule", "Left out: this version of Gatefold plans "
                       "another schedule than the one with which this core was built.")
    what = occupancy(plan)
    none = {COPIED: "input copied", GATHERED: "output put together"}
    names = {layer: none[layer] if layer in none else plan.qnet.layers[layer].name
             for layer in what.layers}
    exact = "Each mark is a run of tiles; steps alternate in tint." if what.runs else (
        f"Each mark covers {what.bin_size} cycles; its height is the share of them in which "
        "the layer has the array.")
    return section(
        "schedule", "The schedule", flat(
            "The drawing shows one frame on the array, cycle for cycle. A tile of "
            f"{report['array']['pe']} \N{MULTIPLICATION SIGN} {report['array']['simd']} products "
            f"is issued in {what.busy:,} of {what.cycles:,} cycles "
            f"({percent(what.busy / what.cycles)}). ",
            exact, " ", badge("planned")),
        timeline(what, names, {layer: colours[names[layer]] for layer in what.layers
                               if layer not in none}),
        _occupancy_table(plan, what, names), long=True)


def _occupancy_table(plan: Plan, what: Occupancy, names: dict[int, str]) -> Markup:
    """A row for each layer, and below it one for each of its ops if it has several."""
    before, between, after = what.idle_parts
    rows: list[list[Child]] = []
    for layer in what.layers:
        given, own = (what.tiles.get((layer, part), 0) for part in (INPUT, RECURRENT))
        rows.append([names[layer], f"{given:,}", f"{own:,}" if own else "", f"{given + own:,}",
                     percent((given + own) / what.cycles)])
        if len(what.ops[layer]) > 1:
            rows += [[tag("span", f"op {op}: {op_name(plan, op)}", class_="op"), "", "",
                      tag("span", f"{tiles:,}", class_="op"),
                      tag("span", percent(tiles / what.cycles), class_="op")]
                     for op, tiles in what.ops[layer]]
    for name, count in (("idle before the first tile", before), ("idle between tiles", between),
                        ("after the last tile, on the way out", after)):
        rows.append([name, "", "", f"{count:,}", percent(count / what.cycles)])
    return table(["", "input tiles", "recurrent tiles", "cycles", "of the frame"], rows)


def step_section(plan: Plan | None) -> Markup | None:
    """Waterfalls of the tail of a step, and of the way from the last tile to the output."""
    if plan is None:
        return None
    tail = stages(plan.config)
    config, distance = plan.config, plan.latencies
    last_tile = plan.timeline.issues[0][-1]
    after = plan.timeline.last_out[0] - last_tile
    crossings = config.way_there + config.way_back
    way_out = {"array": distance.array,
               "router and lanes": distance.output - distance.array - crossings,
               **({"die to die": crossings} if crossings else {}),
               "stream": after - distance.output}
    notes = dict(_STAGE_NOTES)
    full = config.pipeline == "full"
    notes |= {"multipliers": f"{'A/B, M and P' if full else 'A/B and P'} registers of the DSP "
                             "slices",
              "adder tree": f"a register {'a' if full else 'every second'} level, for "
                            f"{plural(config.simd, 'column')}"}
    recurrent = any(layer.of.states for layer in plan.qnet.layers)
    if not recurrent:
        notes |= {"lanes": "the activation"}
    scale = max(sum(tail.values()), after)
    what = "h" if recurrent else "a result"
    return section(
        "step", "One step, from its last column to the next",
        flat(f"A recurrent step waits for the tail: the {distance.tail} cycles from the issue of "
             f"the tile that finishes a row to the first tile that can use its {what}. The "
             "scheduler hides it behind other tiles. Each cell is a cycle. ", badge("planned")),
        waterfall("tail", "The tail of a step", tail, notes, scale, f"then a tile can use {what}"),
        tag("h3", "The way out, from the last tile of a frame to its last output beat"),
        waterfall("way-out", "The way out", way_out, {
            "array": "operands to sums", "router and lanes": "sums to the output memory",
            "die to die": "the tile to the dies, the output from them",
            "stream": "chunks to beats, up to the last one of the frame"}, scale,
            "then the last beat has left"))


def cycles_section(report: dict) -> Markup:
    """The latency against bound and no_overlap, with their formulas."""
    cycles, array, stream = report["cycles"], report["array"], report["stream"]
    latency = cycles["latency"]
    rows = [
        ["A", f"\N{LEFT CEILING}{array['multiplications']:,} / {array['multipliers']:,}"
              "\N{RIGHT CEILING}", "multiplications that must be done / multipliers",
         f"{cycles['A']:,}", f"{latency / cycles['A']:.2f}"],
        ["B", "", "the longest chain of dependent tails", f"{cycles['B']:,}",
         f"{latency / cycles['B']:.2f}"],
        ["bound", f"max({cycles['A']:,}, {cycles['B']:,})", "no schedule on this array is faster",
         f"{cycles['bound']:,}", f"{latency / cycles['bound']:.2f}"],
        ["no_overlap", f"{cycles['A']:,} + {cycles['B']:,}",
         "if tails and multiplications never overlapped", f"{cycles['no_overlap']:,}",
         f"{latency / cycles['no_overlap']:.2f}"],
        [tag("strong", "latency"), "", "from the first input beat to the last output beat",
         tag("strong", f"{latency:,}"), "1.00"],
        ["interval", "", f"from the last output beat to that of the next frame{in_turn(cycles)}",
         f"{cycles['interval']:,}",
         f"{latency / cycles['interval']:.2f}"],
    ]
    return section(
        "cycles", "Latency and bound", flat(
            f"The latency of {latency:,} cycles is {latency / cycles['bound']:.2f} "
            "\N{MULTIPLICATION SIGN} the bound, which no schedule on this array can beat. The "
            "yardsticks A and B do not depend on the schedule, and do not include the beats of "
            f"input and output; the latency does. The streams have {stream['bits']} bits: "
            f"{stream['reason']}. ",
            badge("planned")),
        yardsticks(cycles, latency),
        table(["", "formula", "", "cycles", "latency / it"], rows, words=3))


def host_section(report: dict) -> Markup | None:
    """From a program's call to its answer; None of a core without registers."""
    host = report.get("host")
    if host is None:
        return None
    rows: list[list[Child]] = []
    for path, terms in host["latency"].items():
        rows += [[path if n == 0 else "", term["what"], badge(term["label"]), term["known"],
                  f"{term['us']:,.2f}"] for n, term in enumerate(terms)]
        rows.append(["", tag("strong", "sum"), "", "",
                     tag("strong", f"{sum(term['us'] for term in terms):,.2f}")])
    cycles = host["cycles"]
    return section(
        "host", "From a call to its answer", flat(
            "The core has registers and a memory port of "
            f"{host['port_bits']} bits, and {plural(host['engines'], 'engine')}. These are the "
            "terms of one frame, by the way on which it comes to the core. Only the core's own is "
            f"constant; none was measured on a board. A batch of {cycles['batch_frames']} frames "
            f"takes {cycles['batch']:,} cycles where memory answers at once."),
        table(["path", "term", "", "how it is known", "\N{MICRO SIGN}s"], rows, words=4))


def resources_section(report: dict) -> Markup:
    """The resources of core and device, and the sources of both figures."""
    used, board = report["resources"], report["board"]
    device = (board or {}).get("device")
    origin = tag("p", "Estimate: ", str(used["source"]).removeprefix("estimate: "), ". ",
                 badge("estimated"), class_="source")
    if "estimated" in used:
        origin = tag("p", f"{used['source']}. ", badge("routed"), class_="source")
    if not device:
        rows = [[key, f"{used[key]:,.10g}"] for key in ("lut", "ff", "dsp", "bram36", "uram")]
        return section("resources-section", "Resources", "The core takes these resources. With "
                        "--board the report compares them with those of the board.",
                        table(["", "core"], rows), origin)
    return section(
        "resources-section", "Resources", "The core takes these shares of the "
        f"{board['part']}; interfaces and shell are not included.",
        resource_bars(used, device), origin,
        tag("p", "Device: ", "; ".join(map(str, device["source"])), ". ", badge("quoted"),
            class_="source"))


def numbers_section(report: dict) -> Markup:
    """Widths, the source of the formats, and the error of the outputs against float."""
    numbers, outputs = report["numbers"], report["network"]["outputs"]
    widths, error, table_ = numbers["widths"], numbers["error"], numbers["table"]
    clipped = sum(counted["count"] for tensors in numbers["saturations"].values()
                  for counted in tensors.values())
    rows = [
        ["largest error", f"{error['max_abs']:.3g}", _percent(error["max_relative"])],
        ["RMS error", f"{error['rms']:.3g}", _percent(error["rms_relative"])],
        ["range of the float outputs", f"{error['range']:.4g}", ""],
    ]
    values = error.get("values", [])
    if len(values) > 1:
        rows += [[f"RMS error of output {n} ({numbers['outputs'][n]})", f"{value['rms']:.3g}",
                  _percent(value["rms_relative"])] for n, value in enumerate(values)]
    host = [n for n, output in enumerate(outputs) if output["left_to_the_host"]]
    return section(
        "numbers", "Numbers and error", flat(
            f"{widths['activations']}-bit activations, {widths['weights']}-bit weights, "
            f"{widths['cell']}-bit cell state, {widths['accumulator']}-bit accumulators that "
            f"cannot overflow. Rounding: {numbers['rounding']}. Formats: "
            f"{_chosen(numbers['calibration'])}. {plural(clipped, 'value')} saturated while the "
            "error was measured. ", badge("computed")),
        _bytes(numbers),
        tag("h3", "Error against float, per output"),
        tag("p", f"On {error['data']}", " before the functions left to the host" if host else "",
            f". {table_['function']}: {table_['entries']:,} entries, at most "
            f"{table_['error_bound']:.3g} off.", class_="source"),
        error_chart(numbers, outputs), table(["", "value", "of the range"], rows))


def _bytes(numbers: dict) -> Markup | None:
    """The scales of a core in int8, and how far LiteRT's resolvers agree with it."""
    if not numbers.get("affine"):
        return None
    ends = [[f"{side[:-1]} {n}", f"{one['scale']:.9g}", one["zero_point"]]
            for side in ("inputs", "outputs") for n, one in enumerate(numbers["affine"][side])]
    same = [["AUTO, the default", "100.0 %", 0]] + [
        [resolver, f"{100 * one['equal']:.1f} %", one["largest"]]
        for resolver, one in numbers["resolvers"].items()]
    return flat(
        tag("h3", "Bytes"), table(["", "scale", "zero point"], ends),
        tag("h3", "Bytes that LiteRT's resolvers give alike"),
        tag("p", "The core computes the bytes of LiteRT's default resolver. The others round the "
            "sums of matrices otherwise; their bytes were computed for this report, on the first "
            f"{plural(numbers['inside_samples'], 'sample')} of the data of the error.",
            class_="source"),
        table(["resolver", "equal bytes", "largest difference"], same))


def inside_section(report: dict) -> Markup:
    """Every tensor of every layer: format, range, saturations, and where the error enters."""
    numbers, layers = report["numbers"], report["network"]["layers"]
    rows = rows_of(numbers)
    scale = scales(rows)
    titles = {layer["name"]: layer_title(layer) for layer in layers}
    overview = entering(rows)
    lead = "The drawings show the format of each tensor on one ruler of bits, the range of its " \
           "values, and how many of them saturated"
    drawings = []
    for n, (name, known) in enumerate(rows.items()):
        drawings.append(tag(
            "div", tag("h3", tag("code", name), " ", tag("span", titles.get(name, ""),
                                                         class_="also")),
            tensor_drawing(f"tensors-{n}", known, scale), class_="kept"))
    return section(
        "inside", "Inside: every tensor of every layer", flat(
            lead, "; and its RMS error against the float network, relative to that range, beside "
            "the error that the layer adds by itself when it reads the float values" + _on(numbers)
            if overview else "", ". ",
            badge("computed")),
        flat(tag("h3", "Where the error enters"),
             tag("p", "The drawing shows the error of each layer's result.",
                 class_="source"), overview)
        if overview else None,
        tensor_legend(rows), *drawings, long=True)


def _on(numbers: dict) -> str:
    """The number of samples on which the inside was measured."""
    samples = numbers.get("inside_samples")
    return f", on {plural(samples, 'sample')} of the same data" if samples else ""


def _chosen(calibration: dict) -> str:
    """The source of the formats."""
    source, samples = calibration.get("source", ""), calibration.get("samples", 0)
    return f"chosen from {samples:,} samples of {source}" if samples else str(source)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"


def origin_section(report: dict) -> Markup:
    """The inputs and the versions of packages from which the core was made."""
    source = report["network"]["source"]
    rows: list[list[Child]] = [[f"model: {key}", tag("code", quoted(value, 120) if isinstance(
        value, str) and key != "sha256" else str(value))]
        for key, value in source.items()]
    rows.append(["input hash", tag("code", report["input_hash"])])
    calibration = report["numbers"]["calibration"].get("sha256")
    if calibration:
        rows.append(["calibration data", tag("code", calibration)])
    rows += [[name, tag("code", version)] for name, version in report["versions"].items()]
    return section("origin", "What it was made from", "The same input and versions give the same "
                    "bytes.", table(["", ""], rows, words=2))
