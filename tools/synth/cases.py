"""The cores that the resource formulas are compared on: small, and different in every parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatefold.gen.frontends import load
from gatefold.gen.network.graph import Dense, Gru, Layer, Lstm, MaxPool, Network, Window
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import CROSS, Array, Plan, make_plan

__all__ = ["CASES", "Case"]

#: Full-integer files.
TFLITE = Path(__file__).resolve().parents[2] / "tests/fixtures/tflite"


class _Layers:
    """Layers with seeded weights."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def _draw(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(-1, 1, shape) / shape[-1] ** 0.5

    def _recurrent(self, gates: int, features: int, units: int) -> dict:
        return {"units": units, "w_ih": self._draw(gates * units, features),
                "w_hh": self._draw(gates * units, units), "b": self._draw(gates * units)}

    def lstm(self, features: int, units: int, *, steps: bool = False, stateful: bool = False):
        return Lstm(**self._recurrent(4, features, units), return_sequences=steps,
                    stateful=stateful)

    def gru(self, features: int, units: int, *, reset_after: bool = True, steps: bool = False):
        return Gru(**self._recurrent(3, features, units), return_sequences=steps,
                   reset_after=reset_after, b_n=self._draw(units) if reset_after else None)

    def dense(self, features: int, outputs: int, activation: str = "linear"):
        return Dense(w=self._draw(outputs, features), b=self._draw(outputs), activation=activation)

    def conv(self, features: int, outputs: int, taps: int):
        return Dense(w=self._draw(outputs, taps * features), b=self._draw(outputs),
                     activation="relu", window=Window(taps))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A seeded network (``dense`` 0: none), its widths in bits, an array with the registers that
    distance needs, and a stream.

    ``layers`` are LSTMs of ``units``; or ``other`` makes the layers, or they are those of a
    full-integer ``file`` among the fixtures; then ``title`` names them.

    ``held_out``: the formulas were not fitted to it; it shows their error on other cores.
    """

    name: str
    units: int = 0
    features: int
    timesteps: int
    layers: int = 1
    dense: int = 0
    other: Callable[[_Layers], tuple[Layer, ...]] | None = None
    file: str = ""
    title: str = ""
    pe: int
    simd: int
    act: int = 16
    weight: int = 16
    cell: int = 18
    stream: int = 128
    lut_rows: int = 0
    uram_rows: int = 0
    loadable: bool = False
    reach: int = 0
    gather: int = 0
    dies: int = 1
    packed: bool = False
    parts: int = 1
    held_out: bool = False

    def plan(self) -> Plan:
        """The plan of its core."""
        if self.file:
            network = load(TFLITE / self.file)
        elif self.other:
            network = Network(((self.timesteps, self.features),), self.other(_Layers()))
        else:
            network = initialise(units=self.units, features=self.features,
                                 timesteps=self.timesteps, layers=self.layers,
                                 dense=self.dense or None)
        qnet = quantize(network, act_width=self.act, weight_width=self.weight,
                        cell_width=self.cell)
        array = Array(pe=self.pe, simd=self.simd, stream_bits=self.stream, reach=self.reach,
                      gather=self.gather, dies=self.dies, cross=CROSS if self.dies > 1 else 0,
                      packed=self.packed, parts=self.parts)
        return make_plan(qnet, array, lut_rows=self.lut_rows, uram_rows=self.uram_rows,
                         loadable=self.loadable)

    @property
    def sizes(self) -> str:
        """Its network and widths, for a table."""
        dense = f", Dense({self.dense})" if self.dense else ""
        widths = "int8" if self.file else f"{self.weight}/{self.act}/{self.cell} bits"
        slices = ("; two products a slice" * self.packed
                  + (f", {self.parts} beats a chunk" if self.parts > 1 else ""))
        layers = self.title or f"{self.layers} x LSTM({self.units})"
        levels = f"; reach {self.reach}, gather {self.gather}" if self.reach or self.gather else ""
        dies = f"; {self.dies} dies" if self.dies > 1 else ""
        return (f"{layers} on {self.timesteps} x {self.features}{dense}; "
                f"{widths}; {self.stream} bit streams{levels}{dies}{slices}")


CASES = (
    Case(name="tiny", units=4, features=2, timesteps=3, pe=4, simd=1),
    Case(name="tall", units=16, features=3, timesteps=4, pe=64, simd=1, dense=2),
    Case(name="pair", units=12, features=6, timesteps=4, layers=2, pe=16, simd=2),
    Case(name="square", units=32, features=8, timesteps=4, layers=2, dense=3, pe=16, simd=4),
    Case(name="odd", units=37, features=17, timesteps=3, dense=5, pe=20, simd=5),
    Case(name="stack", units=16, features=8, timesteps=5, layers=3, pe=32, simd=4),
    Case(name="full", units=16, features=16, timesteps=4, layers=2, dense=4, pe=64, simd=4),
    Case(name="wide", units=32, features=16, timesteps=4, pe=16, simd=16, dense=8),
    Case(name="deep", units=64, features=32, timesteps=6, layers=2, pe=16, simd=8, dense=1),
    Case(name="narrow", units=24, features=12, timesteps=4, layers=2, dense=2, pe=32, simd=6,
         act=8, weight=8, cell=12),
    Case(name="twelve", units=20, features=10, timesteps=4, layers=2, dense=4, pe=40, simd=5,
         act=12, weight=12, cell=16),
    Case(name="mixed", units=16, features=8, timesteps=8, pe=32, simd=8, act=16, weight=8,
         stream=512),
    Case(name="in-luts", units=32, features=8, timesteps=3, layers=2, pe=32, simd=2, act=12,
         weight=8, cell=14, lut_rows=16),
    Case(name="long", units=16, features=4, timesteps=64, layers=1, dense=1, pe=32, simd=4,
         stream=64),
    Case(name="loaded", units=16, features=8, timesteps=4, layers=2, pe=16, simd=4, act=12,
         weight=12, cell=16, loadable=True),
    Case(name="ultra", units=40, features=12, timesteps=3, dense=1, pe=20, simd=10, loadable=True,
         uram_rows=12),
    Case(name="gru", features=8, timesteps=4, pe=24, simd=6, title="GRU(24), Dense(3) sigmoid",
         other=lambda of: (of.gru(8, 24), of.dense(24, 3, "sigmoid"))),
    Case(name="reset", features=6, timesteps=5, pe=16, simd=4, act=12, weight=12,
         title="GRU(16) reset before, GRU(12)",
         other=lambda of: (of.gru(6, 16, reset_after=False, steps=True), of.gru(16, 12))),
    Case(name="conv", features=3, timesteps=24, pe=24, simd=4,
         title="Conv1D(8, 5), MaxPool(2), LSTM(12), Dense(2) tanh",
         other=lambda of: (of.conv(3, 8, 5), MaxPool(window=Window(2, stride=2)), of.lstm(8, 12),
                           of.dense(12, 2, "tanh"))),
    Case(name="state", features=10, timesteps=2, pe=20, simd=5, loadable=True,
         title="stateful LSTM(20), LSTM(20), Dense(4)",
         other=lambda of: (of.lstm(10, 20, steps=True, stateful=True),
                           of.lstm(20, 20, stateful=True), of.dense(20, 4))),
    Case(name="int8", features=5, timesteps=12, pe=8, simd=3, stream=32,
         title="LSTM(17), LSTM(9), Dense(3)", file="stacked.tflite"),
    Case(name="packed", features=2, timesteps=90, pe=32, simd=4, packed=True, parts=2,
         title="3 Conv1D, LSTM(6), Dense(16), Dense(16), Dense(13)", file="forum.tflite"),
    Case(name="new-100", units=100, features=17, timesteps=3, pe=40, simd=3, dense=6,
         held_out=True),
    Case(name="new-stack", units=20, features=6, timesteps=5, layers=3, dense=3, pe=20, simd=12,
         act=12, weight=16, cell=18, stream=256, held_out=True),
    Case(name="new-eight", units=48, features=24, timesteps=3, layers=2, pe=24, simd=7, act=8,
         weight=8, cell=16, stream=64, held_out=True),
    Case(name="new-tall", units=28, features=5, timesteps=6, layers=2, pe=112, simd=2, dense=9,
         act=16, weight=12, held_out=True),
    Case(name="new-large", units=64, features=32, timesteps=4, pe=128, simd=8, dense=10,
         held_out=True),
    Case(name="new-1536", units=64, features=32, timesteps=3, pe=256, simd=6, reach=1, gather=1,
         held_out=True),
    Case(name="new-dies", units=40, features=12, timesteps=3, pe=96, simd=4, dense=9, reach=2,
         gather=1, dies=3, held_out=True),
    Case(name="new-4224", units=96, features=48, timesteps=3, pe=384, simd=11, act=8, weight=8,
         cell=16, stream=512, held_out=True),
    Case(name="new-int8", features=6, timesteps=5, pe=24, simd=2, packed=True, held_out=True,
         title="encoder and decoder: LSTM(11), LSTM(5), LSTM(5), LSTM(11), Dense(6)",
         file="autoencoder.tflite"),
    Case(name="new-gru", features=12, timesteps=6, pe=40, simd=10, act=8, weight=8, cell=16,
         title="LSTM(20), GRU(16), Dense(5) relu", held_out=True,
         other=lambda of: (of.lstm(12, 20, steps=True), of.gru(20, 16), of.dense(16, 5, "relu"))),
)
