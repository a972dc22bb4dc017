"""The layers that a network's description may name, with their options; they are torch's layers.

Values are (timesteps, features), where torch has (channels, timesteps) behind a convolution. Only
``flatten`` depends on the difference, so there its option ``order`` is required.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.described.options import (
    Option,
    Options,
    choice,
    count,
    flag,
    natural,
    number,
    one_or,
    text,
)
from gatefold.gen.frontends.described.weights_file import WeightsFile
from gatefold.gen.frontends.host_layers import embedding, layer_norm, log_softmax
from gatefold.gen.frontends.limits import MAX_ROWS
from gatefold.gen.frontends.torch.layers import (
    Parameters,
    Recurrence,
    RecurrentOptions,
    clipped,
    conv1d,
    linear,
    normalised,
    padded_window,
)
from gatefold.gen.network.graph import Concat, Permute, Shape, Window

__all__ = ["KINDS", "Chain"]


class Chain:
    """The network so far, while its layers are read in order.

    Attributes: ``value``, which the next layer reads; ``used``, names of the arrays read so far;
    ``convolved``, whether torch has the value as (channels, timesteps).
    """

    def __init__(self, builder: Builder, weights: WeightsFile):
        self.builder, self.weights, self.value = builder, weights, 0
        self.used: set[str] = set()
        self.convolved = False

    @property
    def shape(self) -> Shape:
        """The value's."""
        return self.builder.shapes[self.value]

    def parameters(self, options: Options) -> Parameters:
        """The arrays under the prefix that ``options`` names."""
        prefix = options["weights"].removesuffix(".")

        def array(name: str, shape: Shape) -> np.ndarray:
            full = f"{prefix}.{name}" if prefix else name
            self.used.add(full)
            return self.weights.array(full, shape)
        return array

    def check_sequence(self, options: Options) -> None:
        """Raise unless the value is a sequence."""
        if len(self.shape) != 2:
            raise UserError(f"{options.where} takes (timesteps, features), but its input has the "
                            f"shape {self.shape}")


def _recurrent(kind: str) -> Callable[[Chain, Options], int]:
    def build(chain: Chain, options: Options) -> int:
        chain.check_sequence(options)
        chain.convolved = False
        builder = chain.builder
        more = {"nonlinearity": options["nonlinearity"]} if kind == "rnn" else {}
        setup = RecurrentOptions(
            kind=kind, hidden_size=options["units"], num_layers=options["num_layers"],
            bidirectional=options["bidirectional"], bias=options["bias"], **more)
        stack = Recurrence(builder, chain.value, setup, chain.parameters(options),
                           origin=options["weights"])
        if options["output"] == "hidden":  # of the last layer, its directions side by side
            last = stack.hidden()[-setup.directions:]
            return last[0] if len(last) == 1 else builder.view(last, Concat, axis=0)
        value = stack.sequence()
        return value if options["output"] == "sequence" else builder.last_step(value)
    return build


def _activated(chain: Chain, value: int, function: str) -> int:
    if function == "hardsigmoid":
        return clipped(chain.builder, value, 0.0, 1.0, slope=1 / 6, offset=0.5)
    kind = {"none": "linear", "hardtanh": "hard_tanh"}.get(function, function)
    return chain.builder.activation(value, kind)


def _linear(chain: Chain, options: Options) -> int:
    value = linear(chain.builder, chain.value, options["outputs"], chain.parameters(options),
                   bias=options["bias"], origin=options["weights"])
    return _activated(chain, value, options["activation"])


def _window(chain: Chain, options: Options, **more) -> Window:
    chain.check_sequence(options)
    chain.convolved = True
    return padded_window(options.where, chain.shape[0], kernel=options["kernel"],
                         stride=options["stride"] or None, padding=options["padding"], **more)


def _conv1d(chain: Chain, options: Options) -> int:
    value = conv1d(chain.builder, chain.value, options["outputs"],
                   _window(chain, options, dilation=options["dilation"]),
                   chain.parameters(options), bias=options["bias"], origin=options["weights"])
    return _activated(chain, value, options["activation"])


def _batch_norm(chain: Chain, options: Options) -> int:
    gain, offset = normalised(chain.parameters(options), chain.shape[-1], eps=options["eps"],
                              affine=options["affine"])
    return chain.builder.scale(chain.value, gain, offset, origin=options["weights"])


def _max_pool(chain: Chain, options: Options) -> int:
    return chain.builder.max_pool(chain.value,
                                  _window(chain, options, dilation=options["dilation"]))


def _avg_pool(chain: Chain, options: Options) -> int:
    return chain.builder.average_pool(chain.value, _window(chain, options),
                                      count_padding=options["count_include_pad"])


def _global_avg_pool(chain: Chain, options: Options) -> int:
    chain.check_sequence(options)
    pooled = chain.builder.average_pool(chain.value, Window(chain.shape[0]))
    return chain.builder.flatten(pooled)


def _flatten(chain: Chain, options: Options) -> int:
    chain.check_sequence(options)
    if chain.convolved and not options["order"]:
        raise UserError(f"{options.where}: order is missing, which is required behind a "
                        "convolution or pooling: give 'channels_first' for nn.Flatten alone, "
                        "'timesteps_first' for nn.Flatten behind x.permute(0, 2, 1)")
    value = chain.value
    if options["order"] == "channels_first":
        value = chain.builder.view(value, Permute, axes=(1, 0))
    return chain.builder.flatten(value)


def _repeat(chain: Chain, options: Options) -> int:
    return chain.builder.repeat(chain.value, options["timesteps"])


def _last_step(chain: Chain, options: Options) -> int:
    chain.check_sequence(options)
    return chain.builder.last_step(chain.value)


def _activation(chain: Chain, options: Options) -> int:
    return _activated(chain, chain.value, options["function"])


def _softmax(chain: Chain, _: Options) -> int:
    return chain.builder.softmax(chain.value)


def _log_softmax(chain: Chain, _: Options) -> int:
    return log_softmax(chain.builder, chain.value)


def _embedding(chain: Chain, options: Options) -> int:
    table = chain.parameters(options)("weight", (options["rows"], options["outputs"]))
    return embedding(chain.builder, chain.value, table, origin=options["weights"])


def _layer_norm(chain: Chain, options: Options) -> int:
    array, shape = chain.parameters(options), chain.shape[-1:]
    held = [array(name, shape) for name in ("weight", "bias")] if options["affine"] else []
    return layer_norm(chain.builder, chain.value, options["eps"], held, origin=options["weights"])


_FUNCTIONS = ("relu", "sigmoid", "tanh", "hardsigmoid", "hardtanh")
_WEIGHTS = {"weights": text('the prefix of its arrays in the weights file ("" for none)')}
_STACK = {**_WEIGHTS, "units": count(), "num_layers": count(1), "bidirectional": flag(False),
          "bias": flag(True), "output": choice("sequence", "last", "hidden", default="sequence")}
_ACTIVATION = {"activation": choice("none", *_FUNCTIONS, default="none")}
_POOL = {"kernel": count(), "stride": natural(0), "padding": natural(0)}

#: For each kind of layer: its options, and the function that adds it to a :class:`Chain`.
KINDS: dict[str, tuple[dict[str, Option], Callable[[Chain, Options], int]]] = {
    "lstm": (_STACK, _recurrent("lstm")),
    "gru": (_STACK, _recurrent("gru")),
    "rnn": (_STACK | {"nonlinearity": choice("tanh", "relu", default="tanh")}, _recurrent("rnn")),
    "linear": ({**_WEIGHTS, "outputs": count(), "bias": flag(True), **_ACTIVATION}, _linear),
    "conv1d": ({**_WEIGHTS, "outputs": count(), "kernel": count(), "stride": count(1),
                "padding": one_or(choice("same", "valid"), natural(), 0), "dilation": count(1),
                "bias": flag(True), **_ACTIVATION}, _conv1d),
    "batchnorm1d": ({**_WEIGHTS, "eps": number(1e-5), "affine": flag(True)}, _batch_norm),
    "maxpool1d": (_POOL | {"dilation": count(1)}, _max_pool),
    "avgpool1d": (_POOL | {"count_include_pad": flag(True)}, _avg_pool),
    "global_avgpool1d": ({}, _global_avg_pool),
    "activation": ({"function": choice(*_FUNCTIONS)}, _activation),
    "last_step": ({}, _last_step),
    "repeat": ({"timesteps": count()}, _repeat),
    "flatten": ({"order": choice("timesteps_first", "channels_first", default="")}, _flatten),
    "softmax": ({}, _softmax), "log_softmax": ({}, _log_softmax),
    "embedding": ({**_WEIGHTS, "rows": count(most=MAX_ROWS), "outputs": count()}, _embedding),
    "layernorm": ({**_WEIGHTS, "eps": number(1e-5), "affine": flag(True)}, _layer_norm),
}
