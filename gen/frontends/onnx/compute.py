"""ONNX operators on arrays of numbers: what a host computes beside a core.

Like the operators of :mod:`.ops`, which belong to the same table, each takes (attributes, inputs,
opset) and gives one array or a list of them. What each result may hold, and the multiplications
that it may take, are checked before they are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gatefold.gen.frontends.elements.trace import MAX_TRACED
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.onnx.integers import integer_operators
from gatefold.gen.frontends.onnx.ops import FOLDED, MOVES, SHAPES, Arrays
from gatefold.gen.frontends.onnx.proto import Attributes, NodeError

__all__ = ["COMPUTE", "multiplications"]

#: Most multiplications of one operator.
_MAX_PRODUCTS = 1 << 31


def _x(inputs: Arrays, index: int = 0) -> np.ndarray:
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        raise NodeError(f"input {index} is missing: export the model again")
    return value


def _unary(function: Callable[..., np.ndarray], **defaults: float) -> Callable:
    """An operator on each element; ``defaults``, its attributes, are further arguments."""
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        x = _x(inputs)
        more = [x.dtype.type(attributes.take(name, value)) for name, value in defaults.items()]
        return np.asarray(function(x, *more), x.dtype)
    return apply


def _binary(function: Callable) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        a, b = _x(inputs), _x(inputs, 1)
        check_elements("its output", np.broadcast_shapes(a.shape, b.shape), MAX_TRACED)
        return np.asarray(function(a, b), a.dtype)
    return apply


def _sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _softplus(x):
    return np.logaddexp(x, 0)


#: Points at which erf is known, and how many there are in a unit; from the last on erf is 1.
_ERF_STEPS = 512
_ERF = np.array([math.erf(n / _ERF_STEPS) for n in range(6 * _ERF_STEPS + 2)])


def _erf(x):
    """erf by cubic interpolation with its own slopes, which is off by less than 1e-12."""
    magnitude = np.minimum(np.abs(np.asarray(x, np.float64)), 6) * _ERF_STEPS
    n = np.nan_to_num(magnitude).astype(np.int64)
    t = magnitude - n
    slope, after = (2 / math.sqrt(math.pi) / _ERF_STEPS * np.exp(-((n + k) / _ERF_STEPS) ** 2)
                    for k in (0, 1))
    low, rise = _ERF[n], _ERF[n + 1] - _ERF[n]
    return np.copysign(low + t * (slope + t * (
        3 * rise - 2 * slope - after + t * (slope + after - 2 * rise))), x)


def _gelu(attributes: Attributes, inputs: Arrays, opset: int):
    x = _x(inputs)
    if attributes.take("approximate", "none") == "tanh":
        inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))
    else:
        inner = _erf(x / math.sqrt(2))
    return np.asarray(0.5 * x * (1 + inner), x.dtype)


def _softmax(attributes: Attributes, inputs: Arrays, opset: int):
    x = _x(inputs)
    axis = attributes.int("axis", -1 if opset >= 13 else 1)
    axes = tuple(range(axis % x.ndim, x.ndim)) if opset < 13 else (axis,)
    shifted = x - x.max(axis=axes, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True))


def _axes(attributes: Attributes, inputs: Arrays) -> tuple[int, ...] | None:
    given = attributes.ints("axes")
    if given is None and len(inputs) > 1 and inputs[1] is not None:
        given = tuple(inputs[1].reshape(-1).tolist())
    return given or None


def _reduce(function: Callable) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        x, axes = _x(inputs), _axes(attributes, inputs)
        keep = bool(attributes.int("keepdims", 1))
        if attributes.int("noop_with_empty_axes", 0) and axes is None:
            return x
        return np.asarray(function(x, axis=axes, keepdims=keep), x.dtype)
    return apply


def _arg(function: Callable) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        attributes.only("select_last_index", 0, "take the first of equal values")
        axis, keep = attributes.int("axis", 0), bool(attributes.int("keepdims", 1))
        return function(_x(inputs), axis=axis, keepdims=keep).astype(np.int64)
    return apply


def _normalised(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + epsilon)


def _layer_norm(attributes: Attributes, inputs: Arrays, opset: int):
    x, axis = _x(inputs), attributes.int("axis", -1)
    attributes.take("stash_type")
    y = _normalised(x, tuple(range(axis % x.ndim, x.ndim)), attributes.take("epsilon", 1e-5))
    y = y * _x(inputs, 1)
    return np.asarray(y + inputs[2] if len(inputs) > 2 and inputs[2] is not None else y, x.dtype)


def _channels(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(channels,) for an ``x`` (batch, channels, ...)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _instance_norm(attributes: Attributes, inputs: Arrays, opset: int):
    x = _x(inputs)
    y = _normalised(x, tuple(range(2, x.ndim)), attributes.take("epsilon", 1e-5))
    return np.asarray(y * _channels(_x(inputs, 1), x) + _channels(_x(inputs, 2), x), x.dtype)


def _batch_norm(attributes: Attributes, inputs: Arrays, opset: int):
    x = _x(inputs)
    for name in ("momentum", "spatial"):
        attributes.take(name)
    attributes.only("training_mode", 0, "export the model for inference")
    scale, bias, mean, variance = (_channels(_x(inputs, n), x) for n in range(1, 5))
    return np.asarray((x - mean) / np.sqrt(variance + attributes.take("epsilon", 1e-5)) * scale
                      + bias, x.dtype)


def _lp_norm(attributes: Attributes, inputs: Arrays, opset: int):
    x, axis, p = _x(inputs), attributes.int("axis", -1), attributes.int("p", 2)
    norm = np.linalg.norm(x, ord=p, axis=axis, keepdims=True)
    return np.asarray(x / np.where(norm == 0, 1, norm), x.dtype)


def _dropout(attributes: Attributes, inputs: Arrays, opset: int):
    for name in ("ratio", "seed"):
        attributes.take(name)
    return [_x(inputs), np.ones(_x(inputs).shape, bool)]


def _cumsum(attributes: Attributes, inputs: Arrays, opset: int):
    for name in ("exclusive", "reverse"):
        attributes.only(name, 0, "export the model again")
    return np.cumsum(_x(inputs), axis=int(_x(inputs, 1).reshape(())), dtype=_x(inputs).dtype)


# ---- windows


def _pads(attributes: Attributes, sizes: Sequence[int], taps: Sequence[int],
          strides: Sequence[int], dilations: Sequence[int], ceil: bool) -> list[tuple[int, int]]:
    """How much to pad each axis."""
    kind, n = str(attributes.take("auto_pad", "NOTSET")), len(sizes)
    if min((*taps, *strides, *dilations)) < 1:
        raise NodeError("its kernel, strides or dilations are no sizes: export the model again")
    given = attributes.ints("pads") or (0,) * 2 * n
    found = []
    for axis, (size, tap, stride, dilation) in enumerate(zip(sizes, taps, strides, dilations,
                                                             strict=True)):
        reach = (tap - 1) * dilation + 1
        if kind.startswith("SAME"):
            total = max(0, (-(-size // stride) - 1) * stride + reach - size)
            small, large = total // 2, total - total // 2
            found.append((small, large) if kind == "SAME_UPPER" else (large, small))
            continue
        left, right = (0, 0) if kind == "VALID" else (given[axis], given[axis + n])
        rest = (size + left + right - reach) % stride
        found.append((left, right + (stride - rest if ceil and rest else 0)))
    return found


def _windows(x: np.ndarray, taps: Sequence[int], pads: Sequence[tuple[int, int]],
             strides: Sequence[int], dilations: Sequence[int], fill: float) -> np.ndarray:
    """The windows (batch, channels, *steps, *taps) of ``x`` (batch, channels, *sizes)."""
    n = len(taps)
    if min(min(pad) for pad in pads) < 0:
        raise NodeError("it pads with a negative number of steps: export the model again")
    check_elements("its padded input", [*x.shape[:2], *(
        size + left + right for size, (left, right) in zip(x.shape[2:], pads, strict=True))],
        MAX_TRACED)
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    reach = [(tap - 1) * dilation + 1 for tap, dilation in zip(taps, dilations, strict=True)]
    if any(size < one for size, one in zip(x.shape[2:], reach, strict=True)):
        raise NodeError(f"its input of the shape {x.shape} is shorter than its window "
                        f"{tuple(taps)}: give more timesteps")
    view = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + n)))
    return view[(slice(None), slice(None), *(slice(None, None, s) for s in strides),
                 *(slice(None, None, d) for d in dilations))]


def _conv(attributes: Attributes, inputs: Arrays, opset: int):
    x, w, n = _x(inputs), _x(inputs, 1), _x(inputs).ndim - 2
    groups, ones = attributes.int("group", 1), (1,) * n
    strides, dilations = (attributes.ints(name) or ones for name in ("strides", "dilations"))
    attributes.ints("kernel_shape")
    taps = w.shape[2:]
    if w.ndim != x.ndim or groups < 1 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
        raise NodeError(f"its weights {w.shape} do not fit an input of the shape {x.shape}")
    pads = _pads(attributes, x.shape[2:], taps, strides, dilations, False)
    windows = _windows(x, taps, pads, strides, dilations, 0)
    steps = windows.shape[2:2 + n]
    check_elements("its products", (len(x), w.size, *steps), _MAX_PRODUCTS)
    parts = []
    for rows, part in zip(np.split(w, groups), np.split(windows, groups, axis=1), strict=True):
        axes = (1, *range(2 + n, 2 + 2 * n))
        parts.append(np.moveaxis(np.tensordot(part, rows, (axes, range(1, 2 + n))), -1, 1))
    y = np.concatenate(parts, axis=1)
    return y + _channels(_x(inputs, 2), y) if len(inputs) > 2 and inputs[2] is not None else y


def _pool(function: Callable, fill: float) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        x = _x(inputs)
        taps, ones = attributes.ints("kernel_shape") or (), (1,) * (x.ndim - 2)
        strides, dilations = (attributes.ints(name) or ones for name in ("strides", "dilations"))
        ceil, counted = (bool(attributes.int(name, 0))
                         for name in ("ceil_mode", "count_include_pad"))
        attributes.only("storage_order", 0, "export the model again")
        sizes = x.shape[2:]
        pads = _pads(attributes, sizes, taps, strides, dilations, ceil)
        windows = _windows(x, taps, pads, strides, dilations, 0 if counted else fill)
        check_elements("its windows", windows.shape, MAX_TRACED)
        return function(windows, axis=tuple(range(x.ndim, 2 * x.ndim - 2))).astype(x.dtype)
    return apply


def _over_all(function: Callable) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        x = _x(inputs)
        return function(x, axis=tuple(range(2, x.ndim)), keepdims=True)
    return apply


def _matmul(attributes: Attributes, inputs: Arrays, opset: int):
    a, b = _x(inputs), _x(inputs, 1)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    check_elements("its products", (*lead, *a.shape[-2:], *b.shape[-1:]), _MAX_PRODUCTS)
    return a @ b


_LAMBDA, _ALPHA = 1.0507009873554805, 1.6732632423543772

#: Every operator that is computed in NumPy, those that only move elements included.
COMPUTE: dict[str, Callable] = {
    **MOVES, **FOLDED, **SHAPES, "MatMul": _matmul,
    "Relu": _unary(lambda x: np.maximum(x, 0)), "Sigmoid": _unary(_sigmoid),
    "Tanh": _unary(np.tanh), "Exp": _unary(np.exp), "Log": _unary(np.log),
    "Sqrt": _unary(np.sqrt), "Abs": _unary(np.abs), "Sign": _unary(np.sign),
    "Floor": _unary(np.floor), "Ceil": _unary(np.ceil), "Round": _unary(np.round),
    "Reciprocal": _unary(np.reciprocal), "Sin": _unary(np.sin), "Cos": _unary(np.cos),
    "Erf": _unary(_erf), "Softplus": _unary(_softplus),
    "Softsign": _unary(lambda x: x / (1 + np.abs(x))),
    "Mish": _unary(lambda x: x * np.tanh(_softplus(x))),
    "HardSwish": _unary(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "HardSigmoid": _unary(lambda x, a, b: np.clip(a * x + b, 0, 1), alpha=0.2, beta=0.5),
    "LeakyRelu": _unary(lambda x, a: np.where(x < 0, a * x, x), alpha=0.01),
    "ThresholdedRelu": _unary(lambda x, a: np.where(x > a, x, 0), alpha=1.0),
    "Elu": _unary(lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x), alpha=1.0),
    "Celu": _unary(lambda x, a: np.maximum(x, 0) + np.minimum(a * np.expm1(x / a), 0), alpha=1.0),
    "Selu": _unary(lambda x, a, g: g * np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
                   alpha=_ALPHA, gamma=_LAMBDA),
    "Gelu": _gelu, "PRelu": _binary(lambda x, a: np.where(x < 0, a * x, x)),
    "Pow": _binary(np.power), "Mod": _binary(np.fmod),
    "LogSoftmax": _softmax, "Softmax": lambda *given: np.exp(_softmax(*given)),
    "LayerNormalization": _layer_norm, "InstanceNormalization": _instance_norm,
    "BatchNormalization": _batch_norm, "LpNormalization": _lp_norm, "Dropout": _dropout,
    "ReduceMean": _reduce(np.mean), "ReduceSum": _reduce(np.sum), "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min), "ReduceL1": _reduce(lambda x, **on: np.abs(x).sum(**on)),
    "ReduceL2": _reduce(lambda x, **on: np.sqrt((x * x).sum(**on))),
    "ReduceSumSquare": _reduce(lambda x, **on: (x * x).sum(**on)),
    "ArgMax": _arg(np.argmax), "ArgMin": _arg(np.argmin), "CumSum": _cumsum,
    "Conv": _conv, "MaxPool": _pool(np.max, -np.inf), "AveragePool": _pool(np.nanmean, np.nan),
    "GlobalAveragePool": _over_all(np.mean), "GlobalMaxPool": _over_all(np.max),
    **integer_operators(_matmul, _conv),
}


def multiplications(kind: str, inputs: Arrays, result: np.ndarray | None) -> int:
    """Those of a convolution or a product of matrices with these inputs; of others 0."""
    if result is None or len(inputs) < 2 or inputs[1] is None:
        return 0
    w = inputs[1]
    if kind in ("Conv", "ConvInteger"):
        return result.size * math.prod(w.shape[1:])
    if kind in ("MatMul", "Gemm", "MatMulInteger") and inputs[0] is not None:
        return result.size * inputs[0].shape[-1]
    return 0
