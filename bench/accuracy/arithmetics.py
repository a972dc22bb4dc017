"""The rows of the accuracy table, as data: the arithmetic of each, and its callable.

Four kinds: float; ``fixed``, one Q format for all values as in the paper, in golden's
arithmetic; ``cut``, the same formats where C++ cuts instead of rounding (:mod:`cut`); ``chosen``,
formats per tensor from calibration data. Add a :class:`Row` to :data:`ROWS` and it is scored,
tabulated and stored as the others are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from cut import Cut
from detection import HeldOut, Reconstruction, read

from gatefold.gen.frontends import load
from gatefold.gen.measure.search import find_widths
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Lstm
from gatefold.gen.network.views import View
from gatefold.gen.numbers.calibrate import Calibration, calibrate
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.numbers.tables import TABLE_BITS, table_for
from gatefold.sim.golden import run

__all__ = ["MODEL", "ROWS", "Made", "Row", "Shipped", "formats", "one_format"]

MODEL = Path(__file__).resolve().parents[2] / "models" / "mgab-autoencoder"
_STEPS = 50  # of the autoencoder's LSTMs
_CHUNK = 100  # windows at a time, for memory


class Shipped:
    """The network, its held-out windows and its calibration data, each read once."""

    @cached_property
    def network(self) -> Network:
        """The trained autoencoder."""
        return load(MODEL / "mgab-autoencoder.safetensors")

    @cached_property
    def held_out(self) -> HeldOut:
        """1,200 windows to judge, 800 for the threshold."""
        return read(MODEL / "held-out.npz")

    @cached_property
    def samples(self) -> np.ndarray:
        """200 other windows of the training series."""
        with np.load(MODEL / "calibration.npz", allow_pickle=False) as stored:
            return stored["x"]

    @cached_property
    def calibration(self) -> Calibration:
        """The values of the network's tensors on :attr:`samples`."""
        return calibrate(self.network, self.samples, look=True)


@dataclass(frozen=True)
class Made:
    """A row's callable x -> y, and for golden's arithmetic the quantised network behind it;
    ``settings``, the result of a search, ready for JSON."""

    reconstruct: Reconstruction
    qnet: QuantizedNetwork | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y of windows x (windows, steps, features), some at a time."""
        return np.concatenate([self.reconstruct(x[start:start + _CHUNK])
                               for start in range(0, len(x), _CHUNK)])


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes: ``key``, its name in measured.json; ``title``; ``kind``, of float, fixed, cut,
    chosen; ``bits``, of weights, activations, cell state and table, in words; ``make``, which makes
    its callable; ``points``, where the plot shows it: name of a series, place on its axis.
    """

    key: str
    title: str
    kind: str
    bits: str
    make: Callable[[Shipped], Made]
    points: tuple[tuple[str, int], ...] = ()


def one_format(network: Network, form: QFormat) -> dict[str, dict[str, object]]:
    """Overrides that give all values, weights and cell states of ``network`` one format."""
    found: dict[str, dict[str, object]] = {"input": {"activations": form}}
    for name, layer in zip(network.names, network.layers, strict=True):
        if not isinstance(layer, View):
            found[name] = {"weights": form, "activations": form}
        if isinstance(layer, Lstm):
            found[name]["cell"] = form
    return found


def formats(qnet: QuantizedNetwork) -> dict[str, str]:
    """Every format of a quantised network by layer and tensor, and its table's."""
    found = {"input": ", ".join(map(str, qnet.input_formats)),
             "table": f"{qnet.table.out_frac} bits of Q4.{qnet.table.frac}"}
    for layer in qnet.layers:
        for one in fields(layer):
            if isinstance(form := getattr(layer, one.name), QFormat):
                found[f"{layer.name} {one.name.removesuffix('_format')}"] = str(form)
    return found


# ---- makers of the callables -------------------------------------------------------------------


def _floats(dtype: type) -> Callable[[Shipped], Made]:
    return lambda of: Made(lambda x: forward(of.network, x, dtype=dtype))


def _golden(of: Shipped, settings: dict, found: Mapping[str, object] | None = None) -> Made:
    qnet = quantize(of.network, calibration=of.calibration, **settings)
    return Made(lambda x: run(qnet, x), qnet, found or {})


def _quantized(**settings) -> Callable[[Shipped], Made]:
    return lambda of: _golden(of, settings)


def _searched(error: float) -> Callable[[Shipped], Made]:
    def make(of: Shipped) -> Made:
        found = find_widths(of.network, error, calibration=of.samples, **_WELL)
        settings = {"act_width": found.act_width, "weight_width": found.weight_width,
                    "overrides": found.overrides}
        return _golden(of, settings | _WELL, settings)
    return make


# ---- the rows ----------------------------------------------------------------------------------

#: Formats chosen with more care than the defaults: see docs/accuracy.md, "What limits 8 bits".
_WELL = {"weight_rule": "mse", "table_bits": 12}


def _fixed(frac: int, width: int = 16, *, points: tuple[str, ...] = ()) -> Row:
    """One format; the table's results have its fractional bits too, as far as a table can."""
    form, table = QFormat(width, frac), max(frac, TABLE_BITS[0])
    return Row(f"fixed {form}", f"{form} everywhere", "fixed", f"w{width} a{width} c{width} "
               f"T{table}", _of_one(form, table), tuple(
                   (name, frac if name == "16 bits" else width) for name in points))


def _fixed_but_table(frac: int) -> Row:
    form = QFormat(16, frac)
    return Row(f"fixed {form} T16", f"{form} everywhere, but the table's results", "fixed",
               "w16 a16 c16 T16", _of_one(form, 16))


def _of_one(form: QFormat, table_bits: int) -> Callable[[Shipped], Made]:
    return lambda of: _golden(of, {"table_bits": table_bits,
                                   "overrides": one_format(of.network, form)})


def _cut(frac: int, what: str) -> Row:
    return Row(f"cut {what} Q{16 - frac}.{frac}", f"Q{16 - frac}.{frac} everywhere, every {what} "
               "cut", "cut", "w16 a16 c16",
               lambda of: Made(Cut(of.network, frac, products=what == "product")),
               ((f"every {what} cut", frac),))


def _chosen(weights: int, acts: int, title: str = "", *, key: str = "",
            points: tuple[tuple[str, int], ...] = (), **settings) -> Row:
    settings = {"weight_width": weights, "act_width": acts} | settings
    table = table_for(acts, settings.get("table_bits"), steps=_STEPS)
    bits = f"w{weights} a{acts} c{settings.get('cell_width', 18)} T{table.out_frac}"
    return Row(key or f"w{weights} a{acts} {title}".strip(),
               title or f"weights {weights}, activations {acts}", "chosen", bits,
               _quantized(**settings), points)


#: In the table's order.
ROWS: tuple[Row, ...] = (
    Row("float64", "float64", "float", "64", _floats(np.float64)),
    Row("float32", "float32", "float", "32", _floats(np.float32)),
    _fixed(12, points=("16 bits",)), _fixed(11, points=("16 bits", "one format")),
    *(_fixed(frac, points=("16 bits",)) for frac in (10, 8, 6, 4)),
    *map(_fixed_but_table, (8, 6, 4)),
    *(_cut(frac, "sum") for frac in (10, 8, 6, 4)), *(_cut(frac, "product") for frac in (8, 6, 4)),
    *(_fixed(width - 5, width, points=("one format",)) for width in (12, 10, 8)),
    _fixed(4, 8), _fixed(5, 8),
    _chosen(16, 16, "16 bits, the defaults", key="w16 a16", points=(("chosen", 16),)),
    *(_chosen(bits, bits, f"{bits} bits, well chosen", key=f"w{bits} a{bits}",
              points=(("chosen", bits),), **_WELL) for bits in (12, 10, 8, 7, 6, 5, 4)),
    _chosen(8, 8, "8 bits, the defaults"),
    _chosen(8, 8, "table of 12 bits", table_bits=12),
    _chosen(8, 8, "weights by mse", weight_rule="mse"),
    _chosen(8, 8, "all by mse, table of 12 bits", rule="mse", **_WELL),
    _chosen(8, 8, "weights by mse, values by percentile, table of 12 bits", rule="percentile",
            **_WELL),
    _chosen(8, 8, "weights by mse, output of 16 bits", weight_rule="mse", table_bits=8,
            overrides={"l4_dense": {"y": 16}}),
    *(_chosen(8, 8, f"cell state of {bits} bits", cell_width=bits) for bits in (12, 10, 8)),
    *(_chosen(weights, acts, **_WELL) for weights, acts in
      ((8, 16), (6, 16), (4, 16), (6, 8), (5, 8), (4, 8), (16, 8), (16, 6), (16, 4), (8, 6),
       (8, 4))),
    *(Row(f"searched {error:.1%}", f"widths by search, error up to {error:.1%}", "chosen",
          "searched", _searched(error)) for error in (0.005, 0.01)),
)
