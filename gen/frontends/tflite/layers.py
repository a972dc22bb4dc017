"""Operators of .tflite files that are layers: FULLY_CONNECTED, CONV_2D, the fused LSTM, and PAD.

What decides between a float layer and an int8 one is the type of its operand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.compute import matrix
from gatefold.gen.frontends.elements.trace import MAX_TRACED, Trace
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.tflite.model import Node
from gatefold.gen.frontends.tflite.moves import MOVES
from gatefold.gen.frontends.tflite.schema import ACTIVATIONS
from gatefold.gen.network.int8 import Affine, Int8Dense, Int8Lstm, Int8Matrix
from gatefold.gen.network.layers import Dense, Window, scaled_for_hard_sigmoid

__all__ = ["LAYERS"]

#: LiteRT leaves a CONV_2D or FULLY_CONNECTED to other kernels where the scale of its sums, in units
#: of the result's, lies outside: those round otherwise.
_SCALES = (2.0**-32, 256.0)


def _is_int8(node: Node) -> bool:
    """Whether a layer computes in int8; raises :class:`UserError` where it mixes types."""
    kind = node.model.type_of(node.input(0))
    weights = node.model.type_of(node.input(1)) if node.input(1) >= 0 else "absent"
    made = node.model.type_of(node.output)
    if kind == "float32" and weights == "int8":
        raise UserError("it is hybrid, float32 activations and int8 weights: convert to float, or "
                        "to full integer with a representative_dataset and TFLITE_BUILTINS_INT8")
    if "int16" in (kind, made):
        raise UserError("it has int16 activations (16x8): convert to full integer with "
                        "TFLITE_BUILTINS_INT8")
    if (kind, weights, made) not in (("float32",) * 3, ("int8",) * 3):
        raise UserError(f"its operand is {kind}, its weights are {weights} and its result is "
                        f"{made}: all must be float32, or all int8")
    return kind == "int8"


# ---- matrices ----------------------------------------------------------------------------------


def _dense(trace: Trace, node: Node, x: np.ndarray) -> np.ndarray:
    """FULLY_CONNECTED: the last axes of its operand as one vector."""
    node.refuse_options(format=0)
    w = node.constant(1)
    if w.ndim != 2 or x.size % w.shape[1]:
        raise UserError(f"its weights have the shape {w.shape}, its operand {x.shape}: convert the "
                        "model again")
    rows = x if x.shape[-1] == w.shape[1] else x.reshape(-1, w.shape[1])
    found = matrix(trace, rows, lambda value: _layer(trace, node, value, w, None), node.name)
    return found.reshape(node.model.shape_of(node.output))


def _conv(trace: Trace, node: Node, x: np.ndarray) -> np.ndarray:
    """CONV_2D along one axis of its operand, (1, height, width, channels)."""
    w = node.constant(1)
    if x.ndim != 4 or w.ndim != 4 or w.shape[3] != x.shape[3]:
        raise UserError(f"its filters have the shape {w.shape}, its operand {x.shape}: the "
                        "channels must be equal (no groups)")
    along = [k for k in (1, 2) if x.shape[k] > 1 or w.shape[k] > 1] or [2]
    if len(along) > 1:
        raise UserError(f"it runs over two axes {x.shape[1:3]}: only one, the timesteps, may be "
                        "longer than 1")
    axis = along[0]
    letter = "hw"[axis - 1]
    taps, steps = w.shape[axis], x.shape[axis]
    stride, dilation = (node.option(f"{name}_{letter}") for name in ("stride", "dilation"))
    reach, left, right = (taps - 1) * dilation + 1, 0, 0
    if node.option("padding") == 0 and stride > 0:  # SAME
        more = max(0, (-(-steps // stride) - 1) * stride + reach - steps)
        left, right = more // 2, more - more // 2
    window = Window(taps, stride, dilation, left, right)
    value = trace.read(x.reshape(1, steps, x.shape[3]), node.name)
    window.check(node.where, trace.builder.shapes[value])
    made = _layer(trace, node, value, w.reshape(len(w), -1), window)
    found = trace.layer(made)
    return np.expand_dims(found, 3 - axis)


def _layer(trace: Trace, node: Node, value: int, w: np.ndarray, window: Window | None) -> int:
    """The layer of a matrix (outputs, features) on ``value``."""
    activation = ACTIVATIONS.get(node.option("activation"), "unknown")
    if activation not in ("NONE", "RELU", "RELU6"):
        raise UserError(f"the fused function {activation} is not supported: NONE, RELU and RELU6 "
                        "are")
    b = np.zeros(len(w), np.int32) if node.input(2) < 0 else node.constant(2).ravel()
    if not _is_int8(node):
        if activation != "RELU6":
            return trace.builder.add(Dense(
                inputs=(value,), origin=node.name, w=w, b=b, window=window,
                activation="linear" if activation == "NONE" else "relu"))
        w, b = scaled_for_hard_sigmoid(w, b, 1 / 6, 0.0)
        made = trace.builder.add(Dense(inputs=(value,), origin=node.name, w=w, b=b, window=window,
                                       activation="hard_sigmoid"))
        return trace.builder.scale(made, np.full(len(w), 6.0), np.zeros(len(w)), origin=node.name)
    _check_bias(node, b, len(w))
    weights = _int8_matrix(node, 1, w)
    x, y = node.model.affine(node.input(0)), node.model.affine(node.output)
    scales = weights.scale * np.float32(x.scale) / np.float32(y.scale)
    if not ((scales >= _SCALES[0]) & (scales < _SCALES[1])).all():
        raise UserError(f"its sums have scales of {scales.min():.3g}..{scales.max():.3g} of its "
                        "result's, LiteRT's default kernels take 2**-32 up to 256: calibrate the "
                        "model again")
    lo, hi = _limits(activation, y)
    return trace.builder.add(Int8Dense(
        inputs=(value,), origin=node.name, w=weights.to_float(), window=window, matrix=weights,
        b=b * (weights.scale.astype(np.float64) * x.scale), bias=b.astype(np.int64),
        activation="linear" if activation == "NONE" else "relu", x=x, y=y, lo=lo, hi=hi))


def _limits(activation: str, y: Affine) -> tuple[int, int]:
    """The least and the largest result behind a fused function."""
    if activation == "NONE":
        return -128, 127
    most = np.rint(np.float32(6) / np.float32(y.scale) + np.float32(y.zero))  # as XNNPACK rounds
    return max(-128, y.zero), 127 if activation == "RELU" else min(127, int(most))


def _int8_matrix(node: Node, n: int, w: np.ndarray) -> Int8Matrix:
    """Input ``n``, int8 weights, with their scales."""
    scale, zero = node.model.scales(node.input(n), len(w))
    if zero.any():
        raise UserError(f"the weights of input {n} have zero points other than 0: convert the "
                        "model again")
    return Int8Matrix(w.astype(np.int64), scale)


def _check_bias(node: Node, b: np.ndarray, rows: int) -> None:
    if b.dtype != np.int32 or b.shape != (rows,):
        raise UserError(f"its bias is {b.dtype} of the shape {b.shape}, it must be int32 of "
                        f"({rows},): convert the model again")


# ---- LSTM --------------------------------------------------------------------------------------

#: Inputs of the operator: weights of the gates i, f, g, o, their biases, and states.
_W, _R, _P, _B, _H, _C = range(1, 5), range(5, 9), range(9, 12), range(12, 16), 18, 19
_PROJECTION = 16
_ABSENT = {"a bias of its projection": (17,), "layer normalisation": (20, 21, 22, 23)}


def _lstm(trace: Trace, node: Node, x: np.ndarray) -> np.ndarray:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: every step's h."""
    node.refuse_options(activation=4, projection_clip=0.0, time_major=0, diagonal=0)
    for what, numbers in _ABSENT.items():
        if any(node.input(n) >= 0 for n in numbers):
            raise UserError(f"it has {what}, which is not supported: use a plain LSTM")
    if any(node.input(n) < 0 for n in (*_W, *_R, *_B)):
        raise UserError("it lacks weights or biases of a gate (a coupled input gate, "
                        "use_bias=False): use a plain LSTM with biases")
    _check_states(node)
    is_int8 = _is_int8(node)
    w_ih, w_hh, b = (np.concatenate([node.constant(n) for n in part]) for part in (_W, _R, _B))
    units = len(b) // 4
    w_hr = None
    if node.input(_PROJECTION) >= 0:
        w_hr = node.constant(_PROJECTION)
        if is_int8:
            raise UserError("it has a projection, which is supported in float32 alone: convert the "
                            "model without it, or in float32")
        if w_hr.shape != (w_hh.shape[1], units):
            raise UserError(f"its projection has the shape {w_hr.shape} instead of "
                            f"{(w_hh.shape[1], units)}: convert the model again")
    recurring = units if w_hr is None else len(w_hr)
    if x.ndim != 3 or w_ih.shape != (4 * units, x.shape[2]) or w_hh.shape != (4 * units, recurring):
        raise UserError(f"its weights have the shapes {w_ih.shape} and {w_hh.shape}, its operand "
                        f"{x.shape}: convert the model again")
    value = trace.read(x, node.name)
    fields: dict[str, Any] = {"origin": node.name}
    peepholes = [n for n in _P if node.input(n) >= 0]
    if peepholes and (is_int8 or len(peepholes) < 3):
        raise UserError("it has peephole weights, which are supported in float32 alone, and of all "
                        "three gates: convert the model without them, or in float32")
    if peepholes:
        fields["w_p"] = np.concatenate([node.constant(n).ravel() for n in peepholes])
    if is_int8:
        fields |= {"inputs": (value,), "units": units, "return_sequences": True}
        return trace.layer(trace.builder.add(_int8_lstm(node, w_ih, w_hh, b, fields)))
    fields |= {"w_ih": w_ih, "w_hh": w_hh, "b": b, "c_clip": _cell_clip(node)}
    if w_hr is not None:
        return trace.layer(trace.builder.projected_lstm(value, w_hr=w_hr, **fields)[1])
    return trace.layer(trace.builder.lstm(value, return_sequences=True, **fields))


def _cell_clip(node: Node) -> float:
    clip = float(node.option("cell_clip"))
    if not (np.isfinite(clip) and clip >= 0):
        raise UserError(f"its cell_clip is {clip}, it must be 0 or more: convert the model again")
    return clip


def _check_states(node: Node) -> None:
    model, states = node.model, (node.input(_H), node.input(_C))
    shared = [one for one in model.nodes if one is not node and one.operator == node.operator
              and set(states) & {one.input(_H), one.input(_C)}]
    if min(states) < 0 or shared or not all(model.tensors[n]["variable"] for n in states):
        raise UserError("its states must be variables of its own: convert the model again")


def _int8_lstm(node: Node, w_ih: np.ndarray, w_hh: np.ndarray, b: np.ndarray,
               fields: dict[str, Any]) -> Int8Lstm:
    """The layer in int8, with the cell state in int16 (8x8->16)."""
    model, units = node.model, fields["units"]
    _check_bias(node, b, 4 * units)
    if any(node.model.type_of(node.input(n)) != "int8" for n in (*_W, *_R)):
        raise UserError("all its weights must be int8: convert the model again")
    if model.type_of(node.input(_H)) != "int8" or model.type_of(node.input(_C)) != "int16":
        raise UserError("its states must be int8 and int16: convert the model with "
                        "TFLITE_BUILTINS_INT8")
    if len(node.intermediates) != 5 or node.intermediates[4] < 0:
        raise UserError("it lacks the scale of its hidden state: convert the model again")
    matrices = [Int8Matrix(w.astype(np.int64), np.concatenate([
        _int8_matrix(node, n, w[:units]).scale for n in part]))
        for w, part in ((w_ih, _W), (w_hh, _R))]
    scales, zeros = model.scales(node.input(_C))
    cell = -np.log2(float(scales[0]))
    if cell != int(cell) or not 9 <= cell <= 24 or zeros[0]:
        raise UserError(f"its cell state has the scale {float(scales[0]):.6g}, it must be a power "
                        "of two, 2**-9 to 2**-24: calibrate the model again")
    x = model.affine(node.input(0))
    each = matrices[0].scale.astype(np.float64) * x.scale
    return Int8Lstm(
        w_ih=matrices[0].to_float(), w_hh=matrices[1].to_float(), b=b * each,
        matrix_ih=matrices[0], matrix_hh=matrices[1], bias=b.astype(np.int64), x=x,
        state=model.affine(node.input(_H)), hidden=model.affine(node.intermediates[4]),
        cell=int(cell), clip=_cell_clip(node), **fields)


# ---- padding -----------------------------------------------------------------------------------


def _pad(trace: Trace, node: Node, x: np.ndarray) -> np.ndarray:
    """PAD: zeros around; in int8, where zero is a byte of the tensor's, the zero point."""
    model, pads = node.model, node.constant(1)
    if pads.shape != (x.ndim, 2) or pads.min() < 0 or pads.max() > MAX_TRACED:
        raise UserError(f"its paddings {str(pads.tolist())[:60]} contradict its input: convert the "
                        "model again")
    if model.type_of(node.output) == "int8" and (
            _origins(node) != {model.affine(node.output)}):
        raise UserError("what it pads has other scales or zero points than its output: convert the "
                        "model again")
    shape = tuple(int(n) for n in x.shape + pads.sum(axis=1))
    check_elements("its output", shape, MAX_TRACED)
    padded = trace.zeros(shape)
    padded[tuple(slice(left, left + size)
                 for left, size in zip(pads[:, 0], x.shape, strict=True))] = x
    return padded


def _origins(node: Node) -> set[Affine]:
    """The numbers of the int8 tensors whose bytes an operator moves, as their layers made them."""
    model, found = node.model, {}
    for one in (*model.nodes[:node.number], node):
        if one is node or one.operator in (*MOVES, "PAD"):
            found[one.output] = set().union(*(
                found.get(index) or {model.affine(index)} for index in one.inputs
                if index >= 0 and model.type_of(index) == "int8"))
    return found[node.output]


#: By operator a function of the trial run, the node and the numbers of its operand's elements.
LAYERS = {"FULLY_CONNECTED": _dense, "CONV_2D": _conv, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
          "PAD": _pad}
