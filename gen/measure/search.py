"""The cheapest formats that keep a stated error: ``--width auto --max-error 1%``.

First come the widths of activations and weights that hold for all layers, since the engine's
multipliers and memories are made for the widest: along the frontier between the pairs that keep the
error and those that do not, the search takes the pair with the smallest product, the multiplier's
size. Then it goes layer by layer, the largest first, and gives each as few bits as keep the error.
Every attempt quantises the network and computes its outputs; nothing is modelled.

Widths that are chosen on a few samples suit these better than others. So a quarter of the samples
is held out: it chooses neither formats nor widths. The widths that the attempts find are checked on
all of the data and on what was held out. If either error is too large, the limit for the attempts
is lowered in proportion, and the search goes on. Where no widths keep it on what was held out,
because values there are larger, the search begins anew with an integer bit more in results and
states (``--headroom 1``). Where there are too few samples to hold any out, or too few to say much
about others, a warning says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from warnings import warn

import numpy as np

from gatefold.gen.errors import NumbersWarning, UserError, quoted
from gatefold.gen.measure.inside import Moments
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_samples, some_samples
from gatefold.gen.network.graph import Network, split
from gatefold.gen.network.recurrent import Recurrent
from gatefold.gen.numbers.calibrate import Calibration, at_a_time, calibrate
from gatefold.gen.numbers.formats import as_rule
from gatefold.gen.numbers.overrides import check_overrides
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.numbers.settings import TENSORS, WIDTHS, group_of
from gatefold.sim.golden import golden

__all__ = ["Found", "find_widths"]

_MACS = 400_000_000  # multiplications of an attempt: a few seconds at most
_TIGHTER = 0.99  # lowers the limit a little more than in proportion, so that the search ends
_LEAST = 8  # samples of which some are held out
_FEW = 64  # below which a result says little about other data
_ATTEMPTS = 200  # most attempts by default, of both stages together


@dataclass(frozen=True)
class Found:
    """The result of :func:`find_widths`.

    Attributes: ``act_width``, ``weight_width`` and ``overrides``, arguments of
    :func:`~.quantize.quantize`, as ``seen`` is, the calibration; ``error``, their error by
    :func:`error_of` on ``data`` (samples, *input_shape), all the calibration data; ``held_out``,
    the number of samples that were held out and the error on them (0 and None where none were);
    ``samples``, the number of samples on which attempts were computed; ``attempts``, every attempt
    in order, ready for JSON: ``activations``, ``weights`` (bits), ``overrides``, ``error``,
    ``keeps``; ``checks``, the same of the checks, with the ``limit`` of the attempts before and the
    error on what was ``held_out``; ``complete``, whether the search ended by itself and not at its
    limit of attempts; ``headroom``, integer bits that results and states need beyond their rules.
    """

    act_width: int
    weight_width: int
    overrides: dict[str, dict]
    error: float
    samples: int
    attempts: list[dict]
    checks: list[dict]
    complete: bool
    held_out: tuple[int, float | None]
    headroom: int
    seen: Calibration = field(compare=False, repr=False)
    data: np.ndarray = field(compare=False, repr=False)

    def as_dict(self) -> dict:
        """The attributes, ready for JSON; formats among the overrides become text."""
        overrides = {name: {key: str(value) if isinstance(value, QFormat) else value
                            for key, value in keys.items()}
                     for name, keys in self.overrides.items()}
        return {"activations": self.act_width, "weights": self.weight_width,
                "overrides": overrides, "error": self.error, "samples": len(self.data),
                "held_out": dict(zip(("samples", "error"), self.held_out, strict=True)),
                "headroom": self.headroom,
                "complete": self.complete, "attempt_samples": self.samples,
                "attempts": self.attempts, "checks": self.checks}


def find_widths(network: Network, max_error: float, *, calibration=None, samples: int = 64,
                seed: int = 0, layers: bool = True, attempts: int = _ATTEMPTS,
                progress: Callable[[str], None] = lambda _stage: None, **options) -> Found:
    """The cheapest widths with which the error stays within ``max_error``.

    Parameters: ``max_error``, e.g. 0.01, the largest :func:`error_of` on the calibration data;
    ``calibration``, ``samples`` and ``seed`` as of :func:`quantize`, and ``options``, the rest of
    its arguments (the search keeps the ``overrides`` among them); ``layers``, whether to search
    single layers too; ``attempts``, the most to make; ``progress``, called with a line about each
    attempt.
    The same arguments give the same result.
    Raises :class:`UserError` if even the widest formats do not keep the error.
    """
    if isinstance(max_error, bool) or not isinstance(max_error, (int, float)) \
            or not 0 < max_error < 1:
        raise UserError(f"the largest error must be between 0 and 1 (0% and 100%), not "
                        f"{quoted(max_error)[1:-1]}")
    trial = _Trial.of(network, max_error, calibration, samples, seed, attempts, progress, options)
    while True:
        act, weight, error = _frontier(trial)
        overrides: dict[str, dict] = {}
        if layers:
            overrides, error = _layers(trial, act, weight, error)
        beyond = None
        if trial.held_out.any() or len(trial.x) < len(trial.data):
            error, beyond = trial.check(act, weight, overrides)
        worst = max(error, beyond or 0.0)
        if worst <= max_error:
            break
        if act < WIDTHS[-1] or weight < WIDTHS[-1] or overrides:
            trial.limit *= _TIGHTER * max_error / worst
        elif trial.headroom:
            raise _none_keeps(max_error, worst)
        else:  # wider formats do not help: some values were beyond those that chose them
            trial = trial.again(headroom=1)
    held_out = int(trial.held_out.sum())
    _warn(len(trial.data), held_out)
    return Found(act, weight, trial.merged(overrides), error, len(trial.x), trial.made,
                 trial.checks, len(trial.made) < attempts, (held_out, beyond), trial.headroom,
                 trial.seen, trial.data)


def _warn(samples: int, held_out: int) -> None:
    """Say so where the samples are too few to vouch for others."""
    if not held_out:
        why = f"chose the widths on the {_samples(samples)} on which it states the error"
    elif samples < _FEW:
        why = f"checked the error on only {_samples(held_out)} that it held out"
    else:
        return
    warn(f"--width auto {why}, so other data may have a larger one: give {_FEW} samples or more",
         NumbersWarning, stacklevel=3)


def _hold_out(network: Network, samples: int) -> np.ndarray:
    """Which of the samples (samples,) are held out. Where a state goes on from sample to sample it
    is the last quarter, else every fourth."""
    number = np.arange(samples)
    if samples < _LEAST:
        return number < 0
    if any(isinstance(layer, Recurrent) and layer.stateful for layer in network.layers):
        return number >= samples - samples // 4
    return number % 4 == 3


def _samples(number: int) -> str:
    return f"{number} sample{'s' * (number > 1)}"


def error_of(network: Network, qnet: QuantizedNetwork, x: np.ndarray, floats: np.ndarray) -> float:
    """The error of ``qnet`` on ``x``: the rms error of the worst output over the range of its
    floats (or the rms error itself, if that range is 0)."""
    return _error(network, _fixed(network, qnet, x), floats)


def _error(network: Network, got: np.ndarray, floats: np.ndarray) -> float:
    """The same of outputs (samples, all of them side by side)."""
    outputs = [Moments() for _ in network.outputs]
    for moments, fixed, wanted in zip(outputs, split(got, network.output_shapes),
                                      split(floats, network.output_shapes), strict=True):
        moments.add(fixed, wanted)
    errors = [moments.as_dict() for moments in outputs]
    return max(one["rms"] if one["rms_relative"] is None else one["rms_relative"]
               for one in errors)


def _parts(network: Network, samples: int) -> list[slice]:
    """Slices of samples that are computed together."""
    chunk = at_a_time(network, samples)
    return [slice(start, start + chunk) for start in range(0, samples, chunk)]


def outputs_of(network: Network, x: np.ndarray) -> np.ndarray:
    """The float network's outputs."""
    return np.concatenate([forward(network, x[part]) for part in _parts(network, len(x))])


def _fixed(network: Network, qnet: QuantizedNetwork, x: np.ndarray) -> np.ndarray:
    """The quantised network's outputs, as floats."""
    return np.concatenate([qnet.to_float(golden(qnet, qnet.quantize(x[part])))
                           for part in _parts(network, len(x))])


def _none_keeps(max_error: float, error: float) -> UserError:
    return UserError(f"no formats keep an error of {100 * max_error:.3g}%: with {WIDTHS[-1]} bits "
                     f"everywhere it is {100 * error:.3g}%: allow more, or give calibration "
                     "data that is like what the core will see")


@dataclass
class _Trial:
    """Makes attempts and records all of them.

    ``data`` is all the calibration data, ``held_out`` (samples,) says which of them are held out,
    and ``x`` is the part of the others on which attempts must keep ``limit``.
    """

    network: Network
    max_error: float
    seen: Calibration
    data: np.ndarray
    held_out: np.ndarray
    x: np.ndarray
    floats: np.ndarray
    most: int
    progress: Callable[[str], None]
    options: dict
    fixed: dict[str, dict]
    limit: float
    made: list[dict] = field(default_factory=list)
    checks: list[dict] = field(default_factory=list)
    known: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, max_error: float, data, samples: int, seed: int, most: int,
           progress: Callable[[str], None], options: dict) -> _Trial:
        options = dict(options)
        fixed = check_overrides(options.pop("overrides", None) or {}, network)
        rules = [options.get("rule", "max"), *(keys.get("rule", "max") for keys in fixed.values())]
        looks = any(as_rule(rule).looks for rule in rules)
        if data is None:
            data = np.random.default_rng(seed).standard_normal((samples, *network.input_shape))
        data = as_samples(data, network.input_shape)
        held_out = _hold_out(network, len(data))
        seen = calibrate(network, data[~held_out], look=looks)
        x = some_samples(network, data[~held_out], _MACS, least=16, most=256)
        return cls(network, max_error, seen, data, held_out, x, outputs_of(network, x), most,
                   progress, options, fixed, max_error)

    @property
    def headroom(self) -> int:
        """Integer bits that are reserved in results and states."""
        return self.options.get("headroom", 0)

    def again(self, headroom: int) -> _Trial:
        """A trial that begins anew with so much headroom."""
        return replace(self, options=self.options | {"headroom": headroom}, limit=self.max_error,
                       made=[], checks=[], known={})

    def may(self, act: int, weight: int, overrides: dict | None = None) -> bool:
        """Whether another attempt is allowed, or this one was made before."""
        return len(self.made) < self.most or _key(act, weight, overrides) in self.known

    def merged(self, overrides: dict) -> dict[str, dict]:
        """``overrides`` with the user's, which win."""
        return {name: {**overrides.get(name, {}), **self.fixed.get(name, {})}
                for name in {**self.fixed, **overrides}}

    def open(self, name: str, group: str) -> bool:
        """Whether the user's overrides leave a group of a layer's tensors free."""
        return not any(key == group or (key in TENSORS and group_of(key) == group)
                       for key in self.fixed.get(name, {}))

    def error(self, act: int, weight: int, overrides: dict | None = None) -> float:
        """The error with these widths on ``x``; infinite if the network has no such formats."""
        key = _key(act, weight, overrides)
        if key in self.known:
            return self.known[key]
        try:
            error = error_of(self.network, self._quantized(act, weight, overrides), self.x,
                             self.floats)
        except UserError:
            if not self.made:
                raise  # not even the widest
            error = math.inf
        self.known[key] = error
        self.made.append(self._record(act, weight, overrides, error))
        changed = ", ".join(f"{name} {key} {bits}" for name, keys in (overrides or {}).items()
                            for key, bits in keys.items())
        self.progress(f"attempt {len(self.made)}: activations {act}, weights {weight} bits"
                      + (f", {changed}" if changed else "") + f": error {error:.3g}")
        return error

    def check(self, act: int, weight: int, overrides: dict) -> tuple[float, float | None]:
        """The errors with these widths on all the data and on what was held out."""
        self.progress(f"checking on all {len(self.data)} samples")
        got = _fixed(self.network, self._quantized(act, weight, overrides), self.data)
        error, held_out, beyond = _error(self.network, got, self.wanted), self.held_out, None
        if held_out.any():
            beyond = _error(self.network, got[held_out], self.wanted[held_out])
        self.checks.append(self._record(act, weight, overrides, error)
                           | {"limit": self.limit, "held_out": beyond,
                              "keeps": max(error, beyond or 0.0) <= self.max_error})
        return error, beyond

    @cached_property
    def wanted(self) -> np.ndarray:
        """The float network's outputs on all the data."""
        return outputs_of(self.network, self.data)

    def _quantized(self, act: int, weight: int, overrides: dict | None) -> QuantizedNetwork:
        return quantize(self.network, act_width=act, weight_width=weight, calibration=self.seen,
                        overrides=self.merged(overrides or {}), **self.options)

    def _record(self, act: int, weight: int, overrides: dict | None, error: float) -> dict:
        return {"activations": act, "weights": weight,
                "overrides": {name: dict(keys) for name, keys in (overrides or {}).items()},
                "error": error if math.isfinite(error) else None,
                "keeps": error <= self.max_error}


def _key(act: int, weight: int, overrides: dict | None) -> str:
    return json.dumps([act, weight, overrides or {}], sort_keys=True)


def _frontier(trial: _Trial) -> tuple[int, int, float]:
    """Widths of all activations and all weights with the smallest product, and their error."""
    act, weight = WIDTHS[-1], WIDTHS[0]
    error = trial.error(WIDTHS[-1], WIDTHS[-1])
    if error > trial.max_error:
        raise _none_keeps(trial.max_error, error)
    best = (WIDTHS[-1] ** 2, WIDTHS[-1], WIDTHS[-1], error)
    # Down the staircase: fewer bits of activations while the error allows, or more of weights.
    while act >= WIDTHS[0] and weight <= WIDTHS[-1] and trial.may(act, weight):
        if act * weight > best[0]:  # no gain here
            act -= 1
            continue
        error = trial.error(act, weight)
        if error <= trial.limit:
            best = min(best, (act * weight, weight, act, error))
            act -= 1
        else:
            weight += 1
    _, weight, act, error = best
    return act, weight, error


def _layers(trial: _Trial, act: int, weight: int,
            error: float) -> tuple[dict[str, dict], float]:
    """Fewer bits for single layers: for their weights, the largest layer first, then for their
    results, which are the next layer's operands.
    """
    network = trial.network
    named = [(name, layer) for name, layer in zip(network.names, network.layers, strict=True)
             if layer.computes]
    heavy = sorted((pair for pair in named if pair[1].weights),
                   key=lambda pair: -pair[1].parameters)
    settings = [(name, "weights", weight) for name, _ in heavy]
    settings += [(name, "activations", act) for name, _ in named]
    kept: dict[str, dict] = {}
    for name, key, bits in settings:
        while bits > WIDTHS[0] and trial.open(name, key):
            tried = {**kept, name: {**kept.get(name, {}), key: bits - 1}}
            if not trial.may(act, weight, tried):
                break
            found = trial.error(act, weight, tried)
            if found > trial.limit:
                break
            kept, error, bits = tried, found, bits - 1
    return kept, error
