"""The layers that compute: what a frontend may put into a :class:`~.graph.Network`.

Few kinds, chosen so that everything users call a layer is one of them or a view
(:mod:`~.network.views`): Conv1D is a :class:`Dense` on windows, BatchNormalization, average
pooling and Add are Dense layers with a sparse ``pattern``, Bidirectional is two recurrent layers
between two reversals, a hard sigmoid of any slope is ``hard_sigmoid`` with its weights scaled
(:func:`scaled_for_hard_sigmoid`).

Conventions. Gates are in blocks i, f, g, o (LSTM) and r, z, n (GRU). A matrix is stored as
(outputs, inputs). ``inputs`` of a layer are the numbers of the values it reads; () means the value
before it (see :class:`~gatefold.gen.network.graph.Network`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError

__all__ = ["ACTIVATIONS", "CELL_ACTIVATIONS", "GATE_ACTIVATIONS", "CellState", "Dense", "Gru",
           "Layer", "Lstm", "MaxPool", "Multiply", "Rnn", "Shape", "Window",
           "scaled_for_hard_sigmoid"]

#: Activations of Dense and Rnn layers. hard_sigmoid(z) = clip(z/4 + 1/2, 0, 1),
#: hard_tanh(z) = clip(z, -1, 1).
ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "hard_sigmoid", "hard_tanh")
#: Activations of the gates of Lstm and Gru.
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")
#: Activations of candidate (and, in an LSTM, of the cell state on its way to h).
CELL_ACTIVATIONS = ("tanh", "relu", "linear", "hard_tanh")

#: Labels of Dense layers that compute what nobody trained.
_UNTRAINED = ("activation", "add", "average_pool", "identity")

Shape = tuple[int, ...]


def scaled_for_hard_sigmoid(w: np.ndarray, b: np.ndarray, alpha: float,
                            beta: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias with which ``hard_sigmoid`` is clip(alpha z + beta, 0, 1) of the given ones.

    Keras 3 and torch have alpha = 1/6, Keras 2 and ONNX by default 0.2.
    """
    return (np.asarray(w, np.float64) * (4 * alpha),
            np.asarray(b, np.float64) * (4 * alpha) + (4 * beta - 2))


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

    @property
    def shown(self) -> str:
        """What the layer is called: in its generated name, in reports."""
        return self.label or self.kind

    @property
    def where(self) -> str:
        """The layer in a message."""
        return f"{self.shown} layer {self.origin!a}"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape behind this layer of inputs of these shapes; or a :class:`UserError`."""
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return 0

    def macs(self, *shapes: Shape) -> int:
        """Multiplications for one inference on inputs of these shapes, nothing skipped."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Recurrent(Layer):
    """What Lstm, Gru and Rnn share.

    Attributes: ``units`` U; ``w_ih`` (gates U, F) and ``w_hh`` (gates U, U); ``b`` (gates U,);
    ``return_sequences``, every h or only the last; ``stateful``, a frame begins with the state that
    the last one left; ``h0`` (U,), a constant initial state, or None for zero.

    ``inputs`` may have further values behind x: the initial state(s), each (U,).
    Time runs forwards: a reversal is a view before the layer.
    """

    units: int
    w_ih: np.ndarray
    w_hh: np.ndarray
    b: np.ndarray
    return_sequences: bool
    stateful: bool = False
    h0: np.ndarray | None = None

    gates = 1  #: row blocks of the matrices
    states = 1  #: initial states that ``inputs`` may bring

    def __post_init__(self):
        u = self.units
        if not (isinstance(u, int) and u >= 1):
            raise UserError(f"{self.where}: units must be a positive integer, not {u!r}")
        features = np.shape(self.w_ih)[-1] if np.ndim(self.w_ih) == 2 else -1
        rows = self.gates * u
        self._set("w_ih", self.w_ih, (rows, features))
        self._set("w_hh", self.w_hh, (rows, u))
        self._set("b", self.b, (rows,))
        if self.h0 is not None:
            self._set("h0", self.h0, (u,))
        given = self.h0 is not None or len(self.inputs) > 1
        if self.stateful and given:
            raise UserError(f"{self.where}: a stateful layer cannot have an initial state as well: "
                            "drop one of the two")

    def _set(self, name: str, value, shape: Shape):
        object.__setattr__(self, name, checked(self.where, name, value, shape))

    @property
    def features(self) -> int:
        """Input features F."""
        return self.w_ih.shape[1]

    def output_shape(self, *shapes):
        x, *states = shapes
        if len(x) != 2 or x[1] != self.features:
            raise UserError(f"{self.where} takes (timesteps, {self.features}), "
                            f"but its input has the shape {x}")
        if states and (len(states) != self.states or any(s != (self.units,) for s in states)):
            raise UserError(f"{self.where} takes {self.states} initial state(s) of the shape "
                            f"({self.units},), not {states}")
        return (x[0], self.units) if self.return_sequences else (self.units,)

    @property
    def parameters(self):
        return self.w_ih.size + self.w_hh.size + self.b.size

    def macs(self, *shapes):
        return shapes[0][0] * (self.w_ih.size + self.w_hh.size)


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """LSTM layer.

    z = w_ih x_t + w_hh h_(t-1) + b; i, f, o = gate(z); g = act(z); c = f c + i g; h = o act(c).
    (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000.)

    Attributes beside :class:`Recurrent`'s: ``activation`` of :data:`CELL_ACTIVATIONS`,
    ``recurrent_activation`` of :data:`GATE_ACTIVATIONS`; ``c0`` (U,), like ``h0``. Initial states
    among the ``inputs``: h, then c.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    c0: np.ndarray | None = None

    kind = "lstm"
    gates = 4
    states = 2

    def __post_init__(self):
        super().__post_init__()
        if self.c0 is not None:
            self._set("c0", self.c0, (self.units,))
            if self.stateful:
                raise UserError(f"{self.where}: a stateful layer cannot have an initial state as "
                                "well: drop one of the two")
        one_of(self.where, "activation", self.activation, CELL_ACTIVATIONS)
        one_of(self.where, "recurrent_activation", self.recurrent_activation, GATE_ACTIVATIONS)


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """GRU layer (Cho et al. 2014).

    r, z = gate(w_ih x_t + w_hh h + b); h = z h + (1 - z) n, where
    ``reset_after``      n = act(w_ih x_t + b + r (w_hh h + b_n))     (Keras' default, torch, cuDNN)
    not ``reset_after``  n = act(w_ih x_t + b + w_hh (r h))           (Keras 2's default, ONNX')
    with the rows of n in each matrix. ``b`` holds what r and z add, and of n's two biases the one
    outside the product with r; ``b_n`` (U,) the one inside, zero without ``reset_after``.
    """

    reset_after: bool
    b_n: np.ndarray | None = None
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    kind = "gru"
    gates = 3

    def __post_init__(self):
        super().__post_init__()
        b_n = np.zeros(self.units) if self.b_n is None else self.b_n
        self._set("b_n", b_n, (self.units,))
        if not self.reset_after and np.any(self.b_n):
            raise UserError(f"{self.where}: b_n has no place without reset_after")
        one_of(self.where, "activation", self.activation, CELL_ACTIVATIONS)
        one_of(self.where, "recurrent_activation", self.recurrent_activation, GATE_ACTIVATIONS)

    @property
    def parameters(self):
        return super().parameters + (self.units if self.reset_after else 0)


@dataclass(frozen=True, kw_only=True)
class Rnn(Recurrent):
    """SimpleRNN layer (Elman 1990): h = act(w_ih x_t + w_hh h + b)."""

    activation: str = "tanh"

    kind = "rnn"

    def __post_init__(self):
        super().__post_init__()
        one_of(self.where, "activation", self.activation, ACTIVATIONS)


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
        """Windows of a sequence; below 1 where it is too short."""
        reach = (self.size - 1) * self.dilation + 1
        return (timesteps + self.left + self.right - reach) // self.stride + 1

    def arrange(self, values: np.ndarray, fill: float = 0) -> np.ndarray:
        """(..., timesteps, features) to (..., steps, size, features); padding is ``fill``."""
        pad = [(0, 0)] * (values.ndim - 2) + [(self.left, self.right), (0, 0)]
        padded = np.pad(values, pad, constant_values=fill)
        first = np.arange(self.steps(values.shape[-2])) * self.stride
        return padded[..., first[:, None] + np.arange(self.size) * self.dilation, :]

    def check(self, where: str, shape: Shape) -> None:
        """Raise :class:`UserError` where this does not fit a value of ``shape``."""
        if min(self.size, self.stride, self.dilation) < 1 or min(self.left, self.right) < 0:
            raise UserError(f"{where}: size, stride and dilation must be positive, not {self}")
        if len(shape) < 2 or self.steps(shape[-2]) < 1:
            raise UserError(f"{where}: a window of {self.size} taps, {self.dilation} apart, does "
                            f"not fit an input of the shape {shape}")


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """y = activation(w x + b) on the last axis; the same at every timestep (TimeDistributed).

    With a ``window``, x is a window of a sequence, all its features in the order of its taps: a
    Conv1D.

    Attributes: ``w`` (outputs, features), ``b`` (outputs,), ``activation`` of :data:`ACTIVATIONS`;
    ``pattern``, None or booleans (outputs, features): where w can be other than zero whatever the
    training (the identity of an Add, the diagonal of a scale), so that hardware may skip the rest.
    """

    w: np.ndarray
    b: np.ndarray
    activation: str = "linear"
    window: Window | None = None
    pattern: np.ndarray | None = None

    kind = "dense"

    def __post_init__(self):
        shape = np.shape(self.w) if np.ndim(self.w) == 2 else (-1, -1)
        object.__setattr__(self, "w", checked(self.where, "w", self.w, shape))
        object.__setattr__(self, "b", checked(self.where, "b", self.b, shape[:1]))
        one_of(self.where, "activation", self.activation, ACTIVATIONS)
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
        """Input features: of a window, all of it."""
        return self.w.shape[1]

    @property
    def outputs(self) -> int:
        """Output features."""
        return self.w.shape[0]

    def gather(self, x: np.ndarray, fill=0) -> np.ndarray:
        """What the matrix meets: x itself, or its windows, (..., features)."""
        if self.window is None:
            return x
        taps = self.window.arrange(x, fill)
        return taps.reshape(*taps.shape[:-2], -1)

    def output_shape(self, *shapes):
        (x,) = shapes
        if self.window:
            self.window.check(self.where, x)
            got = self.window.size * x[-1]
            steps = (*x[:-2], self.window.steps(x[-2]))
        else:
            got, steps = x[-1], x[:-1]
        if got != self.features:
            raise UserError(f"{self.where} takes {self.features} features, "
                            f"but its input has the shape {x}")
        return (*steps, self.outputs)

    @property
    def parameters(self):
        if self.label in _UNTRAINED:
            return 0
        return (self.w.size if self.pattern is None else int(self.pattern.sum())) + self.b.size

    def macs(self, *shapes):
        products = self.w.size if self.pattern is None else int(self.pattern.sum())
        return int(np.prod(self.output_shape(*shapes)[:-1])) * products


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """The largest of each window, feature by feature; padding never wins."""

    window: Window

    kind = "max_pool"

    def output_shape(self, *shapes):
        (x,) = shapes
        self.window.check(self.where, x)
        taps = self.window.arrange(np.zeros((x[-2], 1)), fill=1)
        if taps.all(axis=-2).any():
            raise UserError(f"{self.where}: a window lies wholly in the padding: pad less")
        return (*x[:-2], self.window.steps(x[-2]), x[-1])


@dataclass(frozen=True, kw_only=True)
class Multiply(Layer):
    """The element-wise product of two values of one shape."""

    kind = "multiply"

    def output_shape(self, *shapes):
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise UserError(f"{self.where} takes two inputs of one shape, not {shapes}")
        return shapes[0]

    def macs(self, *shapes):
        return int(np.prod(shapes[0]))


@dataclass(frozen=True, kw_only=True)
class CellState(Layer):
    """c of an LSTM after its last step, (units,): ``inputs`` names the LSTM's value."""

    units: int

    kind = "cell_state"

    def output_shape(self, *shapes):
        return (self.units,)
