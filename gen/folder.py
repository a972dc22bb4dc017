"""The output folder: what a build leaves there, and how later commands read it back."""

from __future__ import annotations

import json
from pathlib import Path

from .errors import UserError, quoted
from .plan import Plan, make_plan
from .quantized import QLstm
from .quantized_io import load_quantized

__all__ = ["CORE", "INTEGERS", "core_json", "load_plan"]

CORE = "core.json"  #: what test benches need to know
INTEGERS = "integers.npz"  #: the quantised network


def core_json(plan: Plan) -> dict:
    """The contents of ``core.json``: streams, shapes, cycle counts and the order of the trace."""
    qnet, config = plan.qnet, plan.config
    lstms = {n: layer for n, layer in qnet.computing.items() if isinstance(layer, QLstm)}
    traced = list(lstms)
    return {
        "top": "gatefold",
        "array": {"pe": config.pe, "simd": config.simd, "lut_rows": config.lut_rows,
                  "uram_rows": config.uram_rows, "loadable": config.loadable},
        "contexts": config.contexts,
        "load_beats": config.load_beats,
        "stream": {"element_bits": config.act_width, "container_bits": config.container,
                   "beat_bits": config.beat * config.container},
        "input": {"elements": config.x_row * config.x_rows, "beats": config.x_beats,
                  "shape": list(qnet.input_shape), "frac": qnet.input_format.frac},
        "output": {"elements": config.out_row * config.out_rows, "beats": config.out_beats,
                   "shape": list(qnet.output_shape), "frac": qnet.output_format.frac},
        "cycles": {"latency": plan.cycles.latency, "interval": plan.cycles.interval},
        "simd": config.simd, "act_width": config.act_width, "cell_width": config.cell_width,
        "tlast_checks": True,
        "trace": {
            "layers": [{"name": layer.name, "units": layer.units,
                        "steps": config.contexts * len(plan.work.storage.inputs[n].steps)}
                       for n, layer in lstms.items()],
            "events": [[traced.index(n), t, chunk] for n, t, chunk in plan.trace],
        },
    }


def load_plan(directory: Path) -> Plan:
    """The plan of the core in ``directory``, made again from its integers (it is deterministic)."""
    directory = Path(directory)
    try:
        core = json.loads((directory / CORE).read_text())
        array = {name: core["array"][name]
                 for name in ("pe", "simd", "lut_rows", "uram_rows", "loadable")}
        array |= {"stream_bits": core["stream"]["beat_bits"], "contexts": core["contexts"]}
        if not all(isinstance(value, int) for value in array.values()):
            raise ValueError("sizes must be integers")
    except FileNotFoundError:
        raise UserError(f"{quoted(directory)} holds no {CORE}: give a folder that "
                        "`gatefold build -o` made") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{quoted(directory / CORE)} is damaged ({quoted(error)}): "
                        "build the folder again") from None
    return make_plan(load_quantized(directory / INTEGERS), **array)
