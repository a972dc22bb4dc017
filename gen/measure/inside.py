"""The inside of a network: every tensor in float and in fixed point, side by side.

Both passes have the same tensors: of an LSTM ``z_i z_f z_g z_o`` (before the activation), ``i f g
o`` (after it), ``c`` and ``h``; of a GRU ``z_r z_z z_n r z n``, ``m`` (which r multiplies) or ``q``
(which r makes), ``c`` (the state behind h: in float h itself) and ``h``; of a SimpleRNN ``z h``; of
a Dense ``z y``; of others ``y``. Where the result is a hard sigmoid, z is the number that is
clipped to 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_frames
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.calibrate import at_a_time
from gatefold.gen.numbers.qlayer import Tensor
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden

__all__ = ["Moments", "both", "fixed_trace", "inside", "tensors"]


def tensors(qnet: QuantizedNetwork) -> dict[str, dict[str, Tensor]]:
    """Every tensor by its layer's name and by its own name in a float trace."""
    return {layer.name: layer.tensors(qnet.table) for layer in qnet.computing.values()}


def fixed_trace(qnet: QuantizedNetwork, trace: dict, *, raw: bool = False
                ) -> dict[tuple[str, str], np.ndarray]:
    """Golden's ``trace`` as floats (integers if ``raw``), by layer and float tensor name."""
    return {(layer, name): trace[layer][tensor.name] if raw
            else tensor.to_float(trace[layer][tensor.name])
            for layer, known in tensors(qnet).items() for name, tensor in known.items()}


def float_trace(network: Network, qnet: QuantizedNetwork,
                trace: dict) -> dict[tuple[str, str], np.ndarray]:
    """The float pass's ``trace``, restricted to the tensors that both passes have."""
    found = {(layer, name): trace[layer]["h" if name == "c" and "c" not in trace[layer] else name]
             for layer, known in tensors(qnet).items() for name in known}
    for name, layer in zip(network.names, network.layers, strict=True):
        if layer.last_activation == "hard_sigmoid":
            found[name, "z"] = found[name, "z"] / 4 + 0.5
    return found


def _reaching(network: Network, key: tuple[str, str], floats: np.ndarray) -> np.ndarray:
    """A float tensor, clipped to the range in which its activation can change."""
    layer = network.layers[network.names.index(key[0])]
    if not key[1].startswith("z_"):
        return floats
    function = getattr(layer, "activation" if key[1] in ("z_g", "z_n") else "recurrent_activation")
    most = {"sigmoid": 16.0, "hard_sigmoid": 2.0, "tanh": 8.0, "hard_tanh": 1.0}.get(function)
    return floats if most is None else np.clip(floats, -most, most)


@dataclass(frozen=True)
class Both:
    """Some samples in both numbers: ``floats`` and ``fixed``, arrays by (layer, tensor); outputs
    ``y_float`` and ``y_fixed``, (samples, *output_shape); ``saturations`` as golden counts them;
    ``alone``, None or as ``fixed``, but each layer reads the float pass's rounded values."""

    floats: dict[tuple[str, str], np.ndarray]
    fixed: dict[tuple[str, str], np.ndarray]
    y_float: np.ndarray
    y_fixed: np.ndarray
    saturations: dict
    alone: dict[tuple[str, str], np.ndarray] | None


def both(network: Network, qnet: QuantizedNetwork, x: np.ndarray, *,
         alone: bool = False) -> Iterator[Both]:
    """Both passes on ``x``, (samples, *input_shape) floats, some samples at a time."""
    chunk = at_a_time(network, len(x))
    for start in range(0, len(x), chunk):
        part = x[start:start + chunk]
        integers, floats, trace = qnet.quantize(part), {}, {}
        y_float = forward(network, part, trace=floats)
        y_fixed = qnet.to_float(golden(qnet, integers, trace=trace))
        saturations = trace.pop("saturations")
        single: dict | None = None
        if alone:
            single = {}
            golden(qnet, integers, trace=single, instead=_rounded(qnet, floats))
            single = fixed_trace(qnet, single)
        yield Both(float_trace(network, qnet, floats), fixed_trace(qnet, trace), y_float, y_fixed,
                   saturations, single)


def _rounded(qnet: QuantizedNetwork, trace: dict) -> dict[int, np.ndarray]:
    """The float pass's results of the layers that compute, rounded to the formats of the quantised
    network."""
    found = {}
    for n, layer in qnet.computing.items():
        assert layer.result
        value = trace[layer.name][layer.of.result]
        value = value if getattr(layer, "return_sequences", True) else value[:, -1]
        found[qnet.value(n)] = layer.result.quantize(value)
    return found


class Moments:
    """The error of ``fixed`` against ``floats``, added up over parts."""

    def __init__(self):
        self.count, self.squares, self.worst = 0, 0.0, 0.0
        self.least, self.most = np.inf, -np.inf

    def add(self, fixed: np.ndarray, floats: np.ndarray) -> None:
        """Add a part."""
        errors = fixed - floats
        self.count += errors.size
        self.squares += float(np.sum(errors**2))
        self.worst = max(self.worst, float(np.abs(errors).max(initial=0.0)))
        self.least = min(self.least, float(floats.min(initial=np.inf)))
        self.most = max(self.most, float(floats.max(initial=-np.inf)))

    @property
    def rms(self) -> float:
        """Root of the mean squared error."""
        return float(np.sqrt(self.squares / self.count))

    def as_dict(self) -> dict:
        """Ready for JSON: ``max_abs``, ``rms``, ``range`` of the floats, and both errors relative
        to that range (None if it is 0)."""
        span = self.most - self.least
        return {"max_abs": self.worst, "rms": self.rms, "range": span,
                "max_relative": self.worst / span if span else None,
                "rms_relative": self.rms / span if span else None}


def inside(network: Network, qnet: QuantizedNetwork, x) -> dict[str, dict]:
    """Where the error enters: every tensor of every layer on the floats ``x``, of any form that
    :func:`as_frames` takes.

    By layer name: ``tensors``, by name ``format`` (None: the accumulator's), ``min`` and ``max`` of
    the floats, ``rms`` and ``max_abs`` of the error, ``rms_alone``, the error that the layer itself
    adds: that of the layer on the float pass's values, rounded to its operands' formats (z is
    compared in the range in which its activation changes); ``saturations``, by golden's name of the
    tensor ``{"count", "total"}``. Ready for JSON.
    Raises :class:`UserError` for inputs of a wrong shape or with NaN.
    """
    x = np.asarray(as_frames(network, x), np.float64)
    whole: dict[tuple[str, str], Moments] = {}
    alone: dict[tuple[str, str], Moments] = {}
    spans: dict[tuple[str, str], tuple[float, float]] = {}
    counts: dict = {}
    for part in both(network, qnet, x, alone=True):
        assert part.alone is not None
        for key, floats in part.floats.items():
            reaching = _reaching(network, key, floats)
            whole.setdefault(key, Moments()).add(part.fixed[key], reaching)
            alone.setdefault(key, Moments()).add(part.alone[key], reaching)
            least, most = spans.get(key, (np.inf, -np.inf))
            spans[key] = min(least, float(floats.min())), max(most, float(floats.max()))
        add_counts(counts, part.saturations)
    found: dict[str, dict] = {}
    for layer, known in tensors(qnet).items():
        found[layer] = {"saturations": counts.get(layer, {}), "tensors": {}}
        for name, tensor in known.items():
            error, (least, most) = whole[layer, name], spans[layer, name]
            found[layer]["tensors"][name] = {
                "format": tensor.form and str(tensor.form), "min": least, "max": most,
                "rms": error.rms, "max_abs": error.worst, "rms_alone": alone[layer, name].rms}
    return found


def add_counts(total: dict, more: dict) -> None:
    """Add golden's saturation counts of some samples to those of others."""
    for layer, counted in more.items():
        for tensor, entry in counted.items():
            known = total.setdefault(layer, {}).setdefault(tensor, {"count": 0, "total": 0})
            for key in known:
                known[key] += entry[key]
