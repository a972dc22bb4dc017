"""A core with registers in a Verilog simulator: descriptors against golden and the plan."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from gatefold.hdl.host.axi import BURST
from gatefold.hdl.host.registers import MAP
from gatefold.sim.compiled import Compiled
from gatefold.sim.host_info import HostInfo
from gatefold.sim.host_script import WORD, Op, Script
from gatefold.sim.results import CheckFailed
from gatefold.sim.testbench import bench_file

__all__ = ["HostBench"]

#: Of 256 cycles those in which each channel of memory pauses, reads and writes, in the last
#: descriptors; where only one of them hardly moves, the queues of the other fill up;
_PAUSED = ((96, 96), (250, 250), (0, 250), (250, 0))
_STALL = 20  # cycles at least that a word takes where memory hardly moves
_BASES = (0x5A3CF00F, 0xA5C30FF0) * 4  # and the bits above, twice, of their addresses
_WINDOWS = 4  # frames in the window at most
_PATTERN = 0x96A5C35A  # written to registers, and its complement
_IMAGES = 64  # of weights, among which those are that are loaded
_WRONG = 0x01010101  # of what is written to bytes that are not enabled, and to wrong fields
_LONG = range(8, 32)  # bits of the watchdog's patience that are tried one by one
_PATIENCE = 100  # cycles, of the watchdog, where memory does not answer
_CHANNELS, _ALL = (0x01, 0x02, 0x04, 0x08, 0x10), 0x1F  # at which nothing moves
_ANYWHERE = 1 << 13  # any address is right, and nothing is written
_ENDLESS = range(4, 24)  # bits of numbers of frames, most of which no simulation plays to the end
_PLAYED = 8  # of which it plays about so many, or all of them
_RESETS = {"verilator": 100_000, "icarus": 600}  # in so many cycles altogether
#: How memory is broken (sim/bench/host.v): what it is, and whether reads or writes fail.
_BROKEN_BY = ((0b10, "READ"), (0b11, "READ"), (1 << 14 | 0b10, "READ"), (1 << 4, "READ"),
              (1 << 5, "READ"), (0b1000, "WRITE"), (0b1100, "WRITE"))
_FAULTS = 4  # bits of an engine's port ``fault``
_FEW = 4  # frames of a descriptor that fails
_SOME, _TIMES = 8, 24  # frames of a descriptor after that, or of other sequences, and how many
_MANY = 20  # times the cycles that are planned, after which the core hangs
_BEGUN, _IDLE, _READY = (MAP["CTRL"].field(f"AP_{name}").mask for name in (
    "START", "IDLE", "READY"))
_GUARD = 0xA5  # bytes where nothing is written


class HostBench(Compiled):
    """``gatefold_host`` and a memory, compiled once: :meth:`check` plays descriptors on it.

    Played are: every register that can be written, written as a whole and byte by byte, and read,
    and addresses of no register; accesses one after the other and close together;
    the first frame alone, some in the window, and a batch, with a memory that answers at once; all
    frames with one that pauses, and with one that hardly moves, at other addresses; descriptors
    that must be refused; memory that fails, ends bursts early or late, or does not answer, and some
    frames after each failure; sequences that go on, and that begin when the host says so; loads
    with a wrong checksum; aborts, also of a descriptor that waits; faults that engines report;
    resets in the middle of descriptors; and after all that all frames again.

    Parameters as of :class:`Compiled`, and ``info``; ``frames``, one sequence in a stateful core;
    ``outputs``, what golden makes of them.
    """

    def __init__(self, directory: Path, info: HostInfo, frames: list[bytes], outputs: list[bytes],
                 simulator: str, *, timeout: float = 900, flags: Sequence[str] = ()):
        self.info, self.outputs, self.simulator = info, outputs, simulator
        self._paused = len(_PAUSED) if simulator == "verilator" else 2
        size, count = info.port_bits // 8, len(frames)
        at_in = -(-len(info.load) // 4096) * 4096
        at_out = -(-(at_in + count * info.in_bytes) // 4096) * 4096
        # Of results: of six descriptors, of those that fail, of the last one, completion words.
        # The first two begin with whole bursts, as the planned cycles assume; others may not.
        behind = BURST * size  # bytes that must stay as they are
        room = count * info.out_bytes + behind
        second = at_out + -(-room // behind) * behind
        self._regions = [at_out, *(second + n * room for n in range(8))]
        content = bytearray(b"".join([info.load.ljust(at_in, b"\0"), *frames]).ljust(at_out, b"\0"))
        # Behind them those of some frames, again and again: what is written there, by address.
        first, some = self._regions[-1] + room, min(_SOME, count) * info.out_bytes + behind
        self._free = iter(range(first, first + _TIMES * some, some))
        self._some: dict[int, list[bytes]] = {}
        content += bytes([_GUARD]) * (first + _TIMES * some - at_out)
        # The frames once more, behind the results: bits of addresses have other values there.
        again = -(-len(content) // 4096) * 4096
        content = content.ljust(again, bytes([_GUARD])) + b"".join(frames)
        self._content, self._low = bytes(content), max(12, len(content).bit_length())
        self._played = self._script(frames, at_in, again)
        #: Cycles of a run at most; every access to a register takes some.
        self._most = _MANY * (info.warm + info.frame + _WINDOWS * (info.window_frame or 0)
                              + info.batch * (1 + count) + 8 * len(info.load)
                              + 40 * count * (info.in_bytes + info.out_bytes) // size
                              + len(self._played.steps)) + 2 * _RESETS[simulator] + 20_000
        super().__init__(directory, simulator, timeout, flags)

    def check(self, *plusargs: str) -> int:
        """Run the frames; how many. ``plusargs`` go to the simulator. Raises
        :class:`CheckFailed` at the first difference."""
        info, outputs, count = self.info, self.outputs, len(self.outputs)
        values, result = self._simulate(*plusargs)
        for (name, want), got in zip(self._played.expected, values, strict=True):
            if want is not None and got not in (want if isinstance(want, range) else (want,)):
                raise CheckFailed(f"registers and memory: expected {want} {name}, got {got}")
        for place, number in ((0, 1), (1, info.batch_frames), *(
                (place, count) for place in (*range(2, 2 + self._paused), 7))):
            length = number * info.out_bytes
            got = result[self._regions[place]:self._regions[place] + length]
            _same(f"descriptor {place}", got, outputs[:number])
            behind = result[self._regions[place] + length:][:BURST * info.port_bits // 8]
            if set(behind) != {_GUARD}:
                raise CheckFailed(f"registers and memory: descriptor {place} wrote behind its "
                                  "results")
        for place, (address, some) in enumerate(self._some.items(), 9):
            _same(f"descriptor {place}", result[address:address + len(some) * info.out_bytes], some)
        words = result[self._regions[8]:][:4 * (len(self._words) + 1)]
        want = b"".join(word.to_bytes(4, "little") for word in self._words)
        if words != want + bytes([_GUARD]) * 4:
            raise CheckFailed(f"registers and memory: expected the completion words {want.hex()}, "
                              f"got {words.hex()}")
        return self._frames

    def _script(self, frames: list[bytes], at_in: int, again: int) -> Script:
        """What the host does; the frames are at the addresses ``at_in`` and ``again``."""
        info, count, script = self.info, len(frames), Script(self._low)
        self._words: list[int] = []  # completion words
        self._try_registers(script)
        if info.load:
            script.refused("NOT_LOADED", FRAMES=1)
            script.load(info.load)
        script.steps.append((Op.WAIT, 0, info.warm))
        script.run(1, at_in, self._regions[0])
        # Bursts before the last one may still be under way when its words come.
        late = BURST if info.out_bytes * 8 // info.port_bits > BURST else 1
        script.read("LAST_CYCLES", range(info.frame, info.frame + late), "cycles for one frame")
        script.read("STALLS_LO", range(info.frame + len(info.load)))
        script.read("CYCLES_LO", range(info.frame, 4 * (info.frame + len(info.load)) + 400))
        script.read("CYCLES_HI", 0)
        script.run(info.batch_frames, at_in, self._regions[1])
        script.read("LAST_CYCLES", range(info.batch, info.batch + late) if info.exact else None,
                    f"cycles for {info.batch_frames} frames")
        windows = min(_WINDOWS, count) if info.window else 0
        for frame, output in zip(frames[:windows], self.outputs, strict=False):
            upwards = range(0, len(frame), 4)
            for n in upwards if frame is frames[0] else upwards[::-1]:
                script.bytewise(MAP.window("WINDOW_IN").address + n,
                                int.from_bytes(frame[n:n + 4], "little"), upwards=not n & 4)
            script.run(1, 0, 0, window=True, first=frame is frames[0])
            script.read("LAST_CYCLES", info.window_frame, "cycles for a frame in the window")
            for n in range(0, info.out_bytes, 4):
                script.steps.append((Op.READ, MAP.window("WINDOW_OUT").address + n, 0))
                script.expected.append((f"in byte {n} of the window", int.from_bytes(
                    output[n:n + 4], "little")))
        paused = _PAUSED[:self._paused]
        script.write(WATCHDOG=40 * _PATIENCE)  # shorter than a descriptor, longer than any pause
        for n, (rate, base) in enumerate(zip(paused, _BASES, strict=False)):
            script.steps.append((Op.PAUSES, 0, rate[0] | rate[1] << 8))
            if info.load and n == 0:  # frames come to other places of the queue behind it
                script.load(info.load)
            script.steps.append((Op.BASE, 0, base))
            script.run(count, again if n % 2 else at_in, self._regions[2 + n], base)
        self._frames = 1 + info.batch_frames + windows + len(paused) * count
        script.read("ERROR", 0)
        words = count * info.in_bytes * 8 // info.port_bits  # that came late, of one descriptor
        busy = info.frame + -(-count * info.batch // info.batch_frames)  # cycles without memory
        script.read("STALLS_LO", range(max(0, _STALL * words - busy), 1 << 30))
        script.read("FRAMES_DONE_LO", self._frames)
        script.steps.append((Op.WAIT, 0, 0))  # the high half waits for any number of cycles
        script.read("FRAMES_DONE_HI", 0)
        script.read("COMPLETED", script.descriptors)
        script.steps += [(Op.PAUSES, 0, 0), (Op.BASE, 0, 0)]
        self._refusals(script, at_in)
        self._sequences(script, at_in)
        self._give_up_two(script, at_in)
        self._fail(script, min(_FEW, count), at_in)
        self._reset(script, at_in)
        script.run(count, again, self._regions[7])
        self._frames += count
        script.read("ERROR", 0)
        script.read("COMPLETED", script.descriptors)
        script.steps.append((Op.END, 0, 0))
        return script

    def _again(self, script: Script, at_in: int, results: list[bytes] | None = None,
               first: bool = False) -> None:
        """Some frames, which give their ``results``, by default those of a new sequence."""
        address = next(self._free)
        self._some[address] = (results or self.outputs)[:_SOME]
        script.run(len(self._some[address]), at_in, address, first=first)

    def _give_up_two(self, script: Script, at_in: int) -> None:
        """An abort ends a descriptor under way and the one that waits."""
        script.write(WATCHDOG=20 * _PATIENCE)  # would end one that is left
        script.steps.append((Op.BROKEN, 0, _ALL << 8))
        for shown in (_READY, _BEGUN):
            script.start(self.info.batch_frames, at_in, self._regions[6])
            script.steps.append((Op.WAIT, 0, 60))
            script.read("CTRL", shown)
        script.without(ABORT=1)
        script.steps.append((Op.WAIT, 0, 60))
        script.read("ABORT", 0)
        script.read("COMPLETED", script.descriptors - 2)
        script.write(ABORT=1)
        script.steps += [(Op.DONE, 0, 0)] * 2
        script.fails("ABORTED", *(["NOT_LOADED"] if self.info.load else []))  # no weights are left
        script.read("COMPLETED", script.descriptors)
        script.steps += [(Op.BROKEN, 0, 0), (Op.WAIT, 0, 2 * _PATIENCE)]
        script.write(WATCHDOG=0)
        if self.info.load:
            script.load(self.info.load)

    def _sequences(self, script: Script, at_in: int) -> None:
        """A sequence goes on from descriptor to descriptor; it begins when the host says so, and
        after as many frames as it says."""
        info, half = self.info, min(_SOME, len(self.outputs) // 2)
        if half:
            self._again(script, at_in, self.outputs[:half], first=True)
            self._again(script, at_in + half * info.in_bytes, self.outputs[half:])
        script.write(STATE_RESET=1)
        self._again(script, at_in)
        script.start(len(self.outputs), at_in, self._regions[6])
        script.steps.append((Op.WAIT, 0, 20))
        script.write(STATE_RESET=1)
        script.steps.append((Op.DONE, 0, 0))
        self._again(script, at_in)
        if info.sequences:
            for count in (info.sequence, *(info.sequence | 1 << bit for bit in (8, 16, 24))):
                script.write(SEQUENCE=count)
                self._again(script, at_in, info.sequences if count == info.sequence else None,
                            first=True)
            script.write(SEQUENCE=0)

    def _try_registers(self, script: Script) -> None:
        """Write and read every register that can be written, and read constant ones."""
        for name, value in self.info.constants.items():
            script.read(name, value)
        for register in MAP.registers:
            mask = sum(field.mask for field in register.fields if field.access == "rw")
            reset = sum(field.reset << field.low for field in register.fields)
            for n, value in enumerate((_PATTERN, ~_PATTERN, ~_PATTERN, _PATTERN, reset)):
                if mask and (self.simulator == "verilator" or n % 2 == 0):
                    script.bytewise(register.address, value & mask, upwards=n < 2)
                    script.read(register.name, value & mask)
        # Where another bit of the address is 1 nothing happens; each has a value of its own.
        held = {register.name: value for n, register in enumerate(MAP.registers) if (
            value := _PATTERN * (2 * n + 1) & sum(
                field.mask for field in register.fields if field.access == "rw"))}
        script.write(**held)
        windows = range(MAP.windows[0].address, MAP.windows[-1].address + MAP.windows[-1].size)
        for name in held:
            for bit in range(MAP.registers[-1].address.bit_length(), MAP.address_bits):
                address = MAP[name].address | 1 << bit
                script.steps.append((Op.WRITE, address, ~held[name] & WORD))
                if address not in windows and name == "FRAMES":
                    script.steps.append((Op.READ, address, 0))
                    script.expected.append((f"at the address {address:#x} of no register", 0))
        for name, value in held.items():
            script.read(name, value)
            script.write(**{name: sum(field.reset << field.low for field in MAP[name].fields)})
        script.read("CTRL", _IDLE | _READY)

    def _word(self, script: Script, base: int, errors: int = 0) -> dict[str, bool]:
        """Registers that ask for a completion word, which must be 1 above these errors; ``base``,
        from now on, of step BASE."""
        above = ~base & WORD
        script.steps.append((Op.BASE, 0, base))
        script.write(DONE_ADDR_LO=self._regions[8] + 4 * len(self._words) | script.upper(above),
                     DONE_ADDR_HI=above)
        self._words.append(1 << 31 | errors)
        return {"done_word": True}

    def _refusals(self, script: Script, at_in: int) -> None:
        """Descriptors that the core must refuse, and interrupts of both kinds."""
        info, out = self.info, self._regions[6]
        good = {"FRAMES": 1, "IN_ADDR_LO": at_in, "IN_ADDR_HI": 0, "OUT_ADDR_HI": WORD,
                "OUT_ADDR_LO": out | script.upper(WORD)}
        ask = MAP["FLAGS"].field
        hashed, weights = ask("CHECK_HASH").mask, ask("WEIGHTS").mask
        script.write(IER=3, GIE=1)
        script.refused("FRAMES", **good | {"FRAMES": 0})
        script.read("ISR", 3)
        script.interrupt(1)
        script.without(ISR=3)
        script.read("ISR", 3)
        script.write(ISR=3)
        script.read("ISR", 0)
        script.interrupt(0)
        for event, other in ((1, 2), (2, 1)):  # one bit stays as the other one changes
            script.write(ISR=event)
            script.read("ISR", event)
            script.write(ISR=other)
            script.read("ISR", 3)
            script.write(ISR=event)
            script.read("ISR", other)
            script.write(ISR=other)
            script.read("ISR", 0)
        for event in (1, 2):  # the other one is not told
            script.write(IER=event)
            script.refused("FRAMES", **good | {"FRAMES": 1 << 31})
            script.interrupt(1)
            script.read("ISR", event)
            script.write(GIE=0)
            script.read("GIE", 0)
            script.interrupt(0)
            script.write(GIE=1, ISR=event)
        script.write(IER=0, GIE=0)
        script.refused("ALIGNMENT", **good | {"IN_ADDR_LO": at_in + 1})
        script.refused("ALIGNMENT", **good | {"OUT_ADDR_LO": out + info.port_bits // 16})
        script.refused("ALIGNMENT", **good | {"FLAGS": ask("DONE_WORD").mask, "DONE_ADDR_LO": 2})
        script.refused("HASH", **good | {"FLAGS": hashed, "EXPECTED_HASH":
                                         info.constants["HASH_LO"] ^ 1 << 31})
        script.refused("LENGTH", **good | {"FLAGS": weights, "WEIGHTS_BYTES": len(info.load) ^ 4})
        script.refused("FRAMES" if info.window else "NO_WINDOW", **good | {
            "FLAGS": ask("WINDOW").mask, "FRAMES": 1 + info.window})
        script.write(EXPECTED_HASH=info.constants["HASH_LO"])
        for base in (_BASES[0], _BASES[1], 0):
            asked = self._word(script, base)
            script.run(1, at_in, out, base, check_hash=True, **asked)
        script.read("ERROR", 0)
        # A descriptor, one that waits, and one too many.
        script.write(**good | {"FLAGS": 1, "FRAMES": len(self.outputs)})
        for _ in range(3):
            script.write(CTRL=MAP["CTRL"].field("AP_START").mask)
        script.steps += [(Op.DONE, 0, 0)] * 2
        script.read("ERROR", script.error("TWO_STARTS"))
        script.write(ERROR=script.error("TWO_STARTS"))
        script.descriptors += 2
        script.read("COMPLETED", script.descriptors)
        most = 4 * (info.frame + len(self.outputs) * info.batch)
        script.read("LAST_CYCLES", range(info.frame, most), "cycles of a descriptor that waited")

    def _fail(self, script: Script, frames: int, at_in: int) -> None:
        """Memory that fails, and the end of all descriptors."""
        info, out = self.info, self._regions[6]
        if info.load:
            size = info.port_bits // 8
            for k, n in enumerate(self._images(size)):
                script.load(self._content[n:][:len(info.load)], n)
                script.load(info.load, wrong=0x11111111 << k % 4, error="CHECKSUM")
                script.read("STATUS", 0)
            script.load(info.load)
        for broken, cause in _BROKEN_BY:
            script.steps.append((Op.BROKEN, 0, broken))
            word = self._word(script, 0, script.error(cause)) if cause == "READ" else {}
            script.run(frames, at_in, out, **word)
            script.fails(cause)
            if info.load and cause == "READ":
                script.load(info.load, error="READ", also="CHECKSUM")
                script.steps.append((Op.BROKEN, 0, 0))
                script.load(info.load)
            script.steps.append((Op.BROKEN, 0, 0))
            if cause == "READ":
                self._again(script, at_in)
        # From the start on a channel at a time, then all of them while a frame is computed.
        for n, (channels, cycles) in enumerate([*((channel, 0) for channel in _CHANNELS), *(
                (_ALL, info.frame * part // 8) for part in (2, 4, 6))]):
            script.write(WATCHDOG=_PATIENCE + n)
            stop = [(Op.WAIT, 0, cycles), (Op.BROKEN, 0, channels << 8)]
            script.steps += [(Op.BASE, 0, _BASES[n]), *(stop[1:] if not cycles else [])]
            script.start(info.batch_frames, at_in, out, _BASES[n])
            script.steps += [*(stop if cycles else []), (Op.DONE, 0, 0)]
            script.fails("NO_ANSWER")
            script.read("LAST_CYCLES", range(_PATIENCE, 2 * _PATIENCE + info.batch),
                        "cycles until the watchdog expires")
            script.read("ABORT", 1)
            script.steps += [(Op.BROKEN, 0, 0), (Op.WAIT, 0, 2 * _PATIENCE), (Op.BASE, 0, 0)]
            script.read("ABORT", 0)
            if info.load:
                script.load(info.load)
            self._again(script, at_in)
            script.read("ERROR", 0)
        # A patience of 0 has no end; another one counts from when it is written.
        script.write(WATCHDOG=0)
        script.steps.append((Op.BROKEN, 0, _ALL << 8))
        script.start(frames, at_in, out)
        script.steps.append((Op.WAIT, 0, 2 * _PATIENCE))
        script.read("ERROR", 0)
        script.write(WATCHDOG=_PATIENCE)
        script.steps.append((Op.DONE, 0, 0))
        script.fails("NO_ANSWER")
        script.steps += [(Op.BROKEN, 0, 0), (Op.WAIT, 0, 2 * _PATIENCE)]
        for bit in _LONG if self.simulator == "verilator" else _LONG[::8]:
            script.write(WATCHDOG=1 << bit | 20)
            script.steps.append((Op.BROKEN, 0, _ALL << 8))
            script.write(WEIGHTS_BYTES=len(info.load))
            script.start(frames, at_in, out, weights=bool(info.load))
            script.steps.append((Op.WAIT, 0, 60))
            script.read("ERROR", 0)
            script.write(ABORT=1)
            script.steps.append((Op.DONE, 0, 0))
            script.fails("ABORTED")
            script.steps += [(Op.BROKEN, 0, 0), (Op.WAIT, 0, 2 * _PATIENCE)]
        if info.load:
            script.load(info.load)
        for n in range(_FAULTS * info.watching):
            script.start(info.batch_frames, at_in, out)
            script.steps += [(Op.FAULT, 0, n), (Op.DONE, 0, 0)]
            script.fails("INTERNAL")
            if info.load:
                script.load(info.load)
            script.run(frames, at_in, out)
            script.read("ERROR", 0)

    def _images(self, size: int) -> list[int]:
        """Where in memory other images begin, at words of ``size`` bytes: as many as it takes until
        each bit of the checksum has had both values, and four at least."""
        length = len(self.info.load)
        seen = _bits(zlib.crc32(self.info.load))
        places: list[int] = []
        for at in range(size, _IMAGES * size, size):
            new = _bits(zlib.crc32(self._content[at:at + length]))
            if len(places) < 4 or not new <= seen:
                places.append(at)
                seen |= new
        return places

    def _reset(self, script: Script, at_in: int) -> None:
        """Descriptors of many frames, to their end; and of more frames than a simulation plays, up
        to a reset: of them no counter has come to its end, and nothing is left of them."""
        info = self.info
        frame = -(-info.batch // info.batch_frames)
        wait = info.frame + _PLAYED * frame
        every = max(1, 2 * len(_ENDLESS) * wait // _RESETS[self.simulator])
        self._restart(script)
        for bit in _ENDLESS[::every]:
            count = (1 << bit) + 3
            script.steps.append((Op.BROKEN, 0, _ANYWHERE))
            script.start(count, at_in, len(self._content))
            if 8 * count * frame < _RESETS[self.simulator]:
                script.steps.append((Op.DONE, 0, 0))
                script.read("FRAMES_DONE_LO", count)
            else:
                script.steps.append((Op.WAIT, 0, wait + bit * frame // 8))
                script.read("FRAMES_DONE_LO", range(5, count))
            self._restart(script)

    def _restart(self, script: Script) -> None:
        """A reset, after which registers are as they were at first, and weights are loaded."""
        script.steps += [(Op.RESET, 0, 0), (Op.BROKEN, 0, 0)]
        script.descriptors = 0
        for name in ("STATUS", "ERROR", "ISR", "COMPLETED", "FRAMES_DONE_LO", "CYCLES_LO", "ABORT"):
            script.read(name, 0 if self.info.load or name != "STATUS" else
                        MAP["STATUS"].field("LOADED").mask)
        for register in MAP.registers:
            fields = [field for field in register.fields if field.access == "rw"]
            if fields:
                script.read(register.name, sum(field.reset << field.low for field in fields))
        if self.info.load:
            script.load(self.info.load)

    def _bench(self, folder: Path) -> list[Path]:
        size, steps = self.info.port_bits // 8, self._played.steps
        words = [int.from_bytes(self._content[n:n + size], "little")
                 for n in range(0, len(self._content), size)]
        (folder / "host.v").write_text(bench_file("host.v", {
            "low": self._low, "width": self.info.port_bits, "depth": len(words),
            "steps": len(steps), "faults": "".join(
                f"        {n}: dut.shell.engines.engine_{n}.fault[value[1:0]] <= 1;\n"
                for n in range(self.info.watching))}))
        (folder / "main.cpp").write_text(bench_file("main.cpp"))
        (self._root / "memory.hex").write_text("".join(f"{word:x}\n" for word in words))
        (self._root / "script.hex").write_text("".join(
            f"{op:02x}{address:04x}{value:08x}\n" for op, address, value in steps))
        return [folder / "host.v"]

    def _simulate(self, *plusargs: str) -> tuple[list[int], bytes]:
        """The values that the script reads, and what memory holds at its end."""
        with self._run_folder() as folder:
            for name in ("memory.hex", "script.hex"):
                (folder / name).symlink_to(self._root / name)
            self._play(folder, [f"+cycles={self._most}", *plusargs],
                       f"{self.simulator} simulates the core with registers")
            log = (folder / "log.txt").read_text().splitlines()
            wrong = [line for line in log if not line.startswith("read ")]
            if wrong:
                raise CheckFailed(f"registers and memory: {wrong[0]}")
            lines = [line for line in (folder / "result.hex").read_text().splitlines()
                     if not line.startswith(("//", "@"))]
        size = self.info.port_bits // 8
        try:
            result = b"".join(int(line, 16).to_bytes(size, "little") for line in lines)
            return [int(line.split()[1]) for line in log], result
        except ValueError:
            raise CheckFailed("registers and memory: a value that was written or read is unknown "
                              "(X)") from None


def _bits(checksum: int) -> set[tuple[int, int]]:
    """Each bit and its value."""
    return {(bit, checksum >> bit & 1) for bit in range(32)}


def _same(where: str, got: bytes, outputs: list[bytes]) -> None:
    for n, want in enumerate(outputs):
        mine = got[n * len(want):(n + 1) * len(want)]
        if mine != want:
            at = next(k for k, (one, other) in enumerate(zip(mine, want, strict=True))
                      if one != other)
            raise CheckFailed(f"registers and memory: {where}, frame {n}, byte {at}: expected "
                              f"{want[at]:#04x}, got {mine[at]:#04x}")
