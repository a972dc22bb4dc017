"""The Mackey-Glass anomaly benchmark (MGAB), built from its description.

Source: M. Thill, W. Konen, T. Baeck, "MGAB: The Mackey-Glass Anomaly Benchmark", 2020,
doi 10.5281/zenodo.3760086: series of dx/dt = beta d / (1 + d^10) - gamma x, d = x(t - 18), sampled
once a time unit, out of which segments are cut so that value and three derivatives nearly match
where the ends meet, under uniform noise. The anomalies cannot be seen by eye.

This is the construction and not the published files: those depend bit by bit on an adaptive solver
and on another generator of random numbers, and the equation is chaotic.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

__all__ = ["MIN_DISTANCE", "NOISE", "Series", "insert_anomalies", "mackey_glass", "noisy"]

TAU, BETA, GAMMA, HISTORY = 18, 0.25, 0.1, 0.9  #: of the benchmark; the exponent is 10
STEPS = 20  #: integration steps a time unit
CUT_LEAST, CUT_CHOICE = 100, 100  #: a segment removed has 100..200 samples
DERIVATIVES = 3  #: derivatives that must match at a cut, beside the value itself
MIN_DISTANCE = 2000  #: samples between two cuts
NOISE = 0.01  #: uniform, -0.01 .. 0.01


def mackey_glass(samples: int, *, spin_up: int = 1_000) -> np.ndarray:
    """``samples`` of the noise-free series, one time unit apart, after ``spin_up`` of them.

    The equation is linear in x once x(t - tau) is known, so a whole delay is integrated at once:
    x(t + h) = a x(t) + h (w . g(t - tau - h .. t - tau + 2 h)), a = exp(-gamma h), g the delayed
    term and w the weights that integrate exp(gamma s) times g's cubic interpolant by Simpson's
    rule (fourth order; second at the kinks that the constant history leaves at first). Only basic
    operations and correctly rounded constants: every IEEE 754 machine computes the same bits.
    """
    h, delay = 1.0 / STEPS, TAU * STEPS
    a = float((Decimal(-GAMMA) * Decimal(h)).exp())
    a_half = float((Decimal(-GAMMA) * Decimal(h) / 2).exp())
    powers = np.cumprod(np.concatenate([[1.0], np.full(delay, a)]))
    total = (spin_up + samples) * STEPS
    x = np.empty(total + 2 * delay + 2)
    x[:delay + 2] = HISTORY  # constant history, and a step before it for the interpolation
    for n in range(delay + 1, total + delay + 2, delay - 1):
        count = min(delay - 1, len(x) - n - 1)
        d = x[n - delay - 1:n - delay + count + 2]
        d2 = d * d
        d4 = d2 * d2
        g = BETA * d / (1.0 + d4 * d4 * d2)
        middle = (9.0 * (g[1:-2] + g[2:-1]) - (g[:-3] + g[3:])) / 16.0
        gained = h / 6.0 * (a * g[1:-2] + 4.0 * a_half * middle + g[2:-1])
        # x(n + k + 1) = a^(k+1) (x(n) + sum of gained(j) / a^(j+1), j <= k)
        grown = np.cumsum(gained[:count] / powers[1:count + 1])
        x[n + 1:n + count + 1] = powers[1:count + 1] * (x[n] + grown)
    return x[delay + 1 + spin_up * STEPS::STEPS][:samples].copy()


@dataclass(frozen=True)
class Series:
    """A series with anomalies: ``values`` (samples,), ``cuts``, the index of the last sample before
    each cut, ascending."""

    values: np.ndarray
    cuts: np.ndarray


def insert_anomalies(series: np.ndarray, count: int, rng: np.random.Generator, *,
                     margin: int = MIN_DISTANCE) -> Series:
    """``series`` with ``count`` segments removed, at least MIN_DISTANCE apart and ``margin`` from
    either end; it becomes shorter by what is removed.

    At a random t_i the second end t_j is the one of 101, t_i + 100 and later, where value and first
    three derivatives (central differences) are nearest to those at t_i in the Euclidean norm.
    Raises ValueError if the series is too short for so many.
    """
    if count * 2 * MIN_DISTANCE + 2 * margin > len(series):
        raise ValueError(f"{count} anomalies, {MIN_DISTANCE} apart, need a longer series than "
                         f"{len(series)} samples")
    values, cuts = series.copy(), []
    while len(cuts) < count:
        at = int(rng.integers(margin, len(values) - margin - CUT_LEAST - CUT_CHOICE))
        if any(abs(at - other) < MIN_DISTANCE for other in cuts):
            continue
        points = [values]
        for _ in range(DERIVATIVES):
            points.append(np.gradient(points[-1]))
        state = np.stack(points, axis=1)
        choice = state[at + CUT_LEAST:at + CUT_LEAST + CUT_CHOICE + 1]
        end = at + CUT_LEAST + int(np.linalg.norm(choice - state[at], axis=1).argmin())
        values = np.concatenate([values[:at + 1], values[end + 1:]])
        removed = end - at
        cuts = [other - removed if other > at else other for other in cuts] + [at]
    return Series(values, np.sort(cuts))


def noisy(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``values`` under the benchmark's uniform noise."""
    return values + rng.uniform(-NOISE, NOISE, values.shape)
