"""Small networks of every kind that a core can hold, with seeded weights."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gatefold.gen.network.graph import (
    CellState,
    Concat,
    Dense,
    Flatten,
    Gru,
    Lstm,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Permute,
    RepeatVector,
    Reshape,
    Reverse,
    Rnn,
    Slice,
    Window,
)
from gatefold.gen.network.recurrent import CLIP_BITS
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork


class Make:
    """Layers with normal weights from ``rng``, scaled by ``gain``."""

    def __init__(self, rng: np.random.Generator, gain: float = 1.0):
        self.rng, self.gain = rng, gain

    def normal(self, *shape: int) -> np.ndarray:
        return self.gain * self.rng.normal(size=shape)

    def _recurrent(self, kind, gates: int, features: int, units: int, seq: bool, **more):
        return kind(units=units, w_ih=self.normal(gates * units, features),
                    w_hh=self.normal(gates * units, units), b=self.normal(gates * units),
                    return_sequences=seq, **more)

    def lstm(self, features: int, units: int, seq: bool = False, **more) -> Lstm:
        return self._recurrent(Lstm, 4, features, units, seq, **more)

    def gru(self, features: int, units: int, seq: bool = False, reset_after: bool = True,
            **more) -> Gru:
        b_n = self.normal(units) if reset_after else None
        return self._recurrent(Gru, 3, features, units, seq, reset_after=reset_after, b_n=b_n,
                               **more)

    def rnn(self, features: int, units: int, seq: bool = False, **more) -> Rnn:
        return self._recurrent(Rnn, 1, features, units, seq, **more)

    def dense(self, features: int, outputs: int, activation: str = "linear", **more) -> Dense:
        return Dense(w=self.normal(outputs, features), b=self.rng.normal(size=outputs),
                     activation=activation, **more)

    def conv(self, features: int, filters: int, window: Window, activation: str = "linear",
             **more) -> Dense:
        return self.dense(window.size * features, filters, activation, window=window, **more)

    def scale(self, features: int, **more) -> Dense:
        """A BatchNormalization at inference."""
        return Dense(w=np.diag(self.normal(features)), b=self.rng.normal(size=features),
                     pattern=np.eye(features, dtype=bool), label="scale", **more)


def add(size: int, count: int = 2, activation: str = "linear", **more) -> Dense:
    """The sum of ``count`` values of ``size`` features, given side by side."""
    w = np.tile(np.eye(size), count)
    return Dense(w=w, b=np.zeros(size), pattern=w != 0, label="add", activation=activation, **more)


def average(features: int, window: Window, **more) -> Dense:
    """An average pool."""
    w = np.tile(np.eye(features) / window.size, window.size)
    return Dense(w=w, b=np.zeros(features), pattern=w != 0, label="average_pool", window=window,
                 **more)


def alone(features: int, activation: str, **more) -> Dense:
    """An activation on its own."""
    eye = np.eye(features)
    return Dense(w=eye, b=np.zeros(features), pattern=eye != 0, label="identity",
                 activation=activation, **more)


# A description: input shape, layers. L units, of every step ("seq") or the last, G a GRU with
# reset_after, B one without, S a SimpleRNN; D outputs, activation; R; F
Spec = tuple[tuple[int, ...], tuple[str, ...]]
Graph = Callable[[Make], Network]

NETWORKS: dict[str, Spec | Graph] = {
    "lstm-dense": ((4, 3), ("L5", "D2")),
    "last h": ((4, 2), ("L3",)),
    "every h": ((4, 2), ("L5seq",)),
    "stack": ((4, 2), ("L4seq", "L3seq", "L6")),
    "autoencoder": ((4, 2), ("L5seq", "L2", "R4", "L2seq", "L5seq", "D2")),
    "flatten": ((3, 2), ("L4seq", "F", "D5relu", "D3sigmoid", "D2tanh")),
    "dense over time": ((3, 4), ("L3seq", "D7tanh", "L2seq", "D3sigmoid")),
    "one unit": ((3, 1), ("L1", "D1")),
    "one timestep": ((1, 3), ("L4seq", "L3", "D2relu")),
    "wide input": ((2, 13), ("L3", "D9")),
    "dense only": ((7,), ("D6relu", "D3")),
    "dense one to one": ((1,), ("D1sigmoid",)),
    "dense per step": ((3, 4), ("D5tanh",)),
    "flatten first": ((3, 2), ("F", "D4")),
    "flatten last": ((3, 2), ("L3seq", "F")),
    "repeat first": ((3,), ("R3", "L2seq")),
    "repeat twice": ((2, 2), ("L3", "R2", "L2", "R3", "L4")),
    "gru": ((4, 3), ("G5", "D2")),
    "gru every h": ((3, 2), ("G3seq", "G4seq", "D2tanh")),
    "gru reset before": ((4, 3), ("B5seq", "B3", "D2")),
    "rnn": ((4, 3), ("S5seq", "S3", "D2")),
    "hard dense": ((5,), ("D6hard_tanh", "D3hard_sigmoid")),
    "lstm, gru, rnn": ((4, 2), ("L3seq", "G4seq", "S5seq", "D2relu")),
}


def _graph(name: str) -> Callable[[Graph], Graph]:
    def register(build: Graph) -> Graph:
        NETWORKS[name] = build
        return build
    return register


# recurrent layers with other activations: name, LSTM's or GRU's candidate, gates
for _name, _act, _gate in (("hard lstm", "hard_tanh", "hard_sigmoid"),
                           ("relu lstm", "relu", "sigmoid"),
                           ("linear lstm", "linear", "hard_sigmoid")):
    NETWORKS[_name] = lambda m, act=_act, gate=_gate: Network((3, 2), (
        m.lstm(2, 3, True, activation=act, recurrent_activation=gate), m.dense(3, 2)))
for _name, _act, _gate, _after in (("hard gru", "hard_tanh", "hard_sigmoid", True),
                                   ("relu gru", "relu", "sigmoid", True),
                                   ("linear gru", "linear", "sigmoid", False)):
    NETWORKS[_name] = lambda m, act=_act, gate=_gate, after=_after: Network((3, 2), (
        m.gru(2, 3, True, after, activation=act, recurrent_activation=gate), m.dense(3, 2)))
for _name in ("linear", "relu", "sigmoid", "hard_sigmoid", "hard_tanh"):
    NETWORKS[f"{_name} rnn"] = lambda m, act=_name: Network((3, 2), (
        m.rnn(2, 4, activation=act), m.dense(4, 2)))

# convolutions: timesteps, window
for _name, _steps, _window in (("conv", 6, Window(3)),
                               ("causal conv", 5, Window(3, left=2)),
                               ("strided conv", 7, Window(3, stride=2, left=1, right=1)),
                               ("dilated conv", 7, Window(2, dilation=3)),
                               ("conv of one", 3, Window(1, stride=2)),
                               ("padded conv", 3, Window(4, left=3, right=3))):
    NETWORKS[_name] = lambda m, steps=_steps, window=_window: Network((steps, 2), (
        m.conv(2, 3, window, "relu"), m.dense(3, 2)))
del _name, _act, _gate, _after, _steps, _window


@_graph("conv, conv, lstm")
def _(m):
    return Network((9, 2), (m.conv(2, 3, Window(4), "relu"), m.conv(3, 5, Window(3), "relu"),
                            m.lstm(5, 3), m.dense(3, 4, "relu"), m.dense(4, 2)))


@_graph("lstm, conv")
def _(m):
    return Network((6, 2), (m.lstm(2, 3, True), m.conv(3, 2, Window(3, left=2), "tanh")))


@_graph("pools")
def _(m):
    return Network((9, 3), (MaxPool(window=Window(3, stride=2)), average(3, Window(2, stride=2)),
                            Flatten(), m.dense(6, 2)))


@_graph("padded pool")
def _(m):
    return Network((5, 2), (m.dense(2, 3), MaxPool(window=Window(3, stride=2, left=1, right=1))))


@_graph("global pool")
def _(m):
    return Network((7, 3), (m.conv(3, 2, Window(2), "tanh"), MaxPool(window=Window(6)),
                            Flatten(), m.dense(2, 1)))


@_graph("bidirectional")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 2, True), Reverse(inputs=(0,)), m.lstm(3, 2, True), Reverse(),
        Concat(axis=1, inputs=(1, 4)), m.gru(4, 3), m.dense(3, 2)))


@_graph("bidirectional last")
def _(m):
    return Network((4, 3), (
        m.gru(3, 2), Reverse(inputs=(0,)), m.gru(3, 2),
        Concat(axis=0, inputs=(1, 3)), m.dense(4, 2)))


@_graph("residual")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 3, True), Concat(axis=1, inputs=(0, 1)), add(3), m.dense(3, 3, "relu"),
        Concat(axis=1, inputs=(3, 4)), add(3, activation="tanh")))


@_graph("multiply")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 5), m.lstm(3, 5, inputs=(0,)), Multiply(inputs=(1, 2)), m.dense(5, 2)))


@_graph("attention gate")
def _(m):
    return Network((4, 3), (
        m.dense(3, 3, "sigmoid"), Multiply(inputs=(1, 0)), m.rnn(3, 2, True)))


@_graph("joined formats")
def _(m):
    return Network((4, 3), (
        m.dense(3, 2, inputs=(0,)), m.lstm(3, 2, True, inputs=(0,)),
        Concat(axis=1, inputs=(0, 1, 2)), m.lstm(7, 3), m.dense(3, 2)))


@_graph("formats joined in time")
def _(m):
    return Network((3, 2), (
        m.dense(2, 2, "sigmoid"), Concat(axis=0, inputs=(0, 1)), m.lstm(2, 3, True),
        MaxPool(window=Window(2), inputs=(2,)), Flatten(inputs=(3,)), Flatten(inputs=(4,)),
        Concat(axis=0, inputs=(5, 6)), m.dense(18 + 10, 2)))


@_graph("scale")
def _(m):
    return Network((4, 3), (m.scale(3), m.gru(3, 4, True), m.scale(4), alone(4, "relu"),
                            alone(4, "hard_sigmoid")))


@_graph("constant states")
def _(m):
    def h(units):
        return m.rng.uniform(-0.9, 0.9, units)
    return Network((3, 2), (
        m.lstm(2, 3, True, h0=h(3), c0=m.rng.normal(size=3)), m.gru(3, 3, True, h0=h(3)),
        m.gru(3, 2, True, False, h0=h(2)), m.rnn(2, 3, h0=h(3))))


@_graph("large constant states")
def _(m):
    return Network((3, 2), (
        m.lstm(2, 3, True, h0=np.array([1.5, -2.25, 0.5])), m.gru(3, 3, True, h0=np.arange(3)),
        m.rnn(3, 3, h0=np.array([-3.0, 1, 2]))))


@_graph("states as inputs")
def _(m):
    return Network(((3, 2), (3,), (3,), (4,)), (
        m.lstm(2, 3, True, inputs=(0, 1, 2)), m.gru(3, 4, True, inputs=(4, 3)),
        m.gru(4, 3, True, False, inputs=(5, 1)), m.rnn(3, 4, inputs=(6, 3))))


@_graph("states handed over")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 4), CellState(units=4), RepeatVector(timesteps=3, inputs=(1,)),
        m.lstm(4, 4, True, inputs=(3, 1, 2)), m.dense(4, 2)))


@_graph("joined states handed over")
def _(m):
    return Network((3, 2), (
        m.lstm(2, 2, inputs=(0,)), CellState(units=2), Reverse(inputs=(0,)), m.lstm(2, 2),
        CellState(units=2), Concat(axis=0, inputs=(1, 4)), Concat(axis=0, inputs=(2, 5)),
        m.lstm(2, 4, inputs=(0, 6, 7))))


@_graph("returned states")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 4, True), Slice(start=-1, drop=True, inputs=(1,)), CellState(units=4, inputs=(1,))
    ), outputs=(1, 2, 3))


@_graph("stateful lstm")
def _(m):
    return Network((1, 3), (m.lstm(3, 4, True, stateful=True), m.lstm(4, 3, stateful=True),
                            m.dense(3, 2)))


@_graph("stateful gru")
def _(m):
    return Network((2, 3), (m.gru(3, 4, True, stateful=True),
                            m.gru(4, 3, True, False, stateful=True), m.dense(3, 2)))


@_graph("stateful rnn")
def _(m):
    return Network((3, 2), (m.rnn(2, 4, True, stateful=True), m.lstm(4, 3), m.dense(3, 2)))


@_graph("two inputs")
def _(m):
    return Network(((3, 2), (4,)), (
        m.lstm(2, 3, inputs=(0,)), m.dense(4, 3, "relu", inputs=(1,)),
        Concat(axis=0, inputs=(2, 3)), m.dense(6, 2)))


@_graph("two outputs")
def _(m):
    return Network((3, 2), (
        m.lstm(2, 3, True), m.dense(3, 2), m.gru(3, 2, inputs=(1,)), m.dense(2, 1, "sigmoid")),
        outputs=(2, 4))


@_graph("views")
def _(m):
    return Network((4, 3), (
        Permute(axes=(1, 0)), m.dense(4, 4), Slice(axis=1, start=3, step=-1), Pad(left=1, right=0),
        Reshape(shape=(4, 4)), m.rnn(4, 3, True), Slice(start=1, stop=4, step=2), Flatten()))


# At the end, so that the networks before keep the arrays on which tests put them.
@_graph("joined hard")
def _(m):
    return Network((4, 3), (
        m.dense(3, 3, "hard_sigmoid", inputs=(0,)), Concat(axis=1, inputs=(0, 1)),
        m.dense(3, 6, "hard_tanh", inputs=(0,)), Multiply(inputs=(2, 3)),
        m.rnn(6, 2, True, activation="hard_tanh", h0=np.array([1.5, -3])),
        m.rnn(2, 2, activation="hard_sigmoid", h0=np.array([2.5, 0.5]))))


@_graph("peepholes")
def _(m):
    return Network((4, 3), (
        m.lstm(3, 5, True, w_p=m.normal(15)), m.lstm(5, 3, True),
        m.lstm(3, 4, h0=m.rng.uniform(-0.9, 0.9, 4), c0=m.rng.normal(size=4), w_p=m.normal(12)),
        m.dense(4, 2)))


@_graph("stateful peepholes")
def _(m):
    return Network((1, 3), (
        m.lstm(3, 6, stateful=True, w_p=m.normal(18), recurrent_activation="hard_sigmoid",
               z_clip=3 << CLIP_BITS - 1), CellState(units=6), m.dense(6, 2, inputs=(1,))),
        outputs=(2, 3))


@_graph("gru of several groups")
def _(m):
    return Network((3, 3), (m.gru(3, 12, True, h0=m.rng.uniform(-0.9, 0.9, 12)),
                            m.gru(12, 7, True, recurrent_activation="hard_sigmoid"),
                            m.dense(7, 2)))


@_graph("stateful gru of several groups")
def _(m):
    return Network((3, 3), (m.gru(3, 12, True, stateful=True), m.gru(12, 7, False, False)))


@_graph("heads")
def _(m):
    return Network((4, 3), (m.lstm(3, 5, True), m.dense(5, 1, inputs=(1,)),
                            m.dense(5, 1, "tanh", inputs=(1,))), outputs=(2, 3))


@_graph("curves")
def _(m):
    return Network((3, 4), (
        m.dense(4, 3, "expm1"), m.dense(3, 4, "erf"), m.dense(4, 3, "log1pexp"), m.lstm(3, 3),
        m.dense(3, 2, "softsign"), m.dense(2, 2, "softsign_tail"), m.dense(2, 2, "sigmoid")))


@_graph("clipped")
def _(m):
    one = 1 << CLIP_BITS
    return Network((4, 3), (
        m.lstm(3, 3, True, z_clip=one), m.gru(3, 3, True, z_clip=one // 2 + 12345),
        m.gru(3, 3, True, False, activation="relu", z_clip=2 * one),
        m.lstm(3, 2, activation="linear", recurrent_activation="hard_sigmoid", z_clip=one)))


def both_directions(kind: str, *outputs: int, steps: int = 6) -> Spec:
    """A bidirectional layer of 5 units on 3 features, and Dense layers of so many outputs that read
    it."""
    def make(m: Make) -> Network:
        add = getattr(m, kind)
        return Network((steps, 3), (
            add(3, 5, True, inputs=(0,)), Reverse(inputs=(0,)), add(3, 5, True, inputs=(2,)),
            Reverse(inputs=(3,)), Concat(axis=1, inputs=(1, 4)),
            *(m.dense(10, n, inputs=(5,)) for n in outputs)),
            outputs=tuple(range(6, 6 + len(outputs))))
    return make


def _projecting(m: Make, features: int, units: int, outputs: int, seq: bool = False,
                **more) -> Lstm:
    """An LSTM whose recurrent operand is a projection of h."""
    w_hh, w_hr = m.normal(4 * units, outputs), m.normal(outputs, units)
    return replace(m.lstm(features, units, seq, **more), w_hh=w_hh, w_hr=w_hr)


@_graph("projections")
def _(m):
    first = _projecting(m, 3, 6, 2, True)
    return Network((4, 3), (
        first, Dense(w=first.w_hr, b=np.zeros(2)), Reverse(),
        _projecting(m, 2, 5, 3, w_p=m.normal(15)), m.dense(5, 2)))


@_graph("stateful projection")
def _(m):
    return Network((3, 3), (
        _projecting(m, 3, 6, 4, stateful=True), CellState(units=6), m.dense(6, 2, inputs=(1,))),
        outputs=(2, 3))


def network(which: str | Spec, *, gain: float = 1.0, seed: int = 0) -> Network:
    """The float network of a name or of its like; weights normal, scaled by ``gain``."""
    spec = NETWORKS[which] if isinstance(which, str) else which
    make = Make(np.random.default_rng(seed), gain)
    if callable(spec):
        return spec(make)
    shape, layers = spec
    size, built = shape[-1], []
    steps = shape[0] if len(shape) == 2 else 1
    for text in layers:
        if text[0] in "LGBS":
            kind = {"L": make.lstm, "S": make.rnn}.get(text[0], make.gru)
            more = {"reset_after": False} if text[0] == "B" else {}
            units = int(text[1:].removesuffix("seq"))
            built.append(kind(size, units, text.endswith("seq"), **more))
            size = units
        elif text[0] == "D":
            outputs = int(text[1:].rstrip("_abcdefghijklmnopqrstuvwxyz"))
            built.append(make.dense(size, outputs, text[1 + len(str(outputs)):] or "linear"))
            size = outputs
        elif text[0] == "R":
            steps = int(text[1:])
            built.append(RepeatVector(timesteps=steps))
        else:
            size *= steps
            built.append(Flatten())
    return Network(shape, tuple(built))


def quantized(which: str | Spec, widths: tuple[int, int, int] = (8, 8, 10), *, gain: float = 1.0,
              seed: int = 0, **options) -> QuantizedNetwork:
    """The same in integers of (activation, weight, cell) bits."""
    act, weight, cell = widths
    return quantize(network(which, gain=gain, seed=seed), act_width=act, weight_width=weight,
                    cell_width=cell, **options)


def inputs(qnet: QuantizedNetwork, count: int, seed: int = 0) -> np.ndarray:
    """Integers over the whole input formats, the first sample at their extremes."""
    rng = np.random.default_rng(seed)
    lo, hi = (limits.reshape(qnet.input_shape) for limits in qnet.input_limits())
    x = rng.integers(lo, hi + 1, (count, *qnet.input_shape))
    x[0] = np.where(rng.random(qnet.input_shape) < 0.5, lo, hi)
    return x
