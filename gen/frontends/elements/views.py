"""Any arrangement of elements as views: exact, and proved by carrying it out.

The trace (:mod:`.trace`) knows for every element that an operator reads which value of the network
it comes from, and its place in that value. This module finds views that produce just that:

1. The whole of a value, as it is: nothing.
2. Elements of one value at constant strides: it is reshaped to *digits*, each digit is sliced, and
   the slices are permuted, repeated and reshaped. Several ways to choose the digits are tried; the
   first whose views, carried out, give the elements wanted is taken.
3. An arrangement with a period along an axis (a regular one, flattened) is made with that axis
   split, and reshaped.
4. Everything else is cut along an axis where the regularity breaks, and the pieces concatenated;
   zeros become padding.

So the views depend only on the origin of the elements, not on the operators that an exporter wrote;
and rule 4 always ends, in pieces of one element if need be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.network.graph import Network
from gatefold.gen.network.views import (
    Concat,
    Flatten,
    Pad,
    Permute,
    RepeatVector,
    Reshape,
    Reverse,
    Slice,
    View,
)

__all__ = ["Arranger", "ZERO", "rearranged"]

#: The source number of an element that is zero.
ZERO = -1
#: Most pieces that one network may be cut into: beyond, it is no arrangement but a table.
_MAX_PIECES = 4096

Step = tuple[type[View], dict]  # a view's class and its fields
Axis = tuple[int, int, int]  # length, stride, and which axis of the result it is


@dataclass
class Arranger:
    """Finds the values that hold given elements; equal arrangements share one value.

    Parameters: ``builder``, which gets the views.
    """

    builder: Builder

    def __post_init__(self):
        self._known: dict[tuple, int] = {}
        self._pieces = 0

    def value(self, source: np.ndarray, place: np.ndarray, origin: str) -> int:
        """The value of this arrangement: of each element, in the result's shape, the value it comes
        from (``source``, or :data:`ZERO`) and its place there, row-major.

        Raises :class:`UserError` where nothing but zeros is wanted, or too many pieces.
        """
        digest = hashlib.sha256(source.tobytes())
        digest.update(place.tobytes())
        key = (source.shape, digest.digest())
        if key not in self._known:
            self._known[key] = self._make(source, place, origin)
        return self._known[key]

    def _make(self, source: np.ndarray, place: np.ndarray, origin: str) -> int:
        if (source == ZERO).all():
            raise UserError("it reads nothing but zeros: nothing of it comes from the network's "
                            "input")
        cuts = [_cuts(source, place, axis) for axis in range(source.ndim)]
        if not any(cuts):
            value = int(source.flat[0])
            steps = _strided(self.builder.shapes[value], place)
            if steps is not None:
                for view, fields in steps:
                    value = self._step(value, view, fields, origin)
                return value
            _, axis = min((n, k) for k, n in enumerate(place.shape) if n > 1)
            return self._join(source, place, axis, list(range(1, place.shape[axis])), origin)
        for axis, found in enumerate(cuts):
            if found and (period := _period(source, place, axis)):
                n = place.shape[axis]
                shape = (*place.shape[:axis], n // period, period, *place.shape[axis + 1:])
                inner = self.value(source.reshape(shape), place.reshape(shape), origin)
                return self._step(inner, Reshape, {"shape": place.shape}, origin)
        axis = min((k for k, found in enumerate(cuts) if found), key=lambda k: len(cuts[k]))
        return self._join(source, place, axis, cuts[axis], origin)

    def _step(self, value: int, view: type[View], fields: dict, origin: str) -> int:
        if view is not Reshape:
            return self.builder.view(value, view, origin=origin, **fields)
        if len(fields["shape"]) == 1 and len(self.builder.shapes[value]) > 1:
            return self.builder.flatten(value, origin=origin)
        return self.builder.reshape(value, fields["shape"], origin=origin)

    def _join(self, source: np.ndarray, place: np.ndarray, axis: int, cuts: list[int],
              origin: str) -> int:
        """The pieces between the cuts along ``axis``, one after the other."""
        self._pieces += len(cuts) + 1
        if self._pieces > _MAX_PIECES:
            raise UserError(f"elements are picked in an order that takes more than {_MAX_PIECES} "
                            "slices: the network must move whole stretches of values")
        parts: list[int] = []
        zeros = before = 0
        for piece, where in zip(np.split(source, cuts, axis), np.split(place, cuts, axis),
                                strict=True):
            if (piece == ZERO).all():
                zeros += piece.shape[axis]
                continue
            if parts:
                parts[-1] = self._padded(parts[-1], axis, before, zeros, origin)
                before, zeros = 0, 0
            else:
                before, zeros = zeros, 0
            parts.append(self.value(piece, where, origin))
        parts[-1] = self._padded(parts[-1], axis, before, zeros, origin)
        if len(parts) == 1:
            return parts[0]
        return self.builder.view(parts, Concat, axis=axis, origin=origin)

    def _padded(self, value: int, axis: int, left: int, right: int, origin: str) -> int:
        """Zeros around ``value`` along ``axis``: Pad knows the first axis, of two or more."""
        if not left and not right:
            return value
        shape = self.builder.shapes[value]
        turn = (axis, *(k for k in range(len(shape)) if k != axis))
        if axis:
            value = self.builder.view(value, Permute, axes=turn, origin=origin)
        elif len(shape) == 1:
            value = self.builder.reshape(value, (*shape, 1), origin=origin)
        value = self.builder.view(value, Pad, left=left, right=right, origin=origin)
        if axis:
            return self.builder.view(value, Permute, origin=origin,
                                     axes=tuple(int(k) for k in np.argsort(turn)))
        return self.builder.flatten(value, origin=origin) if len(shape) == 1 else value


def rearranged(network: Network) -> Network:
    """``network`` with the views before each layer found again: the same function."""
    builder = Builder(*network.input_shapes)
    arranger = Arranger(builder)
    found: list[tuple[np.ndarray, np.ndarray]] = []  # of each value: sources and places

    def made(value: int) -> None:
        shape = builder.shapes[value]
        place = np.arange(math.prod(shape)).reshape(shape)
        found.append((np.full(shape, value), place))
    for value in range(len(network.input_shapes)):
        made(value)
    for layer in network.layers:
        read = [found[value] for value in layer.inputs]
        if isinstance(layer, View):
            found.append((layer.arrange(*(source[None] for source, _ in read), fill=ZERO)[0],
                          layer.arrange(*(place[None] for _, place in read))[0]))
        else:
            inputs = tuple(arranger.value(*one, layer.origin) for one in read)
            made(builder.add(replace(layer, inputs=inputs)))
    outputs = tuple(arranger.value(*found[value], "output") for value in network.outputs)
    return replace(network, layers=tuple(builder.layers), outputs=outputs)


def _cuts(source: np.ndarray, place: np.ndarray, axis: int) -> list[int]:
    """Where along ``axis`` another source begins, or the places stop advancing evenly."""
    n = place.shape[axis]
    sources = np.moveaxis(source, axis, 0).reshape(n, -1)
    advance = np.diff(np.moveaxis(place, axis, 0).reshape(n, -1), axis=0)
    other = (sources[1:] != sources[:-1]).any(axis=1)
    uneven = (advance[1:] != advance[:-1]).any(axis=1)
    if not other.any() and not uneven.any():
        return []
    cuts, start = [], 0
    for n, changes in enumerate(other.tolist()):
        if changes or (n > start and uneven[n - 1]):
            cuts.append(n + 1)
            start = n + 1
    return cuts


def _period(source: np.ndarray, place: np.ndarray, axis: int) -> int:
    """The shortest period along ``axis`` after which everything has advanced evenly, or 0."""
    n = place.shape[axis]
    sources, places = np.moveaxis(source, axis, 0), np.moveaxis(place, axis, 0)
    for period in range(2, n // 2 + 1):
        if n % period or (sources[period:] != sources[:-period]).any():
            continue
        advance = places[period:] - places[:-period]
        if n == 2 * period:  # one advance shows something only if it is the same for all
            even = advance == advance.flat[0]
        else:
            even = advance[period:] == advance[:-period]
        if even.all():
            return period
    return 0


def _strided(shape: tuple[int, ...], place: np.ndarray) -> list[Step] | None:
    """Views of one value of ``shape`` that give its elements ``place``; None if none were found."""
    origin = (0,) * place.ndim
    base = int(place[origin])
    axes = [(n, 0 if n == 1 else int(place[(*origin[:k], 1, *origin[k + 1:])]) - base, k)
            for k, n in enumerate(place.shape)]
    whole = np.arange(math.prod(shape)).reshape(1, *shape)
    for steps in _plans(shape, place.shape, base, axes):
        result = whole
        for view, fields in steps:
            result = view(**fields).arrange(result)
        if np.array_equal(result[0], place):
            return steps
    return None


def _plans(shape: tuple[int, ...], wanted: tuple[int, ...], base: int,
           axes: list[Axis]) -> Iterator[list[Step]]:
    """Candidates; the caller runs each and compares its result with the elements wanted."""
    if wanted == shape:
        yield []
    core = sorted((a for a in axes if a[0] > 1 and a[1]), key=lambda a: -abs(a[1]))
    repeats = [a for a in axes if a[0] > 1 and not a[1]]
    merged: list[Axis] = []
    for n, stride, k in core:
        if merged and merged[-1][1] == stride * n:
            merged[-1] = (merged[-1][0] * n, stride, k)
        else:
            merged.append((n, stride, k))
    size = math.prod(shape)
    for digits, sliced in ((shape, core), (shape, merged), (_digits(size, merged), merged),
                           (_digits(size, core), core)):
        slices = _slices(digits, base, sliced) if digits else None
        if slices is not None:
            steps, now = slices
            if digits != shape:
                steps.insert(0, (Reshape, {"shape": digits}))
            yield _tidy(steps + _ordered(now, core, repeats, wanted))


def _digits(size: int, axes: list[Axis]) -> tuple[int, ...]:
    """The shape of ``size`` elements in which each axis is a digit of its own, or ()."""
    weights = [size, *(abs(stride) for _, stride, _ in axes), 1]
    if any(high % low for high, low in zip(weights, weights[1:], strict=False)):
        return ()
    return tuple(high // low for high, low in zip(weights, weights[1:], strict=False)
                 if high != low)


def _slices(digits: tuple[int, ...], base: int,
            axes: list[Axis]) -> tuple[list[Step], tuple[int, ...]] | None:
    """Slices of ``digits``, one for each of ``axes`` (largest stride first) and the others at one
    place, and the shape they give; None where an axis is no part of a digit."""
    weights = [math.prod(digits[k + 1:]) for k in range(len(digits))]
    places = [base // weight % n for weight, n in zip(weights, digits, strict=True)]
    taken: dict[int, tuple[int, int]] = {}  # of a digit: length, step
    for n, stride, _ in axes:
        fits = [k for k, weight in enumerate(weights) if stride % weight == 0 and digits[k] > 1
                and 0 <= places[k] + stride // weight * (n - 1) < digits[k]
                and k > max(taken, default=-1)]
        if not fits:
            return None
        taken[fits[0]] = n, stride // weights[fits[0]]
    steps: list[Step] = []
    now = list(digits)
    for k in reversed(range(len(digits))):
        start, n = places[k], digits[k]
        if k in taken:
            length, step = taken[k]
            end = start + step * (length - 1)
            now[k] = length
            if step == -1 and length == n and k == 0:
                steps.append((Reverse, {}))
            elif length != n or step != 1:
                stop = end + 1 if step > 0 else end - 1 if end else None
                steps.append((Slice, {"axis": k, "start": start, "stop": stop, "step": step}))
        elif n > 1 and len(now) > 1:
            steps.append((Slice, {"axis": k, "start": start, "drop": True}))
            del now[k]
        elif n > 1:  # one element: there is no axis to drop it from
            steps.append((Slice, {"axis": k, "start": start, "stop": start + 1}))
            now[k] = 1
    return steps, tuple(now)


def _ordered(now: tuple[int, ...], core: list[Axis], repeats: list[Axis],
             wanted: tuple[int, ...]) -> list[Step]:
    """Steps from the sliced digits to the axes in their order, repeats and axes of one element
    included."""
    fine = tuple(n for n, _, _ in core) or (1,)
    order = [k for _, _, k in core]
    if not repeats and order == sorted(order):
        return [(Reshape, {"shape": wanted})] if wanted != now else []
    steps: list[Step] = [(Reshape, {"shape": fine})] if fine != now else []
    if repeats:
        ones = tuple(n for n, _, _ in repeats)
        if len(fine) > 1:
            steps.append((Flatten, {}))
        steps += [(RepeatVector, {"timesteps": math.prod(ones)}),
                  (Reshape, {"shape": ones + tuple(n for n, _, _ in core)})]
        order = [k for _, _, k in repeats] + order
    turn = tuple(int(k) for k in np.argsort(order))
    if turn != tuple(range(len(turn))):
        steps.append((Permute, {"axes": turn}))
    return [*steps, (Reshape, {"shape": wanted})]


def _tidy(steps: list[Step]) -> list[Step]:
    """``steps`` without those that a later Reshape undoes."""
    kept: list[Step] = []
    for step in steps:
        if step[0] is Reshape and kept and kept[-1][0] in (Reshape, Flatten):
            kept.pop()
        kept.append(step)
    return kept
