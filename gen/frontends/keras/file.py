"""Keras ``.h5`` files: a whole model in one HDF5 file, of Keras 3 or Keras 2.

The model's configuration is a text among the file's attributes, the weights are arrays under
``model_weights`` by layer and by name.
"""

from __future__ import annotations

import functools

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.cuts import Cut
from gatefold.gen.frontends.keras.h5 import File
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.frontends.keras.weights import Named, NamedWeights
from gatefold.gen.frontends.keras.zip import major, parsed_json
from gatefold.gen.frontends.sizes import AS_DECLARED, Sizes
from gatefold.gen.network.graph import Network

__all__ = ["parse"]

_WEIGHTS = "model_weights"


def parse(data: bytes, name: str, sizes: Sizes = AS_DECLARED,
          every: bool = False, cut: Cut | None = None) -> Network:
    """The network in the bytes of an ``.h5`` file; ``name`` is the file's, for messages.

    ``sizes``, of open dimensions of its inputs; ``every`` and ``cut``, as of :func:`read_model`.
    """
    file = File(data, name, "HDF5 file")
    config = file.text("model_config")
    if config is None:
        raise UserError(f"{name} is an HDF5 file without a model's description, perhaps bare "
                        f"weights{_layers(file)}: in the program that makes the model, call "
                        'model.load_weights(FILE), and then model.save("model.keras")')
    version = file.text("keras_version") or "unknown"
    weights = [Named(parts, functools.partial(file.array, _WEIGHTS, parts))
               for parts in file.names(_WEIGHTS)]
    source = {"format": "keras-h5", "exporter": f"keras {quoted(version, 24)[1:-1]}"}
    return read_model(parsed_json(config, f"{name}: its model_config"), NamedWeights(weights),
                      major(version), source, sizes, every, cut)


def _layers(file: File) -> str:
    """The groups with weights, which bear the layers' names, for a message."""
    try:
        found = dict.fromkeys(parts[parts[0] == "layers"] for parts in file.names("")
                              if len(parts) > 1)
    except UserError:
        return ""
    shown = ", ".join(quoted(one)[1:-1] for one in list(found)[:8])
    return f" (of {shown}{', ...' if len(found) > 8 else ''})" if found else ""
