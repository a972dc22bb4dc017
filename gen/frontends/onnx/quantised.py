"""ONNX' quantised operators, read as the float network that they stand for.

A quantised tensor holds integers q of real numbers x = (q - zero) scale. Here it is a
:class:`~.site.Steps`: the numbers of the elements of x, with ``scale`` and ``zero`` beside them. So
what a runtime rounds on its way is exact here. A range of integers that begins at ``zero`` holds no
negative numbers, and quantisers drop a ReLU in front of it: that is a relu here too.

DynamicQuantizeLinear measures its scale in the data. What follows takes it out again, so any scale
gives the same x: it is 1 here, and ``zero`` is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from gatefold.gen.frontends.elements.compute import activated, added, matrix, multiplied, scaled
from gatefold.gen.frontends.elements.trace import Net
from gatefold.gen.frontends.onnx.integers import along
from gatefold.gen.frontends.onnx.proto import NodeError
from gatefold.gen.frontends.onnx.recurrent import RECURRENT
from gatefold.gen.frontends.onnx.site import Site, Steps, Value
from gatefold.gen.frontends.onnx.windows import convolved

__all__ = ["FOLDED_STEPS", "MICROSOFT", "QUANTISED", "plain", "stored_as"]

_LEAST = {np.dtype(np.uint8): 0, np.dtype(np.int8): -128, np.dtype(np.uint16): 0,
          np.dtype(np.int16): -32768}


def plain(site_trace, value: Net, origin: str) -> Net:
    """``value`` as any operator reads it: of a quantised tensor its integers, not rounded."""
    if not isinstance(value, Steps):
        return value
    if (value.scale, value.zero) == (1.0, 0.0):
        return Net(value.ids)
    return Net(scaled(site_trace, value.ids, 1 / value.scale, value.zero, origin))


def _number(site: Site, index: int, what: str, default: float | None = None) -> float:
    """A scale or zero point of a whole tensor."""
    value = site.input(index)
    if value is None and default is not None:
        return default
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise NodeError(f"{what} must be one constant number for the whole tensor: quantise the "
                        "network's values with one scale a tensor")
    return float(value.reshape(()))


def _scale(site: Site, index: int, what: str) -> float:
    scale = _number(site, index, what)
    if not (np.isfinite(scale) and scale > 0):
        raise NodeError(f"{what} must be a positive number, not {scale:g}: the file is damaged")
    return scale


def _constant(site: Site, index: int, what: str) -> np.ndarray:
    value = site.input(index)
    if not isinstance(value, np.ndarray):
        raise NodeError(f"{what} must be constant, but "
                        f"{'is missing' if value is None else 'the network computes it'}: trained "
                        "weights only are built")
    return value


def _real(q: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int = 1,
          block: int = 0) -> np.ndarray:
    """The real numbers of integers."""
    numbers = q.astype(np.float64)
    if zero is not None:
        numbers = numbers - along(zero, q.shape, axis, block)
    return (numbers * along(scale, q.shape, axis, block)).astype(np.float32)


def _same(site: Site, value: Net | np.ndarray | None, scale: float, zero: float) -> np.ndarray:
    """The numbers of the reals of a quantised tensor of the network."""
    if isinstance(value, Steps) and (value.scale, value.zero) == (scale, zero):
        return value.ids
    if not isinstance(value, Net):
        raise NodeError("its input is constant, but it must come from the network's input: export "
                        "the model again")
    whole = plain(site.trace, value, site.origin)
    return scaled(site.trace, whole.ids, scale, -zero * scale, site.origin)


def _made(site: Site, ids: np.ndarray, scale: float, zero_at: int) -> Steps:
    """A result with its scale and the zero point in input ``zero_at``."""
    given = site.input(zero_at)
    zero = _number(site, zero_at, "the zero point of the result", 0.0)
    kind = given.dtype if isinstance(given, np.ndarray) else np.dtype(np.uint8)
    if zero == _LEAST.get(kind):
        ids = activated(site.trace, ids, "relu", site.origin)
    return Steps(ids, scale, zero)


# ---- to and from integers


def _quantize(site: Site) -> list[Value]:
    for name in ("axis", "block_size", "output_dtype", "precision", "saturate"):
        site.attributes.take(name)  # of scales that are no single number, and of the type
    return [_made(site, site.net(0), _scale(site, 1, "y_scale"), 2)]


def _dequantize(site: Site) -> list[Value]:
    for name in ("axis", "block_size", "output_dtype"):
        site.attributes.take(name)
    return [Net(_same(site, site.input(0), _scale(site, 1, "x_scale"),
                      _number(site, 2, "x_zero_point", 0.0)))]


def _dynamic(site: Site) -> list[Value]:
    return [Steps(site.net(0), 1.0, 0.0), np.array(1, np.float32), np.array(0, np.uint8)]


# ---- matrices of integers


def _integers(site: Site, index: int, zero_at: int, axis: int) -> np.ndarray:
    """Constant integers less their zero point."""
    q, zero = _constant(site, index, f"input {index} (the weights)"), site.input(zero_at)
    if isinstance(zero, Net):
        raise NodeError("a zero point must be constant: export the model again")
    return _real(q, np.array(1.0), zero, axis)


def _times(site: Site, ids: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """``ids`` (..., features) times ``w`` (features, outputs) plus ``b``."""
    while w.ndim > 2 and len(w) == 1:
        w = w[0]
    if w.ndim != 2 or not ids.ndim or ids.shape[-1] != len(w):
        raise NodeError(f"weights of the shape {w.shape} do not fit an input of the shape "
                        f"{ids.shape}: export the model again")
    b = np.zeros(w.shape[1]) if b is None else b.reshape(-1)
    return matrix(site.trace, ids, lambda value: site.builder.dense(
        value, w=w.T, b=b, origin=site.origin), site.origin)


def _matmul_integer(site: Site) -> list[Value]:
    value = site.input(0)
    scale = value.scale if isinstance(value, Steps) else 1.0
    ids = _same(site, value, scale, _number(site, 2, "a_zero_point", 0.0))
    return [Steps(_times(site, ids, _integers(site, 1, 3, -1)), scale, 0.0)]


def _conv_integer(site: Site) -> list[Value]:
    value = site.input(0)
    scale = value.scale if isinstance(value, Steps) else 1.0
    ids = _same(site, value, scale, _number(site, 2, "x_zero_point", 0.0))
    found = convolved(site, ids, _integers(site, 1, 3, 0), None)
    return [Steps(found.ids, scale, 0.0)]


def _operand(site: Site, first: int) -> np.ndarray:
    """The reals of a quantised tensor: input ``first``, with its scale and zero point behind."""
    return _same(site, site.input(first), _scale(site, first + 1, "a scale"),
                 _number(site, first + 2, "a zero point", 0.0))


def _weights(site: Site, first: int, axis: int) -> np.ndarray:
    zero = site.input(first + 2)
    if isinstance(zero, Net):
        raise NodeError("a zero point must be constant: export the model again")
    return _real(_constant(site, first, "the weights"), _constant(site, first + 1, "their scale"),
                 zero, axis)


def _bias(site: Site, index: int, w_scale: int) -> np.ndarray | None:
    """A bias of integers, in units of the product of both scales."""
    if site.input(index) is None:
        return None
    unit = _scale(site, 1, "x_scale") * _constant(site, w_scale, "the weights' scale").astype("f8")
    return (_constant(site, index, "the bias").astype(np.float64) * unit).astype(np.float32)


def _qlinear_matmul(site: Site) -> list[Value]:
    ids = _times(site, _operand(site, 0), _weights(site, 3, -1))
    return [_made(site, ids, _scale(site, 6, "y_scale"), 7)]


def _qlinear_conv(site: Site) -> list[Value]:
    found = convolved(site, _operand(site, 0), _weights(site, 3, 0), _bias(site, 8, 4))
    return [_made(site, found.ids, _scale(site, 6, "y_scale"), 7)]


# ---- operators of ONNX Runtime


def _qgemm(site: Site) -> list[Value]:
    """A, a_scale, a_zero, B, b_scale, b_zero, C, y_scale, y_zero; float where y_scale is absent."""
    site.attributes.only("transA", 0, "export the model again")
    site.attributes.only("alpha", 1.0, "export the model again")
    turned = site.attributes.int("transB", 0)
    w = _weights(site, 3, 0 if turned else -1)
    ids = _times(site, _operand(site, 0), w.T if turned else w, _bias(site, 6, 4))
    if site.input(7) is None:
        return [Net(ids)]
    return [_made(site, ids, _scale(site, 7, "y_scale"), 8)]


def _to_float(site: Site) -> list[Value]:
    """MatMulIntegerToFloat: A, B, a_scale, b_scale, a_zero, b_zero, bias."""
    ids = _same(site, site.input(0), _scale(site, 2, "a_scale"),
                _number(site, 4, "a_zero_point", 0.0))
    w = _integers(site, 1, 5, -1) * _constant(site, 3, "b_scale")
    bias = site.input(6)
    return [Net(_times(site, ids, w, None if bias is None else site.constant(6, "bias")))]


def _dynamic_matmul(site: Site) -> list[Value]:
    """DynamicQuantizeMatMul: A in floats, B, b_scale, b_zero, bias."""
    w = _integers(site, 1, 3, -1) * _constant(site, 2, "b_scale")
    bias = site.input(4)
    return [Net(_times(site, site.net(0), w, None if bias is None else site.constant(4, "bias")))]


def _two(site: Site, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[Value]:
    """QLinearAdd and QLinearMul: A, a_scale, a_zero, B, b_scale, b_zero, C_scale, C_zero."""
    reals: list[Net | np.ndarray] = []
    for first in (0, 3):
        constant = isinstance(site.input(first), np.ndarray)
        reals.append(_weights(site, first, -1) if constant else Net(_operand(site, first)))
    return [_made(site, join(*reals), _scale(site, 6, "C_scale"), 7)]  # type: ignore[arg-type]


def _qadd(site: Site) -> list[Value]:
    return _two(site, lambda a, b: added(site.trace, (a, b), (1.0, 1.0), site.origin))


def _qmul(site: Site) -> list[Value]:
    return _two(site, lambda a, b: multiplied(site.trace, a, b, site.origin))


def _qsigmoid(site: Site) -> list[Value]:
    ids = activated(site.trace, _operand(site, 0), "sigmoid", site.origin)
    return [_made(site, ids, _scale(site, 3, "y_scale"), 4)]


def _dynamic_lstm(site: Site) -> list[Value]:
    """DynamicQuantizeLSTM: LSTM with W and R turned, and behind P the scales and zero points."""
    given: list = [*site.inputs, *[None] * (12 - len(site.inputs))]
    for n, first in ((1, 8), (2, 10)):
        q, scale, zero = (_constant(site, k, what) for k, what in (
            (n, "the weights"), (first, "their scale"), (first + 1, "their zero point")))
        if q.ndim != 3 or len({*map(np.shape, (scale, zero))}) != 1 or scale.shape not in (
                (len(q),), (len(q), q.shape[2])):
            raise NodeError(f"weights {q.shape}, their scale {scale.shape} and zero point "
                            f"{zero.shape} contradict each other: the file is damaged")
        scale, zero = (one.reshape(len(q), 1, -1).astype(np.float64) for one in (scale, zero))
        given[n] = ((q.astype(np.float64) - zero) * scale).astype(np.float32).swapaxes(1, 2)
    reader, looked = RECURRENT["LSTM"]
    return reader(Site(site.trace, site.attributes, given[:looked], site.origin, site.opset,
                       site.used))


#: Operators that read or give quantised tensors, and how many inputs are looked at.
QUANTISED: dict[str, tuple[Callable[[Site], list[Value]], int]] = {
    "QuantizeLinear": (_quantize, 3), "DequantizeLinear": (_dequantize, 3),
    "DynamicQuantizeLinear": (_dynamic, 1), "MatMulInteger": (_matmul_integer, 4),
    "ConvInteger": (_conv_integer, 4), "QLinearMatMul": (_qlinear_matmul, 8),
    "QLinearConv": (_qlinear_conv, 9),
    "QGemm": (_qgemm, 9), "MatMulIntegerToFloat": (_to_float, 7),
    "DynamicQuantizeMatMul": (_dynamic_matmul, 5), "QLinearAdd": (_qadd, 8),
    "QLinearMul": (_qmul, 8), "QLinearSigmoid": (_qsigmoid, 5),
    "DynamicQuantizeLSTM": (_dynamic_lstm, 12),
}
#: Those of ONNX Runtime's own domain, which may also hold those of ONNX.
MICROSOFT = ("QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearAdd", "QLinearMul",
             "QLinearSigmoid", "DynamicQuantizeLSTM", "QuantizeLinear", "DequantizeLinear")


def _dequantized(attributes, inputs: Sequence[np.ndarray | None], opset: int) -> np.ndarray:
    q, scale = inputs[0], inputs[1] if len(inputs) > 1 else None
    if q is None or scale is None:
        raise NodeError("its input or its scale is missing: export the model again")
    attributes.take("output_dtype")
    return _real(q, scale, inputs[2] if len(inputs) > 2 else None, attributes.int("axis", 1),
                 attributes.int("block_size", 0))


def _quantized(attributes, inputs: Sequence[np.ndarray | None], opset: int) -> np.ndarray:
    x, scale = inputs[0], inputs[1] if len(inputs) > 1 else None
    if x is None or scale is None:
        raise NodeError("its input or its scale is missing: export the model again")
    axis, block = attributes.int("axis", 1), attributes.int("block_size", 0)
    for name in ("output_dtype", "precision", "saturate"):
        attributes.take(name)
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), np.uint8)
    if zero.dtype.kind not in "iu":
        raise NodeError("only integers are quantised to: export the float32 model")
    limits = np.iinfo(zero.dtype)
    q = np.rint(x / along(scale, x.shape, axis, block)) + along(zero, x.shape, axis, block)
    return np.clip(q, limits.min, limits.max).astype(zero.dtype)


#: The same on constants: weights that are stored as integers.
FOLDED_STEPS = {"DequantizeLinear": _dequantized, "QuantizeLinear": _quantized}


def stored_as(graph: onnx.GraphProto) -> list[str]:
    """What of a graph, branches included, is quantised or of half precision: operators and types
    of tensors, in words."""
    names: dict[int, str] = {onnx.TensorProto.FLOAT16: "float16",
                             onnx.TensorProto.BFLOAT16: "bfloat16"}
    found = {names[tensor.data_type] for tensor in graph.initializer if tensor.data_type in names}
    for node in graph.node:
        if node.op_type in QUANTISED:
            found.add(node.op_type)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in names:
                found.add(names[attribute.t.data_type])
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= {*stored_as(attribute.g)}
    return sorted(found)
