"""Calibration: the values of the float network's tensors on representative inputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_samples, input_names
from gatefold.gen.network.graph import Network, Recurrent, split
from gatefold.gen.network.largest import Largest
from gatefold.gen.numbers.formats import Seen, peak_of

__all__ = ["Calibration", "at_a_time", "calibrate", "peak_of"]

#: Tensors inside a layer whose formats come from their values.
TENSORS = ("c", "h", "y", "g", "m", "n")
_CHUNK = 64  # samples traced at a time, for memory ...
_ELEMENTS = 1 << 25  # ... and how many elements of windows
#: Products of a step up to which BLAS computes in one thread: more threads take longer where other
#: work keeps them waiting.
_PRODUCTS = 1 << 17


@dataclass(frozen=True)
class Calibration:
    """Result of calibration: ``record``, ready for JSON (source, samples, peaks); ``inputs``, the
    values of each input; ``layers``, those of each layer's tensors by its generated name;
    ``looked``, whether values were kept and not only peaks."""

    record: dict
    inputs: tuple[Seen, ...]
    layers: dict[str, dict[str, Seen]]
    looked: bool


def calibrate(network: Network, data=None, samples: int = 64, seed: int = 0, *,
              look: bool = False) -> Calibration:
    """The values of the inputs and of the tensors c, h, y, g, m, n of every layer.

    Parameters: ``data`` as :func:`as_samples` takes it; without it ``samples`` standard-normal
    inputs from ``seed``. Samples of a network that keeps state follow one another. ``look``: keep
    values, for rules that need more than peaks.
    The record is ``{"source", "samples", "peaks": {"input": p, name: {tensor: p}}}`` (and
    ``"seed"``), where several inputs are called ``input0``, ``input1``, ...
    Raises :class:`UserError` for bad data, and if the network overflows on it.
    """
    if data is not None:
        x = as_samples(data, network.input_shape)
        record = {"source": "calibration data", "samples": len(x)}
    else:
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise UserError("the number of calibration samples must be a positive integer, "
                            f"not {samples!r}: the default is 64")
        x = np.random.default_rng(seed).standard_normal((samples, *network.input_shape))
        record = {"source": "seeded random inputs", "samples": samples, "seed": seed}
    inputs = tuple(Seen.of(part, keep=look) for part in split(x, network.input_shapes))
    layers: dict[str, dict[str, Seen]] = {}
    largest = TENSORS if not look and not any(layer.reads_cell for layer in network.layers) else ()
    chunk = at_a_time(network, len(x), peaks=bool(largest))
    most = max(1 << 12, (1 << 18) * chunk // len(x))
    for start in range(0, len(x), chunk):
        trace: dict = {}
        with np.errstate(over="ignore", invalid="ignore"):  # reported below
            forward(network, x[start:start + chunk], trace=trace, largest=largest)
        for name, inside in trace.items():
            known = layers.setdefault(name, {})
            for tensor in TENSORS:
                if tensor not in inside:
                    continue
                seen = Seen.of(inside[tensor], keep=look, most=most)
                if not np.isfinite(seen.peak):
                    raise UserError(f"{name}: its {tensor} overflows on {record['source']}: "
                                    "normalise the input data and train again")
                known[tensor] = known[tensor] | seen if tensor in known else seen
    peaks: dict = {name: seen.peak for name, seen in
                   zip(input_names(network), inputs, strict=True)}
    peaks |= {name: {tensor: seen.peak for tensor, seen in known.items()}
              for name, known in layers.items()}
    return Calibration({**record, "peaks": peaks}, inputs, layers, look)


def at_a_time(network: Network, samples: int, *, peaks: bool = False) -> int:
    """Samples that the memory allows to compute together; all of ``samples`` where state goes from
    one to the next. ``peaks``: of tensors nothing else is kept."""
    if network.stateful:
        return samples
    shapes = [network.shapes_into(n) for n in range(len(network.layers))]
    most = max(layer.elements(*into) for layer, into in zip(network.layers, shapes, strict=True))
    fit = max(1, min(_CHUNK, _ELEMENTS // most))
    if not peaks:
        return fit
    working = max(layer.working(min(Largest.STEPS, into[0][0])) if isinstance(layer, Recurrent)
                  else layer.elements(*into)
                  for layer, into in zip(network.layers, shapes, strict=True))
    products = max((layer.w_hh.size for layer in network.layers if isinstance(layer, Recurrent)),
                   default=_PRODUCTS)
    return max(fit, min(_CHUNK, _PRODUCTS // products,
                        _ELEMENTS // (sum(map(prod, network.shapes)) + working)))
