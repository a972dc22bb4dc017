"""What a host computes around a core: the parts of a model before and behind it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from gatefold.gen.network.layer import Shape
from gatefold.gen.network.summary import Row

__all__ = ["Around", "Port"]


@dataclass(frozen=True)
class Port:
    """A tensor at an end of a part.

    Attributes: ``name``, in the file; ``dims``, with a batch of 1; ``batch``, its axis, None where
    there is none; ``dtype``, NumPy's name; ``high``, of integers that index a table, its rows;
    ``mask``, the value of all features of a timestep that the model's layers skip.
    """

    name: str
    dims: Shape
    batch: int | None = None
    dtype: str = "float32"
    high: int = 0
    mask: float | None = None

    @property
    def shape(self) -> Shape:
        """The shape of one sample."""
        rest = tuple(n for axis, n in enumerate(self.dims) if axis != self.batch)
        return rest or (1,)


@dataclass(frozen=True)
class Around:
    """The host's parts of a model that was cut.

    Attributes: ``before`` and ``behind``, ONNX models of one sample (empty where there is nothing
    to compute); ``inputs`` and ``outputs``, the model's own; ``into`` and ``out_of``, the tensors
    that the core takes and gives; ``rows_before``, ``rows_behind``, the nodes or layers for tables.
    """

    before: bytes
    behind: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    into: tuple[Port, ...]
    out_of: tuple[Port, ...]
    rows_before: tuple[Row, ...] = ()
    rows_behind: tuple[Row, ...] = ()

    def without(self, names: Collection[str]) -> Around:
        """The same without the ports of these names, which the core keeps itself."""
        return replace(self, **{ports: tuple(one for one in getattr(self, ports)
                                             if one.name not in names)
                                for ports in ("inputs", "outputs", "into", "out_of")})

    @property
    def macs(self) -> tuple[int, int]:
        """Multiplications before and behind the core."""
        before, behind = (sum(row.multiplications or 0 for row in rows)
                          for rows in (self.rows_before, self.rows_behind))
        return before, behind
