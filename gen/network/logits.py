"""A final sigmoid left to the host: what the core gives then keeps small probabilities apart."""

from __future__ import annotations

from dataclasses import replace

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense
from gatefold.gen.network.views import View

__all__ = ["with_logits"]


def with_logits(network: Network) -> Network:
    """``network`` with every sigmoid that is an output left to the host.

    Raises :class:`UserError` where no output is one, and where another layer reads it.
    """
    layers, host = list(network.layers), list(network.host)
    for n, value in enumerate(network.outputs):
        found = _sigmoid(network, value)
        if found is None or host[n]:
            continue
        layer = layers[found]
        assert isinstance(layer, Dense)
        layers[found], host[n] = replace(layer, activation="linear"), "sigmoid"
    if "sigmoid" not in host:
        raise UserError("--logits leaves a final sigmoid to the host, but no output of the network "
                        "is the sigmoid of a Dense layer that no other layer reads: leave it out")
    return replace(network, layers=tuple(layers), host=tuple(host))


def _sigmoid(network: Network, value: int) -> int | None:
    """The Dense layer with a sigmoid whose elements a value shows, if nothing else reads it."""
    first = len(network.input_shapes)
    while value >= first:
        layer = network.layers[value - first]
        readers = sum(value in one.inputs for one in network.layers)
        shown = network.outputs.count(value)
        if isinstance(layer, Dense):
            alone = readers + shown == 1
            return value - first if layer.activation == "sigmoid" and alone else None
        if not isinstance(layer, View) or len(layer.inputs) != 1 or readers + shown != 1:
            return None
        value = layer.inputs[0]
    return None
