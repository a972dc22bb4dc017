"""Quantise: a float network and calibration data become integers and formats.

The last place where a float decides anything. What the integers do: ``docs/numbers.md``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatefold.gen.accumulator import accumulator_bits, accumulator_bounds, result_shifts
from gatefold.gen.calibrate import calibrate, peak_of
from gatefold.gen.errors import UserError
from gatefold.gen.network import Dense, Flatten, Layer, Lstm, Network, RepeatVector
from gatefold.gen.qformat import QFormat
from gatefold.gen.quantized import (
    QDense,
    QFlatten,
    QLayer,
    QLstm,
    QRepeatVector,
    QuantizedNetwork,
    Table,
)
from gatefold.gen.tables import default_table

__all__ = ["BIAS_LIMIT", "WIDTHS", "quantize", "requantize_into"]

WIDTHS = range(4, 19)  #: Legal widths of activations, weights and cell state, in bits.
BIAS_LIMIT = 8.0  #: Largest |bias| of a core whose weights come later (the gates saturate there).
_GUARD = 8  # bits of a product kept below the LSB of the result: finer weights change nothing
_INT64 = 62  # largest accumulator, left shift of its result included: golden computes in int64
_TINY = 2.0**-40  # peaks below this count as this: formats stay within int64


# ---- a new quantised network -------------------------------------------------------------------


def quantize(network: Network, *, act_width: int = 16, weight_width: int = 16,
             cell_width: int = 18, calibration=None, samples: int = 64, seed: int = 0,
             any_weights: bool = False, table: Table | None = None) -> QuantizedNetwork:
    """Choose formats per tensor and round the weights.

    Parameters: widths in bits, each of :data:`WIDTHS`. ``calibration``, floats (samples,
    *input_shape) or one sample (*input_shape,), whose peaks set the formats; without it,
    ``samples`` standard-normal inputs from ``seed``. ``any_weights``: fixed formats and
    accumulators for a core whose weights are replaced later (weights Q3, input and dense outputs
    Q4, cell state Q6, |bias| up to :data:`BIAS_LIMIT`); takes no calibration. ``table`` replaces
    :func:`default_table`.
    Raises :class:`UserError` for illegal widths, bad calibration data, and numbers so far apart
    that 62-bit sums cannot hold them.
    """
    for name, width in (("act", act_width), ("weight", weight_width), ("cell", cell_width)):
        if isinstance(width, bool) or width not in WIDTHS:
            raise UserError(f"the {name} width must be {WIDTHS[0]}..{WIDTHS[-1]} bits, "
                            f"not {width!r}: the default is {18 if name == 'cell' else 16}")
    table = table or default_table(act_width)
    if table.out_frac != act_width:
        raise ValueError(f"quantize table.out_frac must be act_width ({act_width}), "
                         f"not {table.out_frac!r}")
    if any_weights:
        if calibration is not None:
            raise UserError("calibration data set no format of a core whose weights come later: "
                            "leave the data out, or build from the trained model")
        record = {"source": "none: formats for any weights", "samples": 0, "peaks": {},
                  "bias_limit": BIAS_LIMIT}
    else:
        record = calibrate(network, calibration, samples, seed)
    chooser = _Chooser(act_width, weight_width, cell_width, table.frac, record["peaks"],
                       any_weights)
    x = input_format = chooser.input()
    layers = []
    for name, layer, shape in zip(network.names, network.layers, network.shapes, strict=False):
        if isinstance(layer, Lstm):
            formats = chooser.lstm(name, layer, x, shape[0])
        elif isinstance(layer, Dense):
            formats = chooser.dense(name, layer, x)
        else:
            formats = {}
        quantised = _integers(name, layer, formats)
        if any_weights and isinstance(layer, (Lstm, Dense)):
            peak = peak_of(layer.b)
            if peak > BIAS_LIMIT:
                raise UserError(f"{name}: a core for any weights takes biases of "
                                f"-{BIAS_LIMIT}..{BIAS_LIMIT}, but the peak is {peak:.4g}: build "
                                "it from the trained model")
        layers.append(quantised)
        x = formats.get("h") or formats.get("y") or x
    width = max(_row_bits(layer, table.frac, any_weights) for layer in layers)
    return QuantizedNetwork(
        input_shape=tuple(network.input_shape), layers=tuple(layers), act_width=act_width,
        weight_width=weight_width, cell_width=cell_width, input_format=input_format, table=table,
        acc_width=width, calibration=record)


class _Chooser:
    """The formats of each tensor, from the calibrated peaks or for any weights."""

    def __init__(self, act: int, weight: int, cell: int, fu: int, peaks: dict, any_weights: bool):
        self.act, self.weight, self.cell, self.fu = act, weight, cell, fu
        self.peaks, self.any_weights = peaks, any_weights
        self.unit = QFormat(act, act - 1)  # -1..1: h, and what sigmoid and tanh put out

    def input(self) -> QFormat:
        if self.any_weights:
            return QFormat(self.act, self.act - 4)
        return QFormat.covering(self.act, max(self.peaks["input"], _TINY))

    def lstm(self, name: str, layer: Lstm, x: QFormat, timesteps: int) -> dict[str, QFormat]:
        if self.any_weights:
            cell = QFormat(self.cell, self.cell - 6)
        else:
            # Twice the calibrated peak, but |c| grows by less than 1 a step from 0.
            peak = min(2 * self.peaks[name]["c"], float(timesteps))
            frac = QFormat.covering(self.cell, max(peak, _TINY)).frac
            # Finer than the product i*g (2A + 1) or than the unit interval is of no use.
            cell = QFormat(self.cell, min(frac, self.cell - 1, 2 * self.act + 1))
        return {"x": x, "h": self.unit, "c": cell,
                "w_ih_format": self.weights(layer.w_ih, x, self.fu),
                "w_hh_format": self.weights(layer.w_hh, self.unit, self.fu)}

    def dense(self, name: str, layer: Dense, x: QFormat) -> dict[str, QFormat]:
        if layer.activation in ("sigmoid", "tanh"):
            return {"x": x, "w_format": self.weights(layer.w, x, self.fu), "y": self.unit}
        if self.any_weights:
            y = QFormat(self.act, self.act - 4)
        else:
            y = QFormat.covering(self.act, max(self.peaks[name]["y"], _TINY))
        w = self.weights(layer.w, x, y.frac)
        # Finer than the accumulator, y would only gain zeros.
        return {"x": x, "w_format": w, "y": QFormat(self.act, min(y.frac, w.frac + x.frac))}

    def weights(self, w: np.ndarray, x: QFormat, result_frac: int) -> QFormat:
        if self.any_weights:
            return QFormat(self.weight, self.weight - 3)
        peak = peak_of(w)
        frac = QFormat.covering(self.weight, max(peak, _TINY) if peak else 0.0).frac
        return QFormat(self.weight, min(frac, self.act - 1 + result_frac + _GUARD - x.frac))


# ---- another training of the same shape --------------------------------------------------------


def requantize_into(network: Network, qnet: QuantizedNetwork) -> QuantizedNetwork:
    """``network``'s weights in the formats of ``qnet``: other weights for the same core.

    Raises :class:`UserError` where the shapes differ, weights saturate or a row could overflow the
    accumulator; the remedy is always to rebuild the core with that model.
    """
    if tuple(network.input_shape) != tuple(qnet.input_shape):
        raise UserError(f"the model's input {network.input_shape} differs from the core's "
                        f"{qnet.input_shape}: rebuild the core with this model")
    ours, theirs = [_describe(v) for v in network.layers], [_describe(v) for v in qnet.layers]
    for n in range(max(len(ours), len(theirs))):
        mine = ours[n] if n < len(ours) else "nothing"
        other = theirs[n] if n < len(theirs) else "nothing"
        if mine != other:
            raise UserError(f"layer {n}: the model has {mine}, the core {other}: rebuild the core "
                            "with this model")
    layers = []
    for layer, old in zip(network.layers, qnet.layers, strict=True):
        formats = {name: getattr(old, name) for name in _FORMATS.get(type(old), ())}
        new = _integers(old.name, layer, formats)
        bits = _row_bits(new, qnet.table.frac, False)
        if bits > qnet.acc_width:
            raise UserError(f"{old.name}: these weights need an accumulator of {bits} bits, the "
                            f"core's has {qnet.acc_width}: rebuild the core with this model")
        layers.append(new)
    return replace(qnet, layers=tuple(layers))


_FORMATS = {QLstm: ("x", "w_ih_format", "w_hh_format", "c", "h"), QDense: ("x", "w_format", "y")}


def _describe(layer: Layer | QLayer) -> str:
    if isinstance(layer, (Lstm, QLstm)):
        every = "every h" if layer.return_sequences else "the last h"
        return f"LSTM({layer.features} features, {layer.units} units, {every})"
    if isinstance(layer, (Dense, QDense)):
        return f"Dense({layer.features} features, {layer.outputs} outputs, {layer.activation})"
    if isinstance(layer, (RepeatVector, QRepeatVector)):
        return f"RepeatVector({layer.timesteps})"
    return "Flatten"


# ---- shared parts ------------------------------------------------------------------------------


def _integers(name: str, layer: Layer, formats: dict[str, QFormat]) -> QLayer:
    """One layer in the given formats; nothing may saturate."""
    if isinstance(layer, Lstm):
        w_ih = _weights(name, "w_ih", layer.w_ih, formats["w_ih_format"])
        w_hh = _weights(name, "w_hh", layer.w_hh, formats["w_hh_format"])
        new = QLstm(name=name, units=layer.units, w_ih=w_ih, w_hh=w_hh, b=np.zeros(0, np.int64),
                    return_sequences=layer.return_sequences, **formats)
        return replace(new, b=_bias(name, layer.b, new.acc_frac))
    if isinstance(layer, Dense):
        new = QDense(name=name, w=_weights(name, "w", layer.w, formats["w_format"]),
                     b=np.zeros(0, np.int64), activation=layer.activation, **formats)
        return replace(new, b=_bias(name, layer.b, new.acc_frac))
    if isinstance(layer, RepeatVector):
        return QRepeatVector(name=name, timesteps=layer.timesteps)
    if isinstance(layer, Flatten):
        return QFlatten(name=name)
    raise UserError(f"{name}: LSTM, Dense, RepeatVector and Flatten can be quantised, not "
                    f"{type(layer).__name__}")


def _weights(name: str, tensor: str, values: np.ndarray, form: QFormat) -> np.ndarray:
    scaled = np.floor(values.astype(np.float64) * 2.0**form.frac + 0.5)
    beyond = int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi)))
    if beyond:
        raise UserError(f"{name}: {beyond} of {values.size} weights of {tensor} saturate in the "
                        f"core's {form} ({form.lo * form.step:.4g}..{form.hi * form.step:.4g}), "
                        f"their peak is {peak_of(values):.4g}: rebuild the core with this model")
    return _frozen(form.quantize(values))


def _bias(name: str, values: np.ndarray, acc_frac: int) -> np.ndarray:
    scaled = np.floor(values.astype(np.float64) * 2.0**acc_frac + 0.5)
    if peak_of(scaled) >= 2.0**_INT64:
        raise UserError(_too_far_apart(name, f"bias ({peak_of(values):.4g}) and weights are "))
    return _frozen(scaled.astype(np.int64))


def _frozen(integers: np.ndarray) -> np.ndarray:
    integers.setflags(write=False)
    return integers


def _row_bits(layer: QLayer, fu: int, any_weights: bool) -> int:
    """Accumulator bits of a layer; 2 for one without an accumulator."""
    if not isinstance(layer, (QLstm, QDense)):
        return 2
    bits = accumulator_bits(accumulator_bounds(layer, fu, any_weights=any_weights,
                                               bias_limit=BIAS_LIMIT))
    if max(b + max(0, -s) for b, s in zip(bits, result_shifts(layer, fu), strict=True)) > _INT64:
        raise UserError(_too_far_apart(layer.name, "inputs, weights and biases are "))
    return max(bits)


def _too_far_apart(name: str, what: str) -> str:
    return (f"{name}: {what}too far apart in magnitude: a sum would need over {_INT64} bits: "
            "normalise the input data and train again")
