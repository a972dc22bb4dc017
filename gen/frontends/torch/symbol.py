"""A torch tensor while a network is read: a value of the network, and where its axes are.

A value has no batch, a torch tensor has one somewhere; torch calls a convolution's value (channels,
timesteps), here it is (timesteps, features). A :class:`Symbol` keeps the two apart: each dimension
of the tensor names the axes of the value that it holds, so that ``permute``, ``view`` and
``unsqueeze`` mostly cost nothing, and a view is added to the network only where a layer needs its
input in another order. Nothing here imports torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.network.graph import Concat, Permute, Shape, Slice, View

__all__ = ["BATCH", "SAMPLES", "BatchElsewhere", "Stacked", "Symbol", "combined",
           "concatenated"]

#: The axis of a dimension that is the batch, or part of it.
BATCH = -1
#: Its size: a prime that no layer has, so that a shape that holds it tells where it is.
SAMPLES = 997


class BatchElsewhere(UserError):
    """The batch is not where a layer or function can take it; it may be another dimension.

    Parameters: ``what`` is wrong where; what helps always is added.
    """

    def __init__(self, what: str):
        super().__init__(f"{what}: only whole samples can be computed; take sizes from x.size() "
                         "and keep the batch a dimension of its own")


class Symbol:
    """A tensor.

    Parameters: ``builder``; ``value``, number of the value that holds the elements; ``dims``, for
    each dimension of the tensor the axes of the value in it, outermost first, :data:`BATCH` among
    them. Axes in no dimension have size 1, and so have dimensions without axes.
    ``sizes`` is the value's shape.
    """

    def __init__(self, builder: Builder, value: int, dims: Sequence[tuple[int, ...]]):
        self.builder, self.value, self.dims = builder, value, tuple(dims)
        self.sizes: Shape = builder.shapes[value]

    @classmethod
    def of(cls, builder: Builder, value: int, batch: int | None) -> Symbol:
        """The tensor of a whole value, the batch at dimension ``batch`` (None: nowhere)."""
        dims: list[tuple[int, ...]] = [(axis,) for axis in range(len(builder.shapes[value]))]
        if batch is not None:
            dims.insert(batch, (BATCH,))
        return cls(builder, value, dims)

    @property
    def shape(self) -> Shape:
        """What torch would say, a batch being of :data:`SAMPLES`."""
        return tuple(math.prod(self._size(axis) for axis in dim) for dim in self.dims)

    @property
    def origin(self) -> int:
        """The value that these elements were computed as, behind views that are torch's too."""
        value, inputs = self.value, len(self.builder.input_shapes)
        while value >= inputs:
            layer = self.builder.layers[value - inputs]
            if not isinstance(layer, View) or isinstance(layer, Concat):
                break
            value = layer.inputs[0]
        return value

    def dim(self, n: int) -> int:
        """Dimension ``n`` counted from 0."""
        if not isinstance(n, int) or not -len(self.dims) <= n < len(self.dims):
            raise UserError(f"a tensor of the shape {self.told} has no dimension {n!r}")
        return n % len(self.dims)

    def _size(self, axis: int) -> int:
        return SAMPLES if axis == BATCH else self.sizes[axis]

    @property
    def told(self) -> str:
        """The shape in a message."""
        return "(" + ", ".join("batch" if BATCH in dim else str(size)
                               for dim, size in zip(self.dims, self.shape, strict=True)) + ")"

    def _like(self, dims: Sequence[tuple[int, ...]]) -> Symbol:
        return self._made(self.value, dims)

    def _made(self, value: int, dims: Sequence[tuple[int, ...]]) -> Symbol:
        return Symbol(self.builder, value, dims)

    # ---- for layers ------------------------------------------------------------------------------

    def settled(self) -> Symbol:
        """The same tensor with its axes in the order of its dimensions, one each, none of size 1;
        beside the batch, in one dimension with it, they stay apart."""
        order = [axis for dim in self.dims for axis in dim if axis != BATCH]
        order += [axis for axis in range(len(self.sizes)) if axis not in order]
        value = self.value
        long = [axis for axis in order if self.sizes[axis] > 1]
        if long != sorted(long):
            value = self.builder.view(value, Permute, axes=tuple(order))
        sizes, dims = [], []
        for dim in self.dims:
            parts = [[axis] for axis in dim if axis != BATCH] if BATCH in dim else [dim]
            places = []
            for part in parts:
                size = math.prod(self.sizes[axis] for axis in part)
                if size > 1:
                    places.append(len(sizes))
                    sizes.append(size)
            if BATCH in dim:
                before = [axis for axis in dim[:dim.index(BATCH)] if self.sizes[axis] > 1]
                places.insert(len(before), BATCH)
            dims.append(tuple(places))
        return self._made(self.builder.reshape(value, tuple(sizes) or (1,)), dims)

    def whole(self) -> Symbol:
        """The same tensor with every dimension but the batch an axis, in their order."""
        batch = [n for n, dim in enumerate(self.dims) if BATCH in dim]
        if any(self.dims[n] != (BATCH,) for n in batch):
            return self.settled()
        rest = [n for n in range(len(self.dims)) if n not in batch]
        return Symbol.of(self.builder, self.arranged(*rest), batch[0] if batch else None)

    def arranged(self, *wanted: int) -> int:
        """The value whose axes are the ``wanted`` dimensions in that order, each sample's.

        Every other dimension must be the batch or of size 1; :class:`UserError` otherwise.
        """
        wanted = tuple(self.dim(n) for n in wanted)
        others = [n for n in range(len(self.dims)) if n not in wanted]
        if any(self.dims[n] != (BATCH,) and self.shape[n] != 1 for n in others) or any(
                BATCH in self.dims[n] for n in wanted):
            raise BatchElsewhere(f"a tensor of the shape {self.told} has its batch in the wrong "
                                 "place here")
        settled = self.permuted([*others, *wanted]).settled()
        return self.builder.reshape(settled.value,
                                    tuple(self.shape[n] for n in wanted) or (1,))

    def featured(self, n: int) -> Symbol:
        """The same tensor; dimension ``n`` is the last axis of its value, all of it."""
        n = self.dim(n)
        if BATCH in self.dims[n]:
            raise BatchElsewhere(f"a layer takes dimension {n} of a tensor of the shape "
                                 f"{self.told} for features")
        symbol = (self if len(self.dims[n]) == 1 else self.settled()).opened(n)
        (axis,) = symbol.dims[n]
        last = len(symbol.sizes) - 1
        if axis == last:
            return symbol
        order = [other for other in range(last + 1) if other != axis] + [axis]
        value = symbol.builder.view(symbol.value, Permute, axes=tuple(order))
        return symbol._made(value, [tuple(a if a == BATCH else order.index(a) for a in dim)
                                    for dim in symbol.dims])

    def opened(self, n: int) -> Symbol:
        """The same tensor; dimension ``n`` is an axis of its value even if of size 1."""
        if self.dims[n]:
            return self
        value = self.builder.reshape(self.value, (*self.sizes, 1))
        return self._made(value, [*self.dims[:n], (len(self.sizes),), *self.dims[n + 1:]])

    def computed(self, layer: Callable[[int], int]) -> Symbol:
        """What ``layer`` (value to value) makes of the value, in the same dimensions."""
        return self._made(layer(self.value), self.dims)

    # ---- for moves -------------------------------------------------------------------------------

    def permuted(self, order: Sequence[int]) -> Symbol:
        """torch.permute."""
        order = [self.dim(n) for n in order]
        if sorted(order) != list(range(len(self.dims))):
            raise UserError(f"{order} is no order of the dimensions of {self.told}")
        return self._like([self.dims[n] for n in order])

    def swapped(self, a: int, b: int) -> Symbol:
        """torch.transpose."""
        order = list(range(len(self.dims)))
        a, b = self.dim(a), self.dim(b)
        order[a], order[b] = order[b], order[a]
        return self.permuted(order)

    def unsqueezed(self, n: int) -> Symbol:
        """torch.unsqueeze."""
        place = n + len(self.dims) + 1 if n < 0 else n
        if not 0 <= place <= len(self.dims):
            raise UserError(f"unsqueeze({n}) of a tensor of the shape {self.told}: there is no "
                            "such place")
        return self._like([*self.dims[:place], (), *self.dims[place:]])

    def squeezed(self, *which: int) -> Symbol:
        """torch.squeeze: of all dimensions, or of ``which``, those of size 1."""
        chosen = {self.dim(n) for n in which} if which else set(range(len(self.dims)))
        return self._like([dim for n, dim in enumerate(self.dims)
                           if n not in chosen or self.shape[n] != 1])

    def reshaped(self, *sizes: int) -> Symbol:
        """torch.reshape, one size may be -1."""
        total, known = math.prod(self.shape), math.prod(n for n in sizes if n != -1)
        sizes = tuple(total // max(known, 1) if n == -1 else n for n in sizes)
        if math.prod(sizes) != total or min(sizes, default=1) < 1:
            raise BatchElsewhere(f"a tensor of the shape {self.told} cannot be viewed as {sizes}, "
                                 f"the batch counted as {SAMPLES}")
        # The finest parts that both shapes are made of: where either has a border.
        axes = [axis for dim in self.dims for axis in dim if self._size(axis) > 1]
        old = _borders([self._size(axis) for axis in axes])
        new = _borders(sizes)
        cuts = sorted({*old, *new})
        parts = [b // a for a, b in itertools.pairwise(cuts)]
        batch = axes.index(BATCH) if BATCH in axes else None
        whole = batch is None or cuts[cuts.index(old[batch]) + 1] == old[batch + 1]
        if any(b % a for a, b in itertools.pairwise(cuts)) or not whole:
            raise BatchElsewhere(f"a tensor of the shape {self.told} viewed as {sizes} would tear "
                                 "dimensions apart")
        symbol, names = self, axes
        if cuts != old:  # an axis must be split
            settled = self.settled()
            place = None if batch is None else cuts.index(old[batch])
            finer = [part for n, part in enumerate(parts) if n != place]
            value = self.builder.reshape(settled.value, tuple(finer) or (1,))
            names = list(range(len(finer)))
            if place is not None:
                names.insert(place, BATCH)
            symbol = self._made(value, ())
        dims, at = [], 0
        for size, end in zip(sizes, new[1:], strict=True):
            count = cuts.index(end) - at if size > 1 else 0
            dims.append(tuple(names[at:at + count]))
            at += count
        return symbol._like(dims)

    def expanded(self, *sizes: int) -> Symbol:
        """torch.expand: one dimension of size 1 of a vector becomes timesteps."""
        symbol = self
        while len(symbol.dims) < len(sizes):
            symbol = symbol.unsqueezed(0)
        grown = [n for n, (want, have) in enumerate(zip(sizes, symbol.shape, strict=False))
                 if want not in (-1, have)]
        if not grown and len(sizes) == len(symbol.dims):
            return symbol
        n = grown[0] if len(grown) == 1 and len(sizes) == len(symbol.dims) else None
        if n is None or symbol.shape[n] != 1:
            raise UserError(f"a tensor of the shape {self.told} can be repeated along one new "
                            f"dimension, not to {sizes}: h.unsqueeze(1).repeat(1, steps, 1)")
        vector = symbol._like([*symbol.dims[:n], (), *symbol.dims[n + 1:]]).settled()
        if len(vector.sizes) != 1:
            raise UserError(f"a tensor of the shape {self.told} cannot be repeated {sizes[n]} "
                            "times: only a vector can, which becomes a sequence")
        value = self.builder.repeat(vector.value, sizes[n])
        dims = [tuple(a if a == BATCH else 1 for a in dim) for dim in vector.dims]
        return self._made(value, [*dims[:n], (0,), *dims[n + 1:]])

    def sliced(self, n: int, start: int | None, stop: int | None, step: int | None) -> Symbol:
        """x[start:stop:step] along dimension ``n``; a negative step only here, not in torch."""
        n = self.dim(n)
        size = self.shape[n]
        taken = range(size)[slice(start, stop, step)]
        if len(taken) == size and (size == 1 or taken.step == 1):
            return self
        if BATCH in self.dims[n]:
            raise BatchElsewhere("a part of the batch of a tensor of the shape "
                                 f"{self.told} is taken")
        if not taken:
            raise UserError(f"the slice {start}:{stop}:{step} of dimension {n} of a tensor of the "
                            f"shape {self.told} is empty")
        symbol = self if len(self.dims[n]) == 1 else self.settled()
        (axis,) = symbol.dims[n]
        end = taken[-1] + (1 if taken.step > 0 else -1)
        value = self.builder.view(symbol.value, Slice, axis=axis, start=taken[0],
                                  stop=end if end >= 0 else None, step=taken.step)
        return symbol._made(value, symbol.dims)

    def selected(self, n: int, index: int) -> Symbol:
        """x[index] along dimension ``n``, which goes."""
        n = self.dim(n)
        size = self.shape[n]
        if not -size <= index < size:
            raise UserError(f"index {index} is out of range for dimension {n} of a tensor of the "
                            f"shape {self.told}")
        if size == 1 and BATCH not in self.dims[n]:
            return self._like([*self.dims[:n], *self.dims[n + 1:]])
        if BATCH in self.dims[n] or len(self.dims[n]) > 1 or len(self.sizes) == 1:
            kept = self.sliced(n, index % size, index % size + 1, 1)
            return kept._like([*kept.dims[:n], *kept.dims[n + 1:]])
        (axis,) = self.dims[n]
        value = self.builder.view(self.value, Slice, axis=axis, start=index % size, drop=True)
        return self._made(value, [tuple(a - (a > axis) for a in dim)
                                  for m, dim in enumerate(self.dims) if m != n])

    def flipped(self, n: int) -> Symbol:
        """torch.flip along one dimension."""
        n = self.dim(n)
        if self.dims[n] == (0,):
            return self.computed(self.builder.reverse)
        return self.sliced(n, None, None, -1)


class Stacked(Symbol):
    """h_n or c_n of a recurrent layer, (layers * directions, batch, units).

    Parameters: ``rows``, values (units,); one taken out of them is itself, so that what nobody
    takes is nobody's input. ``between``, the dimensions between the first and the last: the batch,
    one of size 1, or none.
    """

    def __init__(self, builder: Builder, rows: Sequence[int], between: Sequence[tuple[int, ...]]):
        if len(rows) == 1:
            super().__init__(builder, rows[0], ((), *between, (0,)))
        else:
            wide = [builder.reshape(row, (1, *builder.shapes[row])) for row in rows]
            super().__init__(builder, builder.view(wide, Concat, axis=0), ((0,), *between, (1,)))
        self._rows, self._between = rows, between

    def selected(self, n, index):
        if self.dim(n) == 0 and -len(self._rows) <= index < len(self._rows):
            return Symbol(self.builder, self._rows[index], (*self._between, (0,)))
        return super().selected(n, index)


def concatenated(symbols: Sequence[Symbol], n: int) -> Symbol:
    """torch.cat along dimension ``n``."""
    n = symbols[0].dim(n)
    if any(len(symbol.dims) != len(symbols[0].dims) or BATCH in symbol.dims[n]
           for symbol in symbols):
        raise BatchElsewhere(f"torch.cat of tensors of the shapes {_listed(symbols)} along "
                             f"dimension {n}")
    symbols = _alike(symbols, lambda symbol: len(symbol.dims[n]) == 1)
    if len(symbols) == 1:
        return symbols[0]
    ((axis,), first) = symbols[0].dims[n], symbols[0]
    value = first.builder.view([symbol.value for symbol in symbols], Concat, axis=axis)
    return first.computed(lambda _: value)


def combined(symbols: Sequence[Symbol], layer: Callable[[list[int]], int]) -> Symbol:
    """What ``layer`` makes of the values of tensors of one shape, element by element."""
    if len({symbol.shape for symbol in symbols}) > 1:
        raise UserError(f"tensors of the shapes {_listed(symbols)} are combined: they must be of "
                        "one shape, nothing is broadcast but constants")
    symbols = _alike(symbols, lambda _: True)
    return symbols[0].computed(lambda _: layer([symbol.value for symbol in symbols]))


def _alike(symbols: Sequence[Symbol], usable: Callable[[Symbol], bool]) -> Sequence[Symbol]:
    """The tensors with their values' axes in one order."""
    if all(symbol.dims == symbols[0].dims and usable(symbol) for symbol in symbols) and len(
            {len(symbol.sizes) for symbol in symbols}) == 1:
        return symbols
    symbols = [symbol.whole() for symbol in symbols]
    if any(symbol.dims != symbols[0].dims for symbol in symbols) or not usable(symbols[0]):
        raise BatchElsewhere(f"tensors of the shapes {_listed(symbols)} are put together, but do "
                             "not have their batch in one dimension")
    return symbols


def _listed(symbols: Sequence[Symbol]) -> str:
    return ", ".join(symbol.told for symbol in symbols)


def _borders(sizes: Sequence[int]) -> list[int]:
    """1 and the products of the first, of the first two, ... of ``sizes``."""
    return list(itertools.accumulate(sizes, lambda a, b: a * b, initial=1))
