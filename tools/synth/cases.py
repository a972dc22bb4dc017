"""The cores that the resource formulas are compared on: small, and different in every parameter."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.gen.initialise import initialise
from gatefold.gen.plan import Plan, make_plan
from gatefold.gen.quantize import quantize

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A seeded network (``dense`` 0: none), its widths in bits, an array and a stream.

    ``held_out``: the formulas were not fitted to it; it shows what they are worth elsewhere.
    """

    name: str
    units: int
    features: int
    timesteps: int
    layers: int = 1
    dense: int = 0
    pe: int
    simd: int
    act: int = 16
    weight: int = 16
    cell: int = 18
    stream: int = 128
    lut_rows: int = 0
    uram_rows: int = 0
    loadable: bool = False
    held_out: bool = False

    def plan(self) -> Plan:
        """The plan of its core."""
        network = initialise(units=self.units, features=self.features, timesteps=self.timesteps,
                             layers=self.layers, dense=self.dense or None)
        qnet = quantize(network, act_width=self.act, weight_width=self.weight,
                        cell_width=self.cell)
        return make_plan(qnet, pe=self.pe, simd=self.simd, stream_bits=self.stream,
                         lut_rows=self.lut_rows,
                         uram_rows=self.uram_rows, loadable=self.loadable)

    @property
    def sizes(self) -> str:
        """For a table: what it is."""
        dense = f", Dense({self.dense})" if self.dense else ""
        return (f"{self.layers} x LSTM({self.units}) on {self.timesteps} x {self.features}{dense}; "
                f"{self.weight}/{self.act}/{self.cell} bits; {self.stream} bit streams")


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
    Case(name="new-100", units=100, features=17, timesteps=3, pe=40, simd=3, dense=6,
         held_out=True),
    Case(name="new-stack", units=20, features=6, timesteps=5, layers=3, dense=3, pe=20, simd=12,
         act=12, weight=16, cell=18, stream=256, held_out=True),
    Case(name="new-eight", units=48, features=24, timesteps=3, layers=2, pe=24, simd=7, act=8,
         weight=8, cell=16, stream=64, held_out=True),
    Case(name="new-tall", units=28, features=5, timesteps=6, layers=2, pe=112, simd=2, dense=9,
         act=16, weight=12, held_out=True),
)
