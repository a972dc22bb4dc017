"""Two yardsticks that do not move with the schedule.

A: multiplications that must be done (no padding; RepeatVector's input part once; no R.h at a zero
start) / multipliers. B: the longest chain of dependent tails, a tail being the cycles from the
issue of a layer's last tile of a step to the first use of its result. ``bound`` = max(A, B):
nothing is faster. ``no_overlap`` = A + B: what no overlap at all of the two would cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from gatefold.gen.network.views import Permute, RepeatVector, Reshape
from gatefold.gen.numbers.quantized import QDense, QMultiply, QRecurrent, QuantizedNetwork, QView
from gatefold.gen.plan.latency import Latencies
from gatefold.gen.plan.work import Work
from gatefold.hdl.config import EngineConfig

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
    """Multiplications of one inference that no schedule can leave out: not those with a one or a
    zero that the layer's kind puts there (sums, pools, padding)."""
    total = 0
    alike = [_steps(shape) == 1 for shape in qnet.input_shapes]  # the same at every step
    for n, layer in enumerate(qnet.layers):
        shapes = qnet.shapes_into(n)
        same = alike[layer.inputs[0]]
        if isinstance(layer, QView):
            repeats = isinstance(layer.view, RepeatVector)
            alike.append(repeats or (same and not isinstance(layer.view, Reshape | Permute)))
            continue
        alike.append(False)
        if isinstance(layer, QRecurrent):
            given = layer.stateful or len(layer.inputs) > 1
            steps = shapes[0][0]
            total += (1 if same else steps) * layer.w_ih.size
            total += (steps if given else steps - 1) * layer.w_hh.size
        elif isinstance(layer, QDense) and layer.pattern is None:
            there = layer.gather(np.ones(shapes[0], np.int8)).reshape(-1, layer.features)
            met = there[:1] if same and layer.window is None else there
            total += int(np.count_nonzero(met)) * layer.outputs
        elif isinstance(layer, QMultiply):
            total += int(np.prod(shapes[0]))
    return total


def _steps(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[:-1])) if len(shape) > 1 else 1


def chain(work: Work, distance: Latencies) -> int:
    """The longest chain of dependent tails, in cycles.

    A step of an op can begin when all it reads is there, and its result is there a tail later; what
    leaves the core does so by the way to the output instead.
    """
    there: dict[tuple[int, int], int] = {}  # (op, step): when its result can be used
    longest = 0
    met: dict[tuple[int, int], set[tuple[int, int]]] = {}
    leaves: set[tuple[int, int]] = set()
    for job in work.jobs:
        if job.context:
            continue
        key = (job.op, job.step)
        read = met.setdefault(key, set())
        read |= {operand.chunk.origin[:2] for operand in job.operands
                 if not operand.chunk.from_x and not operand.carried}
        if job.out is not None:
            leaves.add(key)
    for key in sorted(met, key=lambda key: work.rank(*key)):
        begins = max((there[source] for source in met[key]), default=0)
        there[key] = begins + distance.tail
        longest = max(longest, begins + (distance.output + 1 if key in leaves else 0))
    return longest


def bounds(qnet: QuantizedNetwork, work: Work, config: EngineConfig, distance: Latencies,
           contexts: int = 1) -> Bounds:
    """Both yardsticks of ``qnet`` on an engine, ``contexts`` sequences a frame."""
    multiplications = contexts * must_multiply(qnet)
    return Bounds(multiplications, ceil(multiplications / (config.pe * config.simd)),
                  chain(work, distance))
