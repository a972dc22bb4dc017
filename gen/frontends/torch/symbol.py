"""A torch tensor while a module is read: the numbers of its elements, the batch among its axes.

Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.network.graph import Shape

__all__ = ["OTHER_SAMPLES", "SAMPLES", "Symbol"]

#: Samples of a batch while forward() runs: which element is whose is known, so two are enough. A
#: forward() that reads shapes runs again with others, since it might compute with the batch.
SAMPLES, OTHER_SAMPLES = 2, (3, 7)


@dataclass(frozen=True, eq=False)
class Symbol(Net):
    """A tensor computed from the network's inputs.

    Attributes: ``ids``, the number of each element; ``trace``, the network so far.
    """

    trace: Trace

    @property
    def shape(self) -> Shape:
        """The shape that torch would give, with the batch of the trace."""
        return self.ids.shape

    def read_shape(self) -> Shape:
        """The shape, for forward(): what it does with it may depend on the batch."""
        self.trace.shape_read = True
        return self.ids.shape

    @property
    def shown(self) -> str:
        """The shape in a message, the batch by name."""
        return self.trace.shown(self.ids)

    def dim(self, n: int) -> int:
        """Dimension ``n`` counted from 0."""
        if not isinstance(n, int) or not -self.ids.ndim <= n < self.ids.ndim:
            raise UserError(f"a tensor of the shape {self.shown} has no dimension {n!r}")
        return n % self.ids.ndim

    def made(self, ids: np.ndarray) -> Symbol:
        """Another tensor of the same network."""
        return Symbol(ids, self.trace)
