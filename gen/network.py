"""The float network: what every frontend produces and what the quantiser reads.

Gate order is i, f, g, o everywhere from here on; a frontend permutes once, at import. A matrix is
stored as (outputs, inputs): one row per gate row or output, one column per input feature.
Layer names are generated here (``l0_lstm``); a name found in a model file is kept in ``origin``
only, and never becomes an identifier, a path or a script token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .errors import UserError

__all__ = ["ACTIVATIONS", "Dense", "Flatten", "Layer", "Lstm", "Network", "RepeatVector"]

#: Activations a Dense layer may have.
ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")

Shape = tuple[int, ...]


def _matrix(owner: str, name: str, value, shape: Shape) -> np.ndarray:
    array = np.array(value, dtype=np.float32)
    if array.shape != shape:
        raise UserError(f"{owner}: {name} must have the shape {shape}, not {array.shape}: "
                        "the file's weights contradict its layer description")
    if not np.isfinite(array).all():
        raise UserError(f"{owner}: {name} holds NaN or infinite weights: train or export it again")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One step of a sequential network.

    Attributes: ``origin``, the layer's name in the model file, for messages and reports only.
    """

    origin: str = ""

    kind = "layer"

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (timesteps, features) or (features,) behind this layer; or a :class:`UserError`."""
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Multiplications for one inference on an input of ``shape``, nothing skipped."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Lstm(Layer):
    """LSTM layer, sigmoid gates and tanh activations, zero initial state.

    z = w_ih x_t + w_hh h_(t-1) + b; i, f, o = sigmoid(z); g = tanh(z); c = f c + i g;
    h = o tanh(c).  (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000.)

    Attributes: ``units`` U; ``w_ih`` (4U, F), ``w_hh`` (4U, U) and ``b`` (4U,) with the gates'
    rows in blocks i, f, g, o; ``return_sequences``, every h or only the last.
    """

    units: int
    w_ih: np.ndarray
    w_hh: np.ndarray
    b: np.ndarray
    return_sequences: bool

    kind = "lstm"

    def __post_init__(self):
        u, where = self.units, f"LSTM layer {self.origin!a}"
        if not (isinstance(u, int) and u >= 1):
            raise UserError(f"{where}: units must be a positive integer, not {u!r}")
        features = np.shape(self.w_ih)[-1] if np.ndim(self.w_ih) == 2 else -1
        object.__setattr__(self, "w_ih", _matrix(where, "w_ih", self.w_ih, (4 * u, features)))
        object.__setattr__(self, "w_hh", _matrix(where, "w_hh", self.w_hh, (4 * u, u)))
        object.__setattr__(self, "b", _matrix(where, "b", self.b, (4 * u,)))

    @property
    def features(self) -> int:
        """Input features F."""
        return self.w_ih.shape[1]

    def output_shape(self, shape):
        if len(shape) != 2 or shape[1] != self.features:
            raise UserError(f"LSTM layer {self.origin!a} takes (timesteps, {self.features}), "
                            f"but its input has the shape {shape}")
        return (shape[0], self.units) if self.return_sequences else (self.units,)

    @property
    def parameters(self):
        return self.w_ih.size + self.w_hh.size + self.b.size

    def macs(self, shape):
        return shape[0] * (self.w_ih.size + self.w_hh.size)


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """y = activation(w x + b); on a sequence, the same at every timestep (TimeDistributed).

    Attributes: ``w`` (outputs, features), ``b`` (outputs,), ``activation`` of :data:`ACTIVATIONS`.
    """

    w: np.ndarray
    b: np.ndarray
    activation: str = "linear"

    kind = "dense"

    def __post_init__(self):
        where = f"Dense layer {self.origin!a}"
        shape = np.shape(self.w) if np.ndim(self.w) == 2 else (-1, -1)
        object.__setattr__(self, "w", _matrix(where, "w", self.w, shape))
        object.__setattr__(self, "b", _matrix(where, "b", self.b, shape[:1]))
        if self.activation not in ACTIVATIONS:
            raise UserError(f"{where}: activation must be one of {', '.join(ACTIVATIONS)}, "
                            f"not {self.activation!a}")

    @property
    def features(self) -> int:
        """Input features."""
        return self.w.shape[1]

    @property
    def outputs(self) -> int:
        """Output features."""
        return self.w.shape[0]

    def output_shape(self, shape):
        if shape[-1] != self.features:
            raise UserError(f"Dense layer {self.origin!a} takes {self.features} features, "
                            f"but its input has the shape {shape}")
        return (*shape[:-1], self.outputs)

    @property
    def parameters(self):
        return self.w.size + self.b.size

    def macs(self, shape):
        return (shape[0] if len(shape) == 2 else 1) * self.w.size


@dataclass(frozen=True, kw_only=True)
class RepeatVector(Layer):
    """A vector repeated at ``timesteps`` steps."""

    timesteps: int
    kind = "repeat_vector"

    def output_shape(self, shape):
        if len(shape) != 1:
            raise UserError(f"RepeatVector layer {self.origin!a} takes a vector, "
                            f"but its input has the shape {shape}")
        if not (isinstance(self.timesteps, int) and self.timesteps >= 1):
            raise UserError(f"RepeatVector layer {self.origin!a}: n must be a positive integer, "
                            f"not {self.timesteps!r}")
        return (self.timesteps, shape[0])


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer):
    """(timesteps, features) to (timesteps * features,), row-major."""

    kind = "flatten"

    def output_shape(self, shape):
        return (int(np.prod(shape)),)


@dataclass(frozen=True)
class Network:
    """A sequential float network.

    Attributes: ``input_shape`` (timesteps, features) or (features,); ``layers``; ``source``, a
    description of where it came from (format, exporter, sha256) for the report.
    Raises :class:`UserError` where the layers' shapes contradict each other.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    source: dict = field(default_factory=dict)

    def __post_init__(self):
        if len(self.input_shape) not in (1, 2) or not all(
                isinstance(n, int) and n >= 1 for n in self.input_shape):
            raise UserError("the network's input must be (timesteps, features) or (features,), all "
                            f"positive, not {self.input_shape!r}: export it with a fixed shape")
        if not any(isinstance(layer, (Lstm, Dense)) for layer in self.layers):
            raise UserError("the network has no LSTM or Dense layer: there is nothing to build")
        _ = self.shapes

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Input shape, then the shape after each layer."""
        shapes = [tuple(self.input_shape)]
        for layer in self.layers:
            shapes.append(layer.output_shape(shapes[-1]))
        return tuple(shapes)

    @property
    def output_shape(self) -> Shape:
        """Shape of the last layer's output."""
        return self.shapes[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """Generated layer names: ``l0_lstm``, ``l1_dense``, ..."""
        return tuple(f"l{n}_{layer.kind}" for n, layer in enumerate(self.layers))

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of one inference, nothing skipped."""
        return sum(layer.macs(s) for layer, s in zip(self.layers, self.shapes, strict=False))
