"""The golden model's outputs for frames that are played in some order.

A core that keeps its state between frames answers a frame according to the frames before it: the
expected outputs depend on the order, and on the frames with which a sequence begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden
from gatefold.sim.results import Trace

__all__ = ["Expect", "expectation"]

#: Called with the frames played, as numbers of samples, and for each whether it begins a new
#: sequence; gives outputs (frames, n_out) and per traced layer and state (frames, steps, units).
Expect = Callable[[Sequence[int], np.ndarray], tuple[np.ndarray, Trace]]

_STATES = ("h", "c", "y")  #: golden's names of the values that a core traces


def expectation(qnet: QuantizedNetwork, x: np.ndarray, contexts: int = 1) -> Expect:
    """A function that runs golden on frames of ``x``, integers (frames * contexts, *input_shape).

    Each of the ``contexts`` sequences in a frame continues in the next frame.
    """
    samples = np.asarray(x).reshape(-1, contexts, *qnet.input_shape)

    def expect(frames: Sequence[int], begins: np.ndarray) -> tuple[np.ndarray, Trace]:
        count = len(frames)
        # Golden takes one sequence after the other: a context's frames, then the next context's.
        played = samples[list(frames)].swapaxes(0, 1).reshape(-1, *qnet.input_shape)
        trace: dict = {}
        y = golden(qnet, played, trace=trace, fresh=np.tile(begins, contexts))

        def by_frame(values: np.ndarray) -> np.ndarray:
            parts = values.reshape(contexts, count, -1, values.shape[-1])
            return parts.swapaxes(0, 1).reshape(count, -1, values.shape[-1])

        layers = {layer.name: trace[layer.name] for layer in qnet.computing.values()}
        return by_frame(y).reshape(count, -1), {
            name: {state: by_frame(inside[state]) for state in _STATES if state in inside}
            for name, inside in layers.items()}

    return expect
