"""The layers of a network as a table: shapes, parameters, multiplications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatefold.gen.errors import quoted
from gatefold.gen.network.layer import Layer, Shape

__all__ = ["Row", "counted", "rows", "table"]


@dataclass(frozen=True)
class Row:
    """A layer: its generated name (empty where the network will not be built), its kind (the file's
    word where it is refused), its name in the model file, the shapes that it reads and makes, and
    the numbers of its parameters and of its multiplications for one inference (None where they are
    not known); ``hardware``, whether it can be built."""

    name: str
    kind: str
    origin: str
    inputs: tuple[Shape, ...]
    shape: Shape | None
    parameters: int | None
    multiplications: int | None
    hardware: bool = True


def rows(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[Row]:
    """A row for each layer; ``shapes`` are those of all values, the inputs first."""
    first, found = len(shapes) - len(layers), []
    for n, layer in enumerate(layers):
        read = tuple(shapes[value] for value in layer.inputs)
        found.append(Row(f"l{n}_{layer.shown}", layer.shown, layer.origin, read, shapes[first + n],
                         layer.parameters, layer.macs(*read)))
    return found


def table(of: Sequence[Row], mark: str = " (refused)") -> list[str]:
    """The lines of a table of layers, with their sums at the end; ``mark`` follows the kind of
    those that hardware cannot do."""
    lines = [("layer", "in the file", "shape", "parameters", "multiplications")]
    lines += [(row.name or quoted(row.kind, 30)[1:-1] + ("" if row.hardware else mark),
               quoted(row.origin, 40)[1:-1], "?" if row.shape is None else str(row.shape),
               _number(row.parameters), _number(row.multiplications)) for row in of]
    lines.append(("all", "", "", _sum([row.parameters for row in of]),
                  _sum([row.multiplications for row in of])))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.rjust(width) if n > 2 else cell.ljust(width)
                      for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
            for line in lines]


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _sum(values: Sequence[int | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known):,}" + (" + ?" if len(known) < len(values) else "")


def counted(number: int, noun: str) -> str:
    """``1,200 layers``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
