"""What the host does on a core with registers, from the first access to the last descriptor."""

from __future__ import annotations

from gatefold.hdl.host.registers import MAP
from gatefold.sim.host_failures import BUDGET, fail, give_up, reset, starve, watch, wrong_loads
from gatefold.sim.host_info import HostInfo
from gatefold.sim.host_memory import HostMemory
from gatefold.sim.host_registers import coincide, count, interrupt, look_beside, read_back, refuse
from gatefold.sim.host_script import SOME, Op, Script, mask

__all__ = ["HostProgram"]

#: Of 256 cycles those in which each channel of memory pauses, reads and writes, in the last
#: descriptors; where only one of them hardly moves, the queues of the other fill up.
_PAUSED = ((96, 96), (250, 250), (0, 250), (250, 0))
_STALL = 20  # cycles at least that a word takes where memory hardly moves
_WINDOWS = 4  # frames in the window at most
_PATIENCE = 4000  # of the watchdog: shorter than a descriptor, longer than any pause
_MANY = 20  # times the cycles that are planned, after which the core hangs


class HostProgram(Script):
    """The whole script, with :attr:`played`, frames of descriptors that are compared with all that
    there are; ``frames``, their bytes."""

    def __init__(self, info: HostInfo, memory: HostMemory, frames: list[bytes], *, thorough: bool):
        super().__init__(info, memory, thorough=thorough)
        self._paused = _PAUSED if thorough else _PAUSED[:2]
        self._windows = min(_WINDOWS, len(frames)) if info.window else 0
        self.played = (1 + info.batch_frames + self._windows
                       + (len(self._paused) + 1) * len(frames))
        read_back(self)
        if info.load:
            self.refused("NOT_LOADED", FRAMES=1)
            self.load()
        self.wait(info.warm)
        self._first()
        for n, frame in enumerate(frames[:self._windows]):
            self._window(n, frame)
        look_beside(self)
        self._pause(frames)
        interrupt(self)
        refuse(self)
        coincide(self)
        self._queue()
        self._sequences()
        wrong_loads(self)
        give_up(self)
        fail(self)
        watch(self)
        reset(self)
        starve(self)
        count(self)
        self.run(len(frames), memory.frames, memory.room("the last descriptor", memory.outputs))
        self.read("ERROR", 0)
        self.steps.append((Op.END, 0, 0))

    @property
    def most(self) -> int:
        """Cycles that it takes at most; every access to a register takes some."""
        info, count = self.info, len(self.outputs)
        words = count * (info.in_bytes + info.out_bytes) // self.memory.size
        return _MANY * (info.warm + info.frame + self._windows * (info.window_frame or 0)
                        + info.batch * (1 + count) + 8 * len(info.load) + 40 * words
                        + len(self.steps)) + 2 * BUDGET[self.thorough] + 20_000

    def _first(self) -> None:
        """A frame alone and a batch, where memory answers at once: in planned cycles."""
        info, memory = self.info, self.memory
        before = [self.read(f"{name}_LO") for name in ("CYCLES", "STALLS")]
        self.read("STATE_RESET", 1)
        self.run(1, memory.frames, memory.room("the first descriptor", self.outputs[:1]))
        self.read("STATE_RESET", 0)
        self.read("CTRL", mask("CTRL", "AP_IDLE", "AP_READY"))
        took = self.read("LAST_CYCLES", info.frame, "cycles for one frame")
        cycles, stalls = (self.read(f"{name}_LO") for name in ("CYCLES", "STALLS"))
        self.relate("CYCLES does not count the cycles of a descriptor", lambda got: (
            got[cycles] - got[before[0]] == got[took]))
        self.relate("STALLS counts cycles in which the core does not wait for memory", lambda got: (
            0 < got[stalls] - got[before[1]] <= max(24, info.frame // 2)))
        self.read("CYCLES_HI", 0)
        self.run(info.batch_frames, memory.frames, memory.room(
            "the batch", self.outputs[:info.batch_frames]))
        self.read("LAST_CYCLES", info.batch if info.exact else None,
                  f"cycles for {info.batch_frames} frames")

    def _window(self, number: int, frame: bytes) -> None:
        """A frame in the window; what is written beside it, and read there, is nothing."""
        info = self.info
        inside, outside = MAP.window("WINDOW_IN"), MAP.window("WINDOW_OUT")
        upwards = range(0, len(frame), 4)
        for n in upwards if number == 0 else upwards[::-1]:
            self.bytewise(inside.address + n, int.from_bytes(frame[n:n + 4], "little"),
                          upwards=not n & 4)
        for at in {size for size in (len(frame), 2 * len(frame), inside.size - 4)
                   if len(frame) <= size < inside.size} | {-inside.address // 2, inside.size}:
            self.write_at(inside.address + at, ~number)
        self.run(1, 1, 1, window=True, first=number == 0)  # addresses do not matter
        self.read("LAST_CYCLES", info.window_frame, "cycles for a frame in the window")
        output = self.outputs[number]
        for n in range(0, len(output), 4):
            self.read_at(outside.address + n, int.from_bytes(output[n:n + 4], "little"),
                         f"in byte {n} of the window")

    def _pause(self, frames: list[bytes]) -> None:
        """All frames, from memory that pauses, at any address."""
        info, memory = self.info, self.memory
        self.write(WATCHDOG=_PATIENCE)
        words = len(frames) * info.in_bytes // memory.size
        busy = info.frame + -(-len(frames) * info.batch // info.batch_frames)
        for n, (reads, writes) in enumerate(self._paused):
            self.pauses(reads, writes)
            if n == 0:  # frames come to other places of the queue behind it
                self.load()
            self.move()
            before = self.read("STALLS_LO")
            self.run(len(frames), memory.frames, memory.room(
                f"descriptor {n} with memory that pauses", self.outputs))
            after = self.read("STALLS_LO")
            if reads == 250:
                self.relate("STALLS counts too few cycles", lambda got, one=before, other=after: (
                    got[other] - got[one] >= _STALL * words - busy))
        self.pauses()
        # Nothing is lost where addresses carry, from the lowest bit to the highest.
        half = len(frames) // 2
        room = memory.room("the descriptor in the middle of all addresses", self.outputs)
        self.origin((1 << 63) - memory.frames - half * info.in_bytes // memory.size * memory.size,
                    (1 << 63) - room - half * info.out_bytes // memory.size * memory.size)
        self.run(len(frames), memory.frames, room)
        self.origin()
        self.write(WATCHDOG=0)
        self.read("ERROR", 0)
        self.read("FRAMES_DONE_LO", self.played)
        self.wait(0)  # the high half waits for any number of cycles
        self.read("FRAMES_DONE_HI", 0)
        self.read("COMPLETED", self.descriptors)

    def _queue(self) -> None:
        """A descriptor, one that waits, and one too many; both end, the second after AP_CONTINUE
        alone; and one that starts as the last one is acknowledged."""
        info, memory = self.info, self.memory
        two = [memory.room(f"of two descriptors, {n}", self.outputs) for n in range(2)]
        self.start(len(self.outputs), memory.frames, two[0])
        self.write(**self.addresses(memory.frames, two[1]))
        for _ in range(2):
            self.write(CTRL=mask("CTRL", "AP_START"))
        self.descriptors += 1
        self.done()
        self.done()
        self.fails("TWO_STARTS")
        self.read("COMPLETED", self.descriptors)
        most = 4 * (info.frame + len(self.outputs) * info.batch)
        self.read("LAST_CYCLES", range(info.frame, most), "cycles of a descriptor that waited")
        for n in range(2):
            self.start(1, memory.frames, memory.room(f"of two frames, {n}", self.outputs[:1]))
        self.wait(2 * info.frame + 400)
        self.read("COMPLETED", self.descriptors - 1, "in COMPLETED before AP_CONTINUE")
        self.done()
        self.wait(40)
        self.read("COMPLETED", self.descriptors)
        self.done(keep=True)
        self.read("CTRL", mask("CTRL", "AP_DONE", "AP_READY"))
        self.start(1, memory.frames, memory.room("with AP_CONTINUE", self.outputs[:1]),
                   ctrl=mask("CTRL", "AP_START", "AP_CONTINUE"))
        self.done(alone=True)
        self.read("COMPLETED", self.descriptors)
        self.read("CTRL", mask("CTRL", "AP_IDLE", "AP_READY"))
        self.read("ERROR", 0)

    def _sequences(self) -> None:
        """A sequence goes on from descriptor to descriptor; it begins when the host says so, and
        after as many frames as it says."""
        info, memory, half = self.info, self.memory, min(SOME, len(self.outputs) // 2)
        if half:
            self.again("the first half", self.outputs[:half], first=True)
            self.write(ABORT=1)  # of nothing
            self.refused("FRAMES", FRAMES=0, FLAGS=0)
            self.read("STATUS", mask("STATUS", "LOADED"))
            self.again("the other half", self.outputs[half:], skip=half)
        self.write(STATE_RESET=1)
        self.read("STATE_RESET", 1)
        self.refused("FRAMES", FRAMES=0, FLAGS=0)
        self.load()
        self.read("STATE_RESET", 1, "in STATE_RESET before a frame")
        self.again("after STATE_RESET")
        self.read("STATE_RESET", 0)
        self.start(len(self.outputs), memory.frames, memory.anywhere)
        self.wait(20)
        self.write(STATE_RESET=1)
        self.done()
        self.again("after STATE_RESET amid frames")
        if info.sequences:
            bits = range(3, 32) if self.thorough else (8, 16, 24)
            for number in (info.sequence, *(info.sequence | 1 << bit for bit in bits)):
                self.write(SEQUENCE=number)
                self.again(f"in sequences of {number}",
                           info.sequences if number == info.sequence else None, first=True)
            self.write(SEQUENCE=0)
