"""torch's functions that only move elements: torch itself runs them, on element numbers.

So every argument has torch's meaning. No arithmetic may be done on the numbers: the functions are
listed by name, and their results are checked to be element numbers still.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.trace import MAX_TRACED, BatchAxisError
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.frontends.torch.ops import constant
from gatefold.gen.frontends.torch.symbol import Symbol

__all__ = ["MOVES", "moved"]

#: Functions of several tensors.
_JOINS = frozenset(("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack",
                    "column_stack"))
#: Functions of one tensor, and of another's shape.
_LIKE = frozenset(("expand_as", "reshape_as", "view_as"))
#: By the name of torch's function or method. Those of one tensor may also return its size.
MOVES = _JOINS | _LIKE | frozenset((
    "size", "dim", "ndimension", "numel", "nelement", "permute", "transpose", "swapaxes",
    "swapdims", "t", "movedim", "moveaxis", "reshape", "view", "flatten", "ravel", "unflatten",
    "squeeze", "unsqueeze", "expand", "broadcast_to", "repeat", "tile", "repeat_interleave",
    "getitem", "select", "narrow", "split", "split_with_sizes", "tensor_split", "chunk", "unbind",
    "flip", "fliplr", "flipud", "roll", "rot90", "index_select", "take_along_dim", "unfold",
    "diagonal"))


def moved(name: str, function: Callable | str, args: Sequence, kwargs: dict) -> Any:
    """The result of torch's ``function`` (a method, if a string), whose name is ``name``.

    Raises :class:`UserError` where it takes its indices from symbols or puts constants other than
    zero beside them, and :class:`BatchAxisError` where torch refuses the arguments: the batch may
    be another dimension.
    """
    call = getattr(torch.Tensor, function) if isinstance(function, str) else function
    given = [*args, *kwargs.values()]
    symbols = _symbols(given)
    first = symbols[0]
    if name in _JOINS:
        given[0] = [_zeros(first, one) for one in given[0]]
    elif given[0] is not first or len(symbols) > 1 and name not in _LIKE:
        raise UserError(f"{name} takes a shape or an index from computed values: use one that is "
                        "the same for every input")
    given = _numbers(given)
    try:
        result = call(*given[:len(args)], **dict(zip(kwargs, given[len(args):], strict=True)))
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        shapes = ", ".join(one.shown for one in symbols)
        raise BatchAxisError(
            f"{name} of a tensor of the shape {shapes}, the batch counted as {first.trace.batch}: "
            f"{str(error).splitlines()[0][:200]}: take sizes from x.size() and keep the batch a "
            "dimension of its own") from None
    return _named(name, first, result)


def _symbols(value: Any) -> list[Symbol]:
    if isinstance(value, Symbol):
        return [value]
    return [one for part in value for one in _symbols(part)] if isinstance(
        value, tuple | list) else []


def _zeros(like: Symbol, value: Any) -> Symbol:
    """A tensor that is joined with symbols: one itself, or constant zeros."""
    if isinstance(value, Symbol):
        return value
    known = constant(value)
    if known is None or known.any():
        raise UserError("computed tensors are joined with a constant other than zero, which is not "
                        "built: join computed ones, or add a constant to them")
    return like.made(like.trace.zeros(known.shape))


def _numbers(value: Any) -> Any:
    if isinstance(value, Symbol):
        return torch.from_numpy(np.ascontiguousarray(value.ids))
    return type(value)(map(_numbers, value)) if type(value) in (tuple, list) else value


def _named(name: str, first: Symbol, result: Any) -> Any:
    """Symbols for the tensors in a result; sizes as they are."""
    if isinstance(result, tuple | list) and not isinstance(result, torch.Size):
        return tuple(_named(name, first, one) for one in result)
    if not isinstance(result, torch.Tensor):
        return result
    if result.dtype != torch.int64:
        raise UserError(f"{name} changes the type of a tensor, which is not built: keep float32")
    if not result.numel():
        raise UserError(f"{name} of a tensor of the shape {first.shown} is empty: check its bounds")
    check_elements(f"{name}()", result.shape, MAX_TRACED)
    return first.made(result.numpy())
