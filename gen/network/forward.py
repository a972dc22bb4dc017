"""The float forward pass of a network: what the quantised core is measured against."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network, joined, split
from gatefold.gen.network.largest import Largest

__all__ = ["forward"]


def forward(network: Network, x: np.ndarray, *, trace: dict | None = None,
            largest: Collection[str] = (), dtype: type = np.float64) -> np.ndarray:
    """Outputs of ``network`` for the samples ``x``, computed in ``dtype``.

    ``x`` is (samples, *input_shape), the result (samples, *output_shape); what is left to the host
    (a softmax) is not done. Stateful layers begin each sample with the state that the one before
    left, the first with zeros. A dict given as ``trace`` receives the tensors of each layer under
    its generated name: of an LSTM ``z_i z_f z_g z_o`` (before their activation), ``i``, ``f``,
    ``g``, ``o`` (after it), ``c`` and ``h``, each (samples, timesteps, units); of a GRU
    ``z_r z_z z_n r z n h`` and what r multiplies, ``m`` (w_hh h + b_n, with reset_after), or what
    it makes, ``q`` (r h, without); of an Rnn ``z h``; of a Dense ``z`` before and ``y`` after the
    activation, and of MaxPool, Multiply and CellState ``y``, each of the layer's output shape.
    ``largest``: it receives of the tensors of these names alone, and of these the largest
    magnitude; not for networks with a CellState.

    Raises :class:`UserError` if ``x`` has another shape.
    """
    x = np.asarray(x, dtype=dtype)
    if x.ndim == 0 or x.shape[1:] != tuple(network.input_shape):
        raise UserError(f"inputs must have the shape (samples, {str(network.input_shape)[1:-1]}), "
                        f"not {x.shape}")
    values = split(x, network.input_shapes)
    last_c: dict[int, np.ndarray] = {}  # of each LSTM, by its value
    for n, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
        inside: dict[str, np.ndarray] = Largest(largest) if largest else {}
        read = [(last_c if layer.reads_cell else values)[value] for value in layer.inputs]
        values.append(layer.compute(read, inside))
        if "c" in inside and not largest:
            last_c[network.value(n)] = inside["c"][:, -1]
        if trace is not None and layer.computes:
            if layer.result not in inside:
                inside[layer.result] = values[-1]
            trace[name] = inside
    return joined([values[value] for value in network.outputs])
