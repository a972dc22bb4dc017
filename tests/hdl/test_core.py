"""Whole cores in Amaranth's simulator: every output, every layer's values, every cycle count."""

import json
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.folder import core_json
from gatefold.hdl import config as hdl_config
from gatefold.hdl.core import Core, Top
from gatefold.sim.amaranth_sim import AmaranthCore
from gatefold.sim.core_info import _parse
from gatefold.sim.expected import expectation
from gatefold.sim.golden import golden
from gatefold.sim.scenario import full_rate, random_flow
from gatefold.sim.verify import check_run
from tests.support.hdl_harness import simulate
from tests.support.lane_model import table_of
from tests.support.networks import NETWORKS, both_directions, inputs, network, quantized


def two_frames(info, samples):
    """At full rate, each frame alone."""
    return full_rate(info, 1)


def core_info(plan):
    return _parse(json.loads(json.dumps(core_json(plan))))


def check(qnet, pe, simd, *, stream_bits=32, scenarios=(two_frames,), samples=3, contexts=1,
          loadable=False, **array):
    """Play the scenarios and compare everything. An interval takes three samples at full rate.
    ``array``: further attributes of the :class:`Array`."""
    plan = make_plan(qnet, Array(pe=pe, simd=simd, stream_bits=stream_bits, contexts=contexts,
                                 **array), loadable=loadable)
    info = core_info(plan)
    x = inputs(qnet, samples * contexts).reshape(samples, -1)
    expect, core = expectation(qnet, x, contexts), AmaranthCore(plan, info)
    for make in scenarios:
        scenario = make(info, samples)
        check_run(core.simulate(x, scenario), info, scenario, expect)


# pe, simd: as few as there can be; slots and lanes that do not fit; more slots than units
ARRAYS = [((4, 1), (two_frames,)), ((8, 3), (full_rate, random_flow)), ((16, 2), (two_frames,))]
ALL = list(NETWORKS)  # each on one of the arrays, the next on the next


@pytest.mark.parametrize(("name", "array", "scenarios"), [
    pytest.param(name, *ARRAYS[n % len(ARRAYS)], id=f"{name}, {ARRAYS[n % len(ARRAYS)][0]}")
    for n, name in enumerate(ALL)])
def test_networks(name, array, scenarios):
    check(quantized(name), *array, scenarios=scenarios)


def beginning(kind, **states):
    """A layer of 3 units that begins with these constant states."""
    return lambda m: Network((2, 2), (getattr(m, kind)(
        2, 3, **{name: np.array(state) for name, state in states.items()}),))


def test_constant_states_wider_than_any_sum():
    h, c = [0.9, -0.8, 0.1], [1.9, -1.7, 0.3]
    for spec, widths in [(beginning("gru", h0=h), (8, 8, 18)),
                         (beginning("gru", h0=h), (4, 4, 16)),
                         (beginning("lstm", h0=h, c0=c), (4, 4, 18))]:
        check(quantized(spec, widths), 8, 2)


SHORT = ["stack", "gru reset before", "flatten", "multiply", "padded pool", "states handed over",
         "stateful gru", "peepholes"]


@pytest.mark.parametrize(("name", "array"), [
    (name, [(8, 3), (16, 5), (16, 2)][n % 3]) for n, name in enumerate(SHORT)], ids=str)
def test_networks_with_a_short_pipeline(name, array):
    check(quantized(name), *array, scenarios=(full_rate, random_flow), pipeline="short")


@pytest.mark.parametrize(("name", "array"), [
    ("stack", (8, 2)), ("gru reset before", (16, 5)), ("flatten", (8, 6)), ("multiply", (8, 13)),
    ("stateful gru", (16, 2))], ids=str)
def test_networks_with_all_products_in_cascades(name, array):
    check(quantized(name), *array, scenarios=(full_rate, random_flow), cascade=True)


# network, array, levels of relays, other options: rows in one region and in several, also odd ones
DISTANCES = [("stack", (36, 3), 1, {}), ("gru reset before", (20, 2), 2, {"pipeline": "short"}),
             ("stateful lstm", (36, 2), 2, {}), ("flatten", (20, 3), 1, {"pipeline": "short"}),
             ("stateful gru", (36, 2), 1, {"loadable": True}), ("multiply", (8, 3), 3, {}),
             ("padded pool", (20, 1), 3, {"loadable": True, "contexts": 2}),
             ("states handed over", (68, 4), 2, {}),
             ("stateful peepholes", (36, 3), 1, {"loadable": True}),
             ("stateful projection", (20, 2), 1, {"loadable": True})]


@pytest.mark.parametrize(("name", "array", "reach", "options"), DISTANCES, ids=str)
def test_networks_on_arrays_with_a_long_way_out(name, array, reach, options):
    check(quantized(name), *array, scenarios=(full_rate, random_flow), reach=reach, **options)


# contexts, network, array: as many sequences in a frame, each with memories of its own
CONTEXTS = [(2, "stack", (8, 3)), (3, "autoencoder", (16, 2)), (4, "every h", (24, 4)),
            (2, "dense per step", (4, 1)), (2, "gru reset before", (8, 2)),
            (3, "states as inputs", (12, 2)), (2, "stateful gru", (8, 3)),
            (2, "heads", (16, 2)), (2, "peepholes", (8, 3)),
            (2, "projections", (8, 2)), (3, "stateful projection", (16, 4))]


@pytest.mark.parametrize(("contexts", "name", "array"), CONTEXTS, ids=str)
def test_several_sequences_in_a_frame(contexts, name, array):
    check(quantized(name), *array, contexts=contexts, scenarios=(full_rate, random_flow))


# Dense layers that ride on an LSTM or on both directions of one: layers, array, other options
RIDERS = [(("L5seq", "D1"), (12, 2), {}), (("L5seq", "D3"), (24, 2), {"contexts": 3, "reach": 1}),
          (("L4seq", "D5"), (36, 2), {"dies": 3, "cross": 2, "gather": 1}),
          (("L3seq", "D2"), (16, 3), {"contexts": 2, "loadable": True}),
          (("lstm", 2), (12, 2), {"reach": 1}), (("gru", 1, 1), (16, 3), {"contexts": 2}),
          (("lstm", 3), (36, 2), {"dies": 3, "cross": 2})]


@pytest.mark.parametrize(("layers", "array", "options"), RIDERS, ids=str)
def test_riders(layers, array, options):
    net = ((3, 2), layers) if layers[0].endswith("seq") else both_directions(*layers)
    check(quantized(net), *array, scenarios=(full_rate, random_flow), **options)


# Loops whose strides have both signs: kind of layer, steps, array, other options
BACKWARDS = [("lstm", 12, (8, 3), {}), ("gru", 9, (24, 3), {"dies": 2, "cross": 2})]


@pytest.mark.parametrize(("kind", "steps", "array", "options"), BACKWARDS, ids=str)
def test_loops_of_both_directions(kind, steps, array, options):
    qnet = quantized(both_directions(kind, 3, steps=steps))
    assert make_plan(qnet, Array(pe=array[0], simd=array[1], **options)).config.min_stride < 0
    check(qnet, *array, scenarios=(full_rate, random_flow), **options)


# Elements of one, two and four rows in one core, layers narrower and wider than a chunk, groups
# that begin at other lanes, several spans; levels of registers between rows and lanes: network,
# array, gather, pipeline
GATHERED = [("lstm, gru, rnn", (20, 3), 1, "full"), ("gru reset before", (12, 5), 2, "short"),
            ("multiply", (20, 2), 2, "full"), ("states as inputs", (20, 7), 1, "short"),
            ("stateful rnn", (24, 2), 2, "full"), ("global pool", (12, 2), 1, "full"),
            ("dense only", (20, 3), 2, "short"),
            ("stateful gru of several groups", (8, 3), 1, "short")]


@pytest.mark.parametrize(("name", "array", "gather", "pipeline"), GATHERED, ids=str)
def test_registers_between_rows_and_lanes(monkeypatch, name, array, gather, pipeline):
    monkeypatch.setattr(hdl_config, "SPAN", 8)
    check(quantized(name), *array, gather=gather, pipeline=pipeline,
          scenarios=(full_rate, random_flow))


# network, array, beats of a chunk, other options: units and outputs of one beat, of several and of
# no whole number; states, factors, several dies
PARTS = [("lstm-dense", (24, 4), 2, {"dies": 2, "cross": 2}), ("padded pool", (16, 8), 4, {}),
         ("stateful gru", (16, 4), 2, {"gather": 1}), ("peepholes", (16, 4), 2, {})]


@pytest.mark.parametrize(("name", "array", "parts", "options"), PARTS, ids=str)
def test_fewer_lanes_than_columns(name, array, parts, options):
    check(quantized(name), *array, parts=parts, scenarios=(full_rate, random_flow), **options)


def test_contexts_fill_each_others_tails():
    qnet = quantized("stack", (16, 16, 18))
    one, four = (make_plan(qnet, Array(pe=16, simd=4, contexts=n)).cycles.interval for n in (1, 4))
    assert four < 2 * one


# network; the array; its dies, the registers between them; contexts. Vectors that fill all dies'
# words and ones that do not; more dies than chunks
DIES = [("stack", (12, 2), (3, 3), 1), ("lstm-dense", (8, 3), (2, 2), 1),
        ("bidirectional", (8, 3), (2, 3), 1), ("gru reset before", (12, 1), (3, 2), 1),
        ("dense only", (24, 1), (3, 2), 1), ("conv, conv, lstm", (12, 2), (3, 2), 1),
        ("padded pool", (8, 3), (2, 2), 1), ("stateful lstm", (16, 2), (2, 2), 1),
        ("stateful gru", (12, 1), (3, 3), 2), ("every h", (12, 2), (3, 2), 3),
        ("two outputs", (8, 2), (2, 2), 1), ("wide input", (16, 4), (2, 4), 1),
        ("peepholes", (12, 2), (3, 2), 1), ("projections", (12, 2), (3, 2), 1),
        ("autoencoder", (16, 3), (2, 2), 1),  # its last layer rides on the one before
        (((3, 2), ("L4seq", "D5")), (36, 2), (3, 2), 1)]  # and has rows on a die of its own


@pytest.mark.parametrize(("name", "array", "dies", "contexts"), DIES, ids=str)
def test_networks_on_several_dies(name, array, dies, contexts):
    check(quantized(name), *array, contexts=contexts, dies=dies[0], cross=dies[1],
          scenarios=(full_rate, random_flow))


@pytest.mark.parametrize(("dies", "options"), [
    (2, {"reach": 2, "gather": 1}), (3, {"reach": 1, "pipeline": "short"}),
    (2, {"loadable": True})], ids=str)
def test_dies_with_other_options(dies, options):
    check(quantized("lstm-dense"), 12 * dies, 2, dies=dies, cross=2,
          scenarios=(full_rate, random_flow), **options)


# activation, weight and cell bits; the array; bits of the stream
WIDTHS = [((4, 4, 4), (4, 2), 8), ((4, 8, 18), (8, 1), 64), ((12, 10, 16), (8, 4), 48),
          ((16, 16, 18), (12, 2), 128), ((18, 18, 18), (4, 3), 32), ((18, 4, 5), (8, 2), 96)]


@pytest.mark.parametrize("name", ["stack", "flatten", "gru reset before", "states as inputs"])
@pytest.mark.parametrize(("widths", "array", "stream_bits"), WIDTHS, ids=str)
def test_widths(name, widths, array, stream_bits):
    check(quantized(name, widths), *array, stream_bits=stream_bits)


@pytest.mark.parametrize(("act", "bits"), [(4, 8), (8, 12), (12, 8)])
@pytest.mark.parametrize("name", ["lstm, gru, rnn", "flatten"])
def test_tables_with_bits_of_their_own(name, act, bits):
    check(quantize(network(name), act_width=act, weight_width=8, cell_width=14,
                   table=table_of(bits)), 8, 2)


@pytest.mark.parametrize("stream_bits", [8, 24, 64, 256, 512])
def test_stream_widths(stream_bits):
    check(quantized("every h"), 8, 3, stream_bits=stream_bits, scenarios=(full_rate, random_flow))


@pytest.mark.parametrize("gain", [0.05, 8.0])
def test_gains(gain):
    # Weights so small that alignments differ, and so large that every gate saturates.
    check(quantized("stack", gain=gain), 8, 2)


@pytest.mark.parametrize("name", ["hard dense", "flatten", "hard_tanh rnn"])
def test_results_finer_than_the_accumulator(name):
    # Sums shifted left into the unit interval, where they saturate.
    check(quantized(name, (8, 4, 10), gain=64.0), 8, 3, scenarios=(full_rate, random_flow))


# the array, bits of the stream, pipeline, the intervals of a Dense layer 4 -> 3
PAIRS = [((4, 4), 128, "full", (10, 1)), ((8, 8), 128, "full", (11, 1)),
         ((4, 4), 64, "short", (8, 1)), ((4, 2), 32, "full", (8, 3)), ((4, 1), 128, "full", (6,))]


@pytest.mark.parametrize(("array", "stream_bits", "pipeline", "intervals"), PAIRS, ids=str)
def test_short_frames_leave_in_pairs(array, stream_bits, pipeline, intervals):
    qnet = quantized(((4,), ("D3",)))
    plan = make_plan(qnet, Array(pe=array[0], simd=array[1], stream_bits=stream_bits,
                                 pipeline=pipeline))
    assert plan.cycles.intervals == intervals
    assert plan.cycles.interval == -(-sum(intervals) // len(intervals))
    check(qnet, *array, stream_bits=stream_bits, scenarios=(full_rate, random_flow), samples=8,
          pipeline=pipeline)


# name, arrays: each equals golden, hence each other
METAMORPHIC = [("lstm-dense", [(pe, simd) for pe in (4, 12, 20) for simd in (1, 2, 4, 5)]),
               ("autoencoder", [(4, 4), (12, 1), (20, 2)]),
               ("scale", [(4, 2), (12, 3), (20, 1)])]


@pytest.mark.parametrize(("name", "array"), [(name, array) for name, arrays in METAMORPHIC
                                             for array in arrays], ids=str)
def test_every_array_gives_the_same_bits(name, array):
    check(quantized(name, seed=7), *array)


# ---- errors of a stream, and reset ---------------------------------------------------------------


class Bench:
    """A core with a frame of beats for each sample; sends and receives frame by frame."""

    def __init__(self, name, *, stream_bits=16, wrap=lambda core: core):
        qnet = quantized(name)
        self.plan = make_plan(qnet, Array(pe=8, simd=3, stream_bits=stream_bits))
        self.info = core_info(self.plan)
        self.core: Any = Core(self.plan.config, self.plan.images())
        self.dut = wrap(self.core)
        self.x = inputs(qnet, 4)
        self.golden = lambda x: golden(qnet, x[None])[0].reshape(-1)
        self.beats = self.info.stream.pack(self.x.reshape(4, -1))

    async def offer(self, ctx, word, last):
        core = self.core
        ctx.set(core.i.payload.data, int(word))
        ctx.set(core.i.payload.last, last)
        ctx.set(core.i.valid, 1)
        await ctx.tick().until(core.i.ready)
        ctx.set(core.i.valid, 0)

    async def send(self, ctx, frame):
        for n, word in enumerate(self.beats[frame]):
            await self.offer(ctx, word, n == self.info.beats_in - 1)

    async def receive(self, ctx):
        """The elements of the next frame; TLAST must be on its last beat."""
        core, words = self.core, []
        ctx.set(core.o.ready, 1)
        for n in range(self.info.beats_out):
            data, last = await ctx.tick().sample(
                core.o.payload.data, core.o.payload.last).until(core.o.valid)
            assert last == (n == self.info.beats_out - 1)
            words.append(data)
        ctx.set(core.o.ready, 0)
        return self.info.stream.unpack(words, self.info.n_out)

    def run(self, *benches):
        simulate(self.dut, *benches)


# beats sent of a frame of 4 (12 elements, 2 a beat: 6 beats), and which elements survive
TLAST = {"early": (2, 4), "earliest": (1, 2), "late": (7, 12), "a frame late": (12, 12)}


@pytest.mark.parametrize("case", TLAST)
def test_a_frame_error_is_reported_and_the_next_frame_is_exact(case):
    bench = Bench("lstm-dense")
    assert bench.info.beats_in == 6
    length, kept = TLAST[case]
    broken = bench.x[1].reshape(-1).copy()
    broken[kept:] = 0
    flags, got = [], []

    async def source(ctx):
        await bench.send(ctx, 0)
        await ctx.tick().repeat(bench.info.latency + 20)
        flags.append(ctx.get(bench.core.frame_error))
        for n in range(length):
            await bench.offer(ctx, bench.beats[1][min(n, 5)], n == length - 1)
        flags.append(ctx.get(bench.core.frame_error))
        await bench.send(ctx, 2)
        await bench.send(ctx, 3)

    async def sink(ctx):
        for _ in range(4):
            got.append(await bench.receive(ctx))
        flags.append(ctx.get(bench.core.frame_error))

    bench.run(sink, source)
    want = [bench.golden(x) for x in (bench.x[0], broken.reshape(bench.x[1].shape), *bench.x[2:])]
    np.testing.assert_array_equal(got, want)
    assert flags == [0, 1, 1]  # set by the bad frame, sticky


@pytest.mark.parametrize("name", ["lstm-dense", "flatten"])
def test_reset_in_the_middle_of_a_frame(name):
    # All along a frame that is at work, with the next one coming in behind it; and after it.
    reset = Signal()
    bench = Bench(name, wrap=lambda core: ResetInserter(reset)(core))
    cycles = range(2, bench.info.latency + bench.info.interval // 2, 11)
    got = []

    async def play(ctx):
        core = bench.core
        for cycle in cycles:
            sent = 0
            words = [(word, n == bench.info.beats_in - 1) for frame in (0, 1)
                     for n, word in enumerate(bench.beats[frame])]
            ctx.set(core.o.ready, 1)
            for _ in range(cycle):
                if sent < len(words):
                    ctx.set(core.i.payload.data, int(words[sent][0]))
                    ctx.set(core.i.payload.last, words[sent][1])
                ctx.set(core.i.valid, sent < len(words))
                _, _, ready = await ctx.tick().sample(core.i.ready)
                sent += ready
            ctx.set(core.i.valid, 0)
            ctx.set(core.o.ready, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert not ctx.get(core.frame_error) and not ctx.get(core.o.valid)
            await bench.send(ctx, 2)
            got.append(await bench.receive(ctx))

    bench.run(play)
    want = bench.golden(bench.x[2])
    np.testing.assert_array_equal(got, [want] * len(cycles))


def test_reset_clears_the_frame_error():
    reset = Signal()
    bench = Bench("lstm-dense", wrap=lambda core: ResetInserter(reset)(core))

    async def play(ctx):
        await bench.offer(ctx, 0, 1)
        assert ctx.get(bench.core.frame_error) == 1
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert ctx.get(bench.core.frame_error) == 0
        await bench.send(ctx, 1)
        np.testing.assert_array_equal(await bench.receive(ctx), bench.golden(bench.x[1]))

    bench.run(play)


@pytest.mark.parametrize(("name", "more"), [("lstm-dense", set()),
                                            ("stateful lstm", {"s_axis_tuser"})])
def test_top_has_the_vendors_port_names(name, more):
    plan = make_plan(quantized(name), Array(pe=8, simd=3, stream_bits=32))
    top: Any = Top(plan.config, plan.images())
    assert set(top.signature.members) == {
        "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast", "m_axis_tdata",
        "m_axis_tvalid", "m_axis_tready", "m_axis_tlast", "frame_error"} | more
    info, x = core_info(plan), inputs(plan.qnet, 1)
    beats = info.stream.pack(x.reshape(1, -1))[0]
    got = []

    async def play(ctx):
        ctx.set(top.m_axis_tready, 1)
        for n, word in enumerate(beats):
            ctx.set(top.s_axis_tdata, int(word))
            ctx.set(top.s_axis_tlast, n == len(beats) - 1)
            ctx.set(top.s_axis_tvalid, 1)
            await ctx.tick().until(top.s_axis_tready)
            ctx.set(top.s_axis_tvalid, 0)
        for n in range(info.beats_out):
            data, last = await ctx.tick().sample(top.m_axis_tdata, top.m_axis_tlast).until(
                top.m_axis_tvalid)
            assert last == (n == info.beats_out - 1)
            got.append(data)

    simulate(top, play)
    np.testing.assert_array_equal(info.stream.unpack(got, info.n_out),
                                  golden(plan.qnet, x)[0].reshape(-1))
