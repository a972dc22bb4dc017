"""One Keras layer's configuration: every key is honoured, known not to matter, or refused by name.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import MAX_DIM, check_dim
from gatefold.gen.network.graph import ACTIVATIONS

__all__ = ["Activation", "Settings", "shown"]

#: Keys that affect training alone: the file holds the trained weights.
_TRAINING = {f"{weights}_{what}"
             for weights in ("kernel", "recurrent", "bias", "beta", "gamma", "moving_mean",
                             "moving_variance", "depthwise", "pointwise", "alpha")
             for what in ("initializer", "regularizer", "constraint")} | {
    "activity_regularizer", "unit_forget_bias", "dropout", "recurrent_dropout", "rate", "stddev",
    "seed", "noise_shape", "momentum", "l1", "l2"}
#: Keys that choose between ways to compute the same values.
_EQUIVALENT = {"unroll", "implementation", "zero_output_for_mask", "optional", "trainable",
               "use_cudnn", "synchronized", "fused", "autocast"}
#: Slope of a hard sigmoid, by Keras' major version.
_HARD_SIGMOID = {3: 1 / 6, 2: 0.2}


class Activation(NamedTuple):
    """An activation: ``name``, of :data:`~.graph.ACTIVATIONS`, or ``softmax``; a hard
    sigmoid is clip(``alpha`` z + 1/2, 0, 1)."""

    name: str
    alpha: float = 0.25


#: Types, and policies of mixed ones, in which a layer may compute: it is read as its float32 form.
_DTYPES = ("float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


class Settings:
    """A layer's ``config``: its reader must take every key, or :meth:`done` refuses it.

    Parameters: ``entry``, the layer's object in the model's configuration; ``keras``, the major
    version that wrote it, 0 if unknown; ``any_type``, accept numbers of any type. Attributes:
    ``origin``, its name; ``where``, how messages call it; ``module``, where the class is from, ""
    if the file does not say; ``custom``, whether the class is none of Keras; ``type_problem``, what
    is wrong with the type of its numbers, "" of float32. Raises :class:`UserError` for other types.
    """

    def __init__(self, entry: object, keras: int, any_type: bool = False):
        plain = entry if isinstance(entry, dict) else {}
        config = plain.get("config")
        if isinstance(config, list) and plain.get("class_name") == "Sequential":  # Keras 2.1
            config = {"layers": config}
        if not isinstance(entry, dict) or not isinstance(config, dict):
            raise UserError("the model's configuration describes a layer that has no "
                            "configuration: save the model again with Keras 3")
        self.keras = keras
        self.class_name = str(entry.get("class_name"))
        self._left: dict[str, Any] = dict(config)
        self.origin = str(self._left.pop("name", self.class_name))
        self.where = f"{quoted(self.class_name)[1:-1]} layer {quoted(self.origin)}"
        registered = entry.get("registered_name")
        self.module = str(entry.get("module") or "")
        foreign = self.module.split(".")[0] not in ("", "keras", "tf_keras")
        # A class of Keras is registered by no name, or by its own beside its module.
        own = registered is None or (registered == self.class_name and self.module != "")
        self.custom = foreign or not own
        self.type_problem = self._wrong_type(self._left.pop("dtype", None))
        if self.type_problem and not any_type:
            raise UserError(self.type_problem)

    def _wrong_type(self, value: object) -> str:
        if isinstance(value, dict):
            inner = value.get("config")
            plain = value.get("class_name") in ("DTypePolicy", "Policy") and isinstance(inner, dict)
            value = inner.get("name") if plain and isinstance(inner, dict) else value
        if value is not None and value not in _DTYPES:
            remedy = ("give numbers as floats" if str(value).startswith(("int", "uint", "bool"))
                      else "save a float32 copy of the model")
            return (f"{self.where}: dtype must be a float of 16, 32 or 64 bits, not "
                    f"{quoted(value)}: {remedy}")
        return ""

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
            raise UserError(f"{self.where}: {key} must be {legal}, not {shown(value)}: {remedy}")

    def flag(self, key: str, default: bool) -> bool:
        """Take a boolean."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise UserError(f"{self.where}: {key} must be true or false, not {shown(value)}")
        return value

    def dim(self, key: str, default: object = None, *, none: int | None = None,
            most: int = MAX_DIM) -> int:
        """Take a positive integer, or a list of that one; ``none`` is what None means."""
        value = self._left.pop(key, default)
        value = none if value is None else value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return check_dim(self.where, key, value, most)

    def number(self, key: str, default: float) -> float:
        """Take a finite number."""
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise UserError(f"{self.where}: {key} must be a number, not {shown(value)}")
        return float(value)

    def pair(self, key: str, default: int) -> tuple[int, int]:
        """Take two numbers of steps, given as two or as one for both, perhaps in a list of one."""
        value = self._left.pop(key, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        both = value if isinstance(value, list) else [value, value]
        if len(both) != 2 or not all(type(n) is int and 0 <= n < 1 << 16 for n in both):
            raise UserError(f"{self.where}: {key} must be two numbers of timesteps, not "
                            f"{shown(value)}")
        return both[0], both[1]

    def one_of(self, key: str, default: str | None, legal: tuple, remedy: str) -> str:
        """Take one of the ``legal`` values."""
        value = self._left.pop(key, default)
        if value not in legal:
            raise UserError(f"{self.where}: {key} must be {_words(legal)}, not {shown(value)}: "
                            f"{remedy}")
        return value

    def activation(self, key: str, default: str,
                   legal: tuple[str, ...] = ACTIVATIONS) -> Activation:
        """Take an activation, one of ``legal``."""
        value = self._left.pop(key, default)
        if isinstance(value, dict) and value.get("class_name") == "function" and (
                value.get("registered_name") in (None, "function", value.get("config"))):
            value = value.get("config")
        value = "linear" if value is None else value
        if isinstance(value, dict):
            named = value.get("class_name")
            kind = ("a function of one's own" if named in ("function", "__lambda__")
                    else f"the layer {quoted(named)}")
            raise UserError(f"{self.where}: {key} must be {_words(legal)} by name, not {kind}: "
                            "put an Activation or ReLU layer behind this one instead")
        if value not in legal:
            raise UserError(f"{self.where}: {key} must be {_words(legal)}, not {shown(value)}: "
                            "no other has a table in hardware; train with one of these")
        if value != "hard_sigmoid":
            return Activation(value)
        if self.keras not in _HARD_SIGMOID:
            raise UserError(f"{self.where}: {key} is hard_sigmoid, which differs between Keras 2 "
                            "and 3, and the file does not say which wrote it: save the model again")
        return Activation(value, _HARD_SIGMOID[self.keras])

    def done(self) -> None:
        """Refuse every key that was not taken and could change the result."""
        for key, value in self._left.items():
            if key not in _TRAINING and key not in _EQUIVALENT:
                raise UserError(f"{self.where}: the setting {quoted(key)} ({shown(value)}) is not "
                                "known here and might change the result: remove it, or save the "
                                "model with plain Keras 3 layers")


def shown(value: object) -> str:
    """A value from a file in a message."""
    return quoted(value) if isinstance(value, str) else quoted(value)[1:-1]


def _words(legal: tuple) -> str:
    return " or ".join(str(one) for one in legal)
