"""The output folder: what a build writes there, and how later commands read it."""

from __future__ import annotations

import json
from dataclasses import fields
from math import prod
from pathlib import Path

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.names import CORE, INTEGERS
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import checked
from gatefold.gen.plan import Array, Plan, make_plan
from gatefold.gen.plan.kinds import row_sums
from gatefold.gen.store.guarded import guarded
from gatefold.gen.store.quantized_io import load_quantized
from gatefold.hdl.config import PIPELINES
from gatefold.hdl.core import Core

__all__ = ["core_json", "load_plan"]

_MOST_WORDS = 1 << 16
_MOST_LEVELS = 8


def core_json(plan: Plan) -> dict:
    """The contents of ``core.json``: streams, shapes, cycle counts and the order of the trace."""
    qnet, config = plan.qnet, plan.config
    traced = sorted({layer for layer, _, _ in plan.trace if layer >= 0})
    place = {layer: n for n, layer in enumerate(traced)} | {-1: -1}
    sums = {op.layer: row_sums(op.kind) for op in plan.work.ops if op.traced is not None}
    return {
        "top": "gatefold",
        "array": {"pe": config.pe, "simd": config.simd, "lut_rows": config.lut_rows,
                  "uram_rows": config.uram_rows, "loadable": config.loadable,
                  "pipeline": config.pipeline, "block_words": plan.array.block_words,
                  "reach": config.reach, "gather": config.gather, "dies": config.dies,
                  "cross": config.cross, "cascade": config.cascade,
                  "protect": config.protect, "packed": config.packed,
                  "parts": config.parts},
        "contexts": config.contexts,
        "stateful": config.stateful,
        **({"window": {"samples": qnet.window, "hop": qnet.input_shape[0], "frames": qnet.spans}}
           if qnet.window else {}),
        "load_beats": config.load_beats,
        **({"guard": guarded(plan)} if config.protect else {}),
        "stream": {"element_bits": config.element_width, "container_bits": config.container,
                   "beat_bits": config.beat * config.container},
        "input": {"elements": config.x_row * config.x_rows, "beats": config.x_beats,
                  "shape": list(qnet.input_shape), "parts": [
                      {"shape": list(shape), "frac": form.frac, "width": form.width}
                      | _scale(qnet, 0, n)
                      for n, (shape, form) in enumerate(zip(
                          qnet.input_shapes, qnet.input_formats, strict=True))]}
                 | ({"carries": True} if qnet.input_carries else {}),
        "output": {"elements": config.out_row * config.out_rows, "beats": config.out_beats,
                   "shape": list(qnet.output_shape), "parts": [
                       {"shape": list(shape), "frac": sorted(set(qnet.fracs[value].ravel()
                                                                 .tolist()))} | _scale(qnet, 1, n)
                       for n, (shape, value) in enumerate(zip(
                           qnet.output_shapes, qnet.outputs, strict=True))]},
        "cycles": {"latency": plan.cycles.latency, "interval": plan.cycles.interval,
                   "intervals": list(plan.cycles.intervals), "start": Core.start(config)},
        "simd": config.simd, "lanes": config.lanes, "act_width": config.act_width,
        "cell_width": config.cell_width, "acc_width": config.acc_width,
        "tlast_checks": True,
        # Each beat of results: [layer of this list or -1, first element, elements].
        "trace": {
            "layers": [{"name": qnet.layers[n].name, "steps": config.contexts * _value(qnet, n)[0],
                        "units": _value(qnet, n)[1], "states": list(qnet.layers[n].traced),
                        "sums": sums[n]}
                       for n in traced],
            "events": [[place[layer], first, count] for layer, first, count in plan.trace],
        },
    }


def _scale(qnet: QuantizedNetwork, end: int, n: int) -> dict:
    """Scale and zero point of input (``end`` 0) or output n, of a network in int8."""
    if not qnet.affine:
        return {}
    return {"scale": qnet.affine[end][n].scale, "zero_point": qnet.affine[end][n].zero}


def _value(qnet: QuantizedNetwork, n: int) -> tuple[int, int]:
    """(steps, units) of golden's record of a layer; for one with states, of every step."""
    *steps, units = qnet.shapes[qnet.value(n)]
    return qnet.shapes_into(n)[0][0] if qnet.layers[n].of.states else prod(steps), units


def load_plan(directory: Path) -> Plan:
    """The plan of the core in ``directory``, computed again from its integers: planning is
    deterministic."""
    directory = Path(directory)
    try:
        core = json.loads((directory / CORE).read_text())
        stated = core["array"] | {"stream_bits": core["stream"]["beat_bits"],
                                "contexts": core["contexts"]}
        for name in ("pe", "simd", "contexts"):
            checked(name, stated[name])
        for name, most in (("lut_rows", stated["pe"]), ("uram_rows", stated["pe"]), ("loadable", 1),
                           ("cascade", 1), ("protect", 1), ("packed", 1), ("parts", _MOST_WORDS),
                           ("block_words", _MOST_WORDS), ("stream_bits", _MOST_WORDS),
                           ("reach", _MOST_LEVELS), ("gather", _MOST_LEVELS),
                           ("dies", _MOST_LEVELS), ("cross", _MOST_LEVELS)):
            if not isinstance(stated[name], int) or not 0 <= stated[name] <= most:
                raise ValueError(f"{name} must be an integer in 0..{most}")
        if stated["pipeline"] not in PIPELINES:
            raise ValueError(f"the pipeline must be {' or '.join(PIPELINES)}")
        if stated["uram_rows"] and not stated["loadable"]:
            raise ValueError("weights in UltraRAM must be loadable")
        array = Array(**{field.name: stated[field.name] for field in fields(Array)})
        placed = {name: stated[name] for name in ("lut_rows", "uram_rows", "loadable")}
    except FileNotFoundError:
        raise UserError(f"{quoted(directory)} holds no {CORE}: give a folder that "
                        "`gatefold build -o` made") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UserError) as error:
        raise UserError(f"{quoted(directory / CORE, limit=300)} is damaged ({quoted(error)}): "
                        "build the folder again") from None
    return make_plan(load_quantized(directory / INTEGERS), array, **placed)
