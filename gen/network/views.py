"""Views: layers that move values and compute nothing.

Each is a function on arrays, :meth:`View.arrange`. The float pass applies it to floats, golden to
integers, and the plan to the addresses of elements: so a view costs no cycle and no memory, and
what it does is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.layer import Layer, Shape

__all__ = ["VIEWS", "Concat", "Flatten", "History", "Pad", "Permute", "RepeatVector", "Reshape",
           "Reverse", "Slice", "View"]


@dataclass(frozen=True, kw_only=True)
class View(Layer):
    """A layer whose value holds elements of its inputs in another order."""

    kind = "view"
    computes = False
    keeps_sign = True
    stateful = False  #: whether its value holds elements of earlier frames

    @property
    def tensors(self):
        return ()

    def arrange(self, *values: np.ndarray, fill=0) -> np.ndarray:
        """The view of ``values``, each (samples, *shape); new elements are ``fill``."""
        raise NotImplementedError

    def check(self, *shapes: Shape) -> None:
        """Raise :class:`UserError` if the view does not take inputs of these shapes."""

    def output_shape(self, *shapes):
        self.check(*shapes)
        return self.arrange(*(np.zeros((1, *shape), np.int8) for shape in shapes)).shape[1:]

    def compute(self, values, inside):
        return self.arrange(*values)

    @property
    def growth(self) -> int:
        """The most elements that its value has for each element of its inputs."""
        return 1

    def elements(self, *shapes: Shape) -> int:
        """The most elements that its value has, or what it keeps, for inputs of these shapes."""
        return sum(map(prod, shapes)) * self.growth


@dataclass(frozen=True, kw_only=True)
class RepeatVector(View):
    """A vector repeated at ``timesteps`` steps."""

    timesteps: int
    kind = "repeat_vector"

    @property
    def growth(self):
        return self.timesteps

    def check(self, *shapes):
        (x,) = shapes
        if len(x) != 1:
            raise UserError(f"{self.where} takes a vector, but its input has the shape {x}")
        if not (isinstance(self.timesteps, int) and self.timesteps >= 1):
            raise UserError(f"{self.where}: n must be a positive integer, not {self.timesteps!r}")

    def arrange(self, *values, fill=0):
        return np.repeat(values[0][:, None, :], self.timesteps, axis=1)


@dataclass(frozen=True, kw_only=True)
class Reshape(View):
    """The same elements, row-major, in another ``shape``."""

    shape: Shape
    kind = "reshape"

    def check(self, *shapes):
        (x,) = shapes
        if min(self.shape, default=0) < 1 or np.prod(self.shape) != np.prod(x):
            raise UserError(f"{self.where}: the shape {self.shape} does not hold the elements of "
                            f"{x}")

    def arrange(self, *values, fill=0):
        return values[0].reshape(len(values[0]), *self.shape)


@dataclass(frozen=True, kw_only=True)
class Flatten(View):
    """(timesteps, features) to (timesteps * features,), row-major."""

    kind = "flatten"

    def arrange(self, *values, fill=0):
        return values[0].reshape(len(values[0]), -1)


@dataclass(frozen=True, kw_only=True)
class Permute(View):
    """Axes in another order: axis n of the result is ``axes[n]`` of the input, from 0."""

    axes: tuple[int, ...]
    kind = "permute"

    def check(self, *shapes):
        if sorted(self.axes) != list(range(len(shapes[0]))):
            raise UserError(f"{self.where}: axes must be an order of 0..{len(shapes[0]) - 1}, "
                            f"not {self.axes}")

    def arrange(self, *values, fill=0):
        return values[0].transpose(0, *(n + 1 for n in self.axes))


@dataclass(frozen=True, kw_only=True)
class Reverse(View):
    """The timesteps (first axis) backwards."""

    kind = "reverse"

    def arrange(self, *values, fill=0):
        return values[0][:, ::-1]


@dataclass(frozen=True, kw_only=True)
class Slice(View):
    """Elements ``start``, ``start + step``, ... before ``stop`` of one axis (None: to its end).

    Bounds are those of Python's slices; ``drop`` takes the element at ``start`` and drops the axis.
    """

    axis: int = 0
    start: int = 0
    stop: int | None = None
    step: int = 1
    drop: bool = False
    kind = "slice"

    def check(self, *shapes):
        (x,) = shapes
        if not 0 <= self.axis < len(x) or (self.drop and len(x) < 2):
            raise UserError(f"{self.where}: there is no axis {self.axis} to slice in {x}")
        if self.drop:
            empty = not -x[self.axis] <= self.start < x[self.axis]
        else:
            empty = not len(range(*slice(self.start, self.stop, self.step).indices(x[self.axis])))
        if empty:
            raise UserError(f"{self.where}: the slice {self.start}:{self.stop}:{self.step} of {x} "
                            "is empty")

    def arrange(self, *values, fill=0):
        taken = self.start if self.drop else slice(self.start, self.stop, self.step)
        return values[0][(slice(None),) * (self.axis + 1) + (taken,)]


@dataclass(frozen=True, kw_only=True)
class Concat(View):
    """Values one after the other along ``axis``."""

    axis: int
    kind = "concat"

    def check(self, *shapes):
        first = shapes[0]
        if not 0 <= self.axis < len(first) or any(
                len(s) != len(first) or s[:self.axis] != first[:self.axis]
                or s[self.axis + 1:] != first[self.axis + 1:] for s in shapes):
            raise UserError(f"{self.where}: inputs of the shapes {shapes} cannot be joined along "
                            f"axis {self.axis}")

    def arrange(self, *values, fill=0):
        return np.concatenate(values, axis=self.axis + 1)


@dataclass(frozen=True, kw_only=True)
class Pad(View):
    """``left`` and ``right`` timesteps of zeros around a sequence."""

    left: int
    right: int
    kind = "pad"

    @property
    def growth(self):
        return 1 + self.left + self.right

    def check(self, *shapes):
        if len(shapes[0]) < 2 or min(self.left, self.right) < 0:
            raise UserError(f"{self.where} takes a sequence and padding of 0 or more steps, not "
                            f"{shapes[0]}, {self.left} and {self.right}")

    def arrange(self, *values, fill=0):
        x = values[0]
        return np.pad(x, [(0, 0), (self.left, self.right)] + [(0, 0)] * (x.ndim - 2),
                      constant_values=fill)


@dataclass(frozen=True, kw_only=True)
class History(View):
    """The newest ``timesteps`` rows of a recording that comes in frames of some rows each, but for
    the ``behind`` newest rows of all. In front of the recording there are zeros."""

    timesteps: int
    behind: int = 0
    kind = "history"
    stateful = True

    def elements(self, *shapes):
        (rows, *features), = shapes
        return (self.reach + rows) * prod(features)

    @property
    def reach(self) -> int:
        """The oldest row that it holds, counted back from the end of the recording."""
        return self.timesteps + self.behind

    def kept(self, rows: int) -> int:
        """How many rows of earlier frames, of ``rows`` rows each, it must know."""
        return max(0, self.reach - rows)

    def check(self, *shapes):
        (x,) = shapes
        if len(x) != 2 or self.timesteps < 1 or self.behind < 0:
            raise UserError(f"{self.where} takes rows of features and holds a positive number of "
                            f"them, not {x} and {self.timesteps} in front of {self.behind}")

    def arrange(self, *values, fill=0):
        """The history of a recording all of whose frames are alike."""
        (x,) = values
        return x[:, (np.arange(self.timesteps) - self.reach) % x.shape[1]]

    def slide(self, frames: np.ndarray, before: np.ndarray | None = None
              ) -> tuple[np.ndarray, np.ndarray]:
        """The history after each of the frames (frames, rows, features) of a recording,
        (frames, timesteps, features), and the rows (:meth:`kept`, features) that the frames behind
        them need. ``before``: these rows of the frames in front; None, the recording begins."""
        count, rows, features = frames.shape
        kept = self.kept(rows)
        if before is None:
            before = np.zeros((kept, features), frames.dtype)
        recording = np.concatenate([before, frames.reshape(-1, features)])
        first = kept + rows - self.reach + np.arange(count) * rows
        return (recording[first[:, None] + np.arange(self.timesteps)],
                recording[len(recording) - kept:])

    def compute(self, values, inside):
        return self.slide(values[0])[0]


#: The views, by their kind.
VIEWS: dict[str, type[View]] = {view.kind: view for view in (
    Concat, Flatten, History, Pad, Permute, RepeatVector, Reshape, Reverse, Slice)}
