"""A live ``torch.nn.Module`` as a network: its own ``forward`` runs once, on symbols.

torch.fx (:mod:`.tracer`) calls ``forward`` with stand-ins for the inputs and reports every layer
and function that they meet. A layer of ``torch.nn`` is read whole (:mod:`.modules`), a function
that computes by its name (:mod:`.ops`, :mod:`.math`). A function that moves elements moves their
numbers (:mod:`.moves`, :mod:`~gatefold.gen.frontends.elements.trace`), and anything else is the
user's own Python and simply runs. So no pattern is recognised: the network holds exactly the
operations that the code applies to the symbols.

The module is the caller's object, in the caller's process; no file is read here.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.cuts import Cut, begins_nowhere, with_around
from gatefold.gen.frontends.elements.trace import BatchAxisError, Trace
from gatefold.gen.frontends.torch.symbol import OTHER_SAMPLES, SAMPLES, Symbol
from gatefold.gen.network.graph import Network, Shape
from gatefold.gen.network.states import PORTS, carry

__all__ = ["from_torch"]


def from_torch(module: Any, input_shape: Sequence, *,
               outputs: int | Sequence[int] | None = None,
               states: str | Mapping[str, str] = "auto",
               cut: Cut | str | tuple[str | None, ...] | None = None) -> Network:
    """The network of a ``torch.nn.Module`` at inference.

    Parameters: ``input_shape``, the shape of what ``forward`` takes without the batch:
    (timesteps, features), also where layers have ``batch_first=False``, or (channels, timesteps)
    where a Conv1d comes first; a list of shapes for several arguments. ``outputs``: of the tensors
    that ``forward`` returns, in order and counted through tuples, those to keep; by default all.
    ``states``: which of these (``output0``, ``output1``, ...) the caller hands back as arguments,
    by the arguments' names, so that the core keeps them (``auto``: all that are so by their use;
    ``none``; or a mapping, {"output1": "h_0"}). ``cut``: "auto", or the names of the first and the
    last layer of the core: the host computes what lies before and behind it, such as an Embedding,
    as with :func:`gatefold.load`.

    The batch is looked for where the layers take it: in the first dimension of the arguments, else
    in the second, else nowhere (a module for one sample). ``None`` in a shape says where it is:
    [(30, 4), (1, None, 64)] for forward(x, h_0). Dropout is left out and BatchNorm uses its
    running statistics; a module in training mode that has any is built so too, with a warning.

    Raises :class:`UserError` for a layer, an option or a function that is not built, by its name.
    """
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    torch = sys.modules.get("torch")  # a caller that has a module has imported it
    if torch is None or not isinstance(module, torch.nn.Module):
        raise UserError("from_torch takes a torch.nn.Module, not "
                        f"{quoted(type(module).__name__)}: load a file with gatefold.load")
    if isinstance(module, torch.jit.ScriptModule):
        raise UserError("from_torch takes the Python module, not what torch.jit made of it: give "
                        "the module it was made from, or export that to ONNX")
    shapes = _shapes(input_shape)
    _warn_of_training(module)
    wanted = Cut.given(cut)
    begins_nowhere(wanted, "give the part of the module from there on")
    return with_around(carry(_with_batch(module, shapes, outputs, wanted), states))


def _with_batch(module: Any, shapes: list[tuple[int | None, ...]],
                outputs: int | Sequence[int] | None, cut: Cut | None) -> Network:
    """The network, the batch where it is found."""
    try:
        return _read(module, shapes, 0, outputs, cut)
    except BatchAxisError as error:
        for batch in (1, None):
            with contextlib.suppress(UserError):
                return _read(module, shapes, batch, outputs, cut)
        raise UserError(str(error)) from None


def _shapes(given: Any) -> list[tuple[int | None, ...]]:
    def shape(value: Any) -> bool:
        return isinstance(value, tuple | list) and len(value) > 0 and value.count(None) < 2 and all(
            n is None or (isinstance(n, int) and not isinstance(n, bool)) for n in value)

    shapes = [given] if shape(given) else given
    if not isinstance(shapes, tuple | list) or not shapes or not all(map(shape, shapes)):
        raise UserError("input_shape must be (timesteps, features), the input's shape without the "
                        f"batch, or a list of such, not {quoted(given)}")
    return [tuple(one) for one in shapes]


def _warn_of_training(module: Any) -> None:
    for name, layer in module.named_modules():
        kind = type(layer).__name__
        drops = "Dropout" in kind and layer.p or kind in ("LSTM", "GRU", "RNN") and layer.dropout
        if layer.training and (drops or "BatchNorm" in kind):
            warnings.warn(f"the module is in training mode, where {kind} {quoted(name)} computes "
                          "otherwise: it is built as at inference, call module.eval() first",
                          stacklevel=3)
            return


def _read(module: Any, shapes: list[tuple[int | None, ...]], batch: int | None,
          outputs: int | Sequence[int] | None, cut: Cut | None) -> Network:
    """The network with ``batch`` as the dimension of the batch, the same for any size of it."""
    network, trace = _run(module, shapes, batch, outputs, SAMPLES, cut)
    if trace.shape_read and trace.batch > 1:
        for samples in OTHER_SAMPLES:  # a condition may hold from some size on
            try:
                other = _run(module, shapes, batch, outputs, samples, cut)[0].layers
            except UserError:
                other = ()
            for one, another in zip_longest(network.layers, other):
                if not _equal(one, another):
                    raise UserError(f"what {(one or another).where} computes depends on the size "
                                    "of the batch, since forward() computes with x.shape or "
                                    "x.size(): use the size of the batch for shapes alone")
    return network


def _equal(one: Any, other: Any) -> bool:
    """Whether two layers, or fields of layers, hold the same."""
    if is_dataclass(one):
        return type(one) is type(other) and all(
            _equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return np.array_equal(one, other)


def _run(module: Any, shapes: list[tuple[int | None, ...]], batch: int | None,
         outputs: int | Sequence[int] | None, samples: int,
         cut: Cut | None) -> tuple[Network, Trace]:
    """The network that forward() gives for so many ``samples``, and the trace."""
    from gatefold.gen.frontends.torch.tracer import run, version

    plain: list[Shape] = [tuple(n for n in shape if n is not None) for shape in shapes]
    named = any(None in shape for shape in shapes)
    trace = Trace(1 if batch is None and not named else samples, plain, trusted=True, cut=cut)
    symbols = []
    for shape, stage in zip(shapes, trace.inputs, strict=True):
        ids = trace.whole(stage)
        # A vector is (batch, features) wherever sequences have their batch.
        axis = shape.index(None) if None in shape else batch and min(batch, len(shape) - 1)
        if axis is None and named:
            raise BatchAxisError("some inputs have a batch, others none")
        symbols.append(Symbol(ids[0] if axis is None else np.moveaxis(ids, 0, axis), trace))
    returned = _flat(run(module, symbols))
    wanted = list(range(len(returned))) if outputs is None else (
        [outputs] if isinstance(outputs, int) else list(outputs))
    if not wanted or not all(isinstance(n, int) and 0 <= n < len(returned) for n in wanted):
        raise UserError(f"outputs must be among 0..{len(returned) - 1}: forward() returns "
                        f"{len(returned)} tensors, not {quoted(outputs)}")
    values = []
    for n in wanted:
        if not isinstance(returned[n], Symbol):
            raise UserError(f"output {n} of forward() is {quoted(type(returned[n]).__name__)}, not "
                            "computed from its input: choose others with outputs=")
        values.append(trace.output(returned[n].ids, as_it_is=True))
    given = [*inspect.signature(module.forward).parameters][:len(shapes)]
    if len(given) < len(shapes):  # forward(self, *args)
        given = [f"input{n}" for n in range(len(shapes))]
    return trace.builder.network(
        {"format": "torch", "exporter": f"torch {version}",
         PORTS: {"inputs": given, "outputs": [f"output{n}" for n in wanted]}}, values), trace


def _flat(returned: Any) -> list:
    if isinstance(returned, dict):
        returned = list(returned.values())
    if isinstance(returned, tuple | list):
        return [one for part in returned for one in _flat(part)]
    return [returned]
