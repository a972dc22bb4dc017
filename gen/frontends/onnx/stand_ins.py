"""What takes the place of the results of a node that was refused, so that what reads them can be
examined all the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.frontends.onnx.site import Value
from gatefold.gen.frontends.refusals import StandIn

__all__ = ["declared", "stand_ins"]

#: Operators that are refused, always or with some inputs, and whose result has the shape of their
#: first input from the network.
_KEEPS = {"LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish", "ThresholdedRelu",
          "Softplus", "Softsign", "HardSwish", "Erf", "Exp", "Log", "Sqrt", "Abs", "Sign", "Floor",
          "Ceil", "Round", "Reciprocal", "Sin", "Cos", "LogSoftmax", "Softmax", "Hardmax", "Clip",
          "Relu", "LayerNormalization", "GroupNormalization", "InstanceNormalization",
          "BatchNormalization", "LpNormalization", "LRN", "Dropout", "Cast", "QuantizeLinear",
          "DequantizeLinear", "DynamicQuantizeLinear", "CumSum"}
#: The same of operators with two operands: the larger one's.
_JOINS = {"Pow", "Div", "Mul", "Add", "Sub", "Min", "Max", "Mod"}


def stand_ins(trace: Trace, kind: str, inputs: Sequence[object], origin: str) -> list[Value]:
    """The outputs of a node whose shapes are certain, from the first one on; perhaps none.

    ``inputs`` may be anything that a graph holds. Raises what :class:`Trace` raises where the batch
    is mixed with others.
    """
    live = [value for value in inputs if isinstance(value, Net)]
    if not live:
        return []
    first = max(live, key=lambda value: value.ids.size) if kind in _JOINS else live[0]
    if kind in _JOINS:
        shapes = [value.ids.shape if isinstance(value, Net) else np.shape(value)  # type: ignore
                  for value in inputs]
        if np.broadcast_shapes(*shapes) != first.ids.shape:
            return []
    if kind in _KEEPS or kind in _JOINS:
        return [_like(trace, first.ids, (), origin)]
    table = inputs[0]
    if kind == "Gather" and isinstance(table, np.ndarray):  # an embedding
        return [_like(trace, live[0].ids, table.shape[1:], origin)]
    if kind in ("LSTM", "GRU", "RNN") and isinstance(inputs[0], Net):
        return _recurrent(trace, inputs[0].ids, inputs[2], origin)
    return []


def declared(trace: Trace, dims: Sequence[int], origin: str) -> Net:
    """A tensor of these dimensions, of a graph of one sample."""
    return Net(_new(trace, tuple(dims), origin).reshape(dims))


def _like(trace: Trace, ids: np.ndarray, more: tuple[int, ...], origin: str) -> Net:
    """A tensor of the shape of ``ids`` with the axes ``more`` behind."""
    whole, back = trace.split(ids, 0)
    return Net(back(_new(trace, (*whole.shape[1:], *more), origin).reshape(*whole.shape, *more)))


def _recurrent(trace: Trace, ids: np.ndarray, r: object, origin: str) -> list[Value]:
    """Y and the last states, from x, (timesteps, batch, features), and R, (directions, rows,
    units)."""
    if ids.ndim != 3 or not isinstance(r, np.ndarray) or r.ndim != 3:
        return []
    steps, (directions, _, units) = trace.batch_at(ids, 1).shape[1], r.shape
    y = _new(trace, (steps, directions, units), origin).transpose(1, 2, 0, 3)
    states = [_new(trace, (directions, units), origin).swapaxes(0, 1) for _ in range(2)]
    return [Net(y), *map(Net, states)]


def _new(trace: Trace, shape: tuple[int, ...], origin: str) -> np.ndarray:
    """The numbers (batch, *shape) of a new value."""
    made = trace.builder.add(StandIn(shape=shape or (1,), origin=origin))
    return trace.layer(made).reshape(trace.batch, *shape)
