"""Layers with states: LSTM, GRU and SimpleRNN.

Gates are in blocks i, f, g, o (LSTM) and r, z, n (GRU). A matrix is stored as (outputs, inputs).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.largest import Largest
from gatefold.gen.network.layer import (
    ACTIVATIONS,
    CELL_ACTIVATIONS,
    FUNCTIONS,
    GATE_ACTIVATIONS,
    Layer,
    Shape,
    checked,
    one_of,
)

__all__ = ["CLIP_BITS", "Gru", "Lstm", "Recurrent", "Rnn"]

#: Fractional bits of a layer's ``z_clip``.
CLIP_BITS = 16


@dataclass(frozen=True, kw_only=True)
class Recurrent(Layer):
    """The common part of Lstm, Gru and Rnn.

    Attributes: ``units`` U; ``w_ih`` (gates U, F) and ``w_hh`` (gates U, U); ``b`` (gates U,);
    ``return_sequences``, every h or only the last; ``stateful``, whether a frame begins with
    the state in which the last one ended; ``h0`` (U,), a constant initial state, or None for zero.

    ``inputs`` may hold further values after x: the initial ``states``, each (U,).
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
    activations = CELL_ACTIVATIONS  #: legal values of its activation
    result = "h"
    weights = ("w_ih", "w_hh")
    biases = ("b",)
    states = ("h",)

    def __post_init__(self):
        u = self.units
        if not (isinstance(u, int) and u >= 1):
            raise UserError(f"{self.where}: units must be a positive integer, not {u!r}")
        features = np.shape(self.w_ih)[-1] if np.ndim(self.w_ih) == 2 else -1
        rows = self.gates * u
        self._set("w_ih", self.w_ih, (rows, features))
        self._set("w_hh", self.w_hh, (rows, self.recurring))
        self._set("b", self.b, (rows,))
        constants = [f"{state}0" for state in self.states
                     if getattr(self, f"{state}0", None) is not None]
        for constant in constants:
            self._set(constant, getattr(self, constant), (u,))
        if self.stateful and (constants or len(self.inputs) > 1):
            raise UserError(f"{self.where}: a stateful layer cannot have an initial state as well: "
                            "drop one of the two")
        for name, legal in (("activation", self.activations),
                            ("recurrent_activation", GATE_ACTIVATIONS)):
            if hasattr(self, name):
                one_of(self.where, name, getattr(self, name), legal)

    def _set(self, name: str, value, shape: Shape):
        object.__setattr__(self, name, checked(self.where, name, value, shape))

    @property
    def recurring(self) -> int:
        """Elements of what w_hh multiplies."""
        return self.units

    @property
    def features(self) -> int:
        """Input features F."""
        return self.w_ih.shape[1]

    def output_shape(self, *shapes):
        x, *states = shapes
        if len(x) != 2 or x[1] != self.features:
            raise UserError(f"{self.where} takes (timesteps, {self.features}), "
                            f"but its input has the shape {x}")
        if states and (len(states) != len(self.states)
                       or any(s != (self.units,) for s in states)):
            raise UserError(f"{self.where} takes {len(self.states)} initial state(s) of the shape "
                            f"({self.units},), not {states}")
        return (x[0], self.units) if self.return_sequences else (self.units,)

    def compute(self, values, inside):
        x = values[0]
        samples, timesteps, _ = x.shape
        w_ih, b = self.w_ih.T.astype(x.dtype), self.b.astype(x.dtype)
        first = values[1:]
        if not first:
            constants = [getattr(self, f"{state}0", None) for state in self.states]
            first = [np.zeros(self.units) if constant is None else constant
                     for constant in constants]
            first = [np.broadcast_to(one.astype(x.dtype), (samples, self.units)) for one in first]
        peaks = isinstance(inside, Largest)
        at_once, names = (inside.STEPS, {"h", *inside.names}) if isinstance(inside, Largest) \
            else (timesteps, None)
        made = np.empty((samples, timesteps if self.return_sequences else 1, self.units), x.dtype)
        pieces: dict[str, list[np.ndarray]] = defaultdict(list)
        # Samples that follow one another are computed one by one.
        parts = [slice(n, n + 1) for n in range(samples)] if self.stateful else [slice(0, samples)]
        state = [one[parts[0]] for one in first]
        for rows in parts:
            for begin in range(0, timesteps, at_once):
                # x's part of every gate of many steps at once; only h needs the loop.
                z_x = x[rows, begin:begin + at_once] @ w_ih + b
                state, piece = self._steps(z_x, state, names)
                if self.return_sequences:
                    made[rows, begin:begin + at_once] = piece["h"]
                else:
                    made[rows, 0] = piece["h"][:, -1]
                for name, of_steps in piece.items():
                    if peaks:
                        inside[name] = of_steps
                    else:
                        pieces[name].append(of_steps)
        for name, those in pieces.items():
            inside[name] = those[0] if len(those) == 1 else np.concatenate(those)
        return made if self.return_sequences else made[:, 0]

    def _steps(self, z_x: np.ndarray, state: list[np.ndarray], names: set[str] | None,
               ) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """The states after some steps, and the tensors of all of these, (samples, steps, ...);
        those of ``names`` alone, where these are given."""
        samples, steps, _ = z_x.shape
        inside: dict[str, np.ndarray] = {}
        for t in range(steps):
            found = self.step(z_x[:, t], *state)
            state = [found[name] for name in self.states]
            for name in found if names is None else names & found.keys():
                value = found[name]
                if name not in inside:
                    inside[name] = np.empty((samples, steps, value.shape[1]), z_x.dtype)
                inside[name][:, t] = value
        return state, inside

    def step(self, z_x: np.ndarray, h: np.ndarray, *more: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors of one step.

        Parameters: ``z_x`` (samples, gates U), x's part of the gates; ``h`` and ``more``, the
        states before the step, (samples, U) each.
        """
        raise NotImplementedError

    @property
    def parameters(self):
        return self.w_ih.size + self.w_hh.size + self.b.size

    def macs(self, *shapes):
        return shapes[0][0] * (self.w_ih.size + self.w_hh.size)

    def elements(self, *shapes):
        return self.working(shapes[0][0])

    def working(self, steps: int) -> int:
        """The same of so many steps: the gates, their arguments, and more."""
        return steps * 16 * self.units

    def scaled(self, gain, offset):
        return replace(self, w_ih=self.w_ih * gain, b=self.b + self.w_ih @ offset)


def _limited(z: np.ndarray, clip: int) -> np.ndarray:
    return np.clip(z, -clip * 2.0**-CLIP_BITS, clip * 2.0**-CLIP_BITS) if clip else z


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """LSTM layer.

    z = w_ih x_t + w_hh h_(t-1) + b; i, f, o = gate(z); g = act(z); c = f c + i g; h = o act(c).
    (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000.) With peepholes, the
    z of i and f have p c_(t-1) more, and that of o has p c_t (Gers and Schmidhuber 2000). With a
    projection, w_hh multiplies hr = w_hr h_(t-1) instead of h_(t-1) (Sak et al. 2014, whose m is
    this h, and whose r is this hr).

    Attributes beside :class:`Recurrent`'s: ``activation`` of :data:`CELL_ACTIVATIONS`,
    ``recurrent_activation`` of :data:`GATE_ACTIVATIONS`; ``c0`` (U,), like ``h0``; ``z_clip``, to
    how many times 2**-:data:`CLIP_BITS` every |z| is limited, 0 for no limit; ``w_p`` (3 U,), the
    weights of the peepholes in blocks i, f, o, or None; ``w_hr`` (P, U), the projection to P
    elements, or None: then w_hh is (4 U, P), and the state begins at zero or goes on from the last
    frame; ``c_clip``, to which every |c| is limited,
    0 for no limit: cores have none, so a network whose c reaches it is refused when formats are
    chosen.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    c0: np.ndarray | None = None
    z_clip: int = 0
    w_p: np.ndarray | None = None
    w_hr: np.ndarray | None = None
    c_clip: float = 0.0

    kind = "lstm"
    title = "LSTM"
    gates = 4
    states = ("h", "c")

    def __post_init__(self):
        super().__post_init__()
        if self.w_p is not None:
            self._set("w_p", self.w_p, (3 * self.units,))
        if self.w_hr is not None:
            self._set("w_hr", self.w_hr, (self.recurring, self.units))
            if self.h0 is not None or len(self.inputs) > 1:
                raise UserError(f"{self.where}: with a projection the state must begin at zero")

    @property
    def recurring(self):
        return self.units if self.w_hr is None else len(self.w_hr)

    @property
    def tensors(self):
        return (*super().tensors, *(() if self.w_p is None else ("w_p",)),
                *(() if self.w_hr is None else ("w_hr", "hr")), "c")

    def step(self, z_x, h, *more):
        gate, act = FUNCTIONS[self.recurrent_activation], FUNCTIONS[self.activation]
        inside = {} if self.w_hr is None else {"hr": h @ self.w_hr.T.astype(h.dtype)}
        z = np.split(z_x + inside.get("hr", h) @ self.w_hh.T.astype(h.dtype), 4, axis=1)
        p = (0, 0, 0) if self.w_p is None else np.split(self.w_p.astype(h.dtype), 3)
        z[:3] = (_limited(one, self.z_clip) for one in (
            z[0] + p[0] * more[0], z[1] + p[1] * more[0], z[2]))
        i, f, g = gate(z[0]), gate(z[1]), act(z[2])
        c = f * more[0] + i * g
        if self.c_clip:
            c = np.clip(c, -self.c_clip, self.c_clip)
        z[3] = _limited(z[3] + p[2] * c, self.z_clip)
        o = gate(z[3])
        return inside | dict(zip(("z_i", "z_f", "z_g", "z_o"), z, strict=True)) | {
            "i": i, "f": f, "g": g, "o": o, "c": c, "h": o * act(c)}

    @property
    def parameters(self):
        return super().parameters + self._beside_gates

    def macs(self, *shapes):
        return super().macs(*shapes) + shapes[0][0] * self._beside_gates

    @property
    def _beside_gates(self) -> int:
        """Weights of peepholes and projection."""
        return sum(0 if w is None else w.size for w in (self.w_p, self.w_hr))


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """GRU layer (Cho et al. 2014).

    r, z = gate(w_ih x_t + w_hh h + b); h = z h + (1 - z) n, where
    ``reset_after``      n = act(w_ih x_t + b + r (w_hh h + b_n))     (Keras' default, torch, cuDNN)
    not ``reset_after``  n = act(w_ih x_t + b + w_hh (r h))           (Keras 2's default, ONNX')
    with the rows of n in each matrix. ``b`` holds what r and z add, and of n's two biases the one
    outside the product with r; ``b_n`` (U,) is the one inside, zero without ``reset_after``.
    ``z_clip`` as of :class:`Lstm`: of what gate and act are applied to.
    """

    reset_after: bool
    b_n: np.ndarray | None = None
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    z_clip: int = 0

    kind = "gru"
    title = "GRU"
    gates = 3
    biases = ("b", "b_n")

    def __post_init__(self):
        super().__post_init__()
        b_n = np.zeros(self.units) if self.b_n is None else self.b_n
        self._set("b_n", b_n, (self.units,))
        if not self.reset_after and np.any(self.b_n):
            raise UserError(f"{self.where}: b_n has no place without reset_after")

    @property
    def tensors(self):
        return (*super().tensors, "c", *(("m",) if self.reset_after else ()))

    def step(self, z_x, h, *more):
        gate, act = FUNCTIONS[self.recurrent_activation], FUNCTIONS[self.activation]
        u, w_hh = self.units, self.w_hh.astype(h.dtype)
        z_rz = _limited(z_x[:, :2 * u] + h @ w_hh[:2 * u].T, self.z_clip)
        r, z = gate(z_rz[:, :u]), gate(z_rz[:, u:])
        inside = {"z_r": z_rz[:, :u], "z_z": z_rz[:, u:], "r": r, "z": z}
        if self.reset_after:
            inside["m"] = h @ w_hh[2 * u:].T + np.asarray(self.b_n, h.dtype)
            z_n = z_x[:, 2 * u:] + r * inside["m"]
        else:
            inside["q"] = r * h
            z_n = z_x[:, 2 * u:] + inside["q"] @ w_hh[2 * u:].T
        z_n = _limited(z_n, self.z_clip)
        n = act(z_n)
        return inside | {"z_n": z_n, "n": n, "h": z * h + (1 - z) * n}

    @property
    def parameters(self):
        return super().parameters + (self.units if self.reset_after else 0)


@dataclass(frozen=True, kw_only=True)
class Rnn(Recurrent):
    """SimpleRNN layer (Elman 1990): h = act(w_ih x_t + w_hh h + b)."""

    activation: str = "tanh"

    kind = "rnn"
    title = "SimpleRNN"
    activations = ACTIVATIONS

    @property
    def last_activation(self):
        return self.activation

    def step(self, z_x, h, *more):
        z = z_x + h @ self.w_hh.T.astype(h.dtype)
        return {"z": z, "h": FUNCTIONS[self.activation](z)}
