"""Activations that are put together of those that layers have.

The rewrites are exact: LeakyReLU is relu(x) and x, weighted; SiLU is x sigmoid(x). Where
exponentials are needed, one of the functions of :data:`~gatefold.gen.network.layer.CURVES` gives
them, each of which has a table in hardware: elu(x) is relu(x) + expm1(min(x, 0)).

A function here works on anything that can be scaled, activated, added and multiplied: on values of
the network (:class:`Values`), and on element numbers (:class:`~.elements.compute.Elements`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Builder

__all__ = ["COMPOSED", "Algebra", "Values", "composed"]

#: Of SELU (Klambauer et al. 2017): the outer and the inner factor.
_SELU = (1.0507009873554805, 1.6732632423543772)


class Algebra(Protocol):
    """What the rewrites need of a network that is being read."""

    def scaled(self, x: Any, gain, offset) -> Any:
        """gain x + offset, of numbers or of arrays that broadcast with x."""

    def activated(self, x: Any, kind: str) -> Any:
        """An activation that a Dense layer can have."""

    def added(self, xs: Sequence[Any], gains: Sequence[float]) -> Any:
        """The sum of values of one shape, each times its gain."""

    def multiplied(self, a: Any, b: Any) -> Any:
        """The product, element by element."""


@dataclass(frozen=True)
class Values:
    """The algebra on numbers of values; ``origin`` names the layer."""

    builder: Builder
    origin: str = ""

    def scaled(self, x: int, gain, offset) -> int:
        """See :class:`Algebra`; arrays are one number a feature."""
        features = (self.builder.shapes[x][-1],)
        gain, offset = (np.broadcast_to(np.asarray(one, np.float64), features)
                        for one in (gain, offset))
        return self.builder.scale(x, gain, offset, origin=self.origin)

    def activated(self, x: int, kind: str) -> int:
        """See :class:`Algebra`."""
        return self.builder.activation(x, kind, origin=self.origin)

    def added(self, xs: Sequence[int], gains: Sequence[float]) -> int:
        """See :class:`Algebra`."""
        return self.builder.add_values(xs, gains, origin=self.origin)

    def multiplied(self, a: int, b: int) -> int:
        """See :class:`Algebra`."""
        return self.builder.multiply(a, b, origin=self.origin)


def composed(of: Algebra, x: Any, kind: str, **options: Any) -> Any:
    """The activation ``kind`` of x: one of :data:`COMPOSED`, or one that a Dense layer has.

    Raises :class:`UserError` for an unknown one, and for options that are no finite numbers.
    """
    for name, option in options.items():
        if not isinstance(option, str) and np.isnan(np.asarray(option, np.float64)).any():
            raise UserError(f"{kind}: {name} must be a number, not {quoted(option)[1:-1]}")
    if kind in COMPOSED:
        return COMPOSED[kind](of, x, **options)
    return of.activated(x, kind)


def _leaky(of: Algebra, x: Any, alpha: Any = 0.01) -> Any:
    """x where x >= 0, alpha x elsewhere; ``alpha``, a number or an array (PReLU)."""
    above = of.activated(x, "relu")
    if np.ndim(alpha) == 0:
        return of.added((above, x), (1 - float(alpha), float(alpha)))
    alpha = np.asarray(alpha, np.float64)
    return of.added((of.scaled(above, 1 - alpha, 0.0), of.scaled(x, alpha, 0.0)), (1.0, 1.0))


def _clip(of: Algebra, x: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """min(max(x, low), high); an infinite bound is none."""
    if not low < high:
        raise UserError(f"clipping needs a lower and a higher bound, not {low:g} and {high:g}")
    if low == -math.inf and high == math.inf:
        return x
    if high == math.inf:
        return x if low == -math.inf else _moved(of, _above(of, x, low), 1.0, low)
    if low == -math.inf:
        return _moved(of, of.activated(_moved(of, x, -1.0, high), "relu"), -1.0, high)
    middle, half = (low + high) / 2, (high - low) / 2
    return _moved(of, of.activated(_moved(of, x, 1 / half, -middle / half), "hard_tanh"), half,
                  middle)


def _above(of: Algebra, x: Any, low: float) -> Any:
    return of.activated(_moved(of, x, 1.0, -low), "relu")


def _moved(of: Algebra, x: Any, gain: float, offset: float) -> Any:
    return x if (gain, offset) == (1.0, 0.0) else of.scaled(x, gain, offset)


def _elu(of: Algebra, x: Any, alpha: float = 1.0) -> Any:
    return of.added((of.activated(x, "relu"), of.activated(x, "expm1")), (1.0, alpha))


def _selu(of: Algebra, x: Any, alpha: float = _SELU[1], gamma: float = _SELU[0]) -> Any:
    return of.added((of.activated(x, "relu"), of.activated(x, "expm1")), (gamma, gamma * alpha))


def _celu(of: Algebra, x: Any, alpha: float = 1.0) -> Any:
    if not alpha > 0:
        raise UserError(f"celu: alpha must be positive, not {alpha:g}")
    below = of.activated(_moved(of, x, 1 / alpha, 0.0), "expm1")
    return of.added((of.activated(x, "relu"), below), (1.0, alpha))


def _softplus(of: Algebra, x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta = relu(x) + log(1 + exp(-|beta x|)) / beta."""
    if not beta > 0:
        raise UserError(f"softplus: beta must be positive, not {beta:g}")
    rest = of.activated(_moved(of, x, beta, 0.0), "log1pexp")
    return of.added((of.activated(x, "relu"), rest), (1.0, 1 / beta))


def _log_sigmoid(of: Algebra, x: Any) -> Any:
    """-softplus(-x)."""
    below = of.activated(of.scaled(x, -1.0, 0.0), "relu")
    return of.added((below, of.activated(x, "log1pexp")), (-1.0, -1.0))


def _mish(of: Algebra, x: Any) -> Any:
    return of.multiplied(x, of.activated(_softplus(of, x), "tanh"))


def _silu(of: Algebra, x: Any, beta: float = 1.0) -> Any:
    """x sigmoid(beta x): swish."""
    return of.multiplied(x, of.activated(_moved(of, x, beta, 0.0), "sigmoid"))


def _hard_silu(of: Algebra, x: Any) -> Any:
    """x clip(x / 6 + 1/2, 0, 1)."""
    return of.multiplied(x, _clip(of, of.scaled(x, 1 / 6, 0.5), 0.0, 1.0))


def _gelu(of: Algebra, x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function (Hendrycks and Gimpel 2016); ``approximate`` tanh:
    the formula with a tanh."""
    if approximate == "tanh":
        factor = math.sqrt(2 / math.pi)
        inner = of.multiplied(x, of.scaled(of.multiplied(x, x), 0.044715 * factor, factor))
        share = of.activated(inner, "tanh")
    elif approximate == "none":
        share = of.activated(of.scaled(x, math.sqrt(0.5), 0.0), "erf")
    else:
        raise UserError(f"gelu: approximate must be none or tanh, not {quoted(approximate)}")
    return of.multiplied(x, of.scaled(share, 0.5, 0.5))


def _softsign(of: Algebra, x: Any) -> Any:
    """x / (1 + |x|)."""
    parts = [of.activated(x, kind) for kind in ("softsign", "softsign_tail")]
    return of.added(parts, (1.0, 1.0))


def _abs(of: Algebra, x: Any) -> Any:
    return of.added((of.activated(x, "relu"), x), (2.0, -1.0))


#: Every activation that is put together of others.
COMPOSED: dict[str, Callable] = {
    "leaky_relu": _leaky, "clip": _clip, "relu6": lambda of, x: _clip(of, x, 0.0, 6.0),
    "elu": _elu, "selu": _selu, "celu": _celu, "softplus": _softplus, "log_sigmoid": _log_sigmoid,
    "mish": _mish, "silu": _silu, "hard_silu": _hard_silu, "gelu": _gelu, "abs": _abs,
    "softsign": _softsign,
}
