"""Small networks of every kind that a core can hold, with seeded weights."""

import numpy as np

from gatefold.gen.network import Dense, Flatten, Lstm, Network, RepeatVector
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized import QuantizedNetwork

# input shape, layers: L units, of every step ("seq") or the last; D outputs, activation; R; F
NETWORKS = {
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
}


Spec = tuple[tuple[int, ...], tuple[str, ...]]


def network(which: str | Spec, *, gain: float = 1.0, seed: int = 0) -> Network:
    """The float network of a name or of its like; weights normal, scaled by ``gain``."""
    shape, layers = NETWORKS[which] if isinstance(which, str) else which
    rng = np.random.default_rng(seed)
    size, built = shape[-1], []
    steps = shape[0] if len(shape) == 2 else 1
    for text in layers:
        if text[0] == "L":
            units = int(text[1:].removesuffix("seq"))
            built.append(Lstm(
                units=units, w_ih=gain * rng.normal(size=(4 * units, size)),
                w_hh=gain * rng.normal(size=(4 * units, units)),
                b=gain * rng.normal(size=4 * units), return_sequences=text.endswith("seq")))
            size = units
        elif text[0] == "D":
            outputs = int(text[1:].rstrip("abcdefghijklmnopqrstuvwxyz"))
            built.append(Dense(w=gain * rng.normal(size=(outputs, size)),
                               b=rng.normal(size=outputs),
                               activation=text[1 + len(str(outputs)):] or "linear"))
            size = outputs
        elif text[0] == "R":
            steps = int(text[1:])
            built.append(RepeatVector(timesteps=steps))
        else:
            size *= steps
            built.append(Flatten())
    return Network(shape, tuple(built))


def quantized(which: str | Spec, widths: tuple[int, int, int] = (8, 8, 10), *, gain: float = 1.0,
              seed: int = 0) -> QuantizedNetwork:
    """The same in integers of (activation, weight, cell) bits."""
    act, weight, cell = widths
    return quantize(network(which, gain=gain, seed=seed), act_width=act, weight_width=weight,
                    cell_width=cell)


def inputs(qnet: QuantizedNetwork, count: int, seed: int = 0) -> np.ndarray:
    """Integers over the whole input format, the first sample at its extremes."""
    form, rng = qnet.input_format, np.random.default_rng(seed)
    x = rng.integers(form.lo, form.hi + 1, (count, *qnet.input_shape))
    x[0] = np.where(rng.random(qnet.input_shape) < 0.5, form.lo, form.hi)
    return x
