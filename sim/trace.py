"""The trace of the finishing lanes, beat by beat, as the values of a core's layers.

A beat is the same from every simulator: the mask of the lanes that hold an element, and for each
lane a result and a state ("h" and "c" in the names of the core's signals). core.json says which
elements of which layer it carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed, Trace

__all__ = ["Beat", "layer_values"]


class Beat(NamedTuple):
    """What the lanes gave; None where bits are unknown. ``mask``: the lanes that hold an element;
    ``held``: result and state of lane 0, of lane 1, ...; ``sums``: of each lane the accumulators of
    four rows, empty where they are not traced."""

    mask: int | None
    held: Sequence[int | None]
    sums: Sequence[int | None] = ()



def layer_values(beats: Sequence[Beat], info: CoreInfo, frames: int, scenario: str) -> Trace:
    """All values of all traced layers in ``frames`` frames; ``scenario``: its name, for messages.

    Raises :class:`CheckFailed` where there are too few or too many beats, where an element came
    never or twice in a frame, or has unknown bits. Lanes without an element are not looked at.
    """
    if len(beats) != frames * len(info.events):
        raise CheckFailed(f"{scenario}: the lanes gave {len(beats)} beats of results in {frames} "
                          f"frames, not {len(info.events)} a frame")
    summed = bool(beats) and bool(beats[0].sums)
    values = [{state: np.zeros((frames, layer.steps * layer.units), np.int64)
               for state in (*layer.states, *(layer.sums if summed else ()))}
              for layer in info.layers]
    times = [np.zeros((frames, layer.steps * layer.units), np.int64) for layer in info.layers]
    for number, (mask, held, sums) in enumerate(beats):
        frame, event = divmod(number, len(info.events))
        at, first, count = info.events[event]
        if at < 0 or not count:
            continue
        layer = info.layers[at]
        if mask is None:
            raise CheckFailed(f"{scenario}: frame {frame}, {layer.place(first)}: trace__lanes has "
                              "unknown bits")
        for lane in range(count):
            if not mask >> lane & 1:
                continue
            times[at][frame, first + lane] += 1
            found = [*zip(layer.states, held[2 * lane:2 * lane + 2], strict=False),
                     *zip(layer.sums, sums[4 * lane:4 * lane + 4], strict=False)]
            for state, value in found:
                if value is None:
                    raise CheckFailed(f"{scenario}: frame {frame}, {layer.place(first + lane)}: "
                                      f"{state} has unknown bits")
                values[at][state][frame, first + lane] = value
    for layer, count in zip(info.layers, times, strict=True):
        for frame, element in np.argwhere(count != 1)[:1]:
            raise CheckFailed(f"{scenario}: frame {frame}, {layer.place(element)} came "
                              f"{count[frame, element]} times, not once")
    return {layer.name: {state: found.reshape(frames, layer.steps, layer.units)
                         for state, found in states.items()}
            for layer, states in zip(info.layers, values, strict=True)}
