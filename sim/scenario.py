"""When input beats are offered and output beats taken: scenarios as data, for every simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .core_info import CoreInfo

__all__ = ["Scenario", "full_rate", "random_flow"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Frames to send one after the other, and the flow on both streams.

    Attributes: ``name``, for messages; ``frames``, indices into the samples, in sending order;
    ``isolated`` (frames,) bool, frame waits until the core is empty; ``gaps`` (frames, input
    beats), cycles without TVALID before a beat; ``stalls`` (frames, output beats), cycles without
    TREADY after the beat before; ``timed``, whether latency and interval are the core's own (no
    """

    name: str
    frames: tuple[int, ...]
    isolated: np.ndarray
    gaps: np.ndarray
    stalls: np.ndarray

    @property
    def timed(self) -> bool:
        """Whether source and sink never made the core wait."""
        return not self.gaps.any() and not self.stalls.any()


def full_rate(info: CoreInfo, samples: int, *, alone: bool = True) -> Scenario:
    """Sample 0 by itself (``alone``), then all samples back to back from a saturating source."""
    frames = (*((0,) if alone else ()), *range(samples))
    isolated = np.zeros(len(frames), bool)
    isolated[:2 if alone else 1] = True
    return Scenario(name="full rate", frames=frames, isolated=isolated,
                    gaps=np.zeros((len(frames), info.beats_in), int),
                    stalls=np.zeros((len(frames), info.beats_out), int))


def random_flow(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """All the samples with seeded gaps and stalls.

    A quarter of the beats wait for 1 to 8 cycles. Of the frames, every third or so comes late by up
    to an interval and every third or so is taken late by up to two, so that input runs dry and
    output backs up while the core computes.
    """
    rng = np.random.default_rng(seed)

    def waits(beats: int, longest: int) -> np.ndarray:
        short = rng.integers(1, 9, (samples, beats)) * (rng.random((samples, beats)) < 0.25)
        late = rng.integers(0, longest + 1, samples) * (rng.random(samples) < 0.34)
        short[:, 0] += late
        return short

    return Scenario(name="random gaps and stalls", frames=tuple(range(samples)),
                    isolated=np.zeros(samples, bool),
                    gaps=waits(info.beats_in, info.interval),
                    stalls=waits(info.beats_out, 2 * info.interval))
