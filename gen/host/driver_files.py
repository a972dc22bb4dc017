"""``DIR/driver``: the C library of one core, its simulated device, and what Python needs to know.

The sources (``driver/``, package data) are the same for every core. Generated are the register
map with the core's constants, its number formats, and the settings of the simulated device.
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Mapping
from itertools import groupby
from math import prod
from pathlib import Path

import numpy as np

import gatefold
from gatefold.gen.host.header import c_header
from gatefold.gen.host.ipxact import ip_xact
from gatefold.gen.host.rdl import system_rdl
from gatefold.gen.numbers.qint8 import WEIGHTS
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Plan
from gatefold.hdl.host.registers import MAP

__all__ = ["DRIVER", "EXAMPLES", "LOAD", "build_hash", "write_driver", "write_examples",
           "write_load"]

DRIVER = "driver"  #: the folder's name in that of the core
EXAMPLES = f"{DRIVER}/examples"
LOAD = "load.gfw"  #: in weights/ of a loadable core: what gf_load_weights() takes

_SOURCES = Path(__file__).parent / "driver"
_PYTHON = Path(gatefold.__file__).parent / "driver.py"  # needs NumPy alone: it goes to the board
_MEMORY = 64 << 20  # bytes of the simulated memory at least


def write_driver(folder: Path, plan: Plan, core: Mapping[str, int], *, clock_mhz: float,
                 version: str) -> None:
    """Write the driver of ``plan``'s core to ``folder``.

    Parameters: ``core``, the values of its constant registers
    (:func:`~gatefold.gen.host.identity.identity`); ``clock_mhz``, of the simulated device;
    ``version``, of the package.
    """
    shutil.copytree(_SOURCES, folder)
    shutil.copyfile(_PYTHON, folder / "gatefold_driver.py")
    for name in ("CMakeLists.txt", "gatefold.pc.in"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("@VERSION@", version))
    (folder / "gatefold_regs.h").write_text(c_header(MAP, core))
    (folder / "gatefold.rdl").write_text(system_rdl(MAP, core))
    (folder / "gatefold.xml").write_text(ip_xact(MAP, core, version))
    about = _about(plan, core)
    (folder / "src" / "gatefold_core.h").write_text(_formats_header(about))
    (folder / "sim" / "settings.h").write_text(_settings(plan, core, clock_mhz))
    (folder / "core.json").write_text(json.dumps(about, indent=1) + "\n")


def write_examples(folder: Path, samples: np.ndarray, expected: np.ndarray) -> None:
    """Write floats for the examples: inputs, and what golden makes of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("samples", samples), ("expected", expected)):
        (folder / f"{name}.f32").write_bytes(array.astype("<f4").tobytes())


def build_hash(folder: Path) -> int:
    """The build hash of the driver in ``folder``."""
    core = json.loads((folder / "core.json").read_text())["core"]
    return core["HASH_HI"] << 32 | core["HASH_LO"]


def write_load(folder: Path, plan: Plan, built: int) -> None:
    """Write :data:`LOAD` to ``folder``: magic, the build hash ``built``, length, CRC-32, image."""
    width = plan.config.beat * plan.config.container // 8
    image = b"".join(word.to_bytes(width, "little") for word in plan.images()["load"])
    head = struct.pack("<8sQII", b"GFWEIGHT", built, len(image), zlib.crc32(image))
    (folder / LOAD).write_bytes(head + image)


def _about(plan: Plan, core: Mapping[str, int]) -> dict:
    """What a driver needs to know of a core, for both languages."""
    qnet, contexts = plan.qnet, plan.config.contexts
    return {
        "registers": {register.name: register.address for register in MAP.registers},
        "fields": {f"{register.name}.{field.name}": field.mask
                   for register in MAP.registers for field in register.fields},
        "windows": {window.name: window.address for window in MAP.windows},
        "map_bytes": 1 << MAP.address_bits,
        "core": dict(core),
        "input_shape": list(qnet.input_shape), "output_shape": list(qnet.output_shape),
        **_formats(qnet, contexts),
        "softmax": _softmaxes(qnet, contexts),
    }


def _formats(qnet: QuantizedNetwork, contexts: int) -> dict[str, list[list]]:
    """Of inputs and outputs, [count, fraction bits, width, scale, zero] of neighbouring elements of
    a frame that are alike. With a scale the integer q means scale (q - zero), and there are no
    fraction bits; without one, both are 0."""
    if qnet.affine:
        inputs, outputs = ([[prod(shape), 0, WEIGHTS.width, one.scale, one.zero]
                            for shape, one in zip(shapes, side, strict=True)] for shapes, side in
                           zip((qnet.input_shapes, qnet.output_shapes), qnet.affine, strict=True))
    else:
        inputs = [[prod(shape), form.frac, form.width, 0, 0] for shape, form in
                  zip(qnet.input_shapes, qnet.input_formats, strict=True)]
        outputs = [[1, frac, qnet.out_width, 0, 0] for frac in qnet.output_fracs.tolist()]
    return {"inputs": _runs(inputs * contexts), "outputs": _runs(outputs * contexts)}


def _runs(formats: list[list]) -> list[list]:
    """The same with neighbours that are alike as one."""
    return [[sum(count for count, *_ in run), *form] for form, run in
            ((form, list(run)) for form, run in groupby(formats, key=lambda one: one[1:]))]


def _softmaxes(qnet: QuantizedNetwork, contexts: int) -> list[list[int]]:
    """[first element, count, classes] of each part of an output frame that a softmax follows."""
    sizes = [prod(shape) for shape in qnet.output_shapes]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return [[context * sum(sizes) + start, size, shape[-1]] for context in range(contexts)
            for start, size, shape, function in zip(starts, sizes, qnet.output_shapes,
                                                    qnet.host or ("",) * len(sizes), strict=True)
            if function == "softmax"]


def _formats_header(about: dict) -> str:
    """``gatefold_core.h``: the formats of a frame's elements."""
    def rows(name: str) -> str:
        return "\n".join("    {" + ", ".join(map(_c_number, row)) + "}," for row in about[name])

    return f"""\
/* Generated by Gatefold: the number formats of one core. */
#ifndef GATEFOLD_CORE_H
#define GATEFOLD_CORE_H

#include <stddef.h>

/* Neighbouring elements of a frame: how many, their fraction bits, their width. Where `scale` is
 * not 0, the integer q means scale (q - zero) instead. */
struct gf_format {{
    size_t count;
    int frac;
    unsigned width;
    float scale;
    int zero;
}};

/* A part of an output frame that a softmax follows, each over `classes` elements; the last entry
 * has no elements. */
struct gf_softmax {{
    size_t first, count, classes;
}};

static const struct gf_format gf_inputs[] = {{
{rows("inputs")}
}};
static const struct gf_format gf_outputs[] = {{
{rows("outputs")}
}};
static const struct gf_softmax gf_softmaxes[] = {{
{rows("softmax") or "    /* none */"}
    {{0, 0, 0}},
}};

#endif
"""


def _c_number(value: float) -> str:
    """A literal of C, to the bit."""
    return f"{value.hex()}f" if isinstance(value, float) else str(value)


def _settings(plan: Plan, core: Mapping[str, int], clock_mhz: float) -> str:
    """``settings.h`` of the simulated device. After QUIET cycles without a transfer nothing will
    happen any more: it is several times what a frame takes, and the watchdog has expired."""
    cycles = plan.cycles
    quiet = (4 * (cycles.latency + cycles.interval) + 2 * plan.config.load_beats + 10_000
             + MAP["WATCHDOG"].fields[0].reset)
    memory = max(_MEMORY, 4 * core["LOAD_BYTES"], 256 * (core["IN_BYTES"] + core["OUT_BYTES"]))
    port = (core["CAPS"] & MAP["CAPS"].field("PORT_BYTES").mask) >> MAP["CAPS"].field(
        "PORT_BYTES").low
    values = {"GF_SIM_HZ": f"UINT64_C({round(clock_mhz * 1e6)})", "GF_SIM_PORT_BYTES": port,
              "GF_SIM_MEMORY": f"UINT64_C({-(-memory // 4096) * 4096})",
              "GF_SIM_QUIET": f"UINT64_C({quiet})"}
    lines = [f"#define {name} {value}" for name, value in values.items()]
    return "\n".join(["/* Generated by Gatefold: the simulated device of one core. */", *lines, ""])
