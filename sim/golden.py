"""The golden model: ``docs/numbers.md`` executed in NumPy int64, vectorised over samples.

The hardware equals these functions bit for bit. Here are whole networks; :mod:`.layers` has their
layers, :mod:`.cells` the cells of recurrent layers, :mod:`.int8` LiteRT's integers and
:mod:`.scalars` rounding, saturation and tables. There is no float but the conversion at the two
ends of :func:`run`, and products in float64 where these are exact. The quantiser has shown that no
intermediate result leaves int64.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import joined, split
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QuantizedNetwork,
    QView,
    Table,
    alignment,
)
from gatefold.sim.cells import lstm_cell
from gatefold.sim.int8 import Finish, finished_int8
from gatefold.sim.layers import dense, history, max_pool, recurrent, turns
from gatefold.sim.scalars import (
    Clip,
    round_shift,
    saturate,
    saturated,
    sigmoid,
    tanh,
    tanh_magnitude,
)

__all__ = ["dense", "golden", "lstm_cell", "recurrent", "round_shift", "run", "saturate", "sigmoid",
           "tanh", "tanh_magnitude"]

def golden(qnet: QuantizedNetwork, x_int, *, trace: dict | None = None, fresh=None,
           instead: Mapping[int, np.ndarray] | None = None,
           saturations: dict | None = None,
           states: dict[str, dict[str, np.ndarray]] | None = None,
           finish: Finish = finished_int8) -> np.ndarray:
    """The network's output integers for input integers, (samples, *output_shape).

    Parameters: ``x_int``, (samples, *input_shape) integers within the inputs' formats; ``trace``, a
    dict that receives per layer name its tensors: of recurrent layers those that
    :func:`recurrent` records, of Dense layers ``acc`` and ``y``, of others ``y``, and under
    ``"saturations"`` per layer name and tensor (``u``, ``g``, ``n``, ``c``, ``h``, ``y``, ``m``,
    ``q``, ``tc``; the arguments of candidates that are flat where they are clamped count as ``u``)
    how many values were clamped: ``{"count", "total"}``; ``saturations``, a dict that receives
    these alone; ``fresh``, booleans (samples,): samples
    with which a new sequence begins in stateful layers; the first sample always begins one;
    ``instead``, integers that layers read instead of the computed ones, by value: so the errors of
    a single layer can be measured; ``states``, by the names of stateful layers what
    :func:`recurrent` and :func:`history` keep: if empty, sequences begin with zeros, and it
    receives the states with which they end; ``finish``, of int8 matrices, where another of
    LiteRT's resolvers is asked for.
    Raises :class:`UserError` for a wrong shape, type or range.
    """
    zeros = qnet.zeros[0]
    values = split(_checked(qnet, x_int), qnet.input_shapes)
    values = [x - zero for x, zero in zip(values, zeros, strict=True)] if zeros else values
    if qnet.split > 1:
        values = [_split(values[0], qnet.split, qnet.read_formats[0].width)]
    fracs = qnet.fracs
    begins = _begins(len(values[0]), fresh)
    cells: dict[int, np.ndarray] = {}  # final c of each LSTM, by its value
    counts: dict[str, dict] = {} if saturations is None else saturations
    counting = trace is not None or saturations is not None
    for n, layer in enumerate(qnet.layers):
        given = instead or {}
        read = [given.get(value, values[value]) for value in layer.inputs]
        kept = None
        if states is not None and getattr(layer, "stateful", False):
            kept = states.setdefault(layer.name, {})
        if isinstance(layer, QView):
            values.append(history(layer, read[0], begins, kept) if layer.stateful
                          else layer.view.arrange(*read))
            continue
        shifts = [alignment(form, fracs[value]) for form, value in
                  zip(_operands(layer), layer.inputs, strict=False)]
        read = [_up(x, shift) for x, shift in zip(read, shifts, strict=False)] + read[len(shifts):]
        clip = _Counter() if counting else saturated
        record: dict[str, np.ndarray] = {}
        if isinstance(layer, QCellState):
            read = [cells[layer.inputs[0]]]
        values.append(_apply(layer, qnet.table, read, begins, record, clip, trace is not None,
                             kept, finish))
        if isinstance(layer, QLstm):
            cells[qnet.value(n)] = record["c"][:, -1]
        if trace is not None:
            trace[layer.name] = record
        if isinstance(clip, _Counter):
            counts[layer.name] = clip.counts
    if trace is not None:
        trace["saturations"] = counts
    y = joined([values[value] for value in qnet.outputs])
    return y + qnet.output_zeros.reshape(y.shape[1:])


def _split(x: np.ndarray, parts: int, width: int) -> np.ndarray:
    """The operands of each element, side by side: they differ by one at most, and add up to it."""
    operands = (x[..., None] + np.arange(parts)) >> parts.bit_length() - 1
    return saturate(operands, width).reshape(*x.shape[:-1], -1)


def _operands(layer: QLayer) -> tuple:
    """Formats to which a layer's operands are aligned; initial states stay as they are."""
    if isinstance(layer, (QRecurrent, QDense, QMaxPool)):
        return (layer.x,)
    return (layer.a, layer.b) if isinstance(layer, QMultiply) else ()


def _up(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return x << shift if shift.any() else x


def _apply(layer: QLayer, table: Table, read: list[np.ndarray], begins: np.ndarray, record: dict,
           clip: Clip, everything: bool, kept: dict[str, np.ndarray] | None,
           finish: Finish) -> np.ndarray:
    if isinstance(layer, QRecurrent):
        recurrent(layer, table, read[0], read[1:], turns(begins, layer.stateful), record, clip,
                  everything, kept)
        return record["h"] if layer.return_sequences else record["h"][:, -1]
    if isinstance(layer, QDense):
        return dense(layer, table, read[0], record, clip, finish)
    if isinstance(layer, QMaxPool):
        record["y"] = max_pool(layer, read[0], clip)
    elif isinstance(layer, QMultiply):
        shift = layer.a.frac + layer.b.frac - layer.y.frac
        record["y"] = clip("y", round_shift(read[0] * read[1], shift), layer.y.width)
    elif isinstance(layer, QCellState):
        shift = layer.c.frac - layer.y.frac
        record["y"] = clip("y", round_shift(read[0], shift), layer.y.width)
    else:
        raise TypeError(f"golden knows no layer {type(layer).__name__}")
    return record["y"]


def _begins(samples: int, fresh) -> np.ndarray:
    """Samples that begin a sequence, as their numbers; the last number is ``samples``."""
    flags = np.zeros(samples, bool) if fresh is None else np.array(fresh)
    if flags.dtype != bool or flags.shape != (samples,):
        raise ValueError(f"golden fresh must be {samples} booleans, not {flags.dtype} of the shape "
                         f"{flags.shape}")
    flags[0] = True
    return np.append(np.flatnonzero(flags), samples)


def run(qnet: QuantizedNetwork, x_float) -> np.ndarray:
    """Floats (samples, *input_shape) in, floats out: quantise, :func:`golden`, scale."""
    x_float = np.asarray(x_float)
    if x_float.dtype.kind not in "fiu" or not np.isfinite(x_float).all():
        raise UserError("the input must hold finite real numbers, not "
                        f"{x_float.dtype} with NaN, infinities or other types: clean it")
    return qnet.to_float(golden(qnet, qnet.quantize(x_float)))


class _Counter:
    """A ``clip`` that counts the clamped values of each tensor."""

    def __init__(self):
        self.counts: dict[str, dict[str, int]] = {}

    def __call__(self, tensor: str, v: np.ndarray, bits: int) -> np.ndarray:
        result = saturate(v, bits)
        entry = self.counts.setdefault(tensor, {"count": 0, "total": 0})
        entry["count"] += int(np.count_nonzero(result != v))
        entry["total"] += v.size
        return result


def _checked(qnet: QuantizedNetwork, x_int) -> np.ndarray:
    x = np.asarray(x_int)
    wanted = "(samples, " + ", ".join(map(str, qnet.input_shape)) + ")"
    if x.dtype.kind not in "iu":
        raise UserError(f"the raw input must hold integers, not {x.dtype}: give floats without raw")
    if x.ndim != len(qnet.input_shape) + 1 or x.shape[1:] != tuple(qnet.input_shape) or not len(x):
        raise UserError(f"the input must have the shape {wanted} with at least one sample, "
                        f"not {x.shape}")
    several = len(qnet.input_shapes) > 1
    for n, (part, form) in enumerate(zip(split(x, qnet.input_shapes), qnet.input_formats,
                                         strict=True)):
        if int(part.min()) < form.lo or int(part.max()) > form.hi:
            which = f"raw input {n}" if several else "raw input"
            raise UserError(f"the {which} must lie in {form.lo}..{form.hi} ({form}), but it spans "
                            f"{int(part.min())}..{int(part.max())}: scale or clip it")
    return x.astype(np.int64)
