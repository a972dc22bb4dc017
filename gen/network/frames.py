"""A user's arrays as frames: one array of samples, or one array an input."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import read_arrays
from gatefold.gen.network.graph import Graph, Network, joined

__all__ = ["as_frames", "as_samples", "input_names", "read_frames", "some_samples", "whole_frames"]


def input_names(network) -> list[str]:
    """What the inputs are called in reports and settings: ``input``, or ``input0``, ..."""
    count = len(network.input_shapes)
    return ["input"] if count == 1 else [f"input{n}" for n in range(count)]


def as_frames(graph: Graph, given, what: str = "the input") -> np.ndarray:
    """Samples (samples, *graph.input_shape), of the type given, of a user's array or arrays.

    Parameters: ``given``, samples or one sample without the axis: an array, or, for a network with
    several inputs, a mapping or sequence of arrays in the order of the inputs (a mapping may also
    name them ``input0``, ``input1``, ...); ``what`` names it in messages.
    Raises :class:`UserError` for other shapes or counts, and for what :func:`as_samples` refuses.
    """
    names = input_names(graph)
    if isinstance(given, Mapping):
        parts = [given[name] for name in names] if set(given) == set(names) \
            else list(given.values())
    elif len(names) > 1 and isinstance(given, Sequence):
        parts = list(given)
    else:
        return _samples(given, graph.input_shape, what)
    if len(parts) != len(names):
        raise UserError(f"{what} must be {len(names)} arrays ({', '.join(names)}), not "
                        f"{len(parts)}: give one for each input")
    arrays = [_samples(part, shape, what if len(names) == 1 else f"{what} {name}")
              for part, shape, name in zip(parts, graph.input_shapes, names, strict=True)]
    if len({len(array) for array in arrays}) > 1:
        raise UserError(f"{what}: the inputs hold {', '.join(str(len(a)) for a in arrays)} "
                        "samples: give as many of each")
    return joined(arrays)


def read_frames(graph: Graph, path: str | os.PathLike, what: str = "the input") -> np.ndarray:
    """:func:`as_frames` of a file: an ``.npy``, or an ``.npz`` with an array for each input, in
    order; one array alone (or, of a network with one input, the one named ``x``) is samples."""
    arrays = read_arrays(path, what)
    what = f"{what} {quoted(os.path.basename(os.fspath(path)))}"
    if len(arrays) == 1 or len(graph.input_shapes) == 1:
        return as_frames(graph, arrays.get("x", next(iter(arrays.values()))), what)
    return as_frames(graph, arrays, what)


def some_samples(network: Network, x: np.ndarray, macs: int, *, least: int,
                 most: int) -> np.ndarray:
    """Some of ``x`` (samples, ...): as many as take about ``macs`` multiplications, ``least`` to
    ``most``, spread evenly; of a network that keeps state the first, which follow one another."""
    count = min(len(x), int(np.clip(macs // max(1, network.macs), least, most)))
    if network.stateful:
        return x[:count]
    return x[np.unique(np.linspace(0, len(x) - 1, count).astype(int))]


def whole_frames(x: np.ndarray, contexts: int) -> np.ndarray:
    """``x`` (samples, ...), begun again where needed to fill its last frame of ``contexts``; a
    frame of several counts as one sample, so there are as many frames as there were samples."""
    return np.resize(x, (len(x) * contexts, *x.shape[1:])) if contexts > 1 else x


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


def _samples(array, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Of the type given, where :func:`as_samples` takes it."""
    array = np.asarray(array)
    as_samples(array, shape, what)
    return array[None] if array.shape == tuple(shape) else array
