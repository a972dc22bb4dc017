"""How far the integers are from the floats: the one module of gen that runs the golden model."""

from __future__ import annotations

import numpy as np

from gatefold.gen.calibrate import as_samples
from gatefold.gen.forward import forward
from gatefold.gen.network import Network
from gatefold.gen.quantized import QuantizedNetwork
from gatefold.sim.golden import golden

__all__ = ["error_report"]

_CHUNK = 64  # samples at a time, for memory


def error_report(network: Network, qnet: QuantizedNetwork, x) -> dict:
    """Error of ``qnet`` against ``network`` on floats ``x``, (samples, *input_shape) or one sample.

    Returns, ready for JSON: ``samples``; ``max_abs`` and ``rms`` of output minus float output;
    ``range``, maximum minus minimum of the float outputs; ``max_relative`` and ``rms_relative``,
    the errors over that range (None where it is 0); ``outputs``, the same per output feature;
    ``saturations``, per layer name and tensor ``{"count", "total"}``, the input under ``"input"``.
    Raises :class:`UserError` for inputs of a wrong shape or with NaN.
    """
    x = as_samples(x, network.input_shape, "the input")
    total = {"input": {"x": {"count": 0, "total": 0}}}
    wanted, got = [], []
    for start in range(0, len(x), _CHUNK):
        part = x[start:start + _CHUNK]
        integers = qnet.input_format.quantize(part)
        scaled = np.floor(part * 2.0**qnet.input_format.frac + 0.5)
        beyond = (scaled < qnet.input_format.lo) | (scaled > qnet.input_format.hi)
        trace: dict = {}
        got.append(qnet.output_format.to_float(golden(qnet, integers, trace=trace)))
        wanted.append(forward(network, part))
        clipped = {"count": int(beyond.sum()), "total": beyond.size}
        for name, tensors in {"input": {"x": clipped}, **trace["saturations"]}.items():
            for tensor, counted in tensors.items():
                entry = total.setdefault(name, {}).setdefault(tensor, {"count": 0, "total": 0})
                for key in entry:
                    entry[key] += counted[key]
    outputs = qnet.output_shape[-1]
    floats = np.concatenate(wanted).reshape(-1, outputs)
    errors = np.concatenate(got).reshape(-1, outputs) - floats
    return {"samples": len(x), **_errors(errors, floats),
            "outputs": [_errors(errors[:, n], floats[:, n]) for n in range(outputs)],
            "saturations": total}


def _errors(errors: np.ndarray, floats: np.ndarray) -> dict:
    worst, rms = float(np.abs(errors).max()), float(np.sqrt(np.mean(errors**2)))
    span = float(floats.max() - floats.min())
    return {"max_abs": worst, "rms": rms, "range": span,
            "max_relative": worst / span if span else None,
            "rms_relative": rms / span if span else None}
