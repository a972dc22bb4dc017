"""A network put together layer by layer, as a frontend reads it.

All frontends share it, so that one place turns the layers of users into the few kinds of
:mod:`~.network.layers` and checks the limits on the sizes that a file may declare.
A method takes the numbers of the values that a layer reads and gives the number of its own.
:func:`~.simplify.simplify` works on the result: it merges activations and scales into the layers
beside them, which no method here does. The module is long, since each kind of layer that a frontend
knows is a method of the one class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.cuts import Cut, CutError
from gatefold.gen.frontends.hosting import (
    HostLayer,
    check_begin,
    cut_network,
    needed_for,
    refuse_between,
    results_of,
)
from gatefold.gen.frontends.limits import check_dim, check_elements
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.frontends.sizes import OpenError, SizesError
from gatefold.gen.network.graph import (
    CellState,
    Concat,
    Dense,
    Flatten,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Multiply,
    Network,
    Pad,
    RepeatVector,
    Reshape,
    Reverse,
    Rnn,
    Shape,
    Slice,
    View,
    Window,
    scaled_for_hard_sigmoid,
)
from gatefold.gen.network.layer import DENSE_ACTIVATIONS
from gatefold.gen.network.simplify import simplify
from gatefold.gen.network.states import PORTS

__all__ = ["MAX_PATTERN", "Builder", "Incomplete", "every_refusal"]

#: Most elements of a matrix that a layer without weights in the file becomes.
MAX_PATTERN = 1 << 23
#: Multiplications a step that a projection of its own must save: its second tail, about 20 cycles,
#: on 1,024 multipliers.
_PROJECTS = 20 << 10


#: Most parts of a pooled sequence in which windows hold different numbers of timesteps.
_POOLS = 32


class Builder:
    """Collects layers. Value 0 .. inputs - 1 are the network's inputs.

    Parameters: ``shapes``, of the network's inputs; ``refusals``, where a frontend records what
    it refuses, None where it stops at the first refusal; ``cut``, of a model that is cut, so that
    it may hold layers of the host.
    Raises :class:`UserError` wherever a layer contradicts its inputs' shapes or the limits.
    """

    def __init__(self, *shapes: Shape, refusals: Refusals | None = None, cut: Cut | None = None):
        for shape in shapes:
            names = ("axis 0", "axis 1", "timesteps", "features")[-len(shape):]
            for what, n in zip(names, shape, strict=False):
                check_dim("network input", what, n)
        self.refusals, self.cut = refusals, cut
        self.input_shapes = tuple(tuple(shape) for shape in shapes)
        self.shapes: list[Shape] = list(self.input_shapes)
        self.layers: list[Layer] = []
        #: The values that a layer of the file gives, where its reader says so.
        self.results: dict[str, list[int]] = {}
        self._elements = 0  # of all values together
        self._host: dict[int, str] = {}

    # ---- one layer ------------------------------------------------------------------------------

    def add(self, layer: Layer) -> int:
        """Append a layer whose ``inputs`` are set; the number of its value."""
        where = f"{layer.shown} layer {quoted(layer.origin)}"
        shapes = [self.shapes[value] for value in layer.inputs]
        # The shape behind a view is found on an array: check first that the array is not huge.
        check_elements(where, (_most(layer, shapes),))
        shape = layer.output_shape(*shapes)
        self._elements += check_elements(where, shape)
        check_elements(f"{where} and the values before it", (self._elements,))
        self.shapes.append(shape)
        self.layers.append(layer)
        return len(self.shapes) - 1

    def lstm(self, x: int, *states: int, **fields) -> int:
        """An :class:`Lstm`; ``states``, the values of the initial h and c; no ``units``."""
        return self.add(Lstm(inputs=(x, *states), units=int(np.shape(fields["w_hh"])[0]) // 4,
                             **fields))

    def projected_lstm(self, x: int, *, w_hh: np.ndarray, w_hr: np.ndarray, origin: str = "",
                       **fields) -> tuple[int, int]:
        """An :class:`Lstm` with every step's h, whose state begins at zero or is the last frame's,
        and the projection w_hr (P, U) of each h, which w_hh (4 U, P) multiplies: both values.

        The projection is an operation of the core where that saves more multiplications a step than
        :data:`_PROJECTS`; else it becomes part of the recurrent weights, w_hh w_hr.
        """
        outputs, units = np.shape(w_hr)
        if 4 * units * units - 5 * units * outputs > _PROJECTS:
            fields |= {"w_hh": w_hh, "w_hr": w_hr}
        else:
            fields["w_hh"] = np.asarray(w_hh, np.float64) @ w_hr
        lstm = self.lstm(x, origin=origin, return_sequences=True, **fields)
        return lstm, self.dense(lstm, w=w_hr, b=np.zeros(outputs, np.float32), origin=origin)

    def gru(self, x: int, *states: int, **fields) -> int:
        """A :class:`Gru`; ``states``, the value of the initial h."""
        return self.add(Gru(inputs=(x, *states), units=int(np.shape(fields["w_hh"])[1]), **fields))

    def rnn(self, x: int, *states: int, **fields) -> int:
        """An :class:`Rnn`; ``states``, the value of the initial h."""
        return self.add(Rnn(inputs=(x, *states), units=int(np.shape(fields["w_hh"])[1]), **fields))

    def last_step(self, x: int, *, origin: str = "") -> int:
        """The last timestep of a sequence."""
        return self.add(Slice(inputs=(x,), axis=0, start=self.shapes[x][0] - 1, drop=True,
                              origin=origin))

    def cell_state(self, lstm: int, *, origin: str = "") -> int:
        """The last c of the LSTM whose value is ``lstm``."""
        layer = self.layers[lstm - len(self.input_shapes)]
        assert isinstance(layer, Lstm)
        return self.add(CellState(inputs=(lstm,), units=layer.units, origin=origin))

    def dense(self, x: int, *, w, b, activation: str = "linear", origin: str = "") -> int:
        """A Dense layer, ``w`` as (outputs, features)."""
        return self.add(Dense(inputs=(x,), origin=origin, w=w, b=b, activation=activation))

    def conv1d(self, x: int, *, w: np.ndarray, b, window: Window, groups: int = 1,
               activation: str = "linear", origin: str = "") -> int:
        """A Conv1D, ``w`` as (outputs, taps, features / groups): cross-correlation, as every
        framework. Output n reads the features of its group, n * groups // outputs."""
        w, pattern = np.asarray(w), None
        if groups > 1:
            outputs, taps, each = w.shape
            check_elements(f"conv1d layer {quoted(origin)}", (outputs, taps, each * groups),
                           MAX_PATTERN)
            whole = np.zeros((outputs, taps, groups, each), np.float32)
            pattern = np.zeros(whole.shape, bool)
            rows = np.arange(outputs)
            whole[rows, :, rows * groups // outputs] = w
            pattern[rows, :, rows * groups // outputs] = True
            w, pattern = whole, pattern.reshape(outputs, -1)
        return self.add(Dense(inputs=(x,), origin=origin, w=w.reshape(len(w), -1), b=b,
                              activation=activation, window=window, pattern=pattern))

    def max_pool(self, x: int, window: Window, *, origin: str = "") -> int:
        """A MaxPool."""
        self._check_window(f"max pooling layer {quoted(origin)}", x, window)
        return self.add(MaxPool(inputs=(x,), window=window, origin=origin))

    def multiply(self, a: int, b: int, *, origin: str = "") -> int:
        """The product of two values, element by element."""
        return self.add(Multiply(inputs=(a, b), origin=origin))

    def view(self, x: int | Sequence[int], view: type[View], *, origin: str = "",
             **fields) -> int:
        """A view of one value or several: ``view`` is its class, ``fields`` its attributes."""
        inputs = (x,) if isinstance(x, int) else tuple(x)
        return self.add(view(inputs=inputs, origin=origin, **fields))

    def repeat(self, x: int, timesteps: int, *, origin: str = "") -> int:
        """A RepeatVector."""
        check_dim(f"RepeatVector layer {quoted(origin)}", "n", timesteps)
        return self.view(x, RepeatVector, timesteps=timesteps, origin=origin)

    def reshape(self, x: int, shape: Shape, *, origin: str = "") -> int:
        """A Reshape; no layer if the value has that shape already."""
        if tuple(shape) == self.shapes[x]:
            return x
        return self.view(x, Reshape, shape=tuple(shape), origin=origin)

    def flatten(self, x: int, *, origin: str = "") -> int:
        """A Flatten; no layer if the value is a vector already."""
        return x if len(self.shapes[x]) == 1 else self.view(x, Flatten, origin=origin)

    def reverse(self, x: int, *, origin: str = "") -> int:
        """A view of the timesteps in reverse order."""
        return self.view(x, Reverse, origin=origin)

    # ---- layers made of other layers ------------------------------------------------------------

    def activation(self, x: int, kind: str, *, alpha: float = 0.25, beta: float = 0.5,
                   origin: str = "") -> int:
        """An activation as a layer of its own: a Dense whose matrix is the identity.

        ``alpha`` and ``beta`` are a hard sigmoid's: clip(alpha x + beta, 0, 1).
        """
        if kind not in DENSE_ACTIVATIONS:
            raise UserError(f"layer {quoted(origin)}: activation must be one of "
                            f"{', '.join(DENSE_ACTIVATIONS)}, not {quoted(kind)}")
        if kind == "linear":
            return x
        gain, offset = np.ones(self.shapes[x][-1]), np.zeros(self.shapes[x][-1])
        if kind == "hard_sigmoid":
            gain, offset = scaled_for_hard_sigmoid(gain, offset, alpha, beta)
        return self._sparse(x, gain, offset=offset, label="activation", activation=kind,
                            origin=origin)

    def scale(self, x: int, gain, offset, *, origin: str = "") -> int:
        """gain x + offset, feature by feature: a BatchNormalization at inference."""
        return self._sparse(x, np.asarray(gain, np.float64), offset=offset, label="scale",
                            origin=origin)

    def add_values(self, values: Sequence[int], gains: Sequence[float] | None = None, *,
                   origin: str = "", label: str = "add") -> int:
        """The sum of values of one shape, each times its gain."""
        shapes = {self.shapes[value] for value in values}
        if len(shapes) != 1:
            raise UserError(f"layer {quoted(origin)}: inputs of the shapes {sorted(shapes)} cannot "
                            "be added: they must be equal")
        shape = shapes.pop()
        features = shape[-1]
        check_elements(f"layer {quoted(origin)}", (features, features, len(values)), MAX_PATTERN)
        whole = self.view(values, Concat, axis=len(shape) - 1, origin=origin)
        eye = np.eye(features, dtype=np.float32)
        w = np.concatenate([gain * eye for gain in gains or (1.0,) * len(values)], axis=1)
        pattern = np.concatenate([eye] * len(values), axis=1) != 0
        return self.add(Dense(inputs=(whole,), w=w, b=np.zeros(features), pattern=pattern,
                              label=label, origin=origin))

    def average_pool(self, x: int, window: Window, *, count_padding: bool = False,
                     origin: str = "") -> int:
        """An AveragePool: a Dense on windows. Where padding that is not counted overlaps some
        windows, those with equally many timesteps are a Dense each."""
        where = f"average pooling layer {quoted(origin)}" if origin else "average pooling"
        self._check_window(where, x, window)
        held = window.arrange(np.ones((self.shapes[x][-2], 1)))[..., 0]
        taps = held.sum(axis=-1)
        if not count_padding and len(set(taps.tolist())) > 1:
            ends = np.flatnonzero((held[1:] != held[:-1]).any(axis=1))
            if len(ends) >= _POOLS or not taps.all():
                raise UserError(f"{where}: its windows hold {int(taps.min())} to {int(taps.max())} "
                                "timesteps, padding not counted: use padding that divides evenly "
                                "(padding='valid')")
            return self._uneven_pool(x, window, held, [*ends.tolist(), len(held) - 1], origin)
        features = self.shapes[x][-1]
        check_elements(where, (features, features, window.size), MAX_PATTERN)
        share = 1 / (window.size if count_padding else taps[0])
        eye = np.tile(np.eye(features, dtype=np.float32), window.size)
        return self.add(Dense(inputs=(x,), w=eye * share, b=np.zeros(features), window=window,
                              pattern=eye != 0, label="average_pool", origin=origin))

    def _uneven_pool(self, x: int, window: Window, held: np.ndarray, ends: Sequence[int],
                     origin: str) -> int:
        """An AveragePool of parts of a sequence: of windows that follow one another, up to each of
        ``ends``, and have the same taps in it, which ``held`` (windows, taps) says."""
        axis, parts, first = len(self.shapes[x]) - 2, [], 0
        for last in ends:
            tap, count = int(held[first].argmax()), int(held[first].sum())
            start = first * window.stride - window.left + tap * window.dilation
            some = Window(count, window.stride, window.dilation)
            stop = start + (last - first) * window.stride + (count - 1) * window.dilation + 1
            part = self.view(x, Slice, axis=axis, start=start, stop=stop, origin=origin)
            parts.append(self.average_pool(part, some, origin=origin))
            first = last + 1
        return self.view(parts, Concat, axis=axis, origin=origin)

    def merge(self, mode: str, a: int, b: int, *, origin: str = "") -> int:
        """Two values of one shape joined: ``concat`` (of features), ``sum``, ``mul``, ``ave``."""
        if mode == "concat":
            return self.view((a, b), Concat, axis=len(self.shapes[a]) - 1, origin=origin)
        if mode == "mul":
            return self.multiply(a, b, origin=origin)
        gains = {"sum": (1.0, 1.0), "ave": (0.5, 0.5)}[mode]
        return self.add_values((a, b), gains, origin=origin)

    def softmax(self, x: int) -> int:
        """A softmax over the last axis, which the host computes: only for an output, unless the
        model is cut."""
        if self.cut is not None:
            return self.add(HostLayer(inputs=(x,), shape=self.shapes[x], label="softmax",
                                      write=lambda writer, names: writer.node(
                                          "Softmax", *names, axis=-1)))
        # It gets a value of its own, since the softmax's input may be an output as well.
        marked = self.view(x, Reshape, shape=self.shapes[x])
        self._host[marked] = "softmax"
        return marked

    def _check_window(self, where: str, x: int, window: Window) -> None:
        shape = self.shapes[x]
        window.check(where, shape)
        check_elements(where, (window.steps(shape[-2]), window.size), MAX_PATTERN)

    def _sparse(self, x: int, gain: np.ndarray, *, label: str, origin: str, offset=None,
                activation: str = "linear") -> int:
        features = self.shapes[x][-1]
        check_elements(f"layer {quoted(origin)}", (features, features), MAX_PATTERN)
        if gain.shape != (features,):
            raise UserError(f"layer {quoted(origin)}: {gain.shape} factors cannot scale "
                            f"{features} features")
        with np.errstate(over="ignore"):  # an infinite result is refused as a weight
            gain = gain.astype(np.float32)
        return self.add(Dense(
            inputs=(x,), w=np.diag(gain),
            b=np.zeros(features) if offset is None else offset, activation=activation,
            pattern=np.eye(features, dtype=bool), label=label, origin=origin))

    # ---- the end --------------------------------------------------------------------------------

    def network(self, source: dict, outputs: Sequence[int] | None = None) -> Network:
        """The finished network; ``outputs``, by default the last value.

        Raises :class:`Incomplete` where refusals were recorded.
        """
        outputs = tuple(outputs or (len(self.shapes) - 1,))
        if self.cut is not None and self.cut.end is not None:
            outputs = results_of(self.cut.end, len(self.input_shapes), self.layers, self.results)
            if PORTS in source:
                source = source | {PORTS: source[PORTS] | {
                    "outputs": [self.cut.end] * len(outputs)}}
        if self.cut is not None and self.cut.begin is not None:
            names = [*self.results, *(one.origin for one in self.layers)]
            check_begin(self.cut, len(self.input_shapes), self.layers, names, outputs)
        if self.cut is not None and (self.cut.begin or self.cut.end) and self.refusals is not None:
            self.refusals.found = needed_for(outputs, len(self.input_shapes), self.layers,
                                             self.refusals)
        for origin, problem in self._softmaxes_within(outputs):
            if self.refusals is None:
                raise problem
            self.refusals.add(origin, "softmax", problem)
        if self.refusals is not None and self.refusals.found:
            if self.cut is not None:
                refuse_between(self.input_shapes, self.layers, self.refusals)
            raise Incomplete(self.refusals, self)
        if self.cut is not None:
            return simplify(cut_network(self.input_shapes, self.layers, self.shapes, outputs,
                                        source, self.cut))
        return simplify(Network(self.input_shapes, tuple(self.layers), source, outputs,
                                tuple(self._host.get(value, "") for value in outputs)))

    def _softmaxes_within(self, outputs: Sequence[int]) -> Iterator[tuple[str, UserError]]:
        """What is wrong with each softmax that is no output, or that a layer reads."""
        read = set()
        for layer in self.layers:
            for value in layer.inputs:
                if value in self._host:
                    read.add(value)
                    name = f"layer {quoted(layer.origin)}" if layer.origin else "another layer"
                    yield layer.origin, UserError(
                        f"{name} reads a {self._host[value]}: only an output of the network can be "
                        "one, since the core leaves it to the host: split the network there, or "
                        "train with sigmoid")
        for value in self._host:
            if value not in outputs and value not in read:
                yield "", UserError(
                    f"a {self._host[value]} must be an output of the network, since the core "
                    "leaves it to the host: split the network there, or train with sigmoid")


def _most(layer: Layer, shapes: Sequence[Shape]) -> int:
    """An upper bound on the elements of a view of values of these shapes; 0 for other layers."""
    elements = sum(int(np.prod(shape, dtype=np.float64)) for shape in shapes)
    if isinstance(layer, RepeatVector):
        return elements * layer.timesteps
    if isinstance(layer, Pad):
        return elements * (1 + layer.left + layer.right)
    return elements if isinstance(layer, View) else 0


class Incomplete(UserError):
    """A model that was read to its end, but not into a network: ``refusals`` say why. ``builder``
    holds the layers that were made; None where the model was refused as a whole."""

    def __init__(self, refusals: Refusals, builder: Builder | None = None):
        super().__init__("; ".join(one.text for one in refusals.found))
        self.refusals, self.builder = refusals, builder


@contextlib.contextmanager
def every_refusal(refusals: Refusals | None) -> Iterator[None]:
    """Where every refusal is wanted, what refuses the model as a whole is recorded beside the
    ``refusals`` so far, in an :class:`Incomplete`.

    Errors about sizes and cuts stay what they are: with other ones the model can be read.
    """
    try:
        yield
    except (Incomplete, OpenError, SizesError, CutError):
        raise
    except UserError as error:
        if refusals is None:
            raise
        refusals.add("", "model", error)
        raise Incomplete(refusals) from None
