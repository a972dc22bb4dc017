"""The values of a core's constant registers, its build hash among them."""

from __future__ import annotations

import hashlib
import json

from gatefold.gen.plan import Plan
from gatefold.gen.plan.images import program_images
from gatefold.hdl.host.registers import MAP

__all__ = ["identity"]

_VARIES = -128  #: in place of a number of fraction bits


def identity(plan: Plan, *, engines: int = 1, float32: bool = False) -> dict[str, int]:
    """The constant registers by name. Frames begin at whole words of the memory port."""
    config, qnet = plan.config, plan.qnet
    container = 32 if float32 else config.container
    port_bytes = config.beat * container // 8
    in_bytes, out_bytes = config.x_beats * port_bytes, config.out_beats * port_bytes
    fracs_in = set() if qnet.affine else {form.frac for form in qnet.input_formats}
    fracs_out = set() if qnet.affine else set(qnet.output_fracs.tolist())
    window = MAP.window("WINDOW_IN").size
    values = {
        "MAGIC": MAP["MAGIC"].fields[0].reset, "VERSION": MAP["VERSION"].fields[0].reset,
        "CAPS": _packed("CAPS", STATEFUL=config.stateful, LOADABLE=config.loadable,
                        FLOAT32=float32, WINDOW=max(in_bytes, out_bytes) <= window,
                        ENGINES=engines, PORT_BYTES=port_bytes),
        "IN_ELEMENTS": config.x_row * config.x_rows,
        "OUT_ELEMENTS": config.out_row * config.out_rows,
        "IN_BYTES": in_bytes, "OUT_BYTES": out_bytes,
        "FORMAT": _packed("FORMAT", CONTAINER=container, WIDTH=config.act_width,
                          IN_FRAC=_frac(fracs_in), OUT_FRAC=_frac(fracs_out)),
        "CONTEXTS": config.contexts,
        "LOAD_BYTES": config.load_beats * config.beat * config.container // 8,
    }
    built = _hash(plan, values)
    values |= {"HASH_LO": built & 0xFFFFFFFF, "HASH_HI": built >> 32}
    return {register.name: values[register.name] for register in MAP.constants}


def _hash(plan: Plan, values: dict[str, int]) -> int:
    """64 bits that name the hardware, its program and its formats, whatever the weights."""
    formats = [[form.frac for form in plan.qnet.input_formats],
               *(plan.qnet.fracs[value].tolist() for value in plan.qnet.outputs)]
    if any(plan.qnet.host):
        formats.append(list(plan.qnet.host))
    if plan.qnet.affine:
        formats.append([[one.scale, one.zero] for side in plan.qnet.affine for one in side])
    about = [repr(plan.config), values, formats, program_images(plan.program, plan.config)]
    text = json.dumps(about, sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def _packed(name: str, **values: int) -> int:
    """A register's value from its fields."""
    return sum((int(value) << MAP[name].field(field).low) & MAP[name].field(field).mask
               for field, value in values.items())


def _frac(fracs: set[int]) -> int:
    return fracs.pop() if len(fracs) == 1 else _VARIES
