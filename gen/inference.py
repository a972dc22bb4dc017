"""The golden model on a user's arrays: floats or raw integers in, the same kind out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..sim.golden import golden
from .calibrate import as_samples
from .errors import UserError
from .qformat import QFormat
from .quantized import QDense, QLstm, QuantizedNetwork

__all__ = ["Inference", "run"]

_CHUNK = 64  # samples at a time, for memory


@dataclass(frozen=True)
class Inference:
    """What a run gives: ``y`` (samples, *output_shape); ``trace``, arrays named
    ``layer.tensor``; ``clipped`` of ``inputs`` input values lay outside the input format."""

    y: np.ndarray
    trace: dict[str, np.ndarray]
    clipped: int
    inputs: int


def run(qnet: QuantizedNetwork, x, *, raw: bool = False, trace: bool = False) -> Inference:
    """Golden on ``x``, (samples, *input_shape) or one sample without the axis.

    ``raw``: integers of the input format in, integers out; otherwise floats, quantised and scaled.
    ``trace``: keep i, f, g, o, c and h of every step of every LSTM and y of every Dense, in the
    same kind of numbers.
    Raises :class:`UserError` for another shape or type, NaN, and raw integers out of range.
    """
    integers, clipped = _raw(qnet, x) if raw else _quantised(qnet, x)
    outputs, kept = [], {}
    for start in range(0, len(integers), _CHUNK):
        record: dict | None = {} if trace else None
        outputs.append(golden(qnet, integers[start:start + _CHUNK], trace=record))
        for layer, tensor, array in _kept(record or {}):
            kept.setdefault((layer, tensor), []).append(array)
    y = np.concatenate(outputs)
    arrays = {key: np.concatenate(parts) for key, parts in kept.items()}
    if not raw:
        y = qnet.output_format.to_float(y)
        formats = _formats(qnet)
        arrays = {key: formats[key].to_float(array) for key, array in arrays.items()}
    return Inference(y, {f"{layer}.{tensor}": array for (layer, tensor), array in arrays.items()},
                     clipped, integers.size)


def _raw(qnet: QuantizedNetwork, x) -> tuple[np.ndarray, int]:
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise UserError(f"the raw input must hold integers, not {x.dtype}: leave --raw out to give "
                        "floats")
    as_samples(x, qnet.input_shape, "the raw input")
    return (x[None] if x.shape == tuple(qnet.input_shape) else x), 0


def _quantised(qnet: QuantizedNetwork, x) -> tuple[np.ndarray, int]:
    x = as_samples(x, qnet.input_shape, "the input")
    form = qnet.input_format
    with np.errstate(over="ignore"):  # infinities are clamped like all that is too large
        scaled = np.floor(x * 2.0**form.frac + 0.5)
        return form.quantize(x), int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi)))


def _kept(record: dict):
    for layer, tensors in record.items():
        if layer != "saturations":
            for tensor in ("i", "f", "g", "o", "c", "h", "y"):
                if tensor in tensors:
                    yield layer, tensor, tensors[tensor]


def _formats(qnet: QuantizedNetwork) -> dict[tuple[str, str], QFormat]:
    """Formats of what :func:`_kept` keeps; gate values have A (g) or A + 1 fractional bits."""
    a = qnet.table.out_frac
    formats = {}
    for layer in qnet.layers:
        if isinstance(layer, QLstm):
            formats |= {(layer.name, gate): QFormat(a + 2, a + 1) for gate in "ifo"}
            formats |= {(layer.name, "g"): QFormat(a + 1, a), (layer.name, "c"): layer.c,
                        (layer.name, "h"): layer.h}
        elif isinstance(layer, QDense):
            formats[layer.name, "y"] = layer.y
    return formats
