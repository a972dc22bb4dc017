"""The order of tiles and the waits between them: a list scheduler with the real pipeline depths.

The array takes one tile a cycle. A *wave* is an op at one step: its row groups (*jobs*), each of
which must meet every chunk of the step's operands, in any order, and is finished with its last.
What limits a single sequence is the *tail*: a tile can use the h of a wave ``latency.tail`` cycles
after the tile that finishes it. The scheduler fills that time with whatever else can run, cycle by
cycle:

1. The most urgent wave that has a tile to run goes first: the one with the longest chain of
   tails behind it (then the op of the lower number). So a step's last rows are never held up by
   work that can wait; the next step, later layers and input products fill what is left over.
2. Within a wave the lowest row group goes first. It is finished earliest, so its h arrives while
   the other groups still run, and the next step receives its chunks one by one instead of all at
   the end. Chunks are taken in the order in which they arrive.
3. A job that is left unfinished *parks* its sums and resumes from them later. It loses no cycle,
   but cannot resume within ``latency.park`` cycles. So the order is free: input products hoisted
   out of the recurrence, half of the chunks of all rows before the rest, and the wavefront across
   layers are no cases of this program; they are what rules 1 and 2 do.

Several sequences (*contexts*) in one frame are more waves, which do not depend on each other: they
fill each other's tails.

What ops set aside for another (a, z and r of a GRU) stays in the lanes until that has used it: it
finishes a step only when all of that is there, and only then may they finish the next.

An input that RepeatVector repeats is multiplied once: the sums of the first step are kept in the
parking memory and every later step starts from them.

An op that rides on another (:mod:`gatefold.gen.plan.riders`) has no tiles. When its carrier is
finished, its rows wait in the router, and a later tile that finishes nothing sends them to the
lanes. Nothing else may be finished before. Where only tiles that finish could run, one is added
that does nothing else.

What stalls may do. Times are planned with the input arriving at full rate, and each tile carries
the ``gap`` to the next. The hardware never issues a tile earlier than its gap allows, so a late
input or a full output only lengthens distances: what is read after a write stays after it. What is
overwritten must have been read *in program order*, which holds by construction: an h word is
written again two steps later, when all groups of the step between are finished, and a parking word
belongs to one group of every second step.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil, inf

from gatefold.gen.plan.latency import Latencies
from gatefold.gen.plan.layout import Chunk
from gatefold.gen.plan.stretches import Stretch
from gatefold.gen.plan.waves import Key, Wave, longest_chains, make_waves, order_steps
from gatefold.gen.plan.work import Operand, Work
from gatefold.hdl.isa import Start, Stop

__all__ = ["schedule"]


def schedule(work: Work, latency: Latencies, arrivals: Sequence[int]) -> list[Stretch]:
    """The tiles of a frame in the order and at the times at which they are issued.

    ``arrivals``: cycle from which each input chunk can be addressed.
    """
    return _Scheduler(work, latency, arrivals).run()


#: What a tile meets that only sends out the rows of a rider: anything.
_ANYTHING = Operand(Chunk(False, 0, 0, 0, (-1, 0, 0)), 0, 0)


class _Scheduler:
    """Runs the clock by the rules of the module's docstring."""

    def __init__(self, work: Work, latency: Latencies, arrivals: Sequence[int]):
        self.work, self.latency = work, latency
        self.leaving = 0  # the step of the leaving op that is to be finished next
        self.issued: list[Stretch] = []
        self.current: tuple[Wave, int] | None = None  # whose sums are in the accumulators
        self.finish_free = 0  # earliest cycle of another finish: lanes take a beat a cycle
        self.waiting: deque[Wave] = deque()  # riders whose rows are in the router
        self.waves = make_waves(work.jobs)
        self.left = len(self.waves)  # those that are not finished
        # Of (context, op), for ops whose states others read: the cycle from which they may.
        self.loaded: dict[tuple[int, int], float] = {}
        self.finished: dict[tuple[Key, int], int] = {}  # (wave, group): issue of its last tile
        self._connect(arrivals)
        self._order_asides()
        self._follow_chains()
        # Waves by rank; of these, as heaps of numbers, the active ones that may have a tile to run
        # and, behind the cycle when they may have one again, those that have none.
        self.ranked = sorted(self.waves.values(), key=Wave.rank)
        for number, wave in enumerate(self.ranked):
            wave.number = number
        self.ready: list[int] = []
        self.asleep: list[tuple[int, int]] = []

    def _connect(self, arrivals: Sequence[int]):
        """Give every wave the operands that are there from the start, and note which word (wave,
        index) it waits for otherwise."""
        # Of each word (wave, index): who reads it, and how much later than its own die.
        self.readers: dict[tuple[Key, int], list[tuple[Wave, list, int, int]]] = defaultdict(list)
        self.pieces: dict[tuple[Key, int], list[int]] = {}  # [groups yet to write it, ready]
        dies = self.work.storage.dies
        for wave in self.waves.values():
            there: dict[int, tuple[list, list[tuple[int, int]]]] = {}
            for arrived, place, operand in wave.columns():
                chunk = operand.chunk
                ready = there.setdefault(id(arrived), (arrived, []))[1]
                if chunk.from_x:
                    ready.append((arrivals[chunk.address], place))
                elif chunk.age:  # the frame's first beat says whether it counts as zero
                    ready.append((arrivals[0], place))
                else:
                    op, step, index = chunk.origin
                    self.readers[(wave.context, op, step), index // dies].append(
                        (wave, arrived, place, self._way(operand)))
            for arrived, ready in there.values():
                arrived += sorted(ready)
            for job in wave.jobs:
                for beat in range(job.beats):
                    word = (job.first + beat) // self.work.parts
                    self.pieces.setdefault((wave.key, word), [0, 0])[0] += 1
            after = self.work.ops[wave.op].after
            if after is not None:
                self.loaded[wave.context, after] = inf

    def _order_asides(self):
        """Let what ops set aside be there before it is used, and be used before it is
        overwritten."""
        for (context, op, step), wave in self.waves.items():
            for aside in self.work.ops[op].asides:
                later = self.waves.get((context, aside, step + 1))
                pairs = [(self.waves[context, aside, step], wave)]
                if later is not None:
                    pairs.append((wave, later))
                for first, then in pairs:
                    first.blocks.append(then)
                    for group in range(len(then.jobs)):
                        then.before[group].append(first)

    def _way(self, operand: Operand) -> int:
        """Cycles that a chunk takes to the dies that meet it."""
        return self.latency.cross * operand.away

    def _follow_chains(self):
        """Set the urgency of each wave, the longest chain of tails behind it in cycles; and the
        order of the steps of each op, by the chains before them where it may be any."""
        behind: dict[Key, set[Key]] = defaultdict(set)
        for (key, _), readers in self.readers.items():
            behind[key] |= {wave.key for wave, *_ in readers}
        for context, op, step in self.waves:
            after = self.work.ops[op].after
            if after is not None and step == 0:
                behind[context, after, 0].add((context, op, step))
        order = sorted(self.waves, key=lambda key: (*self.work.rank(*key[1:]), key[0]))
        before: dict[Key, set[Key]] = defaultdict(set)
        for key, links in behind.items():
            for later in links:
                before[later].add(key)
        for key, links in longest_chains(order, behind).items():
            self.waves[key].urgency = self.latency.tail * links
        order_steps(self.waves, longest_chains(order[::-1], before), self._in_any_order(behind))
        for wave in self.waves.values():  # a wave goes before those that wait for its words
            wave.urgency = max([wave.urgency, *(later.urgency + 1 for later in wave.blocks)])

    def _in_any_order(self, behind: dict[Key, set[Key]]) -> set[int]:
        """The ops whose steps need not wait for each other, nor leave the core as they come.
        ``behind``: the waves that read what each wave makes."""
        work = self.work
        ordered = {key[1] for key, links in behind.items() if key[1] in {op for _, op, _ in links}}
        if work.in_order:
            ordered |= work.leaving | {ride.carrier for n in work.leaving
                                       for ride in work.rides.get(n, ())}
        return {n for n, op in enumerate(work.ops) if n not in ordered | work.rides.keys()
                and op.cells is None and not op.asides and not work.stateful}

    def run(self) -> list[Stretch]:
        """Issue all tiles, then say how far apart they are."""
        self._issue_all()
        for stretch, after in pairwise(self.issued):
            stretch.gap = after.issue - stretch.last - 1
        self.issued[-1].gap = max(0, self._next_frame() - self.issued[-1].last - 1)
        return self.issued

    def _issue_all(self):
        """In each cycle the first of the ready waves that has a tile issues it, and goes on as long
        as nothing else can come first. A wave that has no tile sleeps until it may have one; what
        it waits for without knowing the cycle wakes it."""
        for wave in self.waves.values():
            self._wake(wave, 0)
        now = 0
        while self.left:
            self._rouse_until(now)
            if not self.ready:
                if self.waiting and self.finish_free <= now:
                    self._issue_for_rider(now)
                    now += 1
                    continue
                now = min([self.finish_free] * bool(self.waiting)
                          + [cycle for cycle, _ in self.asleep[:1]])
                continue
            wave = self.ranked[self.ready[0]]
            group, wake = wave.next_group(now, self._finish_from(wave, now),
                                          wave.op in self.work.leaving)
            if group is None:
                heappop(self.ready)
                wave.ready = False
                if wake < inf:
                    self._wake(wave, int(wake))
                continue
            now = self._issue(wave, group, now, wake)
            if not wave.open:
                heappop(self.ready)

    def _close(self, wave: Wave, now: int):
        """A wave is finished: others may begin, in cycle ``now``."""
        self.left -= 1
        if wave.following:
            wave.following.active = True
            self._wake(wave.following, now)
        for later in wave.blocks:
            self._wake(later, now)
        if self._in_order(wave):
            self.leaving = wave.step + 1
            self._wake(self.waves.get((wave.context, wave.op, self.leaving)), now)

    def _wake(self, wave: Wave | None, cycle: int):
        """Let an active wave be ready from ``cycle`` on."""
        if wave and wave.active:
            heappush(self.asleep, (cycle, wave.number))

    def _rouse_until(self, now: int):
        """Put the waves that may have a tile in cycle ``now`` among the ready ones."""
        while self.asleep and self.asleep[0][0] <= now:
            number = heappop(self.asleep)[1]
            wave = self.ranked[number]
            if wave.open and not wave.ready:
                wave.ready = True
                heappush(self.ready, number)

    def _next_frame(self) -> int:
        """The earliest cycle for the next frame's first tile, which may finish: the lanes must be
        free, and the state that the next frame reads must be there."""
        start, first = self.finish_free, self.issued[0].issue
        for stretch in self.issued if self.work.stateful else ():
            job = stretch.job
            for issue, operand in enumerate(stretch.operands, stretch.issue):
                age = operand.chunk.age
                if not age:
                    continue
                op, step, index = operand.chunk.origin
                step %= len(self.work.ops[op].sizes)
                ready = self.pieces[(job.context, op, step),
                                    index // self.work.storage.dies][1] + self._way(operand)
                # So many intervals later the tile is issued.
                start = max(start, first + ceil((ready - issue) / age))
            if job.carried and stretch.finishes is job:
                steps = len(self.work.ops[job.op].sizes)
                written = self.finished[(job.context, job.op, steps - 1), job.group]
                start = max(start, written + self.latency.state - (stretch.last - first))
        return start

    def _in_order(self, wave: Wave) -> bool:
        """Whether the results of a wave leave the core as they are finished."""
        return self.work.in_order and wave.op in self.work.leaving

    def _finish_from(self, wave: Wave, now: int) -> float:
        """The earliest cycle in which a group of this wave may be finished, as far as is known in
        cycle ``now``."""
        if self._in_order(wave) and wave.step != self.leaving:
            return inf
        if self.waiting or any(self._in_order(rider) and rider.step > self.leaving
                               for riders in wave.riders.values() for rider in riders):
            return max(self.finish_free, now + 1)
        after = self.work.ops[wave.op].after
        if after is not None:
            return max(self.finish_free, self.loaded[wave.context, after])
        return self.finish_free

    def _issue(self, wave: Wave, group: int, now: int, until: float) -> int:
        """Issue the next tile of a group, and those behind it for which nothing else can come
        first: before cycle ``until`` no lower group of the wave can. Sums of another job in the
        accumulators are parked. The cycle in which to go on."""
        job = wave.jobs[group]
        done = wave.taken[group]
        if self.current == (wave, group):
            start, init = Start.GO_ON, 0
        else:
            self._park()
            if done:
                start, init = Start.PARKED, wave.base + group
            elif group in wave.starts:
                start, init = Start.PARKED, wave.starts[group]
            else:
                start, init = Start.BIAS, job.bias
        arrived, total = wave.arrived[group], len(job.operands)
        end, after = done + 1, now + 1
        # Its last tile finishes, and a rider may go with each; else it goes on.
        most = 0 if self.waiting else min(len(arrived), total - 1)
        while end < most and arrived[end][0] <= after < until:
            self._rouse_until(after)
            if self.ready[0] != wave.number:
                break
            end, after = end + 1, after + 1
        wave.taken[group] = end
        last = after - 1
        operands = tuple([job.operands[place] for _, place in arrived[done:end]])
        self.issued.append(Stretch(job, operands, start, init, now))
        if end < total:
            self.current = (wave, group)
            self._send_rider(last)
            return after
        self.current = None
        if group in wave.keeps:
            self.issued[-1].stop, self.issued[-1].park = Stop.PARK, wave.keeps[group]
        self._finish(wave, group, last)
        self.waiting += wave.riders[group]
        return after

    def _issue_for_rider(self, now: int):
        """Issue a tile that does nothing but send out the rows of the next rider."""
        self._park()
        self.current = None
        job = self.waiting[0].jobs[0]
        self.issued.append(Stretch(job, (_ANYTHING,), Start.BIAS, 0, now))
        self._send_rider(now)

    def _send_rider(self, now: int):
        """Let the last tile, which finishes nothing, send out a rider's rows, if some wait and the
        lanes are free."""
        if self.waiting and self.finish_free <= now:
            self._finish(self.waiting.popleft(), 0, now)

    def _park(self):
        """Let the last tile park its sums, if its job is not finished."""
        if self.current:
            wave, group = self.current
            stretch = self.issued[-1]
            stretch.stop |= Stop.PARK
            stretch.park = wave.base + group
            wave.resume[group] = stretch.last + self.latency.park

    def _finish(self, wave: Wave, group: int, now: int):
        """A group is finished with the last tile: the waves that wait for its words learn when they
        come."""
        job = wave.jobs[group]
        self.issued[-1].stop |= Stop.FINISH
        self.issued[-1].finishes = job
        wave.open.remove(group)
        self.finish_free = now + job.beats
        self.finished[wave.key, group] = now
        for beat in range(job.beats):
            key = (wave.key, (job.first + beat) // self.work.parts)
            piece = self.pieces[key]
            piece[0] -= 1
            piece[1] = max(piece[1], now + self.latency.tail + beat)
            if not piece[0]:
                for reader, arrived, place, way in self.readers[key]:
                    insort(arrived, (piece[1] + way, place))
                    self._wake(reader, piece[1] + way)
        if not wave.open and (wave.context, wave.op) in self.loaded:
            loaded = self.loaded[wave.context, wave.op] = now + job.beats + self.latency.state
            for other in self.waves.values():
                if other.context == wave.context and self.work.ops[other.op].after == wave.op:
                    self._wake(other, loaded)
        for other, its in wave.followers[group]:
            other.resume[its] = now + self.latency.park
            self._wake(other, now + self.latency.park)
        if not wave.open:
            self._close(wave, now + 1)
