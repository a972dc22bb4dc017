"""The error of the integers against the floats."""

from __future__ import annotations

import numpy as np

from gatefold.gen.measure.inside import Moments, add_counts, both
from gatefold.gen.network.frames import as_frames, input_names
from gatefold.gen.network.graph import Network, split
from gatefold.gen.numbers.quantize import SATURATED
from gatefold.gen.numbers.quantized import QuantizedNetwork

__all__ = ["error_report"]


def error_report(network: Network, qnet: QuantizedNetwork, x) -> dict:
    """Error of ``qnet`` against ``network`` on floats ``x``, of any form that :func:`as_frames`
    takes.

    Samples of a network that keeps state follow one another. Returns, ready for JSON: ``samples``;
    ``max_abs`` and ``rms`` of output minus float output; ``range``, maximum minus minimum of the
    float outputs; ``max_relative`` and ``rms_relative``, the errors over that range (None where it
    is 0); ``outputs``, the same per output feature; ``values``, the same per output of the network;
    ``layers``, the same of the result (``h`` or ``y``) of each layer; ``below_step``, of each
    output of the network that holds probabilities how many are smaller than one step of its
    format, but not zero;
    ``saturations``, per layer
    name and tensor ``{"count", "total"}``, the input under ``"input"`` (``input0``, ...), weights
    where any do.
    Raises :class:`UserError` for inputs of a wrong shape, and for NaN.
    """
    x = np.asarray(as_frames(network, x), np.float64)
    shapes = network.output_shapes
    total = {name: {"x": {"count": count, "total": size}}
             for name, count, size in _clamped_inputs(qnet, x)}
    for name, tensors in qnet.calibration.get(SATURATED, {}).items():
        layer = next(one for one in qnet.layers if one.name == name)
        total[name] = {tensor: {"count": count, "total": int(getattr(layer, tensor).size)}
                       for tensor, count in tensors.items()}
    whole, layers = Moments(), {}
    small, strange = [0 for _ in shapes], [False for _ in shapes]
    steps = [np.ldexp(1.0, -qnet.fracs[value].max()) for value in qnet.outputs]
    values = [Moments() for _ in shapes]
    features = [[Moments() for _ in range(shape[-1])] for shape in shapes]
    for part in both(network, qnet, x):
        whole.add(part.y_fixed, part.y_float)
        for n, (fixed, floats) in enumerate(zip(split(part.y_fixed, shapes),
                                                split(part.y_float, shapes), strict=True)):
            values[n].add(fixed, floats)
            small[n] += int(np.count_nonzero((floats > 0) & (floats < steps[n])))
            strange[n] |= bool(((floats < 0) | (floats > 1)).any())
            for k, moments in enumerate(features[n]):
                moments.add(fixed[..., k], floats[..., k])
        for (layer, tensor), floats in part.floats.items():
            if tensor in ("h", "y"):
                layers.setdefault(layer, Moments()).add(part.fixed[layer, tensor], floats)
        add_counts(total, part.saturations)
    return {"samples": len(x), **whole.as_dict(),
            "outputs": [moments.as_dict() for known in features for moments in known],
            "values": [moments.as_dict() for moments in values],
            "layers": {name: moments.as_dict() for name, moments in layers.items()},
            "below_step": [
                {"count": 0 if beyond else count, "total": len(x) * int(np.prod(shape)),
                 "step": float(step)}
                for count, beyond, shape, step in zip(small, strange, shapes, steps, strict=True)],
            "saturations": total}


def _clamped_inputs(qnet: QuantizedNetwork, x: np.ndarray):
    """Of each input its name, how many of its values saturate, and how many it has."""
    parts = split(x, qnet.input_shapes)
    if qnet.affine:
        for name, part, numbers in zip(input_names(qnet), parts, qnet.affine[0], strict=True):
            yield name, int(np.count_nonzero(numbers.beyond(part))), part.size
        return
    for name, part, form in zip(input_names(qnet), parts, qnet.input_formats, strict=True):
        scaled = np.floor(part * 2.0**form.frac + 0.5)
        yield name, int(np.count_nonzero((scaled < form.lo) | (scaled > form.hi))), part.size
