"""Weights whose rounding errors make up for each other, on the operands that calibration saw.

Rounding each weight to the nearest step keeps each weight's error small. What matters is the error
of the sum, and operands are alike: the units of an LSTM move together, and a bias meets a one every
time. So the columns are rounded one after the other, and the columns that are not yet rounded, and
at last the bias, take over the error as far as their operands go with that of the rounded one.
Formats, scales and hardware know nothing of it: the result is a network of other float weights,
which lie on the grid of their formats.

Source: E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ: accurate post-training quantization
for generative pre-trained transformers", ICLR 2023, arXiv 2210.17323.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, split
from gatefold.gen.network.layers import Dense, Gru, Layer, Lstm, Recurrent, Rnn
from gatefold.gen.numbers.calibrate import at_a_time
from gatefold.gen.numbers.integers import scaled_weights
from gatefold.gen.numbers.qformat import QFormat

__all__ = ["Moments", "fitted", "moments_of"]

_MOST = 2048  # columns of a matrix whose moments are kept
_BLOCK = 64  # columns whose errors are passed on to the rest together


@dataclass(frozen=True)
class Moments:
    """``samples``, their number; ``layers``, by the names of layers the second moments of their
    operands: for each of :func:`_sums`, the means (columns + 1, columns + 1) of the products of two
    columns' operands, the last column being the bias's one."""

    samples: int
    layers: Mapping[str, list[np.ndarray]]


@dataclass(frozen=True)
class _Sum:
    """Rows of a layer that meet the same operands: ``rows``; ``tensors``, the matrices that they
    are rows of; ``bias`` and ``biases``, its name and the rows in it; ``meets``, the operand of
    each matrix: x, h (of the step before), hr or q."""

    rows: slice
    tensors: tuple[str, ...]
    bias: str
    biases: slice
    meets: tuple[str, ...]


def _sums(layer: Layer) -> list[_Sum]:
    """The sums of a layer whose weights can be fitted."""
    every = slice(None)
    if isinstance(layer, Dense):
        return [] if layer.pattern is not None else [_Sum(every, ("w",), "b", every, ("x",))]
    both = ("w_ih", "w_hh")
    if isinstance(layer, Lstm | Rnn):
        met = "h" if getattr(layer, "w_hr", None) is None else "hr"
        return [_Sum(every, both, "b", every, ("x", met))]
    if not isinstance(layer, Gru):
        return []
    gates, candidate = slice(0, 2 * layer.units), slice(2 * layer.units, None)
    found = [_Sum(gates, both, "b", gates, ("x", "h"))]
    if not layer.reset_after:
        return [*found, _Sum(candidate, both, "b", candidate, ("x", "q"))]
    return [*found, _Sum(candidate, ("w_ih",), "b", candidate, ("x",)),
            _Sum(candidate, ("w_hh",), "b_n", every, ("h",))]


# ---- the operands' moments ---------------------------------------------------------------------


def moments_of(network: Network, x: np.ndarray) -> Moments:
    """The moments on the samples ``x``, (samples, *input_shape) floats, in float arithmetic.

    Layers with more than 2,048 columns, and those whose matrix has a pattern, have none.
    """
    found: dict[str, list[np.ndarray]] = {}
    chunk = at_a_time(network, len(x))
    for start in range(0, len(x), chunk):
        part, trace = x[start:start + chunk], {}
        forward(network, part, trace=trace)
        values = split(part, network.input_shapes)
        for name, layer in zip(network.names, network.layers, strict=True):
            if not layer.computes:
                values.append(layer.compute([values[value] for value in layer.inputs], {}))
                continue
            kept = trace[name][layer.result]
            values.append(kept if getattr(layer, "return_sequences", True) else kept[:, -1])
            for n, met in enumerate(_operands(layer, values, trace[name])):
                sums = found.setdefault(name, [])
                product = met.T @ met * (len(part) / len(x) / len(met))
                sums[n:n + 1] = [sums[n] + product if n < len(sums) else product]
    return Moments(len(x), found)


def _operands(layer: Layer, values: list[np.ndarray], inside: dict) -> Iterator[np.ndarray]:
    """The operands (steps of all samples, columns + 1) of each of the layer's sums."""
    sums = _sums(layer)
    if not sums or sum(getattr(layer, tensor).shape[1] for tensor in layer.weights) > _MOST:
        return
    x = values[layer.inputs[0]]
    if isinstance(layer, Recurrent):
        first = values[layer.inputs[1]] if len(layer.inputs) > 1 else np.broadcast_to(
            0.0 if layer.h0 is None else layer.h0, inside["h"][:, 0].shape)
        before = np.concatenate([first[:, None], inside["h"][:, :-1]], axis=1)
        if layer.stateful:
            before[1:, 0] = inside["h"][:-1, -1]
        met = {"x": x, "h": before, "q": inside.get("q"), "hr": inside.get("hr")}
    else:
        assert isinstance(layer, Dense)
        met = {"x": layer.gather(x)}
    for one in sums:
        parts = [met[operand] for operand in one.meets]
        columns = [part.reshape(-1, part.shape[-1]) for part in parts if part is not None]
        yield np.concatenate([*columns, np.ones((len(columns[0]), 1))], axis=1)


# ---- the weights -------------------------------------------------------------------------------


def fitted(network: Network, numbers: list[dict], moments: Moments) -> Network:
    """``network`` with weights on the grids of ``numbers``, the formats by field of each layer.

    The moments are those of operands that are rounded too: the variance of that, step**2 / 12, is
    on their diagonal, and of few samples a part of the diagonal itself.
    """
    return replace(network, layers=tuple(
        _fitted(layer, chosen, moments.layers.get(name, []), moments.samples)
        for name, layer, chosen in zip(network.names, network.layers, numbers, strict=True)))


def _fitted(layer: Layer, chosen: dict, moments: list[np.ndarray], samples: int) -> Layer:
    found: dict[str, np.ndarray] = {name: np.array(getattr(layer, name), np.float64)
                                    for name in (*layer.weights, *layer.biases)} if moments else {}
    for one, moment in zip(_sums(layer), moments, strict=False):
        scales = chosen["scales"]
        steps, lows, highs, noise = [], [], [], []
        for tensor, meets in zip(one.tensors, one.meets, strict=True):
            form: QFormat = chosen[f"{tensor}_format"]
            rows, columns = found[tensor][one.rows].shape
            finer = np.zeros(rows) if scales is None else scales[one.rows]
            steps.append(np.repeat(2.0**-(form.frac + finer)[:, None], columns, axis=1))
            parts = chosen["split"] if meets == "x" else 1
            lows += [form.lo * parts] * columns
            highs += [form.hi * parts] * columns
            noise += [(chosen["x" if meets == "x" else "h"].step / parts)**2 / 12] * columns
        exact = np.concatenate([scaled_weights(layer, found[tensor][one.rows])
                                for tensor in one.tensors], axis=1)
        diagonal = np.append(noise + moment.diagonal()[:-1] / samples, 0.0)
        w, bias = _rounded(exact, moment + np.diag(diagonal), np.concatenate(steps, axis=1),
                           np.array(lows), np.array(highs))
        times = 4.0 if layer.last_activation == "hard_sigmoid" else 1.0  # see scaled_weights
        found[one.bias][one.biases] += bias * times
        for tensor in one.tensors:
            columns = found[tensor].shape[1]
            found[tensor][one.rows], w = w[:, :columns] * times, w[:, columns:]
    return replace(layer, **found) if found else layer


def _rounded(w: np.ndarray, moment: np.ndarray, steps: np.ndarray, lows: np.ndarray,
             highs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``w`` (rows, columns) on its grid of multiples of ``steps`` (rows, columns), from ``lows``
    to ``highs`` (columns,) of them, and what to add to the bias (rows,).

    The columns with the largest operands go first. The rows of ``onto``, the upper Cholesky factor
    of the inverse of ``moment``, say how much of a column's error each later column takes over.
    """
    columns = w.shape[1]
    order = np.append(np.argsort(-moment.diagonal()[:-1], kind="stable"), columns)
    onto = np.linalg.cholesky(np.linalg.inv(moment[np.ix_(order, order)])).T
    left = np.append(w, np.zeros((len(w), 1)), axis=1)[:, order]
    steps, found = steps[:, order[:-1]], np.empty_like(w)
    lows, highs = lows[order[:-1]], highs[order[:-1]]
    for start in range(0, columns, _BLOCK):
        end = min(start + _BLOCK, columns)
        errors = np.empty((len(w), end - start))
        for n in range(start, end):
            units = np.floor(left[:, n] / steps[:, n] + 0.5)
            found[:, order[n]] = np.clip(units, lows[n], highs[n]) * steps[:, n]
            error = errors[:, n - start] = (left[:, n] - found[:, order[n]]) / onto[n, n]
            left[:, n + 1:end] -= error[:, None] * onto[n, n + 1:end]
        left[:, end:] -= errors @ onto[start:end, end:]
    return found, left[:, columns]
