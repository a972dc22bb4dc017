"""ONNX operators that move elements or compute shapes.

The same NumPy code runs on constants and on the element numbers of :mod:`.trace`; operators
that compute run on constants only. Every reader takes (attributes, inputs, opset) and gives one
array, or a list of them for several outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gatefold.gen.frontends.elements.trace import MAX_TRACED
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.onnx.proto import Attributes, NodeError

__all__ = ["ARITY", "FLOATS", "FOLDED", "MOVED", "MOVES", "SHAPES", "Arrays", "effort",
           "optional", "required"]

Arrays = list[np.ndarray | None]
#: Most multiplications of one product of constants.
_MAX_PRODUCTS = 1 << 26


def optional(inputs: Arrays, index: int) -> np.ndarray | None:
    """Input ``index``, None where it is left out."""
    return inputs[index] if index < len(inputs) else None


def required(inputs: Arrays, index: int) -> np.ndarray:
    """Input ``index``; :class:`NodeError` where it is left out."""
    value = optional(inputs, index)
    if value is None:
        raise NodeError(f"input {index} is missing: export the model again")
    return value


def _integers(value: np.ndarray) -> list[int]:
    if value.dtype.kind not in "iu":
        raise NodeError("axes, shapes and indices must be integers: export the model again")
    return value.reshape(-1).tolist()


def _axes(attributes: Attributes, inputs: Arrays) -> list[int] | None:
    """``axes``: an attribute before opset 13, the second input since."""
    value = attributes.ints("axes")
    if value is not None:
        return list(value)
    given = optional(inputs, 1)
    return None if given is None else _integers(given)


def _bounded(shape: list[int]) -> tuple[int, ...]:
    check_elements("its output", shape, MAX_TRACED)
    return tuple(shape)


def _transpose(attributes: Attributes, inputs: Arrays, opset: int):
    return np.transpose(required(inputs, 0), attributes.ints("perm"))


def _reshape(attributes: Attributes, inputs: Arrays, opset: int):
    data, shape = required(inputs, 0), _integers(required(inputs, 1))
    if not attributes.int("allowzero", 0):
        shape = [data.shape[n] if size == 0 else size for n, size in enumerate(shape)]
    return data.reshape(shape)


def _flatten(attributes: Attributes, inputs: Arrays, opset: int):
    data, axis = required(inputs, 0), attributes.int("axis", 1)
    axis += data.ndim if axis < 0 else 0
    return data.reshape(math.prod(data.shape[:axis]), math.prod(data.shape[axis:]))


def _squeeze(attributes: Attributes, inputs: Arrays, opset: int):
    axes = _axes(attributes, inputs)
    return np.squeeze(required(inputs, 0), None if axes is None else tuple(axes))


def _unsqueeze(attributes: Attributes, inputs: Arrays, opset: int):
    axes = _axes(attributes, inputs)
    if axes is None:
        raise NodeError("axes are missing: export the model again")
    return np.expand_dims(required(inputs, 0), tuple(axes))


def _slice(attributes: Attributes, inputs: Arrays, opset: int):
    data = required(inputs, 0)
    if opset < 10:
        starts, ends = attributes.ints("starts") or (), attributes.ints("ends") or ()
        axes, steps = attributes.ints("axes"), None
    else:
        starts, ends = _integers(required(inputs, 1)), _integers(required(inputs, 2))
        axes, steps = (None if v is None else _integers(v)
                       for v in (optional(inputs, 3), optional(inputs, 4)))
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Backwards, an end before the first element has no other spelling in Python than None.
        past = step < 0 and end < -data.shape[axis]
        index[axis] = slice(start, None if past else end, step)
    return data[tuple(index)]


def _gather(attributes: Attributes, inputs: Arrays, opset: int):
    indices = required(inputs, 1)
    _integers(indices)
    data, axis = required(inputs, 0), attributes.int("axis", 0)
    _bounded([data.size // max(data.shape[axis], 1), max(indices.size, 1)])
    return np.take(data, indices, axis=axis)


def _concat(attributes: Attributes, inputs: Arrays, opset: int):
    parts = [required(inputs, n) for n in range(len(inputs))]
    _bounded([sum(part.size for part in parts)])
    return np.concatenate(parts, axis=attributes.int("axis", 0))


def _expand(attributes: Attributes, inputs: Arrays, opset: int):
    data, shape = required(inputs, 0), _integers(required(inputs, 1))
    target = _bounded(list(np.broadcast_shapes(data.shape, tuple(shape))))
    return np.broadcast_to(data, target)


def _tile(attributes: Attributes, inputs: Arrays, opset: int):
    data, repeats = required(inputs, 0), _integers(required(inputs, 1))
    _bounded([n * r for n, r in zip(data.shape, repeats, strict=True)])
    return np.tile(data, repeats)


def _split(attributes: Attributes, inputs: Arrays, opset: int):
    data, axis = required(inputs, 0), attributes.int("axis", 0)
    given = optional(inputs, 1)
    sizes = attributes.ints("split") if given is None else _integers(given)
    parts = attributes.int("num_outputs", 0)
    if sizes is None:
        # Before opset 18 the number of outputs says it; the caller adds it as num_outputs.
        size = -(-data.shape[axis] // max(parts, 1))
        sizes = [size] * (parts - 1) + [data.shape[axis] - size * (parts - 1)]
    if sum(sizes) != data.shape[axis] or min(sizes) < 0:
        raise NodeError(f"the parts {list(sizes)} do not add up to {data.shape[axis]}: export the "
                        "model again")
    return np.split(data, np.cumsum(sizes)[:-1].tolist(), axis=axis)


def _pad(attributes: Attributes, inputs: Arrays, opset: int):
    data = required(inputs, 0)
    mode = str(attributes.take("mode", "constant"))
    pads, value, axes = attributes.ints("pads"), attributes.take("value", 0.0), None
    if opset >= 11:
        pads, given, axes = _integers(required(inputs, 1)), optional(inputs, 2), optional(inputs, 3)
        value = 0.0 if given is None else given.reshape(()).item()
    axes = list(range(data.ndim)) if axes is None else _integers(axes)
    modes = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if pads is None or len(pads) != 2 * len(axes) or mode not in modes:
        raise NodeError(f"pads {pads} do not fit an input of {data.ndim} axes, or mode is none of "
                        f"{', '.join(modes)}")
    if mode == "constant" and value:
        raise NodeError(f"it pads with {value}: only zeros are built: pad with zeros, or on the "
                        "host")
    widths = [(0, 0)] * data.ndim
    for n, axis in enumerate(axes):
        widths[axis] = (max(pads[n], 0), max(pads[n + len(axes)], 0))
        low, high = -min(pads[n], 0), data.shape[axis] + min(pads[n + len(axes)], 0)
        data = np.moveaxis(np.moveaxis(data, axis, 0)[low:high], 0, axis)
    _bounded([n + left + right for n, (left, right) in zip(data.shape, widths, strict=True)])
    return np.pad(data, widths, modes[mode])  # type: ignore[call-overload]


def _reverse_sequence(attributes: Attributes, inputs: Arrays, opset: int):
    data, lengths = required(inputs, 0), _integers(required(inputs, 1))
    time, batch = attributes.int("time_axis", 0), attributes.int("batch_axis", 1)
    if set(lengths) != {data.shape[time]} or time == batch:
        raise NodeError("sequence_lens must be the number of timesteps: every sequence must have "
                        "the same length")
    return np.flip(data, time)


def _where(attributes: Attributes, inputs: Arrays, opset: int):
    return np.where(required(inputs, 0), required(inputs, 1), required(inputs, 2))


def _identity(attributes: Attributes, inputs: Arrays, opset: int):
    return required(inputs, 0)


#: Operators that only move elements: on constants and on tensors of the network alike.
MOVES: dict[str, Callable] = {
    "Transpose": _transpose, "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Slice": _slice, "Gather": _gather, "Concat": _concat,
    "Expand": _expand, "Tile": _tile, "Split": _split, "Identity": _identity, "Pad": _pad,
    "ReverseSequence": _reverse_sequence, "Where": _where,
}

#: The inputs of those operators that hold the elements they move; by default the first alone. The
#: others are shapes and indices, and must be constant.
MOVED: dict[str, Callable[[int], range]] = {
    "Concat": lambda count: range(count), "Where": lambda count: range(1, 3),
}


def _constant(attributes: Attributes, inputs: Arrays, opset: int):
    for name, dtype in (("value", None), ("value_int", np.int64), ("value_ints", np.int64),
                        ("value_float", np.float32), ("value_floats", np.float32)):
        value = attributes.take(name)
        if value is not None:
            return np.asarray(value, dtype)
    raise NodeError("it holds no tensor of numbers: export the model again")


def _constant_of_shape(attributes: Attributes, inputs: Arrays, opset: int):
    value = attributes.take("value", np.zeros(1, np.float32))
    return np.broadcast_to(np.reshape(value, ()), _bounded(_integers(required(inputs, 0))))


#: By TensorProto.DataType; 16-bit floats are read as float32.
FLOATS = {1: np.float32, 10: np.float32, 11: np.float64, 16: np.float32}
_CASTS = FLOATS | {2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_}


def _cast(attributes: Attributes, inputs: Arrays, opset: int):
    to = attributes.int("to", 1)
    attributes.only("saturate", 1, "it has a meaning for 8-bit floats only")
    if to not in _CASTS:
        raise NodeError("it must cast to floats of 16, 32 or 64 bits, int8, uint8, int32, int64 or "
                        "bool: export the model in float32")
    return required(inputs, 0).astype(_CASTS[to])


def _range(attributes: Attributes, inputs: Arrays, opset: int):
    start, limit, delta = (required(inputs, n).reshape(()).item() for n in range(3))
    _bounded([max(0, math.ceil((limit - start) / delta))])
    return np.arange(start, limit, delta, dtype=required(inputs, 0).dtype)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f":
        return a / b
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def _binary(function: Callable) -> Callable:
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        a, b = required(inputs, 0), required(inputs, 1)
        _bounded(list(np.broadcast_shapes(a.shape, b.shape)))
        return function(a, b)
    return apply


def _clip(attributes: Attributes, inputs: Arrays, opset: int):
    data = required(inputs, 0)
    for index, name, limit in ((1, "min", np.maximum), (2, "max", np.minimum)):
        bound = attributes.take(name)
        bound = optional(inputs, index) if bound is None else bound
        data = data if bound is None else limit(data, bound)
    return data


def _gemm(attributes: Attributes, inputs: Arrays, opset: int):
    a, b, c = required(inputs, 0), required(inputs, 1), optional(inputs, 2)
    a = a.T if attributes.int("transA", 0) else a
    b = b.T if attributes.int("transB", 0) else b
    alpha, beta = (np.float32(attributes.take(name, 1.0)) for name in ("alpha", "beta"))
    return alpha * _product_of(a, b) + (0 if c is None else beta * c)


def _product_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    check_elements("a product of constants", (_multiplications(a, b),), _MAX_PRODUCTS)
    return a @ b


def _multiplications(a: np.ndarray, b: np.ndarray) -> int:
    """How many a product of matrices takes."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return math.prod((*lead, *a.shape[-2:], *b.shape[-1:]))


def _product(attributes: Attributes, inputs: Arrays, opset: int):
    axes = _axes(attributes, inputs)
    attributes.only("noop_with_empty_axes", 0, "export the model again")
    keep = bool(attributes.int("keepdims", 1))
    data = required(inputs, 0)
    return np.prod(data, axis=None if axes is None else tuple(axes), keepdims=keep,
                   dtype=data.dtype)


def _shape(attributes: Attributes, inputs: Arrays, opset: int):
    shape = required(inputs, 0).shape
    start = attributes.int("start", 0)
    return np.array(shape[start:attributes.int("end", len(shape))], np.int64)


def _size(attributes: Attributes, inputs: Arrays, opset: int):
    return np.array(required(inputs, 0).size, np.int64)


#: Operators whose result is constant whatever the tensor's values are.
SHAPES: dict[str, Callable] = {"Shape": _shape, "Size": _size}

#: Operators that compute constants from constants: shapes, initial states, transposed weights.
FOLDED: dict[str, Callable] = {
    "Constant": _constant, "ConstantOfShape": _constant_of_shape, "Cast": _cast, "Range": _range,
    "ReduceProd": _product, "Clip": _clip, "Gemm": _gemm,
    "MatMul": lambda attributes, inputs, opset: _product_of(required(inputs, 0),
                                                            required(inputs, 1)),
    "Neg": lambda attributes, inputs, opset: -required(inputs, 0),
    "Not": lambda attributes, inputs, opset: ~required(inputs, 0).astype(bool),
    "Add": _binary(np.add), "Sub": _binary(np.subtract), "Mul": _binary(np.multiply),
    "Div": _binary(_divide), "Equal": _binary(np.equal), "Less": _binary(np.less),
    "Greater": _binary(np.greater), "LessOrEqual": _binary(np.less_equal),
    "GreaterOrEqual": _binary(np.greater_equal), "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or), "Min": _binary(np.minimum), "Max": _binary(np.maximum),
}

#: Most inputs of an operator that its reader looks at; a node with more is refused.
ARITY = {
    **dict.fromkeys(("Transpose", "Flatten", "Identity", "ConstantOfShape", "Cast", "Not",
                     "Neg"), 1),
    **dict.fromkeys(FOLDED.keys() - {"Constant", "ConstantOfShape", "Cast", "Not", "Neg", "Clip",
                                     "Gemm"}, 2),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Gather", "Expand", "Tile", "Split",
                     "ReverseSequence"), 2),
    "DequantizeLinear": 3, "QuantizeLinear": 3,
    "Constant": 0, "Clip": 3, "Gemm": 3, "Range": 3, "Where": 3, "Pad": 4, "Slice": 5,
    "Shape": 1, "Size": 1,
}


def effort(kind: str, inputs: Arrays) -> int:
    """The rough cost of a node of constants beyond its outputs, in elements moved."""
    arrays = [value for value in inputs if value is not None]
    if kind in ("MatMul", "Gemm") and len(arrays) > 1:
        return _multiplications(*arrays[:2]) // 64
    return sum(array.size for array in arrays) // 16
