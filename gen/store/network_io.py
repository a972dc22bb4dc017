"""The float network of a core in one file (:mod:`gatefold.gen.store.stored`), beside its integers.

The file holds the layers alone: inputs, outputs and the host's functions are those of the quantised
network. The layers must match its layers, whose sizes have been checked. Names from the model file
are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import COMPUTING
from gatefold.gen.network.views import VIEWS
from gatefold.gen.numbers.describe import difference
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.store.stored import expect, pack, read_stored, write_stored

__all__ = ["load_network", "save_network"]

_FORMAT, _VERSION = "gatefold float network", 1
_LEFT_OUT = ("origin",)
_LABEL = re.compile(r"[a-z0-9_]{0,40}")


def save_network(path: str | Path, network: Network) -> None:
    """Write ``network``'s layers; the same layers give the same bytes."""
    arrays: dict = {}
    layers = [{"kind": layer.kind, "name": name, **pack(layer, name, arrays, left_out=_LEFT_OUT)}
              for name, layer in zip(network.names, network.layers, strict=True)]
    write_stored(path, {"format": _FORMAT, "version": _VERSION, "layers": layers}, arrays)


def load_network(path: str | Path, qnet: QuantizedNetwork) -> Network:
    """Read the file that :func:`save_network` wrote of the network behind ``qnet``.

    Raises :class:`~gatefold.gen.errors.UserError` for a missing, foreign or damaged file, and for
    another network's.
    """
    with read_stored(path, "float network") as stored:
        expect(stored.head["format"] == _FORMAT and stored.head["version"] == _VERSION,
               "another format or version")
        named = stored.layers(COMPUTING | VIEWS, left_out=_LEFT_OUT, floats=True)
        layers = tuple(layer for _, layer in named)
        expect(all(_LABEL.fullmatch(layer.label) for layer in layers), "a layer's label")
        # Checked first, since a Network computes its shapes: only those of the core are checked.
        differs = difference(layers, qnet.layers)
        expect(differs is None, str(differs))
        network = Network(qnet.input_shapes, layers, outputs=qnet.outputs, host=qnet.host,
                          window=qnet.window)
        expect(network.names == tuple(name for name, _ in named)
               == tuple(layer.name for layer in qnet.layers), "a layer's name")
        return network
