"""The registers and the memory port around a planned core."""

from __future__ import annotations

import numpy as np

from gatefold.gen.host.identity import identity
from gatefold.gen.plan import Plan
from gatefold.hdl.host.config import HostConfig

__all__ = ["host_config"]


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
