"""torch's functions and tensor methods on :class:`~.symbol.Symbol`, by name: those that move
elements. Those that compute are in :mod:`.math`.

``relu`` is torch.relu, torch.nn.functional.relu and Tensor.relu alike. A function here takes what
torch's takes, under torch's names, and nothing else: an argument that it does not name is refused.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.torch.symbol import BatchElsewhere, Symbol, concatenated

__all__ = ["OPERATIONS", "constant", "op", "operate"]

#: By torch's name: what it does to symbols.
OPERATIONS: dict[str, Callable] = {}

_REMEDY = ("compute it with the layers of torch.nn that are built (docs/layers.md), or leave it to "
           "the host")


def operate(name: str, args: Sequence, kwargs: dict) -> Any:
    """What torch's function or method ``name`` gives; :class:`UserError` for one not known."""
    function = OPERATIONS.get(name)
    if function is None:
        raise UserError(f"forward() uses {name}, which is not built: {_REMEDY}")
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise UserError(f"forward() calls {name} in a way that is not read ({quoted(error)}): "
                        "leave the argument out, or export the model to ONNX") from None
    try:
        return function(*bound.args, **bound.kwargs)
    except BatchElsewhere:
        raise
    except UserError as error:
        text = str(error)
        raise UserError(text if name in text else f"{name}: {text}") from None


def constant(value: object) -> np.ndarray | None:
    """A number or a torch tensor as float64; None for anything else."""
    if isinstance(value, bool | int | float):
        return np.asarray(value, np.float64)
    if hasattr(value, "detach") and not isinstance(value, Symbol):
        return np.asarray(value.detach().cpu().double().numpy())  # pyright: ignore
    return None


def op(*names: str) -> Callable:
    """Decorator: what torch's functions of these ``names`` do to symbols."""
    def keep(function: Callable) -> Callable:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function
    return keep


def _listed(first: Any, rest: tuple) -> list:
    """Sizes or dimensions given one by one or as one sequence."""
    return list(first) if isinstance(first, Iterable) else [first, *rest]


# ---- what changes nothing ------------------------------------------------------------------------

@op("contiguous", "clone", "detach", "float", "double", "cpu", "cuda", "requires_grad_", "alias",
     "type_as", "identity")
def _same(input: Symbol, *_):
    return input


@op("to")
def _to(input: Symbol, *what, device=None, dtype=None, non_blocking=False, copy=False):
    for kind in (*what, dtype):
        floating = getattr(kind, "is_floating_point", True)
        if not (floating() if callable(floating) else floating) or getattr(kind, "itemsize", 4) < 4:
            raise UserError(f"to({kind}) rounds, which is not built: keep float32")
    return input


@op("dropout", "alpha_dropout", "feature_dropout", "dropout1d", "feature_alpha_dropout")
def _dropout(input: Symbol, p=0.5, training=True, inplace=False):
    if training and p:
        raise UserError("dropout is called with training=True, which drops at inference too: pass "
                        "training=self.training, and call model.eval()")
    return input


# ---- sizes ---------------------------------------------------------------------------------------

@op("size")
def _size(input: Symbol, dim=None):
    return input.shape if dim is None else input.shape[input.dim(dim)]


@op("dim", "ndimension")
def _ndim(input: Symbol):
    return len(input.dims)


@op("numel", "nelement")
def _numel(input: Symbol):
    return math.prod(input.shape)


# ---- moves ---------------------------------------------------------------------------------------

@op("permute")
def _permute(input: Symbol, dims, *rest):
    return input.permuted(_listed(dims, rest))


@op("transpose", "swapaxes", "swapdims")
def _transpose(input: Symbol, dim0, dim1):
    return input.swapped(dim0, dim1)


@op("t")
def _t(input: Symbol):
    if len(input.dims) > 2:
        raise UserError(f"t() takes at most 2 dimensions, not {input.told}: use transpose")
    return input.permuted(range(len(input.dims))[::-1])


@op("movedim", "moveaxis")
def _movedim(input: Symbol, source, destination):
    order = list(range(len(input.dims)))
    order.remove(input.dim(source))
    order.insert(input.dim(destination), input.dim(source))
    return input.permuted(order)


@op("reshape", "view")
def _reshape(input: Symbol, shape, *rest):
    return input.reshaped(*_listed(shape, rest))


@op("reshape_as", "view_as")
def _reshape_as(input: Symbol, other: Symbol):
    return input.reshaped(*other.shape)


@op("flatten")
def _flatten(input: Symbol, start_dim=0, end_dim=-1):
    first, last = input.dim(start_dim), input.dim(end_dim)
    middle = math.prod(input.shape[first:last + 1])
    return input.reshaped(*input.shape[:first], middle, *input.shape[last + 1:])


@op("unflatten")
def _unflatten(input: Symbol, dim, sizes):
    n = input.dim(dim)
    sizes = [input.shape[n] // -math.prod(sizes) if size == -1 else size for size in sizes]
    return input.reshaped(*input.shape[:n], *sizes, *input.shape[n + 1:])


@op("squeeze")
def _squeeze(input: Symbol, dim=None):
    return input.squeezed(*([] if dim is None else _listed(dim, ())))


@op("unsqueeze")
def _unsqueeze(input: Symbol, dim):
    return input.unsqueezed(dim)


@op("expand")
def _expand(input: Symbol, size, *rest):
    return input.expanded(*_listed(size, rest))


@op("expand_as")
def _expand_as(input: Symbol, other: Symbol):
    return input.expanded(*other.shape)


@op("repeat")
def _repeat(input: Symbol, repeats, *rest):
    counts = _listed(repeats, rest)
    padded = [1] * (len(counts) - len(input.dims)) + list(input.shape)
    if any(count != 1 and size != 1 for count, size in zip(counts, padded, strict=False)):
        raise UserError(f"repeat({counts}) of a tensor of the shape {input.told}: only a dimension "
                        "of size 1 can be repeated")
    return input.expanded(*(a * b for a, b in zip(counts, padded, strict=True)))


@op("repeat_interleave")
def _repeat_interleave(input: Symbol, repeats, dim):
    counts = [1] * len(input.dims)
    counts[input.dim(dim)] = repeats
    return _repeat(input, counts)


@op("getitem")
def _getitem(input: Any, index: Any):
    if not isinstance(input, Symbol):
        return input[index]
    keys = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [key for key in keys if not isinstance(key, Symbol)]:
        place = keys.index(Ellipsis)
        used = sum(key is not None for key in keys) - 1
        keys[place:place + 1] = [slice(None)] * (len(input.dims) - used)
    n, result = 0, input
    for key in keys:
        if key is None:
            result = result.unsqueezed(n)
            n += 1
        elif isinstance(key, slice):
            result = result.sliced(n, key.start, key.stop, key.step)
            n += 1
        elif isinstance(key, int) and not isinstance(key, bool):
            result = result.selected(n, key)
        else:
            raise UserError(f"a tensor is indexed with {type(key).__name__}: only numbers, slices, "
                            "None and ... are read")
    return result


@op("select")
def _select(input: Symbol, dim, index):
    return input.selected(dim, index)


@op("narrow")
def _narrow(input: Symbol, dim, start, length):
    start %= input.shape[input.dim(dim)]
    return input.sliced(dim, start, start + length, 1)


@op("split", "split_with_sizes")
def _split(tensor: Symbol, split_size_or_sections, dim=0):
    size, sections = tensor.shape[tensor.dim(dim)], split_size_or_sections
    if isinstance(sections, int):
        sections = [min(sections, size - at) for at in range(0, size, sections)]
    ends = np.cumsum([0, *sections]).tolist()
    return tuple(tensor.sliced(dim, a, b, 1) for a, b in zip(ends, ends[1:], strict=False))


@op("chunk")
def _chunk(input: Symbol, chunks, dim=0):
    return _split(input, -(-input.shape[input.dim(dim)] // chunks), dim)


@op("unbind")
def _unbind(input: Symbol, dim=0):
    return tuple(input.selected(dim, n) for n in range(input.shape[input.dim(dim)]))


@op("flip")
def _flip(input: Symbol, dims, *rest):
    for n in _listed(dims, rest):
        input = input.flipped(n)
    return input


@op("cat", "concat", "concatenate")
def _cat(tensors, dim=0):
    if not all(isinstance(tensor, Symbol) for tensor in tensors):
        raise UserError("torch.cat with a constant tensor is not built: join computed ones only")
    return concatenated(tensors, dim)


@op("stack")
def _stack(tensors, dim=0):
    first = tensors[0]
    place = dim + len(first.dims) + 1 if dim < 0 else dim
    if all(tensor is first for tensor in tensors):
        wide = first.unsqueezed(place)
        return wide.expanded(*(len(tensors) if n == place else -1 for n in range(len(wide.dims))))
    return _cat([tensor.unsqueezed(place) for tensor in tensors], place)
