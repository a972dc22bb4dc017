"""Both tasks by the defaults at 8, 6 and 4 bits, and retrained, against what we want to reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import forecast
import numpy as np
from arithmetics import MODEL, Shipped
from detection import HeldOut, evaluate

from gatefold.gen.frontends import load
from gatefold.gen.measure.rules import quantize_measured
from gatefold.gen.network.forward import forward
from gatefold.sim.golden import run

__all__ = ["TARGETS", "Target", "measure_target", "target_line"]

_RETRAINED = forecast.WEIGHTS.with_name("retrained")
_TRAINED = {"anomalies": MODEL / "mgab-autoencoder.safetensors", "forecast": forecast.WEIGHTS}
_CHUNK = 100  # windows at a time, for memory


@dataclass(frozen=True)
class Target:
    """A figure to reach: ``task``, of :data:`_TRAINED`; ``bits`` of weights and activations;
    ``most``, points of accuracy lost or NRMSE; ``retrained``: by the recipe."""

    task: str
    bits: int
    most: float
    retrained: bool = False

    @property
    def key(self) -> str:
        """Its name in measured.json."""
        return f"{self.task}, {self.bits} bits" + (", retrained" if self.retrained else "")

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        if self.retrained:
            return _RETRAINED / f"{self.task}-{self.bits}.safetensors"
        return _TRAINED[self.task]


TARGETS = (Target("anomalies", 8, 0.0), Target("anomalies", 6, 0.2), Target("anomalies", 4, 4.0),
           Target("anomalies", 4, 1.0, True), Target("forecast", 8, 0.026),
           Target("forecast", 6, 0.045), Target("forecast", 4, 0.12),
           Target("forecast", 4, 0.115, True))


def target_line(key: str, found: dict) -> str:
    """A line for the terminal."""
    figure = "not trained" if found["figure"] is None else f"{found['figure']:.4f}"
    return f"{key}: {figure}, wanted at most {found['most']:g}"


def measure_target(target: Target, shipped: Shipped, data: HeldOut) -> dict:
    """``figure``, ``most``, and the rules that the measured choice took; None as the figure where
    the retrained weights are not there."""
    if target.retrained and not target.weights.exists():
        return {"figure": None, "most": target.most}
    anomalies = target.task == "anomalies"
    samples = shipped.samples if anomalies else forecast.windows("calibration", 15)[0]
    qnet = quantize_measured(load(target.weights), calibration=samples,
                             act_width=target.bits, weight_width=target.bits, output_width=16)

    def fixed(x: np.ndarray) -> np.ndarray:
        return np.concatenate([run(qnet, x[n:n + _CHUNK]) for n in range(0, len(x), _CHUNK)])

    if anomalies:
        lost = evaluate(lambda x: forward(shipped.network, x), data).accuracy - evaluate(
            fixed, data).accuracy
        figure = max(0.0, 100 * lost)
    else:
        x, y = forecast.windows("test", 5)
        figure = forecast.nrmse(fixed(x), y)
    about = qnet.calibration
    return {"figure": round(figure, 4), "most": target.most, "rule": about["rule"],
            "weight_rule": about["weight_rule"], "row_scales": about.get("row_scales", False),
            "fitted": about.get("fitted", False), "carry": about.get("carry", "none"),
            "input_carries": about.get("input_carries", False), "split": qnet.split}
