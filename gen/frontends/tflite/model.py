"""The tensors, constants and operators of a .tflite file, checked as they are looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.tflite.flat import read_model
from gatefold.gen.frontends.tflite.schema import OPERATORS, TYPES
from gatefold.gen.network.int8 import Affine

__all__ = ["Model", "Node"]

_MOST_NODES = 2000


class Model:
    """The file's graph.

    Attributes: ``inputs``, ``outputs``, numbers of tensors; ``nodes``, its operators in order;
    ``exporter``, for reports.
    """

    def __init__(self, data: bytes):
        file = read_model(data)
        if file["version"] != 3:
            raise UserError(f"it has version {file['version']} of the format, 3 is read: convert "
                            "the model again")
        if len(file["graphs"]) != 1:
            names = [_operator(file["codes"], one["code"]) for graph in file["graphs"]
                     for one in graph["operators"]]
            flow = next((name for name in ("WHILE", "IF") if name in names), None)
            if flow is None:
                raise UserError(f"it has {len(file['graphs'])} graphs, one is read: convert one "
                                "signature alone")
        graph = file["graphs"][0]
        self.tensors, self._buffers = graph["tensors"], file["buffers"]
        self.exporter = f"{quoted(file['description'], 40)[1:-1]}".strip() or "tflite"
        self.inputs, self.outputs = (self._numbers(graph[name]) for name in ("inputs", "outputs"))
        if not self.inputs or not self.outputs or len(set(self.inputs)) < len(self.inputs):
            raise UserError("it has no input, or no output, or one twice: the file is damaged")
        if len(graph["operators"]) > _MOST_NODES:
            raise UserError(f"the graph may have at most {_MOST_NODES} operators, not "
                            f"{len(graph['operators'])}")
        self.nodes = [self._node(n, one, file["codes"])
                      for n, one in enumerate(graph["operators"])]

    def _numbers(self, given: Sequence[int], least: int = 0) -> list[int]:
        """Numbers of tensors; -1, where ``least`` allows it, for none."""
        numbers = [int(n) for n in given]
        if any(not least <= n < len(self.tensors) for n in numbers):
            raise UserError(f"it refers to tensors that it does not have ({numbers[:8]}): the file "
                            "is damaged")
        return numbers

    def _node(self, n: int, one: dict, codes: list[dict]) -> Node:
        outputs = self._numbers(one["outputs"])
        operator = _operator(codes, one["code"])
        if len(outputs) != 1 and operator in OPERATORS.values():
            outputs = outputs or [0]
        return Node(self, n, operator, self._numbers(one["inputs"], -1),
                    outputs[0] if outputs else 0, self._numbers(one["intermediates"], -1),
                    one["options"] or {})

    def name_of(self, index: int) -> str:
        """A tensor's name in the file."""
        return self.tensors[index]["name"]

    def type_of(self, index: int) -> str:
        """The type of a tensor's elements."""
        kind = self.tensors[index]["type"]
        return TYPES.get(kind, f"of type {kind}")

    def shape_of(self, index: int) -> tuple[int, ...]:
        """The fixed shape of a tensor."""
        shape = tuple(int(n) for n in self.tensors[index]["shape"])
        where = f"tensor {quoted(self.name_of(index))}"
        if len(shape) > 6 or any(n < 1 for n in shape):
            raise UserError(f"{where} has the shape {str(shape)[:40]}: convert the model with a "
                            "fixed shape")
        check_elements(where, shape)
        return shape

    def constant(self, index: int) -> np.ndarray:
        """The contents of a tensor that the file holds."""
        tensor, shape, kind = self.tensors[index], self.shape_of(index), self.type_of(index)
        where = f"tensor {quoted(self.name_of(index))}"
        if tensor["sparsity"] is not None:
            raise UserError(f"{where} is sparse: convert the model without sparsity")
        if kind not in ("float32", "int32", "int64", "int8"):
            raise UserError(f"{where} holds {kind}: weights must be float32, or int8 in a "
                            "full-integer model")
        if not 0 < tensor["buffer"] < len(self._buffers):
            raise UserError(f"{where} is no constant: the file is damaged")
        buffer = self._buffers[tensor["buffer"]]
        dtype = np.dtype(kind).newbyteorder("<")
        if buffer["outside"] or len(buffer["data"]) != math.prod(shape) * dtype.itemsize:
            raise UserError(f"{where} of the shape {shape} has {len(buffer['data'])} bytes: the "
                            "file is damaged")
        return np.frombuffer(buffer["data"].tobytes(), dtype).reshape(shape)

    def scales(self, index: int, rows: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Scales and zero points of a tensor, one for each of ``rows`` rows, or one that all
        share, (rows,) each."""
        found, where = self.tensors[index]["quantization"], quoted(self.name_of(index))
        scale = np.asarray(found["scale"] if found else [], np.float32)
        zero = np.asarray(found["zero"] if found else [], np.int64)
        if len(zero) == 0 and len(scale):
            zero = np.zeros(len(scale), np.int64)
        if (not found or found["details"] or len(scale) not in (1, rows)
                or len(zero) != len(scale) or (len(scale) > 1 and found["axis"])):
            raise UserError(f"tensor {where} must have one scale and zero point, or one for each "
                            f"row of the first axis ({rows}), not {len(scale)} and {len(zero)}: "
                            "convert the model again")
        if not (np.isfinite(scale) & (scale > 0)).all() or (abs(zero) > 128).any():
            raise UserError(f"tensor {where} has scales that are not positive or zero points "
                            "beyond 8 bits: convert the model again")
        return np.broadcast_to(scale, rows), np.broadcast_to(zero, rows)

    def affine(self, index: int) -> Affine:
        """The numbers of an int8 tensor."""
        if self.type_of(index) != "int8":
            raise UserError(f"tensor {quoted(self.name_of(index))} is {self.type_of(index)} in a "
                            "full-integer model: it must be int8")
        scale, zero = self.scales(index)
        if not -128 <= zero[0] <= 127:
            raise UserError(f"tensor {quoted(self.name_of(index))} has the zero point {zero[0]}: "
                            "it must be -128..127: convert the model again")
        return Affine(float(scale[0]), int(zero[0]))

    def before_dequantize(self, index: int) -> int:
        """The tensor that a DEQUANTIZE makes the tensor ``index`` of; else ``index``."""
        return next((node.inputs[0] for node in self.nodes
                     if node.operator == "DEQUANTIZE" and node.output == index), index)


def _operator(codes: list[dict], number: int) -> str:
    """The operator's name."""
    if number >= len(codes):
        raise UserError(f"it refers to operator code {number}, it has {len(codes)}: the file is "
                        "damaged")
    code = codes[number]
    # The older field holds what is below 127, the newer one all.
    builtin = max(code["old"], code["builtin"])
    if builtin == 32:
        return code["custom"] or "CUSTOM"
    return OPERATORS.get(builtin, f"number {builtin}")


@dataclass(frozen=True)
class Node:
    """An operator. ``inputs`` and ``output`` are numbers of tensors; -1, an input that it lacks."""

    model: Model
    number: int
    operator: str
    inputs: list[int]
    output: int
    intermediates: list[int]
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its result in the file."""
        return self.model.name_of(self.output) if self.model.tensors else ""

    @property
    def where(self) -> str:
        """The operator in a message."""
        return f"operator {self.number} ({quoted(self.operator)[1:-1]}, {quoted(self.name)})"

    def input(self, n: int) -> int:
        """Number of input ``n``; -1 where it is absent."""
        return self.inputs[n] if n < len(self.inputs) else -1

    def constant(self, n: int) -> np.ndarray:
        """The constant that is input ``n``."""
        if self.input(n) < 0:
            raise UserError(f"its input {n} is missing: the file is damaged")
        return self.model.constant(self.input(n))

    def option(self, name: str) -> Any:
        """An option; its default where the operator has no options."""
        return self.options.get(name, 0)

    def refuse_options(self, **legal: Any) -> None:
        """Raise :class:`UserError` where an option is not the one value that is supported."""
        for name, value in legal.items():
            if self.option(name) != value:
                raise UserError(f"its option {name} must be {value}, not {self.option(name)}: "
                                "convert the model without it")
