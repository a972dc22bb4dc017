"""The float forward pass of a network: what the quantised core is measured against."""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import (
    CellState,
    Dense,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Multiply,
    Network,
    Recurrent,
    Rnn,
    View,
    joined,
    split,
)

__all__ = ["forward"]


def forward(network: Network, x: np.ndarray, *, trace: dict | None = None,
            dtype: type = np.float64) -> np.ndarray:
    """Outputs of ``network`` for the samples ``x``, computed in ``dtype``.

    ``x`` is (samples, *input_shape), the result (samples, *output_shape); what is left to the host
    (a softmax) is not done. Stateful layers begin each sample with the state that the one before
    left, the first with zeros. A dict given as ``trace`` receives, under each layer's generated
    name, what is inside it: for an LSTM ``z_i z_f z_g z_o`` (before their activation), ``i``,
    ``f``, ``g``, ``o`` (after it), ``c`` and ``h``, each (samples, timesteps, units); for a GRU
    ``z_r z_z z_n r z n h`` and what ``n``'s rows of w_hh make or meet, ``m`` (w_hh h + b_n, with
    reset_after) or ``q`` (r h, without); for an Rnn ``z h``; for a Dense ``z`` before and ``y``
    after the activation, and ``y`` of MaxPool, Multiply and CellState, each of the layer's output
    shape.

    Raises :class:`UserError` if ``x`` has another shape.
    """
    x = np.asarray(x, dtype=dtype)
    if x.ndim == 0 or x.shape[1:] != tuple(network.input_shape):
        raise UserError(f"inputs must have the shape (samples, {str(network.input_shape)[1:-1]}), "
                        f"not {x.shape}")
    values = split(x, network.input_shapes)
    final_c: dict[int, np.ndarray] = {}  # of each LSTM, by its value
    for n, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
        inside: dict[str, np.ndarray] = {}
        read = [values[value] for value in layer.inputs]
        if isinstance(layer, CellState):
            read = [final_c[layer.inputs[0]]]
        values.append(_apply(layer, read, inside))
        if isinstance(layer, Lstm):
            final_c[network.value(n)] = inside["c"][:, -1]
        if trace is not None and inside:
            trace[name] = inside
    return joined([values[value] for value in network.outputs])


def _apply(layer: Layer, read: list[np.ndarray], inside: dict[str, np.ndarray]) -> np.ndarray:
    if isinstance(layer, View):
        return layer.arrange(*read)
    if isinstance(layer, Recurrent):
        return _recurrent(layer, read, inside)
    if isinstance(layer, Dense):
        gathered = layer.gather(read[0])
        # In two dimensions: BLAS would multiply more of them sample by sample.
        flat = gathered.reshape(-1, layer.features) @ layer.w.T.astype(gathered.dtype)
        z = flat.reshape(*gathered.shape[:-1], layer.outputs)
        inside["z"] = z + layer.b.astype(gathered.dtype)
        inside["y"] = _ACTIVATIONS[layer.activation](inside["z"])
    elif isinstance(layer, MaxPool):
        inside["y"] = layer.window.arrange(read[0], fill=-np.inf).max(axis=-2)
    elif isinstance(layer, Multiply):
        inside["y"] = read[0] * read[1]
    elif isinstance(layer, CellState):
        inside["y"] = read[0]
    else:
        raise NotImplementedError(f"forward has no case for {type(layer).__name__}")
    return inside["y"]


def _recurrent(layer: Recurrent, read: list[np.ndarray],
               inside: dict[str, np.ndarray]) -> np.ndarray:
    x = read[0]
    samples, timesteps, _ = x.shape
    # The inputs' part of every gate of every step at once; only h needs the loop.
    z_x = x @ layer.w_ih.T.astype(x.dtype) + layer.b.astype(x.dtype)
    step = {Lstm: _lstm_step, Gru: _gru_step, Rnn: _rnn_step}[type(layer)]

    def start(n: int, constant: np.ndarray | None, rows: int) -> np.ndarray:
        if len(read) > 1:
            return read[n]
        state = np.zeros(layer.units) if constant is None else constant
        return np.broadcast_to(state.astype(x.dtype), (rows, layer.units))

    def scan(rows: slice, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for t in range(timesteps):
            found = step(layer, z_x[rows, t], h, c)
            h, c = found["h"], found.get("c", c)
            for name, value in found.items():
                if name not in inside:
                    inside[name] = np.empty((samples, timesteps, layer.units), x.dtype)
                inside[name][rows, t] = value
        return h, c

    c0 = getattr(layer, "c0", None)
    if layer.stateful:  # sample after sample
        h, c = start(1, None, 1), start(2, None, 1)
        for n in range(samples):
            h, c = scan(slice(n, n + 1), h, c)
    else:
        scan(slice(0, samples), start(1, layer.h0, samples),
             start(2, c0, samples) if layer.states == 2 else np.zeros(()))
    return inside["h"] if layer.return_sequences else inside["h"][:, -1]


def _lstm_step(layer: Lstm, z_x: np.ndarray, h: np.ndarray, c: np.ndarray) -> dict:
    gate, act = _ACTIVATIONS[layer.recurrent_activation], _ACTIVATIONS[layer.activation]
    z = np.split(z_x + h @ layer.w_hh.T.astype(h.dtype), 4, axis=1)
    i, f, g, o = gate(z[0]), gate(z[1]), act(z[2]), gate(z[3])
    c = f * c + i * g
    return dict(zip(("z_i", "z_f", "z_g", "z_o"), z, strict=True)) | {
        "i": i, "f": f, "g": g, "o": o, "c": c, "h": o * act(c)}


def _gru_step(layer: Gru, z_x: np.ndarray, h: np.ndarray, _: np.ndarray) -> dict:
    gate, act = _ACTIVATIONS[layer.recurrent_activation], _ACTIVATIONS[layer.activation]
    u, w_hh = layer.units, layer.w_hh.astype(h.dtype)
    z_rz = z_x[:, :2 * u] + h @ w_hh[:2 * u].T
    r, z = gate(z_rz[:, :u]), gate(z_rz[:, u:])
    inside = {"z_r": z_rz[:, :u], "z_z": z_rz[:, u:], "r": r, "z": z}
    if layer.reset_after:
        inside["m"] = h @ w_hh[2 * u:].T + np.asarray(layer.b_n, h.dtype)
        z_n = z_x[:, 2 * u:] + r * inside["m"]
    else:
        inside["q"] = r * h
        z_n = z_x[:, 2 * u:] + inside["q"] @ w_hh[2 * u:].T
    n = act(z_n)
    return inside | {"z_n": z_n, "n": n, "h": z * h + (1 - z) * n}


def _rnn_step(layer: Rnn, z_x: np.ndarray, h: np.ndarray, _: np.ndarray) -> dict:
    z = z_x + h @ layer.w_hh.T.astype(h.dtype)
    return {"z": z, "h": _ACTIVATIONS[layer.activation](z)}


def _sigmoid(z: np.ndarray) -> np.ndarray:
    # Through tanh: no overflow for large negative z.
    return 0.5 * np.tanh(0.5 * z) + 0.5


_ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": lambda z: np.clip(z / 4 + 0.5, 0, 1),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
}
