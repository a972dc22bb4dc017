"""The states of a core's stateful layers in a file: where `gatefold run` ended and goes on."""

from __future__ import annotations

import os

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import read_arrays
from gatefold.gen.network.views import History
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import QRecurrent, QuantizedNetwork, QView

__all__ = ["States", "check_stateful", "read_states", "state_arrays"]

#: By the names of stateful layers, ``h`` and ``c``, (sequences, units) integers each; of histories,
#: ``rows`` (sequences, rows, features).
States = dict[str, dict[str, np.ndarray]]


def check_stateful(qnet: QuantizedNetwork, option: str) -> None:
    """Raise :class:`UserError` for a core that keeps no state."""
    if not qnet.stateful:
        raise UserError(f"{option}: the core keeps no state between its samples: leave it out")


def state_arrays(states: States) -> dict[str, np.ndarray]:
    """``states`` as arrays named ``LAYER.h`` and ``LAYER.c``."""
    return {f"{layer}.{name}": array for layer, kept in states.items()
            for name, array in kept.items()}


def read_states(path: str | os.PathLike, qnet: QuantizedNetwork, contexts: int) -> States:
    """The states of ``contexts`` sequences that :func:`state_arrays` put into the file ``path``.

    Raises :class:`UserError` for another core's file, and for numbers beyond the formats.
    """
    what = f"--state-in {quoted(os.path.basename(os.fspath(path)))}"
    arrays = read_arrays(path, "--state-in")
    found: States = {}
    wanted = _kept(qnet, contexts)
    names = [".".join(key) for key in wanted]
    if set(arrays) != set(names):
        raise UserError(f"{what} must hold the arrays {', '.join(names)}, not "
                        f"{', '.join(quoted(name)[1:-1] for name in [*arrays][:12])}: give what "
                        "--state-out wrote for this core")
    for (layer, name), (shape, form) in wanted.items():
        key = f"{layer}.{name}"
        array = arrays[key]
        if array.dtype.kind not in "iu" or array.shape != shape:
            raise UserError(f"{what}: {key} must be integers of the shape {shape}, not "
                            f"{array.dtype} {array.shape}: give what --state-out wrote")
        if array.min(initial=0) < form.lo or array.max(initial=0) > form.hi:
            raise UserError(f"{what}: {key} must lie in {form.lo}..{form.hi} ({form}): give what "
                            "--state-out wrote")
        found.setdefault(layer, {})[name] = array.astype(np.int64)
    return found


def _kept(qnet: QuantizedNetwork, contexts: int
          ) -> dict[tuple[str, str], tuple[tuple[int, ...], QFormat]]:
    """By (layer, name), the shape and the format of each array of states."""
    found = {}
    for n, layer in enumerate(qnet.layers):
        if isinstance(layer, QView) and isinstance(layer.view, History):
            (rows, features), = qnet.shapes_into(n)
            found[layer.name, "rows"] = ((contexts, layer.view.kept(rows), features),
                                         QFormat(qnet.act_width, 0))
        elif isinstance(layer, QRecurrent) and layer.stateful:
            found |= {(layer.name, name): ((contexts, layer.units), getattr(layer, name))
                      for name in ("h", "c") if hasattr(layer, name)}
    return found
