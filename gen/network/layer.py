"""What every layer is: the base class, shapes, and the activation functions.

A layer states everything that others need to know of its kind (the names of its matrices and
states, what it computes, how much memory that takes), so that nobody asks which class it has. What
a layer is in integers: :mod:`gatefold.gen.numbers.qlayer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatefold.gen.errors import UserError

__all__ = ["ACTIVATIONS", "CELL_ACTIVATIONS", "FUNCTIONS", "GATE_ACTIVATIONS", "Layer", "Shape",
           "checked", "one_of"]

Shape = tuple[int, ...]

#: Every activation in floats.
FUNCTIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 0.5 * np.tanh(0.5 * z) + 0.5,  # exp would overflow for large negative z
    "tanh": np.tanh,
    "hard_sigmoid": lambda z: np.clip(z / 4 + 0.5, 0, 1),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
}
#: Activations of Dense and Rnn layers.
ACTIVATIONS = tuple(FUNCTIONS)
#: Activations of the gates of Lstm and Gru.
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")
#: Activations of candidate (and, in an LSTM, of the cell state on its way to h).
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
    title = ""  #: what the field calls it; the class's name where empty
    computes = True  #: False of a view, which only moves values
    result = "y"  #: the name of the tensor that is its value
    weights: ClassVar[tuple[str, ...]] = ()  #: names of its matrices
    biases: ClassVar[tuple[str, ...]] = ()  #: names of its biases
    states: ClassVar[tuple[str, ...]] = ()  #: names of the states that it hands from step to step
    keeps_sign = False  #: its value is not negative where none of its inputs is
    reads_cell = False  #: it reads the last c of the LSTM that makes its input, not the value

    @property
    def shown(self) -> str:
        """What the layer is called: in its generated name, in reports."""
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
        """The activation that gives the layer's value; empty where something else gives it."""
        return ""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape behind this layer of inputs of these shapes; or a :class:`UserError`."""
        raise NotImplementedError

    def compute(self, values: Sequence[np.ndarray], inside: dict[str, np.ndarray]) -> np.ndarray:
        """The layer's value in floats, of its inputs ``values``, each (samples, *shape).

        ``inside`` receives the layer's tensors by the names that
        :func:`~gatefold.gen.network.forward.forward` lists.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return 0

    def macs(self, *shapes: Shape) -> int:
        """Multiplications for one inference on inputs of these shapes, nothing skipped."""
        return 0

    def elements(self, *shapes: Shape) -> int:
        """About how many numbers :meth:`compute` holds for each sample, beside the values."""
        return 1

    def scaled(self, gain: np.ndarray, offset: np.ndarray) -> Layer | None:
        """The layer that makes of x what this one makes of gain x + offset (features,); None where
        there is none of this kind."""
        return None
