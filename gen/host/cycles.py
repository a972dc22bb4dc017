"""The cycles of a descriptor, where memory answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gatefold.gen.plan import Plan
from gatefold.gen.plan.cycles import input_taking, replay
from gatefold.hdl.host.axi import BURST
from gatefold.hdl.host.config import HostConfig
from gatefold.hdl.host.floats import FixedToFloat, FloatToFixed

__all__ = ["HostCycles"]

#: From the write of AP_START to the first beat at the core, and from the last word at memory to
#: AP_DONE; and both through the windows.
_MEMORY, _WINDOW = 9, 5


@dataclass(frozen=True)
class HostCycles:
    """The cycles of descriptors, exact where memory answers at once and :meth:`exact` says so.

    Memory answers at once if it takes an address in every cycle, gives the first word of a read in
    the next cycle and a word in every cycle then, and confirms a write in the cycle after its last
    word. Otherwise a batch takes at most :meth:`bound` and what memory adds.
    """

    plan: Plan
    host: HostConfig

    @property
    def keeps_up(self) -> bool:
        """Whether the port carries the words of all engines faster than they compute."""
        most = self.host.engines * max(self.taking, self.plan.config.out_beats)
        return most <= self.plan.cycles.interval

    @cached_property
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
        ``words_before``: words between the last multiple of a whole burst and OUT_ADDR.

        A burst is written when all its words are there and those before it are written.
        """
        comes = self._words(count)
        free = begin = 0
        while begin < len(comes):
            end = min(len(comes), begin + BURST - (words_before + begin) % BURST)
            free = max(free, comes[end - 1] + 1) + end - begin
            begin = end
        return _MEMORY + free

    def exact(self, count: int) -> bool:
        """Whether ``count`` frames take exactly :meth:`frames`: there is one engine, or their words
        come in time and no engine waits for another."""
        alone = self.host.engines == 1 or count == 1
        return alone or (self.keeps_up and self._words(count) == self._ready(count))

    @property
    def window(self) -> int:
        """Cycles of a frame in the windows."""
        return _WINDOW + self._words(1)[-1]

    def bound(self, count: int) -> float:
        """Cycles that ``count`` frames take at most where the port is slower than the engines."""
        return self.frames(1) + 2 * BURST + (count - 1) * (
            self.interval + self.taking + self.plan.config.out_beats)

    def _words(self, count: int) -> list[int]:
        """When the words of the results come to the writer, in cycles from the first beat at an
        engine: one at a time, those of a frame behind those of the frame before."""
        words: list[int] = []
        for cycle in self._ready(count):
            words.append(max(cycle, words[-1] + 1) if words else cycle)
        return words

    def _ready(self, count: int) -> list[int]:
        """The same if no engine waited for another; frames go to them in turn."""
        plan, engines = self.plan, self.host.engines
        turns = replay(plan.program, plan.cycles.tiles, plan.config, -(-count // engines)).beats_out
        converters = FloatToFixed.latency + FixedToFloat.latency if self.host.float32 else 0
        return [converters + frame % engines * self.taking + cycle
                for frame in range(count) for cycle in turns[frame // engines]]
