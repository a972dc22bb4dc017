"""The networks of workloads.json as seeded float networks, and what the file says of each.

workloads.json lists the networks that Gatefold must serve and every figure that others published
for them. Only lstm-dense is trained (models/lstm-dense); the weights of the others are seeded, of
the published shapes: weights change no cycle count and no time measured here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatefold.gen.frontends import load
from gatefold.gen.network import Dense, Layer, Lstm, Network, RepeatVector

__all__ = ["CALIBRATION", "ROOT", "WORKLOADS", "Workload", "all_workloads", "calibration"]

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS: dict = json.loads((ROOT / "bench/workloads.json").read_text())

#: Trained models by workload, and data to choose their formats from.
TRAINED = {"lstm-dense": "models/lstm-dense/lstm-dense.keras"}
CALIBRATION = {"lstm-dense": "models/lstm-dense/calibration.npz"}


@dataclass(frozen=True)
class Workload:
    """A row of the benchmark.

    Attributes: ``name``; ``layers`` as workloads.json writes them; ``network``, None where it
    cannot be built yet; ``missing``, then why.
    """

    name: str
    layers: tuple[str, ...]
    network: Network | None
    missing: str = ""


def all_workloads() -> list[Workload]:
    """Every network of workloads.json, buildable or not, in its order."""
    rows = []
    for name, described in WORKLOADS["networks"].items():
        layers = tuple(described["layers"])
        missing = _missing(layers)
        rows.append(Workload(name, layers, None if missing else _build(name, described), missing))
    for name, described in WORKLOADS["streaming"]["networks"].items():
        rows.append(Workload(name, tuple(described["layers"]), None,
                             "stateful operation, one step a call"))
    return rows


def calibration(name: str) -> np.ndarray | None:
    """Inputs (samples, timesteps, features) to quantise ``name`` with; None: seeded ones."""
    if name not in CALIBRATION:
        return None
    with np.load(ROOT / CALIBRATION[name]) as data:
        return data["x"]


def _missing(layers: tuple[str, ...]) -> str:
    known = {"LSTM", "RepeatVector", "Dense", "TimeDistributed"}
    return ", ".join(sorted({layer.split()[0] for layer in layers} - known))


def _build(name: str, described: dict) -> Network:
    """The network ``name``, checked against the published number of parameters."""
    network = (load(ROOT / TRAINED[name]) if name in TRAINED
               else _seeded(tuple(described["input"]), described["layers"]))
    if network.parameters != described["params"]:
        sys.exit(f"bench: {name} has {network.parameters} parameters, workloads.json says "
                 f"{described['params']}")
    return network


def _seeded(input_shape: tuple[int, ...], layers: list[str], seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)

    def uniform(*shape: int) -> np.ndarray:
        limit = np.sqrt(6 / sum(shape))
        return rng.uniform(-limit, limit, shape)

    built: list[Layer] = []
    shape = input_shape
    for text in layers:
        words = text.removeprefix("TimeDistributed ").split()
        kind, size = words[0], int(words[1])
        layer: Layer
        if kind == "LSTM":
            bias = np.zeros(4 * size)
            bias[size:2 * size] = 1.0  # the forget gate's, as Keras does
            layer = Lstm(units=size, w_ih=uniform(4 * size, shape[-1]), b=bias,
                         w_hh=uniform(4 * size, size), return_sequences="rs" in words)
        elif kind == "RepeatVector":
            layer = RepeatVector(timesteps=size)
        else:
            layer = Dense(w=uniform(size, shape[-1]), b=np.zeros(size))
        built.append(layer)
        shape = layer.output_shape(shape)
    return Network(input_shape, tuple(built), source={"format": "bench/networks.py", "seed": seed})
