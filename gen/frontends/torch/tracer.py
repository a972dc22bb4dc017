"""torch.fx, computing with symbols at once instead of recording a graph.

This module and :mod:`.moves` are the only ones that import torch, and only
:func:`~.live.from_torch` imports them, for a module that exists already.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.torch.modules import Leaf
from gatefold.gen.frontends.torch.moves import MOVES, moved
from gatefold.gen.frontends.torch.ops import operate
from gatefold.gen.frontends.torch.symbol import Symbol

__all__ = ["run", "version"]

version: str = torch.__version__


def run(module: Any, symbols: list[Symbol]) -> Any:
    """What ``module`` returns for the ``symbols``: symbols, in tuples and lists as it returns them.

    Raises :class:`UserError` for unsupported operations, and for an error that forward() raises.
    """
    tracer = _Tracer(module)
    found = []

    class Root(torch.nn.Module):
        def forward(self):
            found.append(module(*(_Proxy(symbol, tracer) for symbol in symbols)))

    try:
        tracer.trace(Root())
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"forward() of {type(module).__name__} cannot be read, it raised "
                        f"{type(error).__name__}: {str(error)[:200]}: leave out what needs the "
                        "tensors' values, or export the model to ONNX") from error
    return _unwrapped(found[0])


class _Proxy(fx.Proxy):
    """The stand-in for a symbol that forward() sees; its shape is known, its elements are not."""

    def __init__(self, symbol: Symbol, tracer: _Tracer):
        super().__init__(None, tracer)  # pyright: ignore[reportArgumentType]
        self.symbol = symbol

    shape = property(lambda self: torch.Size(self.symbol.read_shape()))
    ndim = property(lambda self: self.symbol.ids.ndim)
    device = property(lambda self: self.tracer.device)
    dtype = property(lambda self: torch.get_default_dtype())
    data = property(lambda self: self)
    T = property(lambda self: self.permute(*reversed(range(self.ndim))))
    mT = property(lambda self: self.transpose(-2, -1))
    is_cuda = requires_grad = False

    def __len__(self):
        return self.symbol.read_shape()[0]

    def __iter__(self):
        return (self[n] for n in range(len(self)))

    def __bool__(self):
        raise UserError("forward() decides by a computed value: decide by one that is the same for "
                        "every input, such as a shape")

    def __iadd__(self, other):
        return self.add_(other)

    def __isub__(self, other):
        return self.sub_(other)

    def __imul__(self, other):
        return self.mul_(other)

    def __itruediv__(self, other):
        return self.div_(other)

    def __setitem__(self, index, value):
        raise UserError("forward() writes into a tensor (x[...] = y), which is not built: join the "
                        "parts with torch.cat")


class _Tracer(fx.Tracer):
    """Hands what forward() does with proxies to our own functions."""

    def __init__(self, module: Any):
        super().__init__()
        self.names = {layer: name for name, layer in module.named_modules()}
        self.device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self.overwritten = np.zeros(0, np.int64)  # elements that torch would have changed since

    def getattr(self, attr, attr_val, parameter_proxy_cache):
        return attr_val  # parameters are read as they are

    def create_proxy(self, kind, target, args, kwargs, *_, **__):
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        if name in _CONSTANTS:
            return _CONSTANTS[name](*args)
        if name in _SIZES:
            args[0].symbol.read_shape()
        if name in MOVES:  # a tensor that is only moved is checked when it is used
            return self._wrapped(moved(name, target, *_unwrapped((args, kwargs), False)))
        given = _unwrapped(args)
        result = operate(name, given, _unwrapped(kwargs))
        if kwargs.get("inplace") or (name.endswith("_") and name != "requires_grad_"):
            self._overwrite(given[0], result)
        return self._wrapped(result)

    def call_module(self, m, forward, args, kwargs):
        leaf = Leaf(m, self.names.get(m) or type(m).__name__)
        if m._forward_hooks or m._forward_pre_hooks:
            raise leaf.refuse("has hooks that may change what it computes: remove them "
                              "(weight_norm: torch.nn.utils.remove_weight_norm)")
        if leaf.kind in ("", "Sequential"):  # the user's own, or a container
            return forward(*args, **kwargs)
        given = _unwrapped(args)
        result = leaf(*given, **_unwrapped(kwargs))
        return forward(*args, **kwargs) if result is None else self._wrapped(result)

    def _overwrite(self, before: Any, after: Any) -> None:
        # Numbers never change here: in place, torch's old tensor and all views of it would.
        if isinstance(before, Symbol) and not np.array_equal(before.ids, after.ids):
            self.overwritten = np.union1d(self.overwritten, before.ids)

    def check(self, symbol: Symbol) -> Symbol:
        """``symbol``, unless torch would have changed its elements in the meantime."""
        if self.overwritten.size and np.isin(symbol.ids, self.overwritten).any():
            raise UserError("forward() reads a tensor that was changed in place (inplace=True, +=, "
                            "relu_) after that: use the result instead, or not in place")
        return symbol

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, Symbol):
            return _Proxy(result, self)
        if isinstance(result, tuple):
            inside = tuple(self._wrapped(one) for one in result)
            if hasattr(result, "_fields"):  # x.max(dim=1).values
                return type(result)(*inside)
            sizes = inside and all(isinstance(one, int) for one in inside)
            return torch.Size(inside) if sizes else inside
        return result


def _zeros(proxy: _Proxy, *_) -> torch.Tensor:
    return torch.zeros(proxy.shape)


def _new_zeros(_: _Proxy, *size) -> torch.Tensor:
    return torch.zeros(*size)


#: Functions whose result is a size.
_SIZES = ("size", "numel", "nelement")
#: Functions whose result is a constant, whatever the values.
_CONSTANTS: dict[str, Callable] = {"zeros_like": _zeros, "new_zeros": _new_zeros}


def _unwrapped(value: Any, check: bool = True) -> Any:
    if isinstance(value, _Proxy):
        return value.tracer.check(value.symbol) if check else value.symbol
    if type(value) in (tuple, list):
        return type(value)(_unwrapped(one, check) for one in value)
    if isinstance(value, dict):
        return {key: _unwrapped(one, check) for key, one in value.items()}
    return value
