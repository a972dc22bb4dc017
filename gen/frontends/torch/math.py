"""torch's functions that compute, on :class:`~.symbol.Symbol`, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.torch import layers
from gatefold.gen.frontends.torch.ops import OPERATIONS, constant, op
from gatefold.gen.frontends.torch.symbol import Symbol, combined
from gatefold.gen.network.graph import Pad

__all__ = ["pooled", "sequence_last"]


# ---- arithmetic ----------------------------------------------------------------------------------

def _scaled(x: Symbol, gain, offset) -> Symbol:
    """gain x + offset with constants: numbers, or arrays that vary along one dimension."""
    gain, offset = np.asarray(gain, np.float64), np.asarray(offset, np.float64)
    shape = np.broadcast_shapes(gain.shape, offset.shape)
    along = [n for n in range(len(shape)) if shape[n] > 1]
    place = along[0] - len(shape) if along else -1
    if len(along) > 1 or -place > len(x.dims) or (
            along and shape[place] != x.shape[place]):
        raise UserError(f"a constant of the shape {shape} and a tensor of the shape {x.told}: a "
                        "constant may vary along one dimension, which both must have")
    if along:
        x = x.featured(place)
    features = x.sizes[-1]
    check_elements("a constant", (features, features))
    return x.computed(lambda value: x.builder.scale(
        value, *(np.broadcast_to(a.reshape(-1), (features,)) for a in (gain, offset))))


def _pair(a: Any, b: Any) -> tuple[Symbol, Any]:
    """The two with a symbol first, and what the other is: a symbol or a constant array."""
    if not isinstance(a, Symbol):
        a, b = b, a
    other = b if isinstance(b, Symbol) else constant(b)
    if other is None:
        raise UserError(f"a tensor and a {type(b).__name__} are combined: only numbers and tensors "
                        "can be")
    return a, other


@op("add", "add_")
def _add(input, other, alpha=1):
    if isinstance(input, Symbol) and isinstance(other, Symbol):
        return combined([input, other], lambda values: input.builder.add_values(
            values, (1.0, float(alpha))))
    x, known = _pair(input, other)
    if x is input:
        return _scaled(x, 1.0, known * alpha)
    return _scaled(x, float(alpha), known)


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
    if isinstance(input, Symbol) and isinstance(other, Symbol):
        return combined([input, other], lambda values: input.builder.multiply(*values))
    x, known = _pair(input, other)
    return _scaled(x, known, 0.0)


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
    x = input.featured(-1)
    return x.computed(lambda value: x.builder.dense(value, w=w, b=b))


@op("linear")
def _linear(input, weight, bias=None):
    return _matmul(input, weight, bias, transposed=True)


# ---- activations ---------------------------------------------------------------------------------

def _activation(kind: str) -> Callable:
    def apply(input: Symbol, inplace=False):
        return input.computed(lambda value: input.builder.activation(value, kind))
    return apply


for _kind in ("relu", "sigmoid", "tanh"):
    op(_kind, f"{_kind}_")(_activation(_kind))


def _clip(input: Symbol, low: float, high: float, **line) -> Symbol:
    return input.computed(lambda value: layers.clipped(
        input.builder, value, float(low), float(high), **line))


@op("hardsigmoid")
def _hardsigmoid(input: Symbol, inplace=False):
    return _clip(input, 0.0, 1.0, slope=1 / 6, offset=0.5)


@op("hardtanh", "hardtanh_")
def _hardtanh(input: Symbol, min_val=-1.0, max_val=1.0, inplace=False):
    return _clip(input, min_val, max_val)


@op("relu6")
def _relu6(input: Symbol, inplace=False):
    return _clip(input, 0.0, 6.0)


@op("clamp", "clip")
def _clamp(input: Symbol, min=None, max=None):
    if min == 0 and max is None:
        return OPERATIONS["relu"](input)
    if not isinstance(min, int | float) or not isinstance(max, int | float):
        raise UserError("clamp needs two numbers, or min=0 alone")
    return _clip(input, min, max)


@op("softmax")
def _softmax(input: Symbol, dim=None, _stacklevel=3, dtype=None):
    if dim is None or input.dim(dim) != len(input.dims) - 1:
        raise UserError(f"softmax must be over the last dimension (dim=-1), not dim={dim}: the "
                        "host computes it on the output")
    whole = input.whole()
    return whole.computed(whole.builder.softmax)


@op("log_softmax")
def _log_softmax(input: Symbol, dim=None, _stacklevel=3, dtype=None):
    raise UserError("log_softmax is not built: return what comes before it, the largest is the "
                    "same; or use softmax, which is left to the host")


# ---- over timesteps ------------------------------------------------------------------------------

def sequence_last(x: Symbol, layer: Callable) -> Symbol:
    """``layer`` of (builder, value (timesteps, features)), for a tensor that has its timesteps in
    the last dimension and its features in the one before: torch's way with convolutions."""
    if len(x.dims) not in (2, 3):
        raise UserError(f"takes a tensor (batch, channels, timesteps), not {x.told}: put the "
                        "channels second, x.permute(0, 2, 1)")
    value = layer(x.builder, x.arranged(-1, -2))
    return Symbol(x.builder, value, (*x.dims[:-2], (1,), (0,)))


@op("pad")
def _pad(input: Symbol, pad, mode="constant", value=None):
    left, right, *rest = pad
    if mode != "constant" or value or any(rest):
        raise UserError(f"padding: only zeros can be padded, at the ends of the last dimension, "
                        f"not {list(pad)} of {value or 0} by {quoted(mode)}: pad on the host")
    return sequence_last(input, lambda builder, x: builder.view(x, Pad, left=left, right=right))


def pooled(x: Symbol, mode: str, *, kernel, stride=None, padding=0, dilation=1, ceil=False,
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


@op("max_pool1d")
def _max_pool1d(input: Symbol, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                return_indices=False):
    if return_indices:
        raise UserError("return_indices is not built: only the largest values are")
    return pooled(input, "max", kernel=kernel_size, stride=stride, padding=padding,
                  dilation=dilation, ceil=ceil_mode)


@op("avg_pool1d")
def _avg_pool1d(input: Symbol, kernel_size, stride=None, padding=0, ceil_mode=False,
                count_include_pad=True):
    return pooled(input, "average", kernel=kernel_size, stride=stride, padding=padding,
                  ceil=ceil_mode, count_padding=count_include_pad)


def _adaptive(mode: str) -> Callable:
    def pool(input: Symbol, output_size, return_indices=False):
        size, steps = _one("output_size", output_size), input.shape[-1]
        if return_indices or not isinstance(size, int) or size < 1 or steps % size:
            raise UserError(f"adaptive pooling: output_size must divide the {steps} timesteps, and "
                            f"no indices can be returned, not {size}: choose another size")
        return pooled(input, mode, kernel=steps // size)
    return pool


op("adaptive_avg_pool1d")(_adaptive("average"))
op("adaptive_max_pool1d")(_adaptive("max"))


def _reduced(input: Symbol, dim, keepdim: bool, mode: str) -> Symbol:
    if isinstance(dim, tuple | list) and len(dim) == 1:
        dim = dim[0]
    if not isinstance(dim, int) or len(input.dims) != 3:
        raise UserError(f"over dim={dim} of a tensor of the shape {input.told}: name the timesteps "
                        "of a tensor (batch, timesteps, features), x.mean(dim=1)")
    n = input.dim(dim)
    last = input.permuted([*(m for m in range(3) if m != n), n])
    kept = pooled(last, mode, kernel=input.shape[n]).squeezed(2)
    return kept.unsqueezed(n) if keepdim else kept


@op("mean")
def _mean(input: Symbol, dim=None, keepdim=False):
    return _reduced(input, dim, keepdim, "average")


@op("amax")
def _amax(input: Symbol, dim=None, keepdim=False):
    return _reduced(input, dim, keepdim, "max")


class _Largest(NamedTuple):
    values: Symbol
    indices: None  # which cannot be used further


@op("max")
def _max(input: Symbol, dim=None, keepdim=False):
    if dim is None or isinstance(dim, Symbol):
        raise UserError("max is built over one dimension of one tensor: x.max(dim=1)")
    return _Largest(_reduced(input, dim, keepdim, "max"), None)
