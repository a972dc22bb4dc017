"""The float network, which every frontend makes and the quantiser reads.

A small graph. *Values* have numbers: first the network's inputs, then one value for each layer. A
layer names the values that it reads, all of which come before its own. Layer names are generated
here (``l0_lstm``); a name found in a model file is kept in ``origin`` only, and never becomes an
identifier, a path or a script token.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.around import Around
from gatefold.gen.network.int8 import Affine, in_floats
from gatefold.gen.network.layers import (
    ACTIVATIONS,
    CELL_ACTIVATIONS,
    GATE_ACTIVATIONS,
    CellState,
    Dense,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Multiply,
    Recurrent,
    Rnn,
    Shape,
    Window,
    scaled_for_hard_sigmoid,
)
from gatefold.gen.network.summary import Row, counted, rows, table
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

__all__ = ["ACTIVATIONS", "CELL_ACTIVATIONS", "GATE_ACTIVATIONS", "CellState", "Concat", "Dense",
           "Flatten", "Graph", "Gru", "Layer", "Lstm", "MaxPool", "Multiply", "Network", "Pad",
           "Permute", "Recurrent", "RepeatVector", "Reshape", "Reverse", "Rnn", "Shape", "Slice",
           "View", "Window", "joined", "scaled_for_hard_sigmoid", "split"]

#: Functions that a core may leave to its host: it gives the numbers before them.
HOST = ("", "softmax", "sigmoid")


class Graph:
    """The wiring that a float network and its quantised form share.

    A class that inherits this has ``input_shapes``, ``layers`` (each with ``inputs``),
    ``outputs`` and ``window``.
    """

    input_shapes: tuple[Shape, ...]
    layers: tuple[Any, ...]
    outputs: tuple[int, ...]
    window: int

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of every value: the inputs, then the values of the layers."""
        shapes = list(self.read_shapes)
        for layer in self.layers:
            shapes.append(layer.output_shape(*(shapes[value] for value in layer.inputs)))
        return tuple(shapes)

    @property
    def read_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the inputs as the layers read them."""
        return self.input_shapes

    def value(self, layer: int) -> int:
        """Number of the value that layer ``layer`` makes."""
        return len(self.input_shapes) + layer

    def shapes_into(self, layer: int) -> tuple[Shape, ...]:
        """Shapes of the values that layer ``layer`` reads."""
        shapes = self.shapes
        return tuple(shapes[value] for value in self.layers[layer].inputs)

    @property
    def input_shape(self) -> Shape:
        """Shape of a sample: the input's, or (elements,) if several inputs follow one another in a
        frame."""
        return frame_shape(self.input_shapes)

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Shape of each output."""
        shapes = self.shapes
        return tuple(shapes[value] for value in self.outputs)

    @property
    def output_shape(self) -> Shape:
        """Shape of a sample's output: the output's, or (elements,) if several follow one
        another."""
        return frame_shape(self.output_shapes)

    @property
    def readers(self) -> list[set[int]]:
        """Of every value the numbers of the computing layers that read it, also through views."""
        found: list[set[int]] = [set() for _ in range(self.value(len(self.layers)))]
        for n in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[n]
            behind = {n} if layer.computes else found[self.value(n)]
            for value in layer.inputs:
                found[value] |= behind
        return found

    @property
    def input_elements(self) -> int:
        """Elements of all inputs."""
        return sum(prod(shape) for shape in self.input_shapes)

    @property
    def spans(self) -> int:
        """Frames from the first of a recording to the first whose window is whole."""
        return -(-self.window // self.input_shapes[0][0]) if self.window else 1

    @property
    def meet_input(self) -> set[int] | None:
        """The numbers of the layers that multiply the only input by a matrix, whole vectors of it,
        perhaps in reverse order; None if anything else reads it, or if there are several inputs.
        """
        whole, found = {0}, set()
        for n, layer in enumerate(self.layers):
            if whole.isdisjoint(layer.inputs):
                continue
            if isinstance(getattr(layer, "view", layer), Reverse):
                whole.add(self.value(n))
                continue
            vectors = (issubclass(getattr(layer, "of", type(layer)), Dense | Recurrent)
                       and getattr(layer, "window", None) is None
                       and getattr(layer, "pattern", None) is None)
            if not vectors or not whole.isdisjoint(layer.inputs[1:]):
                return None
            found.add(n)
        return found if len(self.input_shapes) == 1 and whole.isdisjoint(self.outputs) else None

    @property
    def stateful(self) -> bool:
        """Whether any layer keeps its state between frames."""
        return any(getattr(layer, "stateful", False) for layer in self.layers)


def frame_shape(shapes: tuple[Shape, ...]) -> Shape:
    """The shape, if there is one; (elements,) of several together."""
    return shapes[0] if len(shapes) == 1 else (sum(int(np.prod(s)) for s in shapes),)


def split(frame: np.ndarray, shapes: tuple[Shape, ...]) -> list[np.ndarray]:
    """Samples (samples, *frame_shape(shapes)) as arrays (samples, *shape), one for each shape."""
    flat = frame.reshape(len(frame), -1)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(len(frame), *shape)
            for part, shape in zip(np.split(flat, ends[:-1], axis=1), shapes, strict=True)]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """The inverse of :func:`split`."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


@dataclass(frozen=True, repr=False)
class Network(Graph):
    """A float network.

    Attributes: ``input_shapes``, one for each input, (timesteps, features), (features,) or with
    more axes in front; a single shape may be given as such; ``layers``, each after the layers that
    it reads (``inputs`` = () is the value before); ``outputs``, numbers of values, by default the
    last; ``source``, its origin for the report (format, exporter, sha256); ``host``, for each
    output the function that is left to the host (of :data:`HOST`); ``around``, of a model that was
    cut: what the host computes before and behind this network; ``affine``, of a network in int8 the
    numbers of its inputs and those of its outputs; ``window``, of a network whose frames are the
    new samples of windows that overlap (:mod:`~.overlap`), the samples of a window, else 0.
    Raises :class:`UserError` if the layers' shapes contradict each other.
    """

    input_shapes: tuple[Shape, ...]
    layers: tuple[Layer, ...]
    source: dict = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    host: tuple[str, ...] = ()
    around: Around | None = None
    affine: tuple[tuple[Affine, ...], tuple[Affine, ...]] | None = None
    window: int = 0

    def __post_init__(self):
        shapes = self.input_shapes
        if shapes and isinstance(shapes[0], int):
            shapes = (shapes,)
        shapes = tuple(tuple(shape) for shape in shapes)
        object.__setattr__(self, "input_shapes", shapes)
        for shape in shapes:
            if not 1 <= len(shape) <= 4 or not all(isinstance(n, int) and n >= 1 for n in shape):
                raise UserError("the network's input must be (timesteps, features) or (features,), "
                                f"all positive, not {shape!r}: export it with a fixed shape")
        wired = tuple(layer if layer.inputs else replace(layer, inputs=(self.value(n) - 1,))
                      for n, layer in enumerate(self.layers))
        for n, layer in enumerate(wired):
            if not all(0 <= value < self.value(n) for value in layer.inputs):
                raise ValueError(f"layer {n} reads values {layer.inputs}, there are "
                                 f"{self.value(n)} before it")
        object.__setattr__(self, "layers", wired)
        if not any(layer.computes for layer in wired):
            raise UserError("the network has no LSTM or Dense layer: there is nothing to build")
        if not self.outputs:
            object.__setattr__(self, "outputs", (self.value(len(wired)) - 1,))
        if not self.host:
            object.__setattr__(self, "host", ("",) * len(self.outputs))
        for n, layer in enumerate(wired):
            if layer.reads_cell:
                source = layer.inputs[0] - len(shapes)
                if source < 0 or "c" not in wired[source].states:
                    raise ValueError(f"layer {n}: a CellState must read an Lstm's value")
        _ = self.shapes

    @property
    def names(self) -> tuple[str, ...]:
        """The generated names of the layers, ``l0_lstm``, ``l1_dense``, ..."""
        return tuple(f"l{n}_{layer.shown}" for n, layer in enumerate(self.layers))

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of one inference, none skipped."""
        return sum(layer.macs(*self.shapes_into(n)) for n, layer in enumerate(self.layers))

    @property
    def in_floats(self) -> Network:
        """The network without the integers of a full-integer file."""
        return replace(self, layers=tuple(map(in_floats, self.layers)), affine=None)

    def __repr__(self) -> str:
        """The network in one line."""
        return (f"<Network {_shown(self.input_shapes)} -> {_shown(self.output_shapes)}: "
                f"{counted(len(self.layers), 'layer')}, {counted(self.parameters, 'parameter')}, "
                f"{counted(self.macs, 'multiplication')}>")

    def rows(self) -> list[Row]:
        """The layers as rows of a table."""
        return rows(self.layers, self.shapes)

    def summary(self) -> None:
        """Print a table of the layers: their shapes, parameters and multiplications."""
        print("\n".join(table(self.rows())))


def _shown(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(str, shapes))
