"""When input beats are offered and output beats taken: scenarios as data, for every simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatefold.sim.core_info import CoreInfo

__all__ = ["AFTER_CYCLES", "DRAIN_CYCLES", "RESET_CYCLES", "Scenario", "full_rate", "random_flow"]

DRAIN_CYCLES = 32  #: A core counts as empty that long after its last output beat.
AFTER_CYCLES = 64  #: Watched after the last frame, for beats too many.
RESET_CYCLES = 4  #: Of a reset.


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Frames to send one after the other, and the flow on both streams.

    Attributes: ``name``, for messages; ``frames``, indices into the samples, in sending order;
    ``isolated`` (frames,) bool, the frame waits until the core is empty; ``resets`` (frames,) bool,
    and the core is reset before it (such a frame is isolated); ``fresh`` (frames,) bool, what TUSER
    says of the frame; ``gaps`` (frames, input beats), cycles without TVALID before a beat;
    ``stalls`` (frames, output beats), cycles without TREADY after the beat before.
    """

    name: str
    frames: tuple[int, ...]
    isolated: np.ndarray
    resets: np.ndarray
    fresh: np.ndarray
    gaps: np.ndarray
    stalls: np.ndarray

    @property
    def timed(self) -> bool:
        """Whether source and sink never made the core wait."""
        return not self.gaps.any() and not self.stalls.any()

    @property
    def begins(self) -> np.ndarray:
        """Whether each frame begins a new sequence, (frames,) bool: TUSER says so, or nothing came
        before it since the reset."""
        return self.fresh | self.resets | (np.arange(len(self.frames)) == 0)


def full_rate(info: CoreInfo, samples: int, *, alone: bool = True, seed: int = 1) -> Scenario:
    """Sample 0 by itself (``alone``), then all samples back to back from a saturating source."""
    frames = (*((0,) if alone else ()), *range(samples))
    isolated = np.zeros(len(frames), bool)
    isolated[:2 if alone else 1] = True
    return Scenario(name="full rate", frames=frames, isolated=isolated,
                    resets=np.zeros(len(frames), bool),
                    fresh=_sequences(info, len(frames), np.random.default_rng(seed)),
                    gaps=np.zeros((len(frames), info.beats_in), int),
                    stalls=np.zeros((len(frames), info.beats_out), int))


def random_flow(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """All the samples with seeded gaps and stalls.

    A quarter of the beats wait for 1 to 8 cycles. Of the frames, every third or so comes late by up
    to an interval and every third or so is taken late by up to two, so that input runs dry and
    output backs up while the core computes.

    A stateful core gets every sample twice, the second time in another order and after a reset.
    """
    rng = np.random.default_rng(seed)
    frames = [*range(samples)]
    if info.stateful:
        frames += rng.permutation(samples).tolist()
    resets = np.zeros(len(frames), bool)
    resets[samples:samples + 1] = True

    def waits(beats: int, longest: int) -> np.ndarray:
        short = rng.integers(1, 9, (len(frames), beats)) * (rng.random((len(frames), beats)) < 0.25)
        late = rng.integers(0, longest + 1, len(frames)) * (rng.random(len(frames)) < 0.34)
        short[:, 0] += late
        return short

    return Scenario(name="random gaps and stalls", frames=tuple(frames), isolated=resets,
                    resets=resets, fresh=_sequences(info, len(frames), rng),
                    gaps=waits(info.beats_in, info.interval),
                    stalls=waits(info.beats_out, 2 * info.interval))


def _sequences(info: CoreInfo, frames: int, rng: np.random.Generator) -> np.ndarray:
    """TUSER of frames: sequences of 3 frames, then of 1 to 4. The very first frame begins one
    whatever its TUSER says: it says nothing of the kind."""
    fresh = np.zeros(frames, bool)
    at = 3
    while info.stateful and at < frames:
        fresh[at] = True
        at += int(rng.integers(1, 5))
    return fresh
