"""The second task of `make accuracy`: an LSTM of 24 units forecasts a Mackey-Glass series.

Input (40, 1), LSTM 24, Dense 1: the value :data:`AHEAD` time units after the window, from the
series of :mod:`mgab` without its noise. The score is the NRMSE: the root of the mean squared error
over the standard deviation of the series. The trained weights are forecast.safetensors;
forecast_train.py trains them again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from mgab import mackey_glass

__all__ = ["AHEAD", "UNITS", "WEIGHTS", "WINDOW", "nrmse", "series", "windows"]

WINDOW, UNITS, AHEAD = 40, 24, 12
#: Samples of the series to train on, to calibrate with, and to judge on.
PARTS = {"train": (0, 20_000), "calibration": (21_000, 24_000), "test": (25_000, 30_000)}
WEIGHTS = Path(__file__).with_name("forecast.safetensors")


@cache
def series() -> np.ndarray:
    """The standardised series, (30,000,)."""
    values = mackey_glass(PARTS["test"][1])
    train = values[slice(*PARTS["train"])]
    return (values - train.mean()) / train.std()


def windows(part: str, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, 40, 1) of a part of the series, ``every`` so many samples, and the values (n, 1)
    that they are to forecast; float32."""
    first, last = PARTS[part]
    starts = np.arange(first, last - WINDOW - AHEAD, every)
    x = series()[starts[:, None] + np.arange(WINDOW)][..., None]
    return x.astype(np.float32), series()[starts + WINDOW - 1 + AHEAD][:, None].astype(np.float32)


def nrmse(forecast: np.ndarray, y: np.ndarray) -> float:
    """The error of forecasts (n, 1) of ``y``: its root mean square over that of the series, 1."""
    return float(np.sqrt(np.square(np.asarray(forecast, np.float64) - y).mean()))
