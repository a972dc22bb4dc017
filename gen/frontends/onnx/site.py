"""One ONNX node, as its reader sees it: its inputs and attributes, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.frontends.onnx.proto import Attributes, NodeError

__all__ = ["Refused", "Site", "Steps", "Value"]


@dataclass(frozen=True)
class Steps(Net):
    """A quantised tensor of the network: ``ids`` name its real numbers x, and its integers are
    x / ``scale`` + ``zero``."""

    scale: float
    zero: float


@dataclass(frozen=True)
class Refused:
    """An output that must not be used, with the reason.

    ``behind``: it was not read, since it is behind a node that was refused.
    """

    reason: str
    behind: bool = False


Value = np.ndarray | Net | Refused


@dataclass(frozen=True)
class Site:
    """A node whose inputs come from the network, at least one.

    Attributes: the ``trace``, the node's ``attributes``, ``inputs`` (None where left out) and name
    ``origin``; the model's ``opset``; ``used``, which of its outputs anything reads.
    """

    trace: Trace
    attributes: Attributes
    inputs: list[np.ndarray | Net | None]
    origin: str
    opset: int
    used: tuple[bool, ...]

    def input(self, index: int) -> np.ndarray | Net | None:
        """An input, None where it was left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def uses(self, output: int) -> bool:
        """Whether anything reads this output."""
        return output < len(self.used) and self.used[output]

    def constant(self, index: int, what: str) -> np.ndarray:
        """An input that must be constant floats."""
        value = self.input(index)
        if isinstance(value, Net):
            raise NodeError(f"{what} must be constant, but the network computes it: trained "
                            "weights only are built, no attention")
        if value is None or value.dtype.kind != "f":
            raise NodeError(f"{what} must be float32, not "
                            f"{'missing' if value is None else value.dtype}: export the float32 "
                            "model")
        return value

    def net(self, index: int) -> np.ndarray:
        """The element numbers of an input that must come from the network."""
        value = self.input(index)
        if not isinstance(value, Net):
            raise NodeError(f"input {index} is constant, but it must come from the network's input:"
                            " export the model again")
        return value.ids

    @property
    def builder(self):
        """The builder that collects the network's layers."""
        return self.trace.builder
