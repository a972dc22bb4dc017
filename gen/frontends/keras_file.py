"""Keras ``.h5`` files: a whole model in one HDF5 file, of Keras 3 or Keras 2.

The model's configuration is a text among the file's attributes, the weights are arrays under
``model_weights`` by layer and by name.
"""

from __future__ import annotations

import functools
import re

from ..errors import UserError, quoted
from ..network import Network
from .keras_h5 import File, texts
from .keras_model import read_model
from .keras_weights import Named, NamedWeights
from .keras_zip import major, parsed_json

__all__ = ["parse"]

_WEIGHTS = "model_weights"


def parse(data: bytes, name: str) -> Network:
    """The network in the bytes of an ``.h5`` file; ``name`` is the file's, for messages."""
    try:
        found = texts(data)
    except ValueError as error:
        raise UserError(f"{name} is a damaged HDF5 file ({quoted(error)}): save the model again"
                        ) from None
    config = _config(found, name)
    versions = {text.decode() for text in found if re.fullmatch(rb"[23]\.\d+\.[\w.+-]{1,20}", text)}
    version = versions.pop() if len(versions) == 1 else "unknown"
    file = File(data, name, "HDF5 file")
    try:
        weights = [Named(parts, functools.partial(file.array, _WEIGHTS, parts))
                   for parts in file.names(_WEIGHTS)]
        return read_model(config, NamedWeights(weights), major(version), {
            "format": "keras-h5", "exporter": f"keras {version}"})
    finally:
        file.close()


def _config(found: list[bytes], name: str) -> dict:
    """The configuration of the model among the texts of its file."""
    models = []
    for text in dict.fromkeys(text for text in found if text[:1] == b"{"):
        value = parsed_json(text, f"{name}: a text in it")
        if "class_name" in value and "config" in value:
            models.append(value)
    if len(models) != 1:
        raise UserError(f"{name} is an HDF5 file with {len(models) or 'no'} model descriptions, "
                        "perhaps bare weights: save the whole model with "
                        'model.save("model.keras")')
    return models[0]
