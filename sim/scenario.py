"""When input beats are offered and output beats taken: scenarios as data, for every simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatefold.hdl.gearbox import GearboxShape
from gatefold.sim.core_info import CoreInfo

__all__ = ["AFTER_CYCLES", "DRAIN_CYCLES", "RESET_CYCLES", "Counts", "Epoch", "InputBeat",
           "Scenario", "blocked", "coincidences", "extreme", "full_rate", "hostile", "many_frames",
           "other_weights", "random_flow", "short_waits"]

DRAIN_CYCLES = 32  #: A core counts as empty that long after its last output beat.
AFTER_CYCLES = 64  #: Watched after the last frame, for beats too many.
RESET_CYCLES = 4  #: Of the first reset; the others take one.

_BLOCKS = 12  # times that the output is blocked, with two beats in between
_WAITS = 3  # cycles that a core waits in each frame of "short waits", at most:
_EACH = 8  # so many frames of each number at most, for a source and for a sink that are slow
_MEETS = 28  # cycles around the end of a frame's work in each of which another comes or leaves,
_BEFORE = 6  # of which so many lie before it where they leave,
_EARLIER = 16  # and so many where they come
_LENGTHS = 48  # different lengths of frames at most,
_FRAMES = 16  # and about the least number of frames, where there are few lengths
_LEAVING = 24  # cycles before a frame has left a core, in each of which a reset comes
_IDLE = 16  # cycles at most, beside those that show that a core is empty
_RESETS = 6  # at seeded cycles, of which four lose frames,
_AMID = 4  # and so many more after some beats of a frame,
_WHOLE = 5  # each so many cycles later after a whole one,
_FULL = 6  # and these when two frames have gone in


class Counts(NamedTuple):
    """How many samples there are, in their order: those of most scenarios, those of the scenario
    *extreme* alone, and those of *many frames* alone."""

    samples: int
    extremes: int = 0
    many: int = 0


class InputBeat(NamedTuple):
    """A beat to offer after ``gap`` cycles without TVALID. ``isolated``: the core is empty before
    the gap begins. ``reset``: 1, the core is reset before the beat is offered; 2, and the gap began
    as the beat before was offered, which the reset may find untaken."""

    gap: int
    isolated: bool
    reset: int
    user: bool
    last: bool
    data: int


class Epoch(NamedTuple):
    """The frames ``start`` to ``stop`` (exclusive), between two resets. ``drained``: all of them
    come out before the epoch ends; otherwise the reset loses some of the last ones."""

    start: int
    stop: int
    drained: bool


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Frames to send one after the other, and the flow on both streams.

    Attributes: ``name``, for messages; ``frames``, indices into the samples, in sending order;
    ``isolated`` (frames,) bool, the frame waits until the core is empty; ``resets`` (frames,) bool,
    the core is reset before it, after the gap of its first beat: where it is not isolated, frames
    under way are lost; ``fresh`` (frames,) bool, what TUSER says of the frame; ``lengths``
    (frames,), the input beats that are sent of it, too few or too many perhaps; ``cut`` (frames,)
    bool, no TLAST ends it, a reset does, which may find its last beat untaken; ``gaps``
    (frames, beats), cycles without TVALID before a beat; ``stalls`` (frames, output beats), cycles
    without TREADY after the beat before; ``garbage``, the seed of what lies in the bits of beats
    that carry no element, None: sign bits and zeros; ``loads``, the weights of a loadable core are
    loaded wrongly before they are loaded, and are loaded again while frames are under way, and
    resets end loads; ``late_loads``, those among frames come when the output is blocked; ``sums``,
    the accumulators of finished rows are compared too; ``other``, a loadable core gets other
    weights than its own; ``fills``, frames that leave after the core has taken as many as it can,
    which are equally many each time.
    """

    name: str
    frames: tuple[int, ...]
    isolated: np.ndarray
    resets: np.ndarray
    fresh: np.ndarray
    lengths: np.ndarray
    cut: np.ndarray
    gaps: np.ndarray
    stalls: np.ndarray
    garbage: int | None = None
    loads: bool = False
    late_loads: bool = False
    sums: bool = False
    other: bool = False
    fills: tuple[int, ...] = ()

    def paced(self, info: CoreInfo) -> np.ndarray:
        """Of each frame, how many came since the core was empty, if neither source nor sink made it
        wait since, (frames,): 0 for one that finds it empty, -1 where they did. After a reset
        nothing is said: stalls then come to other frames, where some were lost."""
        waits = self.gaps[:, 1:].any(1) | self.stalls.any(1) | self.wrong(info) | self.loads
        waits |= (self.resets.cumsum() > 0) | (self.gaps[:, 0] > 0) & ~self.isolated
        found, count = [], -1
        for wait, isolated in zip(waits, self.isolated, strict=True):
            count = -1 if wait else 0 if isolated else count + 1 if count >= 0 else -1
            found.append(count)
        return np.array(found)

    @property
    def begins(self) -> np.ndarray:
        """Whether each frame begins a new sequence, (frames,) bool: TUSER says so, or nothing came
        before it since the reset."""
        return self.fresh | self.resets | (np.arange(len(self.frames)) == 0)

    @property
    def epochs(self) -> list[Epoch]:
        """The frames from reset to reset."""
        starts = [0, *np.flatnonzero(self.resets[1:]) + 1]
        stops = [*starts[1:], len(self.frames)]
        return [Epoch(start, stop, stop == len(self.frames) or bool(self.isolated[stop]))
                for start, stop in zip(starts, stops, strict=True)]

    def wrong(self, info: CoreInfo) -> np.ndarray:
        """Whether TLAST of each frame is early, late or missing, (frames,) bool."""
        return (self.lengths != info.beats_in) | self.cut

    def present(self, info: CoreInfo) -> np.ndarray:
        """Leading elements of each frame that are sent; the core takes zeros for the others."""
        return np.minimum(self.lengths * info.stream.per_beat, info.n_in)

    def beats(self, info: CoreInfo, x: np.ndarray) -> Iterator[InputBeat]:
        """All input beats, of the samples ``x`` (samples, n_in), integers."""
        bits = info.stream.beat_bits
        rng = np.random.default_rng(self.garbage)
        masks = [(1 << bits) - 1] * info.beats_in if self.garbage is None else [
            info.stream.mask(info.n_in, beat) for beat in range(info.beats_in)]
        samples, places = np.unique(self.frames, return_inverse=True)
        packed = info.stream.pack(x[samples])
        for n, sample in enumerate(places):
            for b in range(self.lengths[n]):
                first, sent = b == 0, b < info.beats_in
                mask, word = (masks[b], packed[sample][b]) if sent else (0, 0)
                if mask != (1 << bits) - 1:
                    noise = int.from_bytes(rng.bytes(bits // 8), "little")
                    word = word & mask | noise & ~mask
                yield InputBeat(
                    gap=int(self.gaps[n, b]), isolated=first and n > 0 and bool(self.isolated[n]),
                    reset=(1 + int(self.cut[n - 1] & ~self.isolated[n])
                           if first and self.resets[n] else 0),
                    # TUSER counts with a frame's first beat: it lies with the others.
                    user=first == bool(self.fresh[n]),
                    last=bool(b == self.lengths[n] - 1 and not self.cut[n]), data=word)


def _scenario(info: CoreInfo, name: str, frames, **given) -> Scenario:
    """Whole frames without gaps, stalls and resets, except where it is ``given`` otherwise."""
    count = len(frames)
    lengths = given.get("lengths", np.full(count, info.beats_in))
    plain = dict(
        isolated=np.arange(count) == 0, resets=np.zeros(count, bool), fresh=np.zeros(count, bool),
        cut=np.zeros(count, bool), gaps=np.zeros((count, int(lengths.max())), int),
        stalls=np.zeros((count, info.beats_out), int), lengths=lengths)
    return Scenario(name=name, frames=tuple(int(frame) for frame in frames), **plain | given)


def full_rate(info: CoreInfo, samples: int, *, alone: bool = True, seed: int = 1) -> Scenario:
    """Sample 0 by itself (``alone``), then all samples back to back from a saturating source: so
    many times that every interval is seen."""
    least = 2 + len(info.intervals)  # the first two frames after an empty core are no interval
    frames = (*((0,) if alone else ()), *(n % samples for n in range(max(samples, least))))
    isolated = np.zeros(len(frames), bool)
    isolated[:2 if alone else 1] = True
    return _scenario(info, "full rate", frames, isolated=isolated, sums=info.acc_width > 0,
                     fresh=_sequences(info, len(frames), np.random.default_rng(seed)))


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
    return _scenario(info, "random gaps and stalls", frames, isolated=resets, resets=resets,
                     fresh=_sequences(info, len(frames), rng),
                     gaps=_waits(rng, len(frames), info.beats_in, info.interval),
                     stalls=_waits(rng, len(frames), info.beats_out, 2 * info.interval))


def blocked(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """The output is blocked until nothing in the core moves any more, then takes two beats; this
    twelve times, and then everything comes out."""
    held = _held(info)
    count = held + -(-2 * _BLOCKS // info.beats_out)
    stalls = np.zeros(count * info.beats_out, int)
    stalls[:2 * _BLOCKS:2] = 2 * info.interval + 64  # what two beats let in is computed
    stalls[0] = info.latency + held * info.interval
    return _scenario(info, "blocked", [n % samples for n in range(count)],
                     fresh=_sequences(info, count, np.random.default_rng(seed)),
                     stalls=stalls.reshape(count, -1), loads=info.load_beats > 0,
                     late_loads=info.load_beats > 0)


def short_waits(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """Frames leave 1 to 3 cycles later than the core makes them, so that a full core waits as long
    in every frame; and frames come so late, so that an empty one does. A word that is read in the
    very cycle after its write is read then only."""
    late = np.repeat(np.arange(1, _WAITS + 1), max(2, min(_EACH, samples // 4)))
    first, count = _held(info), _held(info) + 2 * len(late)
    stalls = np.zeros((count, info.beats_out), int)
    stalls[0, 0] = info.latency + first * info.interval  # until the core is full
    stalls[1:1 + len(late), 0] = np.maximum(0, info.interval + late - info.beats_out)
    gaps = np.zeros((count, info.beats_in), int)
    gaps[1 - len(late):, 0] = np.maximum(0, info.interval + late[1:] - info.beats_in)
    isolated = np.isin(np.arange(count), (0, count - len(late)))
    return _scenario(info, "short waits", [n % samples for n in range(count)], isolated=isolated,
                     fresh=_sequences(info, count, np.random.default_rng(seed)),
                     gaps=gaps, stalls=stalls)


def coincidences(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """Frames leave a core that is full, and one that is full but for one, and come to an empty one
    in pairs, so long before or after it ends its work on another frame that most differences of a
    few cycles occur: among them are those at which a counter goes up and down at once. At last the
    core must hold as many frames behind a blocked output as before."""
    phases = min(_MEETS, samples, info.interval + _BEFORE)
    comes = _transfer(info)
    held, more = _held(info), _held(info) + 4
    almost = held + 2 + phases  # the first frame that leaves a core that is full but for one,
    pairs = almost + held + 2 + phases  # the first of the pairs,
    last = pairs + 2 * phases  # and the first that finds the output blocked again
    count = last + more
    n = np.arange(count)
    stalls = np.zeros((count, info.beats_out), int)
    stalls[[0, last], 0] = info.latency + held * info.interval  # until the core is full
    # It ends a frame in the cycle after it got room, and the next an interval later.
    stalls[2, 0] = info.interval + 1 - _BEFORE - 2 * info.beats_out
    stalls[3:3 + phases, 0] = info.interval + 1 - info.beats_out
    # Until the gearbox behind the output memory is full, a frame waits, and the next is made.
    stalls[almost + 1, 0] = (2 + _sent(info)) * info.interval - phases
    stalls[almost + 2:almost + 1 + phases, 0] = info.interval + 1 - info.beats_out
    gaps = np.zeros((count, info.beats_in), int)
    gaps[pairs + 1:last:2, 0] = info.interval - 2 * comes - _EARLIER + np.arange(phases)
    return _scenario(info, "coincidences", n % samples, fills=(0, last),
                     isolated=(n == 0) | (n == almost)
                     | (n >= pairs) & (n <= last) & ((n - pairs) % 2 == 0),
                     fresh=_sequences(info, count, np.random.default_rng(seed)),
                     gaps=np.maximum(gaps, 0), stalls=np.maximum(stalls, 0))


def hostile(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """Frames of every length from 1 to 2 n + 2 beats, n of which would be right, and right ones
    among them; a short frame after which nothing comes; resets at seeded cycles in the middle of
    frames, one while a short frame is filled up, and some when a beat waits; garbage in all bits
    that carry no element; and for a loadable core wrong loads, and a load during frames, which
    begins when a long frame has left whose last beat has not come.

    Of more than 48 lengths, those next to 1, n and 2 n, and seeded others.
    """
    rng = np.random.default_rng(seed)
    n = info.beats_in
    every = np.arange(1, 2 * n + 3)
    if len(every) > _LENGTHS:
        # The first ones end where the gearbox is full, if the memory behind it is.
        edges = [1, 2, 3, 4, 5, 6, n - 1, n + 1, 2 * n - 1, 2 * n, 2 * n + 1, 2 * n + 2]
        others = rng.choice(np.setdiff1d(every, edges), _LENGTHS - len(edges), replace=False)
        every = np.concatenate([edges, others])
    every = np.tile(every, max(1, _FRAMES // len(every)))
    lengths = np.concatenate([[length, n] if rng.random() < 0.5 else [length]
                              for length in rng.permutation(every)] + [[n]])
    if info.load_beats:
        lengths = np.concatenate([[n + 1], lengths])
    ends = len(lengths)
    # At the end: wrong frames that others follow at once; a short one comes out though nothing
    # follows it; a reset finds one that is filled up; and resets find the reader amid a frame, also
    # before its last beats.
    less = max(1, n - 1)
    at_once = [1, n, less, n, 1, less, n + 1, n, 1, n]
    amid = np.clip([1, n - 3, n - 2, n - 1, n - 1, *rng.integers(1, n + 1, _AMID),
                    *[n] * _WHOLE], 1, n)
    # At last resets find a core that has no room for more: after a frame and one that is late, or
    # early, or right, they meet some beat of the next, which waits perhaps.
    second = [n + 1, n, 1, n, less, n]
    full = np.stack([np.full(_FULL, n), second, rng.integers(1, max(2, n), _FULL)], 1)
    lengths = np.concatenate([lengths, at_once, [1, n, 1, n],
                              np.stack([amid, np.full_like(amid, n)], 1).ravel(),
                              full.ravel(), [n]])
    special, count = ends + len(at_once), len(lengths)
    behind = count - full.size - 1  # where the last ones begin
    resets, isolated = np.zeros(count, bool), np.zeros(count, bool)
    at = rng.choice(np.arange(2, ends), _RESETS, replace=False)
    after_short = np.setdiff1d(np.flatnonzero(lengths[1:ends - 1] < n) + 2, at)
    if len(after_short):
        at[1] = rng.choice(after_short)  # it is cut, below: a reset finds the reader amid a frame
    resets[at] = True
    isolated[at[::3]] = True  # nothing is lost: frame_error must then say what came before
    cut = np.zeros(count, bool)
    cut[at[1::3] - 1] = True
    gaps = _waits(rng, count, int(lengths.max()), info.interval)
    gaps[at, 0] = rng.integers(0, info.latency + info.interval, len(at))
    stalls = _waits(rng, count, info.beats_out, info.interval)
    if info.load_beats:  # begins between a frame and what is dropped of it, which comes meanwhile
        gaps[0], stalls[0] = 0, 0
        gaps[0, n] = info.latency + info.interval
    isolated[special + 1] = resets[special + 3] = True
    isolated[special + 4:behind:2] = cut[special + 4:behind:2] = True
    resets[special + 5:behind:2] = resets[behind::3] = cut[behind + 2::3] = True
    gaps[ends:special] = gaps[special + 3, 0] = gaps[behind:] = 0
    gaps[special + 5:behind:2, 0] = [*rng.integers(0, 3, len(amid) - _WHOLE), *range(_WHOLE)]
    gaps[behind::3, 0] = rng.integers(0, info.latency + info.interval, _FULL + 1)
    return _scenario(info, "hostile", rng.integers(0, samples, count), isolated=isolated,
                     resets=resets, fresh=_sequences(info, count, rng), lengths=lengths, cut=cut,
                     gaps=gaps, stalls=stalls, garbage=seed, loads=info.load_beats > 0)


def extreme(info: CoreInfo, samples: range, *, seed: int = 1) -> Scenario:
    """These ``samples``, chosen for what saturates on them, back to back."""
    return _scenario(info, "extreme", samples, sums=info.acc_width > 0,
                     fresh=_sequences(info, len(samples), np.random.default_rng(seed)))


def many_frames(info: CoreInfo, samples: range, *, seed: int = 1) -> Scenario:
    """These ``samples`` once each: a quarter back to back; a quarter with seeded gaps, each frame
    taken late by up to two intervals, so that the output is full most of the time; a quarter three
    at a time, after seeded times without any frame, which must not change a cycle; and one with
    seeded gaps and resets before a sixth of the frames, at seeded cycles or when a frame, alone in
    the core, is about to leave it. Some wrong bits show in one frame of hundreds only, or after one
    reset of tens."""
    rng, count = np.random.default_rng(seed), len(samples)
    part = np.arange(count) * 4 // count
    stalls = np.zeros((count, info.beats_out), int)
    stalls[np.arange(count), rng.integers(0, info.beats_out, count)] = rng.integers(
        0, 2 * info.interval + 1, count)
    gaps = (part % 2)[:, None] * _waits(rng, count, info.beats_in, info.interval)
    resets = (part == 3) & (rng.random(count) < 1 / 6)
    gaps[resets, 0] = rng.integers(0, info.latency + info.interval, resets.sum())
    isolated = (part == 2) & (np.arange(count) % 3 == 0) | (np.arange(count) == 0)
    gaps[isolated, 0] = rng.integers(0, _IDLE, isolated.sum())
    last = np.flatnonzero(resets[1:] & ~resets[:-1])[:_LEAVING]  # before a reset
    isolated[last], gaps[last] = True, 0
    leaves = info.latency - _transfer(info)
    gaps[last + 1, 0] = np.maximum(0, leaves + 2 - rng.permutation(_LEAVING)[:len(last)])
    return _scenario(info, "many frames", samples, fresh=_sequences(info, count, rng),
                     isolated=isolated, resets=resets, gaps=gaps,
                     stalls=(part == 1)[:, None] * stalls)


def other_weights(info: CoreInfo, samples: int, *, seed: int = 1) -> Scenario:
    """All the samples back to back, through a loadable core that was given other weights."""
    return _scenario(info, "other weights", range(samples), sums=info.acc_width > 0, other=True,
                     fresh=_sequences(info, samples, np.random.default_rng(seed)))


def _transfer(info: CoreInfo) -> int:
    """About how many cycles a frame takes to go in."""
    return max(info.beats_in, -(-info.n_in // info.chunk))


def _sent(info: CoreInfo) -> int:
    """Whole frames in the gearbox behind the output memory, while no beat leaves."""
    shape = GearboxShape(
        width=info.stream.element_bits, size_in=info.chunk, row_in=info.n_out // info.contexts,
        size_out=info.stream.per_beat, row_out=info.n_out)
    words = [shape.size_in] * (shape.words_in - 1) + [shape.rest_in]
    taken = fill = 0
    while fill + shape.size_in <= shape.capacity:
        fill += words[taken % len(words)]
        taken += 1
    return taken // (len(words) * info.contexts)


def _held(info: CoreInfo) -> int:
    """Frames that fit into the core: two in the output memory, the elements in the writer's
    gearbox, a frame under way and those in the input memory."""
    return 6 + (info.stream.per_beat + info.chunk) // info.n_out


def _waits(rng: np.random.Generator, frames: int, beats: int, longest: int) -> np.ndarray:
    """Cycles before each beat, (frames, beats): few before a quarter of them, and up to
    ``longest`` for a third of the frames, of which half wait at once, the others beat by beat."""
    short = rng.integers(1, 9, (frames, beats)) * (rng.random((frames, beats)) < 0.25)
    late = rng.integers(0, longest + 1, frames) * (rng.random(frames) < 0.34)
    slow = rng.multinomial(late, np.full(beats, 1 / beats))
    slow[::2] = 0
    slow[::2, 0] = late[::2]
    return short + slow


def _sequences(info: CoreInfo, frames: int, rng: np.random.Generator) -> np.ndarray:
    """TUSER of frames: a sequence of 3 frames, then of 1 to 4. Where windows overlap, the first is
    longer by the frames that a window spans, and about half of the others are. The very first frame
    begins one whatever its TUSER says: it says nothing of the kind."""
    fresh = np.zeros(frames, bool)
    more = info.spans - 1
    at = 3 + more
    while info.stateful and at < frames:
        fresh[at] = True
        at += int(rng.integers(1, 5)) + (more and more * int(rng.integers(0, 2)))
    return fresh
