"""The cores whose Verilog is mutated and soaked: small ones of every kind."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from figures import ROOT

import gatefold as gf

sys.path.insert(0, str(ROOT))  # the networks of the tests

from gatefold.gen.network.graph import Concat, Flatten, Reverse
from tests.support import tflite_files, windows
from tests.support.networks import Make, network

__all__ = ["CORES", "OF_CI", "Core"]

#: Inputs whose first steps are zeros: on others the cell state grows beyond its format.
LATE = np.zeros((64, 4, 3))
LATE[:, -1] = np.random.default_rng(1).uniform(-1, 1, (64, 3))


def _both_ways(m: Make) -> gf.Network:
    """Two bidirectional layers."""
    return gf.Network(((4, 3),), (
        m.lstm(3, 2, True), Reverse(inputs=(0,)), m.lstm(3, 2, True), Reverse(),
        Concat(axis=1, inputs=(1, 4)),
        m.gru(4, 3, True), Reverse(inputs=(5,)), m.gru(4, 3, True), Reverse(),
        Concat(axis=1, inputs=(6, 9)), Flatten(), m.dense(24, 2)))


@dataclass(frozen=True)
class Core:
    """``network``: a name or description of tests/support/networks.py, a float network, or the path
    of a model file in int8; ``options`` of ``gatefold.compile``. ``top``: the module whose Verilog
    is mutated with what is inside it; of ``gatefold_host`` that without ``gatefold``."""

    network: Any
    options: dict[str, Any] = field(default_factory=dict)
    top: str = "gatefold"

    def save(self, folder: Path):
        """Write its output folder; the quantised network."""
        options: dict[str, Any] = {"pe": 8, "simd": 3}
        if isinstance(self.network, Path):
            source = gf.load(self.network)
        else:
            options |= {"width": 10, "cell_width": 12}
            source = self.network if isinstance(self.network, gf.Network) else network(self.network)
        made = gf.compile(source, **options | self.options)
        made.save(folder)
        return made.qnet


CORES = {
    "lstm": Core(((4, 3), ("L3", "D2")), {"calibrate": LATE}),
    "loadable": Core("stateful lstm", {"loadable": True}),
    "gru": Core("gru"),
    "gru reset before": Core("gru reset before"),
    "rnn": Core("rnn"),
    "convolution": Core("conv, conv, lstm"),
    "merge": Core("multiply"),
    "stateful": Core("stateful gru"),
    "contexts": Core("lstm-dense", {"contexts": 2}),
    "short pipeline": Core("stack", {"pipeline": "short", "pe": 36, "reach": 2}),
    "hard": Core("joined hard"),
    "peepholes": Core("peepholes"),
    "projections": Core("projections"),
    "wide": Core(((4, 24), ("L26seq", "G24", "D5")), {"simd": 24, "pipeline": "short"}),
    "one dense": Core(((4,), ("D3",))),
    "two dies": Core("gru", {"contexts": 2, "dies": 2}),
    "int8": Core(tflite_files.path("stacked"), {"board": "zcu104"}),
    "windows": Core(windows.made("branches"), {"hop": 2}),
    "both ways": Core(_both_ways, {"dies": 2}),
    "long": Core(((20, 3), ("L4seq", "L3seq", "D5")), {"port": "32"}),
    "loops": Core(((24, 7), ("D6relu", "D5")), {"port": "32"}),
    "saturating": Core(((4, 3), ("L3", "D2")), {"calibrate": LATE, "rule": "max",
                                                "weight_rule": "max"}),
    "int8 saturating": Core(tflite_files.path("saturating"), {"board": "zcu104"}),
    "few bits": Core("gru", {"width": 4, "simd": 8}),
    "many units": Core(((4, 5), ("L24seq", "G18")), {"pipeline": "short", "pe": 96, "simd": 2,
                                                     "reach": 2}),
    "int8 sequence": Core(tflite_files.path("sequence"), {"board": "zcu104"}),
    "host": Core("dense only", {"host": "axi", "port": "64", "loadable": True}, "gatefold_host"),
    "host states": Core("stateful gru", {"host": "axi", "port": "64"}, "gatefold_host"),
}
OF_CI = ("lstm", "loadable")
