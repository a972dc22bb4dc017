"""A layer in words, float or quantised: two with the same description fit one core."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from gatefold.gen.network.layers import Layer
from gatefold.gen.numbers.quantized import QLayer

__all__ = ["describe", "difference"]

#: Words for each field, of float and of quantised layers, that must be equal to fit one core.
_WORDS: dict[str, Callable[[Any], str]] = {
    "features": "{} features".format,
    "units": "{} units".format,
    "outputs": "{} outputs".format,
    "return_sequences": lambda every: "every h" if every else "the last h",
    "activation": str,
    "recurrent_activation": str,
    "z_clip": lambda clip: f"clip of {clip * 2.0**-16:g}" if clip else "",
    "reset_after": lambda after: "reset after" if after else "reset before",
    "stateful": lambda stateful: "stateful" if stateful else "",
    "window": lambda window: _fields(window) if window else "",
    "pattern": lambda pattern: "" if pattern is None else (
        f"pattern of {int(pattern.sum())} weights, {_hash(pattern)}"),
    "w_p": lambda weights: "" if weights is None else "peepholes",
    "w_hr": lambda weights: "" if weights is None else f"projection to {len(weights)}",
    "h0": lambda constant: "" if constant is None else "constant h0",
    "c0": lambda constant: "" if constant is None else "constant c0",
}


def describe(layer: Layer | QLayer) -> str:
    """Kind, sizes and everything else but weights and formats, in words."""
    if not layer.computes:
        text = _fields(getattr(layer, "view", layer))
    else:
        cls: Any = getattr(layer, "of", type(layer))  # the float layer's
        parts = {name: words(_value(layer, name)) for name, words in _WORDS.items()
                 if hasattr(layer, name)}
        shown = ", ".join(text for name, text in parts.items()  # an activation, if not the usual
                          if text and text != getattr(cls, name, None))
        text = (cls.title or cls.__name__) + (f"({shown})" if shown else "")
    if len(layer.inputs) > 1:
        text += " of values " + ", ".join(map(str, layer.inputs))
    return text


def difference(layers: Sequence[Layer], core: Sequence[QLayer]) -> str | None:
    """The first difference between a model's ``layers`` and a ``core``'s, in words; or None."""
    ours, theirs = [describe(layer) for layer in layers], [describe(layer) for layer in core]
    for n in range(max(len(ours), len(theirs))):
        mine = ours[n] if n < len(ours) else "nothing"
        other = theirs[n] if n < len(theirs) else "nothing"
        if mine != other:
            return f"layer {n}: the model has {mine}, the core {other}"
    for n, (layer, old) in enumerate(zip(layers, core, strict=True)):
        if layer.inputs != old.inputs:
            return (f"layer {n}: the model's reads the values {layer.inputs}, the core's "
                    f"{old.inputs}")
    return None


def _value(layer: Any, name: str) -> Any:
    """A field; the features of a quantised layer are those of the model, split or not."""
    value = getattr(layer, name)
    return value // getattr(layer, "split", 1) if name == "features" else value


def _fields(instance: Any) -> str:
    """A view or a window: its kind and its fields."""
    values = [getattr(instance, field.name) for field in fields(instance)
              if field.name not in ("origin", "inputs", "label")]
    return f"{type(instance).__name__}({', '.join(map(str, values))})" if values \
        else type(instance).__name__


def _hash(pattern: np.ndarray) -> str:
    """A short name for a pattern."""
    return hashlib.sha256(np.packbits(pattern).tobytes()).hexdigest()[:8]
