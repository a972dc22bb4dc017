"""One use of a Keras layer, as its reader gets it: its configuration, weights and arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.keras.settings import Settings, shown
from gatefold.gen.frontends.keras.weights import Weights
from gatefold.gen.network.graph import Shape

__all__ = ["Call", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """A value of the network among the arguments of a call."""

    value: int


@dataclass
class Call:
    """One use of a layer.

    Attributes: ``args``, of :class:`Tensor`, arrays, numbers, slices and lists of those; ``lead``,
    how many of its inputs' axes are a batch to it (TimeDistributed makes one).
    """

    builder: Builder
    settings: Settings
    weights: Weights
    args: list
    lead: int = 0

    @property
    def where(self) -> str:
        """The layer in messages."""
        return self.settings.where

    @property
    def origin(self) -> str:
        """The layer's name in the file."""
        return self.settings.origin

    @property
    def values(self) -> list[int]:
        """The values that it is called with; raises UserError for any other argument."""
        given = self.args[0] if len(self.args) == 1 else self.args
        given = given if isinstance(given, list) else [given]
        for one in given:
            if not isinstance(one, Tensor):
                raise UserError(f"{self.where} is called with {shown(one)}: call it with outputs "
                                "of layers alone")
        return [one.value for one in given]

    @property
    def x(self) -> int:
        """The one value that it is called with."""
        values = self.values
        if len(values) != 1:
            raise UserError(f"{self.where} must have one input, not {len(values)}: the layer "
                            "before it gives several, or it is called with them")
        return values[0]

    @property
    def shape(self) -> Shape:
        """Shape of the one value, without the axes that are a batch to the layer."""
        return self.builder.shapes[self.x][self.lead:]

    def sequence(self) -> tuple[int, int]:
        """Its shape, which must be (timesteps, features)."""
        if len(self.shape) != 2:
            raise UserError(f"{self.where} takes (timesteps, features), but its input has the "
                            f"shape {self.shape}: put return_sequences, RepeatVector or Reshape "
                            "before it")
        return self.shape

    def whole(self, what: str) -> None:
        """Refuse a TimeDistributed around the layer."""
        if self.lead:
            raise UserError(f"{self.where} cannot be wrapped in a TimeDistributed: {what}: call "
                            "the layer itself on (timesteps, features)")

    def axis(self, key: str, default: int) -> int:
        """Take the number of an axis of the one value, the batch being 0, as one of ours."""
        value = self.settings.take(key, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        rank = len(self.builder.shapes[self.values[0]]) - self.lead
        if type(value) is not int or not (1 <= value <= rank or -rank <= value <= -1):
            raise UserError(f"{self.where}: {key} must be in 1..{rank}, or -1, not {shown(value)}: "
                            "the batch can not be joined")
        return self.lead + (value - 1 if value > 0 else rank + value)

    def last_axis(self, key: str) -> None:
        """Take the number of an axis, which must be the last."""
        rank = len(self.shape)
        if self.axis(key, -1) != self.lead + rank - 1:
            raise UserError(f"{self.where}: {key} must be -1, the features: put a Permute around "
                            "it")

    def arrays(self, shapes: dict[str, Shape], use_bias: bool, outputs: int) -> list[np.ndarray]:
        """Its weights of these names and shapes, then a bias (outputs,), zero without one."""
        named = shapes | ({"bias": (outputs,)} if use_bias else {})
        arrays = self.weights.arrays(self.where, named)
        return arrays if use_bias else [*arrays, np.zeros(outputs, np.float32)]

    def refuse(self, what: str) -> UserError:
        """An error about this layer."""
        return UserError(f"{self.where}: {what}")
