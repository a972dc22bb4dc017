"""Layers of torch and of descriptions that only a host computes, where a model is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.hosting import HostLayer, Writer
from gatefold.gen.network.layer import Shape

__all__ = ["HostOnlyError", "embedding", "layer_norm", "log_softmax"]


class HostOnlyError(UserError):
    """The layer is the host's, and the model is not cut."""


def _add(builder: Builder, x: int, what: str, origin: str, shape: Shape,
         write: Callable[[Writer, str], str], **more) -> int:
    if builder.cut is None:
        raise HostOnlyError(f"{what} is computed by the host, not in hardware: cut the model "
                            '(--cut auto, cut="auto" in Python)')
    return builder.add(HostLayer(
        inputs=(x,), origin=origin, label=what, shape=shape,
        write=lambda writer, names: write(writer, names[0]), **more))


def embedding(builder: Builder, x: int, table: np.ndarray, *, origin: str = "") -> int:
    """The rows of ``table`` (rows, features) that the integers in ``x`` name."""
    table = np.asarray(table, np.float32)
    return _add(builder, x, "embedding", origin, (*builder.shapes[x], table.shape[1]),
                lambda writer, name: writer.node(
                    "Gather", table, writer.node("Cast", name, to=7), axis=0),
                count=table.size, high=len(table))


def layer_norm(builder: Builder, x: int, eps: float, held: Sequence[np.ndarray], *,
               origin: str = "") -> int:
    """A LayerNorm over the last axes; ``held``, of their shape: a gain and an offset, or fewer."""
    shape = builder.shapes[x]
    count = held[0].ndim if held else 1

    def write(writer: Writer, name: str) -> str:
        axes = list(range(-count, 0))
        apart = writer.node("Sub", name, writer.node("ReduceMean", name, axes=axes))
        variance = writer.node("ReduceMean", writer.node("Mul", apart, apart), axes=axes)
        y = writer.node("Div", apart, writer.node(
            "Sqrt", writer.node("Add", variance, np.float32(eps))))
        for kind, values in zip(("Mul", "Add"), held, strict=False):
            y = writer.node(kind, y, values.astype(np.float32))
        return y
    return _add(builder, x, "layernorm", origin, shape, write, count=sum(one.size for one in held))


def log_softmax(builder: Builder, x: int, *, origin: str = "") -> int:
    """The logarithm of a softmax over the last axis."""
    return _add(builder, x, "logsoftmax", origin, builder.shapes[x],
                lambda writer, name: writer.node("LogSoftmax", name, axis=-1))
