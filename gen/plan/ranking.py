"""Which arrays are worth a plan, from counts alone: before there are ops, jobs or a schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from math import ceil, floor

from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.demand import Demand, demands, longest_chain
from gatefold.gen.plan.latency import lstm_tail

__all__ = ["Ranking"]

#: The numbers of columns that are tried, and the most rows.
_SIMDS = (*range(1, 65), *range(66, 129, 2))
_ROWS = 1024
#: Of the tiles and the tails the fewer cycles are hidden behind the others, but for this part.
_SHOWS = 0.2


class Ranking:
    """Counts for a network on any array of ``pe`` rows and ``simd`` columns, for ``contexts``
    sequences in a frame, on several ``dies``.

    Attributes: ``asked``, the demand of each layer; ``alike``, how many layers have each demand;
    ``chain``, the most tails that follow one another.
    """

    def __init__(self, network: QuantizedNetwork | Network, contexts: int = 1):
        self.asked, self.chain, self.contexts = demands(network), longest_chain(network), contexts
        self.alike = Counter(self.asked)  # layers that ask the same are counted once
        self.dies = 1

    def on(self, dies: int) -> Ranking:
        """The same on so many dies."""
        other = copy(self)
        other.dies = dies
        return other

    def tiles(self, pe: int, simd: int) -> int:
        """About how many tiles a frame has."""
        return self.contexts * sum(count * self._tiles(demand, pe, simd)
                                   for demand, count in self.alike.items())

    def _tiles(self, demand: Demand, pe: int, simd: int) -> int:
        """Of one layer."""
        whole = demand.tiles(pe, simd, self.dies)
        if demand.carrier < 0:
            return whole
        carrier = self.asked[demand.carrier]
        spare = carrier.groups(pe, simd, self.dies) * pe - carrier.spread(simd, self.dies)
        if demand.spread(simd, self.dies) > spare:
            return whole
        return demand.riding(pe, simd, self.dies)

    def bound(self, pe: int, simd: int) -> int:
        """About how many cycles a frame takes at least: one a tile, and those of the tails."""
        return max(self.tiles(pe, simd), self.chain * lstm_tail(simd))

    def cycles(self, pe: int, simd: int) -> float:
        """About how many cycles a frame takes."""
        tiles, waits = self.tiles(pe, simd), self.chain * lstm_tail(simd)
        return max(tiles, waits) + _SHOWS * min(tiles, waits)

    def shapes(self, multipliers: int) -> list[tuple[int, int]]:
        """The shapes (pe, simd) of at most so many multipliers that are worth a look, the best
        first.

        For each ``simd`` the tallest array that has work for all its rows, and shorter ones, which
        fit a layer in one to four groups of rows without a remainder.
        """
        shapes = set()
        for simd in _SIMDS:
            rows = {demand.spread(simd, self.dies)
                    * (min(32, demand.steps) if demand.windows else 1) for demand in self.alike}
            rows |= {demand.spread(simd, self.dies) + rider.spread(simd, self.dies)
                     for rider in self.alike if rider.carrier >= 0
                     for demand in (self.asked[rider.carrier],)}
            tallest = min(self._whole(multipliers // simd, floor), self._whole(max(rows)),
                          _ROWS * self.dies)
            if not tallest:
                continue
            shapes.add((tallest, simd))
            for layer in rows:
                folds = ceil(layer / tallest)
                shapes |= {(self._whole(layer / fold), simd) for fold in range(folds, folds + 4)}
        ranked = sorted((shape for shape in shapes if shape[0] * shape[1] <= multipliers),
                        key=lambda shape: (self.cycles(*shape), shape[0] * shape[1]))
        # The same counts with more columns of as many rows, or the reverse, are no gain.
        seen: set[tuple] = set()
        found = []
        for pe, simd in ranked:
            counts = self.tiles(pe, simd), lstm_tail(simd)
            if not seen & {("pe", pe, *counts), ("simd", simd, *counts)}:
                found.append((pe, simd))
            seen |= {("pe", pe, *counts), ("simd", simd, *counts)}
        return found

    def _whole(self, rows: float, rounded: Callable[[float], int] = ceil) -> int:
        """``rows`` in whole slots of four on every die."""
        return rounded(rows / (4 * self.dies)) * 4 * self.dies
