"""A user's arrays as frames: one array of samples, or one array for each input."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import read_arrays
from gatefold.gen.network.graph import Graph, Network, joined

__all__ = ["as_frames", "as_recordings", "as_samples", "input_names", "read_frames",
           "some_samples", "whole_frames"]


def input_names(network) -> list[str]:
    """Names of the inputs in reports and settings: ``input``, or ``input0``, ..."""
    count = len(network.input_shapes)
    return ["input"] if count == 1 else [f"input{n}" for n in range(count)]


def as_frames(graph: Graph, given, what: str = "the input") -> np.ndarray:
    """A user's array or arrays as samples (samples, *graph.input_shape), of the type given.

    Parameters: ``given``, samples or one sample without the axis: an array, or, for a network with
    several inputs, a mapping or sequence of arrays in the order of the inputs (a mapping may also
    name them ``input0``, ``input1``, ...); ``what`` names it in messages.
    Raises :class:`UserError` for other shapes or counts, and where :func:`as_samples` does.
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


def as_recordings(graph: Graph, given, what: str = "the input") -> np.ndarray | None:
    """A user's array as recordings (recordings, samples, features) of at least a window each, or
    one without the axis, for a network of windows that overlap; None where it is no such thing."""
    if not graph.window or isinstance(given, Mapping | Sequence):
        return None
    array = np.asarray(given)
    features = graph.input_shape[-1]
    if array.ndim not in (2, 3) or array.shape[-1] != features or array.shape[-2] < graph.window:
        return None
    as_samples(array, array.shape[-2:], what)
    return array.reshape(-1, *array.shape[-2:])


def read_frames(graph: Graph, path: str | os.PathLike, what: str = "the input") -> np.ndarray:
    """:func:`as_frames` of a file: an ``.npy``, or an ``.npz`` with an array for each input, in
    order; one array alone (or, of a network with one input, the one named ``x``) is samples, or, of
    a network of windows that overlap, recordings (:func:`as_recordings`)."""
    arrays = read_arrays(path, what)
    what = f"{what} {quoted(os.path.basename(os.fspath(path)))}"
    if len(arrays) == 1 or len(graph.input_shapes) == 1:
        given = arrays.get("x", next(iter(arrays.values())))
        recordings = as_recordings(graph, given, what)
        return as_frames(graph, given, what) if recordings is None else recordings
    return as_frames(graph, arrays, what)


def some_samples(network: Network, x: np.ndarray, macs: int, *, least: int,
                 most: int) -> np.ndarray:
    """``least`` to ``most`` of the samples ``x`` (samples, ...), which take about ``macs``
    multiplications: spread evenly, or the first ones if the network keeps state, since these follow
    one another."""
    count = min(len(x), int(np.clip(macs // max(1, network.macs), least, most)))
    if network.stateful:
        return x[:count]
    return x[np.unique(np.linspace(0, len(x) - 1, count).astype(int))]


def whole_frames(x: np.ndarray, contexts: int) -> np.ndarray:
    """``x`` (samples, ...), repeated until it fills a frame of ``contexts`` for each sample."""
    return np.resize(x, (len(x) * contexts, *x.shape[1:])) if contexts > 1 else x


def as_samples(array, input_shape: tuple[int, ...],
               what: str = "the calibration data") -> np.ndarray:
    """``array``, samples or one sample without that axis, as float64 (samples, *input_shape).

    ``what`` names the array in messages.
    Raises :class:`UserError` for another type or shape, no sample, NaN or infinities.
    """
    array = _array(array, what)
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


def _array(given, what: str) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError:
        raise UserError(f"{what} must be one array, but its rows have different lengths: pad or "
                        "cut them") from None


def _samples(array, shape: tuple[int, ...], what: str) -> np.ndarray:
    """``array`` in its own type; raises where :func:`as_samples` does."""
    array = _array(array, what)
    as_samples(array, shape, what)
    return array[None] if array.shape == tuple(shape) else array
