"""What a simulator saw of a core, event by event, made into a :class:`SimRun`."""

from __future__ import annotations

import numpy as np

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.results import CheckFailed, SimRun
from gatefold.sim.scenario import Epoch, Scenario
from gatefold.sim.trace import Beats, layer_values, numbers

__all__ = ["Observed"]


class Observed:
    """Takes the events of a run in their order; every method raises :class:`CheckFailed` at the
    first of them that is wrong, whatever the inputs were.

    Parameters: ``info``, the core; ``scenario``, what is played.
    """

    def __init__(self, info: CoreInfo, scenario: Scenario):
        self.info, self.scenario = info, scenario
        self._epochs = list(scenario.epochs)
        self._played: list[int] = []
        self._first_in: list[int] = []
        self._last_out: list[int] = []
        self._outputs: list[np.ndarray] = []
        self._masks: list[int | None] = []
        self._held: list[str] = []
        self._sums: list[str] = []
        self._frame_errors: list[bool] = []
        self._load_errors: list[bool] = []
        self._begin()

    def _begin(self) -> None:
        """Of the epoch under way."""
        self.first_in: list[int] = []  #: cycles in which its frames began to go in
        self.last_out: list[int] = []  #: cycles in which its frames had come out
        self.outputs: list[np.ndarray] = []
        self.masks: list[int | None] = []
        self.held: list[str] = []
        self.summed: list[str] = []  # of results to come, too
        self.words: list[int] = []  #: beats of the output frame under way

    @property
    def frames_out(self) -> int:
        """Frames that have come out since the last reset."""
        return len(self.last_out)

    def output(self, cycle: int, last: int | None, word: int | None, shown: str) -> None:
        """A beat has come out; None where bits are unknown, ``shown`` says them."""
        beat, beats = len(self.words), self.info.beats_out
        where = f"{self.scenario.name}: frame {self._frame()}, output beat {beat}"
        if word is None:
            raise CheckFailed(f"{where} has unknown bits: TDATA is {shown}")
        self.words.append(word)
        if last != int(beat == beats - 1):
            raise CheckFailed(f"{where} of {beats}: TLAST is {'unknown' if last is None else last}")
        if last:
            try:
                self.outputs.append(self.info.stream.unpack(self.words, self.info.n_out))
            except ValueError as error:
                raise CheckFailed(f"{where}: {error}") from None
            self.last_out.append(cycle)
            self.words.clear()

    def result(self, mask: int | None, values: str) -> None:
        """The lanes of all dies give a beat each: the mask of those that hold an element, None
        where bits are unknown, and of each lane in turn a result and a state, decimal."""
        if self.scenario.sums and len(self.summed) <= len(self.masks):
            raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}: a result came of "
                              "no sums")
        self.masks.append(mask)
        self.held.append(values)

    def sums(self, values: str) -> None:
        """The accumulators of the rows that the lanes take, four of each lane of all dies, decimal;
        their results follow."""
        self.summed.append(values)

    def unstable(self, cycle: int, valid: str) -> None:
        """The core did not hold a beat that it offered until it was taken."""
        moved = "TDATA or TLAST changes" if valid == "1" else "TVALID falls"
        raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}, output beat "
                          f"{len(self.words)}: {moved} before the beat is taken, cycle {cycle}")

    def unloaded(self, cycle: int) -> None:
        """A frame goes in where there are no weights."""
        raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}: the core takes a frame "
                          f"before its weights are loaded, cycle {cycle}")

    def start(self, cycle: int, ready: str) -> None:
        """The core takes input too early after a reset, or too late."""
        raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}: s_axis_tready is {ready} "
                          f"where it must {'be low for' if ready != '0' else 'rise'} "
                          f"{self.info.start} cycles after a reset, cycle {cycle}")

    def starved(self, cycle: int) -> None:
        """A load got no turn between frames."""
        raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}: frames go in, although a "
                          f"load waits, cycle {cycle}")

    def load_error(self, is_set: bool) -> None:
        """load_error is not what it must be."""
        raise CheckFailed(f"{self.scenario.name}: load_error is {int(is_set)}, but " + (
            "every s_load_tlast was in its place since the reset" if is_set else
            "s_load_tlast was early or late"))

    def frame_error(self, is_set: bool) -> None:
        """frame_error is not what it must be."""
        raise CheckFailed(f"{self.scenario.name}: " + (
            "frame_error is set, but every TLAST was in its place since the reset" if is_set else
            "frame_error is not set, but a TLAST was early or late"))

    def fault(self, cycle: int, bits: str) -> None:
        """A core that watches itself has found something."""
        raise CheckFailed(f"{self.scenario.name}: frame {self._frame()}: the core reports a fault "
                          f"where there is none, bits {bits}, cycle {cycle}")

    def hang(self, cycle: int) -> None:
        """Nothing moves any more."""
        if not self._epochs[1:] and self.frames_out == self._epochs[0].stop - self._epochs[0].start:
            raise CheckFailed(f"{self.scenario.name}: all frames have come out, and then the core "
                              f"takes no load any more, cycle {cycle}")
        raise CheckFailed(
            f"{self.scenario.name}: the core hangs: {self._frame()} of "
            f"{len(self.scenario.frames)} frames had come out when nothing moved any more, cycle "
            f"{cycle} ({self._epochs[0].start + len(self.first_in)} had begun to go in)")

    def reset(self, frame_error: bool, load_error: bool, load_wrong: bool) -> None:
        """A reset, or the end of the run, with the error outputs just before it, and whether a load
        was wrong since the last one."""
        epoch, got = self._epochs.pop(0), self.frames_out
        events = len(self.info.events) // self.info.dies  # beats of results of a frame
        want = epoch.stop - epoch.start
        if got > want or epoch.drained and (got != want or self.words):
            raise CheckFailed(f"{self.scenario.name}: {got} frames and {len(self.words)} beats "
                              f"came out for {want} frames that went in")
        kept = want if epoch.drained else min(got, len(self.masks) // events if events else got)
        self._played += range(epoch.start, epoch.start + kept)
        self._first_in += self.first_in[:kept]
        self._last_out += self.last_out[:kept]
        self._outputs += self.outputs[:kept]
        results = len(self.masks) if epoch.drained else kept * events
        self._masks += self.masks[:results]
        self._held += self.held[:results]
        self._sums += self.summed[:results]
        self._check_frame_error(epoch, frame_error)
        if load_error != load_wrong:
            self.load_error(load_error)
        self._begin()

    def _check_frame_error(self, epoch: Epoch, frame_error: bool) -> None:
        wrong = self.scenario.wrong(self.info)[epoch.start:epoch.stop].any()
        if frame_error and not wrong or wrong and epoch.drained and not frame_error:
            self.frame_error(frame_error)

    def run(self, cycles: int) -> SimRun:
        """All that was seen in ``cycles``, after the last :meth:`reset`."""
        return SimRun(
            played=np.array(self._played, int),
            outputs=np.array(self._outputs).reshape(-1, self.info.n_out),
            first_in=np.array(self._first_in), last_out=np.array(self._last_out),
            trace=layer_values(self._beats(), self.info, len(self._played), self.scenario.name),
            cycles=cycles)

    def _beats(self) -> Beats:
        """The results of all epochs, of each die in turn."""
        dies, lanes = self.info.dies, self.info.lanes
        low = (1 << lanes) - 1
        masks = [None if mask is None else mask >> first & low for mask in self._masks
                 for first in range(0, dies * lanes, lanes)]
        held = numbers(self._held, 2 * dies * lanes).reshape(-1, lanes, 2)
        if not self.scenario.sums:
            return Beats(masks, held)
        return Beats(masks, held, numbers(self._sums, 4 * dies * lanes).reshape(-1, lanes, 4))

    def _frame(self) -> int:
        """The frame that comes out next."""
        return self._epochs[0].start + self.frames_out
