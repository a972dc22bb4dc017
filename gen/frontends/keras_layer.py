"""One Keras layer's configuration, key by key: honoured, known not to matter, or refused by name.

Keras kernels are (features, outputs); an LSTM's are (features, 4 units) in blocks i, f, c, o,
where c is our g, so that a transpose is all that they need.
"""

from __future__ import annotations

import numpy as np

from ..errors import UserError, quoted
from ..network import ACTIVATIONS
from .builder import Builder
from .keras_h5 import Weights
from .limits import check_dim, check_elements

__all__ = ["GROUPS", "Settings", "add_layer"]

#: Supported layer classes, and the names Keras derives from them for groups of weights.
GROUPS = {
    "InputLayer": "input_layer", "LSTM": "lstm", "Dense": "dense",
    "TimeDistributed": "time_distributed", "RepeatVector": "repeat_vector", "Flatten": "flatten",
    "Dropout": "dropout", "SpatialDropout1D": "spatial_dropout1d", "Activation": "activation",
    "ReLU": "re_lu", "Sequential": "sequential", "Functional": "functional",
}

# Keys that say how weights were started, trained or constrained: the file holds the result.
_TRAINING = tuple(f"{weights}_{what}" for weights in ("kernel", "recurrent", "bias")
                  for what in ("initializer", "regularizer", "constraint")) + (
    "activity_regularizer", "unit_forget_bias", "dropout", "recurrent_dropout", "rate", "seed",
    "noise_shape")
# Keys that choose between ways to compute the same values.
_EQUIVALENT = ("unroll", "implementation", "zero_output_for_mask", "optional")


class Settings:
    """A layer's ``config``: every key must be taken by somebody, or :meth:`done` refuses it.

    Parameters: ``entry``, the layer's object in ``config.json``. ``origin`` is its name, ``where``
    how messages call it. Raises :class:`UserError` for custom objects and precision other than
    float32.
    """

    def __init__(self, entry: object):
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise UserError("config.json describes a layer that has no configuration: save the "
                            "model again with Keras 3")
        self.class_name = str(entry.get("class_name"))
        self._left = dict(entry["config"])
        self.origin = str(self._left.pop("name", self.class_name))
        self.where = f"{quoted(self.class_name)[1:-1]} layer {quoted(self.origin)}"
        registered, module = entry.get("registered_name"), str(entry.get("module"))
        custom = registered not in (None, self.class_name)
        if self.class_name not in GROUPS or custom or not (
                module.startswith(("keras.", "tf_keras.")) or module in ("keras", "tf_keras")):
            kind = "custom " if custom or not module.startswith(("keras", "tf_keras")) else ""
            legal = ", ".join(n for n in GROUPS if n != "InputLayer")
            raise UserError(f"layer {quoted(self.origin)} of the {kind}class "
                            f"{quoted(self.class_name)} is not supported: the network must be a "
                            f"sequence of {legal}")
        self.drop("trainable")
        self._check_dtype(self._left.pop("dtype", None))

    def _check_dtype(self, value: object) -> None:
        if isinstance(value, dict):
            inner = value.get("config")
            plain = value.get("class_name") in ("DTypePolicy", "Policy") and isinstance(inner, dict)
            value = inner.get("name") if plain and isinstance(inner, dict) else value
        if value not in (None, "float32"):
            raise UserError(f"{self.where}: dtype must be float32, not {quoted(value)}: "
                            "save a float32 copy of the model")

    def take(self, key: str, default: object = None):
        """The value of ``key``, which the caller honours."""
        return self._left.pop(key, default)

    def drop(self, *keys: str) -> None:
        """Take ``keys`` that do not change what the layer computes at inference."""
        for key in keys:
            self._left.pop(key, None)

    def only(self, key: str, legal: object, remedy: str) -> None:
        """Take ``key``, which must be absent or ``legal``."""
        value = self._left.pop(key, legal)
        if type(value) is not type(legal) or value != legal:
            raise UserError(f"{self.where}: {key} must be {legal}, not {_shown(value)}: {remedy}")

    def flag(self, key: str, default: bool) -> bool:
        """Take a boolean."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise UserError(f"{self.where}: {key} must be true or false, not {_shown(value)}")
        return value

    def activation(self, key: str, default: str, legal: tuple[str, ...] = ACTIVATIONS) -> str:
        """Take the name of an activation, one of ``legal``."""
        value = self._left.pop(key, default)
        if isinstance(value, dict) and value.get("class_name") == "function" and (
                value.get("registered_name") in (None, "function")):
            value = value.get("config")
        value = "linear" if value is None else value
        if isinstance(value, dict):  # an activation layer, or a custom function
            value = value.get("registered_name") or value.get("class_name")
        if value not in legal:
            raise UserError(f"{self.where}: {key} must be {' or '.join(legal)}, not "
                            f"{_shown(value)}: no other has a table in hardware; train with it")
        return value

    def done(self) -> None:
        """Refuse whatever key nobody took."""
        for key, value in self._left.items():
            raise UserError(f"{self.where}: the setting {quoted(key)} ({_shown(value)}) is not "
                            "known here and might change the result: remove it, or save the model "
                            "with plain Keras 3 layers")


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else quoted(value)[1:-1]


def add_layer(builder: Builder, entry: dict, weights: Weights, group: str) -> None:
    """Append the layer that ``entry`` describes, with its weights at ``group`` of the HDF5 file."""
    settings = Settings(entry)
    settings.drop("batch_input_shape", "input_shape")  # of Keras 2: its Sequential's first layer
    _READERS[settings.class_name](builder, settings, weights, group)
    settings.done()


def _lstm(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    units = check_dim(settings.where, "units", settings.take("units"))
    settings.activation("activation", "tanh", ("tanh",))
    settings.activation("recurrent_activation", "sigmoid", ("sigmoid",))
    use_bias = settings.flag("use_bias", True)
    return_sequences = settings.flag("return_sequences", False)
    settings.only("go_backwards", False, "only forward layers are built")
    settings.only("stateful", False, "the state starts at zero for every sequence")
    settings.only("return_state", False, "only the outputs can be used")
    settings.only("time_major", False, "put the batch first")
    settings.drop(*_TRAINING, *_EQUIVALENT)
    _need_sequence(builder, settings)
    features = builder.shape[-1]
    check_elements(settings.where, (4 * units, features + units))
    shapes = ((features, 4 * units), (units, 4 * units), (4 * units,))[:2 + use_bias]
    arrays = weights.variables(f"{group}/cell", settings.where, shapes)
    bias = arrays[2] if use_bias else np.zeros(4 * units, np.float32)
    builder.lstm(origin=settings.origin, w_ih=arrays[0].T, w_hh=arrays[1].T, b=bias,
                 return_sequences=return_sequences)


def _dense(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    units = check_dim(settings.where, "units", settings.take("units"))
    activation = settings.activation("activation", "linear")
    use_bias = settings.flag("use_bias", True)
    settings.only("quantization_config", None, "give the float model: Gatefold quantises it")
    settings.drop(*_TRAINING)
    features = builder.shape[-1]
    shapes = ((features, units), (units,))[:1 + use_bias]
    check_elements(settings.where, shapes[0])
    arrays = weights.variables(group, settings.where, shapes)
    bias = arrays[1] if use_bias else np.zeros(units, np.float32)
    builder.dense(origin=settings.origin, w=arrays[0].T, b=bias, activation=activation)


def _time_distributed(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    _need_sequence(builder, settings)
    inner = settings.take("layer")
    if Settings(inner).class_name not in ("Dense", "Activation", "ReLU", "Dropout"):
        raise UserError(f"{settings.where}: the layer inside must be Dense, Activation, ReLU or "
                        f"Dropout, not {quoted(inner.get('class_name'))}")
    add_layer(builder, inner, weights, f"{group}/layer")


def _repeat(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    builder.repeat(origin=settings.origin, timesteps=settings.take("n"))


def _flatten(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    settings.only("data_format", "channels_last", "row-major order is what is built")
    builder.flatten(origin=settings.origin)


def _dropout(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    settings.drop(*_TRAINING)


def _activation(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    builder.activation(settings.activation("activation", "linear"), origin=settings.origin)


def _relu(builder: Builder, settings: Settings, weights: Weights, group: str) -> None:
    settings.only("max_value", None, "only the plain ReLU is built")
    settings.only("negative_slope", 0.0, "only the plain ReLU is built")
    settings.only("threshold", 0.0, "only the plain ReLU is built")
    builder.activation("relu", origin=settings.origin)


def _need_sequence(builder: Builder, settings: Settings) -> None:
    if len(builder.shape) != 2:
        raise UserError(f"{settings.where} takes (timesteps, features), but its input has the "
                        f"shape {builder.shape}: put return_sequences or RepeatVector before it")


_READERS = {
    "LSTM": _lstm, "Dense": _dense, "TimeDistributed": _time_distributed, "RepeatVector": _repeat,
    "Flatten": _flatten, "Dropout": _dropout, "SpatialDropout1D": _dropout,
    "Activation": _activation, "ReLU": _relu,
}
