"""The float forward pass of a network: what the quantised core is measured against."""

from __future__ import annotations

import numpy as np

from .errors import UserError
from .network import Dense, Flatten, Layer, Lstm, Network, RepeatVector

__all__ = ["forward"]


def forward(network: Network, x: np.ndarray, *, trace: dict | None = None,
            dtype: type = np.float64) -> np.ndarray:
    """Outputs of ``network`` for the samples ``x``, computed in ``dtype``.

    ``x`` is (samples, *input_shape), the result (samples, *output_shape). A dict given as ``trace``
    receives, under each layer's generated name, what is inside it: for an LSTM ``i``, ``f``, ``g``,
    ``o`` (after their activation), ``c`` and ``h``, each (samples, timesteps, units); for a Dense
    ``z`` before and ``y`` after the activation, each of the layer's output shape.

    Raises :class:`UserError` if ``x`` has another shape.
    """
    values = np.asarray(x, dtype=dtype)
    if values.ndim == 0 or values.shape[1:] != tuple(network.input_shape):
        raise UserError(f"inputs must have the shape (samples, {str(network.input_shape)[1:-1]}), "
                        f"not {values.shape}")
    for name, layer in zip(network.names, network.layers, strict=True):
        inside: dict[str, np.ndarray] = {}
        values = _apply(layer, values, inside)
        if trace is not None and inside:
            trace[name] = inside
    return values


def _apply(layer: Layer, x: np.ndarray, inside: dict[str, np.ndarray]) -> np.ndarray:
    if isinstance(layer, Lstm):
        return _lstm(layer, x, inside)
    if isinstance(layer, Dense):
        inside["z"] = x @ layer.w.T.astype(x.dtype) + layer.b.astype(x.dtype)
        inside["y"] = _ACTIVATIONS[layer.activation](inside["z"])
        return inside["y"]
    if isinstance(layer, RepeatVector):
        return np.repeat(x[:, np.newaxis, :], layer.timesteps, axis=1)
    if isinstance(layer, Flatten):
        return x.reshape(len(x), -1)
    raise NotImplementedError(f"forward has no case for {type(layer).__name__}")


def _lstm(layer: Lstm, x: np.ndarray, inside: dict[str, np.ndarray]) -> np.ndarray:
    samples, timesteps, _ = x.shape
    for name in "ifgoch":
        inside[name] = np.empty((samples, timesteps, layer.units), x.dtype)
    w_hh = layer.w_hh.T.astype(x.dtype)
    # The inputs' part of every gate of every step at once; only h needs the loop.
    z_x = x @ layer.w_ih.T.astype(x.dtype) + layer.b.astype(x.dtype)
    h = c = np.zeros((samples, layer.units), x.dtype)
    for t in range(timesteps):
        i, f, g, o = np.split(z_x[:, t] + h @ w_hh, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, value in zip("ifgoch", (i, f, g, o, c, h), strict=True):
            inside[name][:, t] = value
    return inside["h"] if layer.return_sequences else h


def _sigmoid(z: np.ndarray) -> np.ndarray:
    # Through tanh: no overflow for large negative z.
    return 0.5 * np.tanh(0.5 * z) + 0.5


_ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}
