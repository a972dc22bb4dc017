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
    that the core takes and gives; ``rows_before``, ``rows_behind``, the nodes or layers for tables;
    ``whole``, tensors that must hold one number each, since a core takes every timestep: 1 in a
    mask, all timesteps in the lengths of sequences.
    """

    before: bytes
    behind: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    into: tuple[Port, ...]
    out_of: tuple[Port, ...]
    rows_before: tuple[Row, ...] = ()
    rows_behind: tuple[Row, ...] = ()
    whole: tuple[tuple[str, int], ...] = ()

    def without(self, into: Collection[int], out_of: Collection[int],
                outputs: Collection[int]) -> Around:
        """The same without what the core keeps itself: the ports at these places of ``into`` and
        of ``out_of``, the model's inputs of the same names, and its outputs at these places."""
        taken = {self.into[k].name for k in into}
        return replace(
            self, inputs=tuple(one for one in self.inputs if one.name not in taken),
            outputs=_but(self.outputs, outputs), into=_but(self.into, into),
            out_of=_but(self.out_of, out_of))

    @property
    def macs(self) -> tuple[int, int]:
        """Multiplications before and behind the core."""
        before, behind = (sum(row.multiplications or 0 for row in rows)
                          for rows in (self.rows_before, self.rows_behind))
        return before, behind


def _but(ports: tuple[Port, ...], places: Collection[int]) -> tuple[Port, ...]:
    return tuple(one for n, one in enumerate(ports) if n not in places)
