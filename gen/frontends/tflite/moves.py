"""Operators of .tflite files that only move elements: functions of arrays of element numbers.

In a full-integer file they move bytes: LiteRT copies them whatever scale the tensors state.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.trace import MAX_TRACED
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.tflite.model import Node

__all__ = ["MOVES"]


def _reshape(node: Node, x: np.ndarray) -> np.ndarray:
    return x.reshape(node.model.shape_of(node.output))


def _strided_slice(node: Node, x: np.ndarray) -> np.ndarray:
    node.refuse_options(ellipsis=0, new_axis=0, offset=0)
    begins, ends, strides = (node.constant(n).ravel().tolist() for n in (1, 2, 3))
    if not len(begins) == len(ends) == len(strides) <= x.ndim or 0 in strides:
        raise UserError("its begin, end and strides contradict its input: convert the model again")
    index: list[int | slice] = []
    for axis, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        def masked(mask: str, axis: int = axis) -> bool:
            return bool(node.option(mask) >> axis & 1)

        if masked("shrink"):
            index.append(begin if not masked("begin") else 0 if stride > 0 else -1)
            continue
        index.append(slice(None if masked("begin") else begin, None if masked("end") else end,
                           stride))
    return x[tuple(index)]


def _tile(node: Node, x: np.ndarray) -> np.ndarray:
    times = node.constant(1).ravel().tolist()
    if len(times) != x.ndim or min(times, default=1) < 1:
        raise UserError("its multiples contradict its input: convert the model again")
    check_elements("its output", [n * k for n, k in zip(x.shape, times, strict=True)], MAX_TRACED)
    return np.tile(x, times)


def _reverse(node: Node, x: np.ndarray) -> np.ndarray:
    return np.flip(x, tuple(node.constant(1).ravel().tolist()))


def _concatenation(node: Node, *parts: np.ndarray) -> np.ndarray:
    node.refuse_options(activation=0)
    check_elements("its output", [sum(part.size for part in parts)], MAX_TRACED)
    return np.concatenate(parts, node.option("axis"))


def _border(node: Node, x: np.ndarray) -> np.ndarray:
    """QUANTIZE and DEQUANTIZE: the host's work, where they are at the borders of the network."""
    at_input = node.operator == "QUANTIZE"
    index, ends = ((node.inputs[0], node.model.inputs) if at_input
                   else (node.output, node.model.outputs))
    outside, inside = (node.inputs[0], node.output) if at_input else (node.output, node.inputs[0])
    if index not in ends:
        raise UserError("it must be at an input or an output of the model: convert it to full "
                        "integer (TFLITE_BUILTINS_INT8)")
    types = node.model.type_of(outside), node.model.type_of(inside)
    if types != ("float32", "int8"):
        raise UserError(f"it converts between {types[0]} and {types[1]}: it must be float32 and "
                        "int8 (inference_input_type, inference_output_type of the converter)")
    return x


#: By operator a function of the node and the numbers of its operand's elements.
MOVES = {"RESHAPE": _reshape, "STRIDED_SLICE": _strided_slice, "TILE": _tile,
         "REVERSE_V2": _reverse, "CONCATENATION": _concatenation, "QUANTIZE": _border,
         "DEQUANTIZE": _border}
