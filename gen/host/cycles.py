"""The cycles of a descriptor, where memory answers at once."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.gen.plan import Plan
from gatefold.gen.plan.cycles import input_taking
from gatefold.hdl.host.axi import BURST
from gatefold.hdl.host.config import HostConfig
from gatefold.hdl.host.floats import FixedToFloat, FloatToFixed

__all__ = ["HostCycles"]

#: From the write of AP_START to the first beat at the core, and from the last beat to AP_DONE
#: without the words of the last burst: through the reader and the writer, and through the windows.
_MEMORY, _WINDOW = 10, 5


@dataclass(frozen=True)
class HostCycles:
    """The cycles of descriptors, exact where memory answers at once and keeps up.

    Memory answers at once if it takes an address in every cycle, gives the first word of a read in
    the next cycle and a word in every cycle then, and confirms a write in the cycle after its last
    word. It keeps up if :attr:`keeps_up`; where a result has more than BURST words, its last burst
    may yet wait, fewer than BURST cycles, for those before it. Otherwise a batch takes at most
    :meth:`bound` and what memory adds.
    """

    plan: Plan
    host: HostConfig

    @property
    def keeps_up(self) -> bool:
        """Whether the port carries the words of all engines faster than they compute, and results
        come no faster than they are written."""
        config = self.plan.config
        most = self.host.engines * max(self.taking, config.out_beats)
        return most <= self.plan.cycles.interval and (
            config.out_beats + BURST <= self.plan.cycles.interval)

    @property
    def taking(self) -> int:
        """Cycles in which an engine that stands still takes the beats of a frame."""
        return input_taking(self.plan.config)

    @property
    def interval(self) -> float:
        """Cycles a frame in a long batch: of the engines, or of the port."""
        config = self.plan.config
        return max(self.plan.cycles.interval / self.host.engines, self.taking, config.out_beats)

    def frames(self, count: int, *, words_before: int = 0) -> int:
        """Cycles of ``count`` frames, from the start to AP_DONE, with nothing under way before.
        ``words_before``: words between the last multiple of a whole burst and OUT_ADDR."""
        config = self.plan.config
        words = words_before + count * config.out_beats
        last = min((words - 1) % BURST + 1, count * config.out_beats)
        return _MEMORY + self._inside(count) + last

    @property
    def window(self) -> int:
        """Cycles of a frame in the windows."""
        return _WINDOW + self._inside(1)

    def bound(self, count: int) -> float:
        """Cycles that ``count`` frames take at most where the port is slower than the engines."""
        return self.frames(1) + 2 * BURST + (count - 1) * (
            self.interval + self.taking + self.plan.config.out_beats)

    def _inside(self, count: int) -> int:
        """From the first beat to the last: frames go to the engines in turn."""
        cycles, turns = self.plan.cycles, (count - 1) // self.host.engines
        converters = FloatToFixed.latency + FixedToFloat.latency if self.host.float32 else 0
        waits = (count - 1) % self.host.engines * self.taking
        return converters + waits + cycles.latency + sum(
            cycles.intervals[turn % len(cycles.intervals)] for turn in range(turns))
