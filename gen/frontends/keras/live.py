"""A Keras model in memory, read as its files are.

Keras itself is not imported here: the model gives its configuration and its weights, and those go
through the same readers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FunctionType

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.cuts import Cut, with_around
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.frontends.keras.weights import Named, NamedWeights
from gatefold.gen.frontends.keras.zip import major, parsed_json
from gatefold.gen.frontends.sizes import Sizes
from gatefold.gen.network.graph import Network, Shape
from gatefold.gen.network.states import carry

__all__ = ["from_keras"]

_KERAS = ("keras", "tf_keras")


def from_keras(model, *, timesteps: int | None = None,
               sizes: Mapping[str, int] | None = None,
               states: str | Mapping[str, str] = "auto",
               cut: Cut | str | tuple[str | None, ...] | None = None) -> Network:
    """The float network of ``model``, a ``keras.Sequential`` or functional ``keras.Model`` of
    Keras 3 or tf_keras. ``timesteps`` and ``sizes`` fix open dimensions of its inputs, and
    ``states`` names states that come as inputs and go as outputs, and ``cut`` says where the model
    is cut, as in :func:`gatefold.load`.

    Only ``model.to_json()`` (the layers' ``get_config``) and the weights' values are used; the
    model is not called. ``source`` of the result holds ``format`` and ``exporter``.

    Raises :class:`UserError` if ``model`` is no such model, or has a layer that is not supported.
    """
    if not callable(getattr(model, "to_json", None)) or not hasattr(model, "layers"):
        raise UserError(f"from_keras takes a Keras model, not {quoted(type(model).__name__)}: "
                        "gf.load() reads files")
    try:
        text = model.to_json()
        variables = [(layer.name, weight) for layer in model.layers for weight in layer.weights]
        layers = list(model._flatten_layers())  # also those within others
    except Exception as error:  # whatever a layer's get_config raises
        raise UserError(f"the model gives no configuration ({quoted(error)}): layers of your own "
                        "need get_config, and are not supported") from None
    for layer in layers:
        _check_own(layer)
    config = parsed_json(text, "the model's configuration")
    weights = [_named(layer, variable) for layer, variable in variables]
    version = _version(type(model))
    source = {"format": "keras-live", "exporter": f"keras {quoted(version, 24)[1:-1]}"}
    return with_around(carry(read_model(
        config, NamedWeights(weights), major(version), source, Sizes(timesteps, sizes or {}),
        cut=Cut.given(cut)), states))


def _check_own(layer) -> None:
    """Refuse a class or an activation function that is not Keras' own, although its configuration
    may have the name of one of Keras'."""
    kind = type(layer)
    if _root(kind) not in _KERAS:
        raise UserError(f"layer {quoted(layer.name)} is of the class {quoted(kind.__name__)} of "
                        f"{quoted(kind.__module__)}, not of Keras: classes of your own are not "
                        "supported, build the network of Keras' layers")
    for key in ("activation", "recurrent_activation"):
        function = getattr(layer, key, None)
        if isinstance(function, FunctionType) and _root(function) not in (*_KERAS, "tensorflow"):
            raise UserError(f"layer {quoted(layer.name)}: {key} is the function "
                            f"{quoted(function.__name__)} of {quoted(function.__module__)}, not of "
                            "Keras: name one of Keras' activations")


def _root(defined) -> str:
    """The package in which a class or function is defined."""
    return str(defined.__module__).split(".")[0]


def _version(kind: type) -> str:
    """The version of the Keras that a class is of, or inherits from."""
    for one in kind.__mro__:
        root = _root(one)
        if root in _KERAS:
            return str(getattr(sys.modules.get(root), "__version__", "unknown"))
    return "unknown"


def _named(layer: str, variable) -> Named:
    name = str(getattr(variable, "path", None) or variable.name)

    def read(where: str, shape: Shape) -> np.ndarray:
        if tuple(variable.shape) != shape:
            raise UserError(f"{where}: weights {quoted(name)} must have the shape {shape}, not "
                            f"{tuple(variable.shape)}")
        value = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
        if value.dtype.kind != "f" and value.dtype.name != "bfloat16":
            raise UserError(f"{where}: weights must be floats, not {quoted(value.dtype)}: build "
                            "the model in float32")
        return value.astype(np.float32)
    return Named((*layer.split("/"), *name.split("/")), read)
