"""Two yardsticks that do not move with the schedule.

A: multiplications that must be done (no padding; RepeatVector's input part once; no R.h at a zero
start) / multipliers. B: the longest chain of dependent tails, a tail being the cycles from the
issue of a layer's last tile of a step to the first use of its result. ``bound`` = max(A, B):
nothing is faster. ``no_overlap`` = A + B: what no overlap at all of the two would cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ...hdl.config import EngineConfig
from ..quantized import QDense, QFlatten, QLstm, QRepeatVector, QuantizedNetwork
from .latency import Latencies

__all__ = ["Bounds", "bounds", "must_multiply"]


@dataclass(frozen=True)
class Bounds:
    """multiplications: those that must be done, for all contexts of a frame. work: A, cycles.
    chain: B, cycles."""

    multiplications: int
    work: int
    chain: int

    @property
    def bound(self) -> int:
        """max(A, B)."""
        return max(self.work, self.chain)

    @property
    def no_overlap(self) -> int:
        """A + B."""
        return self.work + self.chain


def must_multiply(qnet: QuantizedNetwork) -> int:
    """Multiplications of one inference that no schedule can leave out."""
    total, repeated = 0, False
    for layer, shape in zip(qnet.layers, qnet.shapes, strict=False):
        steps = shape[0] if len(shape) == 2 else 1
        different = 1 if repeated else steps  # steps with an input of their own
        if isinstance(layer, QLstm):
            total += different * layer.w_ih.size + (steps - 1) * layer.w_hh.size
            repeated = False
        elif isinstance(layer, QDense):
            total += different * layer.w.size
        elif isinstance(layer, QRepeatVector):
            repeated = True
        elif isinstance(layer, QFlatten):
            repeated = False
    return total


def chain(qnet: QuantizedNetwork, distance: Latencies) -> int:
    """The longest chain of dependent tails, in cycles.

    ``ready[t]`` is when step t of a value can be used. An LSTM's h_t waits for x_t and h_(t-1) and
    then a tail. A final layer's results leave for the output instead.
    """
    shape = qnet.input_shape
    ready = [0] * (shape[0] if len(shape) == 2 else 1)
    for n, layer in enumerate(qnet.layers):
        tail = distance.output + 1 if n == max(qnet.computing) else distance.tail
        if isinstance(layer, QLstm):
            before, after = 0, []
            for x in ready:
                start = max(x, before)
                before = start + distance.tail
                after.append(start + tail)
            ready = after if layer.return_sequences else after[-1:]
        elif isinstance(layer, QDense):
            ready = [x + tail for x in ready]
        elif isinstance(layer, QRepeatVector):
            ready = ready * layer.timesteps
        else:
            ready = [max(ready)]
    return max(ready)


def bounds(qnet: QuantizedNetwork, config: EngineConfig, distance: Latencies,
           contexts: int = 1) -> Bounds:
    """Both yardsticks of ``qnet`` on an engine, ``contexts`` sequences a frame."""
    multiplications = contexts * must_multiply(qnet)
    return Bounds(multiplications, ceil(multiplications / (config.pe * config.simd)),
                  chain(qnet, distance))
