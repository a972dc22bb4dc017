"""A layer's weights, biases and constant states in given formats: the quantised layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.layers import (
    CellState,
    Dense,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Multiply,
    Recurrent,
    Rnn,
)
from gatefold.gen.network.views import View
from gatefold.gen.numbers.formats import peak_of
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRnn,
    QView,
)

__all__ = ["INT64", "in_integers", "scaled_weights", "too_far_apart"]

INT64 = 62  #: Bits of the largest number that golden, which computes in int64, may come to.


def scaled_weights(layer: Layer, w: np.ndarray) -> np.ndarray:
    """``w`` as the layer's arithmetic wants it: a quarter where its result is a hard sigmoid."""
    hard = isinstance(layer, (Dense, Rnn)) and layer.activation == "hard_sigmoid"
    return w / 4 if hard else w


def in_integers(name: str, layer: Layer, numbers: dict,
                counts: dict[str, int] | None = None) -> QLayer:
    """``layer`` as the integers of ``numbers``, its formats (and ``x_align``) by field.

    ``counts`` receives by tensor how many weights saturate; without it none may.
    Raises :class:`UserError` where one does, or a bias is out of reach.
    """
    common = {"name": name, "inputs": layer.inputs}
    if isinstance(layer, View):
        # Nothing of the model file goes on.
        return QView(view=replace(layer, origin="", inputs=(), label=""), **common)
    common |= numbers
    if isinstance(layer, MaxPool):
        return QMaxPool(window=layer.window, **common)
    if isinstance(layer, Multiply):
        return QMultiply(**common)
    if isinstance(layer, CellState):
        return QCellState(units=layer.units, **common)

    def weights(tensor: str) -> np.ndarray:
        return _weights(name, tensor, scaled_weights(layer, getattr(layer, tensor)),
                        numbers[f"{tensor}_format"], counts)

    def state(tensor: str, form: QFormat) -> np.ndarray | None:
        constant = getattr(layer, tensor)
        return None if constant is None else _weights(name, tensor, constant, form, counts)

    none = np.zeros(0, np.int64)
    if isinstance(layer, Dense):
        new = QDense(w=weights("w"), b=none, activation=layer.activation,
                     window=layer.window, pattern=layer.pattern, **common)
        return replace(new, b=_bias(name, _scaled_bias(layer), new.acc_frac))
    assert isinstance(layer, Recurrent)
    common |= {"units": layer.units, "w_ih": weights("w_ih"), "w_hh": weights("w_hh"), "b": none,
               "return_sequences": layer.return_sequences, "stateful": layer.stateful}
    if isinstance(layer, Lstm):
        new = QLstm(activation=layer.activation, recurrent_activation=layer.recurrent_activation,
                    h0=state("h0", numbers["h"]), c0=state("c0", numbers["c"]), **common)
    elif isinstance(layer, Gru):
        new = QGru(activation=layer.activation, recurrent_activation=layer.recurrent_activation,
                   h0=state("h0", numbers["c"]), b_n=none, reset_after=layer.reset_after, **common)
        new = replace(new, b_n=_bias(name, np.asarray(layer.b_n), new.acc_frac))
    else:
        assert isinstance(layer, Rnn)
        new = QRnn(activation=layer.activation, h0=state("h0", numbers["h"]), **common)
    return replace(new, b=_bias(name, _scaled_bias(layer), new.acc_frac))


def _scaled_bias(layer: Dense | Recurrent) -> np.ndarray:
    hard = isinstance(layer, (Dense, Rnn)) and layer.activation == "hard_sigmoid"
    return layer.b.astype(np.float64) / 4 + 0.5 if hard else layer.b


def _weights(name: str, tensor: str, values: np.ndarray, form: QFormat,
             counts: dict[str, int] | None) -> np.ndarray:
    scaled = np.floor(values.astype(np.float64) * 2.0**form.frac + 0.5)
    beyond = int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi)))
    if tensor in ("h0", "c0"):  # 1.0 in the unit interval is its largest number, as of a tanh
        beyond = int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi + 1)))
    if beyond and counts is None:
        raise UserError(f"{name}: {beyond} of {values.size} weights of {tensor} saturate in the "
                        f"core's {form} ({form.lo * form.step:.4g}..{form.hi * form.step:.4g}), "
                        f"their peak is {peak_of(values):.4g}: rebuild the core with this model, "
                        "or let them saturate with --saturate")
    if beyond and counts is not None:
        counts[tensor] = beyond
    return _frozen(form.quantize(values))


def _bias(name: str, values: np.ndarray, acc_frac: int) -> np.ndarray:
    scaled = np.floor(values.astype(np.float64) * 2.0**acc_frac + 0.5)
    if peak_of(scaled) >= 2.0**INT64:
        raise UserError(too_far_apart(name, f"bias ({peak_of(values):.4g}) and weights are "))
    return _frozen(scaled.astype(np.int64))


def _frozen(integers: np.ndarray) -> np.ndarray:
    integers.setflags(write=False)
    return integers


def too_far_apart(name: str, what: str) -> str:
    """The message for numbers that need sums beyond :data:`INT64`."""
    return (f"{name}: {what}too far apart in magnitude: a sum would need over {INT64} bits: "
            "normalise the input data and train again")
