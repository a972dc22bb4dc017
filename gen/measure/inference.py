"""The golden model on a user's arrays: floats or raw integers in, the same kind out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.measure.host import finish
from gatefold.gen.measure.inside import add_counts, fixed_trace, float_trace
from gatefold.gen.measure.saturation import in_words, lost
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_frames, as_recordings
from gatefold.gen.network.graph import Network, joined, split
from gatefold.gen.network.overlap import frames_of
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden

__all__ = ["Inference", "run", "saturated"]

_CHUNK = 64  # samples at a time, for memory


@dataclass(frozen=True)
class Inference:
    """What a run gives: ``y`` (samples, *output_shape); ``outputs``, the same output by output;
    ``trace``, arrays named ``layer.tensor.fixed`` and ``layer.tensor.float``; ``clipped`` of
    ``inputs`` input values lay outside the input formats; ``lost``, what else saturated and should
    not have (:func:`~gatefold.gen.measure.saturation.lost`)."""

    y: np.ndarray
    outputs: list[np.ndarray]
    trace: dict[str, np.ndarray]
    clipped: int
    inputs: int
    lost: list[dict]


def saturated(qnet: QuantizedNetwork, result: Inference) -> str:
    """What was clamped in a run, in one line; empty where nothing was."""
    parts = []
    if result.clipped:
        formats = ", ".join(map(str, qnet.ends[0]))
        parts.append(f"{result.clipped} of {result.inputs} input values lie outside {formats} and "
                     "were clamped")
    if result.lost:
        parts.append(f"saturated: {in_words(result.lost)}: calibrate with such inputs")
    return "; ".join(parts)


def run(qnet: QuantizedNetwork, x, *, raw: bool = False, trace: bool = False,
        network: Network | None = None, fresh=None, contexts: int = 1,
        states: dict[str, dict[str, np.ndarray]] | None = None) -> Inference:
    """Golden on ``x``: samples or one sample without the axis; of a network with several inputs
    also an array for each (:func:`~gatefold.gen.network.frames.as_frames`). Of a network of windows
    that overlap, also recordings (:func:`~gatefold.gen.network.frames.as_recordings`); a result is
    then that of a whole window, in their order.

    ``raw``: integers of the input formats in, integers out, as the core gives them; otherwise
    floats, quantised, scaled, and finished as the host has to (a softmax, :mod:`.host`).
    ``trace``: keep every tensor of every layer (:mod:`~.measure.inside` names them), in the
    same kind of numbers as ``layer.tensor.fixed``, and with the float ``network`` given also what
    it holds there, ``layer.tensor.float``. ``fresh``: booleans (samples,), samples with which a
    network that keeps state begins anew; without it the first alone. ``contexts``, of a network
    that keeps state: sequences in a frame of the core, so sample k goes on where sample
    k - contexts ended. ``states``, as of :func:`~gatefold.sim.golden.golden`, of ``contexts``
    sequences: where they begin, and then where they end.
    Raises :class:`UserError` for another shape or type, NaN, and raw integers out of range.
    """
    what = "the raw input" if raw else "the input"
    recordings = as_recordings(qnet, x, what)
    if recordings is not None:
        return _recorded(qnet, recordings, raw, trace, network, fresh, states)
    x = as_frames(qnet, x, what)
    if raw and x.dtype.kind not in "iu":
        raise UserError(f"the raw input must hold integers, not {x.dtype}: leave --raw out to give "
                        "floats")
    begins = _begins(x, fresh)
    if contexts > 1 and qnet.stateful:
        # One sequence after the other, then back into the order of the samples.
        order = np.argsort(np.arange(len(x)) % contexts, kind="stable")
        anew = (begins | (np.arange(len(x)) < contexts))[order]
        found = run(qnet, x[order], raw=raw, trace=trace, network=network, fresh=anew,
                    states=states)
        back = np.argsort(order)
        return Inference(found.y[back], [part[back] for part in found.outputs],
                         {name: array[back] for name, array in found.trace.items()},
                         found.clipped, found.inputs, found.lost)
    floats: dict = {}
    if network is not None and trace and not raw:
        floats = _joined(float_trace(network, qnet, inside) for inside in
                         _float_traces(network, x, begins, qnet.stateful))
    with np.errstate(over="ignore"):  # infinities are clamped like all that is too large
        integers, clipped = (x, 0) if raw else (qnet.quantize(x), qnet.saturating(x))
    outputs, parts, saturations = [], [], {}
    chunk = len(x) if qnet.stateful else _CHUNK
    for start in range(0, len(x), chunk):
        record: dict | None = {} if trace else None
        counts: dict = {}
        outputs.append(golden(qnet, integers[start:start + chunk], trace=record,
                              fresh=begins[start:start + chunk], saturations=counts,
                              states=states))
        add_counts(saturations, counts)
        if record:
            parts.append(fixed_trace(qnet, record, raw=raw))
    y = np.concatenate(outputs)
    if raw:
        outputs = split(y, qnet.output_shapes)
    else:
        outputs = finish(split(qnet.to_float(y), qnet.output_shapes), qnet.host)
        y = joined(outputs)
    arrays = {}
    for key, array in _joined(parts).items():
        arrays[".".join((*key, "fixed"))] = array
        if key in floats:
            arrays[".".join((*key, "float"))] = floats[key]
    return Inference(y, outputs, arrays, clipped, x.size, lost(qnet, saturations))


def _recorded(qnet: QuantizedNetwork, recordings: np.ndarray, raw: bool, trace: bool,
              network: Network | None, fresh, states) -> Inference:
    """:func:`run` on recordings (recordings, samples, features): the answers of all their whole
    windows, of one recording after the other."""
    if fresh is not None or states is not None:
        raise UserError("each recording begins anew, without states: give frames "
                        f"(frames, {str(qnet.input_shape)[1:-1]}) to go on with an earlier one")
    frames, begins, whole = frames_of(qnet, recordings)
    found = run(qnet, frames, raw=raw, trace=trace, network=network, fresh=begins)
    return Inference(found.y[whole], [part[whole] for part in found.outputs],
                     {name: array[whole] for name, array in found.trace.items()},
                     found.clipped, found.inputs, found.lost)


def _begins(x: np.ndarray, fresh) -> np.ndarray:
    begins = np.zeros(len(x), bool) if fresh is None else np.asarray(fresh)
    if begins.dtype != bool or begins.shape != (len(x),):
        raise UserError(f"fresh must be {len(x)} booleans, one a sample, not {begins.dtype} of the "
                        f"shape {begins.shape}")
    return begins


def _float_traces(network: Network, x: np.ndarray, begins: np.ndarray, stateful: bool):
    """Float traces of samples that follow one another: sequence by sequence, or by the chunk."""
    starts = [n for n in np.flatnonzero(begins) if n] if stateful else range(_CHUNK, len(x), _CHUNK)
    for part in np.split(x, starts):
        inside: dict = {}
        forward(network, part, trace=inside)
        yield inside


def _joined(parts) -> dict[tuple[str, str], np.ndarray]:
    """Traces of successive samples as one."""
    kept: dict[tuple[str, str], list[np.ndarray]] = {}
    for part in parts:
        for key, array in part.items():
            kept.setdefault(key, []).append(array)
    return {key: np.concatenate(arrays) for key, arrays in kept.items()}
