"""torch's functions that compute, on :class:`~.symbol.Symbol`, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.curves import composed
from gatefold.gen.frontends.elements import compute
from gatefold.gen.frontends.elements.trace import BatchAxisError
from gatefold.gen.frontends.host_layers import embedding, layer_norm, log_softmax
from gatefold.gen.frontends.torch import layers
from gatefold.gen.frontends.torch.ops import constant, op
from gatefold.gen.frontends.torch.symbol import Symbol

__all__ = ["sequence_last"]


# ---- arithmetic ----------------------------------------------------------------------------------

def _scaled(x: Symbol, gain, offset) -> Symbol:
    """gain x + offset with constants."""
    return x.made(compute.scaled(x.trace, x.ids, gain, offset))


def _operands(*given: Any) -> tuple[Symbol, list[Symbol | np.ndarray]]:
    """One of the symbols, and all operands, constants as arrays."""
    found = []
    for one in given:
        found.append(one if isinstance(one, Symbol) else constant(one))
        if found[-1] is None:
            raise UserError(f"a tensor and a {type(one).__name__} are combined: only numbers and "
                            "tensors can be")
    return next(one for one in found if isinstance(one, Symbol)), found


@op("add", "add_")
def _add(input, other, alpha=1):
    x, operands = _operands(input, other)
    return x.made(compute.added(x.trace, operands, (1.0, float(alpha))))


@op("sub", "sub_", "subtract")
def _sub(input, other, alpha=1):
    return _add(input, other, alpha=-alpha)


@op("rsub")
def _rsub(input, other, alpha=1):
    return _add(other, input, alpha=-alpha)


@op("neg", "negative")
def _neg(input: Symbol):
    return _scaled(input, -1.0, 0.0)


@op("mul", "mul_", "multiply")
def _mul(input, other):
    x, operands = _operands(input, other)
    return x.made(compute.multiplied(x.trace, operands[0], operands[1]))


@op("div", "div_", "truediv", "true_divide")
def _div(input, other):
    known = constant(other)
    if known is None or not np.all(known) or not isinstance(input, Symbol):
        raise UserError("division by a computed tensor or by zero is not built: divide by a "
                        "constant")
    return _scaled(input, 1.0 / known, 0.0)


@op("matmul", "mm")
def _matmul(input, weight, bias=None, *, transposed=False):
    w = constant(weight)
    if not isinstance(input, Symbol) or w is None or w.ndim != 2:
        raise UserError("a product of two computed tensors is not built (attention): only x @ W "
                        "with a constant matrix")
    w = w if transposed else w.T
    b = np.zeros(len(w)) if bias is None else constant(bias)
    return input.made(compute.matrix(
        input.trace, input.ids, lambda value: input.trace.builder.dense(value, w=w, b=b)))


@op("linear")
def _linear(input, weight, bias=None):
    return _matmul(input, weight, bias, transposed=True)


# ---- activations ---------------------------------------------------------------------------------

def _activation(kind: str) -> Callable:
    def apply(input: Symbol, inplace=False):
        return input.made(compute.activated(input.trace, input.ids, kind))
    return apply


for _kind in ("relu", "sigmoid", "tanh"):
    op(_kind, f"{_kind}_")(_activation(_kind))


def _clip(input: Symbol, low: float, high: float, **line) -> Symbol:
    return input.made(compute.each(input.trace, input.ids, lambda value: layers.clipped(
        input.trace.builder, value, float(low), float(high), **line)))


@op("hardsigmoid")
def _hardsigmoid(input: Symbol, inplace=False):
    return _clip(input, 0.0, 1.0, slope=1 / 6, offset=0.5)


@op("hardtanh", "hardtanh_")
def _hardtanh(input: Symbol, min_val=-1.0, max_val=1.0, inplace=False):
    return _clip(input, min_val, max_val)


def _composed(x: Symbol, kind: str, **options) -> Symbol:
    """An activation of :mod:`~gatefold.gen.frontends.curves`."""
    return x.made(composed(compute.Elements(x.trace), x.ids, kind, **options))


@op("relu6", "relu6_")
def _relu6(input: Symbol, inplace=False):
    return _composed(input, "relu6")


@op("clamp", "clip", "clamp_", "clip_")
def _clamp(input: Symbol, min=None, max=None):
    bounds = [missing if bound is None else constant(bound)
              for bound, missing in ((min, -math.inf), (max, math.inf))]
    if any(bound is None or np.ndim(bound) for bound in bounds):
        raise UserError("clamp needs constant numbers as bounds")
    low, high = (float(bound) for bound in bounds if bound is not None)
    return _composed(input, "clip", low=low, high=high)


@op("leaky_relu", "leaky_relu_")
def _leaky_relu(input: Symbol, negative_slope=0.01, inplace=False):
    return _composed(input, "leaky_relu", alpha=float(negative_slope))


@op("prelu")
def _prelu(input: Symbol, weight):
    slope = constant(weight)
    if slope is None:
        raise UserError("its slope must be constant")
    if slope.size > 1:  # one a channel, the second dimension
        slope = slope.reshape(-1, *(1,) * (input.ids.ndim - 2))
    return _composed(input, "leaky_relu", alpha=slope if slope.size > 1 else float(slope.max()))


@op("elu", "elu_")
def _elu(input: Symbol, alpha=1.0, inplace=False):
    return _composed(input, "elu", alpha=float(alpha))


@op("selu", "selu_")
def _selu(input: Symbol, inplace=False):
    return _composed(input, "selu")


@op("celu", "celu_")
def _celu(input: Symbol, alpha=1.0, inplace=False):
    return _composed(input, "celu", alpha=float(alpha))


@op("silu", "silu_")
def _silu(input: Symbol, inplace=False):
    return _composed(input, "silu")


@op("hardswish", "hardswish_")
def _hardswish(input: Symbol, inplace=False):
    return _composed(input, "hard_silu")


@op("gelu")
def _gelu(input: Symbol, approximate="none"):
    return _composed(input, "gelu", approximate=approximate)


@op("mish", "mish_")
def _mish(input: Symbol, inplace=False):
    return _composed(input, "mish")


@op("softplus")
def _softplus(input: Symbol, beta=1, threshold=20):
    return _composed(input, "softplus", beta=float(beta))


@op("logsigmoid", "log_sigmoid")
def _log_sigmoid(input: Symbol):
    return _composed(input, "log_sigmoid")


@op("softsign")
def _softsign(input: Symbol):
    return _composed(input, "softsign")


@op("erf")
def _erf(input: Symbol):
    return _composed(input, "erf")


@op("abs", "abs_", "absolute")
def _abs(input: Symbol):
    return _composed(input, "abs")


@op("softmax")
def _softmax(input: Symbol, dim=None, _stacklevel=3, dtype=None):
    if dim is None or input.dim(dim) != input.ids.ndim - 1:
        raise UserError(f"softmax must be over the last dimension (dim=-1), not dim={dim}: the "
                        "host computes it on the output")
    return input.made(compute.softmax(input.trace, input.ids, -1))


@op("log_softmax")
def _log_softmax(input: Symbol, dim=None, _stacklevel=3, dtype=None):
    if dim is None or input.dim(dim) != input.ids.ndim - 1:
        raise UserError(f"log_softmax must be over the last dimension (dim=-1), not dim={dim}")
    return input.made(compute.matrix(input.trace, input.ids, lambda value: log_softmax(
        input.trace.builder, value)))


@op("layer_norm")
def _layer_norm(input: Symbol, normalized_shape, weight=None, bias=None, eps=1e-5):
    shape = tuple(normalized_shape)
    if shape != input.shape[-1:]:
        raise UserError(f"layer_norm must be over the last dimension, {input.shape[-1:]}, not "
                        f"{shape}")
    held = [np.ones(shape) if weight is None else constant(weight),
            np.zeros(shape) if bias is None else constant(bias)]
    return input.made(compute.matrix(input.trace, input.ids, lambda value: layer_norm(
        input.trace.builder, value, eps, held)))


@op("embedding")
def _embedding(input: Symbol, weight, padding_idx=None, max_norm=None, norm_type=2.0,
               scale_grad_by_freq=False, sparse=False):
    table = constant(weight)
    if max_norm is not None or table is None or table.ndim != 2:
        raise UserError("an embedding must have a constant table (rows, features), and no max_norm")
    whole, back = input.trace.split(input.ids, 0)
    value = embedding(input.trace.builder, input.trace.read(whole, ""), table)
    made = input.trace.layer(value)
    return input.made(back(made.reshape(*whole.shape, table.shape[1])))


# ---- over timesteps ------------------------------------------------------------------------------

def sequence_last(x: Symbol, layer: Callable, origin: str = "") -> Symbol:
    """``layer`` of (builder, value (timesteps, features)), for a tensor that has its timesteps in
    the last dimension and its features in the one before: torch's way with convolutions."""
    if x.ids.ndim not in (2, 3):
        raise UserError(f"takes a tensor (batch, channels, timesteps), not {x.shown}: put the "
                        "channels second, x.permute(0, 2, 1)")
    whole, back = x.trace.split(x.ids, 2)
    if math.prod(whole.shape[1:-2]) > 1:
        raise BatchAxisError(f"a tensor of the shape {x.shown} holds several sequences of each "
                             "sample: a convolution or pooling takes (batch, channels, timesteps)")
    rows = whole.reshape(len(whole), *whole.shape[-2:]).swapaxes(1, 2)
    new = x.trace.layer(layer(x.trace.builder, x.trace.read(rows, origin))).swapaxes(1, 2)
    return x.made(back(new.reshape(*whole.shape[:-2], *new.shape[1:])))


#: Ways to pad under torch's names, and NumPy's.
_PADS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@op("pad")
def _pad(input: Symbol, pad, mode="constant", value=None):
    if mode not in _PADS or mode == "constant" and value or min(pad) < 0:
        raise UserError("padding: pad must be 0 or more, of zeros or by reflect, replicate or "
                        f"circular, not {list(pad)} of {value or 0} by {quoted(mode)}: pad on the "
                        "host")
    widths = [(0, 0)] * input.ids.ndim
    for n in range(len(pad) // 2):
        widths[-1 - n] = (pad[2 * n], pad[2 * n + 1])
    if mode != "constant":
        return input.made(np.pad(input.ids, widths, _PADS[mode]))  # type: ignore[call-overload]
    new = np.pad(np.zeros(input.shape, bool), widths, constant_values=True)
    ids = np.pad(input.ids, widths)
    ids[new] = input.trace.zeros((int(new.sum()),))
    return input.made(ids)


def _pooled(x: Symbol, mode: str, *, kernel, stride=None, padding=0, dilation=1, ceil=False,
            count_padding=True) -> Symbol:
    """Max or average pooling (``mode``) over the last dimension."""
    numbers = {what: _one(what, n) for what, n in (
        ("kernel", kernel), ("stride", stride or None), ("padding", padding),
        ("dilation", dilation))}

    def layer(builder, value: int) -> int:
        window = layers.padded_window("pooling", builder.shapes[value][0], ceil=ceil,
                                      **numbers)
        if 2 * window.left > window.size:
            raise UserError(f"pooling: padding must be at most half the kernel ({window.size}), "
                            f"not {window.left}")
        if mode == "max":
            return builder.max_pool(value, window)
        return builder.average_pool(value, window, count_padding=count_padding)

    return sequence_last(x, layer)


def _one(what: str, n: Any) -> Any:
    """torch writes a single number also as a sequence of one."""
    if isinstance(n, tuple | list):
        if len(n) != 1:
            raise UserError(f"{what} must be one number, not {list(n)}")
        return n[0]
    return n


@op("max_pool1d_with_indices", "adaptive_max_pool1d_with_indices")
def _indices(*_, **__):
    raise UserError("return_indices is not built: only the largest values are")


@op("max_pool1d")
def _max_pool1d(input: Symbol, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                return_indices=False):
    if return_indices:
        _indices()
    return _pooled(input, "max", kernel=kernel_size, stride=stride, padding=padding,
                   dilation=dilation, ceil=ceil_mode)


@op("avg_pool1d")
def _avg_pool1d(input: Symbol, kernel_size, stride=None, padding=0, ceil_mode=False,
                count_include_pad=True):
    return _pooled(input, "average", kernel=kernel_size, stride=stride, padding=padding,
                   ceil=ceil_mode, count_padding=count_include_pad)


def _adaptive(mode: str) -> Callable:
    def pool(input: Symbol, output_size, return_indices=False):
        size, steps = _one("output_size", output_size), input.shape[-1]
        if return_indices:
            _indices()
        if not isinstance(size, int) or size < 1 or steps % size:
            raise UserError(f"adaptive pooling: output_size must divide the {steps} timesteps, not "
                            f"{size}: choose another size")
        return _pooled(input, mode, kernel=steps // size)
    return pool


op("adaptive_avg_pool1d")(_adaptive("average"))
op("adaptive_max_pool1d")(_adaptive("max"))


def _reduced(input: Symbol, dim, keepdim: bool, average: bool) -> Symbol:
    if dim is None:
        raise UserError("over all dimensions it mixes the samples of a batch: name its dimensions, "
                        "x.mean(dim=1)")
    axes = tuple(sorted(input.dim(n) for n in ([dim] if isinstance(dim, int) else dim)))
    ids = compute.reduced(input.trace, input.ids, axes, average)
    return input.made(ids if keepdim else np.squeeze(ids, axes))


@op("mean")
def _mean(input: Symbol, dim=None, keepdim=False):
    return _reduced(input, dim, keepdim, True)


@op("amax")
def _amax(input: Symbol, dim=None, keepdim=False):
    return _reduced(input, dim, keepdim, False)


class _Largest(NamedTuple):
    values: Symbol
    indices: None  # which cannot be used further


@op("max")
def _max(input: Symbol, dim=None, keepdim=False):
    if dim is None or isinstance(dim, Symbol):
        raise UserError("max is built over one dimension of one tensor: x.max(dim=1)")
    return _Largest(_reduced(input, dim, keepdim, False), None)
