"""A layer's weights, biases and constant states in given formats: the quantised layer."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Layer
from gatefold.gen.numbers.formats import peak_of
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import parted
from gatefold.gen.numbers.quantized import QLAYERS, QLayer, QuantizedNetwork, QView

__all__ = ["INT64", "in_integers", "keeps_weights", "scaled_weights", "too_far_apart"]

INT64 = 62  #: Bits of the largest number that golden may compute, in int64.


def scaled_weights(layer: Layer, w: np.ndarray) -> np.ndarray:
    """``w`` for the layer's arithmetic: a quarter of it if the result is a hard sigmoid."""
    return w / 4 if layer.last_activation == "hard_sigmoid" else w


def in_integers(name: str, layer: Layer, numbers: dict,
                counts: dict[str, int] | None = None) -> QLayer:
    """``layer`` in integers; ``numbers`` gives its formats (and ``x_align``) by field.

    A field of the result is one of ``numbers``, an array in its format, or the float layer's field.
    The weights and biases of a row with a scale (``scales``) have as many fractional bits more. An
    element of a split input has so many columns (``split``): they are the :func:`parted` weight.
    ``counts`` receives by tensor how many weights saturate; without it none may.
    Raises :class:`UserError` if one does, and for a bias that is too large.
    """
    values = {"name": name, "inputs": layer.inputs, **numbers}
    if not layer.computes:  # without its name in the model file
        values["view"] = replace(layer, origin="", inputs=(), label="")
    cls = QLAYERS.get(layer.kind, QView)
    for tensor in layer.weights:
        values[tensor] = _weights(name, tensor, scaled_weights(layer, getattr(layer, tensor)),
                                  numbers[f"{tensor}_format"], counts, numbers["scales"],
                                  numbers.get("split", 1) if tensor == layer.weights[0] else 1)
    for tensor, form in cls.constants.items():
        constant = getattr(layer, tensor)
        values[tensor] = None if constant is None else _weights(name, tensor, constant,
                                                                numbers[form], counts)
    values |= {field.name: getattr(layer, field.name) for field in fields(cls)
               if field.name not in values}
    new = cls(**values)
    return replace(new, **{bias: _bias(name, _scaled_bias(layer, getattr(layer, bias)),
                                       new.acc_frac + _bias_scales(new, bias))
                           for bias in layer.biases})


def keeps_weights(network: Network, qnet: QuantizedNetwork) -> bool:
    """Whether no weight of a matrix was rounded: it was trained on the grid of its format."""
    for layer, new in zip(network.layers, qnet.layers, strict=True):
        scales = getattr(new, "scales", None)
        for n, (tensor, form) in enumerate(new.weights.items()):
            integers = getattr(new, tensor)
            whole = integers.reshape(len(integers), -1, 1 if n else new.split).sum(axis=2)
            steps = 2.0**-(form.frac + (np.zeros(len(whole)) if scales is None else scales))
            if not np.array_equal(whole * steps[:, None],
                                  scaled_weights(layer, getattr(layer, tensor))):
                return False
    return True


def _bias_scales(layer: QLayer, bias: str) -> np.ndarray:
    """The scales of the rows of a bias: ``b`` belongs to the first rows, ``b_n`` to the last."""
    rows = len(getattr(layer, bias))
    return layer.row_scales[:rows] if bias == "b" else layer.row_scales[-rows:]


def _scaled_bias(layer: Layer, b: np.ndarray) -> np.ndarray:
    return b.astype(np.float64) / 4 + 0.5 if layer.last_activation == "hard_sigmoid" else b


def _weights(name: str, tensor: str, values: np.ndarray, form: QFormat,
             counts: dict[str, int] | None, scales: np.ndarray | None = None,
             parts: int = 1) -> np.ndarray:
    values = values.astype(np.float64)
    if scales is not None:
        values = values * 2.0**scales[:, None]
    scaled = np.floor(values * 2.0**form.frac + 0.5)
    lo, hi = form.lo * parts, form.hi * parts
    beyond = int(np.count_nonzero((scaled < lo) | (scaled > hi)))
    if tensor in ("h0", "c0"):  # 1.0 in the unit interval is its largest number, as of a tanh
        beyond = int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi + 1)))
    if beyond and counts is None:
        raise UserError(f"{name}: {beyond} of {values.size} weights of {tensor} saturate in the "
                        f"core's {form} ({lo * form.step:.4g}..{hi * form.step:.4g}), "
                        f"their peak is {peak_of(values):.4g}: rebuild the core with this model, "
                        "or let them saturate with --saturate")
    if beyond and counts is not None:
        counts[tensor] = beyond
    whole = np.clip(scaled, lo, hi).astype(np.int64)
    return _frozen(parted(whole, parts, mirrored=True))


def _bias(name: str, values: np.ndarray, acc_frac: np.ndarray) -> np.ndarray:
    scaled = np.floor(values.astype(np.float64) * 2.0**acc_frac + 0.5)
    if peak_of(scaled) >= 2.0**INT64:
        raise UserError(too_far_apart(name, f"bias ({peak_of(values):.4g}) and weights are "))
    return _frozen(scaled.astype(np.int64))


def _frozen(integers: np.ndarray) -> np.ndarray:
    integers.setflags(write=False)
    return integers


def too_far_apart(name: str, what: str) -> str:
    """The message about numbers whose sums need more bits than :data:`INT64`."""
    return (f"{name}: {what}too far apart in magnitude: a sum would need over {INT64} bits: "
            "normalise the input data and train again")
