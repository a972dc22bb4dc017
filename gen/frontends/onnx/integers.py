"""ONNX' quantised operators on arrays of integers, as ONNX defines them: what a host computes.

The core does not compute so; it is the float network that these stand for (:mod:`.quantised`).
Part of the table of :mod:`.compute`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatefold.gen.frontends.onnx.ops import Arrays, optional, required
from gatefold.gen.frontends.onnx.proto import Attributes, NodeError

__all__ = ["along", "integer_operators"]


def along(factor: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> np.ndarray:
    """A scale or zero point so that it broadcasts with a tensor of ``shape``."""
    if factor.size == 1:
        return factor.reshape(())
    if not -len(shape) <= axis < len(shape):
        raise NodeError(f"axis {axis} does not fit a tensor of {len(shape)} axes")
    axis %= len(shape)
    if block:
        factor = np.repeat(factor, block, axis)
        return np.take(factor, np.arange(shape[axis]), axis)
    if factor.shape != (shape[axis],):
        raise NodeError(f"a scale or zero point of the shape {factor.shape} does not fit axis "
                        f"{axis} of {shape}: the file is damaged")
    return factor.reshape(-1, *(1,) * (len(shape) - axis - 1))


def _layout(attributes: Attributes) -> tuple[int, int]:
    attributes.only("output_dtype", 0, "give a zero point of that type")
    attributes.only("precision", 0, "leave it out")
    attributes.take("saturate")  # of 8-bit floats, which are not read
    return attributes.int("axis", 1), attributes.int("block_size", 0)


def _rounded(x: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(zero.dtype)


def _quantize(attributes: Attributes, inputs: Arrays, opset: int):
    x, scale, (axis, block) = required(inputs, 0), required(inputs, 1), _layout(attributes)
    zero = optional(inputs, 2)
    zero = np.zeros(scale.shape, np.uint8) if zero is None else zero
    return _rounded(x, along(scale, x.shape, axis, block), along(zero, x.shape, axis, block))


def _dequantize(attributes: Attributes, inputs: Arrays, opset: int):
    q, scale, (axis, block) = required(inputs, 0), required(inputs, 1), _layout(attributes)
    zero = optional(inputs, 2)
    numbers = q.astype(np.float32)
    if zero is not None:
        numbers = numbers - along(zero, q.shape, axis, block)
    return (numbers * along(scale, q.shape, axis, block)).astype(np.float32)


def _dynamic(attributes: Attributes, inputs: Arrays, opset: int):
    x = required(inputs, 0).astype(np.float32)
    least, most = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = np.array((most - least) / 255 or 1, np.float32)
    zero = np.clip(np.rint(-least / scale), 0, 255).astype(np.uint8)
    return [_rounded(x, scale, zero), scale, zero]


def _less_zero(q: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
    """Integers less their zero point, as numbers in which products of them are exact."""
    return q.astype(np.float64) - (0 if zero is None else zero)


def _product(of: Callable) -> Callable:
    """A product or a convolution of integers, by the operator ``of`` on floats."""
    def apply(attributes: Attributes, inputs: Arrays, opset: int):
        a, b = required(inputs, 0), required(inputs, 1)
        zero, of_b = optional(inputs, 2), optional(inputs, 3)
        if of_b is not None and of_b.ndim:  # one of each column, or each filter
            of_b = of_b if b.ndim == 2 else of_b.reshape(-1, *(1,) * (b.ndim - 1))
        return of(attributes, [_less_zero(a, zero), _less_zero(b, of_b)], opset).astype(np.int32)
    return apply


def integer_operators(matmul: Callable, conv: Callable) -> dict[str, Callable]:
    """The operators by name, from those on floats."""
    return {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize,
            "DynamicQuantizeLinear": _dynamic, "MatMulInteger": _product(matmul),
            "ConvInteger": _product(conv)}
