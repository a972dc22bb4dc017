"""The result of an exploration: the points, the best of them, the Pareto fronts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gatefold.boards import Board
from gatefold.gen.explore.goals import AXES, best, front
from gatefold.gen.explore.point import Point
from gatefold.gen.network.graph import Network
from gatefold.gen.options import FORMATS, ExploreOptions
from gatefold.gen.plan import Budget

__all__ = ["Exploration"]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """The result of :func:`gatefold.explore`.

    Attributes: ``network``; ``board`` or None; ``limits``, what a core may use; ``clock_mhz``,
    assumed; ``settings``; ``data``, a text about what the error was measured on;
    ``points``, those that fit first, by rising latency; ``errors``, by width ``{"max_abs", "rms",
    "rms_relative"}`` against float; ``refused``, by width why it is not possible.
    """

    network: Network
    board: Board | None
    limits: Budget
    clock_mhz: float
    settings: ExploreOptions
    data: str
    calibration: np.ndarray | None
    points: tuple[Point, ...]
    errors: Mapping[int, Mapping[str, float | None]]
    refused: Mapping[int, str]

    @property
    def relative(self) -> bool:
        """Whether errors are in % of the output's range; else the output is constant."""
        return all(error["rms_relative"] is not None for error in self.errors.values())

    def error(self, width: int) -> float:
        """The rms error of a width, in % of the output's range (absolute where that is 0)."""
        error = self.errors[width]
        relative = error["rms_relative"]
        return (100 * relative if self.relative and relative is not None
                else float(error["rms"] or 0))

    def latency_us(self, point: Point) -> float:
        """Microseconds from the first input beat to the last output beat."""
        return point.latency / self.clock_mhz

    def throughput(self, point: Point) -> float:
        """Inferences a second at full rate."""
        return point.contexts * 1e6 * self.clock_mhz / point.interval

    def allowed(self) -> list[Point]:
        """The points that fit and keep to ``max_error`` and ``max_latency``."""
        worst, slowest = self.settings.max_error, self.settings.max_latency
        return [p for p in self.points if p.fits
                and (worst is None or self.error(p.width) <= 100 * worst)
                and (slowest is None or self.latency_us(p) <= slowest)]

    def best(self, goal: str | None = None) -> Point | None:
        """The best by a goal, the settings' if None; None where no point is allowed."""
        errors = {width: self.error(width) for width in self.errors}
        return best(self.allowed(), goal or self.settings.goal, self.limits, errors)

    def fronts(self) -> dict[str, list[Point]]:
        """The Pareto front of latency against each of :data:`~.goals.AXES`."""
        values = {"dsp": lambda p: p.dsp, "bram36": lambda p: p.bram36,
                  "error": lambda p: self.error(p.width)}
        return {axis: front(self.points, values[axis]) for axis in AXES}

    def build_words(self, point: Point, model: str, calibrate: str | None,
                    out: str) -> list[str]:
        """The words of the ``gatefold build`` command that makes the point's core."""
        words = ["gatefold", "build", model, "-o", out]
        words += ["--board", self.board.name] if self.board else []
        words += ["--calibrate", calibrate] if calibrate is not None else []
        words += [] if self.network.affine else ["--width", point.width]
        words += ["--pe", point.pe, "--simd", point.simd]
        words += ["--contexts", point.contexts] if point.contexts > 1 else []
        words += ["--memory", point.placing] if point.placing != "auto" else []
        for one in ExploreOptions.declared():
            value = getattr(self.settings, one.field)
            if one.field in (*FORMATS, "hop", "clock", "seed") and value != one.default:
                words += [one.name, one.legal.written(value)]
        return [str(word) for word in words]
