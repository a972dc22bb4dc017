"""The golden model's outputs for frames that are played in some order.

A core that keeps its state between frames answers a frame according to the frames before it: the
expected outputs depend on the order, and on the frames with which a sequence begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden
from gatefold.sim.results import Trace

__all__ = ["Expect", "Other", "expectation"]


class Expect(Protocol):
    """What golden says of frames, which are numbers of samples, that are played in some order."""

    def __call__(self, frames: Sequence[int], begins: np.ndarray,
                 present: np.ndarray | None = None) -> tuple[np.ndarray, Trace]:
        """Outputs (frames, n_out), and per traced layer and state (frames, steps, units).

        ``begins`` (frames,): whether a frame begins a new sequence; ``present`` (frames,): how many
        of its leading elements count, the others being zero.
        """
        ...


@dataclass(frozen=True)
class Other:
    """Other weights for a loadable core: the beats of their ``load``, and what golden makes of the
    samples with them."""

    load: list[int]
    expect: Expect


#: Golden's names of the values that a core traces.
_STATES = ("h", "c", "y", "acc", *(f"acc_{row}" for row in "ifgorznm"))


def expectation(qnet: QuantizedNetwork, x: np.ndarray, contexts: int = 1) -> Expect:
    """A function that runs golden on frames of ``x``, integers (frames * contexts, *input_shape).

    Each of the ``contexts`` sequences in a frame continues in the next frame.
    """
    samples = np.asarray(x).reshape(-1, contexts, *qnet.input_shape)

    def played(frames: Sequence[int], begins: np.ndarray, present: np.ndarray
               ) -> tuple[np.ndarray, Trace]:
        count, x = len(frames), samples[list(frames)]
        flat = x.reshape(count, -1)
        x = np.where(np.arange(flat.shape[1]) < present[:, None], flat, 0).reshape(x.shape)
        # Golden takes one sequence after the other: a context's frames, then the next context's.
        trace: dict = {}
        y = golden(qnet, x.swapaxes(0, 1).reshape(-1, *qnet.input_shape), trace=trace,
                   fresh=np.tile(begins, contexts))

        def by_frame(values: np.ndarray) -> np.ndarray:
            parts = values.reshape(contexts, count, -1, values.shape[-1])
            return parts.swapaxes(0, 1).reshape(count, -1, values.shape[-1])

        layers = {layer.name: trace[layer.name] for layer in qnet.computing.values()}
        return by_frame(y).reshape(count, -1), {
            name: {state: by_frame(inside[state]) for state in _STATES if state in inside}
            for name, inside in layers.items()}

    def expect(frames: Sequence[int], begins: np.ndarray, present: np.ndarray | None = None
               ) -> tuple[np.ndarray, Trace]:
        if present is None:
            present = np.full(len(frames), samples[0].size)
        if qnet.stateful:
            return played(frames, begins, present)
        # The same frame gives the same answer: golden computes it once.
        distinct, again = np.unique(np.stack([frames, present]), axis=1, return_inverse=True)
        y, trace = played(distinct[0], np.ones(distinct.shape[1], bool), distinct[1])
        again = again.reshape(-1)
        return y[again], {name: {state: values[again] for state, values in states.items()}
                          for name, states in trace.items()}

    return expect
