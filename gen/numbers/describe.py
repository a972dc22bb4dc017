"""What a layer is, in words, float or quantised: two that are described alike fit one core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from gatefold.gen.network.layers import Dense, Gru, Layer, MaxPool, Multiply, Recurrent
from gatefold.gen.network.views import View
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QRnn,
    QView,
)

__all__ = ["describe", "difference"]

_RECURRENT = {QLstm: "LSTM", QGru: "GRU", QRnn: "SimpleRNN"}


def describe(layer: Layer | QLayer) -> str:
    """Kind, sizes and everything else but weights and formats, in words."""
    told = _shape(layer)
    wired = getattr(layer, "inputs", ())
    return f"{told} of {_values(wired)}" if len(wired) > 1 else told


def difference(layers: Sequence[Layer], core: Sequence[QLayer]) -> str | None:
    """Where a model's ``layers`` are not those of a ``core``, in words; None where they are."""
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


def _shape(layer: Layer | QLayer) -> str:
    if isinstance(layer, (Recurrent, QRecurrent)):
        kind = _RECURRENT.get(type(layer)) or {"lstm": "LSTM", "gru": "GRU",
                                               "rnn": "SimpleRNN"}[getattr(layer, "kind", "")]
        parts = [f"{layer.features} features", f"{layer.units} units",
                 "every h" if layer.return_sequences else "the last h"]
        for name, usual in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
            function = getattr(layer, name, usual)
            parts += [function] if function != usual else []
        if isinstance(layer, (Gru, QGru)):
            parts.append("reset after" if layer.reset_after else "reset before")
        parts += ["stateful"] if layer.stateful else []
        parts += [f"constant {state}" for state in ("h0", "c0")
                  if getattr(layer, state, None) is not None]
        return f"{kind}({', '.join(parts)})"
    if isinstance(layer, (Dense, QDense)):
        parts = [f"{layer.features} features", f"{layer.outputs} outputs", layer.activation]
        parts += [_told(layer.window)] if layer.window else []
        if layer.pattern is not None:
            parts.append(f"pattern of {int(layer.pattern.sum())} weights, "
                         f"{hash_of(layer.pattern)}")
        return f"Dense({', '.join(parts)})"
    if isinstance(layer, (MaxPool, QMaxPool)):
        return f"MaxPool({_told(layer.window)})"
    if isinstance(layer, (Multiply, QMultiply)):
        return "Multiply"
    if isinstance(layer, (QView, View)):
        return _told(layer.view if isinstance(layer, QView) else layer)
    units = layer.units if isinstance(layer, QCellState) else getattr(layer, "units", 0)
    return f"CellState({units} units)"


def _told(thing) -> str:
    """A view or a window with what tells it from others of its kind."""
    values = [getattr(thing, field.name) for field in fields(thing)
              if field.name not in ("origin", "inputs", "label")]
    return f"{type(thing).__name__}({', '.join(map(str, values))})" if values \
        else type(thing).__name__


def _values(numbers: tuple[int, ...]) -> str:
    return "values " + ", ".join(map(str, numbers))


def hash_of(pattern: np.ndarray) -> str:
    """A short name for a pattern."""
    import hashlib

    return hashlib.sha256(np.packbits(pattern).tobytes()).hexdigest()[:8]
