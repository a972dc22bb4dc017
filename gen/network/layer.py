"""The base class of all layers, shapes, and the activation functions.

A layer states what the rest of the program needs to know of it: the names of its matrices and
states, what it computes, and how much memory that takes. No other module has to look at its class.
The same layer in integers: :mod:`gatefold.gen.numbers.qlayer`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatefold.gen.errors import UserError

__all__ = ["ACTIVATIONS", "CELL_ACTIVATIONS", "CURVES", "DENSE_ACTIVATIONS", "FUNCTIONS",
           "GATE_ACTIVATIONS", "Layer", "Shape", "checked", "one_of"]

Shape = tuple[int, ...]

#: Every activation in floats.
FUNCTIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 0.5 * np.tanh(0.5 * z) + 0.5,  # exp would overflow for large negative z
    "tanh": np.tanh,
    "hard_sigmoid": lambda z: np.clip(z / 4 + 0.5, 0, 1),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "erf": lambda z: np.vectorize(math.erf, otypes=[np.asarray(z).dtype])(z),
    "expm1": lambda z: np.expm1(np.minimum(z, 0)),
    "log1pexp": lambda z: np.log1p(np.exp(-np.abs(z))),
    "softsign": lambda z: np.clip(z, -8, 8) / (1 + np.minimum(np.abs(z), 8)),
    "softsign_tail": lambda z: np.sign(z) * np.maximum(np.abs(z) / (1 + np.abs(z)) - 8 / 9, 0),
}
#: Activations of Dense layers alone, each with a table of its own: the error function,
#: exp(min(z, 0)) - 1, log(1 + exp(-|z|)), and z / (1 + |z|) for |z| up to 8 and what is missing
#: beyond. Others are made of them.
CURVES = ("erf", "expm1", "log1pexp", "softsign", "softsign_tail")
#: Activations of Dense and Rnn layers ...
ACTIVATIONS = tuple(name for name in FUNCTIONS if name not in CURVES)
#: ... and those of Dense layers.
DENSE_ACTIVATIONS = (*ACTIVATIONS, *CURVES)
#: Activations of the gates of Lstm and Gru.
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")
#: Activations of the candidate (and, in an LSTM, of the cell state on its way to h).
CELL_ACTIVATIONS = ("tanh", "relu", "linear", "hard_tanh")


def checked(owner: str, name: str, value, shape: Shape) -> np.ndarray:
    """``value`` as a read-only float32 array of ``shape``, finite."""
    array = np.array(value, dtype=np.float32)
    if array.shape != shape:
        raise UserError(f"{owner}: {name} must have the shape {shape}, not {array.shape}: "
                        "the file's weights contradict its layer description")
    if not np.isfinite(array).all():
        raise UserError(f"{owner}: {name} holds NaN or infinite weights: train or export it again")
    array.setflags(write=False)
    return array


def one_of(owner: str, name: str, value: str, legal: tuple[str, ...]) -> None:
    """Raise :class:`UserError` unless ``value`` is among the ``legal`` ones."""
    if value not in legal:
        raise UserError(f"{owner}: {name} must be one of {', '.join(legal)}, not {value!a}")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One step of a network.

    Attributes: ``origin``, the layer's name in the model file, for messages and reports only;
    ``inputs``, numbers of the values it reads; ``label``, what users call it where that is not its
    :attr:`kind` (``conv1d``, ``add``): a word of ours, never from a file.
    """

    origin: str = ""
    inputs: tuple[int, ...] = ()
    label: str = ""

    kind = "layer"
    title = ""  #: the usual name of the kind, where it is not the class's
    computes = True  #: False of a view, which only moves values
    result = "y"  #: the name of the tensor that is its value
    weights: ClassVar[tuple[str, ...]] = ()  #: names of its matrices
    biases: ClassVar[tuple[str, ...]] = ()  #: names of its biases
    states: ClassVar[tuple[str, ...]] = ()  #: names of the states that it hands from step to step
    keeps_sign = False  #: whether inputs without negative numbers give a value without them
    reads_cell = False  #: whether it reads the last c of an LSTM instead of the LSTM's value

    @property
    def shown(self) -> str:
        """The layer's name for people: in its generated name and in reports."""
        return self.label or self.kind

    @property
    def where(self) -> str:
        """The layer in a message."""
        return f"{self.shown} layer {self.origin!a}"

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors whose formats a user may choose."""
        return (*self.weights, self.result)

    @property
    def last_activation(self) -> str:
        """The activation whose result is the layer's value; empty if something else gives it."""
        return ""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of its value for inputs of these shapes; raises :class:`UserError` for others."""
        raise NotImplementedError

    def compute(self, values: Sequence[np.ndarray], inside: dict[str, np.ndarray]) -> np.ndarray:
        """The layer's value in floats; its inputs are ``values``, each (samples, *shape).

        ``inside`` receives the layer's other tensors by the names that
        :func:`~gatefold.gen.network.forward.forward` lists.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return 0

    def macs(self, *shapes: Shape) -> int:
        """Multiplications of one inference on inputs of these shapes, none skipped."""
        return 0

    def elements(self, *shapes: Shape) -> int:
        """About how many numbers :meth:`compute` holds for each sample, beside the values."""
        return 1

    def scaled(self, gain: np.ndarray, offset: np.ndarray) -> Layer | None:
        """A layer that gives for x what this one gives for gain x + offset, (features,) each; None
        if there is no such layer of this kind."""
        return None
