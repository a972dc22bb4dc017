"""Where the weights of a Keras layer are: in a tree of groups, or in a list of names.

A ``.keras`` file keeps them by place (``layers/lstm_1/cell/vars/0``); an ``.h5`` file and a model
in memory by name (``lstm_3/lstm_cell/kernel``). A layer's reader asks both in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.keras.h5 import File
from gatefold.gen.network.graph import Shape

__all__ = ["Named", "NamedWeights", "PlacedWeights", "SharedWeights", "Weights"]


class Weights(Protocol):
    """The weights of a layer and of the layers in it."""

    def inside(self, place: str, *names: str) -> Weights:
        """Those of a layer within this one: its ``place`` (an attribute of the layer, or the place
        among a model's layers) and the ``names`` that it may have, the likeliest first."""
        ...

    def arrays(self, where: str, shapes: dict[str, Shape]) -> list[np.ndarray]:
        """The layer's own, float32, exactly those that ``shapes`` names and describes; ``where``
        is the layer in messages. Raises :class:`UserError`."""
        ...


class PlacedWeights:
    """Weights by place in a ``.keras`` file's HDF5 file."""

    def __init__(self, file: File, group: str = ""):
        self._file, self._group = file, group

    def inside(self, place: str, *names: str) -> PlacedWeights:
        """See :class:`Weights`."""
        return PlacedWeights(self._file, f"{self._group}/{place}".lstrip("/"))

    def arrays(self, where: str, shapes: dict[str, Shape]) -> list[np.ndarray]:
        """See :class:`Weights`."""
        return self._file.variables(self._group, where, tuple(shapes.values()))


class Named(NamedTuple):
    """A weight: the parts of its name, that of its layer in the model first, and the function that
    reads it (``read(where, shape)``)."""

    parts: tuple[str, ...]
    read: Callable[[str, Shape], np.ndarray]


class NamedWeights:
    """Weights by name.

    A layer of the model is found by its name. Within it, names of inner layers that occur in no
    weight's name are passed over: not every Keras writes them all.
    """

    def __init__(self, weights: Sequence[Named], top: bool = True):
        self._weights, self._top = weights, top

    def inside(self, place: str, *names: str) -> NamedWeights:
        """See :class:`Weights`."""
        paths = [tuple(name.split("/")) for name in names]  # a name may hold slashes itself
        if self._top:
            return NamedWeights([one for one in self._weights
                                 if any(one.parts[:len(path)] == path for path in paths)],
                                top=False)
        for path in paths:
            own = [one for one in self._weights if _within(path, one.parts[1:-1])]
            if own:
                return NamedWeights(own, top=False)
        return self

    def arrays(self, where: str, shapes: dict[str, Shape]) -> list[np.ndarray]:
        """See :class:`Weights`."""
        names = [one.parts[-1].split(":")[0] for one in self._weights]
        if sorted(names) != sorted(shapes):
            raise UserError(f"{where} must have the weights {', '.join(shapes) or 'none'}, not "
                            f"{quoted(', '.join(names) or 'none')}: the file's weights contradict "
                            "its description")
        return [self._weights[names.index(name)].read(where, shape)
                for name, shape in shapes.items()]


def _within(path: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return any(parts[n:n + len(path)] == path for n in range(len(parts) - len(path) + 1))


class SharedWeights:
    """The weights of a layer that is used several times: it may have none."""

    def inside(self, place: str, *names: str) -> SharedWeights:
        """See :class:`Weights`."""
        return self

    def arrays(self, where: str, shapes: dict[str, Shape]) -> list[np.ndarray]:
        """See :class:`Weights`."""
        raise UserError(f"{where} is used several times: a layer with weights can be used once; "
                        "give each use a layer of its own, with these weights")
