"""torch's own layers (``torch.nn``) on :class:`~.symbol.Symbol`: their options, one by one.

A function here reads every attribute that changes what its layer computes at inference; it is found
under the layer's class name. Nothing here imports torch: the modules are the user's objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.elements.compute import matrix, scaled
from gatefold.gen.frontends.elements.trace import BatchAxisError
from gatefold.gen.frontends.torch.layers import (
    Recurrence,
    RecurrentOptions,
    Start,
    conv1d,
    linear,
    normalised,
    padded_window,
)
from gatefold.gen.frontends.torch.math import sequence_last
from gatefold.gen.frontends.torch.ops import constant
from gatefold.gen.frontends.torch.symbol import Symbol
from gatefold.gen.network.graph import Shape

__all__ = ["MODULES", "Leaf"]


@dataclass(frozen=True)
class Leaf:
    """A layer of torch.nn in the network: ``module`` and its ``origin``, its path in the model."""

    module: Any
    origin: str

    @property
    def kind(self) -> str:
        """The class of torch.nn whose ``forward`` it runs, or "" where that is the user's own."""
        classes = type(self.module).__mro__
        runs = next(one for one in classes if "forward" in vars(one))
        if not runs.__module__.startswith("torch.nn.modules."):
            return ""
        return next(one for one in classes
                    if one.__module__.startswith("torch.nn.modules.")).__name__

    @property
    def where(self) -> str:
        """The layer in a message."""
        return f"{self.kind} {quoted(self.origin)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The layer applied to symbols; :class:`UserError` if it is not supported. None if its own
        forward() is to run."""
        if self.kind not in MODULES:
            raise self.refuse("is not built; the layers of torch.nn that are: "
                              + ", ".join(name for name, one in MODULES.items()
                                          if getattr(one, "__name__", "") != "refuse"))
        given = args[0] if args else kwargs.get("input")
        if not isinstance(given, Symbol):
            raise self.refuse(f"gets a {type(given).__name__}, not one tensor: a recurrent layer "
                              "returns (output, state), take its [0]")
        function = MODULES[self.kind]
        return function and function(self, *args, **kwargs)

    def refuse(self, what: str) -> UserError:
        """The error that says ``what`` of this layer."""
        return UserError(f"{self.where}: {what}")

    def only(self, name: str, legal: object, remedy: str) -> None:
        """Raise unless the attribute ``name`` is ``legal``."""
        value = getattr(self.module, name)
        if value != legal:
            raise self.refuse(f"{name} must be {legal}, not {value}: {remedy}")

    def array(self, name: str, shape: Shape) -> np.ndarray:
        """The parameter or buffer ``name``."""
        tensor = getattr(self.module, name)
        if getattr(tensor, "is_meta", False) or not hasattr(tensor, "detach"):
            raise self.refuse(f"{name} holds no weights yet: run the model once, or load them")
        if not tensor.is_floating_point() or tensor.is_quantized:
            raise self.refuse(f"{name} is {tensor.dtype}: give the float model, Gatefold quantises")
        value = constant(tensor)
        if value is None or value.shape != shape:
            raise self.refuse(f"{name} must have the shape {shape}, not {tuple(tensor.shape)}")
        return value

    def one(self, name: str) -> Any:
        """The attribute ``name``, a number that torch may keep as a sequence of one."""
        value = getattr(self.module, name)
        return value[0] if isinstance(value, tuple | list) else value


# ---- recurrent layers ----------------------------------------------------------------------------

def _recurrent(leaf: Leaf, input: Symbol, hx: Any = None):
    module, trace = leaf.module, input.trace
    options = RecurrentOptions(
        kind=leaf.kind.lower(),
        hidden_size=module.hidden_size, num_layers=module.num_layers,
        bidirectional=module.bidirectional, bias=module.bias,
        nonlinearity=getattr(module, "nonlinearity", "tanh"),
        proj_size=getattr(module, "proj_size", 0))
    if input.ids.ndim not in (2, 3):
        raise leaf.refuse(f"takes a tensor of 2 or 3 dimensions, not {input.shown}")
    batched = input.ids.ndim == 3
    batch = 0 if batched and module.batch_first else 1
    try:
        ids = trace.batch_at(input.ids if batched else input.ids[:, np.newaxis], batch)
    except BatchAxisError:
        raise BatchAxisError(
            f"{leaf.where}: has batch_first={module.batch_first}, but its input is {input.shown}: "
            "only whole samples can be computed") from None
    if input.shape[-1] != module.input_size:
        raise leaf.refuse(f"takes {module.input_size} features, but its input is {input.shown}")
    starts = _starts(leaf, options, hx, 2 if batched else 1)
    made = Recurrence(trace.builder, trace.read(ids, leaf.origin), options, leaf.array,
                      origin=leaf.origin, starts=starts)

    def as_given(ids: np.ndarray, batch: int) -> Symbol:
        """Numbers with the batch in front, with it where the input has it, or nowhere."""
        return input.made(np.moveaxis(ids, 0, batch) if batched else ids[0])

    def states(rows: list[int]) -> Symbol:
        return as_given(np.stack([trace.layer(row) for row in rows], axis=1), 1)
    output, hidden = as_given(trace.layer(made.sequence()), batch), states(made.hidden())
    return output, (hidden, states(made.cell())) if options.kind == "lstm" else hidden


def _starts(leaf: Leaf, options: RecurrentOptions, hx: Any, rank: int) -> list[Start]:
    """The initial state of each layer and direction, from torch's h_0, or (h_0, c_0) of an LSTM."""
    if hx is None:
        return []
    states = list(hx) if options.kind == "lstm" else [hx]
    count = options.num_layers * options.directions
    if len(states) != (2 if options.kind == "lstm" else 1):
        raise leaf.refuse("the initial state of an LSTM is (h_0, c_0)")
    starts = []
    sizes = (options.outputs, options.hidden_size)
    for n in range(count):
        starts.append(tuple(_start(leaf, state, n, (count, size), rank)
                            for state, size in zip(states, sizes, strict=False)))
        if all(isinstance(start, np.ndarray) and not start.any() for start in starts[-1]):
            starts[-1] = ()
    return starts


def _start(leaf: Leaf, state: Any, n: int, sizes: Shape, rank: int) -> int | np.ndarray:
    got = state.shown if isinstance(state, Symbol) else str(tuple(getattr(state, "shape", ())))
    if len(getattr(state, "shape", ())) != rank + 1 or (
            (state.shape[0], state.shape[-1]) != sizes):
        raise leaf.refuse(f"an initial state must be (layers * directions, batch, hidden_size) = "
                          f"({sizes[0]}, batch, {sizes[1]}), not {got}: a shape given to "
                          "from_torch says with None where its batch is")
    if isinstance(state, Symbol):
        rows = state.ids[n].reshape(-1, sizes[1])
        return state.trace.read(state.trace.batch_at(rows, 0), leaf.origin)
    rows = np.atleast_2d(np.asarray(constant(state))[n])
    if (rows != rows[0]).any():
        raise leaf.refuse("a constant initial state must be the same for all samples of the batch")
    return rows[0]


# ---- the others ----------------------------------------------------------------------------------

def _linear(leaf: Leaf, input: Symbol):
    module, builder = leaf.module, input.trace.builder

    def layer(value: int) -> int:
        if input.shape[-1] != module.in_features:
            raise leaf.refuse(f"takes {module.in_features} features, but its input is "
                              f"{input.shown}")
        return linear(builder, value, module.out_features, leaf.array,
                      bias=module.bias is not None, origin=leaf.origin)

    return input.made(matrix(input.trace, input.ids, layer, leaf.origin))


def _conv1d(leaf: Leaf, input: Symbol):
    module = leaf.module
    leaf.only("padding_mode", "zeros", "only zeros are padded")

    def layer(builder, value: int) -> int:
        if input.shape[-2] != module.in_channels:
            raise leaf.refuse(f"takes (batch, {module.in_channels} channels, timesteps), but its "
                              f"input is {input.shown}: x.permute(0, 2, 1) puts channels second")
        padding = module.padding
        window = padded_window(
            leaf.where, builder.shapes[value][0], kernel=leaf.one("kernel_size"),
            stride=leaf.one("stride"), dilation=leaf.one("dilation"),
            padding=padding if isinstance(padding, str) else leaf.one("padding"))
        return conv1d(builder, value, module.out_channels, window, leaf.array,
                      bias=module.bias is not None, groups=module.groups, origin=leaf.origin)

    return sequence_last(input, layer, leaf.origin)


def _batch_norm(leaf: Leaf, input: Symbol):
    module = leaf.module
    if module.running_mean is None:
        raise leaf.refuse("track_running_stats must be True: otherwise it normalises by each "
                          "batch, which one sample is not")
    features = module.num_features
    if input.ids.ndim not in (2, 3) or input.shape[1] != features:
        raise leaf.refuse(f"takes (batch, {features}) or (batch, {features}, timesteps), but its "
                          f"input is {input.shown}")
    gain, offset = (along.reshape(-1, *(1,) * (input.ids.ndim - 2)) for along in normalised(
        leaf.array, features, eps=module.eps, affine=bool(module.affine)))
    return input.made(scaled(input.trace, input.ids, gain, offset, leaf.origin))


def _same(leaf: Leaf, input: Symbol):
    return input


def _refused(remedy: str) -> Callable:
    def refuse(leaf: Leaf, *args, **kwargs):
        raise leaf.refuse(f"is not built: {remedy}")
    return refuse


_SEQUENCE = "nn.LSTM, nn.GRU or nn.RNN over the whole sequence computes the same"

#: Layers that only call functions of torch, which are read: their own forward() runs.
FUNCTIONAL = (
    "MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d", "Flatten", "Unflatten",
    "ReLU", "Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "ReLU6", "Softmax", "Identity",
    "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "SiLU", "Hardswish", "GELU", "Mish", "Softplus",
    "LogSigmoid", "Softsign", "Embedding", "LayerNorm", "LogSoftmax",
    "ZeroPad1d", "ConstantPad1d", "ReflectionPad1d", "ReplicationPad1d", "CircularPad1d")

#: Readers by class name of torch.nn; None for layers that only call functions.
MODULES: dict[str, Callable | None] = {
    "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent,
    "Linear": _linear, "Conv1d": _conv1d, "BatchNorm1d": _batch_norm,
    "Dropout": _same, "Dropout1d": _same, "AlphaDropout": _same, "FeatureAlphaDropout": _same,
    **dict.fromkeys(FUNCTIONAL),
    "LSTMCell": _refused(_SEQUENCE), "GRUCell": _refused(_SEQUENCE), "RNNCell": _refused(_SEQUENCE),
    "MultiheadAttention": _refused("attention has no place in this hardware"),
}

