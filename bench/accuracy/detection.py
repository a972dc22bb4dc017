"""How well anomalies are found from reconstruction errors, for any model that reconstructs.

Everything here is a function of a callable x -> y on arrays (windows, steps, features): the float
network, golden at any width, or a core. A window's score is its mean squared reconstruction error;
it is called anomalous above a threshold, the :data:`QUANTILE` of the scores that the same callable
gives windows of the training series. No anomaly takes part in choosing it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["QUANTILE", "Detection", "HeldOut", "auc", "evaluate", "read", "scores"]

#: Share of the training windows that stays below the threshold.
QUANTILE = 0.99

Reconstruction = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """``x``, windows (windows, steps, features); ``anomalous``, booleans, for each; ``train``,
    windows of the training series, from which the threshold comes."""

    x: np.ndarray
    anomalous: np.ndarray
    train: np.ndarray

    def part(self, windows: int) -> HeldOut:
        """About so many windows, evenly taken of the normal, the anomalous and the training ones:
        for callables that are slow."""
        def spread(count: int) -> np.ndarray:
            return np.unique(np.linspace(0, count - 1, min(count, windows)).astype(int))
        order = np.argsort(self.anomalous, kind="stable")[spread(len(self.x))]
        return HeldOut(self.x[order], self.anomalous[order], self.train[spread(len(self.train))])


def read(path: Path) -> HeldOut:
    """The windows in a .npz file with the arrays ``x``, ``anomalous`` and ``train``."""
    with np.load(path, allow_pickle=False) as stored:
        return HeldOut(stored["x"], stored["anomalous"].astype(bool), stored["train"])


@dataclass(frozen=True)
class Detection:
    """The scores of a model. Rates in 0..1: ``accuracy``, the share of all windows that are
    classified correctly; ``found``, of the anomalous windows that raise an alarm; ``false_alarms``,
    of the normal ones that do. ``auc``, the area under the ROC curve, needs no threshold. ``rmse``
    is the error of reconstructing training windows.
    """

    auc: float
    accuracy: float
    found: float
    false_alarms: float
    threshold: float
    rmse: float
    windows: int


def scores(model: Reconstruction, x: np.ndarray) -> np.ndarray:
    """Mean squared reconstruction error of each window."""
    y = np.asarray(model(x), np.float64).reshape(x.shape)
    return np.square(y - x).mean(axis=(1, 2))


def auc(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """The chance that an anomalous score is above a normal one, equal ones counting half."""
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, anomalous, "left") + np.searchsorted(
        ordered, anomalous, "right")
    return float(below.mean() / (2 * len(normal)))


def evaluate(model: Reconstruction, data: HeldOut) -> Detection:
    """Threshold, then accuracy and AUC of ``model`` on ``data``."""
    train = scores(model, data.train)
    threshold = float(np.quantile(train, QUANTILE))
    score = scores(model, data.x)
    alarm = score > threshold
    return Detection(
        auc=auc(score[~data.anomalous], score[data.anomalous]),
        accuracy=float((alarm == data.anomalous).mean()),
        found=float(alarm[data.anomalous].mean()),
        false_alarms=float(alarm[~data.anomalous].mean()),
        threshold=threshold, rmse=float(np.sqrt(train.mean())), windows=len(data.x))
