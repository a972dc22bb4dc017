"""Model files with one thing changed, as an accident or an attacker would: for the campaign."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import onnx

__all__ = ["BYTES", "KERAS", "ONNX", "SAFETENSORS", "Mutation"]

Mutation = Callable[[bytes, np.random.Generator], bytes]

#: Numbers that programs stumble over.
NUMBERS = ("0", "-1", "1", "2", "3", "7", "64", "65536", "2147483648", "9223372036854775808",
           "1e308", "0.5", "null", "true", '"4"', "[]")


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bits inverted."""
    broken = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 5)):
        broken[place] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    return data[:rng.integers(0, len(data))]


def splice(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece of the file over another."""
    source, target = rng.integers(0, len(data), 2)
    piece = data[source:source + rng.integers(1, 200)]
    return data[:target] + piece + data[target + len(piece):]


def zeros(data: bytes, rng: np.random.Generator) -> bytes:
    place, length = rng.integers(0, len(data)), int(rng.integers(1, 64))
    return data[:place] + bytes(length) + data[place + length:]


def _number(text: str, rng: np.random.Generator) -> str:
    """One number of a JSON text replaced."""
    places = [found.span() for found in re.finditer(r"(?<![\w.\"])-?\d+(\.\d+)?(?![\w.\"])", text)]
    start, end = places[rng.integers(len(places))]
    return text[:start] + NUMBERS[rng.integers(len(NUMBERS))] + text[end:]


def config_number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number in config.json of a .keras file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            if name == "config.json":
                held = _number(held.decode(), rng).encode()
            new.writestr(name, held)
    return buffer.getvalue()


def header_number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number in the header of a .safetensors file: a size, an offset."""
    length, = struct.unpack("<Q", data[:8])
    header = _number(data[8:8 + length].decode(), rng).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length:]


def header_name(data: bytes, rng: np.random.Generator) -> bytes:
    """Two tensors of a .safetensors file change their entries, or one its type."""
    length, = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8:8 + length])
    names = [name for name in entries if name != "__metadata__"]
    a, b = (names[n] for n in rng.integers(0, len(names), 2))
    if a == b:
        entries[a]["dtype"] = ["F64", "F16", "BF16", "I32", "Q"][rng.integers(5)]
    entries[a], entries[b] = entries[b], entries[a]
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length:]


def onnx_dimension(data: bytes, rng: np.random.Generator) -> bytes:
    """A dimension of an input, an output or an initializer."""
    model = onnx.load_from_string(data)
    value = int(rng.choice([0, -1, 1, 2, 3, 5, 1000, 1 << 31, 1 << 62]))
    shapes = [value.type.tensor_type.shape for value in (*model.graph.input, *model.graph.output)]
    places = [dim for shape in shapes for dim in shape.dim]
    at = int(rng.integers(len(places) + len(model.graph.initializer)))
    if at < len(places):
        places[at].dim_value = value
    else:
        held = model.graph.initializer[at - len(places)]
        if held.dims:
            held.dims[rng.integers(len(held.dims))] = value
    return model.SerializeToString()


def onnx_edge(data: bytes, rng: np.random.Generator) -> bytes:
    """An input of a node comes from elsewhere, or from nowhere."""
    model = onnx.load_from_string(data)
    graph = model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)] + [""]
    node = graph.node[rng.integers(len(graph.node))]
    if node.input:
        node.input[rng.integers(len(node.input))] = names[rng.integers(len(names))]
    return model.SerializeToString()


def onnx_node(data: bytes, rng: np.random.Generator) -> bytes:
    """A node is gone, or an integer attribute of it is another."""
    model = onnx.load_from_string(data)
    at = int(rng.integers(len(model.graph.node)))
    numbers = [one for one in model.graph.node[at].attribute if one.type == one.INT]
    if numbers:
        numbers[rng.integers(len(numbers))].i = int(rng.choice([-1, 0, 1, 2, 5, 1 << 40]))
    else:
        del model.graph.node[at]
    return model.SerializeToString()


BYTES: tuple[Mutation, ...] = (flip, truncate, splice, zeros)
KERAS: tuple[Mutation, ...] = (*BYTES, config_number)
SAFETENSORS: tuple[Mutation, ...] = (*BYTES, header_number, header_name)
ONNX: tuple[Mutation, ...] = (*BYTES, onnx_dimension, onnx_edge, onnx_node)
