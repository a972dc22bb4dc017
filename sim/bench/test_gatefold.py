"""cocotb bench of a Gatefold core: exact outputs, exact cycles, any flow, reset, wrong TLAST,
blocked output, short waits, coincidences, frames of any length, wrong loads, other weights, and the
accumulators of a frame.

vectors.json holds input frames and the outputs that the golden model expects, as integers;
../core.json holds the core's shapes and cycle counts. Both streams are AXI4-Stream. A frame is all
inputs ("input": "parts" in core.json), one after the other, or all outputs.

A stateful core goes on with the state that the frame before left, unless TUSER is 1 with a frame's
first beat, or there was no frame since reset. "fresh" in vectors.json is that TUSER: a frame with 0
expects the frame before it in the list to have been the last. The frames of other cores are all 1.
"cut" holds, by a number of beats, the outputs expected of a last frame that has only so many and
that begins a sequence: the core takes zeros for the others. The last frames are chosen for what
saturates on them. "sums" holds, by event of "trace" in core.json, the accumulators of the first
frame. "other" holds, for a loadable core, the beats of other weights, and the outputs with them.

Run it with `make` (see Makefile). It needs cocotb and cocotbext-axi, not Gatefold.
"""

import itertools
import json
import logging
import random
import warnings
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

HERE = Path(__file__).resolve().parent
CORE = json.loads((HERE.parent / "core.json").read_text())
VECTORS = json.loads((HERE / "vectors.json").read_text())

LATENCY = CORE["cycles"]["latency"]
INTERVAL = CORE["cycles"]["interval"]
# From the second frame's end to the third's on; several come in turn.
INTERVALS = CORE["cycles"].get("intervals", [INTERVAL])
CLOCK_NS = 4
# cycles for one frame, stalls and the loading of the weights included
PATIENCE = 10 * (LATENCY + INTERVAL) + 2 * CORE.get("load_beats", 0) + 10_000

# cocotbext-axi 0.1.28 tells every frame's bits, and still uses names that cocotb 2 deprecates.
logging.getLogger("cocotb.tb").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", category=DeprecationWarning, module="cocotbext")

# Frames that fit into the core while its output is blocked: in its memories, and in the gearbox
# that makes beats of elements.
HELD = 6 + (CORE["stream"]["beat_bits"] // CORE["stream"]["container_bits"]
            + CORE["simd"] * CORE["array"].get("dies", 1)) // CORE["output"]["elements"]
BLOCKS = 12  # times that the output is blocked
EARLY, RIGHT, AGAIN, DONE = 0, 3, 4, 7  # loads, as in tb.v: DONE after AGAIN and two others

MEETS = 20  # cycles around the end of a frame's work in which another one leaves or comes,
BEFORE, EARLIER = 6, 16  # of which so many lie before it where it leaves, and where it comes

# How the streams flow: the share of cycles in which the source pauses, and in which the sink does;
# "dripping": a frame takes as long to go in as the core takes for it.
FLOWS = {"full_rate": (0, 0), "starved": (0.6, 0), "stalled": (0, 0.6), "both": (0.5, 0.5),
         "dripping": (max(0.6, 1 - CORE["input"]["beats"] / INTERVAL), 0)}


# --- Frames ---------------------------------------------------------------------------------------

def to_beats(elements):
    """A frame's integers as beats: sign-extended to containers, lowest first, zeros at the end."""
    width, per_beat = CORE["stream"]["container_bits"], beat_elements()
    return [sum((value & (1 << width) - 1) << width * n
                for n, value in enumerate(elements[at:at + per_beat]))
            for at in range(0, len(elements), per_beat)]


def beat_elements():
    return CORE["stream"]["beat_bits"] // CORE["stream"]["container_bits"]


def garbled(beats):
    """The beats with noise in all bits that carry no element: the upper bits of containers, and
    what lies behind a frame's last element."""
    stream, left = CORE["stream"], CORE["input"]["elements"]
    noisy = []
    for beat in beats:
        used = sum(((1 << stream["element_bits"]) - 1) << stream["container_bits"] * n
                   for n in range(max(0, min(beat_elements(), left))))
        noisy.append(beat & used | random.getrandbits(stream["beat_bits"]) & ~used)
        left -= beat_elements()
    return noisy


FRAMES = [to_beats(frame) for frame in VECTORS["input"]]
EXPECTED = [to_beats(frame) for frame in VECTORS["output"]]
CUT = {int(beats): to_beats(frame) for beats, frame in VECTORS["cut"].items()}
SAMPLES = range(len(FRAMES))  # the first begins a sequence


# --- The bench ------------------------------------------------------------------------------------

class Bench:
    """Clock, reset, a source and a sink around tb.v."""

    def __init__(self, dut):
        self.dut = dut
        # One lane as wide as a beat: a frame's data is a list of beats.
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst,
                                      byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst,
                                  byte_lanes=1)

    async def start(self):
        Clock(self.dut.clk, CLOCK_NS, unit="ns").start()
        await self.reset()
        if CORE.get("load_beats"):
            await self.reached(self.dut.opened, 1)

    async def reset(self, cycles=4):
        self.dut.rst.value = 1
        await Timer(CLOCK_NS / 4, "ns")  # after the source has withdrawn its beat
        for signal, value in ((self.dut.s_axis_tdata, 0), (self.dut.s_axis_tvalid, 1),
                              (self.dut.s_axis_tlast, 1)):
            signal.value = value  # a beat on offer, which is lost
        await ClockCycles(self.dut.clk, cycles)
        self.dut.rst.value = self.dut.s_axis_tvalid.value = 0
        await ClockCycles(self.dut.clk, 2)

    def flow(self, source_pauses, sink_pauses):
        """Pause source and sink in these shares of the cycles, seeded by cocotb's seed."""
        for end, share in ((self.source, source_pauses), (self.sink, sink_pauses)):
            if share:
                end.set_pause_generator(random.random() < share for _ in itertools.count())

    def send(self, sample, *, beats=None, fresh=None):
        """Send a sample; ``beats`` and ``fresh`` instead of its own where given."""
        beats = FRAMES[sample] if beats is None else beats
        fresh = VECTORS["fresh"][sample] if fresh is None else fresh
        # TUSER counts with the first beat: it says the opposite with the others.
        user = [fresh] + [1 - fresh] * (len(beats) - 1)
        self.source.send_nowait(AxiStreamFrame(beats, tuser=user))

    async def receive(self):
        """The next output frame's beats."""
        frame = await with_timeout(self.sink.recv(), PATIENCE * CLOCK_NS, "ns")
        return frame.tdata

    async def receive_expected(self, *samples, expected=EXPECTED):
        """Check that the next frames are what these samples give, to the bit."""
        for sample in samples:
            got = await self.receive()
            assert got == expected[sample], (
                f"sample {sample}: expected {[hex(beat) for beat in expected[sample]]}, "
                f"got {[hex(beat) for beat in got]}")

    async def results(self, count):
        """The next results: accumulators of all lanes, and the lanes that hold an element."""
        sums, lanes = [], []
        while len(lanes) < count:
            await FallingEdge(self.dut.clk)
            if self.dut.summed.value == 1:
                sums.append(self.dut.sums.value)
            if self.dut.told.value == 1:
                lanes.append(int(self.dut.lanes.value))
        return list(zip(sums, lanes, strict=False))

    async def finish(self):
        """Nothing more comes out."""
        await ClockCycles(self.dut.clk, INTERVAL + 64)
        assert self.sink.empty() and self.sink.idle(), "more came out than went in"
        assert self.dut.unstable.value == 0, "a beat fell or changed before it was taken"
        assert self.dut.misled.value == 0, "load_error is not what it must be"
        assert self.dut.misjudged.value == 0, "frame_error is not what it must be"
        assert self.dut.unloaded.value == 0, "a frame goes in, although the core has no weights"
        assert self.dut.off_start.value == 0, (
            f"s_axis_tready does not rise {CORE['cycles'].get('start')} cycles after a reset")
        assert self.dut.starved.value == 0, "frames go in, although a load waits"
        assert self.dut.faulted.value == 0, "the core reports a fault where there is none"

    async def takes_a_load(self):
        """A core that loads its weights takes them twice more, with no frame between."""
        if not CORE.get("load_beats"):
            return
        self.dut.last_load.value = 1
        for _ in range(PATIENCE):
            await RisingEdge(self.dut.clk)
            if self.dut.last_loaded.value == 1:
                break
        else:
            raise AssertionError("the core takes no load any more")
        for signal, value in ((self.dut.last_load, 0), (self.dut.last_loads, 0),
                              (self.dut.load, AGAIN)):
            signal.value = value

    async def reached(self, signal, least):
        """A signal of the load that is under way is so large."""
        for _ in range(PATIENCE + 8 * CORE["load_beats"]):
            if int(signal.value) >= least:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError("a load is not taken")

    async def no_error(self):
        await RisingEdge(self.dut.clk)
        assert self.dut.frame_error.value == 0, "frame_error is set, but every TLAST was right"


# --- The tests ------------------------------------------------------------------------------------

@cocotb.test()
async def latency(dut):
    """One frame at a time: first input beat to last output beat, to the cycle."""
    bench = Bench(dut)
    await bench.start()
    for sample in SAMPLES:
        bench.send(sample)
        await bench.receive_expected(sample)
        await ClockCycles(dut.clk, 32)
        cycles = dut.last_out_cycle.value.to_unsigned() - dut.first_in_cycle.value.to_unsigned()
        assert cycles == LATENCY, f"latency: expected {LATENCY} cycles, got {cycles}"
    await bench.no_error()


@cocotb.test(skip=not VECTORS["sums"])
async def accumulators(dut):
    """What the rows of every finished element of the first frame sum up."""
    bench = Bench(dut)
    await bench.start()
    bench.send(0, fresh=1)
    dies, width = CORE["array"].get("dies", 1), CORE["acc_width"]
    shown = await with_timeout(bench.results(len(VECTORS["sums"]) // dies), PATIENCE * CLOCK_NS,
                               "ns")
    for event, ((layer, first, count), sums) in enumerate(
            zip(CORE["trace"]["events"], VECTORS["sums"], strict=False)):
        if not sums or event // dies == len(shown):
            continue
        given, lanes = shown[event // dies]
        rows = len(sums) // count
        for n, want in enumerate(sums):
            lane, row = divmod(n, rows)
            place = event % dies * CORE["lanes"] + lane
            if lanes >> place & 1:
                at = width * (4 * place + row)
                got = given[at + width - 1:at].to_signed()
                assert got == want, (
                    f"event {event}, {CORE['trace']['layers'][layer]['name']}, element "
                    f"{first + lane}, row {row}: expected an accumulator of {want}, got {got}")
    await bench.receive_expected(0)
    await bench.no_error()


@cocotb.test()
async def back_to_back(dut):
    """A source that never waits: the distance of the last two frames, to the cycle."""
    bench = Bench(dut)
    await bench.start()
    samples = [n % len(FRAMES) for n in range(max(4, len(FRAMES)))]
    for sample in samples:
        bench.send(sample)
    await bench.receive_expected(*samples)
    await ClockCycles(dut.clk, 2)
    cycles = dut.interval.value.to_unsigned()
    expected = INTERVALS[(len(samples) - 3) % len(INTERVALS)]
    assert cycles == expected, f"interval: expected {expected} cycles, got {cycles}"
    await bench.finish()
    await bench.no_error()


@cocotb.test()
@cocotb.parametrize(flow=list(FLOWS))
async def flows(dut, flow):
    """The same bits, whoever waits."""
    bench = Bench(dut)
    await bench.start()
    bench.flow(*FLOWS[flow])
    for sample in SAMPLES:
        bench.send(sample)
    await bench.receive_expected(*SAMPLES)
    bench.source.clear_pause_generator()
    bench.sink.clear_pause_generator()
    await bench.finish()
    await bench.takes_a_load()
    await bench.no_error()


@cocotb.test()
@cocotb.parametrize(percent=[0, 3, 50, 97])
async def reset_in_a_frame(dut, percent):
    """Reset for a cycle after some share of the latency, or after the first beat: the frame is gone
    and so is its state, whatever TUSER says of the next one, which is clean."""
    bench = Bench(dut)
    await bench.start()
    bench.send(0, fresh=1)  # so that an odd number of frames has come out
    await bench.receive_expected(0)
    for _ in range(4 if percent == 97 else 1):  # the last of four waits
        bench.send(SAMPLES[-1])
    await ClockCycles(dut.clk, max(2, LATENCY * percent // 100))
    bench.source.clear()
    await bench.reset(cycles=1)
    for sample in SAMPLES:
        bench.send(sample, fresh=0 if sample == 0 else None)
    await bench.receive_expected(*SAMPLES)
    await bench.finish()
    await bench.no_error()


@cocotb.test(skip=not CORE.get("tlast_checks"))
@cocotb.parametrize(wrong=["early", "late"])
async def wrong_tlast(dut, wrong):
    """TLAST a beat too early or too late is told by frame_error, and the next frame is clean."""
    if wrong == "early" and len(FRAMES[0]) == 1:
        return  # a frame of one beat has no earlier TLAST
    bench = Bench(dut)
    await bench.start()
    bench.send(0, beats=FRAMES[0][:-1] if wrong == "early" else [*FRAMES[0], 0])
    await bench.source.wait()
    await ClockCycles(dut.clk, 2 * (LATENCY + INTERVAL))
    assert dut.frame_error.value == 1, f"frame_error is not set, but TLAST came {wrong}"
    assert not bench.sink.empty(), f"a frame whose TLAST comes {wrong} waits for the next one"
    while not bench.sink.empty():
        bench.sink.recv_nowait()  # what became of the wrong frame
    for sample in SAMPLES:
        bench.send(sample)
    await bench.receive_expected(*SAMPLES)
    await bench.finish()
    await bench.reset()
    await bench.no_error()


@cocotb.test()
async def blocked(dut):
    """The output is blocked until nothing moves any more, then takes two beats, again and again."""
    def pauses():
        for block in range(BLOCKS):
            yield from [True] * (LATENCY + HELD * INTERVAL if not block else 2 * INTERVAL + 64)
            yield from [False] * 2
        yield from itertools.repeat(False)

    bench = Bench(dut)
    await bench.start()
    bench.sink.set_pause_generator(pauses())
    samples = [n % len(FRAMES) for n in range(HELD + -(-2 * BLOCKS // len(EXPECTED[0])))]
    for sample in samples:
        bench.send(sample)
    block = 2 * INTERVAL + 64
    await ClockCycles(dut.clk, LATENCY + HELD * INTERVAL + (BLOCKS - 1) * block)
    if CORE.get("load_beats"):
        dut.wrong_loads.value = dut.frames_seen.value = 1  # loads that wait for all these frames
    await ClockCycles(dut.clk, block)
    await bench.receive_expected(*samples)
    bench.sink.clear_pause_generator()
    await bench.finish()
    if CORE.get("load_beats"):
        await bench.reached(dut.load, DONE)
        dut.wrong_loads.value = 0
    await bench.takes_a_load()
    await bench.no_error()


@cocotb.test()
async def coincidences(dut):
    """Frames leave a full core, or come to an empty one, so long before or after it ends its work
    on another frame that most differences of a few cycles occur. At last the core must hold as many
    frames behind a blocked output as at first."""
    whole, result = len(FRAMES[0]), len(EXPECTED[0])
    full = LATENCY + HELD * INTERVAL

    def pauses():
        yield from [True] * full
        yield from [False] * 2 * result
        yield from [True] * max(0, INTERVAL + 1 - BEFORE - 2 * result)
        for _ in range(MEETS):
            for late in (0, 1):
                yield from [False] * result
                yield from [True] * max(0, INTERVAL + late - result)
        yield from itertools.repeat(False)

    async def fill(samples):
        """How many frames the core takes while its output is blocked."""
        for sample in samples:
            bench.send(sample)
        await ClockCycles(dut.clk, full - 8)
        return dut.frames_in.value.to_unsigned() - dut.frames_out.value.to_unsigned()

    bench = Bench(dut)
    await bench.start()
    bench.sink.set_pause_generator(pauses())
    samples = [n % len(FRAMES) for n in range(HELD + 2 + 2 * MEETS)]
    held = await fill(samples)
    await bench.receive_expected(*samples)
    for n in range(MEETS):
        bench.send(0)
        await bench.source.wait()
        await ClockCycles(dut.clk, max(1, INTERVAL - 2 * whole - EARLIER + n))
        bench.send(1)
        await bench.receive_expected(0, 1)
    bench.sink.clear_pause_generator()
    bench.sink.pause = True
    samples = [n % len(FRAMES) for n in range(HELD + 4)]
    again = await fill(samples)
    bench.sink.pause = False
    await bench.receive_expected(*samples)
    assert again == held, f"expected {held} frames in a core whose output is blocked, got {again}"
    await bench.finish()
    await bench.takes_a_load()
    await bench.no_error()


@cocotb.test()
@cocotb.parametrize(slow=["sink", "source"])
async def short_waits(dut, slow):
    """Frames leave a full core, or come, 1 to 3 cycles later than it makes them: in every frame it
    waits as long."""
    frames = FRAMES if slow == "source" else EXPECTED

    def pauses():
        if slow == "sink":
            yield from [True] * (LATENCY + HELD * INTERVAL)
        for late in (1, 1, 2, 2, 3, 3):
            yield from [True] * max(0, INTERVAL + late - len(frames[0]))
            yield from [False] * len(frames[0])
        yield from itertools.repeat(False)

    bench = Bench(dut)
    await bench.start()
    (bench.sink if slow == "sink" else bench.source).set_pause_generator(pauses())
    samples = [n % len(FRAMES) for n in range(6 + (HELD if slow == "sink" else 0))]
    for sample in samples:
        bench.send(sample)
    await ClockCycles(dut.clk, LATENCY + (len(samples) + HELD) * INTERVAL)
    await bench.receive_expected(*samples)
    bench.sink.clear_pause_generator()
    bench.source.clear_pause_generator()
    await bench.finish()
    await bench.takes_a_load()
    await bench.no_error()


@cocotb.test(skip=not CORE.get("tlast_checks"))
async def hostile(dut):
    """Frames of other lengths among right ones, noise in the bits that carry no element; and before
    them a reset while the core fills up a short frame."""
    bench = Bench(dut)
    await bench.start()
    whole = len(FRAMES[-1])
    if whole > 1:
        bench.send(len(FRAMES) - 1, beats=FRAMES[-1][:1])
        await bench.source.wait()
        await bench.reset(cycles=1)
    bench.flow(0.3, 0.3)
    late = range(whole + 1, 2 * whole + 3)
    lengths = [*CUT, *(late if len(late) < 16 else random.sample(late, 16))]
    random.shuffle(lengths)
    expected = []
    for length in lengths:
        for count in (length, whole)[:random.randint(1, 2)]:
            beats = FRAMES[-1][:count] + [0] * max(0, count - whole)
            bench.send(len(FRAMES) - 1, beats=garbled(beats), fresh=1)
            expected.append((f"{count} beats of {whole}", CUT[min(count, whole)]))
    for what, beats in expected:
        got = await bench.receive()
        assert got == beats, (f"{what}: expected {[hex(beat) for beat in beats]}, "
                              f"got {[hex(beat) for beat in got]}")
    bench.source.clear_pause_generator()
    bench.sink.clear_pause_generator()
    await bench.finish()
    await RisingEdge(dut.clk)
    assert dut.frame_error.value == 1, "frame_error is not set, but TLAST was early and late"
    await bench.reset()
    await bench.no_error()


@cocotb.test(skip=not CORE.get("load_beats"))
async def loads(dut):
    """Loads with a wrong TLAST, before the weights are loaded and while frames are under way, loads
    that a reset ends, one of them after beats too many, and none."""
    bench = Bench(dut)
    await bench.start()
    for signal, value in ((dut.wrong_loads, 1), (dut.frames_seen, 0), (dut.load, EARLY)):
        signal.value = value
    await bench.reset()

    await bench.reached(dut.load_at, CORE["load_beats"] + 2)  # of the late load
    await bench.reset()
    await bench.reached(dut.load, AGAIN)
    assert dut.load_error.value == 1, "load_error is not set, but TLAST was early and late"
    # The rest of a long frame comes while weights are loaded, which begins when the frame has left.
    whole = len(FRAMES[0])
    bench.source.set_pause_generator(itertools.cycle([False, True, True, True]))
    bench.send(0, beats=[*FRAMES[0], 0], fresh=1)
    beats = 0
    for _ in range(PATIENCE):
        beats += int(dut.in_beat.value)
        if beats == whole:
            break
        await RisingEdge(dut.clk)
    bench.source.clear_pause_generator()
    bench.source.pause = True
    await bench.receive_expected(0)
    await bench.reached(dut.load_at, min(2, CORE["load_beats"] - 1))
    bench.source.pause = False
    await bench.reached(dut.load, DONE)
    for sample in SAMPLES:
        bench.send(sample, fresh=1 if sample == 0 else None)
    await bench.receive_expected(*SAMPLES)
    await bench.finish()
    await bench.reset()
    assert dut.load_error.value == 0, "load_error is set after a reset"
    for _ in range(PATIENCE):
        if int(dut.load_at.value) == CORE["load_beats"] // 2:
            break
        await RisingEdge(dut.clk)
    await bench.reset()
    for sample in SAMPLES:
        bench.send(sample)
    await bench.receive_expected(*SAMPLES)
    await bench.finish()

    # Without weights nothing goes in.
    dut.wrong_loads.value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 1)  # no load is on offer
    dut.rst.value = 0
    dut.load.value = AGAIN  # not offered where loads are right
    bench.send(0, fresh=1)
    await ClockCycles(dut.clk, LATENCY + INTERVAL)
    assert dut.unloaded.value == 0, "a frame goes in, although the core has no weights"
    dut.load.value = RIGHT
    await bench.receive_expected(0)
    await bench.finish()


@cocotb.test(skip="other" not in VECTORS)
async def other_weights(dut):
    """Weights from all of their formats: bits and saturations that the core's own never use."""
    bench = Bench(dut)
    await bench.start()
    load = VECTORS["other"]["load"]
    own = [int(dut.load_image[n].value) for n in range(len(load))]
    for image, expected in ((load, [to_beats(frame) for frame in VECTORS["other"]["output"]]),
                            (own, EXPECTED)):
        for n, beat in enumerate(image):
            dut.load_image[n].value = beat
        await bench.reset()
        for sample in SAMPLES:
            bench.send(sample)
        await bench.receive_expected(*SAMPLES, expected=expected)
    await bench.finish()
    await bench.no_error()


# --- Faults in a core that watches itself ---------------------------------------------------------

GUARD = CORE.get("guard", {"watched": []})
FLIPS = 200  # at most
# The jobs of tb.v, and its verdicts.
LEARN, COPY, WORD, STOPS, SHUT, IDLE, LENGTHS, AMID, BLOCKED, UNLOADED = range(1, 11)
VERDICTS = ["", "it reports a fault where there is none", "it does not report it",
            "it reports something else", "the report does not stay", "the watchdog is too early",
            "the watchdog does not end it in time", "the core does not work again",
            "the core takes frames without weights"]


def faults():
    """Of each: its name, and the signals of tb.v that say what it is."""
    def flip(n, bit):
        item = GUARD["watched"][n]
        word = random.randrange(item.get("depth", 1))
        return (f"bit {bit} of word {word} of {item['place']}", {
            "job": WORD if "depth" in item else COPY, "watched": n, "flip_bit": bit,
            "flip_word": word, "flip_cycle": random.randrange(10, 70), "right": 1 << item["tells"],
            "replay": random.random() < 0.1})

    places = [(n, bit) for n, item in enumerate(GUARD["watched"]) for bit in range(item["width"])]
    yield "no fault", {"job": LEARN}
    for place in sorted(random.sample(places, min(FLIPS, len(places)))):
        yield flip(*place)
    yield "a hang, no output is made", {"job": STOPS}
    yield "a hang, no input is taken", {"job": SHUT}
    yield "no fault, nothing moves after whole frames", {"job": IDLE}
    yield "no fault, nothing moves after frames of wrong lengths", {"job": LENGTHS}
    yield "no fault, nothing moves amid an input frame", {"job": AMID}
    yield "no fault, the output is blocked", {"job": BLOCKED}
    if CORE.get("load_beats"):
        yield "no fault, there are no weights", {"job": UNLOADED}


@cocotb.test(skip=not GUARD["watched"])
async def faults_are_told_of(dut):
    """Bits of registers' copies and of memories change, the core hangs, and nothing moves without
    a fault: each is told of by the port fault, and the watchdog ends a hang in its time."""
    bench = Bench(dut)
    await bench.start()
    bench.send(0, fresh=1)
    await bench.receive_expected(0)  # the weights of a loadable core are there
    longest = 16 * GUARD["patience"] + 100 * (LATENCY + INTERVAL) + 10_000
    for name, signals in faults():
        for signal, value in signals.items():
            getattr(dut, signal).value = int(value)
        await with_timeout(RisingEdge(dut.judged), longest * CLOCK_NS, "ns")
        verdict = int(dut.verdict.value)
        dut.job.value = 0
        assert not verdict, f"{name}: {VERDICTS[verdict]}: {dut.found.value}"
        await ClockCycles(dut.clk, 2)
    await bench.reset()
    for sample in SAMPLES:
        bench.send(sample, fresh=1 if sample == 0 else None)
    await bench.receive_expected(*SAMPLES)
    await bench.finish()
    await bench.no_error()
