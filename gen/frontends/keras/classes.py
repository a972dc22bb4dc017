"""Which classes of layers a Keras model may have, and why others are refused."""

from __future__ import annotations

import difflib

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.keras import basic, conv, host, ops, rnn
from gatefold.gen.frontends.keras.settings import Settings

__all__ = ["MODELS", "READERS", "REFUSED", "is_operator", "settings_of", "unsupported"]

MODELS = ("Sequential", "Functional", "Model")  # Model: what early Keras 2 calls Functional

READERS = {**basic.READERS, **conv.READERS, **rnn.READERS}
_ATTENTION = ("attention multiplies data by data; behind the recurrent layers the host can compute "
              "it (--cut auto)")
#: Classes that could be taken for supported ones, and why they are not.
REFUSED = {
    "Lambda": "it holds code of its own, which is never run: use layers or plain operators",
    "TFOpLambda": "it is a TensorFlow function by name: use Keras layers, or save with Keras 3",
    "SlicingOpLambda": "it is a TensorFlow function by name: use Cropping1D or "
                       "return_sequences=False, or save with Keras 3",
    "Embedding": "the core takes numbers, not tokens: look the vectors up on the host",
    "Masking": "the core takes every timestep: cut sequences on the host",
    "LayerNormalization": "it divides by the values' own deviation, and the core has no divider: "
                          "train with BatchNormalization",
    "Minimum": "use the Maximum of the negatives",
    "Dot": "only products element by element are built (Multiply); behind the recurrent layers the "
           "host can compute it (--cut auto)",
    "MultiHeadAttention": "attention multiplies data by data: train a network without it",
    "Attention": _ATTENTION,
    "AdditiveAttention": _ATTENTION,
    "Normalization": "use Rescaling with its scale and offset, or BatchNormalization",
    "ConvLSTM1D": "only Conv1D and LSTM of their own are built",
    "Conv2D": "only one axis is time: use Conv1D",
    "InputLayer": "an input cannot be inside another layer: make it an input of the model",
}


def settings_of(entry: object, keras: int, every: bool = False) -> Settings:
    """Settings of a layer or a model that is supported; UserError for others, unless ``every``
    refusal is wanted: then they come when the layer is read."""
    settings = Settings(entry, keras, any_type=every)
    problem = "" if every else unsupported(settings)
    if problem:
        raise UserError(problem)
    return settings


def unsupported(settings: Settings) -> str:
    """Why a layer's class is not supported; empty if it is."""
    name = settings.class_name
    operator = is_operator(settings)
    known = ops.READERS if operator else (*READERS, *MODELS, "InputLayer",
                                                "TimeDistributed")
    if settings.custom or name not in known:
        kind = "custom " if settings.custom else "operator " if operator else ""
        if name in REFUSED and not settings.custom:
            return (f"layer {quoted(settings.origin)} of the class {name} is not "
                    f"supported: {REFUSED[name]}")
        if name in host.READERS and not settings.custom:
            return (f"layer {quoted(settings.origin)} of the class {name} is not built in "
                    "hardware; before or behind the recurrent layers the host can compute it: "
                    "build with --cut auto")
        legal = ops.READERS if operator else (*READERS, "TimeDistributed", *MODELS[:2])
        near = [] if settings.custom else difflib.get_close_matches(name, legal, 3, 0.5)
        remedy = (f"near it are {', '.join(near)}" if near else
                  "export the model to ONNX and build that with --cut auto, so that the host "
                  "computes what lies before or behind the recurrent layers")
        return (f"layer {quoted(settings.origin)} of the {kind}class {quoted(name)} is not "
                f"supported: {remedy} (docs/layers.md lists all)")
    return ""


def is_operator(settings: Settings, args: int = 1) -> bool:
    """Whether this is an operator of Keras 3, called with ``args`` arguments. An ``.h5`` file does
    not say; where a layer has the same name, it is called with one list."""
    name = settings.class_name
    if settings.module:
        return settings.module.startswith("keras.src.ops.")
    return name in ops.READERS and (name not in READERS or args > 1)
