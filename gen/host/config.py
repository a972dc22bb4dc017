"""The registers and the memory port around a planned core."""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.host.cycles import HostCycles
from gatefold.gen.host.identity import identity
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import BuildOptions
from gatefold.gen.plan import Plan
from gatefold.hdl.host.config import HostConfig

__all__ = ["BATCH", "describe_host", "host_config", "host_refusals"]

BATCH = 8  #: frames of the batch whose cycles are stated
_MOST_FRAC = 100  #: bits, of an element that is converted from or to float32


def host_refusals(qnet: QuantizedNetwork, options: BuildOptions) -> None:
    """Raise :class:`UserError` where the options do not fit the network."""
    if options.engines > 1 and qnet.stateful:
        raise UserError(f"--engines must be 1 for a stateful network, not {options.engines}: its "
                        "frames depend on each other; --contexts computes several sequences")
    if options.io == "float32" and qnet.affine:
        raise UserError("--io float32 needs formats with powers of two, a .tflite network of "
                        "integers has scales and zero points: use --io fixed")
    fracs = [form.frac for form in qnet.input_formats] + qnet.output_fracs.tolist()
    if options.io == "float32" and max(map(abs, fracs)) > _MOST_FRAC:
        raise UserError(f"--io float32 needs formats of at most {_MOST_FRAC} fraction bits, not "
                        f"{max(fracs, key=abs)}: use --io fixed")


def host_config(plan: Plan, *, engines: int = 1, float32: bool = False) -> HostConfig:
    """The hardware around ``engines`` cores of ``plan``."""
    qnet, contexts = plan.qnet, plan.config.contexts
    formats = [(form.frac, form.width) for shape, form in
               zip(qnet.input_shapes, qnet.input_formats, strict=True)
               for _ in range(int(np.prod(shape)))] * contexts
    return HostConfig(
        engine=plan.config, engines=engines, float32=float32, in_formats=tuple(formats),
        out_fracs=tuple(qnet.output_fracs.tolist() * contexts),
        constants=identity(plan, engines=engines, float32=float32))


def describe_host(plan: Plan, host: HostConfig) -> dict:
    """For core.json and the report; cycles are those of :class:`HostCycles`."""
    cycles = HostCycles(plan, host)
    constants = host.constants
    return {"interface": "axi", "engines": host.engines, "port_bits": host.width,
            "io": "float32" if host.float32 else "fixed",
            "hash": f"{constants['HASH_HI'] << 32 | constants['HASH_LO']:016x}",
            "in_bytes": constants["IN_BYTES"], "out_bytes": constants["OUT_BYTES"],
            "window": host.window,
            "cycles": {"frame": cycles.frames(1), "window": cycles.window,
                       "batch_frames": BATCH, "batch": cycles.frames(BATCH),
                       "exact": cycles.exact(BATCH),
                       "interval": cycles.interval, "keeps_up": cycles.keeps_up}}
