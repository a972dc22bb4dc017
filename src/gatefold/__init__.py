"""Gatefold: from a trained LSTM network to a verified FPGA core in Verilog.

::

    import gatefold as gf

    net = gf.load("m.onnx")
    core = gf.compile(net, board="zcu104", calibrate=x)
    core.save("out")
    core.run(x)
    core.verify()

Importing this is quick: what the names below need is imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["CheckFailed", "Core", "Exploration", "Network", "NumbersWarning", "UserError",
           "compile", "explore", "from_keras", "from_torch", "initialise", "inspect", "load"]

__version__ = "0.2.0"

if TYPE_CHECKING:
    from gatefold.gen.errors import NumbersWarning, UserError
    from gatefold.gen.explore import Exploration, explore
    from gatefold.gen.flow import Core, compile
    from gatefold.gen.frontends import load
    from gatefold.gen.frontends.keras.live import from_keras
    from gatefold.gen.frontends.torch.live import from_torch
    from gatefold.gen.inspect import inspect
    from gatefold.gen.network.graph import Network
    from gatefold.gen.network.initialise import initialise
    from gatefold.sim.results import CheckFailed

_HOME = {
    "CheckFailed": "gatefold.sim.results",
    "Core": "gatefold.gen.flow",
    "Exploration": "gatefold.gen.explore",
    "Network": "gatefold.gen.network.graph",
    "NumbersWarning": "gatefold.gen.errors",
    "UserError": "gatefold.gen.errors",
    "compile": "gatefold.gen.flow",
    "explore": "gatefold.gen.explore",
    "from_keras": "gatefold.gen.frontends.keras.live",
    "from_torch": "gatefold.gen.frontends.torch.live",
    "initialise": "gatefold.gen.network.initialise",
    "inspect": "gatefold.gen.inspect",
    "load": "gatefold.gen.frontends",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'gatefold' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME})
