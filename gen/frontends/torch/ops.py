"""torch's functions and tensor methods on :class:`~.symbol.Symbol`, by name.

Those that compute are in :mod:`.math`, those that move elements in :mod:`.moves`. ``relu`` is
torch.relu, torch.nn.functional.relu and Tensor.relu alike. A function here takes what torch's
takes, under torch's names, and nothing else: an argument that it does not name is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.elements.trace import TraceError
from gatefold.gen.frontends.torch.symbol import Symbol

__all__ = ["OPERATIONS", "constant", "op", "operate"]

#: By torch's name: the function that does the same to symbols.
OPERATIONS: dict[str, Callable] = {}

_REMEDY = ("compute it with the layers of torch.nn that are built (docs/layers.md), or leave it to "
           "the host")


def operate(name: str, args: Sequence, kwargs: dict) -> Any:
    """The result of torch's function or method ``name``; :class:`UserError` for an unknown one."""
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
    except UserError as error:
        kind = type(error) if isinstance(error, TraceError) else UserError
        text = str(error)
        raise kind(text if name in text else f"{name}: {text}") from None


def constant(value: object) -> np.ndarray | None:
    """A number or a torch tensor as float64; None for anything else."""
    if isinstance(value, bool | int | float):
        return np.asarray(value, np.float64)
    if hasattr(value, "detach") and not isinstance(value, Symbol):
        return np.asarray(value.detach().cpu().double().numpy())  # pyright: ignore
    return None


def op(*names: str) -> Callable:
    """Decorator: the function does to symbols what torch's functions ``names`` do to tensors."""
    def keep(function: Callable) -> Callable:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function
    return keep


@op("contiguous", "clone", "detach", "float", "double", "cpu", "cuda", "requires_grad_", "alias",
     "type_as")
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
