"""What each layer asks of an array before there are ops: rows, columns, multiplications."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from types import UnionType

import numpy as np

from gatefold.gen.network.graph import Dense, Gru, Lstm, Multiply, Network, Recurrent, Rnn
from gatefold.gen.network.views import History, Permute, RepeatVector, Reshape, View
from gatefold.gen.numbers.quantized import (
    QDense,
    QGru,
    QInt8Dense,
    QInt8Lstm,
    QLstm,
    QMultiply,
    QRecurrent,
    QRnn,
    QuantizedNetwork,
    QView,
)
from gatefold.gen.plan.layout import NOWHERE

__all__ = ["Demand", "demands", "lane_multipliers", "longest_chain", "looked_up", "must_multiply"]


@dataclass(frozen=True)
class Demand:
    """The size of a layer's work, for rough counts.

    size: elements of a result; per: matrix rows of an element. pieces: the columns that meet the
    layer's input, by the vectors that the input is put together from, each of which begins with a
    chunk of its own. own: the columns that meet the layer's last result (none at step 0). steps:
    how often the matrix is applied; met: how often to another input; recurs: how often to a last
    result. windows: it is a convolution, whose steps may be computed several at a time. sparse: the
    most columns of a row that are not zero by construction; 0, all. carrier: the place, among the
    demands, of a recurrent layer on each of whose results it rides if there are rows to spare
    (:mod:`gatefold.gen.plan.riders`); -1, none. both: it rides on that and on the other direction,
    so that a step takes tiles for half of its columns. kept: results that stay in the operand
    memory until other layers have read them.
    """

    size: int
    per: int
    pieces: tuple[int, ...]
    own: int
    steps: int
    met: int
    recurs: int
    windows: bool
    sparse: int = 0
    carrier: int = -1
    both: bool = False
    kept: int = 0

    @property
    def rows(self) -> int:
        """Rows of its matrix."""
        return self.size * self.per

    @property
    def columns(self) -> int:
        """Columns that meet the layer's input."""
        return sum(self.pieces)

    def spread(self, simd: int, dies: int) -> int:
        """Rows that it takes on several dies: each takes as many as the one with the most chunks
        (:func:`gatefold.gen.plan.dies.spread`)."""
        chunks = ceil(self.size / simd)
        most = ceil(chunks / dies) * simd
        if (chunks - 1) % dies == 0:  # the last chunk, perhaps not a full one
            most -= chunks * simd - self.size
        return most * self.per * dies

    def tiles(self, pe: int, simd: int, dies: int = 1) -> int:
        """About how many tiles it takes."""
        if self.windows:
            return ceil(1.1 * self.steps * self.rows * self.columns / (pe * simd))
        return (self.met * self._input_tiles(pe, simd, dies)
                + self.recurs * self.groups(pe, simd, dies) * ceil(self.own / simd))

    def riding(self, pe: int, simd: int, dies: int) -> int:
        """The same where it rides: only steps that have nothing to ride on take all their tiles."""
        whole = self._input_tiles(pe, simd, dies)
        if not self.both:
            return whole
        return min(2, self.steps) * whole + max(0, self.steps - 2) * ceil(self.pieces[0] / simd)

    def words(self, pe: int, simd: int) -> int:
        """About how many weight words it takes."""
        own = self.own if self.recurs else 0
        return self._input_tiles(pe, simd, 1) + self.groups(pe, simd, 1) * ceil(own / simd)

    def stored(self, simd: int, dies: int) -> int:
        """Words of a die's operand memory that its results take, at least."""
        if self.windows:  # a result may hold several steps
            return ceil(self.kept * self.size / (simd * dies))
        return self.kept * ceil(self.size / simd / dies)

    def _input_tiles(self, pe: int, simd: int, dies: int) -> int:
        """Tiles of a step that meet the layer's input."""
        groups = self.groups(pe, simd, dies)
        if self.sparse:  # each chunk of rows meets a chunk for each of these columns
            return self.sparse * ceil(self.rows / simd) + groups - 1
        return groups * sum(ceil(piece / simd) for piece in self.pieces)

    def groups(self, pe: int, simd: int, dies: int) -> int:
        """Groups of rows that the array works on one after the other."""
        return ceil(self.spread(simd, dies) / pe)


def demands(network: QuantizedNetwork | Network) -> list[Demand]:
    """What each layer with weights asks; the same of a float network as of its quantised form."""
    found: list[Demand] = []
    vectors = _vectors(network)
    carriers: dict[bytes, int] = {}  # recurrent layers by the vectors of their results
    read_again = {value for layer in network.layers for value in layer.inputs}
    readers = network.readers
    for n, layer in enumerate(network.layers):
        shapes = network.shapes_into(n)
        read = vectors[layer.inputs[0]]
        kept = prod(vectors[network.value(n)].shape[:-1]) if readers[network.value(n)] else 0
        if isinstance(layer, QRecurrent | Recurrent):
            gates = 1 if isinstance(layer, QRnn | Rnn) else 4
            steps, given = len(read), layer.stateful or len(layer.inputs) > 1
            same = not given and (read == read[:1]).all()
            carriers[vectors[network.value(n)][..., 0].tobytes()] = len(found)
            recurs = steps if given else steps - 1
            projects = getattr(layer, "w_hr", None) is not None
            found.append(Demand(layer.units, gates, _pieces(read[-1]), layer.recurring, steps,
                                1 if same else steps, recurs, False, kept=0 if projects else kept))
            if projects:
                found.append(Demand(layer.recurring, 1, (layer.units,), 0, recurs, recurs, 0,
                                    False, kept=kept))
        elif isinstance(layer, QDense | Dense):
            steps = prod(layer.output_shape(*shapes)[:-1])
            pieces = (layer.features,) if layer.window is not None else _pieces(
                read.reshape(-1, layer.features)[-1])
            sparse = 0 if layer.pattern is None else int(layer.pattern.sum(axis=1).max())
            rides = network.value(n) not in read_again and layer.window is None and not sparse
            carrier, both = _carrier(read.reshape(-1, read.shape[-1]), carriers) if rides \
                else (-1, False)
            found.append(Demand(layer.outputs, 1, pieces, 0, steps, steps, 0,
                                layer.window is not None and not sparse, sparse,
                                carrier, both, kept))
    return found or [Demand(1, 4, (1,), 0, 1, 1, 0, False)]


def looked_up(network: QuantizedNetwork | Network) -> int:
    """Memories of a lane that hold the table of tanh and sigmoid, as of
    :func:`gatefold.gen.plan.resources_lanes.tables`; a lane of int8 LSTMs has three tables."""
    def has(kinds: type | UnionType, field: str, *functions: str) -> bool:
        return any(isinstance(layer, kinds) and getattr(layer, field) in functions
                   for layer in network.layers)

    lstm, gru = QLstm | Lstm, QGru | Gru
    rows = 3 * has(lstm, "recurrent_activation", "sigmoid") + has(lstm, "activation", "tanh")
    return (ceil(rows / 2) + has(lstm, "activation", "tanh")
            + has(gru, "recurrent_activation", "sigmoid") + has(gru, "activation", "tanh")
            + has(QDense | Dense | QRnn | Rnn, "activation", "sigmoid", "tanh")
            + 3 * any(isinstance(layer, QInt8Lstm) for layer in network.layers))


def lane_multipliers(network: QuantizedNetwork | Network) -> int:
    """DSP slices of a lane, at least, as of :mod:`gatefold.gen.plan.resources_lanes`."""
    def has(*kinds: type) -> bool:
        return any(isinstance(layer, kinds) for layer in network.layers)

    return (3 * has(QLstm, Lstm) + 2 * has(QGru, Gru) + has(QMultiply, Multiply)
            + 20 * has(QInt8Lstm) + 2 * has(QInt8Dense))


def _carrier(read: np.ndarray, carriers: dict[bytes, int]) -> tuple[int, bool]:
    """What carries a layer that reads these vectors (steps, elements), and whether it is both
    directions, as of :class:`Demand`."""
    first, last = read[..., 0], read[..., -1]
    half = read.shape[-1] // 2
    one, other = carriers.get(first.tobytes(), -1), carriers.get(last[::-1].tobytes(), -1)
    if (read == first[..., None]).all():
        return one, False
    both = (min(one, other) >= 0 and (read[..., :half] == first[..., None]).all()
            and (read[..., half:] == last[..., None]).all())
    return (one, True) if both else (-1, False)


def longest_chain(network: QuantizedNetwork | Network) -> int:
    """The most results that follow one another, each of which waits for the one before it: a step
    of a recurrent layer for its last step, a layer for the layers that it reads."""
    vectors = _vectors(network)
    there = np.zeros(1 + max(int(ids.max(initial=0)) for ids in vectors), np.int64)

    def before(ids: np.ndarray) -> np.ndarray:
        """Of vectors (..., elements), the links in front of each."""
        return np.where(ids >= 0, there[ids], 0).max(axis=-1, initial=0)

    for n, layer in enumerate(network.layers):
        if isinstance(layer, QView | View):
            continue
        reads, made = [vectors[value] for value in layer.inputs], vectors[network.value(n)]
        if isinstance(layer, QRecurrent | Recurrent):
            each = 1 if (getattr(layer, "reset_after", True)
                         and getattr(layer, "w_hr", None) is None) else 2
            last = max((int(before(state)) for state in reads[1:]), default=0)
            # The second op of the first step meets a state, which may be zero.
            zero = not layer.stateful and len(reads) == 1 and layer.h0 is None
            links = []
            for begins in before(reads[0]).tolist():
                last = max(last, begins) + (1 if zero and not links else each)
                links.append(last)
            there[made[..., 0]] = links if layer.return_sequences else last
        elif isinstance(layer, QDense | Dense):
            met = layer.gather(reads[0], NOWHERE).reshape(*made.shape[:-1], layer.features)
            there[made[..., 0]] = before(met) + 1
        else:  # at least
            there[made[..., 0]] = min(int(before(read).min()) for read in reads) + 1
    return max(1, *(int(before(vectors[value]).max()) for value in network.outputs))


def _vectors(network: QuantizedNetwork | Network) -> list[np.ndarray]:
    """Of every value, an array of its shape: which vector, a row of a value that is stored, each
    element belongs to."""
    found: list[np.ndarray] = []
    count = 0
    for value, shape in enumerate(network.shapes):
        layer = network.layers[value - len(network.input_shapes)] \
            if value >= len(network.input_shapes) else None
        if isinstance(layer, QView | View):
            view = layer.view if isinstance(layer, QView) else layer
            read = [found[one][None] for one in layer.inputs]
            found.append(view.arrange(*read, fill=NOWHERE)[0])
            continue
        rows = np.arange(count, count + prod(shape[:-1]), dtype=np.int32)
        count += len(rows)
        found.append(np.broadcast_to(rows.reshape(*shape[:-1], 1), shape))
    return found


def _pieces(vector: np.ndarray) -> tuple[int, ...]:
    return tuple(np.unique(vector[vector >= 0], return_counts=True)[1].tolist()) or (1,)


def must_multiply(qnet: QuantizedNetwork) -> int:
    """Multiplications of one inference that no schedule can leave out.

    Not counted are products with a one or a zero that only the kind of a layer brings about (sums,
    pools, padding), R.h at a zero start, the input part of a repeated vector after its first step,
    and of the operands that an element is split into all but one.
    """
    total = 0
    alike = [_steps(shape) == 1 for shape in qnet.input_shapes]  # every step has the same vector
    for n, layer in enumerate(qnet.layers):
        shapes = qnet.shapes_into(n)
        same = alike[layer.inputs[0]]
        if isinstance(layer, QView):
            repeats = isinstance(layer.view, RepeatVector)
            alike.append(repeats or (same and not isinstance(
                layer.view, History | Reshape | Permute)))
            continue
        alike.append(False)
        if isinstance(layer, QRecurrent):
            given = layer.stateful or len(layer.inputs) > 1
            steps = shapes[0][0]
            total += (1 if same else steps) * layer.w_ih.size // layer.split
            total += (steps if given else steps - 1) * sum(
                weights.size for weights in (layer.w_hh, getattr(layer, "w_hr", None))
                if weights is not None)
        elif isinstance(layer, QDense) and layer.pattern is None:
            there = layer.gather(np.ones(shapes[0], np.int8)).reshape(-1, layer.features)
            met = there[:1] if same and layer.window is None else there
            total += int(np.count_nonzero(met)) // layer.split * layer.outputs
        elif isinstance(layer, QMultiply):
            total += int(np.prod(shapes[0]))
    return total


def _steps(shape: tuple[int, ...]) -> int:
    return prod(shape[:-1])
