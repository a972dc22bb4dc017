"""Where every element of a tensor comes from: how graphs and modules are read without patterns.

ONNX exporters wrap a layer in chains of Transpose, Reshape, Slice, Gather, Expand, Concat, ... that
differ from version to version, and users of torch write just as many in forward(). Instead of
recognising such chains, the graph or forward() is *executed* on arrays of element numbers: each
value of the network owns a range of numbers, one for each element of (batch, *shape), and operators
that move elements move their numbers. When an operator that computes reads such an array
(:mod:`.compute`), the numbers say exactly which elements it reads, and :mod:`.views` builds that
arrangement from the network's values.

A batch is traced like any other axis, so that it may be anywhere, and merged with others: every
element's number says which sample it belongs to. All samples must be treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.cuts import Cut
from gatefold.gen.frontends.elements.views import ZERO, Arranger
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.network.layers import Shape

__all__ = ["MAX_TRACED", "BatchAxisError", "Net", "Stage", "TooLargeError", "Trace", "TraceError"]

#: Most elements of a tensor that the trial run produces, batch included.
MAX_TRACED = 1 << 22
#: Most layers and views; most elements of their matrices together, of all values together (batch
#: included), and of all look-ups of an origin: above any network that fits, and soon computed.
_MAX_LAYERS, _MAX_WEIGHTS, _MAX_NUMBERED, _MAX_LOOKED_UP = 6000, 1 << 25, 1 << 25, 1 << 25
_NONE = np.zeros(0)


class TraceError(UserError):
    """A tensor of the network is used in a way that is not supported."""


class TooLargeError(TraceError):
    """The graph is larger than any network that can be built."""


class BatchAxisError(TraceError):
    """The axis taken for the batch is none: its samples are not treated alike."""


@dataclass(frozen=True)
class Net:
    """A tensor computed from the network's inputs: the number of each of its elements."""

    ids: np.ndarray


@dataclass(frozen=True, eq=False)
class Stage:
    """A value of the network in the trial run.

    Attributes: ``value``, its number; ``shape`` of one sample; ``base``, its first element number;
    ``of``, if this is a softmax, the stage that it reads (``value`` is that stage's).
    """

    value: int
    shape: Shape
    base: int
    of: Stage | None = None

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return math.prod(self.shape)


Back = Callable[[np.ndarray], np.ndarray]


class Trace:
    """The network so far, and methods that look up the elements of an array of numbers.

    Parameters: ``batch``, samples in the trial run; ``shapes``, of one sample of each input;
    ``trusted``, no limits on time and size: for modules in memory, never for a file.
    ``refusals`` and ``cut``, those of the builder.
    """

    def __init__(self, batch: int, shapes: Sequence[Shape], *, trusted: bool = False,
                 refusals: Refusals | None = None, cut: Cut | None = None):
        self.builder = Builder(*shapes, refusals=refusals, cut=cut)
        self.batch, self._trusted = batch, trusted
        self.shape_read = False  #: whether the model's code has read the shape of a tensor
        self._arranger = Arranger(self.builder)
        self._stages: list[Stage] = []
        # Of each stage: value, first number, size. The first is no stage: every number below 1 is
        # an element that is zero, whatever the input.
        self._values, self._bases, self._sizes = np.array([ZERO]), np.array([0]), np.array([1])
        self._end, self._zeros = 1, 0  # the next number of an element, and of a zero
        self._layers = self._weights = self._looked_up = 0
        self.inputs = [self.stage(value) for value in range(len(shapes))]

    @property
    def elements(self) -> int:
        """How many elements have numbers."""
        return self._end

    # ---- values and their numbers ---------------------------------------------------------------

    def stage(self, value: int, of: Stage | None = None) -> Stage:
        """Numbers for the elements of a value."""
        layers = self.builder.layers
        self._weights += sum(getattr(layer, "w", _NONE).size for layer in layers[self._layers:])
        self._layers = len(layers)
        if self._layers > _MAX_LAYERS:
            raise TooLargeError(f"the graph becomes more than {_MAX_LAYERS} layers: a recurrent "
                                "layer written out step by step is best exported as one operator "
                                "(nn.LSTM rather than nn.LSTMCell, keras unroll=False)")
        if max(self._weights / _MAX_WEIGHTS, self._end / _MAX_NUMBERED) > 1 and not self._trusted:
            raise TooLargeError(f"its layers have more than {_MAX_WEIGHTS} weights or outputs "
                                "together: no network of that size can be built")
        stage = Stage(value, self.builder.shapes[value], self._end, of)
        check_elements("a value", (self.batch, *stage.shape), MAX_TRACED)
        self._stages.append(stage)
        self._values = np.append(self._values, value)
        self._bases = np.append(self._bases, stage.base)
        self._sizes = np.append(self._sizes, stage.size)
        self._end += self.batch * stage.size
        return stage

    def whole(self, stage: Stage) -> np.ndarray:
        """All element numbers of a stage, (batch, *shape)."""
        count = self.batch * stage.size
        return (stage.base + np.arange(count)).reshape(self.batch, *stage.shape)

    def layer(self, value: int) -> np.ndarray:
        """The numbers of a value that has just been made, (batch, *shape)."""
        return self.whole(self.stage(value))

    def zeros(self, shape: Shape) -> np.ndarray:
        """Numbers of elements that are zero, each its own."""
        self._zeros -= math.prod(shape)
        return self._zeros + np.arange(math.prod(shape)).reshape(shape)

    def _find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each number: its stage (counted from 1; 0 is zero), sample (ZERO of zero), and place
        within the sample."""
        if not ids.size:
            raise TraceError("it is given an empty tensor: check the slices before it")
        self._looked_up += ids.size
        if self._looked_up > _MAX_LOOKED_UP and not self._trusted:
            raise TooLargeError("the graph moves too much data to be a network that can be built")
        found = np.searchsorted(self._bases[1:], ids, side="right")
        local, size = ids - self._bases[found], self._sizes[found]
        return found, np.where(found == 0, ZERO, local // size), local % size

    def _softmaxes(self, found: np.ndarray) -> list[Stage]:
        """The softmaxes among the stages ``found``."""
        return [stage for number in np.unique(found).tolist() if number
                for stage in [self._stages[number - 1]] if stage.of is not None]

    # ---- the batch ------------------------------------------------------------------------------

    def split(self, ids: np.ndarray, inner: int) -> tuple[np.ndarray, Back]:
        """``ids`` with the batch in front, (batch, *others, *the last ``inner`` axes), and a
        function that puts results back: (batch, *others, *anything) to the axes that ``ids`` has
        before the inner ones, then anything.

        The batch may be an axis, or merged with others. Raises :class:`BatchAxisError` where the
        inner axes mix samples, or each has another number of rows.
        """
        lead = ids.shape[:ids.ndim - inner]
        if lead[:1] == (self.batch,) and self._whole_of(ids) is not None:
            return ids, lambda new: new
        sample = self._find(ids)[1].reshape(*lead, -1)
        row = sample.max(axis=-1)
        if ((sample != row[..., None]) & (sample != ZERO)).any():
            raise BatchAxisError("it mixes the samples of a batch: check which axis is the batch "
                                 "(batch_first)")
        for axis in range(len(lead)):
            index = np.arange(lead[axis]).reshape(-1, *(1,) * (len(lead) - axis - 1))
            if lead[axis] == self.batch and ((row == index) | (row == ZERO)).all():
                return np.moveaxis(ids, axis, 0), lambda new, axis=axis: np.moveaxis(
                    new, 0, axis)
        if self.batch == 1:
            return ids[np.newaxis], lambda new: new[0]
        flat = row.reshape(-1)
        if (np.bincount(flat[flat != ZERO], minlength=self.batch) * self.batch
                != flat.size).any():
            raise BatchAxisError("the samples of a batch are not treated alike: check which axis "
                                 "is the batch (batch_first)")
        order = np.argsort(flat, kind="stable").reshape(self.batch, -1)

        def back(new: np.ndarray) -> np.ndarray:
            out = np.empty((flat.size, *new.shape[2:]), new.dtype)
            out[order] = new
            return out.reshape(*lead, *new.shape[2:])
        return ids.reshape(flat.size, *ids.shape[len(lead):])[order], back

    def shown(self, ids: np.ndarray) -> str:
        """The shape of ``ids`` in a message, with the batch by name where it is an axis."""
        sample = self._find(ids)[1]
        return "(" + ", ".join(
            "batch" if n == self.batch > 1 and (np.diff(sample, axis=axis) != 0).any() else str(n)
            for axis, n in enumerate(ids.shape)) + ")"

    def batch_at(self, ids: np.ndarray, axis: int) -> np.ndarray:
        """``ids`` with the batch, which must be ``axis``, in front."""
        moved = np.moveaxis(ids, axis, 0)
        sample = self._find(moved)[1].reshape(len(moved), -1)
        if len(moved) != self.batch or (
                (sample != np.arange(self.batch)[:, None]) & (sample != ZERO)).any():
            raise BatchAxisError("it runs over the batch instead of the timesteps: check "
                                 "batch_first")
        return moved

    # ---- values from numbers --------------------------------------------------------------------

    def read(self, ids: np.ndarray, origin: str) -> int:
        """The value that holds ``ids``, (batch, *shape): an existing one, or one made of views."""
        stage = self._whole_of(ids)
        if stage is not None and stage.of is None and stage.shape == ids.shape[1:]:
            return stage.value
        found, sample, place = self._find(ids)
        samples = np.arange(self.batch).reshape(-1, *(1,) * (ids.ndim - 1))
        if ((found != found[:1]) | (place != place[:1])
                | ((sample != samples) & (sample != ZERO))).any():
            raise BatchAxisError("the samples of a batch are not treated alike: check which axis "
                                 "is the batch (batch_first)")
        if self._softmaxes(found):
            raise TraceError("a Softmax is left to the host, so only an output of the network can "
                             "be one: nothing may be computed from it")
        return self._arranger.value(self._values[found[0]], np.ascontiguousarray(place[0]), origin)

    def natural(self, ids: np.ndarray) -> np.ndarray:
        """``ids``, (batch, *shape), in the shape of the value whose elements they all are, or
        without axes of one element; the last axis stays."""
        stage = self._same_value(ids)
        if stage is not None and stage.shape[-1] == ids.shape[-1]:
            return ids.reshape(self.batch, *stage.shape)
        return ids.reshape(self.batch, *_core(ids.shape[1:-1]), ids.shape[-1])

    def _same_value(self, ids: np.ndarray) -> Stage | None:
        """The stage whose elements ``ids``, (batch, *shape), all are; ``ids`` may have further
        axes of one element."""
        stage = self._whole_of(ids)
        if stage is None or _core(stage.shape) != _core(ids.shape[1:]):
            return None
        return stage if len(stage.shape) < ids.ndim else None

    def _whole_of(self, ids: np.ndarray) -> Stage | None:
        """The stage whose numbers ``ids`` all are, in order."""
        if not ids.size:
            return None
        stage = self._stage_of(ids.flat[0])
        if stage is not None and ids.size == self.batch * stage.size and np.array_equal(
                ids.reshape(-1), self.whole(stage).reshape(-1)):
            return stage
        return None

    def _stage_of(self, number: int) -> Stage | None:
        """The stage that owns an element number; None of zero."""
        index = int(np.searchsorted(self._bases[1:], number, side="right"))
        return self._stages[index - 1] if index else None

    def is_settled(self, ids: np.ndarray) -> bool:
        """Whether ``ids`` holds every number of one stage, each once."""
        stage = self._stage_of(ids.max(initial=0))
        if (stage is None or stage.of is not None or ids.size != self.batch * stage.size
                or ids.min() < stage.base):
            return False
        held = np.zeros(ids.size, np.bool_)
        held[ids.reshape(-1) - stage.base] = True
        return bool(held.all())

    def settled(self, ids: np.ndarray, origin: str) -> tuple[Stage, np.ndarray]:
        """A stage, and an array like ``ids`` that holds each of its numbers once: ``ids`` itself
        if possible, else the numbers of a value made of views.

        For functions of every element alone, which may be computed in the order of the stage.
        """
        stage = self._stage_of(ids.max(initial=0))
        if stage is not None and self.is_settled(ids):
            return stage, ids
        whole, back = self.split(ids, 0)
        rows = whole if whole.ndim > 1 else whole[:, np.newaxis]
        stage = self.stage(self.read(self.natural(rows), origin))
        return stage, back(self.whole(stage).reshape(whole.shape))

    def softmax(self, ids: np.ndarray, origin: str) -> np.ndarray:
        """The numbers of a softmax over the last axis of ``ids``, (batch, *shape)."""
        before = self.stage(self.read(ids, origin))
        return self.whole(self.stage(before.value, of=before))

    # ---- the end --------------------------------------------------------------------------------

    def output(self, ids: np.ndarray, *, as_it_is: bool = False) -> int:
        """The value that holds ``ids`` as an output of the network.

        Axes of one element that the layer's value lacks are left out, unless ``as_it_is``.
        """
        soft = self._softmaxes(self._find(ids)[0])
        if soft:
            inside = (ids >= soft[0].base) & (ids < soft[0].base + self.batch * soft[0].size)
            assert soft[0].of is not None
            ids = ids - soft[0].base + soft[0].of.base
            width = soft[0].shape[-1]
            rows = (ids.reshape(-1, ids.shape[-1]) - soft[0].of.base) if ids.ndim else ids
            if (not inside.all() or ids.shape[-1:] != (width,)
                    or (rows // width != rows[:, :1] // width).any()
                    or (np.sort(rows % width) != np.arange(width)).any()):
                raise TraceError("a Softmax is left to the host, so it must be an output of its "
                                 "own, its classes in the last axis: compute everything after it "
                                 "on the host")
        self._check_order(ids)
        try:
            whole = self.split(ids, min(ids.ndim, 1))[0]
        except BatchAxisError:
            whole = self.split(ids, 0)[0]
        if whole.ndim == 1:
            whole = whole[:, np.newaxis]
        stage = None if as_it_is else self._same_value(whole)
        value = self.read(whole, "output") if stage is None else stage.value
        return self.builder.softmax(value) if soft else value


    def _check_order(self, ids: np.ndarray) -> None:
        """Raise unless the batch is a dimension of ``ids``, its samples in order, or part of one.
        """
        sample = self._find(ids)[1].reshape(-1)
        inner = int(np.argmax(sample == 1)) or 1  # elements from a sample to the next
        right = np.arange(sample.size) // inner % self.batch
        if ((sample != right) & (sample != ZERO)).any():
            raise BatchAxisError("the samples of a batch change places: check which axis is the "
                                 "batch (batch_first)")


def _core(shape: Shape) -> Shape:
    return tuple(n for n in shape if n > 1)
