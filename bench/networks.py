"""The networks of workloads.json as seeded float networks, with their descriptions in that file.

workloads.json lists the networks that Gatefold must serve and every figure that others published
for them. Only lstm-dense is trained (models/lstm-dense); the weights of the others are seeded, of
the published shapes: weights change neither the cycle counts nor the times measured here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatefold.gen.frontends import load
from gatefold.gen.network.graph import Dense, Layer, Lstm, Network, RepeatVector, Window

__all__ = ["CALIBRATION", "ROOT", "WORKLOADS", "Workload", "all_workloads", "calibration",
           "int8_workload", "vectors"]

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS: dict = json.loads((ROOT / "bench/workloads.json").read_text())

#: Trained models by workload, and data to choose their formats from.
TRAINED = {"lstm-dense": "models/lstm-dense/lstm-dense.keras"}
_INT8 = "models/forum-cnn-lstm"
CALIBRATION = {"lstm-dense": "models/lstm-dense/calibration.npz"}


@dataclass(frozen=True)
class Workload:
    """A row of the benchmark.

    Attributes: ``name``; ``layers`` as workloads.json writes them; ``network``.
    """

    name: str
    layers: tuple[str, ...]
    network: Network

    @property
    def boards(self) -> tuple[str, ...]:
        """Boards that it is built for: the networks for streaming need a large one."""
        if self.network.affine is not None:
            return ("zcu104",)
        return ("u55c",) if self.network.stateful else ("zcu104", "u280", "u55c")


def all_workloads() -> list[Workload]:
    """Every network of workloads.json, in its order; the streaming ones take one timestep a frame
    and keep their state."""
    rows = [Workload(name, tuple(described["layers"]), _build(name, described))
            for name, described in WORKLOADS["networks"].items()]
    return rows + [
        Workload(name, tuple(described["layers"]), _streaming(described["layers"]))
        for name, described in WORKLOADS["streaming"]["networks"].items()]


def int8_workload() -> Workload:
    """The forum's network in full integer, as LiteRT's converter made it."""
    layers = WORKLOADS["networks"]["forum-cnn-lstm"]["layers"]
    return Workload("forum-cnn-lstm, int8", tuple(layers),
                    load(ROOT / _INT8 / "forum-cnn-lstm.tflite"))


def vectors(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (samples, 800, 2) of that network, and what LiteRT answered (samples, 104): bytes."""
    with np.load(ROOT / _INT8 / "vectors.npz") as data:
        return data["x"][:samples].astype(np.int64), data["y"][:samples].astype(np.int64)


def calibration(name: str) -> np.ndarray | None:
    """Inputs (samples, timesteps, features) to quantise ``name`` with; None: seeded ones."""
    if name not in CALIBRATION:
        return None
    with np.load(ROOT / CALIBRATION[name]) as data:
        return data["x"]


def _build(name: str, described: dict) -> Network:
    """The network ``name``, checked against the published number of parameters."""
    network = (load(ROOT / TRAINED[name]) if name in TRAINED
               else _seeded(tuple(described["input"]), described["layers"]))
    if network.parameters != described["params"]:
        sys.exit(f"bench: {name} has {network.parameters} parameters, workloads.json says "
                 f"{described['params']}")
    return network


def _streaming(layers: list[str]) -> Network:
    """LSTMs in a row, as wide as their input, then a Dense; the state is kept between frames."""
    units = int(layers[0].split()[1])
    *first, dense = [part for text in layers for part in _each(text)]
    sequences = [f"{text} rs stateful" for text in first]
    return _seeded((1, units), [*sequences[:-1], f"{first[-1]} stateful", dense])


def _each(text: str) -> list[str]:
    """``LSTM 320 x6`` as six layers."""
    kind, size, *times = text.split()
    return [f"{kind} {size}"] * (int(times[0].removeprefix("x")) if times else 1)


def _seeded(input_shape: tuple[int, ...], layers: list[str], seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)

    def uniform(*shape: int) -> np.ndarray:
        limit = np.sqrt(6 / sum(shape))
        return rng.uniform(-limit, limit, shape)

    built: list[Layer] = []
    shape = input_shape
    for text in layers:
        kind, *words = text.removeprefix("TimeDistributed ").split()
        size, features = int(words[0]), shape[-1]
        activation = "relu" if "relu" in words else "linear"
        layer: Layer
        if kind == "LSTM":
            bias = np.zeros(4 * size)
            bias[size:2 * size] = 1.0  # the forget gate's, as Keras does
            layer = Lstm(units=size, w_ih=uniform(4 * size, features), b=bias,
                         w_hh=uniform(4 * size, size), return_sequences="rs" in words,
                         stateful="stateful" in words)
        elif kind == "RepeatVector":
            layer = RepeatVector(timesteps=size)
        elif kind == "Conv1D":
            taps = int(words[1].removeprefix("k"))
            layer = Dense(w=uniform(size, taps * features), b=np.zeros(size),
                          activation=activation, window=Window(taps))
        else:
            layer = Dense(w=uniform(size, features), b=np.zeros(size), activation=activation)
        built.append(layer)
        shape = layer.output_shape(shape)
    return Network(input_shape, tuple(built), source={"format": "bench/networks.py", "seed": seed})
