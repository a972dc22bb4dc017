"""Layers applied to element numbers, which ONNX's operators and torch's functions share.

A function here takes the numbers of a tensor's elements in any arrangement, and returns the numbers
of the result in the same arrangement. A function of every element alone is applied in the order
that its input has in the network (:meth:`~.trace.Trace.settled`), so the channels of a convolution
are never transposed for an activation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.network.layers import Shape, Window

__all__ = ["Elements", "activated", "added", "each", "matrix", "multiplied", "reduced", "scaled",
           "softmax"]


def matrix(trace: Trace, ids: np.ndarray, layer: Callable[[int], int],
           origin: str = "") -> np.ndarray:
    """``layer`` (a function of a value) applied to the last axis of ``ids``, (..., features)."""
    whole, back = trace.split(ids, 1)
    value = layer(trace.read(trace.natural(whole), origin))
    return back(trace.layer(value).reshape(*whole.shape[:-1], -1))


def each(trace: Trace, ids: np.ndarray, layer: Callable[[int], int],
         origin: str = "") -> np.ndarray:
    """``layer`` (a function of a value) applied to every element alone."""
    stage, order = trace.settled(ids, origin)
    return order - stage.base + trace.stage(layer(stage.value)).base


def activated(trace: Trace, ids: np.ndarray, kind: str, origin: str = "",
              **slope: float) -> np.ndarray:
    """An activation of every element; ``slope`` as of :meth:`~.builder.Builder.activation`."""
    return each(trace, ids, lambda value: trace.builder.activation(
        value, kind, origin=origin, **slope), origin)


def scaled(trace: Trace, ids: np.ndarray, gain, offset, origin: str = "") -> np.ndarray:
    """gain * ids + offset, with constants of any shapes that broadcast with that of ``ids``.

    The axes of the value along which the constants change become its features.
    """
    factors = [np.asarray(gain, np.float64), np.asarray(offset, np.float64)]
    if not all(np.isfinite(factor).all() for factor in factors):
        raise UserError("its constant holds NaN or infinite weights: train or export it again")
    ids = np.broadcast_to(ids, _common(trace, ids, *factors))
    if (factors[0] == 1).all() and not factors[1].any():
        return ids
    stage, order = trace.settled(ids, origin)
    places = order - stage.base
    spread = []
    for factor in factors:
        if factor.size == 1:
            spread.append(np.broadcast_to(factor.reshape(()), stage.shape))
            continue
        values = np.empty(places.size)
        values[places] = np.broadcast_to(factor, ids.shape)
        values = values.reshape(trace.batch, *stage.shape)
        if (values != values[:1]).any():
            raise UserError("its constant differs between the samples of a batch: export the model "
                            "with a batch of 1")
        spread.append(values[0])
    varying = [k for k in range(len(stage.shape))
               if any((values != np.take(values, [0], k)).any() for values, factor
                      in zip(spread, factors, strict=True) if factor.size > 1)]
    varying = varying or [len(stage.shape) - 1]
    fixed = [k for k in range(len(stage.shape)) if k not in varying]
    turn = [*fixed, *varying]
    shape = tuple(stage.shape[k] for k in turn)
    features = math.prod(shape[len(fixed):])
    turned = trace.whole(stage).transpose(0, *(k + 1 for k in turn)).reshape(
        trace.batch, *shape[:len(fixed)], features)
    constants = [values.transpose(turn).reshape(-1, features)[0] for values in spread]
    value = trace.builder.scale(trace.read(turned, origin), *constants, origin=origin)
    new = trace.layer(value).reshape(trace.batch, *shape).transpose(
        0, *(int(k) + 1 for k in np.argsort(turn)))
    return new.reshape(-1)[places]


def _common(trace: Trace, first: np.ndarray, *others: np.ndarray) -> Shape:
    """The shape to which the arrays broadcast."""
    try:
        return np.broadcast_shapes(first.shape, *(one.shape for one in others))
    except ValueError:
        raise UserError(f"a tensor of the shape {trace.shown(first)} is combined with one of "
                        f"{', '.join(str(one.shape) for one in others)}: they must have one shape, "
                        "or broadcast to one") from None


def _joined(trace: Trace, operands: Sequence[np.ndarray], join: Callable[[list[int]], int],
           origin: str = "") -> np.ndarray:
    """``join`` applied to values of one shape. Each holds one of ``operands``, in the order that
    one of them has in the network."""
    shape = _common(trace, *operands)
    spread = [np.broadcast_to(ids, shape) for ids in operands]
    first = next((ids for ids in spread if trace.is_settled(ids)), spread[0])
    stage, order = trace.settled(first, origin)
    places = order - stage.base
    values = []
    for ids in spread:
        arranged = np.empty(places.size, np.int64)
        arranged[places] = ids
        values.append(trace.read(arranged.reshape(trace.batch, *stage.shape), origin))
    return places + trace.stage(join(values)).base


def added(trace: Trace, operands: Sequence[Net | np.ndarray], gains: Sequence[float],
          origin: str = "") -> np.ndarray:
    """The sum of computed tensors, or of one and constants, each times its gain."""
    pairs = list(zip(operands, gains, strict=True))
    nets = [(one.ids, gain) for one, gain in pairs if isinstance(one, Net)]
    if len(nets) < len(pairs):
        offset = sum(gain * np.asarray(one, np.float64) for one, gain in pairs
                     if not isinstance(one, Net))
        return scaled(trace, *nets[0], offset, origin)
    return _joined(trace, [ids for ids, _ in nets], lambda values: trace.builder.add_values(
        values, gains, origin=origin), origin)


def multiplied(trace: Trace, a: Net | np.ndarray, b: Net | np.ndarray,
               origin: str = "") -> np.ndarray:
    """The product of two computed tensors, or of one and a constant."""
    if isinstance(a, Net) and isinstance(b, Net):
        return _joined(trace, [a.ids, b.ids], lambda values: trace.builder.multiply(
            *values, origin=origin), origin)
    net, factor = (a, b) if isinstance(a, Net) else (b, a)
    assert isinstance(net, Net)
    return scaled(trace, net.ids, factor, 0.0, origin)


def reduced(trace: Trace, ids: np.ndarray, axes: tuple[int, ...], average: bool,
            origin: str = "") -> np.ndarray:
    """The average or the largest along ``axes``, which keep one element each."""
    last = tuple(range(ids.ndim - len(axes), ids.ndim))
    moved = np.moveaxis(ids, axes, last)
    lead, count = moved.shape[:ids.ndim - len(axes)], math.prod(moved.shape[ids.ndim - len(axes):])
    whole, back = trace.split(moved.reshape(*lead, count), 1)
    rows = whole.reshape(len(whole), -1, count).swapaxes(1, 2)  # (batch, count, the rest)
    pool = trace.builder.average_pool if average else trace.builder.max_pool
    value = pool(trace.read(rows, origin), Window(count, count), origin=origin)
    return np.expand_dims(back(trace.layer(value).reshape(whole.shape[:-1])), axes)


def softmax(trace: Trace, ids: np.ndarray, axis: int, origin: str = "") -> np.ndarray:
    """A softmax over one axis, which the host computes: only for an output of the network, or where
    the model is cut."""
    if trace.builder.cut is not None:
        moved = matrix(trace, np.moveaxis(ids, axis, -1), trace.builder.softmax, origin)
        return np.moveaxis(moved, -1, axis)
    whole, back = trace.split(np.moveaxis(ids, axis, -1), 1)
    new = trace.softmax(trace.natural(whole), origin).reshape(whole.shape)
    return np.moveaxis(back(new), -1, axis)


@dataclass(frozen=True)
class Elements:
    """The algebra of :mod:`~gatefold.gen.frontends.curves` on element numbers."""

    trace: Trace
    origin: str = ""

    def scaled(self, x: np.ndarray, gain, offset) -> np.ndarray:
        """See :func:`scaled`."""
        return scaled(self.trace, x, gain, offset, self.origin)

    def activated(self, x: np.ndarray, kind: str) -> np.ndarray:
        """See :func:`activated`."""
        return activated(self.trace, x, kind, self.origin)

    def added(self, xs: Sequence[np.ndarray], gains: Sequence[float]) -> np.ndarray:
        """See :func:`added`."""
        return added(self.trace, [Net(x) for x in xs], gains, self.origin)

    def multiplied(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """See :func:`multiplied`."""
        return multiplied(self.trace, Net(a), Net(b), self.origin)
