"""The layers that compute, which a frontend may put into a :class:`~.graph.Network`.

They are few. Whatever users call a layer is one of them or a view (:mod:`~.network.views`): Conv1D
is a :class:`Dense` on windows, BatchNormalization, average
pooling and Add are Dense layers with a sparse ``pattern``, Bidirectional is two recurrent layers
between two reversals, a hard sigmoid of any slope is ``hard_sigmoid`` with its weights scaled
(:func:`scaled_for_hard_sigmoid`).

A matrix is stored as (outputs, inputs). ``inputs`` of a layer are the numbers of the values it
reads; () means the value before it (see :class:`~gatefold.gen.network.graph.Network`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.layer import (
    ACTIVATIONS,
    CELL_ACTIVATIONS,
    DENSE_ACTIVATIONS,
    FUNCTIONS,
    GATE_ACTIVATIONS,
    Layer,
    Shape,
    checked,
    one_of,
)
from gatefold.gen.network.recurrent import Gru, Lstm, Recurrent, Rnn

__all__ = ["ACTIVATIONS", "CELL_ACTIVATIONS", "COMPUTING", "GATE_ACTIVATIONS", "CellState", "Dense",
           "Gru", "Layer", "Lstm", "MaxPool", "Multiply", "Recurrent", "Rnn", "Shape", "Window",
           "Windowed", "scaled_for_hard_sigmoid"]

#: Labels of Dense layers whose weights were not trained.
_UNTRAINED = ("activation", "add", "average_pool", "identity")


def scaled_for_hard_sigmoid(w: np.ndarray, b: np.ndarray, alpha: float,
                            beta: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias with which ``hard_sigmoid`` gives what clip(alpha z + beta, 0, 1) gives with
    ``w`` and ``b``.

    Keras 3 and torch have alpha = 1/6, Keras 2 and ONNX by default 0.2.
    """
    return (np.asarray(w, np.float64) * (4 * alpha),
            np.asarray(b, np.float64) * (4 * alpha) + (4 * beta - 2))


@dataclass(frozen=True)
class Window:
    """Windows over the timesteps: ``size`` taps, ``dilation`` steps apart, every ``stride`` steps,
    ``left`` and ``right`` padding steps around the sequence."""

    size: int
    stride: int = 1
    dilation: int = 1
    left: int = 0
    right: int = 0

    def steps(self, timesteps: int) -> int:
        """Number of windows in a sequence; below 1 if it is too short."""
        reach = (self.size - 1) * self.dilation + 1
        return (timesteps + self.left + self.right - reach) // self.stride + 1

    def arrange(self, values: np.ndarray, fill: float = 0) -> np.ndarray:
        """The windows (..., steps, size, features) of ``values`` (..., timesteps, features), with
        ``fill`` as padding."""
        pad = [(0, 0)] * (values.ndim - 2) + [(self.left, self.right), (0, 0)]
        padded = np.pad(values, pad, constant_values=fill)
        first = np.arange(self.steps(values.shape[-2])) * self.stride
        return padded[..., first[:, None] + np.arange(self.size) * self.dilation, :]

    def only_padding(self, timesteps: int) -> bool:
        """Whether any window on a sequence of ``timesteps`` lies wholly in the padding."""
        return bool(self.arrange(np.zeros((timesteps, 1), np.int8), fill=1).all(axis=-2).any())

    def check(self, where: str, shape: Shape) -> None:
        """Raise :class:`UserError` if the window does not fit a value of ``shape``."""
        if min(self.size, self.stride, self.dilation) < 1 or min(self.left, self.right) < 0:
            raise UserError(f"{where}: size, stride and dilation must be positive, not {self}")
        if len(shape) < 2 or self.steps(shape[-2]) < 1:
            raise UserError(f"{where}: a window of {self.size} taps, {self.dilation} apart, does "
                            f"not fit an input of the shape {shape}")

    def elements(self, shape: Shape) -> int:
        """Elements of all windows of a value of ``shape``."""
        return int(np.prod(shape)) // shape[-2] * self.size * self.steps(shape[-2])


class Windowed:
    """The common part of layers, in floats and in integers, that may have a ``window``."""

    window: Any  # a Window, or None of a layer that needs none

    def gather(self, x: np.ndarray, fill=0) -> np.ndarray:
        """The vectors (..., features) that a matrix multiplies: x itself, or its windows."""
        if self.window is None:
            return x
        taps = self.window.arrange(x, fill)
        return taps.reshape(*taps.shape[:-2], -1)

    def leading(self, shape: Shape) -> Shape:
        """The axes of the value before the features, of an input of ``shape``."""
        return (*shape[:-2], self.window.steps(shape[-2])) if self.window else shape[:-1]


@dataclass(frozen=True, kw_only=True)
class Dense(Windowed, Layer):
    """y = activation(w x + b) on the last axis; the same at every timestep (TimeDistributed).

    With a ``window``, x is a window of a sequence, all its features in the order of its taps: a
    Conv1D.

    Attributes: ``w`` (outputs, features), ``b`` (outputs,), ``activation`` of
    :data:`~.layer.DENSE_ACTIVATIONS`;
    ``pattern``, None or booleans (outputs, features): where a training can make w other than zero
    (the identity of an Add, the diagonal of a scale), so that hardware may skip the rest.
    """

    w: np.ndarray
    b: np.ndarray
    activation: str = "linear"
    window: Window | None = None
    pattern: np.ndarray | None = None

    kind = "dense"
    weights = ("w",)
    biases = ("b",)

    def __post_init__(self):
        shape = np.shape(self.w) if np.ndim(self.w) == 2 else (-1, -1)
        object.__setattr__(self, "w", checked(self.where, "w", self.w, shape))
        object.__setattr__(self, "b", checked(self.where, "b", self.b, shape[:1]))
        one_of(self.where, "activation", self.activation, DENSE_ACTIVATIONS)
        if self.pattern is not None:
            pattern = np.array(self.pattern, dtype=bool)
            if pattern.shape != shape or np.any(self.w[~pattern]):
                raise ValueError(f"{self.where}: w must be zero outside its pattern")
            pattern.setflags(write=False)
            object.__setattr__(self, "pattern", pattern)

    @property
    def shown(self):
        return self.label or ("conv1d" if self.window else self.kind)

    @property
    def features(self) -> int:
        """Input features; with a window, those of all its taps."""
        return self.w.shape[1]

    @property
    def outputs(self) -> int:
        """Output features."""
        return self.w.shape[0]

    def output_shape(self, *shapes):
        (x,) = shapes
        if self.window:
            self.window.check(self.where, x)
        if x[-1] * (self.window.size if self.window else 1) != self.features:
            raise UserError(f"{self.where} takes {self.features} features, "
                            f"but its input has the shape {x}")
        return (*self.leading(x), self.outputs)

    @property
    def last_activation(self):
        return self.activation

    def compute(self, values, inside):
        x = self.gather(values[0])
        # In two dimensions: BLAS would multiply more of them sample by sample.
        flat = x.reshape(-1, self.features) @ self.w.T.astype(x.dtype)
        z = inside["z"] = flat.reshape(*x.shape[:-1], self.outputs) + self.b.astype(x.dtype)
        return FUNCTIONS[self.activation](z)

    @property
    def _products(self) -> int:
        """Weights that can be other than zero."""
        return self.w.size if self.pattern is None else int(self.pattern.sum())

    @property
    def parameters(self):
        return 0 if self.label in _UNTRAINED else self._products + self.b.size

    def macs(self, *shapes):
        return int(np.prod(self.output_shape(*shapes)[:-1])) * self._products

    def elements(self, *shapes):
        return self.window.elements(shapes[0]) if self.window else 1

    def scaled(self, gain, offset):
        if self.window and self.window.left + self.window.right and np.any(offset):
            return None  # padding is zero, with and without a gain, but takes no offset
        taps = self.window.size if self.window else 1
        return replace(self, w=self.w * np.tile(gain, taps),
                       b=self.b + self.w @ np.tile(offset, taps))


@dataclass(frozen=True, kw_only=True)
class MaxPool(Windowed, Layer):
    """The largest value in each window, feature by feature; padding is never the largest."""

    window: Window

    kind = "max_pool"
    keeps_sign = True

    def output_shape(self, *shapes):
        (x,) = shapes
        self.window.check(self.where, x)
        if self.window.only_padding(x[-2]):
            raise UserError(f"{self.where}: a window lies wholly in the padding: pad less")
        return (*self.leading(x), x[-1])

    def compute(self, values, inside):
        return self.window.arrange(values[0], fill=-np.inf).max(axis=-2)

    def elements(self, *shapes):
        return self.window.elements(shapes[0])


@dataclass(frozen=True, kw_only=True)
class Multiply(Layer):
    """The element-wise product of two values of one shape."""

    kind = "multiply"
    keeps_sign = True

    def output_shape(self, *shapes):
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise UserError(f"{self.where} takes two inputs of one shape, not {shapes}")
        return shapes[0]

    def compute(self, values, inside):
        return values[0] * values[1]

    def macs(self, *shapes):
        return int(np.prod(shapes[0]))


@dataclass(frozen=True, kw_only=True)
class CellState(Layer):
    """c of an LSTM after its last step, (units,). ``inputs`` names the LSTM's value."""

    units: int

    kind = "cell_state"
    reads_cell = True

    def output_shape(self, *shapes):
        return (self.units,)

    def compute(self, values, inside):
        return values[0]


#: The layers that compute, by their kind.
COMPUTING: dict[str, type[Layer]] = {layer.kind: layer for layer in (
    Lstm, Gru, Rnn, Dense, MaxPool, Multiply, CellState)}
