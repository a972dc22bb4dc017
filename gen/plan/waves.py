"""Waves: the jobs of an op at one step, and how far they have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf

from gatefold.gen.plan.work import Job

__all__ = ["AHEAD", "Key", "Wave", "longest_chains", "make_waves", "order_steps"]

Key = tuple[int, int, int]  # context, op, step

#: Steps of an op that may be in progress at once: the current one and the next.
AHEAD = 2


class Wave:
    """An op at one step, in progress: how far each of its jobs (one a group) has come.

    place: of the step among those of its op, in the order in which they begin. base: parking word
    of group 0, the others behind it. starts: of each group the parking word of
    the sums that it starts from; none, it starts from its bias. keeps: of each group the word that
    it leaves its sums in for others when it is finished. followers: of each group, (wave, group) of
    those. riders: of each group, the waves that ride on it, of one job each. following: the wave
    of its op that may begin when this one is finished. before: of each group, the waves that must
    be finished before it: one uses what the other sets aside; blocks: the waves that have this one
    in their ``before``.
    """

    def __init__(self, jobs: list[Job]):
        self.jobs, self.place, self.base = jobs, 0, 0
        self.following: Wave | None = None
        self.starts: dict[int, int] = {}
        self.keeps: dict[int, int] = {}
        self.followers: dict[int, list[tuple[Wave, int]]] = defaultdict(list)
        self.riders: dict[int, list[Wave]] = defaultdict(list)
        self.before: dict[int, list[Wave]] = defaultdict(list)
        self.blocks: list[Wave] = []
        self.op, self.step, self.context = jobs[0].op, jobs[0].step, jobs[0].context
        # Of each group, (ready, operand's place) in order of arrival; groups that need the same
        # operands share a list. An operand that is not scheduled yet is not in it.
        lists: dict[tuple, list[tuple[int, int]]] = {}
        self.arrived = [lists.setdefault(
            tuple((operand.chunk.origin, operand.chunk.age, operand.away)
                  for operand in job.operands), [])
            for job in jobs]
        self.operands = {id(arrived): job.operands
                         for arrived, job in zip(self.arrived, jobs, strict=True)}
        self.taken = [0] * len(jobs)  # operands done, per group
        # The cycle from which each group may run on: what it starts from must be parked.
        self.resume: list[float] = [inf if job.after else 0 for job in jobs]
        self.open = list(range(len(jobs)))  # groups not finished
        self.urgency = 0
        # For the scheduler: the wave's place by rank, whether it is in progress, and whether it may
        # have a tile to run.
        self.number, self.active, self.ready = 0, False, False

    @property
    def key(self) -> Key:
        """Which wave it is."""
        return (self.context, self.op, self.step)

    def rank(self) -> tuple[int, int, int, int]:
        """To sort by: the most urgent wave first."""
        return (-self.urgency, self.op, self.place, self.context)

    def columns(self):
        """(list of arrivals, operand's place, operand) of everything that the wave waits for."""
        for arrived in {id(arrived): arrived for arrived in self.arrived}.values():
            for place, operand in enumerate(self.operands[id(arrived)]):
                yield arrived, place, operand

    def next_group(self, now: int, finish_from: float, in_order: bool) -> tuple[int | None, float]:
        """The lowest group with a tile to run in cycle ``now``, None if there is none; and the
        earliest cycle in which a lower one (any) may have one, infinite where that is not known.

        No group may finish before cycle ``finish_from``; with ``in_order``, none before all lower
        ones have; and none before the sums that it would overwrite are used.
        """
        wake = inf
        for group in self.open:
            done, arrived = self.taken[group], self.arrived[group]
            if done >= len(arrived):
                continue
            there = max(arrived[done][0], self.resume[group])
            if there <= now and done + 1 == len(self.jobs[group].operands):
                waits = (in_order and group != self.open[0]) or any(
                    wave.open for wave in self.before[group])
                there = inf if waits else finish_from
            if there <= now:
                return group, wake
            wake = min(wake, there)
        return None, wake


def make_waves(jobs: Sequence[Job]) -> dict[Key, Wave]:
    """Waves by (context, op, step); they have neither an order nor parking words."""
    grouped: dict[Key, list[Job]] = defaultdict(list)
    for job in jobs:
        grouped[job.context, job.op, job.step].append(job)
    return {key: Wave(group) for key, group in grouped.items()}


def longest_chains(order: list[Key], links: dict[Key, set[Key]]) -> dict[Key, int]:
    """Of each wave, how many there are in the longest chain of ``links`` that begins with it.
    ``order``: those that a wave links to come behind it, but where it is a rider's carrier."""
    found: dict[Key, int] = {}
    left = [*order]
    while left:
        key = left[-1]
        missing = [other for other in links.get(key, ()) if other not in found]
        if missing:
            left += missing
            continue
        left.pop()
        found[key] = 1 + max((found[other] for other in links.get(key, ())), default=0)
    return found


def order_steps(waves: dict[Key, Wave], depth: dict[Key, int], free: set[int]) -> None:
    """Let the steps of each op begin one after the other, AHEAD of them at once, and give them
    parking words. Those of the ops in ``free`` begin in the order in which their operands come, by
    their ``depth``: the number of results that follow one another up to theirs.

    A word serves its group at every second step, so that a steady state repeats after two steps
    and becomes a loop of the program. Steps that ride park nothing, and are not counted.
    """
    ops: dict[tuple[int, int], list[Wave]] = defaultdict(list)
    for wave in waves.values():
        if wave.jobs[0].rides is None:
            ops[wave.key[:2]].append(wave)
    words = 0
    for (_, op), steps in ops.items():
        if op in free:
            steps.sort(key=lambda wave: depth[wave.key])
        groups = max(len(wave.jobs) for wave in steps)
        for n, wave in enumerate(steps):
            wave.place, wave.active = n, n < AHEAD
            wave.base = words + n % AHEAD * groups
        for wave, following in zip(steps, steps[AHEAD:], strict=False):
            wave.following = following
        words += AHEAD * groups
    _hand_over(waves, words)


def _hand_over(waves: dict[Key, Wave], words: int) -> None:
    """Connect the waves whose jobs start from sums of the op's first step, which are parked from
    word ``words`` on, and those that ride on others."""
    word: dict[tuple, int] = {}
    for wave in waves.values():
        for group, job in enumerate(wave.jobs):
            if job.rides is not None:
                op, step, number = job.rides
                waves[wave.context, op, step].riders[number].append(wave)
            if job.after is None:
                continue
            op, step, number = job.after
            wave.starts[group] = word.setdefault((wave.context, op, number), words + len(word))
            source = waves[wave.context, op, step]
            source.keeps[number] = wave.starts[group]
            source.followers[number].append((wave, group))
