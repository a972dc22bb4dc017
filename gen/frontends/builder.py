"""A sequential network put together layer by layer, as a frontend reads it.

Shared by all frontends, so that folding an activation into the Dense before it, dropping a Flatten
that changes nothing and limiting what a file may declare are said once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import UserError, quoted
from ..network import ACTIVATIONS, Dense, Flatten, Layer, Lstm, Network, RepeatVector, Shape
from .limits import check_dim, check_elements

__all__ = ["Builder"]


class Builder:
    """Collects layers; :attr:`shape` is the shape after the last one.

    Parameters: ``shape``, the network's input (timesteps, features) or (features,).
    Raises :class:`UserError` wherever a layer contradicts the shape before it or the limits.
    """

    def __init__(self, shape: Shape):
        for what, n in zip(("timesteps", "features")[-len(shape):], shape, strict=False):
            check_dim("network input", what, n)
        self.input_shape: Shape = tuple(shape)
        self.shape: Shape = self.input_shape
        self.layers: list[Layer] = []

    def _append(self, layer: Layer) -> None:
        shape = layer.output_shape(self.shape)
        check_elements(f"{layer.kind} layer {quoted(layer.origin)}", shape)
        self.shape = shape
        self.layers.append(layer)

    def lstm(self, *, origin: str, w_ih: np.ndarray, w_hh: np.ndarray, b: np.ndarray,
             return_sequences: bool) -> None:
        """Append an LSTM; weights as :class:`Lstm` keeps them (gates i, f, g, o)."""
        self._append(Lstm(origin=origin, units=int(w_hh.shape[1]), w_ih=w_ih, w_hh=w_hh, b=b,
                          return_sequences=return_sequences))

    def dense(self, *, origin: str, w: np.ndarray, b: np.ndarray, activation: str = "linear"):
        """Append a Dense layer, ``w`` as (outputs, features)."""
        self._append(Dense(origin=origin, w=w, b=b, activation=activation))

    def repeat(self, *, origin: str, timesteps: int) -> None:
        """Append a RepeatVector."""
        check_dim(f"RepeatVector layer {quoted(origin)}", "n", timesteps)
        self._append(RepeatVector(origin=origin, timesteps=timesteps))

    def flatten(self, *, origin: str) -> None:
        """Append a Flatten; nothing where the shape is a vector already."""
        if len(self.shape) > 1:
            self._append(Flatten(origin=origin))

    def activation(self, kind: str, *, origin: str) -> None:
        """Apply an activation of its own to what there is so far.

        It joins the last Dense if that is linear: Flatten and RepeatVector in between only move
        values. Anywhere else it becomes a Dense with the identity matrix, which is the same
        function and needs no further layer kind down the flow.
        """
        if kind not in ACTIVATIONS:
            raise UserError(f"layer {quoted(origin)}: activation must be one of "
                            f"{', '.join(ACTIVATIONS)}, not {quoted(kind)}")
        if kind == "linear":
            return
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            if isinstance(layer, Dense) and layer.activation == "linear":
                self.layers[index] = replace(layer, activation=kind)
                return
            if isinstance(layer, Dense) and layer.activation == kind == "relu":
                return  # a second ReLU changes nothing
            if not isinstance(layer, Flatten | RepeatVector):
                break
        features = self.shape[-1]
        check_elements(f"layer {quoted(origin)}", (features, features))
        self.dense(origin=origin, w=np.eye(features, dtype=np.float32),
                   b=np.zeros(features, np.float32), activation=kind)

    def network(self, source: dict) -> Network:
        """The finished network."""
        return Network(self.input_shape, tuple(self.layers), source)
