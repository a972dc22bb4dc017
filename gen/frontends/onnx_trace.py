"""Where every element of a tensor comes from: how an ONNX graph is understood without patterns.

Exporters wrap an LSTM in chains of Transpose, Reshape, Slice, Gather, Expand, Concat, ... that
differ from version to version. Instead of recognising such chains, the graph is *executed* on
arrays of element numbers: each layer output ("stage") owns a range of numbers, one for each element
of (batch, timesteps, features), and whatever moves elements moves their numbers, in plain NumPy.
When the next layer takes such an array, the numbers say exactly what it is given: the sequence in
order, its last step, one vector repeated, a row-major flattening; or something that is refused.

Layers that act on each row alone (Dense, bias, activation) are applied to *all* rows of their stage
whichever rows they are given, and equal ones are one stage. So a Dense unrolled over the timesteps
and stacked again is the same stage as the Dense on the whole sequence, with nothing to search for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .limits import MAX_TRACED, check_elements

__all__ = ["BatchAxisError", "Net", "Stage", "Trace", "TraceError"]


class TraceError(UserError):
    """A tensor of the network is used in a way that no sequential network has."""


class BatchAxisError(TraceError):
    """An LSTM runs along the axis that was taken for the batch."""


@dataclass(frozen=True)
class Net:
    """A tensor computed from the network's input: the number of each of its elements."""

    ids: np.ndarray


@dataclass(frozen=True, eq=False)
class Stage:
    """One step from the input to the output.

    Attributes: ``kind`` and ``settings``, what is done to ``parent``'s output; ``shape``, of one
    sample's output; ``base``, its first element number; ``origin``, the node's name in the file.
    """

    kind: str
    parent: Stage | None
    shape: tuple[int, ...]
    base: int
    settings: dict
    origin: str

    @property
    def rows(self) -> int:
        """Rows of one sample: timesteps, or 1 for a vector."""
        return self.shape[0] if len(self.shape) == 2 else 1


class Trace:
    """The stages found so far, and the questions that can be asked about an array of numbers.

    Parameters: ``batch``, samples in the trial run; ``shape`` of one sample of the input.
    """

    def __init__(self, batch: int, shape: tuple[int, ...]):
        self.batch = batch
        self.stages: list[Stage] = []
        self._bases: list[int] = []
        self._known: dict[tuple, Stage] = {}
        self._end = 0
        self.input = self.stage("input", None, shape, {}, key=(), origin="input")

    def stage(self, kind: str, parent: Stage | None, shape: tuple[int, ...], settings: dict, *,
              key: tuple, origin: str) -> Stage:
        """The stage that does this to ``parent``: a new one, or the equal one there is already.

        ``key`` tells apart stages of one kind on one parent (digests of their weights).
        """
        known = (kind, parent.base if parent else -1, *key)
        if known not in self._known:
            check_elements(f"the output of {kind}", (self.batch, *shape), MAX_TRACED)
            stage = Stage(kind, parent, shape, self._end, settings, origin)
            self._known[known] = stage
            self.stages.append(stage)
            self._bases.append(self._end)
            self._end += self.batch * math.prod(shape)
        return self._known[known]

    def whole(self, stage: Stage) -> np.ndarray:
        """All element numbers of a stage, (batch, *shape)."""
        count = self.batch * math.prod(stage.shape)
        return (stage.base + np.arange(count)).reshape(self.batch, *stage.shape)

    def source(self, net: Net) -> tuple[Stage, np.ndarray]:
        """The one stage that all elements of ``net`` come from, and their numbers within it."""
        if net.ids.size == 0:
            raise TraceError("it is given an empty tensor: check the slices before it")
        first = self.stages[bisect_right(self._bases, int(net.ids.min())) - 1]
        last = self.stages[bisect_right(self._bases, int(net.ids.max())) - 1]
        if first is not last:
            raise TraceError("it joins the outputs of different layers: the network must be "
                             "sequential, without branches or skip connections")
        return first, net.ids - first.base

    def elementwise(self, net: Net, kind: str, settings: dict, *, key: tuple, origin: str) -> Net:
        """Apply to every element alone what needs no more than its feature."""
        stage, local = self.source(net)
        following = self.stage(kind, stage, stage.shape, settings, key=key, origin=origin)
        return Net(local + following.base)

    def rows(self, net: Net) -> tuple[Stage, np.ndarray]:
        """The stage whose whole rows ``net`` holds along its last axis, and those rows' numbers.

        A row that holds all timesteps of a sample after each other comes from a flatten stage,
        which is made here. Raises :class:`TraceError` if rows are cut, joined or reordered.
        """
        stage, local = self.source(net)
        width = local.shape[-1] if local.ndim else 0
        for candidate in (stage, None):
            if candidate is None:
                if len(stage.shape) != 2 or width != math.prod(stage.shape):
                    break
                candidate = self.stage("flatten", stage, (width,), {}, key=(), origin=stage.origin)
            start = local[..., :1]
            if width == candidate.shape[-1] and not (start % width).any() and (
                    local == start + np.arange(width)).all():
                return candidate, local[..., 0] // width
        raise TraceError(f"it takes vectors of {width} values that are not the features in order "
                         f"of the layer before it, whose output is {stage.shape}: selecting, "
                         "joining or reordering features is not supported")

    def sequence(self, net: Net) -> Stage:
        """The stage that ``net``, (timesteps, batch, features), holds in order, or repeats.

        Raises :class:`BatchAxisError` if time runs along the batch, :class:`TraceError` otherwise.
        """
        stage, rows = self.rows(net)  # (timesteps, batch)
        if rows.ndim != 2:
            raise TraceError("its input must have 3 axes: time, batch and features")
        steps = rows.shape[0]
        samples = np.arange(rows.shape[1])
        if rows.shape[1] == self.batch:
            if steps == stage.rows and (rows == samples * steps + np.arange(steps)[:, None]).all():
                return stage if len(stage.shape) == 2 else self.repeat(stage, 1)
            if (rows == rows[:1]).all() and (rows[0] // stage.rows == samples).all():
                return self.repeat(self.vector(stage, rows[0]), steps)
        in_time, in_batch = rows[:, 0] // stage.rows, rows[0] // stage.rows
        turned = np.unique(in_time).size > 1 or rows.shape[1] > 1
        if turned and np.unique(in_batch).size == 1:
            raise BatchAxisError("it runs over the batch instead of the timesteps: check "
                                 "batch_first")
        raise TraceError("its input is neither the whole sequence of the layer before it in order "
                         "of time nor one vector repeated: slicing or reversing time is not "
                         "supported")

    def vector(self, stage: Stage, rows: np.ndarray) -> Stage:
        """The stage that gives one row a sample: ``rows``, each the last of its sample."""
        if len(stage.shape) == 1:
            wanted = np.arange(self.batch)
        else:
            wanted = np.arange(self.batch) * stage.rows + stage.rows - 1
        if rows.shape != wanted.shape or (rows != wanted).any():
            raise TraceError("only the whole sequence or its last timestep can be used: export a "
                             "model without other selections of timesteps")
        if len(stage.shape) == 1:
            return stage
        return self.stage("last", stage, stage.shape[1:], {}, key=(), origin=stage.origin)

    def repeat(self, stage: Stage, timesteps: int) -> Stage:
        """The vector ``stage`` repeated."""
        return self.stage("repeat", stage, (timesteps, *stage.shape), {"timesteps": timesteps},
                          key=(timesteps,), origin=stage.origin)

    def output(self, net: Net) -> Stage:
        """The stage that ``net`` holds as a network's output.

        Accepted are (batch, timesteps, features), (timesteps, batch, features), (rows, features),
        a row-major flattening of each sample, and one row a sample, also repeated; all of them with
        axes of one element added or left out.
        """
        stage, local = self.source(net)
        batch, rows, width = self.batch, stage.rows, stage.shape[-1]
        flat, grid = local.reshape(-1), np.arange(self.batch * math.prod(stage.shape))
        if np.array_equal(flat, grid):
            if _like(local.shape, (batch, rows, width), (batch * rows, width)):
                return stage
            if _like(local.shape, (batch, rows * width)):
                return self.stage("flatten", stage, (rows * width,), {}, key=(),
                                  origin=stage.origin)
        turned = grid.reshape(batch, rows, width).swapaxes(0, 1).reshape(-1)
        if np.array_equal(flat, turned) and _like(local.shape, (rows, batch, width),
                                                  (rows * batch, width)):
            return stage
        steps = flat.size // (batch * width)
        for shape, time_first in (((batch, steps, width), False), ((steps, batch, width), True)):
            if steps * batch * width == flat.size and _like(local.shape, shape):
                _, found = self.rows(Net(stage.base + flat.reshape(-1, width)))
                found = found.reshape(steps, batch).T if time_first else found.reshape(batch, steps)
                if (found == found[:, :1]).all():
                    vector = self.vector(stage, found[:, 0])
                    return vector if steps == 1 else self.repeat(vector, steps)
        raise TraceError("the output must be a whole layer's output, or its last timestep: "
                         "selecting or reordering timesteps or features is not supported")


def _like(shape: tuple[int, ...], *wanted: tuple[int, ...]) -> bool:
    """Whether ``shape`` is one of ``wanted`` but for axes of one element."""
    def core(axes: tuple[int, ...]) -> list[int]:
        return [n for n in axes if n > 1]
    return any(core(shape) == core(one) for one in wanted)
