"""What each layer asks of an array before there are ops: rows, columns, multiplications."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from gatefold.gen.network.graph import Dense, Network, Recurrent, Rnn
from gatefold.gen.network.views import Permute, RepeatVector, Reshape
from gatefold.gen.numbers.quantized import (
    QDense,
    QMultiply,
    QRecurrent,
    QRnn,
    QuantizedNetwork,
    QView,
)

__all__ = ["Demand", "demands", "must_multiply"]


@dataclass(frozen=True)
class Demand:
    """The size of a layer's work, for rough counts.

    rows: of its matrix. columns: those that meet the layer's input. own: those that meet its own
    last result (none at step 0). steps: how often the matrix is applied. windows: it is a
    convolution, whose steps may be computed several at a time.
    """

    rows: int
    columns: int
    own: int
    steps: int
    windows: bool

    def tiles(self, pe: int, simd: int) -> int:
        """About how many tiles it takes."""
        if self.windows:
            return ceil(1.1 * self.steps * self.rows * self.columns / (pe * simd))
        return self.groups(pe, simd) * (self.steps * ceil(self.columns / simd)
                                        + (self.steps - 1) * ceil(self.own / simd))

    def words(self, pe: int, simd: int) -> int:
        """About how many weight words it takes, at least."""
        return self.groups(pe, simd) * (ceil(self.columns / simd) + ceil(self.own / simd))

    def groups(self, pe: int, simd: int) -> int:
        """Groups of rows that the array works on one after the other."""
        return ceil(self.rows / pe)


def demands(network: QuantizedNetwork | Network) -> list[Demand]:
    """What each layer with weights asks; the same of a float network as of its quantised form."""
    found = []
    for n, layer in enumerate(network.layers):
        shapes = network.shapes_into(n)
        if isinstance(layer, QRecurrent | Recurrent):
            gates = 1 if isinstance(layer, QRnn | Rnn) else 4
            found.append(Demand(gates * layer.units, layer.features, layer.units, shapes[0][0],
                                False))
        elif isinstance(layer, QDense | Dense):
            steps = layer.output_shape(*shapes)[:-1]
            columns = layer.features if layer.pattern is None else min(
                layer.features, 2 * int(layer.pattern.sum(axis=1).max()))
            found.append(Demand(layer.outputs, columns, 0, prod(steps),
                                layer.window is not None))
    return found or [Demand(4, 1, 0, 1, False)]


def must_multiply(qnet: QuantizedNetwork) -> int:
    """Multiplications of one inference that no schedule can leave out.

    Not counted are products with a one or a zero that only the kind of a layer brings about (sums,
    pools, padding), R.h at a zero start, and the input part of a repeated vector after its first
    step.
    """
    total = 0
    alike = [_steps(shape) == 1 for shape in qnet.input_shapes]  # every step has the same vector
    for n, layer in enumerate(qnet.layers):
        shapes = qnet.shapes_into(n)
        same = alike[layer.inputs[0]]
        if isinstance(layer, QView):
            repeats = isinstance(layer.view, RepeatVector)
            alike.append(repeats or (same and not isinstance(layer.view, Reshape | Permute)))
            continue
        alike.append(False)
        if isinstance(layer, QRecurrent):
            given = layer.stateful or len(layer.inputs) > 1
            steps = shapes[0][0]
            total += (1 if same else steps) * layer.w_ih.size
            total += (steps if given else steps - 1) * layer.w_hh.size
        elif isinstance(layer, QDense) and layer.pattern is None:
            there = layer.gather(np.ones(shapes[0], np.int8)).reshape(-1, layer.features)
            met = there[:1] if same and layer.window is None else there
            total += int(np.count_nonzero(met)) * layer.outputs
        elif isinstance(layer, QMultiply):
            total += int(np.prod(shapes[0]))
    return total


def _steps(shape: tuple[int, ...]) -> int:
    return prod(shape[:-1])
