"""The ONNX protobuf: parsed, its tensors read within limits, its nodes' attributes accounted for.

The ``onnx`` package only turns bytes into protobuf messages here. Data in other files is refused
unless the caller passes a reader for it; model-local functions and sparse tensors are refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import READ, check_elements
from gatefold.gen.frontends.sizes import Dim

__all__ = ["Attributes", "ExternalReader", "Model", "NodeError", "as_text", "dims_of",
           "known_constants", "names_read", "nodes_needed", "read_model", "read_tensor"]

_T = onnx.TensorProto
#: Element types that are read: NumPy's type, and the field used when there is no raw_data.
_TYPES: dict[int, tuple[np.dtype, str]] = {
    _T.FLOAT: (np.dtype("<f4"), "float_data"), _T.INT64: (np.dtype("<i8"), "int64_data"),
    _T.DOUBLE: (np.dtype("<f8"), "double_data"),  # in shape arithmetic; weights must be float32
    _T.INT32: (np.dtype("<i4"), "int32_data"), _T.BOOL: (np.dtype("?"), "int32_data"),
    _T.INT8: (np.dtype("i1"), "int32_data"), _T.UINT8: (np.dtype("u1"), "int32_data"),
    # 16-bit floats as their bits: read as float32.
    _T.FLOAT16: (np.dtype("<u2"), "int32_data"), _T.BFLOAT16: (np.dtype("<u2"), "int32_data"),
}
#: Oldest operator set: before it, several operators that are read meant something else.
_OLDEST = 9

ExternalReader = Callable[[str, int, int], bytes]  # location, offset, length


class NodeError(UserError):
    """Something is wrong with one node; :mod:`.graph` puts the node's name before it."""


@dataclass(frozen=True)
class Model:
    """A parsed model: its graph, version of the standard operator set, and exporter's name."""

    graph: onnx.GraphProto
    opset: int
    exporter: str


def read_model(data: bytes, name: str) -> Model:
    """Parse the bytes of an ONNX file; ``name`` is the file's, for messages.

    Raises :class:`UserError` if it is no ONNX model, or of a version or form that is not read.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf's DecodeError, whichever implementation it comes from
        raise UserError(f"{name} is no model, or a truncated one: {READ}") from None
    if not model.graph.node or not model.graph.output:
        raise UserError(f"{name} is no model, or a truncated one (an ONNX file must have a graph "
                        f"with nodes and an output): {READ}")
    if model.functions:
        raise UserError(f"{name} holds model-local functions ({quoted(model.functions[0].name)}), "
                        "which are not read: inline them with onnx.inliner.inline_local_functions")
    if model.graph.sparse_initializer:
        raise UserError(f"{name} holds sparse tensors, which are not read: export dense weights")
    versions = list({o.version for o in model.opset_import if o.domain in ("", "ai.onnx")})
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not _OLDEST <= versions[0] <= newest:
        raise UserError(f"{name}: its ONNX opset must be in {_OLDEST}..{newest}, not "
                        f"{' and '.join(map(str, sorted(versions))) or 'undeclared'}: export it "
                        "with opset 17")
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Model(model.graph, versions[0], quoted(producer or "unknown", 48)[1:-1])


def read_tensor(tensor: onnx.TensorProto, external: ExternalReader | None = None) -> np.ndarray:
    """The values of ``tensor``; its declared shape is checked against the data it holds.

    ``external``, if given, is called for data in another file. Raises :class:`NodeError`.
    """
    where = f"tensor {quoted(tensor.name)}"
    if tensor.data_type not in _TYPES:
        kind = next((k for k, v in _T.DataType.items() if v == tensor.data_type), "unknown")
        raise NodeError(f"{where} has the type {kind}, but only "
                        "floats of 16, 32 and 64 bits, int8, uint8, int32, int64 and bool are "
                        "read: export the float32 model")
    if tensor.HasField("segment"):
        raise NodeError(f"{where} is stored in segments, which are not read: export it again")
    dtype, field = _TYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    count = check_elements(where, shape)
    if tensor.data_location == _T.EXTERNAL or tensor.external_data:
        values = np.frombuffer(_external(tensor, where, count * dtype.itemsize, external), dtype)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * dtype.itemsize:
            raise NodeError(f"{where} declares the shape {quoted(shape)[1:-1]} but holds "
                            f"{len(tensor.raw_data)} bytes: the file is damaged")
        values = np.frombuffer(tensor.raw_data, dtype)
    else:
        values = np.array(getattr(tensor, field)).astype(dtype)
        if len(values) != count:
            raise NodeError(f"{where} declares the shape {quoted(shape)[1:-1]} but holds "
                            f"{len(values)} values: the file is damaged")
    if tensor.data_type == _T.FLOAT16:
        values = values.view("<f2").astype(np.float32)
    elif tensor.data_type == _T.BFLOAT16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


def known_constants(graph: onnx.GraphProto,
                    constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``constants``, the initializers, with what Constant nodes hold and Identity nodes hand on."""
    known = dict(constants)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            known[node.output[0]] = read_tensor(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]  # weights that two layers share
    return known


def _external(tensor: onnx.TensorProto, where: str, size: int,
              external: ExternalReader | None) -> bytes:
    if external is None:
        raise NodeError(f"{where} keeps its data in another file (external data), which is not "
                        "read: export one file, torch.onnx.export(..., external_data=False), or "
                        "merge it with onnx.save(onnx.load(FILE), FILE)")
    entries = {entry.key: entry.value for entry in tensor.external_data}
    unknown = set(entries) - {"location", "offset", "length", "checksum"}
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(size)))
    except ValueError:
        offset, length = -1, -1
    if unknown or offset < 0 or length != size or tensor.HasField("raw_data"):
        raise NodeError(f"{where}: its description of external data contradicts its shape: export "
                        "it again")
    return external(entries.get("location", ""), offset, length)


def as_text(value: str | bytes) -> str:
    """A name in a file: what is not UTF-8 comes as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class Attributes:
    """A node's attributes: each must be taken by the operator's reader, or :meth:`done` refuses it.

    Parameters: ``node``. Values come back as ints, floats, strings, tuples, arrays or graphs.
    """

    _READ = {
        onnx.AttributeProto.INT: lambda a: a.i,
        onnx.AttributeProto.FLOAT: lambda a: a.f,
        onnx.AttributeProto.STRING: lambda a: as_text(a.s),
        onnx.AttributeProto.INTS: lambda a: tuple(a.ints),
        onnx.AttributeProto.FLOATS: lambda a: tuple(a.floats),
        onnx.AttributeProto.STRINGS: lambda a: tuple(as_text(s) for s in a.strings),
        onnx.AttributeProto.TENSOR: lambda a: read_tensor(a.t),
        onnx.AttributeProto.GRAPH: lambda a: a.g,
    }

    def __init__(self, node: onnx.NodeProto):
        self._left = {}
        for attribute in node.attribute:
            read = self._READ.get(attribute.type)
            if read is None or attribute.ref_attr_name or attribute.name in self._left:
                raise NodeError(f"attribute {quoted(attribute.name)} has a form that is not read: "
                                "export the model again")
            self._left[attribute.name] = read(attribute)

    def take(self, name: str, default: object = None):
        """The value of an attribute that the caller honours."""
        return self._left.pop(name, default)

    def ints(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, or None if absent."""
        value = self._left.pop(name, None)
        if value is not None and not (isinstance(value, tuple)
                                      and all(isinstance(n, int) for n in value)):
            raise NodeError(f"attribute {name} must be a list of integers: export the model again")
        return value

    def int(self, name: str, default: int) -> int:
        """An integer."""
        value = self._left.pop(name, default)
        if not isinstance(value, int):
            raise NodeError(f"attribute {name} must be an integer: export the model again")
        return value

    def only(self, name: str, legal: object, remedy: str) -> None:
        """Take an attribute that must be absent or ``legal``."""
        value = self._left.pop(name, legal)
        if value != legal:
            shown = quoted(value)
            must = ("left out" if legal is None else quoted(legal) if isinstance(legal, str)
                    else legal)
            raise NodeError(f"{name} must be {must}, not "
                            f"{shown if isinstance(value, str) else shown[1:-1]}: {remedy}")

    def default(self, name: str, value: object) -> None:
        """Set the value of an absent attribute."""
        self._left.setdefault(name, value)

    def done(self) -> None:
        """Refuse every attribute that was not taken."""
        for name, value in self._left.items():
            shown = value.name if isinstance(value, onnx.GraphProto) else value
            raise NodeError(f"attribute {quoted(name)} ({quoted(shown)[1:-1]}) is not supported "
                            "and might change the result: export the model without it")


def dims_of(value: onnx.ValueInfoProto) -> tuple[Dim, ...] | None:
    """Declared dimensions of a graph's input, or None: sizes, or names of those not fixed."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return None
    name = as_text(value.name)
    return tuple(d.dim_value if d.dim_value > 0 else as_text(d.dim_param) or f"{name}:{axis}"
                 for axis, d in enumerate(kind.shape.dim))


def nodes_needed(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in the file's order, but each behind those whose
    results it reads: some tools append nodes at the end."""
    producers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if producers.setdefault(name, index) != index:
                raise UserError(f"the tensor {quoted(name)} is defined twice: the file is damaged")
    wanted, left = set(), [value.name for value in graph.output]
    while left:
        index = producers.get(left.pop())
        if index is not None and index not in wanted:
            wanted.add(index)
            left += names_read(graph.node[index])
    before = {index: {producers[name] for name in names_read(graph.node[index])
                      if name in producers} for index in wanted}
    ready = sorted(index for index in wanted if not before[index])
    behind: dict[int, list[int]] = {}
    for index, sources in before.items():
        for source in sources:
            behind.setdefault(source, []).append(index)
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in behind.get(index, ()):
            before[reader].discard(index)
            if not before[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(wanted):
        raise UserError("its nodes depend on each other in a circle: the file is damaged")
    return [graph.node[index] for index in order]


def names_read(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, inside its branches too, but not those that these define."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            graph = attribute.g
            own = {one.name for one in (*graph.input, *graph.initializer)}
            own.update(name for inner in graph.node for name in inner.output)
            read = [name for inner in graph.node for name in names_read(inner)]
            names += [name for name in (*read, *(value.name for value in graph.output))
                      if name not in own]
    return names
