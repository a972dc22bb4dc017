"""A network in LiteRT's int8, as a quantised network: zero points become biases, and scales the
multipliers with which LiteRT computes.

This is the last place where a scale is a float. ``docs/numbers.md`` (*LiteRT int8*) defines what
the integers do.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.network.int8 import Int8Dense, Int8Lstm
from gatefold.gen.network.views import View
from gatefold.gen.numbers.accumulator import accumulator_width, layer_bits
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qint8 import CENTRED, WEIGHTS, QInt8Dense, QInt8Lstm
from gatefold.gen.numbers.quantized import QLayer, QuantizedNetwork, QView
from gatefold.gen.numbers.tables import default_table

__all__ = ["from_int8", "int8_multiplier"]

_WINDOWS = 1 << 24  #: most elements of all windows of a layer that reads with another zero point
_INT32 = 32  #: bits of LiteRT's sums


def from_int8(network: Network) -> QuantizedNetwork:
    """The integers of a network whose layers are int8: those of the file, centred.

    Raises :class:`UserError` where sums could leave int32, and where values of several zero points
    meet the same weights.
    """
    assert network.affine is not None
    inputs, outputs = network.affine
    # What has been subtracted from each element of each value. The core subtracts one number from
    # all that it reads.
    centres = [np.full(shape, inputs[0].zero) for shape in network.input_shapes]
    layers: list[QLayer] = []
    for name, layer, shape in zip(network.names, network.layers,
                                  network.shapes[len(centres):], strict=True):
        read = [centres[value] for value in layer.inputs]
        if isinstance(layer, View):
            layers.append(QView(name=name, inputs=layer.inputs,
                                view=replace(layer, origin="", inputs=(), label="")))
            # What pads is the zero of what it pads.
            centres.append(layer.arrange(*(one[None] for one in read), fill=read[0].flat[0])[0])
        elif isinstance(layer, Int8Dense):
            layers.append(_dense(name, layer, read[0]))
            centres.append(np.full(shape, layer.y.zero))
        elif isinstance(layer, Int8Lstm):
            layers.append(_lstm(name, layer, read[0]))
            centres.append(np.full(shape, layer.state.zero))
        else:
            raise UserError(f"{name}: a full-integer network has int8 layers only")
    ends = [centres[value].ravel() for value in network.outputs]
    qnet = QuantizedNetwork(
        input_shapes=network.input_shapes, layers=tuple(layers), outputs=network.outputs,
        act_width=CENTRED.width, weight_width=WEIGHTS.width, cell_width=16,
        input_formats=(WEIGHTS,) * len(inputs), table=default_table(CENTRED.width), acc_width=2,
        host=network.host, calibration={"source": "the file's", "samples": 0, "peaks": {}},
        affine=(inputs, outputs),
        zeros=((inputs[0].zero,) * len(inputs), tuple(
            tuple((end if (end != end[0]).any() else end[:1]).tolist()) for end in ends)))
    for layer in layers:
        bits = layer_bits(layer, qnet.table)
        if bits > _INT32:
            raise UserError(f"{layer.name}: its sums need {bits} bits, LiteRT's have {_INT32}: use "
                            "fewer inputs, or calibrate the model again")
    return replace(qnet, acc_width=accumulator_width(qnet))


def _dense(name: str, layer: Int8Dense, centres: np.ndarray) -> QInt8Dense:
    # float32 throughout, as LiteRT's default kernels (XNNPACK) compute the scale.
    scale = layer.matrix.scale * np.float32(layer.x.scale) / np.float32(layer.y.scale)
    mantissa, exponent = np.frexp(scale)
    w, b = layer.matrix.w, layer.bias
    if (centres != layer.x.zero).any():
        windows = math.prod(layer.output_shape(centres.shape)[:-1])
        if windows * layer.features > _WINDOWS:
            raise UserError(f"{name}: it reads values with another zero point than they have, in "
                            f"more than {_WINDOWS} places: convert the model again")
        offsets = layer.gather((centres - layer.x.zero)[None], 0).reshape(-1, layer.features)
        b = b + w @ _constant(name, offsets)
    return QInt8Dense(
        name=name, inputs=layer.inputs, w=w, b=b,
        x=CENTRED, x_align=np.zeros(layer.features, np.int64), w_format=WEIGHTS, y=CENTRED,
        activation=layer.activation, window=layer.window, pattern=layer.pattern,
        multiplier=(mantissa * (1 << 24)).astype(np.int64), exponent=24 - exponent.astype(np.int64),
        lo=layer.lo - layer.y.zero, hi=layer.hi - layer.y.zero, y_scale=layer.y.scale)


def _lstm(name: str, layer: Int8Lstm, centres: np.ndarray) -> QInt8Lstm:
    scales: dict[str, Any] = {}
    for tensor, matrix, operand in (("ih", layer.matrix_ih, layer.x),
                                    ("hh", layer.matrix_hh, layer.state)):
        gates = matrix.scale[::layer.units] * np.float32(operand.scale) / np.float32(2.0**-12)
        pairs = [int8_multiplier(float(one)) for one in gates]
        scales[f"multiplier_{tensor}"] = np.array([m for m, _ in pairs], np.int64)
        scales[f"shift_{tensor}"] = np.array([s for _, s in pairs], np.int64)
    hidden = np.float32(2.0**-15) / np.float32(layer.hidden.scale) * np.float32(2.0**-15)
    multiplier_h, shift_h = int8_multiplier(float(hidden))
    # A clip of less than one unit of c is none, as that of 0 is.
    clip = int(min(layer.clip * 2.0**layer.cell, 32767)) or 32768
    return QInt8Lstm(
        name=name, inputs=layer.inputs, units=layer.units, w_ih=layer.matrix_ih.w,
        w_hh=layer.matrix_hh.w,
        b=layer.bias + layer.matrix_ih.w @ _constant(name, centres - layer.x.zero),
        x=CENTRED, x_align=np.zeros(layer.features, np.int64), w_ih_format=WEIGHTS,
        w_hh_format=WEIGHTS, h=CENTRED, c=QFormat(16, layer.cell),
        return_sequences=layer.return_sequences, stateful=layer.stateful, clip=clip,
        multiplier_h=multiplier_h, shift_h=shift_h, offset=layer.hidden.zero - layer.state.zero,
        lo=-128 - layer.state.zero, hi=127 - layer.state.zero, h_scale=layer.hidden.scale,
        **scales)


def _constant(name: str, offsets: np.ndarray) -> np.ndarray:
    """The one offset of each column (columns,) in (steps, columns)."""
    if (offsets != offsets[:1]).any():
        raise UserError(f"{name}: values of several zero points meet the same weights: convert the "
                        "model with one layer behind them")
    return offsets[0]


def int8_multiplier(scale: float) -> tuple[int, int]:
    """LiteRT's QuantizeMultiplier: scale = m * 2**(s - 31) with m of 31 bits."""
    mantissa, shift = math.frexp(scale)
    m = math.floor(mantissa * 2.0**31 + 0.5)
    if m == 1 << 31:
        m, shift = m >> 1, shift + 1
    return (0, 0) if shift < -31 else (m, shift)
