"""The observations of one simulation, in the same form from every simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CheckFailed", "SimRun", "first_mismatch"]

#: Values per layer and state, golden's names: ``{name: {"h": array, "c": array}}``.
Trace = dict[str, dict[str, np.ndarray]]


class CheckFailed(Exception):
    """A check failed: the core differs from the golden model or from the plan (exit code 1)."""


@dataclass(frozen=True)
class SimRun:
    """One scenario as a simulator saw it, frame by frame in the order sent.

    Attributes: ``played`` (frames,), which frames of the scenario came out: all of them, except
    those that a reset took; ``outputs`` (frames, elements), the integers given; ``first_in`` and
    ``last_out`` (frames,), the cycles in which a frame's first input beat and its last output beat
    moved; ``trace``, per layer and state (frames, steps, units); ``cycles``, how long it ran.
    """

    played: np.ndarray
    outputs: np.ndarray
    first_in: np.ndarray
    last_out: np.ndarray
    trace: Trace
    cycles: int

    @property
    def latencies(self) -> np.ndarray:
        """Cycles from the first input beat to the last output beat, per frame."""
        return self.last_out - self.first_in

    @property
    def intervals(self) -> np.ndarray:
        """Cycles from a frame's last output beat to the next frame's, (frames - 1,)."""
        return np.diff(self.last_out)


def first_mismatch(got: np.ndarray, want: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first difference in row-major order, None where there is none."""
    if got.shape != want.shape:
        raise ValueError(f"got and want must have one shape, not {got.shape} and {want.shape}")
    at = np.flatnonzero(got != want)
    return tuple(int(i) for i in np.unravel_index(at[0], got.shape)) if at.size else None
