"""The cheapest formats that keep a stated error: ``--width auto --max-error 1%``.

First the widths of activations and weights that hold for all layers, since the engine's multipliers
and memories are made for the widest: along the frontier between the pairs that keep the error and
those that do not, the pair with the smallest product, the multiplier's size. Then layer by layer,
the largest first, each with as few bits as it can do with. Every attempt is quantised and computed;
nothing is modelled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..sim.golden import golden
from .calibrate import Calibration, as_samples, calibrate
from .errors import UserError, quoted
from .formats import as_rule
from .forward import forward
from .layers import Dense, Recurrent
from .network import Network, split
from .overrides import check_overrides
from .quantize import quantize
from .quantized import QuantizedNetwork
from .views import View
from .wishes import TENSORS, WIDTHS, group_of

__all__ = ["Found", "find_widths", "parsed_error"]

_MACS = 400_000_000  # multiplications of an attempt: a second or a few
_ATTEMPTS = 200  # by default, both stages together


@dataclass(frozen=True)
class Found:
    """What :func:`find_widths` found.

    Attributes: ``act_width``, ``weight_width`` and ``overrides``, arguments of
    :func:`~gatefold.gen.quantize.quantize`; ``error``, as :func:`error_of` has it, with these;
    ``samples``, on how many; ``attempts``, every attempt in order, ready for JSON:
    ``activations``, ``weights`` (bits), ``overrides``, ``error``, ``keeps``; ``complete``, whether
    the search came to its end, or only to its limit of attempts.
    """

    act_width: int
    weight_width: int
    overrides: dict[str, dict]
    error: float
    samples: int
    attempts: list[dict]
    complete: bool


def find_widths(network: Network, max_error: float, *, calibration=None, samples: int = 64,
                seed: int = 0, layers: bool = True, attempts: int = _ATTEMPTS,
                progress: Callable[[str], None] = lambda _stage: None, **options) -> Found:
    """The cheapest widths with which the error stays within ``max_error``.

    Parameters: ``max_error``, e.g. 0.01, of :func:`error_of` on the calibration data (as many
    samples of it as are computed in about a second, evenly spread; of a network that keeps state,
    the first); ``calibration``, ``samples`` and ``seed`` as of :func:`quantize`, and ``options``
    the rest of its arguments (what ``overrides`` among them say stays as it is); ``layers``, look
    at single layers too; ``attempts``, the most to make; ``progress``, told of each attempt.
    The same arguments give the same result.
    Raises :class:`UserError` where even the widest formats do not keep the error.
    """
    if isinstance(max_error, bool) or not isinstance(max_error, (int, float)) \
            or not 0 < max_error < 1:
        raise UserError(f"the largest error must be between 0 and 1 (0% and 100%), not "
                        f"{quoted(max_error)[1:-1]}")
    trial = _Trial.of(network, max_error, calibration, samples, seed, attempts, progress, options)
    act, weight, error = _frontier(trial)
    overrides: dict[str, dict] = {}
    if layers:
        overrides, error = _layers(trial, act, weight, error)
    return Found(act, weight, trial.merged(overrides), error, len(trial.x), trial.made,
                 len(trial.made) < attempts)


def error_of(network: Network, qnet: QuantizedNetwork, x: np.ndarray, floats: np.ndarray) -> float:
    """The error of ``qnet`` on ``x``: rms of an output's error over the range of its floats, the
    worst of the network's outputs (an output without range counts by its error alone)."""
    got = qnet.to_float(golden(qnet, qnet.quantize(x)))
    worst = 0.0
    for fixed, wanted in zip(split(got, network.output_shapes),
                             split(floats, network.output_shapes), strict=True):
        rms, span = float(np.sqrt(np.mean((fixed - wanted) ** 2))), float(np.ptp(wanted))
        worst = max(worst, rms / span if span else rms)
    return worst


def parsed_error(text: str) -> float:
    """A largest error as it is written, ``1%`` or ``0.01``; raises :class:`UserError`."""
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(%?)\s*", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value < 1:
        raise UserError(f"--max-error must be a part of the outputs' range like 1% or 0.01, not "
                        f"{quoted(text)}")
    return value


@dataclass
class _Trial:
    """One attempt after the other; remembers all of them."""

    network: Network
    max_error: float
    seen: Calibration
    x: np.ndarray
    floats: np.ndarray
    most: int
    progress: Callable[[str], None]
    options: dict
    fixed: dict[str, dict]
    made: list[dict] = field(default_factory=list)

    @classmethod
    def of(cls, network: Network, max_error: float, data, samples: int, seed: int, most: int,
           progress: Callable[[str], None], options: dict) -> _Trial:
        options = dict(options)
        fixed = check_overrides(options.pop("overrides", None) or {}, network)
        rules = [options.get("rule", "max"), *(keys.get("rule", "max") for keys in fixed.values())]
        looks = any(as_rule(rule).looks for rule in rules)
        if data is None:
            data = np.random.default_rng(seed).standard_normal((samples, *network.input_shape))
            seen = calibrate(network, None, samples, seed, look=looks)
        else:
            data = as_samples(data, network.input_shape)
            seen = calibrate(network, data, look=looks)
        count = int(np.clip(_MACS // max(1, network.macs), 16, 256))
        chosen = np.arange(min(count, len(data))) if network.stateful else np.unique(
            np.linspace(0, len(data) - 1, count).astype(int))
        x = data[chosen]
        return cls(network, max_error, seen, x, forward(network, x), most, progress, options, fixed)

    @property
    def spent(self) -> bool:
        """Whether no attempt is left."""
        return len(self.made) >= self.most

    def merged(self, overrides: dict) -> dict[str, dict]:
        """These and what was fixed from the first."""
        return {name: {**overrides.get(name, {}), **self.fixed.get(name, {})}
                for name in {**self.fixed, **overrides}}

    def open(self, name: str, group: str) -> bool:
        """Whether nothing was fixed of a group of a layer's tensors."""
        return not any(key == group or (key in TENSORS and group_of(key) == group)
                       for key in self.fixed.get(name, {}))

    def error(self, act: int, weight: int, overrides: dict | None = None) -> float:
        """The error with these numbers; infinite where they cannot be had."""
        try:
            qnet = quantize(self.network, act_width=act, weight_width=weight,
                            calibration=self.seen, overrides=self.merged(overrides or {}),
                            **self.options)
            error = error_of(self.network, qnet, self.x, self.floats)
        except UserError:
            if not self.made:
                raise  # the widest: nothing will do
            error = math.inf
        self.made.append({"activations": act, "weights": weight,
                          "overrides": {name: dict(keys) for name, keys in
                                        (overrides or {}).items()},
                          "error": error if math.isfinite(error) else None,
                          "keeps": error <= self.max_error})
        told = ", ".join(f"{name} {key} {bits}" for name, keys in (overrides or {}).items()
                         for key, bits in keys.items())
        self.progress(f"attempt {len(self.made)}: activations {act}, weights {weight} bits"
                      + (f", {told}" if told else "") + f": error {error:.3g}")
        return error


def _frontier(trial: _Trial) -> tuple[int, int, float]:
    """Widths of all activations and all weights with the smallest product, and their error."""
    act, weight = WIDTHS[-1], WIDTHS[0]
    error = trial.error(WIDTHS[-1], WIDTHS[-1])
    if error > trial.max_error:
        raise UserError(f"no formats keep an error of {trial.max_error:.3%}: with {WIDTHS[-1]} "
                        f"bits everywhere it is {error:.3%}: allow more, or give calibration data "
                        "that is like what the core will see")
    best = (WIDTHS[-1] ** 2, WIDTHS[-1], WIDTHS[-1], error)
    # Down the staircase: fewer bits of activations while it keeps, else one more of weights.
    while act >= WIDTHS[0] and weight <= WIDTHS[-1] and not trial.spent:
        if act * weight > best[0]:  # nothing to gain here: go on below
            act -= 1
            continue
        error = trial.error(act, weight)
        if error <= trial.max_error:
            best = min(best, (act * weight, weight, act, error))
            act -= 1
        else:
            weight += 1
    _, weight, act, error = best
    return act, weight, error


def _layers(trial: _Trial, act: int, weight: int,
            error: float) -> tuple[dict[str, dict], float]:
    """Fewer bits for single layers: their weights, those with the most first, then their results.

    A result's width is that of the next layer's operands.
    """
    network = trial.network
    named = [(name, layer) for name, layer in zip(network.names, network.layers, strict=True)
             if not isinstance(layer, View)]
    heavy = sorted((pair for pair in named if isinstance(pair[1], (Dense, Recurrent))),
                   key=lambda pair: -pair[1].parameters)
    wishes = [(name, "weights", weight) for name, _ in heavy]
    wishes += [(name, "activations", act) for name, _ in named]
    kept: dict[str, dict] = {}
    for name, key, bits in wishes:
        while bits > WIDTHS[0] and not trial.spent and trial.open(name, key):
            tried = {**kept, name: {**kept.get(name, {}), key: bits - 1}}
            found = trial.error(act, weight, tried)
            if found > trial.max_error:
                break
            kept, error, bits = tried, found, bits - 1
    return kept, error
