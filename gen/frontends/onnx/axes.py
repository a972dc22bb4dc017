"""Which axis of an ONNX graph's inputs is the batch, where the file does not say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.sizes import Dim, shown_dims

__all__ = ["Dims", "batch_axes", "batch_choices", "no_batch"]

#: The axes of an input: sizes, or names of those that are open.
Dims = tuple[Dim, ...]
#: Most choices that are looked at, and shapes that a message shows.
_MAX_CHOICES, _SHOWN = 1 << 12, 4


def batch_axes(dims: Dims, timesteps: bool) -> list[int | None]:
    """The axes of an input that may be its batch, the likeliest first; None: it has none.

    ``timesteps``: the user gives their number, so that an open axis may be theirs.
    """
    open_axes = [axis for axis, n in enumerate(dims) if isinstance(n, str)]
    open_axes.sort(key=lambda axis: "batch" not in str(dims[axis]).lower())
    if not open_axes:
        return [0, 1, None] if len(dims) > 2 else [0, None]
    first = open_axes[0]
    if not timesteps:
        other = 0 if first else 1
        return [first, *([other] if first or dims[1:2] == (1,) else [])]
    if len(open_axes) > 1:
        return [*open_axes]
    ones = [axis for axis, n in enumerate(dims[:2]) if n == 1]
    others = [axis for axis in range(len(dims[:2])) if axis not in (first, *ones)]
    return [*ones, first, *(others if len(dims) > 2 else [None])]


def batch_choices(every: Sequence[Dims], possible: Sequence[Sequence[int | None]],
                  ) -> Iterator[tuple[tuple[int | None, ...], int | None]]:
    """For each input the axis that is its batch, and the size of that; None where it is open.

    One batch has one size in all inputs, and a dimension that is the batch of one input is the
    batch wherever it occurs. ``possible``, the axes of each input, the likeliest first.
    """
    def size_of(dims: Dims, axis: int | None) -> int | None:
        return n if axis is not None and isinstance(n := dims[axis], int) else None

    sizes = dict.fromkeys(size_of(dims, axis) for dims, axes in zip(every, possible, strict=True)
                          for axis in axes)
    fitting = ((size, axes) for size in sizes or (None,) for axes in itertools.product(*(
        [axis for axis in axes if size_of(dims, axis) in (None, size)]
        for dims, axes in zip(every, possible, strict=True))))
    for size, axes in itertools.islice(fitting, _MAX_CHOICES):
        pairs = list(zip(every, axes, strict=True))
        batches = {dims[axis] for dims, axis in pairs if axis is not None}
        if (size is not None) != (size in batches):
            continue
        if None in axes and batches and {n for n in batches if isinstance(n, int)} != {1}:
            continue  # a batch for some inputs only is none
        if batches.isdisjoint(n for dims, axis in pairs for k, n in enumerate(dims)
                              if k != axis and isinstance(n, str)):
            yield axes, size


def no_batch(every: Sequence[Dims]) -> UserError:
    """That inputs of these shapes cannot have one batch."""
    shown = " and ".join([*map(shown_dims, every[:_SHOWN]), *["..."] * (len(every) > _SHOWN)])
    return UserError(f"its inputs, {shown}, have no batch in common: export the model with one "
                     "batch for all of them")
