"""The registers that distance needs: which wires a core of this size has on this die.

A core lies around a hub, where its operand memory and its lanes are; its rows fill a rectangle of
the die around it. A register reaches another in time where

    clock to output + wires x detour + levels of logic + setup and skew  <=  period - margin

The period less the terms that are always there is the *reach budget*. A wire that is longer than
the budget is cut by registers: ``reach`` levels on the way out from the hub to the rows, ``gather``
levels on the way back from the rows to the lanes, and ``cross`` registers over a border of dies.

The model is right to about +-30 %. It places registers; it is no timing analysis, and no figure of
it is a frequency that a core reaches.

Sources: [T] RapidWright's timing model, intrasite_delay_terms.txt and intersite_delay_terms.txt of
timing/ultrascaleplus (Apache-2.0); [G] UG574 (60 rows of CLBs a clock region), UG579, UG573; [L]
UG949 (a register on either side of a die crossing); [A] assumed. ``docs/boards.md`` explains it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from gatefold.boards.board import Board, Die
from gatefold.gen.plan.amounts import Resources
from gatefold.gen.plan.resources import estimate
from gatefold.hdl.config import REGION, EngineConfig

__all__ = ["ACCURACY", "Site", "Stages", "rests_on", "route_ns"]

#: How far off the model may be: for those who quote it.
ACCURACY = "+-30 %"
MOST_REACH, MOST_GATHER = 4, 2  #: levels that the hardware can have

# Nanoseconds.
_CLOCK_TO_OUT = 0.077  # [T] of a flip-flop
_SETUP, _SKEW = 0.035, 0.1  # [A]
_PIN, _FLOP_PIN = 0.25, 0.1  # of a DSP slice [A], of a flip-flop [T]
_MARGIN = 0.1  # [A] of the period: jitter, and a router that finds the die full
_ALWAYS = _CLOCK_TO_OUT + _SETUP + _SKEW + _PIN
_LONG_COLUMNS, _LONG_ACROSS = 6, 0.043 + 14 * 0.0035  # [T] a horizontal long wire
_LONG_ROWS, _LONG_UP = 12, 0.043 + 12 * 0.0036  # [T] a vertical one
_LAST = (0.043 + 5 * 0.0035) + (0.043 + 1 * 0.0035)  # [T] a double and a single wire at the end
_CROSSED = {"dsp": 3 * 0.0013, "bram": 20 * 0.0013, "uram": 40 * 0.0013}  # [T] K2, a column
_DETOUR = 1.4  # [A] of a route over the ideal one
_LEVEL = 0.150 + _DETOUR * _LAST  # [T] a LUT6 by its slowest pin, and a short wire
_DSP_PERIOD = 1 / 0.775  # DS925: a DSP slice with all its registers, -2, 0.85 V

#: Levels of logic in the cycle that a wire shares: h is saturated, chosen among the lanes' kinds
#: and led past the operand memory; a row is chosen among 16; segments of rows are joined.
_OUT, _BACK, _JOIN = 3, 2, 1

#: Parts of a die's resources that a rectangle which is full of a core makes use of. [A]
_FILL = {"dsp": 0.9, "bram36": 0.9, "uram": 0.9, "lut": 0.8}


@dataclass(frozen=True)
class Stages:
    """The levels of registers of a core: ``reach``, ``gather``, ``cross``, as of
    :class:`~gatefold.hdl.config.EngineConfig`."""

    reach: int = 0
    gather: int = 0
    cross: int = 0


@dataclass(frozen=True)
class Site:
    """Where a core lies on each of its dies.

    Attributes: ``die``; ``dies``, how many share the core; ``share``, the part of the die's area
    that its rectangle covers; ``region``, the same for the rows of one region; ``scale``, how much
    slower wires are than at 0.85 V.
    """

    die: Die
    dies: int
    share: float
    region: float
    scale: float = 1.0

    @classmethod
    def of(cls, needs: Resources, columns: float, board: Board, dies: int) -> Site:
        """The site of a core that takes ``needs`` on all its dies, of so many DSP slices a row."""
        die = board.dies[board.window(dies)]
        share = max(getattr(needs, name) / dies / (getattr(die, name) * fill)
                    for name, fill in _FILL.items() if getattr(die, name))
        region = REGION * columns / (die.dsp * _FILL["dsp"])
        return cls(die, dies, min(1.0, share), min(1.0, share, region), board.delay_scale)

    @property
    def hub_to_corner(self) -> float:
        """Nanoseconds of an ideal route from the middle of the core to its farthest row."""
        return self._corner(self.share)

    def _corner(self, share: float) -> float:
        """From the middle to a corner of the rectangle of this area whose corner is nearest."""
        rows = self.die.clock_regions.rows
        halves = (half / 2 for half in range(1, 2 * rows + 1))
        return min(route_ns(self.die, share * rows / tall / 2, tall / rows / 2)
                   for tall in halves if share * rows <= tall)

    def stages(self, clock_mhz: float) -> Stages | None:
        """The fewest levels of registers that keep every wire within the reach budget of a clock,
        or None where the most that the hardware can have do not."""
        period = 1000 / clock_mhz
        usable = (1 - _MARGIN) * period
        found = Stages(self._fewest(self._out, MOST_REACH, usable),
                       self._fewest(self._back, MOST_GATHER, usable), self._cross(usable))
        return found if self.period(found) <= period else None

    def period(self, stages: Stages) -> float:
        """The shortest period in nanoseconds whose budget no wire of a core with these stages
        exceeds."""
        near = self._delay(self._corner(self.region), 0)  # from a region's register to its rows
        return max(_DSP_PERIOD * self.scale, near, self._out(stages.reach),
                   self._back(stages.gather)) / (1 - _MARGIN)

    @property
    def shortest(self) -> float:
        """:meth:`period` with the most levels that the hardware can have."""
        return self.period(Stages(MOST_REACH, MOST_GATHER))

    def _delay(self, ideal: float, levels: int) -> float:
        return _ALWAYS + self.scale * (_DETOUR * ideal + _LEVEL * levels)

    def _out(self, levels: int) -> float:
        """From the lanes to the register of a region. Without levels h is saturated and chosen in
        the same cycle; with them that cycle stays at the hub, and the way is theirs."""
        way = self.hub_to_corner - self._corner(self.region) + _LAST
        if levels == 0:
            return self._delay(way, _OUT)
        return max(self._delay(_LAST, _OUT), self._delay((way - _LAST) / levels + _LAST, 0))

    def _back(self, levels: int) -> float:
        """From the accumulators to the lanes. The registers lie anywhere on the way, so that
        cycles share wire and logic evenly."""
        if levels == 0:
            return self._delay(self.hub_to_corner, _BACK)
        return self._delay((self.hub_to_corner - _LAST) / (levels + 1) + _LAST,
                           ceil((_BACK + _JOIN) / (levels + 1)))

    @staticmethod
    def _fewest(delay: Callable[[int], float], most: int, usable: float) -> int:
        return next((levels for levels in range(most) if delay(levels) <= usable), most)

    def _cross(self, usable: float) -> int:
        """Registers of a chunk over each border of dies on its way from hub to hub: two at the
        border itself [L], and those that cut the wires on either side, from the hub and to it, or
        through a whole die to the next border."""
        if self.dies == 1:
            return 0
        reach = (usable - _ALWAYS + _PIN - _FLOP_PIN) / self.scale / _DETOUR
        end, through = (ceil(route_ns(self.die, 0, height) / reach) - 1 for height in (0.5, 1))
        return 2 + max(2 * end, through if self.dies > 2 else 0)


def route_ns(die: Die, width: float, height: float) -> float:
    """Nanoseconds of an ideal route over these parts of a die's width and height."""
    columns, rows = die.columns, 60 * die.clock_regions.rows
    crossed = sum(getattr(columns, name) * each for name, each in _CROSSED.items())
    across = columns.clb_pairs / _LONG_COLUMNS * _LONG_ACROSS + crossed
    return width * across + height * rows / _LONG_ROWS * _LONG_UP + _LAST


def rests_on(config: EngineConfig, board: Board | None, clock_mhz: float) -> str:
    """What a clock that nobody has routed rests on, for reports."""
    if board is None:
        return "without a board there are no wires to count"
    site = Site.of(estimate(config), config.slices / config.pe, board, config.dies)
    within = site.period(Stages(config.reach, config.gather)) <= 1000 / clock_mhz
    return (f"wires {'within' if within else 'beyond'} budget by the model of docs/boards.md, "
            f"{ACCURACY}")
