"""Plans executed: programs and memory images give golden's bits and keep every distance."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.initialise import initialise
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.plan.latency import latencies
from gatefold.gen.plan.program import assemble, tile_fields, unroll
from gatefold.hdl.config import PIPELINES
from gatefold.hdl.isa import Stop
from gatefold.sim.expected import expectation
from tests.support.networks import NETWORKS, both_directions, inputs, network, quantized
from tests.support.tile_machine import TileMachine

#: pe, simd; activation, weight and cell bits
ARRAYS = [((4, 1), (8, 8, 10)), ((8, 3), (16, 16, 18)), ((16, 2), (9, 7, 12)),
          ((12, 5), (4, 4, 4)), ((20, 4), (18, 18, 18)), ((64, 16), (16, 16, 18))]


def check(qnet, pe, simd, *, frames=3, contexts=1, anew=3, **array):
    """Frames back to back, as fast as the plan says and with stalls before every fourth tile or so.
    Every third frame, or every one of another number (``anew``), begins a new sequence; the others
    go on with the state of the one before. ``array``: what else an :class:`Array` takes."""
    plan = make_plan(qnet, Array(pe=pe, simd=simd, stream_bits=288, contexts=contexts, **array))
    x = inputs(qnet, frames * contexts).reshape(frames, -1)
    begins = np.arange(frames) % anew == 0
    want, values = expectation(qnet, x, contexts)(range(frames), begins)
    rng = np.random.default_rng(pe * simd)
    for stall in (lambda: 0, lambda: int(rng.integers(0, 40)) if rng.random() < 0.25 else 0):
        machine = TileMachine(plan)
        for frame in range(frames):
            got, states = machine.run(x[frame], stall, fresh=bool(begins[frame]))
            np.testing.assert_array_equal(got, want[frame])
            check_states(plan, states, values, frame)


def check_states(plan, states, values, frame):
    """The beats hold what `plan.trace` says, and every value of every layer once."""
    assert len(states) == len(plan.trace)
    seen = {name: {state: np.zeros(found[frame].size, np.int64) for state, found in inside.items()
                   if state in ("h", "c", "y")} for name, inside in values.items()}
    times = {name: np.zeros_like(next(iter(inside.values()))) for name, inside in seen.items()}
    for (layer, first, count), (lanes, state, result) in zip(plan.trace, states, strict=True):
        if layer < 0:
            continue
        inside = seen[plan.qnet.layers[layer].name]
        there = lanes < count
        at = first + lanes[there]
        times[plan.qnet.layers[layer].name][at] += 1
        inside["h" if "h" in inside else "y"][at] = result[there]
        if "c" in inside:
            inside["c"][at] = state[there]
    for name, inside in seen.items():
        assert (times[name] == 1).all(), f"values of {name} came never or twice"
        for state, found in inside.items():
            np.testing.assert_array_equal(found, values[name][state][frame].ravel(),
                                          err_msg=f"{name}, {state}")


@pytest.mark.parametrize(("array", "widths"), ARRAYS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_on_every_array(name, array, widths):
    check(quantized(name, widths), *array, frames=4 if network(name).stateful else 2)


@pytest.mark.parametrize(("array", "widths"), ARRAYS[1:3], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_with_a_short_pipeline(name, array, widths):
    check(quantized(name, widths), *array, frames=4 if network(name).stateful else 2,
          pipeline="short")


@pytest.mark.parametrize("gather", [1, 2])
@pytest.mark.parametrize("name", ["lstm, gru, rnn", "gru reset before", "stateful gru"])
def test_registers_between_rows_and_lanes(name, gather):
    check(quantized(name), 12, 5, gather=gather)


# sequences in a frame; the array
CONTEXTS = [(2, (8, 3)), (3, (16, 2)), (4, (4, 5))]


@pytest.mark.parametrize(("contexts", "array"), CONTEXTS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_several_sequences_in_a_frame(name, contexts, array):
    check(quantized(name), *array, contexts=contexts, frames=2)


# dies, registers between them; the array
DIES = [((2, 2), (8, 3)), ((3, 3), (12, 2)), ((3, 2), (24, 1))]


@pytest.mark.parametrize("contexts", [1, 2])
@pytest.mark.parametrize(("dies", "array"), DIES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_on_several_dies(name, dies, array, contexts):
    check(quantized(name), *array, contexts=contexts, dies=dies[0], cross=dies[1],
          frames=4 if network(name).stateful else 2)


# a recurrent layer and a Dense layer that rides on it, on a die where that has no rows; the array
# of three dies, registers between them
RIDERS = [(("L4seq", "D5"), (36, 2), 2), (("G2seq", "D13"), (48, 1), 3),
          (("L9seq", "D3"), (36, 2), 4)]


@pytest.mark.parametrize(("layers", "array", "cross"), RIDERS, ids=str)
def test_riders_meet_what_they_read_on_every_die(layers, array, cross):
    qnet = quantized(((3, 2), layers))
    assert make_plan(qnet, Array(pe=array[0], simd=array[1], dies=3, cross=cross)).work.rides
    check(qnet, *array, dies=3, cross=cross, frames=2)


# units, features, timesteps, layers, dense, pe, simd
LARGER = [(32, 4, 8, 1, 1, 32, 8), (24, 7, 6, 3, 5, 48, 8), (20, 40, 5, 2, 40, 16, 5),
          (9, 2, 20, 2, None, 12, 4), (64, 1, 3, 1, 3, 64, 16)]


@pytest.mark.parametrize(("units", "features", "timesteps", "layers", "dense", "pe", "simd"),
                         LARGER)
def test_larger_networks(units, features, timesteps, layers, dense, pe, simd):
    network = initialise(units=units, features=features, timesteps=timesteps, layers=layers,
                         dense=dense)
    check(quantize(network), pe, simd, frames=2)


@pytest.mark.parametrize("seed", range(25))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    dense = int(rng.integers(0, 12))
    network = initialise(units=int(rng.integers(1, 20)), features=int(rng.integers(1, 14)),
                         timesteps=int(rng.integers(1, 9)), layers=int(rng.integers(1, 4)),
                         dense=dense or None, seed=seed)
    widths = [int(n) for n in rng.integers(4, 19, 3)]
    check(quantize(network, act_width=widths[0], weight_width=widths[1], cell_width=widths[2]),
          4 * int(rng.integers(1, 9)), int(rng.integers(1, 9)), frames=2)


# network, distance that is planned too short, by how many cycles, what the machine sees. (A load of
# states is planned as if the next beat read them, so that some cycles are to spare.)
TOO_SHORT = [("lstm-dense", "tail", 1, "reads h chunk"), ("stack", "park", 1, "starts from word"),
             ("stateful gru", "tail", 1, "reads h chunk"),
             ("states handed over", "state", 4, "is read too early")]


@pytest.mark.parametrize(("name", "distance", "cycles", "message"), TOO_SHORT)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_machine_sees_a_distance_that_is_too_short(monkeypatch, name, distance, cycles,
                                                       message, pipeline):
    def short(config):
        right = latencies(config)
        return replace(right, **{distance: getattr(right, distance) - cycles})

    monkeypatch.setattr("gatefold.gen.plan.plan.latencies", short)
    with pytest.raises(AssertionError, match=message):
        check(quantized(name), 8, 3, pipeline=pipeline)


# ---- the program against the tiles ---------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_unrolled_program_is_the_list_of_tiles(name):
    plan = make_plan(quantized(name), Array(pe=8, simd=3))
    flat, storage = unroll(assemble(plan.stretches, plan.work)), plan.work.storage
    # Where results change places from frame to frame, there are two frames in it.
    frames = 2 if storage.rings else 1
    assert flat == unroll(plan.program) and len(plan.tiles) == plan.cycles.tiles
    assert len(flat) == frames * len(plan.tiles)
    names = [name for name in flat[0] if name not in ("repeats", "start", "init")]
    fields = tile_fields(plan.program, [name for name in names if not name.endswith("_step")])
    for name, values in fields.items():
        assert values.tolist() == [instruction[name] for instruction in flat]
    for n, (tile, instruction) in enumerate(zip(plan.tiles * frames, flat, strict=True)):
        job, chunk = tile.finishes, tile.operand.chunk
        place = partial(storage.moved, frames=n // len(plan.tiles))
        want = {"weight": tile.operand.weight, "from_x": chunk.from_x,
                "operand": chunk.address if chunk.from_x else place(chunk.address),
                "align": tile.operand.align, "start": tile.start, "init": tile.init,
                "stop": tile.stop, "park": tile.park, "gap": tile.gap,
                "last": tile is plan.tiles[-1], "repeats": 0}
        if plan.qnet.stateful:
            want["age"] = chunk.age
        assert bool(tile.stop & Stop.FINISH) == (job is not None)
        if job is not None:
            want |= {"kind": plan.work.kind_of[job.op][job.step], "route": job.route,
                     "beats": job.beats - 1, "fresh": job.fresh, "cell": job.cell,
                     "to_h": job.h is not None, "h": 0 if job.h is None else place(job.h),
                     "to_out": job.out is not None,
                     "out": job.out or 0, "complete": job.complete}
            if plan.qnet.stateful:
                want["cell_carried"] = job.carried
        assert {field: instruction[field] for field in want} == want


def test_loops_make_a_long_network_short():
    def words(timesteps):
        network = initialise(units=8, features=3, timesteps=timesteps, dense=1)
        plan = make_plan(quantize(network), Array(pe=8, simd=4))
        return len(plan.program.instructions), len(plan.tiles)

    (short, tiles), (long, more_tiles) = words(60), words(120)
    assert short == long and more_tiles > 1.9 * tiles > 15 * short / 2


@pytest.mark.parametrize("array", [{}, {"dies": 2, "cross": 2}, {"contexts": 2}], ids=str)
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_backward_directions_are_loops_whose_strides_fall(kind, array):
    def planned(steps):
        qnet = quantized(both_directions(kind, 3, steps=steps))
        return qnet, make_plan(qnet, Array(pe=8, simd=3, **array))

    (_, short), (qnet, long) = planned(21), planned(41)
    assert len(long.program.instructions) < 1.5 * len(short.program.instructions)
    assert all(plan.config.min_stride < 0 for plan in (short, long))
    check(qnet, 8, 3, frames=2, **array)


def test_the_same_network_gives_the_same_plan():
    first, second = (make_plan(quantized("autoencoder"), Array(pe=8, simd=3)) for _ in range(2))
    assert first.program == second.program and first.images() == second.images()
    assert first.cycles == second.cycles


# ---- refusals ------------------------------------------------------------------------------------

# pe, simd, stream bits, message
REFUSED = [
    (0, 1, 128, "pe must be a multiple of 4"), (6, 1, 128, "pe must be a multiple of 4"),
    (-4, 1, 128, "pe must be a multiple of 4"), (4, 0, 128, "simd must be a positive number"),
    (4, 1, 12, "the stream must be a multiple of 8 bits wide"),
    (4, 1, 0, "the stream must be a multiple of 8 bits wide"),
]


@pytest.mark.parametrize(("pe", "simd", "stream_bits", "message"), REFUSED)
def test_refused_arrays(pe, simd, stream_bits, message):
    with pytest.raises(UserError, match=message):
        make_plan(quantized("lstm-dense"), Array(pe=pe, simd=simd, stream_bits=stream_bits))


@pytest.mark.parametrize(("width", "bits"), [(4, 8), (8, 8), (9, 16), (16, 16), (17, 32), (18, 32)])
def test_an_element_takes_a_container_of_bytes(width, bits):
    plan = make_plan(quantized("lstm-dense", (width, 8, 10)), Array(pe=4, simd=2, stream_bits=64))
    assert (plan.config.container, plan.config.beat) == (bits, 64 // bits)
