"""Which array for which device: the fastest that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.array import Array
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.demand import demands
from gatefold.gen.plan.drafts import Draft, drafted, too_fast
from gatefold.gen.plan.placing import fit, might_fit, place
from gatefold.gen.plan.plan import Frame, Plan, make_plan, programmed, scheduled
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.resources import components, estimate

__all__ = ["MAX_TILES", "QUICK", "SURE", "Effort", "Progress", "Rule", "Search", "best_of",
           "choose_array"]

#: Tiles of a frame that a plan is made for: a schedule is computed tile by tile.
MAX_TILES = 1_000_000

#: Called with the number of arrays that were looked at, and of those there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Effort:
    """What a search may do: ``work``, about in tiles that are scheduled and chunks that are laid
    out; the best ``plans`` of the arrays are planned in full."""

    work: int
    plans: int

    def part(self, number: int) -> Effort:
        """The effort for each of a ``number`` of searches."""
        return Effort(self.work // number, ceil(self.plans / number))


_THOROUGH, QUICK = Effort(1_200_000, 6), Effort(100_000, 1)
#: An array is too slow where its cycles by counts alone are so many times those of the deadline.
SURE = 1.1
_UNSURE = 0.05  # part of a count by which riders may take fewer tiles
_UNSURE_TILES = 1.5  # times the tiles that an array may have, where these are estimated
#: The work of any array, however few tiles it takes.
_EACH = 5_000
#: Where one schedule is more than the effort: how many times the cycles of an array that does not
#: fit the next one to be drafted takes by counts.
_APART = 1.04
_RESERVED = 0.75  # part of a program that did not fit, which others are taken to need at least


@dataclass(frozen=True)
class Rule:
    """What makes an array the best: of those that take at most ``near`` times the fewest cycles,
    the one with the least latency x (1 + ``price`` x the share of the device's LUTs)."""

    near: float
    price: float

    def weighed(self, cycles: float, lut: int, of: int) -> float:
        """What is to be least; ``lut`` of the device's LUTs ``of``."""
        return cycles * (1 + self.price * lut / of)


#: By goal. Balanced: all LUTs of the device weigh as much as 18 % of latency, so a core that is 1 %
#: faster may take 5.5 % more of them. Area: only they count.
_RULES = {"latency": Rule(1.0, 0.0), "balanced": Rule(1.03, 0.18), "area": Rule(1.25, 1e6)}


def choose_array(qnet: QuantizedNetwork, budget: Budget, *, contexts: int = 1,
                 pipeline: str = "full", protect: bool = False, goal: str = "balanced",
                 quick: bool = False, progress: Progress | None = None) -> Plan:
    """The plan of the best array that fits the budget, on as many of its dies as make it so, by
    ``goal`` (of :data:`~gatefold.gen.options.ARRAY_GOALS`).

    ``contexts``, ``pipeline`` and ``protect``, as of :class:`Array`. ``quick``: look at fewer
    arrays. ``progress``: see :data:`Progress`.
    Raises :class:`UserError` where nothing fits, and where no levels of registers keep the clock.
    """
    wanted = Array(pe=4, simd=1, stream_bits=budget.stream_bits, contexts=contexts,
                   pipeline=pipeline, protect=protect, packed=budget.packs)
    rule = _RULES[goal]
    search = Search(qnet, wanted, budget, rule, QUICK if quick else _THOROUGH, progress)
    finalists = search.run()
    if not finalists and search.slow:
        raise too_fast(search.slow[0], budget)
    if not finalists:
        raise _too_long(budget) if search.too_long else _too_large(qnet, budget)
    return best_of(finalists, budget, rule)


def _too_long(budget: Budget) -> UserError:
    return UserError(
        f"on each array of at most {budget.multipliers} multipliers that fits {budget.name}, a "
        f"frame takes more than {MAX_TILES} tiles, the longest schedule: use "
        f"{budget.more_multipliers}, fewer timesteps, or fewer bits (--width)")


def _too_large(qnet: QuantizedNetwork, budget: Budget) -> UserError:
    asked = demands(qnet)
    weights, inputs, results = (round(bits / 1024) for bits in (
        sum(demand.rows * (demand.columns + demand.own) for demand in asked) * qnet.weight_width,
        2 * qnet.input_elements * qnet.act_width,
        sum(demand.kept * demand.size for demand in asked) * qnet.act_width))
    more = "" if budget.memory == "auto" else f", or more memories than --memory {budget.memory}"
    return UserError(
        f"the network does not fit: its weights take {weights} Kbit, two frames of input {inputs}, "
        f"results that wait for other layers {results}; the device has {budget.bram36:g} block "
        f"RAMs of 36 Kbit, {budget.uram} UltraRAMs for weights and {budget.lut} LUTs: take fewer "
        f"bits (--width) or timesteps, or a larger board{more}")


def best_of(finalists: list[Plan], budget: Budget, rule: Rule) -> Plan:
    """The plan that is the best by ``rule``."""
    near = rule.near * min(plan.cycles.latency for plan in finalists)
    return min((plan for plan in finalists if plan.cycles.latency <= near),
               key=lambda plan: (plan.config.loadable and not budget.loadable,
                                 rule.weighed(plan.cycles.latency, estimate(plan.config).lut,
                                              budget.lut),
                                 plan.cycles.latency))


@dataclass(frozen=True)
class _Timed:
    """An array that fits, about how many cycles a frame takes on it, by its schedule or by counts,
    and the LUTs that it takes. frame: the schedule, where there is one."""

    draft: Draft
    cycles: float
    lut: int
    frame: Frame | None


class Search:
    """A search for the arrays that are the best by ``rule``, on any number of dies that the budget
    allows, as ``wanted`` otherwise. Shapes that surely take more than ``most`` cycles are not
    looked at.

    Shapes are ranked by counts. Those that fit are scheduled, but for those whose tiles alone are
    more than the ``effort``, until no other can be better or the effort is spent; the best of these
    are planned in full. The number of dies on which the counts promise most comes first, so that
    little of the others has to be looked at.

    A program is as long as its schedule makes it, so that an array may be refused when it has been
    scheduled. Of the block RAMs that its program takes, the arrays that follow must leave a part
    free: they are refused by counts, or as drafts, instead.

    Attributes: ``finalists``, the plans; ``slow``, the best draft of each number of dies that would
    fit at a slower clock; ``too_long``, whether any was left out for more tiles than
    :data:`MAX_TILES`; ``reserved``, block RAMs left free for programs.
    """

    def __init__(self, qnet: QuantizedNetwork, wanted: Array, budget: Budget, rule: Rule,
                 effort: Effort, progress: Progress | None = None, most: float = inf):
        self.qnet, self.wanted, self.rule, self.most = qnet, wanted, rule, most
        self.shares = list(budget.shares())
        self.effort = effort.part(len(self.shares))
        self.progress = progress or (lambda _done, _total: None)
        self.ranking = Ranking(qnet, wanted.contexts)
        self.finalists: list[Plan] = []
        self.slow: list[Draft] = []
        self.too_long = False
        self.reserved = 0.0
        self.tried: set[tuple[int, Array]] = set()  # arrays by the number of dies

    def run(self) -> list[Plan]:
        """The finalists. Where nothing fits, smaller arrays are tried."""
        looks = []
        for share in self.shares:
            ranking = self.ranking.on(share.dies)
            shapes = ranking.shapes(share.multipliers)
            promise = ranking.cycles(*shapes[0]) if shapes else inf
            looks.append((promise, share.dies, share, ranking, shapes))
        ranked = sorted(looks, key=lambda look: look[:2])
        for *_, share, ranking, shapes in ranked:
            # Where one number of dies leaves too little room for programs, another may do.
            self._look(share, ranking, shapes, inf if share is ranked[-1][2] else 1)
        for _, _, share, ranking, _ in looks if self.most == inf else ():
            multipliers = share.multipliers // 2
            while multipliers >= 4 * share.dies and not self.finalists:
                self.reserved = 0.0  # smaller arrays may have far shorter programs
                self._look(share, ranking, ranking.shapes(multipliers))
                multipliers //= 2
        return self.finalists

    @property
    def fastest(self) -> float:
        """Cycles of the fastest finalist, infinite where there is none."""
        return min((plan.cycles.latency for plan in self.finalists), default=inf)

    def _look(self, share: Budget, ranking: Ranking, shapes: list[tuple[int, int]],
              again: float = inf):
        """Find the finalists among ``shapes`` on all dies of a share. Where there are none because
        their programs do not fit, look ``again`` so many times."""
        arrays = [replace(self.wanted, pe=pe, simd=simd) for pe, simd in shapes
                  if self._might_fit(pe, simd, share, ranking)]
        timed = self._timed(arrays, share, ranking)
        timed.sort(key=lambda one: (one.cycles > self.most,
                                    self.rule.weighed(one.cycles, one.lut, share.lut)))
        for one in timed[:self.effort.plans]:
            frame = one.frame or scheduled(one.draft.work, one.draft.config)
            if frame.cycles > self.rule.near * self.fastest:
                continue
            if one.frame is None and not self._program_fits(one.draft, frame, share):
                if not self.finalists and again:  # with what its program takes reserved
                    self._look(share, ranking, shapes, again - 1)
                continue
            placed = fit(make_plan(self.qnet, one.draft.array, frame=frame), share)
            self.finalists += [placed] if placed else []

    def _might_fit(self, pe: int, simd: int, share: Budget, ranking: Ranking) -> bool:
        return might_fit(self.qnet, pe, simd, self._unreserved(share), ranking.asked)

    def _unreserved(self, share: Budget) -> Budget:
        """The share less what is reserved."""
        return replace(share, bram36=share.bram36 - self.reserved)

    def _program_fits(self, draft: Draft, frame: Frame, share: Budget) -> bool:
        """Whether an array fits with its program. Where it does not, a part is reserved."""
        longest = frame.tiles * frame.work.storage.phases  # an instruction for each tile
        blank = replace(draft.config, lut_rows=0, uram_rows=0)
        if place(replace(blank, program_depth=longest), share):
            return True
        config = programmed(self.qnet, draft.array, frame)
        if any(place(replace(config, cascade=cascade), share)
               for cascade in (draft.array.cascade, True)):
            return True
        needed = _RESERVED * components(config)["program"].bram36
        self.reserved = min(self.reserved, needed) if self.reserved else needed
        return False

    def _timed(self, arrays: list[Array], share: Budget, ranking: Ranking) -> list[_Timed]:
        """Those of ``arrays``, best first by counts, that fit and are near the fastest."""
        found: list[_Timed] = []
        best, spent, slow, too_large = self.fastest, 0, len(self.slow), 0.0
        for n, array in enumerate(arrays):
            if ranking.bound(array.pe, array.simd) > min((self.rule.near + _UNSURE) * best,
                                                         SURE * self.most):
                continue
            if min(best, self.most) < inf and spent >= self.effort.work:
                break
            if n:
                self.progress(n, min(len(arrays), ceil(n * self.effort.work / max(1, spent))))
            if (share.dies, array) in self.tried or not self._might_fit(
                    array.pe, array.simd, share, ranking):
                continue
            cycles, tiles = (count(array.pe, array.simd) for count in (ranking.cycles,
                                                                       ranking.tiles))
            if cycles < _APART * too_large and tiles > self.effort.work:
                continue
            if tiles > _UNSURE_TILES * MAX_TILES:
                self.too_long = True
                continue
            self.tried.add((share.dies, array))
            spent += _EACH
            draft = drafted(self.qnet, array, self._unreserved(share))
            if draft is None:
                too_large = cycles
                if self.reserved:  # with less reserved it may fit
                    self.tried.discard((share.dies, array))
                continue
            if draft.too_fast:
                self.slow[slow:] = self.slow[slow:] or [draft]
                continue
            spent += len(draft.work.storage.chunks)
            self.too_long |= draft.work.tiles > MAX_TILES
            if draft.work.tiles > min(self.most, MAX_TILES):
                continue
            spent += draft.work.tiles
            frame = None
            if draft.work.tiles <= self.effort.work:  # else it is made once, for its plan
                frame = scheduled(draft.work, draft.config)
                if not self._program_fits(draft, frame, share):
                    continue
                cycles = frame.cycles
            best = min(best, cycles)
            found.append(_Timed(draft, cycles, estimate(draft.config).lut, frame))
            found = [one for one in found if one.cycles <= self.rule.near * best]
        return found
