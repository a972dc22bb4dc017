"""The trace of the finishing lanes as the values of a core's layers.

A beat of results is the same from every simulator: the mask of the lanes that hold an element, and
for each lane a result and a state ("h" and "c" in the names of the core's signals). core.json says
which elements of which layer it carries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed, Trace

__all__ = ["UNKNOWN", "Beats", "layer_values", "numbers"]

UNKNOWN = np.iinfo(np.int64).min  #: stands for a number with unknown bits; the core has no such


class Beats(NamedTuple):
    """What the lanes of a die gave, beat by beat. ``masks``: the lanes that hold an element, None
    where bits are unknown; ``held`` (beats, lanes, 2), results and states; ``sums``
    (beats, lanes, 4), the accumulators of four rows of each lane, None where they are not traced;
    :data:`UNKNOWN` where bits are unknown."""

    masks: Sequence[int | None]
    held: np.ndarray
    sums: np.ndarray | None = None


def numbers(lines: Sequence[str], width: int) -> np.ndarray:
    """Decimal numbers of a bench's log, (lines, width); :data:`UNKNOWN` for those that are none."""
    text = " ".join(lines)
    if re.search(r"[xXzZ]", text):
        text = re.sub(r"\S*[xXzZ]\S*", str(UNKNOWN), text)
    return np.fromstring(text, np.int64, sep=" ").reshape(len(lines), width)


def layer_values(beats: Beats, info: CoreInfo, frames: int, scenario: str) -> Trace:
    """All values of all traced layers in ``frames`` frames; ``scenario``: its name, for messages.

    Raises :class:`CheckFailed` where there are too few or too many beats, where an element came
    never or twice in a frame, or has unknown bits. Lanes without an element are not looked at.
    """
    events, count = len(info.events), len(beats.masks)
    if count != frames * events:
        raise CheckFailed(f"{scenario}: the lanes gave {count} beats of results in {frames} "
                          f"frames, not {events} a frame")
    summed = beats.sums is not None and count > 0
    values = [{state: np.zeros((frames, layer.steps * layer.units), np.int64)
               for state in (*layer.states, *(layer.sums if summed else ()))}
              for layer in info.layers]
    times = [np.zeros((frames, layer.steps * layer.units), np.int64) for layer in info.layers]
    unknown: list[tuple] = []  # (frame, event, lane, which), of which the least is the first
    for event, (at, first, elements) in enumerate(info.events):
        if at < 0 or not elements:
            continue
        layer, here = info.layers[at], slice(event, None, events)
        taken, none = _taken(beats.masks[here], elements)
        unknown += [(frame, event, -1, f"{layer.place(first)}: trace__lanes has")
                    for frame in none[:1]]
        times[at][:, first:first + elements] += taken
        shown = [(name, beats.held[here, :elements, n]) for n, name in enumerate(layer.states)]
        if beats.sums is not None:
            shown += [(name, beats.sums[here, :elements, n]) for n, name in enumerate(layer.sums)]
        for state, found in shown:
            values[at][state][:, first:first + elements][taken] = found[taken]
            unknown += [(frame, event, lane, f"{layer.place(first + lane)}: {state} has")
                        for frame, lane in np.argwhere(taken & (found == UNKNOWN))[:1]]
    for frame, *_, what in sorted(unknown, key=lambda one: one[:3])[:1]:
        raise CheckFailed(f"{scenario}: frame {frame}, {what} unknown bits")
    for layer, came in zip(info.layers, times, strict=True):
        for frame, element in np.argwhere(came != 1)[:1]:
            raise CheckFailed(f"{scenario}: frame {frame}, {layer.place(element)} came "
                              f"{came[frame, element]} times, not once")
    return {layer.name: {state: found.reshape(frames, layer.steps, layer.units)
                         for state, found in states.items()}
            for layer, states in zip(info.layers, values, strict=True)}


def _taken(masks: Sequence[int | None], lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each mask whether each lane is in it, (masks, lanes) bool, and which ones are unknown."""
    kinds = list(dict.fromkeys(masks))  # few: the masks of an event differ in a faulty core only
    bits = np.array([[(mask or 0) >> lane & 1 for lane in range(lanes)] for mask in kinds], bool)
    place = {mask: n for n, mask in enumerate(kinds)}
    which = np.array([place[mask] for mask in masks], int)
    return (bits.reshape(-1, lanes)[which],
            np.flatnonzero(which == place[None]) if None in place else np.zeros(0, int))
