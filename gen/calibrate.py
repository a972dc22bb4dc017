"""Calibration: the peak of every tensor of the float network over representative inputs."""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.forward import forward
from gatefold.gen.network import Network

__all__ = ["as_samples", "calibrate", "peak_of"]

_CHUNK = 64  # samples traced at a time, for memory


def calibrate(network: Network, data=None, samples: int = 64, seed: int = 0) -> dict:
    """Peak magnitudes of the input, of c and h of every LSTM and of y of every Dense.

    Parameters: ``data`` as :func:`as_samples` takes it; without it ``samples`` standard-normal
    inputs from ``seed``.
    Returns ``{"source", "samples", "peaks": {"input": p, name: {tensor: p}}}`` (and ``"seed"``).
    Raises :class:`UserError` for bad data, or where the network overflows on it.
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
    peaks: dict = {"input": peak_of(x)}
    for start in range(0, len(x), _CHUNK):
        trace: dict = {}
        with np.errstate(over="ignore", invalid="ignore"):  # found below, and told
            forward(network, x[start:start + _CHUNK], trace=trace)
        for name, inside in trace.items():
            known = peaks.setdefault(name, {})
            for tensor in ("c", "h", "y"):
                if tensor in inside:
                    known[tensor] = max(known.get(tensor, 0.0), peak_of(inside[tensor]))
                    if not np.isfinite(inside[tensor]).all():
                        raise UserError(f"{name}: its {tensor} overflows on {record['source']}: "
                                        "normalise the input data and train again")
    return {**record, "peaks": peaks}


def as_samples(array, input_shape: tuple[int, ...],
               what: str = "the calibration data") -> np.ndarray:
    """Floats (samples, *input_shape), float64, of such an array or of one sample without the axis.

    ``what`` names the array in messages.
    Raises :class:`UserError` for another type or shape, no sample, NaN or infinities.
    """
    array = np.asarray(array)
    shape = tuple(input_shape)
    one = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    many = "(samples, " + ", ".join(map(str, shape)) + ")"
    if array.dtype.kind not in "fiu":
        raise UserError(f"{what} must hold real numbers, not {array.dtype}: save floats")
    if array.shape == shape:
        array = array[None]
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        raise UserError(f"{what} must have the shape {many} or {one}, not {array.shape}: "
                        "reshape the array")
    if not len(array):
        raise UserError(f"{what} must hold at least one sample, not {array.shape}: add some")
    array = array.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise UserError(f"{what} must be finite, but {bad} of {array.size} values are NaN or "
                        "infinite: clean the data")
    return array


def peak_of(values) -> float:
    """Largest magnitude; 0 of an empty array."""
    return float(np.max(np.abs(values), initial=0.0))
