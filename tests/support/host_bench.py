"""cocotb bench of a core with registers: random AXI traffic, golden on the right-hand side.

tests/hdl/host/test_host.py builds the core and runs it. $GATEFOLD_HOST names a JSON file with
``regs`` (constants by name, as programs have them), ``inputs`` and ``outputs`` (bytes of a frame in
memory, hexadecimal, one sequence in a stateful core), ``fresh`` (outputs of the same inputs where
each begins a sequence), ``weights``, the image, or "", and ``protect``, whether the engines watch
themselves.
"""

import itertools
import json
import logging
import os
import random
import zlib
from pathlib import Path
from types import SimpleNamespace

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave

DATA = json.loads(Path(os.environ["GATEFOLD_HOST"]).read_text())
R = SimpleNamespace(**DATA["regs"])
INPUTS, OUTPUTS, FRESH = ([bytes.fromhex(frame) for frame in DATA[name]]
                          for name in ("inputs", "outputs", "fresh"))
WEIGHTS = bytes.fromhex(DATA["weights"])
PORT = (R.GF_CORE_CAPS & R.GF_CAPS_PORT_BYTES) >> R.GF_CAPS_PORT_BYTES_SHIFT
IN, OUT, IMAGE, WORD = 0x1000_0FC0, 0x1_2000_0F40, 0x3000_0000, 0x4000_0004
PATIENCE = 200_000  # ns

logging.getLogger("cocotb").setLevel(logging.WARNING)


class Memory:
    """Sparse memory behind the master; ``broken``: addresses at which an access fails."""

    def __init__(self):
        self.bytes, self.broken = {}, range(0)

    def _check(self, address, length):
        if any(address + n in self.broken for n in (0, length - 1)):
            raise ValueError("broken")

    async def read(self, address, length):
        self._check(address, length)
        return self.get(address, length)

    async def write(self, address, data):
        self._check(address, len(data))
        self.put(address, data)

    def put(self, address, data):
        self.bytes.update(enumerate(data, address))

    def get(self, address, length):
        return bytes(self.bytes.get(address + n, 0xA5) for n in range(length))


class Bench:
    def __init__(self, dut, pauses=0.0):
        self.dut, self.memory = dut, Memory()
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.clk, dut.rst)
        self.slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi_gmem"), dut.clk, dut.rst,
                              target=self.memory)
        write, read = self.slave.write_if, self.slave.read_if
        lite_write, lite_read = self.control.write_if, self.control.read_if
        self.channels = {"ar": read.ar_channel, "r": read.r_channel, "aw": write.aw_channel,
                         "w": write.w_channel, "b": write.b_channel}
        for channel in (*self.channels.values(), lite_write.aw_channel, lite_write.w_channel,
                        lite_write.b_channel, lite_read.ar_channel, lite_read.r_channel):
            if pauses:
                channel.set_pause_generator(random.random() < pauses for _ in itertools.count())

    async def start(self, *, load=True):
        self.dut.rst.value = 1
        await Timer(8, "ns")  # no clock edge before the reset is known
        Clock(self.dut.clk, 4, unit="ns").start()
        await self.reset()
        if WEIGHTS and load:
            await self.load()
            assert await self.errors() == 0

    def answer(self, yes, *channels):
        """Whether memory answers from now on; without channels all of it."""
        for name in channels or self.channels:
            self.channels[name].pause = not yes

    async def watch_offers(self):
        """What the master offers stays as it is until memory takes it."""
        offers = [[getattr(self.dut, f"m_axi_gmem_{channel}{name}") for name in names]
                  for channel, names in (("ar", ("ready", "valid", "addr", "len")),
                                         ("aw", ("ready", "valid", "addr", "len")),
                                         ("w", ("ready", "valid", "data", "strb", "last")))]
        waiting = [None] * len(offers)
        while True:
            await ReadOnly()
            for n, (ready, valid, *payload) in enumerate(offers):
                now = [int(valid.value), *(int(one.value) for one in payload if valid.value)]
                assert waiting[n] in (None, now), f"{valid._name} did not stay"
                waiting[n] = now if valid.value and not ready.value else None
            await RisingEdge(self.dut.clk)

    async def reset(self):
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        await self.write(R.GF_IER, R.GF_IER_DONE)
        await self.write(R.GF_GIE, R.GF_GIE_ENABLE)

    async def read(self, register):
        return await with_timeout(self.control.read_dword(register), PATIENCE, "ns")

    async def write(self, register, value):
        await with_timeout(self.control.write_dword(register, value), PATIENCE, "ns")

    async def write64(self, register, value):
        await self.write(register, value & 0xFFFFFFFF)
        await self.write(register + 4, value >> 32)

    async def errors(self, *, clear=True):
        found = await self.read(R.GF_ERROR)
        if clear:
            await self.write(R.GF_ERROR, found)
        return found

    async def submit(self, frames=1, *, flags=0, at_in=IN, at_out=OUT, sequence=0):
        await self.write64(R.GF_IN_ADDR_LO, at_in)
        await self.write64(R.GF_OUT_ADDR_LO, at_out)
        await self.write64(R.GF_DONE_ADDR_LO, WORD)
        await self.write(R.GF_FRAMES, frames)
        await self.write(R.GF_SEQUENCE, sequence)
        await self.write(R.GF_FLAGS, flags)
        await self.write(R.GF_CTRL, R.GF_CTRL_AP_START)

    async def poll(self, bit):
        async def until():
            while not await self.read(R.GF_CTRL) & bit:
                pass
        await with_timeout(until(), PATIENCE, "ns")

    async def wait(self):
        """Until a descriptor has ended, and acknowledge it."""
        if self.dut.interrupt.value == 0:
            await with_timeout(RisingEdge(self.dut.interrupt), PATIENCE, "ns")
        await self.write(R.GF_ISR, R.GF_ISR_DONE)
        assert await self.read(R.GF_CTRL) & R.GF_CTRL_AP_DONE
        await self.write(R.GF_CTRL, R.GF_CTRL_AP_CONTINUE)

    async def load(self, image=None, *, crc=None, length=None):
        image = WEIGHTS if image is None else image
        self.memory.put(IMAGE, image)
        await self.write(R.GF_WEIGHTS_BYTES, len(image) if length is None else length)
        await self.write(R.GF_WEIGHTS_CRC, zlib.crc32(image) if crc is None else crc)
        await self.submit(at_in=IMAGE, flags=R.GF_FLAGS_WEIGHTS)
        await self.wait()

    def put(self, samples, at=IN):
        self.memory.put(at, b"".join(INPUTS[n] for n in samples))

    def expect(self, outputs, at=OUT):
        """These frames are in memory, and nothing around them was touched."""
        want = b"".join(outputs)
        assert self.memory.get(at - 64, len(want) + 128) == b"\xa5" * 64 + want + b"\xa5" * 64

    async def run(self, samples, outputs, **how):
        """Run samples as one descriptor and compare the results."""
        for n in range(-64, len(samples) * R.GF_CORE_OUT_BYTES + 64):
            self.memory.bytes.pop(how.get("at_out", OUT) + n, None)
        self.put(samples, how.get("at_in", IN))
        await self.submit(len(samples), **how)
        await self.wait()
        self.expect(outputs, how.get("at_out", OUT))


def batch(frames):
    """A batch that goes through the samples again and again: its samples and results. Those of a
    stateful core begin a sequence in each round."""
    samples = [n % len(INPUTS) for n in range(frames)]
    return samples, [OUTPUTS[n] for n in samples]


@cocotb.test()
async def identity(dut):
    bench = Bench(dut)
    await bench.start(load=False)
    for name, value in vars(R).items():
        if name.startswith("GF_CORE_"):
            assert await bench.read(getattr(R, name.replace("GF_CORE_", "GF_"))) == value, name
    assert await bench.read(R.GF_CTRL) == R.GF_CTRL_AP_IDLE | R.GF_CTRL_AP_READY
    assert await bench.read(0x7C) == 0  # a hole
    await bench.write(R.GF_MAGIC, 0)
    assert await bench.read(R.GF_MAGIC) == R.GF_CORE_MAGIC


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.6])
async def batches(dut, pauses):
    bench = Bench(dut, pauses)
    await bench.start()
    total = 0
    for frames, at_in, at_out in ((1, IN, OUT), (3, IN + PORT, OUT + 5 * PORT), (14, IN, OUT)):
        samples, outputs = batch(frames)
        await bench.run(samples, outputs, at_in=at_in, at_out=at_out,
                        flags=R.GF_FLAGS_FIRST, sequence=len(INPUTS))
        total += frames
    assert await bench.errors() == 0
    assert await bench.read(R.GF_FRAMES_DONE_LO) == total
    assert await bench.read(R.GF_COMPLETED) == 3 + bool(WEIGHTS)
    assert await bench.read(R.GF_CYCLES_LO) > await bench.read(R.GF_STALLS_LO) > 0


@cocotb.test()
async def the_next_descriptor_is_read_while_results_are_written(dut):
    bench = Bench(dut, 0.2)
    await bench.start()
    samples, outputs = batch(len(INPUTS))
    bench.put(samples)
    size = R.GF_CORE_OUT_BYTES * len(samples)
    for n in range(3):
        await bench.poll(R.GF_CTRL_AP_READY)
        await bench.submit(len(samples), at_out=OUT + n * (size + 256), flags=R.GF_FLAGS_FIRST)
        if n:
            await bench.wait()
            bench.expect(outputs, OUT + (n - 1) * (size + 256))
    await bench.wait()
    bench.expect(outputs, OUT + 2 * (size + 256))
    assert await bench.errors() == 0
    await bench.poll(R.GF_CTRL_AP_IDLE)


@cocotb.test()
async def completion_by_interrupt_and_by_word(dut):
    bench = Bench(dut, 0.2)
    await bench.start()
    bench.put([0])
    assert dut.interrupt.value == 0
    await bench.submit(flags=R.GF_FLAGS_DONE_WORD | R.GF_FLAGS_FIRST)
    if dut.interrupt.value == 0:
        await with_timeout(RisingEdge(dut.interrupt), PATIENCE, "ns")
    assert bench.memory.get(WORD - 4, 12) == b"\xa5" * 4 + b"\0\0\0\x80" + b"\xa5" * 4
    bench.expect([FRESH[0]])
    assert await bench.read(R.GF_ISR) == R.GF_ISR_DONE
    await bench.write(R.GF_ISR, R.GF_ISR_DONE)
    await ClockCycles(dut.clk, 4)
    assert dut.interrupt.value == 0


@cocotb.test()
async def a_frame_through_the_window(dut):
    bench = Bench(dut, 0.2)
    await bench.start()
    if not R.GF_CORE_CAPS & R.GF_CAPS_WINDOW:
        await bench.submit(flags=R.GF_FLAGS_WINDOW)
        await bench.wait()
        assert await bench.errors() == R.GF_ERROR_NO_WINDOW
        return
    for sample in range(len(INPUTS)):
        await bench.control.write(R.GF_WINDOW_IN, INPUTS[sample])
        await bench.submit(flags=R.GF_FLAGS_WINDOW | R.GF_FLAGS_FIRST * (sample == 0))
        await bench.wait()
        result = await bench.control.read(R.GF_WINDOW_OUT, len(OUTPUTS[sample]))
        assert result.data == OUTPUTS[sample]
    assert await bench.errors() == 0 and not bench.memory.bytes.keys() - set(
        range(IMAGE, IMAGE + len(WEIGHTS)))
    await bench.run([0], [FRESH[0]], flags=R.GF_FLAGS_FIRST)


#: Descriptors that are refused: what is wrong, and the bit of ERROR.
REFUSALS = {
    "no frames": (dict(frames=0), "FRAMES"),
    "too many frames": (dict(frames=1 << 24), "FRAMES"),
    "a crooked input": (dict(at_in=IN + 1), "ALIGNMENT"),
    "a crooked output": (dict(at_out=OUT + PORT // 2), "ALIGNMENT"),
    "another hash": (dict(flags="CHECK_HASH"), "HASH"),
    "two frames in the window": (dict(flags="WINDOW", frames=2), "FRAMES"),
    "weights of a wrong length": (dict(flags="WEIGHTS"), "LENGTH"),
}


@cocotb.test()
@cocotb.parametrize(case=list(REFUSALS))
async def a_wrong_descriptor_is_refused(dut, case):
    bench = Bench(dut)
    await bench.start()
    before = dict(bench.memory.bytes)
    how, error = REFUSALS[case]
    how = dict(how)
    bit = getattr(R, f"GF_ERROR_{error}")
    flags = R.GF_FLAGS_DONE_WORD
    if "flags" in how:
        flags |= getattr(R, f"GF_FLAGS_{how['flags']}")
    await bench.write(R.GF_WEIGHTS_BYTES, R.GF_CORE_LOAD_BYTES + 4)
    await bench.write(R.GF_EXPECTED_HASH, R.GF_CORE_HASH_LO ^ 1)
    await bench.submit(**how | {"flags": flags})
    await bench.wait()
    assert await bench.errors() & bit
    assert int.from_bytes(bench.memory.get(WORD, 4), "little") & (1 << 31 | bit) == 1 << 31 | bit
    for n in range(4):
        bench.memory.bytes.pop(WORD + n)
    assert bench.memory.bytes == before
    await bench.run([0], [FRESH[0]], flags=R.GF_FLAGS_FIRST)
    assert await bench.errors() == 0


@cocotb.test()
@cocotb.parametrize(which=["read", "write"])
async def a_bus_error_is_said_and_the_next_descriptor_is_right(dut, which):
    bench = Bench(dut, 0.3)
    await bench.start()
    samples, outputs = batch(len(INPUTS))
    bench.put(samples)
    at = IN if which == "read" else OUT
    bench.memory.broken = range(at, at + 1)
    await bench.submit(len(samples), flags=R.GF_FLAGS_DONE_WORD)
    await bench.wait()
    bit = R.GF_ERROR_READ if which == "read" else R.GF_ERROR_WRITE
    assert await bench.errors() == bit
    assert int.from_bytes(bench.memory.get(WORD, 4), "little") == 1 << 31 | bit
    bench.memory.broken = range(0)
    await bench.run(samples, outputs, flags=R.GF_FLAGS_FIRST if which == "write" else 0)
    assert await bench.errors() == 0


@cocotb.test()
async def a_start_during_a_start_is_ignored(dut):
    bench = Bench(dut)
    await bench.start()
    samples, outputs = batch(len(INPUTS))
    bench.put(samples)
    for n in range(3):  # until one waits
        await bench.poll(R.GF_CTRL_AP_READY)
        await bench.submit(len(samples), flags=R.GF_FLAGS_FIRST, at_out=OUT + n * 0x4000)
    started = 3
    while not await bench.errors(clear=False):
        ready = await bench.read(R.GF_CTRL) & R.GF_CTRL_AP_READY
        await bench.write(R.GF_CTRL, R.GF_CTRL_AP_START)
        assert ready or started == 3
    for _ in range(3):
        await bench.wait()
    for n in range(3):
        bench.expect(outputs, OUT + n * 0x4000)
    assert await bench.errors() == R.GF_ERROR_TWO_STARTS
    assert await bench.read(R.GF_COMPLETED) == 3 + bool(WEIGHTS)


@cocotb.test()
async def a_reset_in_the_middle_of_anything(dut):
    bench = Bench(dut, 0.3)
    await bench.start()
    samples, outputs = batch(len(INPUTS))
    for cycles in (1, 20, 60, 150):
        bench.put(samples)
        await bench.submit(len(samples))
        await ClockCycles(dut.clk, cycles)
        await bench.reset()
        if WEIGHTS:
            await bench.load()
        await bench.run(samples, outputs)  # the first frame after a reset begins a sequence
        assert await bench.errors() == 0


@cocotb.test()
@cocotb.parametrize((("cycles", "channels"), [(0, ()), (60, ()), (45, ("r",)), (0, ("aw",))]))
async def a_memory_that_stops_answering(dut, cycles, channels):
    bench = Bench(dut)
    await bench.start()
    watch = cocotb.start_soon(bench.watch_offers())
    await bench.write(R.GF_WATCHDOG, 200)
    samples, outputs = batch(len(INPUTS))
    bench.put(samples)
    await bench.submit(len(samples), flags=R.GF_FLAGS_DONE_WORD)
    await ClockCycles(dut.clk, cycles)
    bench.answer(False, *channels)
    await bench.wait()  # the descriptor ends all the same
    if not await bench.errors():
        assert cycles  # memory had answered everything by then
        bench.expect(outputs)
        await bench.submit(len(samples))
        await bench.wait()
        await bench.errors()
    await bench.submit(len(samples))  # and so does the next one: refused without weights, else
    await bench.wait()
    assert await bench.errors() == (R.GF_ERROR_NOT_LOADED if WEIGHTS else R.GF_ERROR_NO_ANSWER)
    bench.answer(True)
    if WEIGHTS:
        await bench.load()
    await bench.run(samples, outputs)  # it begins a sequence
    assert await bench.errors() == 0 and await bench.read(R.GF_ABORT) == 0
    watch.cancel()


@cocotb.test(skip=not DATA["protect"])
async def a_core_that_finds_a_fault_ends_its_descriptor(dut):
    bench = Bench(dut)
    await bench.start()
    samples, outputs = batch(14)
    bench.put(samples)
    await bench.submit(len(samples))
    await ClockCycles(dut.clk, 20)
    dut.shell.engines.engine_1.fault.value = 2
    await bench.wait()
    assert await bench.errors() == R.GF_ERROR_INTERNAL
    await bench.run(samples, outputs)
    assert await bench.errors() == 0


@cocotb.test()
@cocotb.parametrize(cycles=[0, 2, 60])
async def an_abort_ends_all_descriptors(dut, cycles):
    bench = Bench(dut, 0.2)
    await bench.start()
    watch = cocotb.start_soon(bench.watch_offers())
    samples, outputs = batch(len(INPUTS))
    bench.put(samples)
    started = 0
    for n in range(3):  # until one waits
        if await bench.read(R.GF_CTRL) & R.GF_CTRL_AP_READY:
            await bench.submit(len(samples), at_out=OUT + n * 0x4000)
            started += 1
    await ClockCycles(dut.clk, cycles)
    await bench.write(R.GF_ABORT, R.GF_ABORT_ABORT)
    for _ in range(started):
        await bench.wait()
    assert await bench.errors() & ~R.GF_ERROR_NOT_LOADED == R.GF_ERROR_ABORTED
    assert await bench.read(R.GF_COMPLETED) == started + bool(WEIGHTS)
    if WEIGHTS:
        assert not await bench.read(R.GF_STATUS) & R.GF_STATUS_LOADED
        await bench.load()
    await bench.run(samples, outputs)
    assert await bench.errors() == 0
    watch.cancel()


@cocotb.test()
async def state_goes_on_until_it_is_reset(dut):
    bench = Bench(dut)
    await bench.start()
    for sample in range(len(INPUTS)):  # one at a time: the state is kept in between
        await bench.run([sample], [OUTPUTS[sample]],
                        flags=R.GF_FLAGS_FIRST * (sample == 0))
    await bench.write(R.GF_STATE_RESET, 1)
    await bench.run(*batch(len(INPUTS)))
    await bench.run(list(range(len(INPUTS))), FRESH, flags=R.GF_FLAGS_FIRST, sequence=1)


@cocotb.test(skip=not WEIGHTS)
async def weights(dut):
    bench = Bench(dut, 0.2)
    await bench.start()
    refused = R.GF_ERROR_NOT_LOADED
    await bench.run(*batch(len(INPUTS)), flags=R.GF_FLAGS_FIRST)

    await bench.load(length=len(WEIGHTS) - 4)  # refused: the old ones stay
    assert await bench.errors() == R.GF_ERROR_LENGTH
    await bench.run(*batch(len(INPUTS)), flags=R.GF_FLAGS_FIRST)

    spoilt = bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:]
    await bench.load(spoilt, crc=zlib.crc32(WEIGHTS))
    assert await bench.errors() == R.GF_ERROR_CHECKSUM
    assert not await bench.read(R.GF_STATUS) & R.GF_STATUS_LOADED
    await bench.submit()
    await bench.wait()
    assert await bench.errors() == refused
    await bench.load()
    bench.memory.broken = range(IMAGE + PORT, IMAGE + PORT + 1)
    await bench.load()
    assert await bench.errors() == R.GF_ERROR_CHECKSUM | R.GF_ERROR_READ
    bench.memory.broken = range(0)

    bench.memory.put(IMAGE, WEIGHTS)  # half loaded, then a reset
    await bench.submit(at_in=IMAGE, flags=R.GF_FLAGS_WEIGHTS)
    await ClockCycles(dut.clk, 60)
    await bench.reset()
    assert not await bench.read(R.GF_STATUS) & R.GF_STATUS_LOADED
    await bench.submit()
    await bench.wait()
    assert await bench.errors() == refused
    await bench.load()
    await bench.run(*batch(len(INPUTS)), flags=R.GF_FLAGS_FIRST)
    assert await bench.errors() == 0
